//! How each chain is doing, as the API, the status page and the live stream show it.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::RwLock;
use serde::Serialize;
use wk_model::{BlockLink, BlockRef, ChainId, ChainName, Timestamp};

use crate::InspectionStatus;

/// One chain as it is now.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ChainStatus {
    /// Its name in the config.
    pub chain: ChainName,
    /// Its EIP-155 id, once an endpoint told it.
    pub chain_id: Option<ChainId>,
    /// What is done with it.
    pub state: ChainState,
    /// Why it stopped, in words; none while it runs.
    pub reason: Option<String>,
    /// The newest block that all rules have seen.
    pub head: Option<BlockLink>,
    /// When that block was processed.
    pub processed_at: Option<Timestamp>,
    /// The newest safe block.
    pub safe: Option<BlockRef>,
    /// The newest final block.
    pub finalized: Option<BlockRef>,
    /// Observations that wait to be processed.
    pub queued: u64,
    /// How far the inspection of its transactions is; none where that is turned off, and before it
    /// began.
    pub inspection: Option<InspectionStatus>,
}

/// What is done with a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ChainState {
    /// No block was processed since the start.
    Starting,
    /// Blocks on the way from the last stop to the head are processed.
    Backfilling,
    /// The head is followed.
    Live,
    /// It is not followed any more; `reason` says why and what to do.
    Stopped,
}

impl ChainStatus {
    /// A chain of which nothing is known yet.
    pub(crate) fn new(chain: ChainName) -> ChainStatus {
        ChainStatus {
            chain,
            chain_id: None,
            state: ChainState::Starting,
            reason: None,
            head: None,
            processed_at: None,
            safe: None,
            finalized: None,
            queued: 0,
            inspection: None,
        }
    }
}

/// The statuses of all chains. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Statuses(Arc<RwLock<BTreeMap<ChainName, ChainStatus>>>);

impl Statuses {
    /// All chains, by name.
    pub fn all(&self) -> Vec<ChainStatus> {
        self.0.read().values().cloned().collect()
    }

    /// One chain.
    pub fn get(&self, chain: &ChainName) -> Option<ChainStatus> {
        self.0.read().get(chain).cloned()
    }

    /// Changes one chain's status; a chain that was not known is new.
    pub(crate) fn update(&self, chain: &ChainName, change: impl FnOnce(&mut ChainStatus)) {
        let mut all = self.0.write();
        change(all.entry(chain.clone()).or_insert_with(|| ChainStatus::new(chain.clone())));
    }

    /// Forgets a chain that is no longer watched.
    pub(crate) fn remove(&self, chain: &ChainName) {
        self.0.write().remove(chain);
    }
}
