//! A scripted node: a chain that grows when told to, over HTTP and WebSocket, with every fault that
//! an endpoint can have.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{broadcast, mpsc};
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;
use wk_chain::rpc::{
    EndpointConfig, EndpointName, EndpointSettings, EndpointStatus, Pool, PoolConfig, RpcConfig,
};
use wk_model::{B256, ChainName, Condition, HumanDuration, Observation, Secret};
use wk_runtime::{Clock, Metrics, StopToken};

/// What the node does with a request.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// A result.
    Result(Value),
    /// A JSON-RPC error: code, message, data.
    Error(i64, String, Value),
    /// An HTTP answer of its own: status, headers, body.
    Http(u16, Vec<(String, String)>, Vec<u8>),
    /// The answer, late.
    Late(Duration, Box<Act>),
    /// Nothing, ever.
    Hang,
    /// The connection is closed in the middle of the answer.
    Cut,
}

impl Act {
    pub(crate) fn error(code: i64, message: &str) -> Act {
        Act::Error(code, message.to_owned(), Value::Null)
    }

    pub(crate) fn http(status: u16, body: &str) -> Act {
        Act::Http(status, Vec::new(), body.as_bytes().to_vec())
    }
}

type Script = Box<dyn FnMut(&str, &Value) -> Option<Act> + Send>;

/// The node's state; tests change it while it runs.
pub(crate) struct State {
    pub(crate) chain_id: u64,
    pub(crate) head: u64,
    /// From this height on, its blocks have this mark: another fork.
    pub(crate) fork: Option<(u64, u8)>,
    pub(crate) finalized: u64,
    /// Milliseconds between its blocks, by their timestamps.
    pub(crate) block_seconds: u64,
    /// Answers come this much later.
    pub(crate) delay: Duration,
    /// Comes before everything else.
    pub(crate) script: Option<Script>,
    /// Batches are refused like this.
    pub(crate) batches: Option<Act>,
    /// Batch answers come in reverse order.
    pub(crate) reversed: bool,
    /// A WebSocket is open, and says nothing.
    pub(crate) mute: bool,
    /// New heads are not told of; requests are answered.
    pub(crate) no_news: bool,
    /// Requests by method.
    pub(crate) asked: BTreeMap<String, u64>,
    /// Sizes of the batches that came.
    pub(crate) batch_sizes: Vec<usize>,
    /// WebSockets that were opened.
    pub(crate) sockets: u64,
}

pub(crate) struct Node {
    pub(crate) address: SocketAddr,
    pub(crate) state: Arc<Mutex<State>>,
    news: broadcast::Sender<String>,
    task: JoinHandle<()>,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(crate) fn hash(height: u64, fork: Option<(u64, u8)>) -> B256 {
    let mut hash = B256::repeat_byte(0x11);
    hash[..8].copy_from_slice(&height.to_be_bytes());
    if let Some((from, mark)) = fork
        && height >= from
    {
        hash[31] = mark;
    }
    hash
}

impl State {
    pub(crate) fn block(&self, height: u64) -> Value {
        json!({
            "number": format!("0x{height:x}"),
            "hash": hash(height, self.fork),
            "parentHash": hash(height.wrapping_sub(1), self.fork),
            "timestamp": format!("0x{:x}", 1_700_000_000 + height * self.block_seconds),
            "transactions": [],
        })
    }

