//! The switchboard alone: rooms that are entered by their ids, with keys and without, and who is put out of them.
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test that is surprised fails")]

mod board;

use board::{T0, board, codes, drain, hello, place, sign_in, user};
use call::Switchboard;
use call::call::RoomNews;
use call::switchboard::{Change, Entry, Output, RoomsEvent, Settings, SignIn, Stored};
use protocol::message::PlaceCall;
use protocol::{
    Code, DeviceId, ExitReason, Privileges, Push, Refusal, Request, RoomId, ServerMessage, UnixMillis, UserId,
};

#[test]
fn one_who_was_removed_rejoins_by_a_fresh_entry_only() {
    let mut board = board();
    sign_in(&mut board, 1, "alice");
    let room_id = RoomId::number(7).unwrap();
    let enter = |rejoin| Request::EnterRoom { room_id: room_id.clone(), rejoin, private_map_key: None };
    board.handle_request(1, 1, enter(false), T0);
    let (sent, _) = drain(&mut board);
    assert!(sent[0].2, "{sent:?}");
    let news = RoomNews::Removed { by: Some("boss".to_owned()) };
    board.handle_rooms_event(RoomsEvent::Member { room: room_id.clone(), user: user("alice"), news }, T0);
    let push = Push::RoomExit { room_id: room_id.clone(), reason: ExitReason::Removed, by: Some("boss".to_owned()) };
    assert_eq!(drain(&mut board).0, [(1, ServerMessage::Event { seq: 1, push }, false)]);
    board.handle_request(1, 2, enter(true), T0);
    assert_eq!(codes(&drain(&mut board).0), [-102_018]);
    // Nor does a restart of the server open a way back.
    let put_out = board.take_changes().into_iter().filter_map(|change| match change {
        Change::PutOut(room, user, reason) => Some((RoomId::from_wire_name(&room).unwrap(), user, reason.unwrap())),
        _ => None,
    });
    let stored = Stored { put_out: put_out.collect(), ..Stored::default() };
    assert_eq!(stored.put_out, [(room_id.clone(), user("alice"), ExitReason::Removed)]);
    board = Switchboard::new(Settings::default(), [6; 32]);
    board.restore(stored, T0);
    sign_in(&mut board, 1, "alice");
    board.handle_request(1, 2, enter(true), T0);
    assert_eq!(codes(&drain(&mut board).0), [-102_018]);
    board.handle_request(1, 3, enter(false), T0);
    assert!(drain(&mut board).0[0].2);
    board.handle_rooms_event(RoomsEvent::Dismissed { room: room_id.clone(), by: None }, T0);
    drain(&mut board);
    board.handle_request(1, 4, enter(true), T0);
    assert_eq!(codes(&drain(&mut board).0), [-102_005]);
}

/// Alice, where keys are required, and what is answered to each of her wishes.
struct Guarded {
    board: Switchboard,
    room: RoomId,
    next: u64,
}

impl Guarded {
    fn new() -> Self {
        let settings = Settings { map_key_required: true, ..Settings::default() };
        let mut board = Switchboard::new(settings, [5; 32]);
        sign_in(&mut board, 1, "alice");
        Self { board, room: RoomId::number(7).unwrap(), next: 1 }
    }

    /// The code of the refusal, or 0; and whether the room was to be made.
    fn enter(&mut self, rejoin: bool, key: Result<Privileges, Refusal>, exists: bool) -> (i32, bool) {
        self.board.handle_enter(1, self.next, (self.room.clone(), rejoin), Entry { key, exists }, T0);
        self.next += 1;
        let (sent, rest) = drain(&mut self.board);
        (codes(&sent).first().copied().unwrap_or(0), rest.contains(&Output::OpenRoom(self.room.clone())))
    }

    fn may(&self) -> Privileges {
        self.board.privileges(&self.room, &user("alice"))
    }
}

#[test]
fn a_key_opens_the_room_as_far_as_its_bits_go() {
    let (create, enter) = (Privileges::CREATE, Privileges::ENTER);
    let mut alice = Guarded::new();
    assert_eq!(alice.enter(false, Err(Code::NoPrivilege.into()), true), (-100_006, false));
    assert_eq!(alice.enter(false, Ok(enter), false), (-102_010, false));
    assert_eq!(alice.enter(false, Ok(create), false), (-102_011, false));
    assert_eq!(alice.enter(false, Ok(Privileges(255 - 2)), true), (-102_011, false));
    assert_eq!(alice.may(), Privileges::NONE);
    assert_eq!(alice.enter(false, Ok(enter), true), (0, false));
    assert_eq!(alice.may(), enter);
    assert_eq!(alice.enter(false, Ok(create | enter | Privileges::SEND_AUDIO), false), (0, true));
    assert_eq!(alice.may(), create | enter | Privileges::SEND_AUDIO);
}

