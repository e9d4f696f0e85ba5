//! One chain's task: follower and pipeline together, always begun from the store.
//!
//! They start and fail together, so that what runs after a fault is exactly what runs after a
//! restart: read the cursor, the memory and the holes, and go on.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{mpsc, watch};
use wk_chain::evm::state::StateReader;
use wk_chain::evm::{EvmConfig, FollowError, Follower, Resume};
use wk_chain::rpc::{Pool, Purpose};
use wk_model::{AssetId, ChainName, Timestamp};
use wk_rules::Memory;
use wk_runtime::{Clock, Metrics, StopToken, Wake};
use wk_store::{Route, Store, StoreError};

use crate::engine::Rules;
use crate::inspect::{self, Inbox};
use crate::pipeline::Pipeline;
use crate::{ChainState, Costs, Live, LiveEvent, Statuses};

/// Observations that may wait between follower and pipeline. Full means that the follower waits.
const QUEUE: usize = 64;

/// Everything that a chain's task needs each time it starts.
#[derive(Clone)]
pub(crate) struct ChainTask {
    pub(crate) chain: ChainName,
    pub(crate) config: EvmConfig,
    pub(crate) inbox: Inbox,
    pub(crate) pool: Pool,
    pub(crate) store: Store,
    pub(crate) rules: watch::Receiver<Arc<Rules>>,
    pub(crate) route: watch::Receiver<Route>,
    pub(crate) live: Live,
    pub(crate) statuses: Statuses,
    pub(crate) metrics: Metrics,
    pub(crate) clock: Clock,
    pub(crate) wake_delivery: Wake,
    pub(crate) costs: Costs,
}

/// A chain's task ended before its time.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChainFailure {
    /// Where to go on could not be read.
    #[error("cannot read where to go on")]
    Resume(#[from] StoreError),
    /// The follower gave up for now.
    #[error(transparent)]
    Follow(FollowError),
}

impl ChainTask {
    /// Follows the chain until `stop`, or until the follower says that people must decide.
    pub(crate) async fn run(self, stop: StopToken) -> Result<(), ChainFailure> {
        let point = self.store.resume(&self.chain).await?;
        let entries = self.store.entries().await?;
        let own = entries.into_iter().filter(|entry| entry.window.chain == self.chain).collect();
        let own_asset = AssetId::chain(&self.chain);
        let open = self.store.open_conditions().await?.into_iter().map(|open| open.key);
        let standing = open.filter(|key| key.asset == own_asset).collect();
        let coverage = self.store.coverage_summary(&self.chain).await?;
        let upgrades = self.store.upgrades(&self.chain).await?;
        self.rules.borrow().decoder.restore(upgrades.into_iter().map(|row| row.upgrade));
        let resume = Resume {
            links: point.links,
            digests: point.digests,
            safe: point.safe,
            finalized: point.finalized,
            holes: point.holes,
            first: coverage.map(|coverage| coverage.from),
            standing,
        };
        let (observations, events) = mpsc::channel(QUEUE);
        let pool = self.pool.clone();
        let follower = Follower::build(
            &self.chain,
            &self.config,
            pool,
            resume,
            self.clock.clone(),
            &self.metrics,
        );
        let pipeline = Pipeline {
            chain: self.chain.clone(),
            store: self.store.clone(),
            pool: self.pool.clone(),
            reader: StateReader::new(&self.pool, Purpose::Live),
            follow: follower.status(),
            rules: self.rules.clone(),
            route: self.route.clone(),
            memory: Memory::restore(own),
            forgot_at: Timestamp(0),
            keep_links: u64::from(self.config.reorg_window),
            live: self.live.clone(),
            statuses: self.statuses.clone(),
            metrics: self.metrics.clone(),
            clock: self.clock.clone(),
            wake_delivery: self.wake_delivery.clone(),
            costs: self.costs.clone(),
            drop_refused: false,
            inspection: inspect::is_on(&self.config)
                .then(|| (self.inbox.clone(), self.config.trace_options.window)),
        };
        // From here on the time counts that a block waits.
        let (out, mut handed) = mpsc::channel(1);
        let stamp = async move {
            while let Some(observation) = handed.recv().await {
                if observations.send((Instant::now(), observation)).await.is_err() {
                    break;
                }
            }
        };
        // The follower drops its end when it is done; the pipeline then stores what is left.
        let (followed, (), ()) = tokio::join!(
            follower.run(out, stop.clone()),
            stamp,
            pipeline.run(events, stop.clone())
        );
        match followed {
            Ok(()) => Ok(()),
            Err(error @ (FollowError::TooDeep { .. } | FollowError::FinalityViolated { .. })) => {
                self.stopped(&error);
                stop.stopped().await;
                Ok(())
            }
            Err(error @ (FollowError::Closed | FollowError::Job(_) | FollowError::Stopped)) => {
                Err(ChainFailure::Follow(error))
            }
        }
    }

    /// Says that the chain is not followed any more. Trying again by itself would only hide it.
    fn stopped(&self, error: &FollowError) {
        tracing::error!(chain = %self.chain, %error, "the chain is not followed any more");
        self.statuses.update(&self.chain, |status| {
            status.state = ChainState::Stopped;
            status.reason = Some(error.to_string());
        });
        if let Some(status) = self.statuses.get(&self.chain) {
            self.live.tell(LiveEvent::Health(Box::new(status)));
        }
    }
}
