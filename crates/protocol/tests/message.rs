//! The wire: what each frame looks like, what is refused how, and that nothing makes the parsers fall over.
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test that is surprised fails")]

mod replay;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use protocol::message::{
    CLIENT_FRAME_LIMIT, ClientMessage, Hello, InviteUser, PlaceCall, Reply, Request, Resume, RoomAccess,
    SERVER_FRAME_LIMIT, ServerMessage, Ticket, USER_DATA_LIMIT, Unreadable, Welcome,
};
use protocol::profile::{AVATAR_LIMIT, NICKNAME_LIMIT};
use protocol::{
    CallCard, CallEndReason, CallId, CallMediaType, CallRecord, CallRole, CallScene, Code, DeviceId, ExitReason,
    Profile, Push, RecordCursor, RecordFilter, RecordResult, Refusal, RoomId, UnixMillis, UserId,
};
use replay::read;
use serde_json::{Value, json};
use std::collections::BTreeMap;

fn user() -> impl Strategy<Value = UserId> {
    "[A-Za-z0-9_-]{1,32}".prop_map(|text| UserId::new(text).unwrap())
}

fn call() -> impl Strategy<Value = CallId> {
    "[a-z0-9]{1,64}".prop_map(|text| CallId::new(text).unwrap())
}

fn room() -> impl Strategy<Value = RoomId> {
    prop_oneof![
        (1u32..u32::MAX).prop_map(|n| RoomId::number(n).unwrap()),
        "[a-z !#$%&()+:;<=.>?@^_{}|~,-]{1,64}".prop_map(|text| RoomId::text(text).unwrap()),
    ]
}

fn media() -> impl Strategy<Value = CallMediaType> {
    prop_oneof![Just(CallMediaType::Voice), Just(CallMediaType::Video)]
}

fn reason() -> impl Strategy<Value = CallEndReason> {
    (0u8..10).prop_map(|n| CallEndReason::try_from(n).unwrap())
}

fn access() -> impl Strategy<Value = Option<RoomAccess>> {
    option::of(("\\PC{0,40}", "\\PC{0,40}").prop_map(|(url, token)| RoomAccess { url, token }))
}

fn place() -> impl Strategy<Value = PlaceCall> {
    (vec(user(), 1..9), media(), "\\PC{0,60}", option::of(1u32..600), option::of(room()), "\\PC{0,20}").prop_map(
        |(callee_id_list, call_media_type, user_data, timeout, room_id, group_id)| PlaceCall {
            callee_id_list,
            call_media_type,
            user_data,
            timeout,
            room_id,
            group_id,
        },
    )
}

fn profile() -> impl Strategy<Value = Profile> {
    ("\\PC{0,20}", "\\PC{0,20}").prop_map(|(nickname, avatar)| Profile { nickname, avatar })
}

fn profiles() -> impl Strategy<Value = BTreeMap<UserId, Profile>> {
    prop::collection::btree_map(user(), profile(), 0..4)
}

fn invitation() -> impl Strategy<Value = InviteUser> {
    (call(), vec(user(), 1..9), "\\PC{0,60}", option::of(1u32..600), any::<bool>()).prop_map(
        |(call_id, callee_id_list, user_data, timeout, add_person)| InviteUser {
            call_id,
            callee_id_list,
            user_data,
            timeout,
            add_person,
        },
    )
}

fn cursor() -> impl Strategy<Value = RecordCursor> {
    (any::<u64>(), call()).prop_map(|(at, call_id)| RecordCursor { begin_time: UnixMillis(at), call_id })
}

fn filter() -> impl Strategy<Value = RecordFilter> {
    let time = || option::of(any::<u64>().prop_map(UnixMillis));
    let kind = option::of((0u8..4).prop_map(|n| RecordResult::try_from(n).unwrap()));
    (time(), time(), kind, option::of(any::<u32>()), option::of(cursor()))
        .prop_map(|(begin, end, result_type, limit, cursor)| RecordFilter { begin, end, result_type, limit, cursor })
}

