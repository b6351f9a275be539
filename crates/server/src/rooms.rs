//! Rooms as the call plane and the admin planes see them: one trait, whoever carries the rooms.

pub mod embedded;
pub mod livekit;

use crate::config::{Config, RoomsKind};
use crate::tokens::{Grants, Tokens};
use anyhow::Context as _;
use async_trait::async_trait;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::broadcast;

/// Events kept for a slow listener. One that falls behind is told so by the channel and asks [`Rooms::list_all`].
pub const EVENT_CAPACITY: usize = 1024;

/// What can be done with rooms. Rooms are named as on the LiveKit wire (`n:123`, `s:name`, or any name of a token
/// signed with an API key); people by the identity of their token, which is the user id for members of a call.
#[async_trait]
pub trait Rooms: Send + Sync + 'static {
    /// Makes sure that the room exists.
    async fn open(&self, room: &str) -> Result<(), RoomsError>;

    /// A token with which `identity` enters `room` within the next minutes. Makes no network request.
    fn admit(&self, room: &str, identity: &str, grants: Grants) -> Result<Admission, RoomsError>;

    /// Makes every token void that `identity` holds for `room`, without putting anybody out. Makes no network request.
    fn revoke(&self, room: &str, identity: &str);

    /// Puts somebody out: they get `PARTICIPANT_REMOVED`, the others are told, their tokens are void.
    ///
    /// `by` is the name of whoever asked; it travels in [`RoomEvent::Left`], because LiveKit's message has no place
    /// for it. Removing somebody who is not there succeeds; a room that does not exist does not.
    async fn remove(&self, room: &str, identity: &str, by: Option<String>) -> Result<(), RoomsError>;

    /// Dismisses the room: everyone gets `ROOM_DELETED`.
    async fn dismiss(&self, room: &str, by: Option<String>) -> Result<(), RoomsError>;

    /// Who is in the room.
    async fn list(&self, room: &str) -> Result<Vec<Member>, RoomsError>;

    /// Every room with its members.
    async fn list_all(&self) -> Result<Vec<RoomInfo>, RoomsError>;

    /// What happens from now on, in the order in which it happens within each room.
    fn events(&self) -> broadcast::Receiver<RoomEvent>;
}

/// What carries the rooms of one server, started and stopped with it.
#[async_trait]
pub trait Carrier: Send + Sync {
    /// The rooms.
    fn rooms(&self) -> Arc<dyn Rooms>;

    /// HTTP and WebSocket routes that it serves.
    fn router(&self) -> axum::Router;

    /// Where media arrives (UDP); `None` where others carry it.
    fn media_addr(&self) -> Option<SocketAddr>;

    /// Ends all rooms that live in this process.
    async fn shutdown(&self);
}

/// The carrier that the configuration names.
pub async fn start_configured(config: Config, tokens: Arc<Tokens>) -> anyhow::Result<Box<dyn Carrier>> {
    match config.rooms {
        RoomsKind::Embedded if config.livekit_url.is_some() => {
            anyhow::bail!("livekit-url is for rooms on LiveKit: say rooms livekit, too")
        }
        RoomsKind::Embedded => Ok(Box::new(embedded::Embedded::start(config.media, tokens)?)),
        RoomsKind::LiveKit => {
            let url = config.livekit_url.context("rooms on LiveKit need its address (livekit-url)")?;
            let key = config.api_keys.into_iter().next().context("rooms on LiveKit need its API key (api-key)")?;
            Ok(Box::new(livekit::LiveKit::start(&url, key, tokens).await?))
        }
    }
}

/// The way in.
#[derive(Clone, PartialEq, Eq)]
pub struct Admission {
    /// `ws://host:port`; `None` where rooms are served under the address by which the client reached this server.
    pub url: Option<String>,
    /// A LiveKit access token.
    pub token: String,
}

impl std::fmt::Debug for Admission {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Admission").field("url", &self.url).finish_non_exhaustive()
    }
}

/// One person in a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Of the token.
    pub identity: String,
    /// `PA_…`.
    pub sid: String,
}

/// One room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomInfo {
    /// Name on the wire.
    pub room: String,
    /// Who is in.
    pub members: Vec<Member>,
}

/// What happened in a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoomEvent {
    /// Somebody is in: their signalling is up and they are visible to the others.
    Joined {
        /// Name on the wire.
        room: String,
        /// Who.
        identity: String,
    },
    /// Somebody is out.
    Left {
        /// Name on the wire.
        room: String,
        /// Who.
        identity: String,
        /// Why.
        why: LeftWhy,
    },
    /// The room is gone. Comes after the [`RoomEvent::Left`] of its members.
    Finished {
        /// Name on the wire.
        room: String,
        /// Why.
        why: FinishedWhy,
    },
}

/// Why somebody is out of a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeftWhy {
    /// By an own leave.
    Own,
    /// Not heard of for too long, or the process died.
    Lost,
    /// Removed by an administrator.
    Removed {
        /// Who asked for it, where known.
        by: Option<String>,
    },
    /// The room was dismissed.
    Dismissed {
        /// Who asked for it, where known.
        by: Option<String>,
    },
    /// The same identity entered again elsewhere.
    Replaced,
}

/// Why a room is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FinishedWhy {
    /// The last one left.
    Empty,
    /// Dismissed by an administrator.
    Dismissed {
        /// Who asked for it, where known.
        by: Option<String>,
    },
}

/// Why rooms refuse.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RoomsError {
    /// No room of that name.
    #[error("there is no such room")]
    NotExist,
    /// The carrier of the rooms cannot be reached or fails.
    #[error("the rooms are not available: {0}")]
    Unavailable(String),
}
