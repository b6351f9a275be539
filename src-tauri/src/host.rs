//! "Host on this computer": the embedded server. Nothing else of the shell knows it.

use crate::view::Invitation;
use anyhow::Context;
use protocol::UserId;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::Mutex;

/// Somebody invited today can still sign in next month; a longer life would only help whoever finds the ticket.
const TICKET_LIFE: Duration = Duration::from_secs(30 * 24 * 3600);

/// The embedded server, started at most once.
pub struct Host {
    listen: SocketAddr,
    data: PathBuf,
    server: Mutex<Option<server::Server>>,
}

impl Host {
    /// Nothing runs yet. Without an address it will be a free port of loopback; the store lies in `data`.
    pub fn new(listen: Option<SocketAddr>, data: PathBuf) -> Self {
        Self { listen: listen.unwrap_or(([127, 0, 0, 1], 0).into()), data, server: Mutex::default() }
    }

    /// Starts it, or says where it runs already.
    ///
    /// # Errors
    /// When the address is taken or the store cannot be opened.
    pub async fn start(&self) -> anyhow::Result<String> {
        let mut server = self.server.lock().await;
        if let Some(running) = server.as_ref() {
            return Ok(running.url());
        }
        let config = server::Config {
            listen: self.listen,
            media: SocketAddr::new(self.listen.ip(), 0),
            data_dir: self.data.clone(),
            ..Default::default()
        };
        let started = server::Server::start(config).await?;
        Ok(server.insert(started).url())
    }

    /// What lets a user sign in here.
    ///
    /// # Errors
    /// When no server runs here.
    pub async fn invite(&self, user: &UserId) -> anyhow::Result<Invitation> {
        let server = self.server.lock().await;
        let running = server.as_ref().context("No server runs on this computer.")?;
        Ok(Invitation { server: running.url(), user: user.to_string(), ticket: running.mint_ticket(user, TICKET_LIFE) })
    }

    /// Stops it.
    pub async fn stop(&self) {
        if let Some(server) = self.server.lock().await.take() {
            server.shutdown().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_starts_once_and_lets_people_in() {
        let data = tempfile::tempdir().expect("directory");
        let host = Host::new(None, data.path().to_owned());
        let bob = UserId::new("bob").expect("id");
        assert!(host.invite(&bob).await.is_err(), "nothing runs yet");
        let url = host.start().await.expect("started");
        assert_eq!(host.start().await.expect("still there"), url);
        let invitation = host.invite(&bob).await.expect("invited");
        assert_eq!((invitation.server, invitation.user.as_str()), (url, "bob"));
        assert!(!invitation.ticket.is_empty());
        host.stop().await;
        assert!(host.invite(&bob).await.is_err());
    }
}
