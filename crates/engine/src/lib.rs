//! The client's body: sockets, threads, reconnect; drives the call session, the room session and the media.
//!
//! Intents go in by [`Engine::request`]; whole [`api::Snapshot`]s, a 10 Hz lane of [`api::Levels`] and documented events
//! come out. One task owns all state; sockets, rooms and devices are reached by bounded channels.

pub mod api;
mod call_socket;
mod core;
mod engine;
mod incoming;
mod outgoing;
mod quality;
mod report;
mod room;
pub mod script;
mod studio;
mod video;

pub use ::room::client::Times;
pub use engine::{Engine, EngineConfig, Pictures};
pub use report::{RemoteReport, Report};
