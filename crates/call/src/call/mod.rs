//! The server's side of one call, from the first ring to the last goodbye.
//!
//! Inputs are what people and rooms do (`handle_*`), outputs are what their devices are told. A call knows people, and
//! devices only as the one with which somebody answered; sessions, sockets and tokens are the
//! [`Switchboard`](crate::Switchboard)'s.

mod ending;
mod party;

pub use party::{Party, Presence, Standing};

use protocol::message::PlaceCall;
use protocol::{
    CallEndReason, CallId, CallMediaType, CallRole, Code, DeviceId, ExitReason, Push, Refusal, RoomId, UnixMillis,
    UserId,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

/// How long it rings unless the caller says otherwise (behaviour 4.5).
pub const RING_TIMEOUT: Duration = Duration::from_secs(30);

/// How long somebody who takes part may stay out of the room while their device is online (TRTC's own figure for
/// members who are silent, behaviour 3.3).
pub const JOIN_TIMEOUT: Duration = Duration::from_secs(90);

/// The same for one who was in the room and left it, or whose path of media broke: shorter, because the room has
/// waited before.
pub const REJOIN_TIMEOUT: Duration = Duration::from_secs(30);

/// How long one whose device is gone from the call plane keeps a place that no room holds for them. Shorter ends calls
/// during a change of network; longer lets people wait for somebody who is gone.
pub const OFFLINE_GRACE: Duration = Duration::from_secs(15);

/// How far a call has come.
///
/// ```text
/// Ringing --first acceptance--> Live --fewer than two in, nobody rings--> Over
///    '--nobody rings any more, or the caller is gone------------------------^
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// Nobody has answered.
    Ringing,
    /// Somebody has.
    Live,
    /// Final: nothing is accepted any more.
    Over,
}

/// Whom a push is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum To {
    /// Every device of this user.
    User(UserId),
    /// The device with which the user takes part.
    Device(UserId, DeviceId),
    /// Every other device of this user.
    OtherDevices(UserId, DeviceId),
}

/// What a call wants done, in this order.
#[derive(Clone, Debug, PartialEq)]
pub enum CallOutput {
    /// Tell somebody.
    Push {
        /// Whom.
        to: To,
        /// What.
        push: Push,
    },
    /// This user no longer belongs into the call's room.
    Release(UserId),
}

/// Why a call wants to be woken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallDeadline {
    /// This callee has not answered in time.
    RingOut(UserId),
    /// This member is gone.
    Gone(UserId),
}

/// How somebody disappears without a goodbye.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Departure {
    /// Signed out, or signed in elsewhere.
    SignedOut,
    /// The device started afresh: its process had died.
    Restarted,
}

/// What the room says about somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoomNews {
    /// They are in.
    Joined,
    /// They left by themselves.
    Left,
    /// They are lost.
    Lost,
    /// An administrator removed them.
    Removed {
        /// Who, where known.
        by: Option<String>,
    },
}

/// One call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Call {
    id: CallId,
    room: RoomId,
    media: CallMediaType,
    group_id: String,
    user_data: String,
    phase: Phase,
    /// The caller first.
    parties: Vec<Party>,
    #[serde(skip)]
    outputs: VecDeque<CallOutput>,
}

impl Call {
    /// Rings everyone who is free. `wish` has passed [`check_placement`](crate::session::check_placement); `busy` are
    /// the callees who are in another call.
    #[must_use]
    pub fn place(
        id: CallId,
        room: RoomId,
        caller: (UserId, DeviceId),
        wish: PlaceCall,
        busy: &BTreeSet<UserId>,
        now: UnixMillis,
    ) -> Self {
        let (caller, device) = caller;
        let until = now + wish.timeout.map_or(RING_TIMEOUT, |seconds| Duration::from_secs(seconds.into()));
        let presence = Presence::Awaited { until };
        let mut parties = vec![Party {
            user: caller.clone(),
            role: CallRole::Caller,
            inviter: caller.clone(),
            standing: Standing::In { device, began: None, presence },
            offline: None,
        }];
        parties.extend(wish.callee_id_list.into_iter().map(|user| Party {
            standing: if busy.contains(&user) {
                Standing::Out(CallEndReason::LineBusy)
            } else {
                Standing::Ringing { until, shown: false }
            },
            user,
            role: CallRole::Called,
            inviter: caller.clone(),
            offline: None,
        }));
        let mut call = Self {
            id,
            room,
            media: wish.call_media_type,
            group_id: wish.group_id,
            user_data: wish.user_data,
            phase: Phase::Ringing,
            parties,
            outputs: VecDeque::new(),
        };
        for user in call.users(Party::is_ringing) {
            call.invite(&user);
        }
        for user in call.users(|party| party.standing == Standing::Out(CallEndReason::LineBusy)) {
            call.tell_busy(&user);
            call.settle(CallEndReason::LineBusy, &user, now);
        }
        call
    }

