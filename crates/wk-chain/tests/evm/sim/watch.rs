//! Follows a simulated chain through the real pool, and checks on the way that what is told is
//! always a chain.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use wk_chain::coverage::Coverage;
use wk_chain::evm::{EvmConfig, FollowError, Follower, Resume};
use wk_chain::rpc::Pool;
use wk_model::{
    AssetId, B256, BlockBody, BlockLink, BlockRef, ChainChange, ChainName, Condition, ConditionKey,
    Fact, Finding, Height, Intake, Observation, Verification,
};
use wk_runtime::{Clock, Metrics, StopToken};

use super::nodes::SimNode;

/// One block that was told.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) link: BlockLink,
    pub(crate) intake: Intake,
    pub(crate) verification: Verification,
    pub(crate) logs: usize,
    pub(crate) digest: B256,
}

/// All that was told.
#[derive(Default)]
pub(crate) struct Record {
    /// The chain as it folds: by height.
    pub(crate) chain: BTreeMap<Height, Seen>,
    pub(crate) coverage: Coverage,
    pub(crate) seen: Vec<Seen>,
    pub(crate) reverted: Vec<BlockLink>,
    pub(crate) safe: Option<BlockRef>,
    pub(crate) finalized: Option<BlockRef>,
    pub(crate) facts: Vec<Fact>,
    pub(crate) found: Vec<Finding>,
    /// Troubles that stand: name and subject.
    pub(crate) standing: BTreeSet<(String, String)>,
}

/// A chain that is being watched.
pub(crate) struct Watch {
    pub(crate) pool: Pool,
    pub(crate) metrics: Metrics,
    pub(crate) record: Arc<Mutex<Record>>,
    stop: StopToken,
    follower: Option<JoinHandle<Result<(), FollowError>>>,
    tasks: Vec<JoinHandle<()>>,
}

pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

impl Watch {
    /// Follows the chain of these nodes, with `more` settings over quick defaults.
    pub(crate) fn start(nodes: &[&SimNode], more: Value) -> Watch {
        Watch::resume(nodes, more, Resume::default(), Record::default())
    }

    pub(crate) fn resume(nodes: &[&SimNode], more: Value, resume: Resume, record: Record) -> Watch {
        let urls: Vec<(String, String)> =
            nodes.iter().map(|node| (node.http(), node.ws())).collect();
        Watch::at(&urls, more, resume, record)
    }

    /// Follows the chain behind these URLs, HTTP and WebSocket.
    pub(crate) fn at(
        urls: &[(String, String)],
        more: Value,
        resume: Resume,
        record: Record,
    ) -> Watch {
        let endpoint = |(at, (http, ws)): (usize, &(String, String))| json!({"url": http, "ws": ws, "name": format!("n{at}")});
        let rpc: Vec<Value> = urls.iter().enumerate().map(endpoint).collect();
        let mut config = json!({
            "rpc": rpc,
            "block_time": "100ms",
            "rpc_options": {"timeout": "2s", "total_timeout": "4s"},
        });
        for (key, value) in more.as_object().unwrap() {
            config[key] = value.clone();
        }
        let config: EvmConfig = serde_json::from_value(config).unwrap();
        assert_eq!(config.problems(), []);
        let (metrics, clock) = (Metrics::new(), Clock::system());
        let chain = ChainName::new("sim");
        let pool = Pool::build(&chain, &config.pool(), clock.clone(), &metrics).unwrap();
        let follower = Follower::build(&chain, &config, pool.clone(), resume, clock, &metrics);
        let stop = StopToken::new();
        let (out, mut inbox) = mpsc::channel(64);
        let record = Arc::new(Mutex::new(record));
        let recorded = Arc::clone(&record);
        let recorder = tokio::spawn(async move {
            while let Some(observation) = inbox.recv().await {
                recorded.lock().take(observation);
            }
        });
        let (running, pool_out, pool_stop) = (pool.clone(), out.clone(), stop.clone());
        let endpoints = tokio::spawn(async move {
            running.run(pool_out, pool_stop).await.unwrap();
        });
        let follower = tokio::spawn(follower.run(out, stop.clone()));
        let tasks = vec![recorder, endpoints];
        Watch { pool, metrics, record, stop, follower: Some(follower), tasks }
    }

