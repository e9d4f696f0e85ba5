//! A contract gives back more of an asset than it got, in the same transaction.
//!
//! Whoever puts something in and takes more out at once has found a fault, whatever it is called:
//! a share price that can be moved, a withdrawal that is counted twice, a reward without waiting.
//!
//! Who wins at a game once, by one call, may just be lucky, so that this is less severe than when he
//! wins again and again, undoes what he lost, or makes the accounts that win.
//!
//! Known weaknesses: gains that come out elsewhere than where the money went in are not seen; what
//! was put in by an earlier transaction is known only where shares were given for it that can be seen
//! to go.

use std::collections::HashMap;

use alloy_primitives::U256;
use serde_json::Value;
use wk_model::Severity;
use wk_trace::{Asset, FrameKind, Party};

use crate::case::Case;
use crate::config::settings;
use crate::finding::{Class, TxFinding, hex, moved};

settings! { "instant_profit";
    /// Gains below this share of what was put in are left alone, in millionths.
    min_gain_ppm: u32 = 100,
}

const NAME: &str = "instant_profit";

struct Sums {
    gave: U256,
    got: U256,
    gave_first: bool,
    /// How often the direction changed, and which way the last went.
    turns: u32,
    side_gave: bool,
    last: u32,
}

/// Who gave back more than it got.
pub(crate) struct Generous {
    pub(crate) party: Party,
    pub(crate) asset: Asset,
    pub(crate) put_in: U256,
    pub(crate) taken_out: U256,
    pub(crate) last: u32,
    /// How often it gave and took by turns.
    pub(crate) turns: u32,
}

/// All who gave the attacker's side back more of an asset than they had got from it before.
pub(crate) fn generous(case: &Case<'_>, min_gain_ppm: u32) -> Vec<Generous> {
    let mut sums: HashMap<(Party, Asset), Sums> = HashMap::new();
    for flow in case.flows() {
        let (side_from, side_to) = (case.is_side(flow.from), case.is_side(flow.to));
        if side_from == side_to {
            continue;
        }
        let party = if side_from { flow.to } else { flow.from };
        let sums = sums.entry((party, flow.asset)).or_insert(Sums {
            gave: U256::ZERO,
            got: U256::ZERO,
            gave_first: side_from,
            turns: 0,
            side_gave: side_from,
            last: 0,
        });
        if sums.side_gave != side_from {
            sums.turns += 1;
            sums.side_gave = side_from;
        }
        let sum = if side_from { &mut sums.gave } else { &mut sums.got };
        *sum = sum.saturating_add(flow.amount);
        sums.last = flow.frame;
    }
    let mut found: Vec<Generous> = sums
        .into_iter()
        .filter(|((party, asset), sums)| {
            let least = sums
                .gave
                .checked_mul(U256::from(min_gain_ppm))
                .map_or(U256::ZERO, |product| product / U256::from(1_000_000));
            sums.gave_first
                && sums.got > sums.gave.saturating_add(least)
                && !case.wins(*party)
                && !case.is_conduit(*party)
                && *asset != Asset::Token(*party)
                && !is_wrapper(case, *party, *asset)
                && !brings_old_shares(case, *party)
        })
        .map(|((party, asset), sums)| Generous {
            party,
            asset,
            put_in: sums.gave,
            taken_out: sums.got,
            last: sums.last,
            turns: sums.turns,
        })
        .collect();
    found.sort_by_key(|generous| (generous.last, generous.party, generous.asset));
    found
}

/// A wrapped coin gives coins for its token: one for one, whoever brings it.
fn is_wrapper(case: &Case<'_>, party: Party, asset: Asset) -> bool {
    if asset != Asset::Native {
        return false;
    }
    let (coins_got, coins_gave) = case.got_and_gave(party, Asset::Native);
    let (tokens_got, tokens_gave) = case.got_and_gave(party, Asset::Token(party));
    coins_got == tokens_gave && coins_gave == tokens_got
}

/// Whether the side gives more of a contract's own shares than it got: then it takes out what it had
/// put in before. Who has shares of before needs no loan.
fn brings_old_shares(case: &Case<'_>, party: Party) -> bool {
    case.loans().is_empty() && case.losses().iter().any(|(asset, _)| *asset == Asset::Token(party))
}

/// Whether it may have been luck: coins alone, given and won by one call, once, by who was there
/// before, and nothing was tried that failed.
fn may_be_luck(case: &Case<'_>, found: &[Generous]) -> bool {
    let [won] = found else { return false };
    let by_one_call = || {
        let call = case.trace.ancestors(won.last).find(|(_, above)| {
            above.kind == FrameKind::Call && case.is_side(above.from) && above.to == won.party
        });
        call.is_some_and(|(_, call)| call.value == won.put_in)
    };
    won.turns == 1
        && case.trace.created.is_empty()
        && case.flows().iter().all(|flow| flow.asset == Asset::Native)
        && !case.trace.frames.iter().any(|frame| frame.reverted)
        && by_one_call()
}

pub(crate) fn detect(case: &Case<'_>, config: &Config, findings: &mut Vec<TxFinding>) {
    if !config.enabled || case.gains().is_empty() {
        return;
    }
    let found = generous(case, config.min_gain_ppm);
    let Some(first) = found.first() else { return };
    let victims: Vec<Value> = found
        .iter()
        .take(8)
        .map(|generous| {
            serde_json::json!({
                "victim": hex(case, generous.party),
                "put_in": moved(case, generous.asset, generous.put_in),
                "taken_out": moved(case, generous.asset, generous.taken_out),
            })
        })
        .collect();
    let borrowed = !case.loans().is_empty();
    let (severity, confidence) = if borrowed {
        (Severity::P0, 75)
    } else if may_be_luck(case, &found) {
        (Severity::P2, 45)
    } else {
        (Severity::P1, 75)
    };
    // In and out again and again, or out in many assets at once: the price of a share was moved.
    let by_turns = found.iter().any(|generous| generous.turns >= 5);
    let basket = found.iter().filter(|generous| generous.party == first.party).count() >= 3;
    let priced = borrowed && (by_turns || basket);
    let class = if priced { Class::PriceManipulation } else { Class::BusinessLogic };
    findings.push(
        TxFinding::new(NAME, class, severity, confidence)
            .party(case, "victim", first.party)
            .with("victims", victims)
            .with("last_frame", first.last)
            .with("borrowed", borrowed)
            .gains(case),
    );
    // Coins in and more coins out, and nothing else anywhere: a game that was won for sure.
    let coins_only = case.flows().iter().all(|flow| flow.asset == Asset::Native);
    if coins_only && !borrowed {
        findings.push(
            TxFinding::new(NAME, Class::Randomness, Severity::P2, 45)
                .party(case, "victim", first.party)
                .with("last_frame", first.last)
                .gains(case),
        );
    }
}
