//! Who left lately: a client whose signal was away when they did learns it when it comes back.

use livekit_protocol::ParticipantInfo;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

#[derive(Clone, Debug, Default)]
pub(super) struct Departed(VecDeque<(Instant, ParticipantInfo)>);

impl Departed {
    /// Keeps what tells somebody apart, and drops those whom nobody can have missed: who was away for `horizon` is out.
    pub fn note(&mut self, now: Instant, horizon: Duration, who: &ParticipantInfo) {
        while self.0.front().is_some_and(|(at, _)| now.saturating_duration_since(*at) > horizon) {
            self.0.pop_front();
        }
        let brief = ParticipantInfo {
            sid: who.sid.clone(),
            identity: who.identity.clone(),
            state: who.state,
            version: who.version,
            disconnect_reason: who.disconnect_reason,
            ..Default::default()
        };
        self.0.push_back((now, brief));
    }

    /// Those who left at `since` or later, oldest first.
    pub fn since(&self, since: Instant) -> impl Iterator<Item = &(Instant, ParticipantInfo)> {
        self.0.iter().filter(move |(at, _)| *at >= since)
    }
}
