//! A pool brought out of step with its tokens: skimmed, synced, burnt from, while it is traded.
//!
//! Known weaknesses: tokens whose own transfers burn or rebase a pool's balance are only seen when
//! they are made to do so many times, or by a function with a known name.

use alloy_primitives::U256;
use wk_model::Severity;
use wk_trace::FrameKind;

use crate::case::Case;
use crate::config::settings;
use crate::finding::{Class, TxFinding};
use crate::instant_profit::generous;
use crate::signatures::Role;

settings! { "token_mechanics";
    /// Transfers of nothing, or to oneself, that are no accident any more.
    min_idle_transfers: u32 = 8,
}

const NAME: &str = "token_mechanics";

pub(crate) fn detect(case: &Case<'_>, config: &Config, findings: &mut Vec<TxFinding>) {
    if !config.enabled || case.gains().is_empty() || case.pools().is_empty() {
        return;
    }
    let mut tricks = 0_u32;
    let mut idle = 0_u32;
    let mut first = None;
    for (at, frame) in case.frames() {
        if frame.kind != FrameKind::Call || frame.reverted || !case.is_side(frame.from) {
            continue;
        }
        if case.roles(at).has(Role::PoolTrick) && !case.is_side(frame.to) {
            tricks += 1;
            first.get_or_insert((at, frame.to));
        } else if case.selector(at) == 0xa905_9cbb {
            let nothing = case.trace.word(frame, 1) == Some(U256::ZERO);
            let oneself = case.trace.word_address(frame, 0) == Some(case.trace.address(frame.from));
            if nothing || oneself {
                idle += 1;
                first.get_or_insert((at, frame.to));
            }
        }
    }
    let enough = tricks > 0 || idle >= config.min_idle_transfers;
    let Some((at, victim)) = first.filter(|_| enough) else { return };
    // The same tricks without a loss are how bots tidy up pools.
    let trips = crate::flows::round_trips(case);
    if trips.is_empty() && generous(case, 100).is_empty() {
        return;
    }
    findings.push(
        TxFinding::new(NAME, Class::TokenMechanics, Severity::P1, 74)
            .party(case, "victim", victim)
            .with("first_frame", at)
            .with("pool_calls", tricks)
            .with("idle_transfers", idle)
            .gains(case),
    );
}
