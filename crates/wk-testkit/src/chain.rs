//! Driving anvil: blocks, reorgs, contracts, transactions.

use std::time::Duration;

use alloy_dyn_abi::DynSolValue;
use alloy_primitives::{Address, B256, Bytes, U256};
use serde_json::{Value, json};

use crate::contracts::{Fixture, scene};
use crate::wait::wait_for;
use crate::{Anvil, Mining};

/// How long a transaction may take into a block.
const RECEIPT_DEADLINE: Duration = Duration::from_secs(30);

/// Most calls in one batch to anvil; it works through larger ones no faster.
const BATCH: usize = 500;

/// A transaction from an unlocked account.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tx {
    from: usize,
    to: Option<Address>,
    value: U256,
    data: Bytes,
    gas: Option<u64>,
    tip: Option<u64>,
    nonce: Option<u64>,
}

impl Tx {
    /// A transfer of nothing to `to`, from the first account.
    pub fn to(to: Address) -> Tx {
        Tx { to: Some(to), ..Tx::default() }
    }

    /// A call of `function` of the contract at `to`.
    ///
    /// # Panics
    /// When there is no such function, or it does not take `args`.
    pub fn call(to: Address, fixture: Fixture, function: &str, args: &[DynSolValue]) -> Tx {
        Tx::to(to).data(fixture.call_data(function, args))
    }

    /// Creates a contract.
    ///
    /// # Panics
    /// When the constructor does not take `args`.
    pub fn deploy(fixture: Fixture, args: &[DynSolValue]) -> Tx {
        Tx { data: fixture.deploy_data(args), ..Tx::default() }
    }

    /// Sent by the account with this index.
    #[must_use]
    pub fn from(mut self, account: usize) -> Tx {
        self.from = account;
        self
    }

    /// Sends wei along.
    #[must_use]
    pub fn value(mut self, wei: U256) -> Tx {
        self.value = wei;
        self
    }

    /// With this call data.
    #[must_use]
    pub fn data(mut self, data: Bytes) -> Tx {
        self.data = data;
        self
    }

    /// With this gas limit. Without one anvil tries the transaction first, which takes time, and
    /// gives one that fails all the gas of a block.
    #[must_use]
    pub fn gas(mut self, gas: u64) -> Tx {
        self.gas = Some(gas);
        self
    }

    /// With this priority fee, in wei per gas.
    #[must_use]
    pub fn tip(mut self, wei: u64) -> Tx {
        self.tip = Some(wei);
        self
    }

    /// With this nonce, instead of the account's next one.
    #[must_use]
    pub fn nonce(mut self, nonce: u64) -> Tx {
        self.nonce = Some(nonce);
        self
    }

    fn params(&self, accounts: &[Address]) -> Value {
        let from = accounts.get(self.from).unwrap_or_else(|| panic!("no account {}", self.from));
        let mut tx = json!({"from": from, "value": self.value, "input": self.data});
        if let Some(to) = self.to {
            tx["to"] = json!(to);
        }
        if let Some(gas) = self.gas {
            tx["gas"] = json!(format!("{gas:#x}"));
        }
        if let Some(nonce) = self.nonce {
            tx["nonce"] = json!(format!("{nonce:#x}"));
        }
        if let Some(tip) = self.tip {
            tx["maxPriorityFeePerGas"] = json!(format!("{tip:#x}"));
            tx["maxFeePerGas"] = json!(format!("{:#x}", tip + 10_000_000_000));
        }
        json!([tx])
    }
}

impl Anvil {
    /// Makes `count` blocks.
    pub async fn mine(&self, count: u64) {
        self.rpc.call("anvil_mine", json!([format!("{count:#x}")])).await;
    }

    /// Makes one block with this timestamp, in seconds.
    pub async fn mine_at(&self, timestamp: u64) {
        self.rpc.call("evm_setNextBlockTimestamp", json!([timestamp])).await;
        self.mine(1).await;
    }

    /// Makes a block each so many seconds from now on; 0 stops that.
    pub async fn set_interval(&self, seconds: u64) {
        self.rpc.call("evm_setIntervalMining", json!([seconds])).await;
    }

    /// Replaces the newest `depth` blocks by as many empty ones. Their transactions are gone.
    pub async fn reorg(&self, depth: u64) {
        self.rpc.call("anvil_reorg", json!([depth, []])).await;
    }

    /// Takes the newest `depth` blocks away: the head goes back.
    pub async fn rollback(&self, depth: u64) {
        self.rpc.call("anvil_rollback", json!([depth])).await;
    }

    /// Height of the head.
    pub async fn height(&self) -> u64 {
        quantity(&self.rpc.call("eth_blockNumber", json!([])).await)
    }

