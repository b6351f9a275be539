//! Voice: capture to Opus, and Opus to the speaker.
//!
//! Mouth to ear adds up from stages that each keep their delay small (at 48 kHz, clean network):
//!
//! | stage | delay |
//! |---|---|
//! | microphone buffer (480 frames asked for) | 10 ms |
//! | processing in 10 ms blocks (band split of the echo canceller) | 4–6 ms |
//! | Opus frame of 20 ms, counted from its first sample | 20 ms |
//! | Opus look-ahead | 6.5 ms |
//! | jitter buffer on a clean path | 10–20 ms |
//! | playout ring (one block and the speaker's own request) | 10–20 ms |
//! | speaker buffer (480 frames asked for) | 10 ms |

mod block;
mod capture;
mod codec;
mod convert;
mod input;
mod jitter;
mod keeper;
mod level;
mod limiter;
mod output;
mod playout;
mod processing;
mod reference;
mod stretch;
mod wav;

pub(crate) use block::Pace;
pub(crate) use keeper::join_within;

pub use capture::{Capture, CaptureConfig, VoiceFrame};
pub use codec::{OpusDecoder, OpusEncoder};
pub use jitter::{JitterBuffer, JitterConfig, JitterStats};
pub use level::{Level, LevelMeter};
pub use limiter::Limiter;
pub use playout::{Playout, PlayoutConfig, Receiver};
pub use processing::{Processing, Processor};
pub use reference::Reference;
pub use wav::read_mono;

/// Samples per second everywhere inside; devices and files are converted at the edge.
pub const SAMPLE_RATE: u32 = 48_000;
/// Samples of one processing block (10 ms).
pub const BLOCK: usize = 480;
/// Samples of one Opus frame that is sent (20 ms).
pub const FRAME: usize = 960;

/// Why voice could not be started. Devices never cause it (they fail later, with an event); files and codecs do.
#[derive(Debug, thiserror::Error)]
pub enum VoiceError {
    /// The file cannot be read or written, or is not a WAV file.
    #[error("the WAV file {path} cannot be used: {reason}")]
    File {
        /// Which.
        path: std::path::PathBuf,
        /// What the system or the format says.
        reason: String,
    },
    /// Opus refused.
    #[error("Opus: {0}")]
    Codec(#[from] opus::Error),
    /// A choice that makes no sense for this kind of device.
    #[error("{0} cannot be used here")]
    Choice(&'static str),
    /// The system gives no thread.
    #[error("no thread: {0}")]
    Thread(#[from] std::io::Error),
}
