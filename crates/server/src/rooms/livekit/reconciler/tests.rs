//! The reconciler against a LiveKit of our own making, in virtual time.

mod cases;
mod random;

use super::*;
use std::collections::BTreeSet;

const STEP: Duration = Duration::from_millis(50);

/// A token as far as the bars are concerned: whether it was made before its owner was put out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    Good,
    Void,
}

/// What becomes of a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    After(Duration),
    Twice(Duration, Duration),
    Lost,
}

const AT_ONCE: Fate = Fate::After(Duration::ZERO);

#[derive(Debug, Clone)]
struct TrueRoom {
    room: RoomRef,
    members: BTreeMap<String, (PersonRef, Token)>,
}

/// A deployment, the way to it, and the reconciler behind.
struct World {
    brain: Reconciler,
    now: Duration,
    next_sid: u64,
    rooms: BTreeMap<String, TrueRoom>,
    reachable: bool,
    /// Webhooks on their way, by arrival.
    webhooks: Vec<(Duration, RoomRef, News)>,
    /// A listing on its way: asked at, taken at, arrives at.
    listing: Option<(Duration, Duration, Duration, Option<Listing>)>,
    /// Removals that LiveKit has yet to be asked for.
    evictions: Vec<(Duration, String, String)>,
    /// What the next webhooks meet with, first one first; then `fate`.
    fates: VecDeque<Fate>,
    fate: Fate,
    listing_takes: Duration,
    events: Vec<RoomEvent>,
    reports: usize,
    listings: usize,
}

impl World {
    fn new() -> Self {
        Self {
            brain: Reconciler::new(),
            now: Duration::from_secs(1),
            next_sid: 0,
            rooms: BTreeMap::new(),
            reachable: true,
            webhooks: Vec::new(),
            listing: None,
            evictions: Vec::new(),
            fates: VecDeque::new(),
            fate: AT_ONCE,
            listing_takes: Duration::ZERO,
            events: Vec::new(),
            reports: 0,
            listings: 0,
        }
    }

    // ---- the deployment ----

    fn sid(&mut self, prefix: &str) -> String {
        self.next_sid += 1;
        format!("{prefix}_{}", self.next_sid)
    }

    fn clock(&self) -> i64 {
        1_800_000_000_000 + i64::try_from(self.now.as_millis()).unwrap()
    }

    fn post(&mut self, room: &RoomRef, news: &News) {
        let fate = self.fates.pop_front().unwrap_or(self.fate);
        let arrivals = match fate {
            Fate::After(delay) => vec![delay],
            Fate::Twice(first, second) => vec![first, second],
            Fate::Lost => vec![],
        };
        for delay in arrivals {
            self.webhooks.push((self.now + delay, room.clone(), news.clone()));
        }
    }

    /// Somebody enters with a token; LiveKit asks nothing else.
    fn enter_as(&mut self, name: &str, identity: &str, token: Token) {
        if !self.rooms.contains_key(name) {
            let room = RoomRef { name: name.to_owned(), sid: self.sid("RM"), created_at: self.clock() };
            self.post(&room, &News::Started);
            self.rooms.insert(name.to_owned(), TrueRoom { room, members: BTreeMap::new() });
        }
        if self.rooms[name].members.contains_key(identity) {
            self.out(name, identity, DisconnectReason::DuplicateIdentity);
        }
        let person = PersonRef { identity: identity.to_owned(), sid: self.sid("PA"), joined_at: self.clock() };
        let true_room = self.rooms.get_mut(name).unwrap();
        true_room.members.insert(identity.to_owned(), (person.clone(), token));
        let room = true_room.room.clone();
        self.post(&room, &News::Joined(person));
    }

    fn enter(&mut self, name: &str, identity: &str) {
        self.brain.admit(self.now, name, identity);
        self.enter_as(name, identity, Token::Good);
    }

    fn out(&mut self, name: &str, identity: &str, reason: DisconnectReason) {
        let Some(true_room) = self.rooms.get_mut(name) else { return };
        let Some((person, _)) = true_room.members.remove(identity) else { return };
        let room = true_room.room.clone();
        self.post(&room, &News::Left(person, reason));
    }

    fn delete(&mut self, name: &str) {
        let people: Vec<String> =
            self.rooms.get(name).into_iter().flat_map(|room| room.members.keys().cloned()).collect();
        for identity in people {
            self.out(name, &identity, DisconnectReason::RoomDeleted);
        }
        self.end_room(name);
    }

    fn end_room(&mut self, name: &str) {
        if let Some(true_room) = self.rooms.remove(name) {
            self.post(&true_room.room, &News::Finished);
        }
    }

    /// The process dies: nobody is told of anything.
    fn crash(&mut self) {
        self.rooms.clear();
    }

    // ---- this server ----

    fn remove(&mut self, name: &str, identity: &str) {
        self.look(name);
        self.brain.begin_removal(self.now, name, identity, Some("carol".to_owned()));
        let done = self.reachable;
        if done {
            self.out(name, identity, DisconnectReason::ParticipantRemoved);
        }
        self.brain.end_removal(self.now, name, identity, done);
        self.drain();
    }

