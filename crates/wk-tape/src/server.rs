//! A JSON-RPC 2.0 server on loopback: HTTP, WebSocket, batches and subscriptions on one port.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::post;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tracing::debug;
use wk_runtime::StopToken;

/// Largest request, in bytes.
const LARGEST_REQUEST: usize = 1 << 20;
/// Most calls in one batch.
const LARGEST_BATCH: usize = 1_000;
/// Notifications that may wait for one connection; a slower reader is cut off.
const WAITING: usize = 4_096;
/// Subscriptions of one connection.
const MOST_SUBSCRIPTIONS: usize = 64;
/// WebSocket connections at once.
const MOST_CONNECTIONS: usize = 1_024;
/// How long a client may take to say what it wants.
const FIRST_BYTE: Duration = Duration::from_secs(10);

/// What a server serves.
pub trait Service: Send + Sync + 'static {
    /// Answers one call. Called on the connection's task: it must not block.
    fn call(&self, method: &str, params: &[Value]) -> Result<Value, RpcError>;

    /// Begins a subscription: `params` as in `eth_subscribe`. The service keeps the subscriber and
    /// notifies it until [`Subscriber::notify`] says that it is gone.
    fn subscribe(&self, params: &[Value], subscriber: Subscriber) -> Result<(), RpcError> {
        let _ = (params, subscriber);
        Err(RpcError::method_missing("eth_subscribe"))
    }

    /// How long each request waits before it is answered, and each notification before it is sent.
    fn delay(&self) -> Duration {
        Duration::ZERO
    }
}

/// A JSON-RPC error, as it goes to the client.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{message} ({code})")]
pub struct RpcError {
    /// The code, such as -32601.
    pub code: i64,
    /// What went wrong, for people.
    pub message: String,
    /// More of it, for programs.
    pub data: Option<Value>,
}

impl RpcError {
    /// -32601: there is no such method.
    pub fn method_missing(method: &str) -> RpcError {
        let message = format!("the method {method} does not exist/is not available");
        RpcError { code: -32601, message, data: None }
    }

    /// -32602: the parameters make no sense.
    pub fn invalid_params(message: impl Into<String>) -> RpcError {
        RpcError { code: -32602, message: message.into(), data: None }
    }

    /// -32000: the node cannot do it.
    pub fn server(message: impl Into<String>) -> RpcError {
        RpcError { code: -32000, message: message.into(), data: None }
    }

    fn invalid_request() -> RpcError {
        RpcError { code: -32600, message: "invalid request".to_owned(), data: None }
    }

    fn to_json(&self) -> Value {
        let mut error = json!({"code": self.code, "message": self.message});
        if let Some(data) = &self.data {
            error["data"] = data.clone();
        }
        error
    }
}

/// Someone who asked to be told.
#[derive(Clone, Debug)]
pub struct Subscriber {
    id: String,
    out: mpsc::Sender<Value>,
    open: Arc<AtomicBool>,
}

impl Subscriber {
    /// The subscription's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Sends `result`; false when the subscriber is gone or too slow, and is to be forgotten.
    pub fn notify(&self, result: &Value) -> bool {
        let params = json!({"subscription": self.id, "result": result});
        let message = json!({"jsonrpc": "2.0", "method": "eth_subscription", "params": params});
        let sent = self.is_open() && self.out.try_send(message).is_ok();
        if !sent {
            // A reader that missed one notification must not believe that it has them all.
            self.open.store(false, Ordering::Relaxed);
        }
        sent
    }

    fn is_open(&self) -> bool {
        self.open.load(Ordering::Relaxed)
    }
}

/// A running server. It ends, and its connections with it, when this is dropped.
#[derive(Debug)]
pub struct JsonRpcServer {
    address: SocketAddr,
    stop: StopToken,
}

