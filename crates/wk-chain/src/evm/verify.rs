//! Checks a block against its own header: what an endpoint gave is what the chain committed to.

use alloy_trie::EMPTY_ROOT_HASH;
use serde_json::value::RawValue;
use wk_model::primitives::{B256, Bloom, b256, keccak256};
use wk_model::{Check, CheckResult, Checks, Verification, evm};

use super::encode;
use super::wire::{RawBlock, RawHeader, RawLog, RawReceipt, RawTransaction};

/// What is known of the outcome of a block's transactions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcomes {
    /// All receipts, in block order.
    Receipts(Vec<RawReceipt>),
    /// The logs only, in block order.
    Logs(Vec<RawLog>),
    /// Nothing, and why.
    Unknown(String),
}

/// How each check of one block came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// In the order of [`Check::ALL`].
    results: [CheckResult; 5],
}

/// Signature of Besu's IBFT 2.0 and QBFT in `mixHash`.
const BFT_MIX_HASH: B256 =
    b256!("63746963616c2062797a616e74696e65206661756c7420746f6c6572616e6365");

/// Checks `block` and its outcomes. `parent` is the hash of the block below it in the chain that is
/// followed; none when that is not known.
///
/// Pure; takes time linear in the size of the block.
pub fn verify_block(block: &RawBlock, outcomes: &Outcomes, parent: Option<B256>) -> Report {
    let blooms = blooms(outcomes);
    let mut report = Report {
        results: [
            CheckResult::Skipped(String::new()),
            header_hash(&block.header),
            transactions_root(block),
            receipts_root(block, outcomes, &blooms),
            logs_bloom(block, outcomes, &blooms),
        ],
    };
    report.check_parent(&block.header.header, parent);
    report
}

impl Report {
    /// How `check` came out.
    pub fn result(&self, check: Check) -> &CheckResult {
        &self.results[check as usize]
    }

    /// The checks that passed.
    pub fn passed(&self) -> Checks {
        Check::ALL
            .into_iter()
            .filter(|check| *self.result(*check) == CheckResult::Passed)
            .fold(Checks::default(), Checks::with)
    }

    /// The checks that did not hold, with what differed.
    pub fn failures(&self) -> impl Iterator<Item = (Check, &str)> {
        Check::ALL.into_iter().filter_map(|check| match self.result(check) {
            CheckResult::Failed(what) => Some((check, what.as_str())),
            CheckResult::Passed | CheckResult::Skipped(_) => None,
        })
    }

    /// Sets the result of the parent check, once the block below is known.
    pub fn check_parent(&mut self, header: &evm::Header, parent: Option<B256>) {
        self.results[Check::Parent as usize] = match parent {
            Some(parent) if parent == header.parent_hash => CheckResult::Passed,
            Some(parent) => {
                let given = header.parent_hash;
                CheckResult::Failed(format!(
                    "parents differ: block gives {given}, chain has {parent}"
                ))
            }
            None => CheckResult::Skipped("the block below is not known".to_owned()),
        };
    }

    /// What is stored about the block.
    pub fn verification(&self) -> Verification {
        let mut reasons: Vec<String> = Vec::new();
        for check in Check::ALL {
            match self.result(check) {
                CheckResult::Passed => {}
                CheckResult::Skipped(why) => {
                    reasons.push(format!("{} skipped: {why}", check.name()));
                }
                CheckResult::Failed(what) => {
                    // Which hash differed is evidence, not a reason: ranges with one reason merge.
                    let what = what.split_once(':').map_or(what.as_str(), |(kind, _)| kind);
                    reasons.push(format!("{} failed: {what}", check.name()));
                }
            }
        }
        Verification { passed: self.passed(), shortfall: reasons.join("; "), agreed: 1 }
    }
}

/// The block as the rest of the program sees it, with its outcomes in place.
///
/// # Errors
/// When outcomes and transactions do not belong together: in words, what does not fit.
pub fn assemble(block: &RawBlock, outcomes: Outcomes) -> Result<evm::Block, String> {
    let mut model = block.to_model();
    for (position, transaction) in model.transactions.iter_mut().enumerate() {
        transaction.index = position as u64;
    }
    let mut next_index = 0;
    match outcomes {
        Outcomes::Unknown(_) => {}
        Outcomes::Receipts(receipts) => {
            fits(block, &receipts)?;
            let mut before = 0;
            for (transaction, raw) in model.transactions.iter_mut().zip(receipts) {
                let mut receipt = raw.receipt;
                let after = raw.cumulative_gas_used.unwrap_or(before);
                receipt.gas_used = raw.gas_used.unwrap_or_else(|| after.saturating_sub(before));
                before = after;
                // Order is proven by the root; the numbers follow from it.
                for log in &mut receipt.logs {
                    log.index = next_index;
                    next_index += 1;
                }
                transaction.receipt = Some(receipt);
            }
        }
        Outcomes::Logs(logs) => {
            for transaction in &mut model.transactions {
                transaction.receipt = Some(evm::Receipt::default());
            }
            let mut position = 0;
            for raw in logs {
                let found = model.transactions[position..]
                    .iter()
                    .position(|transaction| transaction.hash == raw.transaction_hash);
                position += found.ok_or_else(|| {
                    format!("log {} is of no transaction of the block", raw.log.index)
                })?;
                if let Some(receipt) = &mut model.transactions[position].receipt {
                    receipt.logs.push(raw.log);
                }
            }
        }
    }
    Ok(model)
}

