//! EVM chains: heads followed, blocks verified, holes refilled, reorgs told.

mod config;
mod encode;
mod json;
pub mod verify;
mod window;
pub mod wire;

pub use config::{
    Confirmations, EvmConfig, OneOrMany, ReceiptSource, RescanConfig, StartAt, Verify,
};
pub use json::WireError;
pub use window::{Fork, Step, Window};
