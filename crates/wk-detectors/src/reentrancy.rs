//! A contract is entered again before its first call has ended, by someone it gave control to.
//!
//! Kinds: the same function, another function of the same contract, a related contract, or a contract
//! that relies on what the unsettled one answers (read-only). Control is given away by a payment, a
//! token's hook, or a function of what poses as a token. Lenders' callbacks are meant to be used and
//! count only when the loan is paid back by a deposit into the lender itself.
//!
//! Known weaknesses: control that goes through contracts which are not the sender's (an exchange
//! that a victim trusts) is not followed; a victim that settles before it gives control away looks
//! the same when it is entered again for a reason, which needs storage to tell; contracts of one
//! protocol are taken for related when both ask the same third one.

use std::collections::HashSet;

use alloy_primitives::U256;
use wk_model::Severity;
use wk_trace::{FrameKind, Party};

use crate::case::{BUDGET, Case};
use crate::config::settings;
use crate::finding::{Class, TxFinding};
use crate::signatures::Role;

settings! { "reentrancy";
}

const NAME: &str = "reentrancy";

/// How control came to the attacker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hook {
    /// A payment without data.
    Payment,
    /// A token standard's hook.
    Token,
    /// A token's function on a contract of the attacker's.
    Posing,
    /// A lender's callback.
    Loan,
    /// Anything else.
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    SameFunction,
    CrossFunction,
    CrossContract,
    ReadOnly,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::SameFunction => "same_function",
            Kind::CrossFunction => "cross_function",
            Kind::CrossContract => "cross_contract",
            Kind::ReadOnly => "read_only",
        }
    }
}

/// One entry into what had not ended.
#[derive(Clone, Copy, Debug)]
struct Entry {
    kind: Kind,
    hook: Hook,
    /// The call that had not ended.
    outer: u32,
    /// The call by which it gave control away.
    given: u32,
    /// The call back in.
    inner: u32,
}

pub(crate) fn detect(case: &Case<'_>, config: &Config, findings: &mut Vec<TxFinding>) {
    if !config.enabled || case.trace.frames.len() < 4 {
        return;
    }
    let mut best: Option<(Entry, u8)> = None;
    let mut count = 0_u32;
    for entry in entries(case) {
        let Some(confidence) = judge(case, &entry) else { continue };
        count += 1;
        if best.is_none_or(|(_, other)| confidence > other) {
            best = Some((entry, confidence));
        }
    }
    if best.is_none() && !case.gains().is_empty() {
        let entry = by_stranger(case);
        count = u32::from(entry.is_some());
        best = entry.map(|entry| (entry, 55));
    }
    let Some((entry, confidence)) = best else { return };
    let severity = match (entry.kind, case.gains().is_empty()) {
        _ if confidence < 70 => Severity::P2,
        (Kind::SameFunction | Kind::CrossFunction, _) | (_, false) => Severity::P0,
        _ => Severity::P1,
    };
    let selector = |at: u32| format!("0x{:08x}", case.selector(at));
    findings.push(
        TxFinding::new(NAME, Class::Reentrancy, severity, confidence)
            .with("kind", entry.kind.name())
            .party(case, "victim", case.frame(entry.outer).to)
            .party(case, "entered_again", case.frame(entry.inner).to)
            .party(case, "attacker", case.frame(entry.given).to)
            .with("outer_frame", entry.outer)
            .with("outer_function", selector(entry.outer))
            .with("control_given_frame", entry.given)
            .with("control_given_by", selector(entry.given))
            .with("inner_frame", entry.inner)
            .with("inner_function", selector(entry.inner))
            .with("times", count)
            .gains(case),
    );
}

/// Every call of the attacker's side into a contract while an outer call, through which the side got
/// control, has not ended. At most one for each inner call: the innermost.
fn entries(case: &Case<'_>) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut budget = BUDGET;
    for (inner, frame) in case.frames() {
        let enters = frame.kind == FrameKind::Call
            && !frame.reverted
            && case.is_side(frame.from)
            && !case.is_side(frame.to)
            && !case.roles(inner).has(Role::Token);
        if !enters {
            continue;
        }
        let mut given = None;
        for (above, outer) in case.trace.ancestors(inner) {
            budget = budget.saturating_sub(1);
            if outer.kind == FrameKind::Delegate {
                continue;
            }
            if case.is_side(outer.to) {
                if !case.is_side(outer.from) && outer.parent.is_some() {
                    given = Some(above);
                }
                continue;
            }
            let Some(given) = given else { continue };
            if outer.kind == FrameKind::StaticCall || case.roles(above).has(Role::Token) {
                continue;
            }
            let hook = hook(case, given);
            let entry = |kind| Entry { kind, hook, outer: above, given, inner };
            if outer.to == frame.to {
                let same = case.selector(above) == case.selector(inner);
                let kind = if same { Kind::SameFunction } else { Kind::CrossFunction };
                entries.push(entry(kind));
                break;
            }
            // Between contracts only what was not meant as a callback counts.
            if !matches!(hook, Hook::Payment | Hook::Token | Hook::Posing) {
                continue;
            }
            if let Some(kind) = related(case, above, inner, &mut budget) {
                entries.push(entry(kind));
                break;
            }
        }
        if budget == 0 {
            break;
        }
    }
    entries
}

