//! A newer config while the program runs: taken as a difference, or refused and told.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;

use tracing::{error, info, warn};
use wk_config::{ConfigErrors, Loaded};
use wk_model::{AssetId, Condition, ConditionKey, FindingBuilder, Severity};
use wk_runtime::Wake;

use crate::engine::{receivers_of, route_of, rules_of};
use crate::files::FileWatch;
use crate::side::SideEvent;
use crate::{ConfigState, Engine, StartError, signals};

/// The trouble that a refused config is.
const REFUSED: &str = "config_refused";

impl Engine {
    /// Loads the config again when one of its `files` changes, or when `again` rings. A config
    /// that cannot be used is told, and the old one runs on. Ends with its caller only.
    pub async fn keep_config(
        &self,
        files: Vec<PathBuf>,
        again: Wake,
        load: impl Fn() -> Result<Loaded, ConfigErrors>,
    ) -> Infallible {
        let mut watch = FileWatch::new(files);
        loop {
            tokio::select! {
                biased;
                () = again.rung() => {}
                () = watch.changed() => info!("a file of the config changed"),
            }
            let files = match load() {
                Ok(loaded) => {
                    let files = loaded.files.clone();
                    for warning in &loaded.warnings {
                        warn!("{warning}");
                    }
                    match self.reload(loaded).await {
                        Ok(()) => info!("config loaded again"),
                        Err(error) => error!("the new config was not taken: {error}"),
                    }
                    files
                }
                Err(errors) => {
                    error!("the new config is wrong; the old one runs on\n{errors}");
                    self.refuse(&errors.brief(), &errors.to_string()).await;
                    // What was read before may be what will be mended.
                    let mut files = watch.files();
                    files.extend(errors.files);
                    files
                }
            };
            watch.watch(files);
        }
    }

    /// Takes a newer config: only what differs is stopped and started. The folder of the data and
    /// the address of the server stay as they are until the next start.
    pub async fn reload(&self, loaded: Loaded) -> Result<(), StartError> {
        let kept = match self.take_all(&loaded) {
            Ok(kept) => kept,
            Err(error) => {
                let reason = error.to_string();
                self.refuse(&reason, &reason).await;
                return Err(error);
            }
        };
        *self.handle.config.write() =
            ConfigState { loaded_at: self.handle.clock.now(), error: None };
        self.count_reload("ok", 1.0);
        self.tell(Condition::Cleared(key())).await;
        self.clear_stale(&loaded, &kept).await?;
        Ok(())
    }

    /// Builds first: a config that cannot be used changes nothing. Gives the ids of the rules that
    /// stay as they were.
    fn take_all(&self, loaded: &Loaded) -> Result<BTreeSet<String>, StartError> {
        let receivers = Arc::new(receivers_of(&loaded.config)?);
        let built = self.build(loaded)?;
        let (old, new) = (self.server.borrow().clone(), &loaded.config.server);
        if (&old.listen, &old.data_dir) != (&new.listen, &new.data_dir) {
            warn!("server.listen and server.data_dir change with the next start only");
        }
        self.route.send_replace(route_of(&loaded.config, &receivers));
        self.receivers.send_replace(receivers);
        // What is known about proxies stays known.
        loaded.decoder.adopt(&self.rules.borrow().decoder);
        self.rules.send_replace(rules_of(loaded));
        self.server.send_replace(new.clone());
        Ok(self.take(loaded, built))
    }

    /// The newest config was refused, in one line and in full; the old one runs on.
    async fn refuse(&self, brief: &str, error: &str) {
        self.handle.config.write().error = Some(error.to_owned());
        self.count_reload("failed", 0.0);
        let ConditionKey { trouble, asset, subject } = key();
        let title = format!("the new config was refused, the old one runs on: {brief}");
        let now = self.handle.clock.now();
        let finding = FindingBuilder::system(&trouble, asset, Severity::P2, title, now)
            .evidence("errors", error);
        self.tell(finding.raise(&subject)).await;
    }

    async fn tell(&self, condition: Condition) {
        // The receiver goes at the very end only, when nobody is to be told any more.
        let _ = self.observations.send(SideEvent::Condition(condition)).await;
    }

    fn count_reload(&self, result: &str, valid: f64) {
        self.handle.metrics.counter(&signals::RELOADS, &[result]).inc();
        self.handle.metrics.gauge(&signals::CONFIG_VALID, &[]).set(valid);
    }
}

fn key() -> ConditionKey {
    let asset = AssetId::new("config", "watchkeeper");
    ConditionKey { trouble: REFUSED.to_owned(), asset, subject: String::new() }
}
