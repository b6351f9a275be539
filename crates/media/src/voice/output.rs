//! Where the mix goes, in blocks of 10 ms.

use super::block::{BLOCK_TIME, Pace};
use super::convert::Converter;
use super::keeper::{Keeper, Line};
use super::wav::WavFile;
use super::{BLOCK, SAMPLE_RATE, VoiceError};
use crate::device::{DeviceChoice, DeviceEvents, DeviceKind, DeviceState};
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

/// A speaker of some sort.
pub(crate) enum Output {
    Device(Box<DeviceOutput>),
    /// A file, or nothing at all.
    Paced {
        file: Option<WavFile>,
        pace: Pace,
    },
}

impl Output {
    /// Must be called on the worker's thread: devices wake it.
    pub(crate) fn open(choice: &DeviceChoice, events: &DeviceEvents) -> Result<Self, VoiceError> {
        let pace = Pace::new(Instant::now(), BLOCK_TIME);
        match choice {
            DeviceChoice::System | DeviceChoice::Device(_) => {
                let (keeper, lines) = Keeper::start(choice.clone(), events.clone(), std::thread::current())?;
                Ok(Self::Device(Box::new(DeviceOutput::new(keeper, lines))))
            }
            DeviceChoice::File(path) => {
                let file = WavFile::create(path)?;
                let name = path.display().to_string();
                events.report(DeviceKind::Speaker, DeviceState::Open { name, is_stand_in: false });
                Ok(Self::Paced { file: Some(file), pace })
            }
            DeviceChoice::Synthetic(_) => Err(VoiceError::Choice("a synthetic speaker")),
            DeviceChoice::None => Ok(Self::Paced { file: None, pace }),
        }
    }

    /// When it wants the next block: not later than now means now.
    pub(crate) fn due(&mut self, now: Instant) -> Instant {
        match self {
            Self::Paced { pace, .. } => pace.due(),
            Self::Device(device) => device.due(now),
        }
    }

    /// Gives the block that was due.
    pub(crate) fn write(&mut self, now: Instant, block: &[f32; BLOCK]) {
        match self {
            Self::Paced { file, pace } => {
                pace.advance(now);
                if let Some(file) = file {
                    file.write(block);
                }
            }
            Self::Device(device) => device.write(now, block),
        }
    }
}

/// A real speaker: its callbacks empty a ring that is kept just full enough. Without one, blocks are taken at the same
/// pace and thrown away, so that the senders' clocks stay followed.
pub(crate) struct DeviceOutput {
    line: Option<Line<rtrb::Producer<f32>>>,
    converter: Converter,
    lines: Receiver<Line<rtrb::Producer<f32>>>,
    /// Pace while no device takes anything.
    idle: Pace,
    /// Callbacks seen, and when the last of them was.
    beat: (u64, Instant),
    /// Beyond what one callback takes (samples at the device's rate).
    margin: usize,
    underruns_seen: u64,
    _keeper: Keeper,
}

impl DeviceOutput {
    fn new(keeper: Keeper, lines: Receiver<Line<rtrb::Producer<f32>>>) -> Self {
        let idle = Pace::new(Instant::now(), BLOCK_TIME);
        let converter = Converter::from_voice(SAMPLE_RATE);
        let beat = (0, Instant::now());
        Self { line: None, converter, lines, idle, beat, margin: 0, underruns_seen: 0, _keeper: keeper }
    }

    /// A device that has not asked for so long takes nothing at present.
    const STALL: Duration = Duration::from_millis(300);

    /// First reserve for the worker's own delays, and the steps it grows by after each underrun.
    const MARGIN_STEP: Duration = Duration::from_millis(5);
    /// More reserve than this helps nobody.
    const MARGIN_LIMIT: Duration = Duration::from_millis(60);

    fn due(&mut self, now: Instant) -> Instant {
        if let Ok(line) = self.lines.try_recv() {
            self.converter = Converter::from_voice(line.rate);
            self.margin = samples(Self::MARGIN_STEP, line.rate);
            self.underruns_seen = 0;
            self.beat = (0, now);
            self.line = Some(line);
        }
        if self.line.as_ref().is_some_and(|line| line.ring.is_abandoned()) {
            self.line = None;
        }
        let Some(line) = &mut self.line else { return self.idle.due() };
        let beats = line.pulse.beats();
        if beats != self.beat.0 {
            self.beat = (beats, now);
        } else if now > self.beat.1 + Self::STALL {
            return self.idle.due();
        }
        let request = (line.pulse.request.load(Ordering::Relaxed) as usize).min(line.rate as usize / 5);
        let underruns = line.pulse.underruns.load(Ordering::Relaxed);
        // The first request finds an empty ring: no reason for more reserve.
        if underruns > self.underruns_seen.max(1) {
            self.margin =
                (self.margin + samples(Self::MARGIN_STEP, line.rate)).min(samples(Self::MARGIN_LIMIT, line.rate));
        }
        self.underruns_seen = underruns;
        let filled = line.ring.buffer().capacity() - line.ring.slots();
        let target = request + self.margin;
        // Full enough: the next callback wakes the worker.
        if filled < target { now } else { now + BLOCK_TIME }
    }

    fn write(&mut self, now: Instant, block: &[f32; BLOCK]) {
        let is_stalled = now > self.beat.1 + Self::STALL;
        match &mut self.line {
            Some(_) if !is_stalled => self.idle = Pace::new(now + BLOCK_TIME, BLOCK_TIME),
            _ => return self.idle.advance(now),
        }
        let Some(line) = &mut self.line else { return };
        for sample in self.converter.expand(block) {
            // Full: the device does not play; what is new is lost.
            if line.ring.push(*sample).is_err() {
                break;
            }
        }
    }
}

fn samples(duration: Duration, rate: u32) -> usize {
    (duration.as_secs_f64() * f64::from(rate)) as usize
}
