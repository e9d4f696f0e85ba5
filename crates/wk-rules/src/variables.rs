//! The variables that rules may use: their names, types, meaning, and where the values come from.

use std::cell::OnceCell;
use std::time::Duration;

use wk_chain::abi::{Call, DecodedEvent, Decoder, Item};
use wk_model::{Address, Bytes, ChainName, Height, U256, evm};

use crate::cel::{Int, Key, Type, Unavailable, Value};
use crate::convert::params_map;
use crate::input::ProbeAnswer;

type Got = Result<Value, Unavailable>;

/// One field of an object that rules see, or one variable.
pub(crate) struct Field<G> {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) doc: &'static str,
    pub(crate) get: G,
}

const fn field<G>(name: &'static str, kind: Kind, doc: &'static str, get: G) -> Field<G> {
    Field { name, kind, doc, get }
}

/// A type, as a table can hold it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Bool,
    Int,
    Double,
    String,
    Bytes,
    Address,
    Timestamp,
    Duration,
    BytesList,
    StringMap,
    OptionalInt,
    OptionalString,
    OptionalBytes,
    OptionalAddress,
    OptionalTimestamp,
}

impl Kind {
    pub(crate) fn to_type(self) -> Type {
        match self {
            Kind::Bool => Type::Bool,
            Kind::Int => Type::Int,
            Kind::Double => Type::Double,
            Kind::String => Type::String,
            Kind::Bytes => Type::Bytes,
            Kind::Address => Type::Address,
            Kind::Timestamp => Type::Timestamp,
            Kind::Duration => Type::Duration,
            Kind::BytesList => Type::list(Type::Bytes),
            Kind::StringMap => Type::map(Type::String, Type::String),
            Kind::OptionalInt => Type::optional(Type::Int),
            Kind::OptionalString => Type::optional(Type::String),
            Kind::OptionalBytes => Type::optional(Type::Bytes),
            Kind::OptionalAddress => Type::optional(Type::Address),
            Kind::OptionalTimestamp => Type::optional(Type::Timestamp),
        }
    }
}

/// A block, as rules see it.
pub(crate) struct BlockView<'a> {
    pub(crate) chain: &'a ChainName,
    pub(crate) block: &'a evm::Block,
}

pub(crate) type BlockField = Field<fn(&BlockView<'_>) -> Got>;

pub(crate) static BLOCK: &[BlockField] = &[
    field("number", Kind::Int, "Block number.", |v| Ok(v.block.header.height.0.into())),
    field("hash", Kind::Bytes, "Block hash.", |v| Ok(v.block.header.hash.into())),
    field("parent_hash", Kind::Bytes, "Hash of the block below.", |v| {
        Ok(v.block.header.parent_hash.into())
    }),
    field("time", Kind::Timestamp, "The block's own timestamp.", |v| {
        Ok(v.block.header.time.into())
    }),
    field("beneficiary", Kind::Address, "Who gets the fees.", |v| {
        Ok(v.block.header.beneficiary.into())
    }),
    field("gas_used", Kind::Int, "Gas used by all transactions.", |v| {
        Ok(v.block.header.gas_used.into())
    }),
    field("gas_limit", Kind::Int, "Gas that the block may use.", |v| {
        Ok(v.block.header.gas_limit.into())
    }),
    field("base_fee", Kind::OptionalInt, "Base fee per gas in wei; null before EIP-1559.", |v| {
        Ok(Value::optional(v.block.header.base_fee_per_gas))
    }),
    field("tx_count", Kind::Int, "Number of transactions.", |v| {
        Ok(count(v.block.transactions.len()))
    }),
    field("failed_tx_count", Kind::Int, "Number of transactions that failed.", failed_tx_count),
    field("log_count", Kind::Int, "Number of event logs.", |v| {
        Ok(count(v.block.transactions.iter().map(|tx| tx.logs().len()).sum()))
    }),
    field(
        "size",
        Kind::OptionalInt,
        "Size in bytes; null where the endpoint does not tell.",
        |v| Ok(Value::optional(v.block.header.size)),
    ),
    field("blob_gas_used", Kind::OptionalInt, "Blob gas used; null before EIP-4844.", |v| {
        Ok(Value::optional(v.block.header.blob_gas_used))
    }),
    field("excess_blob_gas", Kind::OptionalInt, "Excess blob gas; null before EIP-4844.", |v| {
        Ok(Value::optional(v.block.header.excess_blob_gas))
    }),
    field("extra_data", Kind::Bytes, "The producer's free text.", |v| {
        Ok(v.block.header.extra_data.clone().into())
    }),
    field("chain", Kind::String, "The chain's name in the config.", |v| {
        Ok(Value::string(v.chain.as_str()))
    }),
];

fn failed_tx_count(view: &BlockView<'_>) -> Got {
    let mut failed = 0;
    for tx in &view.block.transactions {
        failed += usize::from(!success(tx)?);
    }
    Ok(count(failed))
}

fn count(number: usize) -> Value {
    Value::Int(Int::from(number))
}

/// A transaction, as rules see it.
pub(crate) struct TxView<'a> {
    pub(crate) chain: &'a ChainName,
    /// Of its block; for a pending transaction a height above all.
    height: Height,
    pub(crate) tx: &'a evm::Transaction,
    pub(crate) decoder: &'a Decoder,
    pub(crate) revert_reason: Option<&'a str>,
    call: OnceCell<Call>,
}

