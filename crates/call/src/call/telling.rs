//! Who is told what, and where they are reached.

use super::{Call, CallOutput, Party, To};
use protocol::{Push, UnixMillis, UserId};
use std::collections::BTreeMap;

impl Call {
    pub(super) fn push(&mut self, to: To, push: Push) {
        self.outputs.push_back(CallOutput::Push { to, push });
    }

    /// Tells somebody where they are reached: at the device they take part with, or at all while it rings.
    pub(super) fn tell(&mut self, user: &UserId, push: Push) {
        if let Some(party) = self.party(user).cloned() {
            self.tell_party(&party, push);
        }
    }

    pub(super) fn tell_party(&mut self, party: &Party, push: Push) {
        let to = match party.device() {
            Some(device) => To::Device(party.user.clone(), device.clone()),
            None => To::User(party.user.clone()),
        };
        self.push(to, push);
    }

    /// Tells everyone who takes part or may still, except the one it is about.
    pub(super) fn tell_members(&mut self, about: &UserId, push: &Push) {
        for user in self.users(|party| party.is_in() || party.is_ringing()) {
            if user != *about {
                self.tell(&user, push.clone());
            }
        }
    }

    /// Tells everyone who takes part.
    pub(super) fn tell_inside(&mut self, push: &Push) {
        for user in self.users(Party::is_in) {
            self.tell(&user, push.clone());
        }
    }

    /// The inviter alone hears that somebody is busy.
    pub(super) fn tell_busy(&mut self, user: &UserId) {
        let Some(inviter) = self.party(user).map(|party| party.inviter.clone()) else { return };
        if self.party(&inviter).is_some_and(Party::is_in) {
            self.tell(&inviter, Push::UserLineBusy { call_id: self.id.clone(), user_id: user.clone() });
        }
    }

    pub(super) fn invite(&mut self, user: &UserId) {
        if let Some(push) = self.invitation(user) {
            self.push(To::User(user.clone()), push);
        }
    }

    pub(super) fn invitation(&self, user: &UserId) -> Option<Push> {
        let party = self.party(user)?;
        let ring_until = party.rings_until()?;
        let together = |other: &Party| other.invited_at == party.invited_at && other.inviter == party.inviter;
        let listed =
            |other: &&Party| other.user != party.inviter && (other.is_in() || other.is_ringing() || together(other));
        Some(Push::Invited {
            call_id: self.id.clone(),
            caller_id: party.inviter.clone(),
            callee_id_list: self.parties.iter().filter(listed).map(|party| party.user.clone()).collect(),
            group_id: self.group_id.clone(),
            call_media_type: self.media,
            user_data: if party.user_data.is_empty() { self.user_data.clone() } else { party.user_data.clone() },
            room_id: self.room.clone(),
            ring_until,
            is_group: self.group,
            profiles: BTreeMap::new(),
        })
    }

    pub(super) fn begin(&mut self, user: &UserId, now: UnixMillis) {
        let Some((role, inviter)) = self.party(user).map(|party| (party.role, party.inviter.clone())) else { return };
        let rings = |party: &Party| Some((party.user.clone(), party.rings_until()?));
        let push = Push::Begun {
            call_id: self.id.clone(),
            room_id: self.room.clone(),
            call_media_type: self.media,
            call_role: role,
            began_at: now,
            members: self.users(|party| party.is_in() && party.user != *user),
            ringing: self.users(Party::is_ringing),
            ringing_until: self.parties.iter().filter_map(rings).collect(),
            is_group: self.group,
            inviter_id: Some(inviter),
            profiles: BTreeMap::new(),
            access: None,
        };
        self.tell(user, push);
    }
}
