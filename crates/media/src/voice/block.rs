//! A fixed pace of 10 ms for voice that comes from or goes to no clocked device.

use std::time::{Duration, Instant};

/// Length of one block.
pub(crate) const BLOCK_TIME: Duration = Duration::from_millis(10);

/// Says when the next block is due, without drift. After a stall it forgives what was missed beyond 100 ms, so that a
/// suspended machine does not burst.
pub(crate) struct Pace {
    next: Instant,
    step: Duration,
}

impl Pace {
    pub(crate) fn new(now: Instant, step: Duration) -> Self {
        Self { next: now, step }
    }

    /// When the next block is due.
    pub(crate) fn due(&self) -> Instant {
        self.next
    }

    /// The block due at [`Self::due`] was handled at `now`.
    pub(crate) fn advance(&mut self, now: Instant) {
        const FORGIVE: Duration = Duration::from_millis(100);
        self.next += self.step;
        if now > self.next + FORGIVE {
            self.next = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_wake_up_does_not_shift_the_pace() {
        let start = Instant::now();
        let mut pace = Pace::new(start, BLOCK_TIME);
        for n in 0..100u32 {
            assert_eq!(pace.due(), start + BLOCK_TIME * n);
            pace.advance(pace.due() + Duration::from_millis(7));
        }
    }

    #[test]
    fn a_long_stall_is_forgiven() {
        let start = Instant::now();
        let mut pace = Pace::new(start, BLOCK_TIME);
        let late = start + Duration::from_secs(5);
        pace.advance(late);
        assert_eq!(pace.due(), late);
    }
}