impl<'a> TxView<'a> {
    pub(crate) fn new(
        chain: &'a ChainName,
        height: Height,
        tx: &'a evm::Transaction,
        decoder: &'a Decoder,
        revert_reason: Option<&'a str>,
    ) -> TxView<'a> {
        TxView { chain, height, tx, decoder, revert_reason, call: OnceCell::new() }
    }

    /// What it calls, as far as any known ABI tells. Only worked out when someone asks.
    pub(crate) fn call(&self) -> &Call {
        self.call.get_or_init(|| self.decoder.call(self.chain, self.height, self.tx).call)
    }

    /// The arguments by name; empty where the call is not known.
    pub(crate) fn args(&self) -> Value {
        match self.call() {
            Call::Function(function) => params_map(function.item.params(), &function.values),
            Call::Create | Call::Transfer | Call::Unknown(_) => Value::map([]),
        }
    }

    /// Name of the configured contract that it calls, else the receiver's address.
    pub(crate) fn contract(&self) -> Option<Value> {
        Some(contract_name(self.decoder, self.chain, &self.tx.to?))
    }

    fn receipt(&self) -> Result<&'a evm::Receipt, Unavailable> {
        self.tx.receipt.as_ref().ok_or_else(no_receipt)
    }
}

fn no_receipt() -> Unavailable {
    Unavailable("no endpoint has the transaction's receipt".to_owned())
}

/// A contract's name in the config, else its address.
pub(crate) fn contract_name(decoder: &Decoder, chain: &ChainName, address: &Address) -> Value {
    match decoder.contract(chain, address) {
        Some(contract) => Value::string(&contract.name),
        None => Value::string(&format!("{address:#x}")),
    }
}

fn success(tx: &evm::Transaction) -> Result<bool, Unavailable> {
    let success = tx.receipt.as_ref().ok_or_else(no_receipt)?.success;
    success.ok_or_else(|| Unavailable("a block from before Byzantium tells no status".to_owned()))
}

