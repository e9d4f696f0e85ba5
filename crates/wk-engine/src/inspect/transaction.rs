//! One transaction of a watched chain, looked into for a person who asks.

use std::collections::BTreeMap;
use std::sync::Arc;

use wk_chain::abi::Decoder;
use wk_chain::evm::state::StateReader;
use wk_chain::evm::{FetchError, Lack, TraceError, blocks};
use wk_chain::rpc::{Pool, Purpose, Request};
use wk_model::{Address, B256, BlockLink, ChainName, Height, evm};
use wk_trace::Asset;

use super::look::LookedAt;
use super::tokens;
use crate::Handle;
use crate::parts::ChainParts;

/// A transaction with all that could be found out about it.
pub struct Transaction {
    /// Its block.
    pub link: BlockLink,
    /// Itself, with its receipt.
    pub tx: evm::Transaction,
    /// What it did, and what the detectors say.
    pub looked: LookedAt,
    /// Better ways to see its calls that could not be gone.
    pub lacks: Vec<Lack>,
    /// How the tokens that it moved show their amounts.
    pub tokens: BTreeMap<Address, tokens::Token>,
    /// Names of functions and contracts.
    pub decoder: Decoder,
}

/// A transaction cannot be looked into.
#[derive(Debug, thiserror::Error)]
pub enum TransactionError {
    /// There is no such chain.
    #[error("no chain `{0}` is watched")]
    NoChain(ChainName),
    /// No block holds it.
    #[error("no block of `{0}` holds this transaction: it is unknown there, or still pending")]
    Unknown(ChainName),
    /// Nobody answers.
    #[error("no endpoint tells where it is: {0}")]
    Unreachable(String),
    /// Its block cannot be had.
    #[error("its block cannot be had: {0}")]
    Fetch(#[from] FetchError),
    /// Its calls cannot be had now.
    #[error("its calls cannot be had: {0}")]
    Trace(#[from] TraceError),
}

/// What a 32-byte hash names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// A transaction in the block at this height.
    Transaction(Height),
    /// The block at this height.
    Block(Height),
}

impl Handle {
    /// Looks into a transaction, whenever it was made. One at a time: a trace is heavy for a node.
    ///
    /// # Errors
    /// When it cannot be found, or nobody answers.
    pub async fn transaction(
        &self,
        chain: &ChainName,
        hash: B256,
    ) -> Result<Transaction, TransactionError> {
        let parts = self.chains.read().get(chain).cloned();
        let ChainParts { config, inspector, pool, .. } =
            parts.ok_or_else(|| TransactionError::NoChain(chain.clone()))?;
        let _turn = self.looking_turn.lock().await;
        let unknown = || TransactionError::Unknown(chain.clone());
        let height = height_of(&pool, hash).await.map_err(TransactionError::Unreachable)?;
        let height = height.ok_or_else(unknown)?;
        let mut blocks = blocks(chain, &pool, &config, &self.metrics, height, height);
        let (block, _) = blocks.next().await.ok_or_else(unknown)??;
        let tx = block.transactions.iter().find(|tx| tx.hash == hash).ok_or_else(unknown)?;
        let rules = Arc::clone(&self.rules.borrow());
        let (looked, traces) = inspector.transaction(&block, hash, &rules.detectors).await?;
        let looked = looked.into_iter().next().ok_or_else(unknown)?;
        let trace = &looked.trace;
        let assets = trace.transfers.iter().filter_map(|transfer| match transfer.asset {
            Asset::Native => None,
            Asset::Token(token) => Some(trace.address(token)),
        });
        let mut addresses: Vec<Address> = assets.collect();
        addresses.sort_unstable();
        addresses.dedup();
        let reader = StateReader::new(&pool, Purpose::Backfill);
        inspector.tokens.learn(&reader, block.header.block_ref(), &addresses).await;
        let known = addresses.into_iter().filter_map(|a| Some((a, inspector.tokens.get(&a)?)));
        Ok(Transaction {
            link: block.header.link(),
            tx: tx.clone(),
            tokens: known.collect(),
            lacks: traces.lacks,
            decoder: rules.decoder.clone(),
            looked,
        })
    }

    /// What a hash names on each watched chain; chains that do not know it, or do not answer, are
    /// left out.
    pub async fn named(&self, hash: B256) -> Vec<(ChainName, Named)> {
        let pools: Vec<(ChainName, Pool)> =
            self.pools.read().iter().map(|(chain, pool)| (chain.clone(), pool.clone())).collect();
        let asked = pools.into_iter().map(|(chain, pool)| async move {
            if let Ok(Some(height)) = height_of(&pool, hash).await {
                return Some((chain, Named::Transaction(height)));
            }
            let params = serde_json::json!([hash, false]);
            let request = Request::backfill("eth_getBlockByHash", params);
            let block: serde_json::Value = pool.call(request).await.ok()?.parse().ok()?;
            Some((chain, Named::Block(quantity(&block["number"])?)))
        });
        futures_util::future::join_all(asked).await.into_iter().flatten().collect()
    }
}

/// Height of the block that holds a transaction; none when none does.
pub(crate) async fn height_of(pool: &Pool, transaction: B256) -> Result<Option<Height>, String> {
    let params = serde_json::json!([transaction]);
    let request = Request::backfill("eth_getTransactionReceipt", params);
    let reply = pool.call(request).await.map_err(|error| error.to_string())?;
    let receipt: serde_json::Value = reply.parse().unwrap_or_default();
    Ok(quantity(&receipt["blockNumber"]))
}

fn quantity(value: &serde_json::Value) -> Option<Height> {
    let digits = value.as_str()?.strip_prefix("0x")?;
    u64::from_str_radix(digits, 16).ok().map(Height)
}
