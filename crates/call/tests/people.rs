//! Calls among people who are busy, away, signed in elsewhere, or more than two.
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test that is surprised fails")]

mod sim;

use call::session::{CallState, Link};
use protocol::Code;
use sim::Action::{self, *};
use sim::{World, check, story, wish};

fn world(users: &[&str]) -> World {
    let mut world = World::new(11);
    for user in users {
        world.add(user, "desk");
    }
    world
}

fn run(users: &[&str], script: &[(u64, &'static str, Action)]) -> World {
    let mut world = world(users);
    world.run(script, 300_000);
    check(&world, &script);
    assert_eq!(world.board.calls().count(), 0);
    world
}

#[test]
fn a_callee_in_another_call_is_busy_and_not_disturbed() {
    let world = run(
        &["alice", "bob", "carol"],
        &[
            (5_000, "alice", Call(vec!["bob"])),
            (8_000, "bob", Accept),
            (10_000, "carol", Call(vec!["bob"])),
            (20_000, "bob", Hangup),
        ],
    );
    assert_eq!(story(world.device("carol")), ["busy bob", "leave", "cancelled carol LineBusy bob"]);
    assert_eq!(
        story(world.device("bob")),
        ["received alice", "enter", "begin Called", "join alice", "leave", "end Hangup bob"]
    );
}

#[test]
fn a_callee_for_whom_it_rings_already_is_busy() {
    let world = run(
        &["alice", "bob", "carol"],
        &[(5_000, "alice", Call(vec!["bob"])), (7_000, "carol", Call(vec!["bob"])), (9_000, "bob", Reject)],
    );
    assert_eq!(story(world.device("carol")), ["busy bob", "leave", "cancelled carol LineBusy bob"]);
    assert_eq!(story(world.device("bob")), ["received alice", "cancelled bob Reject bob"]);
}

#[test]
fn one_in_a_room_without_a_call_is_busy() {
    let mut world = world(&["alice", "bob"]);
    world.advance(1_000);
    let bob = world.devices.iter_mut().find(|device| device.user.as_str() == "bob").unwrap();
    bob.session.set_occupied(true);
    world.run(&[(5_000, "alice", Call(vec!["bob"]))], 100_000);
    assert_eq!(story(world.device("alice")), ["busy bob", "leave", "cancelled alice LineBusy bob"]);
    assert!(story(world.device("bob")).is_empty());
}

#[test]
fn a_callee_whom_nobody_knows_is_refused_by_name_and_nobody_rings() {
    let world = run(&["alice", "bob"], &[(5_000, "alice", Call(vec!["bob", "ghost"]))]);
    assert_eq!(story(world.device("alice")), ["refused -1202"]);
    assert!(story(world.device("bob")).is_empty());
}

#[test]
fn a_known_callee_who_is_away_rings_as_soon_as_they_are_back() {
    let world = run(
        &["alice", "bob"],
        &[
            (2_000, "bob", Die(8_000)),
            (5_000, "alice", Call(vec!["bob"])),
            (12_000, "bob", Accept),
            (20_000, "bob", Hangup),
        ],
    );
    assert_eq!(
        story(world.device("bob")),
        ["died", "received alice", "enter", "begin Called", "join alice", "leave", "end Hangup bob"]
    );
}

#[test]
fn a_known_callee_who_stays_away_does_not_answer() {
    let world = run(&["alice", "bob"], &[(2_000, "bob", Die(250_000)), (5_000, "alice", Call(vec!["bob"]))]);
    assert_eq!(story(world.device("alice")), ["silent bob", "leave", "cancelled alice NoResponse bob"]);
    assert_eq!(story(world.device("bob")), ["died"]);
}

#[test]
fn the_caller_sees_whether_a_device_of_the_callee_rings() {
    let mut away = world(&["alice", "bob"]);
    away.run(&[(2_000, "bob", Die(100_000)), (5_000, "alice", Call(vec!["bob"]))], 8_000);
    let rings = |world: &World| matches!(world.device("alice").session.call(), CallState::Outgoing(o) if o.ringing);
    assert!(!rings(&away));
    let mut there = world(&["alice", "bob"]);
    there.run(&[(5_000, "alice", Call(vec!["bob"]))], 8_000);
    assert!(rings(&there));
}

#[test]
fn a_caller_who_dies_while_it_rings_ends_the_ring() {
    let world = run(&["alice", "bob"], &[(5_000, "alice", Call(vec!["bob"])), (7_000, "alice", Die(100_000))]);
    assert_eq!(story(world.device("bob")), ["received alice", "cancelled bob Offline alice"]);
}

#[test]
fn a_callee_who_dies_while_it_rings_is_rung_again_at_the_next_start() {
    let world = run(
        &["alice", "bob"],
        &[(5_000, "alice", Call(vec!["bob"])), (7_000, "bob", Die(3_000)), (12_000, "bob", Reject)],
    );
    assert_eq!(story(world.device("alice")), ["reject bob", "leave", "cancelled alice Reject bob"]);
    assert_eq!(story(world.device("bob")), ["received alice", "died", "received alice", "cancelled bob Reject bob"]);
}

#[test]
fn one_who_dies_in_a_call_has_left_it() {
    let world = run(
        &["alice", "bob"],
        &[(5_000, "alice", Call(vec!["bob"])), (8_000, "bob", Accept), (20_000, "bob", Die(100_000))],
    );
    let told = story(world.device("alice"));
    assert_eq!(told[3..], ["left bob", "leave", "end Offline bob"]);
}

#[test]
fn a_lost_call_socket_alone_does_not_end_a_call_whose_media_flows() {
    let world = run(
        &["alice", "bob"],
        &[
            (5_000, "alice", Call(vec!["bob"])),
            (8_000, "bob", Accept),
            (20_000, "bob", Offline(120_000)),
            (160_000, "alice", Hangup),
        ],
    );
    assert_eq!(story(world.device("bob")).last().unwrap(), "end Hangup alice");
}

#[test]
fn one_whose_media_is_lost_and_does_not_come_back_leaves() {
    let world = run(
        &["alice", "bob"],
        &[(5_000, "alice", Call(vec!["bob"])), (8_000, "bob", Accept), (20_000, "bob", MediaLost)],
    );
    assert_eq!(story(world.device("alice")).last().unwrap(), "end Offline bob");
    assert_eq!(story(world.device("bob")).last().unwrap(), "end Offline bob");
}

#[test]
fn signing_in_elsewhere_kicks_the_earlier_device_out_of_its_call() {
    let world = run(
        &["alice", "bob"],
        &[(5_000, "alice", Call(vec!["bob"])), (8_000, "bob", Accept), (20_000, "bob", Elsewhere("phone"))],
    );
    let first = world.device("bob");
    assert_eq!(first.session.link(), &Link::Kicked);
    assert_eq!(story(first)[4..], ["kicked", "leave", "end Hangup bob"]);
    assert_eq!(story(world.device("alice")).last().unwrap(), "end Hangup bob");
    assert_eq!(world.devices[2].session.link(), &Link::Online);
}

#[test]
fn signing_in_elsewhere_while_it_rings_moves_the_ring() {
    let mut world = world(&["alice", "bob"]);
    world.run(&[(5_000, "alice", Call(vec!["bob"])), (8_000, "bob", Elsewhere("phone"))], 10_000);
    assert_eq!(story(&world.devices[1]), ["received alice", "kicked", "cancelled bob Hangup bob"]);
    assert_eq!(story(&world.devices[2]), ["received alice"]);
    world.advance(200_000);
    check(&world, &"moved");
    assert_eq!(story(&world.devices[2]).last().unwrap(), "cancelled bob NoResponse bob");
}

#[test]
fn a_kicked_device_that_comes_back_by_itself_kicks_nobody() {
    let mut world = world(&["bob"]);
    // Away while the other device signs in: it does not hear that it was kicked.
    world.run(&[(5_000, "bob", Offline(20_000)), (10_000, "bob", Elsewhere("phone"))], 60_000);
    assert_eq!(world.devices[0].session.link(), &Link::Kicked);
    assert_eq!(world.devices[1].session.link(), &Link::Online);
}

#[test]
fn signing_out_hangs_up() {
    let world = run(
        &["alice", "bob"],
        &[(5_000, "alice", Call(vec!["bob"])), (8_000, "bob", Accept), (20_000, "alice", SignOut)],
    );
    assert_eq!(story(world.device("bob")).last().unwrap(), "end Hangup alice");
}

#[test]
fn what_is_not_possible_is_refused_with_its_code() {
    let mut world = world(&["alice", "bob"]);
    let now = world.instant();
    let fresh = &mut world.devices[0].session;
    let code = |result: Result<_, protocol::Refusal>| result.map(|_: u64| ()).unwrap_err().known().unwrap();
    assert_eq!(code(fresh.place(wish(&["bob"]), now)), Code::NotSignedIn);
    world.advance(2_000);
    let now = world.instant();
    let alice = &mut world.devices[0].session;
    assert_eq!(code(alice.accept()), Code::WrongState);
    assert_eq!(code(alice.reject(now)), Code::WrongState);
    assert_eq!(code(alice.room_access()), Code::WrongState);
    assert_eq!(alice.hangup(now).unwrap_err().known(), Some(Code::WrongState));
    let many: Vec<_> = (0..9).map(|n| format!("u{n}")).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    for wrong in [&[][..], &["alice"], &["bob", "bob"], &many] {
        assert_eq!(code(alice.place(wish(wrong), now)), Code::BadParameter);
    }
    alice.place(wish(&["bob"]), now).unwrap();
    assert_eq!(code(alice.place(wish(&["bob"]), now)), Code::AlreadyUnderWay);
    world.run(&[], 4_000);
    world.run(&[(4_000, "alice", Call(vec!["bob"])), (4_500, "bob", Call(vec!["alice"]))], 5_000);
    assert_eq!(story(world.device("alice")), ["refused -1203"]);
    assert_eq!(story(world.device("bob")), ["received alice", "refused -1203"]);
    let bob = &mut world.devices[1].session;
    bob.accept().unwrap();
    assert_eq!(code(bob.accept()), Code::AlreadyUnderWay);
}

#[test]
fn a_group_call_lives_while_two_are_in_or_one_is_in_and_somebody_rings() {
    let world = run(
        &["alice", "bob", "carol", "dave"],
        &[
            (5_000, "alice", Call(vec!["bob", "carol", "dave"])),
            (8_000, "bob", Accept),
            (9_000, "dave", Reject),
            (10_000, "alice", Hangup),
            (15_000, "carol", Accept),
            (20_000, "bob", Hangup),
        ],
    );
    assert_eq!(
        story(world.device("alice")),
        ["enter", "begin Caller", "join bob", "reject dave", "leave", "end Hangup alice"]
    );
    assert_eq!(
        story(world.device("bob")),
        [
            "received alice",
            "enter",
            "begin Called",
            "join alice",
            "reject dave",
            "left alice",
            "join carol",
            "leave",
            "end Hangup bob"
        ]
    );
    assert_eq!(
        story(world.device("carol")),
        ["received alice", "reject dave", "enter", "begin Called", "join bob", "left bob", "leave", "end Hangup bob"]
    );
    assert_eq!(story(world.device("dave")), ["received alice", "cancelled dave Reject dave"]);
}

#[test]
fn a_group_callers_call_is_cancelled_when_the_last_ring_ends() {
    let world =
        run(&["alice", "bob", "carol"], &[(5_000, "alice", Call(vec!["bob", "carol"])), (8_000, "bob", Reject)]);
    let told = story(world.device("alice"));
    assert_eq!(told, ["reject bob", "silent carol", "leave", "cancelled alice NoResponse carol"]);
    assert_eq!(story(world.device("carol")), ["received alice", "reject bob", "cancelled carol NoResponse carol"]);
}

#[test]
fn the_last_to_ring_is_told_when_everybody_else_has_gone() {
    let world = run(
        &["alice", "bob", "carol"],
        &[
            (5_000, "alice", Call(vec!["bob", "carol"])),
            (8_000, "bob", Accept),
            (9_000, "alice", Hangup),
            (10_000, "bob", Hangup),
        ],
    );
    assert_eq!(story(world.device("carol")), ["received alice", "cancelled alice Canceled bob"]);
}
