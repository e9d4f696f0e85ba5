//! Follows a chain: each block verified before it is told, in order, reverted when it is reorged
//! away, and never left out in silence.

mod agree;
mod emit;
mod error;
mod finality;
mod findings;
mod heads;
mod health;
mod holes;
mod phantoms;
mod plan;
mod refill;
mod reorg;
mod rescan;
mod status;

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tracing::info;
use wk_model::{BlockLink, ChainName, ConditionKey, Height, Observation};
use wk_runtime::{Clock, Metrics, StopToken};

pub use self::error::FollowError;
pub use self::status::FollowStatus;

use self::agree::Agreement;
use self::emit::Told;
use self::finality::Finals;
use self::health::ChainHealth;
use self::holes::Holes;
use self::phantoms::Phantoms;
use self::plan::Plan;
use self::refill::Retries;
use self::rescan::Processed;
use super::config::EvmConfig;
use super::fetch::Fetcher;
use super::metrics::ChainMetrics;
use super::resume::Resume;
use super::window::Window;
use crate::rpc::{EndpointName, HeadSeen, Pool};

/// Follows one chain. Built inert; [`Follower::run`] does everything.
pub struct Follower {
    chain: ChainName,
    config: EvmConfig,
    pool: Pool,
    fetcher: Fetcher,
    clock: Clock,
    metrics: ChainMetrics,
    resume: Resume,
    status: watch::Sender<FollowStatus>,
}

/// A chain that is being followed. One task owns it; what takes time runs in jobs beside it.
struct Following {
    chain: ChainName,
    config: EvmConfig,
    pool: Pool,
    fetcher: Fetcher,
    clock: Clock,
    metrics: ChainMetrics,
    status: watch::Sender<FollowStatus>,
    out: mpsc::Sender<Observation>,
    stop: StopToken,

    /// The chain as far as it was told.
    window: Window,
    /// Where to begin when nothing was told yet.
    first: Option<Height>,
    /// Whether a block was told since the start: what was stored is still the chain.
    resumed: bool,
    /// Where we are going.
    goal: Option<HeadSeen>,
    /// From this height on, blocks are live.
    live_from: Height,
    /// Heads above the window, by height, as they were announced.
    announced: BTreeMap<Height, BlockLink>,
    /// Heads that contradict the window, by who announced them.
    rivals: BTreeMap<EndpointName, Rival>,
    last_vote: Option<Instant>,
    /// Heads that were announced and cannot be had.
    phantoms: Phantoms,
    /// Whose heads led to the newest told block.
    source: Option<EndpointName>,
    /// Blocks on their way, in order.
    plan: Plan,
    /// When blocks were last considered to be left for later.
    left_out: Option<Instant>,
    /// How often the next block could not be had.
    strikes: (Height, u32),
    /// A reorg that was told, and the height at which its branch is followed.
    reorg: Option<(ConditionKey, Height)>,

    holes: Holes,
    refill: Plan,
    retries: Retries,
    finals: Finals,
    processed: Processed,
    agreement: Agreement,
    health: ChainHealth,
    told: Told,
    jobs: JoinSet<Side>,
    pending: Pending,
    /// When time was last looked at.
    ticked: Instant,
}

/// A head that contradicts what was told.
struct Rival {
    head: HeadSeen,
    since: Instant,
}

/// Jobs that are running: at most one of each kind.
#[derive(Default)]
struct Pending {
    poll: bool,
    finals: bool,
    rescan: bool,
    start: bool,
}

/// What a job came back with.
enum Side {
    Polled(health::Polled),
    Finals(finality::Marks),
    Rescanned(Vec<rescan::Look>),
    Start(Option<Height>),
}

/// How often time is looked at.
const TICK: Duration = Duration::from_millis(100);

/// Heads that are looked at between two blocks.
const MOST_HEADS: usize = 64;

impl Follower {
    /// A follower that goes on at `resume`. Does no I/O.
    pub fn build(
        chain: &ChainName,
        config: &EvmConfig,
        pool: Pool,
        resume: Resume,
        clock: Clock,
        metrics: &Metrics,
    ) -> Follower {
        Follower {
            chain: chain.clone(),
            config: config.clone(),
            fetcher: Fetcher::build(chain, &pool, config, metrics),
            pool,
            clock,
            metrics: ChainMetrics::new(metrics, chain.as_str()),
            resume,
            status: watch::Sender::new(FollowStatus::default()),
        }
    }

    /// How far it is; changes are told to every receiver.
    pub fn status(&self) -> watch::Receiver<FollowStatus> {
        self.status.subscribe()
    }

