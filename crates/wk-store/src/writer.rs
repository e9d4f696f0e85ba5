//! The one thread that writes. What is waiting shares a transaction, and each gets its own answer.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::JoinHandle;
use std::time::Instant;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};
use wk_runtime::{Counter, Gauge, Histogram, Metrics};

use crate::StoreError;
use crate::store::{QUEUED_WRITES, TRANSACTION_SECONDS, WRITES};

/// How many writes may wait; more have to wait to be let in.
const QUEUE: usize = 256;
/// How many writes share a transaction at most.
const GROUP: usize = 64;

/// Hands writes to the thread. When the last one goes, the thread finishes what waits and ends.
#[derive(Debug)]
pub(crate) struct Writer {
    queue: mpsc::Sender<Box<dyn Job>>,
    queued: Gauge,
}

impl Writer {
    /// Starts the thread on `connection`.
    pub(crate) fn start(
        connection: Connection,
        metrics: &Metrics,
    ) -> std::io::Result<(Writer, JoinHandle<()>)> {
        let (queue, jobs) = mpsc::channel(QUEUE);
        let queued = metrics.gauge(&QUEUED_WRITES, &[]);
        let thread = Thread {
            connection,
            jobs,
            queued: queued.clone(),
            took: metrics.histogram(&TRANSACTION_SECONDS, &[]),
            stored: metrics.counter(&WRITES, &["stored"]),
            failed: metrics.counter(&WRITES, &["failed"]),
        };
        let handle = std::thread::Builder::new()
            .name("wk-store-writer".to_owned())
            .spawn(move || thread.run())?;
        Ok((Writer { queue, queued }, handle))
    }

