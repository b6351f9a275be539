//! RTP payloads to complete access units (RFC 6184: single NAL, STAP-A, FU-A).
//!
//! Packets are put in order within a small window, units are joined, and what is not whole is thrown away. After any
//! loss the gate is shut until the next complete IDR: a decoder never sees a picture that refers to something missing.
//! Whatever the input, nothing panics and memory is bounded.

use super::CLOCK_RATE;
use super::nal::{START_CODE, is_sound, kind, kind_of, pps_id, sps_id};
use crate::frame::AccessUnit;
use std::collections::BTreeMap;
use std::time::Duration;

/// Bounds of the window.
#[derive(Clone, Copy, Debug)]
pub struct DepacketizerConfig {
    /// A missing packet is given up when so many later ones wait.
    pub window: usize,
    /// Or when the media time of what waits spans so much. Longer lets a retransmission in, shorter asks sooner for a
    /// keyframe.
    pub patience: Duration,
}

impl Default for DepacketizerConfig {
    fn default() -> Self {
        Self { window: 128, patience: Duration::from_millis(150) }
    }
}

/// What was wrong with a payload. The gate is shut by it; more packets may follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PacketError {
    /// A kind that packetization mode 1 does not have.
    #[error("the payload kind {0} is not allowed")]
    Kind(u8),
    /// Lengths inside do not add up.
    #[error("the payload is cut short")]
    Truncated,
    /// A fragment without its beginning, or of another unit.
    #[error("the fragment does not continue anything")]
    Fragment,
    /// A unit that could not stand in Annex B.
    #[error("the unit is damaged")]
    Damaged,
    /// An access unit that grows beyond all reason.
    #[error("the access unit is too large")]
    TooLarge,
}

/// Counts since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DepacketizerStats {
    /// Packets taken in order.
    pub packets: u64,
    /// Packets given up.
    pub lost: u64,
    /// Packets that came again or too late.
    pub stale: u64,
    /// Payloads that were refused.
    pub refused: u64,
    /// Access units handed out.
    pub handed_out: u64,
    /// Complete access units held back by the gate.
    pub held_back: u64,
}

#[derive(Clone)]
struct Waiting {
    timestamp: u32,
    marker: bool,
    payload: Vec<u8>,
}

/// One track's packets in, its access units out.
pub struct Depacketizer {
    config: DepacketizerConfig,
    /// Packets beyond a hole, by extended sequence number.
    waiting: BTreeMap<i64, Waiting>,
    next: Option<i64>,
    /// Packets of the first access unit as they were taken, until it ends: one that should have been before them may
    /// still come. `None` afterwards.
    beginning: Option<Vec<(i64, Waiting)>>,
    assembly: Assembly,
    gate: Gate,
    sps: BTreeMap<u8, Vec<u8>>,
    pps: BTreeMap<u8, Vec<u8>>,
    /// First timestamp of the track, and the last, extended.
    clock: Option<(i64, i64)>,
    wants_keyframe: bool,
    stats: DepacketizerStats,
}

/// Whether pictures are handed out.
///
/// ```text
/// Shut --complete IDR--> Open --loss or damage--> Shut
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
enum Gate {
    Shut,
    Open,
}

/// The access unit that is being joined.
#[derive(Default)]
struct Assembly {
    timestamp: Option<u32>,
    /// Annex B.
    data: Vec<u8>,
    /// A FU-A under way, from its header on; empty between units.
    fragment: Vec<u8>,
    has_idr: bool,
    has_slice: bool,
    has_sps: bool,
    has_pps: bool,
    /// Something of it is missing or wrong.
    is_damaged: bool,
}

/// Largest access unit: ten times a 1080p IDR of fine quality.
const ACCESS_UNIT_LIMIT: usize = 4 << 20;
/// Largest packet that is kept.
const PACKET_LIMIT: usize = 65_535;
/// A sequence number this far off is a restart of the sender.
const JUMP_LIMIT: i64 = 4096;

