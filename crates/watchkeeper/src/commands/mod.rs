//! One file per command, about a page each.

pub(crate) mod backtest;
pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod coverage;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod findings;
pub(crate) mod inspect;
pub(crate) mod inspect_bridge;
pub(crate) mod inspect_contract;
pub(crate) mod replay;
pub(crate) mod run;
pub(crate) mod schema;
pub(crate) mod score;
pub(crate) mod test;
pub(crate) mod token;
pub(crate) mod trace;

use std::path::{Path, PathBuf};

use wk_config::{ChainConfig, Config, Environment, Loaded};
use wk_engine::History;
use wk_model::{ChainName, Height};
use wk_runtime::Metrics;
use wk_store::{OpenStore, Store};

use crate::arguments::Node;
use crate::exit::{Code, Exit};

/// The config that was named, or `watchkeeper.yaml`, or the defaults.
pub(crate) fn load(given: Option<&Path>) -> Result<Loaded, Exit> {
    let loaded = if given.is_some() || wk_config::find(None).is_some() {
        wk_config::load(&existing(given)?, &Environment::system())
    } else {
        wk_config::load_text("", &Environment::system())
    };
    loaded.map_err(|errors| Exit::new(Code::Config, errors.to_string()))
}

/// The config that was named; there must be one.
pub(crate) fn load_existing(given: Option<&Path>) -> Result<Loaded, Exit> {
    existing(given)?;
    load(given)
}

/// Where the config is that was named; there must be one.
pub(crate) fn existing(given: Option<&Path>) -> Result<PathBuf, Exit> {
    let missing = match given {
        Some(path) if path.exists() => return Ok(path.to_owned()),
        Some(path) => format!("there is no config at `{}`", path.display()),
        None => match wk_config::find(None) {
            Some(path) => return Ok(path),
            None => {
                let file = wk_config::DEFAULT_FILE;
                format!("there is no {file} here; name a config by --config FILE")
            }
        },
    };
    Err(Exit::new(Code::NotFound, missing))
}

/// The folder of the data: as asked, else as the config says.
pub(crate) fn data_dir(asked: Option<PathBuf>, config: Option<&Path>) -> Result<PathBuf, Exit> {
    match asked {
        Some(folder) => Ok(folder),
        None => Ok(load(config)?.config.server.data_dir),
    }
}

/// The store, to look at; a running Watchkeeper is not disturbed.
pub(crate) fn open_to_read(folder: &Path) -> Result<Store, Exit> {
    Store::open_read_only(folder).map_err(|error| store_exit(&error))
}

/// The store, to change; a running Watchkeeper goes on beside.
pub(crate) fn open_to_write(folder: &Path) -> Result<Store, Exit> {
    Store::open_beside(folder, &Metrics::new()).map_err(|error| store_exit(&error))
}

pub(crate) fn store_exit(error: &OpenStore) -> Exit {
    let code = if matches!(error, OpenStore::Missing(_)) { Code::NotFound } else { Code::Failure };
    // The source says the rest, where there is one.
    match std::error::Error::source(error) {
        Some(source) => Exit::new(code, format!("{error}: {source}")),
        None => Exit::new(code, error.to_string()),
    }
}

/// The chain that is meant: the named one, or the only one.
pub(crate) fn chain_of(config: &Config, asked: Option<&str>) -> Result<wk_model::ChainName, Exit> {
    let names: Vec<&str> = config.chains.keys().map(wk_model::ChainName::as_str).collect();
    match (asked, names.as_slice()) {
        (Some(name), _) if names.contains(&name) => Ok(wk_model::ChainName::new(name)),
        (Some(name), _) => Err(Exit::new(
            Code::NotFound,
            format!("the config has no chain `{name}`; it has: {}", names.join(", ")),
        )),
        (None, [name]) => Ok(wk_model::ChainName::new(name)),
        (None, []) => Err(Exit::new(Code::Config, "the config has no chain")),
        (None, _) => Err(Exit::new(
            Code::Usage,
            format!("name the chain by --chain; the config has: {}", names.join(", ")),
        )),
    }
}

/// Access to the chain that is meant, with its newest block: the one behind `--rpc`, or one of the
/// config's.
pub(crate) async fn history(
    node: &Node,
    config: Option<&Path>,
) -> Result<(Loaded, ChainName, History, Height), Exit> {
    let loaded = match &node.rpc {
        Some(url) => wk_config::for_rpc_url(url)
            .map_err(|errors| Exit::new(Code::Config, errors.to_string()))?,
        None => load_existing(config)?,
    };
    let chain = chain_of(&loaded.config, node.chain.as_deref())?;
    let (history, head) = open_history(&loaded.config, &chain).await?;
    Ok((loaded, chain, history, head))
}

/// Access to a chain of the config, with its newest block.
pub(crate) async fn open_history(
    config: &Config,
    chain: &ChainName,
) -> Result<(History, Height), Exit> {
    let Some(ChainConfig::Evm(evm)) = config.chains.get(chain) else {
        return Err(Exit::new(Code::NotFound, format!("the config has no chain `{chain}`")));
    };
    let unreachable = |reason: String| Exit::new(Code::Unreachable, reason);
    let history = History::open(chain, evm).await.map_err(|e| unreachable(e.to_string()))?;
    let head = history.head().await;
    let head = head.ok_or_else(|| unreachable("no endpoint tells the newest block".to_owned()))?;
    Ok((history, head))
}
