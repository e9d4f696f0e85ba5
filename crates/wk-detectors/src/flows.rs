//! What moved between whom, and who traded: found by what they got and gave, whatever their
//! interface.

use std::collections::HashMap;

use alloy_primitives::{B256, U256};
use wk_trace::{Asset, Party, TransferKind, TxTrace};

use crate::case::{Case, maker};
use crate::shared_pools;
use crate::signatures::Role;

/// A transfer whose both ends are real parties.
#[derive(Clone, Copy, Debug)]
pub struct Flow {
    /// The frame in which it moved.
    pub frame: u32,
    /// What.
    pub asset: Asset,
    /// From whom; for new units, from who made them.
    pub from: Party,
    /// To whom; for units that ended, to who ended them.
    pub to: Party,
    /// How much.
    pub amount: U256,
}

/// One asset given for another.
#[derive(Clone, Copy, Debug)]
pub struct Trade {
    /// The frame of its last transfer.
    pub frame: u32,
    /// What the pool got.
    pub got: Asset,
    /// How much.
    pub got_amount: U256,
    /// What the pool gave.
    pub gave: Asset,
    /// How much.
    pub gave_amount: U256,
}

/// All trades of one party, in order.
#[derive(Clone, Debug)]
pub struct PoolTrades {
    /// The party.
    pub pool: Party,
    /// Which pool, where one contract holds many.
    pub id: Option<B256>,
    /// Its trades.
    pub trades: Vec<Trade>,
}

/// Trades of one pair of assets at one pool, both ways.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RoundTrip {
    pub(crate) pool: Party,
    /// Which pool, where one contract holds many.
    pub(crate) id: Option<B256>,
    pub(crate) assets: (Asset, Asset),
    /// First and last frame.
    pub(crate) frames: (u32, u32),
    pub(crate) trades: usize,
    /// How much of what the pool gave it got again, at best, in percent.
    pub(crate) unwound: u8,
}

/// Transfers with mints and burns ascribed to who made them.
pub(crate) fn flows(trace: &TxTrace) -> Vec<Flow> {
    let mut flows = Vec::with_capacity(trace.transfers.len());
    for transfer in &trace.transfers {
        if transfer.from == transfer.to || transfer.amount.is_zero() {
            continue;
        }
        let made = maker(trace, transfer);
        let (from, to) = match transfer.kind {
            TransferKind::Move => (transfer.from, transfer.to),
            TransferKind::Mint => (made.unwrap_or(transfer.from), transfer.to),
            TransferKind::Burn => (transfer.from, made.unwrap_or(transfer.to)),
        };
        flows.push(Flow {
            frame: transfer.frame,
            asset: transfer.asset,
            from,
            to,
            amount: transfer.amount,
        });
    }
    // Where logs told, a caller's log may come after those of what it called.
    flows.sort_by_key(|flow| flow.frame);
    flows
}

/// Everyone outside the attacker's side who traded.
pub(crate) fn pools(case: &Case<'_>) -> Vec<PoolTrades> {
    #[derive(Clone, Copy)]
    struct Half {
        asset: Asset,
        got: bool,
        amount: U256,
    }
    let mut open: Vec<Option<Half>> = vec![None; case.trace.party_count()];
    let mut places: HashMap<Party, usize> = HashMap::new();
    let mut pools: Vec<PoolTrades> = Vec::new();
    for flow in case.flows() {
        for (party, got) in [(flow.from, false), (flow.to, true)] {
            if case.is_side(party) || flow.from == flow.to {
                continue;
            }
            let half = Half { asset: flow.asset, got, amount: flow.amount };
            let slot = &mut open[party.index()];
            let Some(before) = *slot else {
                *slot = Some(half);
                continue;
            };
            if before.got == got {
                *slot = Some(half);
            } else if before.asset == half.asset {
                // The same amount on: it went through. Another amount: the newer one counts.
                *slot = (before.amount != half.amount).then_some(half);
            } else {
                *slot = None;
                let (inward, outward) = if got { (half, before) } else { (before, half) };
                let place = *places.entry(party).or_insert_with(|| {
                    pools.push(PoolTrades { pool: party, id: None, trades: Vec::new() });
                    pools.len() - 1
                });
                pools[place].trades.push(Trade {
                    frame: flow.frame,
                    got: inward.asset,
                    got_amount: inward.amount,
                    gave: outward.asset,
                    gave_amount: outward.amount,
                });
            }
        }
    }
    pools.retain(|pool| !pool.trades.iter().all(|trade| wraps(pool.pool, trade)));
    if case.has_role(Role::SharedPool) {
        pools.extend(shared_pools::trades(case));
    }
    pools
}

