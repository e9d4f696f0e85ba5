//! Users' rules: CEL conditions over blocks, transactions, events and state, with windows and backtests.

pub mod cel;
mod config;
mod list;
pub mod testing;

pub use config::{
    Blocks, HttpMethod, OneOrMany, ReadConfig, RuleConfig, Trigger, WindowConfig, WindowSpan,
};
pub use list::{ListConfig, ListKind, ReadListError};
pub use testing::TestConfig;
