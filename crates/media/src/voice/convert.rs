//! Between a device's own rate and channels and 48 kHz mono.

use super::{BLOCK, SAMPLE_RATE};
use rubato::audioadapter_buffers::direct::SequentialSlice;
use rubato::{Async, FixedAsync, Resampler, SincInterpolationParameters, SincInterpolationType, WindowFunction};

/// Any sample rate to blocks of 10 ms at 48 kHz, or back. Equal rates pass through.
pub(crate) struct Converter {
    inner: Option<Async<f32>>,
    pending: Vec<f32>,
    out: Vec<f32>,
}

/// Short enough for voice (0.7 ms of delay at 48 kHz), sharp enough to keep aliases below −80 dB.
const SINC: SincInterpolationParameters = SincInterpolationParameters {
    sinc_len: 64,
    f_cutoff: Some(0.94),
    oversampling_factor: 128,
    interpolation: SincInterpolationType::Linear,
    window: WindowFunction::BlackmanHarris2,
};

impl Converter {
    /// From `rate` to 48 kHz: feed with [`Self::feed`], take with [`Self::block`].
    pub(crate) fn to_voice(rate: u32) -> Self {
        let ratio = f64::from(SAMPLE_RATE) / f64::from(rate.max(1));
        Self::new(rate, ratio, FixedAsync::Output)
    }

    /// From 48 kHz to `rate`: [`Self::expand`].
    pub(crate) fn from_voice(rate: u32) -> Self {
        let ratio = f64::from(rate.max(1)) / f64::from(SAMPLE_RATE);
        Self::new(rate, ratio, FixedAsync::Input)
    }

    fn new(rate: u32, ratio: f64, fixed: FixedAsync) -> Self {
        let inner = (rate != SAMPLE_RATE)
            .then(|| Async::new_sinc(ratio, 1.1, &SINC, BLOCK, 1, fixed))
            .and_then(|made| made.inspect_err(|e| tracing::error!("no converter for {rate} Hz: {e}")).ok());
        let room = inner.as_ref().map_or(BLOCK, Resampler::output_frames_max);
        Self { inner, pending: Vec::with_capacity(8192), out: vec![0.0; room] }
    }

    /// Takes samples at the device's rate. More than a second waiting (nobody takes blocks): the oldest go.
    pub(crate) fn feed(&mut self, samples: impl IntoIterator<Item = f32>) {
        self.pending.extend(samples);
        let limit = SAMPLE_RATE as usize;
        if self.pending.len() > limit {
            self.pending.drain(..self.pending.len() - limit);
        }
    }

    /// The next 10 ms, where enough was fed.
    pub(crate) fn block(&mut self) -> Option<[f32; BLOCK]> {
        let mut block = [0.0; BLOCK];
        let need = self.inner.as_ref().map_or(BLOCK, Resampler::input_frames_next);
        if self.pending.len() < need {
            return None;
        }
        match &mut self.inner {
            None => block.copy_from_slice(&self.pending[..BLOCK]),
            Some(inner) => {
                let input = SequentialSlice::new(&self.pending[..need], 1, need).ok()?;
                let mut output = SequentialSlice::new_mut(&mut block, 1, BLOCK).ok()?;
                inner.process_into_buffer(&input, &mut output, None).ok()?;
            }
        }
        self.pending.drain(..need);
        Some(block)
    }

    /// One block at the device's rate.
    pub(crate) fn expand(&mut self, block: &[f32; BLOCK]) -> &[f32] {
        let Some(inner) = &mut self.inner else {
            self.out[..BLOCK].copy_from_slice(block);
            return &self.out[..BLOCK];
        };
        let room = self.out.len();
        let made = (|| {
            let input = SequentialSlice::new(block, 1, BLOCK).ok()?;
            let mut output = SequentialSlice::new_mut(&mut self.out, 1, room).ok()?;
            inner.process_into_buffer(&input, &mut output, None).ok()
        })();
        &self.out[..made.map_or(0, |(_, written)| written)]
    }
}

/// Converts a whole clip to 48 kHz.
pub(crate) fn resample_clip(samples: &[f32], rate: u32) -> Vec<f32> {
    let mut converter = Converter::to_voice(rate);
    let mut out = Vec::with_capacity((samples.len() as u64 * u64::from(SAMPLE_RATE) / u64::from(rate.max(1))) as usize);
    for chunk in samples.chunks(rate.max(100) as usize / 10) {
        converter.feed(chunk.iter().copied());
        while let Some(block) = converter.block() {
            out.extend_from_slice(&block);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(rate: u32, hertz: f32, samples: usize) -> Vec<f32> {
        (0..samples).map(|n| 0.5 * (std::f32::consts::TAU * hertz * n as f32 / rate as f32).sin()).collect()
    }

    /// Share of the power that is not the tone.
    fn residue(samples: &[f32], hertz: f32) -> f32 {
        let (mut c, mut s) = (0.0, 0.0);
        for (n, x) in samples.iter().enumerate() {
            let a = std::f32::consts::TAU * hertz * n as f32 / SAMPLE_RATE as f32;
            c += x * a.cos();
            s += x * a.sin();
        }
        let power: f32 = samples.iter().map(|x| x * x).sum();
        1.0 - 2.0 * (c * c + s * s) / samples.len() as f32 / power
    }

    #[test]
    fn every_rate_becomes_48_khz_without_distortion() {
        for rate in [8_000, 11_025, 16_000, 22_050, 32_000, 44_100, 48_000, 88_200, 96_000, 192_000] {
            let clip = resample_clip(&tone(rate, 997.0, rate as usize), rate);
            assert!((47_000..=48_480).contains(&clip.len()), "{rate}: {}", clip.len());
            let residue = residue(&clip[4_800..43_200], 997.0);
            assert!(residue < 1e-4, "{rate} Hz: {residue}");
        }
    }

    #[test]
    fn there_and_back_keeps_the_amount() {
        for rate in [8_000, 44_100, 48_000, 96_000] {
            let mut converter = Converter::from_voice(rate);
            let made: usize = (0..100).map(|_| converter.expand(&[0.1; BLOCK]).len()).sum();
            assert!(made.abs_diff(rate as usize) < rate as usize / 100, "{rate}: {made}");
        }
    }
}
