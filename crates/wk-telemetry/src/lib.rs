//! The embedded telemetry store: samples go into a log and into memory, and from there into blocks.
//!
//! A batch is in memory before the log is asked to make it durable, and leaves memory only once its
//! block is in the manifest: whatever was acknowledged is in the log, in a block, or in both.

mod block;
mod buffer;
mod bytes;
pub mod chunk;
mod damage;
mod head;
mod histogram;
mod manifest;
mod postings;
mod record;
mod select;
mod settings;
mod store;
pub mod wal;

pub use block::BlockInfo;
pub use damage::Damage;
pub use settings::Settings;
pub use store::{FilesError, OpenError, Store};
