//! What must hold of any packets that the depacketiser gets; the fuzzer (`fuzz/`) asks it, too.
#![allow(clippy::unwrap_used, reason = "a test that is surprised fails")]

use media::AccessUnit;
use media::picture::Depacketizer;

/// Whatever went in: what comes out is Annex B of units that may stand there, at least one of them a picture's.
pub fn check(units: &[AccessUnit]) {
    for unit in units {
        assert!(unit.data.starts_with(&[0, 0, 0, 1]));
        let mut kinds = Vec::new();
        for nal in openh264::nal_units(&unit.data) {
            let header = nal[nal.iter().position(|byte| *byte == 1).unwrap() + 1];
            assert_eq!(header & 0x80, 0, "forbidden bit");
            kinds.push(header & 0x1f);
        }
        assert!(kinds.iter().all(|kind| (1..=23).contains(kind)), "{kinds:?}");
        assert!(kinds.iter().any(|kind| (1..=5).contains(kind)), "{kinds:?}");
        assert_eq!(unit.is_keyframe, kinds.contains(&5));
        assert!(!unit.is_keyframe || kinds.contains(&7) && kinds.contains(&8), "{kinds:?}");
    }
}

/// Bytes as packets.
pub fn replay(bytes: &[u8]) {
    let mut depacketizer = Depacketizer::default();
    let mut rest = bytes;
    // Records: sequence (2), timestamp (4), marker (1), length (2), payload; all big-endian.
    while let Some((head, tail)) = rest.split_at_checked(9) {
        let sequence = u16::from_be_bytes([head[0], head[1]]);
        let timestamp = u32::from_be_bytes([head[2], head[3], head[4], head[5]]);
        let length = usize::from(u16::from_be_bytes([head[7], head[8]])).min(tail.len());
        let (payload, tail) = tail.split_at(length);
        if let Ok(units) = depacketizer.push(sequence, timestamp, head[6] & 1 == 1, payload) {
            check(&units);
        }
        depacketizer.wants_keyframe();
        rest = tail;
    }
}
