//! Pictures on their way to the web view: a WebSocket of their own on loopback, with credit.
//!
//! ```text
//! engine, camera --FrameSink--> Outbox (gate per picture) --> socket --> web view
//!                                  |         ^
//!                                  +-> decode thread (only where the web view cannot)
//! ```
//!
//! `docs/frame-lane.md` says what is spoken. Nothing here ever waits for the screen, and nothing grows while it sleeps.

mod decode;
mod gate;
mod outbox;
mod shrink;
mod socket;
#[cfg(test)]
mod tests;
mod wire;

use crate::view::VideoLane;
use media::FrameSink;
use outbox::Outbox;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

/// The running lane.
pub struct Lane {
    outbox: Arc<Outbox>,
    address: SocketAddr,
    secret: Arc<str>,
}

impl Lane {
    /// Listens on a free port of loopback. Call it inside a tokio runtime.
    ///
    /// # Errors
    /// When no port can be opened.
    pub async fn start() -> std::io::Result<Self> {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let secret: Arc<str> = format!("{:032x}", rand::random::<u128>()).into();
        let outbox = Outbox::new();
        tokio::spawn(socket::listen(listener, secret.clone(), outbox.clone()));
        Ok(Self { outbox, address, secret })
    }

    /// Where the engine sends pictures.
    pub fn screen(&self) -> Arc<dyn FrameSink> {
        self.outbox.clone()
    }

    /// Where the web view fetches them.
    pub fn address(&self) -> VideoLane {
        VideoLane { url: format!("ws://{}/", self.address), secret: self.secret.to_string() }
    }
}
