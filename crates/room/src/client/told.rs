//! What the server's goodbye means.

use livekit_protocol::leave_request::Action;
use livekit_protocol::{DisconnectReason, LeaveRequest};

/// Why the server ends a session, in the few ways that differ for a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// Removed by an administrator: final for this membership.
    Removed,
    /// The room was dismissed.
    Dismissed,
    /// The same user entered from elsewhere.
    Duplicate,
    /// Reopen the socket.
    Resume,
    /// Enter with a fresh connection.
    Rejoin,
}

impl Told {
    /// Reads a `LeaveRequest`. Reasons that are nobody's decision about this member (a restart, a lost connection) are
    /// invitations to come back, whatever the action says.
    #[must_use]
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the wire's list grows; what is new is no decision that we know"
    )]
    pub fn from_leave(leave: &LeaveRequest) -> Self {
        match leave.reason() {
            DisconnectReason::ParticipantRemoved => Self::Removed,
            DisconnectReason::RoomDeleted => Self::Dismissed,
            DisconnectReason::DuplicateIdentity => Self::Duplicate,
            _ if leave.action() == Action::Resume => Self::Resume,
            _ => Self::Rejoin,
        }
    }
}
