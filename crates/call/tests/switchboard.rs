//! The switchboard alone: sessions, tickets, tokens and limits.
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test that is surprised fails")]

mod board;

use board::{T0, board, codes, drain, hello, place, sign_in, user};
use call::Switchboard;
use call::switchboard::{Output, RoomsEvent, SESSION_TTL, SignIn, TICKET_GRACE};
use protocol::message::{PlaceCall, Reply, Resume, SERVER_FRAME_LIMIT};
use protocol::{Code, DeviceId, Profile, Push, Request, ServerMessage, UnixMillis};
use std::time::Duration;

#[test]
fn a_request_sent_twice_is_carried_out_once_and_answered_twice_alike() {
    let mut board = board();
    sign_in(&mut board, 1, "alice");
    sign_in(&mut board, 2, "bob");
    board.handle_request(1, 1, place(&["bob"]), T0);
    let (first, _) = drain(&mut board);
    board.handle_request(1, 1, place(&["bob"]), T0);
    let (again, _) = drain(&mut board);
    assert_eq!(again, [first[0].clone()]);
    assert_eq!(board.calls().count(), 1);
}

#[test]
fn the_way_into_the_room_goes_to_members_only_and_only_while_they_are() {
    let mut board = board();
    let alice = sign_in(&mut board, 1, "alice");
    let bob = sign_in(&mut board, 2, "bob");
    board.handle_request(1, 1, place(&["bob"]), T0);
    let (sent, rest) = drain(&mut board);
    let ServerMessage::Reply { answer: Reply { call_id: Some(call_id), room_id: Some(room), .. }, .. } = &sent[0].1
    else {
        panic!("{sent:?}");
    };
    assert!(sent[0].2, "the caller may connect while it rings");
    assert!(matches!(&sent[1], (2, ServerMessage::Event { push: Push::Invited { .. }, .. }, false)));
    assert_eq!(rest, [Output::OpenRoom(room.clone())]);
    // Not yet for the callee.
    board.handle_request(2, 1, Request::RoomAccess { call_id: call_id.clone() }, T0);
    assert_eq!(codes(&drain(&mut board).0), [-1203]);
    board.handle_request(2, 2, Request::Accept { call_id: call_id.clone() }, T0);
    let (sent, _) = drain(&mut board);
    let begun = sent
        .iter()
        .filter(|(_, message, way)| *way && matches!(message, ServerMessage::Event { push: Push::Begun { .. }, .. }));
    assert_eq!(begun.count(), 2);
    board.handle_request(2, 3, Request::RoomAccess { call_id: call_id.clone() }, T0);
    assert!(drain(&mut board).0[0].2);
    board.handle_request(1, 2, Request::Hangup { call_id: call_id.clone() }, T0);
    let (_, rest) = drain(&mut board);
    let released = |name: &str| Output::Release { room: room.clone(), user: user(name) };
    assert_eq!(rest, [released("alice"), released("bob")]);
    // Replayed after the end, the same events open nothing any more.
    board.handle_closed(1, T0);
    board.handle_closed(2, T0);
    for (conn, name, session) in [(3, "alice", alice), (4, "bob", bob)] {
        board.handle_hello(conn, hello(name, Some(Resume { session, last_seq: 0 }), UnixMillis(u64::MAX)), T0);
        let (sent, _) = drain(&mut board);
        assert!(sent.len() > 3 && sent.iter().all(|(_, _, way)| !way), "{sent:?}");
    }
}

#[test]
fn a_session_outlives_its_socket_for_a_while() {
    for (after, resumed) in [(SESSION_TTL - Duration::from_secs(1), true), (SESSION_TTL, false)] {
        let mut board = board();
        let session = sign_in(&mut board, 1, "alice");
        board.handle_closed(1, T0);
        board.handle_timeout(T0 + after);
        board.handle_hello(2, hello("alice", Some(Resume { session, last_seq: 0 }), UnixMillis(u64::MAX)), T0 + after);
        let (sent, _) = drain(&mut board);
        assert!(matches!(&sent[0].1, ServerMessage::Welcome(welcome) if welcome.resumed == resumed));
    }
}

