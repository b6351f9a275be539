//! Both vocabularies: every event of either page comes out of the one typed stream, with the documented fields, and
//! `docs/events.md` says so. `UPDATE_DOCS=1` writes that page.
#![allow(clippy::unwrap_used, reason = "a test that is surprised fails")]

use protocol::event::DeviceInfo;
use protocol::vocabulary::Older;
use protocol::{
    CallEndReason, CallId, CallMediaType, CallRole, Event, ExitReason, LeaveReason, NetworkQuality, RoomId, UserId,
};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Write as _;

fn user(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

fn call() -> CallId {
    CallId::new("c1").unwrap()
}

fn room() -> RoomId {
    RoomId::number(7).unwrap()
}

/// One of each, as bob sees them whom alice calls. A new kind of event is missed here by
/// `every_kind_of_event_has_a_sample`.
fn samples() -> Vec<Event> {
    let media = CallMediaType::Video;
    let cancelled = |reason| Event::OnCallCancelled {
        call_id: call(),
        caller_id: user("bob"),
        reason,
        user_id: user("bob"),
        inviter_id: user("alice"),
    };
    let device = DeviceInfo { device_id: "1".to_owned(), device_name: "USB".to_owned() };
    let mut samples = of_calls(media);
    samples.insert(2, cancelled(CallEndReason::NoResponse));
    samples.insert(3, cancelled(CallEndReason::Canceled));
    samples.extend([
        Event::OnUserVideoAvailable { user_id: user("alice"), is_video_available: true },
        Event::OnUserAudioAvailable { user_id: user("alice"), is_audio_available: true },
        Event::OnUserVoiceVolumeChanged { volume_map: [(user("alice"), 40)].into() },
        Event::OnUserNetworkQualityChanged { network_quality_map: [(user("alice"), NetworkQuality::Good)].into() },
        Event::OnKickedOffline,
        Event::OnUserSigExpired,
        Event::OnError { code: -1301, message: "…".to_owned() },
        Event::OnUserInviting { user_id: user("carol") },
        Event::OnUserInfoChanged { user_id: user("alice"), nickname: "Alice".to_owned(), avatar: String::new() },
        Event::SdkReady,
        Event::OnUserAccept { user_id: user("carol") },
        Event::OnGroupCallInviteeListUpdate { user_id_list: vec![user("alice"), user("carol")] },
        Event::OnDeviceUpdated {
            microphone_list: vec![device.clone()],
            camera_list: vec![device.clone()],
            speaker_list: vec![device],
            current_microphone_id: "1".to_owned(),
            current_camera_id: "1".to_owned(),
            current_speaker_id: "1".to_owned(),
        },
        Event::OnEnterRoom { result: 120 },
        Event::OnExitRoom { reason: ExitReason::Removed },
        Event::OnRemoteUserEnterRoom { user_id: user("alice") },
        Event::OnRemoteUserLeaveRoom { user_id: user("alice"), reason: LeaveReason::TimedOut },
        Event::OnConnectionLost,
        Event::OnTryToReconnect,
        Event::OnConnectionRecovery,
        Event::OnFirstAudioFrame { user_id: user("alice"), ms: 90 },
        Event::OnFirstVideoFrame { user_id: user("alice"), width: 640, height: 360, ms: 140 },
    ]);
    samples
}

fn of_calls(call_media_type: CallMediaType) -> Vec<Event> {
    vec![
        Event::OnCallReceived {
            call_id: call(),
            caller_id: user("alice"),
            callee_id_list: vec![user("bob")],
            group_id: String::new(),
            call_media_type,
            user_data: "hi".to_owned(),
            room_id: room(),
        },
        Event::OnCallBegin { call_id: call(), room_id: room(), call_media_type, call_role: CallRole::Called },
        Event::OnCallEnd {
            call_id: call(),
            room_id: room(),
            call_media_type,
            call_role: CallRole::Called,
            total_time: 12,
            reason: CallEndReason::Hangup,
            user_id: user("alice"),
            inviter_id: user("alice"),
        },
        Event::OnUserReject { user_id: user("carol") },
        Event::OnUserNoResponse { user_id: user("carol"), inviter_id: Some(user("alice")) },
        Event::OnUserLineBusy { user_id: user("carol") },
        Event::OnUserJoin { user_id: user("alice") },
        Event::OnUserLeave { user_id: user("alice") },
        Event::OnCallMediaTypeChanged {
            old_call_media_type: CallMediaType::Video,
            new_call_media_type: CallMediaType::Voice,
        },
    ]
}

/// When it comes, and to whom.
fn meaning(event: &Event) -> &'static str {
    match event {
        Event::OnCallReceived { .. } => {
            "it rings here: each callee, on every device; somebody invited into a running call"
        }
        Event::OnCallCancelled { .. } => {
            "a call ended that had not begun here: the caller, and each callee whom it rang; not a callee who was busy or ignored it"
        }
        Event::OnCallBegin { .. } => {
            "the server has accepted the acceptance: the callee who answers or joins, and the caller at the first answer"
        }
        Event::OnCallEnd { .. } => "the call is over for this user, who was in it",
        Event::OnUserReject { .. } => "a callee rejected: the caller; in a group everyone else who is in or rung",
        Event::OnUserNoResponse { .. } => {
            "a callee did not answer in time: the caller; in a group everyone else who is in or rung"
        }
        Event::OnUserLineBusy { .. } => "a callee is in another call, or ignored this one: whoever invited them",
        Event::OnUserJoin { .. } => {
            "somebody is in the call: everyone who is in, and the newcomer for each who is in already"
        }
        Event::OnUserLeave { .. } => "somebody left: everyone who stays",
        Event::OnCallMediaTypeChanged { .. } => "a video call for two became a voice call: both",
        Event::OnUserVideoAvailable { .. } => "a picture comes or goes: everyone else in the room",
        Event::OnUserAudioAvailable { .. } => "a voice comes or goes: everyone else in the room",
        Event::OnUserVoiceVolumeChanged { .. } => {
            "every 300 ms while in a call or room; everyone in it, this user too, 0–100"
        }
        Event::OnUserNetworkQualityChanged { .. } => "every 2 s while in a call or room; everyone in it, this user too",
        Event::OnKickedOffline => {
            "the same user signed in elsewhere, without the multi-device ability; a call under way ends"
        }
        Event::OnUserSigExpired => "the ticket has expired: a new one can be handed in, a running call goes on",
        Event::OnError { .. } => "something went wrong; codes of TRTC and TUICallKit",
        Event::OnUserInviting { .. } => {
            "somebody is invited into the running call: everyone who is in (from the newest API)"
        }
        Event::OnUserInfoChanged { .. } => {
            "somebody has said how they call themselves, or changed it: those who share a call with them (our own)"
        }
        Event::SdkReady => "signed in",
        Event::OnUserAccept { .. } => "a callee answered: everyone else who is in or rung",
        Event::OnGroupCallInviteeListUpdate { .. } => {
            "somebody is invited into the running call: everyone who is in; everyone else who is in or rung"
        }
        Event::OnDeviceUpdated { .. } => "devices came or went, or other ones are in use",
        Event::OnEnterRoom { .. } => "TRTC: the room is entered, in ms, or a negative code",
        Event::OnExitRoom { .. } => "TRTC: the room is left: 0 by oneself, 1 removed, 2 dismissed",
        Event::OnRemoteUserEnterRoom { .. } => "TRTC: somebody entered the room",
        Event::OnRemoteUserLeaveRoom { .. } => {
            "TRTC: somebody left the room: 0 by themselves, 1 not heard from, 2 removed"
        }
        Event::OnConnectionLost => "TRTC: nothing was heard of the room for 8 s",
        Event::OnTryToReconnect => "TRTC: trying to come back",
        Event::OnConnectionRecovery => "TRTC: back in the room",
        Event::OnFirstAudioFrame { .. } => "first voice of somebody, ms since the acceptance (our own)",
        Event::OnFirstVideoFrame { .. } => "first picture of somebody, ms since the acceptance (our own)",
    }
}

