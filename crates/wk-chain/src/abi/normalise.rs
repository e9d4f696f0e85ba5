//! Who moved how much of what to whom: token standards and native value in one shape.

use std::collections::HashMap;

use alloy_dyn_abi::{DynSolType, DynSolValue};
use alloy_primitives::{Address, B256, U256, address, b256};
use wk_model::evm::{Log, Receipt, Transaction};

use super::data::{self, Fit};

/// One movement of value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// What kind of thing moved.
    pub standard: Standard,
    /// The token's contract; none for the chain's native currency.
    pub token: Option<Address>,
    /// Who gave; the zero address for newly made tokens.
    pub from: Address,
    /// Who got; the zero address for destroyed tokens.
    pub to: Address,
    /// Which one, for ERC-721 and ERC-1155.
    pub id: Option<U256>,
    /// How much, in the token's smallest unit (wei for native value); 1 for ERC-721.
    pub amount: U256,
    /// Who moved it on behalf of `from`, where the standard tells (ERC-1155).
    pub operator: Option<Address>,
    /// Place in the block of the log that says so; none for the value of a transaction.
    pub log_index: Option<u64>,
}

/// What kind of thing moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Standard {
    /// The chain's own currency.
    Native,
    /// A fungible token.
    Erc20,
    /// A token with an id, one of each.
    Erc721,
    /// A token with an id, many of each.
    Erc1155,
    /// Native currency wrapped into a token, or unwrapped (`Deposit` and `Withdrawal` of WETH9):
    /// made from, or destroyed to, the zero address. The shape of the log says so; which token it
    /// is, the address says.
    Weth,
}

impl Standard {
    /// The short name, such as `erc20`.
    pub fn name(self) -> &'static str {
        match self {
            Standard::Native => "native",
            Standard::Erc20 => "erc20",
            Standard::Erc721 => "erc721",
            Standard::Erc1155 => "erc1155",
            Standard::Weth => "weth",
        }
    }
}

/// The transfers of a transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transfers<'a> {
    /// Well-formed ones: native value first, then in the order of the logs.
    pub transfers: Vec<Transfer>,
    /// Logs with a transfer's first topic that are no transfer of any standard's shape.
    pub malformed: Vec<&'a Log>,
}

/// `Transfer(address,address,uint256)`: ERC-20, ERC-721 and EIP-7708.
pub(super) const TRANSFER: B256 =
    b256!("0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef");
/// `TransferSingle(address,address,address,uint256,uint256)`
pub(super) const TRANSFER_SINGLE: B256 =
    b256!("0xc3d58168c5ae7397731d063d5bbf3d657854427343f4c083240f7aacaa2d0f62");
/// `TransferBatch(address,address,address,uint256[],uint256[])`
pub(super) const TRANSFER_BATCH: B256 =
    b256!("0x4a39dc06d4c0dbc64b70af90fd698a233a518aa5d07e595d983b8c0526c8f7fb");
/// `Deposit(address,uint256)`
pub(super) const DEPOSIT: B256 =
    b256!("0xe1fffcc4923d04b559f4d29a8bfc6cda04eb5b0d3c460751c2402c5c5cc9109c");
/// `Withdrawal(address,uint256)`
pub(super) const WITHDRAWAL: B256 =
    b256!("0x7fcf532c15f0a6db0bd6d0e038bea71d30d808c7d98cb3bf7268a95bf5081b65");
/// `Burn(address,uint256)`: native currency that an EIP-7708 chain destroys.
pub(super) const BURN: B256 =
    b256!("0xcc16f5dbb4873280815c1ee09dbd06736cffcc184412cf7a71a0fdb75d397ca5");

/// Emits the logs of native transfers on chains with EIP-7708.
pub(super) const SYSTEM: Address = address!("0xfffffffffffffffffffffffffffffffffffffffe");

