//! Makes blocks and writes down everything that a watcher may ask about them.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, b256};
use serde_json::{Value, json};
use wk_tape::{Entry, Recorded, Tape, state_key};
use wk_testkit::{Anvil, DynSolValue, Fixture, RpcFailure, Tx};

/// Storage slots in which proxies keep what they point to: EIP-1967 implementation, admin and
/// beacon, EIP-1822, and implementation and admin of old OpenZeppelin proxies.
const PROXY_SLOTS: [B256; 6] = [
    b256!("360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc"),
    b256!("b53127684a568b3173ae13b9f8a6016e243e63b6e8ee1178d6a717850b5d6103"),
    b256!("a3f0ad74e5423aebfd80d3ef4346578335a9a72aeaee59ff6cb3582b35133d50"),
    b256!("c5f16f0fcc639fa48a6947836d9850f504798523bf8c9a3a87d5876cf622bcf7"),
    b256!("7050c9e0f4ca769c69bd3a8ef740bc37934f8e2c036e5a723fd8ee048ed3f8c3"),
    b256!("10d6a54a4754c8869d6886b5f5d7fbfa5b4522237ea5c60d11bc4e7a1ff9390b"),
];

/// Plain slots of each contract that are recorded.
const SLOTS: u8 = 10;

/// Records a chain while it is made.
pub(crate) struct Recorder {
    pub(crate) anvil: Anvil,
    contracts: BTreeMap<String, String>,
    questions: Vec<Question>,
    entries: Vec<Entry>,
    /// All answers after each block, lowest first, so that a reorg can go back.
    known: Vec<BTreeMap<String, Value>>,
    history: usize,
    time: u64,
}

struct Question {
    key: String,
    method: &'static str,
    params: Vec<Value>,
}

impl Recorder {
    /// Begins with the genesis block.
    pub(crate) async fn start(anvil: Anvil) -> Recorder {
        let mut recorder = Recorder {
            contracts: BTreeMap::new(),
            questions: Vec::new(),
            entries: Vec::new(),
            known: Vec::new(),
            history: 0,
            time: 0,
            anvil,
        };
        let accounts = recorder.anvil.accounts().to_vec();
        for account in accounts.into_iter().chain([Address::ZERO]) {
            recorder.ask_account(account);
        }
        let genesis = recorder.fetch(0).await;
        recorder.time = quantity(&genesis.block["timestamp"]);
        recorder.entries.push(Entry::Block(genesis));
        recorder
    }

    /// Everything so far is history: it is there when the playing begins.
    pub(crate) fn end_history(&mut self) {
        self.history = self.entries.len();
    }

    /// Deploys a contract in a block of its own, and records its state from there on.
    pub(crate) async fn deploy(
        &mut self,
        name: &str,
        fixture: Fixture,
        args: &[DynSolValue],
    ) -> Address {
        let hash = self.anvil.send(&Tx::deploy(fixture, args).gas(5_000_000)).await;
        self.mine_only().await;
        let receipt = self.anvil.receipt(hash).await;
        let address = serde_json::from_value(receipt["contractAddress"].clone());
        let address: Address = address.expect("it was deployed");
        self.contracts.insert(name.to_owned(), lower(address));
        self.ask_account(address);
        self.ask("code", "eth_getCode", address, None);
        for slot in (0..SLOTS).map(B256::with_last_byte).chain(PROXY_SLOTS) {
            self.ask("storage", "eth_getStorageAt", address, Some(slot));
        }
        self.write_down().await;
        address
    }

    /// Records what a view function returns, in this block and in all after it.
    pub(crate) fn watch(
        &mut self,
        to: Address,
        fixture: Fixture,
        function: &str,
        args: &[DynSolValue],
    ) {
        let data = fixture.call_data(function, args).to_string();
        let key = state_key("call", &lower(to), &data);
        let params = vec![json!({"to": lower(to), "data": data})];
        self.questions.push(Question { key, method: "eth_call", params });
    }

    /// Makes a block of these transactions.
    pub(crate) async fn block(&mut self, txs: &[Tx]) {
        self.anvil.send_all(txs).await;
        self.mine_only().await;
        self.write_down().await;
    }

    /// Replaces the newest `depth` blocks by empty ones.
    pub(crate) async fn reorg(&mut self, depth: usize) {
        self.anvil.reorg(depth as u64).await;
        self.known.truncate(self.known.len() - depth);
        let head = self.anvil.height().await;
        let mut blocks = Vec::new();
        for height in head + 1 - depth as u64..=head {
            blocks.push(self.fetch(height).await);
        }
        self.entries.push(Entry::Reorg { drop: depth, blocks });
    }

