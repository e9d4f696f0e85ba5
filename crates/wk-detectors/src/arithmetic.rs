//! Amounts so large that adding or multiplying them wraps around.
//!
//! Transfers to many and transfers with a fee add up amounts; the attacker chooses them so that the
//! sum is small. Amounts that big exist nowhere else but as "unlimited", which is exactly the
//! largest number.
//!
//! Known weaknesses: an underflow of stored numbers leaves no trace in the call data; hashes,
//! packed fields and negative numbers look like large amounts, so only functions that move
//! tokens are looked at.

use alloy_primitives::U256;
use wk_model::Severity;
use wk_trace::FrameKind;

use crate::case::Case;
use crate::config::settings;
use crate::finding::{Class, TxFinding};
use crate::signatures::Role;

settings! { "arithmetic";
}

const NAME: &str = "arithmetic_overflow";

pub(crate) fn detect(case: &Case<'_>, config: &Config, findings: &mut Vec<TxFinding>) {
    if !config.enabled || !case.has_role(Role::BatchTransfer) {
        return;
    }
    for (at, frame) in case.frames() {
        let moves = frame.kind == FrameKind::Call
            && !frame.reverted
            && case.is_side(frame.from)
            && case.roles(at).has(Role::BatchTransfer);
        if !moves {
            continue;
        }
        // Signatures come after the fifth word and may be any number.
        let words = (case.trace.input(frame).len().saturating_sub(4) / 32).min(64);
        let batch = case.trace.word(frame, 0) < Some(U256::from(1024));
        let amounts = if batch { 0..words } else { 2..words.min(4) };
        let huge = amounts
            .filter_map(|n| case.trace.word(frame, n))
            .find(|amount| *amount >= U256::ONE << 200 && *amount != U256::MAX);
        let Some(amount) = huge else { continue };
        findings.push(
            TxFinding::new(NAME, Class::Arithmetic, Severity::P1, 85)
                .party(case, "victim", frame.to)
                .with("frame", at)
                .with("amount", amount.to_string()),
        );
        return;
    }
}
