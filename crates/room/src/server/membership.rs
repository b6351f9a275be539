//! Coming, coming back, and leaving.

use super::ids::{MemberId, TrackId};
use super::limits::{TooLarge, is_person};
use super::member::{Joining, Member, Signal};
use super::quality::{Measured, Network};
use super::{
    Blocked, Happening, Output, PING_INTERVAL, PING_TIMEOUT, Phase, Room, WIRE_RELEASE, enabled_codecs, server_info,
};
use livekit_protocol as proto;
use proto::DisconnectReason;
use proto::leave_request::Action;
use proto::participant_info::State;
use proto::signal_response::Message;
use protocol::{Code, Privileges};
use std::time::Instant;

/// Why somebody may not come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JoinRefused {
    /// The room ended under their feet: another join makes the next.
    #[error("the room has ended")]
    Finished,
    /// As many are in as may be.
    #[error("the room is full: it takes {limit} ({})", Code::RoomFull.number())]
    Full {
        /// So many.
        limit: u32,
    },
    /// The room is not there, and they may not make it.
    #[error("{} ({})", Code::NoCreatePrivilege.sentence(), Code::NoCreatePrivilege.number())]
    NotMade,
    /// What they bring along is too large.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
}

impl Joining {
    /// Whether somebody could come in where there is no room yet: by making it.
    pub fn may_make(&self) -> Result<(), JoinRefused> {
        self.check()?;
        if self.privileges.allow(Privileges::CREATE) { Ok(()) } else { Err(JoinRefused::NotMade) }
    }
}

impl Room {
    /// Whether somebody could come in now. Who is in already only changes places.
    pub fn may_join(&self, joining: &Joining) -> Result<(), JoinRefused> {
        joining.check()?;
        if self.phase == Phase::Finished {
            return Err(JoinRefused::Finished);
        }
        let limit = self.config.max_participants;
        let counts = |member: &&Member| member.joining.identity != joining.identity && is_person(&member.joining);
        let there = u32::try_from(self.members.values().filter(counts).count()).unwrap_or(u32::MAX);
        if limit > 0 && is_person(joining) && there >= limit {
            return Err(JoinRefused::Full { limit });
        }
        Ok(())
    }

    /// Lets somebody in who holds a good token: JoinResponse, and news for the others. Whoever was here under the same
    /// identity is put out.
    pub fn handle_join(&mut self, now: Instant, joining: Joining) -> Result<MemberId, JoinRefused> {
        self.may_join(&joining)?;
        self.phase = Phase::Used;
        if let Some(twin) = self.member_of(&joining.identity) {
            self.leave(now, twin, DisconnectReason::DuplicateIdentity, true);
        }
        let id = MemberId(self.next_member);
        self.next_member += 1;
        let sid = self.sids.next("PA_");
        let member = Member {
            id,
            sid,
            joining,
            blocked: Blocked::default(),
            has_new_grants: false,
            state: State::Joined,
            version: 0,
            signal: Signal::Open,
            last_signal: now,
            last_packet: now,
            is_connected: false,
            announced: Vec::new(),
            slots: Default::default(),
            wants: Default::default(),
            asked_sections: None,
            network: Network::default(),
            standing_left: 0,
        };
        self.members.insert(id, member);
        self.has_new_counts = true;
        self.send_join(id);
        self.tell_others(id);
        if let Some(who) = self.member_info(id).map(Box::new) {
            self.happened(Happening::Joined { who });
        }
        let present: Vec<TrackId> = self.tracks.keys().copied().collect();
        for track in present {
            self.want_automatically(id, track);
        }
        Ok(id)
    }

