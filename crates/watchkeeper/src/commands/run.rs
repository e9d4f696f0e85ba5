//! `run`: watches until it is told to stop.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info, warn};
use wk_api::{ServeOptions, serve as serve_api};
use wk_config::{Anonymous, ConfigErrors, Environment, Loaded};
use wk_engine::Engine;
use wk_runtime::{Restart, Stage, Wake};
use wk_store::Role;

use super::{demo, load};
use crate::arguments::{Demo, Run};
use crate::exit::{Code, Exit};

/// How long an orderly end may take in all.
const SHUTDOWN: Duration = Duration::from_secs(20);
/// Where a local node usually listens.
const LOCAL_NODE: &str = "http://127.0.0.1:8545";

pub(crate) async fn run(command: Run, config: Option<&Path>) -> Result<(), Exit> {
    let path = wk_config::find(config);
    let mut loaded = match (&path, &command.rpc_url) {
        (Some(_), _) => load(config)?,
        (None, Some(url)) => simple(url)?,
        (None, None) if answers(LOCAL_NODE).await => {
            info!("no config; watching the node at {LOCAL_NODE}");
            simple(LOCAL_NODE)?
        }
        (None, None) => {
            info!("no config, no RPC_URL and no node at {LOCAL_NODE}; playing the demo chain");
            let listen = command.listen.unwrap_or(wk_config::ServerConfig::default().listen);
            return demo::run(Demo { listen, print_config: false, seconds: None }).await;
        }
    };
    for warning in &loaded.warnings {
        warn!("{warning}");
    }
    override_server(&mut loaded, &command);
    let reload = path.map(|path| Reload { path, command });
    serve(loaded, Until { seconds: None, reload }).await
}

/// When to stop, and what to load again.
pub(crate) struct Until {
    pub(crate) seconds: Option<Duration>,
    pub(crate) reload: Option<Reload>,
}

/// What is loaded again on SIGHUP and on a change of the files.
pub(crate) struct Reload {
    path: PathBuf,
    command: Run,
}

/// Starts everything and waits for the end.
pub(crate) async fn serve(loaded: Loaded, until: Until) -> Result<(), Exit> {
    let server = loaded.config.server.clone();
    let listener = TcpListener::bind(server.listen).await.map_err(|error| {
        Exit::failure(format!(
            "cannot listen on {}: {error}; choose another by --listen",
            server.listen
        ))
    })?;
    let address = listener.local_addr()?;
    let anonymous = match server.anonymous() {
        Anonymous::None => None,
        Anonymous::Viewer => Some(Role::Viewer),
        Anonymous::Operator => Some(Role::Operator),
        Anonymous::Admin => Some(Role::Admin),
    };
    let files = loaded.files.clone();
    let hosts = server.public_url.iter().filter_map(|url| host_of(url)).collect();
    let engine = Engine::start(loaded)
        .await
        .map_err(|error| Exit::failure(format!("{:#}", anyhow::Error::from(error))))?;
    let handle = engine.handle();
    let supervisor = handle.supervisor.clone();
    let mut listener = Some(listener);
    supervisor.spawn(Stage::Serve, "api", Restart::Critical, move |stop| {
        let (handle, listener) = (handle.clone(), listener.take());
        let options = ServeOptions { anonymous, hosts: Vec::clone(&hosts) };
        async move {
            match listener {
                Some(listener) => {
                    serve_api(listener, handle, options, stop).await.map_err(|e| e.to_string())
                }
                None => Err("the socket is gone".to_owned()),
            }
        }
    });
    info!("status page and API on http://{address}");
    let ended = wait(&engine, until, files).await;
    info!("stopping");
    if let Err(late) = engine.shutdown(SHUTDOWN).await {
        error!("{late}");
    }
    ended
}

/// Waits for a signal, the end of the time, or a failure that the program cannot outlive.
async fn wait(engine: &Engine, until: Until, files: Vec<PathBuf>) -> Result<(), Exit> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let end = async {
        match until.seconds {
            Some(seconds) => tokio::time::sleep(seconds).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(end);
    let again = Wake::new();
    let keep = async {
        match &until.reload {
            Some(reload) => engine.keep_config(files, again.clone(), || reload.load()).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(keep);
    loop {
        tokio::select! {
            biased;
            _ = interrupt.recv() => return Ok(()),
            _ = terminate.recv() => return Ok(()),
            () = &mut end => return Ok(()),
            failure = engine.failed() => return Err(Exit::failure(failure.to_string())),
            _ = hangup.recv() => match &until.reload {
                Some(_) => again.ring(),
                None => warn!("there is no config file to load again"),
            },
            never = &mut keep => match never {},
        }
    }
}

impl Reload {
    fn load(&self) -> Result<Loaded, ConfigErrors> {
        let mut loaded = wk_config::load(&self.path, &Environment::system())?;
        override_server(&mut loaded, &self.command);
        Ok(loaded)
    }
}

/// Whether something that speaks JSON-RPC listens there.
async fn answers(url: &str) -> bool {
    let ask = async {
        let body =
            serde_json::json!({"jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": []});
        let client = reqwest::Client::builder().no_proxy().build().ok()?;
        let answer = client.post(url).json(&body).send().await.ok()?;
        let answer: serde_json::Value = answer.json().await.ok()?;
        answer["result"].as_str().map(drop)
    };
    tokio::time::timeout(Duration::from_secs(1), ask).await.ok().flatten().is_some()
}

fn simple(url: &str) -> Result<Loaded, Exit> {
    wk_config::for_rpc_url(url).map_err(|errors| Exit::new(Code::Config, errors.to_string()))
}

fn override_server(loaded: &mut Loaded, command: &Run) {
    let server = &mut loaded.config.server;
    server.listen = command.listen.unwrap_or(server.listen);
    if let Some(folder) = &command.data_dir {
        server.data_dir.clone_from(folder);
    }
}

fn host_of(url: &str) -> Option<String> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = rest.split(['/', ':']).next()?;
    (!host.is_empty()).then(|| host.to_owned())
}