/// All transfers of a transaction: native value, ERC-20, ERC-721, ERC-1155 and WETH.
///
/// On chains with EIP-7708 native transfers are logs, those inside contracts included; elsewhere
/// only the transaction's own value is known.
pub fn transfers(tx: &Transaction) -> Transfers<'_> {
    let mut found = Transfers::default();
    for log in tx.logs() {
        let before = found.transfers.len();
        match read(log, &mut found.transfers) {
            Reading::Transfer | Reading::Other => {}
            Reading::Malformed => {
                found.transfers.truncate(before);
                found.malformed.push(log);
            }
        }
    }
    drop_doubled_wraps(&mut found.transfers);
    if let Some(native) = own_value(tx) {
        let logged = found.transfers.iter().any(|transfer| {
            transfer.standard == Standard::Native
                && (transfer.from, transfer.to, transfer.amount)
                    == (native.from, native.to, native.amount)
        });
        if !logged {
            found.transfers.insert(0, native);
        }
    }
    found
}

/// What the transaction itself sends.
fn own_value(tx: &Transaction) -> Option<Transfer> {
    let receipt = tx.receipt.as_ref()?;
    if tx.value.is_zero() || !succeeded(tx, receipt) {
        return None;
    }
    Some(Transfer {
        standard: Standard::Native,
        token: None,
        from: tx.from,
        to: tx.to.or(receipt.contract_address)?,
        id: None,
        amount: tx.value,
        operator: None,
        log_index: None,
    })
}

fn succeeded(tx: &Transaction, receipt: &Receipt) -> bool {
    /// Gas of a plain transfer, which cannot fail for lack of gas.
    const PLAIN: u64 = 21_000;
    // Before Byzantium receipts do not tell; but there a failure always took all gas.
    receipt.success.unwrap_or(receipt.gas_used < tx.gas || receipt.gas_used == PLAIN)
}

enum Reading {
    Transfer,
    Malformed,
    Other,
}

fn read(log: &Log, out: &mut Vec<Transfer>) -> Reading {
    let Some(topic0) = log.topics.first() else { return Reading::Other };
    let read = match *topic0 {
        TRANSFER if log.address == SYSTEM => read_native(log),
        BURN if log.address == SYSTEM => read_burn(log),
        TRANSFER => read_token(log),
        TRANSFER_SINGLE => read_single(log),
        TRANSFER_BATCH => return read_batch(log, out),
        DEPOSIT => match read_wrap(log) {
            Some((who, amount)) => Some(wrap(log, Address::ZERO, who, amount)),
            // Any contract may have a `Deposit` of its own with other indexed parameters.
            None => return Reading::Other,
        },
        WITHDRAWAL => match read_wrap(log) {
            Some((who, amount)) => Some(wrap(log, who, Address::ZERO, amount)),
            None => return Reading::Other,
        },
        _ => return Reading::Other,
    };
    match read {
        Some(transfer) => {
            out.push(transfer);
            Reading::Transfer
        }
        None => Reading::Malformed,
    }
}

fn read_native(log: &Log) -> Option<Transfer> {
    let [_, from, to] = log.topics.as_slice() else { return None };
    Some(Transfer {
        standard: Standard::Native,
        token: None,
        from: clean_address(from)?,
        to: clean_address(to)?,
        id: None,
        amount: only_word(log)?,
        operator: None,
        log_index: Some(log.index),
    })
}

fn read_burn(log: &Log) -> Option<Transfer> {
    let [_, from] = log.topics.as_slice() else { return None };
    Some(Transfer {
        standard: Standard::Native,
        token: None,
        from: clean_address(from)?,
        to: Address::ZERO,
        id: None,
        amount: only_word(log)?,
        operator: None,
        log_index: Some(log.index),
    })
}

fn read_token(log: &Log) -> Option<Transfer> {
    match log.topics.as_slice() {
        [_, from, to] => Some(Transfer {
            standard: Standard::Erc20,
            token: Some(log.address),
            from: clean_address(from)?,
            to: clean_address(to)?,
            id: None,
            amount: only_word(log)?,
            operator: None,
            log_index: Some(log.index),
        }),
        [_, from, to, id] if log.data.is_empty() => Some(Transfer {
            standard: Standard::Erc721,
            token: Some(log.address),
            from: clean_address(from)?,
            to: clean_address(to)?,
            id: Some(U256::from_be_bytes(id.0)),
            amount: U256::ONE,
            operator: None,
            log_index: Some(log.index),
        }),
        _ => None,
    }
}

