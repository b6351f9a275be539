//! What the screen sees: the engine's snapshot in the words of TypeScript.
//!
//! Every type that crosses to the web view lives here; `ui/src/bindings.ts` is generated from this module and a test
//! fails when the two differ. Field names are camelCase, unions carry a `kind`, ids are strings, points in time are
//! **milliseconds** since the Unix epoch. The engine's own types never cross.

mod book;
mod from_engine;

pub use book::BookView;

use serde::{Deserialize, Serialize};
use specta::Type;
use std::collections::BTreeMap;

/// All that the screen shows; a whole new one whenever something changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct View {
    /// Signed in or not.
    pub session: SessionView,
    /// What goes on.
    pub stage: StageView,
    /// Own devices.
    pub devices: DevicesView,
    /// Calls beyond the present one, and the people in them.
    pub book: BookView,
    /// What an incoming call does here.
    pub quiet: QuietView,
    /// The sign-in that this computer remembers.
    pub remembered: Option<RememberedView>,
    /// "Host on this computer".
    pub host: HostView,
    /// Version of the app.
    pub version: String,
}

/// The call plane's state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum SessionView {
    /// Nobody is signed in; why the last attempt failed.
    SignedOut { refused: Option<Refusal> },
    /// The server has not answered yet.
    SigningIn { user: String },
    /// Calls can be placed.
    Online { user: String },
    /// The socket is lost and being reopened; a running call goes on.
    Offline { user: String },
    /// The same user signed in elsewhere.
    KickedOffline { user: String },
    /// The ticket ran out.
    TicketExpired { user: String },
}

/// What goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum StageView {
    /// Nothing: the dial screen.
    Idle,
    /// This user placed a call and nobody has answered.
    Calling {
        /// None until the server has taken the call.
        call: Option<String>,
        callees: Vec<String>,
        media: CallMedia,
        /// False until the server has reached a device of a callee.
        ringing: bool,
        /// It ends by itself then; **milliseconds** since the Unix epoch.
        ring_until: Option<u64>,
    },
    /// Somebody rings here.
    Incoming {
        call: String,
        caller: String,
        others: Vec<String>,
        media: CallMedia,
        /// Accepted here, and the server has not confirmed it: nothing rings any more.
        answering: bool,
    },
    /// On the way into a room without a call, or into a running call.
    Entering { call: Option<String>, room: String },
    /// In a call or room, also while media is still connecting.
    Live { live: LiveView },
    /// It is over and the person is told why.
    Ended { ended: EndedView },
}

/// A running call or room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct LiveView {
    /// Absent in a room without a call.
    pub call: Option<String>,
    /// The room's name as people write it.
    pub room: String,
    /// Voice or video.
    pub media: CallMedia,
    /// Caller or called.
    pub role: Role,
    /// The timer counts from here; **milliseconds** since the Unix epoch.
    pub began_at: u64,
    /// Whether media flows.
    pub link: LinkView,
    /// More than two may be in it.
    pub group: bool,
    /// Everyone, the local user first.
    pub people: Vec<PersonView>,
}

/// Voice or video.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub enum CallMedia {
    /// Voice only.
    Voice,
    /// Voice and video.
    Video,
}

/// Who placed the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub enum Role {
    /// A room without a call.
    Unknown,
    /// This user.
    Caller,
    /// Somebody else.
    Called,
}

/// The path of media.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub enum LinkView {
    /// No remote media yet.
    Connecting,
    /// Media flows.
    Up,
    /// Lost; nothing is sent.
    Reconnecting,
}

/// One participant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct PersonView {
    /// Who.
    pub user: String,
    /// The local user.
    pub local: bool,
    /// Where they are.
    pub presence: PresenceView,
    /// Their microphone is on.
    pub microphone: bool,
    /// Their camera is on: the picture id in the frame lane's headers.
    pub picture: Option<u32>,
    /// Quality of their network.
    pub quality: QualityView,
    /// Show the whole picture, with bars, instead of filling the tile.
    pub fit: bool,
    /// Turn it clockwise by so many **degrees**: 0, 90, 180 or 270.
    pub rotation: u32,
}

