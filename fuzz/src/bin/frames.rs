//! Frames of the call plane, in both directions.
#![no_main]

#[path = "../../../crates/protocol/tests/replay/mod.rs"]
mod replay;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| replay::read(bytes));
