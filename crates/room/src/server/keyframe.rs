//! Finding the first packet of a keyframe, the only thing the room reads inside media.
//!
//! A layer is switched, and a subscription starts, at such a packet. Codecs other than H.264 and VP8 are not read.

/// What the room can read of a track's payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readable {
    /// H.264 (RFC 6184).
    H264,
    /// VP8 (RFC 7741).
    Vp8,
    /// Anything else: forwarded as one layer, from the first packet on.
    Opaque,
}

impl Readable {
    /// From the encoding name of `a=rtpmap`, in any case.
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        if name.eq_ignore_ascii_case("h264") {
            Self::H264
        } else if name.eq_ignore_ascii_case("vp8") {
            Self::Vp8
        } else {
            Self::Opaque
        }
    }

    /// Whether a decoder can start at the packet with this payload. Always false for [`Readable::Opaque`].
    #[must_use]
    pub fn starts_keyframe(self, payload: &[u8]) -> bool {
        match self {
            Self::H264 => h264_starts_keyframe(payload),
            Self::Vp8 => vp8_starts_keyframe(payload),
            Self::Opaque => false,
        }
    }
}

const NAL_IDR: u8 = 5;
const NAL_SPS: u8 = 7;
const NAL_STAP_A: u8 = 24;
const NAL_FU_A: u8 = 28;

/// RFC 6184 section 5.2. A sequence parameter set leads the keyframe of every encoder met; an IDR slice without one in
/// front counts too (parameter sets sent once), but only at its start.
fn h264_starts_keyframe(payload: &[u8]) -> bool {
    let Some(&first) = payload.first() else { return false };
    match first & 0x1f {
        NAL_IDR | NAL_SPS => true,
        NAL_STAP_A => stap_a_kinds(&payload[1..]).any(|kind| kind == NAL_SPS || kind == NAL_IDR),
        NAL_FU_A => {
            payload.get(1).is_some_and(|header| header & 0x80 != 0 && matches!(header & 0x1f, NAL_IDR | NAL_SPS))
        }
        _ => false,
    }
}

/// The NAL types inside a STAP-A (RFC 6184 section 5.7.1): 16-bit length, NAL, and again.
fn stap_a_kinds(mut rest: &[u8]) -> impl Iterator<Item = u8> {
    std::iter::from_fn(move || {
        let (&[high, low], tail) = rest.split_first_chunk::<2>()?;
        let length = usize::from(u16::from_be_bytes([high, low]));
        let kind = tail.first()? & 0x1f;
        rest = tail.get(length..).unwrap_or(&[]);
        Some(kind)
    })
}

/// RFC 7741 sections 4.2 and 4.3: start of partition 0, and the inverse key frame flag clear.
fn vp8_starts_keyframe(payload: &[u8]) -> bool {
    let mut bytes = payload.iter().copied();
    let Some(first) = bytes.next() else { return false };
    let starts_partition_zero = first & 0x10 != 0 && first & 0x07 == 0;
    if !starts_partition_zero {
        return false;
    }
    if first & 0x80 != 0 {
        let Some(extended) = bytes.next() else { return false };
        if extended & 0x80 != 0 {
            // A picture id of one byte, or of two when its first bit is set.
            let Some(picture) = bytes.next() else { return false };
            if picture & 0x80 != 0 && bytes.next().is_none() {
                return false;
            }
        }
        if extended & 0x40 != 0 && bytes.next().is_none() {
            return false;
        }
        if extended & 0x30 != 0 && bytes.next().is_none() {
            return false;
        }
    }
    bytes.next().is_some_and(|header| header & 0x01 == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_idr_an_sps_and_aggregates_of_them_start_a_keyframe() {
        let h264 = Readable::H264;
        assert!(h264.starts_keyframe(&[0x67, 0x42]));
        assert!(h264.starts_keyframe(&[0x65, 0x88]));
        assert!(!h264.starts_keyframe(&[0x41, 0x9a]));
        assert!(h264.starts_keyframe(&[0x78, 0, 2, 0x67, 0x42, 0, 1, 0x68]), "STAP-A with SPS and PPS");
        assert!(!h264.starts_keyframe(&[0x78, 0, 2, 0x41, 0x9a]), "STAP-A of a plain slice");
        assert!(h264.starts_keyframe(&[0x7c, 0x85, 0]), "first FU-A of an IDR");
        assert!(!h264.starts_keyframe(&[0x7c, 0x05, 0]), "a later FU-A of an IDR");
        assert!(!h264.starts_keyframe(&[]));
    }

    #[test]
    fn a_vp8_keyframe_is_seen_behind_every_descriptor() {
        let vp8 = Readable::Vp8;
        assert!(vp8.starts_keyframe(&[0x10, 0x00]));
        assert!(!vp8.starts_keyframe(&[0x10, 0x01]), "an interframe");
        assert!(!vp8.starts_keyframe(&[0x00, 0x00]), "not the start of a partition");
        assert!(!vp8.starts_keyframe(&[0x11, 0x00]), "the start of partition 1");
        assert!(vp8.starts_keyframe(&[0x90, 0x80, 0x05, 0x00]), "one byte of picture id");
        assert!(vp8.starts_keyframe(&[0x90, 0x80, 0x85, 0x01, 0x00]), "two bytes of picture id");
        assert!(vp8.starts_keyframe(&[0x90, 0xf0, 0x85, 0x01, 0x07, 0x20, 0x00]), "all of it");
        assert!(!vp8.starts_keyframe(&[0x90, 0xf0, 0x85, 0x01, 0x07, 0x20]), "cut short");
    }

    proptest! {
        #[test]
        fn no_payload_panics(payload in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = Readable::H264.starts_keyframe(&payload);
            let _ = Readable::Vp8.starts_keyframe(&payload);
            prop_assert!(!Readable::Opaque.starts_keyframe(&payload));
        }
    }
}
