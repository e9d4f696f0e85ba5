//! Wires the parts: from a block to a delivered finding.

mod backtest;
mod canary;
mod chain;
mod contract_facts;
mod costs;
mod deadman;
mod deliver;
mod engine;
mod files;
mod foresee;
mod funds;
mod handle;
mod history;
mod housekeeping;
mod inspect;
mod live;
mod outcome;
mod parts;
mod pipeline;
mod proxies;
mod recent;
mod reload;
mod replay;
mod side;
mod signals;
mod state_reads;
mod status;

pub use backtest::Backtest;
pub use contract_facts::{ExamineError, Examined, examine};
pub use costs::Costs;
pub use engine::{Engine, StartError};
pub use funds::{FundsError, GatherError, Gathered};
pub use handle::{ConfigState, Handle};
pub use history::{History, OpenHistory};
pub use inspect::{
    Inspection, InspectionStatus, Inspector, LookedAt, Named, Token, Transaction, TransactionError,
    look,
};
pub use live::{Live, LiveEvent, Numbered};
pub use recent::{Recent, RecentBlock};
pub use replay::{ReplayError, Replayed, replay};
pub use signals::SIGNALS;
pub use status::{ChainState, ChainStatus, Statuses};
