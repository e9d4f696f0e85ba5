//! JSON answers of EVM nodes, of any client and age, to blocks, receipts and logs.
//!
//! Tolerant where clients differ, strict where a block's identity is at stake. What only the
//! verification needs is kept beside the model's types and dropped after it.

use serde_json::value::RawValue;
use wk_model::primitives::{Address, B64, B256, Bloom, Bytes, U256};
use wk_model::{BlockLink, BlockTime, Height, evm};

use super::json::{Object, WireError, each, value};

/// A block as it came, with all that its hashes are made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawBlock {
    /// The header.
    pub header: RawHeader,
    /// The transactions, in block order.
    pub transactions: Vec<RawTransaction>,
}

/// A header as it came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RawHeader {
    /// What the rest of the program sees.
    pub header: evm::Header,
    /// `sha3Uncles`.
    pub ommers_hash: Option<B256>,
    /// `logsBloom`; the model's field is empty when the endpoint gave none.
    pub logs_bloom: Option<Bloom>,
    /// `difficulty`.
    pub difficulty: Option<U256>,
    /// `mixHash`.
    pub mix_hash: Option<B256>,
    /// `nonce`.
    pub nonce: Option<B64>,
    /// `withdrawalsRoot` (EIP-4895).
    pub withdrawals_root: Option<B256>,
    /// `parentBeaconBlockRoot` (EIP-4788).
    pub parent_beacon_block_root: Option<B256>,
    /// `requestsHash` (EIP-7685).
    pub requests_hash: Option<B256>,
    /// `blockAccessListHash` (EIP-7928).
    pub block_access_list_hash: Option<B256>,
    /// `slotNumber` (EIP-7843).
    pub slot_number: Option<u64>,
    /// Fields that are not known here: of a newer fork, or of a chain of its own kind.
    pub unknown: Vec<String>,
}

/// A transaction as it came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RawTransaction {
    /// What the rest of the program sees; without receipt.
    pub transaction: evm::Transaction,
    /// Signature's `v`; of typed transactions the parity.
    pub v: U256,
    /// Signature's `r`.
    pub r: U256,
    /// Signature's `s`.
    pub s: U256,
    /// Chain id, where the transaction has one.
    pub chain_id: Option<u64>,
    /// Access list (EIP-2930).
    pub access_list: Vec<(Address, Vec<B256>)>,
    /// `maxFeePerBlobGas` (EIP-4844).
    pub max_fee_per_blob_gas: U256,
    /// `blobVersionedHashes` (EIP-4844).
    pub blob_hashes: Vec<B256>,
    /// Authorizations (EIP-7702).
    pub authorizations: Vec<Authorization>,
    /// What an OP Stack deposit has in place of a signature.
    pub deposit: Option<Deposit>,
    /// The block that the endpoint says it is in.
    pub block_hash: Option<B256>,
}

/// A signed permission to run a contract's code as one's own (EIP-7702).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Authorization {
    /// Chain id; 0 means any.
    pub chain_id: U256,
    /// The contract.
    pub address: Address,
    /// The signer's nonce.
    pub nonce: u64,
    /// Signature's parity.
    pub y_parity: u8,
    /// Signature's `r`.
    pub r: U256,
    /// Signature's `s`.
    pub s: U256,
}

/// The extra fields of an OP Stack deposit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deposit {
    /// Names the deposit on the L1.
    pub source_hash: B256,
    /// Wei minted on the L2.
    pub mint: U256,
    /// Whether it is outside the block's gas.
    pub is_system: bool,
}

/// A receipt as it came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RawReceipt {
    /// The transaction's hash.
    pub transaction_hash: B256,
    /// The transaction's place in the block.
    pub transaction_index: Option<u64>,
    /// The block that the endpoint says it is in.
    pub block_hash: Option<B256>,
    /// EIP-2718 type of the transaction, where given.
    pub kind: Option<u8>,
    /// State root, before Byzantium.
    pub root: Option<B256>,
    /// Gas used in the block up to here.
    pub cumulative_gas_used: Option<u64>,
    /// Bloom over the logs.
    pub logs_bloom: Option<Bloom>,
    /// `depositNonce` of an OP Stack deposit.
    pub deposit_nonce: Option<u64>,
    /// `depositReceiptVersion` of an OP Stack deposit.
    pub deposit_version: Option<u64>,
    /// Gas used, where given.
    pub gas_used: Option<u64>,
    /// What the rest of the program sees; log indices as the endpoint gave them.
    pub receipt: evm::Receipt,
}

/// A log as `eth_getLogs` gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawLog {
    /// The transaction's hash.
    pub transaction_hash: B256,
    /// The block that the endpoint says it is in.
    pub block_hash: Option<B256>,
    /// The log.
    pub log: evm::Log,
}

