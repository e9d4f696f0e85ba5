//! JSON-RPC over one WebSocket: many requests at once, new heads and pending transactions as they
//! come, opened again whenever it dies.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, OwnedMutexGuard, mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream, client_async_tls_with_config};
use tracing::debug;
use wk_model::{B256, BlockLink, ChainId, Height};
use wk_runtime::{Backoff, StopToken, with_causes};

use super::class::{Answer, ErrorClass, classify};
use super::http::{Broken, has_tls};
use super::redact::Redactor;
use super::target::{Address, Target};
use super::tls;
use super::wire::{self, Answered, Incoming, Quantity};

/// Hears what comes over a WebSocket.
pub(crate) trait Listener: Send + Sync {
    /// The endpoint behind the new connection serves this chain. False: it is not listened to.
    fn chain_id(&self, id: ChainId) -> bool;
    /// A new head.
    fn head(&self, link: BlockLink);
    /// A pending transaction, whole where the endpoint sends it.
    fn pending(&self, hash: B256, transaction: Option<Arc<RawValue>>);
    /// It was opened.
    fn opened(&self);
    /// It broke, or could not be opened.
    fn closed(&self, reason: &Broken);
}

/// What is wanted from a WebSocket. Requests are always answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wishes {
    /// New heads.
    pub(crate) heads: bool,
    /// Pending transactions.
    pub(crate) pending: bool,
    /// Silence after which it is looked at whether the subscription still lives.
    pub(crate) silence: Duration,
}

/// Limits and intervals.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WsOptions {
    pub(crate) connect_timeout: Duration,
    pub(crate) ping: Duration,
    /// Our own questions must be answered within this time.
    pub(crate) answer: Duration,
    pub(crate) max_message_bytes: usize,
}

/// One endpoint's WebSocket. Inert until started.
#[derive(Debug)]
pub(crate) struct WsLink {
    commands: mpsc::Sender<Command>,
    /// Held by the task that serves it.
    waiting: Arc<Mutex<mpsc::Receiver<Command>>>,
    condition: Arc<WsCondition>,
}

/// How it is, for everyone to see.
#[derive(Debug, Default)]
pub(crate) struct WsCondition {
    pub(crate) connected: AtomicBool,
    pub(crate) subscribed: AtomicBool,
    pub(crate) reconnects: AtomicU64,
}

#[derive(Debug)]
struct Command {
    method: String,
    params: Value,
    reply: oneshot::Sender<Result<Answered, Broken>>,
}

/// Commands that wait to be sent.
const QUEUE: usize = 256;
/// Requests that wait for their answers.
const IN_FLIGHT: usize = 1_024;
/// An endpoint that takes nothing for this long is dead.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// A connection that held this long is no failure when it breaks.
const HELD: Duration = Duration::from_secs(30);

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

impl WsLink {
    pub(crate) fn new() -> WsLink {
        let (commands, waiting) = mpsc::channel(QUEUE);
        WsLink { commands, waiting: Arc::new(Mutex::new(waiting)), condition: Arc::default() }
    }

    pub(crate) fn condition(&self) -> &WsCondition {
        &self.condition
    }

    /// The task that keeps the WebSocket open until `stop`, or until this link is dropped. None
    /// while there is one.
    pub(crate) fn start(
        &self,
        address: Arc<Address>,
        options: WsOptions,
        wishes: watch::Receiver<Wishes>,
        listener: Arc<dyn Listener>,
        stop: StopToken,
    ) -> Option<impl Future<Output = ()> + Send + use<>> {
        let commands = Arc::clone(&self.waiting).try_lock_owned().ok()?;
        let condition = Arc::clone(&self.condition);
        let driver =
            Driver { address, options, wishes, listener, condition, stop, was_open: false };
        Some(driver.run(commands))
    }

    /// Asks one thing and waits for its answer, up to `limit`.
    pub(crate) async fn ask(
        &self,
        method: &str,
        params: &Value,
        limit: Duration,
    ) -> Result<Answered, Broken> {
        let closed = || Broken::new(ErrorClass::Connect, "the WebSocket is closed");
        let (reply, answer) = oneshot::channel();
        let command = Command { method: method.to_owned(), params: params.clone(), reply };
        let exchange = async {
            self.commands.send(command).await.map_err(|_| closed())?;
            answer.await.map_err(|_| closed())?
        };
        match timeout(limit, exchange).await {
            Ok(answered) => answered,
            Err(_) => Err(Broken::new(ErrorClass::Timeout, format!("no answer in {limit:?}"))),
        }
    }
}

