//! What a [`CallSession`](super::CallSession) wants done, in this order.

use super::state::EndedCall;
use protocol::message::Reply;
use protocol::{
    CallEndReason, CallId, CallMediaType, CallRole, ClientMessage, Event, ExitReason, Refusal, RequestId, RoomAccess,
    RoomId, UserId,
};

/// One thing to do. Do them in the order in which they come, and finish each before the next: a call's end is reported
/// only after its room and devices are released, because [`Output::LeaveRoom`] precedes the event.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Send this frame; dropped by the body where the socket is gone (it is sent again after a resume).
    Send(ClientMessage),
    /// Close the socket: it is dead, or of no more use.
    Close,
    /// A request is answered.
    Done {
        /// As returned by the method that asked.
        id: RequestId,
        /// What it gave back.
        result: Result<Reply, Refusal>,
    },
    /// Report this.
    Event(Event),
    /// Somebody left the call; the event follows. The room's own word of it travels on another socket and may be later,
    /// also too late: what is known of the room has to be reported first.
    PeerLeft {
        /// Who.
        user: UserId,
        /// Why.
        reason: CallEndReason,
    },
    /// The caller may connect to the room already while it rings, without sending any media. Optional for the body.
    PrepareRoom(Entry),
    /// Enter the room of the call that begins, and send media.
    EnterRoom(Entry),
    /// Release the devices and leave the call's room.
    LeaveRoom {
        /// Of this call.
        call: CallId,
    },
    /// An administrator removed this user from a room or dismissed it; the room's own plane says so too, without `by`.
    RoomExit {
        /// Which room.
        room: RoomId,
        /// Removed or dismissed.
        reason: ExitReason,
        /// Who did it, where known.
        by: Option<String>,
    },
    /// The call is over and reported; for the screen. Not given where there was nothing to report (ignored calls).
    Over(EndedCall),
}

/// The way into a call's room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Of this call.
    pub call: CallId,
    /// Its room.
    pub room: RoomId,
    /// Voice or video.
    pub media: CallMediaType,
    /// Caller or called.
    pub role: CallRole,
    /// URL and token.
    pub access: RoomAccess,
}

/// Why the session wants to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deadline {
    /// The server has been silent for too long.
    Heartbeat,
    /// The call's state ends by itself.
    Call,
}
