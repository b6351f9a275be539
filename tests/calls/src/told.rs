//! What somebody was told about calls, as lines in which two runs can be compared: the lines of `crates/call/tests/table/`.

use crate::person::{Person, name_of};
use protocol::Event;
use protocol::vocabulary::Older;
use serde_json::Value;
use std::fmt::Write as _;

/// Of the newer page: what is said about calls. The rest is said about rooms, media and devices.
const NEWER: [&str; 14] = [
    "onCallReceived",
    "onCallCancelled",
    "onCallBegin",
    "onCallEnd",
    "onUserReject",
    "onUserNoResponse",
    "onUserLineBusy",
    "onUserInviting",
    "onUserInfoChanged",
    "onUserJoin",
    "onUserLeave",
    "onCallMediaTypeChanged",
    "onKickedOffline",
    "onUserSigExpired",
];

/// Of the older page: what is said about media and devices.
const NOT_OF_CALLS: [&str; 5] =
    ["ERROR", "USER_VIDEO_AVAILABLE", "USER_AUDIO_AVAILABLE", "USER_VOICE_VOLUME", "DEVICED_UPDATED"];

/// Names for what differs from run to run: `#1` is the first call that was spoken of, `@1` the first room.
#[derive(Default)]
pub struct Names {
    calls: Vec<String>,
    rooms: Vec<String>,
}

impl Names {
    fn of(list: &mut Vec<String>, sign: char, name: String) -> String {
        let at = list.iter().position(|known| *known == name).unwrap_or_else(|| {
            list.push(name);
            list.len() - 1
        });
        format!("{sign}{}", at + 1)
    }

    fn text(&mut self, key: &str, value: &Value) -> String {
        match (key, value) {
            ("callId" | "inviteID", Value::String(id)) => Self::of(&mut self.calls, '#', id.clone()),
            ("roomId", room) => Self::of(&mut self.rooms, '@', room["intRoomId"].to_string()),
            ("roomID", room) => Self::of(&mut self.rooms, '@', room.to_string()),
            // As long as it took; looked at where it is the subject.
            ("totalTime", _) => "_".to_owned(),
            (_, Value::String(text)) => format!("{text:?}").trim_matches('"').to_owned(),
            (_, Value::Array(list)) => {
                let items: Vec<_> = list.iter().map(|item| self.text("", item)).collect();
                format!("[{}]", items.join(","))
            }
            (_, other) => other.to_string(),
        }
    }

    /// The line of one event.
    fn line(&mut self, name: &str, event: &Value) -> String {
        let mut line = name.to_owned();
        for (key, value) in event.as_object().into_iter().flatten().filter(|(key, _)| *key != "event") {
            let value = self.text(key, value);
            // Writing into a text does not fail.
            let _ = write!(line, " {key}={value}");
        }
        line
    }

    /// The line of an event of the newer page, where it is about calls.
    pub fn newer(&mut self, event: &Event) -> Option<String> {
        let name = name_of(event);
        NEWER.contains(&name.as_str()).then(|| self.line(&name, &serde_json::to_value(event).unwrap_or_default()))
    }

    /// The lines of everything that somebody was told, on the newer page.
    pub fn newer_lines(&mut self, person: &Person) -> Vec<String> {
        person.history.iter().filter_map(|event| self.newer(event)).collect()
    }

    /// The same on the older page, of somebody whose history is whole.
    pub fn older_lines(&mut self, person: &Person) -> Vec<String> {
        let page = Older::new(person.user.clone());
        let told: Vec<_> = person.history.iter().filter_map(|event| page.tell(event)).collect();
        let about_calls = told.iter().filter(|event| !NOT_OF_CALLS.contains(&event.constant()));
        about_calls.map(|event| self.line(event.constant(), &serde_json::to_value(event).unwrap_or_default())).collect()
    }
}
