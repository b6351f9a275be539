//! Random lives by seed: whatever happens to rooms, people and webhooks, what is told makes sense, and is true once it
//! is quiet.

use super::*;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

const NAMES: [&str; 2] = ["n:1", "s:two"];
const PEOPLE: [&str; 4] = ["alice", "bob", "carol", "dave"];

fn fate(dice: &mut StdRng, harsh: bool) -> Fate {
    let mut delay = || Duration::from_millis(dice.random_range(0..if harsh { 20_000 } else { 500 }));
    let (first, second) = (delay(), delay());
    match dice.random_range(0..10) {
        0 | 1 if harsh => Fate::Lost,
        2 | 3 => Fate::Twice(first, first + second),
        4..=7 => AT_ONCE,
        _ => Fate::After(first),
    }
}

fn act(world: &mut World, dice: &mut StdRng, void: &mut BTreeSet<Key>) {
    let (name, who) = (NAMES[dice.random_range(0..NAMES.len())], PEOPLE[dice.random_range(0..PEOPLE.len())]);
    let key = (name.to_owned(), who.to_owned());
    let is_in = world.rooms.get(name).is_some_and(|room| room.members.contains_key(who));
    match dice.random_range(0..20) {
        0..=4 => {
            world.enter(name, who);
            void.remove(&key);
        }
        5 | 6 => world.out(name, who, DisconnectReason::ClientInitiated),
        7 => world.out(name, who, DisconnectReason::ConnectionTimeout),
        8 if world.reachable && world.rooms.contains_key(name) => {
            world.remove(name, who);
            void.insert(key);
        }
        9 if world.reachable => {
            let members = world.rooms.get(name).into_iter().flat_map(|room| room.members.keys().cloned());
            void.extend(members.map(|who| (name.to_owned(), who)).collect::<Vec<_>>());
            world.dismiss(name);
        }
        10 => world.delete(name),
        11 if world.rooms.get(name).is_some_and(|room| room.members.is_empty()) => world.end_room(name),
        12 if void.contains(&key) => world.enter_as(name, who, Token::Void),
        13 if !is_in => {
            world.brain.revoke(world.now, name, who);
            void.insert(key);
        }
        14 => world.reachable = !world.reachable,
        16 | 17 => world.publish(name, who),
        18 => world.unpublish(name, who),
        19 => world.mute(name, who, dice.random_range(0..2) == 0),
        15 if dice.random_range(0..4) == 0 => world.crash(),
        _ => {}
    }
}

fn live(seed: u64, harsh: bool) {
    let mut dice = StdRng::seed_from_u64(seed);
    let (mut world, mut void) = (World::new(), BTreeSet::new());
    for _ in 0..120 {
        for _ in world.fates.len()..8 {
            let fate = fate(&mut dice, harsh);
            world.fates.push_back(fate);
        }
        world.listing_takes = Duration::from_millis(dice.random_range(0..3_000));
        act(&mut world, &mut dice, &mut void);
        let time = if dice.random_range(0..4) == 0 { 15_000 } else { 800 };
        world.pass(Duration::from_millis(dice.random_range(0..time)));
        picture(&world.events);
    }
    world.reachable = true;
    world.fate = AT_ONCE;
    world.fates.clear();
    world.pass_secs(90);
    let told = picture(&world.events);
    assert_eq!(told, world.truth(), "seed {seed}: what was told is not what is");
    for room in world.rooms.values() {
        for (who, token) in room.members.values() {
            assert_eq!(*token, Token::Good, "seed {seed}: {} stays with a void token", who.identity);
        }
    }
    // From then on there is nothing to tell.
    let quiet = world.events.len();
    world.pass(GONE_LIFE * 2);
    assert_eq!(
        world.events.len(),
        quiet,
        "seed {seed}: {:?}",
        world.events[quiet..].iter().map(in_words).collect::<Vec<_>>()
    );
}

#[test]
fn with_webhooks_that_are_late_repeated_and_reordered_all_that_is_told_is_true() {
    for seed in 0..150 {
        live(seed, false);
    }
}

#[test]
fn with_webhooks_lost_and_very_late_all_that_is_told_is_true_in_the_end() {
    for seed in 1000..1150 {
        live(seed, true);
    }
}

/// Somebody who is in all the time is never told to have left, whatever happens to the webhooks about others.
#[test]
fn whoever_stays_in_is_never_told_to_have_left() {
    for seed in 0..60 {
        let mut dice = StdRng::seed_from_u64(seed);
        let mut world = World::new();
        world.enter("n:1", "stayer");
        for _ in 0..100 {
            for _ in world.fates.len()..8 {
                let fate = fate(&mut dice, true);
                world.fates.push_back(fate);
            }
            world.listing_takes = Duration::from_millis(dice.random_range(0..3_000));
            let who = PEOPLE[dice.random_range(0..PEOPLE.len())];
            match dice.random_range(0..5) {
                0 | 1 => world.enter("n:1", who),
                2 => world.out("n:1", who, DisconnectReason::ClientInitiated),
                3 if world.reachable => world.remove("n:1", who),
                4 => world.reachable = !world.reachable,
                _ => {}
            }
            world.pass(Duration::from_millis(dice.random_range(0..6_000)));
        }
        let left =
            world.events.iter().any(|event| matches!(event, RoomEvent::Left { who, .. } if who.identity == "stayer"));
        assert!(!left, "seed {seed}");
    }
}