    fn act(&mut self, method: &str, params: &Value) -> Act {
        *self.asked.entry(method.to_owned()).or_default() += 1;
        if let Some(act) = self.script.as_mut().and_then(|script| script(method, params)) {
            return act;
        }
        let act = match method {
            "eth_chainId" => Act::Result(json!(format!("0x{:x}", self.chain_id))),
            "eth_blockNumber" => Act::Result(json!(format!("0x{:x}", self.head))),
            "web3_clientVersion" => Act::Result(json!("scripted/v1")),
            "eth_getBlockByNumber" => {
                let height = match params[0].as_str().unwrap_or_default() {
                    "latest" => Some(self.head),
                    "finalized" | "safe" => Some(self.finalized),
                    hex => u64::from_str_radix(hex.trim_start_matches("0x"), 16).ok(),
                };
                match height {
                    Some(height) if height <= self.head => Act::Result(self.block(height)),
                    _ => Act::Result(Value::Null),
                }
            }
            "eth_subscribe" => Act::Result(json!(format!("0x{}", params[0]))),
            "echo" => Act::Result(params.clone()),
            _ => Act::error(-32_601, &format!("the method {method} does not exist")),
        };
        if self.delay.is_zero() { act } else { Act::Late(self.delay, Box::new(act)) }
    }
}

impl Node {
    /// A node of chain 1337 with 100 blocks.
    pub(crate) async fn start() -> Node {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let state = Arc::new(Mutex::new(State {
            chain_id: 1337,
            head: 100,
            fork: None,
            finalized: 50,
            block_seconds: 1,
            delay: Duration::ZERO,
            script: None,
            batches: None,
            reversed: false,
            mute: false,
            no_news: false,
            asked: BTreeMap::new(),
            batch_sizes: Vec::new(),
            sockets: 0,
        }));
        let news = broadcast::channel(1_024).0;
        let (served, told) = (Arc::clone(&state), news.clone());
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, Arc::clone(&served), told.subscribe()));
            }
        });
        Node { address, state, news, task }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn ws_url(&self) -> String {
        format!("ws://{}", self.address)
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock());
    }

    /// Answers by `script` where it gives something.
    pub(crate) fn script(&self, script: impl FnMut(&str, &Value) -> Option<Act> + Send + 'static) {
        self.change(|state| state.script = Some(Box::new(script)));
    }

    pub(crate) fn asked(&self, method: &str) -> u64 {
        self.state.lock().asked.get(method).copied().unwrap_or_default()
    }

    /// The chain grows to `head`, and subscribers hear of it.
    pub(crate) fn grow_to(&self, head: u64) {
        let mut state = self.state.lock();
        state.head = head;
        let block = state.block(head);
        if !state.no_news {
            self.tell(&json!({"subscription": "0x\"newHeads\"", "result": block}));
        }
    }

    /// Sends subscribers a message.
    pub(crate) fn tell(&self, params: &Value) {
        let message = json!({"jsonrpc": "2.0", "method": "eth_subscription", "params": params});
        self.tell_raw(&message.to_string());
    }

    pub(crate) fn tell_raw(&self, text: &str) {
        // Nobody may be listening.
        let _ = self.news.send(text.to_owned());
    }
}

