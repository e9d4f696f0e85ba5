//! The running engine as others see it: what the API shows, and the few things it may ask for.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::RwLock;
use wk_chain::rpc::{EndpointStatus, Pool};
use wk_model::{ChainName, Timestamp};
use wk_runtime::{Clock, Metrics, Supervisor, Wake};
use wk_store::{OutboxId, Store, StoreError};

use crate::{ChainState, Live, Statuses};

/// A view on the running engine. Clones look at the same engine.
#[derive(Clone)]
pub struct Handle {
    /// Everything that is kept.
    pub store: Store,
    /// The program's own metrics.
    pub metrics: Metrics,
    /// What happens right now.
    pub live: Live,
    /// How each chain is doing.
    pub statuses: Statuses,
    /// The time.
    pub clock: Clock,
    /// All tasks.
    pub supervisor: Supervisor,
    /// When the program started.
    pub started_at: Timestamp,
    pub(crate) pools: Pools,
    pub(crate) config: Arc<RwLock<ConfigState>>,
    pub(crate) wake_delivery: Wake,
}

/// The endpoint pools of all chains.
pub(crate) type Pools = Arc<RwLock<BTreeMap<ChainName, Pool>>>;

/// Which config runs, and what became of the newest one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigState {
    /// When the running config was taken.
    pub loaded_at: Timestamp,
    /// Why the newest config was refused; none when it runs.
    pub error: Option<String>,
}

impl Handle {
    /// The endpoints of a chain, in the order of the config; none for an unknown chain.
    pub fn endpoints(&self, chain: &ChainName) -> Option<Vec<EndpointStatus>> {
        self.pools.read().get(chain).map(Pool::endpoints)
    }

    /// Which config runs.
    pub fn config(&self) -> ConfigState {
        self.config.read().clone()
    }

    /// Whether every chain has processed a block and is still followed.
    pub fn ready(&self) -> Result<(), String> {
        for status in self.statuses.all() {
            match status.state {
                ChainState::Live | ChainState::Backfilling => {}
                ChainState::Starting => {
                    return Err(format!("chain `{}` has no block yet", status.chain));
                }
                ChainState::Stopped => {
                    let reason = status.reason.unwrap_or_default();
                    return Err(format!("chain `{}` stopped: {reason}", status.chain));
                }
            }
        }
        Ok(())
    }

    /// Sends a message that was given up once more. False when there is no such dead message.
    pub async fn resend(&self, id: OutboxId) -> Result<bool, StoreError> {
        let found = self.store.resend(id, self.clock.now()).await?;
        self.wake_delivery.ring();
        Ok(found)
    }

    /// Sends all messages that were given up once more, and says how many.
    pub async fn resend_all(&self) -> Result<u64, StoreError> {
        let count = self.store.resend_all(None, self.clock.now()).await?;
        self.wake_delivery.ring();
        Ok(count)
    }
}