fn record() -> impl Strategy<Value = CallRecord> {
    let kinds = (media(), reason(), 0u8..4, 0u8..3, 0u8..4);
    (call(), user(), vec(user(), 1..9), room(), any::<u64>(), any::<u64>(), kinds).prop_map(
        |(call_id, inviter, invite_list, room_id, at, total_time, (media_type, reason, scene, role, result))| {
            CallRecord {
                call_id,
                inviter,
                invite_list,
                scene: CallScene::try_from(scene).unwrap(),
                media_type,
                group_id: String::new(),
                role: CallRole::try_from(role).unwrap(),
                result: RecordResult::try_from(result).unwrap(),
                begin_time: UnixMillis(at),
                total_time,
                reason,
                room_id,
            }
        },
    )
}

fn card() -> impl Strategy<Value = CallCard> {
    (call(), user(), media(), vec(user(), 1..9), any::<u64>(), profiles()).prop_map(
        |(call_id, caller_id, call_media_type, members, at, profiles)| CallCard {
            call_id,
            caller_id,
            call_media_type,
            group_id: String::new(),
            members,
            began_at: UnixMillis(at),
            profiles,
        },
    )
}

fn request() -> impl Strategy<Value = Request> {
    prop_oneof![
        place().prop_map(Request::Call),
        call().prop_map(|call_id| Request::Accept { call_id }),
        call().prop_map(|call_id| Request::Reject { call_id }),
        call().prop_map(|call_id| Request::Ignore { call_id }),
        call().prop_map(|call_id| Request::Hangup { call_id }),
        invitation().prop_map(Request::InviteUser),
        call().prop_map(|call_id| Request::Join { call_id }),
        (call(), media())
            .prop_map(|(call_id, call_media_type)| Request::SwitchCallMediaType { call_id, call_media_type }),
        profile().prop_map(Request::SetSelfInfo),
        any::<bool>().prop_map(|enable| Request::EnableMultiDeviceAbility { enable }),
        filter().prop_map(Request::QueryRecentCalls),
        vec(call(), 0..9).prop_map(|call_id_list| Request::DeleteRecordCalls { call_id_list }),
        call().prop_map(|call_id| Request::RoomAccess { call_id }),
        (room(), any::<bool>(), option::of("[ -~]{0,300}")).prop_map(|(room_id, rejoin, key)| {
            Request::EnterRoom { room_id, rejoin, private_map_key: key.map(Ticket) }
        }),
        room().prop_map(|room_id| Request::LeaveRoom { room_id }),
        "\\PC{0,60}".prop_map(|sig| Request::RenewTicket { user_sig: Ticket(sig) }),
        Just(Request::SignOut {}),
    ]
}

fn hello() -> impl Strategy<Value = Hello> {
    let resume = option::of(("[a-f0-9]{1,32}", any::<u64>())).prop_map(|resume| {
        let (session, last_seq) = resume?;
        Some(Resume { session, last_seq })
    });
    (vec(any::<u32>(), 0..4), "\\PC{0,20}", option::of(any::<u64>()), "\\PC{0,40}", "\\PC{0,99}", "[a-z]{1,9}", resume)
        .prop_map(|(versions, client, sdk_app_id, user_id, user_sig, device, resume)| Hello {
            versions,
            client,
            sdk_app_id,
            user_id,
            user_sig,
            device_id: DeviceId::new(device).unwrap(),
            resume,
        })
}

fn client_message() -> impl Strategy<Value = ClientMessage> {
    prop_oneof![
        hello().prop_map(ClientMessage::Hello),
        (any::<u64>(), request()).prop_map(|(id, request)| ClientMessage::Request { id, request }),
        any::<u64>().prop_map(|seq| ClientMessage::Ack { seq }),
        Just(ClientMessage::Ping {}),
        Just(ClientMessage::Pong {}),
    ]
}

