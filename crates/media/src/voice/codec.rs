//! Opus (RFC 6716) as calls use it.

use super::{FRAME, SAMPLE_RATE};
use opus::{Application, Bitrate, Channels};

/// Longest Opus packet (RFC 6716, 3.4: 1275 bytes per frame).
const PACKET_LIMIT: usize = 1275;
/// Longest frame a packet can hold (RFC 6716, 3.2.5: 120 ms).
pub(crate) const LONGEST: usize = 5760;

/// Mono, 20 ms, in-band FEC.
pub struct OpusEncoder {
    inner: opus::Encoder,
}

impl OpusEncoder {
    /// About 32 kbit/s, tuned to 10 % loss so that FEC is really sent.
    pub fn new(dtx: bool) -> Result<Self, opus::Error> {
        let mut inner = opus::Encoder::new(SAMPLE_RATE, Channels::Mono, Application::Voip)?;
        inner.set_bitrate(Bitrate::Bits(32_000))?;
        inner.set_inband_fec(true)?;
        inner.set_packet_loss_perc(10)?;
        inner.set_dtx(dtx)?;
        // Half the cost of the highest, with no audible loss at this rate.
        inner.set_complexity(7)?;
        Ok(Self { inner })
    }

    /// Bits per second, 6 000 to 510 000.
    pub fn set_bitrate(&mut self, bits: u32) -> Result<(), opus::Error> {
        self.inner.set_bitrate(Bitrate::Bits(bits.clamp(6_000, 510_000) as i32))
    }

    /// One packet; `None` where DTX has nothing to send.
    pub fn encode(&mut self, frame: &[f32; FRAME]) -> Result<Option<Vec<u8>>, opus::Error> {
        let packet = self.inner.encode_vec_float(frame, PACKET_LIMIT)?;
        // libopus: a return of two bytes or less need not be transmitted.
        Ok((packet.len() > 2).then_some(packet))
    }
}

/// To mono, whatever the packet holds.
pub struct OpusDecoder {
    inner: opus::Decoder,
}

impl OpusDecoder {
    /// A fresh decoder.
    pub fn new() -> Result<Self, opus::Error> {
        Ok(Self { inner: opus::Decoder::new(SAMPLE_RATE, Channels::Mono)? })
    }

    /// Samples of a packet, `None` where it is not Opus.
    pub fn samples(packet: &[u8]) -> Option<usize> {
        let samples = opus::packet::get_nb_samples(packet, SAMPLE_RATE).ok()?;
        (1..=LONGEST).contains(&samples).then_some(samples)
    }

    /// Decodes a packet; returns how many samples were written.
    pub fn decode(&mut self, packet: &[u8], out: &mut [f32]) -> Result<usize, opus::Error> {
        self.inner.decode_float(packet, out, false)
    }

    /// Recovers the frame before `next` (as long as `out`) from its FEC; conceals where it carries none.
    pub fn recover(&mut self, next: &[u8], out: &mut [f32]) -> Result<usize, opus::Error> {
        self.inner.decode_float(next, out, true)
    }

    /// Makes up a continuation as long as `out` (a multiple of 2.5 ms).
    pub fn conceal(&mut self, out: &mut [f32]) -> Result<usize, opus::Error> {
        self.inner.decode_float(&[], out, false)
    }
}
