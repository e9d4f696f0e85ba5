//! What came of a block's transactions, by the best method that the endpoints have.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde_json::json;
use tracing::info;

use super::config::ReceiptSource;
use super::fetch::{Want, quantity};
use super::json::WireError;
use super::verify::Outcomes;
use super::wire::{RawBlock, RawLog, RawReceipt};
use crate::rpc::{
    CallError, EndpointName, ErrorClass, Pool, Purpose, Reply, Request, Trouble, TroubleKind,
};

/// Asks for receipts. Clones share what was learned about the endpoints.
#[derive(Clone)]
pub(super) struct Receipts {
    pool: Pool,
    source: ReceiptSource,
    /// The method in use when the best one was found missing, and when that was.
    fallback: Arc<Mutex<Option<(Method, Instant)>>>,
}

/// Outcomes, and who gave them.
pub(super) struct GotOutcomes {
    pub(super) outcomes: Outcomes,
    /// None when several endpoints or none were asked.
    pub(super) endpoint: Option<EndpointName>,
    /// Who gave null instead.
    pub(super) nulls: Vec<EndpointName>,
}

/// Why there are no outcomes.
pub(super) enum Failure {
    /// An answer that cannot be right.
    Wrong(EndpointName, Trouble),
    /// Nobody answered.
    Call(Box<CallError>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    Block,
    Transaction,
    Logs,
}

/// After this time a missing method is tried again: endpoints change.
const FORGET_AFTER: Duration = Duration::from_secs(600);

/// Waits before receipts that are null are asked for again.
const WAITS: [Duration; 3] =
    [Duration::from_millis(25), Duration::from_millis(75), Duration::from_millis(200)];

impl GotOutcomes {
    pub(super) fn new(outcomes: Outcomes, endpoint: Option<EndpointName>) -> GotOutcomes {
        GotOutcomes { outcomes, endpoint, nulls: Vec::new() }
    }
}

impl Receipts {
    pub(super) fn new(pool: &Pool, source: ReceiptSource) -> Receipts {
        Receipts { pool: pool.clone(), source, fallback: Arc::default() }
    }

    /// Asks before the block is known, where one question gives all receipts.
    pub(super) async fn early(
        &self,
        want: Want,
        purpose: Purpose,
        avoid: &[EndpointName],
    ) -> Option<Result<Reply, CallError>> {
        if self.method() != Method::Block {
            return None;
        }
        Some(self.pool.call(block_receipts(want, purpose, avoid)).await)
    }

    /// The outcomes of `block`; `early` is what was asked for before it was known.
    pub(super) async fn of(
        &self,
        block: &RawBlock,
        early: Option<Result<Reply, CallError>>,
        purpose: Purpose,
        avoid: &[EndpointName],
    ) -> Result<GotOutcomes, Failure> {
        let want = Want::Block(block.header.header.block_ref());
        let mut method = self.method();
        if method == Method::Block {
            match self.of_block(block, want, early, purpose, avoid).await {
                Err(Failure::Call(error)) if self.source == ReceiptSource::Auto => {
                    self.note_missing("eth_getBlockReceipts", Method::Transaction, &error);
                    method = Method::Transaction;
                }
                done => return done,
            }
        }
        if method == Method::Transaction {
            match self.of_transactions(block, purpose, avoid).await {
                Err(Failure::Call(error)) if self.source == ReceiptSource::Auto => {
                    let missing =
                        self.note_missing("eth_getTransactionReceipt", Method::Logs, &error);
                    if !missing {
                        return Err(Failure::Call(error));
                    }
                }
                done => return done,
            }
        }
        match self.of_logs(want, purpose, avoid).await {
            Err(Failure::Call(error)) if self.is_missing("eth_getLogs", &error) => {
                let why = "the endpoints give neither receipts nor logs".to_owned();
                Ok(GotOutcomes::new(Outcomes::Unknown(why), None))
            }
            done => done,
        }
    }

    async fn of_block(
        &self,
        block: &RawBlock,
        want: Want,
        early: Option<Result<Reply, CallError>>,
        purpose: Purpose,
        avoid: &[EndpointName],
    ) -> Result<GotOutcomes, Failure> {
        // Asked by height, the receipts may be of a rival of the block; asked too early, null.
        let mut nulls = Vec::new();
        match &early {
            Some(Ok(reply)) if reply.is_null() => nulls.push(reply.endpoint.clone()),
            Some(Ok(reply)) => {
                let got = read_receipts(reply)?;
                if belongs(block, &got.outcomes) {
                    return Ok(got);
                }
            }
            Some(Err(_)) | None => {}
        }
        if let Some(Err(error)) = early {
            return Err(error.into());
        }
        // A node writes receipts a moment after the block.
        let mut avoid = avoid.to_vec();
        for wait in WAITS {
            let reply = self.pool.call(block_receipts(want, purpose, &avoid)).await?;
            if !reply.is_null() {
                return read_receipts(&reply).map(|got| GotOutcomes { nulls, ..got });
            }
            if !nulls.contains(&reply.endpoint) {
                nulls.push(reply.endpoint.clone());
            }
            if avoid.len() + 1 < self.pool.endpoints().len() {
                avoid.push(reply.endpoint);
            }
            tokio::time::sleep(wait).await;
        }
        let reply = self.pool.call(block_receipts(want, purpose, &avoid)).await?;
        if reply.is_null() {
            let detail = format!("null for the receipts of block {want}");
            return Err(Failure::Wrong(reply.endpoint, Trouble::new(TroubleKind::Empty, detail)));
        }
        read_receipts(&reply)
    }

