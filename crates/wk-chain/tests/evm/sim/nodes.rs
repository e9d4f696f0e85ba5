//! One node of the chain: its view, its faults, its wire.

use std::collections::BTreeMap;
use std::sync::Arc;

use alloy_primitives::B256;
use parking_lot::Mutex;
use serde_json::{Value, json};
use wk_tape::{JsonRpcServer, RpcError, Service, Subscriber};

use super::SimChain;

/// What a node does wrong.
#[derive(Clone, Default)]
pub(crate) struct Faults {
    /// Answers every call with an error.
    pub(crate) down: bool,
    /// Methods that it does not have.
    pub(crate) missing: Vec<&'static str>,
    /// Heights whose block is null.
    pub(crate) null_blocks: Vec<u64>,
    /// Heights whose receipts lack the last one.
    pub(crate) cut_receipts: Vec<u64>,
    /// Heights whose receipts have no logs.
    pub(crate) no_logs: Vec<u64>,
    /// Heights for which `eth_getLogs` has one log less.
    pub(crate) cut_logs: Vec<u64>,
    /// Heights whose header says another gas limit than its hash.
    pub(crate) forged: Vec<u64>,
    /// Whether there are `safe` and `finalized` tags.
    pub(crate) no_tags: bool,
    /// Bytes of ballast in each full block.
    pub(crate) ballast: usize,
    /// Answers slowly.
    pub(crate) delay: std::time::Duration,
}

/// A node that listens. It ends when it is dropped.
pub(crate) struct SimNode {
    server: JsonRpcServer,
    state: Arc<State>,
}

struct State {
    chain: SimChain,
    view: Mutex<View>,
    calls: Mutex<BTreeMap<String, u64>>,
}

struct View {
    head: B256,
    safe: Option<B256>,
    finalized: Option<B256>,
    faults: Faults,
    subscribers: Vec<Subscriber>,
}

impl SimNode {
    pub(crate) async fn start(chain: &SimChain, head: B256) -> SimNode {
        let view = View {
            head,
            safe: None,
            finalized: None,
            faults: Faults::default(),
            subscribers: Vec::new(),
        };
        let state = Arc::new(State {
            chain: chain.clone(),
            view: Mutex::new(view),
            calls: Mutex::default(),
        });
        let service: Arc<dyn Service> = Arc::clone(&state) as Arc<dyn Service>;
        SimNode { server: JsonRpcServer::start(service).await.unwrap(), state }
    }

    pub(crate) fn http(&self) -> String {
        self.server.http_url()
    }

    pub(crate) fn ws(&self) -> String {
        self.server.ws_url()
    }

    pub(crate) fn head(&self) -> B256 {
        self.state.view.lock().head
    }

    /// The node's head is `head` from now on; subscribers hear of it.
    pub(crate) fn set_head(&self, head: B256) {
        let mut view = self.state.view.lock();
        view.head = head;
        let mut header = self.state.chain.block(head).unwrap().block;
        header["transactions"] = Value::Null;
        view.subscribers.retain(|subscriber| subscriber.notify(&header));
    }

    /// Adds one block of `txs` transactions on top of the head.
    pub(crate) fn mine(&self, txs: u64) -> B256 {
        let head = self.state.chain.grow(self.head(), 1, txs);
        self.set_head(head);
        head
    }

    pub(crate) fn set_finals(&self, safe: Option<B256>, finalized: Option<B256>) {
        let mut view = self.state.view.lock();
        (view.safe, view.finalized) = (safe, finalized);
    }

    pub(crate) fn faults(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut self.state.view.lock().faults);
    }

    /// How often a method was called.
    pub(crate) fn calls(&self, method: &str) -> u64 {
        self.state.calls.lock().get(method).copied().unwrap_or_default()
    }
}

impl State {
    fn resolve(&self, view: &View, selector: &Value) -> Option<super::SimBlock> {
        let text = selector.as_str().or_else(|| selector["blockHash"].as_str())?;
        let hash = match text {
            "latest" => view.head,
            "safe" => view.safe?,
            "finalized" => view.finalized?,
            _ if text.len() == 66 => text.parse().unwrap(),
            _ => {
                let height = u64::from_str_radix(&text[2..], 16).unwrap();
                if height > self.chain.height(view.head) {
                    return None;
                }
                self.chain.at(view.head, height)?.hash
            }
        };
        let block = self.chain.block(hash)?;
        // A node knows only what is on its branch, and blocks that it had before.
        (!view.faults.null_blocks.contains(&block.height)).then_some(block)
    }
}

