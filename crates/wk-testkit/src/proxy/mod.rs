//! A proxy in front of a real node that makes faults, switched on and off while it runs.

mod http;
mod lag;
mod socket;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use wk_runtime::StopToken;
use wk_tape::NodeUrls;

use crate::fault::Fault;
use crate::rpc::Rpc;

/// A proxy that is listening, HTTP and WebSocket on one port. It ends, and its connections with
/// it, when this is dropped.
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: StopToken,
}

/// What all connections share.
#[derive(Debug)]
struct Shared {
    upstream: Upstream,
    other: Option<Upstream>,
    active: Mutex<Vec<Active>>,
    hits: Mutex<BTreeMap<Fault, u64>>,
    requests: Mutex<BTreeMap<String, u64>>,
    messages: AtomicU64,
    turn: AtomicU64,
    /// Time that each answer over HTTP takes longer, in milliseconds.
    delay: AtomicU64,
    /// Changes when open connections are to be closed.
    cut: watch::Sender<u64>,
}

#[derive(Debug)]
struct Upstream {
    rpc: Rpc,
    ws: String,
}

#[derive(Clone, Debug)]
struct Active {
    fault: Fault,
    /// How often it is still made; none for ever.
    left: Option<u64>,
}

impl FaultProxy {
    /// A proxy in front of `upstream`, without any fault yet.
    pub async fn start(upstream: &NodeUrls) -> FaultProxy {
        FaultProxy::start_with(upstream, None).await
    }

    /// A proxy that can also route to `other`, a node on another branch: [`Fault::OtherFork`].
    pub async fn start_forked(upstream: &NodeUrls, other: &NodeUrls) -> FaultProxy {
        FaultProxy::start_with(upstream, Some(other)).await
    }

    async fn start_with(upstream: &NodeUrls, other: Option<&NodeUrls>) -> FaultProxy {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.expect("loopback has a free port");
        let address = listener.local_addr().expect("it listens");
        let to = |urls: &NodeUrls| Upstream { rpc: Rpc::new(&*urls.http), ws: urls.ws.clone() };
        let shared = Arc::new(Shared {
            upstream: to(upstream),
            other: other.map(to),
            active: Mutex::default(),
            hits: Mutex::default(),
            requests: Mutex::default(),
            messages: AtomicU64::new(0),
            turn: AtomicU64::new(0),
            delay: AtomicU64::new(0),
            cut: watch::Sender::new(0),
        });
        let stop = StopToken::new();
        let (accepted, stopped) = (Arc::clone(&shared), stop.clone());
        tokio::spawn(async move { stopped.run(accept(listener, accepted)).await });
        FaultProxy { address, shared, stop }
    }

    /// Where it listens.
    pub fn urls(&self) -> NodeUrls {
        NodeUrls { http: self.http_url(), ws: self.ws_url() }
    }

    /// Where to POST calls.
    pub fn http_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where to open a WebSocket.
    pub fn ws_url(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// Makes `fault` from now on, beside those that are made already.
    ///
    /// # Panics
    /// When it is [`Fault::OtherFork`] and there is no second upstream.
    pub fn inject(&self, fault: Fault) {
        self.add(fault, None);
    }

    /// Makes `fault` so many times: each request, answer or notification that it spoils counts.
    ///
    /// # Panics
    /// When it is [`Fault::OtherFork`] and there is no second upstream.
    pub fn inject_times(&self, fault: Fault, times: u64) {
        self.add(fault, Some(times));
    }

    fn add(&self, fault: Fault, left: Option<u64>) {
        let fork = fault == Fault::OtherFork;
        assert!(!fork || self.shared.other.is_some(), "another fork needs a second upstream");
        let cut = fork || fault == Fault::NoSocket;
        self.shared.active.lock().push(Active { fault, left });
        if cut {
            self.cut();
        }
    }

    /// Each answer over HTTP takes this much longer from now on: the node is far away.
    pub fn delay(&self, time: Duration) {
        let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.shared.delay.store(millis, Ordering::Relaxed);
    }

    /// Makes no fault any more.
    pub fn clear(&self) {
        let forked = self.shared.is_active(&Fault::OtherFork);
        self.shared.active.lock().clear();
        if forked {
            self.cut();
        }
    }

    /// Closes all open connections once.
    pub fn cut(&self) {
        self.shared.cut.send_modify(|count| *count += 1);
    }

    /// How often `fault` spoiled something: a test that never met its fault proves nothing.
    pub fn hits(&self, fault: &Fault) -> u64 {
        self.shared.hits.lock().get(fault).copied().unwrap_or(0)
    }

    /// Calls so far, by method.
    pub fn requests(&self) -> BTreeMap<String, u64> {
        self.shared.requests.lock().clone()
    }

    /// Calls of one method so far.
    pub fn count(&self, method: &str) -> u64 {
        self.shared.requests.lock().get(method).copied().unwrap_or(0)
    }

    /// Messages so far: a call or a batch, over HTTP or a WebSocket.
    pub fn messages(&self) -> u64 {
        self.shared.messages.load(Ordering::Relaxed)
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.stop.stop();
    }
}

/// Sorts connections by their first byte: a WebSocket handshake is a GET, a call is a POST.
async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let mut cut = shared.cut.subscribe();
            tokio::select! {
                biased;
                _ = cut.changed() => {}
                () = serve(stream, &shared) => {}
            }
        });
    }
}

