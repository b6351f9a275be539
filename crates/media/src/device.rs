//! Which devices there are and which one is chosen: real ones, files and synthetic ones.

use std::path::PathBuf;

/// The three kinds of device a call uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DeviceKind {
    /// Voice in.
    Microphone,
    /// Voice out.
    Speaker,
    /// Picture in.
    Camera,
}

/// A choice of the person or of a script.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum DeviceChoice {
    /// What the system says is the default; the synthetic camera where there is no camera at all.
    #[default]
    System,
    /// A device of [`DeviceList`] by its id.
    Device(String),
    /// Voice from or to a WAV file; picture from a Y4M file (both repeat at their end).
    File(PathBuf),
    /// A tone of so many hertz, or the moving test pattern with a label and a running timecode.
    Synthetic(Synthetic),
    /// No device: silence, nothing heard, no picture.
    None,
}

/// A device that the machine need not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Synthetic {
    /// Sine of so many hertz at −20 dBFS.
    Tone(u32),
    /// Moving test pattern with this label and a running timecode.
    Pattern(String),
}

/// One device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceInfo {
    /// Stable while it is plugged in.
    pub id: String,
    /// For people.
    pub name: String,
    /// The system's default.
    pub is_default: bool,
}

/// What is plugged in now.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct DeviceList {
    /// Voice in.
    pub microphones: Vec<DeviceInfo>,
    /// Voice out.
    pub speakers: Vec<DeviceInfo>,
    /// Picture in.
    pub cameras: Vec<DeviceInfo>,
}

/// What happened to an opened device. Reported when it changes, never repeatedly.
///
/// ```text
/// (start) -> Open <-> Failed
///            Open -> Lost -> Open
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceState {
    /// Voice or picture flows.
    Open {
        /// For people.
        name: String,
        /// Made up by this program because the machine has none of this kind.
        is_stand_in: bool,
    },
    /// It could not be opened; retried until it can.
    Failed {
        /// TRTC code, e.g. −1302: see [`codes`].
        code: i32,
        /// One plain sentence.
        message: String,
    },
    /// It was open and is gone; retried until it or another default is back.
    Lost {
        /// TRTC code.
        code: i32,
        /// One plain sentence.
        message: String,
    },
}

/// A device changed its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceEvent {
    /// Which of the three.
    pub kind: DeviceKind,
    /// What it is now.
    pub state: DeviceState,
}

/// Where device events go. Called on a device's own thread, so it must return at once.
#[derive(Clone)]
pub struct DeviceEvents(std::sync::Arc<dyn Fn(DeviceEvent) + Send + Sync>);

impl DeviceEvents {
    /// Events go to `receive`.
    pub fn new(receive: impl Fn(DeviceEvent) + Send + Sync + 'static) -> Self {
        Self(std::sync::Arc::new(receive))
    }

    pub(crate) fn report(&self, kind: DeviceKind, state: DeviceState) {
        match &state {
            DeviceState::Open { is_stand_in, .. } => tracing::info!(?kind, is_stand_in, "device open"),
            DeviceState::Failed { code, message } => tracing::warn!(?kind, code, message, "device does not open"),
            DeviceState::Lost { code, message } => tracing::warn!(?kind, code, message, "device lost"),
        }
        (self.0)(DeviceEvent { kind, state });
    }
}

impl Default for DeviceEvents {
    /// Events go to the log alone.
    fn default() -> Self {
        Self::new(|_| {})
    }
}

impl std::fmt::Debug for DeviceEvents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DeviceEvents")
    }
}

/// TRTC error codes of devices.
pub mod codes {
    /// The camera cannot be started, or was lost.
    pub const CAMERA_START: i32 = -1301;
    /// The system forbids the camera.
    pub const CAMERA_NOT_AUTHORIZED: i32 = -1314;
    /// Another program holds the camera.
    pub const CAMERA_OCCUPIED: i32 = -1316;
    /// The encoder failed.
    pub const VIDEO_ENCODE: i32 = -1303;
    /// The microphone cannot be started, or was lost.
    pub const MICROPHONE_START: i32 = -1302;
    /// The system forbids the microphone.
    pub const MICROPHONE_NOT_AUTHORIZED: i32 = -1317;
    /// Another program holds the microphone.
    pub const MICROPHONE_OCCUPIED: i32 = -1319;
    /// The speaker cannot be started, or was lost.
    pub const SPEAKER_START: i32 = -1321;
}
