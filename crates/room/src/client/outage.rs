//! The time line of an outage: when it is reported, when to try what, and when to stop (TRTC FAQ 36057).

use super::Times;
use std::time::Duration;

/// Pause after the first failed attempt; doubled up to [`RETRY_LIMIT`]. Shorter spins on a refused port, longer is felt.
const RETRY_INTERVAL: Duration = Duration::from_millis(300);
/// Attempts are never further apart, so that a network that comes back is used at once.
const RETRY_LIMIT: Duration = Duration::from_secs(2);
/// A path that ICE restarts have not brought back by then needs a fresh connection.
const ICE_TIMEOUT: Duration = Duration::from_secs(12);
/// ICE is restarted so often until then: the checks of one restart end after 1.4 s, and a network that comes back later
/// is not noticed by them. Entering anew would be seen by the others as leaving and entering.
const ICE_INTERVAL: Duration = Duration::from_secs(3);
/// The first path may take so long before ICE is tried again.
const FIRST_PATH_TIMEOUT: Duration = Duration::from_secs(5);

/// What an outage asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Resume,
    Rejoin,
    RestartIce,
    Lost,
    Try,
    GiveUp,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Outage {
    times: Times,
    since: Duration,
    lost_reported: bool,
    next_try_report: Duration,
    /// There was a signal when last looked at: the path is what is missing.
    signal: bool,
    /// An attempt that has not been answered.
    attempting: bool,
    failures: u32,
    next_attempt: Duration,
    /// The server has forgotten the session: only a fresh join helps.
    rejoin: bool,
    /// When ICE was restarted first.
    ice_restarted: Option<Duration>,
    /// When to restart it next.
    ice_from: Duration,
}

impl Outage {
    pub(super) fn new(times: Times, since: Duration) -> Self {
        Self {
            times,
            since,
            lost_reported: false,
            next_try_report: since + times.lost + times.first_try,
            signal: false,
            attempting: false,
            failures: 0,
            next_attempt: since,
            rejoin: false,
            ice_restarted: None,
            ice_from: since,
        }
    }

    /// Just entered, the path is still being built: nothing to restart yet.
    pub(super) fn of_a_first_path(times: Times, now: Duration) -> Self {
        Self { ice_from: now + FIRST_PATH_TIMEOUT, ..Self::new(times, now) }
    }

    pub(super) fn reported(&self) -> bool {
        self.lost_reported
    }

    pub(super) fn lasts(&self, now: Duration) -> Duration {
        now.saturating_sub(self.since)
    }

    pub(super) fn next_deadline(&self) -> Duration {
        let report = if self.lost_reported { self.next_try_report } else { self.since + self.times.lost };
        let report = report.min(self.since + self.times.give_up);
        if self.attempting {
            return report;
        }
        let ice = self.ice_restarted.map_or(self.ice_from, |at| self.ice_from.min(at + ICE_TIMEOUT));
        report.min(if self.signal { ice } else { self.next_attempt })
    }

    pub(super) fn attempt_ended(&mut self, now: Duration, success: bool) {
        self.attempting = false;
        if success {
            self.failures = 0;
            self.rejoin = false;
            self.ice_restarted = None;
            self.ice_from = now + FIRST_PATH_TIMEOUT;
            self.next_attempt = now;
        } else {
            let pause = RETRY_INTERVAL.saturating_mul(1 << self.failures.min(5)).min(RETRY_LIMIT);
            self.failures += 1;
            self.next_attempt = now + pause;
        }
    }

    /// Media comes through again: the next attempt will too.
    pub(super) fn network_is_back(&mut self, now: Duration) {
        self.failures = 0;
        self.next_attempt = self.next_attempt.min(now);
    }

    pub(super) fn session_is_gone(&mut self, now: Duration) -> Vec<Step> {
        self.rejoin = true;
        self.next_attempt = now;
        self.advance(now, false, false)
    }

    /// What is due, given whether signal and path work.
    pub(super) fn advance(&mut self, now: Duration, signal: bool, path: bool) -> Vec<Step> {
        let mut steps = Vec::new();
        self.signal = signal;
        if now >= self.since + self.times.give_up {
            return vec![Step::GiveUp];
        }
        if !self.lost_reported && now >= self.since + self.times.lost {
            self.lost_reported = true;
            steps.push(Step::Lost);
        }
        if self.lost_reported && now >= self.next_try_report {
            self.next_try_report = now + self.times.try_every;
            self.next_attempt = self.next_attempt.min(now);
            steps.push(Step::Try);
        }
        if !self.attempting && !signal && now >= self.next_attempt {
            self.attempting = true;
            steps.push(if self.rejoin { Step::Rejoin } else { Step::Resume });
        } else if !self.attempting && signal && !path {
            steps.extend(self.mend_path(now));
        }
        steps
    }

    /// The signal is there and the path is not: ICE first, then a fresh connection.
    fn mend_path(&mut self, now: Duration) -> Option<Step> {
        match self.ice_restarted {
            Some(at) if now >= at + ICE_TIMEOUT => {
                self.rejoin = true;
                self.attempting = true;
                Some(Step::Rejoin)
            }
            None | Some(_) if now >= self.ice_from => {
                self.ice_restarted.get_or_insert(now);
                self.ice_from = now + ICE_INTERVAL;
                Some(Step::RestartIce)
            }
            None | Some(_) => None,
        }
    }
}
