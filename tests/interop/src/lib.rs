//! The means of the interop tests: a server with embedded rooms, and foreign clients and SDKs as processes that report by
//! lines.

mod admin;
mod peer;
mod receiver;
mod rooms;
mod tencent;

pub use admin::{Admin, Sdk};
pub use peer::{Client, Peer, Wire};
pub use receiver::Receiver;
pub use rooms::{KEY, SECRET, TestServer};
pub use tencent::{AdminServer, Administrator, TencentSdk};