fn push() -> impl Strategy<Value = Push> {
    let by = || option::of("\\PC{0,30}");
    prop_oneof![
        (call(), user(), vec(user(), 1..9), media(), "\\PC{0,60}", room(), any::<u64>(), profiles()).prop_map(
            |(call_id, caller_id, callee_id_list, call_media_type, user_data, room_id, until, profiles)| {
                Push::Invited {
                    call_id,
                    caller_id,
                    callee_id_list,
                    group_id: String::new(),
                    call_media_type,
                    user_data,
                    room_id,
                    ring_until: UnixMillis(until),
                    is_group: true,
                    profiles,
                }
            }
        ),
        (call(), room(), media(), any::<u64>(), vec(user(), 0..9), vec(user(), 0..9), access(), profiles()).prop_map(
            |(call_id, room_id, call_media_type, at, members, ringing, access, profiles)| Push::Begun {
                call_id,
                room_id,
                call_media_type,
                call_role: CallRole::Caller,
                began_at: UnixMillis(at),
                ringing_until: ringing.iter().map(|user| (user.clone(), UnixMillis(at))).collect(),
                is_group: false,
                inviter_id: members.first().cloned(),
                members,
                ringing,
                profiles,
                access,
            }
        ),
        (call(), user()).prop_map(|(call_id, user_id)| Push::Ringing { call_id, user_id }),
        (call(), user()).prop_map(|(call_id, user_id)| Push::UserAccepted { call_id, user_id }),
        (call(), user()).prop_map(|(call_id, user_id)| Push::RingEnded { call_id, user_id }),
        (call(), user(), any::<u64>(), option::of(profile())).prop_map(|(call_id, user_id, until, profile)| {
            Push::UserInviting { call_id, user_id, ring_until: UnixMillis(until), profile }
        }),
        (call(), media(), media()).prop_map(|(call_id, old_call_media_type, new_call_media_type)| {
            Push::MediaTypeChanged { call_id, old_call_media_type, new_call_media_type }
        }),
        (call(), user(), profile()).prop_map(|(call_id, user_id, profile)| Push::UserInfo {
            call_id,
            user_id,
            profile
        }),
        (call(), user(), option::of(profile())).prop_map(|(call_id, user_id, profile)| Push::UserJoined {
            call_id,
            user_id,
            profile
        }),
        (call(), user(), reason()).prop_map(|(call_id, user_id, reason)| Push::UserLeft { call_id, user_id, reason }),
        (call(), user()).prop_map(|(call_id, user_id)| Push::UserRejected { call_id, user_id }),
        (call(), user()).prop_map(|(call_id, user_id)| Push::UserNoResponse { call_id, user_id }),
        (call(), user()).prop_map(|(call_id, user_id)| Push::UserLineBusy { call_id, user_id }),
        (call(), user(), reason(), user(), user()).prop_map(|(call_id, caller_id, reason, user_id, inviter_id)| {
            Push::Cancelled { call_id, caller_id, reason, user_id, inviter_id }
        }),
        (call(), room(), media(), any::<u64>(), reason(), user(), user()).prop_map(
            |(call_id, room_id, call_media_type, total_time, reason, user_id, inviter_id)| Push::Ended {
                call_id,
                room_id,
                call_media_type,
                call_role: CallRole::Called,
                total_time,
                reason,
                user_id,
                inviter_id,
            }
        ),
        (room(), by()).prop_map(|(room_id, by)| Push::RoomExit { room_id, reason: ExitReason::Removed, by }),
        Just(Push::Unknown),
    ]
}