impl Default for Depacketizer {
    fn default() -> Self {
        Self::new(DepacketizerConfig::default())
    }
}

impl Depacketizer {
    /// Shut until the first IDR.
    pub fn new(config: DepacketizerConfig) -> Self {
        Self {
            config,
            waiting: BTreeMap::new(),
            next: None,
            beginning: Some(Vec::new()),
            assembly: Assembly::default(),
            gate: Gate::Shut,
            sps: BTreeMap::new(),
            pps: BTreeMap::new(),
            clock: None,
            wants_keyframe: false,
            stats: DepacketizerStats::default(),
        }
    }

    /// Takes one packet (padding already removed; an empty payload only counts). Gives the access units that it
    /// completes, oldest first.
    ///
    /// # Errors
    /// The first thing that was wrong; units that were complete before it are then lost with it, and the gate is shut.
    pub fn push(
        &mut self,
        sequence: u16,
        timestamp: u32,
        marker: bool,
        payload: &[u8],
    ) -> Result<Vec<AccessUnit>, PacketError> {
        if payload.len() > PACKET_LIMIT {
            return Err(PacketError::TooLarge);
        }
        let next = self.next.unwrap_or(i64::from(sequence) + 65_536);
        let mut extended = next + i64::from(sequence.wrapping_sub(next as u16) as i16);
        if (extended - next).abs() > JUMP_LIMIT {
            self.lose(self.waiting.len() as u64 + 1);
            self.waiting.clear();
            // Numbers of before and after cannot be put into one order.
            self.beginning = None;
            extended = i64::from(sequence) + 65_536;
            self.next = Some(extended);
        } else {
            self.next = Some(next);
        }
        if extended < next && next - extended <= self.config.window as i64 {
            self.begin_again(extended);
        }
        if self.next.is_some_and(|next| extended < next) || self.waiting.contains_key(&extended) {
            self.stats.stale += 1;
            return Ok(Vec::new());
        }
        self.waiting.insert(extended, Waiting { timestamp, marker, payload: payload.to_vec() });
        self.drain()
    }

    /// True once per need: the caller asks the sender for a keyframe. Asks again for as long as the gate is shut and
    /// pictures keep being held back.
    pub fn wants_keyframe(&mut self) -> bool {
        std::mem::take(&mut self.wants_keyframe)
    }

    /// Shuts the gate: a decoder that lost its way needs an IDR.
    pub fn shut(&mut self) {
        self.gate = Gate::Shut;
        self.wants_keyframe = true;
    }

    /// Counts.
    pub fn stats(&self) -> DepacketizerStats {
        self.stats
    }

    /// The track's first packets came out of order: takes them back.
    fn begin_again(&mut self, sequence: i64) {
        let Some(taken) = &mut self.beginning else { return };
        let Some(&(first, _)) = taken.first() else { return };
        // A copy, or a hole that was given up, is no new beginning.
        if sequence >= first {
            return;
        }
        self.stats.packets -= taken.len() as u64;
        self.waiting.extend(taken.drain(..));
        self.assembly = Assembly::default();
        self.next = Some(sequence);
    }

    fn drain(&mut self) -> Result<Vec<AccessUnit>, PacketError> {
        let mut done = Vec::new();
        let mut wrong = None;
        while let Some((&sequence, first)) = self.waiting.first_key_value() {
            let next = self.next.unwrap_or(sequence);
            if sequence != next {
                let newest = self.waiting.last_key_value().map_or(first.timestamp, |(_, w)| w.timestamp);
                let span = newest.wrapping_sub(first.timestamp);
                let patience = (self.config.patience.as_millis() as u32).saturating_mul(CLOCK_RATE / 1000);
                let is_over = self.waiting.len() > self.config.window || (span < u32::MAX / 2 && span > patience);
                if !is_over {
                    break;
                }
                self.lose((sequence - next) as u64);
            }
            let Some((sequence, packet)) = self.waiting.pop_first() else { break };
            self.next = Some(sequence + 1);
            self.stats.packets += 1;
            match &mut self.beginning {
                Some(taken) if taken.len() < self.config.window => taken.push((sequence, packet.clone())),
                Some(_) => self.beginning = None,
                None => {}
            }
            if let Err(e) = self.take(packet, &mut done) {
                self.stats.refused += 1;
                self.assembly.spoil();
                self.shut();
                wrong.get_or_insert(e);
            }
        }
        match wrong {
            Some(e) if done.is_empty() => Err(e),
            Some(e) => {
                tracing::debug!("a packet was refused: {e}");
                Ok(done)
            }
            None => Ok(done),
        }
    }

