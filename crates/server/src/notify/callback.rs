//! TRTC's event callbacks of rooms and media (behaviour 1.7): JSON with a keyed hash of the body in the header `Sign`.

use super::courier::{Form, Letter};
use crate::rooms::{LeftWhy, RoomEvent};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use livekit_protocol as proto;
use proto::{DisconnectReason, TrackSource, TrackType};
use protocol::{RoomId, UnixMillis};
use serde::Serialize;
use sha2::Sha256;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The form of TRTC's callbacks.
#[derive(Clone)]
pub(super) struct Callbacks {
    sdk_app_id: u64,
    key: Option<String>,
}

impl Callbacks {
    /// For an application; signed where there is a key.
    pub fn new(sdk_app_id: u64, key: Option<String>) -> Self {
        Self { sdk_app_id, key }
    }
}

impl Form for Callbacks {
    type Story = Story;

    fn write(&self, event: &Arc<Event>, now: UnixMillis) -> anyhow::Result<Letter> {
        let body = serde_json::to_vec(&Body { callback_ts: now.0, ..Body::of(event) })?;
        let mut headers =
            vec![("Content-Type", "application/json".to_owned()), ("SdkAppId", self.sdk_app_id.to_string())];
        if let Some(key) = &self.key {
            headers.push(("Sign", sign(key, &body)));
        }
        Ok(Letter { headers, body })
    }
}

/// Base64 of HMAC-SHA256 over the bytes of the body as they are sent.
fn sign(key: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("HMAC takes a key of any length");
    mac.update(body);
    STANDARD.encode(mac.finalize().into_bytes())
}

/// Numbers of events, as documented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
enum Kind {
    CreateRoom = 101,
    DismissRoom = 102,
    EnterRoom = 103,
    ExitRoom = 104,
    ChangeRole = 105,
    StartVideo = 201,
    StopVideo = 202,
    StartAudio = 203,
    StopAudio = 204,
    StartScreen = 205,
    StopScreen = 206,
}

/// Why somebody entered: 1 of their own will. Other reasons (network switch, time-out) are resumes here, and no entry.
const ENTERED_VOLUNTARILY: u8 = 1;

/// Why media began or ended: 0, the only documented reason.
const MEDIA_REASON: u8 = 0;

const EXIT_VOLUNTARY: u8 = 1;
const EXIT_TIMEOUT: u8 = 2;
const EXIT_REMOVED: u8 = 3;
const EXIT_KILLED: u8 = 5;

/// Who may publish is what TRTC calls an anchor, who may not is of the audience.
const ANCHOR: u8 = 20;
const AUDIENCE: u8 = 21;

fn role_of(can_publish: bool) -> u8 {
    if can_publish { ANCHOR } else { AUDIENCE }
}

/// "Other": rooms do not learn on what a client runs.
const TERMINAL_OTHER: u8 = 100;

/// A native SDK; rooms do not learn which it is.
const USER_NATIVE: u8 = 3;

/// One event.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Event {
    kind: Kind,
    room: RoomId,
    at: UnixMillis,
    /// Empty where nobody did it.
    user: String,
    /// When this membership began: tells its entry and exit from those of the next.
    unique_id: Option<i64>,
    role: Option<u8>,
    reason: Option<u8>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Body<'a> {
    event_group_id: u16,
    event_type: u16,
    /// **Milliseconds**, of this attempt.
    callback_ts: u64,
    event_info: Info<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Info<'a> {
    room_id: Id<'a>,
    /// **Seconds**.
    event_ts: u64,
    /// **Milliseconds**.
    event_ms_ts: u64,
    #[serde(skip_serializing_if = "str::is_empty")]
    user_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    unique_id: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    terminal_type: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_type: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<u8>,
}

/// A number or a string, as the room is.
#[derive(Serialize)]
#[serde(untagged)]
enum Id<'a> {
    Number(u32),
    Text(&'a str),
}

