//! The life of a call, without a clock or a socket.
//!
//! - [`CallSession`], on the device: one for each signed-in device. Takes what the person wants and what the server
//!   says; gives back what to send, what to report and what the room has to do.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod session;

pub use session::CallSession;
