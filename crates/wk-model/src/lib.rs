//! The vocabulary of Watchkeeper: what is watched, what was seen, what was found.
//!
//! One word per thing, used everywhere. No I/O, no async, no clock: time is handed in.

mod asset;
mod chain;
mod coverage;
mod duration;
pub mod evm;
mod finding;
mod notice;
mod observation;
mod one_or_many;
mod problem;
pub mod proxy;
mod secret;
pub mod series;
mod severity;
mod signal;
mod time;
mod window;
pub mod write;

pub use alloy_primitives::{self as primitives, Address, B256, Bloom, Bytes, I256, U256};

pub use asset::AssetId;
pub use chain::{
    BlockBody, BlockLink, BlockRef, ChainChange, ChainEvent, ChainId, ChainName, Finality, Height,
    Intake,
};
pub use coverage::{Check, CheckResult, Checks, CoverageRange, Verification};
pub use duration::HumanDuration;
pub use finding::{
    CANARY, CANARY_TARGET, ChainPosition, Condition, ConditionKey, Confidence, Finding,
    FindingBuilder, FindingId, FindingStatus, Source,
};
pub use notice::{Notice, NoticeKind};
pub use observation::{Fact, Observation, Sample};
pub use one_or_many::OneOrMany;
pub use problem::Problem;
pub use secret::Secret;
pub use severity::Severity;
pub use signal::{Labels, Signal, SignalKind, Unit};
pub use time::{BlockTime, Timestamp};
pub use window::{EntryKind, WindowEntry, WindowKey};
