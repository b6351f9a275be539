//! The means of the interop tests: a server with embedded rooms, and foreign clients as processes that report by lines.

mod peer;
mod rooms;

pub use peer::{Client, Peer, Wire};
pub use rooms::TestServer;