    /// Waits until `look` finds something in the record.
    pub(crate) async fn wait<T>(
        &self,
        what: &str,
        mut look: impl FnMut(&Record) -> Option<T>,
    ) -> T {
        let end = tokio::time::Instant::now() + DEADLINE;
        loop {
            if let Some(found) = look(&self.record.lock()) {
                return found;
            }
            if tokio::time::Instant::now() >= end {
                let record = self.record.lock();
                let chain: Vec<u64> = record.chain.keys().map(|height| height.0).collect();
                let found: Vec<&str> = record.found.iter().map(|f| f.title.as_str()).collect();
                panic!(
                    "waited in vain: {what}; chain {chain:?}; standing {:?}; found {found:#?}; facts {:?}",
                    record.standing,
                    record
                        .facts
                        .iter()
                        .map(|fact| (&fact.name, fact.value.to_string()))
                        .collect::<Vec<_>>()
                );
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) async fn tip(&self, hash: B256) {
        self.wait(&format!("the tip {hash}"), |record| {
            let (_, seen) = record.chain.last_key_value()?;
            (seen.link.block.hash == hash).then_some(())
        })
        .await;
    }

    pub(crate) async fn found(&self, class: &str) -> Finding {
        self.wait(class, |record| {
            record.found.iter().find(|finding| finding.class == class).cloned()
        })
        .await
    }

    pub(crate) async fn over(&self, class: &str) {
        self.wait(&format!("the end of {class}"), |record| {
            (!record.standing.iter().any(|(trouble, _)| trouble == class)).then_some(())
        })
        .await;
    }

    /// Waits until the follower ends by itself.
    pub(crate) async fn ended(&mut self) -> Result<(), FollowError> {
        let follower = self.follower.take().unwrap();
        tokio::time::timeout(DEADLINE, follower).await.expect("it ends").unwrap()
    }

    /// Stops, and gives the record and where to go on.
    pub(crate) async fn stop(mut self) -> (Record, Resume) {
        self.stop.stop();
        if let Some(follower) = self.follower.take() {
            tokio::time::timeout(DEADLINE, follower).await.expect("it stops").unwrap().unwrap();
        }
        drop(self.pool);
        for task in self.tasks.drain(..) {
            tokio::time::timeout(DEADLINE, task).await.expect("it stops").unwrap();
        }
        let record = std::mem::take(&mut *self.record.lock());
        let resume = record.resume();
        (record, resume)
    }
}

impl Record {
    fn take(&mut self, observation: Observation) {
        match observation {
            Observation::ChainEvent(event) => self.take_change(event.link, event.change),
            Observation::Fact(fact) => {
                if fact.name == "hole_opened" {
                    let height = |name: &str| Height(fact.value[name].as_u64().unwrap());
                    self.coverage.hole(height("from"), height("to"));
                }
                self.facts.push(fact);
            }
            Observation::Condition(Condition::Raised(key, finding)) => {
                if self.standing.insert((key.trouble, key.subject)) {
                    self.found.push(*finding);
                }
            }
            Observation::Condition(Condition::Cleared(key)) => {
                self.standing.remove(&(key.trouble, key.subject));
            }
            Observation::Sample(_) => {}
        }
    }

    fn take_change(&mut self, link: BlockLink, change: ChainChange) {
        let height = link.block.height;
        match change {
            ChainChange::Seen { body: BlockBody::Evm(block), verification, intake } => {
                assert_eq!(block.header.link(), link);
                let below = height.previous().and_then(|below| self.chain.get(&below));
                if let Some(below) = below {
                    assert_eq!(link.parent, below.link.block.hash, "a chain at {height}");
                }
                match intake {
                    Intake::Live | Intake::Backfill => {
                        let newest = self.chain.last_key_value().map(|(height, _)| *height);
                        assert!(newest.is_none_or(|newest| newest < height), "in order: {height}");
                    }
                    Intake::Refill => {
                        assert!(!self.chain.contains_key(&height), "{height} was told twice");
                    }
                    Intake::Rescan => assert!(self.chain.contains_key(&height)),
                }
                self.coverage.processed(height, verification.clone());
                let logs = block.transactions.iter().map(|tx| tx.logs().len()).sum();
                let digest = wk_chain::evm::digest(&block);
                let seen = Seen { link, intake, verification, logs, digest };
                self.chain.insert(height, seen.clone());
                self.seen.push(seen);
            }
            ChainChange::Reverted => {
                let newest = self.chain.pop_last().expect("something to revert");
                assert_eq!(newest.1.link, link, "newest first");
                self.coverage.remove(height, height);
                self.reverted.push(link);
            }
            ChainChange::Safe => {
                self.assert_ours(link);
                self.safe = Some(link.block);
            }
            ChainChange::Finalized => {
                self.assert_ours(link);
                self.finalized = Some(link.block);
            }
        }
    }

    fn assert_ours(&self, link: BlockLink) {
        if let Some(seen) = self.chain.get(&link.block.height) {
            assert_eq!(seen.link.block, link.block, "only told blocks become settled");
        }
    }

    pub(crate) fn hashes(&self) -> Vec<(u64, B256)> {
        self.chain.values().map(|seen| (seen.link.block.height.0, seen.link.block.hash)).collect()
    }

    pub(crate) fn resume(&self) -> Resume {
        let mut links: Vec<BlockLink> = Vec::new();
        for seen in self.chain.values() {
            if links.last().is_some_and(|last| last.block.height.next() != seen.link.block.height) {
                links.clear();
            }
            links.push(seen.link);
        }
        let digests = self.chain.values().map(|seen| (seen.link.block, seen.digest)).collect();
        Resume {
            digests,
            links,
            safe: self.safe,
            finalized: self.finalized,
            holes: self.coverage.holes(),
            first: self.chain.keys().next().copied(),
            standing: self
                .standing
                .iter()
                .map(|(trouble, subject)| ConditionKey {
                    trouble: trouble.clone(),
                    asset: AssetId::chain(&ChainName::new("sim")),
                    subject: subject.clone(),
                })
                .collect(),
        }
    }
}