async fn serve(mut stream: TcpStream, state: Arc<Mutex<State>>, news: broadcast::Receiver<String>) {
    let mut seen = vec![0; 8_192];
    loop {
        let Ok(count) = stream.peek(&mut seen).await else { return };
        let head = String::from_utf8_lossy(&seen[..count]).to_lowercase();
        if count == 0 {
            return;
        }
        // A TLS handshake: not understood.
        if seen[0] == 0x16 {
            let _ = stream.read(&mut seen).await;
            let _ = stream.write_all(b"HTTP/1.1 400 X\r\n\r\n").await;
            let _ = stream.read(&mut seen).await;
            return;
        }
        if head.contains("\r\n\r\n") {
            if head.contains("upgrade: websocket") {
                serve_ws(stream, state, news).await;
            } else {
                // A connection that broke is the client's business.
                let _ = serve_http(stream, state).await;
            }
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn serve_http(mut stream: TcpStream, state: Arc<Mutex<State>>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = Vec::new();
    loop {
        let head_end = loop {
            if let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            if stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        };
        let head = String::from_utf8_lossy(&buffer[..head_end]).to_lowercase();
        let length: usize = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length:"))
            .and_then(|length| length.trim().parse().ok())
            .unwrap_or(0);
        while buffer.len() < head_end + length {
            if stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        }
        let body: Value =
            serde_json::from_slice(&buffer[head_end..head_end + length]).unwrap_or_default();
        buffer.drain(..head_end + length);
        let act = http_act(&state, &body);
        if !send_http(&mut stream, act).await? {
            return Ok(());
        }
    }
}

/// What answers a whole HTTP request.
fn http_act(state: &Mutex<State>, body: &Value) -> Act {
    let mut state = state.lock();
    let Value::Array(calls) = body else { return one(&mut state, body) };
    state.batch_sizes.push(calls.len());
    if let Some(act) = state.batches.clone() {
        return act;
    }
    let mut answers = Vec::new();
    for call in calls {
        match one(&mut state, call) {
            Act::Result(answer) => answers.push(answer),
            // An item that is left out.
            Act::Hang => {}
            act => return act,
        }
    }
    if state.reversed {
        answers.reverse();
    }
    Act::Result(Value::Array(answers))
}

/// What answers one call: as a result, the whole JSON-RPC object.
fn one(state: &mut State, call: &Value) -> Act {
    let act = state.act(call["method"].as_str().unwrap_or_default(), &call["params"]);
    dress(act, &call["id"])
}

fn dress(act: Act, id: &Value) -> Act {
    match act {
        Act::Result(result) => Act::Result(json!({"jsonrpc": "2.0", "id": id, "result": result})),
        Act::Error(code, message, data) => Act::Result(json!({
            "jsonrpc": "2.0",
            "id": id,
            "error": {"code": code, "message": message, "data": data},
        })),
        Act::Late(delay, act) => Act::Late(delay, Box::new(dress(*act, id))),
        act => act,
    }
}

/// Sends an answer; false when the connection is to be closed.
async fn send_http(stream: &mut TcpStream, act: Act) -> std::io::Result<bool> {
    let mut act = act;
    while let Act::Late(delay, late) = act {
        tokio::time::sleep(delay).await;
        act = *late;
    }
    let (status, headers, body) = match act {
        Act::Result(answer) => (200, Vec::new(), answer.to_string().into_bytes()),
        Act::Error(..) => unreachable!("errors are dressed as results"),
        Act::Http(status, headers, body) => (status, headers, body),
        Act::Late(..) => unreachable!("lateness is over"),
        Act::Hang => {
            std::future::pending::<()>().await;
            return Ok(false);
        }
        Act::Cut => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{\"id\":").await?;
            return Ok(false);
        }
    };
    let mut head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(&body).await?;
    Ok(true)
}

async fn serve_ws(
    stream: TcpStream,
    state: Arc<Mutex<State>>,
    mut news: broadcast::Receiver<String>,
) {
    let Ok(socket) = tokio_tungstenite::accept_async(stream).await else { return };
    state.lock().sockets += 1;
    let (mut out, mut incoming) = socket.split();
    let (answers, mut answered) = mpsc::unbounded_channel::<String>();
    let mut listens = false;
    loop {
        let text = tokio::select! {
            message = incoming.next() => {
                let Some(Ok(message)) = message else { return };
                let Ok(text) = message.to_text() else { continue };
                let Ok(call) = serde_json::from_str::<Value>(text) else { continue };
                let mut act = one(&mut state.lock(), &call);
                let subscribed = matches!(&act, Act::Result(answer) if answer["error"].is_null());
                listens |= call["method"] == "eth_subscribe" && subscribed;
                let answers = answers.clone();
                tokio::spawn(async move {
                    while let Act::Late(delay, late) = act {
                        tokio::time::sleep(delay).await;
                        act = *late;
                    }
                    match act {
                        Act::Result(answer) => drop(answers.send(answer.to_string())),
                        Act::Http(_, _, body) => {
                            drop(answers.send(String::from_utf8_lossy(&body).into_owned()));
                        }
                        Act::Cut => drop(answers.send("CUT".to_owned())),
                        _ => {}
                    }
                });
                continue;
            }
            answer = answered.recv() => answer.expect("a sender lives here"),
            told = news.recv() => match told {
                Ok(text) if listens => text,
                Ok(_) => continue,
                Err(_) => return,
            },
        };
        if text == "CUT" {
            return;
        }
        if state.lock().mute {
            continue;
        }
        if out.send(Message::Text(text.into())).await.is_err() {
            return;
        }
    }
}

/// A pool over some nodes, and what it tells.
pub(crate) struct Watched {
    pub(crate) pool: Pool,
    pub(crate) metrics: Metrics,
    stop: StopToken,
    conditions: Arc<Mutex<BTreeMap<String, String>>>,
    history: Arc<Mutex<Vec<Condition>>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.stop.stop();
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// Options with times that fit a test.
pub(crate) fn quick() -> RpcConfig {
    RpcConfig {
        timeout: HumanDuration::millis(1_500),
        connect_timeout: HumanDuration::millis(1_500),
        total_timeout: HumanDuration::millis(4_000),
        poll_interval: Some(HumanDuration::millis(30)),
        lag_time: HumanDuration::millis(200),
        compare_interval: HumanDuration::millis(200),
        chain_id_interval: HumanDuration::millis(200),
        quarantine: HumanDuration::millis(100),
        ..RpcConfig::default()
    }
}

pub(crate) fn settings(url: &str, name: &str) -> EndpointSettings {
    EndpointSettings { name: Some(name.to_owned()), ..EndpointSettings::new(Secret::parse(url)) }
}

/// `a`, `b`, `c` … over HTTP.
pub(crate) fn named(nodes: &[&Node]) -> PoolConfig {
    let endpoint = |(place, node): (usize, &&Node)| {
        let name = char::from(b'a' + u8::try_from(place).expect("few nodes"));
        EndpointConfig::Settings(Box::new(settings(&node.url(), &name.to_string())))
    };
    PoolConfig {
        endpoints: nodes.iter().enumerate().map(endpoint).collect(),
        options: quick(),
        ..PoolConfig::default()
    }
}

/// Changes one endpoint's settings.
pub(crate) fn with(
    mut config: PoolConfig,
    place: usize,
    change: impl FnOnce(&mut EndpointSettings),
) -> PoolConfig {
    let mut settings = config.endpoints[place].settings().into_owned();
    change(&mut settings);
    config.endpoints[place] = EndpointConfig::Settings(Box::new(settings));
    config
}

impl Watched {
    /// A pool that only answers calls.
    pub(crate) fn idle(config: &PoolConfig) -> Watched {
        let metrics = Metrics::new();
        let pool = Pool::build(&ChainName::new("test"), config, Clock::system(), &metrics)
            .expect("the config is good");
        Watched {
            pool,
            metrics,
            stop: StopToken::new(),
            conditions: Arc::default(),
            history: Arc::default(),
            tasks: Vec::new(),
        }
    }

    /// A pool at work.
    pub(crate) fn running(config: &PoolConfig) -> Watched {
        let mut watched = Watched::idle(config);
        let (out, mut told) = mpsc::channel(64);
        let (pool, stop) = (watched.pool.clone(), watched.stop.clone());
        watched.tasks.push(tokio::spawn(async move {
            pool.run(out, stop).await.expect("it runs until it is stopped");
        }));
        let (conditions, history) = (Arc::clone(&watched.conditions), Arc::clone(&watched.history));
        watched.tasks.push(tokio::spawn(async move {
            while let Some(observation) = told.recv().await {
                let Observation::Condition(condition) = observation else { continue };
                history.lock().push(condition.clone());
                let line = |key: &wk_model::ConditionKey| format!("{} {}", key.trouble, key.asset);
                match condition {
                    Condition::Raised(key, finding) => {
                        conditions.lock().insert(line(&key), finding.title.clone());
                    }
                    Condition::Cleared(key) => drop(conditions.lock().remove(&line(&key))),
                }
            }
        }));
        watched
    }

    /// Trouble and asset of every condition that is so now.
    pub(crate) fn conditions(&self) -> Vec<String> {
        self.conditions.lock().keys().cloned().collect()
    }

    pub(crate) fn has(&self, trouble: &str, endpoint: &str) -> bool {
        self.conditions().contains(&format!("{trouble} endpoint/test/{endpoint}"))
    }

    pub(crate) fn history(&self) -> Vec<Condition> {
        self.history.lock().clone()
    }

    pub(crate) fn status(&self, endpoint: &str) -> EndpointStatus {
        let name = EndpointName::new(endpoint);
        let all = self.pool.endpoints();
        all.into_iter().find(|status| status.name == name).expect("there is such an endpoint")
    }

    /// The sum of a metric's series whose labels hold all of `labels`.
    pub(crate) fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        self.metrics
            .snapshot()
            .iter()
            .filter(|series| series.signal.name == name)
            .filter(|series| labels.iter().all(|label| series.labels.iter().any(|l| l == label)))
            .map(|series| series.count.map_or(series.value, |count| count as f64))
            .sum()
    }

    pub(crate) async fn stop(mut self) {
        self.stop.stop();
        for task in std::mem::take(&mut self.tasks) {
            tokio::time::timeout(Duration::from_secs(5), task)
                .await
                .expect("it stops in time")
                .expect("it does not panic");
        }
    }
}

/// Waits until `true_now`, for ten seconds at most.
pub(crate) async fn until(what: &str, true_now: impl Fn() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while !true_now() {
        assert!(tokio::time::Instant::now() < deadline, "never came: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Gives the future ten seconds.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(10), future)
        .await
        .unwrap_or_else(|_| panic!("never came: {what}"))
}
