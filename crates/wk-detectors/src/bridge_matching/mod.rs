//! Releases of a bridge held against the deposits of its other chain: what was never paid in must
//! not be paid out.
//!
//! A release is valid only when the source chain has an earlier deposit of the same id, token,
//! amount and beneficiary that is older than the bridge's finality and was not released before
//! (the rule of XChainWatcher, arXiv 2410.02029).
//!
//! A release without one is told at its own event, at once. Where the source chain was not yet
//! looked at far enough, it is told as not certain; a deposit that comes to be known late, within
//! [`BridgeConfig::late`], withdraws it; when the source chain has caught up without one, it is
//! told again as certain.
//!
//! Weaknesses: deposits made before the watch began, or forgotten since there were too many, make
//! honest releases look forged, so what is told then is not certain and says why; a bridge whose
//! releases name neither id nor beneficiary cannot be matched.

mod bucket;
mod config;
mod events;
mod flag;
mod fold;

pub use bucket::{Difference, Reason};
pub use config::{BridgeConfig, BridgeKind, BridgeSide, EventConfig, IdFrom, TokenPair};
pub use events::{BridgeReader, EventError};
pub use flag::{Flag, Outcome, Withdrawal};
pub use fold::{Limits, Matching, Rules};

use alloy_primitives::{Address, B256, U256};
use wk_model::{BlockRef, BlockTime};

/// One of the two chains of a bridge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// Where people pay in.
    Source,
    /// Where the bridge pays out.
    Target,
}

/// Where on its chain an event lies; ordered by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Time of its block.
    pub time: BlockTime,
    /// Its block.
    pub block: BlockRef,
    /// Its place in the block.
    pub log_index: u64,
    /// Its transaction.
    pub tx: B256,
}

/// What a deposit or a release says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Moved {
    /// Message hash, nonce or other number that both sides know it by.
    pub id: Option<B256>,
    /// The token on this side; the zero address for the chain's own coin, none where untold.
    pub token: Option<Address>,
    /// The token on the other side, where the event tells it.
    pub other_token: Option<Address>,
    /// Amount in the token's smallest unit.
    pub amount: U256,
    /// Who gets it: the low 20 bytes where the event has 32.
    pub beneficiary: Address,
}

/// A deposit or a release, and where it was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BridgeEvent {
    /// Where.
    pub place: Place,
    /// What.
    pub moved: Moved,
}
