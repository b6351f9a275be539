//! Measures transit and jitter of one sender, in samples.

use super::super::{BLOCK, SAMPLE_RATE};

/// Base line over a window of seconds, histogram of what lies above it.
#[derive(Debug)]
pub(super) struct Timing {
    /// Least transit in each of the last seconds, newest last; `None` where nothing came.
    least: [Option<i64>; Self::WINDOW],
    second: i64,
    /// Shares of packets by jitter.
    shares: [f32; Self::BINS],
    packets: u32,
    last_transit: Option<i64>,
    interarrival: f64,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            least: [None; Self::WINDOW],
            second: 0,
            shares: [0.0; Self::BINS],
            packets: 0,
            last_transit: None,
            interarrival: 0.0,
        }
    }
}

impl Timing {
    /// Seconds: shorter follows clocks and routes faster, longer is surer to have seen a packet without jitter.
    const WINDOW: usize = 5;
    /// 5 ms each, up to 500 ms.
    const BINS: usize = 100;
    const BIN: i64 = SAMPLE_RATE as i64 / 200;
    /// What the histogram forgets with each packet: half in 7 s.
    const FORGET: f32 = 0.002;
    /// One in fifty packets may be later than the target: more costs delay for everybody all the time.
    const QUANTILE: f32 = 0.98;

    /// Another time line: the base line is void, the jitter stays.
    pub(super) fn rebase(&mut self) {
        self.least = [None; Self::WINDOW];
        self.last_transit = None;
    }

    pub(super) fn arrived(&mut self, now: i64, transit: i64) {
        self.turn(now);
        let newest = &mut self.least[Self::WINDOW - 1];
        *newest = Some(newest.map_or(transit, |least| least.min(transit)));
        let jitter = transit - self.base();
        let bin = ((jitter / Self::BIN).max(0) as usize).min(Self::BINS - 1);
        self.packets = self.packets.saturating_add(1);
        // The first packets weigh as much as they are few.
        let weight = Self::FORGET.max(1.0 / self.packets as f32);
        for share in &mut self.shares {
            *share *= 1.0 - weight;
        }
        self.shares[bin] += weight;
        if let Some(last) = self.last_transit.replace(transit) {
            self.interarrival += ((transit - last).abs() as f64 - self.interarrival) / 16.0;
        }
    }

    fn turn(&mut self, now: i64) {
        let second = now.div_euclid(i64::from(SAMPLE_RATE));
        let turns = (second - self.second).clamp(0, Self::WINDOW as i64) as usize;
        if turns > 0 && self.least[turns..].iter().any(Option::is_some) {
            self.least.rotate_left(turns);
            self.least[Self::WINDOW - turns..].fill(None);
        } else if turns > 0 {
            // Nothing came for the whole window: the last base line is better than none.
            let last = self.base_or_none();
            self.least = [None; Self::WINDOW];
            self.least[Self::WINDOW - 2] = last;
        }
        self.second = self.second.max(second);
    }

    fn base_or_none(&self) -> Option<i64> {
        self.least.iter().flatten().min().copied()
    }

    /// Least transit of the window.
    pub(super) fn base(&self) -> i64 {
        self.base_or_none().unwrap_or(0)
    }

    /// Delay that lets nearly all packets be in time.
    pub(super) fn target(&self) -> i64 {
        let mut sum = 0.0;
        let bin = self.shares.iter().position(|share| {
            sum += share;
            sum >= Self::QUANTILE
        });
        // One block is the grain of the output. The lowest bin is a clean path.
        match bin {
            None if self.packets == 0 => BLOCK as i64,
            Some(0) => BLOCK as i64,
            Some(bin) => (bin as i64 + 1) * Self::BIN + BLOCK as i64,
            None => Self::BINS as i64 * Self::BIN + BLOCK as i64,
        }
    }

    /// RFC 3550 jitter.
    pub(super) fn interarrival(&self) -> f64 {
        self.interarrival
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clean_path_needs_one_block() {
        let mut timing = Timing::default();
        for n in 0..500i64 {
            timing.arrived(n * 960, 1_000 + n % 7);
        }
        assert_eq!(timing.target(), 480);
    }

    #[test]
    fn jitter_raises_the_target_and_calm_lowers_it() {
        let mut timing = Timing::default();
        for n in 0..500i64 {
            timing.arrived(n * 960, (n * 7919 % 100) * 48);
        }
        let high = timing.target();
        assert!((4_500..5_600).contains(&high), "{high}");
        for n in 500..3_000i64 {
            timing.arrived(n * 960, 0);
        }
        assert_eq!(timing.target(), 480);
    }

    #[test]
    fn the_base_line_follows_a_slower_clock() {
        let mut timing = Timing::default();
        for n in 0..3_000i64 {
            timing.arrived(n * 960, n * 960 / 10_000);
        }
        let behind = 3_000 * 960 / 10_000 - timing.base();
        assert!(behind < 30, "{behind}");
    }
}
