//! State of one block, asked of a node piece by piece as it is needed, and kept.

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use alloy_primitives::{Address, B256, U256, keccak256};
use futures_util::{StreamExt, stream};
use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use tokio::runtime::Handle;
use wk_chain::evm::state::{ReadState, StateReader};
use wk_chain::evm::wire::{RawHeader, RawTransaction};
use wk_model::BlockRef;

use crate::forks::Rules;
use crate::machine::{ExecuteError, Executed, Machine};
use crate::state::{Account, Code, State, StateError};

/// Codes that are kept over blocks; code does not change under its hash.
const MAX_CODES: usize = 4_096;
/// Reads under way at once while state is fetched ahead.
const READS: usize = 16;
/// For so long an answer about what a transaction will touch is waited for.
const AHEAD: Duration = Duration::from_millis(500);
/// Silences in a row after which nobody is asked that any more.
const MAX_SILENCES: u32 = 3;
/// Accounts and slots that are fetched ahead for one transaction.
const MAX_AHEAD: usize = 4_096;

/// What is the same for the states of all blocks of a chain: contract code by its hash. Clones share
/// it.
#[derive(Clone, Default)]
pub struct CodeCache(Arc<Cache>);

#[derive(Default)]
struct Cache {
    codes: Mutex<HashMap<B256, Code>>,
    /// How often in a row nobody could say what a transaction will touch.
    silences: AtomicU32,
}

impl CodeCache {
    fn get(&self, hash: B256) -> Option<Code> {
        self.0.codes.lock().get(&hash).cloned()
    }

    fn put(&self, hash: B256, code: Code) {
        let mut codes = self.0.codes.lock();
        if codes.len() >= MAX_CODES {
            // Which one goes hardly matters: it is asked for again.
            let first = codes.keys().next().copied();
            first.map(|first| codes.remove(&first));
        }
        codes.insert(hash, code);
    }
}

#[derive(Default)]
struct Known {
    accounts: HashMap<Address, Account>,
    slots: HashMap<(Address, U256), U256>,
    /// Whose code has a hash.
    owners: HashMap<B256, Address>,
    /// Functions for which state was fetched ahead: the next call of one touches mostly the same.
    ahead: HashSet<(Option<Address>, [u8; 4])>,
    block_hashes: HashMap<u64, B256>,
}

struct Inner {
    reader: StateReader,
    block: BlockRef,
    /// Newest first, beginning with the block itself.
    ancestors: Vec<BlockRef>,
    codes: CodeCache,
    known: Mutex<Known>,
    handle: Handle,
    timeout: Duration,
}

/// State after one block. What is missing is asked of the node, so that execution must run on a
/// thread that may wait; clones share what is known.
#[derive(Clone)]
pub struct NodeState(Arc<Inner>);

impl NodeState {
    /// State after `block`. `ancestors` are the blocks before it that are known, for `BLOCKHASH`;
    /// each read gets `timeout`.
    ///
    /// # Panics
    /// Outside of a runtime.
    pub fn after(
        reader: StateReader,
        block: BlockRef,
        ancestors: Vec<BlockRef>,
        codes: CodeCache,
        timeout: Duration,
    ) -> NodeState {
        NodeState(Arc::new(Inner {
            reader,
            block,
            ancestors,
            codes,
            known: Mutex::default(),
            handle: Handle::current(),
            timeout,
        }))
    }

    /// The block.
    pub fn block(&self) -> BlockRef {
        self.0.block
    }

