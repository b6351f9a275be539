//! Access units to RTP payloads (RFC 6184, packetization mode 1).

use super::nal::{kind, kind_of, split};

/// One RTP payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Payload, without the RTP header.
    pub payload: Vec<u8>,
    /// Last of its access unit.
    pub marker: bool,
}

/// Makes payloads of at most `limit` bytes: parameter sets together in a STAP-A, small units alone, large ones in FU-A.
#[derive(Clone, Copy, Debug)]
pub struct Packetizer {
    limit: usize,
}

impl Default for Packetizer {
    /// 1200 bytes of payload: with RTP, SRTP, UDP and IPv6 headers below every common MTU.
    fn default() -> Self {
        Self::new(1200)
    }
}

impl Packetizer {
    /// `limit` in bytes, at least 64.
    pub fn new(limit: usize) -> Self {
        Self { limit: limit.max(64) }
    }

    /// One access unit in Annex B. Empty where it holds no unit.
    pub fn packetize(&self, access_unit: &[u8]) -> Vec<Packet> {
        let mut payloads: Vec<Vec<u8>> = Vec::new();
        let mut sets: Vec<&[u8]> = Vec::new();
        for unit in split(access_unit) {
            if matches!(kind_of(unit[0]), kind::SPS | kind::PPS) {
                sets.push(unit);
                continue;
            }
            self.flush(&mut sets, &mut payloads);
            self.add(unit, &mut payloads);
        }
        self.flush(&mut sets, &mut payloads);
        let last = payloads.len().saturating_sub(1);
        payloads.into_iter().enumerate().map(|(n, payload)| Packet { payload, marker: n == last }).collect()
    }

    /// Parameter sets as one STAP-A (5.7.1) where they fit.
    fn flush(&self, sets: &mut Vec<&[u8]>, payloads: &mut Vec<Vec<u8>>) {
        let size = 1 + sets.iter().map(|s| s.len() + 2).sum::<usize>();
        if sets.len() < 2 || size > self.limit {
            for unit in sets.drain(..) {
                self.add(unit, payloads);
            }
            return;
        }
        // The highest nal_ref_idc of its units.
        let importance = sets.iter().map(|s| s[0] & 0x60).max().unwrap_or(0);
        let mut payload = Vec::with_capacity(size);
        payload.push(importance | kind::STAP_A);
        for unit in sets.drain(..) {
            payload.extend_from_slice(&(unit.len() as u16).to_be_bytes());
            payload.extend_from_slice(unit);
        }
        payloads.push(payload);
    }

    /// Alone, or in fragments (5.8) of about equal size.
    fn add(&self, unit: &[u8], payloads: &mut Vec<Vec<u8>>) {
        if unit.len() <= self.limit {
            payloads.push(unit.to_vec());
            return;
        }
        let indicator = unit[0] & 0xe0 | kind::FU_A;
        let body = &unit[1..];
        let pieces = body.len().div_ceil(self.limit - 2);
        let size = body.len().div_ceil(pieces);
        let last = body.chunks(size).len() - 1;
        for (n, piece) in body.chunks(size).enumerate() {
            let flags = if n == 0 { 0x80 } else { 0 } | if n == last { 0x40 } else { 0 };
            let mut payload = Vec::with_capacity(piece.len() + 2);
            payload.push(indicator);
            payload.push(flags | kind_of(unit[0]));
            payload.extend_from_slice(piece);
            payloads.push(payload);
        }
    }
}
