//! The wire: what each frame looks like, what is refused how, and that nothing makes the parsers fall over.
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test that is surprised fails")]

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use protocol::message::{
    CLIENT_FRAME_LIMIT, ClientMessage, Hello, PlaceCall, Push, Reply, Request, Resume, RoomAccess, ServerMessage,
    Ticket, Unreadable, Welcome,
};
use protocol::{
    CallEndReason, CallId, CallMediaType, CallRole, Code, DeviceId, ExitReason, Refusal, RoomId, UnixMillis, UserId,
};
use serde_json::{Value, json};

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

fn request() -> impl Strategy<Value = Request> {
    prop_oneof![
        place().prop_map(Request::Call),
        call().prop_map(|call_id| Request::Accept { call_id }),
        call().prop_map(|call_id| Request::Reject { call_id }),
        call().prop_map(|call_id| Request::Ignore { call_id }),
        call().prop_map(|call_id| Request::Hangup { call_id }),
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
        (call(), user(), vec(user(), 1..9), media(), "\\PC{0,60}", room(), any::<u64>()).prop_map(
            |(call_id, caller_id, callee_id_list, call_media_type, user_data, room_id, until)| Push::Invited {
                call_id,
                caller_id,
                callee_id_list,
                group_id: String::new(),
                call_media_type,
                user_data,
                room_id,
                ring_until: UnixMillis(until),
            }
        ),
        (call(), room(), media(), any::<u64>(), vec(user(), 0..9), vec(user(), 0..9), access()).prop_map(
            |(call_id, room_id, call_media_type, at, members, ringing, access)| Push::Begun {
                call_id,
                room_id,
                call_media_type,
                call_role: CallRole::Caller,
                began_at: UnixMillis(at),
                members,
                ringing,
                access,
            }
        ),
        (call(), user()).prop_map(|(call_id, user_id)| Push::Ringing { call_id, user_id }),
        (call(), user()).prop_map(|(call_id, user_id)| Push::UserJoined { call_id, user_id }),
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
        ("[a-f0-9]{32}", any::<bool>(), any::<u64>(), any::<u64>()).prop_map(
            |(session, resumed, heartbeat_ms, now)| {
                ServerMessage::Welcome(Welcome { version: 1, session, resumed, heartbeat_ms, now: UnixMillis(now) })
            }
        ),
        (any::<u64>(), option::of(call()), option::of(room()), access()).prop_map(|(id, call_id, room_id, access)| {
            ServerMessage::Reply { id, answer: Reply { call_id, room_id, access, ring_until: None } }
        }),
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
