//! What happens because time passed.

use super::ids::{MemberId, TrackId};
use super::member::{Member, Signal};
use super::quality::{LOST_AFTER, QUALITY_INTERVAL};
use super::speakers::Speakers;
use super::{Phase, Room};
use livekit_protocol as proto;
use proto::signal_response::Message;
use proto::{ConnectionQuality, DisconnectReason};
use std::time::Instant;

/// Who is new is told this often how things stand, at the pace at which qualities are told.
const STANDING_REPEATS: u8 = 3;

/// Why the room wants to be called at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// A keyframe request that came too early.
    Keyframe,
    /// Who speaks.
    Speakers,
    /// How the networks are.
    Quality,
    /// A member who is silent or cut off.
    Member,
    /// A room in which nobody is.
    Empty,
}

impl Room {
    /// The next instant at which time alone changes something.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Instant, Reason)> {
        let mut soonest: Option<(Instant, Reason)> = None;
        let mut offer = |at: Option<Instant>, reason| {
            if let Some(at) = at.filter(|at| soonest.is_none_or(|(earliest, _)| *at < earliest)) {
                soonest = Some((at, reason));
            }
        };
        match self.phase {
            Phase::Finished => return None,
            Phase::Waiting { until } => offer(Some(until), Reason::Empty),
            Phase::Used => offer(Some(self.quality_due), Reason::Quality),
        }
        for track in self.tracks.values() {
            offer(track.keyframe_due, Reason::Keyframe);
        }
        offer(self.speakers.due(), Reason::Speakers);
        for member in self.members.values() {
            offer(Some(self.verdict(member).0), Reason::Member);
        }
        soonest
    }

    /// When a member is out if nothing is heard of it, and for what.
    fn verdict(&self, member: &Member) -> (Instant, DisconnectReason) {
        let silence = member.last_seen() + self.config.member_timeout;
        match member.signal {
            Signal::Open => (silence, DisconnectReason::ConnectionTimeout),
            Signal::Closed { since } => {
                let dead = since.max(member.last_packet) + self.config.closed_timeout;
                let gave_up = since + self.config.member_timeout;
                (dead.min(gave_up), DisconnectReason::SignalClose)
            }
        }
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        if let Phase::Waiting { until } = self.phase
            && now >= until
        {
            return self.finish();
        }
        let due = |at: Option<Instant>| at.is_some_and(|at| now >= at);
        let keyframes: Vec<TrackId> =
            self.tracks.values().filter(|track| due(track.keyframe_due)).map(|track| track.id).collect();
        for track in keyframes {
            self.request_keyframe(now, track);
        }
        self.tell_speakers(now);
        if now >= self.quality_due {
            self.quality_due = now + QUALITY_INTERVAL;
            self.tell_quality(now);
            self.repeat_standing();
            if self.has_new_counts {
                self.tell_room();
            }
        }
        let out: Vec<(MemberId, DisconnectReason)> = self
            .members
            .values()
            .map(|member| (member.id, self.verdict(member)))
            .filter(|(_, (at, _))| now >= *at)
            .map(|(id, (_, reason))| (id, reason))
            .collect();
        for (id, reason) in out {
            self.leave(now, id, reason, true);
        }
    }

    fn tell_speakers(&mut self, now: Instant) {
        let changed = self.speakers.judge(now);
        if let Some(message) = self.speakers_changed(changed) {
            self.broadcast(None, || message.clone());
        }
    }

    fn tell_quality(&mut self, now: Instant) {
        let publishing: std::collections::BTreeSet<MemberId> =
            self.tracks.values().filter(|track| !track.info.muted).map(|track| track.owner).collect();
        let mut updates = Vec::new();
        for member in self.members.values_mut() {
            let silent = now.saturating_duration_since(member.last_packet) >= LOST_AFTER;
            let is_lost = member.is_connected && silent && publishing.contains(&member.id);
            let measured = member.network.measured.unwrap_or_default();
            let quality = if is_lost { ConnectionQuality::Lost } else { measured.quality() };
            if member.network.told != Some(quality) && member.is_connected {
                member.network.told = Some(quality);
                updates.extend(quality_of(member));
            }
        }
        if let Some(message) = quality_changed(updates) {
            self.broadcast(None, || message.clone());
        }
    }

    /// Tells somebody who came, or came back, what the others were told before: only changes are told after. And again for
    /// a while: `livekit-client` drops speakers that it hears of before it counts itself connected.
    pub(super) fn tell_standing(&mut self, to: MemberId) {
        if let Some(member) = self.members.get_mut(&to) {
            member.standing_left = STANDING_REPEATS;
        }
        self.send_standing(to);
    }

    fn repeat_standing(&mut self) {
        let mut fresh = Vec::new();
        for member in self.members.values_mut().filter(|member| member.standing_left > 0) {
            member.standing_left -= 1;
            fresh.push(member.id);
        }
        for member in fresh {
            self.send_standing(member);
        }
    }

    fn send_standing(&mut self, to: MemberId) {
        let speakers = self.speakers_changed(self.speakers.told().collect());
        let others = self.members.values().filter(|member| member.id != to);
        let qualities = quality_changed(others.filter_map(quality_of).collect());
        for message in speakers.into_iter().chain(qualities) {
            self.signal(to, message);
        }
    }

    fn speakers_changed(&self, levels: Vec<(MemberId, f32)>) -> Option<Message> {
        let info = |(member, level)| Some(Speakers::info(self.sid_of(member)?.to_owned(), level));
        let speakers: Vec<proto::SpeakerInfo> = levels.into_iter().filter_map(info).collect();
        (!speakers.is_empty()).then_some(Message::SpeakersChanged(proto::SpeakersChanged { speakers }))
    }
}

/// How a member's network was last told; nothing of those whom nobody sees.
fn quality_of(member: &Member) -> Option<proto::ConnectionQualityInfo> {
    let quality = member.network.told.filter(|_| !member.is_hidden())?;
    let is_lost = quality == ConnectionQuality::Lost;
    let score = if is_lost { 0.0 } else { member.network.measured.unwrap_or_default().score() };
    Some(proto::ConnectionQualityInfo { participant_sid: member.sid.clone(), quality: quality.into(), score })
}

fn quality_changed(updates: Vec<proto::ConnectionQualityInfo>) -> Option<Message> {
    (!updates.is_empty()).then_some(Message::ConnectionQuality(proto::ConnectionQualityUpdate { updates }))
}
