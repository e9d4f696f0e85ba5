//! Asks each node about itself: version, peers, sync state, transaction pool and fees.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};
use wk_model::{AssetId, ChainName, Fact, Observation, U256};
use wk_runtime::{Clock, Metrics, StopToken};

use super::json::{FromWire, Object};
use super::signals;
use super::stats::wei;
use crate::rpc::{EndpointName, ErrorClass, Health, Pool, Request};

/// Asks the nodes of one chain, each by itself.
pub struct NodeProbe {
    chain: ChainName,
    pool: Pool,
    every: Duration,
    clock: Clock,
    metrics: Metrics,
    /// Methods that a node does not have: not asked for again until it runs another version.
    missing: BTreeSet<(EndpointName, &'static str)>,
    versions: BTreeMap<EndpointName, String>,
}

/// What is asked of every node.
const QUESTIONS: [&str; 4] =
    ["net_peerCount", "eth_syncing", "txpool_status", "web3_clientVersion"];

impl NodeProbe {
    /// A probe that asks at each `every`; zero asks never.
    pub fn build(
        chain: &ChainName,
        pool: &Pool,
        every: Duration,
        clock: Clock,
        metrics: &Metrics,
    ) -> NodeProbe {
        NodeProbe {
            chain: chain.clone(),
            pool: pool.clone(),
            every,
            clock,
            metrics: metrics.clone(),
            missing: BTreeSet::new(),
            versions: BTreeMap::new(),
        }
    }

    /// Asks until `stop`. A new client version goes to `out` as a fact.
    pub async fn run(mut self, out: mpsc::Sender<Observation>, stop: StopToken) {
        if self.every.is_zero() {
            stop.stopped().await;
            return;
        }
        let mut ticks = interval(self.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run(ticks.tick()).await.is_some() {
            let round = async {
                for fact in self.round().await {
                    // Nobody listens: the program ends.
                    let _ = out.send(Observation::Fact(fact)).await;
                }
            };
            if stop.run(round).await.is_none() {
                return;
            }
        }
    }

    async fn round(&mut self) -> Vec<Fact> {
        let endpoints: Vec<EndpointName> = self
            .pool
            .endpoints()
            .into_iter()
            .filter(|endpoint| endpoint.health != Health::Down)
            .map(|endpoint| endpoint.name)
            .collect();
        let mut facts = Vec::new();
        for endpoint in &endpoints {
            for method in QUESTIONS {
                if let Some(answer) = self.ask(endpoint, method, json!([])).await {
                    facts.extend(self.take(endpoint, method, &answer));
                }
            }
        }
        self.fees().await;
        facts
    }

    /// The answer; none when the node has no such method, or does not answer now.
    async fn ask(
        &mut self,
        endpoint: &EndpointName,
        method: &'static str,
        params: Value,
    ) -> Option<Box<RawValue>> {
        let key = (endpoint.clone(), method);
        if self.missing.contains(&key) {
            return None;
        }
        match self.pool.call_on(endpoint, Request::probe(method, params)).await {
            Ok(reply) => Some(reply.value),
            Err(error) => {
                if error.all(ErrorClass::RpcMethodMissing) {
                    self.missing.insert(key);
                }
                None
            }
        }
    }

    fn take(
        &mut self,
        endpoint: &EndpointName,
        method: &'static str,
        answer: &RawValue,
    ) -> Option<Fact> {
        let labels = &[self.chain.as_str(), endpoint.as_str()];
        match method {
            "net_peerCount" => {
                let peers = u64::from_wire(answer).ok()?;
                self.metrics.gauge(&signals::NODE_PEERS, labels).set(peers as f64);
            }
            "eth_syncing" => {
                let syncing = answer.get() != "false";
                self.metrics
                    .gauge(&signals::NODE_SYNCING, labels)
                    .set(f64::from(u8::from(syncing)));
            }
            "txpool_status" => {
                let status = Object::parse(answer).ok()?;
                for state in ["pending", "queued"] {
                    let count: u64 = status.maybe(state).ok()??;
                    let labels = &[self.chain.as_str(), endpoint.as_str(), state];
                    self.metrics.gauge(&signals::MEMPOOL, labels).set(count as f64);
                }
            }
            "web3_clientVersion" => return self.take_version(endpoint, answer),
            _ => {}
        }
        None
    }

    fn take_version(&mut self, endpoint: &EndpointName, answer: &RawValue) -> Option<Fact> {
        let version: String = serde_json::from_str(answer.get()).ok()?;
        // Untrusted text becomes a label.
        let version: String = version.chars().filter(|c| !c.is_control()).take(120).collect();
        let before = self.versions.insert(endpoint.clone(), version.clone());
        if before.as_ref() == Some(&version) {
            return None;
        }
        let (chain, name) = (self.chain.as_str(), endpoint.as_str());
        if let Some(before) = before {
            self.metrics.remove(&signals::NODE_INFO, &[chain, name, &before]);
            self.missing.retain(|(missing, _)| missing != endpoint);
        }
        self.metrics.gauge(&signals::NODE_INFO, &[chain, name, &version]).set(1.0);
        Some(Fact {
            asset: AssetId::endpoint(&self.chain, name),
            name: "client_version".to_owned(),
            value: Value::String(version),
            at: self.clock.now(),
        })
    }

    /// Fees are the chain's: any node may say them.
    async fn fees(&self) {
        let chain = &[self.chain.as_str()];
        let history = Request::probe("eth_feeHistory", json!(["0x1", "latest", []]));
        if let Ok(reply) = self.pool.call(history).await
            && let Ok(history) = Object::parse(&reply.value)
            && let Ok(fees) = history.each("baseFeePerGas", super::json::value::<U256>)
            && let Some(next) = fees.last()
        {
            self.metrics.gauge(&signals::NEXT_BASE_FEE, chain).set(wei(*next));
        }
        if let Ok(reply) = self.pool.call(Request::probe("eth_blobBaseFee", json!([]))).await
            && let Ok(fee) = U256::from_wire(&reply.value)
        {
            self.metrics.gauge(&signals::BLOB_BASE_FEE, chain).set(wei(fee));
        }
    }
}
