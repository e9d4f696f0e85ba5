//! Starts all parts from a config, takes a newer config as a difference, and ends in order.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use tokio::sync::{mpsc, watch};
use tracing::{info, warn};
use wk_chain::abi::Decoder;
use wk_chain::evm::{EvmConfig, NodeProbe};
use wk_chain::rpc::Pool;
use wk_collectors::{HttpProbe, PendingTransaction, PendingTransactions, ProbeConfig};
use wk_config::{ChainConfig, Config, Loaded, ServerConfig, probe_config};
use wk_contracts::funds::Labels;
use wk_model::{ChainName, Finding, Observation, Problem};
use wk_notifiers::Receivers;
use wk_rules::{RuleConfig, RuleSet};
use wk_runtime::{
    Clock, Metrics, Restart, Stage, StillRunning, StopToken, Supervisor, TaskFailure, Wake,
    with_causes,
};
use wk_store::{Commit, OpenStore, Route, Store, StoreError};

use crate::canary::{Arrivals, Canary};
use crate::chain::ChainTask;
use crate::deadman::Deadman;
use crate::deliver::Deliverer;
use crate::foresee::{Foresee, Touching};
use crate::handle::{ConfigState, Handle, Pools};
use crate::housekeeping::Housekeeping;
use crate::inspect::{Inbox, InspectTask, Inspector};
use crate::parts::ChainParts;
use crate::side::{Side, SideEvent};
use crate::{Costs, Live, Recent, Statuses, signals};

/// Observations without a block that may wait to be processed.
const QUEUE: usize = 1_024;

/// The rules that run, and what knows their contracts. One is made for the other.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) set: RuleSet,
    pub(crate) decoder: Decoder,
    pub(crate) detectors: Arc<wk_detectors::Config>,
}

/// The running program, but for what talks to people.
pub struct Engine {
    pub(crate) handle: Handle,
    /// What was started, so that a newer config can be taken as a difference.
    running: Mutex<Running>,
    pub(crate) rules: watch::Sender<Arc<Rules>>,
    pub(crate) route: watch::Sender<Route>,
    pub(crate) receivers: watch::Sender<Arc<Receivers>>,
    pub(crate) server: watch::Sender<ServerConfig>,
    pub(crate) observations: mpsc::Sender<SideEvent>,
}

#[derive(Default)]
struct Running {
    chains: BTreeMap<ChainName, RunningChain>,
    sources: Vec<(Source, StopToken)>,
    rules: Vec<RuleConfig>,
}

/// A chain's tasks, and what they work with.
struct RunningChain {
    parts: ChainParts,
    stops: Vec<StopToken>,
}

/// What a source beside the chains is made from: the same settings are the same source.
#[derive(PartialEq)]
enum Source {
    Probe(ProbeConfig),
    Pending(ChainName),
}

/// A chain that is to be started.
pub(crate) type Built = (ChainName, EvmConfig, Pool);

/// The engine cannot start, or cannot take a config.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenStore),
    /// The store fails.
    #[error("the store fails: {0}")]
    Store(#[from] StoreError),
    /// Faults of the config that only show when the parts are built.
    #[error("the config cannot be used: {}", shown(.0))]
    Config(Vec<Problem>),
}

fn shown(problems: &[Problem]) -> String {
    let lines: Vec<String> =
        problems.iter().map(|problem| format!("{}: {}", problem.path, problem.message)).collect();
    lines.join("; ")
}

