//! WAV files as microphones and speakers.

use super::convert::resample_clip;
use super::{SAMPLE_RATE, VoiceError};
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

/// Longest file that is read (20 minutes at 48 kHz); the rest is ignored.
const LENGTH_LIMIT: usize = 20 * 60 * SAMPLE_RATE as usize;

fn failed(path: &Path, reason: impl ToString) -> VoiceError {
    VoiceError::File { path: path.to_path_buf(), reason: reason.to_string() }
}

/// Reads a WAV file of any rate, format and channel count as 48 kHz mono (channels averaged).
pub fn read_mono(path: &Path) -> Result<Vec<f32>, VoiceError> {
    let mut reader = hound::WavReader::open(path).map_err(|e| failed(path, e))?;
    let spec = reader.spec();
    let channels = usize::from(spec.channels.max(1));
    let limit = LENGTH_LIMIT.saturating_mul(channels);
    let samples: Result<Vec<f32>, hound::Error> = match spec.sample_format {
        hound::SampleFormat::Float => reader.samples::<f32>().take(limit).collect(),
        hound::SampleFormat::Int => {
            let scale = 1.0 / (1i64 << (spec.bits_per_sample.clamp(1, 32) - 1)) as f32;
            reader.samples::<i32>().take(limit).map(|s| s.map(|s| s as f32 * scale)).collect()
        }
    };
    let samples = samples.map_err(|e| failed(path, e))?;
    let mono: Vec<f32> = samples.chunks_exact(channels).map(|c| c.iter().sum::<f32>() / channels as f32).collect();
    if mono.is_empty() {
        return Err(failed(path, "it holds no sample"));
    }
    if spec.sample_rate == SAMPLE_RATE {
        return Ok(mono);
    }
    let clip = resample_clip(&mono, spec.sample_rate);
    if clip.is_empty() { Err(failed(path, "it is shorter than 10 ms")) } else { Ok(clip) }
}

/// Writes 48 kHz mono 16 bit. The header is made true every second, so that a killed process leaves a readable file.
pub(crate) struct WavFile {
    writer: Option<hound::WavWriter<BufWriter<File>>>,
    since_flush: usize,
}

impl WavFile {
    pub(crate) fn create(path: &Path) -> Result<Self, VoiceError> {
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: SAMPLE_RATE,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let writer = hound::WavWriter::create(path, spec).map_err(|e| failed(path, e))?;
        Ok(Self { writer: Some(writer), since_flush: 0 })
    }

    /// Errors (disk full) end the recording with a line in the log, never the call.
    pub(crate) fn write(&mut self, block: &[f32]) {
        let Some(writer) = &mut self.writer else { return };
        let mut result = Ok(());
        for s in block {
            result = result.and_then(|()| writer.write_sample((s.clamp(-1.0, 1.0) * 32767.0) as i16));
        }
        self.since_flush += block.len();
        if self.since_flush >= SAMPLE_RATE as usize {
            self.since_flush = 0;
            result = result.and_then(|()| writer.flush());
        }
        if let Err(e) = result {
            tracing::warn!("the WAV file cannot be written any more: {e}");
            self.writer = None;
        }
    }
}

impl Drop for WavFile {
    fn drop(&mut self) {
        if let Some(writer) = self.writer.take()
            && let Err(e) = writer.finalize()
        {
            tracing::warn!("the WAV file could not be finished: {e}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stereo_44100_is_read_as_48000_mono() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.wav");
        let spec = hound::WavSpec {
            channels: 2,
            sample_rate: 44_100,
            bits_per_sample: 24,
            sample_format: hound::SampleFormat::Int,
        };
        let mut writer = hound::WavWriter::create(&path, spec).unwrap();
        for n in 0..44_100 {
            let s = (0.25 * (n as f32 * 0.06).sin() * (1 << 23) as f32) as i32;
            writer.write_sample(s).unwrap();
            writer.write_sample(s).unwrap();
        }
        writer.finalize().unwrap();
        let mono = read_mono(&path).unwrap();
        assert!((47_000..48_500).contains(&mono.len()));
        let peak = mono.iter().fold(0f32, |p, s| p.max(s.abs()));
        assert!((0.24..0.26).contains(&peak), "{peak}");
    }

    #[test]
    fn what_is_written_is_read_even_without_an_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("b.wav");
        let mut file = WavFile::create(&path).unwrap();
        for _ in 0..150 {
            file.write(&[0.5; 480]);
        }
        let early = read_mono(&path).unwrap();
        assert_eq!(early.len(), 48_000);
        assert!((early[100] - 0.5).abs() < 0.001);
        drop(file);
        assert_eq!(read_mono(&path).unwrap().len(), 72_000);
    }

    #[test]
    fn a_file_that_is_no_wav_is_refused_with_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.wav");
        std::fs::write(&path, b"not a wav").unwrap();
        let text = read_mono(&path).unwrap_err().to_string();
        assert!(text.contains("c.wav"), "{text}");
    }
}
