//! The embedded telemetry store, in the making: log, chunks, buffers, postings, records.

mod buffer;
mod bytes;
pub mod chunk;
mod damage;
mod histogram;
mod postings;
mod record;
mod settings;
pub mod wal;

pub use damage::Damage;
pub use settings::Settings;