/// The same contract entered again by someone who is not known to be of the side, but who was paid or
/// called by a token's hook in between, and the contract lost.
fn by_stranger(case: &Case<'_>) -> Option<Entry> {
    let mut budget = BUDGET;
    for (inner, frame) in case.frames() {
        let enters = frame.kind == FrameKind::Call
            && !frame.reverted
            && frame.parent.is_some()
            && !case.is_side(frame.from)
            && !case.is_side(frame.to)
            && !case.is_token(frame.to)
            && case.selector(inner) != 0
            && !case.roles(inner).has(Role::Token);
        if !enters {
            continue;
        }
        let mut given = None;
        for (above, outer) in case.trace.ancestors(inner) {
            budget = budget.checked_sub(1)?;
            if outer.kind == FrameKind::Delegate {
                continue;
            }
            if outer.to == frame.from {
                let hooked = matches!(hook(case, above), Hook::Payment | Hook::Token);
                given = (hooked && outer.from != frame.from).then_some(above);
                if given.is_none() {
                    break;
                }
                continue;
            }
            let Some(given) = given else { break };
            let entered = outer.to == frame.to
                && outer.kind == FrameKind::Call
                && case.lost_something(frame.to);
            if entered {
                let same = case.selector(above) == case.selector(inner);
                let kind = if same { Kind::SameFunction } else { Kind::CrossFunction };
                return Some(Entry { kind, hook: hook(case, given), outer: above, given, inner });
            }
        }
    }
    None
}

fn hook(case: &Case<'_>, given: u32) -> Hook {
    let roles = case.roles(given);
    if case.selector(given) == 0 {
        Hook::Payment
    } else if roles.has(Role::TokenHook) {
        Hook::Token
    } else if roles.has(Role::Token) {
        Hook::Posing
    } else if roles.has(Role::LoanCallback) {
        Hook::Loan
    } else {
        Hook::Other
    }
}

/// How the contract of `inner` depends on the one of `outer`, if it does.
fn related(case: &Case<'_>, outer: u32, inner: u32, budget: &mut usize) -> Option<Kind> {
    let (unsettled, entered) = (case.frame(outer).to, case.frame(inner).to);
    let mut asked_inside: HashSet<Party> = HashSet::new();
    for (at, below) in case.below(inner) {
        *budget = budget.saturating_sub(1);
        if below.to == unsettled && below.from != unsettled && below.enters() {
            return Some(Kind::ReadOnly);
        }
        if below.from == entered && below.enters() && asks(case, at, below.to) {
            asked_inside.insert(below.to);
        }
    }
    asked_inside.remove(&entered);
    if asked_inside.is_empty() {
        return None;
    }
    for (at, below) in case.below(outer) {
        *budget = budget.saturating_sub(1);
        if *budget == 0 {
            return None;
        }
        let shared = below.from == unsettled
            && below.enters()
            && asked_inside.contains(&below.to)
            && asks(case, at, below.to);
        if shared {
            return Some(Kind::CrossContract);
        }
    }
    None
}

/// Whether a call asks another contract of a protocol for something, other than a token.
fn asks(case: &Case<'_>, at: u32, whom: Party) -> bool {
    !case.roles(at).has(Role::Token)
        && case.selector(at) != 0
        && !case.is_side(whom)
        && !case.is_token(whom)
}

/// How sure it is an attack, in percent; none when it is not.
fn judge(case: &Case<'_>, entry: &Entry) -> Option<u8> {
    let victim = case.frame(entry.outer).to;
    match (entry.kind, entry.hook) {
        (kind, Hook::Payment | Hook::Token | Hook::Posing) => {
            // Coins sent back are a loan's end or a purchase; only a loss makes it an attack.
            if case.selector(entry.inner) == 0 && !case.lost_something(victim) {
                return None;
            }
            Some(if kind <= Kind::CrossFunction { 92 } else { 84 })
        }
        (Kind::SameFunction, Hook::Other) => {
            (!case.gains().is_empty() && case.losses().is_empty()).then_some(80)
        }
        (Kind::SameFunction | Kind::CrossFunction, Hook::Loan | Hook::Other) => {
            if repaid_by_deposit(case, entry) {
                return Some(88);
            }
            // A callback that nobody knows: a loss for nothing is what tells it from a lender's.
            let robbed = entry.hook == Hook::Other && case.lost_something(victim);
            (robbed && !case.gains().is_empty() && case.losses().is_empty()).then_some(60)
        }
        _ => None,
    }
}

/// Whether what the outer call lent came back only through the inner call, where it counts as the
/// attacker's own deposit.
fn repaid_by_deposit(case: &Case<'_>, entry: &Entry) -> bool {
    let lender = case.frame(entry.outer).to;
    let outer = entry.outer..case.frame(entry.outer).end;
    let inner = entry.inner..case.frame(entry.inner).end;
    for loan in case.flows() {
        let lent = loan.from == lender
            && case.is_side(loan.to)
            && loan.frame >= outer.start
            && loan.frame < entry.given;
        if !lent {
            continue;
        }
        let (mut within, mut outside) = (U256::ZERO, U256::ZERO);
        for back in case.flows() {
            if back.asset != loan.asset || back.to != lender || !outer.contains(&back.frame) {
                continue;
            }
            let sum = if inner.contains(&back.frame) { &mut within } else { &mut outside };
            *sum = sum.saturating_add(back.amount);
        }
        let nearly = loan.amount - loan.amount / U256::from(50);
        if within >= nearly && outside < loan.amount / U256::from(2) {
            return true;
        }
    }
    false
}