    // ---- views ----

    /// Its name.
    #[must_use]
    pub fn id(&self) -> &CallId {
        &self.id
    }

    /// Its room.
    #[must_use]
    pub fn room(&self) -> &RoomId {
        &self.room
    }

    /// How far it has come.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Everyone who has ever been part of it, the caller first.
    #[must_use]
    pub fn parties(&self) -> &[Party] {
        &self.parties
    }

    /// Somebody's part.
    #[must_use]
    pub fn party(&self, user: &UserId) -> Option<&Party> {
        self.parties.iter().find(|party| party.user == *user)
    }

    /// When the last ring ends.
    #[must_use]
    pub fn ring_until(&self) -> Option<UnixMillis> {
        let until = |party: &Party| match party.standing {
            Standing::Ringing { until, .. } => Some(until),
            Standing::In { .. } | Standing::Out(_) => None,
        };
        self.parties.iter().filter_map(until).max()
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<CallOutput> {
        self.outputs.pop_front()
    }

    /// When to call [`Self::handle_timeout`], and why.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(UnixMillis, CallDeadline)> {
        if self.phase == Phase::Over {
            return None;
        }
        self.parties.iter().filter_map(|party| self.deadline(party)).min_by_key(|(at, _)| *at)
    }

    fn deadline(&self, party: &Party) -> Option<(UnixMillis, CallDeadline)> {
        match &party.standing {
            Standing::Ringing { until, .. } => Some((*until, CallDeadline::RingOut(party.user.clone()))),
            Standing::In { presence: Presence::Joined, .. } if self.phase == Phase::Live => None,
            Standing::In { presence, .. } => {
                let offline = party.offline.map(|since| since + OFFLINE_GRACE);
                let awaited = match presence {
                    Presence::Awaited { until } if self.phase == Phase::Live => Some(*until),
                    Presence::Awaited { .. } | Presence::Joined => None,
                };
                let at = offline.into_iter().chain(awaited).min()?;
                Some((at, CallDeadline::Gone(party.user.clone())))
            }
            Standing::Out(_) => None,
        }
    }

    // ---- what people do ----

    /// A device of a callee has the invitation.
    pub fn handle_shown(&mut self, user: &UserId) {
        let caller = self.parties[0].clone();
        let Some(party) = self.party_mut(user) else { return };
        let Standing::Ringing { shown, .. } = &mut party.standing else { return };
        if std::mem::replace(shown, true) {
            return;
        }
        if caller.is_in() {
            let push = Push::Ringing { call_id: self.id.clone(), user_id: user.clone() };
            self.tell_party(&caller, push);
        }
    }

    /// Somebody answers.
    pub fn handle_accept(&mut self, user: &UserId, device: &DeviceId, now: UnixMillis) -> Result<(), Refusal> {
        self.must_ring(user)?;
        let began = Some(now);
        let presence = Presence::Awaited { until: now + JOIN_TIMEOUT };
        let first = self.phase == Phase::Ringing;
        self.phase = Phase::Live;
        if first && let Standing::In { began, presence, .. } = &mut self.parties[0].standing {
            *began = Some(now);
            if *presence != Presence::Joined {
                *presence = Presence::Awaited { until: now + JOIN_TIMEOUT };
            }
        }
        let inside = self.users(Party::is_in);
        if let Some(party) = self.party_mut(user) {
            party.standing = Standing::In { device: device.clone(), began, presence };
            party.offline = None;
        }
        self.begin(user, now);
        let elsewhere = self.cancelled(user, user, CallEndReason::OtherDeviceAccepted, user);
        self.push(To::OtherDevices(user.clone(), device.clone()), elsewhere);
        for other in inside {
            if first {
                self.begin(&other, now);
            } else {
                let push = Push::UserJoined { call_id: self.id.clone(), user_id: user.clone() };
                self.tell(&other, push);
            }
        }
        Ok(())
    }

