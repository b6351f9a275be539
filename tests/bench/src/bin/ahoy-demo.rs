//! What ./dev run does once everything is built.

fn main() {}
