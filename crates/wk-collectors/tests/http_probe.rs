//! Probes of a real server on loopback: what they say of good, slow, large and broken answers.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use axum::routing::{any, get};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use wk_collectors::{HttpProbe, Probe, ProbeAnswer, ProbeConfig, ProbeError, ProbeMethod};
use wk_model::{AssetId, Observation, Secret};
use wk_runtime::{Clock, Metrics, StopToken};

/// Requests under way now, and the most of them at any time.
#[derive(Clone, Default)]
struct Load(Arc<[AtomicUsize; 2]>);

async fn server() -> (SocketAddr, Load) {
    async fn slow(State(Load(load)): State<Load>) -> &'static str {
        struct Leave(Arc<[AtomicUsize; 2]>);
        impl Drop for Leave {
            fn drop(&mut self) {
                self.0[0].fetch_sub(1, Ordering::SeqCst);
            }
        }
        let now = load[0].fetch_add(1, Ordering::SeqCst) + 1;
        load[1].fetch_max(now, Ordering::SeqCst);
        let _leave = Leave(load);
        std::future::pending().await
    }
    async fn echo(method: axum::http::Method, headers: HeaderMap, body: String) -> Response {
        let key = headers.get("x-key").and_then(|key| key.to_str().ok()).unwrap_or("none");
        Response::builder()
            .header("X-Seen", format!("{method} {key} {body}"))
            .header(header::SET_COOKIE, "session=1")
            .body(Body::from("hello"))
            .expect("it is a response")
    }
    let load = Load::default();
    let router = Router::new()
        .route("/slow", get(slow))
        .route("/echo", any(echo))
        .route("/large", get(async || "ä".repeat(100_000)))
        .route("/binary", get(async || vec![0xFF, b'x']))
        .route("/moved", get(async || (StatusCode::FOUND, [(header::LOCATION, "/echo")])))
        .route("/down", get(async || (StatusCode::SERVICE_UNAVAILABLE, "maintenance")))
        .with_state(load.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
    let address = listener.local_addr().expect("it is bound");
    tokio::spawn(async move { axum::serve(listener, router).await });
    (address, load)
}

fn config(url: &str) -> ProbeConfig {
    ProbeConfig {
        rule: "site-down".to_owned(),
        url: Secret::parse(url),
        method: ProbeMethod::Get,
        headers: BTreeMap::new(),
        body: None,
        interval: Duration::from_secs(30),
        timeout: Duration::from_secs(10),
    }
}

fn build(config: ProbeConfig) -> HttpProbe {
    HttpProbe::build(config, Clock::system(), &Metrics::new()).expect("the settings are good")
}

async fn probe(url: &str) -> ProbeAnswer {
    build(config(url)).probe().await
}

#[tokio::test]
async fn says_what_was_answered() {
    let (address, _) = server().await;
    let check = async |path: &str, status: u16, body: &str| {
        let answer = probe(&format!("http://{address}{path}")).await;
        assert_eq!((answer.status, answer.body.as_str()), (status, body), "{path}: {answer:?}");
        assert_eq!((answer.error, answer.tls_days_left), (None, None), "{path}");
    };
    check("/echo", 200, "hello").await;
    check("/down", 503, "maintenance").await;
    check("/nowhere", 404, "").await;
    // The rule judges redirects.
    check("/moved", 302, "").await;
    check("/binary", 200, "\u{fffd}x").await;
    let answer = probe(&format!("http://{address}/large")).await;
    assert_eq!((answer.body.len(), answer.truncated), (64 << 10, true));
}

#[tokio::test]
async fn sends_method_headers_and_body_and_keeps_cookies_out() {
    let (address, _) = server().await;
    let folder = tempfile::tempdir().unwrap();
    let (url, key) = (folder.path().join("url"), folder.path().join("key"));
    std::fs::write(&url, format!("http://{address}/echo?key=secret\n")).unwrap();
    std::fs::write(&key, "one").unwrap();
    let probe = build(ProbeConfig {
        url: Secret::File(url),
        method: ProbeMethod::Post,
        headers: BTreeMap::from([("X-Key".to_owned(), Secret::File(key.clone()))]),
        body: Some("{}".to_owned()),
        ..config("")
    });
    let answer = probe.probe().await;
    assert_eq!(answer.headers["x-seen"], "POST one {}");
    assert!(!answer.headers.contains_key("set-cookie"));
    // A secret that was changed is read again.
    std::fs::write(&key, "two").unwrap();
    assert_eq!(probe.probe().await.headers["x-seen"], "POST two {}");
}

