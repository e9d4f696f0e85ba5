//! One endpoint with one fault at a time: what it is called, and that nothing panics.

use std::io::Write;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};
use wk_chain::rpc::{EndpointConfig, ErrorClass, PoolConfig, Request};
use wk_model::HumanDuration;

use crate::server::{Act, Node, Watched, named, quick};

fn get(what: &str) -> Request {
    Request::live("echo", json!([what]))
}

fn headers(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(text).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

/// One request to an endpoint that does `act`, with a short patience.
async fn class_of(act: Act) -> (Option<ErrorClass>, String) {
    let node = Node::start().await;
    node.script(move |method, _| (method == "echo").then(|| act.clone()));
    let mut config = named(&[&node]);
    config.options.timeout = HumanDuration::millis(300);
    config.options.max_body_bytes = 64 * 1024;
    let watched = Watched::idle(&config);
    let name = watched.status("a").name;
    match watched.pool.call_on(&name, get("x")).await {
        Ok(reply) => (None, reply.value.get().to_owned()),
        Err(error) => {
            let class = error.class().expect("it was asked");
            assert_eq!(watched.metric("wk_rpc_errors_total", &["a", class.name()]), 1.0);
            assert_eq!(watched.status("a").errors.get(&class), Some(&1));
            (Some(class), error.to_string())
        }
    }
}

#[tokio::test]
async fn each_fault_has_its_class() {
    let answer = |id: &str| format!(r#"{{"jsonrpc":"2.0","id":{id},"result":"0x1"}}"#);
    let bomb = gzip(&vec![b' '; 10 * 1024 * 1024]);
    let gzipped = headers(&[("content-encoding", "gzip")]);
    for (what, act, expected) in [
        ("a good answer", Act::Result(json!("0x1")), None),
        ("null", Act::Result(Value::Null), None),
        ("malformed JSON", Act::http(200, "{\"id\":"), Some(ErrorClass::Json)),
        ("a web page", Act::http(200, "<html>"), Some(ErrorClass::Json)),
        ("nothing", Act::http(200, ""), Some(ErrorClass::Json)),
        ("another request's answer", Act::http(200, &answer("999999")), Some(ErrorClass::Json)),
        ("an array", Act::http(200, "[]"), Some(ErrorClass::Json)),
        (
            "bytes that are no text",
            Act::Http(200, Vec::new(), vec![0xff; 64]),
            Some(ErrorClass::Json),
        ),
        ("an oversized answer", Act::http(200, &" ".repeat(70_000)), Some(ErrorClass::Json)),
        ("a bomb", Act::Http(200, gzipped.clone(), bomb), Some(ErrorClass::Json)),
        ("broken compression", Act::Http(200, gzipped, vec![1, 2, 3, 4]), Some(ErrorClass::Json)),
        ("no answer", Act::Hang, Some(ErrorClass::Timeout)),
        (
            "a late answer",
            Act::Late(Duration::from_millis(600), Box::new(Act::Result(json!(1)))),
            Some(ErrorClass::Timeout),
        ),
        ("a cut answer", Act::Cut, Some(ErrorClass::Connect)),
        ("a wrong key", Act::http(401, "no"), Some(ErrorClass::HttpClient)),
        ("a wrong path", Act::http(404, "no"), Some(ErrorClass::HttpClient)),
        (
            "a redirect",
            Act::Http(307, headers(&[("location", "http://127.0.0.1:1/")]), Vec::new()),
            Some(ErrorClass::HttpClient),
        ),
        ("a rate limit", Act::http(429, "slow down"), Some(ErrorClass::Http429)),
        ("an overload", Act::http(503, ""), Some(ErrorClass::HttpServer)),
        ("a broken gateway", Act::http(502, "<html>"), Some(ErrorClass::HttpServer)),
        ("no such method", Act::error(-32_601, "no"), Some(ErrorClass::RpcMethodMissing)),
        ("bad parameters", Act::error(-32_602, "no"), Some(ErrorClass::RpcInvalidParams)),
        (
            "a range limit",
            Act::error(-32_005, "query returned more than 10000 results"),
            Some(ErrorClass::RpcLimit),
        ),
        (
            "no history",
            Act::error(4_444, "pruned history unavailable"),
            Some(ErrorClass::RpcPruned),
        ),
        ("no header", Act::error(-32_000, "header not found"), Some(ErrorClass::RpcHeaderNotFound)),
        ("a revert", Act::error(3, "execution reverted"), Some(ErrorClass::RpcOther)),
    ] {
        let (class, text) = class_of(act).await;
        assert_eq!(class, expected, "{what}: {text}");
    }
}

#[tokio::test]
async fn nobody_there_and_no_tls_have_their_classes() {
    let free = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.local_addr().expect("it is bound")
    };
    let node = Node::start().await;
    for (url, expected) in [
        (format!("http://{free}"), ErrorClass::Connect),
        (format!("ws://{free}"), ErrorClass::Connect),
        // It speaks no TLS.
        (node.url().replace("http", "https"), ErrorClass::Tls),
        (node.ws_url().replace("ws", "wss"), ErrorClass::Tls),
    ] {
        node.change(|state| state.script = None);
        let config = PoolConfig {
            endpoints: vec![EndpointConfig::url(&url)],
            options: quick(),
            ..PoolConfig::default()
        };
        let watched = Watched::idle(&config);
        let name = watched.pool.endpoints().remove(0).name;
        let error = watched.pool.call_on(&name, get("x")).await.expect_err("nobody answers");
        assert_eq!(error.class(), Some(expected), "{url}: {error}");
    }
}

#[tokio::test]
async fn compressed_answers_are_read() {
    let node = Node::start().await;
    node.script(|method, _| {
        let body = gzip(br#"{"id":null,"error":{"code":3,"message":"compressed"}}"#);
        let headers = headers(&[("content-encoding", "gzip")]);
        (method == "echo").then_some(Act::Http(200, headers, body))
    });
    let watched = Watched::idle(&named(&[&node]));
    let error = watched.pool.call(get("x")).await.expect_err("it is an error");
    assert_eq!(error.reverted().map(|error| error.message.as_str()), Some("compressed"));
}

#[tokio::test]
async fn a_reverted_call_is_an_answer_and_not_tried_elsewhere() {
    let (a, b) = (Node::start().await, Node::start().await);
    for node in [&a, &b] {
        node.script(|method, _| {
            let data = json!("0x08c379a0");
            let act = Act::Error(3, "execution reverted: paused".to_owned(), data);
            (method == "eth_call").then_some(act)
        });
    }
    let watched = Watched::idle(&named(&[&a, &b]));
    let error =
        watched.pool.call(Request::live("eth_call", json!([]))).await.expect_err("reverted");
    let reverted = error.reverted().expect("it says so");
    assert_eq!((reverted.code, &reverted.data), (3, &Some(json!("0x08c379a0"))));
    assert_eq!(a.asked("eth_call") + b.asked("eth_call"), 1);
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn no_http_answer_makes_it_panic(
        status in prop::sample::select(vec![200u16, 204, 400, 429, 500, 999]),
        name in prop::sample::select(vec!["retry-after", "content-encoding", "x"]),
        value in "[ -~]{0,20}",
        body in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        runtime().block_on(async {
            let act = Act::Http(status, headers(&[(name, &value)]), body);
            let node = Node::start().await;
            node.change(|state| state.batches = Some(act.clone()));
            node.script(move |method, _| (method == "echo").then(|| act.clone()));
            let mut config = named(&[&node]);
            config.options.timeout = HumanDuration::millis(200);
            config.options.total_timeout = HumanDuration::millis(200);
            let watched = Watched::idle(&config);
            let _ = watched.pool.call(get("x")).await;
            let _ = watched.pool.batch(vec![get("x"), get("y")]).await;
        });
    }

    #[test]
    fn no_websocket_message_makes_it_panic(messages in prop::collection::vec("\\PC{0,60}", 1..6)) {
        runtime().block_on(async {
            let node = Node::start().await;
            let config = PoolConfig {
                endpoints: vec![EndpointConfig::url(&node.ws_url())],
                options: quick(),
                ..PoolConfig::default()
            };
            let watched = Watched::running(&config);
            crate::server::until("a socket", || node.asked("eth_subscribe") > 0).await;
            for message in &messages {
                node.tell_raw(message);
            }
            node.tell_raw(r#"{"method":"eth_subscription","params":{"result":{"number":"0x1"}}}"#);
            node.tell_raw(r#"{"method":"eth_subscription","params":[]}"#);
            crate::server::until("an answer afterwards", || {
                watched.pool.endpoints()[0].health == wk_chain::rpc::Health::Healthy
            }).await;
            watched.stop().await;
        });
    }
}
