//! Keeps a mix of several speakers within full scale without hard clipping.

/// Soft limiter: unity gain below the knee, gain reduction with instant attack and slow release above.
#[derive(Debug)]
pub struct Limiter {
    gain: f32,
}

impl Limiter {
    /// Where reduction begins (−1 dBFS): a single speaker never reaches it.
    const CEILING: f32 = 0.89;
    /// Back to full gain within about 100 ms.
    const RELEASE_PER_SAMPLE: f32 = 1.0 / 4800.0;

    /// At full gain.
    pub fn new() -> Self {
        Self { gain: 1.0 }
    }

    /// Limits in place. Output is within ±0.89.
    pub fn apply(&mut self, samples: &mut [f32]) {
        let peak = samples.iter().fold(0f32, |peak, s| peak.max(s.abs()));
        let wanted = if peak > Self::CEILING { Self::CEILING / peak } else { 1.0 };
        if wanted >= 1.0 && self.gain >= 1.0 {
            return;
        }
        // The gain of the whole block must be low enough for its peak: glide down over the first 32 samples, and clip
        // softly what peaks before the glide has ended.
        for s in samples.iter_mut() {
            if self.gain > wanted {
                self.gain = (self.gain - (self.gain - wanted).max(0.01) / 16.0).max(wanted);
            } else {
                self.gain = (self.gain + Self::RELEASE_PER_SAMPLE).min(wanted);
            }
            *s = (*s * self.gain).clamp(-Self::CEILING, Self::CEILING);
        }
    }
}

impl Default for Limiter {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_speaker_passes_unchanged() {
        let mut limiter = Limiter::new();
        let original: Vec<f32> = (0..480).map(|n| 0.8 * (n as f32 * 0.05).sin()).collect();
        let mut block = original.clone();
        limiter.apply(&mut block);
        assert_eq!(block, original);
    }

    #[test]
    fn four_loud_speakers_stay_in_range_with_little_distortion() {
        let mut limiter = Limiter::new();
        let (mut error, mut power) = (0.0, 0.0);
        for block in 0..50 {
            let source: Vec<f32> = (0..480).map(|n| 3.2 * ((block * 480 + n) as f32 * 0.05).sin()).collect();
            let mut out = source.clone();
            limiter.apply(&mut out);
            assert!(out.iter().all(|s| s.abs() <= 0.9));
            if block > 2 {
                let gain = 0.89 / 3.2;
                error += out.iter().zip(&source).map(|(o, s)| (o - s * gain).powi(2)).sum::<f32>();
                power += source.iter().map(|s| (s * gain).powi(2)).sum::<f32>();
            }
        }
        assert!(error / power < 0.01, "distortion {}", error / power);
    }
}
