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
