//! Where no endpoint tells of calls, transactions in which watched contracts take part are executed
//! again here, on the state before their block.
//!
//! Only these are executed, in the order of the block. What another transaction of the block changed
//! beneath one of them would show: whatever does not come out with the gas, success and logs of its
//! receipt is left as the receipt tells it.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tracing::debug;
use wk_chain::abi::Decoder;
use wk_chain::evm::state::StateReader;
use wk_chain::evm::wire::{RawBlock, RawTransaction};
use wk_chain::rpc::{Pool, Request};
use wk_detectors::Config;
use wk_model::{BlockRef, ChainName, evm};
use wk_replay::{CodeCache, Executed, Machine, NodeState, Rules};
use wk_runtime::with_causes;
use wk_trace::TxTrace;

use super::finding::watched;
use super::job::aside;
use super::look::LookedAt;

/// Transactions of one block that are executed again.
const MOST: usize = 64;
/// Longest time for all of them, with the state that they need.
const TIMEOUT: Duration = Duration::from_secs(20);
/// Longest time for one piece of state.
const READ_TIMEOUT: Duration = Duration::from_secs(5);

/// Executes transactions again. Clones share the code that was fetched.
#[derive(Clone)]
pub(super) struct Again {
    pool: Pool,
    reader: StateReader,
    codes: CodeCache,
}

impl Again {
    pub(super) fn new(pool: &Pool, reader: &StateReader) -> Again {
        Again { pool: pool.clone(), reader: reader.clone(), codes: CodeCache::default() }
    }

    /// Replaces what is known of the transactions that came out as their receipts say.
    pub(super) async fn look(
        &self,
        chain: &ChainName,
        block: &evm::Block,
        decoder: &Decoder,
        config: &Arc<Config>,
        looked: &mut [LookedAt],
    ) {
        let wanted: Vec<usize> = (0..looked.len())
            .filter(|place| !watched(decoder, chain, &looked[*place].trace).is_empty())
            .take(MOST)
            .collect();
        if wanted.is_empty() {
            return;
        }
        let executed = tokio::time::timeout(TIMEOUT, self.execute(block, &wanted));
        let executed = executed.await.unwrap_or_else(|_| Err("it took too long".to_owned()));
        let executed = match executed {
            Ok(executed) => executed,
            Err(error) => {
                let block = block.header.block_ref();
                debug!(%chain, %block, error, "transactions were not executed again");
                return;
            }
        };
        let config = Arc::clone(config);
        let better = aside(move || {
            let look = |(place, trace): (usize, TxTrace)| {
                let report = wk_detectors::inspect(&trace, &config);
                (place, LookedAt { trace, report })
            };
            executed.into_iter().map(look).collect::<Vec<_>>()
        });
        for (place, mut better) in better.await {
            // What it is to its neighbours in the block is known already.
            let mut labels = std::mem::take(&mut looked[place].report.labels);
            labels.retain(|label| !better.report.labels.contains(label));
            better.report.labels.extend(labels);
            better.trace.index = looked[place].trace.index;
            looked[place] = better;
        }
    }

    async fn execute(
        &self,
        block: &evm::Block,
        wanted: &[usize],
    ) -> Result<Vec<(usize, TxTrace)>, String> {
        let header = &block.header;
        let request = Request::backfill("eth_getBlockByHash", json!([header.hash, true]));
        let reply = self.pool.call(request).await.map_err(|error| with_causes(&error))?;
        let raw = RawBlock::parse(&reply.value).map_err(|error| with_causes(&error))?;
        let chain_id = self.pool.chain_id().ok_or("no endpoint has told its chain id")?;
        let height = header.height.previous().ok_or("nothing comes before the first block")?;
        let parent = BlockRef { height, hash: header.parent_hash };
        let (reader, codes) = (self.reader.clone(), self.codes.clone());
        let state = NodeState::after(reader, parent, Vec::new(), codes, READ_TIMEOUT);
        let fitting = |place: &usize| {
            let (raw, known) = (raw.transactions.get(*place)?, block.transactions.get(*place)?);
            let receipt = known.receipt.clone()?;
            (raw.transaction.hash == known.hash).then(|| (*place, raw.clone(), receipt))
        };
        let all: Vec<(usize, RawTransaction, evm::Receipt)> =
            wanted.iter().filter_map(fitting).collect();
        for (_, raw, _) in &all {
            state.fetch_ahead(raw).await;
        }
        let rules = Rules::of(chain_id.0, &raw.header);
        let header = raw.header;
        let work = aside(move || {
            let machine = Machine::at_block(rules, &header, state);
            let mut machine = machine.map_err(|error| with_causes(&error))?.lenient();
            let mut done = Vec::new();
            for (place, raw, receipt) in all {
                // One that cannot be executed stands on what was left out.
                let Ok(executed) = machine.execute(&raw) else { continue };
                if agree(&executed, &receipt) {
                    done.push((place, executed.trace));
                }
            }
            Ok(done)
        });
        work.await
    }
}

/// Whether an execution came out as the receipt says.
fn agree(executed: &Executed, receipt: &evm::Receipt) -> bool {
    let trace = &executed.trace;
    receipt.success == Some(executed.success)
        && receipt.gas_used == executed.gas_used
        && trace.logs.len() == receipt.logs.len()
        && trace.logs.iter().zip(&receipt.logs).all(|(log, told)| {
            trace.address(log.address) == told.address
                && log.topics.as_slice() == told.topics.as_slice()
                && trace.bytes(log.data) == told.data.as_ref()
        })
}
