//! Everybody's voice to the speaker: one jitter buffer per sender, one mix, on its own thread.

use super::block::BLOCK_TIME;
use super::jitter::{JitterBuffer, JitterConfig, JitterStats};
use super::keeper::join_within;
use super::level::LevelMeter;
use super::limiter::Limiter;
use super::output::Output;
use super::{BLOCK, Reference, VoiceError};
use crate::device::{DeviceChoice, DeviceEvents};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver as Inbox, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How to play.
#[derive(Clone, Debug, Default)]
pub struct PlayoutConfig {
    /// Which speaker.
    pub device: DeviceChoice,
    /// Where losses and openings are told.
    pub events: DeviceEvents,
    /// Bounds of each sender's delay.
    pub jitter: JitterConfig,
}

/// An open speaker. Dropping it closes the device before the drop returns; receivers that are left then take packets and
/// play nothing.
pub struct Playout {
    commands: SyncSender<Command>,
    stop: Arc<AtomicBool>,
    reference: Reference,
    jitter: JitterConfig,
    thread: Option<JoinHandle<()>>,
}

enum Command {
    Select(DeviceChoice),
    Add(Box<Voice>),
}

impl Playout {
    /// Starts. A speaker that does not open is no error: packets are played into nothing and an event says so.
    ///
    /// # Errors
    /// A file that cannot be written, or a choice that is no speaker.
    pub fn start(config: PlayoutConfig) -> Result<Self, VoiceError> {
        // Joins and choices: the thread empties it every 10 ms. Full: the newest is refused (logged).
        let (commands, received) = sync_channel(64);
        let (started, result) = sync_channel(1);
        let stop = Arc::new(AtomicBool::new(false));
        let reference = Reference::new();
        let (stopped, played, jitter) = (stop.clone(), reference.clone(), config.jitter);
        let thread = std::thread::Builder::new().name("voice-playout".into()).spawn(move || {
            match Output::open(&config.device, &config.events) {
                Ok(output) => {
                    let _ = started.send(Ok(()));
                    let events = config.events;
                    let limiter = Limiter::new();
                    let voices = Vec::new();
                    Worker { output, events, commands: received, stopped, reference: played, limiter, voices }.run();
                }
                Err(e) => {
                    let _ = started.send(Err(e));
                }
            }
        })?;
        match result.recv() {
            Ok(Ok(())) => Ok(Self { commands, stop, reference, jitter, thread: Some(thread) }),
            Ok(Err(e)) => Err(e),
            Err(_) => Err(VoiceError::Thread(std::io::Error::other("the playout thread ended at its start"))),
        }
    }

    /// What is played, for the echo canceller of [`super::Capture`].
    pub fn reference(&self) -> Reference {
        self.reference.clone()
    }

    /// A new sender. It is heard until its receiver is dropped.
    ///
    /// # Errors
    /// Opus gives no decoder.
    pub fn add(&self, name: &str) -> Result<Receiver, VoiceError> {
        let shared = Arc::new(Shared { epoch: Instant::now(), ..Shared::default() });
        let buffer = JitterBuffer::new(self.jitter)?;
        self.command(Command::Add(Box::new(Voice { shared: shared.clone(), buffer })));
        tracing::debug!("playing one more voice ({} bytes of name)", name.len());
        Ok(Receiver { shared })
    }

    /// Another speaker, from now on. One that cannot be used leaves the present one, with a line in the log.
    pub fn select(&self, device: DeviceChoice) {
        self.command(Command::Select(device));
    }

    fn command(&self, command: Command) {
        if let Err(TrySendError::Full(_)) = self.commands.try_send(command) {
            tracing::warn!("the playout thread is stuck: a command is lost");
        }
    }
}

impl Drop for Playout {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // The device's own thread has a second to close.
            join_within(thread, Duration::from_millis(1500));
        }
    }
}

struct Arrival {
    at: Duration,
    sequence: u16,
    timestamp: u32,
    payload: Vec<u8>,
}

