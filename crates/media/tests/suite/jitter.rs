//! The jitter buffer in virtual time: networks by numbers.

use crate::signal::{Dice, correlation, gaps, voice};
use media::voice::{BLOCK, FRAME, JitterBuffer, JitterConfig, JitterStats, OpusDecoder, OpusEncoder};
use std::time::Duration;

struct Sent {
    at: f64,
    sequence: u16,
    timestamp: u32,
    payload: Vec<u8>,
}

/// Each packet as the sender makes it: ready when its last sample is captured (times in ms).
fn packets(source: &[f32], first_sequence: u16, first_timestamp: u32) -> Vec<Sent> {
    let mut encoder = OpusEncoder::new(false).unwrap();
    source
        .chunks_exact(FRAME)
        .enumerate()
        .map(|(n, frame)| Sent {
            at: (n + 1) as f64 * 20.0,
            sequence: first_sequence.wrapping_add(n as u16),
            timestamp: first_timestamp.wrapping_add((n * FRAME) as u32),
            payload: encoder.encode(frame.try_into().unwrap()).unwrap().unwrap(),
        })
        .collect()
}

struct Heard {
    samples: Vec<f32>,
    stats: JitterStats,
    /// Mean delay over the second half, in ms.
    delay: f64,
    worst_delay: f64,
}

/// What a perfect network gives: the codec changes phases, so the source itself is no yardstick.
fn coded(source: &[f32]) -> Vec<f32> {
    let mut decoder = OpusDecoder::new().unwrap();
    let mut out = Vec::new();
    for packet in packets(source, 0, 0) {
        let mut frame = [0.0; FRAME];
        decoder.decode(&packet.payload, &mut frame).unwrap();
        out.extend_from_slice(&frame);
    }
    out
}

/// Plays what arrives, one block in `pull_every` ms, until `until` ms.
fn play(mut arriving: Vec<Sent>, until: f64, pull_every: f64) -> Heard {
    arriving.sort_by(|a, b| a.at.total_cmp(&b.at));
    let mut buffer = JitterBuffer::new(JitterConfig::default()).unwrap();
    let mut samples = Vec::new();
    let mut arriving = arriving.into_iter().peekable();
    let (mut now, mut sum, mut count, mut worst) = (3.0, 0.0, 0, 0f64);
    while now < until {
        while let Some(packet) = arriving.next_if(|p| p.at <= now) {
            let at = Duration::from_secs_f64(packet.at / 1000.0);
            buffer.push(at, packet.sequence, packet.timestamp, &packet.payload);
        }
        let mut block = [0.0; BLOCK];
        buffer.pull(Duration::from_secs_f64(now / 1000.0), &mut block);
        samples.extend_from_slice(&block);
        if now > until / 2.0 {
            let delay = buffer.stats().delay.as_secs_f64() * 1000.0;
            sum += delay;
            count += 1;
            worst = worst.max(delay);
        }
        now += pull_every;
    }
    Heard { samples, stats: buffer.stats(), delay: sum / f64::from(count), worst_delay: worst }
}

fn report(name: &str, heard: &Heard, alike: f32) {
    println!(
        "{name}: delay {:.1} ms (worst {:.1}), alike {alike:.3}, gaps {}, {:?}",
        heard.delay,
        heard.worst_delay,
        gaps(&heard.samples[24_000..]),
        heard.stats
    );
}

const SECONDS: usize = 20;

#[test]
fn a_clean_path_costs_little_and_changes_nothing() {
    let source = voice(48_000 * SECONDS);
    let heard = play(packets(&source, 1, 0), 20_000.0, 10.0);
    let alike = correlation(&coded(&source), &heard.samples, 3_000);
    report("clean", &heard, alike);
    assert!(heard.delay <= 25.0);
    assert_eq!((heard.stats.lost, heard.stats.concealed_samples), (0, 0));
    assert_eq!(heard.stats.removed_samples + heard.stats.inserted_samples, 0);
    assert_eq!(gaps(&heard.samples[4_800..]), 0);
    assert!(alike > 0.99);
}

#[test]
fn five_percent_loss_is_mostly_recovered() {
    let source = voice(48_000 * SECONDS);
    let mut dice = Dice::new(5);
    let arriving = packets(&source, 60_000, 7).into_iter().filter(|_| !dice.percent(5)).collect();
    let heard = play(arriving, 20_000.0, 10.0);
    let alike = correlation(&coded(&source), &heard.samples, 3_000);
    report("loss 5 %", &heard, alike);
    assert!(heard.stats.lost > 30);
    assert!(heard.stats.recovered * 10 >= heard.stats.lost * 8, "single losses are given back by FEC");
    assert_eq!(gaps(&heard.samples[4_800..]), 0);
    // The buffer waits for the FEC of the next packet where packets get lost.
    assert!(heard.delay <= 45.0);
    assert!(alike > 0.95);
}

#[test]
fn jitter_of_120_ms_with_loss_is_smoothed() {
    let source = voice(48_000 * SECONDS);
    let mut dice = Dice::new(6);
    let mut arriving = packets(&source, 65_500, u32::MAX - 100_000);
    arriving.retain(|_| !dice.percent(5));
    for packet in &mut arriving {
        packet.at += dice.below(120_000) as f64 / 1000.0;
    }
    let heard = play(arriving, 20_000.0, 10.0);
    let alike = correlation(&coded(&source), &heard.samples, 12_000);
    report("jitter 0-120 ms, loss 5 %, reordered, both wraps", &heard, alike);
    // It begins as for a clean path and learns: what that costs is printed, and must end.
    let learning = gaps(&heard.samples[4_800..96_000]);
    println!("  {learning} silent pieces of 2.5 ms in the first two seconds");
    assert!(learning <= 40, "{learning}");
    assert_eq!(gaps(&heard.samples[96_000..]), 0);
    assert!(heard.delay < 165.0, "{}", heard.delay);
    assert!(heard.stats.late * 100 < heard.stats.received * 5, "few are too late");
    assert!(alike > 0.95);
}

