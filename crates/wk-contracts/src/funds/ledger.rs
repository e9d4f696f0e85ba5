//! What an account owns of an asset, and how much of it is followed value.

use std::collections::VecDeque;

use alloy_primitives::{U256, U512};
use schemars::JsonSchema;
use serde::Deserialize;

/// Lots of one account and asset that are kept apart; beyond it the oldest two become one.
const MAX_LOTS: usize = 4_096;

/// How much of a payment is followed value, when the account also has other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// The share of it in all that the account has.
    #[default]
    Haircut,
    /// First in, first out.
    Fifo,
}

#[derive(Clone, Copy, Debug)]
struct Lot {
    amount: U256,
    followed: U256,
}

/// One account's holding of one asset.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    lots: VecDeque<Lot>,
}

impl Ledger {
    /// Takes in an amount, of which a part (not more than it) is followed.
    pub(super) fn credit(&mut self, method: Method, amount: U256, followed: U256) {
        let lot = Lot { amount, followed: followed.min(amount) };
        match (method, self.lots.back_mut()) {
            (_, None) => self.lots.push_back(lot),
            (Method::Haircut, Some(all)) => all.add(lot),
            (Method::Fifo, Some(_)) => {
                if self.lots.len() >= MAX_LOTS
                    && let Some(first) = self.lots.pop_front()
                    && let Some(second) = self.lots.front_mut()
                {
                    second.add(first);
                }
                self.lots.push_back(lot);
            }
        }
    }

    /// Pays out an amount and gives how much of it is followed. What the account does not have is
    /// clean: it owned it before anybody looked.
    pub(super) fn debit(&mut self, amount: U256) -> U256 {
        let (mut left, mut followed) = (amount, U256::ZERO);
        while !left.is_zero() {
            let Some(lot) = self.lots.front_mut() else { break };
            if lot.amount <= left {
                left -= lot.amount;
                followed = followed.saturating_add(lot.followed);
                self.lots.pop_front();
            } else {
                let part = share(left, lot.followed, lot.amount);
                lot.amount -= left;
                lot.followed -= part;
                followed = followed.saturating_add(part);
                left = U256::ZERO;
            }
        }
        followed
    }

    /// How much followed value it has.
    pub(super) fn followed(&self) -> U256 {
        self.lots.iter().fold(U256::ZERO, |sum, lot| sum.saturating_add(lot.followed))
    }
}

impl Lot {
    fn add(&mut self, other: Lot) {
        self.amount = self.amount.saturating_add(other.amount);
        self.followed = self.followed.saturating_add(other.followed).min(self.amount);
    }
}

/// `amount * part / whole`, rounded down; zero of nothing, and never more than `amount` when `part`
/// is not more than `whole`.
pub(super) fn share(amount: U256, part: U256, whole: U256) -> U256 {
    if whole.is_zero() {
        return U256::ZERO;
    }
    let product: U512 = amount.widening_mul(part);
    let quotient = product / U512::from(whole);
    let limbs = quotient.as_limbs();
    match limbs[4..].iter().all(|limb| *limb == 0) {
        true => U256::from_limbs([limbs[0], limbs[1], limbs[2], limbs[3]]),
        false => U256::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pays_out_by_share_or_in_order() {
        // Clean 30, followed 10, clean 60; then 20, 40 and 100 are paid out.
        for (method, expected) in [(Method::Haircut, [2, 4, 4]), (Method::Fifo, [0, 10, 0])] {
            let mut ledger = Ledger::default();
            for (amount, followed) in [(30, 0), (10, 10), (60, 0)] {
                ledger.credit(method, U256::from(amount), U256::from(followed));
            }
            let paid = [20, 40, 100].map(|amount| ledger.debit(U256::from(amount)));
            assert_eq!(paid, expected.map(U256::from), "{method:?}");
            assert!(ledger.followed().is_zero());
        }
    }

    #[test]
    fn the_largest_amounts_do_not_overflow() {
        for method in [Method::Haircut, Method::Fifo] {
            let mut ledger = Ledger::default();
            for _ in 0..MAX_LOTS + 2 {
                ledger.credit(method, U256::MAX, U256::MAX);
            }
            assert!(ledger.lots.len() <= MAX_LOTS);
            assert_eq!(ledger.debit(U256::MAX), U256::MAX);
        }
        assert_eq!(share(U256::MAX, U256::MAX, U256::MAX), U256::MAX);
        assert_eq!(share(U256::ONE, U256::ONE, U256::ZERO), U256::ZERO);
    }
}
