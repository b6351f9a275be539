//! One membership against a simulated network, server and body, in virtual time.
#![allow(clippy::wildcard_enum_match_arm, reason = "a test looks at the outputs it is about")]

use super::*;

mod races;

fn secs(s: f64) -> Duration {
    Duration::from_secs_f64(s)
}

/// What the body was asked for and when it answers.
#[derive(Clone, Debug, PartialEq)]
enum Answer {
    Joined,
    JoinFailed,
    Resumed,
    ResumeFailed { unknown: bool },
    DevicesClosed,
    LeaveAcknowledged,
    Path,
}

/// A body whose network can be cut and whose server forgets after 90 s.
struct World {
    now: Duration,
    client: Client,
    network: bool,
    cut_at: Option<Duration>,
    server_knows: bool,
    server_acknowledges: bool,
    devices_close: bool,
    answers: Vec<(Duration, Answer)>,
    log: Vec<(Duration, Output)>,
}

impl World {
    fn new(purpose: Purpose) -> Self {
        Self {
            now: Duration::ZERO,
            client: Client::enter(Duration::ZERO, purpose, Times::default()),
            network: true,
            cut_at: None,
            server_knows: false,
            server_acknowledges: true,
            devices_close: true,
            answers: Vec::new(),
            log: Vec::new(),
        }
    }

    /// A world whose member is in.
    fn entered(purpose: Purpose) -> Self {
        let mut world = Self::new(purpose);
        world.run(1.0);
        assert_eq!(world.client.state, State::In);
        world.log.clear();
        world
    }

    fn after(&mut self, seconds: f64, answer: Answer) {
        self.answers.push((self.now + secs(seconds), answer));
    }

    fn forgets(&self) -> bool {
        self.cut_at.is_some_and(|at| self.now > at + Times::default().member)
    }

