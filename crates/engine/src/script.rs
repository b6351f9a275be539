//! What scripts write and read: one command a line in, one JSON object a line out. The headless client and the window
//! speak the same lines; `docs/headless.md` lists them.

use crate::api::{
    Answer, Intent, Refusal, Reported, Rotation, Secret, VideoEncoderParams, VideoRenderParams, VideoResolution,
};
use media::{DeviceChoice, Synthetic};
use protocol::vocabulary::Older;
use protocol::{CallId, CallMediaType, Profile, RecordFilter, RecordResult, RoomId, UserId};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

/// A wait without a time ends after this.
const WAIT_TIMEOUT: Duration = Duration::from_secs(30);

/// What a line asks for.
#[derive(Clone, Debug)]
pub enum Command {
    /// Something that the engine does.
    Intent(Box<Intent>),
    /// Wait for an event by its documented name.
    Wait {
        /// Which.
        event: String,
        /// At most so long.
        timeout: Duration,
    },
    /// Let time pass.
    Sleep(Duration),
    /// Print the numbers.
    Stats,
    /// Save the last picture that was seen.
    Picture(PathBuf),
    /// End whatever is under way and go.
    Quit,
}

impl Command {
    /// Reads a line; `None` for an empty one and for a `#` comment.
    ///
    /// # Errors
    /// A sentence that says what is wrong; it repeats no token.
    pub fn parse(line: &str) -> Result<Option<Self>, String> {
        let mut words = line.split_whitespace();
        let Some(verb) = words.next().filter(|verb| !verb.starts_with('#')) else { return Ok(None) };
        let words: Vec<&str> = words.collect();
        let intent = |intent| Ok(Some(Self::Intent(Box::new(intent))));
        match (verb, words.as_slice()) {
            ("call", [callees, rest @ ..]) => intent(call(callees, rest)?),
            ("accept", []) => intent(Intent::Accept { camera: true }),
            ("accept", ["voice"]) => intent(Intent::Accept { camera: false }),
            ("reject", []) => intent(Intent::Reject),
            ("ignore", []) => intent(Intent::Ignore),
            ("hangup", []) => intent(Intent::Hangup),
            ("invite", [users, rest @ ..]) => intent(invite(users, rest)?),
            ("join", []) => intent(Intent::JoinCall { call: None, camera: true }),
            ("join", ["voice"]) => intent(Intent::JoinCall { call: None, camera: false }),
            ("join", [call, rest @ ..]) => {
                intent(Intent::JoinCall { call: Some(call_id(call)?), camera: camera(rest)? })
            }
            ("switch", ["voice"]) => intent(Intent::SwitchCallMediaType(CallMediaType::Voice)),
            ("switch", ["video"]) => intent(Intent::SwitchCallMediaType(CallMediaType::Video)),
            ("self-info", words) => intent(Intent::SetSelfInfo(profile(words))),
            ("multi-device", [switch]) => intent(Intent::EnableMultiDevice(on(switch)?)),
            ("recent", words) => intent(recent(words)?),
            ("delete-record", [calls]) => {
                intent(Intent::DeleteRecordCalls(calls.split(',').map(call_id).collect::<Result<_, _>>()?))
            }
            ("renew", [ticket]) => intent(Intent::RenewTicket(Secret((*ticket).to_owned()))),
            ("enter", [room, rest @ ..]) => {
                let (camera, key) = entry(rest)?;
                intent(Intent::EnterRoom { room: room_id(room)?, camera, key })
            }
            ("enter-token", [url, token, rest @ ..]) => intent(Intent::EnterRoomByToken {
                url: url.parse().map_err(|_| "the address is none".to_owned())?,
                token: Secret((*token).to_owned()),
                camera: camera(rest)?,
            }),
            ("exit", []) => intent(Intent::ExitRoom),
            ("mic", [switch]) => intent(Intent::Microphone(on(switch)?)),
            ("camera", [switch]) => intent(Intent::Camera(on(switch)?)),
            ("select", [kind, choice]) => intent(select(kind, choice)?),
            ("encoder", [number, rest @ ..]) => intent(encoder(number, rest)?),
            ("render", [user, rest @ ..]) => intent(render(user, rest)?),
            ("sign-out", []) => intent(Intent::SignOut),
            ("wait", [event]) => Ok(Some(Self::Wait { event: (*event).to_owned(), timeout: WAIT_TIMEOUT })),
            ("wait", [event, time]) => Ok(Some(Self::Wait { event: (*event).to_owned(), timeout: seconds(time)? })),
            ("sleep", [time]) => Ok(Some(Self::Sleep(seconds(time)?))),
            ("stats", []) => Ok(Some(Self::Stats)),
            ("picture", [path]) => Ok(Some(Self::Picture(path.into()))),
            ("quit", []) => Ok(Some(Self::Quit)),
            _ => Err(format!("{verb}: no such command, or wrong words behind it (docs/headless.md)")),
        }
    }
}

