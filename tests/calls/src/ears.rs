//! Recognising what was heard: short tones in a known order.

use anyhow::Result;
use std::path::Path;
use std::time::Duration;

const RATE: u32 = 48_000;
/// Far enough apart for a window of 50 ms, and within what a voice codec keeps.
const TONES: [u32; 4] = [500, 800, 1200, 1700];
const TONE_LENGTH: Duration = Duration::from_millis(300);

/// Writes the four tones, one after the other, and gives their frequencies.
pub fn melody(path: &Path) -> Result<Vec<u32>> {
    let spec =
        hound::WavSpec { channels: 1, sample_rate: RATE, bits_per_sample: 16, sample_format: hound::SampleFormat::Int };
    let mut writer = hound::WavWriter::create(path, spec)?;
    let length = (TONE_LENGTH.as_secs_f32() * RATE as f32) as u32;
    for tone in TONES {
        for n in 0..length {
            let phase = std::f32::consts::TAU * tone as f32 * n as f32 / RATE as f32;
            writer.write_sample((phase.sin() * 8000.0) as i16)?;
        }
    }
    writer.finalize()?;
    Ok(TONES.to_vec())
}

/// Which of `tones` was strongest in each 50 ms of the file, repetitions left out, silence and doubt too.
pub fn strongest_tones(path: &Path, tones: &[u32]) -> Result<Vec<u32>> {
    let mut reader = hound::WavReader::open(path)?;
    let spec = reader.spec();
    let channels = usize::from(spec.channels);
    let all: Vec<f32> = match spec.sample_format {
        hound::SampleFormat::Float => reader.samples::<f32>().collect::<Result<_, _>>()?,
        hound::SampleFormat::Int => {
            let scale = (1i64 << (spec.bits_per_sample - 1)) as f32;
            reader.samples::<i32>().map(|s| s.map(|s| s as f32 / scale)).collect::<Result<_, _>>()?
        }
    };
    let mono: Vec<f32> = all.chunks(channels).map(|frame| frame.iter().sum::<f32>() / channels as f32).collect();
    let window = spec.sample_rate as usize / 20;
    let mut heard = Vec::new();
    for chunk in mono.chunks_exact(window) {
        let energy = chunk.iter().map(|s| s * s).sum::<f32>() / window as f32;
        if energy < 1e-5 {
            continue;
        }
        let mut powers: Vec<_> = tones.iter().map(|tone| (power(chunk, *tone, spec.sample_rate), *tone)).collect();
        powers.sort_by(|a, b| b.0.total_cmp(&a.0));
        // A window across two tones belongs to neither.
        let clear = powers[0].0 > 4.0 * powers.get(1).map_or(0.0, |second| second.0) && powers[0].0 > 0.3 * energy;
        if clear && heard.last() != Some(&powers[0].1) {
            heard.push(powers[0].1);
        }
    }
    Ok(heard)
}

/// Goertzel's algorithm: mean power at one frequency.
fn power(samples: &[f32], hertz: u32, rate: u32) -> f32 {
    let step = 2.0 * (std::f32::consts::TAU * hertz as f32 / rate as f32).cos();
    let (mut last, mut before) = (0.0, 0.0);
    for sample in samples {
        let now = sample + step * last - before;
        (before, last) = (last, now);
    }
    let count = samples.len() as f32;
    2.0 * (last * last + before * before - step * last * before) / (count * count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_melody_is_recognised_and_silence_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("melody.wav");
        let tones = melody(&path).unwrap();
        assert_eq!(strongest_tones(&path, &tones).unwrap(), tones);
        assert_eq!(strongest_tones(&path, &[300, 4000]).unwrap(), Vec::<u32>::new());
    }
}
