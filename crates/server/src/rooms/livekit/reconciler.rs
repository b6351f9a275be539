//! What is true in the rooms of a LiveKit deployment, concluded from what it says by itself (webhooks: late, twice, in
//! another order, or never) and from what it answers when asked (listings). Decides; touches nothing, and gets the time
//! as an argument: the time since an origin of the body's choice, which must not run backwards.
//!
//! ```text
//! handle_news (webhooks) ──┐                        ┌──▶ poll_event   RoomEvent, once each, in order within a room
//! handle_listing ──────────┤                        │
//! begin/end_removal,       ├──▶ rooms, members, ────┤
//! begin/end_dismissal ─────┤    who is barred       │
//! admit, revoke ───────────┤                        └──▶ poll_action  list again; put somebody out
//! handle_timeout ──────────┘
//! ```
//!
//! A membership is known by its sid, which LiveKit makes anew for every entry. What is over is remembered by its sid for
//! [`GONE_LIFE`], so that what comes late or twice changes nothing.

mod bars;
#[cfg(test)]
mod tests;

use super::super::{FinishedWhy, LeftWhy, RoomEvent};
use bars::Bars;
use livekit_protocol::DisconnectReason;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// How often LiveKit is asked who is where. Webhooks tell within milliseconds; this bounds for how long a lost one can
/// leave the call plane with a wrong picture. Shorter costs one request for every room.
pub const LISTING_INTERVAL: Duration = Duration::from_secs(10);

/// How soon it is asked again after a listing failed.
pub const LISTING_RETRY: Duration = Duration::from_secs(2);

/// Somebody who is missing from a listing is gone when they are still missing this much later: until then the webhook
/// with the true reason may come. LiveKit repeats a failed webhook after one second, then two.
pub const MISSING_GRACE: Duration = Duration::from_secs(5);

/// For how long sids of what is over are remembered after they were last heard of: longer than a webhook's signature is
/// valid (5 min), so that none can be replayed into a room.
pub const GONE_LIFE: Duration = Duration::from_secs(15 * 60);

/// Somebody who is barred and still there is put out again after this long.
pub const EVICT_RETRY: Duration = Duration::from_secs(3);

/// One room as LiveKit names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomRef {
    /// Name on the wire.
    pub name: String,
    /// `RM_…`, another one each time that a room of this name is made.
    pub sid: String,
    /// Milliseconds since 1970 by LiveKit's clock.
    pub created_at: i64,
}

/// One membership as LiveKit names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersonRef {
    /// Of the token.
    pub identity: String,
    /// `PA_…`, another one for each entry.
    pub sid: String,
    /// Milliseconds since 1970 by LiveKit's clock.
    pub joined_at: i64,
}

/// What a webhook says about a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// It was made.
    Started,
    /// It is over.
    Finished,
    /// Somebody is in.
    Joined(PersonRef),
    /// Somebody is out.
    Left(PersonRef, DisconnectReason),
    /// Somebody gave up before their media was connected.
    Aborted(PersonRef),
}

/// Everything that LiveKit has at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// When it was asked for: what became known later may be missing in it.
    pub asked_at: Duration,
    /// Every room with its people; `None` where they could not be listed.
    pub rooms: Vec<(RoomRef, Option<Vec<PersonRef>>)>,
}

/// What the body has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Ask for a listing. Answer: [`Reconciler::handle_listing`] or [`Reconciler::handle_listing_failed`].
    List,
    /// Put somebody out who has come in with a token that is void.
    Evict {
        /// Name on the wire.
        room: String,
        /// Who.
        identity: String,
    },
    /// Tell whoever operates this: people come and go, and no webhook says so. Comes once.
    ReportNoWebhooks,
}

/// One entry into a room.
#[derive(Debug)]
struct Membership {
    sid: String,
    joined_at: i64,
    /// When it became known.
    learned: Duration,
    /// When it was first missing from a listing.
    missed: Option<Duration>,
}

#[derive(Debug)]
struct Room {
    sid: String,
    created_at: i64,
    learned: Duration,
    missed: Option<Duration>,
    /// By identity: LiveKit lets each be in once.
    members: BTreeMap<String, Membership>,
    /// Somebody was put out of it because it was dismissed.
    dismissed: bool,
    /// LiveKit has said that it is over; until then it may still say why each of its members is out.
    closing: Option<Duration>,
}

/// A removal that LiveKit has been asked for.
#[derive(Debug)]
struct Removal {
    by: Option<String>,
    sid: Option<String>,
    before: Option<bars::Bar>,
}

