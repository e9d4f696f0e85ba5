//! Transactions are inspected whatever the endpoint can do, and nothing waits for it.

use wk_model::FindingStatus;
use wk_testkit::{
    Anvil, AnvilOptions, Fault, FaultProxy, Mining, Tx, anvil_or_skip, ether, wait_until,
};

use crate::support::{PATIENCE, Running, local};

fn config(proxy: &FaultProxy, evm: &str) -> String {
    format!(
        "chains: {{local: {{evm: {{rpc: \"{}\", ws: \"{}\", block_time: 1s{evm}}}}}}}\n",
        proxy.http_url(),
        proxy.ws_url()
    )
}

fn missing(method: &str) -> Fault {
    Fault::MethodMissing { method: method.to_owned() }
}

impl Running {
    /// Waits until everything was inspected, and tells by what.
    async fn inspected(&self, anvil: &Anvil) -> Option<String> {
        let height = anvil.height().await;
        wait_until("all is inspected", PATIENCE, async || {
            let status = self.handle.statuses.get(&local()).and_then(|s| s.inspection);
            status.is_some_and(|s| s.pending == 0 && s.inspected.is_some_and(|h| h.0 >= height))
        })
        .await;
        self.handle.statuses.get(&local()).and_then(|s| s.inspection).and_then(|s| s.source)
    }
}