#[test]
fn a_membership_that_goes_on_keeps_what_its_expired_key_allowed() {
    let expired = || Err(Refusal::from(Code::NoPrivilege));
    let mut alice = Guarded::new();
    assert_eq!(alice.enter(true, expired(), true), (-100_006, false), "no membership goes on here");
    assert_eq!(alice.enter(false, Ok(Privileges(42)), true), (0, false));
    assert_eq!(alice.enter(true, expired(), true), (0, false));
    assert_eq!(alice.may(), Privileges(42));
    assert_eq!(alice.enter(true, expired(), false), (-102_010, false), "the room is gone, and 42 makes none");
    let news = RoomNews::Removed { by: None };
    let removed = RoomsEvent::Member { room: alice.room.clone(), user: user("alice"), news };
    alice.board.handle_rooms_event(removed, T0);
    drain(&mut alice.board);
    assert_eq!(alice.enter(true, expired(), true), (-102_018, false));
    assert_eq!(alice.enter(false, expired(), true), (-100_006, false));
}

#[test]
fn where_keys_are_required_nothing_goes_round_them() {
    let mut alice = Guarded::new();
    let request = Request::EnterRoom { room_id: alice.room.clone(), rejoin: false, private_map_key: None };
    alice.board.handle_request(1, 1, request, T0);
    assert_eq!(codes(&drain(&mut alice.board).0), [-100_006], "a key that nobody looked at");
    sign_in(&mut alice.board, 2, "bob");
    let Request::Call(mut wish) = place(&["bob"]) else { panic!("no call") };
    wish.room_id = Some(alice.room.clone());
    alice.board.handle_request(1, 2, Request::Call(wish.clone()), T0);
    assert_eq!(codes(&drain(&mut alice.board).0), [-100_006]);
    wish.room_id = None;
    alice.board.handle_request(1, 3, Request::Call(wish), T0);
    assert_eq!(codes(&drain(&mut alice.board).0), [0; 0]);
    let room = alice.board.calls().next().unwrap().room().clone();
    assert_eq!(alice.board.privileges(&room, &user("alice")), Privileges::ALL, "a call admits its members itself");
    assert_eq!(alice.board.privileges(&room, &user("bob")), Privileges::NONE);
}

#[test]
fn the_room_that_the_server_chose_for_a_call_is_nobody_elses() {
    let mut board = board();
    for (conn, name) in [(1, "alice"), (2, "bob"), (3, "mallory"), (4, "carol")] {
        sign_in(&mut board, conn, name);
    }
    let call = |callee, room: Option<&RoomId>| {
        let Request::Call(wish) = place(&[callee]) else { panic!("no call") };
        Request::Call(PlaceCall { room_id: room.cloned(), ..wish })
    };
    let enter = |room: &RoomId| Request::EnterRoom { room_id: room.clone(), rejoin: false, private_map_key: None };
    board.handle_request(1, 1, call("bob", None), T0);
    let (call_id, room) = board.calls().map(|call| (call.id().clone(), call.room().clone())).next().unwrap();
    drain(&mut board);
    board.handle_request(3, 1, enter(&room), T0);
    board.handle_request(3, 2, call("carol", Some(&room)), T0);
    assert_eq!(codes(&drain(&mut board).0), [-102_011, -102_011]);
    assert_eq!(board.privileges(&room, &user("mallory")), Privileges::NONE);
    // Nor is it for those who have left the call; over, it is a room like others.
    board.handle_request(2, 1, Request::Reject { call_id }, T0);
    drain(&mut board);
    board.handle_request(3, 3, enter(&room), T0);
    assert_eq!(codes(&drain(&mut board).0), [0; 0]);
    // One that the caller has chosen is open, as before.
    let lobby = RoomId::text("lobby").unwrap();
    board.handle_request(1, 2, call("bob", Some(&lobby)), T0);
    board.handle_request(3, 4, enter(&lobby), T0);
    assert_eq!(codes(&drain(&mut board).0), [0; 0]);
}

