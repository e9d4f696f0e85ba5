//! State as a block found it: accounts, code, storage, hashes of the blocks before.

use std::collections::HashMap;

use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256};
use revm::bytecode::Bytecode;
use revm::database_interface::{DBErrorMarker, DatabaseRef};
use revm::state::AccountInfo;

/// Code that is ready to be executed. Clones share it.
#[derive(Clone, Debug)]
pub struct Code(pub(crate) Bytecode);

impl Code {
    /// Readies code; finding its jump targets takes time in proportion to its length.
    pub fn new(bytes: Bytes) -> Code {
        // A broken delegation (EIP-7702) runs as what it is: code that begins with an invalid opcode.
        let code = Bytecode::new_raw_checked(bytes.clone());
        Code(code.unwrap_or_else(|_| Bytecode::new_legacy(bytes)))
    }
}

/// An account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    /// In wei.
    pub balance: U256,
    /// Transactions it sent, or contracts it created.
    pub nonce: u64,
    /// Hash of its code; that of nothing when it has none.
    pub code_hash: B256,
}

impl Default for Account {
    fn default() -> Account {
        Account { balance: U256::ZERO, nonce: 0, code_hash: KECCAK256_EMPTY }
    }
}

/// A piece of state cannot be had.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{what} cannot be had: {reason}")]
pub struct StateError {
    /// Which piece.
    pub what: String,
    /// Why not.
    pub reason: String,
}

impl DBErrorMarker for StateError {}

/// Where state before the first transaction comes from.
pub trait State {
    /// An account; none when nothing was ever there.
    ///
    /// # Errors
    /// When it cannot be known.
    fn account(&self, address: Address) -> Result<Option<Account>, StateError>;

    /// The code with a hash.
    ///
    /// # Errors
    /// When it cannot be known.
    fn code(&self, hash: B256) -> Result<Code, StateError>;

    /// A storage slot.
    ///
    /// # Errors
    /// When it cannot be known.
    fn storage(&self, address: Address, slot: U256) -> Result<U256, StateError>;

    /// The hash of an earlier block.
    ///
    /// # Errors
    /// When it cannot be known.
    fn block_hash(&self, height: u64) -> Result<B256, StateError>;
}

/// State that is all at hand. What is not named is empty.
#[derive(Clone, Debug, Default)]
pub struct Prestate {
    /// Accounts with their storage.
    pub accounts: HashMap<Address, (Account, HashMap<U256, U256>)>,
    /// Code by its hash.
    pub codes: HashMap<B256, Code>,
    /// Hashes of earlier blocks.
    pub block_hashes: HashMap<u64, B256>,
}

impl State for Prestate {
    fn account(&self, address: Address) -> Result<Option<Account>, StateError> {
        Ok(self.accounts.get(&address).map(|(account, _)| *account))
    }

    fn code(&self, hash: B256) -> Result<Code, StateError> {
        self.codes.get(&hash).cloned().ok_or_else(|| StateError {
            what: format!("code {hash}"),
            reason: "it is not among the codes given".to_owned(),
        })
    }

    fn storage(&self, address: Address, slot: U256) -> Result<U256, StateError> {
        let known = self.accounts.get(&address).and_then(|(_, storage)| storage.get(&slot));
        Ok(known.copied().unwrap_or_default())
    }

    fn block_hash(&self, height: u64) -> Result<B256, StateError> {
        self.block_hashes.get(&height).copied().ok_or_else(|| StateError {
            what: format!("hash of block {height}"),
            reason: "it is not among the block hashes given".to_owned(),
        })
    }
}

impl<S: State + ?Sized> State for &S {
    fn account(&self, address: Address) -> Result<Option<Account>, StateError> {
        (**self).account(address)
    }

    fn code(&self, hash: B256) -> Result<Code, StateError> {
        (**self).code(hash)
    }

    fn storage(&self, address: Address, slot: U256) -> Result<U256, StateError> {
        (**self).storage(address, slot)
    }

    fn block_hash(&self, height: u64) -> Result<B256, StateError> {
        (**self).block_hash(height)
    }
}

/// A state as the interpreter asks for it.
#[derive(Clone, Debug)]
pub(crate) struct Source<S>(pub(crate) S);

impl<S: State> DatabaseRef for Source<S> {
    type Error = StateError;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, StateError> {
        let account = self.0.account(address)?;
        Ok(account.map(|account| AccountInfo {
            balance: account.balance,
            nonce: account.nonce,
            code_hash: account.code_hash,
            account_id: None,
            code: None,
        }))
    }

    fn code_by_hash_ref(&self, hash: B256) -> Result<Bytecode, StateError> {
        self.0.code(hash).map(|code| code.0)
    }

    fn storage_ref(&self, address: Address, slot: U256) -> Result<U256, StateError> {
        self.0.storage(address, slot)
    }

    fn block_hash_ref(&self, height: u64) -> Result<B256, StateError> {
        self.0.block_hash(height)
    }
}
