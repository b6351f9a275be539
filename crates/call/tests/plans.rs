//! Long random plans of what people do and what befalls them, and what must hold whatever they do: everyone agrees who
//! is in a call, no call rings for ever, nobody is in two calls, each call that is over has one record.
//!
//! A plan that fails is made as short as it can be and written to `target/plans/`; from there it moves to
//! `tests/plans/`, where it is played for ever. `PLAN=FILE` plays one plan, `PLANS=N` tries that many.
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test that is surprised fails")]

mod sim;

use sim::Action::{self, *};
use sim::{Plan, Step, World, check, check_records};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// How long everything is left alone, so that rings, graces and rooms run out: nothing is in flight after that.
const QUIET: u64 = 200_000;

const PEOPLE: [&str; 4] = ["alice", "bob", "carol", "dave"];

/// xorshift64 (Marsaglia 2003).
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[usize::try_from(self.below(from.len() as u64)).unwrap()]
    }

    /// One to three people other than `who`.
    fn others(&mut self, who: &str) -> Vec<&'static str> {
        let mut others: Vec<_> = PEOPLE.into_iter().filter(|user| !who.starts_with(user)).collect();
        for _ in 0..self.below(3) {
            others.remove(usize::try_from(self.below(others.len() as u64)).unwrap());
        }
        others
    }
}

fn random_plan(seed: u64) -> Plan {
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut plan = Plan { seed, ..Plan::default() };
    for user in PEOPLE {
        let ticket = if dice.below(8) == 0 { 5_000 + dice.below(90_000) } else { u64::MAX };
        plan.devices.push((user, "desk", ticket));
    }
    let mut who = PEOPLE.to_vec();
    if dice.below(2) == 0 {
        plan.steps.push((1_000, "bob", MultiDevice(true)));
        plan.steps.push((2_000, "bob", Elsewhere("phone")));
        who.push("bob/phone");
    }
    let mut at = 3_000;
    for _ in 0..10 + dice.below(40) {
        at += dice.pick(&[1, 10, 40, 500, 3_000]) + dice.below(dice_span(seed));
        let device = dice.pick(&who);
        let action = random_action(&mut dice, device);
        plan.steps.push((at, device, action));
    }
    plan.end = at + QUIET;
    plan
}

/// Some plans are hectic, some take their time.
fn dice_span(seed: u64) -> u64 {
    [50, 1_000, 8_000][usize::try_from(seed % 3).unwrap()]
}

fn random_action(dice: &mut Dice, who: &str) -> Action {
    match dice.below(40) {
        0..=7 => Call(dice.others(who)),
        8..=15 => Accept,
        16 | 17 => Reject,
        18 => Ignore,
        19..=21 => Hangup,
        22 | 23 => Invite(dice.others(who)),
        24 => AddPerson(dice.others(who)),
        25..=27 => Join,
        28 => ToVoice,
        29 => Nickname(dice.pick(&["Ann", "Zoë"])),
        30 => Recent,
        31 => DeleteRecord,
        32 | 33 => Offline(1 + dice.below(20_000)),
        34 => Die(500 + dice.below(30_000)),
        35 => MediaLost,
        36 => [Removed, Dismissed, EndCall][usize::try_from(dice.below(3)).unwrap()].clone(),
        37 => Renew(1_000 + dice.below(600_000)),
        38 => MultiDevice(dice.below(4) > 0),
        _ => [Restart, SignOut, Restart][usize::try_from(dice.below(3)).unwrap()].clone(),
    }
}

/// Plays a plan, looks, lets everyone hang up, and looks again.
fn judge(plan: &Plan) {
    let mut world = plan.play();
    look(&world, plan);
    let goodbyes: Vec<Step> = world
        .devices
        .iter()
        .map(|device| (world.now + 1, keep(&format!("{}/{}", device.user, device.name)), Hangup))
        .collect();
    world.run(&goodbyes, plan.end + 2 * QUIET);
    look(&world, plan);
    assert_eq!(world.board.calls().count(), 0, "a call is left over");
}

fn look(world: &World, plan: &Plan) {
    check(world, &plan.seed);
    check_records(world, false, &plan.seed);
}

fn keep(text: &str) -> &'static str {
    Box::leak(text.to_owned().into_boxed_str())
}

fn fails(plan: &Plan) -> Option<String> {
    let error = catch_unwind(AssertUnwindSafe(|| judge(plan))).err()?;
    let text = error.downcast_ref::<String>().cloned();
    Some(text.or_else(|| error.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default())
}

/// Leaves out every step without which it fails all the same.
fn shorten(mut plan: Plan) -> Plan {
    let mut at = 0;
    while at < plan.steps.len() {
        let mut shorter = plan.clone();
        shorter.steps.remove(at);
        if fails(&shorter).is_some() {
            plan = shorter;
        } else {
            at += 1;
        }
    }
    plan
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plans")
}

fn save(plan: &Plan) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"), PathBuf::from);
    let path = target.join("plans").join(format!("{}.plan", plan.seed));
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, plan.to_string()).unwrap();
    path
}

#[test]
fn whatever_people_do_everyone_agrees_and_nothing_is_left_over() {
    if let Some(path) = std::env::var_os("PLAN") {
        return judge(&Plan::parse(&std::fs::read_to_string(path).unwrap()));
    }
    let many = std::env::var("PLANS").ok().and_then(|n| n.parse().ok()).unwrap_or(400);
    let quiet = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let found = (1..=many).find_map(|seed| {
        let plan = random_plan(seed);
        fails(&plan).map(|_| shorten(plan))
    });
    let why = found.as_ref().and_then(fails);
    std::panic::set_hook(quiet);
    if let Some(plan) = found {
        let path = save(&plan);
        panic!("{}\n{plan}\nPLAN={} plays it again", why.unwrap_or_default(), path.display());
    }
}

#[test]
fn plans_that_failed_once_hold() {
    let mut played = 0;
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        let plan = Plan::parse(&std::fs::read_to_string(&path).unwrap());
        judge(&plan);
        assert_eq!(Plan::parse(&plan.to_string()), plan, "{}", path.display());
        played += 1;
    }
    assert!(played > 0);
}

/// Plans that never get anywhere prove nothing: together they reach every kind of end and every turn of a group call.
#[test]
fn the_plans_reach_what_they_are_about() {
    use protocol::{CallEndReason, Event};
    use std::collections::BTreeSet;
    let (mut turns, mut ends) = (BTreeSet::new(), BTreeSet::new());
    for seed in 1..=400 {
        for device in random_plan(seed).play().devices {
            for seen in device.seen {
                match seen {
                    sim::Seen::Event(event) => {
                        if let Event::OnCallCancelled { reason, .. } | Event::OnCallEnd { reason, .. } = &event {
                            ends.insert(*reason);
                        }
                        let json = serde_json::to_value(&event).unwrap();
                        turns.insert(json["event"].as_str().unwrap().to_owned());
                    }
                    sim::Seen::Refused(code) => drop(turns.insert(code.to_string())),
                    _ => {}
                }
            }
        }
    }
    for turn in
        ["onUserInviting", "onCallMediaTypeChanged", "onUserJoin", "onUserSigExpired", "onKickedOffline", "-1205"]
    {
        assert!(turns.contains(turn), "no plan came to {turn}: {turns:?}");
    }
    let all: BTreeSet<_> = (1..10).map(|n| CallEndReason::try_from(n).unwrap()).collect();
    assert_eq!(ends, all);
}
