//! The RPC pool against a real anvil, straight and through a proxy that makes every fault.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use wk_chain::rpc::{
    EndpointConfig, EndpointSettings, HeadVia, Pool, PoolConfig, Rejection, Request, RpcConfig,
};
use wk_model::{B256, ChainName, Condition, Height, HumanDuration, Observation, Secret};
use wk_runtime::{Clock, Metrics, StopToken};
use wk_testkit::{Anvil, AnvilOptions, Fault, FaultProxy, Mining, NodeUrls, Tx, wait_until};

const PATIENCE: Duration = Duration::from_secs(20);

fn endpoint(name: &str, urls: &NodeUrls) -> EndpointConfig {
    EndpointConfig::Settings(Box::new(EndpointSettings {
        name: Some(name.to_owned()),
        ws: Some(Secret::parse(&urls.ws)),
        ..EndpointSettings::new(Secret::parse(&urls.http))
    }))
}

fn quick() -> RpcConfig {
    RpcConfig {
        timeout: HumanDuration::millis(1_000),
        total_timeout: HumanDuration::seconds(10),
        max_body_bytes: 4 << 20,
        lag_time: HumanDuration::millis(200),
        compare_interval: HumanDuration::millis(500),
        chain_id_interval: HumanDuration::millis(500),
        quarantine: HumanDuration::seconds(1),
        ..RpcConfig::default()
    }
}

/// A pool at work, and the names of the troubles that it told of.
struct Watched {
    pool: Pool,
    troubles: Arc<Mutex<BTreeSet<String>>>,
    stop: StopToken,
}

impl Watched {
    fn over(endpoints: Vec<EndpointConfig>) -> Watched {
        let config = PoolConfig { endpoints, options: quick(), ..PoolConfig::default() };
        let chain = ChainName::new("test");
        let pool = Pool::build(&chain, &config, Clock::system(), &Metrics::new())
            .expect("the config is good");
        let (out, mut told) = mpsc::channel(16);
        let (running, stop) = (pool.clone(), StopToken::new());
        let ended = stop.clone();
        tokio::spawn(async move { running.run(out, ended).await });
        let troubles = Arc::new(Mutex::new(BTreeSet::new()));
        let heard = Arc::clone(&troubles);
        tokio::spawn(async move {
            while let Some(observation) = told.recv().await {
                if let Observation::Condition(Condition::Raised(key, _)) = observation {
                    heard.lock().insert(key.trouble);
                }
            }
        });
        Watched { pool, troubles, stop }
    }

    async fn ready(&self) {
        wait_until("every endpoint has a head", PATIENCE, async || {
            self.pool.endpoints().iter().all(|status| status.head.is_some())
        })
        .await;
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.stop.stop();
    }
}

fn block_at(height: Height) -> Request {
    let params = json!([format!("0x{:x}", height.0), false]);
    Request::live("eth_getBlockByNumber", params).pinned(height).hedged().validated(|value| {
        match value.get() {
            "null" => Err(Rejection::Stale("the block is missing".to_owned())),
            _ => Ok(()),
        }
    })
}

#[tokio::test]
async fn heads_of_a_real_chain_come_by_subscription_across_a_reorg() {
    let mining = Mining::Every(Duration::from_millis(100));
    let options = AnvilOptions { mining, ..AnvilOptions::default() };
    let Some(anvil) = Anvil::start_or_skip(options).await else { return };
    let watched = Watched::over(vec![endpoint("anvil", &anvil.urls())]);
    let mut heads = watched.pool.heads();
    let mut pending = watched.pool.pending();
    let mut last = None;
    let mut by_subscription = 0;
    while by_subscription < 20 {
        let seen = timeout(PATIENCE, heads.recv()).await.expect("heads come").expect("no lag");
        if seen.via == HeadVia::Subscription {
            by_subscription += 1;
            if let Some(last) = last {
                assert_eq!(seen.link.parent, last, "no gap at {}", seen.link.block.height);
            }
            last = Some(seen.link.block.hash);
        }
    }
    assert_eq!(watched.pool.chain_id().map(|id| id.0), Some(anvil.chain_id()));
    let block_time = watched.pool.block_time().expect("it is learned").as_secs_f64();
    assert!((0.02..2.0).contains(&block_time), "{block_time}");

    let hash = anvil.send(&Tx::to(anvil.accounts()[1])).await;
    let seen = timeout(PATIENCE, async {
        loop {
            let seen = pending.recv().await.expect("no lag");
            if seen.hash == hash {
                return seen;
            }
        }
    })
    .await
    .expect("it is told of");
    assert!(seen.transaction.is_some(), "anvil sends whole transactions");

    let height = anvil.height().await;
    let before: B256 = anvil.hash(height - 1).await;
    anvil.reorg(3).await;
    wait_until("another hash at that height", PATIENCE, async || {
        let votes = watched.pool.block_hash_votes(Height(height - 1)).await;
        let status = &watched.pool.endpoints()[0];
        status.head.is_some_and(|head| head.block.height.0 > height) && votes.votes.len() == 1
    })
    .await;
    let reply = watched.pool.call(block_at(Height(height - 1))).await.expect("it is there");
    let block: Value = reply.parse().expect("a block");
    assert_ne!(block["hash"], json!(before));
    assert_eq!(*watched.troubles.lock(), BTreeSet::new());
}

