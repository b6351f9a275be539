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
//! Rooms, memberships and tracks are known by their sids, which LiveKit makes anew each time. What is over is remembered
//! by its sid for [`GONE_LIFE`], so that what comes late or twice changes nothing.

mod bars;
mod people;
#[cfg(test)]
mod tests;
mod tracks;

use super::super::{LeftWhy, RoomEvent};
pub use bars::Bar;
use bars::Bars;
use livekit_protocol as proto;
use proto::{DisconnectReason, ParticipantInfo, TrackInfo};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tracks::Track;

/// How often LiveKit is asked who is where. Webhooks tell within milliseconds; this bounds for how long a lost one can
/// leave the call plane with a wrong picture. Shorter costs one request for every room.
pub const LISTING_INTERVAL: Duration = Duration::from_secs(10);

/// How soon it is asked again after a listing failed.
pub const LISTING_RETRY: Duration = Duration::from_secs(2);

/// What is missing from a listing is gone when it is still missing in one of this much later: what came while the first
/// was on its way is in the second, and until then the webhook with the true reason may come. LiveKit repeats a failed
/// webhook after one second, then two.
pub const MISSING_GRACE: Duration = Duration::from_secs(5);

/// For how long sids of what is over are remembered after they were last heard of: longer than a webhook's signature is
/// valid (5 min), so that none can be replayed into a room.
pub const GONE_LIFE: Duration = Duration::from_secs(15 * 60);

/// Somebody who is barred and still there is put out again after this long.
pub const EVICT_RETRY: Duration = Duration::from_secs(3);

/// What a webhook says about a room.
#[derive(Clone, Debug, PartialEq)]
pub enum News {
    /// It was made.
    Started,
    /// It is over.
    Finished,
    /// Somebody is in.
    Joined(ParticipantInfo),
    /// Somebody is out, for the reason in their description.
    Left(ParticipantInfo),
    /// Somebody gave up before their media was connected.
    Aborted(ParticipantInfo),
    /// A track is there. Of its owner nothing but sid and identity is said.
    Published(ParticipantInfo, TrackInfo),
    /// A track is gone.
    Unpublished(ParticipantInfo, TrackInfo),
}

/// Everything that LiveKit has at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Listing {
    /// Every room with its people; `None` where they could not be listed.
    pub rooms: Vec<(proto::Room, Option<Vec<ParticipantInfo>>)>,
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
    who: Arc<ParticipantInfo>,
    tracks: BTreeMap<String, Track>,
    /// When it was first missing from a listing.
    missed: Option<Duration>,
}

