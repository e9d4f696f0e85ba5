//! Plays a tape: blocks appear over time, at several endpoints, honest ones and liars.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::Notify;
use wk_runtime::StopToken;

use crate::answer::{View, answer, block_logs, header_json};
use crate::ledger::Ledger;
use crate::lie::{Lie, Script, tell};
use crate::logs::LogFilter;
use crate::seal::{BadHeader, Place, Sealed, empty_child, seal};
use crate::server::{JsonRpcServer, RpcError, Service, Subscriber};
use crate::{Entry, Recorded, Tape};

/// `extraData` of blocks that stand only on the liars' branch.
const OTHER_FORK: &str = "0x6f7468657220666f726b";

/// How a tape is played.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TapeOptions {
    /// When the next entry is played.
    pub pace: Pace,
    /// Which timestamps the blocks get.
    pub timing: Timing,
    /// How many entries are there from the start; none for the tape's own history.
    pub history: Option<usize>,
    /// Keep producing empty blocks after the last entry; otherwise the chain halts there.
    pub idle: bool,
    /// What is listened on.
    pub endpoints: Vec<EndpointOptions>,
}

/// When the next entry is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// One entry each interval, from the first request on: nothing is played before anyone looks.
    Every(Duration),
    /// When [`TapeNode::advance`] says so.
    Manual,
}

/// Which timestamps the blocks get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timing {
    /// The time of playing; history goes back from there in steps of one second.
    Now,
    /// The recorded ones: all hashes are the recorded ones too.
    Recorded,
}

/// One endpoint of the node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndpointOptions {
    /// What it does not tell the truth about.
    pub lies: Script,
    /// How long it takes to answer, and to tell subscribers.
    pub delay: Duration,
}

/// Where one endpoint listens. Both are on the same port of 127.0.0.1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeUrls {
    /// For calls and batches.
    pub http: String,
    /// For calls and subscriptions.
    pub ws: String,
}

/// Why a node cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartNode {
    /// It cannot listen on loopback.
    #[error("cannot listen on 127.0.0.1")]
    Listen(#[from] io::Error),
    /// A block of the tape is broken.
    #[error("entry {entry} of the tape is broken")]
    Tape {
        /// Which entry, from 0.
        entry: usize,
        /// Why.
        source: BadHeader,
    },
}

/// A tape that is being played. It ends when this is dropped.
#[derive(Debug)]
pub struct TapeNode {
    servers: Vec<JsonRpcServer>,
    shared: Arc<Shared>,
    stop: StopToken,
}

#[derive(Debug)]
struct Shared {
    world: Mutex<World>,
    asked: Notify,
}

/// Both branches as they stand now. The liars' branch is the true one until the first
/// [`Lie::OtherFork`] begins.
#[derive(Debug)]
struct World {
    chain_id: u64,
    client: String,
    timing: Timing,
    idle: bool,
    upcoming: VecDeque<Entry>,
    /// How many entries were played since the history.
    live: usize,
    fork_from: usize,
    truth: Ledger,
    fork: Ledger,
    pending: Vec<Value>,
    subscribers: Vec<Subscription>,
}

#[derive(Debug)]
struct Subscription {
    subscriber: Subscriber,
    lies: Script,
    topic: Topic,
}

#[derive(Debug)]
enum Topic {
    Heads,
    Logs(LogFilter),
    Pending { full: bool },
}

impl TapeNode {
    /// Starts playing `tape`.
    ///
    /// # Errors
    /// When loopback cannot be listened on, or a block of the history is broken.
    pub async fn start(tape: Tape, options: TapeOptions) -> Result<TapeNode, StartNode> {
        let fork_from = options
            .endpoints
            .iter()
            .flat_map(|endpoint| &endpoint.lies)
            .filter(|(_, lie)| *lie == Lie::OtherFork)
            .map(|(from, _)| *from)
            .min()
            .unwrap_or(usize::MAX);
        let history = options.history.unwrap_or(tape.history).clamp(1, tape.entries.len().max(1));
        let mut world = World {
            chain_id: tape.chain_id,
            client: tape.client,
            timing: options.timing,
            idle: options.idle,
            upcoming: tape.entries.into(),
            live: 0,
            fork_from,
            truth: Ledger::default(),
            fork: Ledger::default(),
            pending: Vec::new(),
            subscribers: Vec::new(),
        };
        let now = unix_time();
        for entry in 0..history {
            let age = u64::try_from(history - entry).unwrap_or(0);
            let played = world.play(now.saturating_sub(age));
            played.map_err(|source| StartNode::Tape { entry, source })?;
        }
        let shared = Arc::new(Shared { world: Mutex::new(world), asked: Notify::new() });

        let mut servers = Vec::new();
        for EndpointOptions { lies, delay } in options.endpoints {
            let endpoint = Endpoint { shared: Arc::clone(&shared), lies, delay };
            servers.push(JsonRpcServer::start(Arc::new(endpoint)).await?);
        }
        let stop = StopToken::new();
        if let Pace::Every(interval) = options.pace {
            let (shared, stop) = (Arc::clone(&shared), stop.clone());
            tokio::spawn(async move { stop.run(keep_playing(shared, interval)).await });
        }
        Ok(TapeNode { servers, shared, stop })
    }