    /// A block with its transactions; null when it is not there.
    pub async fn block(&self, height: u64) -> Value {
        self.rpc.call("eth_getBlockByNumber", json!([format!("{height:#x}"), true])).await
    }

    /// Hash of the block at `height`.
    ///
    /// # Panics
    /// When it is not there.
    pub async fn hash(&self, height: u64) -> B256 {
        let block = self.block(height).await;
        serde_json::from_value(block["hash"].clone())
            .unwrap_or_else(|_| panic!("no block at {height}"))
    }

    /// Sends a transaction.
    pub async fn send(&self, tx: &Tx) -> B256 {
        let hash = self.rpc.call("eth_sendTransaction", tx.params(self.accounts())).await;
        serde_json::from_value(hash).expect("anvil answers a hash")
    }

    /// Sends many transactions in batches, in order.
    ///
    /// # Panics
    /// When anvil refuses one.
    pub async fn send_all(&self, txs: &[Tx]) -> Vec<B256> {
        let mut hashes = Vec::with_capacity(txs.len());
        for chunk in txs.chunks(BATCH) {
            let calls: Vec<(&str, Value)> = chunk
                .iter()
                .map(|tx| ("eth_sendTransaction", tx.params(self.accounts())))
                .collect();
            let mut answers = self.rpc.batch(&calls).await.expect("anvil answers batches");
            answers.sort_by_key(|answer| answer["id"].as_u64());
            for answer in answers {
                let hash = serde_json::from_value(answer["result"].clone());
                hashes.push(hash.unwrap_or_else(|_| panic!("transaction refused: {answer}")));
            }
        }
        hashes
    }

    /// Sends a transaction, makes a block when nobody else does, and returns the receipt.
    pub async fn execute(&self, tx: &Tx) -> Value {
        let hash = self.send(tx).await;
        if self.mining == Mining::Manual {
            self.mine(1).await;
        }
        self.receipt(hash).await
    }

    /// Waits for a transaction's receipt.
    pub async fn receipt(&self, hash: B256) -> Value {
        wait_for("the receipt of a transaction", RECEIPT_DEADLINE, async || {
            let receipt = self.rpc.call("eth_getTransactionReceipt", json!([hash])).await;
            receipt.is_object().then_some(receipt)
        })
        .await
    }

    /// Deploys a contract and returns its address.
    ///
    /// # Panics
    /// When the constructor fails or does not take `args`.
    pub async fn deploy(&self, fixture: Fixture, args: &[DynSolValue]) -> Address {
        let receipt = self.execute(&Tx::deploy(fixture, args)).await;
        assert_eq!(receipt["status"], "0x1", "{fixture:?} is not deployed");
        serde_json::from_value(receipt["contractAddress"].clone()).expect("it was created")
    }

    /// Sets a scene of `contracts/twins`, with this much wei, and returns its actor.
    ///
    /// # Panics
    /// When there is no such scene, or it cannot be set.
    pub async fn set_scene(&self, name: &str, wei: U256) -> Address {
        // Names nothing: so the whole data is init code.
        let receipt = self.execute(&Tx::default().data(scene(name)).value(wei)).await;
        assert_eq!(receipt["status"], "0x1", "the scene {name} is not set");
        let at = &receipt["contractAddress"];
        let actor = json!({"to": at, "data": "0x355e937d"});
        let actor = self.rpc.call("eth_call", json!([actor, "latest"])).await;
        let actor: B256 = serde_json::from_value(actor).expect("anvil answers a word");
        Address::from_word(actor)
    }

    /// A transaction in which a scene's actor runs, from the second account.
    pub fn play(actor: Address, wei: U256) -> Tx {
        let run = Bytes::from_static(&[0xc0, 0x40, 0x62, 0x26]);
        Tx::to(actor).from(1).data(run).value(wei)
    }

    /// Calls a view function at the head.
    ///
    /// # Panics
    /// When it reverts, there is no such function, or it does not take `args`.
    pub async fn view(
        &self,
        at: Address,
        fixture: Fixture,
        function: &str,
        args: &[DynSolValue],
    ) -> Vec<DynSolValue> {
        let call = json!({"to": at, "data": fixture.call_data(function, args)});
        let data = self.rpc.call("eth_call", json!([call, "latest"])).await;
        let data: Bytes = serde_json::from_value(data).expect("anvil answers bytes");
        fixture.outputs(function, &data)
    }
}

/// The number in a quantity such as `0x1f`.
pub(crate) fn quantity(value: &Value) -> u64 {
    let digits = value.as_str().and_then(|text| text.strip_prefix("0x"));
    let number = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok());
    number.unwrap_or_else(|| panic!("`{value}` is no quantity"))
}
