//! Capture to playout through files, in real time.

use crate::signal::{lag, voice};
use media::voice::{
    Capture, CaptureConfig, FRAME, Level, Playout, PlayoutConfig, Processing, Processor, VoiceFrame, read_mono,
};
use media::{DeviceChoice, Synthetic};
use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};

fn write_wav(path: &Path, samples: &[f32]) {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 48_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(path, spec).unwrap();
    for s in samples {
        writer.write_sample((s * 32_767.0) as i16).unwrap();
    }
    writer.finalize().unwrap();
}

fn off(device: DeviceChoice) -> CaptureConfig {
    CaptureConfig { device, processing: Processing::OFF, ..CaptureConfig::default() }
}

#[test]
fn a_file_is_heard_in_another_file_within_a_tenth_of_a_second() {
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (dir.path().join("in.wav"), dir.path().join("out.wav"));
    let source = voice(48_000 * 5);
    write_wav(&from, &source);
    let playout =
        Playout::start(PlayoutConfig { device: DeviceChoice::File(to.clone()), ..PlayoutConfig::default() }).unwrap();
    let receiver = std::sync::Arc::new(playout.add("bob").unwrap());
    // Both start at once: the lag in the file is the delay from mouth to ear.
    let (into, mut sequence) = (receiver.clone(), 0u16);
    let on_frame = move |frame: VoiceFrame| {
        sequence = sequence.wrapping_add(1);
        into.push(sequence, frame.timestamp, Instant::now(), &frame.opus);
    };
    let capture = Capture::start(off(DeviceChoice::File(from)), Some(playout.reference()), Box::new(on_frame)).unwrap();
    std::thread::sleep(Duration::from_secs(4));
    assert!(receiver.is_heard());
    assert!(receiver.level() > 10);
    let stats = receiver.stats();
    drop(capture);
    drop(playout);
    let heard = read_mono(&to).unwrap();
    let (late, alike) = lag(&source[48_000..96_000], &heard[48_000..], 24_000);
    println!("mouth to ear, file to file: {:.1} ms, alike {alike:.3}, {stats:?}", late as f32 / 48.0);
    // The codec changes phases: never quite one.
    assert!(alike > 0.7, "{alike}");
    assert_eq!(stats.lost, 0);
}

#[test]
fn nothing_is_handed_out_while_muted_or_after_the_end() {
    let (sender, frames) = mpsc::channel();
    let on_frame = move |frame: VoiceFrame| drop(sender.send(frame));
    let capture = Capture::start(off(DeviceChoice::Synthetic(Synthetic::Tone(440))), None, Box::new(on_frame)).unwrap();
    let first = frames.recv_timeout(Duration::from_secs(5)).unwrap();
    assert!((first.level.dbfs() + 20.0).abs() < 1.0, "{:?}", first.level);
    assert!(capture.level() > 50);
    capture.set_muted(true);
    // What was on its way may still come.
    std::thread::sleep(Duration::from_millis(100));
    frames.try_iter().for_each(drop);
    assert!(frames.recv_timeout(Duration::from_millis(200)).is_err());
    assert_eq!(capture.level(), 0);
    capture.set_muted(false);
    let later = frames.recv_timeout(Duration::from_secs(5)).unwrap();
    assert_eq!(later.timestamp.wrapping_sub(first.timestamp) % FRAME as u32, 0);
    assert!(later.timestamp.wrapping_sub(first.timestamp) > 10_000, "muted time counts");
    drop(capture);
    frames.try_iter().for_each(drop);
    assert!(frames.recv().is_err(), "the callback is gone with the capture");
}

#[test]
fn a_file_that_is_missing_is_refused_at_the_start() {
    let missing = DeviceChoice::File("/nonexistent/voice.wav".into());
    assert!(Capture::start(off(missing.clone()), None, Box::new(drop)).is_err());
    assert!(Playout::start(PlayoutConfig { device: missing, ..PlayoutConfig::default() }).is_err());
}

#[test]
fn an_echo_is_removed_and_the_near_voice_kept() {
    // Loudspeaker to microphone: 60 ms, a short room, half as loud.
    let far: Vec<f32> = voice(48_000 * 12).iter().zip(noise(48_000 * 12)).map(|(v, n)| v + 0.1 * n).collect();
    let mut processor =
        Processor::new(Processing { gain_control: false, noise_suppression: false, ..Processing::FULL });
    let echo_at = |n: usize| {
        let tap = |delay: usize, gain: f32| n.checked_sub(delay).map_or(0.0, |at| far[at] * gain);
        tap(2880, 0.4) + tap(3100, 0.15) + tap(3900, 0.08)
    };
    let (mut before, mut after) = (0.0, 0.0);
    for block in 0..far.len() / 480 {
        let played: [f32; 480] = far[block * 480..(block + 1) * 480].try_into().unwrap();
        processor.play(&played);
        let mut heard: [f32; 480] = std::array::from_fn(|n| echo_at(block * 480 + n));
        let echo: f32 = heard.iter().map(|s| s * s).sum();
        processor.process(&mut heard);
        if block > 600 {
            before += echo;
            after += heard.iter().map(|s| s * s).sum::<f32>();
        }
    }
    let erle = 10.0 * (before / after.max(1e-12)).log10();
    println!("echo reduction (ERLE) at 60 ms: {erle:.1} dB");
    assert!(erle > 25.0, "{erle}");
    // Nobody plays any more: the near voice passes.
    let near = voice(48_000 * 3);
    let mut out = Vec::new();
    for block in near.chunks_exact(480) {
        processor.play(&[0.0; 480]);
        let mut block: [f32; 480] = block.try_into().unwrap();
        processor.process(&mut block);
        out.extend_from_slice(&block);
    }
    let (loud, was) = (Level::of(&out[96_000..]).dbfs(), Level::of(&near[96_000..]).dbfs());
    assert!((loud - was).abs() < 3.0, "{loud} {was}");
}

fn noise(samples: usize) -> impl Iterator<Item = f32> {
    let mut dice = crate::signal::Dice::new(3);
    (0..samples).map(move |_| dice.below(2000) as f32 / 1000.0 - 1.0)
}
