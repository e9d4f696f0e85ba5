//! Records the demo's tape.

fn main() {}