/// `bob video timeout 10 data hello`
fn call(callees: &str, rest: &[&str]) -> Result<Intent, String> {
    let callees = users(callees)?;
    let (media, mut rest) = match rest {
        ["video", rest @ ..] => (CallMediaType::Video, rest),
        ["voice", rest @ ..] => (CallMediaType::Voice, rest),
        rest => (CallMediaType::Voice, rest),
    };
    let (mut timeout, mut room, mut user_data) = (None, None, String::new());
    while let [key, value, more @ ..] = rest {
        match *key {
            "timeout" => timeout = Some(seconds(value)?),
            "room" => room = Some(room_id(value)?),
            "data" => (*value).clone_into(&mut user_data),
            other => return Err(format!("call does not know {other}")),
        }
        rest = more;
    }
    if let [left] = rest {
        return Err(format!("{left} stands alone"));
    }
    Ok(Intent::Call { callees, media, user_data, timeout, room })
}

fn call_id(text: &str) -> Result<CallId, String> {
    CallId::new(text).map_err(|e| e.to_string())
}

fn users(text: &str) -> Result<Vec<UserId>, String> {
    text.split(',').map(|id| UserId::new(id).map_err(|e| e.to_string())).collect()
}

/// `carol,dave add-person timeout 10 data hello`
fn invite(people: &str, rest: &[&str]) -> Result<Intent, String> {
    let (mut timeout, mut user_data, mut add_person) = (None, String::new(), false);
    let mut rest = rest;
    loop {
        rest = match rest {
            [] => return Ok(Intent::InviteUser { users: users(people)?, user_data, timeout, add_person }),
            ["add-person", more @ ..] => {
                add_person = true;
                more
            }
            ["timeout", time, more @ ..] => {
                timeout = Some(seconds(time)?);
                more
            }
            ["data", word, more @ ..] => {
                (*word).clone_into(&mut user_data);
                more
            }
            [other, ..] => return Err(format!("invite does not know {other}")),
        };
    }
}

/// `Ann Example avatar https://…`
fn profile(words: &[&str]) -> Profile {
    let at = words.iter().position(|word| *word == "avatar").unwrap_or(words.len());
    let avatar = words.get(at + 1).copied().unwrap_or_default().to_owned();
    Profile { nickname: words[..at].join(" "), avatar }
}

/// `missed limit 10`
fn recent(words: &[&str]) -> Result<Intent, String> {
    let mut filter = RecordFilter::default();
    let mut rest = words;
    loop {
        rest = match rest {
            [] => return Ok(Intent::QueryRecentCalls(filter)),
            ["limit", count, more @ ..] => {
                filter.limit = Some(count.parse().map_err(|_| format!("{count} is no number"))?);
                more
            }
            [kind, more @ ..] => {
                filter.result_type = Some(match *kind {
                    "all" => RecordResult::Unknown,
                    "missed" => RecordResult::Missed,
                    "incoming" => RecordResult::Incoming,
                    "outgoing" => RecordResult::Outgoing,
                    other => return Err(format!("recent does not know {other}")),
                });
                more
            }
        };
    }
}

/// `123` is a number room, `s:name` a named one.
fn room_id(text: &str) -> Result<RoomId, String> {
    let room = match text.parse() {
        Ok(number) => RoomId::number(number),
        Err(_) => RoomId::from_wire_name(text),
    };
    room.map_err(|e| e.to_string())
}