impl JsonRpcServer {
    /// Serves `service` on a free port of 127.0.0.1.
    pub async fn start(service: Arc<dyn Service>) -> io::Result<JsonRpcServer> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let stop = StopToken::new();
        let (posts, incoming) = mpsc::channel(64);
        let router = Router::new()
            .fallback(post(answer_post))
            .layer(DefaultBodyLimit::max(LARGEST_REQUEST))
            .with_state(Arc::clone(&service));
        let http_stop = stop.clone();
        tokio::spawn(async move {
            let http = axum::serve(Posts { incoming, address }, router)
                .with_graceful_shutdown(async move { http_stop.stopped().await });
            if let Err(error) = http.await {
                debug!(%error, "HTTP server ended");
            }
        });
        let accept_stop = stop.clone();
        tokio::spawn(async move {
            accept_stop.run(accept(listener, posts, service)).await;
        });
        Ok(JsonRpcServer { address, stop })
    }

    /// Where to POST calls.
    pub fn http_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where to open a WebSocket.
    pub fn ws_url(&self) -> String {
        format!("ws://{}", self.address)
    }
}

impl Drop for JsonRpcServer {
    fn drop(&mut self) {
        self.stop.stop();
    }
}

/// The connections that POST, as axum wants them.
struct Posts {
    incoming: mpsc::Receiver<(TcpStream, SocketAddr)>,
    address: SocketAddr,
}

impl axum::serve::Listener for Posts {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        match self.incoming.recv().await {
            Some(connection) => connection,
            // The accepting task has ended: so will the server, by its stop token.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

/// Sorts connections by their first byte: a WebSocket handshake is a GET, a call is a POST.
async fn accept(
    listener: TcpListener,
    posts: mpsc::Sender<(TcpStream, SocketAddr)>,
    service: Arc<dyn Service>,
) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                debug!(%error, "accept failed");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        if connections.len() >= MOST_CONNECTIONS {
            continue;
        }
        let (posts, service) = (posts.clone(), Arc::clone(&service));
        connections.spawn(async move {
            let mut first = [0];
            match tokio::time::timeout(FIRST_BYTE, stream.peek(&mut first)).await {
                Ok(Ok(1)) if first == *b"G" => serve_socket(stream, service).await,
                Ok(Ok(1)) => drop(posts.send((stream, peer)).await),
                _ => {}
            }
        });
    }
}

async fn answer_post(State(service): State<Arc<dyn Service>>, body: Bytes) -> impl IntoResponse {
    tokio::time::sleep(service.delay()).await;
    let answer = match serde_json::from_slice(&body) {
        Ok(request) => answer_message(&*service, request, &mut |_, _| None),
        Err(_) => Some(parse_error()),
    };
    let text = answer.map_or_else(String::new, |answer| answer.to_string());
    ([(CONTENT_TYPE, "application/json")], text)
}

