//! The H.264 depacketiser against order, loss and malice.

use crate::replay::{check, replay};
use crate::signal::Dice;
use media::AccessUnit;
use media::picture::{
    Depacketizer, DepacketizerConfig, Encoder, EncoderConfig, Packet, PacketError, Packetizer, Pattern,
};
use proptest::prelude::*;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

struct Stream {
    units: Vec<AccessUnit>,
    packets: Vec<(u16, u32, Packet)>,
}

/// 40 pictures with two keyframes, from just below both wraps.
fn stream() -> &'static Stream {
    static STREAM: OnceLock<Stream> = OnceLock::new();
    STREAM.get_or_init(|| {
        let pattern = Pattern::new(320, 180, "packets");
        let mut encoder = Encoder::new(EncoderConfig { bitrate: 500_000, frame_rate: 24.0 }).unwrap();
        let (mut units, mut packets, mut sequence) = (Vec::new(), Vec::new(), 65_500u16);
        for n in 0..40u32 {
            if n == 20 {
                encoder.force_keyframe();
            }
            let unit = encoder.encode(&pattern.draw(Duration::from_millis(u64::from(n) * 40), n)).unwrap().unwrap();
            for packet in Packetizer::new(300).packetize(&unit.data) {
                packets.push((sequence, (u32::MAX - 30_000).wrapping_add(n * 3_600), packet));
                sequence = sequence.wrapping_add(1);
            }
            units.push(unit);
        }
        Stream { units, packets }
    })
}

fn feed<'a>(
    depacketizer: &mut Depacketizer,
    packets: impl IntoIterator<Item = &'a (u16, u32, Packet)>,
) -> Vec<AccessUnit> {
    let mut out = Vec::new();
    for (sequence, timestamp, packet) in packets {
        out.extend(depacketizer.push(*sequence, *timestamp, packet.marker, &packet.payload).unwrap_or_default());
    }
    out
}

#[test]
fn what_was_packed_comes_out_byte_by_byte() {
    let stream = stream();
    assert!(stream.packets.iter().all(|(_, _, p)| p.payload.len() <= 300));
    assert!(stream.packets.iter().any(|(_, _, p)| p.payload[0] & 0x1f == 24), "parameter sets are aggregated");
    assert!(stream.packets.iter().any(|(_, _, p)| p.payload[0] & 0x1f == 28), "large units are fragmented");
    let out = feed(&mut Depacketizer::default(), &stream.packets);
    assert_eq!(out.len(), 40);
    for (n, (out, sent)) in out.iter().zip(&stream.units).enumerate() {
        assert_eq!(out.data, sent.data, "{n}");
        assert_eq!(out.is_keyframe, sent.is_keyframe);
        assert_eq!(out.timestamp, Duration::from_millis(n as u64 * 40));
    }
}

#[test]
fn the_gate_opens_with_the_first_keyframe_and_asks_for_it() {
    let stream = stream();
    let second = stream.packets.iter().position(|(_, t, _)| *t != stream.packets[0].1).unwrap();
    let mut depacketizer = Depacketizer::default();
    let out = feed(&mut depacketizer, &stream.packets[second..]);
    assert_eq!(out.len(), 20);
    assert!(out[0].is_keyframe);
    let mut depacketizer = Depacketizer::default();
    feed(&mut depacketizer, &stream.packets[second..second + 30]);
    assert!(depacketizer.wants_keyframe());
}

#[test]
fn parameter_sets_stand_before_every_keyframe_even_when_sent_once() {
    let stream = stream();
    let mut is_first = true;
    let only_once: Vec<_> = stream
        .packets
        .iter()
        .filter(|(_, _, p)| p.payload[0] & 0x1f != 24 || std::mem::take(&mut is_first))
        .enumerate()
        .map(|(n, (_, t, p))| (n as u16, *t, p.clone()))
        .collect();
    let out = feed(&mut Depacketizer::default(), &only_once);
    let keyframes: Vec<_> = out.iter().filter(|u| u.is_keyframe).collect();
    assert_eq!(keyframes.len(), 2);
    assert_eq!(keyframes[1].data, stream.units[20].data);
}

#[test]
fn a_missing_packet_is_given_up_in_bounded_time_and_memory() {
    let stream = stream();
    let mut depacketizer = Depacketizer::new(DepacketizerConfig { window: 8, patience: Duration::from_secs(10) });
    let at = stream.packets.iter().position(|(_, t, _)| *t == (u32::MAX - 30_000).wrapping_add(5 * 3_600)).unwrap();
    let mut packets: Vec<_> = stream.packets.iter().collect();
    packets.remove(at);
    let out = feed(&mut depacketizer, packets);
    assert_eq!(depacketizer.stats().lost, 1);
    assert_eq!(out.len(), 5 + 20, "up to the loss, and from the next keyframe");
    assert!(out[5].is_keyframe);
}

