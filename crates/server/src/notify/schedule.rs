//! When what is sent to one receiver: order within a room, retries, and what is dropped. No clock, no socket.
//!
//! ```text
//!             send                      answered
//! Waiting ────────────▶ InFlight ───────────────────────────▶ (done; the room's next one waits)
//!    ▲   at once, then      │ failed, within a minute of the event
//!    └── every 10 s ────────┘ failed, later ────────────────▶ (given up)
//! ```
//!
//! Rooms do not wait for each other, except for a free place among the [`Limits::in_flight`]. Within a room the next
//! event is sent when the one before is answered or given up. Each is tried at least once, unless it is pushed out.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// Between attempts, after the first retry, which comes at once.
pub const RETRY_INTERVAL: Duration = Duration::from_secs(10);

/// No retry later than this after the event.
pub const RETRY_FOR: Duration = Duration::from_secs(60);

/// How much one receiver may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Events that wait or are in flight. When full, the oldest of those that wait is dropped: whoever was away wants
    /// to know how it is now. More than `in_flight`.
    pub kept: usize,
    /// Requests at the same time. More would let a slow receiver take all sockets, fewer let its slow rooms hold up
    /// the others.
    pub in_flight: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { kept: 4096, in_flight: 16 }
    }
}

/// An event's number, in the order in which they came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Number(u64);

/// What became of an attempt or an event, for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It arrived.
    Delivered,
    /// It will be tried again.
    Later,
    /// It has failed for too long.
    GivenUp,
}

#[derive(Debug)]
struct Kept<M> {
    room: String,
    message: M,
    happened: Instant,
    /// Failed attempts so far.
    failures: u32,
    /// When to send it; `None` while it is in flight.
    due: Option<Instant>,
    sent: Instant,
}

/// The events for one receiver.
#[derive(Debug)]
pub struct Schedule<M> {
    limits: Limits,
    next: u64,
    kept: BTreeMap<Number, Kept<M>>,
    /// Numbers by room; the first is the one to be sent.
    rooms: BTreeMap<String, VecDeque<Number>>,
    in_flight: usize,
}

