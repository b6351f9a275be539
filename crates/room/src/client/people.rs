//! Who else is in the room, and of whom nothing has been heard for a while.

use super::Happened;
use protocol::LeaveReason;
use std::collections::BTreeMap;
use std::time::Duration;

#[derive(Debug)]
struct Remote {
    heard_at: Duration,
    /// Their microphone or camera is on, so silence means loss.
    expected: bool,
    reconnecting: bool,
}

#[derive(Debug)]
pub(super) struct People {
    /// A tile says "reconnecting" after this long without media.
    timeout: Duration,
    remotes: BTreeMap<String, Remote>,
    /// The own path is down: silence says nothing about the others.
    paused: bool,
}

impl People {
    pub(super) fn new(timeout: Duration) -> Self {
        Self { timeout, remotes: BTreeMap::new(), paused: false }
    }

    pub(super) fn next_deadline(&self) -> Option<Duration> {
        if self.paused {
            return None;
        }
        let waiting = self.remotes.values().filter(|r| r.expected && !r.reconnecting);
        waiting.map(|r| r.heard_at + self.timeout).min()
    }

    pub(super) fn handle_timeout(&mut self, now: Duration) -> Vec<Happened> {
        if self.paused {
            return Vec::new();
        }
        let mut happened = Vec::new();
        for (who, remote) in &mut self.remotes {
            if remote.expected && !remote.reconnecting && now >= remote.heard_at + self.timeout {
                remote.reconnecting = true;
                happened.push(Happened::RemoteReconnecting(who.clone(), true));
            }
        }
        happened
    }

    pub(super) fn pause(&mut self, paused: bool) {
        self.paused = paused;
    }

    pub(super) fn entered(&mut self, now: Duration, who: String) -> Option<Happened> {
        if self.remotes.contains_key(&who) {
            return None;
        }
        self.remotes.insert(who.clone(), Remote { heard_at: now, expected: false, reconnecting: false });
        Some(Happened::RemoteEntered(who))
    }

    pub(super) fn left(&mut self, who: &str, reason: LeaveReason) -> Option<Happened> {
        self.remotes.remove(who).map(|_| Happened::RemoteLeft(who.to_owned(), reason))
    }

    /// The whole list after a join: those who are missing went while nobody could tell.
    pub(super) fn replace(&mut self, now: Duration, present: Vec<String>) -> Vec<Happened> {
        let gone: Vec<String> = self.remotes.keys().filter(|who| !present.contains(who)).cloned().collect();
        let mut happened: Vec<Happened> = gone.iter().filter_map(|who| self.left(who, LeaveReason::TimedOut)).collect();
        happened.extend(present.into_iter().filter_map(|who| self.entered(now, who)));
        happened
    }

    pub(super) fn heard(&mut self, now: Duration, who: &str) -> Option<Happened> {
        let remote = self.remotes.get_mut(who)?;
        remote.heard_at = now;
        std::mem::take(&mut remote.reconnecting).then(|| Happened::RemoteReconnecting(who.to_owned(), false))
    }

    pub(super) fn expect(&mut self, now: Duration, who: &str, expected: bool) -> Option<Happened> {
        let remote = self.remotes.get_mut(who)?;
        if remote.expected != expected {
            remote.expected = expected;
            remote.heard_at = now;
        }
        let was = !expected && std::mem::take(&mut remote.reconnecting);
        was.then(|| Happened::RemoteReconnecting(who.to_owned(), false))
    }
}
