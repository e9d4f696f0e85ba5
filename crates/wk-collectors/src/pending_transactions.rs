//! Transactions that wait for inclusion, each once, from all endpoints that tell of them.

use std::collections::{HashSet, VecDeque};

use serde_json::json;
use serde_json::value::RawValue;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::task::JoinSet;
use wk_chain::evm::wire::RawTransaction;
use wk_chain::rpc::{EndpointName, PendingSeen, Pool, Request};
use wk_model::{B256, ChainName, Timestamp};
use wk_runtime::{Metrics, StopToken};

use crate::signals::{PENDING_DROPPED, PENDING_SEEN};

/// Hashes remembered to tell a repeated transaction from a new one.
const REMEMBERED: usize = 65_536;
/// Transactions that wait to be asked for. Beyond it the oldest go: they are the likeliest to be in
/// a block already.
const WAITING: usize = 1_024;
/// Requests for transactions under way at once.
const REQUESTS: usize = 16;

/// A transaction that waits for inclusion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingTransaction {
    /// The chain.
    pub chain: ChainName,
    /// The transaction.
    pub transaction: RawTransaction,
    /// Who told of it first.
    pub endpoint: EndpointName,
    /// When.
    pub at: Timestamp,
}

/// The collector cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum PendingError {
    /// Nobody takes the transactions.
    #[error("nobody takes the pending transactions")]
    Closed,
    /// The pool is gone.
    #[error("the pool of endpoints has ended")]
    PoolEnded,
}

/// Follows the pending transactions of one chain.
///
/// Sheds instead of slowing anything down: what is dropped is counted by reason in
/// `wk_pending_transactions_dropped_total`. A pending transaction that is missed is still seen in
/// its block.
#[derive(Clone)]
pub struct PendingTransactions {
    chain: ChainName,
    pool: Pool,
    metrics: Metrics,
}

impl PendingTransactions {
    /// A collector for the chain behind `pool`; nothing is subscribed to yet.
    pub fn build(chain: ChainName, pool: Pool, metrics: &Metrics) -> PendingTransactions {
        PendingTransactions { chain, pool, metrics: metrics.clone() }
    }

    /// Subscribes, and hands each pending transaction to `out`, until `stop`.
    pub async fn run(
        &self,
        out: mpsc::Sender<PendingTransaction>,
        stop: StopToken,
    ) -> Result<(), PendingError> {
        let mut pending = self.pool.pending();
        let mut state = State { seen: Seen::default(), waiting: VecDeque::new() };
        let mut requests = JoinSet::new();
        loop {
            while requests.len() < REQUESTS
                && let Some(next) = state.waiting.pop_front()
            {
                let pool = self.pool.clone();
                requests.spawn(async move { (fetch(&pool, &next).await, next) });
            }
            tokio::select! {
                biased;
                () = stop.stopped() => return Ok(()),
                Some(done) = requests.join_next() => {
                    // A request that panicked is one that failed.
                    let Ok((fetched, seen)) = done else {
                        self.drop_for("failed");
                        continue;
                    };
                    match fetched {
                        Ok(transaction) => self.hand_on(&out, seen, transaction)?,
                        Err(reason) => self.drop_for(reason),
                    }
                }
                news = pending.recv() => self.take(news, &mut state, &out)?,
            }
        }
    }

    fn take(
        &self,
        news: Result<PendingSeen, RecvError>,
        state: &mut State,
        out: &mpsc::Sender<PendingTransaction>,
    ) -> Result<(), PendingError> {
        let seen = match news {
            Ok(seen) => seen,
            Err(RecvError::Lagged(missed)) => {
                #[expect(clippy::cast_precision_loss, reason = "a count for people")]
                let missed = missed as f64;
                let labels = [self.chain.as_str(), "lagged"];
                self.metrics.counter(&PENDING_DROPPED, &labels).add(missed);
                return Ok(());
            }
            Err(RecvError::Closed) => return Err(PendingError::PoolEnded),
        };
        if !state.seen.insert(seen.hash) {
            return Ok(());
        }
        let Some(raw) = &seen.transaction else {
            if state.waiting.len() == WAITING {
                state.waiting.pop_front();
                self.drop_for("waiting");
            }
            state.waiting.push_back(seen);
            return Ok(());
        };
        match read(raw, seen.hash) {
            Ok(transaction) => self.hand_on(out, seen, transaction),
            Err(reason) => {
                self.drop_for(reason);
                Ok(())
            }
        }
    }

    fn hand_on(
        &self,
        out: &mpsc::Sender<PendingTransaction>,
        seen: PendingSeen,
        transaction: RawTransaction,
    ) -> Result<(), PendingError> {
        let PendingSeen { endpoint, at, .. } = seen;
        let chain = self.chain.clone();
        match out.try_send(PendingTransaction { chain, transaction, endpoint, at }) {
            Ok(()) => self.metrics.counter(&PENDING_SEEN, &[self.chain.as_str()]).inc(),
            Err(TrySendError::Full(_)) => self.drop_for("full"),
            Err(TrySendError::Closed(_)) => return Err(PendingError::Closed),
        }
        Ok(())
    }

    fn drop_for(&self, reason: &str) {
        self.metrics.counter(&PENDING_DROPPED, &[self.chain.as_str(), reason]).inc();
    }
}

struct State {
    seen: Seen,
    waiting: VecDeque<PendingSeen>,
}

