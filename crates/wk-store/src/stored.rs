//! The stored forms of what is kept as JSON. What was once written stays readable: a change of form
//! is a new version, and old examples are kept as tests.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use wk_model::{Finding, Notice};

use crate::StoreError;

/// A finding whose JSON is longer than this is cut, so that one block full of junk can neither fill
/// the store nor stop it. In bytes.
const LONGEST_FINDING: usize = 256 << 10;
/// How much of one text is kept when a finding is cut, in characters.
const CUT_TEXT: usize = 1_024;
/// How many pieces of evidence and labels are kept when a finding is cut.
const CUT_PIECES: usize = 64;

#[derive(Serialize, Deserialize)]
#[serde(tag = "v")]
enum StoredFinding<'a> {
    #[serde(rename = "1")]
    V1 { finding: Cow<'a, Finding> },
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "v")]
enum StoredNotice<'a> {
    #[serde(rename = "1")]
    V1 { notice: Cow<'a, Notice> },
}

/// A finding as it is written.
pub(crate) fn write_finding(finding: &Finding) -> String {
    write(&StoredFinding::V1 { finding: Cow::Borrowed(finding) })
}

/// A finding as it was written.
pub(crate) fn read_finding(text: &str) -> Result<Finding, StoreError> {
    let StoredFinding::V1 { finding } = read("finding", text)?;
    Ok(finding.into_owned())
}

/// A notice as it is written.
pub(crate) fn write_notice(notice: &Notice) -> String {
    write(&StoredNotice::V1 { notice: Cow::Borrowed(notice) })
}

/// A notice as it was written.
pub(crate) fn read_notice(text: &str) -> Result<Notice, StoreError> {
    let StoredNotice::V1 { notice } = read("notice", text)?;
    Ok(notice.into_owned())
}

/// The finding, cut if it is longer than can be kept.
pub(crate) fn bounded(finding: &Finding) -> Cow<'_, Finding> {
    if write_finding(finding).len() <= LONGEST_FINDING {
        return Cow::Borrowed(finding);
    }
    let mut cut = finding.clone();
    cut.title = cut_text(&cut.title);
    cut.labels = std::mem::take(&mut cut.labels)
        .into_iter()
        .take(CUT_PIECES)
        .map(|(name, value)| (cut_text(&name), cut_text(&value)))
        .collect();
    cut.evidence = std::mem::take(&mut cut.evidence)
        .into_iter()
        .take(CUT_PIECES)
        .map(|(name, value)| (cut_text(&name), cut_value(value)))
        .collect();
    Cow::Owned(cut)
}

fn cut_value(value: Value) -> Value {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => value,
        Value::String(text) => Value::String(cut_text(&text)),
        // Shown as text where it is too long as data.
        Value::Array(_) | Value::Object(_) => {
            let text = value.to_string();
            if text.len() <= CUT_TEXT { value } else { Value::String(cut_text(&text)) }
        }
    }
}

fn cut_text(text: &str) -> String {
    match text.char_indices().nth(CUT_TEXT) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}… ({} bytes cut)", &text[..end], text.len() - end),
    }
}

fn write(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("keys are text and numbers are finite")
}

fn read<'a, T: Deserialize<'a>>(kind: &str, text: &'a str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::Damaged(format!("{kind}: {error}")))
}

#[cfg(test)]
mod tests {
    use wk_model::{AssetId, FindingBuilder, Severity, Timestamp};

    use super::*;

    /// As version 1 wrote it. Never change these; add those of later versions.
    const OLD_FINDING: &str = r#"{"v":"1","finding":{"id":"000102030405060708090a0b0c0d0e0f","source":{"kind":"rule","name":"large-withdrawal"},"severity":"P1","confidence":100,"class":"large_transfer","asset":"contract/mainnet/vault","title":"Withdrew 2000 ETH","evidence":{"amount":"2000000000000000000000"},"labels":{"team":"treasury"},"position":{"chain":"mainnet","block":{"height":7,"hash":"0x0101010101010101010101010101010101010101010101010101010101010101"},"time":1700000000,"tx":"0x0202020202020202020202020202020202020202020202020202020202020202","log_index":3},"deliver":"safe","notify":["oncall"],"seen_at":1700000000123}}"#;
    const OLD_NOTICE: &str = r#"{"v":"1","notice":{"kind":"retracted","finding":{"id":"000102030405060708090a0b0c0d0e0f","source":{"kind":"system","name":"reorg"},"severity":"P3","confidence":100,"class":"reorg","asset":"chain/mainnet","title":"Reorg","evidence":{},"labels":{},"position":null,"deliver":"seen","notify":[],"seen_at":1},"revision":2,"at":5}}"#;

    #[test]
    fn old_rows_stay_readable_and_are_written_alike() {
        let finding = read_finding(OLD_FINDING).unwrap();
        assert_eq!(finding.title, "Withdrew 2000 ETH");
        assert_eq!(write_finding(&finding), OLD_FINDING);
        let notice = read_notice(OLD_NOTICE).unwrap();
        assert_eq!((notice.revision, notice.at), (2, Timestamp(5)));
        assert_eq!(write_notice(&notice), OLD_NOTICE);
        assert!(read_finding("{}").is_err());
        assert!(read_finding(r#"{"v":"99","finding":{}}"#).is_err());
    }

    #[test]
    fn junk_is_cut() {
        let finding = FindingBuilder::system(
            "x",
            AssetId::new("site", "a"),
            Severity::P3,
            "long ".repeat(100_000),
            Timestamp(1),
        );
        let finding = (0..10_000u32)
            .fold(finding, |finding, piece| {
                finding.evidence(&piece.to_string(), vec!["0xff".repeat(100); 20])
            })
            .build();
        let cut = bounded(&finding);
        assert!(write_finding(&cut).len() <= LONGEST_FINDING);
        assert!(cut.title.ends_with("bytes cut)"));
        assert_eq!(bounded(&cut).as_ref(), cut.as_ref());
    }
}
