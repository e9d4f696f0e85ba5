//! The engine's promises, tried on a real chain.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod inspect;
mod proxies;
mod reload;
mod self_watch;
mod support;
mod usage;