fn read_single(log: &Log) -> Option<Transfer> {
    let [_, operator, from, to] = log.topics.as_slice() else { return None };
    let (id, amount) = log.data.split_at_checked(32)?;
    Some(Transfer {
        standard: Standard::Erc1155,
        token: Some(log.address),
        from: clean_address(from)?,
        to: clean_address(to)?,
        id: Some(U256::try_from_be_slice(id)?),
        amount: word(amount)?,
        operator: Some(clean_address(operator)?),
        log_index: Some(log.index),
    })
}

/// One transfer for each id of the batch.
fn read_batch(log: &Log, out: &mut Vec<Transfer>) -> Reading {
    match read_batch_parts(log) {
        Some((operator, from, to, pairs)) => {
            out.extend(pairs.into_iter().map(|(id, amount)| Transfer {
                standard: Standard::Erc1155,
                token: Some(log.address),
                from,
                to,
                id: Some(id),
                amount,
                operator: Some(operator),
                log_index: Some(log.index),
            }));
            Reading::Transfer
        }
        None => Reading::Malformed,
    }
}

type Batch = (Address, Address, Address, Vec<(U256, U256)>);

fn read_batch_parts(log: &Log) -> Option<Batch> {
    let [_, operator, from, to] = log.topics.as_slice() else { return None };
    let numbers = DynSolType::Array(Box::new(DynSolType::Uint(256)));
    let (values, fit) = data::decode([&numbers, &numbers], &log.data).ok()?;
    let [DynSolValue::Array(ids), DynSolValue::Array(amounts)] = values.as_slice() else {
        return None;
    };
    if fit == Fit::Dirty || ids.len() != amounts.len() {
        return None;
    }
    let pairs = ids
        .iter()
        .zip(amounts)
        .map(|(id, amount)| Some((id.as_uint()?.0, amount.as_uint()?.0)))
        .collect::<Option<_>>()?;
    Some((clean_address(operator)?, clean_address(from)?, clean_address(to)?, pairs))
}

fn read_wrap(log: &Log) -> Option<(Address, U256)> {
    let [_, who] = log.topics.as_slice() else { return None };
    Some((clean_address(who)?, only_word(log)?))
}

fn wrap(log: &Log, from: Address, to: Address, amount: U256) -> Transfer {
    Transfer {
        standard: Standard::Weth,
        token: Some(log.address),
        from,
        to,
        id: None,
        amount,
        operator: None,
        log_index: Some(log.index),
    }
}

/// Some wrapped tokens emit an ERC-20 `Transfer` from or to zero as well: one of the two is enough.
fn drop_doubled_wraps(transfers: &mut Vec<Transfer>) {
    if !transfers.iter().any(|transfer| transfer.standard == Standard::Weth) {
        return;
    }
    let mut minted: HashMap<Movement, usize> = HashMap::new();
    for transfer in transfers.iter() {
        let zero = transfer.from.is_zero() || transfer.to.is_zero();
        if transfer.standard == Standard::Erc20 && zero {
            *minted.entry(movement(transfer)).or_default() += 1;
        }
    }
    transfers.retain(|transfer| {
        if transfer.standard != Standard::Weth {
            return true;
        }
        match minted.get_mut(&movement(transfer)) {
            Some(left) if *left > 0 => {
                *left -= 1;
                false
            }
            _ => true,
        }
    });
}

type Movement = (Option<Address>, Address, Address, U256);

fn movement(transfer: &Transfer) -> Movement {
    (transfer.token, transfer.from, transfer.to, transfer.amount)
}

/// The address in a topic, when nothing else is in it.
fn clean_address(topic: &B256) -> Option<Address> {
    topic[..12].iter().all(|byte| *byte == 0).then(|| Address::from_word(*topic))
}

fn only_word(log: &Log) -> Option<U256> {
    word(&log.data)
}

fn word(bytes: &[u8]) -> Option<U256> {
    if bytes.len() == 32 { U256::try_from_be_slice(bytes) } else { None }
}
