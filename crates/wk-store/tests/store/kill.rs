//! `kill -9` at any moment: nothing that was answered is lost, nothing is there twice.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rand::Rng;
use wk_model::{
    AssetId, BlockLink, Condition, EntryKind, Finality, FindingBuilder, Height, Severity,
};
use wk_runtime::{Clock, Metrics};
use wk_store::{Claim, Commit, Delivery, RuleFailure, Store};

use crate::support::{NOW, batch, branch, dump, entry, found, mainnet, root, seen};

const KILLS: usize = 20;
const PATIENCE: Duration = Duration::from_secs(60);
/// Tells the test that it is the one to be killed, and where to work.
const VICTIM: &str = "WK_STORE_VICTIM";
const RECEIVED: &str = "received";

#[test]
fn kill_9_at_any_moment_loses_nothing_and_doubles_nothing() {
    if let Some(dir) = std::env::var_os(VICTIM) {
        return work(Path::new(&dir));
    }
    let dir = tempfile::tempdir().unwrap();
    let mut answered = None;
    for _ in 0..KILLS {
        let mut victim = Victim::start(dir.path());
        let steps = rand::rng().random_range(1..40);
        for _ in 0..steps {
            answered = Some(victim.next_answer());
        }
        let moment = Instant::now() + Duration::from_micros(rand::rng().random_range(0..4_000));
        while Instant::now() < moment {
            std::hint::spin_loop();
        }
        answered = victim.kill().or(answered);
        check(dir.path(), answered.unwrap());
    }
    deliver_the_rest(dir.path());
    println!("{KILLS} kills, {} batches", answered.unwrap() + 1);
}

/// What the victim does: batch after batch, and deliveries at the same time, until it is killed.
fn work(dir: &Path) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let store = Store::open(dir, &Metrics::new()).unwrap();
        let deliverer = store.clone();
        let mut received =
            std::fs::OpenOptions::new().create(true).append(true).open(dir.join(RECEIVED)).unwrap();
        tokio::spawn(async move {
            loop {
                deliver(&deliverer, &mut received).await;
                tokio::task::yield_now().await;
            }
        });
        let mut story = Story::default();
        for step in 0.. {
            let commit = story.step(step);
            if Some(step) > last_step(&store).await {
                store.commit(commit).await.unwrap();
                println!("ANSWERED {step}");
            }
        }
    });
}

/// Takes what is due; the receiver writes down the key of each message before it says yes.
async fn deliver(store: &Store, received: &mut std::fs::File) -> usize {
    let claim = Claim {
        // Rows are stamped with a time that stands still; the leases must not.
        now: Clock::system().now().max(NOW),
        lease: Duration::from_secs(600),
        limit: 8,
        per_receiver: 8,
        busy: BTreeSet::new(),
    };
    let rows = store.claim(claim).await.unwrap();
    for row in &rows {
        // In one piece: a kill must not leave half a line.
        received.write_all(format!("{}\n", row.idempotency_key).as_bytes()).unwrap();
        store.settle(row.id, Delivery::Delivered, NOW).await.unwrap();
    }
    rows.len()
}

/// Which step was stored last. Each batch carries one failure of the rule `step`.
async fn last_step(store: &Store) -> Option<u64> {
    let errors = store.rule_errors().await.unwrap();
    errors.first().map(|row| {
        let step = row.message.parse().unwrap();
        assert_eq!(row.count, step + 1, "each step is stored once");
        step
    })
}

/// The same batches each time, reorgs and conditions among them.
#[derive(Default)]
struct Story {
    chain: Vec<BlockLink>,
    /// Findings by name, and the block each stands with.
    findings: Vec<(String, BlockLink)>,
}

impl Story {
    fn step(&mut self, step: u64) -> Commit {
        batch(|commit| {
            let length = self.chain.len();
            let new = if step % 7 == 6 {
                commit.reverted = self.chain.split_off(length - 2);
                2
            } else {
                1
            };
            let tip = self.chain.last().copied().unwrap_or_else(|| root(0));
            let links = branch(&tip, new, step);
            commit.seen = links.iter().copied().map(seen).collect();
            for link in &links {
                for number in 0..3 {
                    let name = format!("{step}-{}-{number}", link.block.height);
                    commit.findings.push(found(&name, link, Finality::Seen));
                    self.findings.push((name, *link));
                }
                commit.entries.push(entry("r", link, 0, EntryKind::Match));
            }
            self.chain.extend(links);
            commit.finalized = self.chain.iter().rev().nth(20).map(|link| link.block);
            commit.keep_links = 10_000;
            let raised = FindingBuilder::system(
                "endpoint_lag",
                AssetId::endpoint(&mainnet(), "a"),
                Severity::P2,
                "a lags",
                NOW,
            )
            .raise("");
            commit.conditions = match (step % 5, raised) {
                (0, raised) => vec![raised],
                (3, Condition::Raised(key, _)) => vec![Condition::Cleared(key)],
                _ => vec![],
            };
            commit.rule_errors =
                vec![RuleFailure { rule: "step".to_owned(), message: step.to_string(), count: 1 }];
        })
    }
}

