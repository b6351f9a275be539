//! One membership of a room as a LiveKit client: signal socket, peer connection, and the brain that says what to do.
//!
//! ```text
//! core -- RoomCommand --> session -- Request/offers --> signal.rs (livekit-signaling)
//!      <-- RoomEvent ----        <-- answers, tracks --- transport (webrtc)
//!      <-- Line (watch): the open way out of each track; absent: nothing may leave
//! ```

mod attempt;
mod roster;
mod session;
mod signal;
mod transport;

use crate::api::Secret;
use protocol::LeaveReason;
use room::client::{Happened, Purpose, Times};
use std::net::SocketAddr;
use tokio::sync::{mpsc, oneshot, watch};

pub(crate) use roster::Member;
pub(crate) use transport::{Codec, Figures, Kind, LocalTrack, RemoteTrack, StreamFigures};

/// Commands that wait for the session; the core never waits for it and drops what does not fit, which 64 steps of a person
/// cannot reach.
const COMMAND_CAPACITY: usize = 64;

/// Tells the reports of two memberships apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct MembershipId(pub(crate) u64);

/// Where a session reports to.
#[derive(Clone)]
struct Reports {
    id: MembershipId,
    events: mpsc::Sender<(MembershipId, RoomEvent)>,
}

impl Reports {
    /// Waits where the core is busy. False: the core went first, and nobody is left to tell.
    async fn send(&self, event: RoomEvent) -> bool {
        self.events.send((self.id, event)).await.is_ok()
    }
}

/// Which room, and what may leave.
pub(crate) struct RoomConfig {
    /// `ws://` or `http://` of the room server.
    pub(crate) url: url::Url,
    pub(crate) token: Secret,
    pub(crate) purpose: Purpose,
    pub(crate) times: Times,
    /// Entering again takes a fresh token from the call plane ([`RoomEvent::AccessWanted`]).
    pub(crate) renewable: bool,
    /// Local addresses of media; empty: chosen by the server's address.
    pub(crate) addresses: Vec<SocketAddr>,
    /// Whether media may leave at once; else after [`RoomCommand::Permit`].
    pub(crate) permitted: bool,
    /// Own microphone on.
    pub(crate) voice_on: bool,
    /// Own camera on.
    pub(crate) picture_on: bool,
}

/// What the core asks of a session.
#[derive(Debug)]
pub(crate) enum RoomCommand {
    /// The local user has accepted, or somebody has accepted their call: media may leave.
    Permit,
    /// Own microphone or camera on or off.
    Switch { kind: Kind, on: bool },
    /// Leave.
    Exit,
    /// Every device is closed.
    DevicesClosed,
}

/// The way out of one track; absent while nothing may leave.
#[derive(Clone)]
pub(crate) struct Line {
    pub(crate) track: LocalTrack,
    pub(crate) payload_type: u8,
}

/// What a session reports.
pub(crate) enum RoomEvent {
    /// The brain's news; `Ended` is the last.
    Happened(Happened),
    /// Close microphone and camera, then answer [`RoomCommand::DevicesClosed`].
    CloseDevices,
    /// Everybody else, whenever it changed.
    Members(Vec<Member>),
    /// Somebody's media has begun to arrive.
    Track { identity: String, track: RemoteTrack },
    /// A track is over.
    TrackEnded { sid: String },
    /// A fresh token is needed to enter the same room again.
    AccessWanted(oneshot::Sender<Renewal>),
    /// The room does not allow something that was wanted.
    Denied(Denied),
    /// Somebody needs a keyframe of ours.
    KeyframeWanted,
    /// The server's own view of everybody's network, 0 poor to 3 lost, by identity.
    Quality(Vec<(String, ServerQuality)>),
    /// Loudness 0–1 by identity, as the server sees it.
    Speakers(Vec<(String, f32)>),
    /// Counters, every second.
    Figures(Figures),
}

/// What this user may not do in the room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Denied {
    /// Send this.
    Send(Kind),
    /// Receive something or everything; told once in a membership.
    Receive,
}

/// The call plane's answer to a wish for a fresh token.
pub(crate) enum Renewal {
    Granted {
        url: url::Url,
        token: Secret,
    },
    /// With the documented code.
    Refused(i32),
}

/// LiveKit's four levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ServerQuality {
    Excellent,
    Good,
    Poor,
    Lost,
}

/// A running session. Dropping it ends it without a goodbye.
pub(crate) struct RoomHandle {
    commands: mpsc::Sender<RoomCommand>,
    pub(crate) voice: watch::Receiver<Option<Line>>,
    pub(crate) picture: watch::Receiver<Option<Line>>,
}

impl RoomHandle {
    /// Enters the room; news come by `events`.
    ///
    /// Each is tagged with `id`: a membership that is still leaving and the next one share the core's channel.
    pub(crate) fn enter(config: RoomConfig, id: MembershipId, events: mpsc::Sender<(MembershipId, RoomEvent)>) -> Self {
        let (commands, inbox) = mpsc::channel(COMMAND_CAPACITY);
        let (voice_tx, voice) = watch::channel(None);
        let (picture_tx, picture) = watch::channel(None);
        tokio::spawn(session::Session::new(config, Reports { id, events }, voice_tx, picture_tx).run(inbox));
        Self { commands, voice, picture }
    }

    /// Asks the session for something; a session that is over needs nothing any more.
    pub(crate) fn command(&self, command: RoomCommand) {
        if let Err(mpsc::error::TrySendError::Full(command)) = self.commands.try_send(command) {
            tracing::error!(?command, "the room session does not keep up");
        }
    }
}

/// Why somebody left, as LiveKit says it.
fn leave_reason(info: &livekit_protocol::ParticipantInfo) -> LeaveReason {
    use livekit_protocol::DisconnectReason as Wire;
    match info.disconnect_reason() {
        Wire::ClientInitiated => LeaveReason::Left,
        Wire::ParticipantRemoved | Wire::RoomDeleted => LeaveReason::Removed,
        Wire::UnknownReason
        | Wire::DuplicateIdentity
        | Wire::ServerShutdown
        | Wire::StateMismatch
        | Wire::JoinFailure
        | Wire::Migration
        | Wire::SignalClose
        | Wire::RoomClosed
        | Wire::UserUnavailable
        | Wire::UserRejected
        | Wire::SipTrunkFailure
        | Wire::ConnectionTimeout
        | Wire::MediaFailure
        | Wire::AgentError => LeaveReason::TimedOut,
    }
}
