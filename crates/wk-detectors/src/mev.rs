//! Trades, arbitrage, liquidations and sandwiches: what bots do, without blame.
//!
//! Trades are read as mev-inspect-py does, so that numbers can be compared: a call of a known swap
//! function, with what the pool got last before it and the one transfer that it made to the
//! recipient. An arbitrage is a route of trades that ends with the asset it began with, one
//! percent of slack between two legs. A sandwich is a trade, others' trades in the same direction
//! at the same pool, and the trade back.

use alloy_primitives::{Address, U256};
use wk_trace::{FrameKind, Party, TxTrace};

use crate::case::Case;
use crate::flows::Trade;
use crate::signatures::{Role, roles};

/// Trades of one transaction among which routes are looked for; more are no arbitrage by hand.
const MAX_TRADES: usize = 64;
/// Trades tried while looking for routes, in one transaction.
const MAX_STEPS: usize = 200_000;

/// A call of a swap function, and what moved by it. It may have been reverted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Swap {
    /// The call.
    pub frame: u32,
    /// The pool.
    pub pool: Address,
    /// Who gave what the pool got.
    pub from: Address,
    /// Who got what the pool gave.
    pub to: Address,
    /// What the pool got; none for coins.
    pub token_in: Option<Address>,
    /// How much.
    pub amount_in: U256,
    /// What the pool gave.
    pub token_out: Option<Address>,
    /// How much.
    pub amount_out: U256,
    /// Whether it was undone.
    pub reverted: bool,
}

/// Where a swap function names the recipient.
enum Recipient {
    Argument(usize),
    Caller,
}

fn recipient(selector: u32) -> Option<Recipient> {
    Some(match selector {
        // swap(uint256,uint256,address,bytes), Uniswap V2
        0x022c_0d9f => Recipient::Argument(2),
        // swap(address,bool,int256,uint160,bytes), Uniswap V3
        0x128a_cb08 => Recipient::Argument(0),
        // swapExactAmountIn and swapExactAmountOut(address,uint256,address,uint256,uint256), Balancer V1;
        // exchange and exchange_underlying(int128,int128,uint256,uint256), exchange(uint256,…), Curve
        0x8201_aa3f | 0x7c5e_9ea4 | 0x3df0_2124 | 0xa641_7ed6 | 0x5b41_b908 | 0x3947_47c5
        | 0x65b2_489b => Recipient::Caller,
        _ => return None,
    })
}

#[derive(Clone, Copy)]
struct Moved {
    frame: u32,
    token: Address,
    from: Address,
    to: Address,
    amount: U256,
}

/// All swaps of a transaction, in order.
pub fn swaps(trace: &TxTrace) -> Vec<Swap> {
    let any = trace.frames.iter().any(|frame| recipient(trace.selector(frame)).is_some());
    if !any {
        return Vec::new();
    }
    let moves = moves(trace);
    let mut swaps = Vec::new();
    for (at, frame) in (0_u32..).zip(&trace.frames) {
        if frame.kind != FrameKind::Call {
            continue;
        }
        let Some(recipient) = recipient(trace.selector(frame)) else { continue };
        let pool = trace.address(frame.to);
        let to = match recipient {
            Recipient::Caller => Some(trace.address(frame.from)),
            Recipient::Argument(n) => trace.word_address(frame, n),
        };
        let Some(to) = to else { continue };
        let start = moves.partition_point(|moved| moved.frame <= at);
        let end = moves.partition_point(|moved| moved.frame < frame.end);
        let (prior, within) = (&moves[..start.min(end)], &moves[start..end.max(start)]);
        let last = |moves: &[Moved]| moves.iter().rev().find(|moved| moved.to == pool).copied();
        let given = if frame.value.is_zero() {
            last(prior).or_else(|| last(within)).map(|m| (m.from, Some(m.token), m.amount))
        } else {
            Some((trace.address(frame.from), None, frame.value))
        };
        let Some((from, token_in, amount_in)) = given else { continue };
        let mut taken = within.iter().filter(|moved| moved.from == pool && moved.to == to);
        let (Some(out), None) = (taken.next(), taken.next()) else { continue };
        swaps.push(Swap {
            frame: at,
            pool,
            from,
            to,
            token_in,
            amount_in,
            token_out: Some(out.token),
            amount_out: out.amount,
            reverted: frame.reverted,
        });
    }
    swaps
}