#[test]
fn a_session_is_resumed_by_its_own_user_and_device_only() {
    let mut board = board();
    let session = sign_in(&mut board, 1, "alice");
    let resume = |last_seq| Some(Resume { session: session.clone(), last_seq });
    board.handle_hello(2, hello("bob", resume(0), UnixMillis(u64::MAX)), T0);
    let (sent, _) = drain(&mut board);
    assert!(matches!(&sent[0].1, ServerMessage::Welcome(welcome) if !welcome.resumed));
    // An acknowledgement of what was never sent is no session of this server either.
    board.handle_hello(3, hello("alice", resume(9), UnixMillis(u64::MAX)), T0);
    let (sent, _) = drain(&mut board);
    assert!(matches!(&sent[0].1, ServerMessage::Welcome(welcome) if !welcome.resumed));
}

#[test]
fn an_expired_ticket_is_told_once_and_then_ends_the_connection() {
    let mut board = board();
    let expires = T0 + Duration::from_secs(60);
    board.handle_hello(1, hello("alice", None, expires), T0);
    drain(&mut board);
    assert_eq!(board.poll_timeout(), Some(expires));
    board.handle_timeout(expires);
    assert_eq!(drain(&mut board).0, [(1, ServerMessage::TicketExpired {}, false)]);
    board.handle_request(1, 1, place(&["alice2"]), expires);
    assert_eq!(codes(&drain(&mut board).0), [-70001]);
    board.handle_timeout(expires + TICKET_GRACE);
    let (sent, rest) = drain(&mut board);
    assert_eq!((codes(&sent), rest), (vec![-70001], vec![Output::Close { conn: 1 }]));
}

#[test]
fn a_new_ticket_keeps_the_connection() {
    let mut board = board();
    let expires = T0 + Duration::from_secs(60);
    board.handle_hello(1, hello("alice", None, expires), T0);
    board.handle_timeout(expires);
    drain(&mut board);
    board.handle_ticket(1, 1, Err(Code::SigForged.into()), expires);
    assert_eq!(codes(&drain(&mut board).0), [-70009]);
    board.handle_ticket(1, 2, Ok(expires + Duration::from_secs(3600)), expires);
    assert!(matches!(drain(&mut board).0[0].1, ServerMessage::Reply { id: 2, .. }));
    board.handle_timeout(expires + TICKET_GRACE);
    assert_eq!(drain(&mut board), (vec![], vec![]));
}

#[test]
fn a_device_that_never_acknowledges_loses_its_session_and_not_the_server() {
    let mut board = board();
    sign_in(&mut board, 1, "alice");
    sign_in(&mut board, 2, "bob");
    for id in 0..200 {
        // Slowly enough for the limit of calls.
        let now = T0 + Duration::from_secs(id);
        board.handle_request(1, 2 * id + 1, place(&["bob"]), now);
        let (sent, rest) = drain(&mut board);
        if rest.contains(&Output::Close { conn: 2 }) {
            assert!(codes(&sent).contains(&Code::SessionGone.number()));
            return;
        }
        let Some((_, ServerMessage::Reply { answer, .. }, _)) = sent.first() else { panic!("{sent:?}") };
        let call_id = answer.call_id.clone().unwrap();
        board.handle_ack(1, u64::MAX, now);
        board.handle_request(1, 2 * id + 2, Request::Hangup { call_id }, now);
        drain(&mut board);
    }
    panic!("the outbox grows without end");
}

#[test]
fn nobody_places_calls_without_end() {
    let mut board = board();
    sign_in(&mut board, 1, "mallory");
    sign_in(&mut board, 2, "alice");
    sign_in(&mut board, 3, "bob");
    let mut next = 0;
    let mut code = |board: &mut Switchboard, conn, now| {
        next += 1;
        board.handle_request(conn, 2 * next, place(&["bob"]), now);
        let code = codes(&drain(board).0).first().copied();
        let call = board.calls().next().map(|call| call.id().clone());
        if let Some(call_id) = call {
            board.handle_request(conn, 2 * next + 1, Request::Hangup { call_id }, now);
            drain(board);
        }
        board.handle_ack(3, u64::MAX, now);
        board.handle_ack(conn, u64::MAX, now);
        code
    };
    for _ in 0..30 {
        assert_eq!(code(&mut board, 1, T0), None);
    }
    assert_eq!(code(&mut board, 1, T0), Some(-1401));
    assert_eq!(code(&mut board, 2, T0), None, "each user for themselves");
    let later = T0 + Duration::from_secs(1);
    let placed = (0..10).map(|_| code(&mut board, 1, later)).filter(Option::is_none).count();
    assert_eq!(placed, 5);
    let much_later = T0 + Duration::from_secs(3600);
    let placed = (0..40).map(|_| code(&mut board, 1, much_later)).filter(Option::is_none).count();
    assert_eq!(placed, 30);
    // The clock is set back.
    assert_eq!(code(&mut board, 1, T0), Some(-1401));
    assert_eq!(code(&mut board, 1, later), None);
}

