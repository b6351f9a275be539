//! Loudness of voice, for meters and for the wire.

use super::BLOCK;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Loudness in dBFS, −127 (silence) to 0 (full scale), root mean square.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Level(f32);

impl Level {
    /// Nothing at all.
    pub const SILENCE: Level = Level(-127.0);

    /// Of these samples (±1.0).
    pub fn of(samples: &[f32]) -> Self {
        if samples.is_empty() {
            return Self::SILENCE;
        }
        let power = samples.iter().map(|s| s * s).sum::<f32>() / samples.len() as f32;
        if power <= 0.0 { Self::SILENCE } else { Self((10.0 * power.log10()).clamp(-127.0, 0.0)) }
    }

    /// dBFS.
    pub fn dbfs(self) -> f32 {
        self.0
    }

    /// RFC 6464: 0 (loudest) to 127 (silence), in −dBov.
    pub fn dbov(self) -> u8 {
        (-self.0).round().clamp(0.0, 127.0) as u8
    }

    /// 0 to 100 for a meter: linear in dB, 0 at −60 dBFS and 100 at −5.
    pub fn percent(self) -> u8 {
        ((self.0 + 60.0) / 55.0 * 100.0).clamp(0.0, 100.0).round() as u8
    }
}

/// Follows loudness: rises at once, falls by about 40 points in a second. Cheap to share between threads.
#[derive(Clone, Debug, Default)]
pub struct LevelMeter(Arc<AtomicU32>);

impl LevelMeter {
    const FALL_PER_BLOCK: f32 = 0.4;

    /// Takes one block of 10 ms.
    pub(crate) fn feed(&self, samples: &[f32]) {
        let now = f32::from(Level::of(samples).percent());
        let blocks = samples.len() as f32 / BLOCK as f32;
        let before = f32::from_bits(self.0.load(Ordering::Relaxed));
        let after = now.max(before - Self::FALL_PER_BLOCK * blocks);
        self.0.store(after.to_bits(), Ordering::Relaxed);
    }

    /// Falls to zero at once.
    pub(crate) fn clear(&self) {
        self.0.store(0f32.to_bits(), Ordering::Relaxed);
    }

    /// 0 to 100.
    pub fn percent(&self) -> u8 {
        f32::from_bits(self.0.load(Ordering::Relaxed)).round() as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_zero_and_full_scale_is_hundred() {
        assert_eq!(Level::of(&[0.0; 480]).percent(), 0);
        assert_eq!(Level::of(&[]).dbov(), 127);
        assert_eq!(Level::of(&[1.0; 480]).percent(), 100);
        assert_eq!(Level::of(&[1.0; 480]).dbov(), 0);
    }

    #[test]
    fn a_meter_rises_at_once_and_falls_slowly() {
        let meter = LevelMeter::default();
        meter.feed(&[0.5; 480]);
        let peak = meter.percent();
        assert!(peak > 90, "{peak}");
        meter.feed(&[0.0; 480]);
        assert!(meter.percent() >= peak - 1);
        for _ in 0..100 {
            meter.feed(&[0.0; 480]);
        }
        let later = meter.percent();
        assert!((45..70).contains(&later), "{later}");
    }
}
