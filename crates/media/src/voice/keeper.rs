//! Holds a real microphone or speaker open: opens it, notices its loss, reopens it, follows the system's default.

use super::SAMPLE_RATE;
use crate::device::{DeviceChoice, DeviceEvents, DeviceKind, DeviceState, codes};
use crate::devices::audio_host;
use cpal::traits::{DeviceTrait, HostTrait, StreamTrait};
use cpal::{BufferSize, FromSample, Sample, SampleFormat, SizedSample, StreamConfig};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{JoinHandle, Thread};
use std::time::{Duration, Instant};

/// No callback for so long: the device is gone although nothing said so (a removed sink gives no event).
const STALL_TIMEOUT: Duration = Duration::from_millis(1000);
/// Between two attempts to open.
const RETRY_INTERVAL: Duration = Duration::from_millis(500);
/// Between two looks at an open device.
const CHECK_INTERVAL: Duration = Duration::from_millis(100);
/// Between two questions which devices there are.
const SURVEY_INTERVAL: Duration = Duration::from_secs(2);
/// A sound server that hangs must not hold up a call's end for longer.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// Room between a callback and the worker (seconds of sound). Input full (worker stuck): new samples are lost.
const RING_SECONDS: f32 = 0.5;

/// What callbacks tell the others, without a lock.
#[derive(Default)]
pub(crate) struct Pulse {
    beats: AtomicU64,
    broken: AtomicBool,
    /// Largest number of frames one callback wanted.
    pub(crate) request: AtomicU32,
    /// Callbacks that found too little to play.
    pub(crate) underruns: AtomicU64,
}

impl Pulse {
    /// Callbacks so far.
    pub(crate) fn beats(&self) -> u64 {
        self.beats.load(Ordering::Relaxed)
    }
}

/// An open device, as its worker sees it: `ring` carries mono samples at `rate`.
pub(crate) struct Line<R> {
    pub(crate) ring: R,
    pub(crate) rate: u32,
    pub(crate) pulse: Arc<Pulse>,
}

/// A microphone's ring end or a speaker's.
pub(crate) trait Ring: Sized + Send + 'static {
    const KIND: DeviceKind;
    fn default_device(host: &cpal::Host) -> Option<cpal::Device>;
    fn open(device: &cpal::Device, size: BufferSize, worker: Thread)
    -> Result<(cpal::Stream, Line<Self>), cpal::Error>;
}

/// The thread that owns the stream.
pub(crate) struct Keeper {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    /// `worker` is woken by each callback. Each opened device arrives as a new line; two places suffice, because the
    /// worker empties them every 10 ms.
    pub(crate) fn start<R: Ring>(
        choice: DeviceChoice,
        events: DeviceEvents,
        worker: Thread,
    ) -> std::io::Result<(Self, Receiver<Line<R>>)> {
        let (lines, receiver) = sync_channel(2);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let name = if R::KIND == DeviceKind::Microphone { "microphone" } else { "speaker" };
        let thread = std::thread::Builder::new().name(name.into()).spawn(move || {
            Life { choice, events, worker, lines, stopped, open: None, complained: false }.run();
        })?;
        Ok((Self { stop, thread: Some(thread) }, receiver))
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            join_within(thread, CLOSE_TIMEOUT);
        }
    }
}

/// Waits for a thread's end, but no longer than `limit`: then it is left behind with a line in the log.
pub(crate) fn join_within(thread: JoinHandle<()>, limit: Duration) {
    if thread.thread().id() == std::thread::current().id() {
        return;
    }
    let deadline = Instant::now() + limit;
    while !thread.is_finished() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(1));
    }
    if thread.is_finished() {
        if thread.join().is_err() {
            tracing::error!("a device thread panicked");
        }
    } else {
        tracing::warn!("the thread {:?} hangs in its device and is left behind", thread.thread().name());
    }
}

struct Life<R> {
    choice: DeviceChoice,
    events: DeviceEvents,
    worker: Thread,
    lines: SyncSender<Line<R>>,
    stopped: Arc<AtomicBool>,
    open: Option<Open>,
    /// The person knows that there is no device; not said again until there was one.
    complained: bool,
}

