//! Calls for two in virtual time: who is told what in which order, and that a lost connection or a restarted server at
//! any step changes nothing of it.
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test that is surprised fails")]

mod sim;

use sim::Action::{self, *};
use sim::{Fault, World, check, check_agreement, story};

type Script = &'static [(u64, &'static str, fn() -> Action)];

/// A call for two, and what each side tells of it.
struct Case {
    name: &'static str,
    script: Script,
    end: u64,
    alice: &'static [&'static str],
    bob: &'static [&'static str],
}

const CALL: (u64, &str, fn() -> Action) = (5_000, "alice", || Call(vec!["bob"]));

const CASES: &[Case] = &[
    Case {
        name: "accepted, the callee hangs up",
        script: &[CALL, (8_000, "bob", || Accept), (20_000, "bob", || Hangup)],
        end: 200_000,
        alice: &["enter", "begin Caller", "join bob", "left bob", "leave", "end Hangup bob"],
        bob: &["received alice", "enter", "begin Called", "join alice", "leave", "end Hangup bob"],
    },
    Case {
        name: "accepted, the caller hangs up",
        script: &[CALL, (8_000, "bob", || Accept), (20_000, "alice", || Hangup)],
        end: 200_000,
        alice: &["enter", "begin Caller", "join bob", "leave", "end Hangup alice"],
        bob: &["received alice", "enter", "begin Called", "join alice", "left alice", "leave", "end Hangup alice"],
    },
    Case {
        name: "rejected",
        script: &[CALL, (8_000, "bob", || Reject)],
        end: 200_000,
        alice: &["reject bob", "leave", "cancelled alice Reject bob"],
        bob: &["received alice", "cancelled bob Reject bob"],
    },
    Case {
        name: "ignored",
        script: &[CALL, (8_000, "bob", || Ignore)],
        end: 200_000,
        alice: &["busy bob", "leave", "cancelled alice LineBusy bob"],
        bob: &["received alice"],
    },
    Case {
        name: "taken back",
        script: &[CALL, (8_000, "alice", || Hangup)],
        end: 200_000,
        alice: &["leave", "cancelled alice Canceled alice"],
        bob: &["received alice", "cancelled alice Canceled alice"],
    },
    Case {
        name: "not answered",
        script: &[CALL],
        end: 200_000,
        alice: &["silent bob", "leave", "cancelled alice NoResponse bob"],
        bob: &["received alice", "cancelled bob NoResponse bob"],
    },
    Case {
        name: "removed by an administrator",
        script: &[CALL, (8_000, "bob", || Accept), (20_000, "bob", || Removed)],
        end: 200_000,
        alice: &["enter", "begin Caller", "join bob", "left bob", "leave", "end EndByServer bob"],
        bob: &["received alice", "enter", "begin Called", "join alice", "exit by boss", "leave", "end EndByServer bob"],
    },
    Case {
        name: "room dismissed by an administrator",
        script: &[CALL, (8_000, "bob", || Accept), (20_000, "bob", || Dismissed)],
        end: 200_000,
        alice: &["enter", "begin Caller", "join bob", "exit by boss", "leave", "end EndByServer alice"],
        bob: &["received alice", "enter", "begin Called", "join alice", "exit by boss", "leave", "end EndByServer bob"],
    },
];

fn play(case: &Case, mut world: World) -> World {
    world.add("alice", "laptop");
    world.add("bob", "desk");
    let script: Vec<_> = case.script.iter().map(|(at, user, action)| (*at, *user, action())).collect();
    world.run(&script, case.end);
    world
}

fn expect(case: &Case, world: &World, context: &dyn std::fmt::Debug) {
    check(world, context);
    assert_eq!(story(world.device("alice")), case.alice, "{context:?}: alice");
    assert_eq!(story(world.device("bob")), case.bob, "{context:?}: bob");
    assert_eq!(world.board.calls().count(), 0, "{context:?}: a call is left over");
}

#[test]
fn each_side_is_told_what_is_documented_in_the_documented_order() {
    for case in CASES {
        for seed in 1..20 {
            expect(case, &play(case, World::new(seed)), &(case.name, seed));
        }
    }
}

#[test]
fn a_connection_lost_at_any_step_changes_nothing() {
    let mut tried = 0;
    for case in CASES {
        let steps = play(case, World::new(7)).delivered;
        assert!(steps > 10, "{}", case.name);
        for step in 0..steps {
            for fault in [Fault::CutBefore(step), Fault::CutAfter(step)] {
                expect(case, &play(case, World::new(7).with_fault(fault)), &(case.name, fault));
                tried += 1;
            }
        }
    }
    assert!(tried > 200, "{tried}");
}

#[test]
fn a_server_restarted_at_any_step_changes_nothing() {
    for case in CASES {
        let steps = play(case, World::new(9)).delivered;
        for step in 0..steps {
            for fault in [Fault::RestartBefore(step), Fault::RestartAfter(step)] {
                expect(case, &play(case, World::new(9).with_fault(fault)), &(case.name, fault));
            }
        }
    }
}