    async fn of_transactions(
        &self,
        block: &RawBlock,
        purpose: Purpose,
        avoid: &[EndpointName],
    ) -> Result<GotOutcomes, Failure> {
        let requests = block.transactions.iter().map(|raw| {
            let params = json!([raw.transaction.hash]);
            let mut request = Request::new("eth_getTransactionReceipt", params, purpose);
            request.avoid = avoid.to_vec();
            request
        });
        let mut receipts = Vec::with_capacity(block.transactions.len());
        let mut endpoints: Vec<EndpointName> = Vec::new();
        for reply in self.pool.batch(requests.collect()).await {
            let reply = reply?;
            if reply.is_null() {
                let detail = format!("null for a receipt of block {}", block.header.header.height);
                let trouble = Trouble::new(TroubleKind::Empty, detail);
                return Err(Failure::Wrong(reply.endpoint, trouble));
            }
            match RawReceipt::parse(&reply.value) {
                Ok(receipt) => receipts.push(receipt),
                Err(error) => return Err(unreadable(&reply, error.under("receipt"))),
            }
            if !endpoints.contains(&reply.endpoint) {
                endpoints.push(reply.endpoint);
            }
        }
        let endpoint = if endpoints.len() == 1 { endpoints.pop() } else { None };
        Ok(GotOutcomes::new(Outcomes::Receipts(receipts), endpoint))
    }

    async fn of_logs(
        &self,
        want: Want,
        purpose: Purpose,
        avoid: &[EndpointName],
    ) -> Result<GotOutcomes, Failure> {
        let filter = match want {
            Want::Block(block) => json!({"blockHash": block.hash}),
            Want::Height(height) => {
                json!({"fromBlock": quantity(height), "toBlock": quantity(height)})
            }
        };
        let mut request = Request::new("eth_getLogs", json!([filter]), purpose).hedged();
        request.avoid = avoid.to_vec();
        let reply = self.pool.call(request).await?;
        match RawLog::parse_all(&reply.value) {
            Ok(logs) => Ok(GotOutcomes::new(Outcomes::Logs(logs), Some(reply.endpoint))),
            Err(error) => Err(unreadable(&reply, error)),
        }
    }

    fn method(&self) -> Method {
        match self.source {
            ReceiptSource::Block => Method::Block,
            ReceiptSource::Transaction => Method::Transaction,
            ReceiptSource::Logs => Method::Logs,
            ReceiptSource::Auto => match *self.fallback.lock() {
                Some((method, since)) if since.elapsed() < FORGET_AFTER => method,
                Some(_) | None => Method::Block,
            },
        }
    }

    /// When no endpoint has `method`, `next` is used for a while. Says whether that is so.
    fn note_missing(&self, method: &str, next: Method, error: &CallError) -> bool {
        let missing = self.is_missing(method, error);
        if missing {
            info!(method, ?next, "no endpoint has the method; using the next best");
            *self.fallback.lock() = Some((next, Instant::now()));
        }
        missing
    }

    fn is_missing(&self, method: &str, error: &CallError) -> bool {
        let endpoints = self.pool.endpoints();
        error.all(ErrorClass::RpcMethodMissing)
            || (!endpoints.is_empty()
                && endpoints.iter().all(|endpoint| {
                    endpoint.missing_methods.iter().any(|missing| missing == method)
                }))
    }
}

fn block_receipts(want: Want, purpose: Purpose, avoid: &[EndpointName]) -> Request {
    let params = match want {
        Want::Block(block) => json!([block.hash]),
        Want::Height(height) => json!([quantity(height)]),
    };
    let mut request = Request::new("eth_getBlockReceipts", params, purpose).hedged();
    if purpose == Purpose::Live {
        request = request.pinned(want.height());
    }
    request.avoid = avoid.to_vec();
    request
}

fn read_receipts(reply: &Reply) -> Result<GotOutcomes, Failure> {
    match RawReceipt::parse_all(&reply.value) {
        Ok(receipts) => {
            let endpoint = Some(reply.endpoint.clone());
            Ok(GotOutcomes::new(Outcomes::Receipts(receipts), endpoint))
        }
        Err(error) => Err(unreadable(reply, error)),
    }
}

fn unreadable(reply: &Reply, error: WireError) -> Failure {
    let trouble = Trouble::new(TroubleKind::WrongData, error.to_string());
    Failure::Wrong(reply.endpoint.clone(), trouble)
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Failure {
        Failure::Call(Box::new(error))
    }
}

/// Whether the first receipt is of the block's first transaction; no receipts are of any block.
fn belongs(block: &RawBlock, outcomes: &Outcomes) -> bool {
    let Outcomes::Receipts(receipts) = outcomes else { return false };
    match (receipts.first(), block.transactions.first()) {
        (Some(receipt), Some(raw)) => {
            receipt.transaction_hash == raw.transaction.hash
                && receipt.block_hash.is_none_or(|hash| hash == block.header.header.hash)
        }
        (None, _) | (_, None) => true,
    }
}