pub(crate) type TxField = Field<fn(&TxView<'_>) -> Got>;

/// What is known of a transaction also before it is in a block.
pub(crate) static TX: &[TxField] = &[
    field("hash", Kind::Bytes, "Transaction hash.", |v| Ok(v.tx.hash.into())),
    field("from", Kind::Address, "Sender.", |v| Ok(v.tx.from.into())),
    field("to", Kind::OptionalAddress, "Receiver; null creates a contract.", |v| {
        Ok(Value::optional(v.tx.to))
    }),
    field("value", Kind::Int, "Wei sent along.", |v| Ok(v.tx.value.into())),
    field("input", Kind::Bytes, "Call data, or init code.", |v| Ok(v.tx.input.clone().into())),
    field(
        "selector",
        Kind::OptionalBytes,
        "First four bytes of the call data; null without.",
        |v| Ok(Value::optional(v.tx.selector().map(|bytes| Bytes::copy_from_slice(&bytes)))),
    ),
    field(
        "function",
        Kind::OptionalString,
        "Name of the called function; null when no ABI knows it.",
        |v| {
            Ok(match v.call() {
                Call::Function(function) => Value::string(function.name()),
                Call::Create | Call::Transfer | Call::Unknown(_) => Value::Null,
            })
        },
    ),
    field("nonce", Kind::Int, "The sender's nonce.", |v| Ok(v.tx.nonce.into())),
    field(
        "type",
        Kind::Int,
        "EIP-2718 type: 0 legacy, 1 access list, 2 dynamic fee, 3 blob, 4 set code.",
        |v| Ok(u64::from(v.tx.kind).into()),
    ),
    field("gas", Kind::Int, "Gas limit.", |v| Ok(v.tx.gas.into())),
    field("gas_price", Kind::OptionalInt, "`gasPrice` in wei, where given.", |v| {
        Ok(Value::optional(v.tx.gas_price))
    }),
    field("max_fee_per_gas", Kind::OptionalInt, "`maxFeePerGas` in wei (EIP-1559).", |v| {
        Ok(Value::optional(v.tx.max_fee_per_gas))
    }),
    field(
        "max_priority_fee_per_gas",
        Kind::OptionalInt,
        "`maxPriorityFeePerGas` in wei (EIP-1559).",
        |v| Ok(Value::optional(v.tx.max_priority_fee_per_gas)),
    ),
    field("blob_count", Kind::Int, "Number of blobs carried.", |v| Ok(v.tx.blob_count.into())),
];

/// What is known of a transaction only once it is in a block.
pub(crate) static TX_OUTCOME: &[TxField] = &[
    field("index", Kind::Int, "Place in the block.", |v| Ok(v.tx.index.into())),
    field("success", Kind::Bool, "True when it succeeded.", |v| Ok(success(v.tx)?.into())),
    field("failed", Kind::Bool, "True when it was reverted.", |v| Ok((!success(v.tx)?).into())),
    field("status", Kind::Int, "1 when it succeeded, 0 when it was reverted.", |v| {
        Ok(u64::from(success(v.tx)?).into())
    }),
    field("gas_used", Kind::Int, "Gas that it used.", |v| Ok(v.receipt()?.gas_used.into())),
    field("effective_gas_price", Kind::OptionalInt, "Price per gas that it paid, in wei.", |v| {
        Ok(Value::optional(v.receipt()?.effective_gas_price))
    }),
    field("fee", Kind::Int, "What it paid for gas and blobs, in wei.", fee),
    field(
        "created_contract",
        Kind::OptionalAddress,
        "Contract that it created; null otherwise.",
        |v| Ok(Value::optional(v.receipt()?.contract_address.filter(|_| v.tx.to.is_none()))),
    ),
    field(
        "revert_reason",
        Kind::OptionalString,
        "Why it failed, in words; null when it did not, or when no endpoint can tell.",
        |v| Ok(Value::optional(v.revert_reason)),
    ),
    field("log_count", Kind::Int, "Number of event logs that it emitted.", |v| {
        Ok(count(v.receipt()?.logs.len()))
    }),
];

fn fee(view: &TxView<'_>) -> Got {
    let receipt = view.receipt()?;
    let price = receipt.effective_gas_price.or(view.tx.gas_price);
    let price = price.ok_or_else(|| Unavailable("the receipt has no gas price".to_owned()))?;
    let product = |a: u64, b: U256| Int::from(a).checked_mul(Int::from(b));
    let gas = product(receipt.gas_used, price);
    let blobs = match (receipt.blob_gas_used, receipt.blob_gas_price) {
        (Some(used), Some(price)) => product(used, price),
        _ => Some(Int::ZERO),
    };
    let fee = gas.zip(blobs).and_then(|(gas, blobs)| gas.checked_add(blobs));
    Ok(Value::Int(fee.expect("products of 64 and 256 bits are far below 512")))
}

/// An event log, as rules see it.
pub(crate) struct LogView<'a> {
    pub(crate) tx: &'a TxView<'a>,
    pub(crate) log: &'a evm::Log,
    decoded: OnceCell<Option<DecodedEvent>>,
}