fn fields(event: &Value) -> Vec<String> {
    event.as_object().unwrap().keys().filter(|key| *key != "event").cloned().collect()
}

fn listed(fields: &[String]) -> String {
    if fields.is_empty() {
        "–".to_owned()
    } else {
        fields.iter().map(|f| format!("`{f}`")).collect::<Vec<_>>().join(", ")
    }
}

/// The events of the newer page (2025) and the fields that stand there.
const NEWER: [(&str, &[&str]); 17] = [
    ("onError", &["code", "message"]),
    ("onCallReceived", &["callerId", "calleeIdList", "groupId", "callMediaType", "userData"]),
    ("onCallCancelled", &["callerId"]),
    ("onCallBegin", &["roomId", "callMediaType", "callRole"]),
    ("onCallEnd", &["roomId", "callMediaType", "callRole", "totalTime"]),
    ("onUserReject", &["userId"]),
    ("onUserNoResponse", &["userId"]),
    ("onUserLineBusy", &["userId"]),
    ("onUserJoin", &["userId"]),
    ("onUserLeave", &["userId"]),
    ("onCallMediaTypeChanged", &["oldCallMediaType", "newCallMediaType"]),
    ("onKickedOffline", &[]),
    ("onUserSigExpired", &[]),
    ("onUserVideoAvailable", &["userId", "isVideoAvailable"]),
    ("onUserAudioAvailable", &["userId", "isAudioAvailable"]),
    ("onUserVoiceVolumeChanged", &["volumeMap"]),
    ("onUserNetworkQualityChanged", &["networkQualityMap"]),
];

