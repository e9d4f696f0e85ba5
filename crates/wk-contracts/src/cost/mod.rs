//! What contracts cost and how they do: calls, gas, errors, money, advice and a forecast.
//!
//! [`Deltas::of`] turns a transaction's trace into sums per contract and function; [`Ledger`] adds
//! up blocks, takes reverted ones back out, and merges with others. A sum minus what was added is
//! exactly what it was, quantiles included, since they come from counts.

mod advice;
mod forecast;
mod ledger;
mod sketch;
mod stats;

pub use advice::{Advice, AdviceKind};
pub use forecast::{Forecast, ForecastPoint, forecast, theil_sen};
pub use ledger::{Ledger, LedgerLimits, Summary, Trend};
pub use sketch::Sketch;
pub use stats::{Deltas, Function, Key, Stats, TxContext};