fn server_message() -> impl Strategy<Value = ServerMessage> {
    let refusal = (any::<i32>(), "\\PC{0,60}").prop_map(|(code, message)| Refusal { code, message });
    prop_oneof![
        ("[a-f0-9]{32}", any::<bool>(), any::<u64>(), any::<u64>(), profile(), any::<bool>()).prop_map(
            |(session, resumed, heartbeat_ms, now, profile, multi_device)| {
                let now = UnixMillis(now);
                let version = 1;
                ServerMessage::Welcome(Welcome { version, session, resumed, heartbeat_ms, now, profile, multi_device })
            }
        ),
        (any::<u64>(), option::of(call()), option::of(room()), access()).prop_map(|(id, call_id, room_id, access)| {
            ServerMessage::Reply { id, answer: Reply { call_id, room_id, access, ..Reply::default() } }
        }),
        (any::<u64>(), vec(record(), 0..3), option::of(cursor()), profiles()).prop_map(
            |(id, records, next, profiles)| {
                let answer = Reply { records: Some(records), next, profiles, ..Reply::default() };
                ServerMessage::Reply { id, answer }
            }
        ),
        vec(card(), 0..3).prop_map(|cards| ServerMessage::Cards { cards }),
        (option::of(any::<u64>()), refusal).prop_map(|(id, refusal)| ServerMessage::Error { id, refusal }),
        (any::<u64>(), push()).prop_map(|(seq, push)| ServerMessage::Event { seq, push }),
        Just(ServerMessage::Kicked {}),
        Just(ServerMessage::TicketExpired {}),
        Just(ServerMessage::Ping {}),
        Just(ServerMessage::Pong {}),
    ]
}

proptest! {
    #[test]
    fn every_client_message_comes_back(message in client_message()) {
        prop_assert_eq!(ClientMessage::parse(&message.to_text()), Ok(message));
    }

    #[test]
    fn every_server_message_comes_back(message in server_message()) {
        prop_assert_eq!(ServerMessage::parse(&message.to_text()), Ok(message));
    }

    #[test]
    fn fields_of_a_later_version_are_ignored(message in client_message(), name in "x[a-z]{1,9}", value in any::<i64>()) {
        let mut json: Value = serde_json::from_str(&message.to_text()).unwrap();
        json[name] = json!(value);
        prop_assert_eq!(ClientMessage::parse(&json.to_string()), Ok(message));
    }

    #[test]
    fn no_text_makes_the_parsers_panic(text in "\\PC{0,300}") {
        let _ = (ClientMessage::parse(&text), ServerMessage::parse(&text));
    }

    #[test]
    fn no_damaged_frame_makes_the_parsers_panic(
        message in client_message(), at in any::<prop::sample::Index>(), with in any::<char>(),
    ) {
        let mut text: Vec<char> = message.to_text().chars().collect();
        let at = at.index(text.len());
        text[at] = with;
        let _ = ClientMessage::parse(&text.iter().collect::<String>());
    }
}

fn refused(frame: &str) -> (Option<u64>, Code) {
    let Unreadable { id, refusal } = ClientMessage::parse(frame).unwrap_err();
    (id, refusal.known().unwrap())
}

