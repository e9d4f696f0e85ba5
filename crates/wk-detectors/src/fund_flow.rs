//! Money on its way to or from a mixer, or very much of it at once.
//!
//! Known weaknesses: mixers are told by their functions' names, not by a list of addresses; how much
//! is much depends on whose money it is, so that the limit is a setting.

use alloy_primitives::U256;
use wk_model::Severity;
use wk_trace::{Asset, FrameKind};

use crate::case::Case;
use crate::config::settings;
use crate::finding::{Class, TxFinding, moved};
use crate::signatures::Role;

settings! { "fund_flow";
    /// Whole coins that are much when a contract pays them out to the sender at once.
    large_native: u32 = 2000,
}

const NAME: &str = "fund_flow";

pub(crate) fn detect(case: &Case<'_>, config: &Config, findings: &mut Vec<TxFinding>) {
    if !config.enabled || case.flows().is_empty() {
        return;
    }
    findings.extend(mixed(case).or_else(|| large(case, config)));
}

fn mixed(case: &Case<'_>) -> Option<TxFinding> {
    if !case.has_role(Role::Mixer) {
        return None;
    }
    let (at, frame) = case.frames().find(|(at, frame)| {
        case.roles(*at).has(Role::Mixer) && frame.kind == FrameKind::Call && !frame.reverted
    })?;
    let deposits = case.trace.input(frame).len() < 4 + 4 * 32;
    // The shorter function's name is common: only one that takes money is a deposit.
    let paid = case.flows().iter().any(|flow| {
        flow.frame >= at && flow.frame < frame.end && (flow.to == frame.to) == deposits
    });
    paid.then(|| {
        TxFinding::new(NAME, Class::FundFlow, Severity::P3, if deposits { 30 } else { 60 })
            .with("pattern", if deposits { "to_mixer" } else { "from_mixer" })
            .party(case, "mixer", frame.to)
            .with("frame", at)
    })
}

/// Coins that a contract pays to the sender, who gave none.
fn large(case: &Case<'_>, config: &Config) -> Option<TxFinding> {
    let much = U256::from(config.large_native) * U256::from(10).pow(U256::from(18));
    let sender = case.trace.sender;
    let flow = case.flows().iter().find(|flow| {
        flow.asset == Asset::Native
            && flow.to == sender
            && flow.amount >= much
            && case.is_active(flow.from)
    })?;
    let gave = case.flows().iter().any(|flow| flow.from == sender);
    (!gave).then(|| {
        TxFinding::new(NAME, Class::FundFlow, Severity::P3, 25)
            .with("pattern", "large_outflow")
            .party(case, "victim", flow.from)
            .with("frame", flow.frame)
            .with("left", moved(case, flow.asset, flow.amount))
    })
}
