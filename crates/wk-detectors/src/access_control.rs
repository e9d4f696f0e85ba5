//! Rights that were not the caller's: taken and used at once, or left open by the contract.
//!
//! Five patterns: a contract runs code of the attacker's in its own name; what only a lender or pool
//! is to call is called by the attacker; the side makes itself owner (or minter, admin …) of a
//! contract, then wins by that contract in the same transaction; a function whose name says that it
//! is internal is called from outside; a contract that exists already is initialised.
//!
//! Known weaknesses: deployers initialise their own contracts in a transaction of its own, which
//! looks like the last pattern, so that this is of low severity, unless the contract is known to have
//! been in use (`usage`).

use alloy_primitives::Address;
use wk_model::Severity;
use wk_trace::{Frame, FrameKind, Party};

use crate::case::Case;
use crate::config::settings;
use crate::finding::{Class, TxFinding};
use crate::signatures::Role;

settings! { "access_control";
}

pub(crate) const NAME: &str = "access_control";
/// The pattern of a contract that its sender initialises, which was there before.
pub(crate) const INITIALISED: &str = "initialised_by_sender";

pub(crate) fn detect(case: &Case<'_>, config: &Config, findings: &mut Vec<TxFinding>) {
    if !config.enabled {
        return;
    }
    let finding = possessed(case)
        .or_else(|| called_back(case))
        .or_else(|| taken(case))
        .or_else(|| internal(case))
        .or_else(|| initialised(case));
    findings.extend(finding);
}

/// A contract that is not the side's delegates to code of the side's.
fn possessed(case: &Case<'_>) -> Option<TxFinding> {
    let (at, frame) = case.frames().find(|(_, frame)| {
        frame.kind == FrameKind::Delegate
            && !frame.reverted
            && frame.code != frame.to
            && case.is_side(frame.code)
            && !case.is_side(frame.to)
            && !case.is_fresh(frame.to)
    })?;
    let lost = !case.gains().is_empty() && case.lost_something(frame.to);
    let voted = case.has_role(Role::Governance) || !case.loans().is_empty();
    let class = if voted { Class::Governance } else { Class::AccessControl };
    let (severity, confidence) = if lost { (Severity::P1, 80) } else { (Severity::P2, 50) };
    Some(
        TxFinding::new(NAME, class, severity, confidence)
            .with("pattern", "runs_code_of_the_caller")
            .party(case, "victim", frame.to)
            .party(case, "code", frame.code)
            .with("frame", at)
            .gains(case),
    )
}

/// A lender's callback, called by one who lent nothing, on a contract that then pays.
fn called_back(case: &Case<'_>) -> Option<TxFinding> {
    let (at, frame) = case.frames().find(|(at, frame)| {
        case.roles(*at).has(Role::LoanCallback)
            && frame.kind == FrameKind::Call
            && !frame.reverted
            && case.is_side(frame.from)
            && !case.is_side(frame.to)
            && !case.is_fresh(frame.to)
            && case.lost_something(frame.to)
    })?;
    let paid = case
        .flows()
        .iter()
        .any(|flow| flow.frame > at && flow.frame < frame.end && flow.from == frame.to);
    (paid && !case.gains().is_empty()).then(|| {
        TxFinding::new(NAME, Class::AccessControl, Severity::P2, 65)
            .with("pattern", "callback_by_a_stranger")
            .party(case, "victim", frame.to)
            .with("frame", at)
            .with("function", format!("0x{:08x}", case.selector(at)))
            .gains(case)
    })
}

/// The side names itself (or is the caller of) an ownership function, then wins from that contract.
fn taken(case: &Case<'_>) -> Option<TxFinding> {
    let rights = case.has_role(Role::Ownership) || case.has_role(Role::Initializer);
    if !rights || case.gains().is_empty() {
        return None;
    }
    let (at, frame) = case.frames().find(|(at, frame)| {
        let roles = case.roles(*at);
        (roles.has(Role::Ownership) || roles.has(Role::Initializer))
            && acts_from_contract(case, frame)
            && names_side(case, frame)
            && used_after(case, *at, frame.to)
    })?;
    Some(
        TxFinding::new(NAME, Class::AccessControl, Severity::P0, 82)
            .with("pattern", "rights_taken")
            .party(case, "victim", frame.to)
            .with("frame", at)
            .with("function", format!("0x{:08x}", case.selector(at)))
            .gains(case),
    )
}

fn acts_from_contract(case: &Case<'_>, frame: &Frame) -> bool {
    frame.kind == FrameKind::Call
        && !frame.reverted
        && frame.from != case.trace.sender
        && case.is_side(frame.from)
        && !case.is_side(frame.to)
        && !case.is_fresh(frame.to)
}

fn names_side(case: &Case<'_>, frame: &Frame) -> bool {
    (0..8).any(|n| {
        let named: Option<Address> = case.trace.word_address(frame, n);
        named
            .and_then(|address| case.trace.party(&address))
            .is_some_and(|party| case.is_side(party))
    })
}

/// Whether the side calls the contract again later, and something of it or by it moves.
fn used_after(case: &Case<'_>, at: u32, contract: Party) -> bool {
    case.frames().skip(at as usize + 1).any(|(later, frame)| {
        frame.to == contract
            && frame.kind == FrameKind::Call
            && !frame.reverted
            && case.is_side(frame.from)
            && !case.roles(later).has(Role::Ownership)
    })
}

/// A function with an internal name, called by the sender's side; surer when it is told to act on an
/// account of somebody else, as such functions are when nobody checks whose it is.
fn internal(case: &Case<'_>) -> Option<TxFinding> {
    if !case.has_role(Role::InternalName) {
        return None;
    }
    let (at, frame) = case.frames().find(|(at, frame)| {
        case.roles(*at).has(Role::InternalName)
            && frame.kind == FrameKind::Call
            && !frame.reverted
            && case.is_side(frame.from)
            && !case.is_fresh(frame.to)
    })?;
    let whose = case.trace.word_address(frame, 0);
    let of_another = whose.is_some_and(|whose| {
        !whose.is_zero() && !case.trace.party(&whose).is_some_and(|party| case.is_side(party))
    });
    let (severity, confidence) = if of_another { (Severity::P1, 70) } else { (Severity::P2, 60) };
    Some(
        TxFinding::new(NAME, Class::AccessControl, severity, confidence)
            .with("pattern", "internal_function")
            .party(case, "victim", frame.to)
            .with("frame", at)
            .with("function", format!("0x{:08x}", case.selector(at)))
            .with("acts_on", whose.map(|whose| format!("{whose:#x}"))),
    )
}

/// A contract that was there before is initialised by the sender itself.
fn initialised(case: &Case<'_>) -> Option<TxFinding> {
    let frame = case.trace.frames.first()?;
    let first = case.roles(0).has(Role::Initializer) && frame.kind == FrameKind::Call;
    if !first || case.is_fresh(frame.to) {
        return None;
    }
    Some(
        TxFinding::new(NAME, Class::AccessControl, Severity::P3, 35)
            .with("pattern", INITIALISED)
            .party(case, "victim", frame.to)
            .with("frame", 0)
            .with("function", format!("0x{:08x}", case.selector(0))),
    )
}
