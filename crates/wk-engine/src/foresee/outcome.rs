//! What became of a pending transaction.

use futures_util::future::join_all;
use serde::Deserialize;
use serde_json::json;
use wk_chain::evm::state::StateReader;
use wk_chain::evm::wire::RawTransaction;
use wk_chain::rpc::{Pool, Request};
use wk_model::primitives::U64;
use wk_model::{Address, B256, BlockRef, Finding, Height};

/// How it began, in titles.
pub(super) const BEGIN: &str = "Pending: ";

/// How a pending transaction ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It stands in a block.
    Included { at: Height, success: Option<bool> },
    /// Another one of the same sender and nonce stands in its place, or will.
    Replaced { by: Option<B256>, at: Option<Height> },
    /// No endpoint knows it any more.
    Dropped,
}

impl Outcome {
    /// What was told, with its end.
    pub(super) fn told(&self, finding: &Finding) -> Finding {
        let (words, value) = match self {
            Outcome::Included { at, success } => {
                let words = match success {
                    Some(false) => format!("Failed in block {at}"),
                    Some(true) | None => format!("Included in block {at}"),
                };
                (words, json!({"state": "included", "block": at.0, "success": success}))
            }
            Outcome::Replaced { by, at } => {
                let mut words = "Replaced".to_owned();
                if let Some(by) = by {
                    words.push_str(&format!(" by {by:#x}"));
                }
                if let Some(at) = at {
                    words.push_str(&format!(" in block {at}"));
                }
                (words, json!({"state": "replaced", "by": by, "block": at.map(|at| at.0)}))
            }
            Outcome::Dropped => ("Dropped".to_owned(), json!({"state": "dropped"})),
        };
        let mut finding = finding.clone();
        let said = finding.title.strip_prefix(BEGIN).unwrap_or(&finding.title);
        finding.title = format!("{words}: {said}");
        finding.evidence.insert("outcome".to_owned(), value);
        finding
    }
}

/// What the endpoints know of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Check {
    /// None of them answers.
    Unknown,
    /// At least one has it waiting.
    Waits { sent_as: (Address, u64) },
    /// At least one has it in a block.
    Included { at: Height },
    /// None that answers knows it.
    Gone { place_taken: bool },
}

/// Asks all endpoints: each has a pool of its own.
pub(super) async fn check(
    pool: Pool,
    reader: StateReader,
    head: Option<BlockRef>,
    hash: B256,
    sent_as: Option<(Address, u64)>,
) -> (B256, Check) {
    let endpoints = pool.endpoints();
    let asked = endpoints.iter().map(|status| {
        let request = Request::live("eth_getTransactionByHash", json!([hash]));
        pool.call_on(&status.name, request)
    });
    let (mut answers, mut waits) = (0, None);
    for reply in join_all(asked).await.into_iter().flatten() {
        answers += 1;
        if reply.is_null() {
            continue;
        }
        let Ok(raw) = RawTransaction::parse(&reply.value) else { continue };
        if let Ok(Placed { height: Some(height) }) = serde_json::from_str(reply.value.get()) {
            return (hash, Check::Included { at: Height(height.to()) });
        }
        waits = Some((raw.transaction.from, raw.transaction.nonce));
    }
    let check = match (waits, answers) {
        (Some(sent_as), _) => Check::Waits { sent_as },
        (None, 0) => Check::Unknown,
        (None, _) => Check::Gone { place_taken: place_taken(&reader, head, sent_as).await },
    };
    (hash, check)
}

/// Where a transaction stands, as far as it does.
#[derive(Deserialize)]
struct Placed {
    #[serde(rename = "blockNumber")]
    height: Option<U64>,
}

/// Whether the sender's nonce has been used.
async fn place_taken(
    reader: &StateReader,
    head: Option<BlockRef>,
    sent_as: Option<(Address, u64)>,
) -> bool {
    let (Some(head), Some((sender, nonce))) = (head, sent_as) else { return false };
    reader.nonce(head, sender).await.is_ok_and(|next| next > nonce)
}