async fn serve(stream: TcpStream, shared: &Arc<Shared>) {
    let mut first = [0];
    match stream.peek(&mut first).await {
        Ok(1) if first == *b"G" => socket::serve(stream, shared).await,
        Ok(1) => http::serve(stream, shared).await,
        _ => {}
    }
}

/// What becomes of one message as a whole.
#[derive(Debug)]
enum Reply {
    /// It is answered with this text.
    Text(String),
    /// It is answered with an HTTP error.
    Status { status: u16, retry_after: Option<u64>, body: String },
    /// It is answered with this text, slowly: bytes per second.
    Slow(String, usize),
    /// It is answered with a text of this many bytes.
    Huge(usize),
    /// It is not answered.
    Hang,
    /// The connection is reset.
    Reset,
}

impl Shared {
    fn is_active(&self, fault: &Fault) -> bool {
        self.active.lock().iter().any(|active| active.fault == *fault)
    }

    fn faults(&self) -> Vec<Fault> {
        self.active.lock().iter().map(|active| active.fault.clone()).collect()
    }

    /// Counts that `fault` spoiled something, and ends it when it has done so often enough.
    fn hit(&self, fault: &Fault) {
        *self.hits.lock().entry(fault.clone()).or_default() += 1;
        self.active.lock().retain_mut(|active| match &mut active.left {
            Some(left) if active.fault == *fault => {
                *left = left.saturating_sub(1);
                *left > 0
            }
            _ => true,
        });
    }

    fn upstream(&self) -> &Upstream {
        match &self.other {
            Some(other) if self.is_active(&Fault::OtherFork) => {
                self.hit(&Fault::OtherFork);
                other
            }
            _ => &self.upstream,
        }
    }

    /// Answers one message: a call or a batch.
    async fn reply(&self, message: &[u8]) -> Reply {
        self.messages.fetch_add(1, Ordering::Relaxed);
        let message: Value = match serde_json::from_slice(message) {
            Ok(message) => message,
            Err(_) => return Reply::Text(error(Value::Null, json!({"code": -32700})).to_string()),
        };
        let (calls, is_batch) = match message {
            Value::Array(calls) => (calls, true),
            call => (vec![call], false),
        };
        let methods: Vec<String> = calls
            .iter()
            .map(|call| call["method"].as_str().unwrap_or_default().to_owned())
            .collect();
        for method in &methods {
            *self.requests.lock().entry(method.clone()).or_default() += 1;
        }
        let faults = self.faults();
        for fault in &faults {
            if matches!(fault, Fault::Unanswered { method } if methods.contains(method)) {
                self.hit(fault);
                return Reply::Hang;
            }
            if let Some(reply) = refuse_message(fault, calls.len()) {
                self.hit(fault);
                return reply;
            }
        }
        let mut answers = match self.answers(calls, is_batch).await {
            Ok(answers) => answers,
            Err(body) => return Reply::Status { status: 502, retry_after: None, body },
        };
        for fault in &faults {
            let hit = is_batch
                && answers.len() > 1
                && match fault {
                    Fault::BatchReordered => {
                        answers.reverse();
                        true
                    }
                    Fault::BatchMissing => answers.pop().is_some(),
                    _ => false,
                };
            if hit {
                self.hit(fault);
            }
        }
        let text = match answers.pop() {
            Some(answer) if !is_batch => answer.to_string(),
            last => {
                answers.extend(last);
                Value::Array(answers).to_string()
            }
        };
        for fault in &faults {
            let reply = match fault {
                Fault::MalformedJson => Reply::Text(text[..text.len() / 2].to_owned()),
                Fault::SlowBody { per_second } => Reply::Slow(text.clone(), *per_second),
                Fault::OversizedBody { bytes } => Reply::Huge(*bytes),
                _ => continue,
            };
            self.hit(fault);
            return reply;
        }
        Reply::Text(text)
    }

