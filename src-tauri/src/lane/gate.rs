//! Which frames of one picture go to the screen: credit, and never a delta frame whose predecessors were dropped.
//!
//! ```text
//!            keyframe and credit
//! Closed  ------------------------->  Open
//!   ^----------------------------------+
//!    a frame was dropped, or the decoder lost its way
//! ```

use std::time::{Duration, Instant};

/// Frames that may be under way before the screen has said a word about the picture.
pub const FIRST_CREDIT: u32 = 4;
/// More would only be latency: at 30 frames a second eight are a quarter of a second.
pub const CREDIT_LIMIT: u32 = 8;
/// A keyframe that was asked for and has not come is asked for again after so long. Shorter costs bit rate where the
/// round trip is long; longer shows a frozen picture where the request was lost.
pub const KEYFRAME_RETRY: Duration = Duration::from_millis(1000);

/// The gate of one picture.
#[derive(Debug)]
pub struct Gate {
    credit: u32,
    open: bool,
    asked_at: Option<Instant>,
}

impl Default for Gate {
    fn default() -> Self {
        Self { credit: FIRST_CREDIT, open: false, asked_at: None }
    }
}

impl Gate {
    /// The screen can take so many more.
    pub fn grant(&mut self, n: u32) {
        self.credit = self.credit.saturating_add(n).min(CREDIT_LIMIT);
    }

    /// Nothing compressed passes until a keyframe comes.
    pub fn close(&mut self) {
        self.open = false;
        self.asked_at = None;
    }

    /// Whether a raw picture may go; takes one credit if so.
    pub fn pass_raw(&mut self) -> bool {
        let pass = self.credit > 0;
        self.credit -= u32::from(pass);
        pass
    }

    /// Whether an access unit may go; takes one credit if so, closes the gate if not.
    pub fn pass_unit(&mut self, is_keyframe: bool) -> bool {
        if self.credit == 0 {
            self.close();
            return false;
        }
        if is_keyframe {
            self.open = true;
            self.asked_at = None;
        }
        self.credit -= u32::from(self.open);
        self.open
    }

    /// Whether to ask the sender for a keyframe now: once per need, and again where none came.
    pub fn wants_keyframe(&mut self, now: Instant) -> bool {
        let waiting = self.asked_at.is_some_and(|at| now.saturating_duration_since(at) < KEYFRAME_RETRY);
        let wants = !self.open && self.credit > 0 && !waiting;
        if wants {
            self.asked_at = Some(now);
        }
        wants
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_begins_with_a_keyframe() {
        let mut gate = Gate::default();
        assert!(!gate.pass_unit(false));
        assert!(gate.pass_unit(true));
        assert!(gate.pass_unit(false));
    }

    #[test]
    fn without_credit_everything_up_to_the_next_keyframe_is_dropped() {
        let mut gate = Gate::default();
        let passed = (0..30).filter(|n| gate.pass_unit(*n == 0)).count();
        assert_eq!(passed, FIRST_CREDIT as usize);
        gate.grant(3);
        assert!(!gate.pass_unit(false), "its predecessors are missing");
        assert!(gate.pass_unit(true));
        assert!(gate.pass_unit(false));
    }

    #[test]
    fn a_keyframe_is_asked_for_once_per_need_and_only_where_it_could_be_shown() {
        let start = Instant::now();
        let mut gate = Gate::default();
        for n in 0..=FIRST_CREDIT {
            gate.pass_unit(n == 0);
        }
        assert!(!gate.wants_keyframe(start), "no credit to show it");
        gate.grant(1);
        assert!(gate.wants_keyframe(start));
        assert!(!gate.wants_keyframe(start + Duration::from_millis(999)));
        assert!(gate.wants_keyframe(start + KEYFRAME_RETRY), "the first request was lost");
        assert!(gate.pass_unit(true));
        gate.grant(1);
        assert!(!gate.wants_keyframe(start + KEYFRAME_RETRY * 9));
    }

    #[test]
    fn credit_has_a_ceiling() {
        let mut gate = Gate::default();
        gate.grant(u32::MAX);
        gate.grant(u32::MAX);
        assert_eq!((0..100).filter(|_| gate.pass_raw()).count(), CREDIT_LIMIT as usize);
    }
}
