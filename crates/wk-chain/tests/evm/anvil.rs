//! The follower against a real chain: every block of anvil verifies, reorgs are followed, and no
//! fault of an endpoint costs an event.

use std::time::Duration;

use crate::sim::watch::{Record, Watch};
use serde_json::{Value, json};
use wk_chain::evm::Resume;
use wk_model::{Address, Bytes, Finality, Height, Intake, Severity, U256};
use wk_testkit::{
    Anvil, AnvilOptions, DynSolValue, Fault, FaultProxy, Fixture, Mining, NodeUrls, RateLimit, Tx,
    anvil_or_skip,
};

fn urls(urls: &NodeUrls) -> (String, String) {
    (urls.http.clone(), urls.ws.clone())
}

fn watch(nodes: &[NodeUrls], more: Value) -> Watch {
    let urls: Vec<(String, String)> = nodes.iter().map(urls).collect();
    Watch::at(&urls, more, Resume::default(), Record::default())
}

async fn at_head(watch: &Watch, anvil: &Anvil) {
    watch.tip(anvil.hash(anvil.height().await).await).await;
}

fn emit(contract: Address, count: u64) -> Tx {
    let count = DynSolValue::Uint(U256::from(count), 256);
    Tx::call(contract, Fixture::Emitter, "ping", &[count]).gas(1_000_000)
}

#[tokio::test]
async fn blocks_of_a_real_client_verify_in_full() {
    let anvil = anvil_or_skip!();
    let emitter = anvil.deploy(Fixture::Emitter, &[]).await;
    let watch = watch(&[anvil.urls()], json!({"from": 0}));
    at_head(&watch, &anvil).await;
    let receiver = Address::repeat_byte(0x77);
    let account = anvil.accounts()[0];
    // Legacy, access list and dynamic fee; a creation; one that fails; many logs; no transaction.
    for tx in [
        json!({"from": account, "to": receiver, "value": "0x1", "gas": "0x5208", "gasPrice": "0x77359400"}),
        json!({"from": account, "to": receiver, "value": "0x1", "gas": "0x7530", "gasPrice": "0x77359400",
            "accessList": [{"address": receiver, "storageKeys": [wk_model::B256::repeat_byte(1)]}]}),
        json!({"from": account, "to": receiver, "value": "0x1", "gas": "0x5208"}),
        // The authorization's signature is of nobody: it has no effect, and is hashed all the same.
        json!({"from": account, "to": receiver, "value": "0x1", "gas": "0x30d40", "type": "0x4",
            "authorizationList": [{"chainId": "0x0", "address": receiver, "nonce": "0x7",
                "yParity": "0x1", "r": "0x1234", "s": "0x5678"}]}),
    ] {
        anvil.rpc().call("eth_sendTransaction", json!([tx])).await;
    }
    anvil.mine(1).await;
    anvil.deploy(Fixture::Vault, &[]).await;
    let failing = Tx::to(emitter).data(Bytes::from_static(&[0xde, 0xad, 0xbe, 0xef])).gas(100_000);
    anvil.send_all(&[failing, emit(emitter, 20), emit(emitter, 3)]).await;
    anvil.mine(3).await;
    at_head(&watch, &anvil).await;
    let kinds = anvil.block(2).await["transactions"].as_array().map(|transactions| {
        transactions.iter().map(|tx| tx["type"].clone()).collect::<Vec<Value>>()
    });
    assert_eq!(kinds, Some(vec![json!("0x0"), json!("0x1"), json!("0x2"), json!("0x4")]));
    let (record, _) = watch.stop().await;
    let (genesis, rest) = record.seen.split_first().expect("blocks were seen");
    assert_eq!(genesis.verification.passed.iter().count(), 4, "{genesis:?}");
    assert!(rest.iter().all(|seen| seen.verification.is_full()), "{rest:#?}");
    assert_eq!(record.seen.iter().map(|seen| seen.logs).sum::<usize>(), 23);
    println!("{} anvil blocks verified in full", rest.len());
}

