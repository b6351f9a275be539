//! Own devices: opened when the call's rules allow it, closed before anybody is told that it is over.

use crate::video::VideoEncoderParams;
use media::picture::{CameraCapture, CameraConfig, EncodedPicture};
use media::voice::{Capture, CaptureConfig, Playout, PlayoutConfig, Processing, Receiver, VoiceFrame};
use media::{DeviceChoice, DeviceEvent, DeviceEvents, DeviceKind, FrameSink, I420, Picture, PictureId};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// A device that hangs is left behind after this long; `media` gives up earlier.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(1900);
/// Changes of devices that wait for the core. Full: the newest is dropped (and logged); the next change tells the rest.
pub(crate) const DEVICE_EVENT_CAPACITY: usize = 64;

/// Which devices, and where everything goes.
#[derive(Clone)]
pub(crate) struct Choices {
    pub(crate) microphone: DeviceChoice,
    pub(crate) speaker: DeviceChoice,
    pub(crate) camera: DeviceChoice,
    pub(crate) processing: bool,
    pub(crate) encoder: VideoEncoderParams,
}

/// The open devices.
pub(crate) struct Studio {
    microphone: Option<Capture>,
    camera: Option<CameraCapture>,
    playout: Option<Playout>,
    voice_out: watch::Sender<Option<mpsc::Sender<VoiceFrame>>>,
    picture_out: watch::Sender<Option<mpsc::Sender<EncodedPicture>>>,
    screen: watch::Receiver<Arc<dyn FrameSink>>,
    events: DeviceEvents,
    /// Under which the own picture is shown.
    preview: Option<PictureId>,
}

impl Studio {
    /// Nothing is open. `events` gets every change of a device's state.
    pub(crate) fn new(screen: watch::Receiver<Arc<dyn FrameSink>>, events: mpsc::Sender<DeviceEvent>) -> Self {
        let events = DeviceEvents::new(move |event| {
            if events.try_send(event).is_err() {
                tracing::warn!("a device event was dropped");
            }
        });
        Self {
            microphone: None,
            camera: None,
            playout: None,
            voice_out: watch::channel(None).0,
            picture_out: watch::channel(None).0,
            screen,
            events,
            preview: None,
        }
    }

    /// Where frames go from now on; `None`: nowhere.
    pub(crate) fn connect(
        &self,
        voice: Option<mpsc::Sender<VoiceFrame>>,
        picture: Option<mpsc::Sender<EncodedPicture>>,
    ) {
        self.voice_out.send_replace(voice);
        self.picture_out.send_replace(picture);
    }

    /// Whether any capture device is open.
    pub(crate) fn is_capturing(&self) -> bool {
        self.microphone.is_some() || self.camera.is_some()
    }

    /// Whether a device of this kind is open, or being opened again.
    pub(crate) fn is_open(&self, kind: DeviceKind) -> bool {
        match kind {
            DeviceKind::Microphone => self.microphone.is_some(),
            DeviceKind::Speaker => self.playout.is_some(),
            DeviceKind::Camera => self.camera.is_some(),
        }
    }

    pub(crate) fn microphone_is_open(&self) -> bool {
        self.microphone.is_some()
    }

    pub(crate) fn camera_is_open(&self) -> bool {
        self.camera.is_some()
    }

    /// Under which the own picture is shown, while the camera is open.
    pub(crate) fn preview(&self) -> Option<PictureId> {
        self.preview
    }

    /// Own loudness, 0–100.
    pub(crate) fn level(&self) -> u8 {
        self.microphone.as_ref().map_or(0, Capture::level)
    }

    /// Opens the speaker, so that the first packet finds it open.
    pub(crate) fn open_speaker(&mut self, choices: &Choices) {
        if self.playout.is_some() {
            return;
        }
        let config =
            PlayoutConfig { device: choices.speaker.clone(), events: self.events.clone(), ..PlayoutConfig::default() };
        self.playout = Playout::start(config).inspect_err(|error| tracing::error!(%error, "no playout")).ok();
    }

    /// A new sender in the mix.
    pub(crate) fn listen(&self, name: &str) -> Option<Receiver> {
        self.playout.as_ref()?.add(name).inspect_err(|error| tracing::error!(%error, "no voice")).ok()
    }