    /// Fetches what a transaction will touch, many pieces at once: what its access list and, where the
    /// node offers it, `eth_createAccessList` name. What is missed is asked for when it is needed.
    pub async fn fetch_ahead(&self, raw: &RawTransaction) {
        let transaction = &raw.transaction;
        let function = (transaction.to, transaction.selector().unwrap_or_default());
        let plain = transaction.input.is_empty() && transaction.to.is_some();
        let new = self.0.known.lock().ahead.insert(function);
        let listed = async {
            let silences = &self.0.codes.0.silences;
            if !new || plain || silences.load(Ordering::Relaxed) >= MAX_SILENCES {
                return Vec::new();
            }
            let call = call_object(raw);
            let listed = self.0.reader.access_list(self.0.block, &call);
            let listed = tokio::time::timeout(self.0.timeout.min(AHEAD), listed).await;
            match listed {
                Ok(Ok(listed)) => {
                    silences.store(0, Ordering::Relaxed);
                    listed
                }
                // That it fails says that it was tried.
                Ok(Err(ReadState::Reverted { .. })) => Vec::new(),
                Ok(Err(_)) | Err(_) => {
                    silences.fetch_add(1, Ordering::Relaxed);
                    Vec::new()
                }
            }
        };
        let listed = listed.await;
        let mut accounts = HashSet::from([raw.transaction.from]);
        accounts.extend(raw.transaction.to);
        let mut slots = HashSet::new();
        let given = raw.access_list.iter().cloned();
        for (address, keys) in listed.into_iter().chain(given) {
            accounts.insert(address);
            slots.extend(keys.into_iter().map(|key| (address, U256::from_be_bytes(key.0))));
        }
        {
            let known = self.0.known.lock();
            accounts.retain(|address| !known.accounts.contains_key(address));
            slots.retain(|slot| !known.slots.contains_key(slot));
        }
        // Failures show when the piece is needed.
        stream::iter(accounts.into_iter().take(MAX_AHEAD))
            .for_each_concurrent(READS, async |address| {
                let _ = self.read_account(address).await;
            })
            .await;
        stream::iter(slots.into_iter().take(MAX_AHEAD))
            .for_each_concurrent(READS, async |(address, slot)| {
                let _ = self.read_slot(address, slot).await;
            })
            .await;
    }

    async fn read_account(&self, address: Address) -> Result<Account, ReadState> {
        let (reader, block) = (&self.0.reader, self.0.block);
        let (balance, nonce, code) = tokio::try_join!(
            reader.balance(block, address),
            reader.nonce(block, address),
            reader.code(block, address),
        )?;
        let mut account = Account { balance, nonce, ..Account::default() };
        if !code.is_empty() {
            account.code_hash = keccak256(&code);
            if self.0.codes.get(account.code_hash).is_none() {
                self.0.codes.put(account.code_hash, Code::new(code));
            }
        }
        let mut known = self.0.known.lock();
        known.owners.insert(account.code_hash, address);
        known.accounts.insert(address, account);
        Ok(account)
    }

    async fn read_slot(&self, address: Address, slot: U256) -> Result<U256, ReadState> {
        let value = self.0.reader.storage(self.0.block, address, slot).await?;
        let value = U256::from_be_bytes(value.0);
        self.0.known.lock().slots.insert((address, slot), value);
        Ok(value)
    }

    fn wait<T>(
        &self,
        what: impl Fn() -> String,
        read: impl Future<Output = Result<T, ReadState>>,
    ) -> Result<T, StateError> {
        let timeout = self.0.timeout;
        let read = async { tokio::time::timeout(timeout, read).await };
        match self.0.handle.block_on(read) {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(StateError { what: what(), reason: error.to_string() }),
            Err(_) => {
                let reason = format!("no answer within {} s", timeout.as_secs_f64());
                Err(StateError { what: what(), reason })
            }
        }
    }
}

impl State for NodeState {
    fn account(&self, address: Address) -> Result<Option<Account>, StateError> {
        if let Some(account) = self.0.known.lock().accounts.get(&address) {
            return Ok(Some(*account));
        }
        let what = || format!("account {address}");
        self.wait(what, self.read_account(address)).map(Some)
    }