impl Engine {
    /// Opens the store and starts all tasks.
    pub async fn start(loaded: Loaded) -> Result<Engine, StartError> {
        let clock = Clock::system();
        let metrics = Metrics::new();
        let config = &loaded.config;
        let store = Store::open(&config.server.data_dir, &metrics)?;
        let supervisor = Supervisor::new(clock.clone());
        let receivers = Arc::new(receivers_of(config)?);
        let now = clock.now();

        let (rules, _) = watch::channel(rules_of(&loaded));
        let (route, _) = watch::channel(route_of(config, &receivers));
        let (receivers, _) = watch::channel(receivers);
        let (server, _) = watch::channel(config.server.clone());
        let (observations, queue) = mpsc::channel(QUEUE);
        let handle = Handle {
            store,
            metrics,
            live: Live::default(),
            statuses: Statuses::default(),
            clock,
            supervisor,
            costs: Costs::default(),
            started_at: now,
            recent: Recent::default(),
            pools: Pools::default(),
            chains: Arc::default(),
            looking_turn: Arc::default(),
            labels: Arc::default(),
            prices: Arc::default(),
            funds_turn: Arc::default(),
            config: Arc::new(RwLock::new(ConfigState { loaded_at: now, error: None })),
            wake_delivery: Wake::new(),
            rules: rules.subscribe(),
            receivers: receivers.subscribe(),
        };
        let running = Mutex::default();
        let engine = Engine { handle, running, rules, route, receivers, server, observations };
        engine.describe();
        engine.start_common(queue);
        engine.clear_stale(&loaded, &BTreeSet::new()).await?;
        let built = engine.build(&loaded)?;
        engine.take(&loaded, built);
        Ok(engine)
    }

    /// The view that others have on the engine.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Waits until a task fails without which nothing works.
    pub async fn failed(&self) -> TaskFailure {
        self.handle.supervisor.failed().await
    }

    /// Ends all tasks: intake first, then processing, delivery, the API.
    pub async fn shutdown(&self, deadline: Duration) -> Result<(), StillRunning> {
        self.handle.supervisor.shutdown(deadline).await
    }

    fn describe(&self) {
        let metrics = &self.handle.metrics;
        metrics.gauge(&signals::BUILD_INFO, &[env!("CARGO_PKG_VERSION")]).set(1.0);
        let started = self.handle.started_at.0 as f64 / 1_000.0;
        metrics.gauge(&signals::START_TIME, &[]).set(started);
        metrics.gauge(&signals::CONFIG_VALID, &[]).set(1.0);
    }

    /// Tasks that every config needs.
    fn start_common(&self, queue: mpsc::Receiver<SideEvent>) {
        let handle = &self.handle;
        let side = Side {
            store: handle.store.clone(),
            rules: self.rules.subscribe(),
            route: self.route.subscribe(),
            live: handle.live.clone(),
            metrics: handle.metrics.clone(),
            clock: handle.clock.clone(),
            wake_delivery: handle.wake_delivery.clone(),
        };
        let queue = Arc::new(tokio::sync::Mutex::new(queue));
        handle.supervisor.spawn(Stage::Process, "side", Restart::Backoff, move |stop| {
            let (side, queue) = (side.clone(), Arc::clone(&queue));
            async move {
                side.run(&mut *queue.lock().await, stop).await;
                Ok::<(), String>(())
            }
        });
        let canaries = Arrivals::default();
        let deliverer = Arc::new(Deliverer {
            store: handle.store.clone(),
            receivers: self.receivers.subscribe(),
            clock: handle.clock.clone(),
            metrics: handle.metrics.clone(),
            wake: handle.wake_delivery.clone(),
            canaries: canaries.clone(),
        });
        handle.supervisor.spawn(Stage::Deliver, "deliver", Restart::Backoff, move |stop| {
            let deliverer = Arc::clone(&deliverer);
            async move { deliverer.run(stop).await }
        });
        self.start_self_watch(canaries);
        let housekeeping = Housekeeping { handle: handle.clone(), server: self.server.subscribe() };
        let supervisor = &handle.supervisor;
        supervisor.spawn(Stage::Process, "housekeeping", Restart::Backoff, move |stop| {
            housekeeping.clone().run(stop)
        });
    }

    /// Who watches the watcher.
    fn start_self_watch(&self, arrivals: Arrivals) {
        let handle = &self.handle;
        let canary = Canary {
            store: handle.store.clone(),
            arrivals: arrivals.clone(),
            server: self.server.subscribe(),
            observations: self.observations.clone(),
            metrics: handle.metrics.clone(),
            clock: handle.clock.clone(),
            wake_delivery: handle.wake_delivery.clone(),
        };
        handle.supervisor.spawn(Stage::Process, "canary", Restart::Backoff, move |stop| {
            canary.clone().run(stop)
        });
        let deadman = Deadman {
            handle: handle.clone(),
            server: self.server.subscribe(),
            arrivals,
            observations: self.observations.clone(),
        };
        handle.supervisor.spawn(Stage::Deliver, "deadman", Restart::Backoff, move |stop| {
            deadman.clone().run(stop)
        });
    }

