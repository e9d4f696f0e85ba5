//! Tokens of someone who takes no part are pulled by a contract that the caller told whom to pull
//! from.
//!
//! The owner once allowed a router or vault to take tokens; the attacker makes that contract take
//! them: by an arbitrary call, or by naming the owner in an argument that nobody checks.
//!
//! Known weaknesses: orders that the owner signed and that pay out in another transaction look the
//! same, as do collectors of one's own accounts that are run through a second contract.

use std::collections::HashSet;

use wk_model::Severity;
use wk_trace::{Asset, Party, TransferKind};

use crate::case::Case;
use crate::config::settings;
use crate::finding::{Class, TxFinding, hex, moved};

settings! { "approval_drain";
}

const NAME: &str = "approval_drain";

pub(crate) fn detect(case: &Case<'_>, config: &Config, findings: &mut Vec<TxFinding>) {
    if !config.enabled || case.trace.frames.len() < 3 {
        return;
    }
    let paid: HashSet<Party> = case.flows().iter().map(|flow| flow.to).collect();
    let mut owners: Vec<Party> = Vec::new();
    let mut pulls = Vec::new();
    for transfer in &case.trace.transfers {
        let (Asset::Token(_), Some(by)) = (transfer.asset, transfer.by) else { continue };
        let owner = transfer.from;
        let pulled = transfer.kind == TransferKind::Move
            && !transfer.amount.is_zero()
            && by != owner
            && !case.wins(owner)
            && !case.is_side(by)
            && !case.is_active(owner)
            && !paid.contains(&owner);
        if !pulled {
            continue;
        }
        let Some(told) = told(case, transfer.frame, owner) else { continue };
        if !owners.contains(&owner) {
            owners.push(owner);
        }
        pulls.push((transfer, by, told));
    }
    let Some((transfer, by, told)) = pulls.first() else { return };
    let won = pulls.iter().any(|(transfer, ..)| {
        case.wins(transfer.to) || case.gains().iter().any(|(asset, _)| *asset == transfer.asset)
    });
    let severity = match (won && case.losses().is_empty(), owners.len()) {
        // Collectors and solvers are called by their operators, too.
        _ if *told == 0 => {
            if won {
                Severity::P2
            } else {
                Severity::P3
            }
        }
        (true, _) => Severity::P0,
        (false, 2..) if case.losses().is_empty() => Severity::P1,
        // Someone else may have been paid for it, as by an order.
        _ => Severity::P2,
    };
    let confidence = if owners.len() > 1 { 90 } else { 80 };
    findings.push(
        TxFinding::new(NAME, Class::ArbitraryCall, severity, confidence)
            .party(case, "victim", *owners.first().expect("each pull has an owner"))
            .with("victims", owners.len())
            .party(case, "puller", *by)
            .with("told_in_frame", *told)
            .with("pulled_in_frame", transfer.frame)
            .with("pulled", moved(case, transfer.asset, transfer.amount))
            .with("to", hex(case, transfer.to))
            .gains(case),
    );
}

/// The call of the attacker's side that names the owner, on the way to the pull.
fn told(case: &Case<'_>, pull: u32, owner: Party) -> Option<u32> {
    let address = case.trace.address(owner);
    case.trace
        .ancestors(pull)
        .filter(|(_, frame)| case.is_side(frame.from) && !case.is_side(frame.to))
        .find(|(_, frame)| {
            let input = case.trace.input(frame);
            input.len() >= 24 && input[4..].windows(20).any(|word| word == address.as_slice())
        })
        .map(|(at, _)| at)
}