struct Open {
    host: cpal::Host,
    /// Dropping it closes the device.
    _stream: cpal::Stream,
    id: Option<cpal::DeviceId>,
    pulse: Arc<Pulse>,
    last_beat: (u64, Instant),
    surveyed_at: Instant,
}

/// What the look at an open device says.
enum Health {
    Good,
    Gone(String),
    /// Another device is the right one now.
    Replaced,
}

impl<R: Ring> Life<R> {
    fn run(mut self) {
        while !self.stopped.load(Ordering::Acquire) {
            let wait = match self.open.as_mut().map(|open| health::<R>(open, &self.choice)) {
                Some(Health::Good) => CHECK_INTERVAL,
                Some(Health::Replaced) => {
                    self.open = None;
                    continue;
                }
                Some(Health::Gone(message)) => {
                    self.open = None;
                    self.complained = true;
                    let code = code(R::KIND, cpal::ErrorKind::DeviceNotAvailable);
                    self.events.report(R::KIND, DeviceState::Lost { code, message });
                    continue;
                }
                None => {
                    self.try_open();
                    if self.open.is_some() { CHECK_INTERVAL } else { RETRY_INTERVAL }
                }
            };
            std::thread::park_timeout(wait);
        }
    }

    fn try_open(&mut self) {
        match open::<R>(&self.choice, &self.worker) {
            Ok((open, line, name)) => {
                self.open = Some(open);
                self.complained = false;
                if self.lines.try_send(line).is_err() {
                    // The worker is stuck or gone: close again and retry.
                    self.open = None;
                    return;
                }
                self.events.report(R::KIND, DeviceState::Open { name, is_stand_in: false });
            }
            Err(error) => {
                if !std::mem::replace(&mut self.complained, true) {
                    let (code, message) = (code(R::KIND, error.kind()), error.to_string());
                    self.events.report(R::KIND, DeviceState::Failed { code, message });
                }
            }
        }
    }
}

fn code(kind: DeviceKind, error: cpal::ErrorKind) -> i32 {
    match (kind, error) {
        (DeviceKind::Speaker, _) => codes::SPEAKER_START,
        (_, cpal::ErrorKind::PermissionDenied) => codes::MICROPHONE_NOT_AUTHORIZED,
        (_, cpal::ErrorKind::DeviceBusy) => codes::MICROPHONE_OCCUPIED,
        _ => codes::MICROPHONE_START,
    }
}

fn wanted<R: Ring>(host: &cpal::Host, choice: &DeviceChoice) -> Option<cpal::Device> {
    let chosen = if let DeviceChoice::Device(id) = choice {
        id.parse().ok().and_then(|id| host.device_by_id(&id))
    } else {
        None
    };
    chosen.or_else(|| R::default_device(host))
}

fn open<R: Ring>(choice: &DeviceChoice, worker: &Thread) -> Result<(Open, Line<R>, String), cpal::Error> {
    // A new host each time: a dead sound server kills the old one for good.
    let host = audio_host()?;
    let device = wanted::<R>(&host, choice)
        .ok_or_else(|| cpal::Error::with_message(cpal::ErrorKind::DeviceNotAvailable, "there is no such device"))?;
    // The default buffer can be two seconds; some devices refuse a fixed one.
    let fixed = BufferSize::Fixed(super::BLOCK as u32);
    let (stream, line) = R::open(&device, fixed, worker.clone()).or_else(|e| {
        tracing::debug!("no fixed buffer: {e}");
        R::open(&device, BufferSize::Default, worker.clone())
    })?;
    stream.play()?;
    let now = Instant::now();
    let pulse = line.pulse.clone();
    let open = Open { host, _stream: stream, id: device.id().ok(), pulse, last_beat: (0, now), surveyed_at: now };
    Ok((open, line, device.to_string()))
}

