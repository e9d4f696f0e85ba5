//! A ping to an outside service while all is well; the service calls people when it stays away.

use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tracing::{info, warn};
use wk_config::{DeadmanConfig, ServerConfig};
use wk_model::{AssetId, Condition, ConditionKey, FindingBuilder, Severity};
use wk_notifiers::Ping;
use wk_runtime::{StopToken, TaskState};

use crate::canary::Arrivals;
use crate::side::SideEvent;
use crate::{ChainState, Handle, signals};

/// Pings that fail one after the other before people are told.
const FAILURES: u32 = 3;

/// The trouble that the service cannot be reached.
const UNREACHABLE: &str = "deadman_unreachable";

/// Pings while all is well.
#[derive(Clone)]
pub(crate) struct Deadman {
    pub(crate) handle: Handle,
    pub(crate) server: watch::Receiver<ServerConfig>,
    pub(crate) arrivals: Arrivals,
    pub(crate) observations: mpsc::Sender<SideEvent>,
}

impl Deadman {
    /// Works until `stop`.
    pub(crate) async fn run(mut self, stop: StopToken) -> Result<(), String> {
        let mut failures = 0;
        let mut withheld = false;
        loop {
            let settings = self.server.borrow_and_update().deadman.clone();
            let wait = match &settings {
                None => Duration::from_secs(3_600),
                Some(settings) => {
                    let canary_every = self.server.borrow().canary.every.0;
                    match unwell(&self.handle, &self.arrivals, canary_every) {
                        Some(reason) => {
                            if !withheld {
                                warn!(%reason, "not all is well; no more pings to server.deadman");
                            }
                            withheld = true;
                            self.count("withheld");
                        }
                        None => {
                            if withheld {
                                info!("all is well again; pings to server.deadman go on");
                            }
                            withheld = false;
                            let Some(sent) = stop.run(ping(settings)).await else { return Ok(()) };
                            self.settle(sent, &mut failures);
                        }
                    }
                    settings.every.0
                }
            };
            tokio::select! {
                biased;
                () = stop.stopped() => return Ok(()),
                changed = self.server.changed() => {
                    // Settings that never change again need no look.
                    if changed.is_err() && !stop.sleep(wait).await {
                        return Ok(());
                    }
                }
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    fn settle(&self, sent: Result<(), String>, failures: &mut u32) {
        match sent {
            Ok(()) => {
                self.count("ok");
                if *failures >= FAILURES {
                    self.tell(Condition::Cleared(key()));
                }
                *failures = 0;
            }
            Err(reason) => {
                self.count("failed");
                *failures = failures.saturating_add(1);
                warn!(%reason, "server.deadman did not take the ping");
                if *failures == FAILURES {
                    let ConditionKey { trouble, asset, subject } = key();
                    let title = format!("the dead-man's service cannot be reached: {reason}");
                    let now = self.handle.clock.now();
                    let finding = FindingBuilder::system(&trouble, asset, Severity::P2, title, now);
                    self.tell(finding.raise(&subject));
                }
            }
        }
    }

    fn count(&self, result: &str) {
        self.handle.metrics.counter(&signals::DEADMAN_PINGS, &[result]).inc();
    }

    fn tell(&self, condition: Condition) {
        // A full queue means that the store is broken, and then the pings stay away.
        let _ = self.observations.try_send(SideEvent::Condition(condition));
    }
}

async fn ping(settings: &DeadmanConfig) -> Result<(), String> {
    let DeadmanConfig { url, every: _, method } = settings;
    let ping = Ping::build(url).map_err(|problems| {
        let messages: Vec<String> = problems.into_iter().map(|problem| problem.message).collect();
        messages.join("; ")
    })?;
    ping.send(method.name()).await.map_err(|error| error.reason)
}

/// Why not all is well: a task that does not run, a chain that is not followed any more, or
/// findings that do not come through.
fn unwell(handle: &Handle, arrivals: &Arrivals, canary_every: Duration) -> Option<String> {
    let tasks = handle.supervisor.tasks();
    if let Some(task) = tasks.iter().find(|task| task.state == TaskState::Waiting) {
        let reason = task.last_failure.as_ref().map_or("", |(_, reason)| reason.as_str());
        return Some(format!("the task `{}` failed: {reason}", task.name));
    }
    let chains = handle.statuses.all();
    if let Some(chain) = chains.iter().find(|chain| chain.state == ChainState::Stopped) {
        return Some(format!("chain `{}` is not followed any more", chain.chain));
    }
    let last = arrivals.last().unwrap_or(handle.started_at);
    let age = handle.clock.now().since(last);
    (age > Arrivals::patience(canary_every))
        .then(|| format!("no canary arrived for {} s", age.as_secs()))
}

fn key() -> ConditionKey {
    let asset = AssetId::new("watchkeeper", "deadman");
    ConditionKey { trouble: UNREACHABLE.to_owned(), asset, subject: String::new() }
}
