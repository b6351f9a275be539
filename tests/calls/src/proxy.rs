//! A way to the server that can be cut and mended.

use anyhow::Result;
use std::net::SocketAddr;
use std::pin::pin;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Carries TCP connections while it is not cut. Cutting resets what is open and refuses what is new.
pub struct Proxy {
    address: SocketAddr,
    state: watch::Sender<State>,
}

#[derive(Clone, Copy, Default)]
struct State {
    /// A connection that has lived through one is over.
    cuts: u32,
    /// Nothing new is let through.
    cut: bool,
    /// What is open stays open and carries nothing.
    held: bool,
}

impl Proxy {
    /// A way to `target`.
    pub async fn open(target: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (state, watched) = watch::channel(State::default());
        tokio::spawn(async move {
            while let Ok((inside, _)) = listener.accept().await {
                let mut watched = watched.clone();
                if !watched.borrow_and_update().cut {
                    tokio::spawn(carry(inside, target, watched));
                }
            }
        });
        Ok(Self { address, state })
    }

    /// Its address, as the server's.
    pub fn url(&self) -> url::Url {
        format!("http://{}", self.address).parse().expect("an address and a port")
    }

    /// Cuts every connection and lets none through.
    pub fn cut(&self) {
        self.state.send_modify(|state| (state.cuts, state.cut) = (state.cuts + 1, true));
    }

    /// Carries nothing any more: the other side is silent, as in a tunnel.
    pub fn hold(&self) {
        self.state.send_modify(|state| state.held = true);
    }

    /// Lets connections through again.
    pub fn mend(&self) {
        self.state.send_modify(|state| (state.cut, state.held) = (false, false));
    }

    /// Cuts every connection; new ones go through at once.
    pub fn hiccup(&self) {
        self.cut();
        self.mend();
    }
}

async fn carry(mut inside: TcpStream, target: SocketAddr, mut watched: watch::Receiver<State>) {
    let cuts = watched.borrow_and_update().cuts;
    let Ok(mut outside) = TcpStream::connect(target).await else { return };
    let mut copying = pin!(copy_bidirectional(&mut inside, &mut outside));
    loop {
        let State { cuts: now, held, .. } = *watched.borrow_and_update();
        if now != cuts {
            return;
        }
        tokio::select! {
            _ = &mut copying, if !held => return,
            changed = watched.changed() => if changed.is_err() { return },
        }
    }
}
