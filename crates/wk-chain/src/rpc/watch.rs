//! The pool at work: looks at heads, keeps WebSockets open, and reports what changes.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use serde_json::json;
use serde_json::value::RawValue;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};
use wk_model::{B256, BlockLink, ChainId, Height, Observation};
use wk_runtime::StopToken;

use super::ask::Miss;
use super::call::{Rejection, Request};
use super::class::ErrorClass;
use super::endpoint::{Endpoint, IdentityState, Refused};
use super::heads::{HeadSeen, HeadVia, Polling, Step, is_lagging, is_plausible, mean_block_time};
use super::honesty::DEPTH;
use super::http::Broken;
use super::pool::{Inner, PendingSeen, PoolError};
use super::quarantine::Passed;
use super::report::Reporter;
use super::signals;
use super::status::{EndpointKind, Trouble, TroubleKind};
use super::wire;
use super::ws::Listener;

/// Tends a pool's endpoints.
pub(crate) struct Tending {
    inner: Arc<Inner>,
}

/// Gauges and conditions are looked at this often, and when something changes.
const REPORT: Duration = Duration::from_millis(500);
/// What an endpoint says of its software is asked for this often.
const VERSION: Duration = Duration::from_secs(600);
/// An endpoint that did not tell its chain is asked again after this long.
const IDENTITY_RETRY: Duration = Duration::from_secs(2);
/// An endpoint of another chain is asked again after this long, at most.
const WRONG_CHAIN: Duration = Duration::from_secs(30);
/// A head that was seen longer ago says nothing about how far the chain is now.
const HEAD_COUNTS: Duration = Duration::from_secs(60);
/// The first block time is measured over this many blocks.
const MEASURED_BLOCKS: u64 = 100;

impl Tending {
    pub(crate) fn new(inner: &Arc<Inner>) -> Tending {
        Tending { inner: Arc::clone(inner) }
    }

    pub(crate) async fn run(
        self,
        out: mpsc::Sender<Observation>,
        stop: StopToken,
    ) -> Result<(), PoolError> {
        let inner = self.inner;
        inner.wishes.send_modify(|wishes| wishes.heads = true);
        inner.update_silence();
        let mut tasks = JoinSet::new();
        let mut names = HashMap::new();
        for place in 0..inner.endpoints.len() {
            let name = &inner.endpoints[place].name;
            let handle = tasks.spawn(Arc::clone(&inner).tend(place, stop.clone()));
            names.insert(handle.id(), format!("heads of {name}"));
            if let Some(ws) = inner.ws_task(&inner.endpoints[place]) {
                names.insert(tasks.spawn(ws).id(), format!("WebSocket of {name}"));
            }
        }
        let handle = tasks.spawn(Arc::clone(&inner).compare(stop.clone()));
        names.insert(handle.id(), "comparing".to_owned());

        let mut reporter = Reporter::default();
        loop {
            tokio::select! {
                biased;
                () = stop.stopped() => break,
                ended = tasks.join_next_with_id() => {
                    if let Some(Err(error)) = ended
                        && error.is_panic()
                    {
                        let name = names.remove(&error.id()).unwrap_or_default();
                        return Err(PoolError::Panicked(name));
                    }
                }
                () = inner.changed.notified() => {}
                () = sleep(REPORT) => {}
            }
            inner.update_silence();
            for condition in reporter.news(&inner) {
                let sent = stop.run(out.send(Observation::Condition(condition))).await;
                if matches!(sent, Some(Err(_))) {
                    return Err(PoolError::Closed);
                }
            }
        }
        inner.stop.stop();
        while tasks.join_next().await.is_some() {}
        Ok(())
    }
}

impl Inner {
    /// The task that keeps the endpoint's WebSocket open; none when it has none, or runs already.
    fn ws_task(&self, endpoint: &Endpoint) -> Option<impl Future<Output = ()> + Send + use<>> {
        let has_ws = match endpoint.address.target() {
            Ok(target) => target.ws.is_some(),
            Err(_) => endpoint.kind != EndpointKind::Http,
        };
        if !has_ws {
            return None;
        }
        let place = self.place(&endpoint.name)?;
        endpoint.ws.start(
            Arc::clone(&endpoint.address),
            self.ws_options,
            self.wishes.subscribe(),
            Arc::new(Hearing { inner: self.me.clone(), place }),
            self.stop.clone(),
        )
    }