impl<M: Clone> Schedule<M> {
    /// An empty one.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, next: 0, kept: BTreeMap::new(), rooms: BTreeMap::new(), in_flight: 0 }
    }

    /// Something happened in a room. Gives back what had to go for it.
    pub fn push(&mut self, now: Instant, room: &str, message: M) -> Option<M> {
        let dropped = if self.kept.len() >= self.limits.kept { self.drop_oldest() } else { None };
        let number = Number(self.next);
        self.next += 1;
        let kept = Kept { room: room.to_owned(), message, happened: now, failures: 0, due: Some(now), sent: now };
        self.kept.insert(number, kept);
        self.rooms.entry(room.to_owned()).or_default().push_back(number);
        dropped
    }

    /// The next to be sent now, oldest first. Each is to be answered by [`Self::handle_answer`].
    pub fn poll_send(&mut self, now: Instant) -> Option<(Number, M)> {
        if self.in_flight >= self.limits.in_flight {
            return None;
        }
        let number = self.heads().filter(|(due, _)| *due <= now).map(|(_, number)| number).min()?;
        let kept = self.kept.get_mut(&number)?;
        (kept.due, kept.sent) = (None, now);
        self.in_flight += 1;
        Some((number, kept.message.clone()))
    }

    /// When [`Self::poll_send`] has something next, should nothing else happen.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.in_flight >= self.limits.in_flight {
            return None;
        }
        self.heads().map(|(due, _)| due).min()
    }

    /// The receiver answered, or did not.
    pub fn handle_answer(&mut self, now: Instant, number: Number, arrived: bool) -> Option<Fate> {
        let kept = self.kept.get_mut(&number).filter(|kept| kept.due.is_none())?;
        self.in_flight -= 1;
        if !arrived {
            kept.failures += 1;
            let due = if kept.failures == 1 { now } else { now.max(kept.sent + RETRY_INTERVAL) };
            if due <= kept.happened + RETRY_FOR {
                kept.due = Some(due);
                return Some(Fate::Later);
            }
        }
        self.forget(number);
        Some(if arrived { Fate::Delivered } else { Fate::GivenUp })
    }

    /// The first of each room that is not in flight, with its time.
    fn heads(&self) -> impl Iterator<Item = (Instant, Number)> {
        let head = |queue: &VecDeque<Number>| {
            let number = *queue.front()?;
            Some((self.kept.get(&number)?.due?, number))
        };
        self.rooms.values().filter_map(head)
    }

    fn drop_oldest(&mut self) -> Option<M> {
        let oldest = self.kept.iter().find(|(_, kept)| kept.due.is_some()).map(|(number, _)| *number)?;
        self.forget(oldest)
    }

    fn forget(&mut self, number: Number) -> Option<M> {
        let kept = self.kept.remove(&number)?;
        if let Some(queue) = self.rooms.get_mut(&kept.room) {
            queue.retain(|other| *other != number);
            if queue.is_empty() {
                self.rooms.remove(&kept.room);
            }
        }
        Some(kept.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// A receiver in virtual time: answers each attempt after a time, well or not.
    struct World {
        began: Instant,
        now: Instant,
        schedule: Schedule<u32>,
        /// When each attempt in flight is answered, and how.
        answers: BTreeMap<(Instant, Number), (u32, bool)>,
        /// Attempts: when after the beginning, and what.
        attempts: Vec<(Duration, u32)>,
        delivered: Vec<u32>,
        given_up: Vec<u32>,
    }

    impl World {
        fn new(limits: Limits) -> Self {
            let began = Instant::now();
            Self {
                began,
                now: began,
                schedule: Schedule::new(limits),
                answers: BTreeMap::new(),
                attempts: Vec::new(),
                delivered: Vec::new(),
                given_up: Vec::new(),
            }
        }

        /// Sends what is due; `answer` says how long the receiver takes and whether it takes it.
        fn send(&mut self, answer: &mut impl FnMut(u32) -> (Duration, bool)) {
            while let Some((number, message)) = self.schedule.poll_send(self.now) {
                self.attempts.push((self.now - self.began, message));
                let (time, well) = answer(message);
                self.answers.insert((self.now + time, number), (message, well));
            }
        }

        /// Lets time pass until nothing happens before `until`.
        fn run(&mut self, until: Duration, answer: &mut impl FnMut(u32) -> (Duration, bool)) {
            let until = self.began + until;
            loop {
                self.send(answer);
                let answered = self.answers.keys().next().map(|(at, _)| *at);
                let next = answered.into_iter().chain(self.schedule.poll_timeout()).min();
                let Some(next) = next.filter(|next| *next <= until) else { break };
                self.now = self.now.max(next);
                while let Some(((at, number), (message, well))) = self.answers.pop_first() {
                    if at > self.now {
                        self.answers.insert((at, number), (message, well));
                        break;
                    }
                    match self.schedule.handle_answer(self.now, number, well) {
                        Some(Fate::Delivered) => self.delivered.push(message),
                        Some(Fate::GivenUp) => self.given_up.push(message),
                        Some(Fate::Later) => {}
                        None => panic!("{number:?} was not in flight"),
                    }
                }
            }
            self.now = self.now.max(until);
        }

        fn seconds(&self, message: u32) -> Vec<u64> {
            self.attempts.iter().filter(|(_, what)| *what == message).map(|(at, _)| at.as_secs()).collect()
        }
    }

    #[test]
    fn a_receiver_that_refuses_is_asked_at_once_again_and_then_every_ten_seconds_for_a_minute() {
        let mut world = World::new(Limits::default());
        world.schedule.push(world.now, "r", 1);
        world.run(Duration::from_secs(300), &mut |_| (MS, false));
        assert_eq!(world.seconds(1), [0, 0, 10, 20, 30, 40, 50]);
        assert_eq!(world.given_up, [1]);
        assert!(world.schedule.kept.is_empty());
    }

    #[test]
    fn a_receiver_that_hangs_is_asked_again_when_its_time_is_up() {
        let mut world = World::new(Limits::default());
        world.schedule.push(world.now, "r", 1);
        world.run(Duration::from_secs(300), &mut |_| (Duration::from_secs(5), false));
        assert_eq!(world.seconds(1), [0, 5, 15, 25, 35, 45, 55]);
        assert_eq!(world.given_up, [1]);
    }

    #[test]
    fn a_receiver_that_comes_back_gets_everything_in_order() {
        let mut world = World::new(Limits::default());
        for message in 1..=3 {
            world.schedule.push(world.now, "r", message);
        }
        let mut tries = 0;
        world.run(Duration::from_secs(300), &mut |_| {
            tries += 1;
            (MS, tries > 4)
        });
        assert_eq!(world.delivered, [1, 2, 3]);
        assert_eq!(world.seconds(1), [0, 0, 10, 20, 30]);
        assert_eq!(world.seconds(2), [30], "not before the first one arrived");
    }

    #[test]
    fn an_old_event_behind_a_lost_one_is_tried_once_more() {
        let mut world = World::new(Limits::default());
        world.schedule.push(world.now, "r", 1);
        world.schedule.push(world.now, "r", 2);
        world.run(Duration::from_secs(300), &mut |message| (Duration::from_secs(5), message == 2));
        assert_eq!(world.seconds(1).last(), Some(&55));
        assert_eq!(world.seconds(2), [60]);
        assert_eq!((world.given_up, world.delivered), (vec![1], vec![2]));
    }

    #[test]
    fn rooms_do_not_wait_for_each_other() {
        let mut world = World::new(Limits::default());
        world.schedule.push(world.now, "broken", 1);
        world.schedule.push(world.now, "fine", 2);
        world.schedule.push(world.now, "fine", 3);
        world.run(Duration::from_secs(1), &mut |message| (MS, message != 1));
        assert_eq!(world.delivered, [2, 3]);
    }

    #[test]
    fn a_full_queue_drops_its_oldest_and_never_what_is_in_flight() {
        let mut world = World::new(Limits { kept: 3, in_flight: 1 });
        let mut slow = |_| (Duration::from_secs(3), true);
        assert_eq!(world.schedule.push(world.now, "a", 1), None);
        world.send(&mut slow);
        assert_eq!(world.schedule.push(world.now, "a", 2), None);
        assert_eq!(world.schedule.push(world.now, "b", 3), None);
        assert_eq!(world.schedule.push(world.now, "b", 4), Some(2));
        assert_eq!(world.schedule.push(world.now, "b", 5), Some(3));
        world.run(Duration::from_secs(300), &mut slow);
        assert_eq!(world.delivered, [1, 4, 5]);
    }

    #[test]
    fn an_answer_that_nobody_waits_for_changes_nothing() {
        let mut schedule = Schedule::new(Limits::default());
        let now = Instant::now();
        assert_eq!(schedule.handle_answer(now, Number(7), true), None);
        schedule.push(now, "r", 1);
        assert_eq!(schedule.handle_answer(now, Number(0), true), None, "it was not sent");
        let (number, _) = schedule.poll_send(now).unwrap();
        assert_eq!(schedule.handle_answer(now, number, true), Some(Fate::Delivered));
        assert_eq!(schedule.handle_answer(now, number, true), None);
    }

    /// SplitMix64 (Steele, Lea, Flood 2014).
    struct Dice(u64);

    impl Dice {
        fn below(&mut self, bound: u64) -> u64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            (z ^ (z >> 31)) % bound
        }
    }

    /// A due retry may wait for a free place: six rooms, five seconds each.
    const FREE_PLACE: Duration = Duration::from_secs(30);

    /// Any receiver, any rooms: what holds always.
    fn play(seed: u64) {
        let mut dice = Dice(seed);
        let limits = Limits { kept: 6 + dice.below(30) as usize, in_flight: 1 + dice.below(5) as usize };
        let mut world = World::new(limits);
        let (mut rooms, mut born, mut dropped) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        let (health, mut luck) = (dice.below(101), Dice(!seed));
        for message in 0..200 {
            let room = format!("room {}", dice.below(6));
            dropped.extend(world.schedule.push(world.now, &room, message));
            rooms.insert(message, room);
            born.insert(message, world.now - world.began);
            let pause = Duration::from_millis(dice.below(3000));
            let until = world.now - world.began + pause;
            world.run(until, &mut |_| (Duration::from_millis(luck.below(5000)), luck.below(100) < health));
            assert!(world.schedule.in_flight <= limits.in_flight && world.schedule.kept.len() <= limits.kept);
            let flying: Vec<_> = world.answers.values().map(|(message, _)| &rooms[message]).collect();
            let distinct: std::collections::BTreeSet<_> = flying.iter().collect();
            assert_eq!(flying.len(), distinct.len(), "seed {seed}: one room, one request");
        }
        world.run(Duration::from_secs(10_000), &mut |_| {
            (Duration::from_millis(luck.below(5000)), luck.below(100) < health)
        });
        assert!(world.schedule.kept.is_empty(), "seed {seed}");
        let mut ends: Vec<u32> = [&world.delivered, &world.given_up, &dropped].into_iter().flatten().copied().collect();
        ends.sort_unstable();
        assert_eq!(ends, (0..200).collect::<Vec<_>>(), "seed {seed}: each ends once");
        for room in rooms.values() {
            let of_room: Vec<_> = world.delivered.iter().filter(|message| rooms[message] == *room).collect();
            assert!(of_room.is_sorted(), "seed {seed}: {room} out of order");
        }
        for message in 0..200 {
            let tries: Vec<_> = world.attempts.iter().filter(|(_, what)| *what == message).map(|(at, _)| *at).collect();
            for (index, pair) in tries.windows(2).enumerate() {
                assert!(pair[1] <= born[&message] + RETRY_FOR + FREE_PLACE, "seed {seed}");
                assert!(index == 0 || pair[1] - pair[0] >= RETRY_INTERVAL, "seed {seed}: too soon");
            }
            assert!(!tries.is_empty() || dropped.contains(&message), "seed {seed}: {message} was never tried");
        }
    }

    #[test]
    fn whatever_the_receiver_does_order_and_bounds_hold() {
        for seed in 0..300 {
            play(seed);
        }
    }
}
