//! A way for UDP that can be cut: one front address, behind it one socket for each client, as a NAT has them.

use super::State;
use anyhow::Result;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::UdpSocket;
use tokio::sync::watch;

/// The longest datagram.
const DATAGRAM: usize = 65_536;

/// Opens a way to `target`; it lasts as long as whoever holds the sender of `state`.
pub(super) async fn open(target: SocketAddr, mut state: watch::Receiver<State>) -> Result<SocketAddr> {
    let front = Arc::new(UdpSocket::bind("127.0.0.1:0").await?);
    let address = front.local_addr()?;
    tokio::spawn(async move {
        let mut backs: BTreeMap<SocketAddr, Arc<UdpSocket>> = BTreeMap::new();
        let mut datagram = vec![0; DATAGRAM];
        loop {
            let received = tokio::select! {
                received = front.recv_from(&mut datagram) => received,
                changed = state.changed() => match changed {
                    Ok(()) => continue,
                    Err(_) => return,
                },
            };
            let Ok((length, client)) = received else { continue };
            if state.borrow().media_cut {
                continue;
            }
            let back = match backs.entry(client) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => {
                    let Ok(back) = connect(target).await else { continue };
                    tokio::spawn(bring_back(Arc::clone(&back), Arc::clone(&front), client, state.clone()));
                    new.insert(back)
                }
            };
            // A server that is down refuses datagrams; the client sends more.
            let _ = back.send(&datagram[..length]).await;
        }
    });
    Ok(address)
}

async fn connect(target: SocketAddr) -> Result<Arc<UdpSocket>> {
    let back = UdpSocket::bind("127.0.0.1:0").await?;
    back.connect(target).await?;
    Ok(Arc::new(back))
}

async fn bring_back(
    back: Arc<UdpSocket>,
    front: Arc<UdpSocket>,
    client: SocketAddr,
    mut state: watch::Receiver<State>,
) {
    let mut datagram = vec![0; DATAGRAM];
    loop {
        let received = tokio::select! {
            received = back.recv(&mut datagram) => received,
            changed = state.changed() => match changed {
                Ok(()) => continue,
                Err(_) => return,
            },
        };
        let Ok(length) = received else { continue };
        if !state.borrow().media_cut {
            // A client that is gone refuses datagrams.
            let _ = front.send_to(&datagram[..length], client).await;
        }
    }
}
