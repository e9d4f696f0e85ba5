//! A message from another chain that changes who may release tokens.
//!
//! Known weaknesses: whether a release has its deposit on the other chain is a question for the
//! matching of both sides, not for one transaction.

use wk_model::Severity;
use wk_trace::FrameKind;

use crate::case::Case;
use crate::config::settings;
use crate::finding::{Class, TxFinding};
use crate::signatures::Role;

settings! { "bridge";
}

const NAME: &str = "bridge_takeover";

pub(crate) fn detect(case: &Case<'_>, config: &Config, findings: &mut Vec<TxFinding>) {
    let both = case.has_role(Role::BridgeAdmin) && case.has_role(Role::BridgeRelease);
    if !config.enabled || !both {
        return;
    }
    let changed = case.frames().find(|(at, frame)| {
        case.roles(*at).has(Role::BridgeAdmin)
            && frame.kind == FrameKind::Call
            && !frame.reverted
            && case
                .trace
                .ancestors(*at)
                .any(|(above, _)| case.roles(above).has(Role::BridgeRelease))
    });
    let Some((at, frame)) = changed else { return };
    findings.push(
        TxFinding::new(NAME, Class::Bridge, Severity::P1, 70)
            .party(case, "victim", frame.to)
            .with("frame", at)
            .with("function", format!("0x{:08x}", case.selector(at))),
    );
}