struct Shared {
    epoch: Instant,
    /// Packets on their way to the playout thread, which empties it every 10 ms. Full: the oldest goes.
    arrivals: Mutex<VecDeque<Arrival>>,
    stats: Mutex<JitterStats>,
    meter: LevelMeter,
    muted: AtomicBool,
    is_heard: AtomicBool,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            epoch: Instant::now(),
            arrivals: Mutex::default(),
            stats: Mutex::default(),
            meter: LevelMeter::default(),
            muted: AtomicBool::new(false),
            is_heard: AtomicBool::new(false),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One sender's voice, on the network's side.
pub struct Receiver {
    shared: Arc<Shared>,
}

impl Receiver {
    const ARRIVALS_LIMIT: usize = 200;

    /// Takes the payload of an RTP packet that arrived at `arrival`. Returns at once.
    pub fn push(&self, sequence: u16, timestamp: u32, arrival: Instant, payload: &[u8]) {
        let at = arrival.saturating_duration_since(self.shared.epoch);
        let mut arrivals = lock(&self.shared.arrivals);
        if arrivals.len() == Self::ARRIVALS_LIMIT {
            arrivals.pop_front();
        }
        arrivals.push_back(Arrival { at, sequence, timestamp, payload: payload.to_vec() });
    }

    /// Loudness as it is heard, 0 to 100.
    pub fn level(&self) -> u8 {
        self.shared.meter.percent()
    }

    /// Whether a decoded sample was handed to the mix (the "first remote audio").
    pub fn is_heard(&self) -> bool {
        self.shared.is_heard.load(Ordering::Acquire)
    }

    /// Counts and state, at most 10 ms old.
    pub fn stats(&self) -> JitterStats {
        *lock(&self.shared.stats)
    }

    /// Muted: taken in and decoded, not heard.
    pub fn set_muted(&self, muted: bool) {
        self.shared.muted.store(muted, Ordering::Release);
    }
}

struct Voice {
    shared: Arc<Shared>,
    buffer: JitterBuffer,
}

impl Voice {
    /// False when its receiver is gone.
    fn is_wanted(&self) -> bool {
        Arc::strong_count(&self.shared) > 1
    }

    fn mix_into(&mut self, now: Instant, mix: &mut [f32; BLOCK]) {
        let arrivals = std::mem::take(&mut *lock(&self.shared.arrivals));
        for packet in arrivals {
            self.buffer.push(packet.at, packet.sequence, packet.timestamp, &packet.payload);
        }
        let mut block = [0.0; BLOCK];
        self.buffer.pull(now.saturating_duration_since(self.shared.epoch), &mut block);
        let stats = self.buffer.stats();
        if stats.received > 0 && !self.shared.is_heard.load(Ordering::Relaxed) && self.buffer.has_played() {
            self.shared.is_heard.store(true, Ordering::Release);
        }
        *lock(&self.shared.stats) = stats;
        if self.shared.muted.load(Ordering::Acquire) {
            self.shared.meter.clear();
            return;
        }
        self.shared.meter.feed(&block);
        for (sum, sample) in mix.iter_mut().zip(block) {
            *sum += sample;
        }
    }
}

struct Worker {
    output: Output,
    events: DeviceEvents,
    commands: Inbox<Command>,
    stopped: Arc<AtomicBool>,
    reference: Reference,
    limiter: Limiter,
    voices: Vec<Voice>,
}

impl Worker {
    fn run(mut self) {
        while !self.stopped.load(Ordering::Acquire) {
            while let Ok(command) = self.commands.try_recv() {
                self.obey(command);
            }
            let now = Instant::now();
            let due = self.output.due(now);
            if due > now {
                std::thread::park_timeout((due - now).min(BLOCK_TIME));
                continue;
            }
            self.voices.retain(|voice| voice.is_wanted());
            let mut mix = [0.0; BLOCK];
            for voice in &mut self.voices {
                voice.mix_into(now, &mut mix);
            }
            self.limiter.apply(&mut mix);
            self.reference.write(&mix);
            self.output.write(now, &mix);
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Add(voice) => self.voices.push(*voice),
            Command::Select(choice) => match Output::open(&choice, &self.events) {
                Ok(output) => self.output = output,
                Err(e) => tracing::warn!("this speaker cannot be used: {e}"),
            },
        }
    }
}