/// A dismissal that LiveKit has been asked for.
#[derive(Debug)]
struct Dismissal {
    by: Option<String>,
    sid: Option<String>,
}

type Key = (String, String);

/// The conclusions so far.
#[derive(Debug, Default)]
pub struct Reconciler {
    rooms: BTreeMap<String, Room>,
    /// Sids of rooms and memberships that are over, with when they were last heard of.
    gone: BTreeMap<String, Duration>,
    bars: Bars,
    /// Strangers who are being put out, by sid, with when that was last asked for.
    evicting: BTreeMap<String, Duration>,
    removals: BTreeMap<Key, Removal>,
    dismissals: BTreeMap<String, Dismissal>,
    events: VecDeque<RoomEvent>,
    actions: VecDeque<Action>,
    /// A listing is under way.
    asking: bool,
    /// When to list next; `None` while a listing is under way and nobody has asked for another.
    due: Option<Duration>,
    listings: u64,
    webhooks: u64,
    reported: bool,
}

impl Reconciler {
    /// Knows nothing yet, and wants a listing at once.
    #[must_use]
    pub fn new() -> Self {
        Self { due: Some(Duration::ZERO), ..Self::default() }
    }

    /// What has happened; call until `None`.
    pub fn poll_event(&mut self) -> Option<RoomEvent> {
        self.events.pop_front()
    }