/// Whether each receipt belongs to the transaction at its place.
fn fits(block: &RawBlock, receipts: &[RawReceipt]) -> Result<(), String> {
    let (have, want) = (receipts.len(), block.transactions.len());
    if have != want {
        return Err(format!("{have} receipts for {want} transactions"));
    }
    for (position, (raw, receipt)) in block.transactions.iter().zip(receipts).enumerate() {
        let (want, have) = (raw.transaction.hash, receipt.transaction_hash);
        if want != have {
            return Err(format!("receipt {position} is of transaction {have}, not {want}"));
        }
        if let Some(hash) = receipt.block_hash.filter(|hash| *hash != block.header.header.hash) {
            return Err(format!("receipt {position} is of block {hash}"));
        }
    }
    Ok(())
}

/// Whether a block or header, as an endpoint gave it, has the hash that it says; none when that
/// cannot be told.
pub(crate) fn hash_holds(value: &RawValue) -> Option<bool> {
    match header_hash(&RawHeader::parse(value).ok()?) {
        CheckResult::Passed => Some(true),
        CheckResult::Failed(_) => Some(false),
        CheckResult::Skipped(_) => None,
    }
}

fn header_hash(raw: &RawHeader) -> CheckResult {
    let given = raw.header.hash;
    let computed = match encode::header(raw, &raw.header.extra_data) {
        Ok(bytes) => keccak256(bytes),
        Err(gap) => return CheckResult::Skipped(gap),
    };
    if computed == given {
        return CheckResult::Passed;
    }
    // A match is proof in whichever form it comes, so trying forms cannot let a forgery pass.
    if raw.mix_hash == Some(BFT_MIX_HASH) {
        let matches = |extra_data: &Vec<u8>| {
            encode::header(raw, extra_data).is_ok_and(|bytes| keccak256(bytes) == given)
        };
        return if encode::unsealed(&raw.header.extra_data).iter().any(matches) {
            CheckResult::Passed
        } else {
            CheckResult::Skipped("sealed by a BFT protocol that is not known here".to_owned())
        };
    }
    if raw.unknown.is_empty() {
        CheckResult::Failed(format!("header hashes differ: computed {computed}, given {given}"))
    } else {
        CheckResult::Skipped(format!("unknown header field {}", raw.unknown.join(", ")))
    }
}

fn transactions_root(block: &RawBlock) -> CheckResult {
    let root = block.header.header.transactions_root;
    if root.is_zero() {
        return CheckResult::Skipped("the header has no transactions root".to_owned());
    }
    let mut encoded = Vec::with_capacity(block.transactions.len());
    for (position, raw) in block.transactions.iter().enumerate() {
        let RawTransaction { transaction, block_hash, .. } = raw;
        if let Some(hash) = block_hash.filter(|hash| *hash != block.header.header.hash) {
            return CheckResult::Failed(format!(
                "a transaction is of another block: transaction {position} of {hash}"
            ));
        }
        match encode::transaction(raw) {
            Ok(bytes) => {
                let hash = keccak256(&bytes);
                if hash != transaction.hash && !is_outside_the_root(raw) {
                    let given = transaction.hash;
                    return CheckResult::Failed(format!(
                        "transaction hashes differ: computed {hash} at {position}, given {given}"
                    ));
                }
                encoded.push(bytes);
            }
            Err(gap) => return CheckResult::Skipped(gap),
        }
    }
    let computed = alloy_trie::root::ordered_trie_root_encoded(&encoded);
    if computed == root {
        return CheckResult::Passed;
    }
    if let Some((_, inside)) = encoded.split_last()
        && block.transactions.last().is_some_and(is_outside_the_root)
        && alloy_trie::root::ordered_trie_root_encoded(inside) == root
    {
        return CheckResult::Skipped(OUTSIDE.to_owned());
    }
    CheckResult::Failed(format!("roots differ: computed {computed}, header {root}"))
}

