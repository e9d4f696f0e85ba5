//! Notices that the chain stands still, or that nobody can tell.

use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, timeout};
use tracing::debug;
use wk_model::BlockLink;

use super::findings::{HALTED, UNREACHABLE};
use super::{FollowError, Following, Side};
use crate::evm::wire::RawHeader;
use crate::rpc::{EndpointName, HeadSeen, HeadVia, Health, Request};

/// What is known about the chain's pulse.
pub(super) struct ChainHealth {
    /// The last new head or block.
    progress: Instant,
    /// The last head that was announced, also an old one.
    heard: Instant,
    /// The last time an endpoint answered us.
    answered: Instant,
    /// Since when nobody answers, and why not.
    failing: Option<(Instant, String)>,
    halted: bool,
    unreachable: bool,
}

/// What came of our own look at the head.
pub(super) struct Polled(Result<(EndpointName, BlockLink), String>);

/// Silence of all endpoints that counts.
const SILENCE: Duration = Duration::from_secs(15);
/// Longest time for our own look at the head.
const LONGEST_POLL: Duration = Duration::from_secs(10);

impl ChainHealth {
    pub(super) fn new(now: Instant) -> ChainHealth {
        ChainHealth {
            progress: now,
            heard: now,
            answered: now,
            failing: None,
            halted: false,
            unreachable: false,
        }
    }

    pub(super) fn progressed(&mut self) {
        self.progress = Instant::now();
        self.answered();
    }

    pub(super) fn heard(&mut self) {
        self.heard = Instant::now();
        self.answered();
    }

    pub(super) fn answered(&mut self) {
        self.answered = Instant::now();
        self.failing = None;
    }

    /// Whether an endpoint has answered since `moment`.
    pub(super) fn answered_since(&self, moment: Instant) -> bool {
        self.answered > moment
    }

    pub(super) fn halted(&self) -> bool {
        self.halted
    }

    pub(super) fn unreachable(&self) -> bool {
        self.unreachable
    }

    fn failed(&mut self, error: String) {
        match &mut self.failing {
            Some((_, last)) => *last = error,
            None => self.failing = Some((self.answered, error)),
        }
    }
}

impl Following {
    /// Asks for the head ourselves, unless we are at it.
    pub(super) fn poll(&mut self) {
        if std::mem::replace(&mut self.pending.poll, true) {
            return;
        }
        let pool = self.pool.clone();
        self.jobs.spawn(async move {
            let request = Request::live("eth_getBlockByNumber", json!(["latest", false])).hedged();
            let answer = timeout(LONGEST_POLL, pool.call(request)).await;
            Side::Polled(Polled(match answer {
                Err(_) => Err(format!("no answer within {LONGEST_POLL:?}")),
                Ok(Err(error)) => Err(error.to_string()),
                Ok(Ok(reply)) => match RawHeader::parse(&reply.value) {
                    Ok(header) => Ok((reply.endpoint, header.link())),
                    Err(error) => Err(format!("{} answered: {error}", reply.endpoint)),
                },
            }))
        });
    }

    pub(super) async fn on_polled(&mut self, polled: Polled) -> Result<(), FollowError> {
        self.pending.poll = false;
        match polled.0 {
            Ok((endpoint, link)) => {
                let at = self.clock.now();
                self.on_head(HeadSeen { endpoint, link, via: HeadVia::Poll, at }).await?;
                self.recall_heads().await
            }
            Err(error) => {
                debug!(chain = %self.chain, error, "cannot ask for the head");
                self.health.heard = Instant::now();
                self.health.failed(error);
                Ok(())
            }
        }
    }

    /// While there is nowhere to go: heads of the believed endpoints. They were not told when
    /// another endpoint was believed more, and are not told twice.
    async fn recall_heads(&mut self) -> Result<(), FollowError> {
        let believed = self.believed();
        for status in self.pool.endpoints() {
            let Some(link) = status.head else { continue };
            if self.goal.is_none() && believed.contains(&status.name) {
                let (endpoint, at) = (status.name, self.clock.now());
                self.on_head(HeadSeen { endpoint, link, via: HeadVia::Poll, at }).await?;
            }
        }
        Ok(())
    }

    pub(super) async fn check_health(&mut self) -> Result<(), FollowError> {
        let block_time = self.block_time();
        // At the start, nobody has announced anything yet.
        let patience = if self.goal.is_none() && self.window.tip().is_none() {
            Duration::from_millis(200)
        } else {
            (block_time * 3).max(Duration::from_secs(2))
        };
        if self.health.heard.elapsed() > patience {
            self.poll();
        }
        let down = || {
            let endpoints = self.pool.endpoints();
            !endpoints.is_empty()
                && endpoints.iter().all(|endpoint| endpoint.health == Health::Down)
        };
        if self.health.failing.is_none() && self.health.answered.elapsed() > SILENCE && down() {
            self.health.failed("every endpoint is down".to_owned());
        }
        // A chain that makes blocks when it has something to say is given more time.
        let usual = self.config.halt_after(block_time);
        let limit = match self.config.halt_after {
            Some(_) => usual,
            None => usual.max(self.metrics.longest_interval() * 3),
        };
        let silence = SILENCE.min(limit);
        match &self.health.failing {
            Some((since, error)) if since.elapsed() > silence && !self.health.unreachable => {
                let finding = self.about().unreachable(since.elapsed(), error);
                self.health.unreachable = true;
                self.raise(finding, "").await?;
            }
            None if self.health.unreachable => {
                self.health.unreachable = false;
                // Being out of reach was no halt of the chain.
                self.health.progress = Instant::now();
                self.clear(self.about().key(UNREACHABLE, "")).await?;
            }
            Some(_) | None => {}
        }
        let silent = self.health.progress.elapsed();
        if silent > limit && !self.health.halted && self.health.failing.is_none() {
            self.health.halted = true;
            let finding = self.about().halted(self.window.tip(), silent);
            self.raise(finding, "").await?;
        }
        Ok(())
    }

    /// A new block: the chain does not stand still.
    pub(super) async fn clear_halt(&mut self) -> Result<(), FollowError> {
        if std::mem::replace(&mut self.health.halted, false) {
            self.clear(self.about().key(HALTED, "")).await?;
        }
        Ok(())
    }
}