async fn attack(anvil: &Anvil) {
    let actor = anvil.set_scene("ReentrancySame", ether(10)).await;
    let receipt = anvil.execute(&Anvil::play(actor, ether(1))).await;
    assert_eq!(receipt["status"], "0x1");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_best_that_an_endpoint_can_do_is_used_and_what_it_lacks_is_told() {
    let anvil = anvil_or_skip!();
    let proxy = FaultProxy::start(&anvil.urls()).await;
    let steps = [
        ("debug_traceBlockByHash", "call_tracer"),
        ("trace_block", "parity"),
        ("debug_traceTransaction", "transactions"),
    ];
    for (place, (_, source)) in steps.iter().enumerate() {
        proxy.clear();
        for (method, _) in &steps[..place] {
            proxy.inject(missing(method));
        }
        // Watching begins with the newest block.
        anvil.mine(1).await;
        let running = Running::start(&config(&proxy, "")).await;
        running.catch_up(&anvil).await;
        attack(&anvil).await;
        running.catch_up(&anvil).await;
        assert_eq!(running.inspected(&anvil).await.as_deref(), Some(*source));
        assert_eq!(running.findings("reentrancy").await.len(), 1, "{source}");
        assert!(running.findings("traces_missing").await.is_empty(), "{source}");
    }

    // Nothing at all: receipts alone, which is told, with what to do.
    for (method, _) in steps {
        proxy.inject(missing(method));
    }
    anvil.mine(1).await;
    let running = Running::start(&config(&proxy, ", traces: call_tracer")).await;
    running.catch_up(&anvil).await;
    attack(&anvil).await;
    running.catch_up(&anvil).await;
    assert_eq!(running.inspected(&anvil).await.as_deref(), Some("receipts"));
    let told = running.findings("traces_missing").await.remove(0);
    assert_eq!(told.status, FindingStatus::Active);
    let evidence = &told.finding.evidence;
    assert!(evidence["fix"].to_string().contains("--http.api"), "{evidence:?}");
    assert!(evidence["endpoints"].to_string().contains("debug_traceBlockByHash"), "{evidence:?}");
    let status = running.handle.statuses.get(&local()).and_then(|s| s.inspection).unwrap();
    assert!(status.lacking.is_some_and(|lacking| lacking.contains("--http.api")));

    // Mended: what was said is over.
    proxy.clear();
    let running = running.restart(&config(&proxy, "")).await;
    anvil.mine(1).await;
    running.catch_up(&anvil).await;
    attack(&anvil).await;
    running.catch_up(&anvil).await;
    assert_eq!(running.inspected(&anvil).await.as_deref(), Some("call_tracer"));
    wait_until("it is over", PATIENCE, async || {
        running.findings("traces_missing").await[0].status == FindingStatus::Resolved
    })
    .await;

    // Turned off: nothing waits.
    let running = running.restart(&config(&proxy, ", traces: \"off\"")).await;
    anvil.mine(1).await;
    running.catch_up(&anvil).await;
    attack(&anvil).await;
    running.catch_up(&anvil).await;
    let summary = running.handle.store.inspection_summary(&local()).await.unwrap();
    assert_eq!(summary.pending, 0);
    assert!(running.handle.statuses.get(&local()).unwrap().inspection.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_whose_traces_would_hold_up_the_node_is_traced_the_cheaper_way() {
    let anvil = anvil_or_skip!(AnvilOptions { mining: Mining::Manual, ..AnvilOptions::default() });
    let actor = anvil.set_scene("ReentrancySame", ether(10)).await;
    let proxy = FaultProxy::start(&anvil.urls()).await;
    let running = Running::start(&config(&proxy, "")).await;
    running.catch_up(&anvil).await;
    anvil.mine(1).await;
    // anvil executes all transactions before one again for each that it traces.
    let gift = Tx::to(anvil.accounts()[3]).value(ether(1)).gas(30_000).from(2);
    let mut txs: Vec<Tx> = (0..150).map(|nonce| gift.clone().nonce(nonce)).collect();
    txs.push(Anvil::play(actor, ether(1)).gas(3_000_000));
    anvil.send_all(&txs).await;
    anvil.mine(1).await;
    running.catch_up(&anvil).await;
    assert_eq!(running.inspected(&anvil).await.as_deref(), Some("parity"));
    assert_eq!(running.findings("reentrancy").await[0].finding.evidence["traces"], "parity");
    assert!(running.findings("traces_missing").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_traces_what_touches_watched_contracts_is_executed_again() {
    let anvil = anvil_or_skip!();
    let proxy = FaultProxy::start(&anvil.urls()).await;
    for method in ["debug_traceBlockByHash", "trace_block", "debug_traceTransaction"] {
        proxy.inject(missing(method));
    }
    let watched = anvil.set_scene("ReentrancySame", ether(10)).await;
    let other = anvil.set_scene("ReentrancySame", ether(10)).await;
    let contracts = format!("contracts: {{thief: {{chain: local, address: \"{watched}\"}}}}\n");
    let running = Running::start(&format!("{}{contracts}", config(&proxy, ""))).await;
    running.catch_up(&anvil).await;
    for actor in [other, watched] {
        anvil.execute(&Anvil::play(actor, ether(1))).await;
    }
    running.catch_up(&anvil).await;
    assert_eq!(running.inspected(&anvil).await.as_deref(), Some("receipts"));
    let found = running.findings("reentrancy").await;
    assert_eq!(found.len(), 1, "{found:?}");
    let evidence = &found[0].finding.evidence;
    assert_eq!(evidence["traces"], "replay");
    assert_eq!(evidence["target"], format!("{watched:#x}"));
    assert_eq!(running.findings("traces_missing").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_and_wrong_traces_hold_up_nothing_and_are_asked_for_again() {
    let anvil = anvil_or_skip!();
    let proxy = FaultProxy::start(&anvil.urls()).await;
    let options = ", trace_options: {timeout: 500ms}";
    let running = Running::start(&config(&proxy, options)).await;
    running.catch_up(&anvil).await;
    for fault in
        [Fault::Unanswered { method: "debug_traceBlockByHash".to_owned() }, Fault::TruncatedTraces]
    {
        let before = running.findings("reentrancy").await.len();
        proxy.inject(fault.clone());
        attack(&anvil).await;
        anvil.mine(3).await;
        // The chain is followed, and its endpoint is as good as ever.
        running.catch_up(&anvil).await;
        wait_until("traces were asked for", PATIENCE, async || proxy.hits(&fault) >= 2).await;
        let summary = running.handle.store.inspection_summary(&local()).await.unwrap();
        assert!(summary.pending >= 1 && summary.waiting_since.is_some(), "{summary:?}");
        let endpoint = running.handle.endpoints(&local()).unwrap().remove(0);
        assert_eq!(endpoint.health, wk_chain::rpc::Health::Healthy, "{fault:?}: {endpoint:?}");
        anvil.mine(1).await;
        running.catch_up(&anvil).await;
        proxy.clear();
        running.inspected(&anvil).await;
        assert_eq!(running.findings("reentrancy").await.len(), before + 1, "{fault:?}");
    }
    let failures = running.handle.metrics.render();
    assert!(failures.contains("wk_inspection_failures_total{chain=\"local\"}"), "{failures}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_inspected_before_a_stop_is_inspected_after_it() {
    let anvil = anvil_or_skip!();
    let proxy = FaultProxy::start(&anvil.urls()).await;
    let stuck = Fault::Unanswered { method: "debug_traceBlockByHash".to_owned() };
    proxy.inject(stuck.clone());
    let running = Running::start(&config(&proxy, "")).await;
    running.catch_up(&anvil).await;
    attack(&anvil).await;
    running.catch_up(&anvil).await;
    wait_until("traces are waited for", PATIENCE, async || proxy.hits(&stuck) >= 1).await;
    proxy.clear();
    let running = running.restart(&config(&proxy, "")).await;
    anvil.mine(1).await;
    running.catch_up(&anvil).await;
    running.inspected(&anvil).await;
    assert_eq!(running.findings("reentrancy").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_too_far_behind_are_left_out_and_that_is_told() {
    let anvil = anvil_or_skip!();
    let proxy = FaultProxy::start(&anvil.urls()).await;
    let stuck = Fault::Unanswered { method: "debug_traceBlockByHash".to_owned() };
    proxy.inject(stuck);
    let options = ", trace_options: {timeout: 300ms, window: 5}";
    let running = Running::start(&config(&proxy, options)).await;
    running.catch_up(&anvil).await;
    attack(&anvil).await;
    anvil.mine(10).await;
    running.catch_up(&anvil).await;
    wait_until("it is told", PATIENCE, async || {
        !running.findings("inspection_skipped").await.is_empty()
    })
    .await;
    let summary = running.handle.store.inspection_summary(&local()).await.unwrap();
    assert_eq!(summary.pending, 0, "{summary:?}");
    assert!(summary.sources.iter().any(|by| by.source == "skipped"), "{summary:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_touches_watched_contracts_is_told_where_asked_for() {
    let anvil = anvil_or_skip!();
    let proxy = FaultProxy::start(&anvil.urls()).await;
    let ours = anvil.set_scene("ReentrancySame", ether(10)).await;
    let other = anvil.set_scene("ReentrancySame", ether(10)).await;
    let contracts = format!("contracts: {{ours: {{chain: local, address: \"{ours}\"}}}}\n");
    let config = config(&proxy, ", trace_options: {watch: contracts}") + &contracts;
    let running = Running::start(&config).await;
    running.catch_up(&anvil).await;
    for actor in [ours, other] {
        anvil.execute(&Anvil::play(actor, ether(1))).await;
    }
    running.catch_up(&anvil).await;
    running.inspected(&anvil).await;
    let told = running.findings("reentrancy").await;
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].finding.asset.as_str(), "contract/local/ours");
}
