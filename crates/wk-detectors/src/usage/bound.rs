//! The greatest of what was seen.

use alloy_primitives::U256;
use serde::{Deserialize, Serialize};

/// How often something was measured, and the most that it was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Bound {
    /// How often.
    pub(super) count: u64,
    /// The most.
    pub(super) most: U256,
}

impl Bound {
    /// One more number.
    pub(super) fn learn(&mut self, number: U256) {
        self.count = self.count.saturating_add(1);
        self.most = self.most.max(number);
    }

    /// Whether a number is more than `factor` times the most so far.
    pub(super) fn is_exceeded(&self, number: U256, factor: u32) -> bool {
        // Where the product is beyond all numbers, nothing exceeds it.
        self.most.checked_mul(U256::from(factor.max(1))).is_some_and(|most| number > most)
    }
}