async fn serve_socket(stream: TcpStream, service: Arc<dyn Service>) {
    let config = WebSocketConfig::default()
        .max_message_size(Some(LARGEST_REQUEST))
        .max_frame_size(Some(LARGEST_REQUEST));
    let handshake = tokio_tungstenite::accept_async_with_config(stream, Some(config));
    let Ok(Ok(socket)) = tokio::time::timeout(FIRST_BYTE, handshake).await else { return };
    let (mut sink, mut source) = socket.split();
    let (out, mut notifications) = mpsc::channel::<Value>(WAITING);
    let mut subscriptions: Vec<Subscriber> = Vec::new();
    loop {
        let message = tokio::select! {
            incoming = source.next() => match incoming {
                Some(Ok(Message::Text(text))) => {
                    tokio::time::sleep(service.delay()).await;
                    let mut extra = |method: &str, params: &[Value]| {
                        subscription_call(&*service, &mut subscriptions, &out, method, params)
                    };
                    let answer = match serde_json::from_str(&text) {
                        Ok(request) => answer_message(&*service, request, &mut extra),
                        Err(_) => Some(parse_error()),
                    };
                    match answer {
                        Some(answer) => answer,
                        None => continue,
                    }
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => continue,
                Some(Ok(Message::Binary(_) | Message::Close(_)) | Err(_)) | None => break,
            },
            Some(notification) = notifications.recv() => {
                tokio::time::sleep(service.delay()).await;
                notification
            }
        };
        if sink.send(Message::text(message.to_string())).await.is_err()
            || subscriptions.iter().any(|subscriber| !subscriber.is_open())
        {
            break;
        }
    }
    for subscriber in subscriptions {
        subscriber.open.store(false, Ordering::Relaxed);
    }
}

/// `eth_subscribe` and `eth_unsubscribe`; none for any other method.
fn subscription_call(
    service: &dyn Service,
    subscriptions: &mut Vec<Subscriber>,
    out: &mpsc::Sender<Value>,
    method: &str,
    params: &[Value],
) -> Option<Result<Value, RpcError>> {
    static NEXT_ID: AtomicU64 = AtomicU64::new(1);
    match method {
        "eth_subscribe" if subscriptions.len() >= MOST_SUBSCRIPTIONS => {
            Some(Err(RpcError::server("too many subscriptions")))
        }
        "eth_subscribe" => {
            let id = format!("{:#x}", NEXT_ID.fetch_add(1, Ordering::Relaxed));
            let open = Arc::new(AtomicBool::new(true));
            let subscriber = Subscriber { id: id.clone(), out: out.clone(), open };
            Some(service.subscribe(params, subscriber.clone()).map(|()| {
                subscriptions.push(subscriber);
                json!(id)
            }))
        }
        "eth_unsubscribe" => {
            let id = params.first().and_then(Value::as_str).unwrap_or_default();
            let place = subscriptions.iter().position(|subscriber| subscriber.id == id);
            if let Some(place) = place {
                subscriptions.swap_remove(place).open.store(false, Ordering::Relaxed);
            }
            Some(Ok(json!(place.is_some())))
        }
        _ => None,
    }
}

type Extra<'a> = &'a mut dyn FnMut(&str, &[Value]) -> Option<Result<Value, RpcError>>;

/// Answers a call or a batch; none when nothing in it asks for an answer.
fn answer_message(service: &dyn Service, message: Value, extra: Extra<'_>) -> Option<Value> {
    match message {
        Value::Array(calls) if calls.is_empty() || calls.len() > LARGEST_BATCH => {
            Some(reply(Value::Null, Err(RpcError::invalid_request())))
        }
        Value::Array(calls) => {
            let answers: Vec<Value> =
                calls.iter().filter_map(|call| answer_call(service, call, extra)).collect();
            (!answers.is_empty()).then_some(Value::Array(answers))
        }
        call => answer_call(service, &call, extra),
    }
}

fn answer_call(service: &dyn Service, call: &Value, extra: Extra<'_>) -> Option<Value> {
    let empty = Vec::new();
    let params = match &call["params"] {
        Value::Array(params) => Some(params),
        Value::Null => Some(&empty),
        _ => None,
    };
    let id = call.get("id").cloned();
    let (Some(method), Some(params)) = (call["method"].as_str(), params) else {
        return Some(reply(id.unwrap_or_default(), Err(RpcError::invalid_request())));
    };
    let answer = extra(method, params).unwrap_or_else(|| service.call(method, params));
    // A call without an id is a notification: it gets no answer.
    id.map(|id| reply(id, answer))
}

fn reply(id: Value, answer: Result<Value, RpcError>) -> Value {
    match answer {
        Ok(result) => json!({"jsonrpc": "2.0", "id": id, "result": result}),
        Err(error) => json!({"jsonrpc": "2.0", "id": id, "error": error.to_json()}),
    }
}

fn parse_error() -> Value {
    let error = RpcError { code: -32700, message: "parse error".to_owned(), data: None };
    reply(Value::Null, Err(error))
}
