//! Where captured voice comes from, in blocks of 10 ms.

use super::block::{BLOCK_TIME, Pace};
use super::convert::Converter;
use super::keeper::{Keeper, Line};
use super::wav::read_mono;
use super::{BLOCK, SAMPLE_RATE, VoiceError};
use crate::device::{DeviceChoice, DeviceEvents, DeviceKind, DeviceState, Synthetic};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

/// A microphone of some sort.
pub(crate) enum Input {
    Device(Box<DeviceInput>),
    Clip { samples: Vec<f32>, at: usize, pace: Pace },
    Tone { step: f32, phase: f32, pace: Pace },
    Silence { pace: Pace },
}

/// What an input has to say. Passed by value once in 10 ms: no box.
#[allow(clippy::large_enum_variant)]
pub(crate) enum Next {
    Block([f32; BLOCK]),
    /// Nothing before that; a device wakes the thread sooner.
    Wait(Instant),
}

/// −20 dBFS (root mean square) as the amplitude of a sine.
const TONE_AMPLITUDE: f32 = 0.141_4;

impl Input {
    /// Must be called on the worker's thread: devices wake it.
    pub(crate) fn open(choice: &DeviceChoice, events: &DeviceEvents) -> Result<Self, VoiceError> {
        let pace = Pace::new(Instant::now() + BLOCK_TIME, BLOCK_TIME);
        let opened = |name: String| {
            events.report(DeviceKind::Microphone, DeviceState::Open { name, is_stand_in: false });
        };
        match choice {
            DeviceChoice::System | DeviceChoice::Device(_) => {
                let (keeper, lines) = Keeper::start(choice.clone(), events.clone(), std::thread::current())?;
                Ok(Self::Device(Box::new(DeviceInput::new(keeper, lines))))
            }
            DeviceChoice::File(path) => {
                let samples = read_mono(path)?;
                opened(path.display().to_string());
                Ok(Self::Clip { samples, at: 0, pace: Pace::new(Instant::now() + BLOCK_TIME, BLOCK_TIME) })
            }
            DeviceChoice::Synthetic(Synthetic::Tone(hertz)) => {
                opened(format!("Tone of {hertz} Hz"));
                Ok(Self::Tone { step: *hertz as f32 / SAMPLE_RATE as f32, phase: 0.0, pace })
            }
            DeviceChoice::Synthetic(Synthetic::Pattern(_)) => Err(VoiceError::Choice("a test pattern")),
            DeviceChoice::None => Ok(Self::Silence { pace }),
        }
    }

    pub(crate) fn next(&mut self, now: Instant) -> Next {
        let pace = match self {
            Self::Device(device) => return device.next(now),
            Self::Clip { pace, .. } | Self::Tone { pace, .. } | Self::Silence { pace } => pace,
        };
        if now < pace.due() {
            return Next::Wait(pace.due());
        }
        pace.advance(now);
        let mut block = [0.0; BLOCK];
        match self {
            Self::Clip { samples, at, .. } => {
                for s in &mut block {
                    *s = samples[*at];
                    *at = (*at + 1) % samples.len();
                }
            }
            Self::Tone { step, phase, .. } => {
                for s in &mut block {
                    *s = TONE_AMPLITUDE * (*phase * std::f32::consts::TAU).sin();
                    *phase = (*phase + *step).fract();
                }
            }
            Self::Silence { .. } | Self::Device(_) => {}
        }
        Next::Block(block)
    }
}

/// A real microphone. Where it gives nothing, silence goes on at the same pace.
pub(crate) struct DeviceInput {
    line: Option<Line<rtrb::Consumer<f32>>>,
    converter: Converter,
    lines: Receiver<Line<rtrb::Consumer<f32>>>,
    /// Until when voice was given out.
    given_until: Instant,
    _keeper: Keeper,
}

impl DeviceInput {
    /// A device may pause for so long before silence is put in; longer hides a slow start, shorter doubles time when a
    /// device delivers in bursts.
    const PATIENCE: Duration = Duration::from_millis(60);

    fn new(keeper: Keeper, lines: Receiver<Line<rtrb::Consumer<f32>>>) -> Self {
        let converter = Converter::to_voice(SAMPLE_RATE);
        Self { line: None, converter, lines, given_until: Instant::now(), _keeper: keeper }
    }

    fn next(&mut self, now: Instant) -> Next {
        if let Ok(line) = self.lines.try_recv() {
            self.converter = Converter::to_voice(line.rate);
            self.line = Some(line);
        }
        if let Some(line) = &mut self.line
            && let Ok(chunk) = line.ring.read_chunk(line.ring.slots())
        {
            self.converter.feed(chunk);
        }
        if let Some(block) = self.converter.block() {
            self.given_until = now;
            return Next::Block(block);
        }
        if now > self.given_until + Self::PATIENCE + BLOCK_TIME {
            self.given_until += BLOCK_TIME;
            // A suspended machine must not make up for hours of silence.
            if now > self.given_until + Duration::from_secs(1) {
                self.given_until = now;
            }
            return Next::Block([0.0; BLOCK]);
        }
        Next::Wait(now + BLOCK_TIME)
    }
}
