//! How fast it is, printed for people; nothing here fails because a machine is slow.

use std::time::Instant;

use wk_model::Finality;
use wk_runtime::Metrics;
use wk_store::{Claim, Delivery, SIGNALS, SeenBlock, Store};

use crate::support::{NOW, Shop, batch, branch, found, root, seen};

fn show(what: &str, count: usize, started: Instant) {
    let took = started.elapsed();
    println!("{what}: {count} in {took:.1?}, {:.0}/s", count as f64 / took.as_secs_f64());
}

#[tokio::test(flavor = "multi_thread")]
async fn prints_how_fast_it_is() {
    let shop = Shop::open();
    let links = branch(&root(0), 600, 0);

    let started = Instant::now();
    for link in &links[..200] {
        shop.commit(|commit| {
            commit.seen = vec![seen(*link)];
            commit.findings = vec![found(&link.block.height.to_string(), link, Finality::Seen)];
        })
        .await;
    }
    show("durable batches, one block and one finding each", 200, started);

    let started = Instant::now();
    let mut writes = Vec::new();
    for number in 0..400 {
        let store = shop.store.clone();
        let key = number.to_string();
        writes.push(tokio::spawn(async move { store.set_meta(&key, Some(key.clone())).await }));
    }
    for write in writes {
        write.await.unwrap().unwrap();
    }
    show("durable writes from many tasks at once", 400, started);

    let started = Instant::now();
    let mut rows = 0;
    for blocks in links[200..].chunks(50) {
        let blocks: Vec<SeenBlock> = blocks.iter().copied().map(seen).collect();
        rows += blocks.len() * 21;
        shop.commit(|commit| {
            for block in &blocks {
                for number in 0..10 {
                    let name = format!("{} {number}", block.link.block.height);
                    commit.findings.push(found(&name, &block.link, Finality::Seen));
                }
            }
            commit.seen = blocks;
        })
        .await;
    }
    show("rows of backfill, in batches of 50 blocks", rows, started);

    let started = Instant::now();
    let mut delivered = 0;
    loop {
        let busy = Default::default();
        let lease = std::time::Duration::from_secs(60);
        let claim = Claim { now: NOW, lease, limit: 64, per_receiver: 64, busy };
        let rows = shop.store.claim(claim).await.unwrap();
        if rows.is_empty() || delivered >= 320 {
            break;
        }
        for row in &rows {
            shop.store.settle(row.id, Delivery::Delivered, NOW).await.unwrap();
        }
        delivered += rows.len();
    }
    show("deliveries claimed and settled one by one", delivered, started);

    let metrics = Metrics::new();
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &metrics).unwrap();
    for link in &links[..100] {
        store.commit(batch(|commit| commit.seen = vec![seen(*link)])).await.unwrap();
    }
    let took = metrics.histogram(SIGNALS[0], &[]);
    println!("durable within: p50 {:?} s, p99 {:?} s", took.quantile(0.5), took.quantile(0.99));
}
