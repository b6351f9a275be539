//! How a call ends, for one and for all, and who is told what (behaviour 4.4, settled points "Calls").

use super::{Call, CallOutput, Party, Phase, Standing, To};
use protocol::{CallEndReason, DeviceId, Push, UnixMillis, UserId};

/// The part of one who is out, as far as it is needed to tell them.
struct Was {
    device: DeviceId,
    began: Option<UnixMillis>,
}

impl Call {
    /// One who takes part leaves, for whatever reason.
    pub(super) fn leave(&mut self, user: &UserId, reason: CallEndReason, now: UnixMillis) {
        let Some(was) = self.was_in(user) else { return };
        self.put_out(user, reason, now);
        self.tell_end(user, &was, reason, user, now);
        let inside = self.users(Party::is_in);
        for other in inside {
            let push = Push::UserLeft { call_id: self.id.clone(), user_id: user.clone(), reason };
            self.tell(&other, push);
        }
        self.settle(reason, user, now);
    }

    /// Ends the call where it has nobody left to live for: it lives while two are in, or one is in and somebody rings.
    pub(super) fn settle(&mut self, reason: CallEndReason, by: &UserId, now: UnixMillis) {
        let inside = self.parties.iter().filter(|party| party.is_in()).count();
        let ringing = self.parties.iter().any(Party::is_ringing);
        let lives = match self.phase {
            Phase::Ringing => inside == 1 && ringing,
            Phase::Live => inside >= 2 || (inside == 1 && ringing),
            Phase::Over => return,
        };
        if !lives {
            self.finish(reason, Some(by), now);
        }
    }

    /// Over for everyone who is still in or rung. `by` is none where the server ends it: then each is told their own id.
    pub(super) fn finish(&mut self, reason: CallEndReason, by: Option<&UserId>, now: UnixMillis) {
        for user in self.users(Party::is_in) {
            let Some(was) = self.was_in(&user) else { continue };
            self.put_out(&user, reason, now);
            self.tell_end(&user, &was, reason, by.unwrap_or(&user), now);
        }
        for user in self.users(Party::is_ringing) {
            // A hang-up before the own answer is, for one who rings, a call taken back.
            let reason = if reason == CallEndReason::Hangup { CallEndReason::Canceled } else { reason };
            let taken_back = reason == CallEndReason::Canceled;
            let inviter = self.party(&user).map_or_else(|| user.clone(), |party| party.inviter.clone());
            self.put_out(&user, reason, now);
            let named = if taken_back { &inviter } else { &user };
            let push = self.cancelled(&user, named, reason, by.unwrap_or(&user));
            self.push(To::User(user.clone()), push);
        }
        self.phase = Phase::Over;
        self.ended_at = Some(now);
    }

    /// Tells one who took part that it is over: a call that had begun for them ends, another is cancelled.
    fn tell_end(&mut self, user: &UserId, was: &Was, reason: CallEndReason, by: &UserId, now: UnixMillis) {
        let Some(party) = self.party(user) else { return };
        let push = match was.began {
            Some(began) => Push::Ended {
                call_id: self.id.clone(),
                room_id: self.room.clone(),
                call_media_type: self.media,
                call_role: party.role,
                total_time: now.since(began).as_secs(),
                reason,
                user_id: by.clone(),
                inviter_id: party.inviter.clone(),
            },
            None => self.cancelled(user, user, reason, by),
        };
        self.push(To::Device(user.clone(), was.device.clone()), push);
    }

    /// `onCallCancelled` for `user`; `named` is its documented field `callerId`.
    pub(super) fn cancelled(&self, user: &UserId, named: &UserId, reason: CallEndReason, by: &UserId) -> Push {
        let inviter_id = self.party(user).map_or_else(|| user.clone(), |party| party.inviter.clone());
        Push::Cancelled { call_id: self.id.clone(), caller_id: named.clone(), reason, user_id: by.clone(), inviter_id }
    }

    pub(super) fn put_out(&mut self, user: &UserId, reason: CallEndReason, now: UnixMillis) {
        let Some(party) = self.party_mut(user) else { return };
        let was_in = party.is_in();
        if let Standing::In { began: Some(began), .. } = party.standing {
            party.talked += u64::try_from(now.since(began).as_millis()).unwrap_or(u64::MAX);
        }
        party.standing = Standing::Out(reason);
        if was_in {
            self.outputs.push_back(CallOutput::Release(user.clone()));
        }
    }

    fn was_in(&self, user: &UserId) -> Option<Was> {
        match &self.party(user)?.standing {
            Standing::In { device, began, .. } => Some(Was { device: device.clone(), began: *began }),
            Standing::Ringing { .. } | Standing::Out(_) => None,
        }
    }
}
