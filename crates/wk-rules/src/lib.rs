//! Users' rules: CEL conditions over blocks, transactions, events and state, with windows and backtests.

pub mod cel;
