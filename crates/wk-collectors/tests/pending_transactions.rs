//! Pending transactions of a real node, by hash and then whole.

use std::time::Duration;

use tokio::sync::mpsc;
use wk_chain::rpc::{EndpointConfig, EndpointSettings, Pool, PoolConfig};
use wk_collectors::PendingTransactions;
use wk_model::primitives::U256;
use wk_model::{ChainName, Secret};
use wk_runtime::{Clock, Metrics, StopToken};
use wk_testkit::{Tx, anvil_or_skip, wait_for};

#[tokio::test]
async fn a_transaction_is_seen_before_it_is_in_a_block() {
    let anvil = anvil_or_skip!();
    let (chain, metrics, stop) = (ChainName::new("local"), Metrics::new(), StopToken::new());
    let settings = EndpointSettings {
        ws: Some(Secret::Literal(anvil.ws_url())),
        ..EndpointSettings::new(Secret::Literal(anvil.http_url()))
    };
    let config = PoolConfig {
        endpoints: vec![EndpointConfig::Settings(Box::new(settings))],
        ..PoolConfig::default()
    };
    let pool = Pool::build(&chain, &config, Clock::system(), &metrics).unwrap();
    let (observations, _kept) = mpsc::channel(1_024);
    let running = {
        let (pool, stop) = (pool.clone(), stop.clone());
        tokio::spawn(async move { pool.run(observations, stop).await })
    };
    let collector = PendingTransactions::build(chain, pool, &metrics);
    let (out, mut inbox) = mpsc::channel(64);
    let collecting = {
        let (collector, stop) = (collector.clone(), stop.clone());
        tokio::spawn(async move { collector.run(out, stop).await })
    };
    // The first ones may come before the subscription stands.
    let to = anvil.accounts()[1];
    let mut value = 0u64;
    let first = wait_for("a pending transaction", Duration::from_secs(60), async || {
        value += 1;
        anvil.send(&Tx::to(to).value(U256::from(value))).await;
        tokio::time::timeout(Duration::from_millis(200), inbox.recv()).await.ok().flatten()
    })
    .await;
    assert_eq!(first.transaction.transaction.to, Some(to));
    assert_eq!(first.transaction.transaction.from, anvil.accounts()[0]);
    assert!(
        first.transaction.transaction.value > U256::ZERO
            && first.transaction.transaction.receipt.is_none()
    );
    // From then on each comes, once.
    let sent = anvil.send(&Tx::to(to).value(U256::from(1_000_000))).await;
    let mut all = vec![first.transaction.transaction.hash];
    while all.last() != Some(&sent) {
        let next = tokio::time::timeout(Duration::from_secs(30), inbox.recv()).await;
        all.push(next.expect("in time").expect("still running").transaction.transaction.hash);
    }
    let count = all.len();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), count);
    stop.stop();
    assert!(collecting.await.unwrap().is_ok());
    assert!(running.await.unwrap().is_ok());
}
