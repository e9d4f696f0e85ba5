//! The attacker's side ends with more, gave nothing up, and nothing that is known explains it.
//!
//! The net below all other detectors: what was won without a loss, by a contract of the sender's
//! own, is either a trade around a circle, a liquidation, what was owed to it, or theft. The first
//! two are told apart and left alone; between the others this cannot decide, so it speaks softly.
//!
//! Known weaknesses: an attacker's contract behind a proxy of its own is let pass where nothing was
//! borrowed; a bot that collects what it earned earlier looks the same as a thief.

use wk_model::Severity;
use wk_trace::{Asset, FrameKind, Party};

use crate::case::Case;
use crate::config::settings;
use crate::finding::{Class, TxFinding, hex};
use crate::flash_loan::losers;
use crate::signatures::Role;

settings! { "unexplained_gain";
    /// Calls of one function of one contract, each with a gain, that are no accident any more.
    min_repeated: u32 = 6,
}

const NAME: &str = "unexplained_gain";

pub(crate) fn detect(
    case: &Case<'_>,
    explained: bool,
    config: &Config,
    findings: &mut Vec<TxFinding>,
) {
    if !config.enabled || case.gains().is_empty() || explained {
        return;
    }
    // Whoever pays a debt takes back what secured it.
    let unwinds = case.has_role(Role::Repay) && !case.has_role(Role::Borrow);
    let lossless = case.losses().is_empty();
    let own = own_contract(case);
    let Some(own) = own.filter(|_| !unwinds) else { return };
    let losers = losers(case);
    if case.loans().is_empty() && sweeps(case) {
        return;
    }
    let created = case.is_fresh(own);
    let given = case.flows().iter().any(|flow| case.is_side(flow.from) && !case.is_side(flow.to));
    let repeated = repeated(case);
    let appeared = !case.appeared().is_empty();
    let (pattern, severity, confidence) = if !case.loans().is_empty() && lossless {
        ("borrowed_and_kept_more", Severity::P2, 45)
    } else if appeared && lossless {
        ("spent_what_it_never_got", Severity::P2, 45)
    } else if created && lossless && !losers.is_empty() {
        ("made_and_used_at_once", Severity::P2, 45)
    } else if repeated.is_some_and(|(_, times)| times >= config.min_repeated) && lossless {
        ("again_and_again", Severity::P2, 42)
    } else if lossless && !given && !losers.is_empty() && !is_front(case) {
        ("released_for_nothing", Severity::P3, 30)
    } else if !losers.is_empty() && !is_front(case) {
        ("someone_only_lost", Severity::P3, if lossless { 30 } else { 20 })
    } else if !case.loans().is_empty() {
        // What was spent may be worth nothing, as tokens of one's own making are.
        ("borrowed_and_gained", Severity::P3, 25)
    } else {
        return;
    };
    let finding = |class, confidence| {
        let mut finding = TxFinding::new(NAME, class, severity, confidence)
            .with("pattern", pattern)
            .party(case, "contract", own)
            .gains(case);
        if let Some(victim) = losers.first() {
            finding = finding.party(case, "victim", *victim).with(
                "victims",
                losers.iter().take(8).map(|party| hex(case, *party)).collect::<Vec<_>>(),
            );
        }
        if let Some((at, times)) = repeated.filter(|(_, times)| *times >= config.min_repeated) {
            finding = finding
                .with("repeated", times)
                .with("function", format!("0x{:08x}", case.selector(at)))
                .party(case, "called", case.frame(at).to);
        }
        finding
    };
    findings.push(finding(Class::BusinessLogic, confidence));
    // What came for nothing was not guarded, or was counted wrongly: one transaction does not tell.
    if (!given || appeared) && case.loans().is_empty() {
        findings.push(finding(Class::AccessControl, confidence - 5));
    }
}

/// The contract of the sender's own that acts: it calls at least one contract that is not.
fn own_contract(case: &Case<'_>) -> Option<Party> {
    let acts = |frame: &wk_trace::Frame| {
        frame.kind == FrameKind::Call
            && !frame.reverted
            && frame.from != case.trace.sender
            && case.is_side(frame.from)
            && !case.is_side(frame.to)
    };
    case.trace.frames.iter().find(|frame| acts(frame)).map(|frame| frame.from)
}

/// Whether the contract that the sender called is a proxy: what is made for one transaction is not made
/// to be exchanged, while protocols' front doors are.
fn is_front(case: &Case<'_>) -> bool {
    let [first, next, ..] = case.trace.frames.as_slice() else { return false };
    next.kind == FrameKind::Delegate
        && next.parent == Some(0)
        && case.trace.input(next) == case.trace.input(first)
}

/// Whether all that happens is that one account hands all it has to the one that told it to: so
/// custodians collect from the accounts that they gave out.
fn sweeps(case: &Case<'_>) -> bool {
    let [flow] = case.flows() else { return false };
    let few = case.trace.frames.len() <= 16;
    few && case.frames().any(|(at, frame)| match flow.asset {
        Asset::Native => {
            frame.to == flow.from
                && frame.kind == FrameKind::Call
                && at < flow.frame
                && case.trace.input(frame).len() <= 4
        }
        Asset::Token(token) => {
            frame.to == token
                && frame.from == flow.from
                && case.roles(at).has(Role::Balance)
                && case.trace.output_word(frame, 0) == Some(flow.amount)
        }
    })
}

/// The function that the side called most often, each time with something coming out of it.
fn repeated(case: &Case<'_>) -> Option<(u32, u32)> {
    let mut counts: std::collections::HashMap<(Party, u32), (u32, u32)> = Default::default();
    let mut after = 0;
    for flow in case.flows() {
        let gained = case.is_side(flow.to) && !case.is_side(flow.from);
        if !gained
            || flow.frame < after
            || matches!(flow.asset, Asset::Token(token) if token == flow.from)
        {
            continue;
        }
        let call = case.trace.ancestors(flow.frame).find(|(_, above)| {
            above.kind == FrameKind::Call && case.is_side(above.from) && !case.is_side(above.to)
        });
        let Some((at, frame)) = call else { continue };
        if case.roles(at).has(Role::Token) || case.selector(at) == 0 {
            continue;
        }
        // One gain for one call.
        after = frame.end;
        let count = counts.entry((frame.to, case.selector(at))).or_insert((at, 0));
        count.1 += 1;
    }
    counts.into_values().max_by_key(|(at, times)| (*times, std::cmp::Reverse(*at)))
}