    fn obey(&mut self, output: &Output) {
        match output {
            Output::Join if self.network => self.after(0.05, Answer::Joined),
            Output::Join => self.after(5.0, Answer::JoinFailed),
            Output::Resume if self.network => {
                let known = self.server_knows && !self.forgets();
                self.after(0.04, if known { Answer::Resumed } else { Answer::ResumeFailed { unknown: true } });
            }
            Output::Resume => self.after(2.0, Answer::ResumeFailed { unknown: false }),
            Output::RestartIce if self.network => self.after(0.1, Answer::Path),
            Output::CloseDevices if self.devices_close => self.after(0.02, Answer::DevicesClosed),
            Output::SendLeave if self.network && self.server_acknowledges => {
                self.after(0.01, Answer::LeaveAcknowledged)
            }
            Output::RestartIce
            | Output::CloseDevices
            | Output::SendLeave
            | Output::PauseSending
            | Output::ResumeSending
            | Output::Disconnect
            | Output::Event(_) => {}
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.client.poll_output() {
            self.obey(&output);
            self.log.push((self.now, output));
        }
    }

    fn give(&mut self, answer: &Answer) {
        match answer {
            Answer::Joined => {
                self.server_knows = true;
                self.cut_at = None;
                self.client.handle_joined(self.now, vec!["bob".to_owned()]);
                self.after(0.05, Answer::Path);
            }
            Answer::JoinFailed => self.client.handle_join_failed(self.now, None),
            Answer::Resumed => {
                self.cut_at = None;
                self.client.handle_resumed(self.now);
            }
            Answer::ResumeFailed { unknown } => self.client.handle_resume_failed(self.now, *unknown),
            Answer::DevicesClosed => self.client.handle_devices_closed(self.now),
            Answer::LeaveAcknowledged => self.client.handle_leave_acknowledged(self.now),
            Answer::Path if self.network => self.client.handle_path(self.now, None),
            Answer::Path => {}
        }
    }

    /// Lets time pass, event by event.
    fn run(&mut self, seconds: f64) {
        let end = self.now + secs(seconds);
        for _ in 0..100_000 {
            self.drain();
            let answer = self.answers.iter().map(|(at, _)| *at).min();
            let timeout = self.client.poll_timeout();
            let Some(next) = [answer, timeout].into_iter().flatten().min().filter(|at| *at <= end) else {
                self.now = end;
                return;
            };
            self.now = self.now.max(next);
            if let Some(i) = self.answers.iter().position(|(at, _)| *at <= self.now) {
                let (_, answer) = self.answers.remove(i);
                self.give(&answer);
            } else {
                self.client.handle_timeout(self.now);
            }
        }
        panic!("time stands still: {:?} wants {:?} at {:?}", self.client, self.client.poll_timeout(), self.now);
    }

    fn cut(&mut self) {
        self.network = false;
        self.cut_at = Some(self.now);
        self.client.handle_signal_lost(self.now);
        self.client.handle_path(self.now, Some(self.now));
    }

    /// The network is back; ICE finds it by itself where the session still lives.
    fn mend(&mut self) {
        self.network = true;
        if !self.forgets() {
            self.after(0.2, Answer::Path);
        }
    }

    fn events(&self) -> Vec<(f64, Happened)> {
        let events = self.log.iter().filter_map(|(at, output)| match output {
            Output::Event(Happened::Link(_) | Happened::RemoteEntered(_) | Happened::RemoteLeft(..)) => None,
            Output::Event(event) => Some((at.as_secs_f64(), event.clone())),
            _ => None,
        });
        events.collect()
    }

    fn ended(&self) -> Option<(Duration, Ending)> {
        let endings: Vec<_> = self
            .log
            .iter()
            .filter_map(|(at, output)| match output {
                Output::Event(Happened::Ended(ending)) => Some((*at, *ending)),
                _ => None,
            })
            .collect();
        assert!(endings.len() <= 1, "ended more than once: {endings:?}");
        endings.first().copied()
    }

    fn position(&self, wanted: &Output) -> Option<usize> {
        self.log.iter().position(|(_, output)| output == wanted)
    }
}

#[test]
fn entering_reports_the_time_it_took_and_then_the_path() {
    let mut world = World::new(Purpose::Call);
    world.run(1.0);
    let events: Vec<_> = world.log.iter().map(|(_, output)| output.clone()).collect();
    assert_eq!(
        events,
        vec![
            Output::Join,
            Output::Event(Happened::Entered(secs(0.05))),
            Output::Event(Happened::RemoteEntered("bob".to_owned())),
            Output::Event(Happened::Link(Link::Up)),
        ]
    );
}

#[test]
fn a_room_that_does_not_answer_is_refused_after_ten_seconds() {
    let mut world = World::new(Purpose::Room);
    world.client.outputs.clear();
    world.run(15.0);
    assert_eq!(world.ended(), Some((secs(10.02), Ending::Refused(ERR_ENTER_TIMEOUT))));
}

#[test]
fn a_refused_token_ends_it_with_the_servers_code() {
    let mut world = World::new(Purpose::Room);
    world.client.handle_join_failed(secs(0.0), Some(-3320));
    world.run(1.0);
    assert_eq!(world.ended().map(|e| e.1), Some(Ending::Refused(-3320)));
}

#[test]
fn a_short_cut_is_mended_without_a_word() {
    let mut world = World::entered(Purpose::Call);
    world.cut();
    world.run(5.0);
    world.mend();
    world.run(5.0);
    assert_eq!(world.client.state, State::In);
    assert_eq!(world.events(), vec![]);
    assert!(world.position(&Output::PauseSending) < world.position(&Output::ResumeSending));
}

#[test]
fn a_cut_socket_alone_leaves_the_media_alone() {
    let mut world = World::entered(Purpose::Call);
    world.client.handle_signal_lost(world.now);
    world.run(4.0);
    assert_eq!(world.client.state, State::In);
    assert_eq!(world.log.iter().map(|(_, o)| o.clone()).collect::<Vec<_>>(), vec![Output::Resume]);
}

#[test]
fn a_long_cut_is_reported_on_the_documented_time_line() {
    let mut world = World::entered(Purpose::Call);
    world.cut();
    world.run(60.0);
    world.mend();
    world.run(10.0);
    let times: Vec<_> = world.events().into_iter().map(|(at, event)| (at - 1.0, event)).collect();
    let names: Vec<_> = times.iter().map(|(_, event)| event.clone()).collect();
    assert_eq!(
        names,
        vec![
            Happened::ConnectionLost,
            Happened::TryToReconnect,
            Happened::TryToReconnect,
            Happened::TryToReconnect,
            Happened::ConnectionRecovery
        ]
    );
    for (got, want) in times.iter().zip([8.0, 11.0, 35.0, 59.0]) {
        assert!((got.0 - want).abs() < 0.01, "{times:?}");
    }
    assert!(times[4].0 < 66.0, "came back late: {times:?}");
}

#[test]
fn out_for_longer_than_the_server_waits_ends_a_call_and_only_when_the_network_is_back() {
    let mut world = World::entered(Purpose::Call);
    world.cut();
    world.run(200.0);
    assert_eq!(world.ended(), None);
    let joins = world.log.iter().filter(|(_, output)| *output == Output::Join).count();
    assert_eq!(joins, 0, "a call is not entered anew behind the person's back");
    world.mend();
    world.run(8.0);
    assert_eq!(world.ended().map(|e| e.1), Some(Ending::OutTooLong));
}

#[test]
fn out_for_long_enters_a_room_anew() {
    let mut world = World::entered(Purpose::Room);
    world.cut();
    world.run(200.0);
    world.mend();
    world.run(10.0);
    assert_eq!(world.client.state, State::In);
    assert_eq!(world.events().last().map(|e| e.1.clone()), Some(Happened::ConnectionRecovery));
}

#[test]
fn half_an_hour_of_trying_is_enough() {
    let mut world = World::entered(Purpose::Room);
    world.cut();
    world.run(1900.0);
    let (at, ending) = world.ended().unwrap();
    assert_eq!(ending, Ending::GaveUp);
    assert!((at.as_secs_f64() - 1801.0).abs() < 3.0, "{at:?}");
}

#[test]
fn a_path_that_does_not_come_back_by_itself_gets_an_ice_restart_and_then_a_fresh_connection() {
    let mut world = World::entered(Purpose::Call);
    world.network = false;
    world.client.handle_path(world.now, Some(world.now));
    world.run(1.0);
    assert!(world.position(&Output::RestartIce).is_some());
    world.run(12.0);
    assert!(world.position(&Output::Join).is_some());
}

#[test]
fn a_path_that_comes_back_within_nine_seconds_is_found_by_ice_and_nobody_enters_anew() {
    for away in [2.5, 5.5, 8.5] {
        let mut world = World::entered(Purpose::Call);
        world.network = false;
        world.client.handle_path(world.now, Some(world.now));
        world.run(away);
        world.network = true;
        world.run(4.0);
        assert_eq!(world.client.state, State::In, "after {away} s");
        assert_eq!(world.position(&Output::Join), None, "after {away} s");
    }
}

#[test]
fn exit_closes_devices_before_it_says_goodbye_and_before_it_is_reported() {
    let mut world = World::entered(Purpose::Call);
    world.client.handle_exit(world.now);
    world.run(3.0);
    let order: Vec<_> = world.log.iter().map(|(_, output)| output.clone()).collect();
    assert_eq!(
        order,
        vec![
            Output::CloseDevices,
            Output::SendLeave,
            Output::Disconnect,
            Output::Event(Happened::Ended(Ending::Exit(ExitReason::Own))),
        ]
    );
    assert_eq!(world.ended().unwrap().0, secs(1.02));
}

#[test]
fn exit_without_an_acknowledgement_takes_two_seconds() {
    let mut world = World::entered(Purpose::Call);
    world.server_acknowledges = false;
    world.client.handle_exit(world.now);
    world.run(3.0);
    assert_eq!(world.ended(), Some((secs(3.0), Ending::Exit(ExitReason::Own))));
}

#[test]
fn exit_during_an_outage_and_while_entering_ends_in_time() {
    let mut out = World::entered(Purpose::Call);
    out.cut();
    out.run(4.0);
    out.client.handle_exit(out.now);
    out.run(2.5);
    assert_eq!(out.ended().map(|e| e.1), Some(Ending::Exit(ExitReason::Own)));

    let mut entering = World::new(Purpose::Call);
    entering.drain();
    entering.client.handle_exit(entering.now);
    entering.run(2.5);
    assert_eq!(entering.ended().map(|e| e.1), Some(Ending::Exit(ExitReason::Own)));
}

#[test]
fn the_first_reason_stands() {
    for (told, ending) in [
        (Told::Removed, Ending::Exit(ExitReason::Removed)),
        (Told::Dismissed, Ending::Exit(ExitReason::Dismissed)),
        (Told::Duplicate, Ending::Kicked),
    ] {
        let mut world = World::entered(Purpose::Call);
        world.client.handle_told(world.now, told);
        world.client.handle_exit(world.now);
        world.client.handle_signal_lost(world.now);
        world.run(3.0);
        assert_eq!(world.ended().map(|e| e.1), Some(ending));
        assert!(world.position(&Output::CloseDevices) < world.position(&Output::Disconnect));
        assert_eq!(world.position(&Output::SendLeave), None, "who was told to go says no goodbye");

        let mut own = World::entered(Purpose::Call);
        own.client.handle_exit(own.now);
        own.client.handle_told(own.now, told);
        own.run(3.0);
        assert_eq!(own.ended().map(|e| e.1), Some(Ending::Exit(ExitReason::Own)));
    }
}

#[test]
fn a_tile_says_reconnecting_after_two_silent_seconds_and_only_where_media_is_due() {
    let mut world = World::entered(Purpose::Call);
    world.run(5.0);
    assert_eq!(world.events(), vec![]);
    world.client.handle_expected(world.now, "bob", true);
    world.run(1.0);
    world.client.handle_heard(world.now, "bob");
    world.run(3.0);
    world.client.handle_heard(world.now, "bob");
    world.run(0.5);
    let bob = |silent| Happened::RemoteReconnecting("bob".to_owned(), silent);
    assert_eq!(world.events(), vec![(9.0, bob(true)), (10.0, bob(false))]);
}

/// A small generator of chances: seeds, not clocks, make the runs differ.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// Whatever happens in whatever order: it ends once, devices are closed before, sending stops and starts in turn, and
/// no two attempts run at once.
#[test]
fn racing_inputs_never_break_the_rules() {
    for seed in 0..2000 {
        let mut dice = Dice(seed);
        let mut world = World::new(if seed % 2 == 0 { Purpose::Call } else { Purpose::Room });
        world.server_acknowledges = dice.roll(4) != 0;
        world.devices_close = dice.roll(8) != 0;
        for _ in 0..40 {
            match dice.roll(16) {
                0 | 1 => world.cut(),
                2..=4 => world.mend(),
                5 => world.client.handle_signal_lost(world.now),
                6 => world.client.handle_path(world.now, Some(world.now)),
                7 => world.client.handle_told(world.now, Told::Resume),
                8 => world.client.handle_told(world.now, Told::Rejoin),
                9 if dice.roll(6) == 0 => world.client.handle_told(world.now, Told::Removed),
                10 if dice.roll(6) == 0 => world.client.handle_exit(world.now),
                11 => world.client.handle_expected(world.now, "bob", true),
                12 => world.client.handle_heard(world.now, "bob"),
                _ => {}
            }
            let pause = dice.roll(200) as f64 / 10.0;
            world.run(pause);
        }
        world.client.handle_exit(world.now);
        world.run(2.1);
        check(&world, seed);
    }
}

fn check(world: &World, seed: u64) {
    assert!(world.client.is_over() && world.ended().is_some(), "seed {seed}: {:?}", world.client);
    let last = world.log.last().map(|(_, output)| output.clone());
    assert!(matches!(last, Some(Output::Event(Happened::Ended(_)))), "seed {seed}: {last:?} after the end");
    assert!(world.position(&Output::CloseDevices) < world.position(&Output::Disconnect), "seed {seed}");
    let (mut paused, mut lost, mut tries) = (false, false, 0);
    for (at, output) in &world.log {
        match output {
            Output::PauseSending | Output::ResumeSending => {
                assert_eq!(paused, *output == Output::ResumeSending, "seed {seed} at {at:?}");
                paused = !paused;
            }
            Output::Event(Happened::ConnectionLost) => {
                assert!(!lost, "seed {seed} at {at:?}: lost twice");
                (lost, tries) = (true, 0);
            }
            Output::Event(Happened::TryToReconnect) => {
                assert!(lost, "seed {seed} at {at:?}");
                tries += 1;
            }
            Output::Event(Happened::ConnectionRecovery) => {
                assert!(std::mem::take(&mut lost), "seed {seed} at {at:?}: recovered what was not lost");
            }
            _ => {}
        }
    }
    assert!(tries < 1000, "seed {seed}");
}