    fn dismiss(&mut self, name: &str) {
        self.look(name);
        let members: Vec<String> =
            self.rooms.get(name).into_iter().flat_map(|room| room.members.keys().cloned()).collect();
        self.brain.begin_dismissal(name, Some("carol".to_owned()));
        let done = self.reachable;
        if done {
            self.delete(name);
        }
        self.brain.end_dismissal(self.now, name, &members, done);
        self.drain();
    }

    fn look(&mut self, name: &str) {
        if let Some(true_room) = self.rooms.get(name).filter(|_| self.reachable) {
            let people: Vec<_> = true_room.members.values().map(|(person, _)| person.clone()).collect();
            self.brain.handle_seen(self.now, &true_room.room.clone(), &people);
        }
    }

    fn drain(&mut self) {
        while let Some(event) = self.brain.poll_event() {
            self.events.push(event);
        }
        while let Some(action) = self.brain.poll_action() {
            match action {
                Action::List => {
                    assert!(self.listing.is_none(), "one listing at a time");
                    self.listings += 1;
                    let (taken, arrives) = (self.now + self.listing_takes / 2, self.now + self.listing_takes);
                    self.listing = Some((self.now, taken, arrives, None));
                }
                Action::Evict { room, identity } => self.evictions.push((self.now + STEP, room, identity)),
                Action::ReportNoWebhooks => self.reports += 1,
            }
        }
    }

    fn carry_listing(&mut self) {
        let Some((asked_at, taken, arrives, answer)) = &mut self.listing else { return };
        if answer.is_none() && *taken <= self.now && self.reachable {
            let people = |room: &TrueRoom| room.members.values().map(|(person, _)| person.clone()).collect();
            let rooms = self.rooms.values().map(|room| (room.room.clone(), Some(people(room)))).collect();
            *answer = Some(Listing { asked_at: *asked_at, rooms });
        }
        if *arrives <= self.now {
            match self.listing.take().and_then(|(_, _, _, answer)| answer) {
                Some(listing) => self.brain.handle_listing(self.now, &listing),
                None => self.brain.handle_listing_failed(self.now),
            }
            self.drain();
        }
    }

    fn step(&mut self) {
        self.now += STEP;
        let (due, later) = std::mem::take(&mut self.webhooks).into_iter().partition(|(at, _, _)| *at <= self.now);
        self.webhooks = later;
        let mut due: Vec<(Duration, RoomRef, News)> = due;
        due.sort_by_key(|(at, _, _)| *at);
        for (_, room, news) in due {
            self.brain.handle_news(self.now, &room, news);
            self.drain();
        }
        self.carry_listing();
        for (_, room, identity) in std::mem::take(&mut self.evictions) {
            if self.reachable {
                self.out(&room, &identity, DisconnectReason::ParticipantRemoved);
            }
        }
        if self.brain.poll_timeout().is_some_and(|at| at <= self.now) {
            self.brain.handle_timeout(self.now);
            self.drain();
        }
    }

    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while self.now < until {
            self.step();
        }
    }

    fn pass_secs(&mut self, secs: u64) {
        self.pass(Duration::from_secs(secs));
    }

    // ---- what was told ----

    /// What has been told since the last time.
    fn told(&mut self) -> Vec<RoomEvent> {
        std::mem::take(&mut self.events)
    }

    /// Who is in by what LiveKit knows.
    fn truth(&self) -> BTreeSet<(String, String)> {
        let people = |(name, room): (&String, &TrueRoom)| {
            room.members.keys().map(|who| (name.clone(), who.clone())).collect::<Vec<_>>()
        };
        self.rooms.iter().flat_map(people).collect()
    }
}

/// Who is in by what was told; panics where that makes no sense.
fn picture(events: &[RoomEvent]) -> BTreeSet<(String, String)> {
    let mut present = BTreeSet::new();
    for event in events {
        match event {
            RoomEvent::Joined { room, identity } => {
                assert!(present.insert((room.clone(), identity.clone())), "{identity} was in already: {events:#?}");
            }
            RoomEvent::Left { room, identity, .. } => {
                assert!(present.remove(&(room.clone(), identity.clone())), "{identity} was not in: {events:#?}");
            }
            RoomEvent::Finished { room, .. } => {
                assert!(!present.iter().any(|(at, _)| at == room), "people are left in {room}: {events:#?}");
            }
        }
    }
    present
}

fn joined(identity: &str) -> RoomEvent {
    RoomEvent::Joined { room: "n:1".to_owned(), identity: identity.to_owned() }
}

fn left(identity: &str, why: LeftWhy) -> RoomEvent {
    RoomEvent::Left { room: "n:1".to_owned(), identity: identity.to_owned(), why }
}

fn finished(why: FinishedWhy) -> RoomEvent {
    RoomEvent::Finished { room: "n:1".to_owned(), why }
}
