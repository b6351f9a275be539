//! The means of the interop tests: a server with embedded rooms, and foreign clients as processes that report by lines.

mod admin;
mod peer;
mod rooms;

pub use admin::{Admin, Sdk};
pub use peer::{Client, Peer, Wire};
pub use rooms::{KEY, SECRET, TestServer};
