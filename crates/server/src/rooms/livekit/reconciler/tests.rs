//! The reconciler against a LiveKit of our own making, in virtual time.

mod cases;
mod random;

use super::*;
use crate::rooms::FinishedWhy;
use proto::participant_info;
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
    room: proto::Room,
    members: BTreeMap<String, (ParticipantInfo, Token)>,
}

/// A deployment, the way to it, and the reconciler behind.
struct World {
    brain: Reconciler,
    now: Duration,
    next_sid: u64,
    rooms: BTreeMap<String, TrueRoom>,
    reachable: bool,
    /// Webhooks on their way, by arrival.
    webhooks: Vec<(Duration, proto::Room, News)>,
    /// A listing on its way: taken at, arrives at.
    listing: Option<(Duration, Duration, Option<Listing>)>,
    /// Removals that LiveKit has yet to be asked for.
    evictions: Vec<(Duration, String, String)>,
    /// What the next webhooks meet with, first one first; then `fate`.
    fates: VecDeque<Fate>,
    fate: Fate,
    listing_takes: Duration,
    events: Vec<RoomEvent>,
    /// Those before were looked at.
    read: usize,
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
            read: 0,
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

    fn post(&mut self, room: &proto::Room, news: &News) {
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
            let (sid, creation_time_ms) = (self.sid("RM"), self.clock());
            let room = proto::Room { name: name.to_owned(), sid, creation_time_ms, ..Default::default() };
            self.post(&room, &News::Started);
            self.rooms.insert(name.to_owned(), TrueRoom { room, members: BTreeMap::new() });
        }
        if self.rooms[name].members.contains_key(identity) {
            self.out(name, identity, DisconnectReason::DuplicateIdentity);
        }
        let who = self.description(identity);
        let true_room = self.rooms.get_mut(name).unwrap();
        true_room.members.insert(identity.to_owned(), (who.clone(), token));
        let room = true_room.room.clone();
        self.post(&room, &News::Joined(who));
    }

    fn description(&mut self, identity: &str) -> ParticipantInfo {
        ParticipantInfo {
            identity: identity.to_owned(),
            sid: self.sid("PA"),
            joined_at_ms: self.clock(),
            state: participant_info::State::Active.into(),
            ..Default::default()
        }
    }

    /// What a webhook about a track says of its owner, and of its room.
    fn minimal(room: &proto::Room, who: &ParticipantInfo) -> (proto::Room, ParticipantInfo) {
        let room = proto::Room { name: room.name.clone(), sid: room.sid.clone(), ..Default::default() };
        let (sid, identity) = (who.sid.clone(), who.identity.clone());
        (room, ParticipantInfo { sid, identity, ..Default::default() })
    }

    fn publish(&mut self, name: &str, identity: &str) {
        let track = TrackInfo { sid: self.sid("TR"), ..Default::default() };
        let Some(true_room) = self.rooms.get_mut(name) else { return };
        let Some((who, _)) = true_room.members.get_mut(identity) else { return };
        who.tracks.push(track.clone());
        who.version += 1;
        let (room, who) = Self::minimal(&true_room.room, who);
        self.post(&room, &News::Published(who, track));
    }

    fn unpublish(&mut self, name: &str, identity: &str) {
        let Some(true_room) = self.rooms.get_mut(name) else { return };
        let Some((who, _)) = true_room.members.get_mut(identity) else { return };
        let Some(track) = who.tracks.pop() else { return };
        who.version += 1;
        let (room, who) = Self::minimal(&true_room.room, who);
        self.post(&room, &News::Unpublished(who, track));
    }

    /// LiveKit has no webhook for it.
    fn mute(&mut self, name: &str, identity: &str, muted: bool) {
        let Some(true_room) = self.rooms.get_mut(name) else { return };
        let Some((who, _)) = true_room.members.get_mut(identity) else { return };
        who.version += 1;
        for track in &mut who.tracks {
            track.muted = muted;
        }
    }

    fn enter(&mut self, name: &str, identity: &str) {
        self.brain.admit(self.now, name, identity);
        self.enter_as(name, identity, Token::Good);
    }

    fn out(&mut self, name: &str, identity: &str, reason: DisconnectReason) {
        let Some(true_room) = self.rooms.get_mut(name) else { return };
        let Some((mut who, _)) = true_room.members.remove(identity) else { return };
        let room = true_room.room.clone();
        who.tracks.clear();
        who.set_state(participant_info::State::Disconnected);
        who.set_disconnect_reason(reason);
        self.post(&room, &News::Left(who));
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
            let people: Vec<_> = true_room.members.values().map(|(who, _)| who.clone()).collect();
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
                    self.listing = Some((taken, arrives, None));
                }
                Action::Evict { room, identity } => self.evictions.push((self.now + STEP, room, identity)),
                Action::ReportNoWebhooks => self.reports += 1,
            }
        }
    }

    fn carry_listing(&mut self) {
        let Some((taken, arrives, answer)) = &mut self.listing else { return };
        if answer.is_none() && *taken <= self.now && self.reachable {
            let people = |room: &TrueRoom| room.members.values().map(|(who, _)| who.clone()).collect();
            let rooms = self.rooms.values().map(|room| (room.room.clone(), Some(people(room)))).collect();
            *answer = Some(Listing { rooms });
        }
        if *arrives <= self.now {
            match self.listing.take().and_then(|(_, _, answer)| answer) {
                Some(listing) => self.brain.handle_listing(self.now, listing),
                None => self.brain.handle_listing_failed(self.now),
            }
            self.drain();
        }
    }

    fn step(&mut self) {
        self.now += STEP;
        let (due, later) = std::mem::take(&mut self.webhooks).into_iter().partition(|(at, _, _)| *at <= self.now);
        self.webhooks = later;
        let mut due: Vec<(Duration, proto::Room, News)> = due;
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

    /// What has been told since the last time, in words.
    fn told(&mut self) -> Vec<String> {
        let told = self.events[self.read..].iter().map(in_words).collect();
        self.read = self.events.len();
        told
    }

    /// Who is in, with how many tracks, by what LiveKit knows.
    fn truth(&self) -> BTreeMap<Key, usize> {
        let mut people = BTreeMap::new();
        for (name, room) in &self.rooms {
            for (who, (info, _)) in &room.members {
                people.insert((name.clone(), who.clone()), info.tracks.len());
            }
        }
        people
    }
}