    /// Does `work` in a transaction and answers when it is durable. `work` may be called twice when
    /// the first transaction is lost; each time nothing of the time before is there.
    pub(crate) async fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnMut(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job = Box::new(Work { work, output: None, reply });
        self.queue.send(job).await.map_err(|_| StoreError::Closed)?;
        self.queued.set(self.waiting() as f64);
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// How many writes wait.
    pub(crate) fn waiting(&self) -> usize {
        self.queue.max_capacity() - self.queue.capacity()
    }
}

/// A write whose kind of answer is its own affair.
trait Job: Send {
    fn run(&mut self, connection: &Connection) -> Result<(), StoreError>;
    fn answer(self: Box<Self>, outcome: Result<(), StoreError>);
}

struct Work<T, F> {
    work: F,
    output: Option<T>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Job for Work<T, F>
where
    T: Send,
    F: FnMut(&Connection) -> Result<T, StoreError> + Send,
{
    fn run(&mut self, connection: &Connection) -> Result<(), StoreError> {
        self.output = Some((self.work)(connection)?);
        Ok(())
    }

    fn answer(self: Box<Self>, outcome: Result<(), StoreError>) {
        let Work { work: _, output, reply } = *self;
        let answer = outcome.map(|()| output.expect("a job that ran well has its output"));
        // Who asked may have gone; the write stands all the same.
        let _ = reply.send(answer);
    }
}

struct Thread {
    connection: Connection,
    jobs: mpsc::Receiver<Box<dyn Job>>,
    queued: Gauge,
    took: Histogram,
    stored: Counter,
    failed: Counter,
}

impl Thread {
    fn run(mut self) {
        while let Some(first) = self.jobs.blocking_recv() {
            let mut group = vec![first];
            while group.len() < GROUP
                && let Ok(job) = self.jobs.try_recv()
            {
                group.push(job);
            }
            self.queued.set(self.jobs.len() as f64);
            let started = Instant::now();
            let outcomes = run_group(&self.connection, &mut group);
            self.took.observe(started.elapsed().as_secs_f64());
            for (job, outcome) in group.into_iter().zip(outcomes) {
                if outcome.is_ok() {
                    self.stored.inc()
                } else {
                    self.failed.inc()
                }
                job.answer(outcome);
            }
        }
        if let Err(error) = self.connection.execute_batch("PRAGMA optimize") {
            tracing::debug!(%error, "store closed without refreshing its statistics");
        }
    }
}

/// Runs all jobs in one transaction; if that is lost as a whole, each in one of its own.
fn run_group(connection: &Connection, group: &mut [Box<dyn Job>]) -> Vec<Result<(), StoreError>> {
    match run_transaction(connection, group) {
        Ok(outcomes) => outcomes,
        Err(error) if group.len() == 1 => vec![Err(error)],
        Err(error) => {
            tracing::warn!(%error, jobs = group.len(), "shared transaction lost; each job alone");
            group
                .chunks_mut(1)
                .map(|job| match run_transaction(connection, job) {
                    Ok(mut outcomes) => outcomes.pop().expect("one job has one outcome"),
                    Err(error) => Err(error),
                })
                .collect()
        }
    }
}

/// Runs the jobs in one transaction. A job that fails is undone by itself; an error here means that
/// nothing of any job was stored.
fn run_transaction(
    connection: &Connection,
    jobs: &mut [Box<dyn Job>],
) -> Result<Vec<Result<(), StoreError>>, StoreError> {
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let outcome = run_jobs(connection, jobs).and_then(|outcomes| {
        connection.execute_batch("COMMIT").map(|()| outcomes).map_err(Into::into)
    });
    if outcome.is_err() && !connection.is_autocommit() {
        // When even this fails, the next BEGIN does, and says so.
        let _ = connection.execute_batch("ROLLBACK");
    }
    outcome
}

fn run_jobs(
    connection: &Connection,
    jobs: &mut [Box<dyn Job>],
) -> Result<Vec<Result<(), StoreError>>, StoreError> {
    let mut outcomes = Vec::with_capacity(jobs.len());
    for job in jobs {
        connection.execute_batch("SAVEPOINT job")?;
        let outcome = catch_unwind(AssertUnwindSafe(|| job.run(connection)))
            .unwrap_or_else(|panic| Err(StoreError::Refused(panic_text(&*panic))));
        match outcome {
            Ok(()) => connection.execute_batch("RELEASE job")?,
            // The disk may have cost us the whole transaction, and with it the jobs before.
            Err(error) if connection.is_autocommit() => return Err(error),
            Err(_) => connection.execute_batch("ROLLBACK TO job; RELEASE job")?,
        }
        outcomes.push(outcome);
    }
    Ok(outcomes)
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    format!("panicked: {text}")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use wk_runtime::Metrics;

    use crate::sql::{change, first};
    use crate::{Store, StoreError};

    fn put(key: u32) -> impl FnMut(&rusqlite::Connection) -> Result<u64, StoreError> {
        move |connection| {
            let value = "x".repeat(3_000);
            change(connection, "INSERT INTO meta (key, value) VALUES (?, ?)", (key, value))
        }
    }

    async fn count(store: &Store) -> u32 {
        let count = store
            .read(|connection| first(connection, "SELECT count(*) FROM meta", [], |row| row.get(0)))
            .await;
        count.unwrap().unwrap()
    }

    /// Holds the writer until told, so that what is sent meanwhile shares a transaction.
    async fn hold(
        store: &Store,
    ) -> (Arc<AtomicBool>, tokio::task::JoinHandle<Result<(), StoreError>>) {
        let go = Arc::new(AtomicBool::new(false));
        let (started, begun) = tokio::sync::oneshot::channel();
        let (store, told, mut started) = (store.clone(), Arc::clone(&go), Some(started));
        let held = tokio::spawn(async move {
            store
                .write(move |_| {
                    if let Some(started) = started.take() {
                        started.send(()).unwrap();
                    }
                    while !told.load(Ordering::SeqCst) {
                        std::thread::yield_now();
                    }
                    Ok(())
                })
                .await
        });
        begun.await.unwrap();
        (go, held)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_failing_write_does_not_sink_those_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), &Metrics::new()).unwrap();
        let (go, held) = hold(&store).await;
        let writes = (0..30).map(|key| {
            let store = store.clone();
            tokio::spawn(async move {
                match key % 3 {
                    0 => store.write(put(key)).await,
                    1 => {
                        // Its own insert is undone with it.
                        store
                            .write(move |connection| {
                                put(key)(connection)?;
                                change(connection, "INSERT INTO nowhere VALUES (1)", [])
                            })
                            .await
                    }
                    _ => {
                        store
                            .write(move |connection| {
                                put(key)(connection)?;
                                panic!("write {key} breaks")
                            })
                            .await
                    }
                }
            })
        });
        let writes: Vec<_> = writes.collect();
        while store.waiting_writes() < 30 {
            tokio::task::yield_now().await;
        }
        go.store(true, Ordering::SeqCst);
        held.await.unwrap().unwrap();
        for (key, write) in writes.into_iter().enumerate() {
            match (key % 3, write.await.unwrap()) {
                (0, Ok(1)) | (1, Err(StoreError::Database(_))) => {}
                (2, Err(StoreError::Refused(reason))) => {
                    assert_eq!(reason, format!("panicked: write {key} breaks"));
                }
                (_, other) => panic!("write {key} gave {other:?}"),
            }
        }
        assert_eq!(count(&store).await, 10);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_full_disk_is_said_and_nothing_said_to_be_stored_is_lost() {
        let dir = tempfile::tempdir().unwrap();
        let limit = |pages: u32| {
            move |connection: &rusqlite::Connection| {
                connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))
            }
        };
        let store = Store::open_with(dir.path(), &Metrics::new(), limit(100)).unwrap();
        let mut stored = 0;
        let mut full = 0;
        for round in 0..20 {
            let (go, held) = hold(&store).await;
            let writes: Vec<_> = (0..10)
                .map(|key| {
                    let store = store.clone();
                    tokio::spawn(async move { store.write(put(round * 10 + key)).await })
                })
                .collect();
            while store.waiting_writes() < 10 {
                tokio::task::yield_now().await;
            }
            go.store(true, Ordering::SeqCst);
            held.await.unwrap().unwrap();
            for write in writes {
                match write.await.unwrap() {
                    Ok(_) => stored += 1,
                    Err(StoreError::DiskFull) => full += 1,
                    Err(other) => panic!("{other:?}"),
                }
            }
        }
        assert!(stored > 0 && full > 0, "{stored} stored, {full} refused");
        assert_eq!(count(&store).await, stored);

        // There is space again: writing goes on.
        store.write(move |connection| limit(10_000)(connection).map_err(Into::into)).await.unwrap();
        store.write(put(1_000)).await.unwrap();
        assert_eq!(count(&store).await, stored + 1);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_waits_is_written_before_the_store_closes() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), &Metrics::new()).unwrap();
        let (go, held) = hold(&store).await;
        let writes: Vec<_> = (0..50)
            .map(|key| {
                let store = store.clone();
                tokio::spawn(async move { store.write(put(key)).await })
            })
            .collect();
        while store.waiting_writes() < 50 {
            tokio::task::yield_now().await;
        }
        // Nobody waits for the answers any more.
        for write in writes {
            write.abort();
            assert!(write.await.unwrap_err().is_cancelled());
        }
        go.store(true, Ordering::SeqCst);
        held.await.unwrap().unwrap();
        drop(store);
        let store = Store::open(dir.path(), &Metrics::new()).unwrap();
        assert_eq!(count(&store).await, 50);
    }
}
