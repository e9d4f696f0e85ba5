//! Rights that were not the caller's: taken and used at once, or left open by the contract.
//!
//! Four patterns: the side makes itself owner (or minter, admin …) of a contract, then wins by that
//! contract in the same transaction; a contract that exists already is initialised; a function
//! whose name says that it is internal is called from outside; someone takes another's tokens for
//! himself by calling the token.
//!
//! Known weaknesses: deployers initialise their own contracts in a transaction of its own, which
//! looks like the second pattern, and exchanges collect deposits by the fourth, so that these are of
//! low severity.

use alloy_primitives::Address;
use wk_model::Severity;
use wk_trace::{Frame, FrameKind, Party};

use crate::case::Case;
use crate::config::settings;
use crate::finding::{Class, TxFinding, moved};
use crate::signatures::Role;

settings! { "access_control";
}

const NAME: &str = "access_control";

pub(crate) fn detect(case: &Case<'_>, config: &Config, findings: &mut Vec<TxFinding>) {
    if !config.enabled {
        return;
    }
    let finding = taken(case)
        .or_else(|| internal(case))
        .or_else(|| initialised(case))
        .or_else(|| pulled(case));
    findings.extend(finding);
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

/// A function with an internal name, called by the sender's side.
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
    Some(
        TxFinding::new(NAME, Class::AccessControl, Severity::P2, 60)
            .with("pattern", "internal_function")
            .party(case, "victim", frame.to)
            .with("frame", at)
            .with("function", format!("0x{:08x}", case.selector(at))),
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
        TxFinding::new(NAME, Class::AccessControl, Severity::P2, 35)
            .with("pattern", "initialised_by_sender")
            .party(case, "victim", frame.to)
            .with("frame", 0)
            .with("function", format!("0x{:08x}", case.selector(0))),
    )
}

/// The sender itself takes tokens from another account for itself: by an approval, or without.
fn pulled(case: &Case<'_>) -> Option<TxFinding> {
    let frame = case.trace.frames.first()?;
    // transferFrom(address,address,uint256)
    if case.selector(0) != 0x23b8_72dd || frame.kind != FrameKind::Call {
        return None;
    }
    let transfer = case.trace.transfers.first()?;
    let own = transfer.to == frame.from && transfer.from != frame.from;
    if !own || transfer.amount.is_zero() {
        return None;
    }
    Some(
        TxFinding::new(NAME, Class::AccessControl, Severity::P3, 15)
            .with("pattern", "taken_by_spender")
            .party(case, "victim", transfer.from)
            .with("frame", 0)
            .with("taken", moved(case, transfer.asset, transfer.amount)),
    )
}
