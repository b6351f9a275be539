//! Group calls, names, cards, records and several devices at the switchboard: what is refused, and what goes along.
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test that is surprised fails")]

mod sim;

use call::session::{CallState, Link};
use protocol::message::PlaceCall;
use protocol::{CallEndReason, Code, RecordFilter, RecordResult, UserId};
use sim::Action::{self, *};
use sim::{Seen, World, check, check_records, story, wish};

fn user(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

fn run(users: &[&str], script: &[(u64, &'static str, Action)], end: u64) -> World {
    let mut world = World::new(5);
    for user in users {
        world.add(user, "desk");
    }
    world.run(script, end);
    // While it still rings there is nothing to agree about.
    if !world.board.calls().any(|call| call.parties().iter().any(call::call::Party::is_ringing)) {
        check(&world, &script);
    }
    world
}

fn codes(world: &World, who: &str) -> Vec<i32> {
    let refused = |seen: &Seen| match seen {
        Seen::Refused(code) => Some(*code),
        _ => None,
    };
    world.device(who).seen.iter().filter_map(refused).collect()
}

const EVERYONE: [&str; 11] =
    ["alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "ivan", "judy", "kim"];

#[test]
fn nine_are_in_or_rung_and_a_tenth_is_refused() {
    let callees: Vec<&'static str> = EVERYONE[1..8].to_vec();
    let world = run(
        &EVERYONE,
        &[
            (5_000, "alice", Call(callees)),
            (8_000, "bob", Accept),
            // Eight are in or rung: two more are one too many, one is not.
            (9_000, "bob", Invite(vec!["ivan", "judy"])),
            (10_000, "bob", Invite(vec!["ivan"])),
            (11_000, "bob", Invite(vec!["judy"])),
            // A place that becomes free can be given away.
            (12_000, "carol", Reject),
            (13_000, "bob", Invite(vec!["judy"])),
            // Now it is full: whoever left does not come back by the card.
            (14_000, "carol", Join),
        ],
        20_000,
    );
    assert_eq!(codes(&world, "bob"), [-1202, -1202]);
    assert_eq!(codes(&world, "carol"), [-1203]);
    assert!(story(world.device("judy")).contains(&"received bob".to_owned()));
    assert!(!world.device("carol").session.cards().is_empty());
}

#[test]
fn wrong_invitations_are_refused_and_ring_nobody() {
    let world = run(
        &["alice", "bob", "carol", "dave"],
        &[
            (4_000, "dave", Invite(vec!["carol"])),
            (5_000, "alice", Call(vec!["bob", "carol"])),
            (8_000, "bob", Accept),
            (9_000, "bob", Invite(vec!["alice"])),
            (9_500, "bob", Invite(vec!["carol"])),
            (10_000, "bob", Invite(vec!["bob"])),
            (11_000, "bob", Invite(vec!["dave", "dave"])),
            (12_000, "bob", Invite(vec!["ghost", "dave"])),
            (13_000, "carol", Invite(vec!["dave"])),
        ],
        20_000,
    );
    assert_eq!(codes(&world, "dave"), [-1203], "not in a call");
    assert_eq!(codes(&world, "bob"), [-1202; 5], "in it, rung, oneself, twice, unknown");
    assert_eq!(codes(&world, "carol"), [-1203], "rung, not in");
    assert!(!story(world.device("dave")).iter().any(|word| word.starts_with("received")));
}

#[test]
fn a_call_for_two_takes_a_third_only_by_its_own_button() {
    let script = [(5_000, "alice", Call(vec!["bob"])), (8_000, "bob", Accept), (9_000, "alice", Invite(vec!["carol"]))];
    let mut world = run(&["alice", "bob", "carol"], &script, 10_000);
    assert_eq!(codes(&world, "alice"), [-1205]);
    world.run(&[(11_000, "alice", AddPerson(vec!["carol"])), (12_000, "alice", ToVoice)], 13_000);
    assert_eq!(codes(&world, "alice"), [-1205, -1205], "a group call keeps its kind");
    let CallState::Live(live) = world.device("bob").session.call() else { panic!("bob is in") };
    let ringing: Vec<_> = live.peers.iter().filter(|peer| peer.is_ringing()).map(|peer| peer.user.clone()).collect();
    assert!(live.group && ringing == [user("carol")]);
}

#[test]
fn whoever_enters_learns_who_still_rings_and_until_when() {
    let world = run(
        &["alice", "bob", "carol", "dave"],
        &[(5_000, "alice", Call(vec!["bob", "carol"])), (8_000, "bob", Accept), (20_000, "bob", Invite(vec!["dave"]))],
        21_000,
    );
    let CallState::Live(live) = world.device("alice").session.call() else { panic!("alice is in") };
    let left = |name: &str| {
        let peer = live.peers.iter().find(|peer| peer.user == user(name)).unwrap();
        peer.rings_until.map(|until| until.saturating_duration_since(world.instant()).as_secs())
    };
    assert_eq!(left("bob"), None);
    assert!((13..=14).contains(&left("carol").unwrap()), "{:?}", left("carol"));
    assert!((28..=29).contains(&left("dave").unwrap()), "{:?}", left("dave"));
}

#[test]
fn a_card_is_there_while_the_call_runs_and_only_for_those_who_were_invited() {
    let mut world = run(
        &["alice", "bob", "carol", "dave"],
        &[(5_000, "alice", Call(vec!["bob", "carol"])), (8_000, "bob", Accept), (9_000, "carol", Reject)],
        10_000,
    );
    let cards = world.device("carol").session.cards().to_vec();
    assert_eq!(cards.len(), 1);
    assert_eq!((&cards[0].caller_id, cards[0].members.as_slice()), (&user("alice"), &[user("alice"), user("bob")][..]));
    for other in ["alice", "bob", "dave"] {
        assert!(world.device(other).session.cards().is_empty(), "{other}");
    }
    // It is there again after a lost connection, a crash, and a restart of the server.
    for trouble in [Offline(500), Die(500), Restart] {
        let now = world.now;
        world.run(&[(now, "carol", trouble.clone())], now + 5_000);
        assert_eq!(world.device("carol").session.cards(), cards, "{trouble:?}");
    }
    let now = world.now;
    world.run(&[(now, "alice", Hangup)], now + 5_000);
    assert!(world.device("carol").session.cards().is_empty());
    assert!(world.device("alice").session.cards().is_empty());
}

#[test]
fn a_stranger_cannot_join_and_a_call_for_two_cannot_be_joined() {
    let mut world =
        run(&["alice", "bob", "carol"], &[(5_000, "alice", Call(vec!["bob"])), (8_000, "bob", Accept)], 10_000);
    let call = world.board.calls().next().unwrap().id().clone();
    let now = world.instant();
    let carol = world.devices.iter_mut().find(|device| device.user == user("carol")).unwrap();
    carol.session.join(call, now).unwrap();
    world.advance(12_000);
    assert_eq!(codes(&world, "carol"), [-1203]);
    assert_eq!(*world.device("carol").session.call(), CallState::Idle);
    check(&world, &"joined");
}

#[test]
fn names_go_along_with_calls_and_survive_a_restart() {
    let world = run(
        &["alice", "bob", "carol"],
        &[
            (2_000, "alice", Nickname("Ann")),
            (2_500, "bob", Restart),
            (5_000, "alice", Call(vec!["bob", "carol"])),
            (8_000, "bob", Accept),
            (9_000, "bob", Nickname("Bob")),
            (10_000, "carol", Accept),
            (12_000, "carol", Die(1_000)),
        ],
        20_000,
    );
    let told = story(world.device("bob"));
    assert_eq!(told[..2], ["alice is Ann", "received alice"], "the name comes before the ring");
    assert_eq!(world.device("alice").session.profiles()[&user("bob")].nickname, "Bob");
    assert_eq!(world.device("bob").session.profiles()[&user("bob")].nickname, "Bob", "one's own, from the answer");
    // A new process has forgotten everything and sees the names on the card.
    let carol = &world.device("carol").session;
    assert_eq!(carol.profiles()[&user("alice")].nickname, "Ann");
    assert_eq!(carol.profiles()[&user("bob")].nickname, "Bob");
}

#[test]
fn each_reads_their_own_side_of_a_call() {
    let results = |script: &[(u64, &'static str, Action)]| {
        let world = run(&["alice", "bob", "carol"], script, 300_000);
        check_records(&world, true, &script);
        let of = |name: &str| {
            let records = world.records(&user(name), &RecordFilter::default());
            records.iter().map(|record| (record.result, record.reason, record.total_time)).collect::<Vec<_>>()
        };
        (of("alice"), of("bob"))
    };
    use CallEndReason::{Canceled, Hangup, LineBusy, NoResponse, Reject};
    use RecordResult::{Incoming, Missed, Outgoing};
    let call = || (5_000, "alice", Call(vec!["bob"]));
    let cases: [(&[sim::Step], _, _); 5] = [
        (
            &[call(), (8_000, "bob", Accept), (20_500, "alice", Action::Hangup)],
            (Outgoing, Hangup, 12),
            (Incoming, Hangup, 12),
        ),
        (&[call(), (8_000, "bob", Action::Reject)], (Outgoing, Reject, 0), (Incoming, Reject, 0)),
        (&[call()], (Outgoing, NoResponse, 0), (Missed, NoResponse, 0)),
        (&[call(), (8_000, "alice", Action::Hangup)], (Outgoing, Canceled, 0), (Missed, Canceled, 0)),
        (&[call(), (8_000, "bob", Ignore)], (Outgoing, LineBusy, 0), (Missed, LineBusy, 0)),
    ];
    for (script, caller, callee) in cases {
        assert_eq!(results(script), (vec![caller], vec![callee]), "{script:?}");
    }
    // Busy: the call that he was in, and the one that he missed meanwhile.
    let (_, bob) = results(&[
        (4_000, "carol", Call(vec!["bob"])),
        (4_500, "bob", Accept),
        call(),
        (20_000, "carol", Action::Hangup),
    ]);
    assert_eq!(bob, [(Missed, LineBusy, 0), (Incoming, Hangup, 15)]);
}

#[test]
fn records_are_listed_and_deleted_by_the_client_for_itself_alone() {
    let world = run(
        &["alice", "bob"],
        &[
            (5_000, "alice", Call(vec!["bob"])),
            (8_000, "bob", Reject),
            (10_000, "alice", Call(vec!["bob"])),
            (12_000, "bob", Reject),
            (14_000, "bob", Recent),
            (15_000, "bob", DeleteRecord),
            (16_000, "bob", Restart),
            (18_000, "bob", Recent),
            (18_000, "alice", Recent),
        ],
        20_000,
    );
    assert!(story(world.device("bob")).ends_with(&["2 records".to_owned(), "1 records".to_owned()]));
    assert_eq!(story(world.device("alice")).last().unwrap(), "2 records");
}

#[test]
fn a_call_that_runs_on_without_somebody_is_in_their_list_already() {
    let world = run(
        &["alice", "bob", "carol"],
        &[
            (5_000, "alice", Call(vec!["bob", "carol"])),
            (8_000, "bob", Accept),
            (9_000, "carol", Reject),
            (10_000, "carol", Recent),
            (11_000, "bob", Recent),
            (12_000, "carol", DeleteRecord),
            (13_000, "carol", Recent),
            (14_000, "alice", Hangup),
            (16_000, "carol", Recent),
            (17_000, "bob", Recent),
        ],
        20_000,
    );
    let lists = |who: &str| {
        let words = story(world.device(who));
        words.into_iter().filter(|word| word.ends_with("records")).collect::<Vec<_>>()
    };
    assert_eq!(lists("carol"), ["1 records", "0 records", "0 records"], "deleted while it runs, it does not come back");
    assert_eq!(lists("bob"), ["0 records", "1 records"], "whoever is in it has no record yet");
}

#[test]
fn whoever_declined_has_a_record_while_it_still_rings_for_others() {
    let world = run(
        &["alice", "bob", "carol", "dave", "erin"],
        &[
            (2_000, "carol", Call(vec!["dave"])),
            (3_000, "dave", Accept),
            // Nobody is free but bob and erin.
            (5_000, "alice", Call(vec!["bob", "carol", "erin"])),
            (8_000, "bob", Reject),
            (9_000, "bob", Recent),
            // Busy, and in another call.
            (10_000, "carol", Recent),
        ],
        11_000,
    );
    assert_eq!(story(world.device("bob")).last().unwrap(), "1 records");
    assert_eq!(story(world.device("carol")).last().unwrap(), "1 records");
}

#[test]
fn a_crash_of_client_or_server_leaves_the_same_records() {
    for trouble in [("bob", Die(60_000)), ("bob", Restart), ("alice", Offline(20_000))] {
        let (who, what) = trouble;
        let script = [
            (5_000, "alice", Call(vec!["bob"])),
            (8_000, "bob", Accept),
            (20_000, who, what.clone()),
            (60_000, "alice", Hangup),
        ];
        let world = run(&["alice", "bob"], &script, 300_000);
        check_records(&world, false, &what);
        let records = world.records(&user("bob"), &RecordFilter::default());
        assert_eq!(records.len(), 1, "{what:?}");
        let expected = if matches!(what, Die(_)) { CallEndReason::Offline } else { CallEndReason::Hangup };
        assert_eq!(records[0].reason, expected, "{what:?}");
        assert!(records[0].total_time >= 12, "{what:?}: {records:?}");
    }
}

#[test]
fn the_multi_device_ability_lets_both_stay_and_a_restart_does_not_forget_it() {
    let mut world = run(&["bob"], &[(2_000, "bob", MultiDevice(true)), (3_000, "bob", Elsewhere("phone"))], 5_000);
    assert!(world.devices.iter().all(|device| *device.session.link() == Link::Online));
    assert!(world.device("bob/phone").session.multi_device(), "the welcome says so");
    world.run(&[(6_000, "bob", Restart), (8_000, "bob", Elsewhere("tablet"))], 12_000);
    assert!(world.devices.iter().all(|device| *device.session.link() == Link::Online));
    world.run(&[(13_000, "bob/tablet", MultiDevice(false))], 20_000);
    let online = |device: &&sim::Device| *device.session.link() == Link::Online;
    let stays: Vec<_> = world.devices.iter().filter(online).map(|device| device.name.as_str()).collect();
    assert_eq!(stays, ["tablet"]);
}

#[test]
fn a_user_has_ten_devices_at_most() {
    let mut world = run(&["bob"], &[(2_000, "bob", MultiDevice(true))], 3_000);
    for name in ["d1", "d2", "d3", "d4", "d5", "d6", "d7", "d8", "d9"] {
        world.add("bob", name);
        let now = world.now;
        world.advance(now + 200);
    }
    let now = world.now;
    world.run(&[(now, "bob/d3", Offline(60_000))], now + 2_000);
    world.add("bob", "d10");
    world.advance(now + 4_000);
    let kicked = |device: &sim::Device| *device.session.link() == Link::Kicked;
    assert_eq!(world.devices.iter().filter(|device| kicked(device)).count(), 0, "the one that is away makes room");
    world.advance(now + 100_000);
    assert!(!kicked(world.device("bob/d3")), "and comes back as a new one, for which another has made room");
    assert_eq!(world.devices.iter().filter(|device| *device.session.link() == Link::Online).count(), 10);
}

#[test]
fn an_expired_ticket_stops_what_is_new_and_nothing_that_runs() {
    let mut world = World::new(5);
    world.add_with_ticket("alice", "desk", 10_000);
    for user in ["bob", "carol", "dave"] {
        world.add(user, "desk");
    }
    let script = [
        (3_000, "alice", Call(vec!["bob", "carol"])),
        (5_000, "bob", Accept),
        (12_000, "alice", Invite(vec!["dave"])),
        (13_000, "alice", Renew(600_000)),
        (14_000, "alice", Invite(vec!["dave"])),
    ];
    world.run(&script, 15_000);
    assert_eq!(codes(&world, "alice"), [-70001]);
    assert_eq!(story(world.device("dave")), ["received alice"]);
    let told = story(world.device("alice"));
    assert_eq!(told.iter().filter(|word| *word == "expired").count(), 1);
}

#[test]
fn a_bad_new_ticket_does_not_end_the_running_call_either() {
    let mut world = World::new(5);
    world.add_with_ticket("alice", "desk", 10_000);
    world.add("bob", "desk");
    let script = [(3_000, "alice", Call(vec!["bob"])), (5_000, "bob", Accept)];
    world.run(&script, 100_000);
    let alice = &world.device("alice").session;
    assert!(matches!(alice.link(), Link::Refused(refusal) if refusal.known() == Some(Code::SigExpired)));
    assert!(alice.wants_ticket() && matches!(alice.call(), CallState::Live(_)));
    // This one has expired too.
    world.run(&[(100_000, "alice", Renew(0))], 102_000);
    assert!(matches!(world.device("alice").session.call(), CallState::Live(_)));
    world.run(&[(103_000, "alice", Renew(600_000)), (110_000, "bob", Hangup)], 115_000);
    assert_eq!(story(world.device("alice")).last().unwrap(), "end Hangup bob");
    check(&world, &"renewed");
}

#[test]
fn a_server_that_does_not_offer_several_devices_says_so() {
    use call::switchboard::{Output, Settings, SignIn};
    use protocol::{DeviceId, Request, ServerMessage, UnixMillis};
    let settings = Settings { multi_device: false, ..Settings::default() };
    let mut board = call::Switchboard::new(settings, [1; 32]);
    let device = DeviceId::new("desk").unwrap();
    let hello = SignIn { user: user("bob"), device, resume: None, ticket_expires: UnixMillis(u64::MAX) };
    board.handle_hello(1, hello, UnixMillis(1));
    while board.poll_output().is_some() {}
    board.handle_request(1, 1, Request::EnableMultiDeviceAbility { enable: true }, UnixMillis(2));
    let Some(Output::Send { message: ServerMessage::Error { refusal, .. }, .. }) = board.poll_output() else {
        panic!("a refusal")
    };
    assert_eq!(refusal.known(), Some(Code::NotOffered));
}

#[test]
fn a_group_id_makes_a_group_call_of_one_callee() {
    let mut world = World::new(5);
    for user in ["alice", "bob", "carol"] {
        world.add(user, "desk");
    }
    world.advance(2_000);
    let now = world.instant();
    let call = PlaceCall { group_id: "family".to_owned(), ..wish(&["bob"]) };
    world.devices[0].session.place(call, now).unwrap();
    world.run(&[(4_000, "bob", Accept), (5_000, "bob", Invite(vec!["carol"]))], 8_000);
    assert_eq!(story(world.device("carol")), ["received bob"]);
}
