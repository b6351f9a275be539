//! The wire of `/call/v1`: one JSON object in each text frame of a WebSocket.
//!
//! The client says `hello` first and is answered by `welcome` or `error`. After that it sends requests, each answered
//! once by `reply` or `error` of the same id, and the server sends events, numbered without gaps, which the client
//! acknowledges. What a lost connection swallowed is sent again after a `hello` that resumes the session: requests by
//! the client, events by the server; both sides drop what they have already seen by its number.
//!
//! Unknown fields are ignored. A message type, method or event that one side does not know is answered
//! ([`Code::UnknownCommand`]) or acknowledged and skipped, never a reason to fall over.

use crate::codes::{Code, Refusal};
use crate::ids::{CallId, DeviceId, RoomId, UserId};
use crate::kinds::{CallEndReason, CallMediaType, CallRole, ExitReason};
use crate::time::UnixMillis;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Where the call plane is served.
pub const PATH: &str = "/call/v1";

/// The version of the protocol that this crate speaks.
pub const VERSION: u32 = 1;

/// Bytes of one frame from a client. The largest honest one is a hello with a ticket of 4096 characters.
pub const CLIENT_FRAME_LIMIT: usize = 16 * 1024;

/// Bytes of one frame from a server: an invitation with user data of [`USER_DATA_LIMIT`] fits, also fully escaped.
pub const SERVER_FRAME_LIMIT: usize = 64 * 1024;

/// Bytes of the user data that travels with a call.
pub const USER_DATA_LIMIT: usize = 4096;

/// Callees of one call: nine people at most (behaviour 4.5).
pub const CALLEE_LIMIT: usize = 8;

/// The client's number of a request: strictly rising within a session, so that one sent again is recognised.
pub type RequestId = u64;

/// The server's number of an event: 1, 2, 3 … within a session.
pub type Seq = u64;

/// What a client says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum ClientMessage {
    /// The first frame, and only the first.
    Hello(Hello),
    /// Wants something.
    Request {
        /// Its number.
        id: RequestId,
        /// What.
        #[serde(flatten)]
        request: Request,
    },
    /// Every event up to `seq` has arrived.
    Ack {
        /// Of the newest event.
        seq: Seq,
    },
    /// Are you there?
    Ping {},
    /// Yes.
    Pong {},
}

/// Who is there.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hello {
    /// The versions that this client speaks.
    pub versions: Vec<u32>,
    /// Name and version of the program, for the server's log.
    #[serde(default)]
    pub client: String,
    /// The application, where the client knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sdk_app_id: Option<u64>,
    /// A [`UserId`], checked by the server, so that a wrong one gets its code.
    pub user_id: String,
    /// The ticket.
    pub user_sig: String,
    /// The installation; the same at every start.
    pub device_id: DeviceId,
    /// The session to go on with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resume: Option<Resume>,
}

impl fmt::Debug for Hello {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hello").field("versions", &self.versions).field("resume", &self.resume).finish_non_exhaustive()
    }
}

/// The session to go on with after a lost connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Resume {
    /// From the last welcome.
    pub session: String,
    /// The newest event that arrived; 0 where none did.
    pub last_seq: Seq,
}

/// What a client can ask for. Later versions add methods; a server that does not know one says so.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "method", content = "params", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Request {
    /// Ring one to eight people.
    Call(PlaceCall),
    /// Answer.
    Accept {
        /// Which call.
        call_id: CallId,
    },
    /// Decline.
    Reject {
        /// Which call.
        call_id: CallId,
    },
    /// Stay silent: the caller gets "busy".
    Ignore {
        /// Which call.
        call_id: CallId,
    },
    /// End one's own part in the call; takes it back where nobody has answered.
    Hangup {
        /// Which call.
        call_id: CallId,
    },
    /// A fresh token for the room of a call that this user is in: needed before every rejoin.
    RoomAccess {
        /// Which call.
        call_id: CallId,
    },
    /// Enter a room by its id.
    EnterRoom {
        /// Which room.
        room_id: RoomId,
        /// A rejoin after a lost connection, refused to one who was removed; false is a fresh entry.
        #[serde(default)]
        rejoin: bool,
        /// What the user may do there, where the server asks for it ([`crate::map_key`]).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        private_map_key: Option<Ticket>,
    },
    /// The room was left (only for rooms entered by `enterRoom`).
    LeaveRoom {
        /// Which room.
        room_id: RoomId,
    },
    /// Hand in a new ticket before or after the old one has expired.
    RenewTicket {
        /// The ticket.
        user_sig: Ticket,
    },
    /// End the session; a call under way is hung up.
    SignOut {},
}