    /// Opens the WebSocket of an endpoint that has nothing else, when a request needs it before
    /// the pool runs.
    pub(crate) fn start_ws(&self, endpoint: &Endpoint) {
        if let Some(task) = self.ws_task(endpoint) {
            tokio::spawn(task);
        }
    }

    /// Looks at one endpoint until `stop`: which chain it serves, its head, its software.
    async fn tend(self: Arc<Self>, place: usize, stop: StopToken) {
        let endpoint = &self.endpoints[place];
        let mut identity_due = Instant::now();
        let mut version_due = Instant::now();
        loop {
            let looked = Instant::now();
            let identity = || endpoint.state().identity;
            if looked >= identity_due {
                let checked = match identity() {
                    IdentityState::Unknown => stop.run(self.find_identity(place)).await,
                    IdentityState::Right | IdentityState::Wrong => {
                        stop.run(self.check_identity(place)).await
                    }
                };
                let configured = self.options.chain_id_interval.0;
                let next = match (checked, identity()) {
                    (None, _) => return,
                    (Some(Ok(())), IdentityState::Wrong) => configured.min(WRONG_CHAIN),
                    (Some(Ok(())), _) => configured,
                    (Some(Err(Miss::Refused(Refused::Wait(wait)))), _) => wait,
                    (Some(Err(_)), _) => configured.min(IDENTITY_RETRY),
                };
                identity_due = looked + next;
            }
            if identity() == IdentityState::Right {
                if stop.run(self.look_at_head(place)).await.is_none() {
                    return;
                }
                if looked >= version_due {
                    version_due = looked + VERSION;
                    if stop.run(self.ask_version(place)).await.is_none() {
                        return;
                    }
                }
            }
            let polling = self.polling(place);
            let mut next = looked + polling.interval();
            if identity() != IdentityState::Right {
                next = identity_due;
            }
            let soonest = looked + polling.shortest();
            tokio::select! {
                biased;
                () = stop.stopped() => return,
                () = sleep_until(next.max(Instant::now())) => {}
                () = endpoint.nudge.notified() => {
                    if !stop.sleep(soonest.saturating_duration_since(Instant::now())).await {
                        return;
                    }
                }
            }
        }
    }

    fn polling(&self, place: usize) -> Polling {
        let endpoint = &self.endpoints[place];
        Polling {
            configured: self.options.poll_interval.map(|interval| interval.0),
            block_time: self.common.lock().block_time(),
            subscribed: endpoint.is_subscribed(),
            standby: self.is_standby(place),
            budget: endpoint.budget().map(|budget| budget.per_day),
        }
    }

    /// Whether somebody else tells of new heads first: a subscription, or the endpoint that would
    /// be asked first.
    fn is_standby(&self, place: usize) -> bool {
        let subscribed = self.endpoints.iter().enumerate().any(|(other, endpoint)| {
            other != place && endpoint.is_subscribed() && endpoint.quarantined_for().is_none()
        });
        subscribed || self.best(&head_request()).is_some_and(|best| best != place)
    }

    /// Polls the endpoint's head. A failure is counted where it happens; the next look comes.
    async fn look_at_head(&self, place: usize) {
        let asked = Instant::now();
        let reply = match self.ask_unidentified(place, &head_request()).await {
            Ok(reply) => reply,
            Err(Miss::Failed(attempt)) if attempt.class == ErrorClass::Stale => {
                self.endpoints[place].observe_no_head();
                self.changed.notify_one();
                return;
            }
            Err(_) => return,
        };
        if let Some(link) = wire::block_link(&reply.value) {
            self.on_head(place, link, HeadVia::Poll, asked);
            self.measure_block_time(place, link).await;
        }
    }