impl Service for State {
    fn call(&self, method: &str, params: &[Value]) -> Result<Value, RpcError> {
        *self.calls.lock().entry(method.to_owned()).or_default() += 1;
        let view = self.view.lock();
        let faults = &view.faults;
        if faults.down {
            return Err(RpcError::server("out of order"));
        }
        if faults.missing.contains(&method) {
            return Err(RpcError::method_missing(method));
        }
        let first = params.first().unwrap_or(&Value::Null);
        match method {
            "eth_chainId" => Ok(json!("0x539")),
            "net_version" => Ok(json!("1337")),
            "web3_clientVersion" => Ok(json!("sim/1.0")),
            "net_peerCount" => Ok(json!("0x7")),
            "eth_syncing" => Ok(json!(false)),
            "txpool_status" => Ok(json!({"pending": "0x3", "queued": "0x1"})),
            "eth_blobBaseFee" => Ok(json!("0x5")),
            "eth_feeHistory" => Ok(json!({"oldestBlock": "0x1", "baseFeePerGas": ["0x7", "0x8"]})),
            "eth_blockNumber" => Ok(super::quantity(self.chain.height(view.head))),
            "eth_call" | "eth_getCode" | "eth_getStorageAt" | "eth_getBalance" => {
                let at = &params[params.len() - 1];
                if faults.missing.contains(&"EIP-1898") && at.is_object() {
                    return Err(RpcError::invalid_params("expected a block number"));
                }
                match self.resolve(&view, at) {
                    None => Err(RpcError::server("header not found")),
                    Some(_) if method == "eth_call" && first["data"] == "0xdead" => Err(RpcError {
                        code: 3,
                        message: "execution reverted: no".to_owned(),
                        data: Some(json!("0x08c379a0")),
                    }),
                    Some(block) => Ok(json!(block.hash)),
                }
            }
            "eth_getBlockByHash" | "eth_getBlockByNumber" => {
                if faults.no_tags && matches!(first.as_str(), Some("safe" | "finalized")) {
                    return Err(RpcError::invalid_params("unknown tag"));
                }
                let Some(found) = self.resolve(&view, first) else { return Ok(Value::Null) };
                let mut block = found.block;
                if faults.forged.contains(&found.height) {
                    block["gasLimit"] = json!("0x1");
                }
                if params.get(1) != Some(&json!(true)) {
                    let hashes = block["transactions"].as_array().unwrap().iter();
                    block["transactions"] = hashes.map(|tx| tx["hash"].clone()).collect();
                } else if faults.ballast > 0 {
                    block["ballast"] = json!("x".repeat(faults.ballast));
                }
                Ok(block)
            }
            "eth_getBlockReceipts" => {
                let Some(found) = self.resolve(&view, first) else { return Ok(Value::Null) };
                let mut receipts = found.receipts;
                if faults.cut_receipts.contains(&found.height) {
                    receipts.pop();
                }
                if faults.no_logs.contains(&found.height) {
                    receipts.iter_mut().for_each(|receipt| receipt["logs"] = json!([]));
                }
                Ok(Value::Array(receipts))
            }
            "eth_getTransactionReceipt" => {
                let height = self.chain.height(view.head);
                let branch = (0..=height).rev().filter_map(|h| self.chain.at(view.head, h));
                let mut receipts = branch.take(64).flat_map(|block| block.receipts);
                Ok(receipts.find(|receipt| receipt["transactionHash"] == *first).into())
            }
            "eth_getLogs" => {
                let Some(found) = self.resolve(&view, first) else {
                    return Err(RpcError::server("unknown block"));
                };
                let mut logs: Vec<Value> = found
                    .receipts
                    .iter()
                    .flat_map(|receipt| receipt["logs"].as_array().unwrap().clone())
                    .collect();
                if faults.cut_logs.contains(&found.height) {
                    logs.pop();
                }
                Ok(Value::Array(logs))
            }
            _ => Err(RpcError::method_missing(method)),
        }
    }

    fn subscribe(&self, params: &[Value], subscriber: Subscriber) -> Result<(), RpcError> {
        if params.first() != Some(&json!("newHeads")) {
            return Err(RpcError::invalid_params("no such subscription"));
        }
        self.view.lock().subscribers.push(subscriber);
        Ok(())
    }

    fn delay(&self) -> std::time::Duration {
        self.view.lock().faults.delay
    }
}
