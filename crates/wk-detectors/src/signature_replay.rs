//! Signatures that prove nothing: used again, given by nobody, or never looked at.
//!
//! A signature is checked by the precompiled contract at address 1. The same question asked for two
//! separate calls of the attacker's side, each of which pays, is a replay; so is its mirror image, which
//! anyone can make of a signature and which is as good; an answer of nobody,
//! after which the contract pays all the same, is a forgery; a permit during which nothing was
//! checked, by which a token is taken all the same, is one that the token never understood.
//!
//! Known weaknesses: only sources that tell of precompiles show what was checked; a signature used
//! again in a later transaction or on another chain is not seen here.

use std::collections::HashMap;

use alloy_primitives::U256;
use wk_model::Severity;
use wk_trace::{FrameKind, Party, SignatureCheck};

use crate::case::Case;
use crate::config::settings;
use crate::finding::{Class, TxFinding};
use crate::signatures::Role;

settings! { "signature_replay";
}

const NAME: &str = "signature_replay";
/// Checked signatures that are remembered in one transaction.
const MAX_CHECKS: usize = 4096;
/// The order of the curve's base point (SEC 2, secp256k1).
const ORDER: U256 = U256::from_limbs([
    0xbfd2_5e8c_d036_4141,
    0xbaae_dce6_af48_a03b,
    0xffff_ffff_ffff_fffe,
    0xffff_ffff_ffff_ffff,
]);
/// Checks, answers and permits that are followed up in one transaction.
const MAX_LOOKS: u32 = 256;

pub(crate) fn detect(case: &Case<'_>, config: &Config, findings: &mut Vec<TxFinding>) {
    if !config.enabled {
        return;
    }
    let found = replayed(case).or_else(|| forged(case)).or_else(|| unchecked(case));
    let Some((pattern, at, victim, severity, confidence)) = found else { return };
    findings.push(
        TxFinding::new(NAME, Class::SignatureReplay, severity, confidence)
            .with("pattern", pattern)
            .party(case, "victim", victim)
            .with("frame", at)
            .gains(case),
    );
}

type Found = (&'static str, u32, Party, Severity, u8);

/// The call of the sender's side in which a frame is.
fn call_of(case: &Case<'_>, at: u32) -> Option<u32> {
    std::iter::once((at, case.frame(at)))
        .chain(case.trace.ancestors(at))
        .filter(|(_, above)| above.kind == FrameKind::Call)
        .find(|(_, above)| case.is_side(above.from) || above.parent.is_none())
        .map(|(at, _)| at)
}

/// Questions about signatures that others than the side asked, and that came to something.
fn checks<'c>(case: &'c Case<'_>) -> impl Iterator<Item = &'c SignatureCheck> {
    case.trace
        .checks
        .iter()
        .take(MAX_CHECKS)
        .filter(move |check| !case.is_side(check.by) && !case.frame(check.frame).reverted)
}

fn paid_within(case: &Case<'_>, call: u32) -> bool {
    let end = case.frame(call).end;
    let start = case.flows().partition_point(|flow| flow.frame < call);
    case.flows()[start..]
        .iter()
        .take_while(|flow| flow.frame < end)
        .any(|flow| case.wins(flow.to) && !case.wins(flow.from))
}

/// Who asked, what was signed, and the signature's second number or its mirror image.
type Signed<'c> = (Party, &'c [u8], U256);

fn replayed(case: &Case<'_>) -> Option<Found> {
    let mut seen: HashMap<Signed<'_>, (u32, &[u8])> = HashMap::new();
    let mut looks = 0;
    for check in checks(case) {
        let question = case.trace.bytes(check.question);
        let Some(call) = call_of(case, check.frame).filter(|_| question.len() >= 128) else {
            continue;
        };
        // What was signed, and the lesser of the signature's second number and its mirror image: no two
        // signatures of one thing share that by chance.
        let second = U256::from_be_slice(&question[96..128]);
        let lesser = ORDER.checked_sub(second).map_or(second, |mirror| mirror.min(second));
        let key = (check.by, &question[..32], lesser);
        let (before, other) = *seen.entry(key).or_insert((call, &question[32..128]));
        let apart = before != call && case.frame(before).end <= call;
        looks += u32::from(apart);
        if looks > MAX_LOOKS {
            return None;
        }
        if apart && paid_within(case, before) && paid_within(case, call) {
            let pattern = if other == &question[32..128] { "used_again" } else { "mirrored" };
            return Some((pattern, check.frame, check.by, Severity::P1, 75));
        }
    }
    None
}

fn forged(case: &Case<'_>) -> Option<Found> {
    let nobody =
        |check: &&SignatureCheck| case.trace.bytes(check.answer).iter().all(|byte| *byte == 0);
    checks(case).filter(nobody).take(MAX_LOOKS as usize).find_map(|check| {
        let call = call_of(case, check.frame)?;
        let end = case.frame(check.frame).end;
        // What asks by other means afterwards (a contract's own check) has not relied on it.
        let asks_on = case
            .frames()
            .skip(check.before as usize)
            .take_while(|(next, _)| *next < end)
            .any(|(next, _)| case.selector(next) == 0x1626_ba7e);
        let again = case.trace.checks.iter().any(|other| {
            other.before >= check.before && other.frame == check.frame && other != check
        });
        (!asks_on && !again && paid_within(case, call)).then_some((
            "signed_by_nobody",
            check.frame,
            check.by,
            Severity::P2,
            60,
        ))
    })
}

/// A permit during which no signature was checked, and a pull by it.
fn unchecked(case: &Case<'_>) -> Option<Found> {
    if !case.has_role(Role::Permit) {
        return None;
    }
    let permits = case.frames().filter(|(at, frame)| {
        frame.kind == FrameKind::Call
            && !frame.reverted
            && case.roles(*at).has(Role::Permit)
            && !case.is_side(frame.from)
            && !case.is_side(frame.to)
    });
    permits.take(MAX_LOOKS as usize).find_map(|(at, frame)| {
        if case.trace.checks.iter().any(|check| check.frame >= at && check.frame < frame.end) {
            return None;
        }
        let owner = case.trace.word_address(frame, 0)?;
        let owner = case.trace.party(&owner)?;
        let pulled = case.trace.transfers.iter().any(|transfer| {
            transfer.frame > at
                && transfer.from == owner
                && transfer.by == Some(frame.from)
                && !case.wins(owner)
        });
        // A token that answers a permit with a payment or nothing at all does not know it.
        let silent = frame.end == at + 1 && case.trace.output(frame).is_empty();
        // Where other signatures were told of, this one would have been.
        let told = !case.trace.checks.is_empty();
        let severity = if told { Severity::P2 } else { Severity::P3 };
        (pulled && silent && !case.is_active(owner)).then_some((
            "permit_not_checked",
            at,
            frame.from,
            severity,
            55,
        ))
    })
}