/// The events of the older page (2022): constants, and the strings of npm `tuicall-engine-webrtc` 3.1.7.
const OLDER: [(&str, &str); 19] = [
    ("ERROR", "onError"),
    ("SDK_READY", "sdkReady"),
    ("KICKED_OUT", "onKickedOut"),
    ("USER_ACCEPT", "onUserAccept"),
    ("USER_ENTER", "onUserEnter"),
    ("USER_LEAVE", "onUserLeave"),
    ("REJECT", "onReject"),
    ("NO_RESP", "onNoResp"),
    ("LINE_BUSY", "onLineBusy"),
    ("CALLING_TIMEOUT", "onCallingTimeout"),
    ("USER_VIDEO_AVAILABLE", "onUserVideoAvailable"),
    ("USER_AUDIO_AVAILABLE", "onUserAudioAvailable"),
    ("USER_VOICE_VOLUME", "onUserVoiceVolume"),
    ("GROUP_CALL_INVITEE_LIST_UPDATE", "onGroupCallInviteeListUpdate"),
    ("INVITED", "onInvited"),
    ("CALLING_CANCEL", "onCallingCancel"),
    ("CALLING_END", "onCallEnd"),
    ("DEVICED_UPDATED", "onDeviceUpdated"),
    ("CALL_TYPE_CHANGED", "onCallTypeChanged"),
];

#[test]
fn every_event_of_the_newer_page_has_its_fields() {
    let all: Vec<Value> = samples().iter().map(|event| serde_json::to_value(event).unwrap()).collect();
    for (name, documented) in NEWER {
        let event = all.iter().find(|event| event["event"] == name).unwrap_or_else(|| panic!("no {name}"));
        for field in documented {
            assert!(event.get(field).is_some(), "{name} has no {field}");
        }
    }
}

#[test]
fn every_event_of_the_older_page_comes_out_of_the_one_stream() {
    let page = Older::new(user("bob"));
    let told: BTreeSet<(String, String)> = samples()
        .iter()
        .filter_map(|event| page.tell(event))
        .map(|event| {
            let json = serde_json::to_value(&event).unwrap();
            (event.constant().to_owned(), json["event"].as_str().unwrap().to_owned())
        })
        .collect();
    let wanted = OLDER.iter().map(|(constant, text)| ((*constant).to_owned(), (*text).to_owned())).collect();
    assert_eq!(told, wanted);
}

#[test]
fn the_older_page_has_its_own_words_for_kinds_roles_rooms_and_volumes() {
    let page = Older::new(user("bob"));
    let tell = |event: &Event| serde_json::to_value(page.tell(event).unwrap()).unwrap();
    let all = samples();
    assert_eq!(
        tell(&all[0]),
        json!({"event": "onInvited", "sponsor": "alice", "userIDList": ["bob"], "isFromGroup": false, "inviteData": "hi",
               "inviteID": "c1", "userData": "hi", "callId": "c1", "roomID": 7, "callMediaType": 2, "callRole": "invitee"})
    );
    let no_response = Event::OnUserNoResponse { user_id: user("carol"), inviter_id: Some(user("alice")) };
    assert_eq!(tell(&no_response), json!({"event": "onNoResp", "sponsor": "alice", "userIDList": ["carol"]}));
    let volumes = Event::OnUserVoiceVolumeChanged { volume_map: [(user("alice"), 40)].into() };
    assert_eq!(
        tell(&volumes),
        json!({"event": "onUserVoiceVolume", "volumeMap": [{"userId": "alice", "audioVolume": 40}]})
    );
    let named = Event::OnCallEnd {
        call_id: call(),
        room_id: RoomId::text("7").unwrap(),
        call_media_type: CallMediaType::Voice,
        call_role: CallRole::Caller,
        total_time: 3,
        reason: CallEndReason::Hangup,
        user_id: user("bob"),
        inviter_id: user("bob"),
    };
    assert_eq!(
        tell(&named),
        json!({"event": "onCallEnd", "roomID": "7", "callMediaType": 1, "callRole": "inviter", "totalTime": 3,
               "userID": "bob", "callId": "c1"})
    );
    let unknown = Event::OnUserNoResponse { user_id: user("carol"), inviter_id: None };
    assert_eq!(tell(&unknown)["sponsor"], "bob");
}

