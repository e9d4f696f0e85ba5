//! EVM chains: heads followed, blocks verified, holes refilled, reorgs told.

mod config;

pub use config::{
    Confirmations, EvmConfig, OneOrMany, ReceiptSource, RescanConfig, StartAt, Verify,
};