fn health<R: Ring>(open: &mut Open, choice: &DeviceChoice) -> Health {
    let now = Instant::now();
    if open.pulse.broken.load(Ordering::Acquire) {
        return Health::Gone("the device was unplugged or its sound server stopped".into());
    }
    let beats = open.pulse.beats.load(Ordering::Relaxed);
    if beats != open.last_beat.0 {
        open.last_beat = (beats, now);
    } else if now - open.last_beat.1 > STALL_TIMEOUT {
        return Health::Gone("the device stopped".into());
    }
    if now - open.surveyed_at < SURVEY_INTERVAL || !may_survey(&open.host) {
        return Health::Good;
    }
    open.surveyed_at = now;
    let Some(id) = &open.id else { return Health::Good };
    if open.host.device_by_id(id).is_none() {
        return Health::Gone("the device was unplugged".into());
    }
    match wanted::<R>(&open.host, choice).and_then(|d| d.id().ok()) {
        Some(best) if best != *id => Health::Replaced,
        _ => Health::Good,
    }
}

/// ALSA opens each device to list it; there, the error callback must do.
#[cfg(target_os = "linux")]
fn may_survey(host: &cpal::Host) -> bool {
    host.id() != cpal::HostId::Alsa
}

#[cfg(not(target_os = "linux"))]
fn may_survey(_: &cpal::Host) -> bool {
    true
}

fn on_error(pulse: Arc<Pulse>) -> impl FnMut(cpal::Error) + Send + 'static {
    use cpal::ErrorKind::{DeviceChanged, RealtimeDenied, Xrun};
    move |error| {
        tracing::debug!("audio device: {error}");
        // All others end the stream.
        if !matches!(error.kind(), Xrun | RealtimeDenied | DeviceChanged) {
            pulse.broken.store(true, Ordering::Release);
        }
    }
}

fn scaled(size: BufferSize, rate: u32) -> BufferSize {
    match size {
        BufferSize::Fixed(frames) => {
            BufferSize::Fixed((u64::from(frames) * u64::from(rate) / u64::from(SAMPLE_RATE)).max(1) as u32)
        }
        BufferSize::Default => BufferSize::Default,
    }
}

fn ring_for(rate: u32) -> (rtrb::Producer<f32>, rtrb::Consumer<f32>) {
    rtrb::RingBuffer::new((rate as f32 * RING_SECONDS) as usize)
}

/// Calls `$build::<T>` with the Rust type of a device's sample format.
macro_rules! with_format {
    ($format:expr, $build:ident, $($argument:expr),*) => {
        match $format {
            SampleFormat::I8 => $build::<i8>($($argument),*),
            SampleFormat::I16 => $build::<i16>($($argument),*),
            SampleFormat::I24 => $build::<cpal::I24>($($argument),*),
            SampleFormat::I32 => $build::<i32>($($argument),*),
            SampleFormat::I64 => $build::<i64>($($argument),*),
            SampleFormat::U8 => $build::<u8>($($argument),*),
            SampleFormat::U16 => $build::<u16>($($argument),*),
            SampleFormat::U24 => $build::<cpal::U24>($($argument),*),
            SampleFormat::U32 => $build::<u32>($($argument),*),
            SampleFormat::U64 => $build::<u64>($($argument),*),
            SampleFormat::F32 => $build::<f32>($($argument),*),
            SampleFormat::F64 => $build::<f64>($($argument),*),
            other => Err(cpal::Error::with_message(
                cpal::ErrorKind::UnsupportedConfig,
                format!("the sample format {other} is unknown"),
            )),
        }
    };
}

impl Ring for rtrb::Consumer<f32> {
    const KIND: DeviceKind = DeviceKind::Microphone;

    fn default_device(host: &cpal::Host) -> Option<cpal::Device> {
        host.default_input_device()
    }

    fn open(
        device: &cpal::Device,
        size: BufferSize,
        worker: Thread,
    ) -> Result<(cpal::Stream, Line<Self>), cpal::Error> {
        let supported = device.default_input_config()?;
        let rate = supported.sample_rate();
        let config = StreamConfig { buffer_size: scaled(size, rate), ..supported.config() };
        let (producer, ring) = ring_for(rate);
        let pulse = Arc::new(Pulse::default());
        let stream =
            with_format!(supported.sample_format(), build_input, device, config, producer, pulse.clone(), worker)?;
        Ok((stream, Line { ring, rate, pulse }))
    }
}

