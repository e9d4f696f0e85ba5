//! What one transaction does with one contract.

use std::collections::BTreeMap;

use alloy_primitives::{Address, U256};
use serde::{Deserialize, Serialize};
use wk_trace::{Asset, FrameKind, TransferKind, TxTrace};

/// Functions of one contract that are told apart in one transaction.
const MAX_FUNCTIONS: usize = 64;
/// Callers of one function that are told apart in one transaction.
const MAX_CALLERS: usize = 16;
/// Assets that leave which are told apart in one transaction.
const MAX_ASSETS: usize = 32;

/// What a transaction does with a contract.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Use {
    /// Functions that others called and that did something, by selector; 0 is a bare payment.
    pub functions: BTreeMap<u32, FunctionUse>,
    /// What left it in all, by token; the address zero stands for the chain's own coin.
    pub outflow: BTreeMap<Address, U256>,
}

/// Calls of one function.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunctionUse {
    /// How many.
    pub calls: u32,
    /// The most gas that one of them used, where known.
    pub gas: Option<u64>,
    /// Who called.
    pub callers: Vec<Address>,
    /// There were more callers than are told apart.
    pub crowd: bool,
    /// Every call came from the transaction's sender itself.
    pub by_sender: bool,
}

/// What a transaction does with a contract; none when nobody calls it and nothing of it leaves.
pub fn use_of(trace: &TxTrace, contract: &Address) -> Option<Use> {
    let party = trace.party(contract).filter(|_| trace.success)?;
    let mut found = Use::default();
    for frame in &trace.frames {
        let calls = frame.to == party
            && frame.from != party
            && frame.kind == FrameKind::Call
            && !frame.reverted;
        if !calls {
            continue;
        }
        let selector = trace.selector(frame);
        if found.functions.len() >= MAX_FUNCTIONS && !found.functions.contains_key(&selector) {
            continue;
        }
        let first = FunctionUse { by_sender: true, ..FunctionUse::default() };
        let function = found.functions.entry(selector).or_insert(first);
        function.calls = function.calls.saturating_add(1);
        function.by_sender &= frame.from == trace.sender;
        if trace.known.gas {
            function.gas = function.gas.max(Some(frame.gas_used));
        }
        let caller = trace.address(frame.from);
        if !function.callers.contains(&caller) {
            if function.callers.len() < MAX_CALLERS {
                function.callers.push(caller);
            } else {
                function.crowd = true;
            }
        }
    }
    for transfer in &trace.transfers {
        let leaves = transfer.from == party
            && transfer.to != party
            && transfer.kind == TransferKind::Move
            && !transfer.amount.is_zero();
        if !leaves {
            continue;
        }
        let asset = match transfer.asset {
            Asset::Native => Address::ZERO,
            Asset::Token(token) => trace.address(token),
        };
        if found.outflow.len() < MAX_ASSETS || found.outflow.contains_key(&asset) {
            let sum = found.outflow.entry(asset).or_default();
            *sum = sum.saturating_add(transfer.amount);
        }
    }
    (!found.functions.is_empty() || !found.outflow.is_empty()).then_some(found)
}
