//! The server's body: HTTP, WebSocket, UDP, admin APIs, store; the library behind ahoy-server

pub mod admin_keys;
pub mod audit;
pub mod config;
mod notify;
mod plane;
mod private;
pub mod records;
mod request_id;
pub mod rooms;
pub mod rtc;
mod secrets;
mod server;
pub mod signal;
mod sqlite;
mod store;
pub mod tc3;
pub mod tokens;
pub mod twirp;
pub mod utc;

pub use config::{Config, ConfigError};
pub use request_id::request_id;
pub use secrets::Secrets;
pub use server::{Server, ticket_key};