fn build_input<T>(
    device: &cpal::Device,
    config: StreamConfig,
    mut ring: rtrb::Producer<f32>,
    pulse: Arc<Pulse>,
    worker: Thread,
) -> Result<cpal::Stream, cpal::Error>
where
    T: SizedSample,
    f32: FromSample<T>,
{
    let channels = usize::from(config.channels.max(1));
    let errors = on_error(pulse.clone());
    let mut downmix = Downmix::default();
    let callback = move |data: &[T], _: &cpal::InputCallbackInfo| {
        pulse.beats.fetch_add(1, Ordering::Relaxed);
        pulse.request.fetch_max((data.len() / channels) as u32, Ordering::Relaxed);
        for frame in data.chunks_exact(channels) {
            // Full: the worker is stuck, the newest samples are lost.
            if ring.push(downmix.mix(frame)).is_err() {
                break;
            }
        }
        worker.unpark();
    };
    device.build_input_stream(config, callback, errors, Some(Duration::from_secs(2)))
}

/// Averages the channels that ever carried a signal: a voice on one of eight channels keeps its loudness.
#[derive(Default)]
struct Downmix {
    active: u64,
}

impl Downmix {
    /// −80 dBFS.
    const AUDIBLE: f32 = 1e-4;

    fn mix<T: SizedSample>(&mut self, frame: &[T]) -> f32
    where
        f32: FromSample<T>,
    {
        let mut sum = 0.0;
        for (channel, sample) in frame.iter().enumerate() {
            let sample: f32 = f32::from_sample(*sample);
            if sample.abs() > Self::AUDIBLE {
                self.active |= 1 << channel.min(63);
            }
            sum += sample;
        }
        sum / self.active.count_ones().max(1) as f32
    }
}

impl Ring for rtrb::Producer<f32> {
    const KIND: DeviceKind = DeviceKind::Speaker;

    fn default_device(host: &cpal::Host) -> Option<cpal::Device> {
        host.default_output_device()
    }

    fn open(
        device: &cpal::Device,
        size: BufferSize,
        worker: Thread,
    ) -> Result<(cpal::Stream, Line<Self>), cpal::Error> {
        let supported = device.default_output_config()?;
        let rate = supported.sample_rate();
        let config = StreamConfig { buffer_size: scaled(size, rate), ..supported.config() };
        let (ring, consumer) = ring_for(rate);
        let pulse = Arc::new(Pulse::default());
        let stream =
            with_format!(supported.sample_format(), build_output, device, config, consumer, pulse.clone(), worker)?;
        Ok((stream, Line { ring, rate, pulse }))
    }
}

fn build_output<T>(
    device: &cpal::Device,
    config: StreamConfig,
    mut ring: rtrb::Consumer<f32>,
    pulse: Arc<Pulse>,
    worker: Thread,
) -> Result<cpal::Stream, cpal::Error>
where
    T: SizedSample + FromSample<f32>,
{
    let channels = usize::from(config.channels.max(1));
    let errors = on_error(pulse.clone());
    let callback = move |data: &mut [T], _: &cpal::OutputCallbackInfo| {
        pulse.beats.fetch_add(1, Ordering::Relaxed);
        pulse.request.fetch_max((data.len() / channels) as u32, Ordering::Relaxed);
        let mut starved = false;
        for frame in data.chunks_exact_mut(channels) {
            let sample = ring.pop().unwrap_or_else(|_| {
                starved = true;
                0.0
            });
            // Front left and right; a centre, rear or subwoofer channel stays silent.
            for (channel, out) in frame.iter_mut().enumerate() {
                *out = T::from_sample(if channel < 2 { sample } else { 0.0 });
            }
        }
        if starved {
            pulse.underruns.fetch_add(1, Ordering::Relaxed);
        }
        worker.unpark();
    };
    device.build_output_stream(config, callback, errors, Some(Duration::from_secs(2)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_voice_on_one_of_eight_channels_keeps_its_loudness() {
        let mut downmix = Downmix::default();
        let mut frame = [0i16; 8];
        frame[3] = 16_384;
        assert!((downmix.mix(&frame) - 0.5).abs() < 1e-3);
    }

    #[test]
    fn equal_channels_are_averaged() {
        let mut downmix = Downmix::default();
        assert!((downmix.mix(&[0.5f32, 0.5]) - 0.5).abs() < 1e-6);
        assert!((downmix.mix(&[0.2f32, 0.4]) - 0.3).abs() < 1e-6);
    }
}