/// Calls that move tokens, whether undone or not, without those inside of others.
fn moves(trace: &TxTrace) -> Vec<Moved> {
    let mut moves: Vec<Moved> = Vec::new();
    let mut inside = 0;
    for (at, frame) in (0_u32..).zip(&trace.frames) {
        if frame.kind != FrameKind::Call || at < inside {
            continue;
        }
        let ends = match trace.selector(frame) {
            0xa905_9cbb => (Some(trace.address(frame.from)), trace.word_address(frame, 0), 1),
            0x23b8_72dd => (trace.word_address(frame, 0), trace.word_address(frame, 1), 2),
            _ => continue,
        };
        let (Some(from), Some(to), n) = ends else { continue };
        let Some(amount) = trace.word(frame, n) else { continue };
        moves.push(Moved { frame: at, token: trace.address(frame.to), from, to, amount });
        inside = frame.end;
    }
    moves
}

/// Routes of swaps that end with what they began with.
pub fn arbitrages(swaps: &[Swap]) -> Vec<Vec<Swap>> {
    if swaps.len() < 2 || swaps.len() > MAX_TRADES {
        return Vec::new();
    }
    let mut used = vec![false; swaps.len()];
    let mut found: Vec<Vec<usize>> = Vec::new();
    let mut steps = MAX_STEPS;
    for start in 0..swaps.len() {
        let first = &swaps[start];
        if used[start] || swaps.iter().any(|swap| swap.pool == first.from) {
            continue;
        }
        let ends: Vec<usize> = (0..swaps.len())
            .filter(|end| {
                let last = &swaps[*end];
                *end != start
                    && !used[*end]
                    && last.token_out == first.token_in
                    && last.to == first.from
            })
            .collect();
        if let Some(route) = route(swaps, start, &ends, &mut steps) {
            route.iter().for_each(|place| used[*place] = true);
            found.push(route);
        }
    }
    if found.len() > 1 {
        found.retain(|route| route.first() < route.last());
    }
    found.iter().map(|route| route.iter().map(|place| swaps[*place]).collect()).collect()
}

/// The shortest way from one swap to any of some others, breadth first.
fn route(swaps: &[Swap], start: usize, ends: &[usize], steps: &mut usize) -> Option<Vec<usize>> {
    if ends.is_empty() {
        return None;
    }
    let mut from: Vec<Option<usize>> = vec![None; swaps.len()];
    let mut queue = std::collections::VecDeque::from([start]);
    while let Some(at) = queue.pop_front() {
        for next in ends.iter().copied().chain(0..swaps.len()) {
            *steps = steps.checked_sub(1)?;
            let seen = next == start || from[next].is_some();
            if seen || !follows(&swaps[at], &swaps[next]) {
                continue;
            }
            from[next] = Some(at);
            if ends.contains(&next) {
                let mut way = vec![next];
                while let Some(before) = from[*way.last().expect("it begins with one")] {
                    way.push(before);
                }
                way.reverse();
                return Some(way);
            }
            queue.push_back(next);
        }
    }
    None
}

/// Whether what one swap gave is what the other got.
fn follows(out: &Swap, next: &Swap) -> bool {
    out.token_out == next.token_in
        && (out.pool == next.from || out.to == next.pool || out.to == next.from)
        && within_a_percent(out.amount_out, next.amount_in)
}

fn within_a_percent(left: U256, right: U256) -> bool {
    let (less, more) = if left < right { (left, right) } else { (right, left) };
    more - less <= more / U256::from(100)
}

/// Whether the side traded in a circle and won by it, though not all its trades are known ones.
///
/// Trades are those lifted from what moved, whatever the function: each leg begins with what the one
/// before gave, one percent of slack as between known ones, and the last gives what the first got.
pub(crate) fn circles(case: &Case<'_>, swaps: &[Swap]) -> bool {
    let Some(first) = case.trace.frames.first() else { return false };
    let public = roles(case.trace.selector(first)).has(Role::PublicEntry);
    if swaps.is_empty() || public || case.gains().is_empty() || !case.losses().is_empty() {
        return false;
    }
    let mut legs: Vec<(Party, &Trade)> = case
        .pools()
        .iter()
        .filter(|pool| !case.is_conduit(pool.pool))
        .flat_map(|pool| pool.trades.iter().map(move |trade| (pool.pool, trade)))
        .collect();
    if legs.len() < 2 || legs.len() > MAX_TRADES {
        return false;
    }
    legs.sort_by_key(|(_, trade)| trade.frame);
    // Among known trades alone, routes have been looked for already.
    let known = |pool: &Party| swaps.iter().any(|swap| swap.pool == case.trace.address(*pool));
    if legs.iter().all(|(pool, _)| known(pool)) {
        return false;
    }
    let follows = |pair: &[(Party, &Trade)]| {
        let (out, next) = (pair[0].1, pair[1].1);
        pair[0].0 != pair[1].0
            && out.gave == next.got
            && within_a_percent(out.gave_amount, next.got_amount)
    };
    let (start, end) = (legs[0].1, legs[legs.len() - 1].1);
    legs.windows(2).all(follows) && start.got == end.gave && end.gave_amount > start.got_amount
}

