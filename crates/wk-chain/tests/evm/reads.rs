//! Everything else that is read of a chain: ranges, state, nodes, and the metrics that come of it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::time::Duration;

use crate::sim::SimChain;
use crate::sim::nodes::SimNode;
use crate::sim::watch::Watch;
use serde_json::json;
use tokio::sync::mpsc;
use wk_chain::evm::state::{ReadState, StateReader};
use wk_chain::evm::{EvmConfig, NodeProbe, SIGNALS, blocks};
use wk_chain::rpc::{Pool, Purpose};
use wk_model::{Address, B256, BlockRef, ChainName, Height, Observation, U256};
use wk_runtime::{Clock, Metrics, StopToken};

fn chain_name() -> ChainName {
    ChainName::new("sim")
}

fn pool(node: &SimNode, metrics: &Metrics) -> (EvmConfig, Pool) {
    let config: EvmConfig = serde_json::from_value(json!({
        "rpc": {"url": node.http(), "name": "n0"},
        "rpc_options": {"timeout": "2s", "total_timeout": "4s"},
        "parallel": 4,
    }))
    .unwrap();
    let pool = Pool::build(&chain_name(), &config.pool(), Clock::system(), metrics).unwrap();
    (config, pool)
}

#[tokio::test]
async fn a_range_comes_in_order_and_goes_on_after_a_broken_block() {
    let chain = SimChain::new();
    let node = SimNode::start(&chain, chain.grow(chain.genesis(), 40, 2)).await;
    node.faults(|faults| faults.forged = vec![25]);
    let metrics = Metrics::new();
    let (config, pool) = pool(&node, &metrics);
    let mut blocks = blocks(&chain_name(), &pool, &config, &metrics, Height(10), Height(39));
    for height in 10..40 {
        let block = blocks.next().await.unwrap();
        if height == 25 {
            let error = block.unwrap_err().to_string();
            assert!(error.contains("every answer about block 25 was wrong"), "{error}");
            assert!(error.contains("header_hash"), "{error}");
            continue;
        }
        let (block, verification) = block.unwrap();
        assert_eq!(block.header.height, Height(height));
        assert_eq!(Some(block.header.hash), chain.at(node.head(), height).map(|b| b.hash));
        assert_eq!(verification.is_full(), height != 10 && height != 26, "{verification:?}");
    }
    assert!(blocks.next().await.is_none());
}

#[tokio::test]
async fn state_is_read_at_the_hash_and_where_that_fails_at_the_number() {
    let chain = SimChain::new();
    let node = SimNode::start(&chain, chain.grow(chain.genesis(), 10, 0)).await;
    let metrics = Metrics::new();
    let (_, pool) = pool(&node, &metrics);
    let (stop, (out, _inbox)) = (StopToken::new(), mpsc::channel(64));
    let (running, stopped) = (pool.clone(), stop.clone());
    let task = tokio::spawn(async move { running.run(out, stopped).await });
    let hash = chain.at(node.head(), 7).unwrap().hash;
    let block = BlockRef { height: Height(7), hash };
    for by_number in [false, true] {
        if by_number {
            node.faults(|faults| faults.missing = vec!["EIP-1898"]);
        }
        let state = StateReader::new(&pool, Purpose::Live);
        // The simulated state is the block's hash everywhere.
        assert_eq!(state.call(block, Address::ZERO, &[1]).await.unwrap()[..], hash[..]);
        assert_eq!(state.storage(block, Address::ZERO, U256::from(3)).await.unwrap(), hash);
        assert_eq!(state.code(block, Address::ZERO).await.unwrap()[..], hash[..]);
        assert_eq!(state.balance(block, Address::ZERO).await.unwrap(), U256::from_be_bytes(hash.0));
        let error = state.call(block, Address::ZERO, &[0xde, 0xad]).await.unwrap_err();
        let ReadState::Reverted { message, data } = error else { panic!("{error:?}") };
        assert!(message.contains("no"), "{message}");
        assert_eq!(data[..], [0x08, 0xc3, 0x79, 0xa0]);
    }
    let gone = BlockRef { height: Height(7), hash: B256::repeat_byte(9) };
    node.faults(|faults| faults.missing.clear());
    let state = StateReader::new(&pool, Purpose::Live);
    assert!(matches!(state.code(gone, Address::ZERO).await, Err(ReadState::Call(_))));
    stop.stop();
    task.await.unwrap().unwrap();
}

