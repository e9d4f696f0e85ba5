//! People who were made to approve, to pay or to copy what they should not have.
//!
//! A spender takes tokens of people who take no part, by approvals that it uses itself, or by a
//! permit that it brings along; transfers of nothing between strangers put a look-alike address into
//! their history; a payment to a function that promises a gift brings nothing back.
//!
//! Known weaknesses: an approval given to an honest spender, such as an exchange that collects from
//! its own accounts, is used in the same way, so that one pull alone is of the lowest severity, and
//! several by a contract that keeps a record of them are, too (where events are known); what a
//! signature was given for is not known.

use alloy_primitives::U256;
use wk_model::Severity;
use wk_trace::{Asset, FrameKind, Party, Transfer, TransferKind};

use crate::case::Case;
use crate::config::settings;
use crate::finding::{Class, TxFinding, hex, moved};
use crate::signatures::Role;

settings! { "phishing";
    /// Transfers of nothing between strangers that are no accident any more.
    min_empty_transfers: u32 = 3,
    /// People from whom one contract takes at once, by their approvals, that are no accident any more.
    min_owners: u32 = 3,
}

const NAME: &str = "phishing";
/// Transfers of one transaction that are followed up.
const MAX_TAKEN: usize = 256;

pub(crate) fn detect(case: &Case<'_>, config: &Config, findings: &mut Vec<TxFinding>) {
    if !config.enabled {
        return;
    }
    let found = permitted(case)
        .or_else(|| pulled_by_own_contract(case, config))
        .or_else(|| poisoned(case, config))
        .or_else(|| lured(case));
    findings.extend(found);
    findings.extend(taken_by_spender(case));
}

/// Taken by a permit of someone else that the side brought along.
fn permitted(case: &Case<'_>) -> Option<TxFinding> {
    if !case.has_role(Role::Permit) {
        return None;
    }
    let (at, frame, owner) = case.frames().find_map(|(at, frame)| {
        let brings = frame.kind == FrameKind::Call
            && !frame.reverted
            && case.roles(at).has(Role::Permit)
            && case.is_side(frame.from);
        let owner = case.trace.word_address(frame, 0).filter(|_| brings)?;
        let owner = case.trace.party(&owner)?;
        (!case.wins(owner) && !case.is_active(owner)).then_some((at, frame, owner))
    })?;
    let mut taken: Option<&Transfer> = None;
    for transfer in &case.trace.transfers {
        if transfer.to == owner && !transfer.amount.is_zero() {
            return None;
        }
        let takes = transfer.from == owner && transfer.frame > at && !transfer.amount.is_zero();
        if takes && taken.is_none() {
            taken = Some(transfer);
        }
    }
    let taken = taken?;
    Some(
        TxFinding::new(NAME, Class::Phishing, Severity::P2, 55)
            .with("pattern", "permit_of_another")
            .party(case, "victim", owner)
            .party(case, "token", frame.to)
            .with("frame", at)
            .with("taken", moved(case, taken.asset, taken.amount))
            .with("to", hex(case, taken.to)),
    )
}

/// The side's contract takes from several people who take no part and get nothing.
fn pulled_by_own_contract(case: &Case<'_>, config: &Config) -> Option<TxFinding> {
    let mut owners: Vec<Party> = Vec::new();
    let mut first: Option<(&Transfer, Party)> = None;
    for transfer in &case.trace.transfers {
        let Some(by) = transfer.by else { continue };
        let pulls = transfer.kind == TransferKind::Move
            && matches!(transfer.asset, Asset::Token(token) if token != transfer.from)
            && !transfer.amount.is_zero()
            && by != transfer.from
            && by != case.trace.sender
            && case.is_side(by)
            // By an approval, not by an order that its owner signed.
            && case.roles(transfer.frame).has(Role::Token)
            && !case.is_active(transfer.from)
            && (case.wins(transfer.to) || !case.is_active(transfer.to));
        if !pulls || first.is_some_and(|(_, puller)| puller != by) {
            continue;
        }
        first.get_or_insert((transfer, by));
        if !owners.contains(&transfer.from) {
            owners.push(transfer.from);
        }
        if owners.len() >= MAX_TAKEN {
            break;
        }
    }
    let (transfer, puller) = first?;
    // Whoever gets anything has traded or was paid.
    owners.retain(|owner| !case.flows().iter().any(|flow| flow.to == *owner));
    // Custodians collect from single accounts of their own.
    if owners.len() < 2 {
        return None;
    }
    // Who collects by agreement notes whom it charged.
    let records = case.trace.logs.iter().any(|log| log.address == puller);
    let (severity, confidence) = match records {
        true => (Severity::P3, 30),
        false if owners.len() >= config.min_owners as usize => (Severity::P1, 65),
        false => (Severity::P2, 50),
    };
    Some(
        TxFinding::new(NAME, Class::Phishing, severity, confidence)
            .with("pattern", "approvals_used")
            .party(case, "victim", *owners.first()?)
            .with("victims", owners.len())
            .party(case, "puller", puller)
            .with("frame", transfer.frame)
            .with("taken", moved(case, transfer.asset, transfer.amount))
            .with("to", hex(case, transfer.to)),
    )
}