#[test]
fn what_cannot_be_read_is_answered_by_its_kind_of_fault() {
    assert_eq!(refused(""), (None, Code::Undecodable));
    assert_eq!(refused("[1]"), (None, Code::Undecodable));
    assert_eq!(refused("{\"type\":5}"), (None, Code::Undecodable));
    assert_eq!(refused(&"[".repeat(10_000)), (None, Code::Undecodable));
    assert_eq!(refused(r#"{"type":"dance"}"#), (None, Code::UnknownCommand));
    assert_eq!(refused(r#"{"type":"request","id":7,"method":"dance"}"#), (Some(7), Code::UnknownCommand));
    assert_eq!(refused(r#"{"type":"request","id":7}"#), (Some(7), Code::UnknownCommand));
    assert_eq!(refused(r#"{"type":"request","id":7,"method":"accept"}"#), (Some(7), Code::BadParameter));
    let bad_id = r#"{"type":"request","id":7,"method":"accept","params":{"callId":"a b"}}"#;
    assert_eq!(refused(bad_id), (Some(7), Code::BadParameter));
    let too_large = format!(r#"{{"type":"ping","x":"{}"}}"#, "x".repeat(CLIENT_FRAME_LIMIT));
    assert_eq!(refused(&too_large), (None, Code::Undecodable));
}

#[test]
fn an_event_of_a_newer_server_keeps_its_number() {
    let parsed = ServerMessage::parse(r#"{"type":"event","seq":9,"event":"fireworks","callId":"c"}"#);
    assert_eq!(parsed, Ok(ServerMessage::Event { seq: 9, push: Push::Unknown }));
}

#[test]
fn frames_look_as_documented() {
    let call_id = CallId::new("c1").unwrap();
    let accept = ClientMessage::Request { id: 3, request: Request::Accept { call_id: call_id.clone() } };
    let expected = json!({"type": "request", "id": 3, "method": "accept", "params": {"callId": "c1"}});
    assert_eq!(serde_json::to_value(accept).unwrap(), expected);

    let error = ServerMessage::Error { id: Some(3), refusal: Code::WrongState.into() };
    let expected = json!({"type": "error", "id": 3, "code": -1203, "message": "This is not possible right now."});
    assert_eq!(serde_json::to_value(error).unwrap(), expected);

    let alice = UserId::new("alice").unwrap();
    let ended = Push::Ended {
        call_id,
        room_id: RoomId::number(5).unwrap(),
        call_media_type: CallMediaType::Video,
        call_role: CallRole::Called,
        total_time: 12,
        reason: CallEndReason::Hangup,
        user_id: alice.clone(),
        inviter_id: alice,
    };
    let expected = json!({
        "type": "event", "seq": 4, "event": "ended", "callId": "c1", "roomId": {"intRoomId": 5, "strRoomId": ""},
        "callMediaType": 1, "callRole": 2, "totalTime": 12, "reason": 1, "userId": "alice", "inviterId": "alice",
    });
    assert_eq!(serde_json::to_value(ServerMessage::Event { seq: 4, push: ended }).unwrap(), expected);
}

#[test]
fn tickets_and_tokens_stay_out_of_debug_output() {
    let secret = "s3cr3t";
    let hello = Hello {
        versions: vec![1],
        client: String::new(),
        sdk_app_id: None,
        user_id: "alice".to_owned(),
        user_sig: secret.to_owned(),
        device_id: DeviceId::new("d").unwrap(),
        resume: None,
    };
    let access = RoomAccess { url: String::new(), token: secret.to_owned() };
    let shown = format!("{hello:?} {access:?} {:?}", Ticket(secret.to_owned()));
    assert!(!shown.contains(secret) && !shown.contains("alice"), "{shown}");
}

#[test]
fn the_largest_invitation_fits_into_a_frame() {
    let user = |n: u32| UserId::new(format!("{n:032}")).unwrap();
    // What escaping makes longest: control characters in the user data, quotes in names.
    let profile = Profile { nickname: "\"".repeat(NICKNAME_LIMIT), avatar: "a".repeat(AVATAR_LIMIT) };
    let invited = Push::Invited {
        call_id: CallId::new("c".repeat(64)).unwrap(),
        caller_id: user(0),
        callee_id_list: (1..9).map(user).collect(),
        group_id: "\u{1}".repeat(64),
        call_media_type: CallMediaType::Video,
        user_data: "\u{1}".repeat(USER_DATA_LIMIT),
        room_id: RoomId::text("~".repeat(64)).unwrap(),
        ring_until: UnixMillis(u64::MAX),
        is_group: true,
        profiles: (0..9).map(|n| (user(n), profile.clone())).collect(),
    };
    let text = ServerMessage::Event { seq: u64::MAX, push: invited }.to_text();
    assert!(text.len() < SERVER_FRAME_LIMIT, "{}", text.len());
    assert!(ServerMessage::parse(&text).is_ok());
}

#[test]
fn a_profile_is_one_line_and_the_address_of_a_picture() {
    let profile = |nickname: &str, avatar: &str| Profile { nickname: nickname.to_owned(), avatar: avatar.to_owned() };
    let good = [
        profile("", ""),
        profile(&"x".repeat(NICKNAME_LIMIT), "https://example.org/a.png"),
        profile("Zoë 🎈", "http://x"),
    ];
    for profile in good {
        assert_eq!(profile.check(), Ok(()), "{profile:?}");
    }
    let bad = [
        profile(&"x".repeat(NICKNAME_LIMIT + 1), ""),
        profile(&"ë".repeat(NICKNAME_LIMIT / 2 + 1), ""),
        profile("two\nlines", ""),
        profile("", "javascript:alert(1)"),
        profile("", "https://example.org/a b"),
        profile("", &format!("https://{}", "x".repeat(AVATAR_LIMIT))),
    ];
    for profile in bad {
        assert_eq!(profile.check().unwrap_err().known(), Some(Code::BadParameter), "{profile:?}");
    }
}

/// Frames that once were, or might be, trouble.
fn corpus() -> Vec<(String, Vec<u8>)> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/frames");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.map(|path| (path.display().to_string(), std::fs::read(&path).unwrap())).collect()
}

#[test]
fn the_corpus_does_no_harm() {
    let corpus = corpus();
    assert!(corpus.len() >= 30, "{}", corpus.len());
    for (_, bytes) in corpus {
        read(&bytes);
    }
}

/// `FUZZ_ROUNDS` raises the number; a crash is kept by adding its bytes to the corpus.
#[test]
fn mutations_of_the_corpus_do_no_harm() {
    let rounds: u64 = std::env::var("FUZZ_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(20_000);
    let corpus = corpus();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut dice = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % (below.max(1) as u64)).unwrap()
    };
    const PIECES: [&str; 12] = ["{", "}", "[", "]", "\"", ",", ":", "null", "-1", "\\u0000", "\"callId\":", "1e9"];
    for _ in 0..rounds {
        let mut bytes = corpus[dice(corpus.len())].1.clone();
        for _ in 0..1 + dice(4) {
            let at = dice(bytes.len() + 1);
            match dice(5) {
                0 if at < bytes.len() => bytes[at] ^= 1 << dice(8),
                1 => bytes.truncate(at),
                2 => {
                    let piece = PIECES[dice(PIECES.len())];
                    bytes.splice(at..at, piece.bytes());
                }
                3 => {
                    let other = &corpus[dice(corpus.len())].1;
                    let from = dice(other.len() + 1);
                    bytes.splice(at..at, other[from..].iter().copied());
                }
                _ if at < bytes.len() => {
                    bytes.remove(at);
                }
                _ => {}
            }
        }
        read(&bytes);
    }
}

/// Every name that can be in a frame, in both directions.
fn names(value: &Value, found: &mut std::collections::BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                // Maps by user id have names of people for keys.
                let by_user = ["profiles", "ringingUntil"].contains(&key.as_str());
                found.insert(key.clone());
                if let (true, Value::Object(people)) = (by_user, value) {
                    people.values().for_each(|value| names(value, found));
                } else {
                    names(value, found);
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| names(item, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn the_page_about_the_protocol_names_every_type_method_event_and_field() {
    use prop::strategy::ValueTree as _;
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/protocol.md");
    let page = std::fs::read_to_string(page).unwrap();
    let mut runner = prop::test_runner::TestRunner::deterministic();
    let mut found = std::collections::BTreeSet::new();
    for _ in 0..2_000 {
        let frames = [
            serde_json::to_value(client_message().new_tree(&mut runner).unwrap().current()).unwrap(),
            serde_json::to_value(server_message().new_tree(&mut runner).unwrap().current()).unwrap(),
        ];
        for frame in frames {
            for kind in ["type", "method", "event"] {
                found.extend(frame[kind].as_str().filter(|name| *name != "unknown").map(str::to_owned));
            }
            names(&frame, &mut found);
        }
    }
    assert!(found.len() > 90, "{found:?}");
    let missing: Vec<_> = found
        .iter()
        .filter(|name| !page.contains(&format!("`{name}`")) && !page.contains(&format!("\"{name}\"")))
        .collect();
    assert!(missing.is_empty(), "docs/protocol.md does not speak of {missing:?}");
}
