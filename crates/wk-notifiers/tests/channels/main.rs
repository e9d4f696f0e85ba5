//! What arrives at a real HTTP server, and what a channel makes of its answers.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod config;
mod errors;
mod looks;
mod support;
