//! The server's side of one call, from the first ring to the last goodbye.
//!
//! Inputs are what people and rooms do (`handle_*`), outputs are what their devices are told. A call knows people, and
//! devices only as the one with which somebody answered; sessions, sockets and tokens are the
//! [`Switchboard`](crate::Switchboard)'s.

mod ending;
mod group;
mod party;
mod record;
mod telling;
mod world;

pub use party::{Party, Presence, Standing};
pub use record::{CallLog, LoggedPerson};

use protocol::message::PlaceCall;
use protocol::{
    CallCard, CallEndReason, CallId, CallMediaType, CallRole, Code, DeviceId, Push, Refusal, RoomId, UnixMillis, UserId,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
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

/// People who are in a call or rung by it (spec 4.5).
pub const PEOPLE_LIMIT: usize = 9;

/// People whom one call may ring in all its life. More would make its record grow without end.
pub const EVER_CALLED_LIMIT: usize = 100;

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
#[allow(clippy::large_enum_variant, reason = "a few at a time, and not for long")]
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
    /// More than two may be in it.
    #[serde(default)]
    group: bool,
    /// The server has chosen the room: nobody else has business there.
    #[serde(default)]
    owns_room: bool,
    phase: Phase,
    #[serde(default)]
    placed_at: UnixMillis,
    /// When somebody answered first.
    #[serde(default)]
    began_at: Option<UnixMillis>,
    #[serde(default)]
    ended_at: Option<UnixMillis>,
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
        let group = wish.callee_id_list.len() > 1 || !wish.group_id.is_empty();
        let mut parties = vec![Party {
            role: CallRole::Caller,
            standing: Standing::In { device, began: None, presence },
            ..Party::called(caller.clone(), caller.clone(), until, false, now)
        }];
        parties.extend(wish.callee_id_list.into_iter().map(|user| {
            let busy = busy.contains(&user);
            Party::called(user, caller.clone(), until, busy, now)
        }));
        let mut call = Self {
            id,
            room,
            media: wish.call_media_type,
            group_id: wish.group_id,
            user_data: wish.user_data,
            group,
            owns_room: wish.room_id.is_none(),
            phase: Phase::Ringing,
            placed_at: now,
            began_at: None,
            ended_at: None,
            parties,
            outputs: VecDeque::new(),
        };
        for user in call.users(Party::is_ringing) {
            call.invite(&user);
        }
        let busy = call.users(|party| party.out() == Some(CallEndReason::LineBusy));
        for user in &busy {
            call.tell_busy(user);
        }
        if let Some(last) = busy.last() {
            call.settle(CallEndReason::LineBusy, last, now);
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

    /// Whether the room is the call's alone, because the server has chosen it.
    #[must_use]
    pub fn owns_room(&self) -> bool {
        self.owns_room
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

    /// Whether more than two may be in it.
    #[must_use]
    pub fn is_group(&self) -> bool {
        self.group
    }

    /// When the last ring ends.
    #[must_use]
    pub fn ring_until(&self) -> Option<UnixMillis> {
        self.parties.iter().filter_map(Party::rings_until).max()
    }

    /// What those see who were invited, are not in, and may join; nothing where it cannot be joined.
    #[must_use]
    pub fn card(&self) -> Option<CallCard> {
        let began_at = self.began_at.filter(|_| self.group && self.phase == Phase::Live)?;
        Some(CallCard {
            call_id: self.id.clone(),
            caller_id: self.parties[0].user.clone(),
            call_media_type: self.media,
            group_id: self.group_id.clone(),
            members: self.users(Party::is_in),
            began_at,
            profiles: BTreeMap::new(),
        })
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
        self.tell_members(user, &Push::UserAccepted { call_id: self.id.clone(), user_id: user.clone() });
        self.enter(user, device, now);
        let elsewhere = self.cancelled(user, user, CallEndReason::OtherDeviceAccepted, user);
        self.push(To::OtherDevices(user.clone(), device.clone()), elsewhere);
        Ok(())
    }

    /// Somebody takes part from now on. The first one lets the call begin for the caller.
    pub(super) fn enter(&mut self, user: &UserId, device: &DeviceId, now: UnixMillis) {
        let presence = Presence::Awaited { until: now + JOIN_TIMEOUT };
        let first = self.phase == Phase::Ringing;
        if first {
            self.phase = Phase::Live;
            self.began_at = Some(now);
            let caller = &mut self.parties[0];
            caller.answered = true;
            if let Standing::In { began, presence: was, .. } = &mut caller.standing {
                *began = Some(now);
                if *was != Presence::Joined {
                    *was = presence;
                }
            }
        }
        let inside = self.users(Party::is_in);
        if let Some(party) = self.party_mut(user) {
            party.standing = Standing::In { device: device.clone(), began: Some(now), presence };
            party.offline = None;
            party.answered = true;
            party.forgotten = false;
        }
        self.begin(user, now);
        for other in inside {
            if first {
                self.begin(&other, now);
            } else {
                let joined = Push::UserJoined { call_id: self.id.clone(), user_id: user.clone(), profile: None };
                self.tell(&other, joined);
            }
        }
    }

    /// Somebody declines.
    pub fn handle_reject(&mut self, user: &UserId, device: &DeviceId, now: UnixMillis) -> Result<(), Refusal> {
        self.must_ring(user)?;
        self.put_out(user, CallEndReason::Reject, now);
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
        self.put_out(user, CallEndReason::LineBusy, now);
        let elsewhere = self.cancelled(user, user, CallEndReason::LineBusy, user);
        self.push(To::OtherDevices(user.clone(), device.clone()), elsewhere);
        self.tell_busy(user);
        let inviter = self.party(user).map(|party| party.inviter.clone());
        for other in self.users(Party::is_in).into_iter().filter(|other| Some(other) != inviter.as_ref()) {
            self.tell(&other, Push::RingEnded { call_id: self.id.clone(), user_id: user.clone() });
        }
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
}

pub(super) fn over() -> Refusal {
    Refusal::because(Code::WrongState, "The call is over, or does not ring here.")
}