    /// Somebody declines.
    pub fn handle_reject(&mut self, user: &UserId, device: &DeviceId, now: UnixMillis) -> Result<(), Refusal> {
        self.must_ring(user)?;
        self.put_out(user, CallEndReason::Reject);
        let here = self.cancelled(user, user, CallEndReason::Reject, user);
        self.push(To::Device(user.clone(), device.clone()), here);
        let elsewhere = self.cancelled(user, user, CallEndReason::OtherDeviceReject, user);
        self.push(To::OtherDevices(user.clone(), device.clone()), elsewhere);
        self.tell_members(user, &Push::UserRejected { call_id: self.id.clone(), user_id: user.clone() });
        self.settle(CallEndReason::Reject, user, now);
        Ok(())
    }

    /// Somebody stays silent on purpose: "busy" for the caller, nothing for themselves.
    pub fn handle_ignore(&mut self, user: &UserId, device: &DeviceId, now: UnixMillis) -> Result<(), Refusal> {
        self.must_ring(user)?;
        self.put_out(user, CallEndReason::LineBusy);
        let elsewhere = self.cancelled(user, user, CallEndReason::LineBusy, user);
        self.push(To::OtherDevices(user.clone(), device.clone()), elsewhere);
        self.tell_busy(user);
        self.settle(CallEndReason::LineBusy, user, now);
        Ok(())
    }

    /// Somebody ends their part: the caller before an answer takes the call back, a callee before theirs declines.
    pub fn handle_hangup(&mut self, user: &UserId, device: &DeviceId, now: UnixMillis) -> Result<(), Refusal> {
        match self.party(user).map(|party| &party.standing) {
            Some(Standing::In { .. }) if self.phase == Phase::Ringing => self.leave(user, CallEndReason::Canceled, now),
            Some(Standing::In { .. }) => self.leave(user, CallEndReason::Hangup, now),
            Some(Standing::Ringing { .. }) => return self.handle_reject(user, device, now),
            Some(Standing::Out(_)) | None => return Err(over()),
        }
        Ok(())
    }

    /// A device is gone from the call plane for good. Who takes part with it leaves; a ring goes on elsewhere.
    pub fn handle_departure(&mut self, user: &UserId, device: &DeviceId, how: Departure, now: UnixMillis) {
        if self.party(user).and_then(Party::device) != Some(device) {
            return;
        }
        let reason = match how {
            Departure::SignedOut if self.phase == Phase::Ringing => CallEndReason::Canceled,
            Departure::SignedOut => CallEndReason::Hangup,
            Departure::Restarted => CallEndReason::Offline,
        };
        self.leave(user, reason, now);
    }

    /// The socket of the device with which somebody takes part is lost (`false`) or back (`true`).
    pub fn handle_link(&mut self, user: &UserId, device: &DeviceId, online: bool, now: UnixMillis) {
        let Some(party) = self.party_mut(user) else { return };
        if party.device() == Some(device) {
            party.offline = if online { None } else { party.offline.or(Some(now)) };
        }
    }

    /// A device of a user signed in: where it rings for them, it rings there too.
    pub fn handle_signed_in(&mut self, user: &UserId, device: &DeviceId) {
        if self.party(user).is_some_and(Party::is_ringing)
            && let Some(push) = self.invitation(user)
        {
            self.push(To::Device(user.clone(), device.clone()), push);
        }
    }

    // ---- what rooms and time do ----

    /// The room has news of somebody.
    pub fn handle_room_news(&mut self, user: &UserId, news: RoomNews, now: UnixMillis) {
        let live = self.phase == Phase::Live;
        let Some(party) = self.party_mut(user) else { return };
        let offline = party.offline.is_some();
        let Standing::In { presence, .. } = &mut party.standing else { return };
        match news {
            RoomNews::Joined => *presence = Presence::Joined,
            // Both gone: the process died, and the room has waited for it.
            RoomNews::Lost if offline && live => self.leave(user, CallEndReason::Offline, now),
            RoomNews::Left if offline && live => self.leave(user, CallEndReason::Hangup, now),
            RoomNews::Left | RoomNews::Lost => *presence = Presence::Awaited { until: now + REJOIN_TIMEOUT },
            RoomNews::Removed { by } => {
                let push = Push::RoomExit { room_id: self.room.clone(), reason: ExitReason::Removed, by };
                self.tell(user, push);
                self.leave(user, CallEndReason::EndByServer, now);
            }
        }
    }

    /// The room was dismissed: the call is over for everyone.
    pub fn handle_dismissed(&mut self, by: Option<&str>, now: UnixMillis) {
        for user in self.users(Party::is_in) {
            let by = by.map(str::to_owned);
            self.tell(&user, Push::RoomExit { room_id: self.room.clone(), reason: ExitReason::Dismissed, by });
        }
        self.finish(CallEndReason::EndByServer, None, now);
    }