/// What a new call is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlaceCall {
    /// One to eight people, none twice, not the caller.
    pub callee_id_list: Vec<UserId>,
    /// Voice or video.
    pub call_media_type: CallMediaType,
    /// Delivered to the callees.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub user_data: String,
    /// Ring for so many seconds (1–600); the server's default of 30 where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<u32>,
    /// A room of the caller's choice; the server makes one up where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room_id: Option<RoomId>,
    /// The chat group that the call belongs to, if any.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub group_id: String,
}

/// A UserSig or a PrivateMapKey; it never shows up in a log.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ticket(pub String);

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ticket(…)")
    }
}

/// What a server says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum ServerMessage {
    /// The answer to `hello`.
    Welcome(Welcome),
    /// A request was carried out.
    Reply {
        /// Of the request.
        id: RequestId,
        /// What it gives back; empty for most.
        #[serde(flatten)]
        answer: Reply,
    },
    /// A request was refused; without an id the connection is, and closes.
    Error {
        /// Of the request.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<RequestId>,
        /// Code and sentence.
        #[serde(flatten)]
        refusal: Refusal,
    },
    /// Something happened.
    Event {
        /// Its number.
        seq: Seq,
        /// What.
        #[serde(flatten)]
        push: Push,
    },
    /// The same user signed in elsewhere: the session is over, and the connection closes.
    Kicked {},
    /// The ticket ran out: hand in a new one (`renewTicket`).
    TicketExpired {},
    /// Are you there?
    Ping {},
    /// Yes.
    Pong {},
}

/// The session that began or goes on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Welcome {
    /// The version that both speak from here on.
    pub version: u32,
    /// Name of the session, for `resume`.
    pub session: String,
    /// False: the server starts afresh, everything that the client remembers of calls is over.
    pub resumed: bool,
    /// The server pings this often, in **milliseconds**; a side that hears nothing for twice as long and a half gives
    /// the connection up.
    pub heartbeat_ms: u64,
    /// The server's clock, to which `ringUntil` and `beganAt` refer.
    pub now: UnixMillis,
}

/// What a request gives back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reply {
    /// `call`: the new call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_id: Option<CallId>,
    /// `call`, `roomAccess`, `enterRoom`: the room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room_id: Option<RoomId>,
    /// `call`, `roomAccess`, `enterRoom`: how to get in. With `call` it allows the caller to connect while it rings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access: Option<RoomAccess>,
    /// `call`: when the ringing ends unless somebody answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ring_until: Option<UnixMillis>,
}

/// The way into a room: a LiveKit server's address and an access token.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RoomAccess {
    /// `ws://` or `wss://`, without path.
    pub url: String,
    /// Lives for minutes; void once its user is removed from the room.
    pub token: String,
}

impl fmt::Debug for RoomAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RoomAccess").field("url", &self.url).finish_non_exhaustive()
    }
}

/// What happened, as the server tells a device.
///
/// `reason`, `userId` (who caused it) and `inviterId` (who invited the receiver) go with both kinds of end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Push {
    /// Somebody rings here.
    Invited {
        /// Which call.
        call_id: CallId,
        /// Who rings.
        caller_id: UserId,
        /// Everyone who is called, the receiver too.
        callee_id_list: Vec<UserId>,
        /// The chat group, or empty.
        #[serde(default)]
        group_id: String,
        /// Voice or video.
        call_media_type: CallMediaType,
        /// From the caller.
        #[serde(default)]
        user_data: String,
        /// The room that the call will be in.
        room_id: RoomId,
        /// When the ringing ends by itself, on the server's clock.
        ring_until: UnixMillis,
    },
    /// A device of a callee has shown the call.
    Ringing {
        /// Which call.
        call_id: CallId,
        /// Whose device.
        user_id: UserId,
    },
    /// The acceptance was accepted: the receiver is in the call.
    Begun {
        /// Which call.
        call_id: CallId,
        /// The room.
        room_id: RoomId,
        /// Voice or video.
        call_media_type: CallMediaType,
        /// The receiver's role.
        call_role: CallRole,
        /// When the receiver's time counts from, on the server's clock.
        began_at: UnixMillis,
        /// Who else is in.
        members: Vec<UserId>,
        /// Who still rings.
        #[serde(default)]
        ringing: Vec<UserId>,
        /// How to get into the room; fresh at each delivery.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        access: Option<RoomAccess>,
    },
    /// Somebody else accepted.
    UserJoined {
        /// Which call.
        call_id: CallId,
        /// Who.
        user_id: UserId,
    },
    /// Somebody else left.
    UserLeft {
        /// Which call.
        call_id: CallId,
        /// Who.
        user_id: UserId,
        /// Why.
        reason: CallEndReason,
    },
    /// A callee declined.
    UserRejected {
        /// Which call.
        call_id: CallId,
        /// Who.
        user_id: UserId,
    },
    /// A callee did not answer in time.
    UserNoResponse {
        /// Which call.
        call_id: CallId,
        /// Who.
        user_id: UserId,
    },
    /// A callee is in another call, or ignored this one.
    UserLineBusy {
        /// Which call.
        call_id: CallId,
        /// Who.
        user_id: UserId,
    },
    /// The call ended for the receiver before it was in.
    Cancelled {
        /// Which call.
        call_id: CallId,
        /// Documented field of `onCallCancelled`: the caller's or the receiver's own id, case by case.
        caller_id: UserId,
        /// Why.
        reason: CallEndReason,
        /// Who caused it.
        user_id: UserId,
        /// Who invited the receiver.
        inviter_id: UserId,
    },
    /// The call ended for the receiver, who was in.
    Ended {
        /// Which call.
        call_id: CallId,
        /// The room.
        room_id: RoomId,
        /// Voice or video.
        call_media_type: CallMediaType,
        /// The receiver's role.
        call_role: CallRole,
        /// **Seconds** since the receiver's `begun`.
        total_time: u64,
        /// Why.
        reason: CallEndReason,
        /// Who caused it.
        user_id: UserId,
        /// Who invited the receiver.
        inviter_id: UserId,
    },
    /// The receiver was put out of a room (reasons 1 and 2); comes before the `ended` of its call, if it is in one.
    RoomExit {
        /// Which room.
        room_id: RoomId,
        /// Removed or dismissed.
        reason: ExitReason,
        /// Who did it, where the administrator has a name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
    },
    /// An event of a newer server: acknowledged and skipped.
    #[serde(other)]
    Unknown,
}

