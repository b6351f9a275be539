//! A way to the server that can be cut and mended.

use anyhow::Result;
use std::net::SocketAddr;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Carries TCP connections while it is not cut. Cutting resets what is open and refuses what is new.
pub struct Proxy {
    address: SocketAddr,
    /// Odd: cut.
    state: watch::Sender<u32>,
}

impl Proxy {
    /// A way to `target`.
    pub async fn open(target: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (state, watched) = watch::channel(0);
        tokio::spawn(async move {
            while let Ok((mut inside, _)) = listener.accept().await {
                let mut watched = watched.clone();
                if *watched.borrow_and_update() % 2 == 1 {
                    continue;
                }
                tokio::spawn(async move {
                    let Ok(mut outside) = TcpStream::connect(target).await else { return };
                    tokio::select! {
                        _ = copy_bidirectional(&mut inside, &mut outside) => {}
                        _ = watched.changed() => {}
                    }
                });
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
        self.state.send_modify(|state| *state |= 1);
    }

    /// Lets connections through again.
    pub fn mend(&self) {
        self.state.send_modify(|state| *state = (*state | 1) + 1);
    }

    /// Cuts every connection; new ones go through at once.
    pub fn hiccup(&self) {
        self.cut();
        self.mend();
    }
}