struct Driver {
    address: Arc<Address>,
    options: WsOptions,
    wishes: watch::Receiver<Wishes>,
    listener: Arc<dyn Listener>,
    condition: Arc<WsCondition>,
    stop: StopToken,
    /// The last connection could be opened.
    was_open: bool,
}

impl Driver {
    async fn run(mut self, mut commands: OwnedMutexGuard<mpsc::Receiver<Command>>) {
        let stop = self.stop.clone();
        let mut backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(30));
        loop {
            let started = Instant::now();
            let Some(end) = stop.run(self.connection(&mut commands)).await else { break };
            self.condition.connected.store(false, Ordering::Relaxed);
            self.condition.subscribed.store(false, Ordering::Relaxed);
            let Some(reason) = end else { break };
            self.listener.closed(&reason);
            // What broke the connection says nothing about requests that come now.
            let reason = if self.was_open { cut_off(&reason) } else { reason };
            debug!(class = %reason.class, "the WebSocket broke; opening it again");
            if started.elapsed() > HELD {
                backoff.reset();
            }
            let again = Instant::now() + backoff.next_wait();
            if !fail_until(again, &mut commands, &reason, &stop).await {
                break;
            }
            self.condition.reconnects.fetch_add(1, Ordering::Relaxed);
        }
        self.condition.connected.store(false, Ordering::Relaxed);
        self.condition.subscribed.store(false, Ordering::Relaxed);
    }

    /// One connection, from its opening to its end. None when nobody needs it any more.
    async fn connection(&mut self, commands: &mut mpsc::Receiver<Command>) -> Option<Broken> {
        self.was_open = false;
        let target = match self.address.target() {
            Ok(target) => target,
            Err(message) => return Some(Broken::new(ErrorClass::Connect, message)),
        };
        let connecting = connect(&target, self.options);
        let socket = match timeout(self.options.connect_timeout, connecting).await {
            Ok(Ok(socket)) => socket,
            Ok(Err(mut broken)) => {
                broken.message = target.redactor.text(&broken.message);
                if matches!(broken.class, ErrorClass::HttpClient) {
                    self.address.forget();
                }
                return Some(broken);
            }
            Err(_) => {
                let message = format!("not connected in {:?}", self.options.connect_timeout);
                return Some(Broken::new(ErrorClass::Timeout, message));
            }
        };
        self.was_open = true;
        self.condition.connected.store(true, Ordering::Relaxed);
        self.listener.opened();
        let mut session = Session::new(socket, &target.redactor, self);
        let end = session.run(commands).await;
        session.fail_pending(end.as_ref());
        end
    }
}

/// Refuses commands with the reason why there is no connection, until `end`. False: it is time to
/// stop.
async fn fail_until(
    end: Instant,
    commands: &mut mpsc::Receiver<Command>,
    reason: &Broken,
    stop: &StopToken,
) -> bool {
    loop {
        tokio::select! {
            biased;
            () = stop.stopped() => return false,
            () = sleep_until(end) => return true,
            command = commands.recv() => match command {
                // Who asked may have gone; nothing is lost then.
                Some(command) => drop(command.reply.send(Err(copy(reason)))),
                None => return false,
            },
        }
    }
}

/// The end of an open connection as those see it who wait for answers.
fn cut_off(reason: &Broken) -> Broken {
    Broken::new(ErrorClass::Connect, format!("the WebSocket broke: {}", reason.message))
}

fn copy(reason: &Broken) -> Broken {
    Broken::new(reason.class, reason.message.clone())
}