#[tokio::test]
async fn nodes_tell_about_themselves_and_what_they_lack_is_not_asked_again() {
    let chain = SimChain::new();
    let node = SimNode::start(&chain, chain.grow(chain.genesis(), 3, 0)).await;
    node.faults(|faults| faults.missing = vec!["net_peerCount"]);
    let metrics = Metrics::new();
    let (_, pool) = pool(&node, &metrics);
    let (stop, (out, mut inbox)) = (StopToken::new(), mpsc::channel(64));
    let every = Duration::from_millis(20);
    let probe = NodeProbe::build(&chain_name(), &pool, every, Clock::system(), &metrics);
    let task = tokio::spawn(probe.run(out, stop.clone()));
    let Some(Observation::Fact(fact)) = inbox.recv().await else { panic!("a fact") };
    assert_eq!((fact.name.as_str(), &fact.value), ("client_version", &json!("sim/1.0")));
    assert_eq!(fact.asset.as_str(), "endpoint/sim/n0");
    wk_testkit::wait_until("several rounds", Duration::from_secs(10), async || {
        node.calls("eth_blobBaseFee") > 5
    })
    .await;
    stop.stop();
    task.await.unwrap();
    assert_eq!(node.calls("net_peerCount"), 1);
    let text = metrics.render();
    for line in [
        "wk_mempool_transactions{chain=\"sim\",endpoint=\"n0\",state=\"pending\"} 3",
        "wk_mempool_transactions{chain=\"sim\",endpoint=\"n0\",state=\"queued\"} 1",
        "wk_node_syncing{chain=\"sim\",endpoint=\"n0\"} 0",
        "wk_node_info{chain=\"sim\",endpoint=\"n0\",client_version=\"sim/1.0\"} 1",
        "wk_chain_next_base_fee_wei{chain=\"sim\"} 8",
        "wk_chain_blob_base_fee_wei{chain=\"sim\"} 5",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}

#[tokio::test]
async fn a_followed_chain_has_its_metrics() {
    let chain = SimChain::new();
    let node = SimNode::start(&chain, chain.grow(chain.genesis(), 30, 4)).await;
    let watch =
        Watch::start(&[&node], json!({"from": 0, "confirmations": {"safe": 2, "finalized": 5}}));
    watch.tip(node.head()).await;
    let ancestor = chain.at(node.head(), 28).unwrap().hash;
    node.set_head(chain.grow(ancestor, 3, 4));
    watch.tip(node.head()).await;
    watch.over("reorg").await;
    watch
        .wait("finality", |record| {
            record.finalized.filter(|block| block.height == Height(26)).map(|_| ())
        })
        .await;
    let text = watch.metrics.render();
    for line in [
        "wk_chain_height{chain=\"sim\"} 31",
        "wk_chain_transactions_total{chain=\"sim\",kind=\"user\"} 132",
        "wk_chain_logs_total{chain=\"sim\"} 132",
        "wk_chain_transactions_failed_total{chain=\"sim\"} 0",
        "wk_chain_failed_transaction_ratio{chain=\"sim\"} 0",
        "wk_chain_gas_per_second{chain=\"sim\"} 10000",
        "wk_chain_block_fullness_ratio{chain=\"sim\"} 0.004",
        "wk_chain_base_fee_wei{chain=\"sim\"} 7",
        "wk_chain_priority_fee_wei{chain=\"sim\",quantile=\"0.5\"} 3",
        "wk_chain_reorgs_total{chain=\"sim\"} 1",
        "wk_chain_reorg_depth_blocks_sum{chain=\"sim\"} 2",
        "wk_chain_finality_lag_blocks{chain=\"sim\",level=\"safe\"} 2",
        "wk_chain_finality_lag_blocks{chain=\"sim\",level=\"finalized\"} 5",
        "wk_chain_finality_lag_seconds{chain=\"sim\",level=\"finalized\"} 60",
        "wk_chain_block_size_bytes_count{chain=\"sim\"} 34",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    watch.stop().await;
}

#[test]
fn signals_are_well_formed() {
    let mut names: Vec<&str> = SIGNALS.iter().map(|signal| signal.name).collect();
    for signal in SIGNALS {
        assert!(signal.name.starts_with("wk_"), "{}", signal.name);
        assert!(!signal.help.ends_with('.'), "{}", signal.name);
        let is_counter = signal.kind == wk_model::SignalKind::Counter;
        assert_eq!(signal.name.ends_with("_total"), is_counter, "{}", signal.name);
    }
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), SIGNALS.len());
}
