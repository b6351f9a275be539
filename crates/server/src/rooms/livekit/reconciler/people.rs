//! Who is where: rooms that begin and end, people who come and go, and what is remembered of those who are gone.

use super::super::super::{FinishedWhy, LeftWhy, RoomEvent};
use super::{Action, EVICT_RETRY, Membership, Reconciler, Room, created_at, joined_at, tracks};
use livekit_protocol as proto;
use proto::participant_info::State;
use proto::{DisconnectReason, ParticipantInfo};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

impl Reconciler {
    pub(super) fn member(&self, room: &str, identity: &str) -> Option<&Membership> {
        self.rooms.get(room)?.members.get(identity)
    }

    /// Makes this the room of its name. False where it is over already, or was before the one that is known.
    pub(super) fn enter_room(&mut self, now: Duration, seen: &proto::Room) -> bool {
        if self.is_gone(now, &seen.sid) {
            return false;
        }
        match self.rooms.get_mut(&seen.name) {
            Some(known) if known.info.sid == seen.sid => return true,
            Some(known) if created_at(seen) < created_at(&known.info) => {
                self.bury(now, &seen.sid);
                return false;
            }
            Some(_) => self.finish(now, &seen.name),
            None => {}
        }
        let info = Arc::new(seen.clone());
        let room =
            Room { info: Arc::clone(&info), missed: None, members: BTreeMap::new(), dismissed: false, closing: None };
        self.rooms.insert(seen.name.clone(), room);
        self.events.push_back(RoomEvent::Started { room: seen.name.clone(), info });
        true
    }

    /// Somebody is in a room, as far as LiveKit knew a moment ago.
    pub(super) fn meet(&mut self, now: Duration, name: &str, who: ParticipantInfo) {
        if self.is_gone(now, &who.sid) {
            return;
        }
        let Some(room) = self.rooms.get(name) else { return };
        let closing = room.closing.is_some();
        let known = room.members.get(&who.identity);
        let is_known = known.is_some_and(|known| known.who.sid == who.sid);
        let is_replaced = known.is_some_and(|known| joined_at(&who) < joined_at(&known.who));
        if self.bars.shuts_out(name, &who.identity, &who.sid) {
            self.evict(now, name, &who, is_known);
        } else if is_known {
            self.refresh(now, name, who);
        } else if is_replaced || closing {
            // It was over before anybody heard of it.
            self.bury(now, &who.sid);
        } else {
            self.join(now, name, who);
        }
    }

    fn evict(&mut self, now: Duration, room: &str, who: &ParticipantInfo, is_known: bool) {
        // LiveKit is being asked already, and its answer is waited for.
        if is_known && self.removals.contains_key(&(room.to_owned(), who.identity.clone())) {
            return;
        }
        if self.evicting.get(&who.sid).is_some_and(|at| now < *at + EVICT_RETRY) {
            return;
        }
        // Nobody was told of a stranger, and nobody will be; a member's departure is news.
        if !is_known {
            self.evicting.insert(who.sid.clone(), now);
        }
        self.bars.renew(now, room, &who.identity);
        self.list_at(now + EVICT_RETRY);
        self.actions.push_back(Action::Evict { room: room.to_owned(), identity: who.identity.clone() });
    }

    pub(super) fn join(&mut self, now: Duration, name: &str, mut who: ParticipantInfo) {
        self.leave(now, name, &who.identity, None, LeftWhy::Replaced);
        let Some(room) = self.rooms.get_mut(name) else { return };
        let published = std::mem::take(&mut who.tracks);
        // Whoever was first heard of by their leave came in like everybody else.
        if who.state() == State::Disconnected {
            who.set_state(State::Active);
            who.disconnect_reason = DisconnectReason::UnknownReason.into();
        }
        let who = Arc::new(who);
        let member = Membership { who: Arc::clone(&who), tracks: BTreeMap::new(), missed: None };
        room.members.insert(who.identity.clone(), member);
        self.events.push_back(RoomEvent::Joined { room: name.to_owned(), who: Arc::clone(&who) });
        for track in published {
            self.publish(now, name, &who.identity, track);
        }
    }

    /// `farewell` is LiveKit's description, where it gave one.
    pub(super) fn leave(
        &mut self,
        now: Duration,
        name: &str,
        identity: &str,
        farewell: Option<&ParticipantInfo>,
        why: LeftWhy,
    ) {
        let Some(member) = self.rooms.get_mut(name).and_then(|room| room.members.remove(identity)) else { return };
        self.bury(now, &member.who.sid);
        for sid in member.tracks.keys() {
            self.bury(now, sid);
        }
        let mut who = farewell.cloned().unwrap_or_else(|| (*member.who).clone());
        who.set_state(State::Disconnected);
        who.tracks = tracks::infos(&member.tracks);
        if farewell.is_none() {
            who.set_disconnect_reason(reason(&why));
        }
        self.events.push_back(RoomEvent::Left { room: name.to_owned(), who: who.into(), why });
    }

    pub(super) fn finish(&mut self, now: Duration, name: &str) {
        let Some(room) = self.rooms.get(name) else { return };
        let (dismissed, members) = (room.dismissed, room.members.keys().cloned().collect::<Vec<_>>());
        let by = self.dismissed_by(name);
        for identity in members {
            let why = if dismissed { LeftWhy::Dismissed { by: by.clone() } } else { LeftWhy::Lost };
            self.leave(now, name, &identity, None, why);
        }
        let Some(room) = self.rooms.remove(name) else { return };
        self.bury(now, &room.info.sid);
        let why = if dismissed { FinishedWhy::Dismissed { by } } else { FinishedWhy::Empty };
        self.events.push_back(RoomEvent::Finished { room: name.to_owned(), info: room.info, why });
    }

    /// Remembers that a room, a membership or a track is over.
    pub(super) fn bury(&mut self, now: Duration, sid: &str) {
        self.gone.insert(sid.to_owned(), now);
    }

    /// Whether it is over. Being heard of keeps the memory alive: a listing may show a ghost for long.
    pub(super) fn is_gone(&mut self, now: Duration, sid: &str) -> bool {
        match self.gone.get_mut(sid) {
            Some(at) => {
                *at = now;
                true
            }
            None => false,
        }
    }
}

/// LiveKit's word for it, where LiveKit has not said it.
fn reason(why: &LeftWhy) -> DisconnectReason {
    match why {
        LeftWhy::Own => DisconnectReason::ClientInitiated,
        LeftWhy::Lost => DisconnectReason::UnknownReason,
        LeftWhy::Removed { .. } => DisconnectReason::ParticipantRemoved,
        LeftWhy::Dismissed { .. } => DisconnectReason::RoomDeleted,
        LeftWhy::Replaced => DisconnectReason::DuplicateIdentity,
    }
}
