//! The code behind a proxy is exchanged, and at once used or brand-new.
//!
//! An upgrade by a timelock points at code that has been there for days. Code that is made in the
//! same transaction nobody could read; assets that leave the proxy in the same transaction leave by
//! what the new code says.
//!
//! Known weaknesses: small teams deploy and upgrade in one transaction by habit, so that this alone
//! is of low severity.

use wk_model::Severity;
use wk_trace::FrameKind;

use crate::case::Case;
use crate::config::settings;
use crate::finding::{Class, TxFinding};
use crate::signatures::Role;

settings! { "proxy_upgrade";
}

const NAME: &str = "proxy_upgrade";

pub(crate) fn detect(case: &Case<'_>, config: &Config, findings: &mut Vec<TxFinding>) {
    if !config.enabled || !case.has_role(Role::Upgrade) {
        return;
    }
    let found = case.frames().find_map(|(at, frame)| {
        let upgrades = case.roles(at).has(Role::Upgrade)
            && matches!(frame.kind, FrameKind::Call)
            && !frame.reverted
            && !case.is_fresh(frame.to);
        if !upgrades {
            return None;
        }
        let code = (0..2)
            .filter_map(|n| case.trace.word_address(frame, n))
            .filter_map(|address| case.trace.party(&address))
            .find(|party| case.is_fresh(*party));
        let proxy = frame.to;
        let drained = case.flows().iter().any(|flow| flow.frame >= at && flow.from == proxy)
            && case.only_lost(proxy);
        (code.is_some() || drained).then_some((at, frame, code, drained))
    });
    let Some((at, frame, code, drained)) = found else { return };
    let (severity, confidence) = if drained { (Severity::P2, 60) } else { (Severity::P3, 35) };
    let mut finding = TxFinding::new(NAME, Class::ProxyUpgrade, severity, confidence)
        .party(case, "victim", frame.to)
        .with("frame", at)
        .with("function", format!("0x{:08x}", case.selector(at)))
        .with("assets_left", drained)
        .gains(case);
    if let Some(code) = code {
        finding = finding.party(case, "fresh_code", code);
    }
    findings.push(finding);
}