/// The sender or its contract takes what belongs to someone else who gets nothing for it.
fn taken_by_spender(case: &Case<'_>) -> Option<TxFinding> {
    let taken = |transfer: &&Transfer| {
        transfer.kind == TransferKind::Move
            && matches!(transfer.asset, Asset::Token(token) if token != transfer.from)
            && !transfer.amount.is_zero()
            && transfer.by.is_some_and(|by| by != transfer.from && case.is_side(by))
            && !case.wins(transfer.from)
            && case.wins(transfer.to)
    };
    // Contracts approve those whom they call, and nobody else.
    let held_by_contract = |transfer: &&Transfer| {
        case.is_active(transfer.from)
            && !case
                .trace
                .frames
                .iter()
                .any(|frame| frame.kind == FrameKind::Delegate && frame.to == transfer.from)
            && case.lost_something(transfer.from)
            && !approved(case, transfer.from)
    };
    let transfers = || case.trace.transfers.iter().filter(taken).take(MAX_TAKEN);
    if let Some(transfer) = transfers().find(held_by_contract) {
        return Some(spent(case, transfer, Severity::P2, 50, "taken_from_contract"));
    }
    let few = case.trace.frames.len() <= 64;
    let transfer = transfers().filter(|_| few).find(|transfer| {
        let sender = case.trace.sender;
        transfer.by == Some(sender) && transfer.to == sender && !case.is_active(transfer.from)
    })?;
    Some(spent(case, transfer, Severity::P3, 15, "taken_by_spender"))
}

fn spent(
    case: &Case<'_>,
    transfer: &Transfer,
    severity: Severity,
    confidence: u8,
    pattern: &str,
) -> TxFinding {
    TxFinding::new(NAME, Class::AccessControl, severity, confidence)
        .with("pattern", pattern)
        .party(case, "victim", transfer.from)
        .with("frame", transfer.frame)
        .with("taken", moved(case, transfer.asset, transfer.amount))
}

/// Whether an account approved anyone of the side in this transaction.
fn approved(case: &Case<'_>, owner: Party) -> bool {
    case.has_role(Role::Approval)
        && case.frames().any(|(at, frame)| {
            frame.from == owner && !frame.reverted && case.roles(at).has(Role::Approval)
        })
}

/// Transfers of nothing between accounts that take no part.
fn poisoned(case: &Case<'_>, config: &Config) -> Option<TxFinding> {
    let mut strangers: Vec<Party> = Vec::new();
    let mut first = None;
    for (at, frame) in case.frames() {
        // transferFrom(address,address,uint256)
        let empty = case.selector(at) == 0x23b8_72dd
            && frame.kind == FrameKind::Call
            && !frame.reverted
            && case.trace.word(frame, 2) == Some(U256::ZERO);
        let Some(owner) = case.trace.word_address(frame, 0).filter(|_| empty) else { continue };
        let Some(owner) = case.trace.party(&owner) else { continue };
        if !case.is_side(owner) && !case.is_active(owner) && !strangers.contains(&owner) {
            strangers.push(owner);
            first.get_or_insert(at);
        }
        if strangers.len() >= 64 {
            break;
        }
    }
    let enough = strangers.len() >= config.min_empty_transfers as usize;
    let (at, victim) = (first?, *strangers.first()?);
    enough.then(|| {
        TxFinding::new(NAME, Class::Phishing, Severity::P3, 60)
            .with("pattern", "poisoned_history")
            .party(case, "victim", victim)
            .with("victims", strangers.len())
            .with("frame", at)
    })
}

/// Coins paid to a function with a promising name, for nothing.
fn lured(case: &Case<'_>) -> Option<TxFinding> {
    let frame = case.trace.frames.first()?;
    let pays = case.roles(0).has(Role::Lure)
        && frame.kind == FrameKind::Call
        && frame.value > U256::from(10).pow(U256::from(16));
    let back = case.trace.transfers.iter().any(|transfer| transfer.to == case.trace.sender);
    (pays && !back).then(|| {
        TxFinding::new(NAME, Class::Phishing, Severity::P3, 30)
            .with("pattern", "paid_for_a_promise")
            .party(case, "victim", case.trace.sender)
            .party(case, "paid_to", frame.to)
            .with("frame", 0)
            .with("paid", moved(case, Asset::Native, frame.value))
    })
}
