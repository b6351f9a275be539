//! The server's body: HTTP, WebSocket, UDP, admin APIs, store; the library behind ahoy-server

pub mod rooms;
pub mod tokens;