    /// Where the endpoints listen, in the order of the options.
    pub fn endpoints(&self) -> Vec<NodeUrls> {
        let urls =
            |server: &JsonRpcServer| NodeUrls { http: server.http_url(), ws: server.ws_url() };
        self.servers.iter().map(urls).collect()
    }

    /// Plays the next entry: a block, a reorg, or an empty block after the end where the options
    /// say so. False when there is nothing more to play.
    pub fn advance(&self) -> bool {
        self.shared.advance()
    }

    /// Height of the true chain's head.
    pub fn height(&self) -> u64 {
        self.shared.world.lock().truth.head().map_or(0, |head| head.number)
    }

    /// Entries of the tape that are still to be played.
    pub fn upcoming(&self) -> usize {
        self.shared.world.lock().upcoming.len()
    }
}

impl Drop for TapeNode {
    fn drop(&mut self) {
        self.stop.stop();
    }
}

async fn keep_playing(shared: Arc<Shared>, interval: Duration) {
    shared.asked.notified().await;
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    ticks.tick().await;
    loop {
        ticks.tick().await;
        if !shared.advance() {
            return;
        }
    }
}

impl Shared {
    fn advance(&self) -> bool {
        let mut world = self.world.lock();
        world.live += 1;
        match world.play(unix_time()) {
            Ok(played) => played,
            Err(error) => {
                // The rest of a broken tape cannot stand on a block that is missing.
                tracing::error!(%error, "the tape is broken; the chain halts");
                false
            }
        }
    }
}

impl World {
    /// Plays the next entry at `now`, in seconds, and tells the subscribers.
    fn play(&mut self, now: u64) -> Result<bool, BadHeader> {
        let entry = match self.upcoming.pop_front() {
            Some(entry) => entry,
            None if self.idle => match self.truth.head() {
                Some(head) => Entry::Block(empty_child(&head.content.block)?),
                None => return Ok(false),
            },
            None => return Ok(false),
        };
        let (drop, blocks) = match entry {
            Entry::Block(block) => (0, vec![block]),
            Entry::Reorg { drop, blocks } => (drop, blocks),
        };
        let time = match self.timing {
            Timing::Now => Some(now),
            Timing::Recorded => None,
        };
        let same = self.live < self.fork_from;
        let fork = if same { None } else { Some(blocks.clone()) };
        let truth = replace(&mut self.truth, drop, blocks, time, None)?;
        let fork = match fork {
            Some(blocks) => replace(&mut self.fork, drop, blocks, time, Some(OTHER_FORK))?,
            None => repeat(&mut self.fork, &truth),
        };
        self.pending = self.upcoming.front().map(coming_transactions).unwrap_or_default();

        let (pending, live) = (&self.pending, self.live);
        self.subscribers.retain(|subscription| {
            let change =
                if lies_about(&subscription.lies, live, Lie::OtherFork) { &fork } else { &truth };
            subscription.tell(change, pending, live)
        });
        Ok(true)
    }
}

/// What one entry did to a ledger.
struct Change {
    gone: Vec<Arc<Sealed>>,
    new: Vec<Arc<Sealed>>,
}

/// Drops blocks and puts others, sealed here, in their place.
fn replace(
    ledger: &mut Ledger,
    drop: usize,
    blocks: Vec<Recorded>,
    time: Option<u64>,
    extra: Option<&str>,
) -> Result<Change, BadHeader> {
    let gone = std::iter::from_fn(|| ledger.pop()).take(drop).collect();
    let mut new = Vec::new();
    for block in blocks {
        let (parent, floor) = match ledger.head() {
            Some(head) => (Some(head.hash), head.time),
            None => (None, 0),
        };
        // A clock that was set back must not make a block older than its parent.
        let place = Place { parent, time: time.map(|time| time.max(floor)), extra };
        let block = Arc::new(seal(block, &place)?);
        ledger.push(Arc::clone(&block));
        new.push(block);
    }
    Ok(Change { gone, new })
}