/// Whether a trade is a wrapped coin's own: coins for their token, one for one.
fn wraps(pool: Party, trade: &Trade) -> bool {
    let own = Asset::Token(pool);
    matches!((trade.got, trade.gave), (Asset::Native, token) | (token, Asset::Native) if token == own)
        && trade.got_amount == trade.gave_amount
}

/// Pools that were traded one way and back.
pub(crate) fn round_trips(case: &Case<'_>) -> Vec<RoundTrip> {
    #[derive(Clone, Copy, Default)]
    struct Sums {
        /// Given and got again of the lesser asset, then of the greater one.
        gave: (U256, U256),
        got: (U256, U256),
        both_ways: (bool, bool),
        first: u32,
        last: u32,
        trades: usize,
        /// An amount was not told.
        unknown: bool,
    }
    let mut found = Vec::new();
    for pool in case.pools() {
        let own_account = pool.id.is_none() && case.is_conduit(pool.pool);
        if pool.trades.len() < 2 || own_account || case.wins(pool.pool) {
            continue;
        }
        if case.has_role(Role::SharedPool) && pool.id.is_none() && is_shared(case, pool.pool) {
            continue;
        }
        let mut pairs: HashMap<(Asset, Asset), Sums> = HashMap::new();
        for trade in pool.trades.iter().filter(|trade| !wraps(pool.pool, trade)) {
            let forward = trade.got < trade.gave;
            let key = if forward { (trade.got, trade.gave) } else { (trade.gave, trade.got) };
            let sums = pairs.entry(key).or_insert(Sums { first: trade.frame, ..Sums::default() });
            sums.last = trade.frame;
            sums.trades += 1;
            sums.unknown |= trade.got_amount.is_zero() || trade.gave_amount.is_zero();
            if forward {
                sums.both_ways.0 = true;
                sums.got.0 = sums.got.0.saturating_add(trade.got_amount);
                sums.gave.1 = sums.gave.1.saturating_add(trade.gave_amount);
            } else {
                sums.both_ways.1 = true;
                sums.got.1 = sums.got.1.saturating_add(trade.got_amount);
                sums.gave.0 = sums.gave.0.saturating_add(trade.gave_amount);
            }
        }
        for (assets, sums) in pairs {
            if sums.both_ways == (true, true) {
                let shares = share(sums.gave.0, sums.got.0).max(share(sums.gave.1, sums.got.1));
                let unwound = if sums.unknown { 100 } else { shares };
                found.push(RoundTrip {
                    pool: pool.pool,
                    id: pool.id,
                    assets,
                    frames: (sums.first, sums.last),
                    trades: sums.trades,
                    unwound,
                });
            }
        }
    }
    found.sort_by_key(|trip| (trip.frames, trip.pool, trip.assets));
    found
}

/// The lesser in percent of the greater.
fn share(left: U256, right: U256) -> u8 {
    let (less, more) = if left < right { (left, right) } else { (right, left) };
    if more.is_zero() {
        return 0;
    }
    // Amounts near the limit are compared coarsely.
    let (less, more) =
        if more >= U256::MAX / U256::from(100) { (less >> 8, more >> 8) } else { (less, more) };
    u8::try_from(less * U256::from(100) / more).unwrap_or(100)
}

/// Whether one contract holds many pools.
pub(crate) fn is_shared(case: &Case<'_>, party: Party) -> bool {
    case.frames().any(|(at, frame)| frame.to == party && case.roles(at).has(Role::SharedPool))
}
