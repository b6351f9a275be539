//! Driving Ahoy's programs from outside, as a script would: the server, windows and headless clients as processes, events
//! read as lines.

pub mod client;
pub mod host;
pub mod measure;
pub mod process;
pub mod server;
pub mod table;
pub mod talker;
pub mod usage;