    /// The finished tape.
    pub(crate) async fn finish(self) -> Tape {
        let client = self.anvil.rpc().call("web3_clientVersion", json!([])).await;
        Tape {
            chain_id: self.anvil.chain_id(),
            client: client.as_str().unwrap_or_default().to_owned(),
            contracts: self.contracts,
            history: self.history,
            entries: self.entries,
        }
    }

    async fn mine_only(&mut self) {
        self.time += 1;
        self.anvil.mine_at(self.time).await;
    }

    async fn write_down(&mut self) {
        let head = self.anvil.height().await;
        let mut block = self.fetch(head).await;
        let transactions = block.block["transactions"].as_array().cloned().unwrap_or_default();
        for (transaction, receipt) in transactions.iter().zip(&block.receipts) {
            if receipt["status"] == "0x0" {
                let (key, before, after) = self.replay(transaction, head).await;
                block.state.insert(key.clone(), after);
                // Whoever looks for the reason may ask at the block below.
                if let Some(Entry::Block(below)) = self.entries.last_mut() {
                    below.state.insert(key, before);
                }
            }
        }
        self.entries.push(Entry::Block(block));
    }

    /// What a failed transaction answers as a call, on the state below its block and after it.
    async fn replay(&self, transaction: &Value, height: u64) -> (String, Value, Value) {
        let part = |name: &str| transaction[name].as_str().unwrap_or_default();
        let (from, to, data) = (part("from"), part("to"), part("input"));
        let call = json!({"from": from, "to": to, "data": data, "value": transaction["value"],
            "gas": transaction["gas"]});
        let at = async |height: u64| {
            let params = json!([call, format!("{height:#x}")]);
            match self.anvil.rpc().try_call("eth_call", params).await {
                Ok(result) => result,
                Err(RpcFailure::Error(error)) => json!({"error": error}),
                Err(failure) => panic!("no answer to a replay: {failure}"),
            }
        };
        let key = state_key("call", to, &format!("{data} {from}"));
        (key, at(height - 1).await, at(height).await)
    }

    /// A block with its receipts, and the answers that differ from those after the block below.
    async fn fetch(&mut self, height: u64) -> Recorded {
        let tag = json!(format!("{height:#x}"));
        let mut calls = vec![
            ("eth_getBlockByNumber", json!([tag, true])),
            ("eth_getBlockReceipts", json!([tag])),
        ];
        for question in &self.questions {
            let mut params = question.params.clone();
            params.push(tag.clone());
            calls.push((question.method, Value::Array(params)));
        }
        let mut answers = self.anvil.rpc().batch(&calls).await.expect("anvil answers batches");
        answers.sort_by_key(|answer| answer["id"].as_u64());
        let mut results = answers.into_iter().map(|mut answer| {
            assert!(answer.get("result").is_some(), "anvil refuses: {answer}");
            answer["result"].take()
        });
        let block = results.next().expect("as many answers as calls");
        let receipts = results.next().expect("as many answers as calls");
        let mut receipts = match receipts {
            Value::Array(receipts) => receipts,
            other => panic!("no receipts at {height}: {other}"),
        };
        for receipt in &mut receipts {
            // Of anvil alone, and a number where everything else is hex.
            receipt.as_object_mut().map(|fields| fields.remove("blockTimestamp"));
        }
        let before = self.known.last().cloned().unwrap_or_default();
        let mut after = before.clone();
        let mut state = BTreeMap::new();
        for (question, answer) in self.questions.iter().zip(results) {
            if before.get(&question.key) != Some(&answer) {
                state.insert(question.key.clone(), answer.clone());
                after.insert(question.key.clone(), answer);
            }
        }
        self.known.push(after);
        Recorded { block, receipts, state }
    }

    fn ask_account(&mut self, account: Address) {
        self.ask("balance", "eth_getBalance", account, None);
        self.ask("nonce", "eth_getTransactionCount", account, None);
    }

    fn ask(
        &mut self,
        question: &'static str,
        method: &'static str,
        account: Address,
        slot: Option<B256>,
    ) {
        let detail = slot.map(|slot| slot.to_string());
        let key = state_key(question, &lower(account), detail.as_deref().unwrap_or_default());
        let params = std::iter::once(lower(account)).chain(detail).map(Value::from).collect();
        self.questions.push(Question { key, method, params });
    }
}

fn lower(address: Address) -> String {
    format!("{address:#x}")
}

fn quantity(value: &Value) -> u64 {
    let digits = value.as_str().and_then(|text| text.strip_prefix("0x"));
    digits.and_then(|digits| u64::from_str_radix(digits, 16).ok()).expect("anvil gives quantities")
}