impl<'a> LogView<'a> {
    pub(crate) fn new(tx: &'a TxView<'a>, log: &'a evm::Log) -> LogView<'a> {
        LogView { tx, log, decoded: OnceCell::new() }
    }

    /// What it says, as far as any known ABI tells. Only worked out when someone asks.
    pub(crate) fn decoded(&self) -> Option<&DecodedEvent> {
        let decode = || self.tx.decoder.log(self.tx.chain, self.tx.height, self.log).event;
        self.decoded.get_or_init(decode).as_ref()
    }

    /// The parameters by name; empty where the event is not known.
    pub(crate) fn args(&self) -> Value {
        self.decoded()
            .map_or_else(|| Value::map([]), |event| params_map(event.item.params(), &event.values))
    }

    /// Name of the emitting contract in the config, else its address.
    pub(crate) fn contract(&self) -> Value {
        contract_name(self.tx.decoder, self.tx.chain, &self.log.address)
    }
}

pub(crate) type EventField = Field<fn(&LogView<'_>) -> Got>;

pub(crate) static EVENT: &[EventField] = &[
    field("name", Kind::OptionalString, "Name of the event; null when no ABI knows it.", |v| {
        Ok(Value::optional(v.decoded().map(|event| event.name())))
    }),
    field(
        "signature",
        Kind::OptionalString,
        "Its signature, such as `Transfer(address,address,uint256)`; null when no ABI knows it.",
        |v| Ok(Value::optional(v.decoded().map(|event| event.signature()))),
    ),
    field(
        "contract",
        Kind::String,
        "Name of the emitting contract, or its address when it is not configured.",
        |v| Ok(v.contract()),
    ),
    field("address", Kind::Address, "Address of the emitting contract.", |v| {
        Ok(v.log.address.into())
    }),
    field("log_index", Kind::Int, "Place of the log in the block.", |v| Ok(v.log.index.into())),
    field(
        "topics",
        Kind::BytesList,
        "The raw topics; the first is the hash of the signature.",
        |v| Ok(Value::list(v.log.topics.iter().map(|topic| (*topic).into()).collect())),
    ),
    field("data", Kind::Bytes, "The raw data.", |v| Ok(v.log.data.clone().into())),
];

pub(crate) type ProbeField = Field<fn(&ProbeAnswer) -> Got>;

pub(crate) static PROBE: &[ProbeField] = &[
    field("status", Kind::Int, "Status code; 0 when there was no answer.", |v| {
        Ok(u64::from(v.status).into())
    }),
    field("latency", Kind::Duration, "Time until the whole answer was there.", |v| {
        Ok(Duration::from_millis(v.latency_ms).into())
    }),
    field("body", Kind::String, "The body, up to 64 KiB of it.", |v| Ok(Value::string(&v.body))),
    field("truncated", Kind::Bool, "True when there was more of the body.", |v| {
        Ok(v.truncated.into())
    }),
    field("headers", Kind::StringMap, "Headers of the answer, names in lower case.", |v| {
        let text = |(name, value): (&String, &String)| {
            (Key::String(name.as_str().into()), Value::string(value))
        };
        Ok(Value::map(v.headers.iter().map(text)))
    }),
    field(
        "tls_days_left",
        Kind::OptionalInt,
        "Whole days until the certificate ends, negative when it has; null without TLS.",
        |v| Ok(Value::optional(v.tls_days_left)),
    ),
    field(
        "error",
        Kind::OptionalString,
        "Why there was no answer; null when there was one.",
        |v| Ok(Value::optional(v.error.as_deref())),
    ),
];

/// What a window adds up, for `when` and `title`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stat {
    Count,
    Rate,
    Sum,
    Min,
    Max,
    Distinct,
    Key,
}

/// The window's variables; those from `sum` to `distinct` need `window.value`.
pub(crate) static WINDOW: &[Field<Stat>] = &[
    field("count", Kind::Int, "Matches in the window, this one included.", Stat::Count),
    field(
        "rate",
        Kind::Double,
        "Matches per second, or per block for a window in blocks.",
        Stat::Rate,
    ),
    field("sum", Kind::Int, "Sum of `window.value`, an integer.", Stat::Sum),
    field("min", Kind::Int, "Smallest `window.value`, an integer.", Stat::Min),
    field("max", Kind::Int, "Largest `window.value`, an integer.", Stat::Max),
    field("distinct", Kind::Int, "Number of different `window.value`s.", Stat::Distinct),
    field("key", Kind::String, "Value of `window.by` as text.", Stat::Key),
];

/// What is told of a silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Silence {
    Length,
    Last,
}

/// The variables of the title of a rule with `absent`, besides those of the block.
pub(crate) static ABSENT: &[Field<Silence>] = &[
    field("silence", Kind::Duration, "How long nothing matched.", Silence::Length),
    field(
        "last",
        Kind::OptionalTimestamp,
        "Time of the block of the last match; null when there was none.",
        Silence::Last,
    ),
];
