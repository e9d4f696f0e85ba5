//! Starts named tasks, restarts them, and ends them in order.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::CatchUnwind;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tracing::{error, info, warn};
use wk_model::Timestamp;

use crate::{Backoff, Clock, StopToken};

/// When a task belongs in the shutdown: stages end one after the other, first to last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Takes things in: followers, probes. Ends first.
    Intake,
    /// Works on what came in.
    Process,
    /// Carries results to people.
    Deliver,
    /// Answers questions: the API. Ends last.
    Serve,
}

impl Stage {
    const ALL: [Stage; 4] = [Stage::Intake, Stage::Process, Stage::Deliver, Stage::Serve];
}

/// What to do when a task ends without having been told to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    /// Start it again after a wait that grows with each failure, from 100 ms to 30 s.
    Backoff,
    /// The program cannot go on without it: [`Supervisor::failed`] answers.
    Critical,
    /// It is done when it ends; only an error or a panic is logged.
    Never,
}

/// What a stage gets when an earlier one used up the whole deadline.
const LAST_WORD: Duration = Duration::from_millis(250);

/// Owns every task of the program.
#[derive(Clone)]
pub struct Supervisor {
    inner: Arc<Inner>,
}

struct Inner {
    clock: Clock,
    tasks: Mutex<Vec<Task>>,
    stops: [StopToken; 4],
    failure: watch::Sender<Option<TaskFailure>>,
}

struct Task {
    name: String,
    stage: Stage,
    stop: StopToken,
    status: Arc<Mutex<TaskStatus>>,
    handle: JoinHandle<()>,
}

/// How a task is doing.
#[derive(Clone, Debug)]
pub struct TaskStatus {
    /// The task's name.
    pub name: String,
    /// Its stage.
    pub stage: Stage,
    /// What it does now.
    pub state: TaskState,
    /// How often it was started again.
    pub restarts: u64,
    /// Why it ended last, with the time.
    pub last_failure: Option<(Timestamp, String)>,
}

/// What a task does now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskState {
    /// It runs.
    Running,
    /// It failed and waits to be started again.
    Waiting,
    /// It ended.
    Ended,
}

/// A critical task ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("critical task `{task}` ended: {reason}")]
pub struct TaskFailure {
    /// Its name.
    pub task: String,
    /// Why, in words.
    pub reason: String,
}

/// The deadline of the shutdown passed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("still running at the deadline: {}", .0.join(", "))]
pub struct StillRunning(pub Vec<String>);

impl Supervisor {
    /// A supervisor without tasks.
    pub fn new(clock: Clock) -> Supervisor {
        let inner = Inner {
            clock,
            tasks: Mutex::default(),
            stops: std::array::from_fn(|_| StopToken::new()),
            failure: watch::channel(None).0,
        };
        Supervisor { inner: Arc::new(inner) }
    }

