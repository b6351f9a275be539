//! Every pair of inputs that can race, in every state, and the defined answer to those that people ask about.

use super::*;

/// What may come at any moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Input {
    Exit,
    Removed,
    Dismissed,
    Duplicate,
    Resume,
    Rejoin,
    SignalLost,
    PathLost,
    PathBack,
    Joined,
    JoinFailed,
    JoinRefused,
    Resumed,
    ResumeFailed,
    ResumeUnknown,
    DevicesClosed,
    Acknowledged,
    Late,
}

const INPUTS: [Input; 18] = [
    Input::Exit,
    Input::Removed,
    Input::Dismissed,
    Input::Duplicate,
    Input::Resume,
    Input::Rejoin,
    Input::SignalLost,
    Input::PathLost,
    Input::PathBack,
    Input::Joined,
    Input::JoinFailed,
    Input::JoinRefused,
    Input::Resumed,
    Input::ResumeFailed,
    Input::ResumeUnknown,
    Input::DevicesClosed,
    Input::Acknowledged,
    Input::Late,
];

/// Where the membership stands when the two come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Before {
    Entering,
    In,
    /// Cut for a second: nothing was said yet.
    Out,
    /// Cut for 20 s: lost and trying.
    Lost,
    Leaving,
    Over,
}

const STATES: [Before; 6] = [Before::Entering, Before::In, Before::Out, Before::Lost, Before::Leaving, Before::Over];

fn world(before: Before, purpose: Purpose) -> World {
    if before == Before::Entering {
        let mut world = World::new(purpose);
        world.drain();
        return world;
    }
    let mut world = World::entered(purpose);
    match before {
        Before::Entering | Before::In => {}
        Before::Out | Before::Lost => {
            world.cut();
            world.run(if before == Before::Out { 1.0 } else { 20.0 });
        }
        Before::Leaving => {
            world.client.handle_exit(world.now);
            world.drain();
        }
        Before::Over => {
            world.client.handle_exit(world.now);
            world.run(3.0);
        }
    }
    world
}

impl World {
    fn take(&mut self, input: Input) {
        let now = self.now;
        match input {
            Input::Exit => self.client.handle_exit(now),
            Input::Removed => self.client.handle_told(now, Told::Removed),
            Input::Dismissed => self.client.handle_told(now, Told::Dismissed),
            Input::Duplicate => self.client.handle_told(now, Told::Duplicate),
            Input::Resume => self.client.handle_told(now, Told::Resume),
            Input::Rejoin => self.client.handle_told(now, Told::Rejoin),
            Input::SignalLost => self.client.handle_signal_lost(now),
            Input::PathLost => self.client.handle_path(now, Some(now)),
            Input::PathBack => self.client.handle_path(now, None),
            Input::Joined => self.client.handle_joined(now, vec!["bob".to_owned()]),
            Input::JoinFailed => self.client.handle_join_failed(now, None),
            Input::JoinRefused => self.client.handle_join_failed(now, Some(-3320)),
            Input::Resumed => self.client.handle_resumed(now),
            Input::ResumeFailed => self.client.handle_resume_failed(now, false),
            Input::ResumeUnknown => self.client.handle_resume_failed(now, true),
            Input::DevicesClosed => self.client.handle_devices_closed(now),
            Input::Acknowledged => self.client.handle_leave_acknowledged(now),
            Input::Late => self.client.handle_timeout(now + secs(3.0)),
        }
    }
}

#[test]
fn no_pair_of_inputs_in_any_state_breaks_the_rules() {
    for purpose in [Purpose::Call, Purpose::Room] {
        for before in STATES {
            for first in INPUTS {
                for second in INPUTS {
                    let mut world = world(before, purpose);
                    world.take(first);
                    world.take(second);
                    world.run(5.0);
                    world.mend();
                    world.run(20.0);
                    world.client.handle_exit(world.now);
                    world.run(2.1);
                    let name = format!("{purpose:?} {before:?} {first:?} {second:?}");
                    assert!(world.client.is_over() && world.ended().is_some(), "{name}: {:?}", world.client);
                    let closed = world.position(&Output::CloseDevices);
                    assert!(closed.is_some() && closed < world.position(&Output::Disconnect), "{name}");
                    let last = world.log.last().map(|(_, output)| output.clone());
                    assert!(matches!(last, Some(Output::Event(Happened::Ended(_)))), "{name}: {last:?} after the end");
                }
            }
        }
    }
}

