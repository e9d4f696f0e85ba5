//! Which blocks were looked at, and how far each was verified.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Height;

/// One thing that can be checked about a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// Its parent hash is the hash of the block below.
    Parent,
    /// The header's fields hash to the block hash.
    HeaderHash,
    /// The transactions hash to the header's transactions root.
    TransactionsRoot,
    /// The receipts hash to the header's receipts root.
    ReceiptsRoot,
    /// The logs give exactly the header's bloom.
    LogsBloom,
}

impl Check {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Check; 5] = [
        Check::Parent,
        Check::HeaderHash,
        Check::TransactionsRoot,
        Check::ReceiptsRoot,
        Check::LogsBloom,
    ];

    /// Its name as data shows it.
    pub fn name(self) -> &'static str {
        match self {
            Check::Parent => "parent",
            Check::HeaderHash => "header_hash",
            Check::TransactionsRoot => "transactions_root",
            Check::ReceiptsRoot => "receipts_root",
            Check::LogsBloom => "logs_bloom",
        }
    }
}

/// How a check came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckResult {
    /// It held.
    Passed,
    /// It could not be made, and why.
    Skipped(String),
    /// It did not hold, and what differed. Such a block is not processed unless every endpoint
    /// says the same and the config allows it.
    Failed(String),
}

/// The set of checks that passed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Checks(u8);

impl Checks {
    /// All checks passed.
    pub fn all() -> Checks {
        Check::ALL.into_iter().fold(Checks::default(), Checks::with)
    }

    /// This set and `check`.
    #[must_use]
    pub fn with(self, check: Check) -> Checks {
        Checks(self.0 | 1 << check as u8)
    }

    /// Whether `check` passed.
    pub fn has(self, check: Check) -> bool {
        self.0 & (1 << check as u8) != 0
    }

    /// The set as bits, lowest first in the order of [`Check::ALL`]. What is stored.
    pub fn bits(self) -> u8 {
        self.0
    }

    /// The set from stored bits; unknown bits are dropped.
    pub fn from_bits(bits: u8) -> Checks {
        Checks(bits & Checks::all().0)
    }

    /// The checks in the set.
    pub fn iter(self) -> impl Iterator<Item = Check> {
        Check::ALL.into_iter().filter(move |check| self.has(*check))
    }
}

impl fmt::Display for Checks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.iter().map(Check::name).collect();
        f.write_str(&names.join(","))
    }
}

/// How far a block was verified.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verification {
    /// The checks that passed.
    pub passed: Checks,
    /// Why the other checks are missing, in one line; empty when all passed.
    pub shortfall: String,
    /// How many endpoints gave this hash at this height; at least 1.
    pub agreed: u8,
}

impl Verification {
    /// Everything held.
    pub fn is_full(&self) -> bool {
        self.passed == Checks::all()
    }
}

/// A run of neighbouring blocks that were verified alike. Inclusive on both ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoverageRange {
    /// Lowest height.
    pub from: Height,
    /// Highest height.
    pub to: Height,
    /// How far each of them was verified.
    pub verification: Verification,
    /// Whether rules have seen them. False is a hole: known to exist, not looked at yet.
    pub processed: bool,
    /// How often the range was looked at again.
    pub rescans: u32,
}

impl CoverageRange {
    /// Number of blocks.
    pub fn len(&self) -> u64 {
        self.to.above(self.from) + 1
    }

    /// Never: a range holds at least one block.
    pub fn is_empty(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_survive_storage() {
        let checks = Checks::default().with(Check::Parent).with(Check::LogsBloom);
        assert_eq!(Checks::from_bits(checks.bits()), checks);
        assert_eq!(checks.to_string(), "parent,logs_bloom");
        assert_eq!(Checks::from_bits(0xff), Checks::all());
    }
}
