//! The means of the table of room tests: a stage with either back end, LiveKit's own server as a process, and a wire
//! that can be cut for one person at a time.

mod livekit;
mod stage;
mod wire;

pub use livekit::LiveKit;
pub use stage::{Backend, Stage};
pub use wire::Wire;
