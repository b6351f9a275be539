//! Microphone to Opus, on its own thread.

use super::codec::OpusEncoder;
use super::input::{Input, Next};
use super::keeper::join_within;
use super::level::{Level, LevelMeter};
use super::processing::{Processing, Processor};
use super::{BLOCK, FRAME, Reference, VoiceError};
use crate::device::{DeviceChoice, DeviceEvents};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How to capture.
#[derive(Clone, Debug, Default)]
pub struct CaptureConfig {
    /// Which microphone.
    pub device: DeviceChoice,
    /// What is done to the voice.
    pub processing: Processing,
    /// Send (next to) nothing in silence.
    pub dtx: bool,
    /// Where losses and openings are told.
    pub events: DeviceEvents,
}

/// 20 ms of encoded voice.
#[derive(Clone, Debug)]
pub struct VoiceFrame {
    /// One Opus packet.
    pub opus: Vec<u8>,
    /// Of its first sample, at 48 kHz; wraps. It also counts what was not sent (muted, DTX).
    pub timestamp: u32,
    /// Loudness after processing.
    pub level: Level,
    /// When its last sample left the device.
    pub captured_at: Instant,
}

/// An open microphone. Dropping it closes the device and ends the calls of `on_frame` before the drop returns (a device
/// that hangs is left behind after a second).
pub struct Capture {
    commands: SyncSender<Command>,
    stop: Arc<AtomicBool>,
    muted: Arc<AtomicBool>,
    meter: LevelMeter,
    thread: Option<JoinHandle<()>>,
}

enum Command {
    Select(DeviceChoice),
    Process(Processing),
    Bitrate(u32),
}

impl Capture {
    /// Starts. A microphone that does not open is no error: silence flows and an event says so. `on_frame` runs on the
    /// capture thread and must return within a few milliseconds.
    ///
    /// # Errors
    /// A file that cannot be read, or a choice that is no microphone.
    pub fn start(
        config: CaptureConfig,
        reference: Option<Reference>,
        on_frame: Box<dyn FnMut(VoiceFrame) + Send>,
    ) -> Result<Self, VoiceError> {
        // Choices of a person: 8 waiting ones are more than can be made in 10 ms. Full: the newest is refused (logged).
        let (commands, received) = sync_channel(8);
        let (started, result) = sync_channel(1);
        let (stop, muted, meter) =
            (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)), LevelMeter::default());
        let (stopped, is_muted, own_meter) = (stop.clone(), muted.clone(), meter.clone());
        let thread = std::thread::Builder::new().name("voice-capture".into()).spawn(move || {
            let made = Input::open(&config.device, &config.events)
                .and_then(|input| Ok((input, OpusEncoder::new(config.dtx)?)));
            let (input, encoder) = match made {
                Ok(made) => made,
                Err(e) => {
                    let _ = started.send(Err(e));
                    return;
                }
            };
            let _ = started.send(Ok(()));
            if let Some(reference) = &reference {
                reference.clear();
            }
            Worker {
                input,
                encoder,
                reference,
                processor: Processor::new(config.processing),
                events: config.events,
                commands: received,
                stopped,
                muted: is_muted,
                meter: own_meter,
                frame: [0.0; FRAME],
                filled: 0,
                timestamp: 0,
                on_frame,
            }
            .run();
        })?;
        match result.recv() {
            Ok(Ok(())) => Ok(Self { commands, stop, muted, meter, thread: Some(thread) }),
            Ok(Err(e)) => Err(e),
            Err(_) => Err(VoiceError::Thread(std::io::Error::other("the capture thread ended at its start"))),
        }
    }

    /// Muted: the device stays open, nothing is handed out.
    pub fn set_muted(&self, muted: bool) {
        self.muted.store(muted, Ordering::Release);
    }

    /// 0 to 100; 0 while muted.
    pub fn level(&self) -> u8 {
        self.meter.percent()
    }

    /// Another microphone, from now on. One that cannot be used leaves the present one, with a line in the log.
    pub fn select(&self, device: DeviceChoice) {
        self.command(Command::Select(device));
    }

    /// Other processing, from now on.
    pub fn set_processing(&self, processing: Processing) {
        self.command(Command::Process(processing));
    }

    /// Bits per second of Opus.
    pub fn set_bitrate(&self, bits: u32) {
        self.command(Command::Bitrate(bits));
    }

    fn command(&self, command: Command) {
        if let Err(TrySendError::Full(_)) = self.commands.try_send(command) {
            tracing::warn!("the capture thread is stuck: a choice is lost");
        }
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // The device's own thread has a second to close.
            join_within(thread, Duration::from_millis(1500));
        }
    }
}

struct Worker {
    input: Input,
    encoder: OpusEncoder,
    reference: Option<Reference>,
    processor: Processor,
    events: DeviceEvents,
    commands: Receiver<Command>,
    stopped: Arc<AtomicBool>,
    muted: Arc<AtomicBool>,
    meter: LevelMeter,
    frame: [f32; FRAME],
    filled: usize,
    timestamp: u32,
    on_frame: Box<dyn FnMut(VoiceFrame) + Send>,
}

impl Worker {
    fn run(mut self) {
        while !self.stopped.load(Ordering::Acquire) {
            while let Ok(command) = self.commands.try_recv() {
                self.obey(command);
            }
            let now = Instant::now();
            match self.input.next(now) {
                Next::Block(block) => self.take(block, now),
                Next::Wait(until) => std::thread::park_timeout(until.saturating_duration_since(now)),
            }
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Select(choice) => match Input::open(&choice, &self.events) {
                Ok(input) => self.input = input,
                Err(e) => tracing::warn!("this microphone cannot be used: {e}"),
            },
            Command::Process(processing) => self.processor = Processor::new(processing),
            Command::Bitrate(bits) => {
                if let Err(e) = self.encoder.set_bitrate(bits) {
                    tracing::warn!("Opus refused {bits} bit/s: {e}");
                }
            }
        }
    }

    fn take(&mut self, mut block: [f32; BLOCK], now: Instant) {
        if let Some(reference) = &self.reference {
            while let Some(played) = reference.read() {
                self.processor.play(&played);
            }
        }
        self.processor.process(&mut block);
        let muted = self.muted.load(Ordering::Acquire);
        if muted {
            self.meter.clear()
        } else {
            self.meter.feed(&block)
        }
        self.frame[self.filled..self.filled + BLOCK].copy_from_slice(&block);
        self.filled += BLOCK;
        if self.filled < FRAME {
            return;
        }
        self.filled = 0;
        let timestamp = self.timestamp;
        self.timestamp = timestamp.wrapping_add(FRAME as u32);
        if muted {
            return;
        }
        match self.encoder.encode(&self.frame) {
            Ok(Some(opus)) => {
                (self.on_frame)(VoiceFrame { opus, timestamp, level: Level::of(&self.frame), captured_at: now });
            }
            Ok(None) => {}
            Err(e) => tracing::warn!("Opus could not encode: {e}"),
        }
    }
}
