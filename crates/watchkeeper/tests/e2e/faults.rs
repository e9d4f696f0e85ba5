//! Each fault that an endpoint can have, in front of a real chain: no event missed, and the trouble
//! told where there is one to tell. Prints a table.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::support::Watchkeeper;
use futures_util::stream::{self, StreamExt};
use serde_json::json;
use wk_testkit::{
    Anvil, AnvilOptions, Fault, FaultProxy, Fixture, Tx, anvil_or_skip, ether, number,
};

/// Faults that are tried at the same time.
const PARALLEL: usize = 5;
/// Blocks with an event while the fault lasts.
const BLOCKS: u64 = 6;
/// How long a finding may take after the last block.
const PATIENCE: Duration = Duration::from_secs(75);

/// What came of one fault.
struct Outcome {
    fault: Fault,
    hits: u64,
    events: usize,
    found: usize,
    troubles: BTreeSet<String>,
    expected: &'static [&'static str],
    missing: u64,
}

/// Troubles of which one must be told. Without any, the fault costs nothing that a person should
/// know of: it is worked around.
fn expected(fault: &Fault) -> &'static [&'static str] {
    match fault {
        Fault::Lagging { .. } => &["endpoint_lagging", "endpoint_empty"],
        Fault::HeadGoesBack { .. } => &["endpoint_unsteady"],
        Fault::NullBlock
        | Fault::NullReceipts
        | Fault::EmptyLogs
        | Fault::EmptyReceipts
        | Fault::ReceiptsWithoutLogs => &["endpoint_empty"],
        Fault::TruncatedLogs | Fault::TruncatedReceipts => &["endpoint_truncated"],
        Fault::WrongHash
        | Fault::TamperedTransaction
        | Fault::TamperedReceipt
        | Fault::TamperedLog => &["endpoint_wrong_data"],
        Fault::WrongChainId => &["endpoint_wrong_chain"],
        Fault::OtherFork => &["endpoint_fork", "endpoint_disagreement"],
        Fault::TooManyRequests { .. } | Fault::RateLimited(_) => &["endpoint_rate_limited"],
        Fault::ServerError { .. }
        | Fault::MalformedJson
        | Fault::OversizedBody { .. }
        | Fault::Hang
        | Fault::ConnectionReset => &["endpoint_down"],
        Fault::NoSocket => &["endpoint_ws_down"],
        Fault::LogsRangeLimit { .. }
        | Fault::BatchTooLarge { .. }
        | Fault::MethodMissing { .. }
        | Fault::Unanswered { .. }
        | Fault::TruncatedTraces
        | Fault::BatchReordered
        | Fault::BatchMissing
        | Fault::SlowBody { .. }
        | Fault::DuplicateNotifications
        | Fault::MissingNotifications { .. }
        | Fault::SilentSocket => &[],
    }
}

