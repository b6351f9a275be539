//! The media crate as its users see it, in one binary.

// Helpers outside of test functions fail by panicking too.
#![allow(clippy::unwrap_used)]

mod devices;
mod jitter;
mod packets;
mod picture;
mod replay;
mod signal;
mod voice;