struct Victim {
    process: Child,
    answers: Receiver<u64>,
}

impl Victim {
    fn start(dir: &Path) -> Victim {
        let name = "kill::kill_9_at_any_moment_loses_nothing_and_doubles_nothing";
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env(VICTIM, dir)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let (sender, answers) = channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if let Some((_, step)) = line.split_once("ANSWERED ") {
                    // The line may be cut by the kill; then it was no answer yet.
                    if let Ok(step) = step.parse()
                        && sender.send(step).is_err()
                    {
                        return;
                    }
                }
            }
        });
        Victim { process, answers }
    }

    fn next_answer(&mut self) -> u64 {
        self.answers.recv_timeout(PATIENCE).expect("the victim works until it is killed")
    }

    /// Kills it; the last answer that it gave and nobody had read, if there is one.
    fn kill(&mut self) -> Option<u64> {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        self.answers.iter().last()
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        // Gone already, unless the test failed.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn check(dir: &Path, answered: u64) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let store = Store::open(dir, &Metrics::new()).unwrap();
        assert_eq!(store.check_integrity().await.unwrap(), Vec::<String>::new());
        let last = last_step(&store).await.unwrap();
        // One batch may have been stored whose answer nobody heard.
        assert!(last == answered || last == answered + 1, "{answered} answered, {last} stored");

        let mut story = Story::default();
        for step in 0..=last {
            story.step(step);
        }
        let tip = *story.chain.last().unwrap();
        assert_eq!(store.resume(&mainnet()).await.unwrap().links, story.chain);
        let summary = store.coverage_summary(&mainnet()).await.unwrap().unwrap();
        assert_eq!((summary.from, summary.to), (Height(1), tip.block.height));
        assert_eq!((summary.missing, summary.contiguous_from), (0, Some(Height(1))));
        assert_eq!(store.entries().await.unwrap().len(), story.chain.len());

        let mut expected: Vec<String> = story
            .findings
            .iter()
            .map(|(name, link)| {
                let status = if story.chain.contains(link) { "active" } else { "retracted" };
                format!("{} {status}", found(name, link, Finality::Seen).id)
            })
            .collect();
        expected.sort();
        let sql = "SELECT id, status FROM findings WHERE source_kind = 'rule' ORDER BY id";
        assert_eq!(dump(store.path(), sql), expected);

        let never = [
            // Whoever is to hear of it has it once, delivered or to be delivered.
            "SELECT id FROM findings WHERE status IN ('active', 'resolved') AND 1 <> (
                 SELECT count(*) FROM outbox WHERE finding = findings.id AND kind = 'found'
                     AND state IN ('due', 'delivered'))",
            // Who may have heard of it hears of its end, and nobody else.
            "SELECT id FROM findings WHERE status = 'retracted' AND (
                 SELECT count(*) FROM outbox WHERE finding = findings.id AND kind = 'found'
                     AND first_attempt_at IS NOT NULL) <> (
                 SELECT count(*) FROM outbox WHERE finding = findings.id AND kind = 'retracted')",
            "SELECT id FROM findings WHERE status = 'resolved' AND 1 <> (
                 SELECT count(*) FROM outbox WHERE finding = findings.id AND kind = 'resolved')",
        ];
        for sql in never {
            assert_eq!(dump(store.path(), sql), Vec::<String>::new(), "{sql}");
        }
        // What is said to be delivered was received.
        let delivered = keys(&store, "state = 'delivered'");
        assert!(delivered.is_subset(&received(dir)));
    });
}

fn deliver_the_rest(dir: &Path) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let store = Store::open(dir, &Metrics::new()).unwrap();
        let mut file = std::fs::OpenOptions::new().append(true).open(dir.join(RECEIVED)).unwrap();
        while deliver(&store, &mut file).await > 0 {}
        assert!(keys(&store, "state = 'due'").is_empty());
        let wanted = keys(&store, "state = 'delivered'");
        let possible = keys(&store, "state = 'delivered' OR first_attempt_at IS NOT NULL");
        let received = received(dir);
        assert!(wanted.is_subset(&received) && received.is_subset(&possible));
    });
}

fn keys(store: &Store, which: &str) -> BTreeSet<String> {
    let sql = format!("SELECT idempotency_key FROM outbox WHERE {which}");
    dump(store.path(), &sql).into_iter().collect()
}

/// The keys of all messages that arrived, each once: the receiver knows a repeated one by its key.
fn received(dir: &Path) -> BTreeSet<String> {
    let text = std::fs::read_to_string(dir.join(RECEIVED)).unwrap_or_default();
    text.lines().map(ToOwned::to_owned).collect()
}
