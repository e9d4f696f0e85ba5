//! A privileged way out of a contract is used, and what it holds leaves.
//!
//! Owners rescue tokens and close contracts down; who has the owner's key does the same. One
//! transaction tells neither from the other, so this is a question to the owner, not an accusation:
//! was it you?
//!
//! Known weaknesses: only functions whose names say what they are for; exits by several transactions
//! or through a multi-signature wallet are not seen.

use wk_model::Severity;
use wk_trace::{Asset, FrameKind};

use crate::case::Case;
use crate::config::settings;
use crate::finding::{Class, TxFinding, moved};
use crate::signatures::Role;

settings! { "key_compromise";
}

const NAME: &str = "key_compromise";

pub(crate) fn detect(case: &Case<'_>, config: &Config, findings: &mut Vec<TxFinding>) {
    if !config.enabled || case.trace.frames.len() > 64 {
        return;
    }
    findings.extend(exited(case).or_else(|| scattered(case)));
}

/// The sender calls a way out itself, gives nothing, and the contract only loses.
fn exited(case: &Case<'_>) -> Option<TxFinding> {
    let frame = case.trace.frames.first()?;
    let exit =
        case.roles(0).has(Role::OwnerExit) && frame.kind == FrameKind::Call && !frame.reverted;
    if !exit || !case.only_lost(frame.to) {
        return None;
    }
    let flow = case.flows().iter().find(|flow| flow.from == frame.to)?;
    Some(
        TxFinding::new(NAME, Class::KeyCompromise, Severity::P3, 25)
            .with("pattern", "privileged_exit")
            .party(case, "victim", frame.to)
            .with("frame", 0)
            .with("function", format!("0x{:08x}", case.selector(0)))
            .with("left", moved(case, flow.asset, flow.amount)),
    )
}

/// Three or more assets leave one contract for the one account that takes no other part.
fn scattered(case: &Case<'_>) -> Option<TxFinding> {
    let frame = case.trace.frames.first()?;
    if frame.kind != FrameKind::Call || case.roles(0).has(Role::PublicEntry) {
        return None;
    }
    let from = case.flows().first()?.from;
    let to = case.flows().first()?.to;
    let mut assets: Vec<Asset> = Vec::new();
    for flow in case.flows() {
        if flow.from != from || flow.to != to {
            return None;
        }
        if !assets.contains(&flow.asset) && flow.asset != Asset::Token(from) {
            assets.push(flow.asset);
        }
    }
    // Who takes part asked for it, as those do who redeem shares, collect what they earned, or fill a
    // store of their own.
    let contract = from != case.trace.sender && case.is_active(from) && !case.is_active(to);
    (contract && assets.len() >= 3).then(|| {
        TxFinding::new(NAME, Class::KeyCompromise, Severity::P3, 30)
            .with("pattern", "everything_leaves")
            .party(case, "victim", from)
            .party(case, "to", to)
            .with("frame", case.flows()[0].frame)
            .with("assets", assets.len())
    })
}
