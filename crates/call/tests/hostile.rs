//! Requests of those who have no business in a call: each gets a code, and nothing changes for anybody.
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test that is surprised fails")]

use call::switchboard::{Change, Output, Settings, SignIn};
use call::{Call, Switchboard};
use proptest::prelude::*;
use protocol::message::{InviteUser, PlaceCall, Resume};
use protocol::{
    CallId, CallMediaType, DeviceId, Profile, RecordFilter, Request, RoomId, ServerMessage, UnixMillis, UserId,
};

const T0: UnixMillis = UnixMillis(1_000_000);

/// Connections of the three.
const ALICE: u64 = 1;
const BOB: u64 = 2;
const MALLORY: u64 = 3;

fn user(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

fn wish(callees: &[&str]) -> PlaceCall {
    PlaceCall {
        callee_id_list: callees.iter().map(|name| user(name)).collect(),
        call_media_type: CallMediaType::Video,
        user_data: String::new(),
        timeout: None,
        room_id: None,
        group_id: String::new(),
    }
}

fn drain(board: &mut Switchboard) -> Vec<Output> {
    std::iter::from_fn(|| board.poll_output()).collect()
}

fn hello(board: &mut Switchboard, conn: u64, name: &str, resume: Option<Resume>) {
    let device = DeviceId::new("desk").unwrap();
    let hello = SignIn { user: user(name), device, resume, ticket_expires: UnixMillis(u64::MAX) };
    board.handle_hello(conn, hello, T0);
}

/// Alice calls bob (and carol, who is known and away); `answered` says whether bob has accepted.
fn board(answered: bool, group: bool) -> (Switchboard, CallId) {
    let mut board = Switchboard::new(Settings::default(), [7; 32]);
    for (conn, name) in [(ALICE, "alice"), (BOB, "bob"), (MALLORY, "mallory"), (4, "carol")] {
        hello(&mut board, conn, name, None);
    }
    board.handle_closed(4, T0);
    let callees: &[&str] = if group { &["bob", "carol"] } else { &["bob"] };
    board.handle_request(ALICE, 1, Request::Call(wish(callees)), T0);
    let call_id = board.calls().next().unwrap().id().clone();
    if answered {
        board.handle_request(BOB, 1, Request::Accept { call_id: call_id.clone() }, T0);
    }
    drain(&mut board);
    board.take_changes();
    (board, call_id)
}

fn meddling(call_id: CallId) -> impl Strategy<Value = Request> {
    let call = move || call_id.clone();
    let (a, b, c, d, e, f, g, h) = (call(), call(), call(), call(), call(), call(), call(), call());
    prop_oneof![
        Just(Request::Accept { call_id: a }),
        Just(Request::Reject { call_id: b }),
        Just(Request::Ignore { call_id: c }),
        Just(Request::Hangup { call_id: d }),
        Just(Request::Join { call_id: e }),
        Just(Request::RoomAccess { call_id: f }),
        any::<bool>().prop_map(move |video| Request::SwitchCallMediaType {
            call_id: g.clone(),
            call_media_type: if video { CallMediaType::Video } else { CallMediaType::Voice },
        }),
        any::<bool>().prop_map(move |add_person| Request::InviteUser(InviteUser {
            call_id: h.clone(),
            callee_id_list: vec![user("carol")],
            user_data: String::new(),
            timeout: None,
            add_person,
        })),
    ]
}

fn calls(board: &Switchboard) -> Vec<Call> {
    board.calls().cloned().collect()
}

proptest! {
    #[test]
    fn a_stranger_to_a_call_gets_a_code_and_changes_nothing(
        answered in any::<bool>(),
        group in any::<bool>(),
        requests in prop::collection::vec(any::<prop::sample::Index>(), 1..12).prop_flat_map(|picks| {
            let (_, call_id) = board(false, false);
            prop::collection::vec(meddling(call_id), picks.len())
        }),
    ) {
        // Names of calls derive from the seed: it is the same call.
        let (mut board, _) = board(answered, group);
        let before = calls(&board);
        for (id, request) in (1..).zip(requests) {
            board.handle_request(MALLORY, id, request, T0);
            for output in drain(&mut board) {
                let refused = matches!(
                    &output,
                    Output::Send { conn: MALLORY, message: ServerMessage::Error { id: Some(of), .. }, access: None } if *of == id
                );
                prop_assert!(refused, "{output:?}");
            }
            prop_assert_eq!(calls(&board), before.clone());
            let changes = board.take_changes();
            prop_assert!(changes.iter().all(|change| matches!(change, Change::Session(..))), "{changes:?}");
        }
    }

    /// Whatever anybody sends in whatever order: nothing panics, nobody is in two calls, and time lets every ring end.
    #[test]
    fn any_order_of_requests_leaves_a_sound_book(
        steps in prop::collection::vec((1u64..4, 0u64..12, any::<u8>(), any::<bool>()), 1..60),
    ) {
        let (mut board, first) = board(false, true);
        let mut now = T0;
        for (conn, id, kind, flag) in steps {
            let latest = board.calls().last().map_or_else(|| first.clone(), |call| call.id().clone());
            let call_id = if flag { latest } else { first.clone() };
            let request = match kind % 16 {
                0 => Request::Call(wish(&["alice", "carol"])),
                1 => Request::Call(wish(&["bob"])),
                2 => Request::Accept { call_id },
                3 => Request::Reject { call_id },
                4 => Request::Ignore { call_id },
                5 => Request::Hangup { call_id },
                6 => Request::Join { call_id },
                7 => Request::InviteUser(InviteUser {
                    call_id,
                    callee_id_list: vec![user("mallory")],
                    user_data: String::new(),
                    timeout: Some(1),
                    add_person: flag,
                }),
                8 => Request::SwitchCallMediaType { call_id, call_media_type: CallMediaType::Voice },
                9 => Request::SetSelfInfo(Profile::default()),
                10 => Request::EnableMultiDeviceAbility { enable: flag },
                11 => Request::QueryRecentCalls(RecordFilter::default()),
                12 => Request::DeleteRecordCalls { call_id_list: vec![call_id] },
                13 => Request::EnterRoom { room_id: RoomId::number(5).unwrap(), rejoin: flag, private_map_key: None },
                14 => Request::RoomAccess { call_id },
                _ => {
                    board.handle_ack(conn, id, now);
                    continue;
                }
            };
            board.handle_request(conn, id, request, now);
            now = UnixMillis(now.0 + u64::from(kind));
            board.handle_timeout(now);
            let mut busy = std::collections::BTreeSet::new();
            for call in board.calls() {
                for party in call.parties().iter().filter(|party| party.is_in() || party.is_ringing()) {
                    prop_assert!(busy.insert(party.user.clone()), "{} is in two calls", party.user);
                }
            }
            drain(&mut board);
            board.take_changes();
        }
        board.handle_timeout(UnixMillis(now.0 + 700_000));
        prop_assert!(!board.calls().any(|call| call.parties().iter().any(call::call::Party::is_ringing)));
    }
}

#[test]
fn a_session_of_somebody_else_cannot_be_taken_over() {
    let (mut board, _) = board(true, false);
    // Nobody is signed in by this name: else the guess would pass for an earlier run of that device, and be kicked.
    hello(&mut board, 9, "eve", Some(Resume { session: "guessed".to_owned(), last_seq: 3 }));
    let welcomed = drain(&mut board).into_iter().any(|output| {
        matches!(output, Output::Send { conn: 9, message: ServerMessage::Welcome(welcome), .. } if !welcome.resumed)
    });
    assert!(welcomed);
}
