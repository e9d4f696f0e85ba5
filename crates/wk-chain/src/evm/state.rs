//! Reads a chain's state at one block: calls, storage and code.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::time::Instant;
use wk_model::{Address, B256, BlockRef, Bytes, Height, U256};

use super::fetch::quantity;
use super::json::{FromWire, value};
use crate::rpc::{CallError, ErrorClass, Pool, Purpose, Reply, Request, RpcError};

/// Reads state at blocks of one chain. Clones share what was learned about the endpoints.
///
/// Reads name the block by its hash (EIP-1898), so that a reorg cannot slip another block's state
/// in. Where no endpoint understands that, they name it by its number.
#[derive(Clone)]
pub struct StateReader {
    pool: Pool,
    purpose: Purpose,
    by_number: Arc<AtomicBool>,
    pruned: Arc<Mutex<Option<(Height, Instant)>>>,
}

/// For so long, state below a block whose state was gone is not asked for: a full node keeps that of
/// the newest blocks only, and nobody gains from hearing so thousands of times.
const GONE: Duration = Duration::from_secs(60);

/// State could not be read.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ReadState {
    /// The contract refused the call.
    #[error("the call was reverted: {message}")]
    Reverted {
        /// What the endpoint says about it.
        message: String,
        /// What the contract returned; decode it with its ABI.
        data: Bytes,
    },
    /// No endpoint has the state of this block any more; an archive endpoint would.
    #[error("no endpoint holds the state of block {block}; add an archive endpoint to read it")]
    Pruned {
        /// The block.
        block: BlockRef,
    },
    /// No endpoint answered.
    #[error("state cannot be read")]
    Call(#[source] Box<CallError>),
    /// An endpoint answered with something else.
    #[error("{method} answered with something that is no state: {reason}")]
    Answer {
        /// The method.
        method: &'static str,
        /// What was wrong.
        reason: String,
    },
}

impl StateReader {
    /// Reads for `purpose` through `pool`.
    pub fn new(pool: &Pool, purpose: Purpose) -> StateReader {
        StateReader {
            pool: pool.clone(),
            purpose,
            by_number: Arc::default(),
            pruned: Arc::default(),
        }
    }

    /// What a call to `to` with `data` returns at `block`.
    ///
    /// # Errors
    /// When the contract refuses, the state is gone, or nobody answers.
    pub async fn call(
        &self,
        block: BlockRef,
        to: Address,
        data: &[u8],
    ) -> Result<Bytes, ReadState> {
        self.call_as(block, &json!({"to": to, "data": Bytes::copy_from_slice(data)})).await
    }

    /// What a call returns at `block`; `call` is the call object of `eth_call`, such as a mined
    /// transaction that is to be tried again.
    ///
    /// # Errors
    /// When the contract refuses, the state is gone, or nobody answers.
    pub async fn call_as(&self, block: BlockRef, call: &Value) -> Result<Bytes, ReadState> {
        self.read("eth_call", block, |at| json!([call, at])).await
    }

    /// The storage slot `slot` of `address` at `block`.
    ///
    /// # Errors
    /// When the state is gone, or nobody answers.
    pub async fn storage(
        &self,
        block: BlockRef,
        address: Address,
        slot: U256,
    ) -> Result<B256, ReadState> {
        let slot = B256::from(slot);
        let method = "eth_getStorageAt";
        let word: Bytes = self.read(method, block, |at| json!([address, slot, at])).await?;
        // Some clients leave out leading zeros.
        if word.len() > 32 {
            let reason = format!("{} bytes, expected at most 32", word.len());
            return Err(ReadState::Answer { method, reason });
        }
        Ok(B256::left_padding_from(&word))
    }

    /// The code at `address` at `block`; empty when there is none.
    ///
    /// # Errors
    /// When the state is gone, or nobody answers.
    pub async fn code(&self, block: BlockRef, address: Address) -> Result<Bytes, ReadState> {
        self.read("eth_getCode", block, |at| json!([address, at])).await
    }

    /// The wei that `address` holds at `block`.
    ///
    /// # Errors
    /// When the state is gone, or nobody answers.
    pub async fn balance(&self, block: BlockRef, address: Address) -> Result<U256, ReadState> {
        self.read("eth_getBalance", block, |at| json!([address, at])).await
    }

    /// How many transactions `address` had sent, or contracts it had created, at `block`.
    ///
    /// # Errors
    /// When the state is gone, or nobody answers.
    pub async fn nonce(&self, block: BlockRef, address: Address) -> Result<u64, ReadState> {
        self.read("eth_getTransactionCount", block, |at| json!([address, at])).await
    }

