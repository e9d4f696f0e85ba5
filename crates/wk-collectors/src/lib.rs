//! One file per source of observations.

mod certificate;
mod http_probe;
mod pending_transactions;
mod signals;

pub use http_probe::{
    HttpProbe, PROBE_FACT, Probe, ProbeAnswer, ProbeConfig, ProbeError, ProbeMethod,
};
pub use pending_transactions::{PendingError, PendingTransaction, PendingTransactions};
pub use signals::SIGNALS;