    /// Starts the task `name`; `start` is called again for each restart. Returns the token that
    /// stops this task alone.
    ///
    /// An `Err` and a panic are failures; an `Ok` before stop is one too, unless the task is
    /// [`Restart::Never`].
    pub fn spawn<S, F, E>(
        &self,
        stage: Stage,
        name: impl Into<String>,
        restart: Restart,
        mut start: S,
    ) -> StopToken
    where
        S: FnMut(StopToken) -> F + Send + 'static,
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: fmt::Display + Send,
    {
        let name = name.into();
        let stop = self.inner.stops[stage as usize].child();
        let status = Arc::new(Mutex::new(TaskStatus {
            name: name.clone(),
            stage,
            state: TaskState::Running,
            restarts: 0,
            last_failure: None,
        }));
        let run = {
            let (name, stop, status) = (name.clone(), stop.clone(), Arc::clone(&status));
            let (clock, failure) = (self.inner.clock.clone(), self.inner.failure.clone());
            async move {
                let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(30));
                loop {
                    let started = Instant::now();
                    let outcome = CatchUnwind::new(AssertUnwindSafe(start(stop.clone()))).await;
                    let reason = match outcome {
                        _ if stop.is_stopped() => break,
                        Ok(Ok(())) if restart == Restart::Never => break,
                        Ok(Ok(())) => "ended without being told to".to_owned(),
                        Ok(Err(error)) => error.to_string(),
                        Err(panic) => format!("panicked: {}", panic_text(&*panic)),
                    };
                    status.lock().last_failure = Some((clock.now(), reason.clone()));
                    match restart {
                        Restart::Never => {
                            error!(task = name, reason, "task failed");
                            break;
                        }
                        Restart::Critical => {
                            error!(task = name, reason, "critical task failed");
                            failure.send_replace(Some(TaskFailure { task: name.clone(), reason }));
                            break;
                        }
                        Restart::Backoff => {
                            // A task that ran for a while is not in a crash loop.
                            if started.elapsed() > Duration::from_secs(60) {
                                backoff.reset();
                            }
                            let wait = backoff.next_wait();
                            warn!(task = name, reason, ?wait, "task failed; starting it again");
                            status.lock().state = TaskState::Waiting;
                            if !stop.sleep(wait).await {
                                break;
                            }
                            let mut status = status.lock();
                            status.state = TaskState::Running;
                            status.restarts += 1;
                        }
                    }
                }
                status.lock().state = TaskState::Ended;
            }
        };
        let handle = tokio::spawn(run);
        let mut tasks = self.inner.tasks.lock();
        tasks.retain(|task| !(task.handle.is_finished() && task.stop.is_stopped()));
        tasks.push(Task { name, stage, stop: stop.clone(), status, handle });
        stop
    }

    /// How every task is doing, in the order of their start.
    pub fn tasks(&self) -> Vec<TaskStatus> {
        self.inner.tasks.lock().iter().map(|task| task.status.lock().clone()).collect()
    }

    /// Waits until a critical task fails.
    pub async fn failed(&self) -> TaskFailure {
        let mut failure = self.inner.failure.subscribe();
        match failure.wait_for(Option::is_some).await.map(|failure| failure.clone()) {
            Ok(Some(failure)) => failure,
            // The sender lives as long as `self`; without a failure there is nothing to report.
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }

    /// Ends all tasks, stage by stage, within `deadline` in all. Those that still run then are
    /// named and dropped.
    pub async fn shutdown(&self, deadline: Duration) -> Result<(), StillRunning> {
        let end = Instant::now() + deadline;
        let mut late = Vec::new();
        for stage in Stage::ALL {
            self.inner.stops[stage as usize].stop();
            let tasks: Vec<Task> =
                self.inner.tasks.lock().extract_if(.., |task| task.stage == stage).collect();
            // A late stage must not take the word from the stages after it.
            let end = end.max(Instant::now() + LAST_WORD);
            for task in tasks {
                let mut handle = task.handle;
                if tokio::time::timeout_at(end, &mut handle).await.is_err() {
                    handle.abort();
                    late.push(task.name);
                }
            }
            info!(?stage, "stopped");
        }
        if late.is_empty() { Ok(()) } else { Err(StillRunning(late)) }
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

/// The one combinator that is needed of the `futures` crates.
mod futures {
    use std::any::Any;
    use std::future::Future;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::pin::Pin;
    use std::task::{Context, Poll};

    pub(super) struct CatchUnwind<F>(Pin<Box<F>>);

    impl<F: Future> CatchUnwind<F> {
        pub(super) fn new(future: F) -> Self {
            CatchUnwind(Box::pin(future))
        }
    }

    impl<F: Future> Future for CatchUnwind<F> {
        type Output = Result<F::Output, Box<dyn Any + Send>>;

        fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
            match catch_unwind(AssertUnwindSafe(|| self.0.as_mut().poll(context))) {
                Ok(Poll::Pending) => Poll::Pending,
                Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
                Err(panic) => Poll::Ready(Err(panic)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    fn supervisor() -> Supervisor {
        Supervisor::new(Clock::manual(Timestamp(0)))
    }

    #[tokio::test(start_paused = true)]
    async fn a_failing_task_is_started_again_and_its_panic_is_named() {
        let supervisor = supervisor();
        let starts = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&starts);
        supervisor.spawn(Stage::Intake, "follower", Restart::Backoff, move |stop| {
            let start = counted.fetch_add(1, Ordering::SeqCst);
            async move {
                assert!(start != 0, "first start breaks");
                if start == 1 {
                    return Err("second start fails");
                }
                stop.stopped().await;
                Ok(())
            }
        });
        while starts.load(Ordering::SeqCst) < 3 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let status = supervisor.tasks().remove(0);
        assert_eq!((status.state, status.restarts), (TaskState::Running, 2));
        assert_eq!(status.last_failure.expect("it failed").1, "second start fails");
        assert_eq!(supervisor.shutdown(Duration::from_secs(1)).await, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_critical_task_that_panics_is_reported_with_its_name() {
        let supervisor = supervisor();
        supervisor.spawn(Stage::Process, "store", Restart::Critical, |_| async {
            let free_bytes = std::hint::black_box(0);
            assert!(free_bytes > 0, "disk full");
            Ok::<(), String>(())
        });
        let failure = supervisor.failed().await;
        assert_eq!(failure.task, "store");
        assert!(failure.reason.contains("disk full"), "{failure}");
    }

    #[tokio::test(start_paused = true)]
    async fn shutdown_goes_by_stage_and_names_who_is_late() {
        let supervisor = supervisor();
        let order = Arc::new(Mutex::new(Vec::new()));
        for (stage, name) in [(Stage::Serve, "api"), (Stage::Intake, "follower")] {
            let order = Arc::clone(&order);
            supervisor.spawn(stage, name, Restart::Critical, move |stop| {
                let order = Arc::clone(&order);
                async move {
                    stop.stopped().await;
                    order.lock().push(name);
                    Ok::<(), String>(())
                }
            });
        }
        supervisor.spawn(Stage::Deliver, "stuck", Restart::Critical, |_| async {
            std::future::pending::<Result<(), String>>().await
        });
        let late = supervisor.shutdown(Duration::from_secs(5)).await;
        assert_eq!(late, Err(StillRunning(vec!["stuck".to_owned()])));
        assert_eq!(*order.lock(), ["follower", "api"]);
    }
}