    /// The accounts and slots that a call object would touch at `block`, by `eth_createAccessList`;
    /// few providers offer it without fault, so it is good for a guess only.
    ///
    /// # Errors
    /// When the contract refuses, the state is gone, or nobody answers.
    pub async fn access_list(
        &self,
        block: BlockRef,
        call: &Value,
    ) -> Result<Vec<(Address, Vec<B256>)>, ReadState> {
        let method = "eth_createAccessList";
        let answer: Value = self.read(method, block, |at| json!([call, at])).await?;
        let list = answer.get("accessList").and_then(Value::as_array);
        let list = list.ok_or_else(|| ReadState::Answer {
            method,
            reason: "there is no `accessList` in it".to_owned(),
        })?;
        let item = |item: &Value| {
            let address = item.get("address")?.as_str()?.parse().ok()?;
            let slots = item.get("storageKeys")?.as_array()?;
            Some((address, slots.iter().filter_map(|slot| slot.as_str()?.parse().ok()).collect()))
        };
        Ok(list.iter().filter_map(item).collect())
    }

    /// The hash of the block at `height`, as the endpoints have it now.
    ///
    /// # Errors
    /// When nobody answers, or there is no such block.
    pub async fn block_hash(&self, height: Height) -> Result<B256, ReadState> {
        let method = "eth_getBlockByNumber";
        let request = Request::new(method, json!([quantity(height), false]), self.purpose);
        let reply = self.pool.call(request.pinned(height)).await;
        let header: Value =
            decode(method, reply.map_err(|error| ReadState::Call(Box::new(error)))?)?;
        let hash = header.get("hash").and_then(Value::as_str).and_then(|hash| hash.parse().ok());
        hash.ok_or_else(|| ReadState::Answer { method, reason: "there is no hash in it".into() })
    }

    async fn read<T: FromWire>(
        &self,
        method: &'static str,
        block: BlockRef,
        params: impl Fn(Value) -> Value,
    ) -> Result<T, ReadState> {
        if self.is_gone(block.height) {
            return Err(ReadState::Pruned { block });
        }
        let read = self.ask(method, block, params).await;
        if matches!(read, Err(ReadState::Pruned { .. })) {
            *self.pruned.lock() = Some((block.height, Instant::now()));
        }
        read
    }

    /// Whether the state at `height`, or above it, was gone a moment ago.
    fn is_gone(&self, height: Height) -> bool {
        self.pruned.lock().is_some_and(|(gone, at)| height <= gone && at.elapsed() < GONE)
    }

    async fn ask<T: FromWire>(
        &self,
        method: &'static str,
        block: BlockRef,
        params: impl Fn(Value) -> Value,
    ) -> Result<T, ReadState> {
        let by_hash = json!({"blockHash": block.hash});
        let by_number = json!(quantity(block.height));
        let ask = async |at: Value| {
            let request = Request::new(method, params(at), self.purpose).hedged();
            self.pool.call(request.pinned(block.height)).await
        };
        if self.by_number.load(Ordering::Relaxed) {
            let reply = ask(by_number).await;
            return decode(method, reply.map_err(|error| refusal(error, block))?);
        }
        match ask(by_hash).await {
            Ok(reply) => decode(method, reply),
            Err(error) if error.all(ErrorClass::RpcInvalidParams) => {
                let reply = ask(by_number).await.map_err(|error| refusal(error, block))?;
                // It works this way, so it was the other way that was not understood.
                self.by_number.store(true, Ordering::Relaxed);
                decode(method, reply)
            }
            Err(error) => Err(refusal(error, block)),
        }
    }
}

fn decode<T: FromWire>(method: &'static str, reply: Reply) -> Result<T, ReadState> {
    value(&reply.value).map_err(|error| ReadState::Answer { method, reason: error.reason })
}

fn refusal(error: CallError, block: BlockRef) -> ReadState {
    if let Some(RpcError { message, data, .. }) = error.reverted() {
        return ReadState::Reverted {
            message: message.clone(),
            data: data.as_ref().map(returned).unwrap_or_default(),
        };
    }
    if error.all(ErrorClass::RpcPruned) {
        return ReadState::Pruned { block };
    }
    ReadState::Call(Box::new(error))
}

/// What the contract returned: clients put it in `data` as text, or one level further in.
fn returned(data: &Value) -> Bytes {
    let text = data
        .as_str()
        .or_else(|| data.get("data").and_then(Value::as_str))
        .or_else(|| data.get("result").and_then(Value::as_str))
        .unwrap_or_default();
    // Parity wrote "Reverted 0x…".
    let hex = text.rsplit(' ').next().unwrap_or_default();
    wk_model::primitives::hex::decode(hex).map(Bytes::from).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn returned_data_is_found_where_clients_put_it() {
        let check =
            |data: Value, expected: &[u8]| assert_eq!(returned(&data)[..], *expected, "{data}");
        check(json!("0x08c379a0"), &[0x08, 0xc3, 0x79, 0xa0]);
        check(json!("Reverted 0x01"), &[1]);
        check(json!({"data": "0x02"}), &[2]);
        check(json!({"result": "0x03"}), &[3]);
        check(json!("0x"), &[]);
        check(json!("out of gas"), &[]);
        check(json!(null), &[]);
        check(json!([1]), &[]);
    }
}
