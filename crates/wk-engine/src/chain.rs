//! One chain's task: follower and pipeline together, always begun from the store.
//!
//! They start and fail together, so that what runs after a fault is exactly what runs after a
//! restart: read the cursor, the memory and the holes, and go on.

use std::time::Instant;

use tokio::sync::mpsc;
use wk_chain::evm::state::StateReader;
use wk_chain::evm::{FollowError, Follower, Resume};
use wk_chain::rpc::Purpose;
use wk_model::{AssetId, Timestamp};
use wk_rules::Memory;
use wk_runtime::StopToken;
use wk_store::StoreError;

use crate::inspect;
use crate::parts::ChainParts;
use crate::pipeline::Pipeline;
use crate::{ChainState, LiveEvent};

/// Observations that may wait between follower and pipeline. Full means that the follower waits.
const QUEUE: usize = 64;

/// Follower and pipeline of one chain.
#[derive(Clone)]
pub(crate) struct ChainTask(pub(crate) ChainParts);

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
        let point = self.0.store.resume(&self.0.chain).await?;
        let entries = self.0.store.entries().await?;
        let own = entries.into_iter().filter(|entry| entry.window.chain == self.0.chain).collect();
        let own_asset = AssetId::chain(&self.0.chain);
        let open = self.0.store.open_conditions().await?.into_iter().map(|open| open.key);
        let standing = open.filter(|key| key.asset == own_asset).collect();
        let coverage = self.0.store.coverage_summary(&self.0.chain).await?;
        let upgrades = self.0.store.upgrades(&self.0.chain).await?;
        self.0.rules.borrow().decoder.restore(upgrades.into_iter().map(|row| row.upgrade));
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
        let pool = self.0.pool.clone();
        let follower = Follower::build(
            &self.0.chain,
            &self.0.config,
            pool,
            resume,
            self.0.clock.clone(),
            &self.0.metrics,
        );
        let pipeline = Pipeline {
            reader: StateReader::new(&self.0.pool, Purpose::Live),
            follow: follower.status(),
            memory: Memory::restore(own),
            forgot_at: Timestamp(0),
            drop_refused: false,
            inspected: inspect::is_on(&self.0.config),
            parts: self.0.clone(),
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
        tracing::error!(chain = %self.0.chain, %error, "the chain is not followed any more");
        self.0.statuses.update(&self.0.chain, |status| {
            status.state = ChainState::Stopped;
            status.reason = Some(error.to_string());
        });
        if let Some(status) = self.0.statuses.get(&self.0.chain) {
            self.0.live.tell(LiveEvent::Health(Box::new(status)));
        }
    }
}