/// Header fields that are known; any other may be part of the block hash in a way we do not know.
const HEADER_FIELDS: [&str; 33] = [
    "number",
    "hash",
    "parentHash",
    "timestamp",
    "miner",
    "stateRoot",
    "transactionsRoot",
    "receiptsRoot",
    "logsBloom",
    "gasUsed",
    "gasLimit",
    "baseFeePerGas",
    "blobGasUsed",
    "excessBlobGas",
    "extraData",
    "size",
    "sha3Uncles",
    "difficulty",
    "mixHash",
    "nonce",
    "withdrawalsRoot",
    "parentBeaconBlockRoot",
    "requestsHash",
    "blockAccessListHash",
    "slotNumber",
    // Not part of the hash.
    "transactions",
    "uncles",
    "withdrawals",
    "totalDifficulty",
    "author",
    "sealFields",
    "blockAccessList",
    "requests",
];

impl RawBlock {
    /// Reads a block with full transactions: the result of `eth_getBlockByHash(hash, true)`.
    pub fn parse(raw: &RawValue) -> Result<RawBlock, WireError> {
        let object = Object::parse(raw)?;
        let header = RawHeader::read(&object)?;
        let transactions = object.each("transactions", RawTransaction::parse)?;
        Ok(RawBlock { header, transactions })
    }

    /// The block as the rest of the program sees it, without receipts.
    pub fn to_model(&self) -> evm::Block {
        evm::Block {
            header: self.header.header.clone(),
            transactions: self.transactions.iter().map(|tx| tx.transaction.clone()).collect(),
        }
    }
}

impl RawHeader {
    /// Reads a header; transactions, if any, are not looked at.
    pub fn parse(raw: &RawValue) -> Result<RawHeader, WireError> {
        RawHeader::read(&Object::parse(raw)?)
    }

    fn read(object: &Object<'_>) -> Result<RawHeader, WireError> {
        let logs_bloom = object.maybe("logsBloom")?;
        let unknown = object.keys().filter(|key| !HEADER_FIELDS.contains(key));
        Ok(RawHeader {
            header: evm::Header {
                height: Height(object.need("number")?),
                hash: object.need("hash")?,
                parent_hash: object.need("parentHash")?,
                time: BlockTime(object.need("timestamp")?),
                beneficiary: match object.maybe("miner")? {
                    Some(miner) => miner,
                    None => object.or_default("author")?,
                },
                state_root: object.or_default("stateRoot")?,
                transactions_root: object.or_default("transactionsRoot")?,
                receipts_root: object.or_default("receiptsRoot")?,
                logs_bloom: logs_bloom.unwrap_or_default(),
                gas_used: object.or_default("gasUsed")?,
                gas_limit: object.or_default("gasLimit")?,
                base_fee_per_gas: object.maybe("baseFeePerGas")?,
                blob_gas_used: object.maybe("blobGasUsed")?,
                excess_blob_gas: object.maybe("excessBlobGas")?,
                extra_data: object.or_default("extraData")?,
                size: object.maybe("size")?,
            },
            ommers_hash: object.maybe("sha3Uncles")?,
            logs_bloom,
            difficulty: object.maybe("difficulty")?,
            mix_hash: object.maybe("mixHash")?,
            nonce: object.maybe("nonce")?,
            withdrawals_root: object.maybe("withdrawalsRoot")?,
            parent_beacon_block_root: object.maybe("parentBeaconBlockRoot")?,
            requests_hash: object.maybe("requestsHash")?,
            block_access_list_hash: object.maybe("blockAccessListHash")?,
            slot_number: object.maybe("slotNumber")?,
            unknown: unknown.map(str::to_owned).collect(),
        })
    }

    /// Height, hash, parent and time.
    pub fn link(&self) -> BlockLink {
        self.header.link()
    }
}

