//! How often one key may use one API: so many times within any second.

use super::request::Api;
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// The documented limit, requests a second of one API by one key.
pub const DEFAULT_RATE: u32 = 20;

const SECOND: Duration = Duration::from_secs(1);

/// Remembers the last second of each key and API.
#[derive(Debug)]
pub struct Limit {
    rate: u32,
    /// Only keys that exist get here: their number bounds this.
    taken: BTreeMap<(String, Api), VecDeque<Instant>>,
}

impl Limit {
    /// At most `rate` requests within any second.
    #[must_use]
    pub fn new(rate: u32) -> Self {
        Self { rate, taken: BTreeMap::new() }
    }

    /// Requests a second.
    #[must_use]
    pub fn rate(&self) -> u32 {
        self.rate
    }

    /// Whether one more is allowed at `now`. One that is refused does not count.
    pub fn take(&mut self, secret_id: &str, api: Api, now: Instant) -> bool {
        let taken = self.taken.entry((secret_id.to_owned(), api)).or_default();
        while taken.front().is_some_and(|first| now.saturating_duration_since(*first) >= SECOND) {
            taken.pop_front();
        }
        let is_free = taken.len() < self.rate as usize;
        if is_free {
            taken.push_back(now);
        }
        is_free
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn twenty_within_a_second_and_no_more() {
        let (mut limit, began) = (Limit::new(DEFAULT_RATE), Instant::now());
        let at = |ms| began + Duration::from_millis(ms);
        for number in 0..20 {
            assert!(limit.take("key", Api::RemoveUser, at(number * 10)));
        }
        assert!(!limit.take("key", Api::RemoveUser, at(999)));
        assert!(limit.take("other", Api::RemoveUser, at(999)), "each key has its own");
        assert!(limit.take("key", Api::DismissRoom, at(999)), "each API has its own");
        assert!(limit.take("key", Api::RemoveUser, at(1000)), "the first one is a second ago");
        assert!(!limit.take("key", Api::RemoveUser, at(1000)));
    }

    proptest! {
        #[test]
        fn no_second_holds_more(gaps in proptest::collection::vec(0_u64..200, 1..300), rate in 1_u32..30) {
            let mut limit = Limit::new(rate);
            let mut now = Instant::now();
            let mut allowed: Vec<Instant> = Vec::new();
            for gap in gaps {
                now += Duration::from_millis(gap);
                let within = allowed.iter().filter(|at| now.duration_since(**at) < SECOND).count();
                let free = limit.take("key", Api::RemoveUser, now);
                prop_assert_eq!(free, within < rate as usize);
                if free {
                    allowed.push(now);
                }
            }
        }
    }
}
