//! A chain's numbers, folded over its blocks: rates, fees and fullness of the last minute.
//!
//! Pure. A reverted block is taken out again, as if it had never been there.

use std::collections::VecDeque;
use std::time::Duration;

use wk_model::{B256, BlockTime, U256, evm};

/// Blocks that are remembered at most.
const MOST_BLOCKS: usize = 1_024;
/// Rates are over this much chain time, or a little more.
const SPAN: Duration = Duration::from_secs(60);
/// And over at least this many blocks.
const FEWEST_BLOCKS: usize = 5;

/// One block in numbers.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct BlockStats {
    pub(super) hash: B256,
    pub(super) time: BlockTime,
    /// Transactions of users.
    pub(super) user: u64,
    /// Transactions of the chain itself.
    pub(super) system: u64,
    /// User transactions whose outcome is known.
    pub(super) ended: u64,
    /// User transactions that failed.
    pub(super) failed: u64,
    pub(super) logs: u64,
    pub(super) gas_used: u64,
    pub(super) gas_limit: u64,
    pub(super) size: Option<u64>,
    /// Wei.
    pub(super) base_fee: Option<f64>,
    /// Wei at the quantiles of [`QUANTILES`], weighted by gas; none without receipts.
    pub(super) priority_fees: Option<[f64; 3]>,
    /// Wei; of the last blob transaction.
    pub(super) blob_base_fee: Option<f64>,
}

/// Quantiles of priority fees, with their labels.
pub(super) const QUANTILES: [(f64, &str); 3] = [(0.1, "0.1"), (0.5, "0.5"), (0.9, "0.9")];

/// The last blocks of the chain, oldest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct ChainStats {
    blocks: VecDeque<BlockStats>,
}

/// Per second of chain time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rates {
    /// User transactions.
    pub(super) transactions: f64,
    pub(super) gas: f64,
    /// Failed by ended user transactions; none when none ended.
    pub(super) failed: Option<f64>,
}

impl BlockStats {
    pub(super) fn of(block: &evm::Block) -> BlockStats {
        let evm::Block { header, transactions } = block;
        let mut stats = BlockStats {
            hash: header.hash,
            time: header.time,
            user: 0,
            system: 0,
            ended: 0,
            failed: 0,
            logs: 0,
            gas_used: header.gas_used,
            gas_limit: header.gas_limit,
            size: header.size,
            base_fee: header.base_fee_per_gas.map(wei),
            priority_fees: None,
            blob_base_fee: None,
        };
        let base_fee = header.base_fee_per_gas.unwrap_or_default();
        let mut paid: Vec<(U256, u64)> = Vec::new();
        for transaction in transactions {
            stats.logs += transaction.logs().len() as u64;
            if is_system(transaction.kind) {
                stats.system += 1;
                continue;
            }
            stats.user += 1;
            let Some(receipt) = &transaction.receipt else { continue };
            if let Some(success) = receipt.success {
                stats.ended += 1;
                stats.failed += u64::from(!success);
            }
            if let Some(price) = receipt.effective_gas_price.or(transaction.gas_price) {
                paid.push((price.saturating_sub(base_fee), receipt.gas_used));
            }
            stats.blob_base_fee = receipt.blob_gas_price.map(wei).or(stats.blob_base_fee);
        }
        stats.priority_fees = quantiles(paid);
        stats
    }

    pub(super) fn fullness(&self) -> Option<f64> {
        (self.gas_limit > 0).then(|| self.gas_used as f64 / self.gas_limit as f64)
    }
}

impl ChainStats {
    /// The next block; returns the time since the one before, by their timestamps.
    pub(super) fn seen(&mut self, stats: BlockStats) -> Option<Duration> {
        let interval = self.blocks.back().map(|before| stats.time.since(before.time));
        if self.blocks.len() == MOST_BLOCKS {
            self.blocks.pop_front();
        }
        self.blocks.push_back(stats);
        interval
    }

    /// The newest block is no longer part of the chain.
    pub(super) fn reverted(&mut self, hash: B256) {
        if self.blocks.back().is_some_and(|stats| stats.hash == hash) {
            self.blocks.pop_back();
        }
    }

    /// Over the last minute of blocks; none until there are two blocks with different times.
    pub(super) fn rates(&self) -> Option<Rates> {
        let newest = self.blocks.back()?;
        let first = self
            .blocks
            .iter()
            .enumerate()
            .rev()
            .skip(FEWEST_BLOCKS)
            .find(|(_, stats)| newest.time.since(stats.time) >= SPAN)
            .map_or(0, |(at, _)| at);
        let seconds = newest.time.since(self.blocks[first].time).as_secs_f64();
        if seconds <= 0.0 {
            return None;
        }
        // The first block's content was made before the span begins.
        let mut sums = (0, 0, 0, 0);
        for stats in self.blocks.range(first + 1..) {
            sums.0 += stats.user;
            sums.1 += stats.gas_used;
            sums.2 += stats.ended;
            sums.3 += stats.failed;
        }
        let (user, gas, ended, failed) = sums;
        Some(Rates {
            transactions: user as f64 / seconds,
            gas: gas as f64 / seconds,
            failed: (ended > 0).then(|| failed as f64 / ended as f64),
        })
    }