    /// Opens the microphone; muted, it stays open.
    pub(crate) fn set_microphone(&mut self, choices: &Choices, on: bool) {
        if let Some(microphone) = &self.microphone {
            return microphone.set_muted(!on);
        }
        if !on {
            return;
        }
        let processed = choices.processing && !is_made_up(&choices.microphone);
        let config = CaptureConfig {
            device: choices.microphone.clone(),
            processing: if processed { Processing::FULL } else { Processing::OFF },
            events: self.events.clone(),
            ..CaptureConfig::default()
        };
        let reference = self.playout.as_ref().filter(|_| processed).map(Playout::reference);
        let out = self.voice_out.subscribe();
        let on_frame = move |frame| {
            if let Some(out) = &*out.borrow() {
                // Full: the network stalls, and old voice is worth no more.
                let _ = out.try_send(frame);
            }
        };
        self.microphone = Capture::start(config, reference, Box::new(on_frame))
            .inspect_err(|error| tracing::error!(%error, "no microphone"))
            .ok();
    }

    /// Opens the camera for the preview; what it encodes is decided by [`Studio::send_picture`].
    pub(crate) fn open_camera(&mut self, choices: &Choices, label: &str, id: PictureId, sending: bool) {
        if self.camera.is_some() {
            return;
        }
        let config = CameraConfig {
            device: choices.camera.clone(),
            formats: choices.encoder.formats(),
            label: label.to_owned(),
            sending,
            events: self.events.clone(),
        };
        let (out, screen) = (self.picture_out.subscribe(), self.screen.clone());
        let on_picture = move |picture: EncodedPicture| {
            if let Some(out) = &*out.borrow() {
                let _ = out.try_send(picture);
            }
        };
        let on_preview = move |picture: I420| screen.borrow().show(id, Picture::Raw(picture));
        self.camera = CameraCapture::start(config, Box::new(on_picture), Box::new(on_preview))
            .inspect_err(|error| tracing::error!(%error, "no camera"))
            .ok();
        self.preview = self.camera.as_ref().map(|_| id);
    }

    /// Whether the camera's pictures are encoded; begins with a keyframe.
    pub(crate) fn send_picture(&self, sending: bool) {
        if let Some(camera) = &self.camera {
            camera.set_sending(sending);
        }
    }

    /// The next picture becomes a keyframe.
    pub(crate) fn force_keyframe(&self) {
        if let Some(camera) = &self.camera {
            camera.force_keyframe();
        }
    }

    /// Other devices, from now on.
    pub(crate) fn select(&self, kind: DeviceKind, choice: &DeviceChoice) {
        match kind {
            DeviceKind::Microphone => {
                if let Some(open) = &self.microphone {
                    open.select(choice.clone());
                }
            }
            DeviceKind::Speaker => {
                if let Some(open) = &self.playout {
                    open.select(choice.clone());
                }
            }
            DeviceKind::Camera => {
                if let Some(open) = &self.camera {
                    open.select(choice.clone());
                }
            }
        }
    }

    /// Closes the camera; returns when it is closed.
    pub(crate) async fn close_camera(&mut self) {
        let camera = self.camera.take();
        if let Some(id) = self.preview.take() {
            self.screen.borrow().end(id);
        }
        close(camera).await;
    }

    /// Closes microphone and camera; returns when both are closed.
    pub(crate) async fn close_capture(&mut self) {
        self.connect(None, None);
        let (microphone, camera) = (self.microphone.take(), self.camera.take());
        if let Some(id) = self.preview.take() {
            self.screen.borrow().end(id);
        }
        // Side by side: the slower one decides.
        tokio::join!(close(microphone), close(camera));
    }

    /// Closes everything, the speaker too.
    pub(crate) async fn close(&mut self) {
        self.close_capture().await;
        close(self.playout.take()).await;
    }
}

/// Files and tones keep their samples.
fn is_made_up(choice: &DeviceChoice) -> bool {
    matches!(choice, DeviceChoice::File(_) | DeviceChoice::Synthetic(_) | DeviceChoice::None)
}

/// Drops a device on a thread that may block.
async fn close<T: Send + 'static>(device: Option<T>) {
    if let Some(device) = device {
        let closed = tokio::task::spawn_blocking(move || drop(device));
        if tokio::time::timeout(CLOSE_TIMEOUT, closed).await.is_err() {
            tracing::error!("a device hangs while it is closed");
        }
    }
}
