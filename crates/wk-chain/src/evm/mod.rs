//! EVM chains: heads followed, blocks verified, holes refilled, reorgs told.

mod config;
mod digest;
mod encode;
mod json;
mod resume;
pub mod verify;
mod window;
pub mod wire;

pub use config::{
    Confirmations, EvmConfig, OneOrMany, ReceiptSource, RescanConfig, StartAt, Verify,
};
pub use digest::digest;
pub use json::WireError;
pub use resume::Resume;
pub use window::{Fork, Step, Window};
