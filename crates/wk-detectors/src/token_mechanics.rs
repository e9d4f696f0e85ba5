//! A pool brought out of step with its tokens: skimmed, synced, burnt from, while it is traded.
//!
//! Also: a token with rules of its own (it takes fees, acts on its pool while it is moved, changes the
//! pool's balance by itself) is traded there and back with a gain.
//!
//! Known weaknesses: balances of which nobody asks twice are not known to have changed by
//! themselves; a token that takes fees may be traded for a price's sake alone.

use std::collections::HashMap;

use alloy_primitives::U256;
use wk_model::Severity;
use wk_trace::{Asset, FrameKind, Party, TransferKind};

use crate::case::Case;
use crate::config::settings;
use crate::finding::{Class, TxFinding};
use crate::instant_profit::generous;
use crate::signatures::Role;

settings! { "token_mechanics";
    /// Transfers of nothing, or to oneself, that are no accident any more.
    min_idle_transfers: u32 = 8,
}

const NAME: &str = "token_mechanics";

pub(crate) fn detect(case: &Case<'_>, config: &Config, findings: &mut Vec<TxFinding>) {
    if !config.enabled || case.gains().is_empty() || case.pools().is_empty() {
        return;
    }
    let mut tricks = 0_u32;
    let mut idle = 0_u32;
    let mut first = None;
    for (at, frame) in case.frames() {
        if frame.kind != FrameKind::Call || frame.reverted || !case.is_side(frame.from) {
            continue;
        }
        if case.roles(at).has(Role::PoolTrick) && !case.is_side(frame.to) {
            tricks += 1;
            first.get_or_insert((at, frame.to));
        } else if case.selector(at) == 0xa905_9cbb {
            let nothing = case.trace.word(frame, 1) == Some(U256::ZERO);
            let oneself = case.trace.word_address(frame, 0) == Some(case.trace.address(frame.from));
            if nothing || oneself {
                idle += 1;
                first.get_or_insert((at, frame.to));
            }
        }
    }
    // The same tricks without a loss are how bots tidy up pools.
    let trips = crate::flows::round_trips(case);
    let generous = generous(case, 100);
    if trips.is_empty() && generous.is_empty() {
        return;
    }
    let enough = tricks > 0 || idle >= config.min_idle_transfers;
    let Some((at, victim)) = first.filter(|_| enough) else {
        let pools: Vec<Party> = trips
            .iter()
            .map(|trip| trip.pool)
            .chain(generous.iter().map(|generous| generous.party))
            .collect();
        findings.extend(own_rules(case, &pools));
        return;
    };
    findings.push(
        TxFinding::new(NAME, Class::TokenMechanics, Severity::P1, 74)
            .party(case, "victim", victim)
            .with("first_frame", at)
            .with("pool_calls", tricks)
            .with("idle_transfers", idle)
            .gains(case),
    );
}

/// A token with rules of its own, traded at one of the pools by which the side won.
fn own_rules(case: &Case<'_>, pools: &[Party]) -> Option<TxFinding> {
    let (rule, token, pool, at, confidence) = unasked(case, pools)
        .map(|(token, pool, at)| ("pool_balance_changed_by_itself", token, pool, at, 60))
        .or_else(|| {
            let (token, pool, at) = acts_on_pool(case, pools)?;
            Some(("token_acts_on_its_pool", token, pool, at, 55))
        })
        .or_else(|| {
            let (token, pool, at) = asked_for_more(case, pools)?;
            Some(("token_used_between_trades", token, pool, at, 45))
        })
        .or_else(|| {
            let pool = *pools.first()?;
            let (at, _) = case.frames().find(|(at, frame)| {
                case.roles(*at).has(Role::TaxedSwap) && !frame.reverted && case.is_side(frame.from)
            })?;
            Some(("token_takes_fees", pool, pool, at, 40))
        })?;
    let mut finding = TxFinding::new(NAME, Class::TokenMechanics, Severity::P2, confidence)
        .with("rule", rule)
        .party(case, "victim", pool)
        .with("first_frame", at)
        .gains(case);
    if token != pool {
        finding = finding.party(case, "token", token);
    }
    Some(finding)
}