    fn code(&self, hash: B256) -> Result<Code, StateError> {
        if let Some(code) = self.0.codes.get(hash) {
            return Ok(code);
        }
        let what = || format!("code {hash}");
        let owner = self.0.known.lock().owners.get(&hash).copied();
        let Some(owner) = owner else {
            return Err(StateError {
                what: what(),
                reason: "no account is known to have it".into(),
            });
        };
        let code = self.wait(what, self.0.reader.code(self.0.block, owner))?;
        if keccak256(&code) != hash {
            let reason = "the node answered with other code than before".to_owned();
            return Err(StateError { what: what(), reason });
        }
        let code = Code::new(code);
        self.0.codes.put(hash, code.clone());
        Ok(code)
    }

    fn storage(&self, address: Address, slot: U256) -> Result<U256, StateError> {
        if let Some(value) = self.0.known.lock().slots.get(&(address, slot)) {
            return Ok(*value);
        }
        let what = || format!("slot {slot:#x} of {address}");
        self.wait(what, self.read_slot(address, slot))
    }

    fn block_hash(&self, height: u64) -> Result<B256, StateError> {
        let own = std::iter::once(&self.0.block).chain(&self.0.ancestors);
        if let Some(block) = own.into_iter().find(|block| block.height.0 == height) {
            return Ok(block.hash);
        }
        if let Some(hash) = self.0.known.lock().block_hashes.get(&height) {
            return Ok(*hash);
        }
        let what = || format!("hash of block {height}");
        let hash = self.wait(what, self.0.reader.block_hash(wk_model::Height(height)))?;
        self.0.known.lock().block_hashes.insert(height, hash);
        Ok(hash)
    }
}

/// A transaction as `eth_call` and its kin take it.
fn call_object(raw: &RawTransaction) -> Value {
    let transaction = &raw.transaction;
    let mut call = Map::new();
    call.insert("from".into(), json!(transaction.from));
    if let Some(to) = transaction.to {
        call.insert("to".into(), json!(to));
    }
    call.insert("value".into(), json!(transaction.value));
    call.insert("gas".into(), json!(U256::from(transaction.gas)));
    call.insert("input".into(), json!(transaction.input));
    Value::Object(call)
}

/// Transactions were not simulated.
#[derive(Debug, thiserror::Error)]
pub enum SimulateError {
    /// One of them could not be executed.
    #[error("transaction {place} of {count}")]
    Execute {
        /// Which, beginning with 1.
        place: usize,
        /// Of how many.
        count: usize,
        /// Why not.
        source: ExecuteError,
    },
    /// It took too long.
    #[error("the simulation did not end within {0:?}")]
    Slow(Duration),
}

/// Executes transactions one after the other, as if they came first in the block after `header`'s.
///
/// Time, fees and producer are those of `header`, one height later.
///
/// # Errors
/// When one of them cannot be executed, or all together take longer than `within`; work that goes on
/// then ends by itself, since each read has its own time-out and each transaction its gas.
pub async fn simulate(
    state: &NodeState,
    rules: Rules,
    header: &RawHeader,
    transactions: Vec<RawTransaction>,
    within: Duration,
) -> Result<Vec<Executed>, SimulateError> {
    let all = async {
        for transaction in &transactions {
            state.fetch_ahead(transaction).await;
        }
        let (state, mut next) = (state.clone(), header.clone());
        next.header.height.0 += 1;
        next.header.parent_hash = header.header.hash;
        let work = tokio::task::spawn_blocking(move || {
            let mut machine = Machine::on_state(rules, &next, state).lenient();
            let count = transactions.len();
            let execute = |(place, transaction)| {
                machine.execute(transaction).map_err(|source| SimulateError::Execute {
                    place,
                    count,
                    source,
                })
            };
            (1..).zip(&transactions).map(execute).collect()
        });
        work.await.expect("it neither panics nor is aborted")
    };
    match tokio::time::timeout(within, all).await {
        Ok(executed) => executed,
        Err(_) => Err(SimulateError::Slow(within)),
    }
}
