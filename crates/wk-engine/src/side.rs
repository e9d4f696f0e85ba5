//! What comes in beside the chains' blocks: troubles of endpoints, probes, pending transactions.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tracing::error;
use wk_collectors::{PROBE_FACT, PendingTransaction};
use wk_model::{Condition, Observation};
use wk_rules::{Memory, ProbeAnswer};
use wk_runtime::{Backoff, Clock, Metrics, StopToken, Wake};
use wk_store::{Commit, Route, Store};

use crate::engine::Rules;
use crate::{Live, outcome};

/// Observations that go into one transaction at most.
const BATCH: usize = 256;

/// One thing that comes in beside the blocks.
#[derive(Debug)]
pub(crate) enum SideEvent {
    /// A collector's trouble began or ended.
    Condition(Condition),
    /// A probe was answered, or not.
    Probe(Box<ProbeAnswer>),
    /// A transaction waits for inclusion.
    Pending(Box<PendingTransaction>),
}

impl SideEvent {
    /// What is to be worked on of an observation; samples and other facts are shown as metrics.
    pub(crate) fn of(observation: Observation) -> Option<SideEvent> {
        match observation {
            Observation::Condition(condition) => Some(SideEvent::Condition(condition)),
            Observation::Fact(fact) if fact.name == PROBE_FACT => {
                let answer = serde_json::from_value(fact.value).ok()?;
                Some(SideEvent::Probe(Box::new(answer)))
            }
            Observation::Fact(_) | Observation::Sample(_) | Observation::ChainEvent(_) => None,
        }
    }
}

/// Turns observations without a block into stored findings.
#[derive(Clone)]
pub(crate) struct Side {
    pub(crate) store: Store,
    pub(crate) rules: watch::Receiver<Arc<Rules>>,
    pub(crate) route: watch::Receiver<Route>,
    pub(crate) live: Live,
    pub(crate) metrics: Metrics,
    pub(crate) clock: Clock,
    pub(crate) wake_delivery: Wake,
}

impl Side {
    /// Works until `stop`; what came in before is stored first.
    pub(crate) async fn run(&self, observations: &mut mpsc::Receiver<SideEvent>, stop: StopToken) {
        // How long a probe's trouble has lasted. After a start it begins anew.
        let mut memory = Memory::default();
        while let Some(Some(first)) = stop.run(observations.recv()).await {
            let mut batch = vec![first];
            while batch.len() < BATCH
                && let Ok(next) = observations.try_recv()
            {
                batch.push(next);
            }
            if stop.run(self.store(&mut memory, batch)).await.is_none() {
                return;
            }
        }
    }

    async fn store(&self, memory: &mut Memory, batch: Vec<SideEvent>) {
        let rules = Arc::clone(&self.rules.borrow());
        let now = self.clock.now();
        let mut commit = Commit::without_chain(now, self.route.borrow().clone());
        for event in batch {
            match event {
                SideEvent::Condition(condition) => commit.conditions.push(condition),
                SideEvent::Probe(probe) => {
                    let evaluation = rules.set.evaluate_probe(memory, &probe, now);
                    outcome::take(&mut commit, evaluation, &self.metrics);
                }
                SideEvent::Pending(pending) => {
                    let PendingTransaction { chain, transaction, .. } = &*pending;
                    let transaction = &transaction.transaction;
                    let evaluation = rules.set.evaluate_pending(chain, transaction, now);
                    outcome::take(&mut commit, evaluation, &self.metrics);
                }
            }
        }
        if commit.findings.is_empty()
            && commit.conditions.is_empty()
            && commit.rule_errors.is_empty()
        {
            return;
        }
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(10));
        let committed = loop {
            match self.store.commit(commit.clone()).await {
                Ok(committed) => break committed,
                Err(fault) => {
                    error!(error = %fault, "cannot store; trying again");
                    tokio::time::sleep(backoff.next_wait()).await;
                }
            }
        };
        if committed.outbox_rows > 0 {
            self.wake_delivery.ring();
        }
        outcome::tell_findings(&self.live, &self.metrics, &committed);
    }
}