    /// Follows the chain until `stop`. Blocks and troubles go to `out`; a full `out` slows the
    /// following down, and nothing is dropped.
    ///
    /// # Errors
    /// When the chain contradicts what was final or what can be reverted: a person must decide.
    /// When `out` is closed.
    pub async fn run(
        self,
        out: mpsc::Sender<Observation>,
        stop: StopToken,
    ) -> Result<(), FollowError> {
        let heads = self.pool.heads();
        match Following::new(self, out, stop).run(heads).await {
            Ok(()) | Err(FollowError::Stopped) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

impl Following {
    fn new(follower: Follower, out: mpsc::Sender<Observation>, stop: StopToken) -> Following {
        let Follower { chain, config, pool, fetcher, clock, metrics, resume, status } = follower;
        let window = resume.window(config.reorg_window);
        let Resume { links: _, digests, safe, finalized, holes, first: _, standing } = resume;
        Following {
            window,
            first: None,
            resumed: false,
            goal: None,
            live_from: Height(0),
            announced: BTreeMap::new(),
            rivals: BTreeMap::new(),
            last_vote: None,
            phantoms: Phantoms::default(),
            source: None,
            plan: Plan::default(),
            left_out: None,
            strikes: (Height(0), 0),
            reorg: None,
            holes: Holes::new(&holes),
            refill: Plan::default(),
            retries: Retries::default(),
            finals: Finals::new(safe, finalized),
            processed: Processed::new(&digests),
            agreement: Agreement::default(),
            health: ChainHealth::new(Instant::now()),
            told: Told::new(standing),
            jobs: JoinSet::new(),
            pending: Pending::default(),
            ticked: Instant::now(),
            chain,
            config,
            pool,
            fetcher,
            clock,
            metrics,
            status,
            out,
            stop,
        }
    }

    async fn run(mut self, mut heads: broadcast::Receiver<HeadSeen>) -> Result<(), FollowError> {
        let tip = self.window.tip().map(|tip| tip.block.height.0);
        info!(chain = %self.chain, tip, "following");
        self.tell_holes().await?;
        self.show_status();
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let stop = self.stop.clone();
        loop {
            self.catch_up(&mut heads).await?;
            self.fill_plan().await?;
            self.fill_refill();
            tokio::select! {
                biased;
                () = stop.stopped() => return Ok(()),
                done = self.plan.next() => self.on_planned(done).await?,
                head = heads.recv() => self.on_heard(head).await?,
                Some(side) = self.jobs.join_next() => self.on_side(side).await?,
                done = self.refill.next() => self.on_refilled(done).await?,
                _ = ticks.tick() => {}
            }
        }
    }

    /// What waits beside the plan: while blocks come without a pause, nothing else may starve.
    async fn catch_up(
        &mut self,
        heads: &mut broadcast::Receiver<HeadSeen>,
    ) -> Result<(), FollowError> {
        for _ in 0..heads.len().min(MOST_HEADS) {
            match heads.try_recv() {
                Ok(head) => self.on_head(head).await?,
                Err(_) => break,
            }
        }
        while let Some(side) = self.jobs.try_join_next() {
            self.on_side(side).await?;
        }
        if self.ticked.elapsed() >= TICK {
            self.ticked = Instant::now();
            self.on_tick().await?;
        }
        Ok(())
    }

    async fn on_heard(
        &mut self,
        head: Result<HeadSeen, broadcast::error::RecvError>,
    ) -> Result<(), FollowError> {
        match head {
            Ok(head) => self.on_head(head).await,
            // Heads that were missed are announced again by their children.
            Err(broadcast::error::RecvError::Lagged(_)) => {
                self.poll();
                Ok(())
            }
            Err(broadcast::error::RecvError::Closed) => Err(FollowError::Closed),
        }
    }

    async fn on_side(&mut self, side: Result<Side, JoinError>) -> Result<(), FollowError> {
        // A job that panicked is a fault of ours; a new start asks again.
        match side.map_err(|error| FollowError::Job(error.to_string()))? {
            Side::Polled(polled) => self.on_polled(polled).await,
            Side::Finals(marks) => self.on_marks(marks).await,
            Side::Rescanned(looks) => self.on_rescanned(looks).await,
            Side::Start(height) => {
                self.pending.start = false;
                self.first = height;
                Ok(())
            }
        }
    }

    async fn on_tick(&mut self) -> Result<(), FollowError> {
        self.metrics.tick(self.clock.now());
        self.consider_rivals().await?;
        self.confirm_by_depth().await?;
        self.ask_for_finals();
        self.tell_agreement().await?;
        self.check_health().await?;
        self.start_rescan();
        self.show_status();
        Ok(())
    }

    /// Time between blocks, as far as it is known.
    fn block_time(&self) -> Duration {
        const UNKNOWN: Duration = Duration::from_secs(2);
        self.config
            .block_time
            .map(|time| time.0)
            .or_else(|| self.pool.block_time())
            .or_else(|| self.metrics.pace())
            .unwrap_or(UNKNOWN)
    }
}
