//! Measurements, printed as tables; see docs/testing.md.

fn main() {}
