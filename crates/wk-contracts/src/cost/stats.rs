//! A transaction's share in what contracts cost.

use std::collections::BTreeMap;
use std::fmt;

use alloy_primitives::{Address, U256};
use wk_model::evm;
use wk_trace::{Frame, TxTrace};

use super::advice::{self, Advice};
use super::sketch::Sketch;

/// Different errors of one function that are told apart; more are counted as `other`.
const MAX_ERRORS: usize = 64;
/// Letters of an error's reason.
const MAX_REASON: usize = 80;

/// A function of a contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The contract: whose storage is acted on.
    pub contract: Address,
    /// Its function.
    pub function: Function,
}

/// A function as a call names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Function {
    /// By its selector.
    Selector(u32),
    /// Money without data, or data too short for a selector.
    Receive,
    /// Its creation.
    Create,
}

impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Function::Selector(selector) => write!(f, "0x{selector:08x}"),
            Function::Receive => f.write_str("receive"),
            Function::Create => f.write_str("create"),
        }
    }
}

/// What the trace of a transaction does not tell.
#[derive(Clone, Copy, Debug, Default)]
pub struct TxContext {
    /// Price per gas that was paid, in wei; none where the receipt does not tell.
    pub gas_price: Option<U256>,
    /// Blocks from when it was first seen pending to its own; none where it was not seen before.
    pub waited_blocks: Option<u64>,
}

/// Sums of a function.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Calls.
    pub calls: u64,
    /// Calls that were transactions of their own.
    pub direct: u64,
    /// Calls that failed, or came to nothing since what called them failed.
    pub failed: u64,
    /// Gas used, what it called in turn included. Calls inside a call of the same contract count to
    /// the outer one only.
    pub gas: u128,
    /// Gas that was used by calls that failed.
    pub failed_gas: u128,
    /// Gas per call, over all calls.
    pub gas_per_call: Sketch,
    /// Wei paid for the gas, where the price is known.
    pub fees: U256,
    /// Gas whose price is not known, and which `fees` therefore lacks.
    pub gas_without_price: u128,
    /// Blocks until transactions were included, for those that were seen before.
    pub waited_blocks: Sketch,
    /// Calls that failed, by decoded reason.
    pub errors: BTreeMap<String, u64>,
    /// What could be saved, in gas, with the number of calls where.
    pub advice: BTreeMap<Advice, (u64, u128)>,
}

/// What a transaction adds to which function.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deltas(pub BTreeMap<Key, Stats>);

impl Deltas {
    /// The share of a transaction in the sums of the watched contracts.
    pub fn of(
        trace: &TxTrace,
        context: &TxContext,
        is_watched: impl Fn(&Address) -> bool,
    ) -> Deltas {
        let watched: Vec<bool> =
            trace.parties().map(|party| is_watched(&trace.address(party))).collect();
        let mut deltas = Deltas::default();
        if !watched.iter().any(|watched| *watched) {
            return deltas;
        }
        // Where the outermost call of each watched contract ends, to tell inner ones.
        let mut open: BTreeMap<usize, u32> = BTreeMap::new();
        for (at, frame) in (0u32..).zip(&trace.frames) {
            let place = frame.to.index();
            if !frame.enters() || !watched[place] {
                continue;
            }
            let inner = open.get(&place).is_some_and(|end| at < *end);
            if !inner {
                open.insert(place, frame.end);
            }
            let key = Key { contract: trace.address(frame.to), function: function(trace, frame) };
            let direct = at == 0;
            // The whole transaction's gas has what its data and its begin cost.
            let gas =
                if direct { trace.gas_used.unwrap_or(frame.gas_used) } else { frame.gas_used };
            let stats = deltas.0.entry(key).or_default();
            stats.calls += 1;
            stats.direct += u64::from(direct);
            stats.gas_per_call.add(gas);
            let failed = frame.reverted || frame.error.is_some() || (direct && !trace.success);
            if failed {
                stats.failed += 1;
                stats.count_error(reason(trace, frame), 1);
            }
            if !inner {
                stats.gas += u128::from(gas);
                stats.failed_gas += if failed { u128::from(gas) } else { 0 };
                match context.gas_price {
                    Some(price) => {
                        let fee = price.saturating_mul(U256::from(gas));
                        stats.fees = stats.fees.saturating_add(fee);
                    }
                    None => stats.gas_without_price += u128::from(gas),
                }
            }
            if let Some(blocks) = context.waited_blocks.filter(|_| direct) {
                stats.waited_blocks.add(blocks);
            }
            if !inner {
                for (advice, gas) in advice::advise(trace, at, gas) {
                    let entry = stats.advice.entry(advice).or_default();
                    entry.0 += 1;
                    entry.1 += u128::from(gas);
                }
            }
        }
        deltas
    }