#[test]
fn a_profile_said_again_is_told_to_nobody() {
    let mut board = board();
    sign_in(&mut board, 1, "alice");
    sign_in(&mut board, 2, "bob");
    board.handle_request(1, 1, place(&["bob"]), T0);
    let call_id = board.calls().next().unwrap().id().clone();
    board.handle_request(2, 1, Request::Accept { call_id }, T0);
    drain(&mut board);
    let profile = Profile { nickname: "Ally".to_owned(), avatar: String::new() };
    for (id, told) in [(2, 2), (3, 1)] {
        board.handle_request(1, id, Request::SetSelfInfo(profile.clone()), T0);
        let (sent, _) = drain(&mut board);
        assert_eq!(sent.len(), told, "{sent:?}");
        assert!(matches!(&sent[0], (1, ServerMessage::Reply { .. }, _)));
    }
}

#[test]
fn missed_room_events_are_made_up_for() {
    let mut board = board();
    sign_in(&mut board, 1, "alice");
    sign_in(&mut board, 2, "bob");
    board.handle_request(1, 1, place(&["bob"]), T0);
    let call = board.calls().next().unwrap();
    let (call_id, room) = (call.id().clone(), call.room().clone());
    board.handle_request(2, 1, Request::Accept { call_id }, T0);
    let all = [user("alice"), user("bob")].into_iter().map(|user| (room.clone(), user)).collect();
    board.handle_rooms_event(RoomsEvent::Present(all), T0);
    assert_eq!(board.poll_timeout(), Some(UnixMillis(u64::MAX)), "nobody is awaited any more");
    board.handle_rooms_event(RoomsEvent::Present(Default::default()), T0);
    assert!(board.poll_timeout().unwrap() < T0 + Duration::from_secs(60));
}

#[test]
fn a_room_that_cannot_be_made_ends_no_call_that_has_begun() {
    let mut board = board();
    sign_in(&mut board, 1, "alice");
    sign_in(&mut board, 2, "bob");
    board.handle_request(1, 1, place(&["bob"]), T0);
    let call = board.calls().next().unwrap();
    let (call_id, room) = (call.id().clone(), call.room().clone());
    board.handle_request(2, 1, Request::Accept { call_id }, T0);
    drain(&mut board);
    board.handle_rooms_event(RoomsEvent::Failed { room }, T0);
    assert!(drain(&mut board).0.is_empty());
    assert_eq!(board.calls().count(), 1);
}

#[test]
fn a_room_that_cannot_be_made_ends_the_call() {
    let mut board = board();
    sign_in(&mut board, 1, "alice");
    sign_in(&mut board, 2, "bob");
    board.handle_request(1, 1, place(&["bob"]), T0);
    let room = board.calls().next().unwrap().room().clone();
    drain(&mut board);
    board.handle_rooms_event(RoomsEvent::Failed { room }, T0);
    let (sent, _) = drain(&mut board);
    assert_eq!(board.calls().count(), 0);
    let cancelled = sent.iter().filter(|(_, message, _)| {
        matches!(message, ServerMessage::Event { push: Push::Cancelled { reason, .. }, .. } if u8::from(*reason) == 9)
    });
    assert_eq!(cancelled.count(), 2);
}