/// Two who act at the same moment, give or take a few milliseconds.
fn race(first: (&'static str, fn() -> Action), second: (&'static str, fn() -> Action), answered: bool) {
    for seed in 1..400 {
        let mut world = World::new(seed);
        world.add("alice", "laptop");
        world.add("bob", "desk");
        let (one, two) = (20_000 + world.random(60), 20_000 + world.random(60));
        let mut script = vec![(5_000, "alice", Call(vec!["bob"]))];
        if answered {
            script.push((8_000, "bob", Accept));
        }
        script.extend([(one, first.0, (first.1)()), (two, second.0, (second.1)())]);
        if seed % 3 == 0 {
            script.push((20_000 + world.random(150), if seed % 2 == 0 { "alice" } else { "bob" }, Offline(100)));
        }
        // Whoever is still in a call then ends it.
        script.push((100_000, "alice", Hangup));
        world.run(&script, 300_000);
        check(&world, &seed);
        check_agreement(&world, &seed);
        assert_eq!(world.board.calls().count(), 0, "{seed}");
    }
}

#[test]
fn accepting_while_the_caller_takes_back() {
    race(("bob", || Accept), ("alice", || Hangup), false);
}

#[test]
fn rejecting_while_the_caller_takes_back() {
    race(("bob", || Reject), ("alice", || Hangup), false);
}

#[test]
fn ignoring_while_the_caller_takes_back() {
    race(("bob", || Ignore), ("alice", || Hangup), false);
}

#[test]
fn hanging_up_at_the_same_time() {
    race(("bob", || Hangup), ("alice", || Hangup), true);
}

#[test]
fn hanging_up_while_an_administrator_dismisses() {
    race(("bob", || Hangup), ("alice", || Dismissed), true);
}

#[test]
fn accepting_in_the_moment_in_which_the_ring_ends() {
    for seed in 1..400 {
        let mut world = World::new(seed);
        world.add("alice", "laptop");
        world.add("bob", "desk");
        let at = 34_940 + world.random(120);
        world.run(&[(5_000, "alice", Call(vec!["bob"])), (at, "bob", Accept), (60_000, "alice", Hangup)], 200_000);
        check(&world, &seed);
        check_agreement(&world, &seed);
        assert_eq!(world.board.calls().count(), 0, "{seed}");
    }
}

#[test]
fn a_call_given_up_while_the_caller_was_away_does_not_ring_when_they_are_back() {
    for lost in 0..90 {
        let mut world = World::new(lost + 1);
        world.add("alice", "laptop");
        world.add("bob", "desk");
        let cut = (5_000 + lost, "alice", Offline(8_000));
        world.run(&[(5_000, "alice", Call(vec!["bob"])), cut, (9_000, "alice", Hangup)], 15_000);
        assert_eq!(world.board.calls().count(), 0, "{lost}");
        if lost == 0 {
            assert!(story(world.device("bob")).is_empty());
        }
        world.advance(100_000);
        check(&world, &lost);
        check_agreement(&world, &lost);
    }
}

#[test]
fn one_who_answered_and_gave_up_waiting_leaves_nobody_alone_in_the_call() {
    let mut unheard = 0;
    for lost in 0..90 {
        let mut world = World::new(lost + 1);
        world.add("alice", "laptop");
        world.add("bob", "desk");
        let cut = (33_000 + lost, "bob", Offline(9_000));
        world.run(&[(5_000, "alice", Call(vec!["bob"])), (33_000, "bob", Accept), cut], 60_000);
        let begun = |name: &str| story(world.device(name)).iter().any(|word| word.starts_with("begin"));
        if !begun("bob") {
            assert_eq!(world.board.calls().count(), 0, "{lost}: {:#?}", story(world.device("alice")));
            unheard += u32::from(begun("alice"));
        }
        world.run(&[(70_000, "alice", Hangup)], 200_000);
        check(&world, &lost);
    }
    assert!(unheard > 5, "{unheard}");
}

#[test]
fn calling_each_other_at_the_same_time_ends_in_one_ring() {
    for seed in 1..400 {
        let mut world = World::new(seed);
        world.add("alice", "laptop");
        world.add("bob", "desk");
        let (one, two) = (5_000 + world.random(60), 5_000 + world.random(60));
        let script = [(one, "alice", Call(vec!["bob"])), (two, "bob", Call(vec!["alice"]))];
        world.run(&script, 10_000);
        let rings = |name: &str| story(world.device(name)).iter().any(|word| word.starts_with("received"));
        assert!(rings("alice") != rings("bob"), "{seed}");
        world.advance(200_000);
        check(&world, &seed);
        check_agreement(&world, &seed);
    }
}

#[test]
fn nothing_random_leaves_a_call_behind() {
    for seed in 1..600 {
        let mut world = World::new(seed);
        world.add("alice", "laptop");
        world.add("bob", "desk");
        let mut script = Vec::new();
        let mut at = 5_000;
        for _ in 0..12 {
            at += 1 + world.random(4_000);
            let user = if world.random(2) == 0 { "alice" } else { "bob" };
            let other = if user == "alice" { "bob" } else { "alice" };
            script.push((
                at,
                user,
                match world.random(12) {
                    0..=3 => Call(vec![other]),
                    4 | 5 => Accept,
                    6 => Reject,
                    7 => Ignore,
                    8 => Hangup,
                    9 => MediaLost,
                    10 => Offline(1 + world.random(20_000)),
                    _ => Die(500 + world.random(30_000)),
                },
            ));
        }
        script.push((200_000, "alice", Hangup));
        world.run(&script, 500_000);
        check(&world, &(seed, &script));
        assert_eq!(world.board.calls().count(), 0, "{seed} {script:?}");
    }
}
