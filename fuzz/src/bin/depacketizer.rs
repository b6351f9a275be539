//! The H.264 depacketiser.
#![no_main]

#[path = "../../../crates/media/tests/suite/replay.rs"]
mod replay;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| replay::replay(bytes));
