//! A proposal is voted on or executed by one who wins by it in the same transaction.
//!
//! Known weaknesses: votes bought in one transaction and used in another are not seen here.

use wk_model::Severity;
use wk_trace::FrameKind;

use crate::case::Case;
use crate::config::settings;
use crate::finding::{Class, TxFinding};
use crate::signatures::Role;

settings! { "governance";
}

const NAME: &str = "governance_capture";

pub(crate) fn detect(case: &Case<'_>, config: &Config, findings: &mut Vec<TxFinding>) {
    if !config.enabled || !case.has_role(Role::Governance) || case.gains().is_empty() {
        return;
    }
    let step = case.frames().find(|(at, frame)| {
        case.roles(*at).has(Role::Governance)
            && frame.kind == FrameKind::Call
            && !frame.reverted
            && frame.depth > 0
            && case.is_side(frame.from)
            && !case.is_side(frame.to)
    });
    let Some((at, frame)) = step else { return };
    let borrowed = !case.loans().is_empty();
    let (severity, confidence) = if borrowed { (Severity::P0, 90) } else { (Severity::P1, 70) };
    findings.push(
        TxFinding::new(NAME, Class::Governance, severity, confidence)
            .party(case, "victim", frame.to)
            .with("frame", at)
            .with("function", format!("0x{:08x}", case.selector(at)))
            .with("borrowed", borrowed)
            .gains(case),
    );
}
