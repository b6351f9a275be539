//! Rooms that are carried elsewhere: only their tokens are made here.

use super::{Admission, Carrier, EVENT_CAPACITY, Member, RoomEvent, RoomInfo, Rooms, RoomsError};
use crate::config::Config;
use crate::tokens::{Grants, Tokens};
use async_trait::async_trait;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::broadcast;

/// Mints tokens and knows nobody.
pub(super) struct Detached {
    media: SocketAddr,
    rooms: Arc<MintOnly>,
}

struct MintOnly {
    tokens: Arc<Tokens>,
    events: broadcast::Sender<RoomEvent>,
}

impl Detached {
    pub(super) fn start(config: &Config, tokens: Arc<Tokens>) -> Self {
        let (events, _) = broadcast::channel(EVENT_CAPACITY);
        Self { media: config.media, rooms: Arc::new(MintOnly { tokens, events }) }
    }
}

#[async_trait]
impl Carrier for Detached {
    fn rooms(&self) -> Arc<dyn Rooms> {
        Arc::clone(&self.rooms) as Arc<dyn Rooms>
    }

    fn router(&self) -> axum::Router {
        axum::Router::new()
    }

    fn media_addr(&self) -> SocketAddr {
        self.media
    }

    async fn shutdown(&self) {}
}

#[async_trait]
impl Rooms for MintOnly {
    async fn open(&self, _room: &str) -> Result<(), RoomsError> {
        Ok(())
    }

    fn admit(&self, room: &str, identity: &str, grants: Grants) -> Result<Admission, RoomsError> {
        let token = self.tokens.mint(room, identity, grants);
        let token = token.map_err(|error| RoomsError::Unavailable(error.to_string()))?;
        Ok(Admission { url: None, token })
    }

    fn revoke(&self, room: &str, identity: &str) {
        self.tokens.void(room, identity);
    }

    async fn remove(&self, _room: &str, _identity: &str, _by: Option<String>) -> Result<(), RoomsError> {
        Err(RoomsError::NotExist)
    }

    async fn dismiss(&self, _room: &str, _by: Option<String>) -> Result<(), RoomsError> {
        Err(RoomsError::NotExist)
    }

    async fn list(&self, _room: &str) -> Result<Vec<Member>, RoomsError> {
        Err(RoomsError::NotExist)
    }

    async fn list_all(&self) -> Result<Vec<RoomInfo>, RoomsError> {
        Ok(Vec::new())
    }

    fn events(&self) -> broadcast::Receiver<RoomEvent> {
        self.events.subscribe()
    }
}