    /// Learns the block time at once, from two blocks far apart, instead of waiting for blocks.
    async fn measure_block_time(&self, place: usize, head: BlockLink) {
        let height = head.block.height.0;
        // Genesis has a time of its own on many chains.
        let low = height.saturating_sub(MEASURED_BLOCKS).max(1);
        {
            let mut common = self.common.lock();
            if low >= height || common.block_time().is_some() || common.block_time_measured {
                return;
            }
            common.block_time_measured = true;
        }
        let params = json!([format!("0x{low:x}"), false]);
        let request = Request::probe("eth_getBlockByNumber", params);
        let Ok(reply) = self.ask_unidentified(place, &request).await else { return };
        let low = wire::block_link(&reply.value);
        self.common.lock().first_block_time = low.and_then(|low| mean_block_time(&low, &head));
    }

    async fn ask_version(&self, place: usize) {
        let request = Request::probe("web3_clientVersion", json!([]));
        let Ok(reply) = self.ask_unidentified(place, &request).await else { return };
        let endpoint = &self.endpoints[place];
        let version = reply.parse::<String>().ok();
        let clean = version
            .and_then(|version| Some(endpoint.address.target().ok()?.redactor.text(&version)));
        endpoint.state().client_version = clean;
    }

    /// The endpoint's head is `link`.
    pub(crate) fn on_head(&self, place: usize, link: BlockLink, via: HeadVia, asked: Instant) {
        let endpoint = &self.endpoints[place];
        if endpoint.state().identity != IdentityState::Right {
            return;
        }
        let step = endpoint.observe_head(link, via, asked);
        self.measure_lag(place);
        if step == Step::Same || !self.heads_are_told(place) {
            return;
        }
        {
            let mut common = self.common.lock();
            common.pace.observe(link.block.height, link.time, Instant::now());
        }
        let seen = HeadSeen { endpoint: endpoint.name.clone(), link, via, at: self.clock.now() };
        // Without a listener there is nobody to tell.
        let _ = self.heads.send(seen);
        for (other, endpoint) in self.endpoints.iter().enumerate() {
            if other != place && endpoint.head_height() < Some(link.block.height) {
                endpoint.nudge.notify_one();
            }
        }
    }

    /// Whether the endpoint's heads are told to others: not when it may sit on another fork, as
    /// long as there is somebody better.
    fn heads_are_told(&self, place: usize) -> bool {
        match self.endpoints[place].quarantined_for() {
            None | Some(TroubleKind::Lagging) => true,
            Some(TroubleKind::WrongChain) => false,
            Some(_) => self.nobody_is_believed(),
        }
    }

    /// Whether every endpoint of the right chain is quarantined.
    pub(crate) fn nobody_is_believed(&self) -> bool {
        self.endpoints.iter().all(|endpoint| endpoint.quarantined_for().is_some())
    }

    /// Compares the endpoint's head with the highest, and draws the conclusions.
    fn measure_lag(&self, place: usize) {
        let now = Instant::now();
        let highest = self.highest_head(now);
        let endpoint = &self.endpoints[place];
        let Some(head) = endpoint.head_height() else { return };
        let (lag, block_time) = {
            let mut common = self.common.lock();
            if let Some(highest) = highest {
                common.frontier.set(highest, now);
            }
            (common.frontier.lag(head, now), common.block_time().unwrap_or_default())
        };
        endpoint.state().lag = lag;
        let was = endpoint.quarantined_for() == Some(TroubleKind::Lagging);
        // On a slow chain one late block is no lag.
        let patience = self.options.lag_time.0.max(block_time.mul_f64(1.5));
        match lag {
            Some(lag) if is_lagging(Some(lag), was, self.options.lag_blocks, patience) => {
                if !was && !self.is_really_behind(place, head, now - lag.time) {
                    return;
                }
                let detail = format!(
                    "{} blocks behind for {} s (head {head})",
                    lag.blocks,
                    lag.time.as_secs()
                );
                self.accuse(place, Trouble::new(TroubleKind::Lagging, detail));
            }
            _ => endpoint.passed(Passed::CaughtUp),
        }
    }