    /// Answers calls one by one or as a batch, as they came; the error is a text about the node.
    async fn answers(&self, calls: Vec<Value>, is_batch: bool) -> Result<Vec<Value>, String> {
        let mut prepared = Vec::with_capacity(calls.len());
        for call in calls {
            prepared.push(self.prepare(call).await);
        }
        let forwarded: Vec<Value> = prepared
            .iter()
            .enumerate()
            .filter(|(_, call)| call.answer.is_none())
            .map(|(id, call)| {
                let (method, params) = (&call.method, &call.params);
                json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
            })
            .collect();
        let rpc = &self.upstream().rpc;
        let got = match forwarded.as_slice() {
            [] => Vec::new(),
            [one] if !is_batch => vec![rpc.post(one.to_string()).await.map_err(text)?],
            _ => match rpc.post(Value::Array(forwarded).to_string()).await.map_err(text)? {
                Value::Array(answers) => answers,
                refusal => vec![refusal],
            },
        };
        for mut answer in got {
            let call = answer["id"].as_u64().and_then(|id| usize::try_from(id).ok());
            let Some(call) = call.and_then(|id| prepared.get_mut(id)) else {
                return Err(answer.to_string());
            };
            answer["id"] = call.id.clone();
            if let Some(result) = answer.get_mut("result") {
                self.tamper(&call.method, result);
                if let Some((fault, limit)) = &call.lag
                    && let Some(changed) = lag::spoil(&call.method, result, *limit)
                {
                    self.hit(fault);
                    if let Err(lagging) = changed {
                        answer = error(call.id.clone(), lagging);
                    }
                }
            }
            call.answer = Some(answer);
        }
        Ok(prepared.into_iter().filter_map(|call| call.answer).collect())
    }

    /// Decides before the node is asked: refuse, answer, or ask with other parameters.
    async fn prepare(&self, call: Value) -> Prepared {
        let method = call["method"].as_str().unwrap_or_default().to_owned();
        let mut call = Prepared {
            id: call["id"].clone(),
            params: call.get("params").cloned().unwrap_or_else(|| json!([])),
            method,
            lag: None,
            answer: None,
        };
        for fault in self.faults() {
            if let Some(refusal) = fault.refuses(&call.method, &call.params) {
                self.hit(&fault);
                call.answer = Some(error(call.id.clone(), refusal));
                return call;
            }
            let about_head = lag::is_about_head(&call.method, &call.params);
            let turn = match &fault {
                Fault::HeadGoesBack { .. } if !about_head => continue,
                Fault::HeadGoesBack { .. } => self.turn.fetch_add(1, Ordering::Relaxed),
                _ => 0,
            };
            let Some(blocks) = fault.lag(turn) else { continue };
            let limit = self.height().await.saturating_sub(blocks);
            match lag::rewrite(&call.method, &mut call.params, limit) {
                lag::Rewritten::Same => {}
                lag::Rewritten::Changed => self.hit(&fault),
                lag::Rewritten::Answered(answer) => {
                    self.hit(&fault);
                    call.answer = Some(match answer {
                        Ok(result) => {
                            json!({"jsonrpc": "2.0", "id": call.id, "result": result})
                        }
                        Err(refusal) => error(call.id.clone(), refusal),
                    });
                    return call;
                }
            }
            call.lag = Some((fault, limit));
        }
        call
    }

    fn tamper(&self, method: &str, result: &mut Value) {
        for fault in self.faults() {
            if fault.tamper(method, result) {
                self.hit(&fault);
            }
        }
    }

    /// The node's true height; 0 when it does not answer.
    async fn height(&self) -> u64 {
        let height = self.upstream.rpc.try_call("eth_blockNumber", json!([])).await;
        height.ok().as_ref().and_then(crate::fault::read_quantity).unwrap_or(0)
    }
}

/// One call on its way.
#[derive(Debug)]
struct Prepared {
    id: Value,
    method: String,
    params: Value,
    /// The lag that its result is to show, with the highest height that is known there.
    lag: Option<(Fault, u64)>,
    answer: Option<Value>,
}

/// What a fault does to a whole message before anything in it is looked at.
fn refuse_message(fault: &Fault, calls: usize) -> Option<Reply> {
    Some(match fault {
        Fault::TooManyRequests { retry_after } => {
            let refusal = json!({"code": 429, "message": "Too Many Requests"});
            let body = error(Value::Null, refusal).to_string();
            Reply::Status { status: 429, retry_after: *retry_after, body }
        }
        Fault::ServerError { status } => {
            let body = format!("<html><body><h1>{status}</h1></body></html>");
            Reply::Status { status: *status, retry_after: None, body }
        }
        Fault::BatchTooLarge { calls: most } if calls > *most => {
            let message = format!("batch too large: {calls} calls, most are {most}");
            let refusal = json!({"code": -32600, "message": message});
            Reply::Text(error(Value::Null, refusal).to_string())
        }
        Fault::Hang => Reply::Hang,
        Fault::ConnectionReset => Reply::Reset,
        _ => return None,
    })
}

fn error(id: Value, error: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "error": error})
}

fn text(failure: crate::RpcFailure) -> String {
    failure.to_string()
}