/// Where a participant is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum PresenceView {
    /// Not answered yet; taken for no answer at `until`, **milliseconds** since the Unix epoch.
    Ringing { until: Option<u64> },
    /// Answered, no media yet.
    Connecting,
    /// In.
    In,
    /// Nothing came for 2 s.
    Reconnecting,
    /// Left; the tile goes after 2 s.
    Left { reason: LeaveView },
}

/// Why a participant left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub enum LeaveView {
    /// By their own exit (0).
    Left,
    /// The server had not heard from them for too long (1).
    TimedOut,
    /// Removed by an administrator (2).
    Removed,
}

/// Quality of a network, as TRTC names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub enum QualityView {
    /// Not measured yet.
    Unknown,
    /// Nothing to hear or see.
    Excellent,
    /// Hardly anything.
    Good,
    /// Noticeable.
    Poor,
    /// Annoying.
    Bad,
    /// Hardly usable.
    VeryBad,
    /// Nothing arrives.
    Down,
}

/// Why it is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum EndedView {
    /// A call that never began, or that began and ended.
    Call {
        media: CallMedia,
        reason: EndReasonView,
        /// Who caused it.
        by: String,
        /// The other people of the call.
        with: Vec<String>,
        /// **Seconds** in the call; absent where it never began.
        seconds: Option<u64>,
    },
    /// The room was left; `removed` and `dismissed` bring up a banner.
    Room {
        reason: ExitView,
        /// Who removed or dismissed, where known.
        by: Option<String>,
        /// **Seconds** in the room.
        seconds: u64,
    },
    /// Something broke.
    Failed { refusal: Refusal },
}

/// `CallEndReason` of TUICallKit by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub enum EndReasonView {
    /// Not known (0).
    Unknown,
    /// Somebody hung up (1).
    Hangup,
    /// A callee declined (2).
    Reject,
    /// Nobody answered in time (3).
    NoResponse,
    /// The connection was lost for too long (4).
    Offline,
    /// The callee is in another call (5).
    LineBusy,
    /// The caller took the call back (6).
    Canceled,
    /// Answered on another device of this user (7).
    OtherDeviceAccepted,
    /// Declined on another device of this user (8).
    OtherDeviceReject,
    /// The server ended the call (9).
    EndByServer,
}

/// `onExitRoom(reason)` by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub enum ExitView {
    /// By one's own exit (0).
    Own,
    /// Removed by an administrator (1).
    Removed,
    /// The room was dismissed (2).
    Dismissed,
}

/// Own devices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct DevicesView {
    /// Plugged in now.
    pub microphones: Vec<DeviceView>,
    /// Plugged in now.
    pub speakers: Vec<DeviceView>,
    /// Plugged in now.
    pub cameras: Vec<DeviceView>,
    /// Choice of the person.
    pub microphone: ChoiceView,
    /// Choice of the person.
    pub speaker: ChoiceView,
    /// Choice of the person.
    pub camera: ChoiceView,
    /// Largest picture that the own camera sends: TRTC's 108 (360p), 110 (540p), 112 (720p) or 114 (1080p).
    pub resolution: u32,
    /// Open and sending, or about to.
    pub microphone_on: bool,
    /// Open and sending, or about to.
    pub camera_on: bool,
    /// The synthetic camera stands in because the machine has none.
    pub camera_is_synthetic: bool,
    /// What is wrong with a device, if anything.
    pub trouble: Vec<TroubleView>,
    /// The own camera's picture, while it is open: the picture id in the frame lane's headers.
    pub preview: Option<u32>,
}

/// One device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct DeviceView {
    /// Stable while it is plugged in.
    pub id: String,
    /// For people.
    pub name: String,
    /// The system's default.
    pub is_default: bool,
}