    /// The pools of the chains that are new or changed.
    pub(crate) fn build(&self, loaded: &Loaded) -> Result<Vec<Built>, StartError> {
        let running = self.running.lock();
        let mut built = Vec::new();
        for (chain, ChainConfig::Evm(config)) in &loaded.config.chains {
            if running.chains.get(chain).is_some_and(|old| old.parts.config == *config) {
                continue;
            }
            let pool =
                Pool::build(chain, &config.pool(), self.handle.clock.clone(), &self.handle.metrics)
                    .map_err(|problems| {
                        let at = format!("chains.{chain}.evm");
                        StartError::Config(problems.into_iter().map(|p| p.under(&at)).collect())
                    })?;
            built.push((chain.clone(), config.clone(), pool));
        }
        Ok(built)
    }

    /// Starts and stops what differs between what runs and `loaded`. Gives the ids of the rules that
    /// stay as they were.
    pub(crate) fn take(&self, loaded: &Loaded, built: Vec<Built>) -> BTreeSet<String> {
        *self.handle.labels.write() = Arc::new(Labels::new(&loaded.config.labels));
        self.handle.prices.write().clone_from(&loaded.config.coin_prices);
        let mut running = self.running.lock();
        let wanted = &loaded.config.chains;
        let rebuilt: BTreeSet<ChainName> =
            built.iter().map(|(chain, _, _)| chain.clone()).collect();
        running.chains.retain(|chain, old| {
            let keep = wanted.contains_key(chain) && !rebuilt.contains(chain);
            if !keep {
                info!(%chain, "no longer watched as before");
                old.stops.iter().for_each(StopToken::stop);
                self.handle.pools.write().remove(chain);
                self.handle.chains.write().remove(chain);
                if !wanted.contains_key(chain) {
                    self.handle.statuses.remove(chain);
                    self.handle.recent.remove(chain);
                }
            }
            keep
        });
        for (chain, config, pool) in built {
            info!(%chain, "watching");
            let started = self.start_chain(&chain, &config, pool);
            running.chains.insert(chain, started);
        }
        let wanted = sources_of(loaded);
        running.sources.retain(|(source, stop)| {
            let keep = wanted.contains(source)
                && !matches!(source, Source::Pending(chain) if rebuilt.contains(chain));
            if !keep {
                stop.stop();
            }
            keep
        });
        for source in wanted {
            if running.sources.iter().all(|(running, _)| *running != source)
                && let Some(stop) = self.start_source(&source, &running.chains)
            {
                running.sources.push((source, stop));
            }
        }
        let rules = &loaded.config.rules;
        let kept = rules.iter().filter(|rule| running.rules.contains(rule));
        let kept = kept.map(|rule| rule.id.clone()).collect();
        running.rules.clone_from(rules);
        kept
    }

