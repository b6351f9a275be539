//! The words of the call plane: ids, messages, events, reasons, error codes, UserSig, PrivateMapKey, media type.
//!
//! Pure: no clock, socket, thread, file or random source. Both ends of the wire compile this crate, so a word that is
//! not here does not exist on the wire. `docs/protocol.md` describes the wire for writers of other clients.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod codes;
// Fields carry the names under which they are documented.
#[allow(missing_docs)]
pub mod event;
pub mod ids;
pub mod kinds;
pub mod map_key;
pub mod message;
pub mod time;
pub mod usersig;

pub use codes::{Code, Refusal};
pub use event::Event;
pub use ids::{CallId, DeviceId, IdError, RoomId, UserId};
pub use kinds::{CallEndReason, CallMediaType, CallRole, ExitReason, LeaveReason, NetworkQuality};
pub use map_key::Privileges;
pub use message::{ClientMessage, Push, Request, RequestId, RoomAccess, ServerMessage};
pub use time::UnixMillis;