impl<'a> Body<'a> {
    fn of(event: &'a Event) -> Self {
        let number = event.kind as u16;
        let enters = matches!(event.kind, Kind::EnterRoom);
        Self {
            event_group_id: number / 100,
            event_type: number,
            callback_ts: 0,
            event_info: Info {
                room_id: match &event.room {
                    RoomId::Number(number) => Id::Number(*number),
                    RoomId::Text(text) => Id::Text(text),
                },
                event_ts: event.at.seconds(),
                event_ms_ts: event.at.0,
                user_id: &event.user,
                unique_id: event.unique_id,
                role: event.role,
                terminal_type: enters.then_some(TERMINAL_OTHER),
                user_type: enters.then_some(USER_NATIVE),
                reason: event.reason,
            },
        }
    }
}

/// What a track is to TRTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stream {
    Video,
    Audio,
    Screen,
}

impl Stream {
    /// `None` for data, and for the sound of a shared screen, which is part of it.
    fn of(track: &proto::TrackInfo) -> Option<Self> {
        match (track.source(), track.r#type()) {
            (TrackSource::ScreenShareAudio, _) | (_, TrackType::Data) => None,
            (TrackSource::ScreenShare, _) => Some(Self::Screen),
            (TrackSource::Microphone, _) | (TrackSource::Unknown, TrackType::Audio) => Some(Self::Audio),
            (TrackSource::Camera, _) | (TrackSource::Unknown, TrackType::Video) => Some(Self::Video),
        }
    }

    fn event(self, starts: bool) -> Kind {
        match (self, starts) {
            (Self::Video, true) => Kind::StartVideo,
            (Self::Video, false) => Kind::StopVideo,
            (Self::Audio, true) => Kind::StartAudio,
            (Self::Audio, false) => Kind::StopAudio,
            (Self::Screen, true) => Kind::StartScreen,
            (Self::Screen, false) => Kind::StopScreen,
        }
    }
}

/// The rooms as callbacks tell of them.
#[derive(Debug, Default)]
pub(super) struct Story {
    rooms: BTreeMap<RoomId, Told>,
}

/// What was told of one room.
///
/// A room that nobody has entered is none to TRTC: its first entry creates it (101), and only one that was created is
/// dismissed (102).
#[derive(Debug, Default)]
struct Told {
    /// Tracks that are on, by the participant's sid and the track's.
    on: BTreeMap<String, BTreeMap<String, Stream>>,
    /// By the participant's sid.
    roles: BTreeMap<String, u8>,
    /// Who left last.
    last: String,
}

impl Told {
    /// What changes when a track is on or off.
    fn switch(&mut self, who: &str, track: &proto::TrackInfo, on: bool) -> Option<Kind> {
        let stream = Stream::of(track)?;
        let tracks = self.on.entry(who.to_owned()).or_default();
        let was = tracks.values().any(|other| *other == stream);
        if on {
            tracks.insert(track.sid.clone(), stream);
        } else {
            tracks.remove(&track.sid);
        }
        let is = tracks.values().any(|other| *other == stream);
        (was != is).then(|| stream.event(is))
    }
}

fn exit_reason(why: &LeftWhy, reason: DisconnectReason) -> u8 {
    match why {
        LeftWhy::Own => EXIT_VOLUNTARY,
        // The socket was closed without a goodbye and nothing followed: the process is dead.
        LeftWhy::Lost if reason == DisconnectReason::SignalClose => EXIT_KILLED,
        LeftWhy::Lost => EXIT_TIMEOUT,
        // The same user entered elsewhere: the server put the earlier one out.
        LeftWhy::Removed { .. } | LeftWhy::Dismissed { .. } | LeftWhy::Replaced => EXIT_REMOVED,
    }
}

impl super::Story for Story {
    type Event = Arc<Event>;

