//! The inspection of one block: traces, detectors, findings.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use wk_chain::evm::state::StateReader;
use wk_chain::evm::{BlockTraces, EvmConfig, Fetcher, Lack, TraceError, TraceVia, Tracer, Want};
use wk_chain::rpc::{Pool, Purpose};
use wk_detectors::Config;
use wk_model::{Address, B256, BlockRef, ChainName, Finding, evm};
use wk_runtime::{Clock, Metrics, with_causes};
use wk_store::{ContractUse, PendingInspection};
use wk_trace::{TraceSource, TxTrace};

use super::again::Again;
use super::creation::creations;
use super::finding::{self, Place};
use super::look::{LookedAt, look};
use super::tokens::Tokens;
use super::usage::{self, Profiles};
use crate::Costs;
use crate::engine::Rules;
use crate::foresee::Touching;

/// Fetches traces and asks the detectors. Clones share what was learnt.
#[derive(Clone)]
pub struct Inspector {
    tracer: Tracer,
    pub(super) tokens: Arc<Tokens>,
}

/// What came of a block.
#[derive(Debug)]
pub struct Inspection {
    /// How its traces were had.
    pub via: TraceVia,
    /// Better ways that could not be gone.
    pub lacks: Vec<Lack>,
    /// Number of its transactions.
    pub transactions: u64,
    /// What was found.
    pub findings: Vec<Finding>,
    /// What they did with watched contracts.
    pub uses: Vec<ContractUse>,
}

impl Inspector {
    /// An inspector that has learnt nothing yet.
    pub fn new(chain: &ChainName, config: &EvmConfig, pool: &Pool, metrics: &Metrics) -> Inspector {
        let tracer = Tracer::new(chain, pool, config.traces, &config.trace_options, metrics);
        Inspector { tracer, tokens: Arc::default() }
    }

    /// Looks at all transactions of a block, whose traces failed to come `failures` times before.
    ///
    /// # Errors
    /// When the traces cannot be had now.
    pub async fn block(
        &self,
        block: &Arc<evm::Block>,
        failures: u32,
        config: &Arc<Config>,
    ) -> Result<(Vec<LookedAt>, BlockTraces), TraceError> {
        let traces = self.tracer.block(block, failures).await?;
        Ok(look_aside(block, traces, config).await)
    }

    /// Looks at one transaction of a block.
    ///
    /// # Errors
    /// When its trace cannot be had now.
    pub async fn transaction(
        &self,
        block: &evm::Block,
        hash: B256,
        config: &Arc<Config>,
    ) -> Result<(Vec<LookedAt>, BlockTraces), TraceError> {
        let at: BlockRef = block.header.block_ref();
        let traces = self.tracer.transaction(at, hash).await?;
        let mut alone = evm::Block { header: block.header.clone(), transactions: Vec::new() };
        alone.transactions.extend(block.transactions.iter().find(|tx| tx.hash == hash).cloned());
        Ok(look_aside(&Arc::new(alone), traces, config).await)
    }
}

/// On a thread of its own: a block of a busy chain keeps a core for a while.
async fn look_aside(
    block: &Arc<evm::Block>,
    traces: BlockTraces,
    config: &Arc<Config>,
) -> (Vec<LookedAt>, BlockTraces) {
    let (block, config) = (Arc::clone(block), Arc::clone(config));
    aside(move || (look(&block, &traces, &config), traces)).await
}

/// Works on a thread that may be kept for a while.
pub(super) async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // The runtime ends, and with it whoever waits for this.
        Err(_) => std::future::pending().await,
    }
}

/// One block's inspection, with everything that it needs.
pub(super) struct Job {
    pub(super) pending: PendingInspection,
    pub(super) failures: u32,
    pub(super) block: Option<Arc<evm::Block>>,
    pub(super) inspector: Inspector,
    pub(super) fetcher: Fetcher,
    pub(super) reader: StateReader,
    /// Executes again what no endpoint tells of; none where traces must come from them.
    pub(super) again: Option<Again>,
    pub(super) rules: Arc<Rules>,
    pub(super) chain: ChainName,
    pub(super) only_watched: bool,
    pub(super) explorer: Option<String>,
    pub(super) clock: Clock,
    pub(super) costs: Costs,
    pub(super) touching: Touching,
    pub(super) profiles: Arc<Profiles>,
}

