//! The words of the call plane: ids, messages, events, reasons, error codes, UserSig, media type.
//!
//! Pure: no clock, socket, thread, file or random source. Both ends of the wire compile this crate, so a word that is
//! not here does not exist on the wire.
#![forbid(unsafe_code)]

pub mod event;
pub mod ids;
pub mod kinds;

pub use event::Event;
pub use ids::{CallId, DeviceId, IdError, RoomId, UserId};
pub use kinds::{CallEndReason, CallMediaType, CallRole, ExitReason, LeaveReason, NetworkQuality};