    fn start_chain(&self, chain: &ChainName, config: &EvmConfig, pool: Pool) -> RunningChain {
        let handle = &self.handle;
        handle.pools.write().insert(chain.clone(), pool.clone());
        handle.statuses.update(chain, |_| {});
        let mut stops = Vec::new();
        {
            let (pool, side) = (pool.clone(), self.observations.clone());
            let name = format!("{chain}/endpoints");
            stops.push(handle.supervisor.spawn(
                Stage::Intake,
                name,
                Restart::Backoff,
                move |stop| {
                    let (pool, side) = (pool.clone(), side.clone());
                    async move { beside(side, |out| pool.run(out, stop)).await }
                },
            ));
        }
        {
            let (chain, pool, every) = (chain.clone(), pool.clone(), config.node_facts_every.0);
            let (clock, metrics) = (handle.clock.clone(), handle.metrics.clone());
            let side = self.observations.clone();
            let name = format!("{chain}/nodes");
            stops.push(handle.supervisor.spawn(
                Stage::Intake,
                name,
                Restart::Backoff,
                move |stop| {
                    let probe = NodeProbe::build(&chain, &pool, every, clock.clone(), &metrics);
                    let side = side.clone();
                    async move {
                        beside(side, |out| async move {
                            probe.run(out, stop).await;
                            Ok::<(), String>(())
                        })
                        .await
                    }
                },
            ));
        }
        let inspector = Inspector::new(chain, config, &pool, &handle.metrics);
        let parts = ChainParts {
            chain: chain.clone(),
            config: config.clone(),
            pool,
            store: handle.store.clone(),
            rules: self.rules.subscribe(),
            route: self.route.subscribe(),
            live: handle.live.clone(),
            statuses: handle.statuses.clone(),
            recent: handle.recent.clone(),
            inspector,
            metrics: handle.metrics.clone(),
            clock: handle.clock.clone(),
            wake_delivery: handle.wake_delivery.clone(),
            costs: handle.costs.clone(),
            inbox: Inbox::default(),
            touching: Touching::default(),
        };
        handle.chains.write().insert(chain.clone(), parts.clone());
        let task = InspectTask(parts.clone());
        let name = format!("{chain}/inspect");
        stops.push(
            handle
                .supervisor
                .spawn(Stage::Process, name, Restart::Backoff, move |stop| task.clone().run(stop)),
        );
        let task = ChainTask(parts.clone());
        let name = format!("{chain}/follow");
        stops.push(
            handle
                .supervisor
                .spawn(Stage::Intake, name, Restart::Backoff, move |stop| task.clone().run(stop)),
        );
        RunningChain { parts, stops }
    }

    fn start_source(
        &self,
        source: &Source,
        chains: &BTreeMap<ChainName, RunningChain>,
    ) -> Option<StopToken> {
        let supervisor = &self.handle.supervisor;
        let side = self.observations.clone();
        match source {
            Source::Probe(config) => {
                let rule = config.rule.clone();
                let (clock, metrics) = (self.handle.clock.clone(), &self.handle.metrics);
                let probe = match HttpProbe::build(config.clone(), clock, metrics) {
                    Ok(probe) => Arc::new(probe),
                    Err(problems) => {
                        warn!(rule, problems = shown(&problems), "a probe cannot run");
                        return None;
                    }
                };
                let name = format!("probe/{rule}");
                Some(
                    supervisor.spawn(Stage::Intake, name, Restart::Backoff, move |stop| {
                        let (probe, side) = (Arc::clone(&probe), side.clone());
                        async move {
                            beside(side, |out| async move { probe.run(out, stop).await }).await
                        }
                    }),
                )
            }
            Source::Pending(chain) => {
                let RunningChain { parts, .. } = chains.get(chain)?;
                let pool = parts.pool.clone();
                let pending = PendingTransactions::build(chain.clone(), pool, &parts.metrics);
                let pending = Arc::new(pending);
                let foresee = parts.config.pending.simulate.then(|| Foresee(parts.clone()));
                let name = format!("{chain}/pending");
                Some(supervisor.spawn(Stage::Intake, name, Restart::Backoff, move |stop| {
                    let pending = Arc::clone(&pending);
                    follow_pending(pending, side.clone(), foresee.clone(), stop)
                }))
            }
        }
    }

    /// Ends conditions about what is no longer in the config, and of rules that begin anew: all but
    /// `kept`.
    pub(crate) async fn clear_stale(
        &self,
        loaded: &Loaded,
        kept: &BTreeSet<String>,
    ) -> Result<(), StoreError> {
        let kept = kept.clone();
        let chains: Vec<String> = loaded.config.chains.keys().map(ToString::to_string).collect();
        let still = move |key: &wk_model::ConditionKey| {
            let mut parts = key.asset.as_str().split('/');
            match (parts.next(), parts.next()) {
                (Some("chain" | "endpoint"), Some(chain)) => {
                    chains.iter().any(|name| name == chain)
                }
                (Some("rule"), Some(rule)) => kept.contains(rule),
                (Some("config"), _) => false,
                _ => true,
            }
        };
        let commit = Commit::without_chain(self.handle.clock.now(), self.route.borrow().clone());
        self.handle.store.clear_conditions_except(commit, still).await?;
        self.handle.wake_delivery.ring();
        Ok(())
    }
}