/// What ends a membership by itself, whatever came with it: the first of two counts.
#[test]
fn of_two_ends_the_first_counts_in_every_state() {
    let ends = [
        (Input::Exit, Ending::Exit(ExitReason::Own)),
        (Input::Removed, Ending::Exit(ExitReason::Removed)),
        (Input::Dismissed, Ending::Exit(ExitReason::Dismissed)),
        (Input::Duplicate, Ending::Kicked),
    ];
    for before in [Before::Entering, Before::In, Before::Out, Before::Lost] {
        for (first, ending) in ends {
            for (second, _) in ends {
                let mut world = world(before, Purpose::Call);
                world.take(first);
                world.take(second);
                world.run(3.0);
                assert_eq!(world.ended().map(|e| e.1), Some(ending), "{before:?} {first:?} {second:?}");
            }
        }
    }
}

#[test]
fn exit_twice_is_one_exit() {
    let mut world = World::entered(Purpose::Room);
    world.take(Input::Exit);
    world.run(0.005);
    world.take(Input::Exit);
    world.run(3.0);
    world.take(Input::Exit);
    world.run(3.0);
    let leaves = world.log.iter().filter(|(_, output)| *output == Output::SendLeave).count();
    assert_eq!((leaves, world.ended().map(|e| e.1)), (1, Some(Ending::Exit(ExitReason::Own))));
}

#[test]
fn whoever_exits_while_entering_never_gets_in_and_a_late_answer_changes_nothing() {
    let mut world = World::new(Purpose::Room);
    world.drain();
    world.take(Input::Exit);
    world.run(0.01);
    world.take(Input::Joined);
    world.run(3.0);
    assert_eq!(world.ended().map(|e| e.1), Some(Ending::Exit(ExitReason::Own)));
    assert!(!world.log.iter().any(|(_, output)| matches!(output, Output::Event(Happened::Entered(_)))));
}

#[test]
fn whoever_was_removed_while_reconnecting_learns_it_when_the_server_is_reached_again() {
    // The resume finds no such member, and the fresh token that the call plane is asked for is refused: for that, or else.
    let refusals = [
        (Code::UserRemoved.number(), Ending::Exit(ExitReason::Removed)),
        (Code::RoomNotExist.number(), Ending::Exit(ExitReason::Dismissed)),
        (Code::RoomFull.number(), Ending::RejoinRefused(Code::RoomFull.number())),
        (-1, Ending::RejoinRefused(-1)),
    ];
    for (purpose, (code, ending)) in [Purpose::Call, Purpose::Room].into_iter().flat_map(|p| refusals.map(|r| (p, r))) {
        let mut world = World::entered(purpose);
        world.cut();
        world.run(20.0);
        world.take(Input::ResumeUnknown);
        world.drain();
        world.answers.clear();
        world.client.handle_join_failed(world.now, Some(code));
        world.drain();
        world.run(3.0);
        assert_eq!(world.ended().map(|e| e.1), Some(ending), "{purpose:?} {code}");
    }
    // Told so on the new socket: the reason stands.
    let mut told = World::entered(Purpose::Room);
    told.cut();
    told.run(20.0);
    told.take(Input::Removed);
    told.run(3.0);
    assert_eq!(told.ended().map(|e| e.1), Some(Ending::Exit(ExitReason::Removed)));
}

#[test]
fn other_times_move_the_whole_line() {
    let times: Times = "tile=1,link=1,lost=2,first-try=1,try-every=4,give-up=20,member=5,exit=0.5".parse().unwrap();
    let mut world = World::entered(Purpose::Room);
    world.client.times = times;
    world.cut();
    world.run(30.0);
    let names: Vec<_> =
        world.events().into_iter().map(|(at, event)| ((at * 10.0).round() / 10.0 - 1.0, event)).collect();
    let mut expected = vec![(2.0, Happened::ConnectionLost)];
    expected.extend([3.0, 7.0, 11.0, 15.0, 19.0].map(|at| (at, Happened::TryToReconnect)));
    expected.push((20.0, Happened::Ended(Ending::GaveUp)));
    assert_eq!(names.len(), expected.len(), "{names:?}");
    for (got, want) in names.iter().zip(&expected) {
        assert!((got.0 - want.0).abs() < 0.6 && got.1 == want.1, "{got:?} instead of {want:?}");
    }
    assert!(world.log.iter().any(|(at, output)| *output == Output::PauseSending && *at == secs(2.0)));
}