    /// Rooms with names of their own are none of TRTC's.
    fn read(&mut self, event: &RoomEvent, now: UnixMillis) -> Vec<Self::Event> {
        let Ok(room) = RoomId::from_wire_name(event.room()) else { return Vec::new() };
        let happened = |kind, user: &str, unique_id, reason| Event {
            kind,
            room: room.clone(),
            at: now,
            user: user.to_owned(),
            unique_id,
            role: None,
            reason,
        };
        let told = match event {
            RoomEvent::Started { .. } => Vec::new(),
            RoomEvent::Joined { who, .. } => {
                let is_first = !self.rooms.contains_key(&room);
                let told = self.rooms.entry(room.clone()).or_default();
                let role = role_of(who.permission.as_ref().is_none_or(|permission| permission.can_publish));
                told.roles.insert(who.sid.clone(), role);
                let (id, reason) = (Some(who.joined_at_ms), Some(ENTERED_VOLUNTARILY));
                let entered = Event { role: Some(role), ..happened(Kind::EnterRoom, &who.identity, id, reason) };
                let created = is_first.then(|| happened(Kind::CreateRoom, &who.identity, None, None));
                created.into_iter().chain([entered]).collect()
            }
            RoomEvent::Left { who, why, .. } => {
                let role = self.rooms.get_mut(&room).and_then(|told| {
                    told.on.remove(&who.sid);
                    told.last.clone_from(&who.identity);
                    told.roles.remove(&who.sid)
                });
                let role = role.unwrap_or(ANCHOR);
                let (id, reason) = (Some(who.joined_at_ms), Some(exit_reason(why, who.disconnect_reason())));
                vec![Event { role: Some(role), ..happened(Kind::ExitRoom, &who.identity, id, reason) }]
            }
            RoomEvent::Permitted { who, can_publish, .. } => {
                let role = role_of(*can_publish);
                self.rooms.entry(room.clone()).or_default().roles.insert(who.sid.clone(), role);
                vec![Event { role: Some(role), ..happened(Kind::ChangeRole, &who.identity, None, None) }]
            }
            RoomEvent::Published { who, track, .. } | RoomEvent::Muted { who, track, .. } => {
                let told = self.rooms.entry(room.clone()).or_default();
                let changed = told.switch(&who.sid, track, !track.muted);
                changed.map(|kind| happened(kind, &who.identity, None, Some(MEDIA_REASON))).into_iter().collect()
            }
            RoomEvent::Unpublished { who, track, .. } => {
                let told = self.rooms.entry(room.clone()).or_default();
                let changed = told.switch(&who.sid, track, false);
                changed.map(|kind| happened(kind, &who.identity, None, Some(MEDIA_REASON))).into_iter().collect()
            }
            RoomEvent::Finished { .. } => match self.rooms.remove(&room) {
                Some(told) => vec![happened(Kind::DismissRoom, &told.last, None, None)],
                None => Vec::new(),
            },
        };
        told.into_iter().map(Arc::new).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Story as _;
    use super::*;
    use crate::rooms::FinishedWhy;
    use serde_json::{Value, json};

    /// The documented example, byte by byte.
    const OFFICIAL: &str = "{\n\t\"EventGroupId\":\t2,\n\t\"EventType\":\t204,\n\t\"CallbackTs\":\t1664209748188,\n\t\"EventInfo\":\t{\n\t\t\"RoomId\":\t8489,\n\t\t\"EventTs\":\t1664209748,\n\t\t\"EventMsTs\":\t1664209748180,\n\t\t\"UserId\":\t\"user_85034614\",\n\t\t\"Reason\":\t0\n\t}\n}";

    #[test]
    fn the_official_vector_is_signed_alike() {
        assert_eq!(sign("123654", OFFICIAL.as_bytes()), "kkoFeO3Oh2ZHnjtg8tEAQhtXK16/KI05W3BQff8IvGA=");
    }

    #[test]
    fn the_official_example_has_our_fields() {
        let event = Event {
            kind: Kind::StopAudio,
            room: RoomId::Number(8489),
            at: UnixMillis(1_664_209_748_180),
            user: "user_85034614".to_owned(),
            unique_id: None,
            role: None,
            reason: Some(MEDIA_REASON),
        };
        let form = Callbacks::new(1_400_000_000, Some("123654".to_owned()));
        let letter = form.write(&Arc::new(event), UnixMillis(1_664_209_748_188)).unwrap();
        let body: Value = serde_json::from_slice(&letter.body).unwrap();
        assert_eq!(body, serde_json::from_str::<Value>(OFFICIAL).unwrap());
        let expected = [
            ("Content-Type", "application/json".to_owned()),
            ("SdkAppId", "1400000000".to_owned()),
            ("Sign", sign("123654", &letter.body)),
        ];
        assert_eq!(letter.headers, expected);
        let unsigned = Callbacks::new(1, None).write(&told_once(), UnixMillis(0)).unwrap();
        assert!(unsigned.headers.iter().all(|(name, _)| *name != "Sign"));
    }

    fn told_once() -> Arc<Event> {
        let joined =
            RoomEvent::Joined { room: "s:lobby".to_owned(), who: who("anna", DisconnectReason::UnknownReason) };
        Story::default().read(&joined, UnixMillis(7)).remove(0)
    }

    fn who(identity: &str, reason: DisconnectReason) -> Arc<proto::ParticipantInfo> {
        Arc::new(proto::ParticipantInfo {
            identity: identity.to_owned(),
            sid: format!("PA_{identity}"),
            joined_at_ms: 1_700_000_000_123,
            disconnect_reason: reason.into(),
            ..Default::default()
        })
    }

    fn track(sid: &str, source: TrackSource, kind: TrackType, muted: bool) -> Arc<proto::TrackInfo> {
        Arc::new(proto::TrackInfo {
            sid: sid.to_owned(),
            source: source.into(),
            r#type: kind.into(),
            muted,
            ..Default::default()
        })
    }

    /// Numbers of events and users, of what is told.
    fn numbers(story: &mut Story, events: &[RoomEvent]) -> Vec<(u16, String)> {
        let told = events.iter().flat_map(|event| story.read(event, UnixMillis(1)));
        told.map(|event| (event.kind as u16, event.user.clone())).collect()
    }

    #[test]
    fn a_life_is_told_in_trtcs_numbers() {
        let (room, anna) = (|| "n:7".to_owned(), || who("anna", DisconnectReason::UnknownReason));
        let info = Arc::new(proto::Room::default());
        let mic = |muted| track("TR_m", TrackSource::Microphone, TrackType::Audio, muted);
        let cam = |muted| track("TR_c", TrackSource::Camera, TrackType::Video, muted);
        let screen = || track("TR_s", TrackSource::ScreenShare, TrackType::Video, false);
        let sound = || track("TR_a", TrackSource::ScreenShareAudio, TrackType::Audio, false);
        let events = [
            RoomEvent::Started { room: room(), info: info.clone() },
            RoomEvent::Joined { room: room(), who: anna() },
            RoomEvent::Joined { room: room(), who: who("boris", DisconnectReason::UnknownReason) },
            RoomEvent::Published { room: room(), who: anna(), track: mic(false) },
            RoomEvent::Published { room: room(), who: anna(), track: cam(true) },
            RoomEvent::Muted { room: room(), who: anna(), track: cam(false) },
            RoomEvent::Muted { room: room(), who: anna(), track: mic(true) },
            RoomEvent::Published { room: room(), who: anna(), track: screen() },
            RoomEvent::Published { room: room(), who: anna(), track: sound() },
            RoomEvent::Unpublished { room: room(), who: anna(), track: screen() },
            RoomEvent::Unpublished { room: room(), who: anna(), track: sound() },
            RoomEvent::Unpublished { room: room(), who: anna(), track: mic(true) },
            RoomEvent::Left { room: room(), who: anna(), why: LeftWhy::Own },
            RoomEvent::Left { room: room(), who: who("boris", DisconnectReason::UnknownReason), why: LeftWhy::Own },
            RoomEvent::Finished { room: room(), info, why: FinishedWhy::Empty },
        ];
        let expected = [
            (101, "anna"),
            (103, "anna"),
            (103, "boris"),
            (203, "anna"),
            (201, "anna"),
            (204, "anna"),
            (205, "anna"),
            (206, "anna"),
            // Her picture is still on: an exit says so by itself.
            (104, "anna"),
            (104, "boris"),
            (102, "boris"),
        ];
        let mut story = Story::default();
        assert_eq!(numbers(&mut story, &events), expected.map(|(number, user)| (number, user.to_owned())));
        assert!(story.rooms.is_empty(), "rooms that are over are forgotten");
    }

    #[test]
    fn whoever_may_publish_no_longer_is_of_the_audience() {
        let (room, anna) = (|| "n:7".to_owned(), || who("anna", DisconnectReason::ClientInitiated));
        let permitted = |can_publish| RoomEvent::Permitted { room: room(), who: anna(), can_publish };
        let life = [
            RoomEvent::Joined { room: room(), who: anna() },
            permitted(false),
            permitted(true),
            permitted(false),
            RoomEvent::Left { room: room(), who: anna(), why: LeftWhy::Own },
        ];
        let mut story = Story::default();
        let told = life.iter().flat_map(|event| story.read(event, UnixMillis(1)));
        let roles: Vec<_> = told.map(|event| (event.kind as u16, event.role)).collect();
        let expected =
            [(101, None), (103, Some(20)), (105, Some(21)), (105, Some(20)), (105, Some(21)), (104, Some(21))];
        assert_eq!(roles, expected);
        // A key that lets nobody be heard makes one of the audience from the start.
        let permission = Some(proto::ParticipantPermission::default());
        let listener = proto::ParticipantInfo { permission, ..(*anna()).clone() };
        let entered = story.read(&RoomEvent::Joined { room: room(), who: listener.into() }, UnixMillis(1));
        assert_eq!(entered[0].role, Some(21));
    }

    #[test]
    fn a_room_that_nobody_entered_and_one_of_another_name_are_never_told_of() {
        let info = || Arc::new(proto::Room::default());
        let mut story = Story::default();
        for name in ["n:7", "anything", "n:0"] {
            let room = || name.to_owned();
            let life = [
                RoomEvent::Started { room: room(), info: info() },
                RoomEvent::Finished { room: room(), info: info(), why: FinishedWhy::Empty },
            ];
            assert_eq!(numbers(&mut story, &life), []);
        }
        let joined =
            RoomEvent::Joined { room: "anything".to_owned(), who: who("anna", DisconnectReason::UnknownReason) };
        assert_eq!(numbers(&mut story, &[joined]), []);
    }

    #[test]
    fn every_way_out_has_its_reason() {
        let by = None;
        let ways = [
            (LeftWhy::Own, DisconnectReason::ClientInitiated, 1),
            (LeftWhy::Lost, DisconnectReason::ConnectionTimeout, 2),
            (LeftWhy::Lost, DisconnectReason::MediaFailure, 2),
            (LeftWhy::Lost, DisconnectReason::SignalClose, 5),
            (LeftWhy::Removed { by: by.clone() }, DisconnectReason::ParticipantRemoved, 3),
            (LeftWhy::Dismissed { by }, DisconnectReason::RoomDeleted, 3),
            (LeftWhy::Replaced, DisconnectReason::DuplicateIdentity, 3),
        ];
        for (why, reason, number) in ways {
            let left = RoomEvent::Left { room: "n:7".to_owned(), who: who("anna", reason), why };
            let told = Story::default().read(&left, UnixMillis(1));
            assert_eq!(told[0].reason, Some(number), "{left:?}");
        }
    }

    #[test]
    fn bodies_have_the_documented_fields_and_rooms_are_numbers_or_strings() {
        let body = |event: &Event| serde_json::to_value(Body::of(event)).unwrap();
        let mut story = Story::default();
        let anna = || who("anna", DisconnectReason::ClientInitiated);
        let entered = story.read(&RoomEvent::Joined { room: "s:7".to_owned(), who: anna() }, UnixMillis(1_234_567));
        let created = json!({
            "EventGroupId": 1, "EventType": 101, "CallbackTs": 0,
            "EventInfo": {"RoomId": "7", "EventTs": 1234, "EventMsTs": 1_234_567, "UserId": "anna"},
        });
        assert_eq!(body(&entered[0]), created);
        let enter = json!({
            "EventGroupId": 1, "EventType": 103, "CallbackTs": 0,
            "EventInfo": {"RoomId": "7", "EventTs": 1234, "EventMsTs": 1_234_567, "UserId": "anna",
                "UniqueId": 1_700_000_000_123u64, "Role": 20, "TerminalType": 100, "UserType": 3, "Reason": 1},
        });
        assert_eq!(body(&entered[1]), enter);
        let left = RoomEvent::Left { room: "n:7".to_owned(), who: anna(), why: LeftWhy::Own };
        let left = body(&story.read(&left, UnixMillis(1_234_567))[0]);
        assert_eq!(
            (&left["EventInfo"]["RoomId"], &left["EventInfo"]["UniqueId"]),
            (&json!(7), &json!(1_700_000_000_123u64))
        );
    }
}
