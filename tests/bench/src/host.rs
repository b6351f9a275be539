//! A machine for one person where there is none: a virtual display, and a sound server with a microphone that somebody
//! speaks into and a speaker that nobody hears (Linux).

use crate::process::{Process, wait_until};
use anyhow::{Context, Result, ensure};
use std::f32::consts::TAU;
use std::io::{BufRead, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// How long a display or a sound server may take to start.
const START_TIMEOUT: Duration = Duration::from_secs(15);

/// Samples per second of the spoken file.
const RATE: u32 = 48_000;

/// A display, a sound server and a voice, all private and ended together.
pub struct Host {
    // Ended in this order: the voice before its sound server.
    _voice: Process,
    _sound: Process,
    _display: Process,
    number: String,
    runtime: PathBuf,
    file: PathBuf,
}

impl Host {
    /// Sets the machine up inside an empty folder; `pitch` (hertz) is that of the voice in the microphone.
    pub fn start(folder: &Path, pitch: f32) -> Result<Self> {
        let runtime = folder.join("runtime");
        std::fs::create_dir_all(&runtime)?;
        #[cfg(unix)]
        std::fs::set_permissions(&runtime, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
        let (display, number) = start_display()?;
        let sound = start_sound(&runtime)?;
        let file = folder.join("voice.wav");
        std::fs::write(&file, spoken(pitch, 60))?;
        let voice = speak(&runtime, &file)?;
        Ok(Self { _voice: voice, _sound: sound, _display: display, number, runtime, file })
    }

    /// Says it all once more, for a minute, until the process is dropped.
    pub fn speak(&self) -> Result<Process> {
        speak(&self.runtime, &self.file)
    }

    /// Makes this the machine that a program runs on.
    pub fn carry(&self, command: &mut Command) {
        command
            .env("DISPLAY", &self.number)
            .env_remove("WAYLAND_DISPLAY")
            .env("XDG_RUNTIME_DIR", &self.runtime)
            .env("PULSE_SERVER", format!("unix:{}", socket(&self.runtime).display()))
            // No desktop session: asking for one would start stray daemons.
            .env("DBUS_SESSION_BUS_ADDRESS", "disabled:")
            .env("NO_AT_BRIDGE", "1")
            .env("GDK_BACKEND", "x11");
    }

    /// Where the sound server listens.
    #[must_use]
    pub fn sound(&self) -> PathBuf {
        socket(&self.runtime)
    }

    /// The loudest sample (of 32 768) that the speaker gets during this time, in real time.
    pub fn loudest(&self, time: Duration) -> Result<u16> {
        let mut command = Command::new("parec");
        command.arg("--server").arg(socket(&self.runtime)).args(["--device", "ear.monitor", "--format", "s16le"]);
        command.args(["--channels", "1", "--rate", &RATE.to_string(), "--latency-msec", "50"]);
        let mut recorder = Process::start("parec", command.stdout(Stdio::piped()).stderr(Stdio::null()))?;
        let output = recorder.child().stdout.take().context("the recorder's output is a pipe")?;
        let mut samples = Vec::new();
        let wanted = time.as_millis() as u64 * u64::from(RATE) / 1000 * 2;
        output.take(wanted).read_to_end(&mut samples)?;
        ensure!(samples.len() as u64 == wanted, "parec ended after {} bytes", samples.len());
        let loudest = samples.chunks_exact(2).map(|b| i16::from_le_bytes([b[0], b[1]]).unsigned_abs()).max();
        Ok(loudest.unwrap_or_default())
    }

    /// Whether a window has painted something yet: an empty one is of one colour.
    #[must_use]
    pub fn is_painted(&self) -> bool {
        const FEW_COLOURS: usize = 16;
        let mut command = Command::new("import");
        command.args(["-display", &self.number, "-window", "root", "-silent", "-depth", "8", "rgb:-"]);
        let Ok(output) = command.stderr(Stdio::null()).output() else { return false };
        let mut colours = std::collections::BTreeSet::new();
        output
            .stdout
            .chunks_exact(3)
            .any(|pixel| colours.insert([pixel[0], pixel[1], pixel[2]]) && colours.len() > FEW_COLOURS)
    }

    /// Writes what the display shows as a PNG.
    pub fn photograph(&self, to: &Path) -> Result<()> {
        let taken = Command::new("import")
            .args(["-display", &self.number, "-window", "root", "-silent"])
            .arg(to)
            .status()
            .context("import (ImageMagick) takes the picture")?;
        ensure!(taken.success(), "no picture of the display {}", self.number);
        Ok(())
    }
}

fn socket(runtime: &Path) -> PathBuf {
    runtime.join("pulse/native")
}

/// As large as the window is when it opens: nothing is seen around it. Xvfb chooses a free number itself and tells it.
fn start_display() -> Result<(Process, String)> {
    let mut command = Command::new("Xvfb");
    command.args(["-displayfd", "1", "-screen", "0", "1120x760x24", "-nolisten", "tcp", "-noreset"]);
    let mut display = Process::start("Xvfb", command.stdout(Stdio::piped()).stderr(Stdio::null()))?;
    let output = display.child().stdout.take().context("the display's output is a pipe")?;
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line)?;
    ensure!(!line.trim().is_empty(), "Xvfb did not start");
    Ok((display, format!(":{}", line.trim())))
}

/// A microphone that hears what is played into the sink `mouth`, and a speaker that nobody hears.
fn start_sound(runtime: &Path) -> Result<Process> {
    std::fs::create_dir_all(runtime.join("pulse"))?;
    let socket = socket(runtime);
    let mut command = Command::new("pulseaudio");
    command
        .args([
            "-n",
            "--daemonize=no",
            "--exit-idle-time=-1",
            "--use-pid-file=no",
            "--disallow-exit",
            "--log-level=error",
        ])
        .arg(format!("--load=module-native-protocol-unix socket={} auth-anonymous=1", socket.display()));
    for sink in ["mouth", "ear"] {
        // Without norewinds the first seconds are lost.
        command.arg(format!("--load=module-null-sink sink_name={sink} norewinds=1 rate={RATE}"));
    }
    command
        .arg("--load=module-remap-source source_name=microphone master=mouth.monitor source_properties=device.description=Microphone")
        .env("XDG_RUNTIME_DIR", runtime)
        .env("HOME", runtime)
        .env("DBUS_SESSION_BUS_ADDRESS", "disabled:");
    let sound = Process::start("pulseaudio", command.stdout(Stdio::null()))?;
    let control = |words: &[&str]| {
        let mut pactl = Command::new("pactl");
        pactl.arg("--server").arg(&socket).args(words).stdout(Stdio::null()).stderr(Stdio::null());
        pactl.status().is_ok_and(|status| status.success())
    };
    ensure!(wait_until(START_TIMEOUT, || control(&["set-default-source", "microphone"])), "PulseAudio did not start");
    ensure!(control(&["set-default-sink", "ear"]), "PulseAudio has no speaker");
    Ok(sound)
}

/// Plays a file into the microphone.
fn speak(runtime: &Path, file: &Path) -> Result<Process> {
    let mut command = Command::new("paplay");
    command.arg("--server").arg(socket(runtime)).args(["--device", "mouth"]).arg(file);
    Process::start("paplay", command.stdout(Stdio::null()).stderr(Stdio::null()))
}

/// A WAV file that noise suppression takes for a voice: a buzz of this pitch with gliding formants, in syllables of a
/// sixth to half of a second. Their rhythm never repeats within some seconds: else a delay could not be told from one that
/// is longer by a period.
fn spoken(pitch: f32, seconds: u32) -> Vec<u8> {
    const HARMONICS: u8 = 24;
    /// Formants glide slowly: to follow them each millisecond is enough.
    const GLIDE: u32 = RATE / 1000;
    let mut samples = Vec::new();
    let mut phase = 0.0_f32;
    let mut weights = [0.0_f32; HARMONICS as usize];
    for n in 0..RATE * seconds {
        let t = n as f32 / RATE as f32;
        let frequency = pitch * (1.0 + 0.12 * (TAU * 0.7 * t).sin());
        phase = (phase + frequency / RATE as f32).fract();
        if n % GLIDE == 0 {
            weigh(&mut weights, frequency, t);
        }
        let buzz: f32 =
            (1..=HARMONICS).zip(weights).map(|(k, weight)| weight * (TAU * f32::from(k) * phase).sin()).sum();
        let rhythm = 2.0 * t + 0.35 * (TAU * 0.31 * t).sin() + 0.3 * (TAU * 0.173 * t).sin();
        let syllable = (TAU * rhythm).sin().max(0.0).sqrt();
        samples.push((buzz * syllable * 6000.0).clamp(-32_000.0, 32_000.0) as i16);
    }
    wav(&samples)
}

/// How loud each harmonic of `frequency` is after `t` seconds: two formants glide over them.
fn weigh(weights: &mut [f32], frequency: f32, t: f32) {
    let formants = [450.0 + 250.0 * (TAU * 1.3 * t).sin(), 1500.0 + 600.0 * (TAU * 0.9 * t).sin()];
    let loudness = |hertz: f32| formants.iter().map(|f| (-((hertz - f) / 250.0).powi(2)).exp()).sum::<f32>() + 0.05;
    for (weight, k) in weights.iter_mut().zip(1_u8..) {
        *weight = loudness(f32::from(k) * frequency) / f32::from(k).sqrt();
    }
}

/// One channel of 16-bit samples as a RIFF file.
fn wav(samples: &[i16]) -> Vec<u8> {
    let bytes = u32::try_from(samples.len() * 2).expect("a minute of samples fits");
    let mut file = Vec::with_capacity(44 + samples.len() * 2);
    file.extend(b"RIFF");
    file.extend((36 + bytes).to_le_bytes());
    file.extend(b"WAVEfmt ");
    file.extend(16_u32.to_le_bytes());
    // PCM, one channel.
    file.extend(1_u16.to_le_bytes());
    file.extend(1_u16.to_le_bytes());
    file.extend(RATE.to_le_bytes());
    file.extend((RATE * 2).to_le_bytes());
    file.extend(2_u16.to_le_bytes());
    file.extend(16_u16.to_le_bytes());
    file.extend(b"data");
    file.extend(bytes.to_le_bytes());
    file.extend(samples.iter().flat_map(|s| s.to_le_bytes()));
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_voice_is_a_readable_file_that_is_neither_silent_nor_clipped() {
        let file = spoken(120.0, 1);
        assert_eq!(file.len(), 44 + 2 * RATE as usize);
        let loudest = file[44..].chunks(2).map(|b| i16::from_le_bytes([b[0], b[1]]).unsigned_abs()).max();
        assert!(loudest.is_some_and(|peak| (4_000..32_000).contains(&peak)), "{loudest:?}");
    }
}
