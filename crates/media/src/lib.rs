//! Devices, audio processing, codecs, jitter buffer, mixer: knows no call, no room, no network.

pub mod device;
pub mod frame;

pub use device::{DeviceChoice, DeviceInfo, DeviceKind, DeviceList};
pub use frame::{AccessUnit, FrameSink, I420, Picture, PictureId};
