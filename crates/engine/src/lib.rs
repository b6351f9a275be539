//! The client's body: sockets, threads, reconnect; drives the call session, the room session and the media.

pub mod api;
