//! Where pictures come from, at their own pace.

use super::convert::{RawFormat, to_i420};
use super::{Pattern, PictureError, Y4m, timecode};
use crate::device::{DeviceChoice, Synthetic, codes};
use crate::frame::I420;
use crate::voice::Pace;
use nokhwa::Camera;
use nokhwa::utils::{ApiBackend, CameraFormat, CameraIndex, FrameFormat, RequestedFormat, RequestedFormatType};
use std::time::{Duration, Instant};

/// What is wanted of a source; it may give something else.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) fps: u32,
}

/// A camera of some sort.
pub(crate) trait Source {
    /// Waits for the next picture, stamped with its time since `epoch`. Cameras may wait for long.
    fn next(&mut self, epoch: Instant) -> Result<I420, SourceError>;
    /// For people.
    fn name(&self) -> String;
    /// Something else is wanted from now on. Who gives what it has takes no notice: pictures are scaled and thinned out.
    fn want(&mut self, _: Wanted) {}
}

/// Why there is no picture.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct SourceError {
    pub(crate) code: i32,
    pub(crate) message: String,
}

/// A source, and whether it stands in for a camera that the machine does not have.
pub(crate) struct Opened {
    pub(crate) source: Box<dyn Source>,
    pub(crate) is_stand_in: bool,
    pub(crate) is_camera: bool,
}

/// Opens what was chosen. `None`: nothing was chosen. A stand-in is given only where `may_stand_in`. A pattern gives what
/// is `wanted`, a camera the `most` that may ever be: opening it again would be seen.
pub(crate) fn open(
    choice: &DeviceChoice,
    wanted: Wanted,
    most: Wanted,
    label: &str,
    may_stand_in: bool,
) -> Result<Option<Opened>, SourceError> {
    let made = |source: Box<dyn Source>| Ok(Some(Opened { source, is_stand_in: false, is_camera: false }));
    match choice {
        DeviceChoice::None => Ok(None),
        DeviceChoice::File(path) => made(Box::new(Y4mSource::open(path).map_err(|e| failed(&e.to_string()))?)),
        DeviceChoice::Synthetic(Synthetic::Pattern(text)) => made(Box::new(PatternSource::new(wanted, text))),
        DeviceChoice::Synthetic(Synthetic::Tone(_)) => Err(failed("a tone is no camera")),
        DeviceChoice::System | DeviceChoice::Device(_) => {
            let cameras = nokhwa::query(ApiBackend::Auto).unwrap_or_default();
            let chosen =
                cameras.iter().find(|c| matches!(choice, DeviceChoice::Device(id) if *id == c.index().as_string()));
            match chosen.or(cameras.first()) {
                Some(camera) => {
                    let source = Box::new(CameraSource::open(camera.index().clone(), camera.human_name(), most)?);
                    Ok(Some(Opened { source, is_stand_in: false, is_camera: true }))
                }
                None if may_stand_in => {
                    let source = Box::new(PatternSource::new(wanted, label));
                    Ok(Some(Opened { source, is_stand_in: true, is_camera: false }))
                }
                None => Err(failed("this machine has no camera now")),
            }
        }
    }
}

/// Whether a real camera is plugged in.
pub(crate) fn has_camera() -> bool {
    nokhwa::query(ApiBackend::Auto).is_ok_and(|cameras| !cameras.is_empty())
}

fn failed(message: &str) -> SourceError {
    let lower = message.to_lowercase();
    let code = if lower.contains("permission") || lower.contains("denied") || lower.contains("authoriz") {
        codes::CAMERA_NOT_AUTHORIZED
    } else if lower.contains("busy") {
        codes::CAMERA_OCCUPIED
    } else {
        codes::CAMERA_START
    };
    SourceError { code, message: message.to_owned() }
}

fn wait_until(due: Instant) {
    std::thread::sleep(due.saturating_duration_since(Instant::now()));
}

fn interval(fps: f64) -> Duration {
    Duration::from_secs_f64(1.0 / fps.clamp(0.1, 240.0))
}

struct PatternSource {
    pattern: Pattern,
    label: String,
    pace: Pace,
}

impl PatternSource {
    fn new(wanted: Wanted, label: &str) -> Self {
        let pace = Pace::new(Instant::now(), interval(f64::from(wanted.fps)));
        Self { pattern: Pattern::new(wanted.width, wanted.height, label), label: label.to_owned(), pace }
    }
}

impl Source for PatternSource {
    fn next(&mut self, epoch: Instant) -> Result<I420, SourceError> {
        wait_until(self.pace.due());
        let now = Instant::now();
        self.pace.advance(now);
        Ok(self.pattern.draw(now.saturating_duration_since(epoch), timecode::now()))
    }

    fn name(&self) -> String {
        if self.label.is_empty() {
            "Test pattern".into()
        } else {
            format!("Test pattern \u{201c}{}\u{201d}", self.label)
        }
    }

    fn want(&mut self, wanted: Wanted) {
        *self = Self::new(wanted, &self.label);
    }
}

struct Y4mSource {
    file: Y4m,
    name: String,
    pace: Pace,
}