    /// The share of a block in the sums of the watched contracts, from receipts alone: only
    /// transactions that call them directly, without reasons of errors or advice.
    pub fn of_receipts(block: &evm::Block, is_watched: impl Fn(&Address) -> bool) -> Deltas {
        let mut deltas = Deltas::default();
        for tx in &block.transactions {
            let (Some(to), Some(receipt)) = (tx.to, &tx.receipt) else { continue };
            if !is_watched(&to) {
                continue;
            }
            let function = match tx.selector().map(u32::from_be_bytes) {
                None => Function::Receive,
                Some(selector) => Function::Selector(selector),
            };
            let stats = deltas.0.entry(Key { contract: to, function }).or_default();
            let gas = u128::from(receipt.gas_used);
            stats.calls += 1;
            stats.direct += 1;
            stats.gas += gas;
            stats.gas_per_call.add(receipt.gas_used);
            if receipt.success == Some(false) {
                stats.failed += 1;
                stats.failed_gas += gas;
                stats.count_error("not told by the receipt".to_owned(), 1);
            }
            match receipt.effective_gas_price.or(tx.gas_price) {
                Some(price) => {
                    let fee = price.saturating_mul(U256::from(receipt.gas_used));
                    stats.fees = stats.fees.saturating_add(fee);
                }
                None => stats.gas_without_price += gas,
            }
        }
        deltas
    }

    /// Adds another's sums.
    pub fn merge(&mut self, other: &Deltas) {
        for (key, stats) in &other.0 {
            self.0.entry(*key).or_default().merge(stats);
        }
    }

    /// Takes out sums that were added before.
    pub fn remove(&mut self, other: &Deltas) {
        for (key, stats) in &other.0 {
            if let Some(have) = self.0.get_mut(key) {
                have.remove(stats);
                if have.calls == 0 {
                    self.0.remove(key);
                }
            }
        }
    }
}

impl Stats {
    /// Adds another's sums.
    pub fn merge(&mut self, other: &Stats) {
        let Stats {
            calls,
            direct,
            failed,
            gas,
            failed_gas,
            gas_per_call,
            fees,
            gas_without_price,
            waited_blocks,
            errors,
            advice,
        } = other;
        self.calls += calls;
        self.direct += direct;
        self.failed += failed;
        self.gas += gas;
        self.failed_gas += failed_gas;
        self.gas_per_call.merge(gas_per_call);
        self.fees = self.fees.saturating_add(*fees);
        self.gas_without_price += gas_without_price;
        self.waited_blocks.merge(waited_blocks);
        for (reason, count) in errors {
            self.count_error(reason.clone(), *count);
        }
        for (advice, (calls, gas)) in advice {
            let entry = self.advice.entry(*advice).or_default();
            entry.0 += calls;
            entry.1 += gas;
        }
    }

    /// Takes out sums that were added before. With more different errors than are told apart, which
    /// of them are left may differ; their number does not.
    pub fn remove(&mut self, other: &Stats) {
        let Stats {
            calls,
            direct,
            failed,
            gas,
            failed_gas,
            gas_per_call,
            fees,
            gas_without_price,
            waited_blocks,
            errors,
            advice,
        } = other;
        self.calls = self.calls.saturating_sub(*calls);
        self.direct = self.direct.saturating_sub(*direct);
        self.failed = self.failed.saturating_sub(*failed);
        self.gas = self.gas.saturating_sub(*gas);
        self.failed_gas = self.failed_gas.saturating_sub(*failed_gas);
        self.gas_per_call.remove(gas_per_call);
        self.fees = self.fees.saturating_sub(*fees);
        self.gas_without_price = self.gas_without_price.saturating_sub(*gas_without_price);
        self.waited_blocks.remove(waited_blocks);
        for (reason, count) in errors {
            let mut left = *count;
            for name in [reason.as_str(), "other"] {
                if let Some(have) = self.errors.get_mut(name) {
                    let taken = left.min(*have);
                    *have -= taken;
                    left -= taken;
                    if *have == 0 {
                        self.errors.remove(name);
                    }
                }
            }
        }
        for (advice, (calls, gas)) in advice {
            if let Some(entry) = self.advice.get_mut(advice) {
                *entry = (entry.0.saturating_sub(*calls), entry.1.saturating_sub(*gas));
                if entry.0 == 0 {
                    self.advice.remove(advice);
                }
            }
        }
    }

    /// Share of calls that failed, from 0 to 1; none without calls.
    pub fn error_rate(&self) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "a share")]
        (self.calls > 0).then(|| self.failed as f64 / self.calls as f64)
    }

    fn count_error(&mut self, reason: String, count: u64) {
        let full = self.errors.len() >= MAX_ERRORS && !self.errors.contains_key(&reason);
        let reason = if full { "other".to_owned() } else { reason };
        *self.errors.entry(reason).or_default() += count;
    }
}

fn function(trace: &TxTrace, frame: &Frame) -> Function {
    if frame.kind == wk_trace::FrameKind::Create {
        return Function::Create;
    }
    match trace.selector(frame) {
        0 => Function::Receive,
        selector => Function::Selector(selector),
    }
}

/// Why a call failed, in a form that repeats: the reason's text, a custom error's selector, or what
/// the node says.
fn reason(trace: &TxTrace, frame: &Frame) -> String {
    let Some(error) = &frame.error else { return "undone by its caller".to_owned() };
    let text = trace.revert_reason(frame).unwrap_or_else(|| {
        match trace.output(frame).first_chunk::<4>() {
            Some(selector) => format!("custom error 0x{:08x}", u32::from_be_bytes(*selector)),
            None => error.to_string(),
        }
    });
    let plain = text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c });
    plain.take(MAX_REASON).collect()
}
