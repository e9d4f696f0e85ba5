//! A proposal is voted on or executed by one who wins by it in the same transaction.
//!
//! Who votes with borrowed money, who decides and is paid by the decision, and who uses what he has
//! just had changed. Whoever carries out what others decided, and is paid for that afterwards, is left
//! alone.
//!
//! Known weaknesses: votes bought in one transaction and used in another are not seen here; who is
//! paid by a decision of before that he carries out himself may be whom it was meant for, so that
//! this alone is of low severity.

use wk_model::Severity;
use wk_trace::{Frame, FrameKind, Party};

use crate::case::{BUDGET, Case};
use crate::config::settings;
use crate::finding::{Class, TxFinding};
use crate::signatures::Role;

settings! { "governance";
}

const NAME: &str = "governance_capture";
/// Steps of one transaction that are followed up.
const MAX_STEPS: usize = 64;
/// Contracts that a decision changed which are remembered.
const MAX_CHANGED: usize = 64;

pub(crate) fn detect(case: &Case<'_>, config: &Config, findings: &mut Vec<TxFinding>) {
    if !config.enabled || !case.has_role(Role::Governance) || case.gains().is_empty() {
        return;
    }
    let steps: Vec<(u32, &Frame)> = case
        .frames()
        .filter(|(at, frame)| {
            case.roles(*at).has(Role::Governance)
                && frame.kind == FrameKind::Call
                && !frame.reverted
                && frame.depth > 0
                && case.is_side(frame.from)
                && !case.is_side(frame.to)
        })
        .take(MAX_STEPS)
        .collect();
    let Some((at, frame)) = steps.first() else { return };
    let borrowed = !case.loans().is_empty();
    let voted = steps.iter().any(|(at, _)| case.roles(*at).has(Role::Ballot));
    let carried_out = || steps.iter().filter(|(at, _)| !case.roles(*at).has(Role::Ballot));
    let paid = carried_out().any(|(at, frame)| pays(case, *at, frame.end));
    let used = || changed_and_used(case, carried_out().copied());
    let (pattern, severity, confidence) = if borrowed {
        ("borrowed", Severity::P0, 90)
    } else if voted && paid {
        ("decided_for_oneself", Severity::P1, 70)
    } else if used() {
        ("changed_and_used", Severity::P1, 65)
    } else if paid {
        ("paid_by_a_decision", Severity::P2, 50)
    } else if voted {
        ("voted_and_won", Severity::P3, 30)
    } else {
        return;
    };
    findings.push(
        TxFinding::new(NAME, Class::Governance, severity, confidence)
            .with("pattern", pattern)
            .party(case, "victim", frame.to)
            .with("frame", *at)
            .with("function", format!("0x{:08x}", case.selector(*at)))
            .with("borrowed", borrowed)
            .gains(case),
    );
}

/// Whether anything comes to the side in frames.
fn pays(case: &Case<'_>, from: u32, to: u32) -> bool {
    let start = case.flows().partition_point(|flow| flow.frame < from);
    case.flows()[start..]
        .iter()
        .take_while(|flow| flow.frame < to)
        .any(|flow| case.wins(flow.to) && !case.wins(flow.from))
}

/// Whether a decision that was carried out changed a contract that then serves in a call by which the
/// side wins.
fn changed_and_used<'c>(
    case: &'c Case<'_>,
    carried_out: impl Iterator<Item = (u32, &'c Frame)>,
) -> bool {
    let mut budget = BUDGET / 8;
    let mut changed: Vec<Party> = Vec::new();
    let mut since = u32::MAX;
    for (at, governor) in carried_out {
        since = since.min(governor.end);
        for (_, frame) in case.below(at) {
            budget = budget.saturating_sub(1);
            let acts = frame.kind == FrameKind::Call
                && !frame.reverted
                && frame.to != governor.to
                && frame.to != frame.from
                && !case.is_token(frame.to)
                && !case.is_side(frame.to)
                && !case.trace.input(frame).is_empty();
            if acts && changed.len() < MAX_CHANGED && !changed.contains(&frame.to) {
                changed.push(frame.to);
            }
            if budget == 0 {
                return false;
            }
        }
    }
    if changed.is_empty() {
        return false;
    }
    let later = case.frames().skip(since as usize);
    let mut told = later.filter(|(_, frame)| {
        frame.kind == FrameKind::Call
            && !frame.reverted
            && case.is_side(frame.from)
            && !case.is_side(frame.to)
    });
    told.any(|(at, frame)| {
        pays(case, at, frame.end)
            && std::iter::once(frame).chain(case.below(at).map(|(_, below)| below)).any(|below| {
                budget = budget.saturating_sub(1);
                budget > 0 && below.enters() && changed.contains(&below.to)
            })
    })
}
