//! Mouth to ear: what is played into one person's microphone is found again at the other's speaker, through PulseAudio,
//! voice processing, Opus, the server, the jitter buffer and the mixer.

use super::{connect, hang_up, headless};
use crate::host::Host;
use crate::process::Process;
use crate::server::Server;
use crate::table::{Table, percentile};
use anyhow::{Context, Result, ensure};
use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Samples per second of the recordings.
const RATE: usize = 48_000;
/// One step of the loudness curves that are compared, seconds.
const STEP: f64 = 0.002;
/// How long is recorded, and over how long one value of the delay is found.
const RECORD: Duration = Duration::from_secs(24);
const WINDOW: usize = 1000;
/// The longest delay that is looked for, steps.
const LONGEST: usize = 400;

/// Prints the table.
pub fn run() -> Result<()> {
    let data = tempfile::tempdir()?;
    let server = Server::start(data.path(), &[])?;
    let folders = [data.path().join("alice"), data.path().join("bob")];
    let hosts = [Host::start(&folders[0], 210.0)?, Host::start(&folders[1], 120.0)?];
    let flags = ["--no-meters", "--mic", "system", "--speaker", "system"];
    let mut alice = headless(&server, "alice", &flags, |command| hosts[0].carry(command))?;
    let mut bob = headless(&server, "bob", &flags, |command| hosts[1].carry(command))?;
    let (_, since) = connect(&mut alice, &mut bob)?;
    let start = Instant::now();
    let mouth = Recorder::start(&hosts[0], "mouth.monitor")?;
    let ear = Recorder::start(&hosts[1], "ear.monitor")?;
    std::thread::sleep(RECORD);
    let (mouth, ear) = (mouth.loudness(start), ear.loudness(start));
    hang_up(&mut alice, &mut bob, since)?;

    let steps = mouth.len().min(ear.len());
    let delays: Vec<f64> = (0..steps / WINDOW)
        .filter_map(|n| delay(&mouth[n * WINDOW..], &ear[n * WINDOW..steps]))
        .map(|steps| steps * STEP * 1000.0)
        .collect();
    ensure!(percentile(&delays, 0.5).is_some(), "the voice was not found at the other end");
    let mut table = Table::new(
        "Mouth to ear through PulseAudio, loopback (ms)",
        &["", "median", "p95", "worst", "samples", "goal"],
    );
    table.times("into the microphone to out of the speaker", &delays, "150");
    print!("{}", table.text());
    Ok(())
}

/// Samples and when the last of them came.
type Piece = (Instant, Vec<i16>);

/// Records a source, each piece with the time at which it came.
struct Recorder {
    _process: Process,
    pieces: Arc<Mutex<Vec<Piece>>>,
}

impl Recorder {
    fn start(host: &Host, source: &str) -> Result<Self> {
        let mut command = Command::new("parec");
        command.arg("--server").arg(host.sound()).args(["--device", source]);
        command.args(["--format=s16le", "--rate=48000", "--channels=1", "--latency-msec=5"]);
        let mut process = Process::start("parec", command.stdout(Stdio::piped()).stderr(Stdio::null()))?;
        let mut output = process.child().stdout.take().context("the recording is a pipe")?;
        let pieces = Arc::new(Mutex::new(Vec::new()));
        let kept = pieces.clone();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(read) = output.read(&mut bytes) {
                if read == 0 {
                    return;
                }
                let samples = bytes[..read].chunks_exact(2).map(|b| i16::from_le_bytes([b[0], b[1]])).collect();
                kept.lock().unwrap_or_else(PoisonError::into_inner).push((Instant::now(), samples));
            }
        });
        Ok(Self { _process: process, pieces })
    }

    /// Mean loudness of each step since `start`. A piece ends when it came.
    fn loudness(&self, start: Instant) -> Vec<f64> {
        let mut sums: Vec<(f64, f64)> = Vec::new();
        for (came, samples) in self.pieces.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let end = came.duration_since(start).as_secs_f64();
            for (n, sample) in samples.iter().enumerate() {
                let at = end - (samples.len() - n) as f64 / RATE as f64;
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "negative times go to step 0"
                )]
                let step = (at / STEP).max(0.0) as usize;
                if sums.len() <= step {
                    sums.resize(step + 1, (0.0, 0.0));
                }
                sums[step].0 += f64::from(sample.unsigned_abs());
                sums[step].1 += 1.0;
            }
        }
        sums.into_iter().map(|(sum, count)| if count > 0.0 { sum / count } else { 0.0 }).collect()
    }
}

/// By how many steps `late` follows `early` in the first window: the shift of the best correlation, where it is a good one.
fn delay(early: &[f64], late: &[f64]) -> Option<f64> {
    if late.len() < WINDOW + LONGEST {
        return None;
    }
    let (mut best, mut at) = (0.0, 0.0);
    for shift in 0..LONGEST {
        let found = correlation(&early[..WINDOW], &late[shift..shift + WINDOW]);
        if found > best {
            let shift = shift as f64;
            (best, at) = (found, shift);
        }
    }
    (best > 0.6).then_some(at)
}

/// Pearson's: 1 where both rise and fall together.
fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
    let (ma, mb) = (mean(a), mean(b));
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (x, y) in a.iter().zip(b) {
        ab += (x - ma) * (y - mb);
        aa += (x - ma).powi(2);
        bb += (y - mb).powi(2);
    }
    if aa * bb > 0.0 { ab / (aa * bb).sqrt() } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shifted_curve_is_found_at_its_shift() {
        let curve: Vec<f64> =
            (0..4000_i32).map(|n| (f64::from(n) * 0.013).sin() + (f64::from(n) * 0.0071).sin()).collect();
        assert_eq!(delay(&curve[60..], &curve), Some(60.0));
        assert_eq!(delay(&vec![0.0; 4000], &curve), None);
    }
}