/// How it ended.
pub(super) struct Done {
    pub(super) pending: PendingInspection,
    pub(super) block: Option<Arc<evm::Block>>,
    pub(super) failures: u32,
    pub(super) took: Duration,
    pub(super) result: Result<Inspection, String>,
}

impl Job {
    pub(super) async fn run(mut self) -> Done {
        let (pending, failures) = (self.pending, self.failures);
        let started = Instant::now();
        let task = tokio::spawn(async move {
            let result = self.inspect().await;
            (self.block, result)
        });
        let guard = AbortOnDrop(task.abort_handle());
        let (block, result) = match task.await {
            Ok(ended) => ended,
            // A fault of ours in one block must not keep the others from being looked at.
            Err(error) => (None, Err(format!("the inspection broke: {error}"))),
        };
        drop(guard);
        Done { pending, block, failures, took: started.elapsed(), result }
    }

    async fn inspect(&mut self) -> Result<Inspection, String> {
        let at = self.pending.block.link.block;
        let block = match &self.block {
            Some(block) => Arc::clone(block),
            None => {
                let fetched = self.fetcher.fetch(Want::Block(at), Purpose::Backfill, &[]).await;
                fetched.map_err(|error| with_causes(&error))?.block
            }
        };
        self.block = Some(Arc::clone(&block));
        let Rules { decoder, detectors, .. } = &*self.rules;
        if self.only_watched && !finding::is_any_watched(decoder, &self.chain) {
            let transactions = block.transactions.len() as u64;
            let via = TraceVia::Receipts;
            return Ok(Inspection {
                via,
                lacks: Vec::new(),
                transactions,
                findings: Vec::new(),
                uses: Vec::new(),
            });
        }
        let inspected = self.inspector.block(&block, self.failures, detectors).await;
        let (mut looked, traces) = inspected.map_err(|error| with_causes(&error))?;
        if let Some(again) = self.again.as_ref().filter(|_| !traces.via.tells_calls()) {
            again.look(&self.chain, &block, decoder, detectors, &mut looked).await;
        }
        for LookedAt { trace, report } in &mut looked {
            creations(decoder, &self.chain, trace, detectors, &mut report.findings);
            if !finding::watched(decoder, &self.chain, trace).is_empty() {
                self.touching.learn(trace);
            }
        }
        let uses = usage::look(&self.profiles, decoder, &self.chain, detectors, at, &mut looked);
        if traces.via.tells_calls() {
            let all: Vec<&TxTrace> = looked.iter().map(|looked| &looked.trace).collect();
            self.costs.traced(&self.chain, &block, &all, decoder);
        }
        let flagged: Vec<&LookedAt> = looked
            .iter()
            .filter(|looked| !looked.report.findings.is_empty())
            .filter(|looked| {
                !self.only_watched || finding::concerns_watched(decoder, &self.chain, looked)
            })
            .collect();
        let tokens: Vec<Address> =
            flagged.iter().flat_map(|looked| finding::tokens_of(looked)).collect();
        self.inspector.tokens.learn(&self.reader, at, &tokens).await;
        let place = |looked: &LookedAt| Place {
            chain: &self.chain,
            link: Some(self.pending.block.link),
            source: match looked.trace.source {
                TraceSource::Replay => "replay",
                _ => traces.via.name(),
            },
            decoder,
            tokens: &self.inspector.tokens,
            config: detectors,
            explorer: self.explorer.as_deref(),
            now: self.clock.now(),
        };
        Ok(Inspection {
            via: traces.via,
            lacks: traces.lacks,
            transactions: block.transactions.len() as u64,
            findings: flagged.iter().flat_map(|one| finding::findings(&place(one), one)).collect(),
            uses,
        })
    }
}

struct AbortOnDrop(tokio::task::AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
