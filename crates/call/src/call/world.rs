//! What rooms and time do to a call.

use super::{Call, CallDeadline, JOIN_TIMEOUT, Party, Phase, Presence, REJOIN_TIMEOUT, RoomNews, Standing, To};
use protocol::{CallEndReason, ExitReason, Push, UnixMillis, UserId};

impl Call {
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

    /// The server ends the call, as an administrator wishes.
    pub fn handle_end(&mut self, now: UnixMillis) {
        self.finish(CallEndReason::EndByServer, None, now);
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
                    self.put_out(&user, CallEndReason::NoResponse, now);
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
}