    /// Whether an endpoint with this head is behind, and not the others ahead on another fork: two
    /// others are ahead, or the only one is seen to agree with the others since it went ahead.
    fn is_really_behind(&self, place: usize, head: Height, since: Instant) -> bool {
        let ahead = self.endpoints.iter().enumerate().filter_map(|(other, endpoint)| {
            let state = endpoint.state();
            let believed = matches!(state.quarantine.kind(), None | Some(TroubleKind::Lagging));
            let ahead = state.heads.head().is_some_and(|link| link.block.height > head);
            (other != place && believed && ahead).then_some(state.agreed_at)
        });
        let ahead: Vec<Option<Instant>> = ahead.collect();
        let vouched = ahead.iter().flatten().any(|at| *at >= since);
        if ahead.len() < 2 && !vouched {
            self.suspect(head.0.saturating_sub(DEPTH));
            return false;
        }
        true
    }

    /// The highest head among endpoints that are believed, or only behind.
    fn highest_head(&self, now: Instant) -> Option<Height> {
        let heads = self.endpoints.iter().filter_map(|endpoint| {
            let state = endpoint.state();
            let believed = matches!(state.quarantine.kind(), None | Some(TroubleKind::Lagging));
            let (seen, _) = state.head_seen?;
            let fresh = now.saturating_duration_since(seen) < HEAD_COUNTS;
            let head = state.heads.head()?;
            (believed && fresh).then_some(head)
        });
        let heads: Vec<BlockLink> = heads.collect();
        let lowest = *heads.iter().min_by_key(|head| head.block.height)?;
        let block_time = self.common.lock().block_time();
        let wall = self.clock.now();
        let plausible = |head: &&BlockLink| is_plausible(head, &lowest, block_time, wall);
        heads.iter().filter(plausible).map(|head| head.block.height).max()
    }
}

fn head_request() -> Request {
    Request::probe("eth_getBlockByNumber", json!(["latest", false])).validated(|value| {
        match wire::block_link(value) {
            Some(_) => Ok(()),
            None if value.get() == "null" => {
                Err(Rejection::Stale("it has no latest block".to_owned()))
            }
            None => Err(Rejection::Inconsistent("its latest block is no block".to_owned())),
        }
    })
}

/// What comes over one endpoint's WebSocket.
struct Hearing {
    inner: Weak<Inner>,
    place: usize,
}

impl Listener for Hearing {
    fn chain_id(&self, id: ChainId) -> bool {
        let Some(inner) = self.inner.upgrade() else { return false };
        inner.identified(self.place, Some(id));
        inner.endpoints[self.place].state().identity == IdentityState::Right
    }

    fn head(&self, link: BlockLink) {
        if let Some(inner) = self.inner.upgrade() {
            inner.on_head(self.place, link, HeadVia::Subscription, Instant::now());
        }
    }

    fn pending(&self, hash: B256, transaction: Option<Arc<RawValue>>) {
        if let Some(inner) = self.inner.upgrade() {
            let endpoint = inner.endpoints[self.place].name.clone();
            let at = inner.clock.now();
            // Without a listener there is nobody to tell.
            let _ = inner.pending.send(PendingSeen { endpoint, hash, transaction, at });
        }
    }

    fn opened(&self) {
        if let Some(inner) = self.inner.upgrade() {
            inner.endpoints[self.place].state().ws_broken = None;
            inner.changed.notify_one();
        }
    }

    fn closed(&self, reason: &Broken) {
        let Some(inner) = self.inner.upgrade() else { return };
        let endpoint = &inner.endpoints[self.place];
        endpoint.ws_closed(reason.class, &reason.message);
        inner.metrics.counter(&signals::WS_RECONNECTS, &endpoint.labels()).inc();
        inner.changed.notify_one();
        // Until it is back, heads come by polling: begin now.
        endpoint.nudge.notify_one();
    }
}

impl Endpoint {
    pub(crate) fn is_connected(&self) -> bool {
        self.ws.condition().connected.load(Ordering::Relaxed)
    }
}
