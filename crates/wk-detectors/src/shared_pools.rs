//! Trades at contracts that hold many pools, told apart by the pool that the call names.
//!
//! What moves at such a contract is settled for all its pools together, so that transfers do not tell
//! which was traded; call data do: the pool's id, the assets, and at least one of the amounts.

use std::collections::HashMap;

use alloy_primitives::{Address, B256, I256, U256, keccak256};
use wk_trace::{Asset, Frame, FrameKind, Party};

use crate::case::Case;
use crate::flows::{PoolTrades, Trade};

/// `swap((bytes32,uint8,address,address,uint256,bytes),…)`, Balancer V2.
const SWAP: u32 = 0x52bb_be29;
/// `batchSwap(uint8,(bytes32,uint256,uint256,uint256,bytes)[],address[],…)`, Balancer V2.
const BATCH: u32 = 0x945b_cec9;
/// `swap((address,address,uint24,int24,address),(bool,int256,uint160),bytes)`, Uniswap V4.
const KEYED: u32 = 0xf3cd_914c;

/// Steps of one batch, and trades of one transaction, that are read.
const MAX_STEPS: usize = 256;
const MAX_TRADES: usize = 4096;

/// All trades that calls of the vaults name, by vault and pool.
pub(crate) fn trades(case: &Case<'_>) -> Vec<PoolTrades> {
    let mut places: HashMap<(Party, B256), usize> = HashMap::new();
    let mut pools: Vec<PoolTrades> = Vec::new();
    let mut count = 0;
    for (at, frame) in case.frames() {
        if frame.kind != FrameKind::Call || frame.reverted || count >= MAX_TRADES {
            continue;
        }
        let read = Call { case, frame, at };
        let found = match case.selector(at) {
            SWAP => read.single().into_iter().collect(),
            BATCH => read.batch().unwrap_or_default(),
            KEYED => read.keyed().into_iter().collect(),
            _ => continue,
        };
        count += found.len();
        for (id, trade) in found {
            let place = *places.entry((frame.to, id)).or_insert_with(|| {
                pools.push(PoolTrades { pool: frame.to, id: Some(id), trades: Vec::new() });
                pools.len() - 1
            });
            pools[place].trades.push(trade);
        }
    }
    pools
}

struct Call<'c, 't> {
    case: &'c Case<'t>,
    frame: &'t Frame,
    at: u32,
}

impl Call<'_, '_> {
    fn word(&self, n: usize) -> Option<U256> {
        self.case.trace.word(self.frame, n)
    }

    /// The word that holds where something begins, as a number of words.
    fn place(&self, n: usize) -> Option<usize> {
        usize::try_from(self.word(n)?).ok().filter(|bytes| bytes % 32 == 0).map(|bytes| bytes / 32)
    }

    /// Zero stands for coins.
    fn asset(&self, n: usize) -> Option<Asset> {
        let address = self.case.trace.word_address(self.frame, n)?;
        if address == Address::ZERO {
            return Some(Asset::Native);
        }
        // A token that nobody calls cannot have moved.
        self.case.trace.party(&address).map(Asset::Token)
    }

    fn single(&self) -> Option<(B256, Trade)> {
        let start = self.place(0)?;
        let id = B256::from(self.word(start)?);
        let given_in = self.word(start + 1)?.is_zero();
        let (got, gave) = (self.asset(start + 2)?, self.asset(start + 3)?);
        let given = self.word(start + 4)?;
        let computed = self.case.trace.output_word(self.frame, 0)?;
        let (got_amount, gave_amount) =
            if given_in { (given, computed) } else { (computed, given) };
        Some((id, Trade { frame: self.at, got, got_amount, gave, gave_amount }))
    }

    /// Steps of a batch: only the amount that the caller gave is known.
    fn batch(&self) -> Option<Vec<(B256, Trade)>> {
        let given_in = self.word(0)?.is_zero();
        let (steps, assets) = (self.place(1)?, self.place(2)?);
        let count = usize::try_from(self.word(steps)?).ok()?.min(MAX_STEPS);
        let mut found = Vec::with_capacity(count);
        for step in 0..count {
            let start = steps + 1 + self.place(steps + 1 + step)?;
            let id = B256::from(self.word(start)?);
            let index =
                |n: usize| usize::try_from(self.word(start + n)?).ok().filter(|n| *n < MAX_STEPS);
            let (into, out) = (index(1)?, index(2)?);
            let (Some(got), Some(gave)) =
                (self.asset(assets + 1 + into), self.asset(assets + 1 + out))
            else {
                continue;
            };
            let amount = self.word(start + 3)?;
            let (got_amount, gave_amount) =
                if given_in { (amount, U256::ZERO) } else { (U256::ZERO, amount) };
            found.push((id, Trade { frame: self.at, got, got_amount, gave, gave_amount }));
        }
        Some(found)
    }

    /// A pool is named by all that it is made of; what was traded is answered as two signed halves of
    /// one word, each what the caller is owed.
    fn keyed(&self) -> Option<(B256, Trade)> {
        let key = self.case.trace.input(self.frame).get(4..4 + 5 * 32)?;
        let (left, right) = (self.asset(0)?, self.asset(1)?);
        let forward = !self.word(5)?.is_zero();
        let delta = self.case.trace.output_word(self.frame, 0)?;
        let half = |word: U256| {
            // Sign and value of 128 bits.
            let wide = I256::from_raw(word << 128usize).asr(128);
            wide.unsigned_abs()
        };
        let (one, other) = (half(delta >> 128usize), half(delta));
        let (got, got_amount, gave, gave_amount) =
            if forward { (left, one, right, other) } else { (right, other, left, one) };
        Some((keccak256(key), Trade { frame: self.at, got, got_amount, gave, gave_amount }))
    }
}
