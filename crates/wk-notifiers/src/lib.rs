//! One file per channel that carries findings to people.
//!
//! A channel is `Config` → `build` (no I/O) → `send`, and `probe` for those who want to know
//! whether it would work. A new one is one new file and its lines here.

mod channel;
mod http;
mod message;
mod ping;
mod receivers;
mod send_error;
mod text;
mod wire;

pub mod slack;
pub mod stdout;
pub mod webhook;

pub use channel::Channel;
pub use message::Message;
pub use ping::Ping;
pub use receivers::{ReceiverConfig, Receivers};
pub use send_error::{Retry, SendError};
