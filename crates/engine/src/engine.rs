//! The handle that the shell and the scripts hold. What it says is done by one task.

use crate::api::{Answer, CallBook, Devices, Intent, Levels, Refusal, Reported, Session, Snapshot, Stage};
use crate::core;
use crate::report::Report;
use media::{DeviceChoice, DeviceList, FrameSink};
use protocol::DeviceId;
use room::client::Times;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::{broadcast, mpsc, oneshot, watch};

/// Requests that wait for the task; a caller waits where they fill up.
const REQUEST_CAPACITY: usize = 32;
/// Events that a slow listener may lag behind; the oldest go first and the listener is told how many.
const EVENT_CAPACITY: usize = 1024;

/// How remote pictures reach the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pictures {
    /// As complete H.264 access units, for a screen that decodes.
    Compressed,
    /// Decoded here, for scripts and screens that cannot decode.
    Decoded,
}

/// What is known before anybody signs in.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// This installation.
    pub device_id: DeviceId,
    /// Name and version of the program, for the server's log.
    pub client: String,
    /// Voice in.
    pub microphone: DeviceChoice,
    /// Voice out.
    pub speaker: DeviceChoice,
    /// Picture in.
    pub camera: DeviceChoice,
    /// How remote pictures reach the screen.
    pub pictures: Pictures,
    /// Local addresses for media (port 0: any). Empty: loopback where the room server is on loopback, else every
    /// interface.
    pub media_addresses: Vec<SocketAddr>,
    /// Whether echo cancellation, noise suppression and gain control work on the microphone. Off only to compare files.
    pub processing: bool,
    /// When a broken connection is said, mended and given up.
    pub times: Times,
    /// Whether the list of devices is watched (once a second). Off for scripts that use none of the system's.
    pub watch_devices: bool,
}

impl EngineConfig {
    /// The system's own devices, everything processed.
    #[must_use]
    pub fn new(device_id: DeviceId) -> Self {
        Self {
            device_id,
            client: concat!("ahoy/", env!("CARGO_PKG_VERSION")).to_owned(),
            microphone: DeviceChoice::System,
            speaker: DeviceChoice::System,
            camera: DeviceChoice::System,
            pictures: Pictures::Compressed,
            media_addresses: Vec::new(),
            processing: true,
            times: Times::default(),
            watch_devices: true,
        }
    }
}

/// What the handle asks of the task.
pub(crate) enum Request {
    /// A person or a script wants something.
    Intent(Box<Intent>, oneshot::Sender<Result<Answer, Refusal>>),
    /// Where pictures go from now on.
    Screen(Arc<dyn FrameSink>),
    /// The numbers so far.
    Report(oneshot::Sender<Report>),
}

/// A running engine. Dropping the last clone ends whatever is under way and closes every device.
#[derive(Clone)]
pub struct Engine {
    requests: mpsc::Sender<Request>,
    snapshots: watch::Receiver<Snapshot>,
    levels: watch::Receiver<Levels>,
    events: broadcast::Sender<Reported>,
}

impl Engine {
    /// Starts the engine's task. Call it inside a tokio runtime.
    #[must_use]
    pub fn start(config: EngineConfig) -> Self {
        let (requests, inbox) = mpsc::channel(REQUEST_CAPACITY);
        let (snapshot_tx, snapshots) = watch::channel(first_snapshot(&config));
        let (level_tx, levels) = watch::channel(Levels::default());
        let (events, _) = broadcast::channel(EVENT_CAPACITY);
        tokio::spawn(core::run(config, inbox, snapshot_tx, level_tx, events.clone()));
        Self { requests, snapshots, levels, events }
    }

    /// Asks for something and waits until it is done or refused.
    ///
    /// # Errors
    /// The documented code and a sentence, e.g. -1203 where the state does not allow it.
    pub async fn request(&self, intent: Intent) -> Result<Answer, Refusal> {
        let (reply, answer) = oneshot::channel();
        let gone = || Refusal { code: -1201, message: "The engine has stopped.".to_owned() };
        self.requests.send(Request::Intent(Box::new(intent), reply)).await.map_err(|_| gone())?;
        answer.await.unwrap_or_else(|_| Err(gone()))
    }

    /// The whole state, a new one whenever something changed.
    #[must_use]
    pub fn snapshots(&self) -> watch::Receiver<Snapshot> {
        self.snapshots.clone()
    }

    /// Volumes and figures, 10 times a second while in a call.
    #[must_use]
    pub fn levels(&self) -> watch::Receiver<Levels> {
        self.levels.clone()
    }

    /// Every event from now on, in order.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<Reported> {
        self.events.subscribe()
    }

    /// The numbers of the present membership, else of the last one.
    pub async fn report(&self) -> Report {
        let (reply, report) = oneshot::channel();
        if self.requests.send(Request::Report(reply)).await.is_err() {
            return Report::default();
        }
        report.await.unwrap_or_default()
    }

    /// Where pictures go from now on.
    pub async fn set_screen(&self, screen: Arc<dyn FrameSink>) {
        // A stopped engine shows nothing: nobody to tell.
        let _ = self.requests.send(Request::Screen(screen)).await;
    }
}

fn first_snapshot(config: &EngineConfig) -> Snapshot {
    Snapshot {
        session: Session::SignedOut { refused: None },
        stage: Stage::Idle,
        devices: Devices {
            list: DeviceList::default(),
            microphone: config.microphone.clone(),
            speaker: config.speaker.clone(),
            camera: config.camera.clone(),
            encoder: crate::video::VideoEncoderParams::default(),
            microphone_on: false,
            camera_on: false,
            camera_is_synthetic: false,
            trouble: Vec::new(),
            preview: None,
        },
        book: CallBook::default(),
    }
}