/// Where receipts must come from for the fault to be met.
fn receipts(fault: &Fault) -> &'static str {
    match fault {
        Fault::EmptyLogs | Fault::TruncatedLogs => "logs",
        Fault::BatchTooLarge { .. } | Fault::BatchReordered | Fault::BatchMissing => "transaction",
        _ => "auto",
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_fault_of_an_endpoint_hides_an_event() {
    drop(anvil_or_skip!());
    let mut outcomes: Vec<Outcome> =
        stream::iter(Fault::all()).map(run).buffer_unordered(PARALLEL).collect().await;
    outcomes.sort_by_key(|outcome| outcome.fault.clone());
    println!("{:<46} {:>6} {:>7} {:>6}  troubles told", "fault", "hits", "events", "found");
    let mut wrong = Vec::new();
    for outcome in &outcomes {
        let name = format!("{:?}", outcome.fault);
        let told: Vec<&str> = outcome.troubles.iter().map(String::as_str).collect();
        println!(
            "{name:<46} {:>6} {:>7} {:>6}  {}",
            outcome.hits,
            outcome.events,
            outcome.found,
            told.join(", ")
        );
        if outcome.found != outcome.events || outcome.missing > 0 {
            wrong.push(format!(
                "{name}: {} of {} events, {} blocks missing",
                outcome.found, outcome.events, outcome.missing
            ));
        }
        let is_told = |trouble: &&str| outcome.troubles.contains(*trouble);
        // Ranges of logs are asked for by no live watching.
        if outcome.hits == 0 && !matches!(outcome.fault, Fault::LogsRangeLimit { .. }) {
            wrong.push(format!("{name}: was never met"));
        }
        if !outcome.expected.is_empty() && !outcome.expected.iter().any(is_told) {
            wrong.push(format!("{name}: none of {:?} was told", outcome.expected));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

async fn run(fault: Fault) -> Outcome {
    let now =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    let start = now.as_secs() - 600;
    let options = AnvilOptions { timestamp: Some(start), ..AnvilOptions::default() };
    let anvil = Anvil::start(options.clone()).await.expect("anvil starts");
    let same = AnvilOptions { chain_id: Some(anvil.chain_id()), ..options };
    let other = Anvil::start(same).await.expect("anvil starts");
    let mut time = start + 10;
    other
        .rpc()
        .call("anvil_setCoinbase", json!(["0x00000000000000000000000000000000000000cc"]))
        .await;
    let vault = anvil.deploy(Fixture::Vault, &[]).await;
    anvil.execute(&Tx::call(vault, Fixture::Vault, "deposit", &[]).value(ether(50))).await;
    let proxy = FaultProxy::start_forked(&anvil.urls(), &other.urls()).await;
    // The honest endpoint is slower, so that the other one is asked first.
    let honest = FaultProxy::start(&anvil.urls()).await;
    honest.delay(Duration::from_millis(60));
    let receipts = receipts(&fault);
    let config = format!(
        r#"
chains:
  local:
    evm:
      block_time: 1s
      receipts: {receipts}
      rpc_options: {{chain_id_interval: 2s}}
      rpc:
        - {{name: faulty, url: "{}", ws: "{}"}}
        - {{name: honest, url: "{}", ws: "{}"}}
contracts:
  vault: {{chain: local, address: "{vault}"}}
rules:
  - id: withdrawal
    watch: vault
    event: Withdraw(address indexed to, uint256 amount)
"#,
        proxy.http_url(),
        proxy.ws_url(),
        honest.http_url(),
        honest.ws_url(),
    );
    let watchkeeper = Watchkeeper::start(&config).await;
    watchkeeper.wait_for_height("local", anvil.height().await).await;
    let withdraw = Tx::call(vault, Fixture::Vault, "withdraw", &[number(1u64)]);
    let deposit = Tx::call(vault, Fixture::Vault, "deposit", &[]).value(ether(1)).from(2);
    let nothing = Tx::to(anvil.accounts()[3]).from(1);
    let mut events = 0;
    let step = async |time: &mut u64| {
        anvil.send_all(&[withdraw.clone(), deposit.clone(), nothing.clone()]).await;
        *time += 1;
        anvil.mine_at(*time).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
    };
    step(&mut time).await;
    events += 1;
    // The other branch reaches as high as ours.
    let missing = anvil.height().await.saturating_sub(other.height().await) + BLOCKS;
    for at in 0..missing {
        other.mine_at(start + 11 + at).await;
    }
    proxy.inject(fault.clone());
    for _ in 0..BLOCKS {
        step(&mut time).await;
        events += 1;
    }
    let last = anvil.height().await;
    watchkeeper.wait_for_height("local", last).await;
    let expected = expected(&fault);
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let mut troubles = BTreeSet::new();
    while tokio::time::Instant::now() < deadline {
        for finding in watchkeeper.findings("").await {
            if finding["source_kind"] == "system" {
                troubles.insert(finding["class"].as_str().unwrap_or_default().to_owned());
            }
        }
        if expected.is_empty() || expected.iter().any(|trouble| troubles.contains(*trouble)) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    let hits = proxy.hits(&fault);
    proxy.clear();
    step(&mut time).await;
    events += 1;
    watchkeeper.wait_for_height("local", anvil.height().await).await;
    let found = watchkeeper.findings("&source=withdrawal&status=active").await.len();
    let coverage = watchkeeper.get("/api/v1/chains/local/coverage").await;
    let missing = coverage["missing"].as_u64().unwrap_or(u64::MAX);
    Outcome { fault, hits, events, found, troubles, expected, missing }
}