#[derive(Debug)]
struct Room {
    info: Arc<proto::Room>,
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
    before: Option<Bar>,
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
    /// Sids of what is over, with when they were last heard of.
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

/// When a room was made, in milliseconds since 1970 by LiveKit's clock. Older servers say seconds alone.
fn created_at(room: &proto::Room) -> i64 {
    if room.creation_time_ms != 0 { room.creation_time_ms } else { room.creation_time.saturating_mul(1000) }
}

/// When somebody entered, likewise.
fn joined_at(who: &ParticipantInfo) -> i64 {
    if who.joined_at_ms != 0 { who.joined_at_ms } else { who.joined_at.saturating_mul(1000) }
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

    /// Whose bar to keep beyond this process, as it is now (`None`: none any more); call until `None`.
    pub fn poll_kept(&mut self) -> Option<(String, String, Option<Bar>)> {
        self.bars.poll_kept()
    }

    /// A bar that an earlier process has kept.
    pub fn recall(&mut self, room: String, identity: String, bar: Bar) {
        self.bars.recall(room, identity, bar);
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
    pub fn handle_news(&mut self, now: Duration, room: &proto::Room, news: News) {
        self.webhooks += 1;
        match news {
            News::Started => {
                self.enter_room(now, room);
            }
            News::Finished => self.handle_finished(now, room),
            News::Joined(who) => {
                if self.enter_room(now, room) {
                    self.meet(now, &room.name, who);
                }
            }
            News::Left(who) => self.handle_left(now, room, who),
            News::Aborted(who) => {
                self.evicting.remove(&who.sid);
                if self.member(&room.name, &who.identity).is_some_and(|known| known.who.sid == who.sid) {
                    self.leave(now, &room.name, &who.identity, Some(&who), LeftWhy::Lost);
                }
                self.bury(now, &who.sid);
            }
            News::Published(who, track) => self.handle_published(now, room, &who, track),
            News::Unpublished(who, track) => self.handle_unpublished(now, room, &who, &track),
        }
    }

    fn handle_finished(&mut self, now: Duration, seen: &proto::Room) {
        if self.is_gone(now, &seen.sid) {
            return;
        }
        match self.rooms.get_mut(&seen.name) {
            Some(room) if room.info.sid == seen.sid && !room.members.is_empty() => {
                room.closing.get_or_insert(now + MISSING_GRACE);
                return;
            }
            Some(room) if room.info.sid == seen.sid || created_at(seen) > created_at(&room.info) => {
                self.finish(now, &seen.name);
            }
            Some(_) | None => {}
        }
        self.bury(now, &seen.sid);
    }

    fn handle_left(&mut self, now: Duration, room: &proto::Room, who: ParticipantInfo) {
        // On its way to another node of the deployment, under the same sid.
        if who.disconnect_reason() == DisconnectReason::Migration || self.is_gone(now, &who.sid) {
            return;
        }
        if self.evicting.remove(&who.sid).is_some() || !self.enter_room(now, room) {
            return self.bury(now, &who.sid);
        }
        let (name, identity) = (room.name.as_str(), who.identity.clone());
        let known = self.member(name, &identity).map(|known| (known.who.sid == who.sid, joined_at(&known.who)));
        let is_stranger = known.is_none() && self.bars.shuts_out(name, &identity, &who.sid);
        if is_stranger && !self.removals.contains_key(&(name.to_owned(), identity.clone())) {
            return self.bury(now, &who.sid);
        }
        match known {
            Some((true, _)) => {}
            // They have entered again since then, and that was told.
            Some((false, since)) if joined_at(&who) < since => return self.bury(now, &who.sid),
            // Nobody said that they came: whoever hears that somebody left has heard that they were in.
            Some((false, _)) | None => self.join(now, name, who.clone()),
        }
        let why = self.why(name, &identity, who.disconnect_reason());
        if let Some(room) = self.rooms.get_mut(name)
            && matches!(why, LeftWhy::Dismissed { .. })
        {
            room.dismissed = true;
            // Should LiveKit's word that the room is over get lost.
            self.list_at(now + MISSING_GRACE);
        }
        if matches!(why, LeftWhy::Removed { .. }) {
            self.bars.bar_if_admitted(now, name, &identity);
        }
        self.leave(now, name, &identity, Some(&who), why);
        if self.rooms.get(name).is_some_and(|room| room.closing.is_some() && room.members.is_empty()) {
            self.finish(now, name);
        }
    }

    fn why(&self, room: &str, identity: &str, reason: DisconnectReason) -> LeftWhy {
        match reason {
            DisconnectReason::ParticipantRemoved => {
                let removal = self.removals.get(&(room.to_owned(), identity.to_owned()));
                LeftWhy::Removed { by: removal.and_then(|removal| removal.by.clone()) }
            }
            DisconnectReason::RoomDeleted => LeftWhy::Dismissed { by: self.dismissed_by(room) },
            DisconnectReason::ClientInitiated => LeftWhy::Own,
            // Whoever took their place is about to be put out.
            DisconnectReason::DuplicateIdentity if self.bars.is_barred(room, identity) => LeftWhy::Lost,
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
    pub fn handle_listing(&mut self, now: Duration, listing: Listing) {
        self.asking = false;
        self.list_at(now + LISTING_INTERVAL);
        let before = self.events.len();
        let mut listed = BTreeSet::new();
        for (room, people) in listing.rooms {
            let is_current = self.enter_room(now, &room);
            listed.insert(room.sid.clone());
            let Some(known) = self.rooms.get_mut(&room.name).filter(|_| is_current) else { continue };
            known.missed = None;
            let name = room.name.clone();
            known.info = Arc::new(room);
            if let Some(people) = people {
                self.compare(now, &name, people);
            }
        }
        self.miss_rooms(now, &listed);
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
    pub fn handle_seen(&mut self, now: Duration, room: &proto::Room, people: &[ParticipantInfo]) {
        if self.enter_room(now, room) {
            for who in people {
                self.meet(now, &room.name, who.clone());
            }
        }
    }

    fn compare(&mut self, now: Duration, name: &str, people: Vec<ParticipantInfo>) {
        let present: BTreeSet<_> = people.iter().map(|who| who.sid.clone()).collect();
        for who in people {
            let (identity, sid) = (who.identity.clone(), who.sid.clone());
            let listed: BTreeSet<_> = who.tracks.iter().map(|track| track.sid.clone()).collect();
            self.meet(now, name, who);
            if self.member(name, &identity).is_some_and(|known| known.who.sid == sid) {
                self.miss_tracks(now, name, &identity, &listed);
            }
        }
        let Some(room) = self.rooms.get_mut(name) else { return };
        let (mut lost, mut missing) = (Vec::new(), false);
        for (identity, member) in &mut room.members {
            if present.contains(&member.who.sid) {
                member.missed = None;
            } else {
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
            self.leave(now, name, &identity, None, why);
        }
    }

    fn miss_rooms(&mut self, now: Duration, listed: &BTreeSet<String>) {
        let (mut over, mut missing) = (Vec::new(), false);
        for (name, room) in &mut self.rooms {
            if !listed.contains(&room.info.sid) {
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
        let present = self.member(room, identity).map(|member| member.who.sid.clone());
        self.bars.bar(now, room, identity, present);
    }

    /// LiveKit is about to be asked to remove somebody.
    pub fn begin_removal(&mut self, now: Duration, room: &str, identity: &str, by: Option<String>) {
        let sid = self.member(room, identity).map(|member| member.who.sid.clone());
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
        if self.member(room, identity).is_some_and(|member| Some(&member.who.sid) == removal.sid.as_ref()) {
            self.leave(now, room, identity, None, LeftWhy::Removed { by: removal.by });
        }
    }

    /// LiveKit is about to be asked to delete a room.
    pub fn begin_dismissal(&mut self, room: &str, by: Option<String>) {
        let sid = self.rooms.get(room).map(|room| room.info.sid.clone());
        self.dismissals.insert(room.to_owned(), Dismissal { by, sid });
    }

    /// LiveKit has answered: the room is gone, or nothing has changed. `members` were in it.
    pub fn end_dismissal(&mut self, now: Duration, room: &str, members: &[String], done: bool) {
        if done {
            for identity in members {
                self.bars.bar(now, room, identity, None);
            }
            let sid = self.dismissals.get(room).and_then(|dismissal| dismissal.sid.clone());
            if let Some(known) = self.rooms.get_mut(room)
                && Some(&known.info.sid) == sid.as_ref()
            {
                known.dismissed = true;
                self.finish(now, room);
            }
        }
        self.dismissals.remove(room);
    }
}