#[tokio::test]
async fn reorgs_and_rollbacks_of_a_real_client_are_followed() {
    let anvil = anvil_or_skip!();
    anvil.mine(20).await;
    let watch = watch(&[anvil.urls()], json!({"from": 0}));
    at_head(&watch, &anvil).await;
    for depth in [1, 3, 7] {
        anvil.reorg(depth).await;
        at_head(&watch, &anvil).await;
        assert_eq!(watch.record.lock().reverted.drain(..).count() as u64, depth);
        anvil.mine(2).await;
        at_head(&watch, &anvil).await;
    }
    anvil.rollback(4).await;
    anvil.mine(1).await;
    at_head(&watch, &anvil).await;
    let (record, _) = watch.stop().await;
    assert_eq!(record.reverted.len(), 4);
    for (height, hash) in record.hashes() {
        assert_eq!(hash, anvil.hash(height).await, "{height}");
    }
    assert!(record.found.iter().all(|finding| finding.class == "reorg"), "{:?}", record.found);
}

#[tokio::test]
async fn finality_of_a_real_client_is_told() {
    let options = AnvilOptions { slots_in_an_epoch: 2, ..AnvilOptions::default() };
    let anvil = anvil_or_skip!(options);
    anvil.mine(30).await;
    let watch = watch(&[anvil.urls()], json!({"from": 0}));
    watch
        .wait("finality", |record| {
            let is = |block: Option<wk_model::BlockRef>, height| {
                block.is_some_and(|block| block.height == Height(height))
            };
            (is(record.safe, 28) && is(record.finalized, 26)).then_some(())
        })
        .await;
    watch.stop().await;
    assert!(Finality::Safe < Finality::Finalized);
}

