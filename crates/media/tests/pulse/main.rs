//! Real devices through a private PulseAudio with null sinks. The server's address must be in the environment before
//! the process starts, so each test runs itself again as a child with it. Skipped where there is no PulseAudio.

// Helpers outside of test functions fail by panicking too.
#![allow(clippy::unwrap_used)]

use media::devices::{Watcher, list};
use media::voice::{
    Capture, CaptureConfig, Level, OpusDecoder, OpusEncoder, Playout, PlayoutConfig, Processing, VoiceFrame,
};
use media::{DeviceChoice, DeviceEvent, DeviceEvents, DeviceKind, DeviceState, Synthetic};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);

fn sinks(command: &str, dir: &std::path::Path) -> std::process::ExitStatus {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/pulse/sinks");
    Command::new(script).arg(command).arg(dir).stdout(Stdio::null()).status().unwrap()
}

/// Runs the ignored test `name` in a child process beside a server of its own.
fn beside_a_server(name: &str) {
    if Command::new("pulseaudio").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_err() {
        eprintln!("skipped: no PulseAudio on this machine");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    assert!(sinks("start", dir.path()).success());
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--ignored", "--nocapture"])
        .env("XDG_RUNTIME_DIR", dir.path())
        .env("PULSE_RUNTIME_PATH", dir.path().join("pulse"))
        .env("PULSE_SERVER", format!("unix:{}/pulse/native", dir.path().display()))
        .status();
    sinks("stop", dir.path());
    assert!(status.unwrap().success());
}

macro_rules! beside_a_server {
    ($($name:ident => $body:ident;)*) => {$(
        #[test]
        fn $name() {
            beside_a_server(stringify!($body));
        }

        #[test]
        #[ignore = "run by the test of the same subject, beside a sound server"]
        fn $body() {
            bodies::$name();
        }
    )*};
}

beside_a_server! {
    what_is_played_is_captured => body_sound;
    any_rate_and_channel_count_works => body_formats;
    a_lost_device_ends_nothing_and_is_reopened => body_loss;
    a_dead_server_ends_nothing_and_is_found_again => body_server;
    the_watcher_tells_of_new_devices => body_watch;
    a_device_is_closed_when_its_drop_returns => body_close;
}

fn pactl(arguments: &[&str]) -> String {
    let output = Command::new("pactl").args(arguments).output().unwrap();
    assert!(output.status.success(), "pactl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn load_sink(name: &str, more: &[&str]) -> String {
    let name = format!("sink_name={name}");
    pactl(&[&["load-module", "module-null-sink", "norewinds=1", &name], more].concat())
}

fn device(name: &str) -> DeviceChoice {
    DeviceChoice::Device(format!("pulseaudio:{name}"))
}

/// A playing tone and a capture that are told apart from silence by their loudness.
struct Ear {
    _capture: Capture,
    frames: Receiver<VoiceFrame>,
    events: Receiver<DeviceEvent>,
    decoder: OpusDecoder,
}

impl Ear {
    fn open(choice: DeviceChoice) -> Self {
        let (sender, frames) = channel();
        let (told, events) = channel();
        let config = CaptureConfig {
            device: choice,
            processing: Processing::OFF,
            events: DeviceEvents::new(move |event| drop(told.send(event))),
            ..CaptureConfig::default()
        };
        let capture = Capture::start(config, None, Box::new(move |frame| drop(sender.send(frame)))).unwrap();
        Self { _capture: capture, frames, events, decoder: OpusDecoder::new().unwrap() }
    }

    fn frame(&mut self) -> (VoiceFrame, Vec<f32>) {
        let frame = self.frames.recv_timeout(Duration::from_secs(2)).expect("frames never stop");
        let mut samples = vec![0.0; 960];
        self.decoder.decode(&frame.opus, &mut samples).unwrap();
        (frame, samples)
    }

    /// Until so many frames in a row are (or are not) loud.
    fn wait_for(&mut self, loud: bool, frames: usize) {
        let deadline = Instant::now() + PATIENCE;
        let mut row = 0;
        while row < frames {
            assert!(Instant::now() < deadline, "never {}", if loud { "heard" } else { "silent" });
            let (_, samples) = self.frame();
            row = if (Level::of(&samples).dbfs() > -30.0) == loud { row + 1 } else { 0 };
        }
    }

    fn wait_for_event(&self, wanted: impl Fn(&DeviceState) -> bool) -> DeviceEvent {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let event = self.events.recv_timeout(deadline - Instant::now()).expect("the event never came");
            if event.kind == DeviceKind::Microphone && wanted(&event.state) {
                return event;
            }
        }
    }
}

/// Plays a tone (−20 dBFS) into a sink until it is dropped.
struct Tone {
    _capture: Capture,
    _playout: Playout,
    events: Receiver<DeviceEvent>,
}

impl Tone {
    fn play(choice: DeviceChoice) -> Self {
        let (told, events) = channel();
        let events_of = DeviceEvents::new(move |event| drop(told.send(event)));
        let playout =
            Playout::start(PlayoutConfig { device: choice, events: events_of, ..PlayoutConfig::default() }).unwrap();
        let receiver = playout.add("tone").unwrap();
        let mut sequence = 0u16;
        let on_frame = move |frame: VoiceFrame| {
            sequence = sequence.wrapping_add(1);
            receiver.push(sequence, frame.timestamp, Instant::now(), &frame.opus);
        };
        let config = CaptureConfig {
            device: DeviceChoice::Synthetic(Synthetic::Tone(440)),
            processing: Processing::OFF,
            ..CaptureConfig::default()
        };
        let capture = Capture::start(config, None, Box::new(on_frame)).unwrap();
        Self { _capture: capture, _playout: playout, events }
    }
}

mod bodies {
    use super::*;

    pub fn what_is_played_is_captured() {
        let found = list();
        assert!(found.speakers.iter().any(|d| d.id == "pulseaudio:ahoy_a" && d.is_default), "{found:?}");
        assert!(found.microphones.iter().any(|d| d.id == "pulseaudio:ahoy_b.monitor" && d.is_default), "{found:?}");
        let mut ear = Ear::open(device("ahoy_a.monitor"));
        ear.wait_for_event(|s| matches!(s, DeviceState::Open { is_stand_in: false, .. }));
        ear.wait_for(false, 5);
        let tone = Tone::play(DeviceChoice::System);
        ear.wait_for(true, 25);
        // The ring's reserve grows with each underrun, so on a busy machine the first seconds may have holes; then two
        // seconds in a row must have none. How many there were is a measurement and only printed.
        let deadline = Instant::now() + PATIENCE;
        let mut windows: Vec<usize> = Vec::new();
        while !windows.ends_with(&[0, 0]) {
            assert!(Instant::now() < deadline, "holes never end: {windows:?} pieces of 2.5 ms in each second");
            // Pieces of a quarter block: a hole of one block lies on no grid, and two half-silent blocks would hide it.
            let holes = |samples: Vec<f32>| samples.chunks(120).filter(|b| Level::of(b).dbfs() < -30.0).count();
            windows.push((0..50).map(|_| holes(ear.frame().1)).sum());
        }
        println!("silent pieces of 2.5 ms in each second through PulseAudio: {windows:?}");
        drop(tone);
        ear.wait_for(false, 10);
        latency();
    }

    /// A burst into one sink, and when its monitor hears it.
    fn latency() {
        let mut ear = Ear::open(device("ahoy_b.monitor"));
        let playout = Playout::start(PlayoutConfig { device: device("ahoy_b"), ..PlayoutConfig::default() }).unwrap();
        let receiver = playout.add("burst").unwrap();
        let mut encoder = OpusEncoder::new(false).unwrap();
        let silence = encoder.encode(&[0.0; 960]).unwrap().unwrap();
        let burst: [f32; 960] = std::array::from_fn(|n| 0.5 * (n as f32 * 0.1).sin());
        let mut delays = Vec::new();
        let (mut sequence, mut sent_at) = (0u16, None::<Instant>);
        while sequence < 400 {
            let (frame, samples) = ear.frame();
            sequence += 1;
            let is_burst = sequence % 50 == 0;
            let payload = if is_burst { encoder.encode(&burst).unwrap().unwrap() } else { silence.clone() };
            if is_burst {
                sent_at = Some(Instant::now());
            }
            receiver.push(sequence, u32::from(sequence) * 960, Instant::now(), &payload);
            if Level::of(&samples).dbfs() > -30.0
                && let Some(sent) = sent_at.take()
            {
                delays.push(frame.captured_at.saturating_duration_since(sent));
            }
        }
        delays.sort();
        println!("packet in to captured frame out through PulseAudio: {delays:?}");
        assert!(delays.len() >= 5);
    }

    pub fn any_rate_and_channel_count_works() {
        for (name, format) in [
            ("mono8", &["rate=8000", "channels=1", "format=u8"][..]),
            ("wide", &["rate=44100", "channels=8", "format=s16le"]),
            ("fine", &["rate=96000", "channels=2", "format=float32le"]),
            ("cd", &["rate=44100", "channels=2", "format=s24-32le"]),
        ] {
            let module = load_sink(name, format);
            let mut ear = Ear::open(device(&format!("{name}.monitor")));
            let tone = Tone::play(device(name));
            ear.wait_for(true, 10);
            let (_, samples) = ear.frame();
            let loud = Level::of(&samples).dbfs();
            println!("{name}: {loud:.1} dBFS");
            assert!((-24.0..-16.0).contains(&loud), "{name}: {loud}");
            drop((ear, tone));
            pactl(&["unload-module", &module]);
        }
    }

    pub fn a_lost_device_ends_nothing_and_is_reopened() {
        let module = load_sink("gone", &[]);
        let mut ear = Ear::open(device("gone.monitor"));
        let tone = Tone::play(device("gone"));
        ear.wait_for(true, 10);
        pactl(&["unload-module", &module]);
        let lost = ear.wait_for_event(|s| matches!(s, DeviceState::Lost { .. }));
        assert!(matches!(lost.state, DeviceState::Lost { code: -1302, .. }), "{lost:?}");
        let deadline = Instant::now() + PATIENCE;
        let speaker = std::iter::from_fn(|| tone.events.recv_timeout(deadline - Instant::now()).ok())
            .find(|event| matches!(event.state, DeviceState::Lost { .. }));
        assert!(matches!(speaker.unwrap().state, DeviceState::Lost { code: -1321, .. }));
        // The default took over (and hears nothing): frames go on.
        ear.wait_for_event(|s| matches!(s, DeviceState::Open { .. }));
        ear.wait_for(false, 20);
        // It comes back, and both return to what was chosen.
        load_sink("gone", &[]);
        ear.wait_for(true, 10);
    }

    pub fn a_dead_server_ends_nothing_and_is_found_again() {
        let dir = PathBuf::from(std::env::var_os("XDG_RUNTIME_DIR").unwrap());
        let mut ear = Ear::open(device("ahoy_a.monitor"));
        let _tone = Tone::play(device("ahoy_a"));
        ear.wait_for(true, 10);
        assert!(sinks("stop", &dir).success());
        ear.wait_for_event(|s| matches!(s, DeviceState::Lost { code: -1302, .. }));
        ear.wait_for(false, 50);
        assert!(sinks("start", &dir).success());
        ear.wait_for_event(|s| matches!(s, DeviceState::Open { .. }));
        ear.wait_for(true, 10);
    }

    pub fn a_device_is_closed_when_its_drop_returns() {
        for _ in 0..5 {
            let mut ear = Ear::open(device("ahoy_a.monitor"));
            let tone = Tone::play(device("ahoy_a"));
            ear.wait_for(true, 5);
            assert_eq!(pactl(&["list", "short", "source-outputs"]).lines().count(), 1);
            let begun = Instant::now();
            drop(ear);
            let microphone = begun.elapsed();
            assert_eq!(pactl(&["list", "short", "source-outputs"]), "", "the microphone is released");
            let begun = Instant::now();
            drop(tone);
            println!("closed: microphone {microphone:?}, tone and speaker {:?}", begun.elapsed());
            assert_eq!(pactl(&["list", "short", "sink-inputs"]), "", "the speaker is released");
        }
    }

    pub fn the_watcher_tells_of_new_devices() {
        let (sender, lists) = channel();
        let _watcher = Watcher::start(move |list| drop(sender.send(list))).unwrap();
        let first = lists.recv_timeout(PATIENCE).unwrap();
        let module = load_sink("headset", &[]);
        let has = |wanted: bool| {
            let deadline = Instant::now() + PATIENCE;
            while lists
                .recv_timeout(deadline - Instant::now())
                .unwrap()
                .speakers
                .iter()
                .any(|d| d.id.ends_with(":headset"))
                != wanted
            {}
        };
        has(true);
        pactl(&["unload-module", &module]);
        has(false);
        assert_eq!(first.speakers.len(), 2);
    }
}