#[test]
fn an_earlier_process_of_the_same_device_that_comes_back_by_itself_puts_nobody_out() {
    let mut board = board();
    let old = sign_in(&mut board, 1, "alice");
    let new = sign_in(&mut board, 2, "alice");
    board.handle_closed(1, T0);
    let resume = Some(Resume { session: old, last_seq: 0 });
    board.handle_hello(3, hello("alice", resume, UnixMillis(u64::MAX)), T0);
    let (sent, rest) = drain(&mut board);
    assert_eq!(sent, [(3, ServerMessage::Kicked {}, false)]);
    assert_eq!(rest, [Output::Close { conn: 3 }]);
    // The newer process goes on.
    let resume = Some(Resume { session: new, last_seq: 0 });
    board.handle_hello(4, hello("alice", resume, UnixMillis(u64::MAX)), T0);
    assert!(matches!(&drain(&mut board).0[0].1, ServerMessage::Welcome(welcome) if welcome.resumed));
}

#[test]
fn a_device_that_slept_does_not_put_out_the_one_that_signed_in_since() {
    let mut board = board();
    let laptop = sign_in(&mut board, 1, "alice");
    board.handle_closed(1, T0);
    let phone =
        |resume| SignIn { device: DeviceId::new("phone").unwrap(), ..hello("alice", resume, UnixMillis(u64::MAX)) };
    board.handle_hello(2, phone(None), T0);
    let (sent, _) = drain(&mut board);
    let ServerMessage::Welcome(welcome) = &sent[0].1 else { panic!("{sent:?}") };
    let resume = Some(Resume { session: welcome.session.clone(), last_seq: 0 });
    // Its connection is away for a moment when the laptop wakes up.
    board.handle_closed(2, T0);
    board.handle_hello(3, hello("alice", Some(Resume { session: laptop, last_seq: 0 }), UnixMillis(u64::MAX)), T0);
    let (sent, rest) = drain(&mut board);
    assert_eq!((sent, rest), (vec![(3, ServerMessage::Kicked {}, false)], vec![Output::Close { conn: 3 }]));
    board.handle_hello(4, phone(resume), T0);
    assert!(matches!(&drain(&mut board).0[0].1, ServerMessage::Welcome(welcome) if welcome.resumed));
    // A person who signs in there is another matter.
    board.handle_hello(5, hello("alice", None, UnixMillis(u64::MAX)), T0);
    assert!(drain(&mut board).0.contains(&(4, ServerMessage::Kicked {}, false)));
}

#[test]
fn cards_fit_into_a_frame_however_many_calls_somebody_is_invited_to() {
    let mut board = board();
    sign_in(&mut board, 1, "carol");
    for n in 0..200 {
        let (now, caller, callee) = (T0 + Duration::from_secs(n), 2 * n + 2, 2 * n + 3);
        let names = [format!("caller-{n}"), format!("callee-{n}")];
        for (conn, name) in [(caller, &names[0]), (callee, &names[1])] {
            sign_in(&mut board, conn, name);
            let avatar = format!("https://{}", "a".repeat(500));
            let profile = Profile { nickname: "\"".repeat(500), avatar };
            board.handle_request(conn, 1, Request::SetSelfInfo(profile), now);
            drain(&mut board);
        }
        let Request::Call(wish) = place(&[&names[1], "carol"]) else { panic!("no call") };
        let group_id = "\u{1}".repeat(64);
        board.handle_request(caller, 2, Request::Call(PlaceCall { group_id, ..wish }), now);
        let (sent, _) = drain(&mut board);
        let call_id = sent.iter().find_map(|(_, message, _)| match message {
            ServerMessage::Reply { answer, .. } => answer.call_id.clone(),
            _ => None,
        });
        let call_id = call_id.unwrap();
        board.handle_request(callee, 2, Request::Accept { call_id: call_id.clone() }, now);
        board.handle_request(1, n + 1, Request::Reject { call_id: call_id.clone() }, now);
        board.handle_ack(1, u64::MAX, now);
        let (sent, _) = drain(&mut board);
        let cards = sent.iter().rev().find(|(_, message, _)| matches!(message, ServerMessage::Cards { .. }));
        let (1, message @ ServerMessage::Cards { cards }, _) = cards.unwrap() else { panic!("{cards:?}") };
        assert!(message.to_text().len() < SERVER_FRAME_LIMIT, "{} cards: {} bytes", n + 1, message.to_text().len());
        assert_eq!(cards[0].call_id, call_id);
        assert!(cards.len() == n as usize + 1 || cards.len() > 20, "{} of {}", cards.len(), n + 1);
        assert!(!cards[0].profiles.is_empty());
    }
}
