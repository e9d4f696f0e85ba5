//! What is known of a contract's use so far.

use std::collections::BTreeMap;

use alloy_primitives::{Address, U256};
use serde::{Deserialize, Serialize};

use super::bound::Bound;
use super::observe::{FunctionUse, Use};

/// Functions that are remembered. Beyond it no function is new any more.
const MAX_FUNCTIONS: usize = 128;
/// Callers of a function that are remembered. Beyond it anybody calls it.
const MAX_CALLERS: usize = 8;
/// Assets that are remembered.
const MAX_ASSETS: usize = 64;

/// A contract's use, learned from settled blocks; its size is bounded whatever it is taught.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// The highest block that taught anything.
    pub through: u64,
    /// Transactions that used it.
    pub transactions: u64,
    /// Transactions that used it, per block in which any did.
    pub(super) per_block: Bound,
    pub(super) functions: BTreeMap<u32, Function>,
    /// More functions were used than are remembered.
    pub(super) crowded: bool,
    pub(super) outflow: BTreeMap<Address, Bound>,
    /// More assets left than are remembered.
    pub(super) many_assets: bool,
}

/// What is known of a function.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Function {
    /// The block of its first use.
    pub(super) first: u64,
    /// Calls in one transaction; counts the transactions.
    pub(super) calls: Bound,
    /// Gas of one call; counts the transactions that told it.
    pub(super) gas: Bound,
    /// Who calls it, with the block of each one's first call; nobody when anybody does.
    pub(super) callers: BTreeMap<Address, u64>,
    /// Anybody calls it.
    pub(super) crowd: bool,
    /// It was called by a contract.
    pub(super) by_contract: bool,
}

impl Profile {
    /// A settled block in which these transactions used the contract. Blocks may come in any order, each
    /// once.
    pub fn learn(&mut self, height: u64, uses: &[Use]) {
        if uses.is_empty() {
            return;
        }
        self.through = self.through.max(height);
        self.transactions = self.transactions.saturating_add(uses.len() as u64);
        self.per_block.learn(U256::from(uses.len()));
        for one in uses {
            for (selector, called) in &one.functions {
                self.learn_function(height, *selector, called);
            }
            for (asset, amount) in &one.outflow {
                if self.outflow.len() >= MAX_ASSETS && !self.outflow.contains_key(asset) {
                    self.many_assets = true;
                } else {
                    self.outflow.entry(*asset).or_default().learn(*amount);
                }
            }
        }
    }

    fn learn_function(&mut self, height: u64, selector: u32, called: &FunctionUse) {
        if self.functions.len() >= MAX_FUNCTIONS && !self.functions.contains_key(&selector) {
            self.crowded = true;
            return;
        }
        let new = || Function { first: height, ..Function::default() };
        let function = self.functions.entry(selector).or_insert_with(new);
        function.first = function.first.min(height);
        function.calls.learn(U256::from(called.calls));
        if let Some(gas) = called.gas {
            function.gas.learn(U256::from(gas));
        }
        function.by_contract |= !called.by_sender;
        function.crowd |= called.crowd;
        for caller in &called.callers {
            let first = function.callers.entry(*caller).or_insert(height);
            *first = height.min(*first);
        }
        function.crowd |= function.callers.len() > MAX_CALLERS;
        if function.crowd {
            function.callers.clear();
        }
    }
}
