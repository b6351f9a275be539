//! What the shell and the scripts say to the engine, and what they see of it: intents in, snapshots and events out.

use media::{DeviceChoice, DeviceList};
use protocol::{
    CallCard, CallEndReason, CallId, CallMediaType, CallRecord, CallRole, Event, ExitReason, LeaveReason,
    NetworkQuality, Profile, RecordCursor, RecordFilter, RoomId, UserId,
};
use std::collections::BTreeMap;
use std::time::SystemTime;

pub use crate::video::{Rotation, VideoEncoderParams, VideoRenderParams, VideoResolution};

/// What a person or a script wants. Answered with [`Answer`] or [`Refusal`].
#[derive(Clone, Debug)]
pub enum Intent {
    /// Connect to the server's call plane.
    SignIn {
        /// `http://host:port` of the server.
        server: url::Url,
        /// Who.
        user: UserId,
        /// The UserSig.
        ticket: Secret,
    },
    /// Leave whatever is under way and disconnect.
    SignOut,
    /// Place a call.
    Call {
        /// 1 to 8 people.
        callees: Vec<UserId>,
        /// Voice or video.
        media: CallMediaType,
        /// Delivered to the callees.
        user_data: String,
        /// Ring for so long; the server's default (30 s) where absent.
        timeout: Option<std::time::Duration>,
        /// A room of one's own choice.
        room: Option<RoomId>,
    },
    /// Answer the ringing call, with the own camera on or off.
    Accept {
        /// False: "Voice only".
        camera: bool,
    },
    /// Decline the ringing call.
    Reject,
    /// Leave the ringing call unanswered: the caller gets "busy".
    Ignore,
    /// Take back or end the call.
    Hangup,
    /// Ring more people for the present call (`inviteUser`).
    InviteUser {
        /// 1 to 8 people; nine with those who are in.
        users: Vec<UserId>,
        /// Delivered to them; the call's own where empty.
        user_data: String,
        /// Ring for so long; the server's default (30 s) where absent.
        timeout: Option<std::time::Duration>,
        /// Make a call for two a group call; else inviting into one is refused.
        add_person: bool,
    },
    /// Enter a running call that this user was once invited to.
    JoinCall {
        /// Which; the first card where absent.
        call: Option<CallId>,
        /// Whether the own camera starts on, in a video call.
        camera: bool,
    },
    /// Make the running video call for two a voice call.
    SwitchCallMediaType(CallMediaType),
    /// Say how one calls oneself.
    SetSelfInfo(Profile),
    /// Let several devices of this user be signed in and ring.
    EnableMultiDevice(bool),
    /// Read the records of calls. The first of them are in the snapshot without asking.
    QueryRecentCalls(RecordFilter),
    /// Delete records, for oneself.
    DeleteRecordCalls(Vec<CallId>),
    /// Hand in a new ticket; a running call goes on.
    RenewTicket(Secret),
    /// Enter a room by its id; the server hands out the token.
    EnterRoom {
        /// Which.
        room: RoomId,
        /// Whether the own camera starts on.
        camera: bool,
        /// A PrivateMapKey, where the server asks for one.
        key: Option<Secret>,
    },
    /// Enter a room with a LiveKit token.
    EnterRoomByToken {
        /// `ws://host:port` of the room server.
        url: url::Url,
        /// A LiveKit access token.
        token: Secret,
        /// Whether the own camera starts on.
        camera: bool,
    },
    /// Leave the room (TRTC exitRoom).
    ExitRoom,
    /// Own microphone on or off.
    Microphone(bool),
    /// Own camera on or off.
    Camera(bool),
    /// Which microphone, from now on and in the next call.
    SelectMicrophone(DeviceChoice),
    /// Which speaker.
    SelectSpeaker(DeviceChoice),
    /// Which camera.
    SelectCamera(DeviceChoice),
    /// How large the own camera is sent, from now on and in the next call.
    VideoEncoderParams(VideoEncoderParams),
    /// How somebody's picture is shown, from now on and in the next call.
    VideoRenderParams {
        /// Whose; the local user's own, too.
        user: UserId,
        /// How.
        params: VideoRenderParams,
    },
    /// The person has read why the last call or room ended.
    DismissEnded,
}

/// What an accepted intent gives back.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// Done, nothing to say.
    Done,
    /// The call that was placed.
    Call(CallId),
    /// Records of calls.
    Records {
        /// The newest first.
        records: Vec<CallRecord>,
        /// Where the next page begins, if there are more.
        next: Option<RecordCursor>,
    },
}

/// Why an intent was refused: a code of TRTC or TUICallKit, and a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} ({code})")]
pub struct Refusal {
    /// Documented code, e.g. -1203.
    pub code: i32,
    /// One plain sentence.
    pub message: String,
}

/// A text that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// All that the screen shows, whole; a new one whenever something changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// Signed in or not.
    pub session: Session,
    /// What goes on.
    pub stage: Stage,
    /// Own devices.
    pub devices: Devices,
    /// Calls beyond the present one, and the people in them.
    pub book: CallBook,
}

/// Calls beyond the present one, and the people in them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CallBook {
    /// Running calls that this user may join.
    pub cards: Vec<CallCard>,
    /// The last calls, the newest first.
    pub recent: Vec<CallRecord>,
    /// How people call themselves, this user too; only those who have said it.
    pub profiles: BTreeMap<UserId, Profile>,
    /// Several devices of this user may be signed in.
    pub multi_device: bool,
}