/// Who is in, with how many tracks, by what was told; panics where that makes no sense.
fn picture(events: &[RoomEvent]) -> BTreeMap<Key, usize> {
    let (mut rooms, mut people) = (BTreeSet::new(), BTreeMap::<Key, BTreeSet<String>>::new());
    let history = || events.iter().map(in_words).collect::<Vec<_>>().join("\n");
    for event in events {
        match event {
            RoomEvent::Started { room, .. } => {
                assert!(rooms.insert(room.clone()), "{room} exists already:\n{}", history());
            }
            RoomEvent::Joined { room, who } => {
                assert!(rooms.contains(room), "there is no {room}:\n{}", history());
                let was = people.insert((room.clone(), who.identity.clone()), BTreeSet::new());
                assert!(was.is_none(), "{} was in already:\n{}", who.identity, history());
            }
            RoomEvent::Published { room, who, track } => {
                let tracks = people.get_mut(&(room.clone(), who.identity.clone())).expect("they are in");
                assert!(tracks.insert(track.sid.clone()), "published twice:\n{}", history());
            }
            RoomEvent::Permitted { who, .. } => panic!("nothing is told of {}'s permission", who.identity),
            RoomEvent::Muted { room, who, track } => {
                assert!(people[&(room.clone(), who.identity.clone())].contains(&track.sid), "{}", history());
            }
            RoomEvent::Unpublished { room, who, track } => {
                let tracks = people.get_mut(&(room.clone(), who.identity.clone())).expect("they are in");
                assert!(tracks.remove(&track.sid), "it was not there:\n{}", history());
            }
            RoomEvent::Left { room, who, .. } => {
                let tracks = people.remove(&(room.clone(), who.identity.clone()));
                let tracks = tracks.unwrap_or_else(|| panic!("{} was not in:\n{}", who.identity, history()));
                assert_eq!(tracks.len(), who.tracks.len(), "{}", history());
            }
            RoomEvent::Finished { room, .. } => {
                assert!(!people.keys().any(|(at, _)| at == room), "people are left in {room}:\n{}", history());
                assert!(rooms.remove(room), "there is no {room}:\n{}", history());
            }
        }
    }
    people.into_iter().map(|(who, tracks)| (who, tracks.len())).collect()
}

/// An event in a few words.
fn in_words(event: &RoomEvent) -> String {
    let muted = |track: &TrackInfo| if track.muted { "muted" } else { "unmuted" };
    match event {
        RoomEvent::Started { room, .. } => format!("{room} started"),
        RoomEvent::Joined { who, .. } => format!("{} joined", who.identity),
        RoomEvent::Left { who, why, .. } => format!("{} left: {why:?}", who.identity),
        RoomEvent::Published { who, .. } => format!("{} published", who.identity),
        RoomEvent::Unpublished { who, .. } => format!("{} unpublished", who.identity),
        RoomEvent::Muted { who, track, .. } => format!("{} {}", who.identity, muted(track)),
        RoomEvent::Permitted { who, can_publish, .. } => format!("{} may publish: {can_publish}", who.identity),
        RoomEvent::Finished { room, why, .. } => format!("{room} finished: {why:?}"),
    }
}

fn joined(identity: &str) -> String {
    format!("{identity} joined")
}

fn left(identity: &str, why: LeftWhy) -> String {
    format!("{identity} left: {why:?}")
}

fn finished(why: FinishedWhy) -> String {
    format!("n:1 finished: {why:?}")
}

fn started() -> String {
    "n:1 started".to_owned()
}
