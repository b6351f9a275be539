//! Camera to H.264 on two threads: one takes pictures, one encodes the newest.

use super::convert::{black, fit, scale, upright};
use super::encoder::{Encoder, EncoderConfig};
use super::format::{FORMATS, Format, Ladder};
use super::source::{Opened, Wanted, has_camera, open};
use super::{PictureError, Y4m};
use crate::device::{DeviceChoice, DeviceEvents, DeviceKind, DeviceState, Synthetic, codes};
use crate::frame::{AccessUnit, I420};
use crate::voice::join_within;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How to capture.
#[derive(Clone, Debug)]
pub struct CameraConfig {
    /// Which camera.
    pub device: DeviceChoice,
    /// From the one to begin with to the highest that it may rise to; one alone is kept whatever happens.
    pub formats: Vec<Format>,
    /// Label of a test pattern that stands in for a missing camera: the user's name.
    pub label: String,
    /// Whether pictures are encoded from the start, or only previewed until [`CameraCapture::set_sending`].
    pub sending: bool,
    /// Where losses and openings are told.
    pub events: DeviceEvents,
}

impl Default for CameraConfig {
    /// [`FORMATS`], beginning with the lowest.
    fn default() -> Self {
        Self {
            device: DeviceChoice::System,
            formats: FORMATS.to_vec(),
            label: String::new(),
            sending: true,
            events: DeviceEvents::default(),
        }
    }
}

/// One encoded picture.
#[derive(Clone, Debug)]
pub struct EncodedPicture {
    /// Annex B.
    pub unit: AccessUnit,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// When the source gave it.
    pub captured_at: Instant,
}

/// Counts since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CameraStats {
    /// Pictures from the source.
    pub captured: u64,
    /// Pictures encoded.
    pub encoded: u64,
    /// Pictures replaced by a newer one because the encoder was busy.
    pub dropped: u64,
    /// Time spent encoding.
    pub encode_time: Duration,
    /// Bytes encoded.
    pub bytes: u64,
}

/// An open camera. Dropping it closes the device and ends both callbacks before the drop returns (a camera that hangs is
/// left behind after a second).
pub struct CameraCapture {
    shared: Arc<Shared>,
    source: Option<JoinHandle<()>>,
    encoder: Option<JoinHandle<()>>,
}

struct Shared {
    stop: AtomicBool,
    keyframe: AtomicBool,
    sending: AtomicBool,
    /// Bits per second at most, whatever the format allows.
    bitrate_limit: AtomicU32,
    format: Mutex<Format>,
    /// Chosen anew; taken by the source's thread.
    choice: Mutex<Option<DeviceChoice>>,
    /// The newest picture that waits for the encoder. Full: the older one goes.
    slot: Mutex<Option<I420>>,
    filled: Condvar,
    captured: AtomicU64,
    encoded: AtomicU64,
    dropped: AtomicU64,
    encode_micros: AtomicU64,
    bytes: AtomicU64,
}