impl RawTransaction {
    /// Reads a transaction object, mined or pending.
    pub fn parse(raw: &RawValue) -> Result<RawTransaction, WireError> {
        let object = Object::parse(raw)?;
        let input = match object.maybe::<Bytes>("input")? {
            Some(input) => input,
            None => object.or_default("data")?,
        };
        let blob_hashes: Vec<B256> = object.each("blobVersionedHashes", value)?;
        let kind: u8 = object.or_default("type")?;
        let v = match object.maybe("yParity")? {
            Some(parity) if kind != 0 => parity,
            _ => object.or_default("v")?,
        };
        let source_hash: Option<B256> = object.maybe("sourceHash")?;
        Ok(RawTransaction {
            transaction: evm::Transaction {
                hash: object.need("hash")?,
                index: object.or_default("transactionIndex")?,
                kind,
                from: object.need("from")?,
                to: object.maybe("to")?,
                value: object.or_default("value")?,
                input,
                nonce: object.or_default("nonce")?,
                gas: object.or_default("gas")?,
                gas_price: object.maybe("gasPrice")?,
                max_fee_per_gas: object.maybe("maxFeePerGas")?,
                max_priority_fee_per_gas: object.maybe("maxPriorityFeePerGas")?,
                blob_count: blob_hashes.len() as u64,
                receipt: None,
            },
            v,
            r: object.or_default("r")?,
            s: object.or_default("s")?,
            chain_id: object.maybe("chainId")?,
            access_list: object.each("accessList", access)?,
            max_fee_per_blob_gas: object.or_default("maxFeePerBlobGas")?,
            blob_hashes,
            authorizations: object.each("authorizationList", authorization)?,
            deposit: match source_hash {
                None => None,
                Some(source_hash) => Some(Deposit {
                    source_hash,
                    mint: object.or_default("mint")?,
                    is_system: object.or_default("isSystemTx")?,
                }),
            },
            block_hash: object.maybe("blockHash")?,
        })
    }
}

impl RawReceipt {
    /// Reads one receipt: the result of `eth_getTransactionReceipt`.
    pub fn parse(raw: &RawValue) -> Result<RawReceipt, WireError> {
        let object = Object::parse(raw)?;
        let success: Option<bool> = object.maybe("status")?;
        let gas_used: Option<u64> = object.maybe("gasUsed")?;
        Ok(RawReceipt {
            transaction_hash: object.need("transactionHash")?,
            transaction_index: object.maybe("transactionIndex")?,
            block_hash: object.maybe("blockHash")?,
            kind: object.maybe("type")?,
            // Some clients send an empty root beside the status.
            root: if success.is_some() { None } else { object.maybe("root")? },
            cumulative_gas_used: object.maybe("cumulativeGasUsed")?,
            logs_bloom: object.maybe("logsBloom")?,
            deposit_nonce: object.maybe("depositNonce")?,
            deposit_version: object.maybe("depositReceiptVersion")?,
            gas_used,
            receipt: evm::Receipt {
                success,
                gas_used: gas_used.unwrap_or_default(),
                effective_gas_price: object.maybe("effectiveGasPrice")?,
                contract_address: object.maybe("contractAddress")?,
                blob_gas_used: object.maybe("blobGasUsed")?,
                blob_gas_price: object.maybe("blobGasPrice")?,
                logs: object.each("logs", |raw| log(&Object::parse(raw)?))?,
            },
        })
    }

    /// Reads all receipts of a block: the result of `eth_getBlockReceipts`.
    pub fn parse_all(raw: &RawValue) -> Result<Vec<RawReceipt>, WireError> {
        each(raw, RawReceipt::parse).map_err(|error| error.under_index("receipts"))
    }
}

impl RawLog {
    /// Reads the result of `eth_getLogs`. Logs that the endpoint marks as removed are left out.
    pub fn parse_all(raw: &RawValue) -> Result<Vec<RawLog>, WireError> {
        let logs = each(raw, |raw| {
            let object = Object::parse(raw)?;
            if object.or_default("removed")? {
                return Ok(None);
            }
            Ok(Some(RawLog {
                transaction_hash: object.need("transactionHash")?,
                block_hash: object.maybe("blockHash")?,
                log: log(&object)?,
            }))
        });
        logs.map(|logs| logs.into_iter().flatten().collect())
            .map_err(|error| error.under_index("logs"))
    }
}

fn log(object: &Object<'_>) -> Result<evm::Log, WireError> {
    let topics: Vec<B256> = object.each("topics", value)?;
    if topics.len() > 4 {
        return Err(WireError::new("topics", format!("expected at most 4, not {}", topics.len())));
    }
    Ok(evm::Log {
        address: object.need("address")?,
        topics,
        data: object.or_default("data")?,
        index: object.or_default("logIndex")?,
    })
}

fn access(raw: &RawValue) -> Result<(Address, Vec<B256>), WireError> {
    let object = Object::parse(raw)?;
    Ok((object.need("address")?, object.each("storageKeys", value)?))
}

fn authorization(raw: &RawValue) -> Result<Authorization, WireError> {
    let object = Object::parse(raw)?;
    let y_parity = match object.maybe("yParity")? {
        Some(parity) => parity,
        None => object.or_default("v")?,
    };
    Ok(Authorization {
        chain_id: object.or_default("chainId")?,
        address: object.need("address")?,
        nonce: object.or_default("nonce")?,
        y_parity,
        r: object.or_default("r")?,
        s: object.or_default("s")?,
    })
}
