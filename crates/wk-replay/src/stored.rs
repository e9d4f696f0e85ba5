//! A block with all the state that it needs, as a file keeps it.

use std::borrow::Cow;
use std::collections::HashMap;

use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256, keccak256};
use serde::Deserialize;
use serde_json::value::RawValue;
use wk_chain::evm::WireError;
use wk_chain::evm::wire::RawBlock;

use crate::forks::Rules;
use crate::machine::{ExecuteError, Executed, Machine};
use crate::state::{Account, Code, Prestate};

/// A file is no block with its state.
#[derive(Debug, thiserror::Error)]
pub enum ReadStored {
    /// It is no such JSON.
    #[error("not a block with its state: {0}")]
    Json(#[from] serde_json::Error),
    /// The block in it is none.
    #[error("the block cannot be read")]
    Block(#[source] WireError),
    /// Code that it needs is not there.
    #[error("the code with hash {0} is needed; give it with --codes")]
    Code(B256),
    /// Code does not have the hash it is kept under.
    #[error("the code kept under {0} has another hash")]
    Forged(B256),
    /// Code is no hex text.
    #[error("the code kept under {0} is not hex: {1}")]
    Hex(B256, alloy_primitives::hex::FromHexError),
}

/// Contract code by its hash: a JSON object from hash to hex text. Each is readied when it is needed
/// first.
#[derive(Clone, Debug, Default)]
pub struct Codes {
    texts: HashMap<B256, Box<str>>,
    ready: HashMap<B256, Code>,
}

impl Codes {
    /// Reads such an object.
    ///
    /// # Errors
    /// When the text is none.
    pub fn read(text: &[u8]) -> Result<Codes, ReadStored> {
        Ok(Codes { texts: serde_json::from_slice(text)?, ready: HashMap::new() })
    }

    fn ready(&mut self, hash: B256) -> Result<Code, ReadStored> {
        if let Some(code) = self.ready.get(&hash) {
            return Ok(code.clone());
        }
        let text = self.texts.get(&hash).ok_or(ReadStored::Code(hash))?;
        let bytes = alloy_primitives::hex::decode(text.as_bytes())
            .map_err(|error| ReadStored::Hex(hash, error))?;
        if keccak256(&bytes) != hash {
            return Err(ReadStored::Forged(hash));
        }
        let code = Code::new(Bytes::from(bytes));
        self.ready.insert(hash, code.clone());
        Ok(code)
    }
}

#[derive(Deserialize)]
struct Stored<'a> {
    #[serde(borrow)]
    block: &'a RawValue,
    pre_state: HashMap<Address, StoredAccount<'a>>,
    #[serde(default)]
    block_hashes: HashMap<Cow<'a, str>, B256>,
}

#[derive(Deserialize)]
struct StoredAccount<'a> {
    #[serde(default)]
    balance: U256,
    #[serde(default)]
    nonce: Number,
    #[serde(default, alias = "codeHash")]
    code_hash: Option<B256>,
    #[serde(default)]
    code: Option<Bytes>,
    #[serde(default, borrow)]
    storage: HashMap<Cow<'a, str>, U256>,
}

/// A small number, plain or as hex text.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(from = "U256")]
struct Number(u64);

impl From<U256> for Number {
    fn from(number: U256) -> Number {
        Number(number.saturating_to())
    }
}

/// A block, and the state before it, as far as its transactions need it.
#[derive(Clone, Debug)]
pub struct StoredBlock {
    /// The block.
    pub block: RawBlock,
    /// Its chain's id: that of its transactions, or Ethereum mainnet's where none has one.
    pub chain_id: u64,
    /// The state.
    pub state: Prestate,
}

impl StoredBlock {
    /// Reads `{"block", "pre_state": {address: {balance, nonce, code_hash or code, storage}},
    /// "block_hashes": {height: hash}}`; code comes from `codes` where only its hash is given.
    ///
    /// # Errors
    /// When the text is something else, or code is missing.
    pub fn read(text: &[u8], codes: &mut Codes) -> Result<StoredBlock, ReadStored> {
        let stored: Stored<'_> = serde_json::from_slice(text)?;
        let block = RawBlock::parse(stored.block).map_err(ReadStored::Block)?;
        let mut state = Prestate::default();
        for (address, account) in stored.pre_state {
            let code_hash = match (&account.code, account.code_hash) {
                (Some(code), _) if code.is_empty() => KECCAK256_EMPTY,
                (Some(code), _) => keccak256(code),
                (None, hash) => hash.unwrap_or(KECCAK256_EMPTY),
            };
            if code_hash != KECCAK256_EMPTY && !state.codes.contains_key(&code_hash) {
                let code = match account.code {
                    Some(code) => Code::new(code),
                    None => codes.ready(code_hash)?,
                };
                state.codes.insert(code_hash, code);
            }
            let mut storage = HashMap::with_capacity(account.storage.len());
            for (slot, value) in account.storage {
                storage.insert(number(&slot)?, value);
            }
            let account = Account { balance: account.balance, nonce: account.nonce.0, code_hash };
            state.accounts.insert(address, (account, storage));
        }
        for (height, hash) in stored.block_hashes {
            state.block_hashes.insert(number(&height)?.saturating_to(), hash);
        }
        let chain_id = block.transactions.iter().find_map(|transaction| transaction.chain_id);
        Ok(StoredBlock { block, chain_id: chain_id.unwrap_or(1), state })
    }

    /// Executes all its transactions.
    ///
    /// # Errors
    /// When one of them cannot stand there, which means that the state is not the one before it.
    pub fn execute(&self) -> Result<Vec<Executed>, ExecuteError> {
        let rules = Rules::of(self.chain_id, &self.block.header);
        let mut machine = Machine::at_block(rules, &self.block.header, &self.state)?;
        self.block.transactions.iter().map(|transaction| machine.execute(transaction)).collect()
    }
}

/// A number as a JSON key: decimal, or hex after `0x`.
fn number(text: &str) -> Result<U256, serde_json::Error> {
    text.parse()
        .map_err(|error| serde::de::Error::custom(format_args!("`{text}` is no number: {error}")))
}
