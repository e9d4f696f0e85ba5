//! A contract makes the very call that the caller wrote into its call data, and pays for it.
//!
//! Routers and wallets carry out calls that they are given. A contract that holds money or
//! approvals and does so for anyone can be told to approve the caller or to send what it holds.
//!
//! Known weaknesses: wallets do the same for their owners, so only calls by way of a contract of the
//! sender's own count; calls that are put together from arguments are not recognised.

use wk_model::Severity;
use wk_trace::{FrameKind, Party};

use crate::case::Case;
use crate::config::settings;
use crate::finding::{Class, TxFinding};
use crate::signatures::Role;

settings! { "arbitrary_call";
}

const NAME: &str = "arbitrary_call";

/// Bytes of call data that are searched in one transaction.
const MAX_SEARCHED: usize = 16 << 20;

/// Approvals of which the use is looked for in one transaction.
const MAX_SEARCHES: usize = 256;

struct Obeyed {
    contract: Party,
    told: u32,
    did: u32,
    approves: bool,
    used: bool,
}

pub(crate) fn detect(case: &Case<'_>, config: &Config, findings: &mut Vec<TxFinding>) {
    if !config.enabled || case.trace.frames.len() < 3 || !case.has_role(Role::Token) {
        return;
    }
    let Some(obeyed) = obeyed(case) else { return };
    // Accounts that modules act for pay in the same way; none approves who tells it to, who then takes.
    let (severity, confidence) = match (obeyed.used, case.losses().is_empty()) {
        (true, true) if obeyed.approves => (Severity::P1, 78),
        (true, _) => (Severity::P2, 60),
        (false, _) => (Severity::P2, 50),
    };
    findings.push(
        TxFinding::new(NAME, Class::ArbitraryCall, severity, confidence)
            .party(case, "victim", obeyed.contract)
            .party(case, "called", case.frame(obeyed.did).to)
            .with("told_in_frame", obeyed.told)
            .with("frame", obeyed.did)
            .with("function", format!("0x{:08x}", case.selector(obeyed.did)))
            .with("approves", obeyed.approves)
            .gains(case),
    );
}

fn obeyed(case: &Case<'_>) -> Option<Obeyed> {
    let (mut searched, mut searches) = (0, 0);
    let mut best: Option<Obeyed> = None;
    for (did, frame) in case.frames() {
        let moves = frame.kind == FrameKind::Call
            && !frame.reverted
            && !case.is_side(frame.from)
            && !case.is_fresh(frame.from)
            && case.trace.input(frame).len() >= 68
            && (case.roles(did).has(Role::Approval) || case.roles(did).has(Role::Token));
        if !moves {
            continue;
        }
        let approves = case.roles(did).has(Role::Approval);
        let contract = frame.from;
        let named =
            case.trace.word_address(frame, 0).and_then(|address| case.trace.party(&address));
        let for_side = named.is_some_and(|party| case.wins(party))
            || case
                .trace
                .word_address(frame, 1)
                .and_then(|a| case.trace.party(&a))
                .is_some_and(|party| case.wins(party));
        if !for_side {
            continue;
        }
        let call = case.trace.ancestors(did).find(|(_, above)| {
            above.kind == FrameKind::Call && above.to == contract && case.is_side(above.from)
        });
        let Some((told, above)) = call.filter(|(_, above)| above.depth > 0) else { continue };
        let (given, made) = (case.trace.input(above), case.trace.input(frame));
        let to = case.trace.address(frame.to);
        searched += given.len();
        if searched > MAX_SEARCHED {
            break;
        }
        let written = given.len() > made.len()
            && given[4..].windows(36).any(|part| part == &made[..36])
            && given[4..].windows(20).any(|part| part == to.as_slice());
        searches += usize::from(approves);
        if searches > MAX_SEARCHES {
            break;
        }
        let used = if approves {
            // What was approved is taken later by the side itself.
            case.trace.transfers.iter().any(|transfer| {
                transfer.frame > did
                    && transfer.from == contract
                    && transfer.by.is_some_and(|by| case.is_side(by))
                    && case.wins(transfer.to)
            })
        } else {
            case.lost_something(contract)
        };
        let unbidden = approves && used && named.is_some_and(|party| case.is_side(party));
        if !written && !unbidden {
            continue;
        }
        if !approves && !used {
            continue;
        }
        if best.as_ref().is_none_or(|best| used && !best.used) {
            best = Some(Obeyed { contract, told, did, approves, used });
        }
    }
    best
}
