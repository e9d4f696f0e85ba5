//! The chain as one endpoint knows it at one moment: canonical blocks, orphans, state answers.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use alloy_primitives::B256;
use serde_json::Value;

use crate::json::{to_hash, to_u64};
use crate::seal::Sealed;

/// Blocks below the head that are kept; older ones are forgotten as a pruned node does.
const KEPT: usize = 10_000;

/// Orphaned blocks that can still be asked for by hash.
const ORPHANS_KEPT: usize = 256;

/// How far `safe` and `finalized` are behind the head.
pub(crate) const SAFE_DEPTH: u64 = 4;
pub(crate) const FINALIZED_DEPTH: u64 = 8;

/// A chain with a head that moves.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger {
    canonical: VecDeque<Arc<Sealed>>,
    orphans: VecDeque<Arc<Sealed>>,
    by_hash: HashMap<B256, Arc<Sealed>>,
    transactions: HashMap<B256, (B256, usize)>,
    /// State below the oldest kept block.
    base: BTreeMap<String, Value>,
}

/// Which block a question is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum At {
    Number(u64),
    Hash(B256),
}

impl Ledger {
    /// Puts `block` on top. It must have been sealed onto the head.
    pub(crate) fn push(&mut self, block: Arc<Sealed>) {
        let hashes = block.content.block["transactions"].as_array();
        for (index, transaction) in hashes.into_iter().flatten().enumerate() {
            if let Some(hash) = to_hash(&transaction["hash"]) {
                self.transactions.insert(hash, (block.hash, index));
            }
        }
        self.by_hash.insert(block.hash, Arc::clone(&block));
        self.canonical.push_back(Arc::clone(&block));
        if self.canonical.len() > KEPT
            && let Some(oldest) = self.canonical.pop_front()
        {
            self.base.extend(oldest.content.state.clone());
            self.forget(&oldest);
        }
    }

    /// Takes the head away; its hash can still be asked for. Never takes the last block.
    pub(crate) fn pop(&mut self) -> Option<Arc<Sealed>> {
        if self.canonical.len() < 2 {
            return None;
        }
        let block = self.canonical.pop_back()?;
        self.forget_transactions(&block);
        self.orphans.push_back(Arc::clone(&block));
        if self.orphans.len() > ORPHANS_KEPT
            && let Some(oldest) = self.orphans.pop_front()
        {
            self.by_hash.remove(&oldest.hash);
        }
        Some(block)
    }

    pub(crate) fn head(&self) -> Option<&Arc<Sealed>> {
        self.canonical.back()
    }

    pub(crate) fn oldest(&self) -> Option<&Arc<Sealed>> {
        self.canonical.front()
    }

    pub(crate) fn by_number(&self, number: u64) -> Option<&Arc<Sealed>> {
        let index = number.checked_sub(self.oldest()?.number)?;
        self.canonical.get(usize::try_from(index).ok()?)
    }

    pub(crate) fn get(&self, at: &At) -> Option<&Arc<Sealed>> {
        match at {
            At::Number(number) => self.by_number(*number),
            At::Hash(hash) => self.by_hash.get(hash),
        }
    }

    /// Canonical blocks from `from` to `to`, both included, lowest first.
    pub(crate) fn range(&self, from: u64, to: u64) -> impl Iterator<Item = &Arc<Sealed>> {
        let oldest = self.oldest().map_or(0, |block| block.number);
        let index =
            |number: u64| usize::try_from(number.saturating_sub(oldest)).unwrap_or(usize::MAX);
        let end = index(to.saturating_add(1)).min(self.canonical.len());
        self.canonical.range(index(from).min(end)..end)
    }

    /// The canonical block that holds a transaction, and the transaction's place in it.
    pub(crate) fn transaction(&self, hash: &B256) -> Option<(&Arc<Sealed>, usize)> {
        let (block, index) = self.transactions.get(hash)?;
        Some((self.by_hash.get(block)?, *index))
    }

    /// The recorded answer about the state after `block`.
    pub(crate) fn state<'a>(&'a self, block: &'a Arc<Sealed>, key: &str) -> Option<&'a Value> {
        let mut block = Some(block);
        while let Some(here) = block {
            if let Some(answer) = here.content.state.get(key) {
                return Some(answer);
            }
            block = self.by_hash.get(&here.parent);
        }
        self.base.get(key)
    }

    fn forget(&mut self, block: &Sealed) {
        self.by_hash.remove(&block.hash);
        self.forget_transactions(block);
    }

    fn forget_transactions(&mut self, block: &Sealed) {
        for transaction in block.content.block["transactions"].as_array().into_iter().flatten() {
            if let Some(hash) = to_hash(&transaction["hash"]) {
                self.transactions.remove(&hash);
            }
        }
    }
}

/// Reads a block tag, number or (EIP-1898) object. `Some(None)` is a block that is not there yet.
pub(crate) fn block_at(ledger: &Ledger, tag: &Value) -> Option<Option<At>> {
    let head = ledger.head()?.number;
    let at = match tag {
        Value::Null => At::Number(head),
        Value::String(text) => match text.as_str() {
            // There is no pending block on a tape: what is asked of it is answered by the head.
            "latest" | "pending" => At::Number(head),
            "earliest" => At::Number(ledger.oldest()?.number),
            "safe" => At::Number(head.saturating_sub(SAFE_DEPTH)),
            "finalized" => At::Number(head.saturating_sub(FINALIZED_DEPTH)),
            text if text.len() == 66 => At::Hash(to_hash(tag)?),
            _ => At::Number(to_u64(tag)?),
        },
        Value::Object(object) => match (object.get("blockHash"), object.get("blockNumber")) {
            (Some(hash), None) => At::Hash(to_hash(hash)?),
            (None, Some(number)) => return block_at(ledger, number),
            _ => return None,
        },
        _ => return None,
    };
    Some(ledger.get(&at).is_some().then_some(at))
}