/// Nothing from the source for so long: the last picture is repeated.
const STALL_TIMEOUT: Duration = Duration::from_secs(1);
/// And after so long black is sent: a frozen face pretends to be there.
const BLACK_AFTER: Duration = Duration::from_secs(3);
/// Between repeated pictures.
const REPEAT_INTERVAL: Duration = Duration::from_millis(500);
/// Between two attempts to open, and two looks for a real camera while a pattern stands in.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);
/// A camera that hangs must not hold up a call's end for longer.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl CameraCapture {
    /// Starts. A camera that does not open is no error: an event says so and it is retried. `on_picture` runs on the
    /// encoding thread, `on_preview` (every picture as it will be encoded, sending or not) on the camera's; both must
    /// return within a few milliseconds.
    ///
    /// # Errors
    /// A file that cannot be read, a choice that is no camera, no encoder.
    pub fn start(
        config: CameraConfig,
        on_picture: Box<dyn FnMut(EncodedPicture) + Send>,
        on_preview: Box<dyn FnMut(I420) + Send>,
    ) -> Result<Self, PictureError> {
        match &config.device {
            DeviceChoice::File(path) => drop(Y4m::open(path)?),
            DeviceChoice::Synthetic(Synthetic::Tone(_)) => return Err(PictureError::Choice("a tone")),
            DeviceChoice::System
            | DeviceChoice::Device(_)
            | DeviceChoice::Synthetic(Synthetic::Pattern(_))
            | DeviceChoice::None => {}
        }
        let ladder = Ladder::new(&config.formats);
        let format = ladder.format();
        let encoder = Encoder::new(EncoderConfig { bitrate: format.bitrate, frame_rate: format.fps.max(1) as f32 })?;
        let shared = Arc::new(Shared {
            stop: AtomicBool::new(false),
            keyframe: AtomicBool::new(false),
            sending: AtomicBool::new(config.sending),
            bitrate_limit: AtomicU32::new(u32::MAX),
            format: Mutex::new(format),
            choice: Mutex::default(),
            slot: Mutex::default(),
            filled: Condvar::new(),
            captured: AtomicU64::new(0),
            encoded: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            encode_micros: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        });
        let epoch = Instant::now();
        let (for_source, for_encoder, own) = (shared.clone(), shared.clone(), config.clone());
        let source = std::thread::Builder::new().name("camera".into()).spawn(move || {
            SourceLife { shared: for_source, config: own, epoch, on_preview, next_due: epoch, format }.run()
        })?;
        let spawned = std::thread::Builder::new().name("encoder".into()).spawn(move || {
            EncoderLife { shared: for_encoder, config, ladder, epoch, encoder, dropped: 0, on_picture }.run()
        });
        // Made before the second thread is checked, so that its drop ends the first.
        let mut capture = Self { shared, source: Some(source), encoder: None };
        capture.encoder = Some(spawned?);
        Ok(capture)
    }

    /// The next picture becomes a keyframe.
    pub fn force_keyframe(&self) {
        self.shared.keyframe.store(true, Ordering::Release);
    }

    /// Bits per second at most, as far as the format allows.
    pub fn limit_bitrate(&self, bits: u32) {
        self.shared.bitrate_limit.store(bits, Ordering::Release);
    }

    /// Whether pictures are encoded and handed out; the preview goes on. Begins with a keyframe.
    pub fn set_sending(&self, sending: bool) {
        if sending && !self.shared.sending.load(Ordering::Acquire) {
            self.force_keyframe();
        }
        self.shared.sending.store(sending, Ordering::Release);
    }

    /// Another camera, from now on.
    pub fn select(&self, device: DeviceChoice) {
        *lock(&self.shared.choice) = Some(device);
        if let Some(source) = &self.source {
            source.thread().unpark();
        }
    }

    /// Counts.
    pub fn stats(&self) -> CameraStats {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        CameraStats {
            captured: load(&self.shared.captured),
            encoded: load(&self.shared.encoded),
            dropped: load(&self.shared.dropped),
            encode_time: Duration::from_micros(load(&self.shared.encode_micros)),
            bytes: load(&self.shared.bytes),
        }
    }
}

impl Drop for CameraCapture {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        // Under the lock: the encoder cannot miss it between its look and its wait.
        drop(lock(&self.shared.slot));
        self.shared.filled.notify_all();
        for thread in [self.source.take(), self.encoder.take()].into_iter().flatten() {
            thread.thread().unpark();
            join_within(thread, CLOSE_TIMEOUT);
        }
    }
}

struct SourceLife {
    shared: Arc<Shared>,
    config: CameraConfig,
    epoch: Instant,
    on_preview: Box<dyn FnMut(I420) + Send>,
    /// When the next picture is wanted: faster cameras are thinned out.
    next_due: Instant,
    /// The one that the source gives.
    format: Format,
}