    /// The room could not be made: nobody can answer. A call that has begun goes on: its people are in the room, or make
    /// it by entering, and whoever carries the rooms may be out of the server's reach and not of theirs.
    pub fn handle_failed(&mut self, now: UnixMillis) {
        if self.phase == Phase::Ringing {
            self.finish(CallEndReason::EndByServer, None, now);
        }
    }

    /// The server was restarted: nobody is online or in the room until they show up again.
    pub fn handle_restored(&mut self, now: UnixMillis) {
        let live = self.phase == Phase::Live;
        for party in &mut self.parties {
            if let Standing::In { presence, .. } = &mut party.standing {
                party.offline = Some(now);
                if live {
                    *presence = Presence::Awaited { until: now + JOIN_TIMEOUT };
                }
            }
        }
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: UnixMillis) {
        while let Some((at, deadline)) = self.poll_timeout() {
            if at > now {
                return;
            }
            match deadline {
                CallDeadline::RingOut(user) => {
                    self.put_out(&user, CallEndReason::NoResponse);
                    let push = self.cancelled(&user, &user, CallEndReason::NoResponse, &user);
                    self.push(To::User(user.clone()), push);
                    let silent = Push::UserNoResponse { call_id: self.id.clone(), user_id: user.clone() };
                    self.tell_members(&user, &silent);
                    self.settle(CallEndReason::NoResponse, &user, now);
                }
                CallDeadline::Gone(user) => self.leave(&user, CallEndReason::Offline, now),
            }
        }
    }

    // ---- helpers ----

    fn party_mut(&mut self, user: &UserId) -> Option<&mut Party> {
        self.parties.iter_mut().find(|party| party.user == *user)
    }

    fn users(&self, which: impl Fn(&Party) -> bool) -> Vec<UserId> {
        self.parties.iter().filter(|party| which(party)).map(|party| party.user.clone()).collect()
    }

    fn must_ring(&self, user: &UserId) -> Result<(), Refusal> {
        match self.party(user) {
            Some(party) if party.is_ringing() => Ok(()),
            Some(_) | None => Err(over()),
        }
    }

    fn push(&mut self, to: To, push: Push) {
        self.outputs.push_back(CallOutput::Push { to, push });
    }

    /// Tells somebody where they are reached: at the device they take part with, or at all while it rings.
    fn tell(&mut self, user: &UserId, push: Push) {
        if let Some(party) = self.party(user).cloned() {
            self.tell_party(&party, push);
        }
    }

    fn tell_party(&mut self, party: &Party, push: Push) {
        let to = match party.device() {
            Some(device) => To::Device(party.user.clone(), device.clone()),
            None => To::User(party.user.clone()),
        };
        self.push(to, push);
    }

    /// Tells everyone who takes part or may still, except the one it is about.
    fn tell_members(&mut self, about: &UserId, push: &Push) {
        for user in self.users(|party| party.is_in() || party.is_ringing()) {
            if user != *about {
                self.tell(&user, push.clone());
            }
        }
    }

    fn tell_busy(&mut self, user: &UserId) {
        let Some(inviter) = self.party(user).map(|party| party.inviter.clone()) else { return };
        if self.party(&inviter).is_some_and(Party::is_in) {
            self.tell(&inviter, Push::UserLineBusy { call_id: self.id.clone(), user_id: user.clone() });
        }
    }

    fn invite(&mut self, user: &UserId) {
        if let Some(push) = self.invitation(user) {
            self.push(To::User(user.clone()), push);
        }
    }

    fn invitation(&self, user: &UserId) -> Option<Push> {
        let party = self.party(user)?;
        let Standing::Ringing { until, .. } = party.standing else { return None };
        Some(Push::Invited {
            call_id: self.id.clone(),
            caller_id: party.inviter.clone(),
            callee_id_list: self.parties.iter().skip(1).map(|party| party.user.clone()).collect(),
            group_id: self.group_id.clone(),
            call_media_type: self.media,
            user_data: self.user_data.clone(),
            room_id: self.room.clone(),
            ring_until: until,
        })
    }

    fn begin(&mut self, user: &UserId, now: UnixMillis) {
        let Some(role) = self.party(user).map(|party| party.role) else { return };
        let push = Push::Begun {
            call_id: self.id.clone(),
            room_id: self.room.clone(),
            call_media_type: self.media,
            call_role: role,
            began_at: now,
            members: self.users(|party| party.is_in() && party.user != *user),
            ringing: self.users(Party::is_ringing),
            access: None,
        };
        self.tell(user, push);
    }
}

fn over() -> Refusal {
    Refusal::because(Code::WrongState, "The call is over, or does not ring here.")
}
