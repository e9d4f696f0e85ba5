//! Keys never show: not in errors, statuses, metrics, findings, or logs of any level.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::json;
use wk_chain::rpc::{EndpointConfig, EndpointSettings, PoolConfig, Request};
use wk_model::{ChainName, HumanDuration, Secret};

use crate::server::{Act, Node, Watched, quick, until};

const PATH_KEY: &str = "pathk3ypathk3y";
const QUERY_KEY: &str = "qu3ryk3y";
const USER_KEY: &str = "us3rk3y";
const PASSWORD_KEY: &str = "passw0rdk3y";
const HEADER_KEY: &str = "h3ad3rk3y";
const WS_KEY: &str = "w3bsock3tk3y";

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn assert_clean(what: &str, text: &str) {
    for key in [PATH_KEY, QUERY_KEY, USER_KEY, PASSWORD_KEY, HEADER_KEY, WS_KEY] {
        assert!(!text.contains(key), "{what} shows {key}: {text}");
    }
}

fn config(address: &str) -> PoolConfig {
    let url =
        format!("http://{USER_KEY}:{PASSWORD_KEY}@{address}/v2/{PATH_KEY}?apikey={QUERY_KEY}");
    let settings = EndpointSettings {
        ws: Some(Secret::parse(&format!("ws://{address}/ws/{WS_KEY}"))),
        headers: BTreeMap::from([("x-api-key".to_owned(), Secret::parse(HEADER_KEY))]),
        ..EndpointSettings::new(Secret::parse(&url))
    };
    let mut options = quick();
    options.timeout = HumanDuration::millis(300);
    options.total_timeout = HumanDuration::millis(300);
    PoolConfig {
        endpoints: vec![EndpointConfig::Settings(Box::new(settings))],
        options,
        ..PoolConfig::default()
    }
}

#[tokio::test]
async fn keys_never_show() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::set_global_default(subscriber).expect("the first in this process");

    let echo =
        format!("bad key {PATH_KEY} {QUERY_KEY} {USER_KEY} {PASSWORD_KEY} {HEADER_KEY} {WS_KEY}");
    let node = Node::start().await;
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.local_addr().expect("it is bound").to_string()
    };
    // The endpoint repeats every key in every place that it can.
    for (address, act) in [
        (node.address.to_string(), None),
        (node.address.to_string(), Some(Act::http(403, &echo))),
        (node.address.to_string(), Some(Act::http(200, &echo))),
        (node.address.to_string(), Some(Act::Error(-32_000, echo.clone(), json!({ "url": echo })))),
        (node.address.to_string(), Some(Act::Error(3, echo.clone(), json!(echo)))),
        (node.address.to_string(), Some(Act::Hang)),
        (node.address.to_string(), Some(Act::Cut)),
        (closed, None),
    ] {
        let version = echo.clone();
        node.script(move |method, _| match method {
            "echo" => act.clone(),
            "web3_clientVersion" => Some(Act::Result(json!(version))),
            _ => None,
        });
        let config = config(&address);
        assert_clean("the config", &format!("{config:?}"));
        let watched = Watched::running(&config);
        let name = watched.pool.endpoints()[0].name.clone();
        assert_eq!(name.as_str(), address);
        let requests = || vec![Request::live("echo", json!(["x"])); 3];
        for outcome in watched.pool.batch(requests()).await {
            assert_clean("a batch", &format!("{outcome:?}"));
        }
        match watched.pool.call(requests().remove(0)).await {
            Ok(reply) => assert_clean("a reply", &format!("{reply:?}")),
            Err(error) => assert_clean("an error", &format!("{error} {error:?}")),
        }
        if address == node.address.to_string() {
            until("its version", || watched.pool.endpoints()[0].client_version.is_some()).await;
            node.tell_raw(&echo);
            node.tell_raw(&json!({"id": null, "error": {"code": 1, "message": echo}}).to_string());
        }
        until("its WebSocket broke", || {
            watched.pool.endpoints()[0].ws.is_some_and(|ws| ws.reconnects > 0)
        })
        .await;
        let statuses = watched.pool.endpoints();
        assert_clean("a status", &format!("{statuses:?}"));
        let shown = serde_json::to_string(&statuses).expect("statuses are data");
        assert_clean("a status as JSON", &shown);
        assert_clean("metrics", &watched.metrics.render());
        for condition in watched.history() {
            assert_clean("a condition", &format!("{condition:?}"));
        }
        watched.stop().await;
    }
    let wrong = PoolConfig {
        endpoints: vec![EndpointConfig::url(&format!("htp://{USER_KEY}@x/{PATH_KEY}"))],
        ..PoolConfig::default()
    };
    let problems = wk_chain::rpc::Pool::build(
        &ChainName::new("test"),
        &wrong,
        wk_runtime::Clock::system(),
        &wk_runtime::Metrics::new(),
    )
    .err()
    .expect("that is no URL for us");
    assert_clean("a problem", &format!("{problems:?}"));
    let written = String::from_utf8_lossy(&log.0.lock()).into_owned();
    assert!(written.contains("request failed"), "something was logged");
    assert_clean("the log", &written);
}