impl SourceLife {
    fn run(mut self) {
        let most = wanted(Ladder::new(&self.config.formats).most());
        let mut opened: Option<Opened> = None;
        // The person knows; not said again until it was open.
        let mut complained = false;
        // After a real camera was lost nobody wants to send a test pattern instead.
        let mut may_stand_in = true;
        let mut looked_at = Instant::now();
        while !self.shared.stop.load(Ordering::Acquire) {
            if let Some(choice) = lock(&self.shared.choice).take() {
                self.config.device = choice;
                (opened, complained, may_stand_in) = (None, false, true);
            }
            let Some(open_now) = &mut opened else {
                match open(&self.config.device, wanted(self.format), most, &self.config.label, may_stand_in) {
                    Ok(Some(source)) => {
                        let state = DeviceState::Open { name: source.source.name(), is_stand_in: source.is_stand_in };
                        self.config.events.report(DeviceKind::Camera, state);
                        may_stand_in &= !source.is_camera;
                        complained = false;
                        opened = Some(source);
                    }
                    Ok(None) => std::thread::park_timeout(RETRY_INTERVAL),
                    Err(e) => {
                        if !std::mem::replace(&mut complained, true) {
                            let state = DeviceState::Failed { code: e.code, message: e.message };
                            self.config.events.report(DeviceKind::Camera, state);
                        }
                        std::thread::park_timeout(RETRY_INTERVAL);
                    }
                }
                continue;
            };
            let format = *lock(&self.shared.format);
            if std::mem::replace(&mut self.format, format) != format {
                open_now.source.want(wanted(format));
            }
            match open_now.source.next(self.epoch) {
                Ok(picture) => self.give(picture),
                Err(e) => {
                    let state = DeviceState::Lost { code: e.code, message: e.message };
                    self.config.events.report(DeviceKind::Camera, state);
                    (opened, complained) = (None, true);
                    continue;
                }
            }
            if open_now.is_stand_in && looked_at.elapsed() > RETRY_INTERVAL {
                looked_at = Instant::now();
                if has_camera() {
                    opened = None;
                }
            }
        }
    }

