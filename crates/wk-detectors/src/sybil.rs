//! Many fresh contracts, each of which does the same at one protocol.
//!
//! What is given once per account (an airdrop, a first bonus, a pledge that can be taken back) is
//! taken by as many accounts as the sender likes. The same thing put in and taken out again by one
//! account after the other was counted once for each.
//!
//! Known weaknesses: minters that open many positions at once by the rules of the protocol look the
//! same, so that this is of low severity unless money comes out.

use std::collections::HashMap;

use alloy_primitives::U256;
use wk_model::Severity;
use wk_trace::{Asset, FrameKind, Party};

use crate::case::Case;
use crate::config::settings;
use crate::finding::{Class, TxFinding};
use crate::signatures::Role;

settings! { "sybil";
    /// Fresh contracts that make it so.
    min_contracts: u32 = 4,
}

const NAME: &str = "sybil_contracts";

pub(crate) fn detect(case: &Case<'_>, config: &Config, findings: &mut Vec<TxFinding>) {
    let fresh: Vec<Party> = case
        .trace
        .created
        .iter()
        .map(|created| created.party)
        .filter(|party| case.is_side(*party))
        .collect();
    if !config.enabled || fresh.len() < config.min_contracts as usize {
        return;
    }
    // For each protocol: which fresh contracts called it, or were named to it.
    let mut served: HashMap<Party, Vec<Party>> = HashMap::new();
    for (at, frame) in case.frames() {
        let acts = frame.kind == FrameKind::Call
            && !frame.reverted
            && case.is_side(frame.from)
            && !case.is_side(frame.to)
            && case.selector(at) != 0
            && !case.roles(at).has(Role::Token);
        if !acts {
            continue;
        }
        let who = if case.is_fresh(frame.from) {
            Some(frame.from)
        } else {
            let named = case.trace.word_address(frame, 0);
            named
                .and_then(|address| case.trace.party(&address))
                .filter(|party| case.is_fresh(*party) && case.is_side(*party))
        };
        if let Some(who) = who {
            let known = served.entry(frame.to).or_default();
            if known.last() != Some(&who) {
                known.push(who);
            }
        }
    }
    let most = served.into_iter().max_by_key(|(party, served)| (served.len(), *party));
    let Some((victim, accounts)) = most else { return };
    if accounts.len() < config.min_contracts as usize {
        return;
    }
    let won = !case.gains().is_empty() && case.lost_something(victim);
    let passed_on = passed_on(case, victim) >= config.min_contracts as usize;
    let (severity, confidence) = match (won, passed_on) {
        (true, _) => (Severity::P1, 65),
        (false, true) => (Severity::P1, 60),
        (false, false) => (Severity::P2, 45),
    };
    // What a token gives to each of its holders is the token's own rule.
    let class = if case.is_token(victim) { Class::TokenMechanics } else { Class::BusinessLogic };
    findings.push(
        TxFinding::new(NAME, class, severity, confidence)
            .party(case, "victim", victim)
            .with("contracts", accounts.len())
            .with("passed_on", passed_on)
            .gains(case),
    );
}

/// Fresh accounts of the side that put the same amount of the same thing in and took it out again.
fn passed_on(case: &Case<'_>, protocol: Party) -> usize {
    let mut put_in: HashMap<Party, (Asset, U256)> = HashMap::new();
    let mut counts: HashMap<(Asset, U256), Vec<Party>> = HashMap::new();
    for flow in case.flows() {
        let thing = (flow.asset, flow.amount);
        if flow.to == protocol && case.is_fresh(flow.from) && case.is_side(flow.from) {
            put_in.insert(flow.from, thing);
        } else if flow.from == protocol && put_in.get(&flow.to) == Some(&thing) {
            let accounts = counts.entry(thing).or_default();
            if accounts.last() != Some(&flow.to) {
                accounts.push(flow.to);
            }
        }
    }
    counts.values().map(Vec::len).max().unwrap_or(0)
}
