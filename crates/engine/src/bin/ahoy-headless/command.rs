//! One line of a script.

use super::options;
use engine::api::{Intent, Secret};
use media::DeviceChoice;
use protocol::{CallMediaType, RoomId, UserId};
use std::path::PathBuf;
use std::time::Duration;

/// A wait without a time ends after this.
const WAIT_TIMEOUT: Duration = Duration::from_secs(30);

/// What a line asks for.
#[derive(Clone, Debug)]
pub(crate) enum Command {
    /// Something that the engine does.
    Intent(Box<Intent>),
    /// Wait for an event by its documented name.
    Wait { event: String, timeout: Duration },
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
    pub(crate) fn parse(line: &str) -> Result<Option<Self>, String> {
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
            ("enter", [room, rest @ ..]) => intent(Intent::EnterRoom { room: room_id(room)?, camera: camera(rest)? }),
            ("enter-token", [url, token, rest @ ..]) => intent(Intent::EnterRoomByToken {
                url: url.parse().map_err(|_| "the address is none".to_owned())?,
                token: Secret((*token).to_owned()),
                camera: camera(rest)?,
            }),
            ("exit", []) => intent(Intent::ExitRoom),
            ("mic", [switch]) => intent(Intent::Microphone(on(switch)?)),
            ("camera", [switch]) => intent(Intent::Camera(on(switch)?)),
            ("select", [kind, choice]) => intent(select(kind, choice)?),
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
    let callees = callees.split(',').map(|id| UserId::new(id).map_err(|e| e.to_string())).collect::<Result<_, _>>()?;
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
        "mic" => Ok(Intent::SelectMicrophone(read(options::microphone)?)),
        "speaker" => Ok(Intent::SelectSpeaker(read(options::speaker)?)),
        "camera" => Ok(Intent::SelectCamera(read(options::camera)?)),
        _ => Err("mic, speaker or camera".to_owned()),
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    text.parse().ok().and_then(|s| Duration::try_from_secs_f64(s).ok()).ok_or_else(|| format!("{text} is no time"))
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
}
