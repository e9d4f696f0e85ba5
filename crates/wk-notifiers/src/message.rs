//! What people read: a notice made safe to show.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::Value;
use wk_model::{
    AssetId, ChainPosition, Finding, FindingBuilder, Notice, NoticeKind, Severity, Source,
    Timestamp,
};

use crate::text::line;

/// How long texts may be, in characters.
const LONGEST_TITLE: usize = 300;
const LONGEST_NAME: usize = 120;
const LONGEST_VALUE: usize = 2_000;
/// How many pieces of evidence, labels, or items of one list are shown.
const MOST_PIECES: usize = 50;
/// How deep evidence may be nested.
const DEEPEST: usize = 4;
/// How long one piece of evidence is in plain text.
const LONGEST_SHOWN: usize = 200;

/// A notice whose texts are safe to show: no control or direction characters, bounded lengths.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    notice: Notice,
}

impl Message {
    /// What to tell of `notice`.
    pub fn new(notice: &Notice) -> Message {
        let Notice { kind, finding, revision, at } = notice;
        Message {
            notice: Notice {
                kind: *kind,
                finding: safe_finding(finding),
                revision: *revision,
                at: *at,
            },
        }
    }

    /// A message that says that it is only a test.
    pub fn test(now: Timestamp) -> Message {
        let finding = FindingBuilder::system(
            "test",
            AssetId::new("site", "watchkeeper"),
            Severity::P3,
            "This is a test of Watchkeeper: messages arrive here",
            now,
        )
        .build();
        Message { notice: Notice { kind: NoticeKind::Test, finding, revision: 1, at: now } }
    }

    /// What is told.
    pub fn kind(&self) -> NoticeKind {
        self.notice.kind
    }

    /// The finding, made safe.
    pub fn finding(&self) -> &Finding {
        &self.notice.finding
    }

    /// How often the finding came to be: more than 1 after a retraction.
    pub fn revision(&self) -> u32 {
        self.notice.revision
    }

    /// When it came to be so.
    pub fn at(&self) -> Timestamp {
        self.notice.at
    }

    /// The headline: what happened, in one line.
    pub fn headline(&self) -> String {
        let Finding { severity, title, .. } = self.finding();
        match self.kind() {
            NoticeKind::Found => format!("{severity} {}: {title}", severity.word()),
            NoticeKind::Retracted => format!("RETRACTED {severity} {}: {title}", severity.word()),
            NoticeKind::Resolved => format!("RESOLVED {severity} {}: {title}", severity.word()),
            NoticeKind::Test => format!("TEST: {title}"),
        }
    }

    /// Of a retraction or a resolution, what it means for what was told before.
    pub fn explanation(&self) -> Option<String> {
        let finding = self.finding();
        match self.kind() {
            NoticeKind::Found | NoticeKind::Test => None,
            NoticeKind::Resolved => {
                Some(format!("It is no longer so. Resolves finding {}.", finding.id))
            }
            NoticeKind::Retracted => Some(match &finding.position {
                Some(position) => format!(
                    "It never happened: block {} of {} was reverted. Retracts finding {}.",
                    position.block, position.chain, finding.id
                ),
                None => format!("It never happened. Retracts finding {}.", finding.id),
            }),
        }
    }

    /// Evidence as names and short texts, in order.
    pub fn evidence(&self) -> impl Iterator<Item = (&str, String)> {
        let shown = |value: &Value| match value {
            Value::String(text) => line(text, LONGEST_SHOWN),
            other => line(&other.to_string(), LONGEST_SHOWN),
        };
        self.finding().evidence.iter().map(move |(name, value)| (name.as_str(), shown(value)))
    }

    /// The whole message as plain text: the headline, then a line for each thing worth knowing.
    pub fn render_text(&self) -> String {
        let finding = self.finding();
        let mut text = self.headline();
        let mut add = |line: &str| {
            text.push_str("\n  ");
            text.push_str(line);
        };
        if let Some(explanation) = self.explanation() {
            add(&explanation);
        }
        add(&format!("{} at {}", finding.source, finding.asset));
        if let Some(position) = &finding.position {
            add(&place(position));
        }
        if self.kind() != NoticeKind::Retracted {
            for (name, value) in self.evidence() {
                add(&format!("{name}: {value}"));
            }
        }
        add(&format!("finding {} seen {}", finding.id, finding.seen_at));
        text
    }

    /// The whole message on one line.
    pub fn render_line(&self) -> String {
        let finding = self.finding();
        let mut text = format!("{} {}", self.at(), self.headline());
        let mut add = |name: &str, value: &str| {
            // A value with spaces or quotes must not look like several.
            let plain = !value.is_empty() && !value.contains([' ', '"', '=']);
            let _ = if plain {
                write!(text, " {name}={value}")
            } else {
                write!(text, " {name}={}", Value::from(value))
            };
        };
        add("finding", &finding.id.to_string());
        add("source", &finding.source.to_string());
        add("asset", finding.asset.as_str());
        if let Some(position) = &finding.position {
            add("chain", position.chain.as_str());
            add("block", &position.block.height.to_string());
            add("hash", &position.block.hash.to_string());
            if let Some(tx) = &position.tx {
                add("tx", &tx.to_string());
            }
        }
        if self.kind() != NoticeKind::Retracted {
            for (name, value) in self.evidence() {
                add(name, &value);
            }
        }
        text
    }
}

/// Where on a chain, in words.
fn place(position: &ChainPosition) -> String {
    let ChainPosition { chain, block, time, tx, log_index } = position;
    let mut text = format!("{chain} block {block} of {time}");
    if let Some(tx) = tx {
        let _ = write!(text, ", transaction {tx}");
    }
    if let Some(log_index) = log_index {
        let _ = write!(text, ", log {log_index}");
    }
    text
}

fn safe_finding(finding: &Finding) -> Finding {
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
        notify,
        seen_at,
    } = finding;
    Finding {
        id: *id,
        source: match source {
            Source::Rule(name) => Source::Rule(line(name, LONGEST_NAME)),
            Source::Detector(name) => Source::Detector(line(name, LONGEST_NAME)),
            Source::System(name) => Source::System(line(name, LONGEST_NAME)),
        },
        severity: *severity,
        confidence: *confidence,
        class: line(class, LONGEST_NAME),
        asset: AssetId::parse(&line(asset.as_str(), LONGEST_NAME)),
        title: line(title, LONGEST_TITLE),
        evidence: safe_pieces(evidence, |value| safe_value(value, 0)),
        labels: safe_pieces(labels, |value| line(value, LONGEST_VALUE)),
        position: position.clone(),
        deliver: *deliver,
        notify: notify.clone(),
        seen_at: *seen_at,
    }
}

fn safe_pieces<V, S>(pieces: &BTreeMap<String, V>, safe: impl Fn(&V) -> S) -> BTreeMap<String, S> {
    pieces
        .iter()
        .take(MOST_PIECES)
        .map(|(name, value)| (line(name, LONGEST_NAME), safe(value)))
        .collect()
}

fn safe_value(value: &Value, depth: usize) -> Value {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        Value::String(text) => line(text, LONGEST_VALUE).into(),
        Value::Array(_) | Value::Object(_) if depth == DEEPEST => "…".into(),
        Value::Array(items) => {
            items.iter().take(MOST_PIECES).map(|item| safe_value(item, depth + 1)).collect()
        }
        Value::Object(fields) => fields
            .iter()
            .take(MOST_PIECES)
            .map(|(name, field)| (line(name, LONGEST_NAME), safe_value(field, depth + 1)))
            .collect(),
    }
}
