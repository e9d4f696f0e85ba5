//! A running engine on a config of the test, with a data folder of its own.

use std::time::Duration;

use tempfile::TempDir;
use wk_config::{Environment, Loaded};
use wk_engine::{Engine, Handle};
use wk_model::ChainName;
use wk_store::{FindingQuery, FindingRow};
use wk_testkit::{Anvil, wait_until};

/// How long anything may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn local() -> ChainName {
    ChainName::new("local")
}

/// A running engine. The folder outlives restarts.
pub(crate) struct Running {
    pub(crate) engine: Engine,
    pub(crate) handle: Handle,
    pub(crate) folder: TempDir,
}

impl Running {
    pub(crate) async fn start(config: &str) -> Running {
        Running::start_in(tempfile::tempdir().unwrap(), config).await
    }

    pub(crate) async fn start_in(folder: TempDir, config: &str) -> Running {
        let engine = Engine::start(loaded(&folder, config)).await.unwrap();
        let handle = engine.handle();
        Running { engine, handle, folder }
    }

    /// Ends in order, and starts again on the same data.
    pub(crate) async fn restart(self, config: &str) -> Running {
        let Running { engine, handle, folder } = self;
        engine.shutdown(PATIENCE).await.unwrap();
        let data = handle.store.path().to_owned();
        drop((engine, handle));
        // Readers of the API may hold the store a moment longer.
        wait_until("the data is free again", PATIENCE, async || {
            wk_store::Store::open(data.parent().unwrap(), &wk_runtime::Metrics::new()).is_ok()
        })
        .await;
        Running::start_in(folder, config).await
    }

    pub(crate) async fn reload(&self, config: &str) {
        self.engine.reload(loaded(&self.folder, config)).await.unwrap();
    }

    /// Waits until all rules have seen the chain's newest block.
    pub(crate) async fn catch_up(&self, anvil: &Anvil) {
        let height = anvil.height().await;
        let hash = anvil.hash(height).await;
        wait_until(&format!("block {height} is processed"), PATIENCE, async || {
            let head = self.handle.statuses.get(&local()).and_then(|status| status.head);
            head.is_some_and(|head| head.block.hash == hash)
        })
        .await;
    }

    /// Findings of one class, newest first.
    pub(crate) async fn findings(&self, class: &str) -> Vec<FindingRow> {
        let query = FindingQuery { class: Some(class.to_owned()), ..FindingQuery::default() };
        self.handle.store.findings(query).await.unwrap().items
    }
}

pub(crate) fn loaded(folder: &TempDir, config: &str) -> Loaded {
    let mut loaded = match wk_config::load_text(config, &Environment::system()) {
        Ok(loaded) => loaded,
        Err(errors) => panic!("{errors}"),
    };
    loaded.config.server.data_dir = folder.path().join("data");
    loaded
}
