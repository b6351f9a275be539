//! Picture: camera to H.264, packets, and back.

mod camera;
mod convert;
mod decoder;
mod depacketizer;
mod encoder;
mod format;
mod glyphs;
mod nal;
mod packetizer;
mod pattern;
mod sinks;
mod source;
pub mod timecode;
mod y4m;

pub use camera::{CameraCapture, CameraConfig, CameraStats, EncodedPicture};
pub use convert::{black, fit, scale};
pub use decoder::{DecodeError, Decoder};
pub use depacketizer::{Depacketizer, DepacketizerConfig, DepacketizerStats, PacketError};
pub use encoder::{EncodeError, Encoder, EncoderConfig};
pub use format::{FORMATS, FULL_HD, Format};
pub use packetizer::{Packet, Packetizer};
pub use pattern::Pattern;
pub use sinks::{CountingSink, DecodingSink, SinkCounts};
pub use y4m::Y4m;

/// Ticks per second of RTP timestamps of pictures (RFC 6184, 8.2.1).
pub const CLOCK_RATE: u32 = 90_000;

/// Why a camera could not be started. A missing camera never causes it (that is an event); files and codecs do.
#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    /// The file cannot be read or is not Y4M.
    #[error("the Y4M file {path} cannot be used: {reason}")]
    File {
        /// Which.
        path: std::path::PathBuf,
        /// What the system or the format says.
        reason: String,
    },
    /// OpenH264 refused.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// A choice that makes no sense for a camera.
    #[error("{0} cannot be used here")]
    Choice(&'static str),
    /// The system gives no thread.
    #[error("no thread: {0}")]
    Thread(#[from] std::io::Error),
}
