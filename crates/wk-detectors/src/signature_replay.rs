//! Signatures that prove nothing: used again, given by nobody, or never looked at.
//!
//! A signature is checked by the precompiled contract at address 1. The same question asked for two
//! separate calls of the attacker's side, each of which pays, is a replay; an answer of nobody,
//! after which the contract pays all the same, is a forgery; a permit during which nothing was
//! checked is one that the token never understood.
//!
//! Known weaknesses: only traces that show calls of precompiled contracts tell; a signature used
//! again in a later transaction or on another chain is not seen here.

use std::collections::HashMap;

use alloy_primitives::{Address, address};
use wk_model::Severity;
use wk_trace::{FrameKind, Party};

use crate::case::Case;
use crate::config::settings;
use crate::finding::{Class, TxFinding};
use crate::signatures::Role;

settings! { "signature_replay";
}

const NAME: &str = "signature_replay";
const RECOVER: Address = address!("0000000000000000000000000000000000000001");
/// Checked signatures that are remembered in one transaction.
const MAX_CHECKS: usize = 4096;

pub(crate) fn detect(case: &Case<'_>, config: &Config, findings: &mut Vec<TxFinding>) {
    if !config.enabled {
        return;
    }
    let recover = case.trace.party(&RECOVER);
    let found = recover
        .and_then(|recover| replayed(case, recover).or_else(|| forged(case, recover)))
        .or_else(|| unchecked(case, recover));
    let Some((pattern, at, victim, severity, confidence)) = found else { return };
    findings.push(
        TxFinding::new(NAME, Class::SignatureReplay, severity, confidence)
            .with("pattern", pattern)
            .party(case, "victim", victim)
            .with("frame", at)
            .gains(case),
    );
}

type Found = (&'static str, u32, Party, Severity, u8);

/// The call of the sender's side around a frame.
fn call_of(case: &Case<'_>, at: u32) -> Option<u32> {
    case.trace
        .ancestors(at)
        .filter(|(_, above)| above.kind == FrameKind::Call)
        .find(|(_, above)| case.is_side(above.from) || above.parent.is_none())
        .map(|(at, _)| at)
}

fn paid_within(case: &Case<'_>, call: u32) -> bool {
    let end = case.frame(call).end;
    let start = case.flows().partition_point(|flow| flow.frame < call);
    case.flows()[start..]
        .iter()
        .take_while(|flow| flow.frame < end)
        .any(|flow| case.wins(flow.to) && !case.wins(flow.from))
}

fn replayed(case: &Case<'_>, recover: Party) -> Option<Found> {
    let mut seen: HashMap<(Party, &[u8]), u32> = HashMap::new();
    for (at, frame) in case.frames() {
        let checks = frame.to == recover && !frame.reverted && case.trace.input(frame).len() >= 128;
        if !checks || case.is_side(frame.from) || seen.len() >= MAX_CHECKS {
            continue;
        }
        let Some(call) = call_of(case, at) else { continue };
        let key = (frame.from, &case.trace.input(frame)[..128]);
        let before = *seen.entry(key).or_insert(call);
        let apart = before != call && case.frame(before).end <= call;
        if apart && paid_within(case, before) && paid_within(case, call) {
            return Some(("used_again", at, frame.from, Severity::P1, 75));
        }
    }
    None
}

fn forged(case: &Case<'_>, recover: Party) -> Option<Found> {
    case.frames().find_map(|(at, frame)| {
        let nobody = frame.to == recover
            && !frame.reverted
            && !case.is_side(frame.from)
            && case.trace.output_word(frame, 0).is_none_or(|word| word.is_zero());
        let call = call_of(case, at).filter(|_| nobody)?;
        let around = frame.parent.map(|parent| case.frame(parent))?;
        // What asks by other means afterwards (a contract's own check) has not relied on it.
        let asks_on = case
            .frames()
            .skip(at as usize + 1)
            .take_while(|(next, _)| *next < around.end)
            .any(|(next, below)| below.to == recover || case.selector(next) == 0x1626_ba7e);
        (!asks_on && paid_within(case, call)).then_some((
            "signed_by_nobody",
            at,
            frame.from,
            Severity::P2,
            60,
        ))
    })
}

/// A permit during which no signature was checked, though checks are shown, and a pull by it.
fn unchecked(case: &Case<'_>, recover: Option<Party>) -> Option<Found> {
    if !case.has_role(Role::Permit) {
        return None;
    }
    case.frames().find_map(|(at, frame)| {
        let permits = frame.kind == FrameKind::Call
            && !frame.reverted
            && case.roles(at).has(Role::Permit)
            && !case.is_side(frame.from)
            && !case.is_side(frame.to);
        if !permits || case.below(at).any(|(_, below)| Some(below.to) == recover) {
            return None;
        }
        let owner = case.trace.word_address(frame, 0)?;
        let owner = case.trace.party(&owner)?;
        let pulled = case.trace.transfers.iter().any(|transfer| {
            transfer.frame > at
                && transfer.from == owner
                && transfer.by == Some(frame.from)
                && !case.wins(owner)
        });
        // A token that answers a permit with a payment or nothing at all does not know it.
        let silent = frame.end == at + 1 && case.trace.output(frame).is_empty();
        let severity = if recover.is_some() { Severity::P2 } else { Severity::P3 };
        (pulled && silent && !case.is_active(owner)).then_some((
            "permit_not_checked",
            at,
            frame.from,
            severity,
            55,
        ))
    })
}