impl Y4mSource {
    fn open(path: &std::path::Path) -> Result<Self, PictureError> {
        let file = Y4m::open(path)?;
        let pace = Pace::new(Instant::now(), interval(file.frame_rate()));
        Ok(Self { file, name: path.display().to_string(), pace })
    }
}

impl Source for Y4mSource {
    fn next(&mut self, epoch: Instant) -> Result<I420, SourceError> {
        wait_until(self.pace.due());
        let now = Instant::now();
        self.pace.advance(now);
        self.file.next(now.saturating_duration_since(epoch)).map_err(|e| failed(&e.to_string()))
    }

    fn name(&self) -> String {
        self.name.clone()
    }
}

/// A real camera. nokhwa has no time-out: a dead one may hold the thread, so others must watch for silence.
struct CameraSource {
    camera: Camera,
    name: String,
    errors: u32,
}

const FORMATS: [FrameFormat; 6] = [
    FrameFormat::NV12,
    FrameFormat::YUYV,
    FrameFormat::MJPEG,
    FrameFormat::GRAY,
    FrameFormat::RAWRGB,
    FrameFormat::RAWBGR,
];

impl CameraSource {
    /// Errors in a row before a camera counts as lost: single broken frames happen.
    const ERROR_LIMIT: u32 = 10;

    fn open(index: CameraIndex, name: String, wanted: Wanted) -> Result<Self, SourceError> {
        let whatever = RequestedFormat::with_formats(RequestedFormatType::None, &FORMATS);
        let mut camera = Camera::new(index, whatever).map_err(|e| failed(&e.to_string()))?;
        if let Ok(formats) = camera.compatible_camera_formats()
            && let Some(best) =
                formats.into_iter().filter(|f| FORMATS.contains(&f.format())).min_by_key(|f| cost(f, wanted))
        {
            let kind = [best.format()];
            let request = RequestedFormat::with_formats(RequestedFormatType::Exact(best), &kind);
            if let Err(e) = camera.set_camera_requset(request) {
                tracing::debug!("the camera keeps its format: {e}");
            }
        }
        camera.open_stream().map_err(|e| failed(&e.to_string()))?;
        tracing::info!(format = %camera.camera_format(), "camera open");
        Ok(Self { camera, name, errors: 0 })
    }
}

/// Smaller is better: enough pixels and pictures first, then few to spare, then what is cheap to convert.
fn cost(format: &CameraFormat, wanted: Wanted) -> (u32, u64, u32) {
    let short = wanted.width.saturating_sub(format.width()) + wanted.height.saturating_sub(format.height());
    let slow = wanted.fps.saturating_sub(format.frame_rate());
    let spare = u64::from(format.width()) * u64::from(format.height());
    (short * 4 + slow * 40, spare, u32::from(format.format() == FrameFormat::MJPEG))
}

impl Source for CameraSource {
    fn next(&mut self, epoch: Instant) -> Result<I420, SourceError> {
        loop {
            let error = match self.camera.frame() {
                Ok(frame) => {
                    let size = frame.resolution();
                    let elapsed = Instant::now().saturating_duration_since(epoch);
                    let format = raw_format(frame.source_frame_format());
                    match to_i420(format, size.width(), size.height(), frame.buffer(), elapsed) {
                        Some(picture) => {
                            self.errors = 0;
                            return Ok(picture);
                        }
                        None => "the camera gives broken pictures".to_owned(),
                    }
                }
                Err(e) => e.to_string(),
            };
            self.errors += 1;
            if self.errors >= Self::ERROR_LIMIT {
                return Err(failed(&error));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn name(&self) -> String {
        self.name.clone()
    }
}

impl Drop for CameraSource {
    fn drop(&mut self) {
        if let Err(e) = self.camera.stop_stream() {
            tracing::debug!("the camera does not stop: {e}");
        }
    }
}

fn raw_format(format: FrameFormat) -> RawFormat {
    match format {
        FrameFormat::MJPEG => RawFormat::Mjpeg,
        FrameFormat::YUYV => RawFormat::Yuyv,
        FrameFormat::NV12 => RawFormat::Nv12,
        FrameFormat::GRAY => RawFormat::Gray,
        FrameFormat::RAWRGB => RawFormat::Rgb,
        FrameFormat::RAWBGR => RawFormat::Bgr,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_camera_format_with_enough_of_both_and_little_to_spare_is_preferred() {
        let wanted = Wanted { width: 640, height: 360, fps: 24 };
        let formats = [
            CameraFormat::new_from(1920, 1080, FrameFormat::MJPEG, 30),
            CameraFormat::new_from(1280, 720, FrameFormat::YUYV, 10),
            CameraFormat::new_from(640, 480, FrameFormat::MJPEG, 30),
            CameraFormat::new_from(640, 480, FrameFormat::YUYV, 30),
            CameraFormat::new_from(320, 240, FrameFormat::YUYV, 30),
        ];
        let best = formats.iter().min_by_key(|f| cost(f, wanted)).unwrap();
        assert_eq!((best.width(), best.format()), (640, FrameFormat::YUYV));
    }

    #[test]
    fn errors_get_their_codes() {
        assert_eq!(failed("Permission denied (os error 13)").code, -1314);
        assert_eq!(failed("Device or resource busy").code, -1316);
        assert_eq!(failed("anything").code, -1301);
    }
}
