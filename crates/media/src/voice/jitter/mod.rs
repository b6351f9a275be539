//! The adaptive jitter buffer: packets in as the network gives them, an even stream of 10 ms blocks out.
//!
//! Its axis is media time (RTP timestamps). A packet's *transit* is its arrival minus its timestamp; the least transit
//! of the last seconds is the base line, and whatever a packet arrives above it is jitter. The *delay* is how far the
//! sample now played lies behind the base line. The buffer keeps the delay at a target (a high quantile of the jitter
//! and one block): above it whole periods are taken out of the voice, below it they are put in. The base line follows
//! the difference of both clocks by itself.
//!
//! What is missing when it is due is recovered from the next packet (Opus in-band FEC), else concealed. With nothing to
//! go on the voice is stretched by concealment and no media time is used up, so a late packet is still heard.
//!
//! No clock inside: times are arguments, so that tests run in virtual time.

mod timing;

use super::codec::{LONGEST, OpusDecoder};
use super::stretch::{self, LOOK_AHEAD, LOOK_BACK};
use super::{BLOCK, FRAME, SAMPLE_RATE};
use std::collections::BTreeMap;
use std::time::Duration;
use timing::Timing;

/// Bounds of the delay.
#[derive(Clone, Copy, Debug)]
pub struct JitterConfig {
    /// Never aim lower.
    pub min_delay: Duration,
    /// Never aim higher; what is later is lost.
    pub max_delay: Duration,
}

impl Default for JitterConfig {
    fn default() -> Self {
        Self { min_delay: Duration::from_millis(10), max_delay: Duration::from_millis(400) }
    }
}

/// Counts since the start, and how it stands.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct JitterStats {
    /// Packets taken in, without duplicates.
    pub received: u64,
    /// Packets that were not there when they were due.
    pub lost: u64,
    /// Of the lost: those that arrived too late.
    pub late: u64,
    /// Packets that came again.
    pub duplicates: u64,
    /// Packets thrown away: no Opus, too many waiting, or skipped to cut an excessive delay.
    pub discarded: u64,
    /// Lost packets given back by FEC.
    pub recovered: u64,
    /// Samples made up because nothing was there (48 kHz).
    pub concealed_samples: u64,
    /// Samples given out in all.
    pub played_samples: u64,
    /// Samples put in by stretching.
    pub inserted_samples: u64,
    /// Samples taken out.
    pub removed_samples: u64,
    /// Delay now, behind the fastest packet.
    pub delay: Duration,
    /// Delay aimed at.
    pub target: Duration,
    /// Interarrival jitter (RFC 3550, 6.4.1).
    pub jitter: Duration,
}

struct Packet {
    timestamp: i64,
    samples: usize,
    payload: Vec<u8>,
}

/// Reorders, adapts and decodes one sender's voice.
pub struct JitterBuffer {
    config: JitterConfig,
    decoder: OpusDecoder,
    /// By extended sequence number.
    packets: BTreeMap<i64, Packet>,
    /// Highest extended sequence number and its timestamp.
    newest: Option<(i64, i64)>,
    /// Which of the 128 numbers up to the newest have arrived.
    seen: u128,
    /// A packet from another time line; a second one proves that the sender restarted.
    suspect: Option<u16>,
    next_sequence: i64,
    /// Of the next sample to be decoded.
    next_timestamp: i64,
    /// Nothing has been played since the start or a long pause: wait for the target before playing.
    is_fresh: bool,
    /// Samples made up since the last decoded one, without using up media time.
    waited: usize,
    /// Decoded and not yet given out.
    pcm: Vec<f32>,
    /// Given out last.
    past: Vec<f32>,
    timing: Timing,
    /// Smoothed delay in samples.
    delay: f64,
    /// Something was made up or skipped: the next look at the delay counts in full.
    is_delay_unknown: bool,
    /// Share of packets lost of late, 0 to 1.
    loss: f64,
    pulls_since_stretch: u32,
    stats: JitterStats,
}

/// Most packets that wait (3 s of 20 ms): full, the oldest goes.
const PACKET_LIMIT: usize = 150;
/// A sequence number this far off comes from another time line.
const SEQUENCE_JUMP_LIMIT: i64 = 1000;
/// So does a transit this far off.
const TRANSIT_JUMP_LIMIT: i64 = 2 * SAMPLE_RATE as i64;
/// After such a pause in which nothing came, the sender's time line may have moved.
const PAUSE: usize = SAMPLE_RATE as usize / 2;
/// Delay beyond the target that is cut at once instead of by stretching.
const EXCESS_LIMIT: f64 = 0.4 * SAMPLE_RATE as f64;
/// Least delay at which the packet after a lost one is here in time: its 20 ms and half a block.
const FEC_DELAY: i64 = SAMPLE_RATE as i64 / 40;
/// Wait so long before treating the next packet as a new beginning.
const FRESH_AFTER: usize = SAMPLE_RATE as usize / 5;