/// The call plane's state.
///
/// ```text
/// SignedOut -> SigningIn -> Online <-> Offline
///     ^------------+----------+----------+---- KickedOffline, TicketExpired
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum Session {
    /// Nobody is signed in; why the last attempt failed.
    SignedOut { refused: Option<Refusal> },
    /// The server has not answered yet.
    SigningIn { user: UserId },
    /// Calls can be placed.
    Online { user: UserId },
    /// The socket is lost and being reopened; a running call goes on.
    Offline { user: UserId },
    /// The same user signed in elsewhere.
    KickedOffline { user: UserId },
    /// The ticket ran out; a running call goes on, and a new ticket cures it.
    TicketExpired { user: UserId },
}

/// What goes on.
///
/// ```text
/// Idle -> Calling  -> Live -> Ended -> Idle
/// Idle -> Incoming -> Live -> Ended -> Idle
/// Idle -> Entering -> Live -> Ended -> Idle
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum Stage {
    /// Nothing.
    Idle,
    /// This user placed a call and nobody has answered.
    Calling {
        /// None until the server has taken the call.
        call: Option<CallId>,
        callees: Vec<UserId>,
        media: CallMediaType,
        /// False until the server has reached a device of a callee.
        ringing: bool,
        /// It ends by itself then, on this machine's clock.
        ring_until: Option<SystemTime>,
    },
    /// Somebody rings here.
    Incoming {
        call: CallId,
        caller: UserId,
        others: Vec<UserId>,
        media: CallMediaType,
        /// Accepted here, and the server has not confirmed it: nothing rings any more.
        answering: bool,
    },
    /// On the way into a room without a call, or into a running call.
    Entering { call: Option<CallId>, room: String },
    /// In a call or room, also while media is still connecting.
    Live(Live),
    /// It is over and the person is told why.
    Ended(Ended),
}

/// A running call or room.
#[derive(Clone, Debug, PartialEq)]
pub struct Live {
    /// Absent in a room without a call.
    pub call: Option<CallId>,
    /// The room's name as people write it.
    pub room: String,
    /// Voice or video.
    pub media: CallMediaType,
    /// Caller or called.
    pub role: CallRole,
    /// When the server accepted the acceptance; the timer counts from here.
    pub began_at: SystemTime,
    /// Whether media flows.
    pub link: Link,
    /// More than two may be in it.
    pub group: bool,
    /// Everyone, the local user first.
    pub people: Vec<Person>,
}

/// The path of media.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// No remote media yet.
    Connecting,
    /// Media flows.
    Up,
    /// Lost; nothing is sent.
    Reconnecting,
}

/// One participant.
#[derive(Clone, Debug, PartialEq)]
pub struct Person {
    /// Who.
    pub user: UserId,
    /// The local user.
    pub local: bool,
    /// Where they are.
    pub presence: Presence,
    /// Their microphone is on.
    pub microphone: bool,
    /// The picture to show, where their camera is on: the id under which frames reach the [`media::FrameSink`].
    pub picture: Option<media::PictureId>,
    /// Quality of their network.
    pub quality: NetworkQuality,
    /// How their picture is to be shown.
    pub render: VideoRenderParams,
}

/// Where a participant is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Not answered yet.
    Ringing {
        /// Taken for no answer then, on this machine's clock.
        until: Option<SystemTime>,
    },
    /// Answered, no media yet.
    Connecting,
    /// In.
    In,
    /// Nothing came for 2 s.
    Reconnecting,
    /// Left; the tile goes after 2 s.
    Left(LeaveReason),
}

/// Why it is over.
#[derive(Clone, Debug, PartialEq)]
pub enum Ended {
    /// A call that never began or that began and ended.
    Call {
        media: CallMediaType,
        reason: CallEndReason,
        /// Who caused it.
        by: UserId,
        /// The other people of the call.
        with: Vec<UserId>,
        /// Seconds; absent where it never began.
        seconds: Option<u64>,
    },
    /// The room was left; reasons 1 and 2 bring up a banner.
    Room { reason: ExitReason, by: Option<UserId>, seconds: u64 },
    /// Something broke.
    Failed(Refusal),
}

/// Own devices.
#[derive(Clone, Debug, PartialEq)]
pub struct Devices {
    /// What is plugged in.
    pub list: DeviceList,
    /// Choices of the person.
    pub microphone: DeviceChoice,
    /// Choices of the person.
    pub speaker: DeviceChoice,
    /// Choices of the person.
    pub camera: DeviceChoice,
    /// Choices of the person.
    pub encoder: VideoEncoderParams,
    /// Open and sending (or about to).
    pub microphone_on: bool,
    /// Open and sending (or about to).
    pub camera_on: bool,
    /// The synthetic camera stands in because the machine has none.
    pub camera_is_synthetic: bool,
    /// What is wrong with a device, if anything.
    pub trouble: Vec<DeviceTrouble>,
    /// The own camera's picture, while it is open.
    pub preview: Option<media::PictureId>,
}

/// What is wrong with a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceTrouble {
    /// "microphone", "speaker" or "camera".
    pub device: media::DeviceKind,
    /// TRTC code, e.g. -1317.
    pub refusal: Refusal,
}

/// The fast lane, 10 times a second while in a call, and of the own microphone while it rings: latest wins.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Levels {
    /// 0–100 by user.
    pub volume: BTreeMap<UserId, u8>,
    /// Figures behind the quality badge.
    pub figures: BTreeMap<UserId, Figures>,
}

/// What opens from a quality badge.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Figures {
    /// Share of lost packets, 0–1.
    pub loss: f32,
    /// Round trip to the server, **milliseconds**.
    pub round_trip_ms: f32,
    /// Jitter, **milliseconds**.
    pub jitter_ms: f32,
    /// Bits per second that arrive (remote) or leave (local).
    pub bits_per_second: u32,
}

/// An event with the time at which the engine reported it.
#[derive(Clone, Debug, PartialEq)]
pub struct Reported {
    /// What.
    pub event: Event,
    /// When.
    pub at: SystemTime,
}
