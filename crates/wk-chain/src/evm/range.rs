//! A range of blocks, fetched several at a time and handed on in order.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;
use wk_model::{B256, ChainName, Height, Verification, evm};
use wk_runtime::Metrics;

use super::config::EvmConfig;
use super::fetch::{FetchError, Fetcher, Want};
use crate::rpc::{Pool, Purpose};

/// A block of a range, and how far it was verified.
pub type RangeBlock = (Arc<evm::Block>, Verification);

/// The blocks of a range, verified, in order.
pub struct Blocks {
    receiver: mpsc::Receiver<Result<RangeBlock, FetchError>>,
    // Ends the fetching when nobody wants the blocks any more.
    _task: AbortOnDropHandle<()>,
}

impl Blocks {
    /// The next block; none after the last one. An error is about one block: the next call gives
    /// the block after it.
    pub async fn next(&mut self) -> Option<Result<RangeBlock, FetchError>> {
        self.receiver.recv().await
    }
}

/// The blocks `from..=to`, for a look at history: fetched and verified as `config` says,
/// `parallel` at a time.
///
/// Memory holds about that many blocks; the reader sets the pace. Must be called on a Tokio
/// runtime.
pub fn blocks(
    chain: &ChainName,
    pool: &Pool,
    config: &EvmConfig,
    metrics: &Metrics,
    from: Height,
    to: Height,
) -> Blocks {
    let fetcher = Fetcher::build(chain, pool, config, metrics);
    let parallel = usize::from(config.parallel.clamp(1, 256));
    let (sender, receiver) = mpsc::channel(1);
    let task = async move {
        let mut heights = from.0..=to.0;
        let mut fetches = VecDeque::new();
        let mut below: Option<B256> = None;
        loop {
            while fetches.len() < parallel
                && let Some(height) = heights.next()
            {
                fetches.push_back(fetcher.spawn(Want::Height(Height(height)), Purpose::Backfill));
            }
            let Some(fetch) = fetches.pop_front() else { return };
            // Only the end of the runtime cancels it.
            let Ok(outcome) = fetch.await else { return };
            let outcome = outcome.map(|mut fetched| {
                fetched.report.check_parent(&fetched.block.header, below);
                (fetched.block, fetched.report.verification())
            });
            below = outcome.as_ref().ok().map(|(block, _)| block.header.hash);
            if sender.send(outcome).await.is_err() {
                return;
            }
        }
    };
    Blocks { receiver, _task: AbortOnDropHandle::new(tokio::spawn(task)) }
}
