//! What rooms say, and what it does to calls and to those who entered a room by its id.

use super::Switchboard;
use crate::call::{RoomNews, To};
use protocol::{CallId, ExitReason, Privileges, Push, RoomId, UnixMillis, UserId};
use std::collections::BTreeSet;

/// Something happened in a room. Rooms and people that the call plane does not know are none of its business: the body
/// drops them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoomsEvent {
    /// News of one member.
    Member {
        /// The room.
        room: RoomId,
        /// Who.
        user: UserId,
        /// What.
        news: RoomNews,
    },
    /// The room was dismissed.
    Dismissed {
        /// The room.
        room: RoomId,
        /// Who did it, where known.
        by: Option<String>,
    },
    /// Everyone who is in a room, after events were missed.
    Present(BTreeSet<(RoomId, UserId)>),
    /// The room could not be made.
    Failed {
        /// The room.
        room: RoomId,
    },
}

impl Switchboard {
    /// Something happened in a room.
    pub fn handle_rooms_event(&mut self, event: RoomsEvent, now: UnixMillis) {
        match event {
            RoomsEvent::Member { room, user, news } => self.handle_member(room, user, news, now),
            RoomsEvent::Dismissed { room, by } => self.handle_dismissed(&room, by.as_deref(), now),
            RoomsEvent::Present(present) => self.handle_present(&present, now),
            RoomsEvent::Failed { room } => {
                for call in self.calls_in(&room) {
                    self.with_call(&call, now, |call| call.handle_failed(now));
                }
            }
        }
    }

    fn handle_member(&mut self, room: RoomId, user: UserId, news: RoomNews, now: UnixMillis) {
        if matches!(news, RoomNews::Removed { .. }) {
            self.mark_put_out(&room, &user, ExitReason::Removed);
        }
        let call = self.call_by_user.get(&user).filter(|call| self.calls_in(&room).contains(call)).cloned();
        if let Some(call) = call {
            self.with_call(&call, now, |call| call.handle_room_news(&user, news, now));
            return;
        }
        match news {
            RoomNews::Removed { by } if self.guests.remove(&room, &user) => {
                let push = Push::RoomExit { room_id: room, reason: ExitReason::Removed, by };
                self.deliver(&To::User(user), &push, now);
            }
            RoomNews::Joined => self.guests.note(&room, &user, false),
            RoomNews::Left => self.guests.note(&room, &user, true),
            RoomNews::Lost | RoomNews::Removed { .. } => {}
        }
    }

    fn handle_dismissed(&mut self, room: &RoomId, by: Option<&str>, now: UnixMillis) {
        for id in self.calls_in(room) {
            let members: Vec<_> = self.calls.get(&id).map(|call| call.parties().to_vec()).unwrap_or_default();
            for member in members.iter().filter(|party| party.is_in()) {
                self.mark_put_out(room, &member.user, ExitReason::Dismissed);
            }
            self.with_call(&id, now, |call| call.handle_dismissed(by, now));
        }
        for guest in self.guests.of(room) {
            if !self.guests.remove(room, &guest) {
                continue;
            }
            self.mark_put_out(room, &guest, ExitReason::Dismissed);
            let by = by.map(str::to_owned);
            let push = Push::RoomExit { room_id: room.clone(), reason: ExitReason::Dismissed, by };
            self.deliver(&To::User(guest), &push, now);
        }
    }

    fn handle_present(&mut self, present: &BTreeSet<(RoomId, UserId)>, now: UnixMillis) {
        let members: Vec<_> = self
            .calls
            .values()
            .flat_map(|call| call.parties().iter().map(|party| (call.room().clone(), party)))
            .filter_map(|(room, party)| Some((room, party.user.clone(), party.in_room()?)))
            .collect();
        for (room, user, was) in members {
            let is = present.contains(&(room.clone(), user.clone()));
            match (was, is) {
                (true, false) => self.handle_member(room, user, RoomNews::Lost, now),
                (false, true) => self.handle_member(room, user, RoomNews::Joined, now),
                (true, true) | (false, false) => {}
            }
        }
    }

    /// Whether somebody has a right to be in a room now.
    #[must_use]
    pub fn belongs(&self, room: &RoomId, user: &UserId) -> bool {
        self.in_call_of(room, user) || self.guests.privileges(room, user).is_some()
    }

    /// What somebody may do in a room: all of it in the room of their call, what their key says in one that they
    /// entered by its id.
    #[must_use]
    pub fn privileges(&self, room: &RoomId, user: &UserId) -> Privileges {
        if self.in_call_of(room, user) {
            return Privileges::ALL;
        }
        self.guests.privileges(room, user).unwrap_or(Privileges::NONE)
    }

    pub(super) fn in_call_of(&self, room: &RoomId, user: &UserId) -> bool {
        let call = self.call_by_user.get(user).and_then(|call| self.calls.get(call));
        call.is_some_and(|call| call.room() == room && call.party(user).is_some_and(crate::call::Party::is_in))
    }

    fn calls_in(&self, room: &RoomId) -> Vec<CallId> {
        self.calls_by_room.get(room).into_iter().flatten().cloned().collect()
    }

    fn mark_put_out(&mut self, room: &RoomId, user: &UserId, reason: ExitReason) {
        let membership = (room.clone(), user.clone());
        self.dirty.put_out.insert(membership.clone());
        self.dirty.put_out.extend(self.put_out.insert(membership, reason));
    }

    /// Somebody enters a room afresh: what happened to them there before counts no more.
    pub(super) fn forgive(&mut self, membership: &(RoomId, UserId)) {
        if self.put_out.remove(membership) {
            self.dirty.put_out.insert(membership.clone());
        }
    }
}