/// Which device is to be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum ChoiceView {
    /// Follow the system's default.
    System,
    /// One of the lists.
    Device { id: String },
    /// A WAV or Y4M file.
    File { path: String },
    /// A sine of so many **hertz**.
    Tone { hertz: u32 },
    /// The moving test pattern.
    Pattern { label: String },
    /// No device.
    None,
}

/// Microphone, speaker or camera.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub enum DeviceKindView {
    /// Voice in.
    Microphone,
    /// Voice out.
    Speaker,
    /// Picture in.
    Camera,
}

/// What is wrong with a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct TroubleView {
    /// Which.
    pub device: DeviceKindView,
    /// TRTC code and a sentence.
    pub refusal: Refusal,
}

/// Why something was refused: a documented code and one plain sentence. Every command fails with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct Refusal {
    /// A code of TRTC or TUICallKit, e.g. -1203.
    pub code: i32,
    /// For people.
    pub message: String,
}

/// What an incoming call does here. Others notice nothing of it: it rings for them as long as ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub enum QuietView {
    /// It rings, and the window comes to the front.
    #[default]
    Off,
    /// The window comes to the front without a sound.
    Mute,
    /// A bar in the window, nothing else.
    DoNotDisturb,
}

/// The sign-in that this computer remembers. The ticket itself never crosses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct RememberedView {
    /// Server address.
    pub server: String,
    /// Who.
    pub user: String,
    /// Where the ticket lies; `file` is worth a line on the screen.
    pub kept_in: KeptIn,
}

/// Where a ticket lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub enum KeptIn {
    /// The operating system's keyring.
    Keyring,
    /// A file that only this user of the computer can read, because there is no keyring.
    File,
}

/// The embedded server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum HostView {
    /// Not started.
    #[default]
    Off,
    /// On its way.
    Starting,
    /// Others sign in at this address.
    Running { url: String },
    /// It could not start.
    Failed { refusal: Refusal },
}

/// What lets a user sign in at the embedded server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct Invitation {
    /// Server address.
    pub server: String,
    /// Who.
    pub user: String,
    /// The UserSig.
    pub ticket: String,
}

/// A room: numbers and texts are two name spaces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum RoomChoice {
    /// 1 to 4294967294.
    Number { number: u32 },
    /// 1 to 64 characters.
    Text { text: String },
}

/// Where the web view fetches pictures; see `docs/frame-lane.md` for what is spoken there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct VideoLane {
    /// `ws://127.0.0.1:port/`.
    pub url: String,
    /// First message of the web view; new in each run.
    pub secret: String,
}

/// The screen changed: a whole new view.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type, tauri_specta::Event)]
pub struct ViewChanged(pub View);

/// The fast lane, 10 times a second while in a call, and of the own microphone while it rings; the latest wins.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Type, tauri_specta::Event)]
#[serde(rename_all = "camelCase")]
pub struct LevelsChanged {
    /// 0–100 by user, the local user too.
    pub volume: BTreeMap<String, u8>,
    /// Figures behind the quality badge, by user.
    pub figures: BTreeMap<String, FiguresView>,
}

/// What opens from a quality badge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct FiguresView {
    /// Lost packets of a **thousand**.
    pub loss_per_mille: u32,
    /// Round trip to the server, **milliseconds**.
    pub round_trip_ms: u32,
    /// **Milliseconds**.
    pub jitter_ms: u32,
    /// Bits per second that arrive (remote) or leave (local).
    pub bits_per_second: u32,
}

/// One event of the engine, by its documented name and with its documented fields.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type, tauri_specta::Event)]
#[serde(rename_all = "camelCase")]
pub struct EngineEvent {
    /// **Milliseconds** since the Unix epoch.
    pub at: u64,
    /// In the words of the newer page.
    pub event: protocol::Event,
    /// In the words of the older page, as JSON text; absent where that page knows no such event.
    pub older: Option<String>,
}