/// Whether a frame is a liquidation that took place.
pub(crate) fn liquidates(case: &Case<'_>) -> bool {
    case.has_role(Role::Liquidation)
        && case.frames().any(|(at, frame)| {
            case.roles(at).has(Role::Liquidation)
                && frame.kind == FrameKind::Call
                && !frame.reverted
                && !refused(case, at)
        })
}

/// Whether the debtor of a liquidation is of the liquidator's own side: such debts were made to fail.
pub(crate) fn liquidates_itself(case: &Case<'_>) -> bool {
    case.has_role(Role::Liquidation)
        && case.frames().any(|(at, frame)| {
            case.roles(at).has(Role::Liquidation)
                && frame.kind == FrameKind::Call
                && !frame.reverted
                && case.is_side(frame.from)
                && (0..3).any(|n| {
                    let named = case.trace.word_address(frame, n);
                    named
                        .and_then(|address| case.trace.party(&address))
                        .is_some_and(|party| case.is_side(party) && party != frame.from)
                })
        })
}

/// Compound's markets and Aave V1 answer with an error code instead of failing.
fn refused(case: &Case<'_>, at: u32) -> bool {
    let answers = matches!(case.selector(at), 0xf5e3_c462 | 0xaae4_0a2a | 0x00a7_18a9);
    let code = case.trace.output_word(case.frame(at), 0);
    answers && code.is_some_and(|code| !code.is_zero())
}

/// One sandwich of a block; numbers are places of transactions among those given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sandwich {
    /// Who made it.
    pub sandwicher: Address,
    /// The pool.
    pub pool: Address,
    /// The trade before the victims'.
    pub front: usize,
    /// The victims' transactions.
    pub victims: Vec<usize>,
    /// The trade after.
    pub back: usize,
}

/// Finds the sandwiches of a block whose transactions are given in order, each with its swaps.
pub fn sandwiches(block: &[(&TxTrace, Vec<Swap>)]) -> Vec<Sandwich> {
    let mut found: Vec<Sandwich> = Vec::new();
    // Trades of each pool in order: only those can be each other's victims.
    let mut by_pool: std::collections::BTreeMap<Address, Vec<(usize, Swap)>> = Default::default();
    for (place, (_, swaps)) in block.iter().enumerate() {
        for swap in swaps.iter().filter(|swap| !swap.reverted) {
            by_pool.entry(swap.pool).or_default().push((place, *swap));
        }
    }
    for (pool, trades) in by_pool {
        for (at, (front_place, front)) in trades.iter().enumerate() {
            if !is_own(block[*front_place].0, front.to) {
                continue;
            }
            let mut victims = Vec::new();
            for (place, other) in &trades[at + 1..] {
                if place == front_place {
                    continue;
                }
                let same = other.token_in == front.token_in && other.token_out == front.token_out;
                let back = other.token_out == front.token_in && other.token_in == front.token_out;
                if same && other.from != front.to {
                    victims.push(*place);
                } else if back && other.from == front.to && !victims.is_empty() {
                    victims.dedup();
                    found.push(Sandwich {
                        sandwicher: front.to,
                        pool,
                        front: *front_place,
                        victims,
                        back: *place,
                    });
                    break;
                }
            }
        }
    }
    found.sort_by_key(|sandwich| (sandwich.front, sandwich.back));
    found
}

/// Whether an account is the sender's own: itself or the contract it called, unless that is a
/// public one.
fn is_own(trace: &TxTrace, account: Address) -> bool {
    let Some(first) = trace.frames.first() else { return false };
    let public = roles(trace.selector(first)).has(Role::PublicEntry);
    account == trace.address(trace.sender) || (account == trace.address(first.to) && !public)
}