fn to_samples(time: Duration) -> i64 {
    (time.as_nanos() * u128::from(SAMPLE_RATE) / 1_000_000_000) as i64
}

fn to_duration(samples: f64) -> Duration {
    Duration::from_secs_f64(samples.max(0.0) / f64::from(SAMPLE_RATE))
}

impl JitterBuffer {
    /// Empty.
    ///
    /// # Errors
    /// Opus gives no decoder.
    pub fn new(config: JitterConfig) -> Result<Self, opus::Error> {
        Ok(Self {
            config,
            decoder: OpusDecoder::new()?,
            packets: BTreeMap::new(),
            newest: None,
            seen: 0,
            suspect: None,
            next_sequence: 0,
            next_timestamp: 0,
            is_fresh: true,
            waited: 0,
            pcm: Vec::with_capacity(LONGEST * 2),
            past: vec![0.0; LOOK_BACK],
            timing: Timing::default(),
            delay: 0.0,
            is_delay_unknown: true,
            loss: 0.0,
            pulls_since_stretch: 0,
            stats: JitterStats::default(),
        })
    }

    /// Takes a packet that arrived at `now` (since any fixed moment; the same clock as for [`Self::pull`]).
    pub fn push(&mut self, now: Duration, sequence: u16, timestamp: u32, payload: &[u8]) {
        let Some(samples) = OpusDecoder::samples(payload) else {
            self.stats.discarded += 1;
            return;
        };
        let now = to_samples(now);
        let Some((sequence, timestamp)) = self.place(now, sequence, timestamp) else { return };
        if !self.mark_seen(sequence) {
            self.stats.duplicates += 1;
            return;
        }
        self.stats.received += 1;
        let transit = now - timestamp;
        if self.packets.is_empty()
            && self.waited >= PAUSE
            && (transit - self.timing.base()).abs() > 3 * PAUSE as i64 / 5
        {
            self.timing.rebase();
        }
        self.timing.arrived(now, transit);
        self.stats.jitter = to_duration(self.timing.interarrival());
        if sequence < self.next_sequence {
            self.stats.late += 1;
            return;
        }
        self.packets.insert(sequence, Packet { timestamp, samples, payload: payload.to_vec() });
        if self.packets.len() > PACKET_LIMIT {
            self.packets.pop_first();
            self.stats.discarded += 1;
        }
    }

    /// Gives the next 10 ms, at `now`.
    pub fn pull(&mut self, now: Duration, out: &mut [f32; BLOCK]) {
        let now = to_samples(now);
        if self.newest.is_some() {
            self.cut_excess(now);
            while self.pcm.len() < BLOCK {
                self.step(now);
            }
            self.observe(now);
            self.stretch(now);
        } else {
            self.pcm.resize(BLOCK, 0.0);
        }
        out.copy_from_slice(&self.pcm[..BLOCK]);
        self.pcm.drain(..BLOCK);
        self.past.drain(..BLOCK.min(self.past.len()));
        self.past.extend_from_slice(out);
        self.stats.played_samples += BLOCK as u64;
    }

    /// Counts and state.
    pub fn stats(&self) -> JitterStats {
        JitterStats { delay: to_duration(self.delay), target: to_duration(self.target() as f64), ..self.stats }
    }

    /// Whether a packet was ever decoded.
    pub fn has_played(&self) -> bool {
        self.newest.is_some() && !self.is_fresh
    }

    fn target(&self) -> i64 {
        let target = self.timing.target();
        // FEC comes with the next packet: where packets get lost, wait for it.
        let target = if self.loss > 0.01 { target.max(FEC_DELAY) } else { target };
        target.clamp(to_samples(self.config.min_delay), to_samples(self.config.max_delay))
    }

