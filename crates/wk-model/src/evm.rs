//! EVM blocks as the rest of the program sees them: parsed, complete, independent of a client.
//!
//! Amounts are in wei unless a name says otherwise. Fields that some clients, forks or chains do
//! not have are `Option`.

use alloy_primitives::{Address, B256, Bloom, Bytes, U256};

use crate::{BlockLink, BlockRef, BlockTime, Height};

/// A block with all its transactions and their receipts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The header.
    pub header: Header,
    /// Transactions in block order, each with its receipt where receipts could be had.
    pub transactions: Vec<Transaction>,
}

/// What a block's header says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// Block number.
    pub height: Height,
    /// Block hash as the endpoint gave it.
    pub hash: B256,
    /// Parent's hash.
    pub parent_hash: B256,
    /// Producer's timestamp.
    pub time: BlockTime,
    /// `miner`: who gets the fees.
    pub beneficiary: Address,
    /// State root.
    pub state_root: B256,
    /// Root of the transaction trie.
    pub transactions_root: B256,
    /// Root of the receipt trie.
    pub receipts_root: B256,
    /// Bloom over all logs.
    pub logs_bloom: Bloom,
    /// Gas used by all transactions.
    pub gas_used: u64,
    /// Gas that the block may use.
    pub gas_limit: u64,
    /// Base fee per gas (EIP-1559).
    pub base_fee_per_gas: Option<U256>,
    /// Blob gas used (EIP-4844).
    pub blob_gas_used: Option<u64>,
    /// Excess blob gas (EIP-4844).
    pub excess_blob_gas: Option<u64>,
    /// The producer's free text.
    pub extra_data: Bytes,
    /// Size in bytes, where the endpoint tells it.
    pub size: Option<u64>,
}

impl Header {
    /// Height and hash.
    pub fn block_ref(&self) -> BlockRef {
        BlockRef { height: self.height, hash: self.hash }
    }

    /// Height, hash, parent and time.
    pub fn link(&self) -> BlockLink {
        BlockLink { block: self.block_ref(), parent: self.parent_hash, time: self.time }
    }
}

/// A transaction, and what came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transaction {
    /// Transaction hash.
    pub hash: B256,
    /// Place in the block; 0 for a pending transaction.
    pub index: u64,
    /// EIP-2718 type: 0 legacy, 1 access list, 2 dynamic fee, 3 blob, 4 set code; others on L2s.
    pub kind: u8,
    /// Sender.
    pub from: Address,
    /// Receiver; none creates a contract.
    pub to: Option<Address>,
    /// Wei sent along.
    pub value: U256,
    /// Call data, or init code.
    pub input: Bytes,
    /// Sender's nonce.
    pub nonce: u64,
    /// Gas limit.
    pub gas: u64,
    /// `gasPrice` in wei, where given.
    pub gas_price: Option<U256>,
    /// `maxFeePerGas` in wei (EIP-1559).
    pub max_fee_per_gas: Option<U256>,
    /// `maxPriorityFeePerGas` in wei (EIP-1559).
    pub max_priority_fee_per_gas: Option<U256>,
    /// Number of blobs carried (EIP-4844).
    pub blob_count: u64,
    /// What came of it; none for a pending transaction or where no receipt could be had.
    pub receipt: Option<Receipt>,
}

impl Transaction {
    /// The first four bytes of the call data, when it is a call with a selector.
    pub fn selector(&self) -> Option<[u8; 4]> {
        self.to?;
        self.input.get(..4)?.try_into().ok()
    }

    /// The logs it emitted; none without a receipt.
    pub fn logs(&self) -> &[Log] {
        self.receipt.as_ref().map_or(&[], |receipt| &receipt.logs)
    }
}

/// What came of a transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// True when it succeeded; none before Byzantium, where a state root stands instead.
    pub success: Option<bool>,
    /// Gas it used.
    pub gas_used: u64,
    /// Price per gas it paid, in wei.
    pub effective_gas_price: Option<U256>,
    /// Contract it created at the top level.
    pub contract_address: Option<Address>,
    /// Blob gas it used (EIP-4844).
    pub blob_gas_used: Option<u64>,
    /// Price per blob gas, in wei.
    pub blob_gas_price: Option<U256>,
    /// Logs in order.
    pub logs: Vec<Log>,
}

/// An event log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Log {
    /// Emitting contract.
    pub address: Address,
    /// Up to four topics; the first is the event's signature hash unless it is anonymous.
    pub topics: Vec<B256>,
    /// The rest of the arguments, ABI-encoded.
    pub data: Bytes,
    /// Place in the block.
    pub index: u64,
}