    fn give(&mut self, picture: I420) {
        let now = Instant::now();
        let interval = Duration::from_secs(1) / self.format.fps.max(1);
        // A quarter of tolerance: cameras are not exact.
        if now + interval / 4 < self.next_due {
            return;
        }
        self.next_due = (self.next_due + interval).max(now);
        self.shared.captured.fetch_add(1, Ordering::Relaxed);
        let limit = (self.format.width, self.format.height);
        let picture = if limit.0 < limit.1 { upright(&picture, limit) } else { picture };
        let (width, height) = fit((picture.width, picture.height), limit);
        let picture = scale(&picture, width, height);
        if self.shared.sending.load(Ordering::Acquire) {
            let older = lock(&self.shared.slot).replace(picture.clone());
            self.shared.filled.notify_one();
            if older.is_some() {
                self.shared.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
        (self.on_preview)(picture);
    }
}

/// Cameras lie: an upright format is the middle of a picture that is as high.
fn wanted(format: Format) -> Wanted {
    let Format { width, height, .. } = format;
    let width = if width < height { (height * 16 / 9).next_multiple_of(2) } else { width };
    Wanted { width, height, fps: format.fps.max(1) }
}

struct EncoderLife {
    shared: Arc<Shared>,
    config: CameraConfig,
    ladder: Ladder,
    epoch: Instant,
    encoder: Encoder,
    /// Dropped pictures that are accounted for.
    dropped: u64,
    on_picture: Box<dyn FnMut(EncodedPicture) + Send>,
}

impl EncoderLife {
    fn run(mut self) {
        let mut last: Option<I420> = None;
        let mut fresh_at = Instant::now();
        let mut rate = RateMeter::new(self.ladder.format().fps.max(1) as f32);
        let mut complained = false;
        while !self.shared.stop.load(Ordering::Acquire) {
            let patience = if fresh_at.elapsed() < STALL_TIMEOUT { STALL_TIMEOUT } else { REPEAT_INTERVAL };
            let picture = match self.wait(patience) {
                Some(picture) => {
                    fresh_at = Instant::now();
                    complained = false;
                    last = Some(picture.clone());
                    picture
                }
                None if self.shared.stop.load(Ordering::Acquire) => return,
                // Silent on purpose.
                None if !self.shared.sending.load(Ordering::Acquire) => {
                    fresh_at = Instant::now();
                    continue;
                }
                None => {
                    let Some(last) = &last else { continue };
                    let now = self.epoch.elapsed();
                    if fresh_at.elapsed() < BLACK_AFTER {
                        I420 { timestamp: now, ..last.clone() }
                    } else {
                        black(last.width, last.height, now)
                    }
                }
            };
            if let Some(fps) = rate.picture(Instant::now()) {
                self.encoder.set_frame_rate(fps);
            }
            if let Err(e) = self.encode(&picture)
                && !std::mem::replace(&mut complained, true)
            {
                let state = DeviceState::Failed { code: codes::VIDEO_ENCODE, message: e.to_string() };
                self.config.events.report(DeviceKind::Camera, state);
            }
        }
    }

    fn wait(&self, patience: Duration) -> Option<I420> {
        let slot = lock(&self.shared.slot);
        let is_idle = |slot: &mut Option<I420>| slot.is_none() && !self.shared.stop.load(Ordering::Acquire);
        let waited = self.shared.filled.wait_timeout_while(slot, patience, is_idle);
        waited.unwrap_or_else(PoisonError::into_inner).0.take()
    }

    fn encode(&mut self, picture: &I420) -> Result<(), super::EncodeError> {
        let limit = self.shared.bitrate_limit.load(Ordering::Acquire);
        self.encoder.set_bitrate(self.ladder.format().bitrate.min(limit));
        if self.shared.keyframe.swap(false, Ordering::AcqRel) {
            self.encoder.force_keyframe();
        }
        let begun = Instant::now();
        let unit = self.encoder.encode(picture)?;
        let took = begun.elapsed();
        self.shared.encode_micros.fetch_add(took.as_micros() as u64, Ordering::Relaxed);
        let dropped = self.shared.dropped.load(Ordering::Relaxed);
        let newly = dropped - std::mem::replace(&mut self.dropped, dropped);
        if let Some(format) = self.ladder.handle_encoded(took, newly) {
            tracing::info!(?format, "the camera's format changes");
            *lock(&self.shared.format) = format;
        }
        let Some(unit) = unit else { return Ok(()) };
        self.shared.encoded.fetch_add(1, Ordering::Relaxed);
        self.shared.bytes.fetch_add(unit.data.len() as u64, Ordering::Relaxed);
        // Turned off while it was being encoded: nothing leaves.
        if !self.shared.sending.load(Ordering::Acquire) || self.shared.stop.load(Ordering::Acquire) {
            self.shared.keyframe.store(true, Ordering::Release);
            return Ok(());
        }
        let captured_at = self.epoch + picture.timestamp;
        (self.on_picture)(EncodedPicture { unit, width: picture.width, height: picture.height, captured_at });
        Ok(())
    }
}

/// Pictures per second as they really come.
struct RateMeter {
    since: Instant,
    pictures: u32,
    told: f32,
}

impl RateMeter {
    fn new(told: f32) -> Self {
        Self { since: Instant::now(), pictures: 0, told }
    }

    /// A new rate where it differs by more than a seventh from the one told before.
    fn picture(&mut self, now: Instant) -> Option<f32> {
        self.pictures += 1;
        let elapsed = now.duration_since(self.since);
        if elapsed < Duration::from_secs(2) {
            return None;
        }
        let rate = self.pictures as f32 / elapsed.as_secs_f32();
        (self.since, self.pictures) = (now, 0);
        if (rate / self.told - 1.0).abs() < 0.15 {
            return None;
        }
        self.told = rate;
        Some(rate)
    }
}
