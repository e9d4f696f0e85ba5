//! What all tasks of one chain work with.

use std::sync::Arc;

use tokio::sync::watch;
use wk_chain::evm::EvmConfig;
use wk_chain::rpc::Pool;
use wk_model::ChainName;
use wk_runtime::{Clock, Metrics, Wake};
use wk_store::{Commit, Committed, Route, Store, StoreError};

use crate::engine::Rules;
use crate::foresee::Touching;
use crate::inspect::{Inbox, Inspector};
use crate::{Costs, Live, Recent, Statuses, outcome};

/// One chain as its config says, and what its tasks share. Clones share it, too.
#[derive(Clone)]
pub(crate) struct ChainParts {
    pub(crate) chain: ChainName,
    pub(crate) config: EvmConfig,
    pub(crate) pool: Pool,
    pub(crate) store: Store,
    pub(crate) rules: watch::Receiver<Arc<Rules>>,
    pub(crate) route: watch::Receiver<Route>,
    pub(crate) live: Live,
    pub(crate) statuses: Statuses,
    pub(crate) recent: Recent,
    pub(crate) inspector: Inspector,
    pub(crate) metrics: Metrics,
    pub(crate) clock: Clock,
    pub(crate) wake_delivery: Wake,
    pub(crate) costs: Costs,
    pub(crate) inbox: Inbox,
    pub(crate) touching: Touching,
}

impl ChainParts {
    /// Commits, and tells those who wait for it: the deliverer, and who looks on.
    pub(crate) async fn store(&self, commit: Commit) -> Result<Committed, StoreError> {
        let committed = self.store.commit(commit).await?;
        if committed.outbox_rows > 0 {
            self.wake_delivery.ring();
        }
        outcome::tell_findings(&self.live, &self.metrics, &committed);
        Ok(committed)
    }
}
