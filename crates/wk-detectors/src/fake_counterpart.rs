//! A protocol asks a contract of the caller's own something that is not a callback, and pays.
//!
//! The caller names its own contract as token, vault, market or owner; the protocol believes what it
//! answers. The protocol ends with less, and nobody gave it anything.
//!
//! Known weaknesses: the caller's contract is only known as such when the caller calls it or makes
//! it in the same transaction; tokens that trade their own fees at a router are left out by the
//! function through which they were entered.

use std::collections::BTreeSet;

use wk_model::Severity;
use wk_trace::{Asset, FrameKind, Party};

use crate::case::Case;
use crate::config::settings;
use crate::finding::{Class, TxFinding, hex};
use crate::signatures::Role;

settings! { "fake_counterpart";
}

const NAME: &str = "fake_counterpart";

/// `isValidSignature(bytes32,bytes)` (ERC-1271) and `supportsInterface(bytes4)` (ERC-165): questions
/// that any wallet answers.
const WALLETS: [u32; 2] = [0x1626_ba7e, 0x01ff_c9a7];

pub(crate) fn detect(case: &Case<'_>, config: &Config, findings: &mut Vec<TxFinding>) {
    if !config.enabled || case.gains().is_empty() || case.trace.frames.len() < 4 {
        return;
    }
    let mut asked: Option<(u32, Party)> = None;
    let mut functions: BTreeSet<String> = BTreeSet::new();
    for (at, frame) in case.frames() {
        let asks = matches!(frame.kind, FrameKind::Call | FrameKind::StaticCall)
            && !frame.reverted
            && frame.parent.is_some()
            && case.is_side(frame.to)
            && !case.is_side(frame.from)
            && frame.to != case.trace.sender
            && case.selector(at) != 0
            && !WALLETS.contains(&case.selector(at));
        let roles = case.roles(at);
        if !asks || roles.has(Role::LoanCallback) || roles.has(Role::TokenHook) {
            continue;
        }
        let asker = frame.from;
        if !case.only_lost(asker) || is_real_token(case, frame.to) || !named(case, at, frame.to) {
            continue;
        }
        functions.insert(format!("0x{:08x}", case.selector(at)));
        asked.get_or_insert((at, asker));
    }
    let Some((at, victim)) = asked else {
        findings.extend(unproven(case));
        return;
    };
    findings.push(
        TxFinding::new(NAME, Class::AccessControl, Severity::P1, 72)
            .party(case, "victim", victim)
            .with("counterpart", hex(case, case.frame(at).to))
            .with("asked_in_frame", at)
            .with("functions", functions.into_iter().take(16).collect::<Vec<_>>())
            .gains(case),
    );
}

/// Whether a contract of the side is a token that others hold, too.
fn is_real_token(case: &Case<'_>, party: Party) -> bool {
    case.flows().iter().any(|flow| {
        flow.asset == Asset::Token(party) && !case.is_side(flow.from) && flow.from != party
    })
}

/// Whether the side named an account in a call to someone else, on the way to frame `at`; in one that
/// came from the sender itself the account may also be the sender's own contract.
fn named(case: &Case<'_>, at: u32, party: Party) -> bool {
    let address = case.trace.address(party);
    case.trace.ancestors(at).any(|(_, above)| {
        let input = case.trace.input(above);
        case.is_side(above.from)
            && !case.is_side(above.to)
            && input.len() >= 36
            && input[4..].chunks_exact(32).any(|word| word[12..] == address[..])
    })
}

/// A contract that the caller named is asked to hand over an amount, does nothing, and the asker
/// pays that amount.
fn unproven(case: &Case<'_>) -> Option<TxFinding> {
    let (at, frame) = case.frames().find(|(at, frame)| {
        frame.kind == FrameKind::Call
            && !frame.reverted
            && frame.end == at + 1
            && case.selector(*at) != 0
            && !case.is_side(frame.from)
            && !case.is_side(frame.to)
            && !case.is_token(frame.to)
            && !case.roles(*at).has(Role::Token)
            && case.trace.output(frame).is_empty()
            && case.only_lost(frame.from)
            && named(case, *at, frame.to)
            && pays_asked_amount(case, *at, frame.from)
    })?;
    Some(
        TxFinding::new(NAME, Class::AccessControl, Severity::P2, 50)
            .party(case, "victim", frame.from)
            .party(case, "counterpart", frame.to)
            .with("asked_in_frame", at)
            .with("functions", vec![format!("0x{:08x}", case.selector(at))])
            .gains(case),
    )
}

fn pays_asked_amount(case: &Case<'_>, at: u32, asker: Party) -> bool {
    let frame = case.frame(at);
    let words = (case.trace.input(frame).len().saturating_sub(4) / 32).min(8);
    case.flows().iter().any(|flow| {
        flow.from == asker
            && case.wins(flow.to)
            && flow.frame > at
            && (0..words).any(|n| case.trace.word(frame, n) == Some(flow.amount))
    })
}
