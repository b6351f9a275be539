//! The life of a room, without a clock or a socket: members, tracks, subscriptions, forwarding.
//!
//! Two brains over one vocabulary, the LiveKit client protocol: [`server`] owns one room on the server,
//! [`client`] one membership on a device.
//! Time and randomness are arguments; effects are values.
#![forbid(unsafe_code)]

pub mod client;
pub mod server;
