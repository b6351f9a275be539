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
pub mod profile;
pub mod push;
pub mod record;
pub mod time;
pub mod usersig;
pub mod vocabulary;

pub use codes::{Code, Refusal};
pub use event::Event;
pub use ids::{CallId, DeviceId, IdError, RoomId, UserId};
pub use kinds::{
    CallEndReason, CallMediaType, CallRole, CallScene, ExitReason, LeaveReason, NetworkQuality, RecordResult,
};
pub use map_key::Privileges;
pub use message::{ClientMessage, Request, RequestId, RoomAccess, ServerMessage};
pub use profile::Profile;
pub use push::Push;
pub use record::{CallCard, CallRecord, RecordCursor, RecordFilter};
pub use time::UnixMillis;