    /// Extends sequence number and timestamp; `None` for a packet from nowhere.
    fn place(&mut self, now: i64, sequence: u16, timestamp: u32) -> Option<(i64, i64)> {
        let Some((newest, newest_at)) = self.newest else {
            return Some(self.restart(sequence, timestamp));
        };
        let extended = newest + i64::from(sequence.wrapping_sub(newest as u16) as i16);
        let at = newest_at + i64::from(timestamp.wrapping_sub(newest_at as u32) as i32);
        let is_odd = (extended - newest).abs() > SEQUENCE_JUMP_LIMIT
            || (self.waited < PAUSE && (now - at - self.timing.base()).abs() > TRANSIT_JUMP_LIMIT);
        if !is_odd {
            self.suspect = None;
            if extended > newest {
                self.seen = self.seen.checked_shl((extended - newest).min(128) as u32).unwrap_or(0);
                self.newest = Some((extended, at));
            }
            return Some((extended, at));
        }
        // RFC 3550, A.1: two packets in order make a new source.
        if self.suspect.is_some_and(|s| (1..=3).contains(&sequence.wrapping_sub(s))) {
            tracing::debug!("the sender restarted its time line");
            return Some(self.restart(sequence, timestamp));
        }
        self.suspect = Some(sequence);
        self.stats.discarded += 1;
        None
    }

    fn restart(&mut self, sequence: u16, timestamp: u32) -> (i64, i64) {
        // Far above zero, so that reordered packets before the first never wrap.
        let (sequence, timestamp) = (i64::from(sequence) + (1 << 20), i64::from(timestamp) + (1 << 40));
        self.packets.clear();
        self.timing.rebase();
        self.newest = Some((sequence, timestamp));
        self.seen = 0;
        self.suspect = None;
        (self.next_sequence, self.next_timestamp) = (sequence, timestamp);
        self.is_fresh = true;
        (sequence, timestamp)
    }

    fn mark_seen(&mut self, sequence: i64) -> bool {
        let age = self.newest.map_or(0, |(newest, _)| newest - sequence);
        if !(0..128).contains(&age) {
            return true;
        }
        let bit = 1u128 << age;
        let is_new = self.seen & bit == 0;
        self.seen |= bit;
        is_new
    }

    /// How late a sample of this timestamp is played if it is played now.
    fn delay_of(&self, now: i64, timestamp: i64) -> i64 {
        now - self.timing.base() - timestamp
    }

    /// After an outage everything comes at once: skip instead of stretching for many seconds.
    fn cut_excess(&mut self, now: i64) {
        let Some((&first, packet)) = self.packets.first_key_value() else { return };
        let excess = self.delay_of(now, packet.timestamp) - self.target();
        if (excess as f64) < EXCESS_LIMIT {
            return;
        }
        let target = self.target();
        let base = self.timing.base();
        let kept = self.packets.iter().find(|(_, p)| now - base - p.timestamp <= target + FRAME as i64);
        let Some(to) = kept.map(|(k, _)| *k).or_else(|| self.packets.last_key_value().map(|(k, _)| *k)) else { return };
        if to > first {
            self.packets = self.packets.split_off(&to);
            self.stats.discarded += (to - first) as u64;
        }
        self.is_delay_unknown = true;
        self.jump();
    }

    /// Continues at the first packet that waits.
    fn jump(&mut self) {
        if let Some((&sequence, packet)) = self.packets.first_key_value() {
            (self.next_sequence, self.next_timestamp) = (sequence, packet.timestamp);
        }
    }

    /// Adds something to `pcm`: decoded, recovered or made up.
    fn step(&mut self, now: i64) {
        let Some((&sequence, packet)) = self.packets.first_key_value() else {
            return self.wait();
        };
        let (timestamp, samples) = (packet.timestamp, packet.samples);
        let is_due = self.delay_of(now, timestamp) >= self.target();
        if self.is_fresh {
            if !is_due {
                return self.wait();
            }
            self.jump();
            self.is_fresh = false;
            self.waited = 0;
            return self.decode_first();
        }
        let missing = sequence - self.next_sequence;
        let gap = timestamp - self.next_timestamp;
        match missing {
            // In order; a timestamp behind is a sender's whim.
            0 if gap <= 0 => {
                self.next_timestamp = timestamp;
                self.decode_first();
            }
            // Nothing was sent in between (DTX).
            0 if is_due => {
                self.waited = 0;
                self.jump();
                self.decode_first();
            }
            0 => self.wait(),
            // It may still come.
            _ if self.delay_of(now, self.next_timestamp) < self.target() => self.wait(),
            // A long hole, and its end is due.
            4.. if is_due => {
                self.lose(missing as u64);
                self.jump();
                self.decode_first();
            }
            1 if gap > 0 && gap <= LONGEST as i64 => {
                self.lose(1);
                self.recover(gap as usize);
            }
            _ => {
                self.lose(1);
                let samples = samples.min(gap.max(120) as usize);
                self.conceal(samples);
                self.stats.concealed_samples += samples as u64;
                self.next_timestamp += samples as i64;
            }
        }
    }