#[test]
fn the_end_of_a_ring_has_two_names_on_the_older_page_and_none_at_the_caller() {
    let cancelled = |reason, inviter: &str| Event::OnCallCancelled {
        call_id: call(),
        caller_id: user("bob"),
        reason,
        user_id: user("bob"),
        inviter_id: user(inviter),
    };
    let told = |reason, inviter: &str| {
        let event = Older::new(user("bob")).tell(&cancelled(reason, inviter))?;
        Some(event.constant())
    };
    assert_eq!(told(CallEndReason::NoResponse, "alice"), Some("CALLING_TIMEOUT"));
    assert_eq!(told(CallEndReason::Reject, "alice"), None);
    for reason in (0..10).map(|n| CallEndReason::try_from(n).unwrap()) {
        assert_eq!(told(reason, "bob"), None, "{reason:?}");
        if !matches!(reason, CallEndReason::NoResponse | CallEndReason::Reject) {
            assert_eq!(told(reason, "alice"), Some("CALLING_CANCEL"), "{reason:?}");
        }
    }
}

#[test]
fn every_kind_of_event_has_a_sample() {
    // The enumeration's own list of names, from its refusal of another one.
    let error = serde_json::from_value::<Event>(json!({"event": "?"})).unwrap_err().to_string();
    let known: BTreeSet<&str> = error.split('`').skip(3).step_by(2).collect();
    let all: Vec<Value> = samples().iter().map(|event| serde_json::to_value(event).unwrap()).collect();
    let sampled: BTreeSet<&str> = all.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(sampled, known);
}

fn page() -> String {
    let mut text = PREFACE.to_owned();
    let older = Older::new(user("bob"));
    let mut names = BTreeSet::new();
    for event in samples() {
        let json = serde_json::to_value(&event).unwrap();
        let name = json["event"].as_str().unwrap().to_owned();
        let mut told = Vec::new();
        for reason in [CallEndReason::NoResponse, CallEndReason::Canceled] {
            let mut event = event.clone();
            if let Event::OnCallCancelled { reason: why, .. } = &mut event {
                *why = reason;
            }
            if let Some(event) = older.tell(&event) {
                let json = serde_json::to_value(&event).unwrap();
                let line =
                    format!("{} `{}`: {}", event.constant(), json["event"].as_str().unwrap(), listed(&fields(&json)));
                if !told.contains(&line) {
                    told.push(line);
                }
            }
        }
        if !names.insert(name.clone()) {
            continue;
        }
        let newer = match (event.is_older_only(), NEWER.iter().find(|(known, _)| *known == name)) {
            (true, _) => "–".to_owned(),
            (false, Some((_, documented))) => {
                let extra: Vec<_> = fields(&json).into_iter().filter(|f| !documented.contains(&f.as_str())).collect();
                let documented: Vec<String> = documented.iter().map(|f| (*f).to_owned()).collect();
                let beyond =
                    if extra.is_empty() { String::new() } else { format!("; beyond the page: {}", listed(&extra)) };
                format!("`{name}`: {}{beyond}", listed(&documented))
            }
            (false, None) => format!("`{name}` (not on the page): {}", listed(&fields(&json))),
        };
        let told = if told.is_empty() { "–".to_owned() } else { told.join("<br>") };
        writeln!(text, "| {newer} | {told} | {} |", meaning(&event)).unwrap();
    }
    text
}

const PREFACE: &str = "# Every event, in both vocabularies

Written by `UPDATE_DOCS=1 cargo test -p protocol --test events` from the types in `crates/protocol/src/event.rs` and
`vocabulary.rs`; a test fails when it differs. The engine reports one typed stream; `ahoy-headless --vocabulary old`
prints it in the words of the older page. Who receives what in which order is the executable table under
`crates/call/tests/table/`; [behaviour.md](behaviour.md) has it in short.

Newer page: `callMediaType` 0 voice, 1 video; `callRole` 0 unknown, 1 caller, 2 called; `roomId` is
`{intRoomId, strRoomId}`; `volumeMap` by user id; `reason` is `CallEndReason` (0 unknown, 1 hang-up, 2 rejected, 3 no
answer, 4 offline, 5 busy, 6 cancelled, 7 answered on another device, 8 rejected on another device, 9 ended by the
server), `userId` beside it who caused it, `inviterId` who invited this user.

Older page: kinds of a call are 1 voice, 2 video; roles are `inviter` and `invitee`; `roomID` is a number or a text;
`sponsor` is who invited this user; `volumeMap` is a list of `{userId, audioVolume}`. At the caller of an unanswered call it
has REJECT, NO_RESP and LINE_BUSY alone; CALLING_TIMEOUT and CALLING_CANCEL are for the one who was called.

| newer page | older page | when, and who gets it |
|---|---|---|
";

#[test]
fn the_page_about_events_says_what_the_code_does() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/events.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, page()).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default().replace("\r\n", "\n");
    assert_eq!(written, page(), "UPDATE_DOCS=1 cargo test -p protocol --test events writes it anew");
}