async fn connect(target: &Target, options: WsOptions) -> Result<Socket, Broken> {
    let connect = |message: &str| Broken::new(ErrorClass::Connect, message);
    let url = target.ws.as_ref().ok_or_else(|| connect("the endpoint has no WebSocket"))?;
    let port = url.port_or_known_default().unwrap_or(443);
    let host = match url.host() {
        Some(url::Host::Domain(domain)) => domain.to_owned(),
        Some(url::Host::Ipv4(ip)) => ip.to_string(),
        Some(url::Host::Ipv6(ip)) => ip.to_string(),
        None => return Err(connect("the URL has no host")),
    };
    let stream = TcpStream::connect((host.as_str(), port))
        .await
        .map_err(|error| Broken::new(ErrorClass::Connect, with_causes(&error)))?;
    // Small messages shall not wait for each other; without it things are only slower.
    let _ = stream.set_nodelay(true);
    let mut request = url.as_str().into_client_request().map_err(broken)?;
    for (name, value) in &target.headers {
        request.headers_mut().insert(name.clone(), value.clone());
    }
    let limits = WebSocketConfig::default()
        .max_message_size(Some(options.max_message_bytes))
        .max_frame_size(Some(options.max_message_bytes));
    let connector = match url.scheme() {
        "wss" => Connector::Rustls(Arc::new(tls::config(&["http/1.1"]))),
        _ => Connector::Plain,
    };
    let (socket, _) = client_async_tls_with_config(request, stream, Some(limits), Some(connector))
        .await
        .map_err(broken)?;
    Ok(socket)
}

fn broken(error: WsError) -> Broken {
    let class = match &error {
        WsError::Http(response) => {
            let status = response.status().as_u16();
            let class = classify(Answer { status, retry_after: None, error: None }).class;
            return Broken::new(class, format!("the WebSocket was refused with HTTP {status}"));
        }
        error if has_tls(error) => ErrorClass::Tls,
        WsError::Tls(_) => ErrorClass::Tls,
        WsError::Protocol(
            ProtocolError::ResetWithoutClosingHandshake | ProtocolError::HandshakeIncomplete,
        ) => ErrorClass::Connect,
        WsError::Capacity(_)
        | WsError::Protocol(_)
        | WsError::Utf8(_)
        | WsError::AttackAttempt
        | WsError::HttpFormat(_) => ErrorClass::Json,
        WsError::ConnectionClosed
        | WsError::AlreadyClosed
        | WsError::Io(_)
        | WsError::WriteBufferFull(_)
        | WsError::Url(_) => ErrorClass::Connect,
    };
    let too_large = matches!(error, WsError::Capacity(_));
    Broken { too_large, ..Broken::new(class, with_causes(&error)) }
}

/// Who waits for an answer.
enum Waiting {
    Caller(oneshot::Sender<Result<Answered, Broken>>),
    ChainId,
    Heads,
    Pending {
        full: bool,
    },
    /// Our question, after a silence, how far the endpoint is.
    Height,
}

/// Whether heads still come.
struct Watch {
    /// Since when nothing came.
    quiet_since: Instant,
    /// Highest block that this connection told of.
    known: Option<Height>,
    /// Our question must be answered by then.
    answer_by: Option<Instant>,
    /// The endpoint knows a higher block: a head must come by then.
    head_by: Option<Instant>,
}

struct Session<'a> {
    socket: Socket,
    redactor: &'a Redactor,
    driver: &'a mut Driver,
    waiting: HashMap<u64, Waiting>,
    next_id: u64,
    last_heard: Instant,
    next_ping: Instant,
    watch: Option<Watch>,
    /// Our first questions must be answered by then; none when they are.
    settled_by: Option<Instant>,
    /// The endpoint behind this connection serves the right chain.
    listening: bool,
    heads_asked: bool,
    pending_asked: bool,
}