    fn send_join(&mut self, id: MemberId) {
        let Some(participant) = self.member_info(id) else { return };
        let others = self.visible_others(id);
        let subscriber_primary = self.members.get(&id).is_some_and(|m| m.joining.wiring == super::Wiring::Two);
        let seconds = |duration: std::time::Duration| i32::try_from(duration.as_secs()).unwrap_or(i32::MAX);
        let join = proto::JoinResponse {
            room: Some(self.info()),
            participant: Some(participant),
            other_participants: others,
            server_version: WIRE_RELEASE.into(),
            subscriber_primary,
            ping_interval: seconds(PING_INTERVAL),
            ping_timeout: seconds(PING_TIMEOUT),
            server_info: Some(server_info()),
            enabled_publish_codecs: enabled_codecs(),
            fast_publish: true,
            ..Default::default()
        };
        self.signal(id, Message::Join(join));
    }

    /// Who left while a member may not have heard it. Clients go by identity: where that is in again, it is told only of
    /// those of whom nothing can have been told before, or its new membership would be taken for gone.
    fn missed_departures(&self, id: MemberId) -> Vec<proto::ParticipantInfo> {
        let Some(member) = self.members.get(&id) else { return Vec::new() };
        let closed = match member.signal {
            Signal::Closed { since } => Some(since),
            Signal::Open => None,
        };
        let is_missed = |(at, who): &&(Instant, proto::ParticipantInfo)| {
            let is_other = who.identity != member.joining.identity;
            is_other && (closed.is_some_and(|closed| *at >= closed) || self.member_of(&who.identity).is_none())
        };
        self.departed.since(member.last_signal).filter(is_missed).map(|(_, who)| who.clone()).collect()
    }

    fn visible_others(&self, id: MemberId) -> Vec<proto::ParticipantInfo> {
        let others = self.members.values().filter(|member| member.id != id && !member.is_hidden());
        others.filter_map(|member| self.member_info(member.id)).collect()
    }

    /// The member of this sid, if it may come back by `identity`'s token.
    #[must_use]
    pub fn find(&self, sid: &str, identity: &str) -> Option<MemberId> {
        let matches = |member: &&Member| member.sid == sid && member.joining.identity == identity;
        self.members.values().find(matches).map(|member| member.id)
    }

    /// A new signal socket for a member who was cut off: what it missed is told anew, of the others, of itself and of the
    /// room. False if there is none such.
    pub fn handle_resume(&mut self, now: Instant, id: MemberId) -> bool {
        let mut participants = self.missed_departures(id);
        participants.extend(self.member_info(id));
        participants.extend(self.visible_others(id));
        let Some(member) = self.members.get_mut(&id) else { return false };
        member.signal = Signal::Open;
        member.last_signal = now;
        member.asked_sections = None;
        let has_new_grants = member.has_new_grants;
        let reconnect = proto::ReconnectResponse { server_info: Some(server_info()), ..Default::default() };
        self.signal(id, Message::Reconnect(reconnect));
        self.signal(id, Message::Update(proto::ParticipantUpdate { participants }));
        let room = self.info();
        self.signal(id, Message::RoomUpdate(proto::RoomUpdate { room: Some(room) }));
        self.tell_standing(id);
        if has_new_grants {
            self.grants_changed(id);
        }
        self.ask_sections(id);
        true
    }

    /// The signal socket went away without a goodbye.
    pub fn handle_signal_closed(&mut self, now: Instant, id: MemberId) {
        if let Some(member) = self.members.get_mut(&id) {
            member.signal = Signal::Closed { since: now };
        }
    }

    /// The connection that carries media to the member is up, for the first time or again.
    pub fn handle_connected(&mut self, now: Instant, id: MemberId) {
        let Some(member) = self.members.get_mut(&id) else { return };
        member.is_connected = true;
        member.last_packet = now;
        let bound: Vec<TrackId> =
            member.wants.iter().filter(|(_, want)| want.slot.is_some()).map(|(track, _)| *track).collect();
        if member.state != State::Active {
            member.state = State::Active;
            self.tell_others(id);
            self.tell_standing(id);
        }
        for track in bound {
            self.request_keyframe(now, track);
        }
    }