/// The newest hashes.
#[derive(Default)]
struct Seen {
    set: HashSet<B256>,
    order: VecDeque<B256>,
}

impl Seen {
    /// Whether the hash is new.
    fn insert(&mut self, hash: B256) -> bool {
        if !self.set.insert(hash) {
            return false;
        }
        self.order.push_back(hash);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.set.remove(&oldest);
        }
        true
    }
}

/// Asks who told of the transaction: others may not know it yet. Else why it is dropped.
async fn fetch(pool: &Pool, seen: &PendingSeen) -> Result<RawTransaction, &'static str> {
    let request = Request::live("eth_getTransactionByHash", json!([seen.hash]));
    let reply = pool.call_on(&seen.endpoint, request).await.map_err(|_| "failed")?;
    read(&reply.value, seen.hash)
}

/// A pending transaction; else why it is dropped.
fn read(raw: &RawValue, hash: B256) -> Result<RawTransaction, &'static str> {
    if raw.get() == "null" {
        return Err("gone");
    }
    let transaction = RawTransaction::parse(raw).map_err(|_| "failed")?;
    if transaction.transaction.hash != hash {
        return Err("failed");
    }
    match transaction.block_hash {
        Some(_) => Err("mined"),
        None => Ok(transaction),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use wk_chain::rpc::{EndpointConfig, PoolConfig};
    use wk_runtime::Clock;

    use super::*;

    fn collector(metrics: &Metrics) -> PendingTransactions {
        let endpoints = vec![EndpointConfig::url("http://127.0.0.1:1")];
        let config = PoolConfig { endpoints, ..PoolConfig::default() };
        let chain = ChainName::new("main");
        let pool = Pool::build(&chain, &config, Clock::system(), metrics).unwrap();
        PendingTransactions::build(chain, pool, metrics)
    }

    fn seen(hash: B256, transaction: Option<serde_json::Value>) -> PendingSeen {
        let transaction = transaction.map(|value| {
            Arc::from(RawValue::from_string(value.to_string()).expect("JSON is JSON"))
        });
        let endpoint = EndpointName::new("local");
        PendingSeen { endpoint, hash, transaction, at: Timestamp(1) }
    }

    fn whole(hash: B256) -> serde_json::Value {
        json!({"hash": hash, "from": "0x00000000000000000000000000000000000000f0", "nonce": "0x1"})
    }

    #[tokio::test]
    async fn each_transaction_is_handed_on_once_and_what_is_dropped_is_counted() {
        let metrics = Metrics::new();
        let collector = collector(&metrics);
        let (out, mut inbox) = mpsc::channel(2);
        let mut state = State { seen: Seen::default(), waiting: VecDeque::new() };
        let hash = |byte| B256::repeat_byte(byte);
        let mut mined = whole(hash(3));
        mined["blockHash"] = json!(hash(9));
        for news in [
            Ok(seen(hash(1), Some(whole(hash(1))))),
            Ok(seen(hash(1), Some(whole(hash(1))))),
            Ok(seen(hash(1), None)),
            Ok(seen(hash(2), Some(whole(hash(7))))),
            Ok(seen(hash(3), Some(mined))),
            Ok(seen(hash(4), Some(json!("no transaction")))),
            Ok(seen(hash(5), Some(whole(hash(5))))),
            Ok(seen(hash(6), Some(whole(hash(6))))),
            Err(RecvError::Lagged(40)),
        ] {
            collector.take(news, &mut state, &out).unwrap();
        }
        assert_eq!(inbox.try_recv().unwrap().transaction.transaction.hash, hash(1));
        assert_eq!(inbox.try_recv().unwrap().transaction.transaction.hash, hash(5));
        assert!(inbox.try_recv().is_err());
        let dropped = |reason| metrics.counter(&PENDING_DROPPED, &["main", reason]).get();
        let counts = ["failed", "mined", "full", "lagged", "waiting"].map(dropped);
        assert_eq!(counts, [2.0, 1.0, 1.0, 40.0, 0.0]);
        assert_eq!(metrics.counter(&PENDING_SEEN, &["main"]).get(), 2.0);
    }

    #[tokio::test]
    async fn too_many_hashes_push_out_the_oldest() {
        let metrics = Metrics::new();
        let collector = collector(&metrics);
        let (out, _inbox) = mpsc::channel(1);
        let mut state = State { seen: Seen::default(), waiting: VecDeque::new() };
        for number in 0..WAITING as u64 + 5 {
            let hash = B256::left_padding_from(&number.to_be_bytes());
            collector.take(Ok(seen(hash, None)), &mut state, &out).unwrap();
        }
        assert_eq!(state.waiting.len(), WAITING);
        assert_eq!(state.waiting[0].hash, B256::left_padding_from(&5u64.to_be_bytes()));
        assert_eq!(metrics.counter(&PENDING_DROPPED, &["main", "waiting"]).get(), 5.0);
    }

    #[test]
    fn remembers_a_bounded_number_of_hashes() {
        let mut seen = Seen::default();
        let hash = |number: usize| B256::left_padding_from(&number.to_be_bytes());
        for number in 0..=REMEMBERED {
            assert!(seen.insert(hash(number)));
        }
        assert_eq!((seen.set.len(), seen.order.len()), (REMEMBERED, REMEMBERED));
        assert!(!seen.insert(hash(REMEMBERED)), "the newest is known");
        assert!(seen.insert(hash(0)), "the oldest is forgotten");
    }
}