    /// Mean time between the last blocks; none until two blocks have different times.
    pub(super) fn pace(&self) -> Option<Duration> {
        const BLOCKS: usize = 64;
        let from = self.blocks.len().saturating_sub(BLOCKS);
        let (first, last) = (self.blocks.get(from)?, self.blocks.back()?);
        let steps = u32::try_from(self.blocks.len() - from - 1).ok()?;
        let span = last.time.since(first.time);
        (steps > 0 && !span.is_zero()).then(|| span / steps)
    }

    /// Longest time between neighbours among the remembered blocks.
    pub(super) fn longest_interval(&self) -> Duration {
        self.blocks
            .iter()
            .zip(self.blocks.iter().skip(1))
            .map(|(before, after)| after.time.since(before.time))
            .max()
            .unwrap_or_default()
    }
}

/// Whether the chain itself makes transactions of this type: OP Stack deposits, Arbitrum's own,
/// Polygon's state sync.
fn is_system(kind: u8) -> bool {
    matches!(kind, 0x7e | 0x64..=0x6a | 0x7f)
}

/// The values at [`QUANTILES`] of the weight.
fn quantiles(mut paid: Vec<(U256, u64)>) -> Option<[f64; 3]> {
    let total: u64 = paid.iter().map(|(_, gas)| *gas).fold(0, u64::saturating_add);
    if total == 0 {
        return None;
    }
    paid.sort_unstable();
    Some(QUANTILES.map(|(quantile, _)| {
        let wanted = quantile * total as f64;
        let mut below = 0.0;
        let at = paid.iter().find(|(_, gas)| {
            below += *gas as f64;
            below >= wanted
        });
        at.or(paid.last()).map_or(0.0, |(fee, _)| wei(*fee))
    }))
}

/// As a metric's value; more than 2^53 wei is rounded.
pub(super) fn wei(amount: U256) -> f64 {
    f64::from(amount)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn block(name: u64, time: u64, user: u64, failed: u64) -> evm::Block {
        let mut transactions: Vec<evm::Transaction> = (0..user)
            .map(|index| evm::Transaction {
                receipt: Some(evm::Receipt {
                    success: Some(index >= failed),
                    gas_used: 21_000,
                    effective_gas_price: Some(U256::from(100 + index)),
                    ..Default::default()
                }),
                ..Default::default()
            })
            .collect();
        transactions.push(evm::Transaction { kind: 0x7e, ..Default::default() });
        evm::Block {
            header: evm::Header {
                hash: B256::from(U256::from(name)),
                time: BlockTime(time),
                gas_used: user * 21_000,
                gas_limit: 30_000_000,
                base_fee_per_gas: Some(U256::from(100)),
                ..Default::default()
            },
            transactions,
        }
    }

    #[test]
    fn counts_users_and_weighs_fees() {
        let stats = BlockStats::of(&block(1, 0, 10, 3));
        assert_eq!((stats.user, stats.system, stats.ended, stats.failed), (10, 1, 10, 3));
        assert_eq!(stats.priority_fees, Some([0.0, 4.0, 8.0]));
        assert_eq!(stats.fullness(), Some(0.007));
        assert_eq!(BlockStats::of(&block(1, 0, 0, 0)).priority_fees, None);
    }

    #[test]
    fn rates_are_over_the_last_minute() {
        let mut chain = ChainStats::default();
        assert_eq!(chain.rates(), None);
        for n in 0..100 {
            let busy = n >= 90;
            chain.seen(BlockStats::of(&block(n, n * 12, if busy { 24 } else { 0 }, 6)));
        }
        let rates = chain.rates().expect("there are blocks");
        assert_eq!((rates.transactions, rates.failed), (2.0, Some(0.25)));
        assert_eq!(chain.pace(), Some(Duration::from_secs(12)));
        assert_eq!(chain.longest_interval(), Duration::from_secs(12));
    }

    proptest! {
        #[test]
        fn a_reverted_branch_leaves_no_trace(
            base in prop::collection::vec((0u64..30, 0u64..5), 0..20),
            lost in prop::collection::vec((0u64..30, 0u64..5), 0..10),
            kept in prop::collection::vec((0u64..30, 0u64..5), 0..10),
        ) {
            let seen = |chain: &mut ChainStats, from: u64, blocks: &[(u64, u64)]| {
                let mut hashes = Vec::new();
                for (at, (gap, user)) in blocks.iter().enumerate() {
                    let name = from + at as u64;
                    let time = chain.blocks.back().map_or(0, |newest| newest.time.0) + gap;
                    chain.seen(BlockStats::of(&block(name, time, *user, 0)));
                    hashes.push(B256::from(U256::from(name)));
                }
                hashes
            };
            let (mut with, mut without) = (ChainStats::default(), ChainStats::default());
            seen(&mut with, 0, &base);
            seen(&mut without, 0, &base);
            for hash in seen(&mut with, 1_000, &lost).into_iter().rev() {
                with.reverted(hash);
            }
            seen(&mut with, 2_000, &kept);
            seen(&mut without, 2_000, &kept);
            prop_assert_eq!(with.rates(), without.rates());
            prop_assert_eq!(with, without);
        }
    }
}
