//! The time by which the call plane lives.

use protocol::UnixMillis;
use std::time::{Duration, Instant, SystemTime};

/// How far the machine's clock may be off before it is followed: more than a clock that is trimmed gains in between,
/// less than anybody's deadline.
const TOLERANCE: Duration = Duration::from_secs(2);

/// How often the machine's clock is looked at while nothing happens.
const LOOK: Duration = Duration::from_secs(10);

/// Wall-clock time that runs evenly. Where the machine's clock is set, or the machine has slept, it is followed in one
/// step, forwards or backwards: tickets are minted elsewhere, and count by the time of the day.
#[derive(Debug)]
pub(super) struct Clock {
    began: UnixMillis,
    at: Instant,
}

impl Clock {
    pub(super) fn start() -> Self {
        Self { began: SystemTime::now().into(), at: Instant::now() }
    }

    pub(super) fn now(&mut self) -> UnixMillis {
        self.read(SystemTime::now().into(), Instant::now())
    }

    fn read(&mut self, wall: UnixMillis, at: Instant) -> UnixMillis {
        let even = self.began + at.saturating_duration_since(self.at);
        let off = wall.since(even).max(even.since(wall));
        if off <= TOLERANCE {
            return even;
        }
        tracing::warn!(seconds = off.as_secs(), ahead = wall > even, "the machine's clock was set; following it");
        *self = Self { began: wall, at };
        wall
    }

    /// How long to sleep for a deadline.
    pub(super) fn until(&mut self, deadline: Option<UnixMillis>) -> Duration {
        let now = self.now();
        deadline.map_or(LOOK, |at| at.since(now).min(LOOK))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_is_followed_and_one_that_is_trimmed_is_not() {
        let (t0, zero) = (UnixMillis(1_000_000_000), Instant::now());
        let second = Duration::from_secs(1);
        let mut clock = Clock { began: t0, at: zero };
        assert_eq!(clock.read(t0 + second, zero + second), t0 + second);
        // Neither forwards nor backwards.
        assert_eq!(clock.read(t0 + second * 3, zero + second * 2), t0 + second * 2);
        assert_eq!(clock.read(t0 + second, zero + second * 3), t0 + second * 3);
        // The machine slept for an hour.
        let later = t0 + second * 3604;
        assert_eq!(clock.read(later, zero + second * 4), later);
        assert_eq!(clock.read(later, zero + second * 5), later + second);
        // It had been wrong: a ticket until `t0` and a minute is good for almost that minute.
        assert_eq!(clock.read(t0 + second, zero + second * 6), t0 + second);
        assert_eq!(clock.read(t0 + second * 2, zero + second * 7), t0 + second * 2);
    }

    #[test]
    fn nobody_sleeps_past_a_look_at_the_clock() {
        let mut clock = Clock::start();
        let now = clock.now();
        assert_eq!(clock.until(None), LOOK);
        assert_eq!(clock.until(Some(now + Duration::from_secs(3600))), LOOK);
        assert!(clock.until(Some(now + Duration::from_secs(1))) <= Duration::from_secs(1));
        assert_eq!(clock.until(Some(now)), Duration::ZERO);
    }
}