    fn lose(&mut self, packets: u64) {
        self.stats.lost += packets;
        self.loss += (1.0 - self.loss) * 0.01 * packets.min(3) as f64;
        self.next_sequence += packets as i64;
    }

    fn decode_first(&mut self) {
        let Some((sequence, packet)) = self.packets.pop_first() else { return };
        self.loss *= 0.99;
        // What was made up in the meantime was a hole to the ear.
        self.stats.concealed_samples += std::mem::take(&mut self.waited) as u64;
        let mut buffer = [0.0; LONGEST];
        match self.decoder.decode(&packet.payload, &mut buffer) {
            Ok(made) => self.pcm.extend_from_slice(&buffer[..made]),
            Err(e) => {
                tracing::debug!("Opus could not decode: {e}");
                self.stats.discarded += 1;
                self.conceal(packet.samples);
            }
        }
        self.next_sequence = sequence + 1;
        self.next_timestamp += packet.samples as i64;
    }

    /// The one packet before the first that waits, from the latter's FEC.
    fn recover(&mut self, samples: usize) {
        let mut buffer = [0.0; LONGEST];
        // Opus takes multiples of 2.5 ms.
        let whole = samples - samples % 120;
        let made = match self.packets.first_key_value() {
            Some((_, next)) if whole > 0 => self.decoder.recover(&next.payload, &mut buffer[..whole]).ok(),
            _ => None,
        };
        match made {
            Some(made) => {
                self.pcm.extend_from_slice(&buffer[..made]);
                self.stats.recovered += 1;
            }
            None => {
                self.conceal(samples);
                self.stats.concealed_samples += samples as u64;
            }
        }
        self.next_timestamp += samples as i64;
    }

    /// Makes up one block without using up media time.
    fn wait(&mut self) {
        if self.waited < SAMPLE_RATE as usize && !self.is_fresh {
            self.conceal(BLOCK);
        } else {
            self.pcm.extend_from_slice(&[0.0; BLOCK]);
        }
        self.waited += BLOCK;
        self.is_fresh |= self.waited >= FRESH_AFTER;
    }

    fn conceal(&mut self, samples: usize) {
        let mut left = samples.min(LONGEST);
        left -= left % 120;
        let mut buffer = [0.0; FRAME];
        while left > 0 {
            let now = left.min(FRAME);
            if self.decoder.conceal(&mut buffer[..now]).is_err() {
                buffer[..now].fill(0.0);
            }
            self.pcm.extend_from_slice(&buffer[..now]);
            left -= now;
        }
    }

    /// Follows the delay of what is about to be played.
    fn observe(&mut self, now: i64) {
        if self.is_fresh || self.waited > 0 {
            self.is_delay_unknown = true;
            return;
        }
        let front = self.next_timestamp - self.pcm.len() as i64;
        let delay = self.delay_of(now, front) as f64;
        // Smooths over bursts of a speaker that asks for several blocks at once.
        let weight = if std::mem::take(&mut self.is_delay_unknown) { 1.0 } else { 1.0 / 16.0 };
        self.delay += (delay - self.delay) * weight;
        self.pulls_since_stretch = self.pulls_since_stretch.saturating_add(1);
    }

    fn stretch(&mut self, now: i64) {
        // More than one packet above the target is worth a cut; below it, act sooner: running dry is heard.
        const ABOVE: f64 = 720.0;
        const BELOW: f64 = 144.0;
        const URGENT: f64 = 2400.0;
        if self.is_fresh || self.waited > 0 {
            return;
        }
        let off = self.delay - self.target() as f64;
        let is_urgent = !(-URGENT / 2.0..=URGENT).contains(&off);
        if self.pulls_since_stretch < if is_urgent { 1 } else { 3 } {
            return;
        }
        let change = if off > ABOVE {
            while self.pcm.len() < LOOK_AHEAD + BLOCK && self.is_next_here() {
                self.step(now);
            }
            // Never leaves less than the block that is about to be played.
            if self.pcm.len() < LOOK_AHEAD + BLOCK { 0 } else { -(stretch::shorten(&mut self.pcm, is_urgent) as i64) }
        } else if off < -BELOW {
            stretch::lengthen(&self.past, &mut self.pcm, is_urgent) as i64
        } else {
            return;
        };
        if change != 0 {
            self.delay += change as f64;
            self.pulls_since_stretch = 0;
            self.stats.removed_samples += change.min(0).unsigned_abs();
            self.stats.inserted_samples += change.max(0) as u64;
        }
    }

    fn is_next_here(&self) -> bool {
        self.packets
            .first_key_value()
            .is_some_and(|(s, p)| *s == self.next_sequence && p.timestamp == self.next_timestamp)
    }
}