impl<'a> Session<'a> {
    fn new(socket: Socket, redactor: &'a Redactor, driver: &'a mut Driver) -> Session<'a> {
        let now = Instant::now();
        let WsOptions { ping, answer, .. } = driver.options;
        let next_ping = now + ping;
        Session {
            socket,
            redactor,
            driver,
            waiting: HashMap::new(),
            next_id: 1,
            last_heard: now,
            next_ping,
            watch: None,
            settled_by: Some(now + answer),
            listening: false,
            heads_asked: false,
            pending_asked: false,
        }
    }

    /// Until the connection breaks, or nobody needs it any more (`None`).
    async fn run(&mut self, commands: &mut mpsc::Receiver<Command>) -> Option<Broken> {
        // Heads of another chain must not be heard: who this is comes first.
        if let Err(broken) = self.send("eth_chainId", &json!([]), Waiting::ChainId).await {
            return Some(broken);
        }
        loop {
            let deadline = self.deadline();
            let step = tokio::select! {
                biased;
                message = self.socket.next() => match message {
                    Some(Ok(message)) => self.heard(message).await,
                    Some(Err(error)) => Err(broken(error)),
                    None => Err(Broken::new(ErrorClass::Connect, "the endpoint hung up")),
                },
                command = commands.recv(), if self.waiting.len() < IN_FLIGHT => match command {
                    Some(Command { method, params, reply }) => {
                        self.send(&method, &params, Waiting::Caller(reply)).await
                    }
                    None => {
                        // A farewell; whether it arrives does not matter.
                        let _ = timeout(Duration::from_secs(1), self.socket.close(None)).await;
                        return None;
                    }
                },
                () = sleep_until(deadline) => self.on_deadline().await,
                changed = self.driver.wishes.changed() => match changed {
                    Ok(()) => self.subscribe().await,
                    Err(_) => return None,
                },
            };
            if let Err(mut broken) = step {
                broken.message = self.redactor.text(&broken.message);
                return Some(broken);
            }
        }
    }

    fn wishes(&self) -> Wishes {
        *self.driver.wishes.borrow()
    }

    fn deadline(&self) -> Instant {
        let mut deadline = self.settled_by.map_or(self.next_ping, |by| by.min(self.next_ping));
        if let Some(watch) = &self.watch {
            let next = watch
                .answer_by
                .into_iter()
                .chain(watch.head_by)
                .min()
                .unwrap_or(watch.quiet_since + self.wishes().silence);
            deadline = deadline.min(next);
        }
        deadline
    }

    async fn on_deadline(&mut self) -> Result<(), Broken> {
        let now = Instant::now();
        let Wishes { heads, pending: _, silence } = self.wishes();
        if now >= self.next_ping {
            let ping = self.driver.options.ping;
            if now.duration_since(self.last_heard) > 2 * ping {
                return Err(Broken::new(ErrorClass::Timeout, "pings are not answered"));
            }
            self.next_ping = now + ping;
            // Who no longer waits leaves a place behind.
            self.waiting.retain(
                |_, waiting| !matches!(waiting, Waiting::Caller(reply) if reply.is_closed()),
            );
            return self.write(Message::Ping(Vec::new().into())).await;
        }
        if self.settled_by.is_some_and(|by| now >= by) {
            return Err(Broken::new(ErrorClass::Timeout, "it is open, and does not answer"));
        }
        let Some(watch) = &mut self.watch else { return Ok(()) };
        if watch.answer_by.is_some_and(|by| now >= by) {
            return Err(Broken::new(ErrorClass::Timeout, "it is silent, though open"));
        }
        if watch.head_by.is_some_and(|by| now >= by) {
            return Err(Broken::new(
                ErrorClass::Stale,
                "no new heads come, though the endpoint has new blocks",
            ));
        }
        if heads && watch.answer_by.is_none() && now >= watch.quiet_since + silence {
            let patience = silence.clamp(Duration::from_secs(2), Duration::from_secs(10));
            watch.answer_by = Some(now + patience);
            return self.send("eth_blockNumber", &json!([]), Waiting::Height).await;
        }
        Ok(())
    }

    async fn write(&mut self, message: Message) -> Result<(), Broken> {
        match timeout(WRITE_TIMEOUT, self.socket.send(message)).await {
            Ok(sent) => sent.map_err(broken),
            Err(_) => Err(Broken::new(ErrorClass::Timeout, "the endpoint takes no messages")),
        }
    }

    async fn send(&mut self, method: &str, params: &Value, waiting: Waiting) -> Result<(), Broken> {
        let id = self.next_id;
        self.next_id += 1;
        self.waiting.insert(id, waiting);
        self.write(Message::Text(wire::encode(id, method, params).into())).await
    }

    async fn heard(&mut self, message: Message) -> Result<(), Broken> {
        self.last_heard = Instant::now();
        let incoming = match &message {
            Message::Text(text) => wire::decode_message(text, self.redactor),
            Message::Binary(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => wire::decode_message(text, self.redactor),
                Err(_) => Err(wire::Malformed::NotRpc("it is no text")),
            },
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => return Ok(()),
            Message::Close(_) => {
                return Err(Broken::new(ErrorClass::Connect, "the endpoint closed it"));
            }
        };
        match incoming {
            Ok(Incoming::Answer(id, answered)) => match self.waiting.remove(&id) {
                Some(waiting) => self.answered(waiting, answered).await,
                // The answer to a question that was given up, or to none of ours.
                None => Ok(()),
            },
            Ok(Incoming::News(news)) => {
                self.news(&news);
                Ok(())
            }
            // It may be the answer to any of our questions: none of them can be waited for.
            Ok(Incoming::Complaint(error)) => {
                Err(Broken::new(ErrorClass::Json, format!("it complained: {}", error.message)))
            }
            Err(malformed) => Err(Broken::new(ErrorClass::Json, malformed.to_string())),
        }
    }

    async fn answered(&mut self, waiting: Waiting, answered: Answered) -> Result<(), Broken> {
        let now = Instant::now();
        match waiting {
            // Who asked may have gone; nothing is lost then.
            Waiting::Caller(reply) => drop(reply.send(Ok(answered))),
            Waiting::ChainId => {
                let id = answered.ok().and_then(|id| quantity(&id)).map(ChainId);
                self.listening = id.is_none_or(|id| self.driver.listener.chain_id(id));
                self.subscribe().await?;
                if !self.heads_asked {
                    self.settled_by = None;
                }
            }
            Waiting::Heads => {
                self.settled_by = None;
                // Who has no subscriptions is still good for requests; heads come by polling.
                if answered.is_ok() {
                    self.driver.condition.subscribed.store(true, Ordering::Relaxed);
                    self.watch = Some(Watch {
                        quiet_since: now,
                        known: None,
                        answer_by: None,
                        head_by: None,
                    });
                }
            }
            // Not every endpoint sends whole transactions: ask for hashes.
            Waiting::Pending { full: true } if answered.is_err() => {
                let params = json!(["newPendingTransactions"]);
                let waiting = Waiting::Pending { full: false };
                self.send("eth_subscribe", &params, waiting).await?;
            }
            Waiting::Pending { .. } => {}
            Waiting::Height => {
                let height = answered.ok().and_then(|height| quantity(&height)).map(Height);
                if let Some(watch) = &mut self.watch {
                    watch.answer_by = None;
                    watch.quiet_since = now;
                    if height > watch.known && watch.known.is_some() {
                        // Its head may be on the way.
                        let silence = self.driver.wishes.borrow().silence;
                        let patience = (silence / 3).max(Duration::from_secs(1));
                        watch.head_by.get_or_insert(now + patience);
                    }
                    watch.known = watch.known.max(height);
                }
            }
        }
        Ok(())
    }

    /// Asks for what is wanted and was not asked for yet, once it is known who this is.
    async fn subscribe(&mut self) -> Result<(), Broken> {
        let Wishes { heads, pending, silence: _ } = self.wishes();
        if !self.listening {
            return Ok(());
        }
        if heads && !self.heads_asked {
            self.heads_asked = true;
            self.send("eth_subscribe", &json!(["newHeads"]), Waiting::Heads).await?;
        }
        if pending && !self.pending_asked {
            self.pending_asked = true;
            let params = json!(["newPendingTransactions", true]);
            self.send("eth_subscribe", &params, Waiting::Pending { full: true }).await?;
        }
        Ok(())
    }

    /// News are known by their shape: the answer that names the subscription may come after them.
    fn news(&mut self, news: &RawValue) {
        if let Some(link) = wire::block_link(news) {
            if let Some(watch) = &mut self.watch {
                watch.quiet_since = Instant::now();
                watch.known = Some(link.block.height);
                watch.head_by = None;
            }
            self.driver.listener.head(link);
        } else if let Ok(hash) = serde_json::from_str::<B256>(news.get()) {
            self.driver.listener.pending(hash, None);
        } else if let Ok(transaction) = wire::object::<PendingTransaction>(news.get().as_bytes()) {
            let whole: Arc<RawValue> = news.to_owned().into();
            self.driver.listener.pending(transaction.hash, Some(whole));
        }
    }

    fn fail_pending(&mut self, end: Option<&Broken>) {
        for (_, waiting) in self.waiting.drain() {
            if let (Waiting::Caller(reply), Some(reason)) = (waiting, end) {
                drop(reply.send(Err(cut_off(reason))));
            }
        }
    }
}

#[derive(serde::Deserialize)]
struct PendingTransaction {
    hash: B256,
}

fn quantity(value: &RawValue) -> Option<u64> {
    serde_json::from_str::<Quantity>(value.get()).ok().map(|quantity| quantity.0)
}
