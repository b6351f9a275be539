//! What people do to a running call: ring more people, come back into it, make it a voice call.

use super::{Call, EVER_CALLED_LIMIT, PEOPLE_LIMIT, Party, Phase, RING_TIMEOUT, Standing, over};
use protocol::message::InviteUser;
use protocol::{CallMediaType, Code, DeviceId, Profile, Push, Refusal, UnixMillis, UserId};
use std::collections::BTreeSet;
use std::time::Duration;

impl Call {
    /// Somebody who is in rings more people. `wish` has passed [`check_invitation`](crate::session::check_invitation);
    /// `busy` are those of them who are in another call.
    pub fn handle_invite(
        &mut self,
        by: &UserId,
        wish: &InviteUser,
        busy: &BTreeSet<UserId>,
        now: UnixMillis,
    ) -> Result<(), Refusal> {
        self.may_invite(by, wish)?;
        // With nobody to ring it stays what it was.
        self.group |= wish.callee_id_list.iter().any(|user| !busy.contains(user));
        let until = now + wish.timeout.map_or(RING_TIMEOUT, |seconds| Duration::from_secs(seconds.into()));
        for user in &wish.callee_id_list {
            let mut called = Party::called(user.clone(), by.clone(), until, busy.contains(user), now);
            called.user_data.clone_from(&wish.user_data);
            match self.party_mut(user) {
                // The caller stays the caller, and what they have talked is not forgotten.
                Some(party) => {
                    *party = Party { role: party.role, answered: party.answered, talked: party.talked, ..called }
                }
                None => self.parties.push(called),
            }
        }
        for user in &wish.callee_id_list {
            if busy.contains(user) {
                self.tell_busy(user);
                continue;
            }
            self.invite(user);
            let (call_id, user_id) = (self.id.clone(), user.clone());
            self.tell_inside(&Push::UserInviting { call_id, user_id, ring_until: until, profile: None });
        }
        Ok(())
    }

    fn may_invite(&self, by: &UserId, wish: &InviteUser) -> Result<(), Refusal> {
        if !self.party(by).is_some_and(Party::is_in) {
            return Err(Refusal::because(Code::WrongState, "You are not in this call."));
        }
        if !self.group && !wish.add_person {
            return Err(Refusal::because(Code::WrongScene, "This is a call for two."));
        }
        let takes_part = |party: &&Party| party.is_in() || party.is_ringing();
        if let Some(party) = self.parties.iter().filter(takes_part).find(|p| wish.callee_id_list.contains(&p.user)) {
            let message = format!("{} is in this call, or it rings there.", party.user);
            return Err(Refusal::because(Code::BadParameter, message));
        }
        if self.parties.iter().filter(takes_part).count() + wish.callee_id_list.len() > PEOPLE_LIMIT {
            return Err(Refusal::because(Code::BadParameter, "A call has at most 9 people."));
        }
        let new = wish.callee_id_list.iter().filter(|user| self.party(user).is_none()).count();
        if self.parties.len() + new > EVER_CALLED_LIMIT {
            return Err(Refusal::because(Code::BadParameter, "This call has rung too many people already."));
        }
        Ok(())
    }

    /// Somebody who was once invited enters. While it rings there, this is an answer.
    pub fn handle_join(&mut self, user: &UserId, device: &DeviceId, now: UnixMillis) -> Result<(), Refusal> {
        let Some(party) = self.party(user) else { return Err(over()) };
        match party.standing {
            Standing::Ringing { .. } => return self.handle_accept(user, device, now),
            Standing::In { .. } => return Err(Refusal::because(Code::WrongState, "You are in this call already.")),
            Standing::Out(_) if self.card().is_none() => return Err(over()),
            Standing::Out(_) => {}
        }
        if self.parties.iter().filter(|party| party.is_in() || party.is_ringing()).count() >= PEOPLE_LIMIT {
            return Err(Refusal::because(Code::WrongState, "The call is full: it has 9 people."));
        }
        self.enter(user, device, now);
        Ok(())
    }

    /// Somebody makes a video call for two a voice call. Both may do so at once.
    pub fn handle_switch(&mut self, by: &UserId, media: CallMediaType) -> Result<(), Refusal> {
        if self.phase != Phase::Live || !self.party(by).is_some_and(Party::is_in) {
            return Err(Refusal::because(Code::WrongState, "You are not in a running call."));
        }
        if self.group {
            return Err(Refusal::because(Code::WrongScene, "A group call keeps its kind."));
        }
        if media == self.media {
            return Ok(());
        }
        if media == CallMediaType::Video {
            return Err(Refusal::because(Code::WrongScene, "A voice call cannot become a video call."));
        }
        let (call_id, old_call_media_type) = (self.id.clone(), std::mem::replace(&mut self.media, media));
        self.tell_inside(&Push::MediaTypeChanged { call_id, old_call_media_type, new_call_media_type: media });
        Ok(())
    }

    /// Somebody deletes their record of a call that is over for them alone.
    pub fn handle_forget(&mut self, user: &UserId) {
        if let Some(party) = self.party_mut(user) {
            party.forgotten = party.out().is_some();
        }
    }

    /// Somebody calls themselves something else; everyone else in it learns of it.
    pub fn handle_profile(&mut self, user: &UserId, profile: &Profile) {
        if self.party(user).is_some_and(|party| party.is_in() || party.is_ringing()) {
            let (call_id, user_id) = (self.id.clone(), user.clone());
            self.tell_members(user, &Push::UserInfo { call_id, user_id, profile: profile.clone() });
        }
    }
}