fn camera(rest: &[&str]) -> Result<bool, String> {
    match rest {
        [] | ["video"] => Ok(true),
        ["voice"] => Ok(false),
        _ => Err("video or voice".to_owned()),
    }
}

/// `voice key=eJw…`, in any order.
fn entry(rest: &[&str]) -> Result<(bool, Option<Secret>), String> {
    let (keys, rest): (Vec<&str>, Vec<&str>) = rest.iter().partition(|word| word.starts_with("key="));
    let key = match keys.as_slice() {
        [] => None,
        [key] => key.strip_prefix("key=").map(|key| Secret(key.to_owned())),
        _ => return Err("one key is enough".to_owned()),
    };
    Ok((camera(&rest)?, key))
}

fn on(text: &str) -> Result<bool, String> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("on or off".to_owned()),
    }
}

fn select(kind: &str, choice: &str) -> Result<Intent, String> {
    let read = |read: fn(&str) -> Result<DeviceChoice, String>| read(choice);
    match kind {
        "mic" => Ok(Intent::SelectMicrophone(read(microphone)?)),
        "speaker" => Ok(Intent::SelectSpeaker(read(speaker)?)),
        "camera" => Ok(Intent::SelectCamera(read(self::camera_device)?)),
        _ => Err("mic, speaker or camera".to_owned()),
    }
}

/// `112 portrait`
fn encoder(number: &str, rest: &[&str]) -> Result<Intent, String> {
    let resolution = number.parse().ok().and_then(VideoResolution::from_number);
    let resolution = resolution.ok_or_else(|| format!("{number} is none of 108, 110, 112 and 114"))?;
    let portrait = match rest {
        [] | ["landscape"] => false,
        ["portrait"] => true,
        _ => return Err("landscape or portrait".to_owned()),
    };
    Ok(Intent::VideoEncoderParams(VideoEncoderParams { resolution, portrait }))
}

/// `bob fit 90`
fn render(user: &str, rest: &[&str]) -> Result<Intent, String> {
    let user = UserId::new(user).map_err(|e| e.to_string())?;
    let (fit, degrees) = match rest {
        ["fill"] => (false, "0"),
        ["fit"] => (true, "0"),
        ["fill", degrees] => (false, *degrees),
        ["fit", degrees] => (true, *degrees),
        _ => return Err("fill or fit, and perhaps 0, 90, 180 or 270".to_owned()),
    };
    let rotation = degrees.parse().ok().and_then(Rotation::from_degrees);
    let rotation = rotation.ok_or_else(|| format!("{degrees} is none of 0, 90, 180 and 270"))?;
    Ok(Intent::VideoRenderParams { user, params: VideoRenderParams { fit, rotation } })
}

fn seconds(text: &str) -> Result<Duration, String> {
    text.parse().ok().and_then(|s| Duration::try_from_secs_f64(s).ok()).ok_or_else(|| format!("{text} is no time"))
}

fn common(text: &str) -> Option<DeviceChoice> {
    match text {
        "none" => Some(DeviceChoice::None),
        "system" => Some(DeviceChoice::System),
        _ => text.strip_prefix("device:").map(|id| DeviceChoice::Device(id.to_owned())),
    }
}

/// Reads a microphone: `FILE.wav`, `tone:HERTZ`, `system`, `device:ID` or `none`.
///
/// # Errors
/// When a tone has no number.
pub fn microphone(text: &str) -> Result<DeviceChoice, String> {
    if let Some(hertz) = text.strip_prefix("tone:") {
        let hertz = hertz.parse().map_err(|_| format!("{hertz} is no number of hertz"))?;
        return Ok(DeviceChoice::Synthetic(Synthetic::Tone(hertz)));
    }
    Ok(common(text).unwrap_or_else(|| DeviceChoice::File(text.into())))
}

/// Reads a speaker: `FILE.wav`, `system`, `device:ID` or `none`.
///
/// # Errors
/// None so far.
pub fn speaker(text: &str) -> Result<DeviceChoice, String> {
    Ok(common(text).unwrap_or_else(|| DeviceChoice::File(text.into())))
}

