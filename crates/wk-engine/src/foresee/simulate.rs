//! One pending transaction, executed alone and after those before it.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::OnceCell;
use tokio::time::Instant;
use wk_chain::evm::state::StateReader;
use wk_chain::evm::wire::{RawHeader, RawTransaction};
use wk_chain::rpc::{Pool, Request};
use wk_model::{Address, B256, BlockRef, ChainName, Finality, Finding};
use wk_replay::{CodeCache, NodeState, simulate};
use wk_runtime::{Clock, with_causes};

use super::candidates::Candidates;
use super::outcome::BEGIN;
use crate::engine::Rules;
use crate::inspect::{
    LookedAt, Place, Tokens, concerns_watched, creations, findings, tokens_of, watched,
};

/// The newest block, on whose state is executed.
pub(super) struct Base {
    state: NodeState,
    header: RawHeader,
    rules: wk_replay::Rules,
}

/// One transaction with everything that it needs.
pub(super) struct Job {
    pub(super) raw: RawTransaction,
    /// Whether it is executed without asking whether it touches watched contracts.
    pub(super) certain: bool,
    pub(super) own: Vec<RawTransaction>,
    pub(super) before: Vec<RawTransaction>,
    pub(super) at: BlockRef,
    pub(super) base: Arc<OnceCell<Base>>,
    pub(super) pool: Pool,
    pub(super) reader: StateReader,
    pub(super) codes: CodeCache,
    pub(super) tokens: Arc<Tokens>,
    pub(super) candidates: Candidates,
    pub(super) rules: Arc<Rules>,
    pub(super) chain: ChainName,
    pub(super) only_watched: bool,
    pub(super) explorer: Option<String>,
    pub(super) timeout: Duration,
    pub(super) clock: Clock,
}

/// What came of it.
pub(super) struct Done {
    pub(super) hash: B256,
    pub(super) took: Duration,
    pub(super) result: Result<Foretold, String>,
}

/// What a transaction will do.
pub(super) enum Foretold {
    /// Nothing with watched contracts: it was not executed.
    Elsewhere,
    /// What was found, and whether a watched contract takes part.
    Executed { findings: Vec<Finding>, touches: bool },
}

impl Job {
    pub(super) async fn run(self) -> Done {
        let (hash, start) = (self.raw.transaction.hash, Instant::now());
        let result = self.foretell().await;
        Done { hash, took: start.elapsed(), result }
    }

    async fn foretell(&self) -> Result<Foretold, String> {
        let decoder = &self.rules.decoder;
        if !self.certain && !self.candidates.is_one(decoder, &self.raw, self.at).await {
            return Ok(Foretold::Elsewhere);
        }
        let base = self.base.get_or_try_init(|| self.fetch_base()).await?;
        let alone = self.execute(base, &[]).await?;
        let touches = !watched(decoder, &self.chain, &alone.trace).is_empty();
        let mut found = self.findings(&alone, &[]).await;
        if touches && !self.before.is_empty() {
            // One of those before may not be executable any more; then there is no such bundle.
            if let Ok(bundled) = self.execute(base, &self.before).await {
                for finding in self.findings(&bundled, &self.before).await {
                    let same = |other: &Finding| {
                        other.source == finding.source && other.class == finding.class
                    };
                    if !found.iter().any(same) {
                        found.push(finding);
                    }
                }
            }
        }
        Ok(Foretold::Executed { findings: found, touches })
    }

    async fn fetch_base(&self) -> Result<Base, String> {
        let request = Request::live("eth_getBlockByHash", json!([self.at.hash, false]));
        let reply = self.pool.call(request).await.map_err(|error| with_causes(&error))?;
        let header = RawHeader::parse(&reply.value).map_err(|error| with_causes(&error))?;
        let chain_id = self.pool.chain_id().ok_or("no endpoint has told its chain id")?;
        let parent = header.header.height.previous();
        let parent = parent.map(|height| BlockRef { height, hash: header.header.parent_hash });
        let (reader, codes) = (self.reader.clone(), self.codes.clone());
        let ancestors = parent.into_iter().collect();
        Ok(Base {
            state: NodeState::after(reader, self.at, ancestors, codes, self.timeout),
            rules: wk_replay::Rules::of(chain_id.0, &header),
            header,
        })
    }

    async fn execute(&self, base: &Base, before: &[RawTransaction]) -> Result<LookedAt, String> {
        let all = before.iter().chain(&self.own).chain([&self.raw]).cloned().collect();
        let executed = simulate(&base.state, base.rules, &base.header, all, self.timeout).await;
        let mut executed = executed.map_err(|error| with_causes(&error))?;
        let mut trace = executed.pop().ok_or("nothing was executed")?.trace;
        trace.hash = Some(self.raw.transaction.hash);
        let (rules, chain) = (Arc::clone(&self.rules), self.chain.clone());
        let looking = tokio::task::spawn_blocking(move || {
            let mut report = wk_detectors::inspect(&trace, &rules.detectors);
            creations(&rules.decoder, &chain, &trace, &rules.detectors, &mut report.findings);
            LookedAt { trace, report }
        });
        looking.await.map_err(|error| format!("looking at it broke: {error}"))
    }

    async fn findings(&self, looked: &LookedAt, before: &[RawTransaction]) -> Vec<Finding> {
        let decoder = &self.rules.decoder;
        let ours = || concerns_watched(decoder, &self.chain, looked);
        if looked.report.findings.is_empty() || (self.only_watched && !ours()) {
            return Vec::new();
        }
        let tokens: Vec<Address> = tokens_of(looked).into_iter().collect();
        self.tokens.learn(&self.reader, self.at, &tokens).await;
        let place = Place {
            chain: &self.chain,
            link: None,
            source: "replay",
            decoder,
            tokens: &self.tokens,
            config: &self.rules.detectors,
            explorer: self.explorer.as_deref(),
            now: self.clock.now(),
        };
        let mut found = findings(&place, looked);
        for finding in &mut found {
            finding.title.insert_str(0, BEGIN);
            // There is no block yet that could become final.
            finding.deliver = Finality::Seen;
            let mut put = |name: &str, value| finding.evidence.insert(name.to_owned(), value);
            put("pending", json!(true));
            put("state_after_block", json!(self.at.height.0));
            let hashes = |all: &[RawTransaction]| -> Vec<B256> {
                all.iter().map(|raw| raw.transaction.hash).collect()
            };
            let after = [hashes(before), hashes(&self.own)].concat();
            if !after.is_empty() {
                put("after", json!(after));
            }
        }
        found
    }
}
