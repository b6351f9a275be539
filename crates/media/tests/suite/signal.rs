//! Signals to send through, and numbers to judge what comes out.

/// A deterministic source of randomness.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    /// True in so many of a hundred.
    pub fn percent(&mut self, share: u64) -> bool {
        self.below(100) < share
    }
}

/// Something like a voice: harmonics of a gliding pitch, swelling and fading, never silent.
pub fn voice(samples: usize) -> Vec<f32> {
    let mut phase = 0.0f32;
    (0..samples)
        .map(|n| {
            let t = n as f32 / 48_000.0;
            let pitch = 140.0 + 40.0 * (t * 1.7).sin() + 15.0 * (t * 5.3).sin();
            phase = (phase + pitch / 48_000.0).fract();
            let loud = 0.6 + 0.4 * (t * 9.1).sin();
            let a = phase * std::f32::consts::TAU;
            let tilt = 0.5 + 0.5 * (t * 3.1).sin();
            loud * (0.15 * a.sin()
                + 0.1 * (2.0 * a + 0.5).sin()
                + 0.07 * tilt * (3.0 * a).sin()
                + 0.04 * (5.0 * a).sin())
        })
        .collect()
}

/// Pieces of 2.5 ms below −50 dBFS: silent, or concealment that has faded ([`voice`] never falls below −42). Shorter than a block: a gap of one block that straddles two would be missed.
pub fn gaps(samples: &[f32]) -> usize {
    samples.chunks_exact(120).filter(|b| b.iter().map(|s| s * s).sum::<f32>() / 120.0 < 1e-5).count()
}

/// Likeness of `a` and `b` shifted by `lag`.
fn likeness(a: &[f32], b: &[f32]) -> f32 {
    let (mut dot, mut aa, mut bb) = (0.0, 1e-9, 1e-9);
    for (x, y) in a.iter().zip(b) {
        dot += x * y;
        aa += x * x;
        bb += y * y;
    }
    dot / f32::sqrt(aa * bb)
}

/// For each 40 ms of `heard`: the best likeness with the source within `reach` samples before it. The mean over all.
pub fn correlation(source: &[f32], heard: &[f32], reach: usize) -> f32 {
    let window = 1920;
    let mut sum = 0.0;
    let mut count = 0;
    for start in (reach..heard.len().min(source.len()) - window).step_by(window * 2) {
        let piece = &heard[start..start + window];
        let best = (0..reach).step_by(6).map(|lag| likeness(piece, &source[start - lag..start - lag + window]));
        sum += best.fold(-1.0, f32::max);
        count += 1;
    }
    sum / count as f32
}

/// How many samples `heard` is behind `source`, up to `reach`, and how alike they are there.
pub fn lag(source: &[f32], heard: &[f32], reach: usize) -> (usize, f32) {
    (0..reach.min(heard.len().saturating_sub(1)))
        .map(|lag| (lag, likeness(source, &heard[lag..])))
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .unwrap_or((0, 0.0))
}

#[test]
fn a_gap_is_found_wherever_it_lies() {
    for offset in 0..480 {
        let mut samples = voice(9_600);
        assert_eq!(gaps(&samples), 0);
        samples[4_800 + offset..5_280 + offset].fill(0.0);
        assert!((3..=4).contains(&gaps(&samples)), "{offset}");
    }
}