/// Reads a camera: `FILE.y4m`, `pattern:LABEL`, `system`, `device:ID` or `none`.
///
/// # Errors
/// None so far.
pub fn camera_device(text: &str) -> Result<DeviceChoice, String> {
    if let Some(label) = text.strip_prefix("pattern:") {
        return Ok(DeviceChoice::Synthetic(Synthetic::Pattern(label.to_owned())));
    }
    Ok(common(text).unwrap_or_else(|| DeviceChoice::File(text.into())))
}

/// What a script reads about its command.
#[must_use]
pub fn answer_line(verb: &str, answer: &Result<Answer, Refusal>) -> Value {
    match answer {
        Ok(Answer::Done) => json!({ "command": verb, "ok": true }),
        Ok(Answer::Call(call)) => json!({ "command": verb, "ok": true, "callId": call }),
        Ok(Answer::Records { records, next }) => {
            json!({ "command": verb, "ok": true, "records": records, "next": next })
        }
        Err(refusal) => {
            json!({ "command": verb, "ok": false, "code": refusal.code, "message": refusal.message })
        }
    }
}

/// The words in which events are printed.
#[derive(Clone, Debug)]
pub enum Vocabulary {
    /// Of the newer page, and our own beyond it.
    Newer,
    /// Of the older page, and nothing else.
    Older(Box<Older>),
}

impl Vocabulary {
    /// The line of an event; `None` where this vocabulary does not have it. Give all events, in their order.
    pub fn line(&mut self, reported: &Reported) -> Option<Value> {
        match self {
            Self::Newer if reported.event.is_older_only() => None,
            Self::Newer => Some(event_line(reported)),
            Self::Older(page) => {
                let event = page.tell(&reported.event)?;
                let mut line = serde_json::to_value(&event).unwrap_or_default();
                line["constant"] = json!(event.constant());
                stamp(&mut line, reported);
                Some(line)
            }
        }
    }
}

/// An event as scripts read it: its documented form, and `at` in **milliseconds** since 1970.
#[must_use]
pub fn event_line(reported: &Reported) -> Value {
    let mut line = serde_json::to_value(&reported.event).unwrap_or_default();
    stamp(&mut line, reported);
    line
}

