//! A chain's past, for looks that are not part of following it: backtests and replays.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use wk_chain::evm::state::StateReader;
use wk_chain::evm::{Blocks, EvmConfig, blocks};
use wk_chain::rpc::{Health, Pool, Purpose, Request};
use wk_model::{B256, ChainName, Height, Problem};
use wk_runtime::{Clock, Metrics, StopToken};

use crate::Inspector;
use crate::inspect::height_of;

/// How long endpoints get to answer for the first time.
const PATIENCE: Duration = Duration::from_secs(15);

/// Access to the past of one chain. Its endpoints are watched while this lives.
pub struct History {
    chain: ChainName,
    config: EvmConfig,
    pool: Pool,
    metrics: Metrics,
    stop: StopToken,
    running: JoinHandle<()>,
}

/// The past cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum OpenHistory {
    /// The endpoints' settings are wrong.
    #[error("the endpoints cannot be used: {}", .0.iter().map(|p| format!("{}: {}", p.path, p.message)).collect::<Vec<_>>().join("; "))]
    Config(Vec<Problem>),
    /// Nobody answers.
    #[error("no endpoint of `{chain}` answers: {reason}; try `watchkeeper doctor`")]
    Unreachable {
        /// The chain.
        chain: ChainName,
        /// What the endpoints said.
        reason: String,
    },
}

impl History {
    /// Connects, and waits until an endpoint answers.
    pub async fn open(chain: &ChainName, config: &EvmConfig) -> Result<History, OpenHistory> {
        let metrics = Metrics::new();
        let pool = Pool::build(chain, &config.pool(), Clock::system(), &metrics)
            .map_err(OpenHistory::Config)?;
        let stop = StopToken::new();
        let (out, mut seen) = mpsc::channel(64);
        let running = tokio::spawn({
            let (pool, stop) = (pool.clone(), stop.clone());
            async move {
                let drain = async { while seen.recv().await.is_some() {} };
                // What goes wrong with endpoints shows in the answers that are asked for.
                let _ = tokio::join!(pool.run(out, stop), drain);
            }
        });
        let (chain, config) = (chain.clone(), config.clone());
        let history = History { chain, config, pool, metrics, stop, running };
        history.wait().await?;
        Ok(history)
    }

    async fn wait(&self) -> Result<(), OpenHistory> {
        let answered = async {
            loop {
                let good = |health| matches!(health, Health::Healthy | Health::Limited);
                if self.pool.endpoints().iter().any(|status| good(status.health)) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        if tokio::time::timeout(PATIENCE, answered).await.is_ok() {
            return Ok(());
        }
        let reasons = self.pool.endpoints().into_iter().map(|status| {
            let said = status.reason.or(status.last_error.map(|error| error.message));
            format!("{}: {}", status.name, said.unwrap_or_else(|| "no answer".to_owned()))
        });
        let reason = reasons.collect::<Vec<_>>().join("; ");
        Err(OpenHistory::Unreachable { chain: self.chain.clone(), reason })
    }

    /// Height of the newest block; none when nobody tells.
    pub async fn head(&self) -> Option<Height> {
        let request = Request::backfill("eth_blockNumber", serde_json::json!([]));
        let reply = self.pool.call(request).await.ok()?;
        let text: String = reply.parse().ok()?;
        u64::from_str_radix(text.trim_start_matches("0x"), 16).ok().map(Height)
    }

    /// Verified blocks from–to, in order.
    pub fn blocks(&self, from: Height, to: Height) -> Blocks {
        blocks(&self.chain, &self.pool, &self.config, &self.metrics, from, to)
    }

    /// Height of the block that holds a transaction; none when none does.
    ///
    /// # Errors
    /// When nobody answers.
    pub async fn height_of(&self, transaction: B256) -> Result<Option<Height>, String> {
        height_of(&self.pool, transaction).await
    }

    /// Inspects transactions of past blocks.
    pub fn inspector(&self) -> Inspector {
        Inspector::new(&self.chain, &self.config, &self.pool, &self.metrics)
    }

    /// Reads state of past blocks.
    pub fn reader(&self) -> StateReader {
        StateReader::new(&self.pool, Purpose::Backfill)
    }

    /// The pool behind it.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }
}

impl Drop for History {
    fn drop(&mut self) {
        self.stop.stop();
        self.running.abort();
    }
}