    fn lose(&mut self, packets: u64) {
        self.stats.lost += packets;
        self.assembly.spoil();
        self.shut();
    }

    /// One packet in order.
    fn take(&mut self, packet: Waiting, done: &mut Vec<AccessUnit>) -> Result<(), PacketError> {
        // Padding that only probes the path.
        if packet.payload.is_empty() {
            return Ok(());
        }
        if self.assembly.timestamp.is_some_and(|t| t != packet.timestamp) {
            // The marker was lost or never set.
            self.finish(done);
        }
        self.assembly.timestamp = Some(packet.timestamp);
        let result = self.assembly.add(&packet.payload);
        if packet.marker {
            if result.is_err() {
                self.assembly.spoil();
            }
            self.finish(done);
        }
        result
    }

    /// Hands the access unit out if it is whole and the gate allows.
    fn finish(&mut self, done: &mut Vec<AccessUnit>) {
        self.beginning = None;
        let unit = std::mem::take(&mut self.assembly);
        let Some(timestamp) = unit.timestamp else { return };
        let timestamp = self.media_time(timestamp);
        if unit.is_damaged || !unit.fragment.is_empty() {
            self.shut();
            return;
        }
        self.remember(&unit);
        // Parameter sets alone belong to the next picture: remembered is enough.
        if !unit.has_slice {
            return;
        }
        if unit.has_idr {
            let missing = !(unit.has_sps && unit.has_pps);
            if missing && (self.sps.is_empty() || self.pps.is_empty()) {
                self.shut();
                return;
            }
            self.gate = Gate::Open;
            self.wants_keyframe = false;
        }
        if self.gate == Gate::Shut {
            self.stats.held_back += 1;
            self.wants_keyframe = true;
            return;
        }
        self.stats.handed_out += 1;
        let data = if unit.has_idr { self.with_parameter_sets(&unit) } else { unit.data };
        done.push(AccessUnit { data: data.into(), is_keyframe: unit.has_idr, timestamp });
    }

    fn remember(&mut self, unit: &Assembly) {
        if !unit.has_sps && !unit.has_pps {
            return;
        }
        for nal in super::nal::split(&unit.data) {
            match kind_of(nal[0]) {
                kind::SPS => {
                    if let Some(id) = sps_id(nal) {
                        self.sps.insert(id, nal.to_vec());
                    }
                }
                kind::PPS => {
                    if let Some(id) = pps_id(nal) {
                        self.pps.insert(id, nal.to_vec());
                    }
                }
                _ => {}
            }
        }
    }

    /// SPS and PPS stand before each IDR, whether the sender repeats them or not.
    fn with_parameter_sets(&self, unit: &Assembly) -> Vec<u8> {
        let mut data = Vec::with_capacity(unit.data.len() + 128);
        let sps = self.sps.values().filter(|_| !unit.has_sps);
        let pps = self.pps.values().filter(|_| !unit.has_pps);
        for set in sps.chain(pps) {
            data.extend_from_slice(&START_CODE);
            data.extend_from_slice(set);
        }
        data.extend_from_slice(&unit.data);
        data
    }

