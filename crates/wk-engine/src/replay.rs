//! Past blocks through the ordinary pipeline once more: what is found is kept, nothing twice.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{mpsc, watch};
use wk_chain::evm::FollowStatus;
use wk_config::{ChainConfig, Loaded};
use wk_model::{
    BlockBody, ChainChange, ChainEvent, ChainName, Height, Intake, Observation, Severity, Timestamp,
};
use wk_notifiers::Receivers;
use wk_rules::Memory;
use wk_runtime::{Clock, Metrics, StopToken, Wake};
use wk_store::{OpenStore, Store, StoreError};

use crate::engine::{route_of, rules_of};
use crate::foresee::Touching;
use crate::history::{History, OpenHistory};
use crate::inspect::Inbox;
use crate::parts::ChainParts;
use crate::pipeline::Pipeline;
use crate::{Costs, Live, Recent, Statuses, signals};

/// What came of a replay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Blocks that were looked at.
    pub blocks: u64,
    /// Blocks that could not be had.
    pub failed: u64,
    /// Findings that were not there before. They are told by the next `run`.
    pub findings: u64,
}

/// A replay cannot be done.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The config has no such chain.
    #[error("the config has no chain `{0}`")]
    Chain(ChainName),
    /// The chain cannot be read.
    #[error(transparent)]
    History(#[from] OpenHistory),
    /// The store cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenStore),
    /// Blocks that were not processed yet cannot be looked at again.
    #[error("block {to} of `{chain}` was not processed yet, {}; `watchkeeper run` gets there", .newest.map_or("nor was any".to_owned(), |newest| format!("the newest is {newest}")))]
    Ahead {
        /// The chain.
        chain: ChainName,
        /// The highest block asked for.
        to: Height,
        /// The newest processed block.
        newest: Option<Height>,
    },
    /// The store fails.
    #[error("the store fails: {0}")]
    Store(#[from] StoreError),
}

/// Looks at the blocks from–to of `chain` again, as a re-scan does. `step` is called for each.
pub async fn replay(
    loaded: &Loaded,
    chain: &ChainName,
    from: Height,
    to: Height,
    mut step: impl FnMut(),
) -> Result<Replayed, ReplayError> {
    let Some(ChainConfig::Evm(config)) = loaded.config.chains.get(chain) else {
        return Err(ReplayError::Chain(chain.clone()));
    };
    let metrics = Metrics::new();
    // A running server goes on beside: what is found is committed with it taking turns.
    let store = Store::open_beside(&loaded.config.server.data_dir, &metrics)?;
    let known = store.chains().await?.into_iter().find(|row| row.chain == *chain);
    let newest = known.and_then(|row| row.newest).map(|newest| newest.block.height);
    // What comes after the newest processed block is for the follower to bring, in order.
    if newest.is_none_or(|newest| newest < to) {
        return Err(ReplayError::Ahead { chain: chain.clone(), to, newest });
    }
    let history = History::open(chain, config).await?;
    let entries = store.entries().await?;
    let own = entries.into_iter().filter(|entry| entry.window.chain == *chain).collect();
    let upgrades = store.upgrades(chain).await?;
    loaded.decoder.restore(upgrades.into_iter().map(|row| row.upgrade));
    let receivers = Arc::new(Receivers::build(&loaded.config.receivers).unwrap_or_default());
    // Held to the end: a watch without its sender never changes, and that is what is wanted.
    let (_rules, rules) = watch::channel(rules_of(loaded));
    let (_route, route) = watch::channel(route_of(&loaded.config, &receivers));
    let (_follow, follow) = watch::channel(FollowStatus::default());
    let parts = ChainParts {
        chain: chain.clone(),
        config: config.clone(),
        pool: history.pool().clone(),
        store,
        rules,
        route,
        live: Live::default(),
        statuses: Statuses::default(),
        recent: Recent::default(),
        inspector: history.inspector(),
        metrics: metrics.clone(),
        clock: Clock::system(),
        wake_delivery: Wake::new(),
        costs: Costs::default(),
        inbox: Inbox::default(),
        touching: Touching::default(),
    };
    let pipeline = Pipeline {
        parts,
        reader: history.reader(),
        follow,
        memory: Memory::restore(own),
        forgot_at: Timestamp(0),
        // A block that was reverted meanwhile is no part of the chain any more.
        drop_refused: true,
        inspected: false,
    };
    let (events, queue) = mpsc::channel(16);
    let mut replayed = Replayed::default();
    let feed = async {
        let mut blocks = history.blocks(from, to);
        while let Some(next) = blocks.next().await {
            step();
            let Ok((block, verification)) = next else { continue };
            let link = block.header.link();
            let body = BlockBody::Evm(block);
            let change = ChainChange::Seen { body, verification, intake: Intake::Rescan };
            let event = ChainEvent { chain: chain.clone(), link, change };
            if events.send((Instant::now(), Observation::ChainEvent(event))).await.is_err() {
                break;
            }
        }
        drop(events);
    };
    tokio::join!(feed, pipeline.run(queue, StopToken::new()));
    let count = |signal, labels: &[&str]| whole(metrics.counter(signal, labels).get());
    replayed.blocks = count(&signals::PROCESSED_BLOCKS, &[chain.as_str(), "rescan"]);
    replayed.failed = to.above(from) + 1 - replayed.blocks;
    replayed.findings = Severity::ALL
        .iter()
        .map(|severity| count(&signals::FINDINGS, &["rule", &severity.to_string()]))
        .sum();
    Ok(replayed)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it counts things, from 0 up"
)]
fn whole(count: f64) -> u64 {
    count as u64
}
