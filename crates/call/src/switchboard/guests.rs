//! Who entered rooms by their ids, and what they may do there.

use super::{Output, Switchboard};
use protocol::{DeviceId, Privileges, RoomId, UserId};
use std::collections::{BTreeMap, VecDeque};

/// Rooms that one user holds at once, whether they are in them or never came. A device is in one room at a time; the
/// longest held makes place for another.
const ROOMS_LIMIT: usize = 16;

/// A membership.
#[derive(Clone, Debug)]
struct Guest {
    privileges: Privileges,
    /// With which it goes on: entering a room again from another device takes it over.
    device: DeviceId,
    /// The room says that they left; their tokens are good until they say so themselves.
    gone: bool,
}

/// All memberships of rooms that were entered by their ids.
#[derive(Debug, Default)]
pub(super) struct Guests {
    by_room: BTreeMap<RoomId, BTreeMap<UserId, Guest>>,
    /// The longest held first.
    by_user: BTreeMap<UserId, VecDeque<RoomId>>,
}

impl Guests {
    fn get(&self, room: &RoomId, user: &UserId) -> Option<&Guest> {
        self.by_room.get(room)?.get(user)
    }

    /// What somebody may do in a room, as long as it is theirs.
    pub(super) fn privileges(&self, room: &RoomId, user: &UserId) -> Option<Privileges> {
        self.get(room, user).filter(|guest| !guest.gone).map(|guest| guest.privileges)
    }

    /// Whether anybody holds the room.
    pub(super) fn hold(&self, room: &RoomId) -> bool {
        self.by_room.contains_key(room)
    }

    /// Everyone who holds the room.
    pub(super) fn of(&self, room: &RoomId) -> Vec<UserId> {
        self.by_room.get(room).into_iter().flat_map(|users| users.keys()).cloned().collect()
    }

    /// Somebody enters; gives back the room that makes place for it.
    fn enter(&mut self, room: &RoomId, user: &UserId, device: &DeviceId, privileges: Privileges) -> Option<RoomId> {
        self.remove(room, user);
        let held = self.by_user.entry(user.clone()).or_default();
        held.push_back(room.clone());
        let oldest = if held.len() > ROOMS_LIMIT { held.front().cloned() } else { None };
        let guest = Guest { privileges, device: device.clone(), gone: false };
        self.by_room.entry(room.clone()).or_default().insert(user.clone(), guest);
        if let Some(oldest) = &oldest {
            self.remove(oldest, user);
        }
        oldest
    }

    /// The room has seen them go (`true`) or come.
    pub(super) fn note(&mut self, room: &RoomId, user: &UserId, gone: bool) {
        if let Some(guest) = self.by_room.get_mut(room).and_then(|users| users.get_mut(user)) {
            guest.gone = gone;
        }
    }

    /// Whether it was theirs until now.
    pub(super) fn remove(&mut self, room: &RoomId, user: &UserId) -> bool {
        let Some(users) = self.by_room.get_mut(room) else { return false };
        let Some(guest) = users.remove(user) else { return false };
        if users.is_empty() {
            self.by_room.remove(room);
        }
        if let Some(held) = self.by_user.get_mut(user) {
            held.retain(|other| other != room);
            if held.is_empty() {
                self.by_user.remove(user);
            }
        }
        !guest.gone
    }

    fn is_with(&self, room: &RoomId, user: &UserId, device: &DeviceId) -> bool {
        self.get(room, user).is_some_and(|guest| guest.device == *device)
    }

    fn held_with(&self, user: &UserId, device: &DeviceId) -> Vec<RoomId> {
        let held = self.by_user.get(user).into_iter().flatten();
        held.filter(|room| self.is_with(room, user, device)).cloned().collect()
    }
}

impl Switchboard {
    pub(super) fn begin_stay(&mut self, room: &RoomId, user: &UserId, device: &DeviceId, privileges: Privileges) {
        if let Some(oldest) = self.guests.enter(room, user, device, privileges) {
            self.release_guest(oldest, user);
        }
    }

    /// A device has left a room. Where another one of the same user has entered it since, theirs goes on.
    pub(super) fn end_stay(&mut self, room: RoomId, user: &UserId, device: &DeviceId) {
        if self.guests.is_with(&room, user, device) {
            self.guests.remove(&room, user);
            self.release_guest(room, user);
        }
    }

    /// A device is signed out.
    pub(super) fn end_stays(&mut self, user: &UserId, device: &DeviceId) {
        for room in self.guests.held_with(user, device) {
            self.end_stay(room, user, device);
        }
    }

    /// The tokens of a membership that is over open nothing any more, except into the room of their call.
    fn release_guest(&mut self, room: RoomId, user: &UserId) {
        if !self.in_call_of(&room, user) {
            self.outputs.push_back(Output::Release { room, user: user.clone() });
        }
    }
}