fn stamp(line: &mut Value, reported: &Reported) {
    let at = reported.at.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    line["at"] = json!(u64::try_from(at).unwrap_or(u64::MAX));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn intent(line: &str) -> Intent {
        match Command::parse(line) {
            Ok(Some(Command::Intent(intent))) => *intent,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn a_call_takes_people_media_and_settings_in_any_order() {
        let Intent::Call { callees, media, user_data, timeout, room } =
            intent("call bob,carol video data hi timeout 2.5 room 7")
        else {
            panic!("no call")
        };
        assert_eq!(callees.len(), 2);
        assert_eq!(media, CallMediaType::Video);
        assert_eq!(user_data, "hi");
        assert_eq!(timeout, Some(Duration::from_millis(2500)));
        assert_eq!(room, Some(RoomId::Number(7)));
    }

    #[test]
    fn the_words_of_group_calls_records_and_tickets_are_read() {
        let Intent::InviteUser { users, user_data, timeout, add_person } =
            intent("invite carol,dave timeout 10 add-person data hi")
        else {
            panic!("no invitation")
        };
        assert_eq!((users.len(), user_data.as_str(), add_person), (2, "hi", true));
        assert_eq!(timeout, Some(Duration::from_secs(10)));
        assert!(matches!(intent("join"), Intent::JoinCall { call: None, camera: true }));
        assert!(matches!(intent("join abc voice"), Intent::JoinCall { call: Some(_), camera: false }));
        let Intent::SetSelfInfo(profile) = intent("self-info Ann Example avatar https://x/y") else { panic!() };
        assert_eq!((profile.nickname.as_str(), profile.avatar.as_str()), ("Ann Example", "https://x/y"));
        let Intent::QueryRecentCalls(filter) = intent("recent missed limit 3") else { panic!() };
        assert_eq!((filter.result_type, filter.limit), (Some(RecordResult::Missed), Some(3)));
        assert!(matches!(intent("delete-record a,b"), Intent::DeleteRecordCalls(calls) if calls.len() == 2));
        assert!(!format!("{:?}", intent("renew s3cret")).contains("s3cret"));
        for wrong in ["invite carol now", "recent yesterday", "multi-device maybe", "delete-record a!"] {
            assert!(Command::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn each_vocabulary_prints_what_its_page_has() {
        let bob = UserId::new("bob").expect("id");
        let reported = |event| Reported { event, at: UNIX_EPOCH + Duration::from_millis(5) };
        let joined = reported(protocol::Event::OnUserJoin { user_id: bob.clone() });
        let accepted = reported(protocol::Event::OnUserAccept { user_id: bob.clone() });
        let lost = reported(protocol::Event::OnConnectionLost);
        let mut newer = Vocabulary::Newer;
        assert_eq!(newer.line(&joined), Some(json!({ "event": "onUserJoin", "userId": "bob", "at": 5 })));
        assert_eq!(newer.line(&accepted), None);
        assert!(newer.line(&lost).is_some());
        let mut older = Vocabulary::Older(Box::new(Older::new(bob)));
        let line =
            |event: &str, constant: &str| json!({ "event": event, "constant": constant, "userID": "bob", "at": 5 });
        assert_eq!(older.line(&joined), Some(line("onUserEnter", "USER_ENTER")));
        assert_eq!(older.line(&accepted), Some(line("onUserAccept", "USER_ACCEPT")));
        assert_eq!(older.line(&lost), None);
    }

    #[test]
    fn what_is_no_command_is_refused_and_a_comment_is_nothing() {
        assert!(Command::parse("dance").is_err());
        assert!(Command::parse("mic loud").is_err());
        assert!(Command::parse("call bob! video").is_err());
        assert!(Command::parse("sleep -1").is_err());
        assert!(matches!(Command::parse("  # later"), Ok(None)));
        assert!(matches!(Command::parse(""), Ok(None)));
    }

    #[test]
    fn a_token_never_shows() {
        let text = format!("{:?}", intent("enter-token ws://127.0.0.1:1 secret-token"));
        assert!(!text.contains("secret-token"), "{text}");
    }

    #[test]
    fn a_room_is_entered_with_or_without_a_key() {
        let Intent::EnterRoom { room, camera, key } = intent("enter s:lobby key=eJw-*_ voice") else {
            panic!("no entry")
        };
        assert_eq!((room, camera), (RoomId::Text("lobby".into()), false));
        assert_eq!(key, Some(Secret("eJw-*_".into())));
        assert!(matches!(intent("enter 7"), Intent::EnterRoom { camera: true, key: None, .. }));
        assert!(!format!("{:?}", intent("enter 7 key=eJw-*_")).contains("eJw"));
        assert!(Command::parse("enter 7 key=a key=b").is_err());
    }

    #[test]
    fn devices_are_read_as_documented() {
        assert_eq!(microphone("tone:440"), Ok(DeviceChoice::Synthetic(Synthetic::Tone(440))));
        assert!(microphone("tone:high").is_err());
        assert_eq!(speaker("none"), Ok(DeviceChoice::None));
        assert_eq!(speaker("out.wav"), Ok(DeviceChoice::File("out.wav".into())));
        assert_eq!(camera_device("pattern:bob"), Ok(DeviceChoice::Synthetic(Synthetic::Pattern("bob".into()))));
        assert_eq!(camera_device("device:/dev/video0"), Ok(DeviceChoice::Device("/dev/video0".into())));
    }

    #[test]
    fn an_event_line_has_its_name_its_fields_and_its_time() {
        let event = protocol::Event::OnUserJoin { user_id: UserId::new("bob").expect("id") };
        let reported = Reported { event, at: UNIX_EPOCH + Duration::from_millis(1_700_000_000_123) };
        let line = json!({ "event": "onUserJoin", "userId": "bob", "at": 1_700_000_000_123_u64 });
        assert_eq!(event_line(&reported), line);
    }
}
