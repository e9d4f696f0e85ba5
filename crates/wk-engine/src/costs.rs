//! What watched contracts cost while the chain is followed. Kept in memory since the start.
//!
//! Receipts tell at once of transactions that call a contract directly; calls from other contracts,
//! reasons of errors and advice come with the block's traces, where the node has them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use parking_lot::Mutex;
use wk_chain::abi::Decoder;
use wk_contracts::cost::{Deltas, Ledger, LedgerLimits, Summary, TxContext};
use wk_model::{Address, B256, BlockRef, ChainName, Height, U256, evm};
use wk_runtime::Metrics;
use wk_trace::TxTrace;

use crate::signals;

/// The costs of all chains. Clones look at the same.
#[derive(Clone, Debug, Default)]
pub struct Costs(Arc<Mutex<BTreeMap<ChainName, Ledger>>>);

impl Costs {
    /// Adds a block; one that is known changes nothing.
    pub(crate) fn seen(
        &self,
        chain: &ChainName,
        block: &evm::Block,
        decoder: &Decoder,
        metrics: &Metrics,
    ) {
        let deltas =
            Deltas::of_receipts(block, |address| decoder.contract(chain, address).is_some());
        let header = &block.header;
        let mut ledgers = self.0.lock();
        let ledger =
            ledgers.entry(chain.clone()).or_insert_with(|| Ledger::new(LedgerLimits::default()));
        if !ledger.block(header.block_ref(), header.time, deltas.clone()) {
            return;
        }
        drop(ledgers);
        for (key, stats) in &deltas.0 {
            let Some(contract) = decoder.contract(chain, &key.contract) else { continue };
            let (chain, name) = (chain.as_str(), &*contract.name);
            #[expect(clippy::cast_precision_loss, reason = "metrics are floats")]
            let count = |result: &str, calls: u64| {
                let labels = [chain, name, result];
                metrics.counter(&signals::CONTRACT_CALLS, &labels).add(calls as f64);
            };
            count("ok", stats.calls.saturating_sub(stats.failed));
            count("failed", stats.failed);
            #[expect(clippy::cast_precision_loss, reason = "metrics are floats")]
            metrics.counter(&signals::CONTRACT_GAS, &[chain, name]).add(stats.gas as f64);
        }
    }

    /// Puts what a block's traces tell in the place of what its receipts told: calls from other
    /// contracts, reasons of errors, advice. A block that was reverted meanwhile changes nothing.
    pub(crate) fn traced(
        &self,
        chain: &ChainName,
        block: &evm::Block,
        traces: &[&TxTrace],
        decoder: &Decoder,
    ) {
        let prices: HashMap<B256, Option<U256>> = block
            .transactions
            .iter()
            .map(|tx| {
                let paid = tx.receipt.as_ref().and_then(|receipt| receipt.effective_gas_price);
                (tx.hash, paid.or(tx.gas_price))
            })
            .collect();
        let mut deltas = Deltas::default();
        for trace in traces {
            let price = trace.hash.and_then(|hash| prices.get(&hash).copied().flatten());
            let context = TxContext { gas_price: price, waited_blocks: None };
            let watched = |address: &Address| decoder.contract(chain, address).is_some();
            deltas.merge(&Deltas::of(trace, &context, watched));
        }
        if let Some(ledger) = self.0.lock().get_mut(chain) {
            ledger.replace(&block.header.block_ref(), deltas);
        }
    }

    /// Takes a block back.
    pub(crate) fn reverted(&self, chain: &ChainName, block: &BlockRef) {
        if let Some(ledger) = self.0.lock().get_mut(chain) {
            ledger.revert(block);
        }
    }

    /// Blocks up to a height stay.
    pub(crate) fn finalized(&self, chain: &ChainName, height: Height) {
        if let Some(ledger) = self.0.lock().get_mut(chain) {
            ledger.finalized(height);
        }
    }

    /// What a contract cost from one time to another, in seconds since the Unix epoch; by whole
    /// days. None where nothing of its chain was seen yet.
    pub fn summary(
        &self,
        chain: &ChainName,
        contract: &Address,
        from: u64,
        to: u64,
    ) -> Option<Summary> {
        self.0.lock().get(chain).map(|ledger| ledger.summary(contract, from, to))
    }

    /// Contracts of a chain that were called.
    pub fn contracts(&self, chain: &ChainName) -> BTreeSet<Address> {
        self.0.lock().get(chain).map(Ledger::contracts).unwrap_or_default()
    }
}
