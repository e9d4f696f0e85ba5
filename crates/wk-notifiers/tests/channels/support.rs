//! A server that answers as told and keeps what it got, and findings to tell of.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, Response, StatusCode, Uri};
use serde_json::json;
use wk_model::{
    AssetId, BlockRef, BlockTime, ChainName, ChainPosition, Confidence, Finality, Finding,
    FindingId, Height, Notice, NoticeKind, Severity, Source, Timestamp,
};
use wk_notifiers::{Channel, Message, ReceiverConfig, Receivers};

/// One request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Got {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

/// What to answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Say {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
    pub(crate) silent: bool,
}

impl Say {
    pub(crate) fn status(status: u16) -> Say {
        Say { status, ..Say::default() }
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Say {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn body(mut self, body: impl Into<String>) -> Say {
        self.body = body.into();
        self
    }
}

/// An HTTP server on a free port of this machine; gone when dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    shared: Shared,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Clone, Default)]
struct Shared {
    got: Arc<Mutex<Vec<Got>>>,
    answers: Arc<Mutex<VecDeque<Say>>>,
}

impl Server {
    /// Gives these answers in turn, then 200 with `ok`.
    pub(crate) async fn start(answers: impl IntoIterator<Item = Say>) -> Server {
        let shared = Shared::default();
        shared.answers.lock().unwrap().extend(answers);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(answer).with_state(shared.clone());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Server { address, shared, task }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn got(&self) -> Vec<Got> {
        self.shared.got.lock().unwrap().clone()
    }

    pub(crate) fn then(&self, answer: Say) {
        self.shared.answers.lock().unwrap().push_back(answer);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(
    State(shared): State<Shared>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let body = String::from_utf8(body.to_vec()).unwrap();
    shared.got.lock().unwrap().push(Got { method, uri, headers, body });
    let say = shared.answers.lock().unwrap().pop_front();
    let say = say.unwrap_or_else(|| Say::status(200).body("ok"));
    if say.silent {
        std::future::pending::<()>().await;
    }
    let mut response = Response::builder().status(StatusCode::from_u16(say.status).unwrap());
    for (name, value) in &say.headers {
        response = response.header(*name, value);
    }
    response.body(Body::from(say.body)).unwrap()
}

/// The only channel of a receiver with these settings.
pub(crate) fn channel(config: serde_json::Value) -> Channel {
    let config: ReceiverConfig = serde_json::from_value(config).unwrap();
    let receivers = Receivers::build(&BTreeMap::from([("oncall".to_owned(), config)])).unwrap();
    receivers.channels().next().unwrap().1.clone()
}

pub(crate) fn message(kind: NoticeKind, finding: Finding) -> Message {
    Message::new(&Notice { kind, finding, revision: 1, at: Timestamp(1_795_383_365_000) })
}

/// A rule's finding about a transaction, with ordinary texts.
pub(crate) fn finding() -> Finding {
    Finding {
        id: FindingId::of(&[b"example"]),
        source: Source::Rule("large-withdrawal".to_owned()),
        severity: Severity::P1,
        confidence: Confidence::CERTAIN,
        class: "large_transfer".to_owned(),
        asset: AssetId::parse("contract/mainnet/vault"),
        title: "Withdrew 2000 ETH from the vault".to_owned(),
        evidence: BTreeMap::from([
            ("amount".to_owned(), json!("2000000000000000000000")),
            ("to".to_owned(), json!("0x00000000000000000000000000000000000000aa")),
            ("counts".to_owned(), json!({"hour": 3, "day": [1, 2]})),
        ]),
        labels: BTreeMap::from([("team".to_owned(), "treasury".to_owned())]),
        position: Some(ChainPosition {
            chain: ChainName::new("mainnet"),
            block: BlockRef { height: Height(19_000_000), hash: [0x11; 32].into() },
            time: BlockTime(1_795_383_360),
            tx: Some([0x22; 32].into()),
            log_index: Some(7),
        }),
        deliver: Finality::Seen,
        notify: vec!["oncall".to_owned()],
        seen_at: Timestamp(1_795_383_364_123),
    }
}

/// The same, with texts that someone put on the chain to fool people.
pub(crate) fn hostile_finding() -> Finding {
    let mut finding = finding();
    finding.title =
        "<!channel> *Urgent*\n`approve` at <https://evil.example|here> & \u{202e}won\u{1b}[31m"
            .to_owned();
    finding.class = "a_b`c".to_owned();
    finding.evidence = BTreeMap::from([
        ("symbol".to_owned(), json!("US\u{200b}DC\n\n*bold* _it_ ~no~ `x` <@U123> &amp;")),
        ("*name*".to_owned(), json!({"<k>": ["\u{202e}", "x".repeat(5_000)]})),
        ("long".to_owned(), json!("y".repeat(100_000))),
    ]);
    for number in 0..40 {
        finding.evidence.insert(format!("piece-{number:02}"), json!(number));
    }
    finding
}

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