#[tokio::test]
async fn says_why_there_was_no_answer_and_never_the_url() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = gone.local_addr().unwrap();
    drop(gone);
    // Promises 100 bytes, sends 5 and leaves.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let broken = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let _ = socket.read(&mut [0; 1_024]).await;
            let _ = socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello").await;
        }
    });
    let (address, _) = server().await;
    let slow = ProbeConfig {
        timeout: Duration::from_millis(50),
        ..config(&format!("http://{address}/slow?k3y"))
    };
    for (config, expected) in [
        (config(&format!("http://{nobody}/k3y")), "cannot connect: Connection refused"),
        (config(&format!("https://{broken}/k3y")), "cannot connect: "),
        (config(&format!("http://{broken}/k3y")), "the answer broke off: "),
        (slow, "no answer within 50 ms"),
        (config("env:WK_NOT_SET_K3Y"), "environment variable `WK_NOT_SET_K3Y` is not set"),
    ] {
        let answer = build(config).probe().await;
        let error = answer.error.expect("there is none");
        assert!(error.starts_with(expected), "{error}");
        assert!(!error.contains("k3y"), "{error}");
        assert_eq!((answer.status, answer.body.as_str()), (0, ""));
    }
}

#[tokio::test]
async fn probes_again_and_again_and_never_twice_at_once() {
    let (address, Load(load)) = server().await;
    let metrics = Metrics::new();
    let config = ProbeConfig {
        interval: Duration::from_millis(20),
        timeout: Duration::from_millis(500),
        ..config(&format!("http://{address}/slow"))
    };
    let probe = HttpProbe::build(config, Clock::system(), &metrics).unwrap();
    let (out, mut inbox) = mpsc::channel(1);
    let stop = StopToken::new();
    let running = {
        let stop = stop.clone();
        tokio::spawn(async move { probe.run(out, stop).await })
    };
    for _ in 0..5 {
        let next = tokio::time::timeout(Duration::from_secs(30), inbox.recv()).await;
        let Some(Observation::Fact(fact)) = next.expect("in time") else { panic!("a fact") };
        assert_eq!(fact.asset, AssetId::new("site", "site-down"));
        let probe = Probe::from_fact(&fact).expect("it is of a probe");
        assert_eq!((probe.rule.as_str(), probe.answer.status), ("site-down", 0));
        // The interval bounds a timeout that is longer.
        assert_eq!(probe.answer.error.as_deref(), Some("no answer within 20 ms"));
    }
    // The server hears of a caller that left only after a moment; two of ours never overlap.
    assert!(load[1].load(Ordering::SeqCst) <= 2, "{load:?}");
    stop.stop();
    assert!(running.await.unwrap().is_ok());
    let rendered = metrics.render();
    assert!(
        rendered.contains("wk_http_probes_total{rule=\"site-down\",result=\"error\"}"),
        "{rendered}"
    );
}

#[tokio::test]
async fn ends_when_nobody_listens() {
    let (address, _) = server().await;
    let config = ProbeConfig {
        interval: Duration::from_millis(20),
        ..config(&format!("http://{address}/"))
    };
    let (out, inbox) = mpsc::channel(1);
    drop(inbox);
    let ended = build(config).run(out, StopToken::new()).await;
    assert!(matches!(ended, Err(ProbeError::Closed)));
}

#[test]
fn facts_have_the_fields_that_rules_read() {
    let probe = Probe { rule: "site-down".to_owned(), answer: ProbeAnswer::default() };
    assert_eq!(
        serde_json::to_value(probe).unwrap(),
        serde_json::json!({
            "rule": "site-down", "status": 0, "latency_ms": 0, "body": "", "truncated": false,
            "headers": {}, "tls_days_left": null, "error": null,
        })
    );
}

#[test]
fn refuses_settings_that_cannot_work() {
    let header = |name: &str, value: &str| {
        BTreeMap::from([(name.to_owned(), Secret::Literal(value.to_owned()))])
    };
    let good = config("https://app.example.org/health");
    for (config, path) in [
        (config("app.example.org"), "url"),
        (config("ftp://app.example.org"), "url"),
        (config(""), "url"),
        (ProbeConfig { headers: header("a b", "c"), ..good.clone() }, "headers.a b"),
        (ProbeConfig { headers: header("X-Key", "a\nb"), ..good.clone() }, "headers.X-Key"),
        (ProbeConfig { interval: Duration::ZERO, ..good.clone() }, "interval"),
        (ProbeConfig { timeout: Duration::ZERO, ..good.clone() }, "timeout"),
    ] {
        let problems = HttpProbe::build(config.clone(), Clock::system(), &Metrics::new())
            .map(|_| ())
            .expect_err("it is refused");
        let paths: Vec<&str> = problems.iter().map(|problem| problem.path.as_str()).collect();
        assert_eq!(paths, [path], "{config:?}");
        assert!(problems[0].hint.is_some(), "{config:?}");
    }
}
