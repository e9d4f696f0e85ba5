//! A contract that held something holds it no more: nearly all of it has left to the attacker's side.
//!
//! What was held is known when anyone asked for the balance before. Who takes all of it, and gives
//! nothing for it, was either trusted with it or should not have been able to.
//!
//! Known weaknesses: balances that nobody asks for are not known, coins least of all; people who
//! close their own positions empty small contracts, too, so that one asset alone is of low severity.

use std::collections::HashMap;

use alloy_primitives::U256;
use wk_model::Severity;
use wk_trace::{Asset, FrameKind, Party};

use crate::case::Case;
use crate::config::settings;
use crate::finding::{Class, TxFinding, moved};
use crate::signatures::Role;

settings! { "emptied";
    /// How much of what was held must have left, in percent.
    min_share_percent: u8 = 90,
}

const NAME: &str = "emptied_contract";

/// Holdings that are remembered in one transaction.
const MAX_HOLDINGS: usize = 2_000;

struct Emptied {
    victim: Party,
    asset: Asset,
    held: U256,
    left: U256,
    /// The question that told what was held.
    frame: u32,
    /// The attacker's side asked it.
    looked: bool,
}

pub(crate) fn detect(case: &Case<'_>, config: &Config, findings: &mut Vec<TxFinding>) {
    if !config.enabled || !case.has_role(Role::Balance) || case.flows().is_empty() {
        return;
    }
    let emptied = emptied(case, config.min_share_percent);
    let Some(first) = emptied.iter().max_by_key(|emptied| emptied.looked) else { return };
    let traded = case.pools().iter().any(|pool| pool.pool == first.victim);
    let given = case.flows().iter().any(|flow| case.is_side(flow.from) && !case.is_side(flow.to));
    let class = match (traded, given) {
        (true, _) => Class::PriceManipulation,
        (false, true) => Class::BusinessLogic,
        (false, false) => Class::AccessControl,
    };
    let many = emptied.iter().filter(|emptied| emptied.victim == first.victim).count() > 1;
    let (severity, confidence) = match (first.looked, many || !case.loans().is_empty()) {
        (true, true) => (Severity::P2, 62),
        (true, false) => (Severity::P2, 55),
        (false, true) => (Severity::P3, 40),
        (false, false) => (Severity::P3, 30),
    };
    findings.push(
        TxFinding::new(NAME, class, severity, confidence)
            .party(case, "victim", first.victim)
            .with("asked_in_frame", first.frame)
            .with("held", moved(case, first.asset, first.held))
            .with("left", moved(case, first.asset, first.left))
            .gains(case),
    );
}

fn emptied(case: &Case<'_>, share: u8) -> Vec<Emptied> {
    let mut seen: HashMap<(Party, Party), ()> = HashMap::new();
    let mut found: Vec<Emptied> = Vec::new();
    for (at, frame) in case.frames() {
        let asks = frame.kind == FrameKind::StaticCall
            && !frame.reverted
            && case.roles(at).has(Role::Balance)
            && seen.len() < MAX_HOLDINGS;
        if !asks {
            continue;
        }
        let Some(holder) =
            case.trace.word_address(frame, 0).and_then(|address| case.trace.party(&address))
        else {
            continue;
        };
        if seen.insert((holder, frame.to), ()).is_some() {
            continue;
        }
        let asset = Asset::Token(frame.to);
        let Some(held) = case.trace.output_word(frame, 0).filter(|held| *held > U256::from(1000))
        else {
            continue;
        };
        let (got, gave) = case.got_and_gave(holder, asset);
        let left = gave.saturating_sub(got);
        let most = held.checked_mul(U256::from(share)).map_or(held, |part| part / U256::from(100));
        let taken = left >= most
            && left <= held
            && !case.is_side(holder)
            && !case.is_fresh(holder)
            && holder != frame.from
            && case.is_active(holder)
            && case.flows().iter().any(|flow| {
                flow.asset == asset
                    && flow.from == holder
                    && case.is_side(flow.to)
                    && flow.frame > at
            });
        if taken {
            found.push(Emptied {
                victim: holder,
                asset,
                held,
                left,
                frame: at,
                looked: case.is_side(frame.from) && frame.from != case.trace.sender,
            });
        }
    }
    found
}