type Seen = (Party, Party, u32);

/// Balances that fell which are followed up in one transaction.
const MAX_FALLEN: usize = 1024;

/// A pool's balance that fell though the pool gave nothing, or that someone else moved.
fn unasked(case: &Case<'_>, pools: &[Party]) -> Option<Seen> {
    let moved = case.trace.transfers.iter().find_map(|transfer| {
        let Asset::Token(token) = transfer.asset else { return None };
        let others = transfer.kind != TransferKind::Mint
            && token != transfer.from
            && pools.contains(&transfer.from)
            && transfer.by.is_some_and(|by| by != transfer.from && !case.is_side(transfer.to));
        others.then_some((token, transfer.from, transfer.frame))
    });
    if moved.is_some() {
        return moved;
    }
    let mut last: HashMap<(Party, Party), (u32, U256)> = HashMap::new();
    let mut fallen = 0;
    for (at, frame) in case.frames() {
        let asks = frame.kind == FrameKind::StaticCall
            && !frame.reverted
            && case.roles(at).has(Role::Balance);
        let Some(holder) = case.trace.word_address(frame, 0).filter(|_| asks) else { continue };
        let Some(holder) = case.trace.party(&holder).filter(|holder| pools.contains(holder)) else {
            continue;
        };
        let Some(now) = case.trace.output_word(frame, 0) else { continue };
        let before = last.insert((holder, frame.to), (at, now));
        let Some((then, held)) = before.filter(|(_, held)| now < *held) else { continue };
        fallen += 1;
        if fallen > MAX_FALLEN {
            return None;
        }
        let asset = Asset::Token(frame.to);
        let start = case.flows().partition_point(|flow| flow.frame <= then);
        let gave = case.flows()[start..]
            .iter()
            .take_while(|flow| flow.frame <= at)
            .any(|flow| flow.asset == asset && flow.from == holder);
        // One in a thousand may be dust of rounding.
        if !gave && held - now > held / U256::from(1000) {
            return Some((frame.to, holder, at));
        }
    }
    None
}

/// A token that calls its pool, or lets it be brought into step, while it is moved.
fn acts_on_pool(case: &Case<'_>, pools: &[Party]) -> Option<Seen> {
    case.frames().find_map(|(at, frame)| {
        let acts = frame.kind == FrameKind::Call
            && !frame.reverted
            && pools.contains(&frame.to)
            && case.is_token(frame.from)
            && !case.is_side(frame.from)
            && !case.roles(at).has(Role::Token);
        acts.then_some((frame.from, frame.to, at))
    })
}

/// A traded token that the side calls between the trades for something no other token has.
fn asked_for_more(case: &Case<'_>, pools: &[Party]) -> Option<Seen> {
    let pool = case.pools().iter().find(|pool| pools.contains(&pool.pool))?;
    let (first, last) = (pool.trades.first()?.frame, pool.trades.last()?.frame);
    case.frames()
        .skip(first as usize)
        .take_while(|(at, _)| *at <= last)
        .find(|(at, frame)| {
            frame.kind == FrameKind::Call
                && !frame.reverted
                && case.is_side(frame.from)
                && !case.is_side(frame.to)
                && frame.to != pool.pool
                && case.selector(*at) != 0
                && frame.value.is_zero()
                && !case.roles(*at).has(Role::Token)
                && pool
                    .trades
                    .iter()
                    .any(|trade| [trade.got, trade.gave].contains(&Asset::Token(frame.to)))
                && case.selector(*at) != 0x2e1a_7d4d
        })
        .map(|(at, frame)| (frame.to, pool.pool, at))
}
