//! The running engine as others see it: what the API shows, and the few things it may ask for.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::RwLock;
use tokio::sync::watch;
use wk_chain::abi::Contract;
use wk_chain::rpc::{EndpointStatus, Pool};
use wk_contracts::funds::Labels;
use wk_contracts::risk::PastFindings;
use wk_model::{ChainName, Timestamp};
use wk_notifiers::Receivers;
use wk_rules::RuleSummary;
use wk_runtime::{Clock, Metrics, Supervisor, Wake};
use wk_store::{OutboxId, Store, StoreError};

use crate::contract_facts::{ExamineError, Examined, examine};
use crate::engine::Rules;
use crate::parts::ChainParts;
use crate::{ChainState, Costs, Live, Recent, Statuses};

/// A view on the running engine. Clones look at the same engine.
#[derive(Clone)]
pub struct Handle {
    /// Everything that is kept.
    pub store: Store,
    /// The program's own metrics.
    pub metrics: Metrics,
    /// What happens right now.
    pub live: Live,
    /// How each chain is doing.
    pub statuses: Statuses,
    /// The time.
    pub clock: Clock,
    /// All tasks.
    pub supervisor: Supervisor,
    /// The newest blocks.
    pub recent: Recent,
    /// What watched contracts cost since the start.
    pub costs: Costs,
    /// When the program started.
    pub started_at: Timestamp,
    pub(crate) pools: Pools,
    /// What each chain's tasks work with.
    pub(crate) chains: Arc<RwLock<BTreeMap<ChainName, ChainParts>>>,
    /// Whose turn it is to look into a transaction.
    pub(crate) looking_turn: Arc<tokio::sync::Mutex<()>>,
    /// Known addresses of the running config.
    pub(crate) labels: Arc<RwLock<Arc<Labels>>>,
    /// What a coin of each chain is worth, as the running config says.
    pub(crate) prices: Arc<RwLock<BTreeMap<ChainName, f64>>>,
    /// Whose turn it is to follow funds.
    pub(crate) funds_turn: Arc<tokio::sync::Mutex<()>>,
    pub(crate) config: Arc<RwLock<ConfigState>>,
    pub(crate) wake_delivery: Wake,
    pub(crate) rules: watch::Receiver<Arc<Rules>>,
    pub(crate) receivers: watch::Receiver<Arc<Receivers>>,
}

/// The endpoint pools of all chains.
pub(crate) type Pools = Arc<RwLock<BTreeMap<ChainName, Pool>>>;

/// Which config runs, and what became of the newest one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigState {
    /// When the running config was taken.
    pub loaded_at: Timestamp,
    /// Why the newest config was refused; none when it runs.
    pub error: Option<String>,
}

impl Handle {
    /// The endpoints of a chain, in the order of the config; none for an unknown chain.
    pub fn endpoints(&self, chain: &ChainName) -> Option<Vec<EndpointStatus>> {
        self.pools.read().get(chain).map(Pool::endpoints)
    }

    /// The rules of the running config, in its order.
    pub fn rules(&self) -> Vec<RuleSummary> {
        self.rules.borrow().set.rules()
    }

    /// The watched contract with this name in the running config.
    pub fn contract(&self, name: &str) -> Option<Arc<Contract>> {
        self.rules.borrow().decoder.contract_named(name).cloned()
    }

    /// All watched contracts of the running config, by name.
    pub fn contracts(&self) -> Vec<Arc<Contract>> {
        let mut contracts: Vec<_> = self.rules.borrow().decoder.contracts().cloned().collect();
        contracts.sort_by(|a, b| a.name.cmp(&b.name));
        contracts
    }

    /// What a coin of a chain is worth, in the config's currency; none where it does not say.
    pub fn coin_price(&self, chain: &ChainName) -> Option<f64> {
        self.prices.read().get(chain).copied()
    }

    /// Finds out about a watched contract at the newest processed block of its chain. None where the
    /// chain is not followed or has no block yet.
    ///
    /// # Errors
    /// When there is no such contract on the chain, or nobody answers.
    pub async fn examine(
        &self,
        contract: &Contract,
        past: Option<PastFindings>,
    ) -> Option<Result<Examined, ExamineError>> {
        let pool = self.pools.read().get(&contract.chain).cloned()?;
        let block = self.statuses.get(&contract.chain)?.head?.block;
        Some(examine(&pool, block, contract.address, past).await)
    }

    /// Where messages can go, such as `oncall/slack`, and by which kind of channel.
    pub fn targets(&self) -> Vec<(String, &'static str)> {
        let receivers = Arc::clone(&self.receivers.borrow());
        receivers.channels().map(|(target, channel)| (target.to_owned(), channel.name())).collect()
    }

    /// Which config runs.
    pub fn config(&self) -> ConfigState {
        self.config.read().clone()
    }

    /// Whether every chain has processed a block and is still followed.
    pub fn ready(&self) -> Result<(), String> {
        for status in self.statuses.all() {
            match status.state {
                ChainState::Live | ChainState::Backfilling => {}
                ChainState::Starting => {
                    return Err(format!("chain `{}` has no block yet", status.chain));
                }
                ChainState::Stopped => {
                    let reason = status.reason.unwrap_or_default();
                    return Err(format!("chain `{}` stopped: {reason}", status.chain));
                }
            }
        }
        Ok(())
    }

    /// Sends a message that was given up once more. False when there is no such dead message.
    pub async fn resend(&self, id: OutboxId) -> Result<bool, StoreError> {
        let found = self.store.resend(id, self.clock.now()).await?;
        self.wake_delivery.ring();
        Ok(found)
    }

    /// Sends all messages that were given up once more, and says how many.
    pub async fn resend_all(&self) -> Result<u64, StoreError> {
        let count = self.store.resend_all(None, self.clock.now()).await?;
        self.wake_delivery.ring();
        Ok(count)
    }
}
