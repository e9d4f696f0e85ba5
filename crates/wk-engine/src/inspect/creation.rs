//! Contracts that came into being: whether they look made for an attack on a watched one.

use serde_json::json;
use wk_chain::abi::Decoder;
use wk_contracts::code::{AttackLikeness, SUSPICIOUS, attack_likeness};
use wk_detectors::{ATTACKER_CONTRACT, Class, Config, Evidence, TxFinding};
use wk_model::{Address, ChainName, Confidence, Severity};
use wk_trace::{Frame, FrameKind, TxTrace};

/// Contracts of one transaction that are looked at.
const MOST: usize = 64;
/// Signs that it borrows for a moment, which those who merely use a contract do not. Bots that
/// liquidate do, too, and are told of as well.
const BORROWS: [&str; 2] = ["flash_loan_callback", "asks_for_flash_loan"];

/// Brings what the detector says of contracts that a transaction made together with what is watched:
/// one that names a watched contract is told more urgently, and only once. Without calls nothing is
/// seen.
pub(crate) fn creations(
    decoder: &Decoder,
    chain: &ChainName,
    trace: &TxTrace,
    config: &Config,
    findings: &mut Vec<TxFinding>,
) {
    let is_watched = |address: &Address| decoder.contract(chain, address).is_some();
    let is_ours = |found: &TxFinding| found.detector == ATTACKER_CONTRACT;
    // What kind of attack it would be is a guess that helps nobody to act.
    findings.retain(|found| !is_ours(found) || found.class == Class::AttackContract);
    if !trace.success || !config.attacker_contract.enabled || trace.created.is_empty() {
        return;
    }
    let Some(named) = names_watched(trace, is_watched) else { return };
    if config.min_severity.is_some_and(|least| named.severity > least) {
        return;
    }
    findings.retain(|found| !is_ours(found));
    let place = findings.partition_point(|found| found.confidence >= named.confidence);
    findings.insert(place, named);
}

/// The contract that looks most like made for an attack on a watched one.
fn names_watched(trace: &TxTrace, is_watched: impl Fn(&Address) -> bool) -> Option<TxFinding> {
    let made = (0_u32..).zip(&trace.frames).filter(|(_, frame)| {
        frame.kind == FrameKind::Create && !frame.reverted && !trace.output(frame).is_empty()
    });
    let looked = made.take(MOST).filter_map(|(at, frame)| {
        // A protocol's own factory makes contracts that name it.
        if is_watched(&trace.address(frame.from)) {
            return None;
        }
        let likeness = attack_likeness(trace.output(frame), &is_watched);
        let worth = likeness.score >= SUSPICIOUS && !likeness.names.is_empty();
        worth.then_some((at, frame, likeness))
    });
    let worst = looked.max_by_key(|(at, _, likeness)| (likeness.score, std::cmp::Reverse(*at)));
    worst.map(|(at, frame, likeness)| finding(trace, at, frame, &likeness))
}

fn finding(trace: &TxTrace, at: u32, frame: &Frame, likeness: &AttackLikeness) -> TxFinding {
    let mut evidence = Evidence::new();
    let mut put = |name: &str, value| evidence.insert(name.to_owned(), value);
    put("pattern", json!("names_watched"));
    put("victim", json!(likeness.names.first().map(|victim| format!("{victim:#x}"))));
    put("contract", json!(format!("{:#x}", trace.address(frame.to))));
    put("frame", json!(at));
    put("score", json!(likeness.score));
    put("signs", json!(likeness.items));
    let has = |sign: &str| likeness.items.iter().any(|item| item.sign == sign);
    let (severity, most) = match (BORROWS.iter().any(|sign| has(sign)), has("serves_nobody")) {
        (true, true) => (Severity::P1, 70),
        (true, false) => (Severity::P2, 60),
        (false, _) => (Severity::P3, 40),
    };
    TxFinding {
        detector: ATTACKER_CONTRACT,
        class: Class::AttackContract,
        severity,
        confidence: Confidence(likeness.score.min(most)),
        evidence,
    }
}