/// Probes and pending transactions, as rules and chains ask for them.
fn sources_of(loaded: &Loaded) -> Vec<Source> {
    let probes = loaded.rules.http_probes().into_iter().map(probe_config).map(Source::Probe);
    let chains = loaded.config.chains.iter().filter(|(chain, ChainConfig::Evm(config))| {
        loaded.rules.needs_pending(chain) || config.pending.simulate
    });
    probes.chain(chains.map(|(chain, _)| Source::Pending(chain.clone()))).collect()
}

/// Pending transactions go to the rules, and to what looks ahead. Neither is waited for.
async fn follow_pending(
    pending: Arc<PendingTransactions>,
    side: mpsc::Sender<SideEvent>,
    foresee: Option<Foresee>,
    stop: StopToken,
) -> Result<(), String> {
    let (out, mut seen) = mpsc::channel::<PendingTransaction>(QUEUE);
    let (ahead, seen_ahead) = mpsc::channel(QUEUE);
    let looks_ahead = foresee.is_some();
    let hand_on = async move {
        while let Some(transaction) = seen.recv().await {
            if looks_ahead {
                // A queue that is full loses what is still seen in its block.
                let _ = ahead.try_send(transaction.clone());
            }
            if side.send(SideEvent::Pending(Box::new(transaction))).await.is_err() {
                break;
            }
        }
        Ok(())
    };
    let look_ahead = async {
        match &foresee {
            Some(foresee) => foresee.run(seen_ahead, stop.clone()).await,
            None => Ok(()),
        }
    };
    let follow =
        async { pending.run(out, stop.clone()).await.map_err(|error| with_causes(&error)) };
    let look_ahead = async { look_ahead.await.map_err(|error| with_causes(&error)) };
    tokio::try_join!(follow, look_ahead, hand_on).map(drop)
}

pub(crate) fn rules_of(loaded: &Loaded) -> Arc<Rules> {
    Arc::new(Rules {
        set: loaded.rules.clone(),
        decoder: loaded.decoder.clone(),
        detectors: Arc::new(loaded.config.detectors.clone()),
    })
}

/// Runs a collector and hands on what it sees.
async fn beside<F, E>(
    side: mpsc::Sender<SideEvent>,
    collect: impl FnOnce(mpsc::Sender<Observation>) -> F,
) -> Result<(), E>
where
    F: Future<Output = Result<(), E>>,
{
    let (out, mut seen) = mpsc::channel(QUEUE);
    let hand_on = async {
        while let Some(observation) = seen.recv().await {
            let Some(event) = SideEvent::of(observation) else { continue };
            if side.send(event).await.is_err() {
                break;
            }
        }
    };
    tokio::join!(collect(out), hand_on).0
}

pub(crate) fn receivers_of(config: &Config) -> Result<Receivers, StartError> {
    let receivers = Receivers::build(&config.receivers).map_err(|problems| {
        StartError::Config(problems.into_iter().map(|p| p.under("receivers")).collect())
    })?;
    for problem in receivers.check_secrets() {
        warn!(receiver = problem.path, problem = problem.message, "a secret cannot be read yet");
    }
    Ok(receivers)
}

/// Who hears of a finding: whom its rule names, else the default route.
pub(crate) fn route_of(config: &Config, receivers: &Arc<Receivers>) -> Route {
    let mut default: Vec<String> = config.route.receiver.iter().cloned().collect();
    if default.is_empty() {
        default = receivers.names().map(str::to_owned).collect();
    }
    let receivers = Arc::clone(receivers);
    Arc::new(move |finding: &Finding| {
        let names = if finding.notify.is_empty() { &default } else { &finding.notify };
        let mut targets: Vec<String> =
            names.iter().flat_map(|name| receivers.targets(name)).collect();
        targets.sort_unstable();
        targets.dedup();
        targets
    })
}