/// Why a block with a state-sync transaction is not fully proven.
const OUTSIDE: &str = "the chain keeps its last, own transaction outside the root";

/// Polygon's state-sync transaction: from nobody to nobody, without gas and signature, appended to
/// the block and not part of its roots.
fn is_outside_the_root(raw: &RawTransaction) -> bool {
    let evm::Transaction { from, gas, .. } = raw.transaction;
    from.is_zero() && gas == 0 && raw.r.is_zero() && raw.s.is_zero()
}

/// The bloom of each receipt; of logs without receipts, one bloom over all.
fn blooms(outcomes: &Outcomes) -> Vec<Bloom> {
    let mut blooms = encode::Blooms::default();
    match outcomes {
        Outcomes::Unknown(_) => Vec::new(),
        Outcomes::Logs(logs) => vec![blooms.of(logs.iter().map(|raw| &raw.log))],
        Outcomes::Receipts(receipts) => {
            receipts.iter().map(|raw| blooms.of(&raw.receipt.logs)).collect()
        }
    }
}

fn receipts_root(block: &RawBlock, outcomes: &Outcomes, blooms: &[Bloom]) -> CheckResult {
    let root = block.header.header.receipts_root;
    if root.is_zero() {
        return CheckResult::Skipped("the header has no receipts root".to_owned());
    }
    let receipts = match outcomes {
        Outcomes::Receipts(receipts) => receipts,
        Outcomes::Logs(_) => return CheckResult::Skipped("only logs could be had".to_owned()),
        Outcomes::Unknown(why) => return CheckResult::Skipped(why.clone()),
    };
    if let Err(what) = fits(block, receipts) {
        return CheckResult::Failed(format!("receipts do not fit the transactions: {what}"));
    }
    let mut encoded = Vec::with_capacity(receipts.len());
    for ((receipt, raw), bloom) in receipts.iter().zip(&block.transactions).zip(blooms) {
        match encode::receipt(receipt, raw.transaction.kind, bloom) {
            Ok(bytes) => encoded.push(bytes),
            Err(gap) => return CheckResult::Skipped(gap),
        }
    }
    let computed = alloy_trie::root::ordered_trie_root_encoded(&encoded);
    if computed == root {
        return CheckResult::Passed;
    }
    if let Some((_, inside)) = encoded.split_last()
        && block.transactions.last().is_some_and(is_outside_the_root)
        && alloy_trie::root::ordered_trie_root_encoded(inside) == root
    {
        return CheckResult::Skipped(OUTSIDE.to_owned());
    }
    CheckResult::Failed(format!("roots differ: computed {computed}, header {root}"))
}

fn logs_bloom(block: &RawBlock, outcomes: &Outcomes, blooms: &[Bloom]) -> CheckResult {
    let Some(given) = block.header.logs_bloom else {
        return CheckResult::Skipped("the endpoint gives no logsBloom".to_owned());
    };
    match outcomes {
        Outcomes::Unknown(why) => return CheckResult::Skipped(why.clone()),
        Outcomes::Receipts(receipts) => {
            for (position, (receipt, own)) in receipts.iter().zip(blooms).enumerate() {
                if receipt.logs_bloom.is_some_and(|bloom| bloom != *own) {
                    return CheckResult::Failed(format!(
                        "logs of a receipt do not give its bloom: receipt {position}"
                    ));
                }
            }
        }
        Outcomes::Logs(logs) => {
            // Without receipts, a gap in the numbers is the best sign of a missing log.
            for (position, raw) in logs.iter().enumerate() {
                if raw.log.index != position as u64 {
                    return CheckResult::Failed(format!(
                        "logs are not numbered one by one: {} at place {position}",
                        raw.log.index
                    ));
                }
                if let Some(hash) = raw.block_hash.filter(|hash| *hash != block.header.header.hash)
                {
                    return CheckResult::Failed(format!(
                        "a log is of another block: log {position} of {hash}"
                    ));
                }
            }
        }
    }
    let computed = blooms.iter().fold(Bloom::ZERO, |all, bloom| all | *bloom);
    if computed == given {
        CheckResult::Passed
    } else {
        let missing = given.contains(&computed);
        CheckResult::Failed(
            if missing { "logs are missing" } else { "logs do not belong to the block" }.to_owned(),
        )
    }
}

/// Whether the header says that the block has no transactions, and so nothing came of them.
pub(super) fn is_empty(header: &evm::Header) -> bool {
    header.transactions_root == EMPTY_ROOT_HASH && header.receipts_root == EMPTY_ROOT_HASH
}