fn enter(room: &RoomId) -> Request {
    Request::EnterRoom { room_id: room.clone(), rejoin: false, private_map_key: None }
}

/// Whose tokens for which room are made void.
fn released(board: &mut Switchboard) -> Vec<(RoomId, UserId)> {
    let (_, rest) = drain(board);
    let release = |output| if let Output::Release { room, user } = output { Some((room, user)) } else { None };
    rest.into_iter().filter_map(release).collect()
}

type Way = fn(&mut Switchboard, &RoomId);

#[test]
fn a_room_left_or_signed_out_of_is_closed_to_its_tokens() {
    let room = RoomId::number(7).unwrap();
    let out = [(room.clone(), user("alice"))];
    let ways: [Way; 4] = [
        |board, room| board.handle_request(1, 2, Request::LeaveRoom { room_id: room.clone() }, T0),
        |board, _| board.handle_request(1, 2, Request::SignOut {}, T0),
        |board, room| {
            let left = RoomsEvent::Member { room: room.clone(), user: user("alice"), news: RoomNews::Left };
            board.handle_rooms_event(left, T0);
            assert!(!board.belongs(room, &user("alice")));
            board.handle_request(1, 2, Request::LeaveRoom { room_id: room.clone() }, T0);
        },
        // Another device signs in instead.
        |board, _| {
            let device = DeviceId::new("phone").unwrap();
            board.handle_hello(2, SignIn { device, ..hello("alice", None, UnixMillis(u64::MAX)) }, T0);
        },
    ];
    for way in ways {
        let mut board = board();
        sign_in(&mut board, 1, "alice");
        board.handle_request(1, 1, enter(&room), T0);
        assert_eq!(released(&mut board), []);
        way(&mut board, &room);
        assert_eq!(released(&mut board), out);
        assert!(!board.belongs(&room, &user("alice")));
    }
    // The same device afresh goes on where it was.
    let mut board = board();
    sign_in(&mut board, 1, "alice");
    board.handle_request(1, 1, enter(&room), T0);
    board.handle_hello(2, hello("alice", None, UnixMillis(u64::MAX)), T0);
    assert_eq!(released(&mut board), []);
    assert!(board.belongs(&room, &user("alice")));
}

#[test]
fn a_room_that_another_device_or_a_call_holds_stays_open() {
    let room = RoomId::number(7).unwrap();
    let leave = || Request::LeaveRoom { room_id: RoomId::number(7).unwrap() };
    let mut board = board();
    sign_in(&mut board, 1, "alice");
    sign_in(&mut board, 3, "bob");
    board.handle_request(1, 1, Request::EnableMultiDeviceAbility { enable: true }, T0);
    let device = DeviceId::new("phone").unwrap();
    board.handle_hello(2, SignIn { device, ..hello("alice", None, UnixMillis(u64::MAX)) }, T0);
    board.handle_request(1, 2, enter(&room), T0);
    board.handle_request(2, 1, enter(&room), T0);
    // The phone has taken the laptop's place, and the laptop says goodbye.
    board.handle_request(1, 3, leave(), T0);
    board.handle_request(1, 4, Request::SignOut {}, T0);
    assert_eq!(released(&mut board), []);
    assert!(board.belongs(&room, &user("alice")));
    let Request::Call(wish) = place(&["bob"]) else { panic!("no call") };
    board.handle_request(2, 2, Request::Call(PlaceCall { room_id: Some(room.clone()), ..wish }), T0);
    board.handle_request(2, 3, leave(), T0);
    assert_eq!(released(&mut board), []);
    assert!(board.belongs(&room, &user("alice")));
}

#[test]
fn nobody_holds_rooms_without_end() {
    let mut board = board();
    sign_in(&mut board, 1, "alice");
    let room = |n: u64| RoomId::number(u32::try_from(n).unwrap()).unwrap();
    for n in 1..=40 {
        board.handle_request(1, n, enter(&room(n)), T0);
        let expected = n.checked_sub(16).filter(|n| *n > 0).map(|n| (room(n), user("alice")));
        assert_eq!(released(&mut board), expected.into_iter().collect::<Vec<_>>(), "{n}");
    }
    assert_eq!((1..=40).filter(|n| board.belongs(&room(*n), &user("alice"))).count(), 16);
}