/// Which troubles a fault must be told as; faults of content are the follower's to find.
fn expected(fault: &Fault) -> &'static [&'static str] {
    match fault {
        Fault::WrongChainId => &["endpoint_wrong_chain"],
        Fault::OtherFork => &["endpoint_fork"],
        Fault::Lagging { .. } => &["endpoint_lagging"],
        Fault::WrongHash => &["endpoint_wrong_data"],
        _ => &[],
    }
}

/// One faulty endpoint beside two good ones: heads and reads go on, and the fault is told.
async fn survive(fault: Fault, anvil: &Anvil, other: &Anvil) -> String {
    let proxy = FaultProxy::start_forked(&anvil.urls(), &other.urls()).await;
    let clean = FaultProxy::start(&anvil.urls()).await;
    let watched = Watched::over(vec![
        endpoint("faulty", &proxy.urls()),
        endpoint("good", &anvil.urls()),
        endpoint("also-good", &clean.urls()),
    ]);
    watched.ready().await;
    proxy.inject(fault.clone());
    let mut heads = watched.pool.heads();
    let name = fault.name();
    let started = Instant::now();
    let mut slowest = Duration::ZERO;
    let mut highest = anvil.height().await;
    let mut reads = 0;
    while reads < 15 {
        let seen = timeout(PATIENCE, heads.recv()).await;
        let Ok(seen) = seen.unwrap_or_else(|_| panic!("{name}: no heads")) else { continue };
        let height = seen.link.block.height;
        if height.0 <= highest {
            continue;
        }
        highest = height.0;
        let asked = Instant::now();
        let reply = watched.pool.call(block_at(height)).await;
        let block: Value =
            reply.unwrap_or_else(|error| panic!("{name}: {error}")).parse().expect("JSON");
        assert_eq!(block["number"], json!(format!("0x{:x}", height.0)), "{name}");
        slowest = slowest.max(asked.elapsed());
        reads += 1;
    }
    let low = highest - 12;
    let requests: Vec<Request> = (low..highest).map(|height| block_at(Height(height))).collect();
    for (height, reply) in (low..highest).zip(watched.pool.batch(requests).await) {
        let reply = reply.unwrap_or_else(|error| panic!("{name}: {error}"));
        let block: Value = reply.parse().expect("JSON");
        assert_eq!(block["number"], json!(format!("0x{height:x}")), "{name}");
    }
    for trouble in expected(&fault) {
        let told = async {
            while !watched.troubles.lock().contains(*trouble) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        if timeout(PATIENCE, told).await.is_err() {
            let troubles = watched.troubles.lock().clone();
            let endpoints = watched.pool.endpoints();
            panic!("{name} is not told as {trouble}, but {troubles:?}: {endpoints:#?}");
        }
    }
    let errors: Vec<String> = watched.pool.endpoints()[0]
        .errors
        .iter()
        .map(|(class, count)| format!("{class} {count}"))
        .collect();
    let good_errors: u64 =
        watched.pool.endpoints()[1..].iter().flat_map(|status| status.errors.values()).sum();
    for status in &watched.pool.endpoints()[1..] {
        assert!(status.quarantine.is_none(), "{name}: a good one was caught: {status:?}");
    }
    let troubles: Vec<String> = watched.troubles.lock().iter().cloned().collect();
    format!(
        "{name:<24} {:>5} ms  slowest read {:>5} ms  errors here [{}] elsewhere {good_errors}  told {}",
        started.elapsed().as_millis(),
        slowest.as_millis(),
        errors.join(", "),
        if troubles.is_empty() { "nothing".to_owned() } else { troubles.join(", ") },
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_faulty_endpoint_of_three_costs_no_read() {
    let options = AnvilOptions {
        mining: Mining::Every(Duration::from_millis(100)),
        ..AnvilOptions::default()
    };
    let Some(anvil) = Anvil::start_or_skip(options.clone()).await else { return };
    let chain_id = Some(anvil.chain_id());
    let Some(other) = Anvil::start_or_skip(AnvilOptions { chain_id, ..options }).await else {
        return;
    };
    // Two anvils of the same second make the same empty blocks: this one is to be another fork.
    other.send(&Tx::to(other.accounts()[1])).await;
    wait_until("some blocks on both", PATIENCE, async || {
        anvil.height().await > 20 && other.height().await > 20
    })
    .await;
    let (anvil, other) = (&anvil, &other);
    let lines: Vec<String> = futures_util::stream::iter(Fault::all())
        .map(|fault| async move {
            let fault = match fault {
                Fault::Lagging { .. } => Fault::Lagging { blocks: 10 },
                fault => fault,
            };
            survive(fault, anvil, other).await
        })
        .buffer_unordered(3)
        .collect()
        .await;
    println!("{}", lines.join("\n"));
}
