//! Contracts that came into being: whether they look made for an attack on a watched one.

use serde_json::json;
use wk_chain::abi::Decoder;
use wk_contracts::code::{SUSPICIOUS, attack_likeness};
use wk_detectors::{Class, Evidence, TxFinding};
use wk_model::{ChainName, Confidence, Severity};
use wk_trace::{FrameKind, TxTrace};

use super::finding::is_any_watched;

/// Contracts of one transaction that are looked at.
const MOST: usize = 64;

/// What is to be said of the contracts that a transaction made. Without calls nothing is seen.
pub(crate) fn creations(decoder: &Decoder, chain: &ChainName, trace: &TxTrace) -> Vec<TxFinding> {
    if !trace.success || !is_any_watched(decoder, chain) {
        return Vec::new();
    }
    let made = (0_u32..).zip(&trace.frames).filter(|(_, frame)| {
        frame.kind == FrameKind::Create && !frame.reverted && !trace.output(frame).is_empty()
    });
    let looked = made.take(MOST).filter_map(|(at, frame)| {
        // A protocol's own factory makes contracts that name it.
        let is_watched = |address: &_| decoder.contract(chain, address).is_some();
        if is_watched(&trace.address(frame.from)) {
            return None;
        }
        let likeness = attack_likeness(trace.output(frame), is_watched);
        let victim = likeness.names.first().filter(|_| likeness.score >= SUSPICIOUS)?;
        let mut evidence = Evidence::new();
        let mut put = |name: &str, value| evidence.insert(name.to_owned(), value);
        put("victim", json!(format!("{victim:#x}")));
        put("contract", json!(format!("{:#x}", trace.address(frame.to))));
        put("frame", json!(at));
        put("score", json!(likeness.score));
        put("signs", json!(likeness.items));
        Some(TxFinding {
            detector: "victim_named",
            class: Class::AttackContract,
            severity: Severity::P2,
            confidence: Confidence(likeness.score.min(70)),
            evidence,
        })
    });
    looked.take(1).collect()
}
