//! Devices, audio processing, codecs, jitter buffer, mixer: knows no call, no room, no network.
//!
//! ```text
//! voice    microphone -> ring -> 10 ms: AEC, NS, AGC, level -> Opus 20 ms -> (network)
//!          (network) -> jitter buffer with Opus -> mixer (AEC reference) -> ring -> speaker
//! picture  camera -> I420 -> scale -> H.264 -> packets -> (network)
//!          (network) -> packets -> complete access units -> screen, or decoder -> I420
//! ```
//!
//! Every device may be a real one, a file or a synthetic one ([`DeviceChoice`]), and losing it ends nothing: voice goes
//! on as silence, picture as the last picture and then black, a [`DeviceEvent`] says so, and the device is reopened when
//! it (or another default) comes back.

pub mod device;
pub mod devices;
pub mod frame;
pub mod picture;
pub mod voice;

pub use device::{DeviceChoice, DeviceEvent, DeviceEvents, DeviceInfo, DeviceKind, DeviceList, DeviceState, Synthetic};
pub use frame::{AccessUnit, FrameSink, I420, Picture, PictureId};