#[test]
fn duplicates_and_swaps_are_harmless() {
    let source = voice(48_000 * SECONDS);
    let mut dice = Dice::new(7);
    let mut arriving = packets(&source, 100, 0);
    let again: Vec<Sent> = arriving
        .iter()
        .filter(|_| dice.percent(20))
        .map(|p| Sent { at: p.at + 3.0, payload: p.payload.clone(), ..*p })
        .collect();
    let copies = again.len() as u64;
    arriving.extend(again);
    let heard = play(arriving, 20_100.0, 10.0);
    report("duplicates", &heard, correlation(&coded(&source), &heard.samples, 3_000));
    assert_eq!(heard.stats.duplicates, copies);
    assert_eq!((heard.stats.received, heard.stats.lost), (1000, 0));
    assert_eq!(heard.stats.concealed_samples, 0);
}

#[test]
fn a_restarted_sender_is_heard_again_at_once() {
    let source = voice(48_000 * SECONDS);
    let mut arriving = packets(&source, 100, 0);
    for packet in &mut arriving[500..] {
        packet.sequence = packet.sequence.wrapping_add(30_000);
        packet.timestamp = packet.timestamp.wrapping_add(3_000_000_000);
    }
    let heard = play(arriving, 20_000.0, 10.0);
    report("restart", &heard, correlation(&coded(&source), &heard.samples, 3_000));
    // 100 ms around the change may be made up.
    assert!(heard.stats.concealed_samples <= 4_800);
    assert!(gaps(&heard.samples[4_800..]) <= 32);
    assert!(heard.delay <= 30.0);
}

#[test]
fn pauses_without_packets_are_no_loss() {
    let source = voice(48_000 * SECONDS);
    // Sequence numbers go on, timestamps jump: 600 ms of each 2 s are not sent.
    let mut sequence = 0u16;
    let arriving: Vec<Sent> = packets(&source, 0, 0)
        .into_iter()
        .enumerate()
        .filter(|(n, _)| n % 100 < 70)
        .map(|(_, packet)| {
            sequence += 1;
            Sent { sequence, ..packet }
        })
        .collect();
    let heard = play(arriving, 20_000.0, 10.0);
    report("pauses", &heard, 0.0);
    assert_eq!((heard.stats.lost, heard.stats.discarded, heard.stats.late), (0, 0, 0));
    assert_eq!(heard.stats.concealed_samples, 0);
    assert!(heard.stats.target <= Duration::from_millis(15));
}

#[test]
fn clocks_that_differ_do_not_add_up() {
    for (name, pull_every) in [("listener 300 ppm fast", 9.997), ("listener 300 ppm slow", 10.003)] {
        let source = voice(48_000 * 60);
        let heard = play(packets(&source, 1, 0), 59_900.0, pull_every);
        report(name, &heard, 0.0);
        assert!(heard.worst_delay <= 45.0, "{name}");
        assert_eq!(heard.stats.concealed_samples, 0, "{name}");
        assert_eq!(gaps(&heard.samples[4_800..]), 0, "{name}");
    }
}

#[test]
fn the_senders_clock_may_drift() {
    for (name, step) in [("sender 300 ppm fast", 0.9997), ("sender 300 ppm slow", 1.0003)] {
        let source = voice(48_000 * 60);
        let mut arriving = packets(&source, 1, 0);
        for packet in &mut arriving {
            packet.at *= step;
        }
        let heard = play(arriving, 59_900.0, 10.0);
        report(name, &heard, 0.0);
        assert!(heard.worst_delay <= 45.0, "{name}");
        // A handful of blocks while the base line is still that of some seconds ago.
        assert!(heard.stats.concealed_samples <= 48_000 / 10, "{name}");
    }
}

#[test]
fn an_outage_is_left_behind_quickly() {
    let source = voice(48_000 * SECONDS);
    let mut arriving = packets(&source, 1, 0);
    // One second in which nothing comes, then all of it at once.
    for packet in &mut arriving {
        if (8_000.0..9_000.0).contains(&packet.at) {
            packet.at = 9_000.0;
        }
    }
    let heard = play(arriving, 20_000.0, 10.0);
    report("outage of 1 s", &heard, 0.0);
    let tail = &heard.samples[48_000 * 11..];
    assert_eq!(gaps(tail), 0);
    assert!(correlation(&coded(&source)[48_000 * 11..], tail, 4_800) > 0.9, "in time again two seconds later");
    assert!(heard.delay < 200.0);
}

#[test]
fn noise_instead_of_packets_does_no_harm() {
    let mut buffer = JitterBuffer::new(JitterConfig::default()).unwrap();
    let mut dice = Dice::new(9);
    let mut block = [0.0; BLOCK];
    for n in 0..20_000u64 {
        let payload: Vec<u8> = (0..dice.below(80)).map(|_| dice.next() as u8).collect();
        let now = Duration::from_millis(n * 3);
        buffer.push(now, dice.next() as u16, dice.next() as u32, &payload);
        if n % 3 == 0 {
            buffer.pull(now, &mut block);
            assert!(block.iter().all(|s| s.is_finite()));
        }
    }
}