/// Why a frame could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// Of the request that it held, as far as that could be read.
    pub id: Option<RequestId>,
    /// What to answer.
    pub refusal: Refusal,
}

impl Unreadable {
    fn new(id: Option<RequestId>, code: Code) -> Self {
        Self { id, refusal: code.into() }
    }
}

/// The outside of every frame.
#[derive(Deserialize)]
struct Envelope {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    id: Option<RequestId>,
    #[serde(default)]
    method: Option<String>,
}

const CLIENT_TYPES: [&str; 5] = ["hello", "request", "ack", "ping", "pong"];
const METHODS: [&str; 10] =
    ["call", "accept", "reject", "ignore", "hangup", "roomAccess", "enterRoom", "leaveRoom", "renewTicket", "signOut"];
const SERVER_TYPES: [&str; 8] = ["welcome", "reply", "error", "event", "kicked", "ticketExpired", "ping", "pong"];

impl ClientMessage {
    /// Reads a client's frame. Too large or no JSON object: [`Code::Undecodable`]; unknown type or method:
    /// [`Code::UnknownCommand`]; wrong parameters: [`Code::BadParameter`].
    pub fn parse(frame: &str) -> Result<Self, Unreadable> {
        let envelope = open(frame, CLIENT_FRAME_LIMIT)?;
        let known = CLIENT_TYPES.contains(&envelope.kind.as_str())
            && (envelope.kind != "request" || envelope.method.as_deref().is_some_and(|m| METHODS.contains(&m)));
        if !known {
            return Err(Unreadable::new(envelope.id, Code::UnknownCommand));
        }
        serde_json::from_str(frame).map_err(|error| Unreadable {
            id: envelope.id,
            // serde's message names the field and the rule, not the rest of the frame.
            refusal: Refusal::because(Code::BadParameter, format!("A parameter is wrong: {error}.")),
        })
    }

    /// The frame as text.
    #[must_use]
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).expect("ids, numbers and texts always serialise")
    }
}

impl ServerMessage {
    /// Reads a server's frame. [`Code::UnknownCommand`] is one of a newer server, to be skipped.
    pub fn parse(frame: &str) -> Result<Self, Unreadable> {
        let envelope = open(frame, SERVER_FRAME_LIMIT)?;
        if !SERVER_TYPES.contains(&envelope.kind.as_str()) {
            return Err(Unreadable::new(envelope.id, Code::UnknownCommand));
        }
        serde_json::from_str(frame).map_err(|_| Unreadable::new(envelope.id, Code::Undecodable))
    }

    /// The frame as text.
    #[must_use]
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).expect("ids, numbers and texts always serialise")
    }
}

fn open(frame: &str, limit: usize) -> Result<Envelope, Unreadable> {
    if frame.len() > limit {
        return Err(Unreadable::new(None, Code::Undecodable));
    }
    serde_json::from_str(frame).map_err(|_| Unreadable::new(None, Code::Undecodable))
}