#[tokio::test]
async fn five_blocks_per_second_are_followed_live() {
    let options = AnvilOptions {
        mining: Mining::Every(Duration::from_millis(200)),
        ..AnvilOptions::default()
    };
    let anvil = anvil_or_skip!(options);
    let watch = watch(&[anvil.urls()], json!({"block_time": "200ms"}));
    watch.wait("40 blocks", |record| (record.chain.len() >= 40).then_some(())).await;
    let (record, _) = watch.stop().await;
    let heights: Vec<u64> = record.chain.keys().map(|height| height.0).collect();
    assert!(heights.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{heights:?}");
    assert!(record.seen.iter().all(|seen| seen.intake == Intake::Live));
    assert!(record.found.is_empty(), "{:?}", record.found);
}

/// One endpoint has the fault, the other is honest and slow: nothing is missed, whatever the fault,
/// and the lies that a block's own hashes give away are found.
#[tokio::test]
async fn no_fault_of_one_endpoint_costs_an_event() {
    let anvil = anvil_or_skip!();
    let emitter = anvil.deploy(Fixture::Emitter, &[]).await;
    let faults = [
        (Fault::Lagging { blocks: 3 }, ""),
        (Fault::HeadGoesBack { blocks: 2 }, ""),
        (Fault::NullBlock, "endpoint_empty"),
        (Fault::NullReceipts, "endpoint_empty"),
        (Fault::EmptyReceipts, "endpoint_empty"),
        (Fault::TruncatedReceipts, "endpoint_truncated"),
        (Fault::ReceiptsWithoutLogs, "endpoint_empty"),
        (Fault::WrongHash, ""),
        (Fault::TamperedTransaction, "endpoint_wrong_data"),
        (Fault::TamperedReceipt, "endpoint_wrong_data"),
        (Fault::TamperedLog, "endpoint_wrong_data"),
        (Fault::TooManyRequests { retry_after: Some(1) }, ""),
        (Fault::TooManyRequests { retry_after: None }, ""),
        (Fault::RateLimited(RateLimit::Code429), ""),
        (Fault::MethodMissing { method: "eth_getBlockReceipts".to_owned() }, ""),
        (Fault::ServerError { status: 502 }, ""),
        (Fault::BatchReordered, ""),
        (Fault::MalformedJson, ""),
        (Fault::OversizedBody { bytes: 1_000_000 }, ""),
        (Fault::Hang, ""),
        (Fault::ConnectionReset, ""),
        (Fault::DuplicateNotifications, ""),
        (Fault::MissingNotifications { every: 2 }, ""),
        (Fault::SilentSocket, ""),
        (Fault::NoSocket, ""),
    ];
    for (fault, trouble) in faults {
        let (proxy, honest) =
            (FaultProxy::start(&anvil.urls()).await, FaultProxy::start(&anvil.urls()).await);
        honest.inject(Fault::SlowBody { per_second: 200_000 });
        let options = json!({
            "timeout": "1s", "total_timeout": "3s", "max_body_bytes": 500_000, "hedge": false,
        });
        let watch = watch(&[proxy.urls(), honest.urls()], json!({"rpc_options": options}));
        at_head(&watch, &anvil).await;
        // Who is faster is known by now.
        for _ in 0..5 {
            anvil.mine(1).await;
            at_head(&watch, &anvil).await;
        }
        let start = anvil.height().await;
        proxy.inject(fault.clone());
        for _ in 0..8 {
            anvil.send_all(&[emit(emitter, 2), emit(emitter, 1)]).await;
            anvil.mine(1).await;
            at_head(&watch, &anvil).await;
        }
        if !trouble.is_empty() {
            watch.found(trouble).await;
        }
        let hits = proxy.hits(&fault);
        let (record, _) = watch.stop().await;
        let told: usize = record.chain.range(Height(start + 1)..).map(|(_, seen)| seen.logs).sum();
        let mut troubles: Vec<&str> =
            record.found.iter().map(|finding| finding.class.as_str()).collect();
        troubles.sort_unstable();
        troubles.dedup();
        println!("{fault:?}: {hits} hits, {told} of 24 events, found {troubles:?}");
        assert_eq!(told, 24, "{fault:?}");
        assert_eq!(record.coverage.holes(), [], "{fault:?}");
        assert!(
            record.found.iter().all(|finding| finding.severity != Severity::P0),
            "{fault:?}: {:?}",
            record.found
        );
    }
}

/// The only endpoint has the fault for a while: in the end nothing is missed.
#[tokio::test]
async fn no_passing_fault_of_the_only_endpoint_costs_an_event() {
    let anvil = anvil_or_skip!();
    let emitter = anvil.deploy(Fixture::Emitter, &[]).await;
    let faults = [
        Fault::HeadGoesBack { blocks: 2 },
        Fault::NullBlock,
        Fault::NullReceipts,
        Fault::EmptyReceipts,
        Fault::TruncatedReceipts,
        Fault::ReceiptsWithoutLogs,
        Fault::WrongHash,
        Fault::TamperedTransaction,
        Fault::TamperedReceipt,
        Fault::TooManyRequests { retry_after: Some(1) },
        Fault::ServerError { status: 502 },
        Fault::MalformedJson,
        Fault::ConnectionReset,
    ];
    for fault in faults {
        let proxy = FaultProxy::start(&anvil.urls()).await;
        let options = json!({"timeout": "1s", "total_timeout": "3s"});
        let watch = watch(&[proxy.urls()], json!({"rpc_options": options}));
        at_head(&watch, &anvil).await;
        let start = anvil.height().await;
        proxy.inject_times(fault.clone(), 6);
        for _ in 0..4 {
            anvil.send_all(&[emit(emitter, 2), emit(emitter, 1)]).await;
            anvil.mine(1).await;
        }
        at_head(&watch, &anvil).await;
        let count = anvil.height().await - start;
        watch
            .wait("every block", |record| {
                let told = record.chain.range(Height(start + 1)..).count() as u64;
                (told == count).then_some(())
            })
            .await;
        watch.over("coverage_hole").await;
        let (record, _) = watch.stop().await;
        let told: usize = record.chain.range(Height(start + 1)..).map(|(_, seen)| seen.logs).sum();
        println!("{fault:?}: {} hits, {told} of 12 events", proxy.hits(&fault));
        assert_eq!(told, 12, "{fault:?}");
    }
}
