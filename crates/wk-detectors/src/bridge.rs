//! What a bridge lets out, or lets be done, that it should not.
//!
//! Takeover: what a message makes the bridge call is a contract by which the bridge itself keeps its
//! books, and which the message names. Release: the attacker's side itself brings a message by which
//! tokens come to it, and nothing that it gave explains them; less so when a signature was checked for
//! it. Deposit: what is to be
//! locked is no token, so that nothing was.
//!
//! Known weaknesses: whether a release has its deposit on the other chain is a question for the
//! matching of both sides, not for one transaction; people who fetch their own transfers look like
//! the second pattern, so that it is of low severity.

use alloy_primitives::Address;
use wk_model::Severity;
use wk_trace::{Asset, FrameKind, Party};

use crate::case::Case;
use crate::config::settings;
use crate::finding::{Class, TxFinding};
use crate::signatures::Role;

settings! { "bridge";
}

/// Bytes of call data that are searched in one transaction.
const MAX_SEARCHED: usize = 4 << 20;
/// Arguments of a message among which the one is that gets what is released.
const NAMED: usize = 4;
/// Calls of a bridge that are followed up in one transaction.
const MAX_LOOKED: usize = 1024;

pub(crate) fn detect(case: &Case<'_>, config: &Config, findings: &mut Vec<TxFinding>) {
    if !config.enabled {
        return;
    }
    let message = case.has_role(Role::BridgeRelease);
    let found = if message { takeover(case).or_else(|| release(case)) } else { None };
    findings.extend(found.or_else(|| deposit_of_nothing(case)));
}

/// A token is moved at the address zero, where calls succeed and nothing is.
fn deposit_of_nothing(case: &Case<'_>) -> Option<TxFinding> {
    let nowhere = case.trace.party(&Address::ZERO)?;
    let (at, frame) = case.frames().find(|(at, frame)| {
        frame.to == nowhere
            && frame.kind == FrameKind::Call
            && !frame.reverted
            && frame.parent.is_some()
            // transferFrom(address,address,uint256)
            && case.selector(*at) == 0x23b8_72dd
            && case.trace.input(frame).len() == 100
    })?;
    Some(
        TxFinding::new("bridge_deposit", Class::Bridge, Severity::P2, 60)
            .with("pattern", "deposit_of_nothing")
            .party(case, "victim", frame.from)
            .with("frame", at),
    )
}

/// A bridge's call to its own books that the message asked for.
fn takeover(case: &Case<'_>) -> Option<TxFinding> {
    let (mut searched, mut looked) = (0, 0);
    for (at, frame) in case.frames() {
        let executes = frame.kind == FrameKind::Call
            && !frame.reverted
            && frame.from != frame.to
            && !case.is_token(frame.to)
            && case.selector(at) != 0;
        if !executes {
            continue;
        }
        let bridge = frame.from;
        let message =
            case.trace.ancestors(at).find(|(above, _)| case.roles(*above).has(Role::BridgeRelease));
        let Some((message, around)) = message.filter(|(_, around)| around.to == bridge) else {
            continue;
        };
        looked += 1;
        if looked > MAX_LOOKED {
            return None;
        }
        // Books are what the bridge asks before it acts.
        let kept = case
            .below(message)
            .take_while(|(below, _)| *below < at)
            .filter(|(_, below)| below.from == bridge && below.to == frame.to && below.enters())
            .count();
        if kept < 2 || case.trace.input(frame).len() < 68 {
            continue;
        }
        let told = case.trace.input(around);
        searched += told.len();
        if searched > MAX_SEARCHED {
            return None;
        }
        let books: Address = case.trace.address(frame.to);
        if !told.windows(20).any(|part| part == books.as_slice()) {
            continue;
        }
        return Some(
            TxFinding::new("bridge_takeover", Class::Bridge, Severity::P1, 70)
                .party(case, "victim", frame.to)
                .party(case, "bridge", bridge)
                .with("frame", at)
                .with("function", format!("0x{:08x}", case.selector(at))),
        );
    }
    None
}

fn release(case: &Case<'_>) -> Option<TxFinding> {
    let (at, frame) = case.frames().find(|(at, frame)| {
        case.roles(*at).has(Role::BridgeRelease) && frame.kind == FrameKind::Call && !frame.reverted
    })?;
    let caller = case.trace.sender;
    let own = |party: Party| party == caller || (case.is_side(party) && party != frame.to);
    let (mut got, mut paid) = (None, false);
    for flow in case.flows() {
        let within = flow.frame >= at && flow.frame < frame.end;
        if own(flow.from) && !own(flow.to) {
            // Coins that are sent along with a message for tokens are its fee.
            if flow.asset != Asset::Native {
                return None;
            }
            paid = true;
        }
        if within && own(flow.to) && !own(flow.from) {
            got = Some(flow.asset);
        }
    }
    if paid && got == Some(Asset::Native) {
        return None;
    }
    // A token that releases new units of its own tells so by an event alone: where those are not
    // known, whom the message names must do.
    let unseen = || {
        let named = (0..NAMED).filter_map(|n| case.trace.word_address(frame, n));
        !case.trace.known.logs && named.into_iter().any(|to| to == case.trace.address(caller))
    };
    if got.is_none() && !unseen() {
        return None;
    }
    let checks = case.trace.checks.iter().any(|check| check.frame >= at && check.frame < frame.end);
    Some(
        TxFinding::new("bridge_release", Class::Bridge, Severity::P3, if checks { 20 } else { 35 })
            .party(case, "victim", frame.to)
            .with("frame", at)
            .with("function", format!("0x{:08x}", case.selector(at)))
            .with("signature_checked", checks),
    )
}