/// Does to `ledger` what was done to another one that was equal before.
fn repeat(ledger: &mut Ledger, change: &Change) -> Change {
    let gone = std::iter::from_fn(|| ledger.pop()).take(change.gone.len()).collect();
    for block in &change.new {
        ledger.push(Arc::clone(block));
    }
    Change { gone, new: change.new.clone() }
}

/// The transactions of an entry as they are before any block holds them.
fn coming_transactions(entry: &Entry) -> Vec<Value> {
    let blocks = match entry {
        Entry::Block(block) => std::slice::from_ref(block),
        Entry::Reorg { blocks, .. } => blocks,
    };
    let mut coming = Vec::new();
    for block in blocks {
        for transaction in block.block["transactions"].as_array().into_iter().flatten() {
            let mut transaction = transaction.clone();
            if let Some(fields) = transaction.as_object_mut() {
                for field in ["blockHash", "blockNumber", "transactionIndex"] {
                    fields.insert(field.to_owned(), Value::Null);
                }
                fields.remove("blockTimestamp");
            }
            coming.push(transaction);
        }
    }
    coming
}

fn lies_about(script: &Script, live: usize, lie: Lie) -> bool {
    script.iter().any(|(from, told)| *told == lie && live >= *from)
}

impl Subscription {
    /// Notifies of what is new; false when the subscriber is gone.
    fn tell(&self, change: &Change, pending: &[Value], live: usize) -> bool {
        let notify = |value: &Value| self.subscriber.notify(value);
        match &self.topic {
            Topic::Heads => change.new.iter().all(|block| notify(&header_json(block))),
            Topic::Logs(_) if lies_about(&self.lies, live, Lie::NoLogs) => true,
            Topic::Logs(filter) => {
                let logs = |block: &Arc<Sealed>, removed: bool| -> Vec<Value> {
                    let wanted = block_logs(block).filter(|log| filter.matches(log)).cloned();
                    wanted.map(|log| flagged(log, removed)).collect()
                };
                let gone = change.gone.iter().flat_map(|block| logs(block, true));
                gone.chain(change.new.iter().flat_map(|block| logs(block, false)))
                    .all(|log| notify(&log))
            }
            Topic::Pending { full: true } => pending.iter().all(notify),
            Topic::Pending { full: false } => {
                pending.iter().all(|transaction| notify(&transaction["hash"]))
            }
        }
    }
}

fn flagged(mut log: Value, removed: bool) -> Value {
    if let Some(fields) = log.as_object_mut() {
        fields.insert("removed".to_owned(), json!(removed));
    }
    log
}

/// One endpoint: the world as it tells it.
struct Endpoint {
    shared: Arc<Shared>,
    lies: Script,
    delay: Duration,
}

impl Service for Endpoint {
    fn call(&self, method: &str, params: &[Value]) -> Result<Value, RpcError> {
        self.shared.asked.notify_one();
        let world = self.shared.world.lock();
        let forked = lies_about(&self.lies, world.live, Lie::OtherFork);
        let view = View {
            chain_id: world.chain_id,
            client: &world.client,
            ledger: if forked { &world.fork } else { &world.truth },
            pending: &world.pending,
        };
        let live = world.live;
        let answer = answer(&view, method, params)?;
        drop(world);
        let told = self.lies.iter().filter(|(from, _)| live >= *from);
        Ok(told.fold(answer, |answer, (_, lie)| tell(*lie, method, answer)))
    }

    fn subscribe(&self, params: &[Value], subscriber: Subscriber) -> Result<(), RpcError> {
        self.shared.asked.notify_one();
        let detail = params.get(1).unwrap_or(&Value::Null);
        let topic = match params.first().and_then(Value::as_str) {
            Some("newHeads") => Topic::Heads,
            Some("logs") => Topic::Logs(LogFilter::parse(detail)?),
            Some("newPendingTransactions") => Topic::Pending { full: detail == &json!(true) },
            _ => return Err(RpcError::invalid_params("unknown subscription")),
        };
        let lies = self.lies.clone();
        self.shared.world.lock().subscribers.push(Subscription { subscriber, lies, topic });
        Ok(())
    }

    fn delay(&self) -> Duration {
        self.delay
    }
}

fn unix_time() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