    fn media_time(&mut self, timestamp: u32) -> Duration {
        let (first, last) = self.clock.unwrap_or((i64::from(timestamp), i64::from(timestamp)));
        let now = last + i64::from(timestamp.wrapping_sub(last as u32) as i32);
        self.clock = Some((first, now));
        Duration::from_micros((now - first).max(0) as u64 * 1_000_000 / u64::from(CLOCK_RATE))
    }
}

impl Assembly {
    fn spoil(&mut self) {
        self.is_damaged = true;
        self.fragment.clear();
        self.data.clear();
    }

    fn add(&mut self, payload: &[u8]) -> Result<(), PacketError> {
        let header = *payload.first().ok_or(PacketError::Truncated)?;
        let kind = kind_of(header);
        if kind != kind::FU_A && !self.fragment.is_empty() {
            return Err(PacketError::Fragment);
        }
        match kind {
            1..=23 => self.add_unit(payload),
            kind::STAP_A => self.add_aggregate(&payload[1..]),
            kind::FU_A => self.add_fragment(header, &payload[1..]),
            _ => Err(PacketError::Kind(kind)),
        }
    }

    fn add_unit(&mut self, unit: &[u8]) -> Result<(), PacketError> {
        // cabac_zero_words and trailing zeros belong to the byte stream, not to the unit.
        let zeros = unit.iter().rev().take_while(|b| **b == 0).count();
        let unit = &unit[..unit.len() - zeros];
        if !is_sound(unit) {
            return Err(PacketError::Damaged);
        }
        if self.data.len() + unit.len() > ACCESS_UNIT_LIMIT {
            return Err(PacketError::TooLarge);
        }
        match kind_of(unit[0]) {
            kind::IDR => (self.has_idr, self.has_slice) = (true, true),
            kind::SLICE..=4 => self.has_slice = true,
            kind::SPS => self.has_sps = true,
            kind::PPS => self.has_pps = true,
            _ => {}
        }
        if !self.is_damaged {
            self.data.extend_from_slice(&START_CODE);
            self.data.extend_from_slice(unit);
        }
        Ok(())
    }

    /// 5.7.1: lengths of two bytes, each followed by a unit, to the last byte.
    fn add_aggregate(&mut self, mut rest: &[u8]) -> Result<(), PacketError> {
        if rest.is_empty() {
            return Err(PacketError::Truncated);
        }
        while !rest.is_empty() {
            let (size, tail) = rest.split_at_checked(2).ok_or(PacketError::Truncated)?;
            let size = usize::from(u16::from_be_bytes([size[0], size[1]]));
            let (unit, tail) = tail.split_at_checked(size).ok_or(PacketError::Truncated)?;
            self.add_unit(unit)?;
            rest = tail;
        }
        Ok(())
    }

    /// 5.8: a header with start and end bits, then a piece.
    fn add_fragment(&mut self, indicator: u8, rest: &[u8]) -> Result<(), PacketError> {
        let (&header, piece) = rest.split_first().ok_or(PacketError::Truncated)?;
        let (is_start, is_end, kind) = (header & 0x80 != 0, header & 0x40 != 0, header & 0x1f);
        if is_start && is_end || indicator & 0x80 != 0 {
            return Err(PacketError::Fragment);
        }
        let unit_header = indicator & 0x60 | kind;
        if is_start {
            if !self.fragment.is_empty() {
                return Err(PacketError::Fragment);
            }
            self.fragment.push(unit_header);
        } else if self.is_damaged && self.fragment.is_empty() {
            // The rest of a unit whose beginning was lost: known already.
            return Ok(());
        } else if self.fragment.first() != Some(&unit_header) {
            return Err(PacketError::Fragment);
        }
        if self.data.len() + self.fragment.len() + piece.len() > ACCESS_UNIT_LIMIT {
            return Err(PacketError::TooLarge);
        }
        self.fragment.extend_from_slice(piece);
        if is_end {
            let unit = std::mem::take(&mut self.fragment);
            self.add_unit(&unit)?;
        }
        Ok(())
    }
}
