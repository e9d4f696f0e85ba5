//! The JSON that programs get: version 1. Fields may be added; none changes its meaning or goes
//! without a new version.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use wk_model::{ChainPosition, Finding, NoticeKind};

use crate::Message;

/// The message as one JSON object; the same bytes for the same message.
pub(crate) fn body(message: &Message, idempotency_key: &str) -> String {
    let finding = message.finding();
    let body = Body {
        version: "1",
        kind: match message.kind() {
            NoticeKind::Found => "finding",
            NoticeKind::Retracted => "retraction",
            NoticeKind::Resolved => "resolved",
            NoticeKind::Test => "test",
        },
        idempotency_key,
        at: message.at().to_string(),
        text: message.render_text(),
        retracts: match message.kind() {
            NoticeKind::Retracted => Some(Earlier::of(finding)),
            NoticeKind::Found | NoticeKind::Resolved | NoticeKind::Test => None,
        },
        resolves: match message.kind() {
            NoticeKind::Resolved => Some(Earlier::of(finding)),
            NoticeKind::Found | NoticeKind::Retracted | NoticeKind::Test => None,
        },
        finding: WireFinding::of(finding, message.revision()),
    };
    serde_json::to_string(&body).expect("keys are text and numbers are finite")
}

#[derive(Serialize)]
struct Body<'a> {
    version: &'static str,
    kind: &'static str,
    idempotency_key: &'a str,
    at: String,
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    retracts: Option<Earlier<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resolves: Option<Earlier<'a>>,
    finding: WireFinding<'a>,
}

/// The message that this one takes back or ends.
#[derive(Serialize)]
struct Earlier<'a> {
    finding: String,
    title: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    block: Option<WireBlock<'a>>,
}

#[derive(Serialize)]
struct WireBlock<'a> {
    chain: &'a str,
    height: u64,
    hash: String,
}

#[derive(Serialize)]
struct WireFinding<'a> {
    id: String,
    revision: u32,
    severity: String,
    confidence: u8,
    class: &'a str,
    source: WireSource<'a>,
    asset: &'a str,
    title: &'a str,
    evidence: &'a BTreeMap<String, Value>,
    labels: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<WirePosition<'a>>,
    deliver: String,
    seen_at: String,
}

#[derive(Serialize)]
struct WireSource<'a> {
    kind: &'static str,
    name: &'a str,
}

#[derive(Serialize)]
struct WirePosition<'a> {
    #[serde(flatten)]
    block: WireBlock<'a>,
    time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    tx: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    log_index: Option<u64>,
}

impl<'a> Earlier<'a> {
    fn of(finding: &'a Finding) -> Earlier<'a> {
        Earlier {
            finding: finding.id.to_string(),
            title: &finding.title,
            block: finding.position.as_ref().map(WireBlock::of),
        }
    }
}

impl<'a> WireBlock<'a> {
    fn of(position: &'a ChainPosition) -> WireBlock<'a> {
        WireBlock {
            chain: position.chain.as_str(),
            height: position.block.height.0,
            hash: position.block.hash.to_string(),
        }
    }
}

impl<'a> WireFinding<'a> {
    fn of(finding: &'a Finding, revision: u32) -> WireFinding<'a> {
        let Finding {
            id,
            source,
            severity,
            confidence,
            class,
            asset,
            title,
            evidence,
            labels,
            position,
            deliver,
            // Whom to tell is our affair.
            notify: _,
            seen_at,
        } = finding;
        WireFinding {
            id: id.to_string(),
            revision,
            severity: severity.to_string(),
            confidence: confidence.0,
            class,
            source: WireSource { kind: source.kind(), name: source.name() },
            asset: asset.as_str(),
            title,
            evidence,
            labels,
            position: position.as_ref().map(|position| WirePosition {
                block: WireBlock::of(position),
                time: position.time.to_string(),
                tx: position.tx.map(|tx| tx.to_string()),
                log_index: position.log_index,
            }),
            deliver: deliver.to_string(),
            seen_at: seen_at.to_string(),
        }
    }
}
