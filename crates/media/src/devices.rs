//! What is plugged in, and being told when it changes.

use crate::device::{DeviceInfo, DeviceList};
use cpal::traits::{DeviceTrait, HostTrait};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often the lists are compared: no system tells of a new device through these crates. Shorter finds a headset
/// sooner, longer costs less while idle.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Everything of the three kinds. Takes some milliseconds, on a machine in trouble up to seconds: not for an event loop.
/// A kind that cannot be asked is empty.
pub fn list() -> DeviceList {
    audio_list(audio_host().ok().as_ref()).with_cameras(cameras())
}

/// Compares the lists every second on its own thread and tells of each change; the first list is told at once. Dropping
/// it stops the thread before the drop returns, unless a query hangs.
pub struct Watcher {
    stop: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watcher {
    /// `changed` gets each new list, on the watcher's thread.
    pub fn start(mut changed: impl FnMut(DeviceList) + Send + 'static) -> std::io::Result<Self> {
        // One place: only a stop is ever sent.
        let (stop, stopped) = sync_channel::<()>(1);
        let thread = std::thread::Builder::new().name("devices".into()).spawn(move || {
            let mut host = None;
            let mut known: Option<DeviceList> = None;
            loop {
                let now = poll(&mut host);
                if known.as_ref() != Some(&now) {
                    known = Some(now.clone());
                    changed(now);
                }
                match stopped.recv_timeout(POLL_INTERVAL) {
                    Err(RecvTimeoutError::Timeout) => {}
                    Ok(()) | Err(RecvTimeoutError::Disconnected) => return,
                }
            }
        })?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            crate::voice::join_within(thread, Duration::from_secs(1));
        }
    }
}

/// Keeps the host between polls (each new one is a connection to the sound server), and makes a new one when it is dead.
fn poll(host: &mut Option<cpal::Host>) -> DeviceList {
    if host.as_ref().is_some_and(|h| h.devices().is_err()) {
        *host = None;
    }
    // A sound server that came up after ALSA was chosen wins.
    if host.is_none() || host.as_ref().is_some_and(|h| preferred().is_some_and(|best| h.id() != best)) {
        *host = audio_host().ok();
    }
    audio_list(host.as_ref()).with_cameras(cameras())
}

impl DeviceList {
    fn with_cameras(mut self, cameras: Vec<DeviceInfo>) -> Self {
        self.cameras = cameras;
        self
    }
}

fn audio_list(host: Option<&cpal::Host>) -> DeviceList {
    let Some(host) = host else { return DeviceList::default() };
    let default_in = host.default_input_device().and_then(|d| d.id().ok());
    let default_out = host.default_output_device().and_then(|d| d.id().ok());
    let info = |device: cpal::Device, default: &Option<cpal::DeviceId>| {
        let id = device.id().ok()?;
        let is_default = Some(&id) == default.as_ref();
        Some(DeviceInfo { name: device.to_string(), is_default, id: id.to_string() })
    };
    let microphones = host.input_devices().map(|all| all.filter_map(|d| info(d, &default_in)).collect());
    let speakers = host.output_devices().map(|all| all.filter_map(|d| info(d, &default_out)).collect());
    DeviceList {
        microphones: microphones.unwrap_or_default(),
        speakers: speakers.unwrap_or_default(),
        cameras: Vec::new(),
    }
}

/// Cameras as nokhwa names them: its index is the id.
fn cameras() -> Vec<DeviceInfo> {
    let found = nokhwa::query(nokhwa::utils::ApiBackend::Auto).unwrap_or_default();
    found
        .iter()
        .enumerate()
        .map(|(n, camera)| DeviceInfo { id: camera.index().as_string(), name: camera.human_name(), is_default: n == 0 })
        .collect()
}

/// The sound server where there is one.
#[cfg(target_os = "linux")]
fn preferred() -> Option<cpal::HostId> {
    cpal::available_hosts().into_iter().find(|id| *id == cpal::HostId::PulseAudio)
}

#[cfg(not(target_os = "linux"))]
fn preferred() -> Option<cpal::HostId> {
    None
}

/// The system's audio: on Linux PulseAudio (or PipeWire in its place) where a server answers, else ALSA.
#[cfg(target_os = "linux")]
pub(crate) fn audio_host() -> Result<cpal::Host, cpal::Error> {
    if let Some(host) = preferred().and_then(|id| cpal::host_from_id(id).ok()) {
        return Ok(host);
    }
    // Without a card, ALSA would only print complaints to standard error.
    let has_card = std::fs::read_dir("/dev/snd")
        .is_ok_and(|mut nodes| nodes.any(|n| n.is_ok_and(|n| n.file_name().to_string_lossy().starts_with("pcm"))));
    if has_card {
        cpal::host_from_id(cpal::HostId::Alsa)
    } else {
        Err(cpal::Error::with_message(cpal::ErrorKind::HostUnavailable, "no sound server and no sound card"))
    }
}

/// The system's audio.
#[cfg(not(target_os = "linux"))]
pub(crate) fn audio_host() -> Result<cpal::Host, cpal::Error> {
    Ok(cpal::default_host())
}
