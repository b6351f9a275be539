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
use crate::kinds::CallMediaType;
use crate::profile::Profile;
use crate::push::Push;
use crate::record::{CallCard, CallRecord, RecordCursor, RecordFilter};
use crate::time::UnixMillis;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Where the call plane is served.
pub const PATH: &str = "/call/v1";

/// The version of the protocol that this crate speaks.
pub const VERSION: u32 = 1;

/// Bytes of one frame from a client. The largest honest one is a hello with a ticket of 4096 characters.
pub const CLIENT_FRAME_LIMIT: usize = 16 * 1024;

/// Bytes of one frame from a server: an invitation with user data of [`USER_DATA_LIMIT`] fits, also fully escaped, and
/// with the profiles of everyone in it.
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
    /// Ring more people for a call that this user is in.
    InviteUser(InviteUser),
    /// Enter a running call that this user was once invited to.
    Join {
        /// Which call.
        call_id: CallId,
    },
    /// Make a video call for two a voice call.
    SwitchCallMediaType {
        /// Which call.
        call_id: CallId,
        /// What it shall be.
        call_media_type: CallMediaType,
    },
    /// Say how one calls oneself.
    SetSelfInfo(Profile),
    /// Several devices of this user may be signed in, and all ring (`true`); or the later one takes over (`false`).
    EnableMultiDeviceAbility {
        /// Which.
        enable: bool,
    },
    /// Read the records of calls.
    QueryRecentCalls(RecordFilter),
    /// Delete records, for oneself.
    DeleteRecordCalls {
        /// Of these calls.
        call_id_list: Vec<CallId>,
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

/// Whom to ring for a running call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InviteUser {
    /// Which call.
    pub call_id: CallId,
    /// None twice, nobody who is in or rung already; nine people with those at most.
    pub callee_id_list: Vec<UserId>,
    /// Delivered to them; the call's own where empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub user_data: String,
    /// Ring for so many seconds (1–600); the server's default of 30 where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<u32>,
    /// Make a call for two a call for more; else inviting into it is refused ([`Code::WrongScene`]).
    #[serde(default)]
    pub add_person: bool,
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
    /// The running calls that this user may join: all of them, in place of what was said before. A session begins and
    /// is resumed without any.
    Cards {
        /// All.
        cards: Vec<CallCard>,
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
    /// How this user calls themselves (`setSelfInfo`).
    #[serde(default, skip_serializing_if = "Profile::is_empty")]
    pub profile: Profile,
    /// Several devices of this user may be signed in (`enableMultiDeviceAbility`).
    #[serde(default)]
    pub multi_device: bool,
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
    /// `queryRecentCalls`: the newest first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub records: Option<Vec<CallRecord>>,
    /// `queryRecentCalls`: there are more; the cursor of the next page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<RecordCursor>,
    /// `queryRecentCalls`: how the people in them call themselves, as far as they have said it and it fits.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub profiles: BTreeMap<UserId, Profile>,
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
const METHODS: [&str; 17] = [
    "call",
    "accept",
    "reject",
    "ignore",
    "hangup",
    "inviteUser",
    "join",
    "switchCallMediaType",
    "setSelfInfo",
    "enableMultiDeviceAbility",
    "queryRecentCalls",
    "deleteRecordCalls",
    "roomAccess",
    "enterRoom",
    "leaveRoom",
    "renewTicket",
    "signOut",
];
const SERVER_TYPES: [&str; 9] =
    ["welcome", "reply", "error", "event", "cards", "kicked", "ticketExpired", "ping", "pong"];

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
