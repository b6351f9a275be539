//! The server's body: HTTP, WebSocket, UDP, admin APIs, store; the library behind ahoy-server

pub mod config;
mod notify;
mod plane;
pub mod rooms;
pub mod rtc;
mod secrets;
mod server;
pub mod signal;
mod store;
pub mod tokens;
pub mod twirp;

pub use config::{Config, ConfigError};
pub use secrets::Secrets;
pub use server::{Server, ticket_key};
