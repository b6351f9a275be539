//! Rooms as the call plane and the admin planes see them: one trait, whoever carries the rooms.

pub mod embedded;
pub mod livekit;

use crate::config::{Config, RoomsKind};
use crate::tokens::{Grants, Tokens};
use anyhow::Context as _;
use async_trait::async_trait;
use livekit_protocol as proto;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::broadcast;

/// Events kept for a slow listener. One that falls behind is told so by the channel and asks [`Rooms::list_all`].
pub const EVENT_CAPACITY: usize = 4096;

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

    /// Stops somebody's voice or picture, or lets it go on; what is named here counts, whatever was before. Blocked
    /// tracks look muted to the others, nothing of them is forwarded, and none may be published. What the owner muted
    /// itself stays muted when freed. Holds for the membership: who leaves and enters again is free. (TRTC's
    /// SetUserBlocked.)
    async fn block(&self, room: &str, identity: &str, blocked: Blocked) -> Result<(), RoomsError>;

    /// Dismisses the room: everyone gets `ROOM_DELETED`.
    async fn dismiss(&self, room: &str, by: Option<String>) -> Result<(), RoomsError>;

    /// Who is in the room.
    async fn list(&self, room: &str) -> Result<Vec<Member>, RoomsError>;

    /// Every room with its members.
    async fn list_all(&self) -> Result<Vec<RoomInfo>, RoomsError>;

    /// What happens from now on, to everybody who asks, in the order in which it happens within each room.
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
        RoomsKind::Embedded => Ok(Box::new(embedded::Embedded::start(config.media, config.rules, tokens)?)),
        RoomsKind::LiveKit => {
            let url = config.livekit_url.context("rooms on LiveKit need its address (livekit-url)")?;
            let key = config.api_keys.into_iter().next().context("rooms on LiveKit need its API key (api-key)")?;
            Ok(Box::new(livekit::LiveKit::start(&url, key, tokens, &config.data_dir).await?))
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

/// What of somebody's media is blocked by an administrator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Blocked {
    /// Every sound: microphone, and what a shared screen plays.
    pub voice: bool,
    /// Every picture: camera and shared screen.
    pub picture: bool,
}

/// What happened in a room, with LiveKit's descriptions of it as of after the event.
///
/// In each room: [`RoomEvent::Started`] comes first and [`RoomEvent::Finished`] last; between them, for each membership,
/// [`RoomEvent::Joined`], then what its tracks do, then [`RoomEvent::Left`].
#[derive(Clone, Debug, PartialEq)]
pub enum RoomEvent {
    /// The room exists: it was opened, or somebody entered.
    Started {
        /// Name on the wire.
        room: String,
        /// How it begins.
        info: Arc<proto::Room>,
    },
    /// Somebody is in: their signalling is up and they are visible to the others.
    Joined {
        /// Name on the wire.
        room: String,
        /// Who: `who.identity` is the user.
        who: Arc<proto::ParticipantInfo>,
    },
    /// Somebody is out.
    Left {
        /// Name on the wire.
        room: String,
        /// Who, with the tracks that ended by leaving: they get no [`RoomEvent::Unpublished`] of their own.
        who: Arc<proto::ParticipantInfo>,
        /// Why.
        why: LeftWhy,
    },
    /// Somebody publishes a track.
    Published {
        /// Name on the wire.
        room: String,
        /// Who.
        who: Arc<proto::ParticipantInfo>,
        /// What: kind, source, and whether it begins muted.
        track: Arc<proto::TrackInfo>,
    },
    /// Somebody who stays publishes a track no longer.
    Unpublished {
        /// Name on the wire.
        room: String,
        /// Who.
        who: Arc<proto::ParticipantInfo>,
        /// What.
        track: Arc<proto::TrackInfo>,
    },
    /// A published track was muted or unmuted, as `track.muted` says, by its owner or by an administrator.
    Muted {
        /// Name on the wire.
        room: String,
        /// Whose.
        who: Arc<proto::ParticipantInfo>,
        /// What.
        track: Arc<proto::TrackInfo>,
    },
    /// Somebody may publish from now on, or no longer, by an administrator's word. A block takes no permission away.
    /// Rooms on a LiveKit deployment do not tell it: there a block is a change of permission.
    Permitted {
        /// Name on the wire.
        room: String,
        /// Who.
        who: Arc<proto::ParticipantInfo>,
        /// Which.
        can_publish: bool,
    },
    /// The room is gone. Comes after the [`RoomEvent::Left`] of its members.
    Finished {
        /// Name on the wire.
        room: String,
        /// How it ended.
        info: Arc<proto::Room>,
        /// Why.
        why: FinishedWhy,
    },
}

impl RoomEvent {
    /// The room's name on the wire.
    #[must_use]
    pub fn room(&self) -> &str {
        match self {
            Self::Started { room, .. }
            | Self::Joined { room, .. }
            | Self::Left { room, .. }
            | Self::Published { room, .. }
            | Self::Unpublished { room, .. }
            | Self::Muted { room, .. }
            | Self::Permitted { room, .. }
            | Self::Finished { room, .. } => room,
        }
    }
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
    /// Nobody of that identity is in the room.
    #[error("there is nobody of that identity in the room")]
    NoMember,
    /// The carrier of the rooms cannot be reached or fails.
    #[error("the rooms are not available: {0}")]
    Unavailable(String),
}
