//! One member as the room sees it.

use super::block::Blocked;
use super::ids::{Kind, MemberId, Slot, TrackId};
use super::quality::Network;
use livekit_protocol as proto;
use protocol::Privileges;
use std::collections::BTreeMap;
use std::time::Instant;

/// How many peer connections the client has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wiring {
    /// `/rtc/v1`: one, and the client makes every offer.
    One,
    /// `/rtc`: one to publish, offered by the client, and one to receive, offered by the server.
    Two,
}

/// Whether the room can talk to the member.
///
/// ```text
///            signal closed              no packet for 5 s,
///   Open ───────────────────▶ Closed ── or no resume for 90 s ──▶ (member leaves: SIGNAL_CLOSE)
///    ▲  ◀──── resume ────────────┘
///    └── no signal and no packet for 90 s ─────────────────────▶ (member leaves: CONNECTION_TIMEOUT)
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// The WebSocket is there.
    Open,
    /// It went away and may come back.
    Closed {
        /// When.
        since: Instant,
    },
}

/// Who wants in, as the token says, and with what client.
#[derive(Clone, Debug)]
pub struct Joining {
    /// Unique in the room.
    pub identity: String,
    /// What people read.
    pub name: String,
    /// Opaque to the room.
    pub metadata: String,
    /// Opaque to the room.
    pub attributes: BTreeMap<String, String>,
    /// What the token allows.
    pub permission: proto::ParticipantPermission,
    /// What a key for the room allows beyond it: receiving kind by kind. Everything where there is none.
    pub privileges: Privileges,
    /// LiveKit's participant kind.
    pub kind: proto::participant_info::Kind,
    /// One or two peer connections.
    pub wiring: Wiring,
    /// Receive every track without asking.
    pub auto_subscribe: bool,
    /// LiveKit protocol version of the client.
    pub client_protocol: i32,
    /// Wall clock, **milliseconds** since 1970: for display only.
    pub unix_ms: i64,
}

/// A track that was announced and whose media has not been offered.
#[derive(Clone, Debug)]
pub(super) struct Announced {
    pub track: TrackId,
    pub sid: String,
    pub request: proto::AddTrackRequest,
}

/// What becomes of a receiving section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SlotState {
    /// Answered inactive: may take a track.
    Free,
    /// Carries this track.
    Bound(TrackId),
    /// Carried a track that is gone; has to be answered inactive once before it is free.
    Draining,
}

#[derive(Clone, Debug)]
pub(super) struct SlotEntry {
    pub kind: Kind,
    pub state: SlotState,
}

/// One wish to receive a track, and how.
#[derive(Clone, Debug)]
pub(super) struct Want {
    pub slot: Option<Slot>,
    pub settings: Settings,
}

/// How a subscriber wants a track (UpdateTrackSettings).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Send nothing.
    pub paused: bool,
    /// The highest layer to send.
    pub most: super::forward::Layer,
}

#[derive(Clone, Debug)]
pub(super) struct Member {
    pub id: MemberId,
    pub sid: String,
    pub joining: Joining,
    pub blocked: Blocked,
    /// An administrator changed what the token says.
    pub has_new_grants: bool,
    pub state: proto::participant_info::State,
    pub version: u32,
    pub signal: Signal,
    pub last_signal: Instant,
    pub last_packet: Instant,
    pub is_connected: bool,
    pub announced: Vec<Announced>,
    pub slots: BTreeMap<Slot, SlotEntry>,
    pub wants: BTreeMap<TrackId, Want>,
    /// Sections asked of a one-connection client and not offered yet: audio, video.
    pub asked_sections: Option<(u32, u32)>,
    pub network: Network,
    /// So many times more it is told who speaks and how the others are connected.
    pub standing_left: u8,
}

impl Member {
    /// Whether it records the room, as LiveKit's clients show.
    #[allow(deprecated)]
    pub fn records(&self) -> bool {
        self.joining.permission.recorder || self.joining.kind == proto::participant_info::Kind::Egress
    }

    pub fn is_hidden(&self) -> bool {
        self.joining.permission.hidden
    }

    /// Heard of at all, by signal or by packet.
    pub fn last_seen(&self) -> Instant {
        self.last_signal.max(self.last_packet)
    }

    pub fn info(&self, tracks: Vec<proto::TrackInfo>) -> proto::ParticipantInfo {
        let joining = &self.joining;
        proto::ParticipantInfo {
            sid: self.sid.clone(),
            identity: joining.identity.clone(),
            name: joining.name.clone(),
            metadata: joining.metadata.clone(),
            attributes: joining.attributes.clone().into_iter().collect(),
            state: self.state.into(),
            is_publisher: !tracks.is_empty(),
            tracks,
            joined_at: joining.unix_ms / 1_000,
            joined_at_ms: joining.unix_ms,
            version: self.version,
            permission: Some(self.blocked.narrow(&joining.permission)),
            kind: joining.kind.into(),
            client_protocol: joining.client_protocol,
            ..Default::default()
        }
    }
}