#[test]
fn every_kind_of_damage_has_its_error() {
    let cases: [(&[u8], PacketError); 12] = [
        (&[0x18], PacketError::Truncated),
        (&[0x18, 0], PacketError::Truncated),
        (&[0x18, 0, 9, 0x67], PacketError::Truncated),
        (&[0x18, 0, 2, 0x67, 1, 7], PacketError::Truncated),
        (&[0x18, 0, 0], PacketError::Damaged),
        (&[0x1c], PacketError::Truncated),
        (&[0x1c, 0x05, 1], PacketError::Fragment),
        (&[0x1c, 0xc5, 1], PacketError::Fragment),
        (&[0x1d, 0x85, 0, 0, 1], PacketError::Kind(29)),
        (&[0x00, 1], PacketError::Kind(0)),
        (&[0x65, 1, 0, 0, 1, 0x67], PacketError::Damaged),
        (&[0xe5, 1], PacketError::Damaged),
    ];
    for (payload, error) in cases {
        let mut depacketizer = Depacketizer::default();
        assert_eq!(depacketizer.push(1, 0, true, payload).unwrap_err(), error, "{payload:x?}");
        assert!(depacketizer.wants_keyframe());
    }
}

fn corpus() -> Vec<(PathBuf, Vec<u8>)> {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/depacketizer");
    let mut files: Vec<_> = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    files.into_iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

#[test]
fn the_corpus_does_no_harm() {
    let corpus = corpus();
    assert!(corpus.len() >= 20, "{}", corpus.len());
    for (_, bytes) in corpus {
        replay(&bytes);
    }
}

/// `FUZZ_ROUNDS` raises the number; a crash is kept by adding its bytes to the corpus.
#[test]
fn mutations_of_the_corpus_do_no_harm() {
    let rounds: u64 = std::env::var("FUZZ_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(3_000);
    let corpus = corpus();
    for seed in 0..rounds {
        let mut dice = Dice::new(seed + 1);
        let mut bytes = corpus[dice.below(corpus.len() as u64) as usize].1.clone();
        for _ in 0..=dice.below(8) {
            let at = dice.below(bytes.len() as u64 + 1) as usize;
            match dice.below(4) {
                0 if at < bytes.len() => bytes[at] = dice.next() as u8,
                1 if at < bytes.len() => bytes[at] ^= 1 << dice.below(8),
                2 => bytes.truncate(at.max(9)),
                _ => {
                    let other = &corpus[dice.below(corpus.len() as u64) as usize].1;
                    let from = dice.below(other.len() as u64) as usize;
                    bytes.splice(at..at, other[from..other.len().min(from + 40)].iter().copied());
                }
            }
        }
        let outcome = std::panic::catch_unwind(|| replay(&bytes));
        assert!(outcome.is_err().then_some(seed).is_none(), "seed {seed}: {bytes:x?}");
    }
}

proptest! {
    #[test]
    fn any_bytes_do_no_harm(packets in prop::collection::vec((any::<u16>(), any::<u32>(), any::<bool>(), prop::collection::vec(any::<u8>(), 0..64)), 0..64)) {
        let mut depacketizer = Depacketizer::default();
        for (sequence, timestamp, marker, payload) in packets {
            if let Ok(units) = depacketizer.push(sequence, timestamp, marker, &payload) {
                check(&units);
            }
        }
    }

    #[test]
    fn loss_swaps_and_copies_never_give_a_damaged_unit(seed in any::<u64>(), loss in 0u64..20, swap in 0u64..20, copy in 0u64..20) {
        let stream = stream();
        let mut dice = Dice::new(seed);
        let mut packets: Vec<&(u16, u32, Packet)> = Vec::new();
        for packet in &stream.packets {
            if dice.percent(loss) {
                continue;
            }
            packets.push(packet);
            if dice.percent(copy) {
                packets.push(packet);
            }
        }
        for n in 1..packets.len() {
            if dice.percent(swap) {
                packets.swap(n - 1, n);
            }
        }
        let out = feed(&mut Depacketizer::default(), packets);
        // In order, each exactly as sent, and after a hole a keyframe.
        let mut last = None;
        for unit in &out {
            let n = stream.units.iter().position(|sent| sent.data == unit.data);
            let n = n.expect("handed out as it was sent");
            prop_assert!(last.is_none_or(|last| n > last));
            prop_assert!(unit.is_keyframe || last == Some(n - 1), "{n} after {last:?}");
            last = Some(n);
        }
        if loss == 0 {
            prop_assert_eq!(out.len(), 40);
        }
    }
}