    /// Packets of the member came in; the owner may say so once in a while instead of for each.
    pub fn handle_packet_seen(&mut self, now: Instant, id: MemberId) {
        if let Some(member) = self.members.get_mut(&id) {
            member.last_packet = now;
        }
    }

    /// The voice in one packet, in **dBov** (0 is the loudest, RFC 6464).
    pub fn handle_audio_level(&mut self, now: Instant, track: TrackId, level: i8) {
        let Some(track) = self.tracks.get(&track).filter(|track| !track.info.muted) else { return };
        self.speakers.note(track.owner, track.id, level, now);
    }

    /// What was measured of a member's network.
    pub fn handle_measured(&mut self, id: MemberId, measured: Measured) {
        if let Some(member) = self.members.get_mut(&id) {
            member.network.measured = Some(measured);
        }
    }

    /// An administrator ends the room.
    pub fn handle_delete(&mut self, now: Instant) {
        let everybody: Vec<MemberId> = self.members.keys().copied().collect();
        for id in everybody {
            self.leave(now, id, DisconnectReason::RoomDeleted, true);
        }
        self.finish();
    }

    /// The server stops: everybody is told to come back, anew.
    pub fn handle_shutdown(&mut self, now: Instant) {
        let everybody: Vec<MemberId> = self.members.keys().copied().collect();
        for id in everybody {
            self.leave(now, id, DisconnectReason::ServerShutdown, true);
        }
        self.finish();
    }

    /// The body gives a member up: its connection failed, or it does not read what it is sent.
    pub fn handle_failure(&mut self, now: Instant, id: MemberId, reason: DisconnectReason) {
        self.leave(now, id, reason, true);
    }

    /// The one way out. With `notify` the member itself is told why, and whether to come back.
    pub(super) fn leave(&mut self, now: Instant, id: MemberId, reason: DisconnectReason, notify: bool) {
        if !self.members.contains_key(&id) {
            return;
        }
        if notify {
            // Whoever could not follow may come back at once; to all others it was said for good.
            let is_behind = reason == DisconnectReason::StateMismatch;
            let action = if is_behind { Action::Reconnect } else { Action::Disconnect };
            let leave = proto::LeaveRequest { reason: reason.into(), action: action.into(), ..Default::default() };
            self.signal(id, Message::Leave(leave));
        }
        let owned: Vec<TrackId> =
            self.tracks.values().filter(|track| track.owner == id).map(|track| track.id).collect();
        let farewell = self.member_info(id);
        for track in owned {
            self.end_track(track);
        }
        let Some(member) = self.members.remove(&id) else { return };
        self.speakers.forget(id);
        self.has_new_counts = true;
        for (track, want) in &member.wants {
            if want.slot.is_some() {
                self.outputs.push_back(Output::Unbind { track: *track, member: id });
            }
        }
        self.outputs.push_back(Output::Removed { member: id });
        let Some(mut who) = farewell.map(Box::new) else { return };
        who.state = State::Disconnected.into();
        who.disconnect_reason = reason.into();
        who.version += 1;
        if !member.is_hidden() {
            self.departed.note(now, self.config.member_timeout, &who);
            let participants = vec![proto::ParticipantInfo { tracks: Vec::new(), ..(*who).clone() }];
            let update = || Message::Update(proto::ParticipantUpdate { participants: participants.clone() });
            self.broadcast(None, update);
        }
        self.ask_sections_of_all();
        self.happened(Happening::Left { who, reason });
        if self.members.is_empty() && reason != DisconnectReason::DuplicateIdentity {
            self.vacate(now);
        }
    }

    /// Nobody is left.
    fn vacate(&mut self, now: Instant) {
        let timeout = self.config.departure_timeout;
        if timeout.is_zero() {
            self.finish();
        } else if self.phase == Phase::Used {
            self.phase = Phase::Waiting { until: now + timeout };
        }
    }

    pub(super) fn finish(&mut self) {
        if self.phase != Phase::Finished {
            self.phase = Phase::Finished;
            self.happened(Happening::Finished { room: Box::new(self.info()) });
        }
    }
}
