//! The one place where the engine's words become the screen's, and the screen's choices the engine's.

use super::*;
use engine::api;
use media::Synthetic;
use protocol::vocabulary::OlderEvent;
use protocol::{CallEndReason, CallMediaType, CallRole, ExitReason, LeaveReason, NetworkQuality, RoomId, UserId};
use std::path::PathBuf;
use std::time::SystemTime;

/// TRTC's code for a parameter that is not what it should be (TUICallKit -1202).
const BAD_PARAMETER: i32 = -1202;
/// TRTC's codes for rooms that cannot be: the number, a character of the name, the length of the name.
const ROOM_NUMBER: i32 = -3318;
const ROOM_CHARACTER: i32 = -100_014;
const ROOM_LENGTH: i32 = -102_030;
/// Longest name of a room, bytes (TRTC 3.1).
const ROOM_NAME_LIMIT: usize = 64;

pub(super) fn text(ids: &[UserId]) -> Vec<String> {
    ids.iter().map(ToString::to_string).collect()
}

fn epoch_ms(at: SystemTime) -> u64 {
    at.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

impl From<api::Refusal> for Refusal {
    fn from(api::Refusal { code, message }: api::Refusal) -> Self {
        Self { code, message }
    }
}

impl Refusal {
    /// The computer's own fault, not the person's (-1: general failure).
    pub(crate) fn internal(why: impl ToString) -> Self {
        Self { code: -1, message: why.to_string() }
    }

    /// Something typed in is not what it should be.
    pub(crate) fn bad_parameter(why: impl ToString) -> Self {
        Self { code: BAD_PARAMETER, message: why.to_string() }
    }
}

impl From<api::Session> for SessionView {
    fn from(session: api::Session) -> Self {
        match session {
            api::Session::SignedOut { refused } => Self::SignedOut { refused: refused.map(Into::into) },
            api::Session::SigningIn { user } => Self::SigningIn { user: user.into() },
            api::Session::Online { user } => Self::Online { user: user.into() },
            api::Session::Offline { user } => Self::Offline { user: user.into() },
            api::Session::KickedOffline { user } => Self::KickedOffline { user: user.into() },
            api::Session::TicketExpired { user } => Self::TicketExpired { user: user.into() },
        }
    }
}

impl From<api::Stage> for StageView {
    fn from(stage: api::Stage) -> Self {
        match stage {
            api::Stage::Idle => Self::Idle,
            api::Stage::Calling { call, callees, media, ringing, ring_until } => Self::Calling {
                call: call.map(Into::into),
                callees: text(&callees),
                media: media.into(),
                ringing,
                ring_until: ring_until.map(epoch_ms),
            },
            api::Stage::Incoming { call, caller, others, media, answering } => Self::Incoming {
                call: call.into(),
                caller: caller.into(),
                others: text(&others),
                media: media.into(),
                answering,
            },
            api::Stage::Entering { call, room } => Self::Entering { call: call.map(Into::into), room },
            api::Stage::Live(live) => Self::Live { live: live.into() },
            api::Stage::Ended(ended) => Self::Ended { ended: ended.into() },
        }
    }
}

impl From<api::Live> for LiveView {
    fn from(live: api::Live) -> Self {
        Self {
            call: live.call.map(Into::into),
            room: live.room,
            media: live.media.into(),
            role: live.role.into(),
            began_at: epoch_ms(live.began_at),
            link: live.link.into(),
            group: live.group,
            people: live.people.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<CallMediaType> for CallMedia {
    fn from(media: CallMediaType) -> Self {
        match media {
            CallMediaType::Voice => Self::Voice,
            CallMediaType::Video => Self::Video,
        }
    }
}

impl From<CallMedia> for CallMediaType {
    fn from(media: CallMedia) -> Self {
        match media {
            CallMedia::Voice => Self::Voice,
            CallMedia::Video => Self::Video,
        }
    }
}

impl From<CallRole> for Role {
    fn from(role: CallRole) -> Self {
        match role {
            CallRole::Unknown => Self::Unknown,
            CallRole::Caller => Self::Caller,
            CallRole::Called => Self::Called,
        }
    }
}

impl From<api::Link> for LinkView {
    fn from(link: api::Link) -> Self {
        match link {
            api::Link::Connecting => Self::Connecting,
            api::Link::Up => Self::Up,
            api::Link::Reconnecting => Self::Reconnecting,
        }
    }
}

impl From<api::Person> for PersonView {
    fn from(person: api::Person) -> Self {
        Self {
            user: person.user.into(),
            local: person.local,
            presence: person.presence.into(),
            microphone: person.microphone,
            picture: person.picture.map(|picture| picture.0),
            quality: person.quality.into(),
            fit: person.render.fit,
            rotation: person.render.rotation.degrees(),
        }
    }
}

impl From<api::Presence> for PresenceView {
    fn from(presence: api::Presence) -> Self {
        match presence {
            api::Presence::Ringing { until } => Self::Ringing { until: until.map(epoch_ms) },
            api::Presence::Connecting => Self::Connecting,
            api::Presence::In => Self::In,
            api::Presence::Reconnecting => Self::Reconnecting,
            api::Presence::Left(reason) => Self::Left { reason: reason.into() },
        }
    }
}

impl From<LeaveReason> for LeaveView {
    fn from(reason: LeaveReason) -> Self {
        match reason {
            LeaveReason::Left => Self::Left,
            LeaveReason::TimedOut => Self::TimedOut,
            LeaveReason::Removed => Self::Removed,
        }
    }
}

impl From<NetworkQuality> for QualityView {
    fn from(quality: NetworkQuality) -> Self {
        match quality {
            NetworkQuality::Unknown => Self::Unknown,
            NetworkQuality::Excellent => Self::Excellent,
            NetworkQuality::Good => Self::Good,
            NetworkQuality::Poor => Self::Poor,
            NetworkQuality::Bad => Self::Bad,
            NetworkQuality::Vbad => Self::VeryBad,
            NetworkQuality::Down => Self::Down,
        }
    }
}

impl From<api::Ended> for EndedView {
    fn from(ended: api::Ended) -> Self {
        match ended {
            api::Ended::Call { media, reason, by, with, seconds } => {
                Self::Call { media: media.into(), reason: reason.into(), by: by.into(), with: text(&with), seconds }
            }
            api::Ended::Room { reason, by, seconds } => {
                Self::Room { reason: reason.into(), by: by.map(Into::into), seconds }
            }
            api::Ended::Failed(refusal) => Self::Failed { refusal: refusal.into() },
        }
    }
}

impl From<CallEndReason> for EndReasonView {
    fn from(reason: CallEndReason) -> Self {
        match reason {
            CallEndReason::Unknown => Self::Unknown,
            CallEndReason::Hangup => Self::Hangup,
            CallEndReason::Reject => Self::Reject,
            CallEndReason::NoResponse => Self::NoResponse,
            CallEndReason::Offline => Self::Offline,
            CallEndReason::LineBusy => Self::LineBusy,
            CallEndReason::Canceled => Self::Canceled,
            CallEndReason::OtherDeviceAccepted => Self::OtherDeviceAccepted,
            CallEndReason::OtherDeviceReject => Self::OtherDeviceReject,
            CallEndReason::EndByServer => Self::EndByServer,
        }
    }
}

impl From<ExitReason> for ExitView {
    fn from(reason: ExitReason) -> Self {
        match reason {
            ExitReason::Own => Self::Own,
            ExitReason::Removed => Self::Removed,
            ExitReason::Dismissed => Self::Dismissed,
        }
    }
}

impl From<api::Devices> for DevicesView {
    fn from(devices: api::Devices) -> Self {
        let list = |devices: Vec<media::DeviceInfo>| devices.into_iter().map(Into::into).collect();
        Self {
            microphones: list(devices.list.microphones),
            speakers: list(devices.list.speakers),
            cameras: list(devices.list.cameras),
            microphone: devices.microphone.into(),
            speaker: devices.speaker.into(),
            camera: devices.camera.into(),
            resolution: devices.encoder.resolution.number(),
            microphone_on: devices.microphone_on,
            camera_on: devices.camera_on,
            camera_is_synthetic: devices.camera_is_synthetic,
            trouble: devices.trouble.into_iter().map(Into::into).collect(),
            preview: devices.preview.map(|picture| picture.0),
        }
    }
}

impl From<media::DeviceInfo> for DeviceView {
    fn from(device: media::DeviceInfo) -> Self {
        Self { id: device.id, name: device.name, is_default: device.is_default }
    }
}

impl From<api::DeviceTrouble> for TroubleView {
    fn from(trouble: api::DeviceTrouble) -> Self {
        let device = match trouble.device {
            media::DeviceKind::Microphone => DeviceKindView::Microphone,
            media::DeviceKind::Speaker => DeviceKindView::Speaker,
            media::DeviceKind::Camera => DeviceKindView::Camera,
        };
        Self { device, refusal: trouble.refusal.into() }
    }
}

impl From<media::DeviceChoice> for ChoiceView {
    fn from(choice: media::DeviceChoice) -> Self {
        match choice {
            media::DeviceChoice::System => Self::System,
            media::DeviceChoice::Device(id) => Self::Device { id },
            media::DeviceChoice::File(path) => Self::File { path: path.to_string_lossy().into_owned() },
            media::DeviceChoice::Synthetic(Synthetic::Tone(hertz)) => Self::Tone { hertz },
            media::DeviceChoice::Synthetic(Synthetic::Pattern(label)) => Self::Pattern { label },
            media::DeviceChoice::None => Self::None,
        }
    }
}

impl From<ChoiceView> for media::DeviceChoice {
    fn from(choice: ChoiceView) -> Self {
        match choice {
            ChoiceView::System => Self::System,
            ChoiceView::Device { id } => Self::Device(id),
            ChoiceView::File { path } => Self::File(PathBuf::from(path)),
            ChoiceView::Tone { hertz } => Self::Synthetic(Synthetic::Tone(hertz)),
            ChoiceView::Pattern { label } => Self::Synthetic(Synthetic::Pattern(label)),
            ChoiceView::None => Self::None,
        }
    }
}

impl TryFrom<RoomChoice> for RoomId {
    type Error = Refusal;

    fn try_from(room: RoomChoice) -> Result<Self, Refusal> {
        let (code, room) = match room {
            RoomChoice::Number { number } => (ROOM_NUMBER, Self::number(number)),
            RoomChoice::Text { text } if (1..=ROOM_NAME_LIMIT).contains(&text.len()) => {
                (ROOM_CHARACTER, Self::text(text))
            }
            RoomChoice::Text { text } => (ROOM_LENGTH, Self::text(text)),
        };
        room.map_err(|error| Refusal { code, message: error.to_string() })
    }
}

impl From<api::Levels> for LevelsChanged {
    fn from(levels: api::Levels) -> Self {
        Self {
            volume: levels.volume.into_iter().map(|(user, volume)| (user.into(), volume)).collect(),
            figures: levels.figures.into_iter().map(|(user, figures)| (user.into(), figures.into())).collect(),
        }
    }
}

impl From<api::Figures> for FiguresView {
    /// Rounds; a figure that is no number becomes 0 (`as` saturates).
    fn from(figures: api::Figures) -> Self {
        Self {
            loss_per_mille: (figures.loss * 1000.0).round() as u32,
            round_trip_ms: figures.round_trip_ms.round() as u32,
            jitter_ms: figures.jitter_ms.round() as u32,
            bits_per_second: figures.bits_per_second,
        }
    }
}

impl EngineEvent {
    /// `older`: in the words of the older page.
    pub(crate) fn new(reported: api::Reported, older: Option<&OlderEvent>) -> Self {
        let older = older.and_then(|event| serde_json::to_string(event).ok());
        Self { at: epoch_ms(reported.at), event: reported.event, older }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rooms_that_cannot_be_are_refused_with_the_documented_codes() {
        let code = |room: RoomChoice| RoomId::try_from(room).expect_err("no room").code;
        let text = |text: &str| RoomChoice::Text { text: text.to_owned() };
        assert_eq!(code(RoomChoice::Number { number: 0 }), -3318);
        assert_eq!(code(text("no/slash")), -100_014);
        assert_eq!(code(text(&"x".repeat(65))), -102_030);
        assert_eq!(code(text("")), -102_030);
        let named = RoomId::try_from(text("123")).expect("a name");
        assert_ne!(named, RoomId::try_from(RoomChoice::Number { number: 123 }).expect("a number"));
    }
}