    /// What to do; call until `None`.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When to call [`Reconciler::handle_timeout`] at the latest.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        let listing = self.due.filter(|_| !self.asking);
        self.rooms.values().filter_map(|room| room.closing).chain(listing).min()
    }

    /// Time has come to a deadline, or passed it.
    pub fn handle_timeout(&mut self, now: Duration) {
        let closed = |room: &Room| room.closing.is_some_and(|at| at <= now);
        let over: Vec<_> = self.rooms.iter().filter(|(_, room)| closed(room)).map(|(name, _)| name.clone()).collect();
        for name in over {
            self.finish(now, &name);
        }
        if !self.asking && self.due.is_some_and(|at| at <= now) {
            self.asking = true;
            self.due = None;
            self.actions.push_back(Action::List);
        }
    }

    // ---- what LiveKit says ----

    /// A webhook has come. Whether it is LiveKit's own is the body's business.
    pub fn handle_news(&mut self, now: Duration, room: &RoomRef, news: News) {
        self.webhooks += 1;
        match news {
            News::Started => {
                self.enter_room(now, room);
            }
            News::Finished => self.handle_finished(now, room),
            News::Joined(person) => {
                if self.enter_room(now, room) {
                    self.meet(now, &room.name, &person);
                }
            }
            // On its way to another node of the deployment, under the same sid.
            News::Left(_, DisconnectReason::Migration) => {}
            News::Left(person, reason) => self.handle_left(now, room, &person, reason),
            News::Aborted(person) => {
                self.evicting.remove(&person.sid);
                let known = self.rooms.get(&room.name).and_then(|room| room.members.get(&person.identity));
                if known.is_some_and(|known| known.sid == person.sid) {
                    self.leave(now, &room.name, &person.identity, LeftWhy::Lost);
                }
                self.bury(now, &person.sid);
            }
        }
    }

    fn handle_finished(&mut self, now: Duration, seen: &RoomRef) {
        if self.is_gone(now, &seen.sid) {
            return;
        }
        match self.rooms.get_mut(&seen.name) {
            Some(room) if room.sid == seen.sid && !room.members.is_empty() => {
                room.closing.get_or_insert(now + MISSING_GRACE);
            }
            Some(room) if room.sid == seen.sid || seen.created_at > room.created_at => self.finish(now, &seen.name),
            Some(_) | None => {}
        }
        self.bury_unless_closing(now, seen);
    }

    fn bury_unless_closing(&mut self, now: Duration, seen: &RoomRef) {
        if self.rooms.get(&seen.name).is_none_or(|room| room.sid != seen.sid) {
            self.bury(now, &seen.sid);
        }
    }

    fn handle_left(&mut self, now: Duration, room: &RoomRef, person: &PersonRef, reason: DisconnectReason) {
        if self.is_gone(now, &person.sid) {
            return;
        }
        if self.evicting.remove(&person.sid).is_some() || !self.enter_room(now, room) {
            return self.bury(now, &person.sid);
        }
        let (name, identity) = (&room.name, &person.identity);
        let known = self.rooms.get(name).and_then(|room| room.members.get(identity));
        let is_stranger = known.is_none() && self.bars.shuts_out(name, identity, &person.sid);
        if is_stranger && !self.removals.contains_key(&(name.clone(), identity.clone())) {
            return self.bury(now, &person.sid);
        }
        match known.map(|known| (known.sid == person.sid, person.joined_at < known.joined_at)) {
            Some((true, _)) => {}
            // They have entered again since then, and that was told.
            Some((false, true)) => return self.bury(now, &person.sid),
            // Nobody said that they came: whoever hears that somebody left has heard that they were in.
            Some((false, false)) | None => self.join(now, name, person),
        }
        let why = self.why(room, identity, reason);
        if let Some(room) = self.rooms.get_mut(name)
            && matches!(why, LeftWhy::Dismissed { .. })
        {
            room.dismissed = true;
            // Should LiveKit's word that the room is over get lost.
            self.list_at(now + MISSING_GRACE);
        }
        if matches!(why, LeftWhy::Removed { .. }) {
            self.bars.bar_if_admitted(now, name, identity);
        }
        self.leave(now, name, identity, why);
        if self.rooms.get(name).is_some_and(|room| room.closing.is_some() && room.members.is_empty()) {
            self.finish(now, name);
        }
    }

    fn why(&self, room: &RoomRef, identity: &str, reason: DisconnectReason) -> LeftWhy {
        let key = (room.name.clone(), identity.to_owned());
        match reason {
            DisconnectReason::ParticipantRemoved => {
                LeftWhy::Removed { by: self.removals.get(&key).and_then(|removal| removal.by.clone()) }
            }
            DisconnectReason::RoomDeleted => LeftWhy::Dismissed { by: self.dismissed_by(&room.name) },
            DisconnectReason::ClientInitiated => LeftWhy::Own,
            // Whoever took their place is about to be put out.
            DisconnectReason::DuplicateIdentity if self.bars.is_barred(&room.name, identity) => LeftWhy::Lost,
            DisconnectReason::DuplicateIdentity => LeftWhy::Replaced,
            DisconnectReason::UnknownReason
            | DisconnectReason::ServerShutdown
            | DisconnectReason::StateMismatch
            | DisconnectReason::JoinFailure
            | DisconnectReason::Migration
            | DisconnectReason::SignalClose
            | DisconnectReason::RoomClosed
            | DisconnectReason::UserUnavailable
            | DisconnectReason::UserRejected
            | DisconnectReason::SipTrunkFailure
            | DisconnectReason::ConnectionTimeout
            | DisconnectReason::MediaFailure
            | DisconnectReason::AgentError => LeftWhy::Lost,
        }
    }

    fn dismissed_by(&self, room: &str) -> Option<String> {
        self.dismissals.get(room).and_then(|dismissal| dismissal.by.clone())
    }

    // ---- what LiveKit answers ----

    /// A listing has come.
    pub fn handle_listing(&mut self, now: Duration, listing: &Listing) {
        self.asking = false;
        self.list_at(now + LISTING_INTERVAL);
        let before = self.events.len();
        let mut listed = BTreeSet::new();
        for (room, people) in &listing.rooms {
            listed.insert(room.sid.as_str());
            if !self.enter_room(now, room) {
                continue;
            }
            if let Some(known) = self.rooms.get_mut(&room.name) {
                known.missed = None;
            }
            if let Some(people) = people {
                self.compare(now, listing.asked_at, &room.name, people);
            }
        }
        self.miss_rooms(now, listing.asked_at, &listed);
        self.listings += 1;
        // The first listing finds those who were there before.
        let surprised = self.events.range(before..).any(|event| matches!(event, RoomEvent::Joined { .. }));
        if surprised && self.listings > 1 && self.webhooks == 0 && !self.reported {
            self.reported = true;
            self.actions.push_back(Action::ReportNoWebhooks);
        }
        self.gone.retain(|_, at| *at + GONE_LIFE > now);
        self.evicting.retain(|_, at| *at + GONE_LIFE > now);
        let rooms = &self.rooms;
        self.bars.sweep(now, |room, who| rooms.get(room).is_some_and(|room| room.members.contains_key(who)));
    }

    /// LiveKit could not be asked. That ends nothing: it is asked again.
    pub fn handle_listing_failed(&mut self, now: Duration) {
        self.asking = false;
        self.list_at(now + LISTING_RETRY);
    }

    /// People who are in a room now, seen outside of the listings: they may be new, nobody is missing.
    pub fn handle_seen(&mut self, now: Duration, room: &RoomRef, people: &[PersonRef]) {
        if self.enter_room(now, room) {
            for person in people {
                self.meet(now, &room.name, person);
            }
        }
    }

    fn compare(&mut self, now: Duration, asked_at: Duration, name: &str, people: &[PersonRef]) {
        for person in people {
            self.meet(now, name, person);
        }
        let Some(room) = self.rooms.get_mut(name) else { return };
        let present: BTreeSet<_> = people.iter().map(|person| person.sid.as_str()).collect();
        let (mut lost, mut missing) = (Vec::new(), false);
        for (identity, member) in &mut room.members {
            if present.contains(member.sid.as_str()) {
                member.missed = None;
            } else if member.learned <= asked_at {
                let since = *member.missed.get_or_insert(now);
                missing = true;
                if now >= since + MISSING_GRACE {
                    lost.push(identity.clone());
                }
            }
        }
        let dismissed = room.dismissed;
        if missing {
            self.list_at(now + MISSING_GRACE);
        }
        for identity in lost {
            let why = if dismissed { LeftWhy::Dismissed { by: self.dismissed_by(name) } } else { LeftWhy::Lost };
            self.leave(now, name, &identity, why);
        }
    }

    fn miss_rooms(&mut self, now: Duration, asked_at: Duration, listed: &BTreeSet<&str>) {
        let (mut over, mut missing) = (Vec::new(), false);
        for (name, room) in &mut self.rooms {
            if room.learned <= asked_at && !listed.contains(room.sid.as_str()) {
                let since = *room.missed.get_or_insert(now);
                missing = true;
                if now >= since + MISSING_GRACE {
                    over.push(name.clone());
                }
            }
        }
        if missing {
            self.list_at(now + MISSING_GRACE);
        }
        for name in over {
            self.finish(now, &name);
        }
    }

    /// Lists at that time, or earlier where that is due already.
    fn list_at(&mut self, at: Duration) {
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }

    // ---- what administrators and the call plane do ----

    /// A token was made for somebody: they are welcome again.
    pub fn admit(&mut self, now: Duration, room: &str, identity: &str) {
        self.bars.admit(now, room, identity);
    }

    /// Every token that somebody holds for a room is void; whoever is in stays in.
    pub fn revoke(&mut self, now: Duration, room: &str, identity: &str) {
        let present = self.rooms.get(room).and_then(|room| room.members.get(identity));
        self.bars.bar(now, room, identity, present.map(|member| member.sid.clone()));
    }

    /// LiveKit is about to be asked to remove somebody.
    pub fn begin_removal(&mut self, now: Duration, room: &str, identity: &str, by: Option<String>) {
        let present = self.rooms.get(room).and_then(|room| room.members.get(identity));
        let sid = present.map(|member| member.sid.clone());
        // From now on: between the removal and its answer the old token would open the door again.
        let before = self.bars.bar(now, room, identity, None);
        self.removals.insert((room.to_owned(), identity.to_owned()), Removal { by, sid, before });
    }

    /// LiveKit has answered: they are out (also where they were not in), or nothing has changed.
    pub fn end_removal(&mut self, now: Duration, room: &str, identity: &str, done: bool) {
        let Some(removal) = self.removals.remove(&(room.to_owned(), identity.to_owned())) else { return };
        if !done {
            return self.bars.restore(room, identity, removal.before);
        }
        let present = self.rooms.get(room).and_then(|room| room.members.get(identity));
        if present.is_some_and(|member| Some(&member.sid) == removal.sid.as_ref()) {
            self.leave(now, room, identity, LeftWhy::Removed { by: removal.by });
        }
    }

    /// LiveKit is about to be asked to delete a room.
    pub fn begin_dismissal(&mut self, room: &str, by: Option<String>) {
        let sid = self.rooms.get(room).map(|room| room.sid.clone());
        self.dismissals.insert(room.to_owned(), Dismissal { by, sid });
    }

    /// LiveKit has answered: the room is gone, or nothing has changed. `members` were in it.
    pub fn end_dismissal(&mut self, now: Duration, room: &str, members: &[String], done: bool) {
        if !done {
            self.dismissals.remove(room);
            return;
        }
        for identity in members {
            self.bars.bar(now, room, identity, None);
        }
        let sid = self.dismissals.get(room).and_then(|dismissal| dismissal.sid.clone());
        if let Some(known) = self.rooms.get_mut(room)
            && Some(&known.sid) == sid.as_ref()
        {
            known.dismissed = true;
            self.finish(now, room);
        }
        self.dismissals.remove(room);
    }

    // ---- who is where ----

    /// Makes this the room of its name. False where it is over already, or was before the one that is known.
    fn enter_room(&mut self, now: Duration, seen: &RoomRef) -> bool {
        if self.is_gone(now, &seen.sid) {
            return false;
        }
        match self.rooms.get(&seen.name) {
            Some(known) if known.sid == seen.sid => return true,
            Some(known) if seen.created_at < known.created_at => {
                self.bury(now, &seen.sid);
                return false;
            }
            Some(_) => self.finish(now, &seen.name),
            None => {}
        }
        let room = Room {
            sid: seen.sid.clone(),
            created_at: seen.created_at,
            learned: now,
            missed: None,
            members: BTreeMap::new(),
            dismissed: false,
            closing: None,
        };
        self.rooms.insert(seen.name.clone(), room);
        true
    }

    /// Somebody is in a room, as far as LiveKit knew a moment ago.
    fn meet(&mut self, now: Duration, name: &str, person: &PersonRef) {
        if self.is_gone(now, &person.sid) {
            return;
        }
        let Some(room) = self.rooms.get(name) else { return };
        let (known, closing) = (room.members.get(&person.identity), room.closing.is_some());
        let is_known = known.is_some_and(|known| known.sid == person.sid);
        if self.bars.shuts_out(name, &person.identity, &person.sid) {
            return self.evict(now, name, person, is_known);
        }
        match known.map(|known| person.joined_at < known.joined_at) {
            _ if is_known => {}
            // It was replaced before anybody heard of it; or it left with its room.
            Some(true) => self.bury(now, &person.sid),
            None if closing => self.bury(now, &person.sid),
            Some(false) | None => self.join(now, name, person),
        }
    }

    fn evict(&mut self, now: Duration, room: &str, person: &PersonRef, is_known: bool) {
        // LiveKit is being asked already, and its answer is waited for.
        if is_known && self.removals.contains_key(&(room.to_owned(), person.identity.clone())) {
            return;
        }
        if self.evicting.get(&person.sid).is_some_and(|at| now < *at + EVICT_RETRY) {
            return;
        }
        // Nobody was told of a stranger, and nobody will be; a member's departure is news.
        if !is_known {
            self.evicting.insert(person.sid.clone(), now);
        }
        self.bars.renew(now, room, &person.identity);
        self.list_at(now + EVICT_RETRY);
        self.actions.push_back(Action::Evict { room: room.to_owned(), identity: person.identity.clone() });
    }

    fn join(&mut self, now: Duration, name: &str, person: &PersonRef) {
        if self.rooms.get(name).is_some_and(|room| room.members.contains_key(&person.identity)) {
            self.leave(now, name, &person.identity, LeftWhy::Replaced);
        }
        let Some(room) = self.rooms.get_mut(name) else { return };
        let member = Membership { sid: person.sid.clone(), joined_at: person.joined_at, learned: now, missed: None };
        room.members.insert(person.identity.clone(), member);
        self.events.push_back(RoomEvent::Joined { room: name.to_owned(), identity: person.identity.clone() });
    }

    fn leave(&mut self, now: Duration, name: &str, identity: &str, why: LeftWhy) {
        let Some(member) = self.rooms.get_mut(name).and_then(|room| room.members.remove(identity)) else { return };
        self.bury(now, &member.sid);
        self.events.push_back(RoomEvent::Left { room: name.to_owned(), identity: identity.to_owned(), why });
    }

    fn finish(&mut self, now: Duration, name: &str) {
        let Some(room) = self.rooms.get(name) else { return };
        let (dismissed, members) = (room.dismissed, room.members.keys().cloned().collect::<Vec<_>>());
        let by = self.dismissed_by(name);
        for identity in members {
            let why = if dismissed { LeftWhy::Dismissed { by: by.clone() } } else { LeftWhy::Lost };
            self.leave(now, name, &identity, why);
        }
        if let Some(room) = self.rooms.remove(name) {
            self.bury(now, &room.sid);
        }
        let why = if dismissed { FinishedWhy::Dismissed { by } } else { FinishedWhy::Empty };
        self.events.push_back(RoomEvent::Finished { room: name.to_owned(), why });
    }

    /// Remembers that a room or a membership is over.
    fn bury(&mut self, now: Duration, sid: &str) {
        self.gone.insert(sid.to_owned(), now);
    }

    /// Whether a room or a membership is over. Being heard of keeps the memory alive: a listing may show a ghost for long.
    fn is_gone(&mut self, now: Duration, sid: &str) -> bool {
        match self.gone.get_mut(sid) {
            Some(at) => {
                *at = now;
                true
            }
            None => false,
        }
    }
}
