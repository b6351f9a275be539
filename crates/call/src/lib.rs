//! The life of a call, without a clock or a socket.
//!
//! - [`CallSession`], on the device: one for each signed-in device. Takes what the person wants and what the server
//!   says; gives back what to send, what to report and what the room has to do.
//! - [`Call`], on the server: the life of one call over its people.
//! - [`Switchboard`], on the server: all sessions and calls, each device's outbox, what has to be stored.
//!
//! All three are driven the same way: `handle_*` takes an input, `poll_output` gives effects back as values,
//! `poll_timeout` says when to come back.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod call;
pub mod outbox;
pub mod session;
pub mod switchboard;

pub use call::Call;
pub use session::CallSession;
pub use switchboard::Switchboard;
