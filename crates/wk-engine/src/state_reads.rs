//! What rules want to know beyond the block itself, asked of the chain at the block's own hash.

use std::collections::HashMap;

use futures_util::stream::{self, StreamExt};
use serde_json::json;
use wk_chain::abi::{Decoder, Revert};
use wk_chain::evm::state::{ReadState, StateReader};
use wk_model::{B256, BlockRef, Bytes, ChainName, evm};
use wk_rules::{RuleSet, StateAnswers, StateRead};

/// Reads under way at once.
const PARALLEL: usize = 16;
/// Failed transactions of one block that are tried again to learn why.
const MOST_REASONS: usize = 32;

/// Answers all reads in the state of `block`; what cannot be read says why.
pub(crate) async fn answer(
    reader: &StateReader,
    block: BlockRef,
    reads: Vec<StateRead>,
) -> StateAnswers {
    let reads: Vec<_> = reads.into_iter().map(|read| one(reader.clone(), block, read)).collect();
    stream::iter(reads).buffer_unordered(PARALLEL).collect().await
}

async fn one(
    reader: StateReader,
    block: BlockRef,
    read: StateRead,
) -> (StateRead, Result<Bytes, String>) {
    let answer = match &read {
        StateRead::Call { to, data } => reader.call(block, *to, data).await,
        StateRead::Storage { address, slot } => {
            let word = reader.storage(block, *address, (*slot).into()).await;
            word.map(|word| Bytes::copy_from_slice(word.as_slice()))
        }
        StateRead::Balance { address } => {
            let balance = reader.balance(block, *address).await;
            balance.map(|wei| Bytes::copy_from_slice(&wei.to_be_bytes::<32>()))
        }
    };
    (read, answer.map_err(|error| error.to_string()))
}

/// Why failed transactions failed, for those whose reason a rule reads: each is tried again on the
/// state of its own block. A transaction that no longer fails there has no reason.
pub(crate) async fn revert_reasons(
    reader: &StateReader,
    decoder: &Decoder,
    rules: &RuleSet,
    chain: &ChainName,
    block: &evm::Block,
) -> HashMap<B256, String> {
    let at = block.header.block_ref();
    let mut wanted = rules.revert_reasons_wanted(chain, block);
    wanted.truncate(MOST_REASONS);
    let tries: Vec<_> =
        wanted.iter().map(|tx| try_again(reader.clone(), at, (*tx).clone())).collect();
    let reverts: Vec<Option<(String, Bytes)>> =
        stream::iter(tries).buffered(PARALLEL).collect().await;
    let mut reasons = HashMap::new();
    for (tx, revert) in wanted.into_iter().zip(reverts) {
        if let Some((message, data)) = revert {
            reasons.insert(tx.hash, reason(decoder, chain, tx, &message, &data));
        }
    }
    reasons
}

async fn try_again(
    reader: StateReader,
    at: BlockRef,
    tx: evm::Transaction,
) -> Option<(String, Bytes)> {
    let call = json!({
        "from": tx.from,
        "to": tx.to,
        "value": tx.value,
        "data": tx.input,
        "gas": format!("{:#x}", tx.gas),
    });
    match reader.call_as(at, &call).await {
        Err(ReadState::Reverted { message, data }) => Some((message, data)),
        Ok(_) | Err(_) => None,
    }
}

/// Revert data in words; what they do not say, the endpoint's message says.
fn reason(
    decoder: &Decoder,
    chain: &ChainName,
    tx: &evm::Transaction,
    message: &str,
    data: &[u8],
) -> String {
    match decoder.revert(chain, tx.to, data).revert {
        Revert::Reason(text) => text,
        Revert::Panic(code) => format!("panic: {}", wk_chain::abi::panic_meaning(code)),
        Revert::Custom(error) => {
            let arguments: Vec<String> = error
                .params()
                .map(|param| format!("{}: {}", param.name, wk_chain::abi::Shown(param.value)))
                .collect();
            format!("{}({})", error.name(), arguments.join(", "))
        }
        Revert::Empty | Revert::Unknown(_) => message.to_owned(),
    }
}
