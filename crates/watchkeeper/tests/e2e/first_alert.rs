//! The five-minute path: a chain, a contract, a rule, a message; and its retraction.

use std::time::{Duration, Instant};

use crate::support::Watchkeeper;
use wk_testkit::{Fixture, Receiver, Tx, anvil_or_skip, ether, number};

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_told_within_a_second_and_taken_back_when_its_block_goes() {
    let anvil = anvil_or_skip!();
    let vault = anvil.deploy(Fixture::Vault, &[]).await;
    anvil.execute(&Tx::call(vault, Fixture::Vault, "deposit", &[]).value(ether(50))).await;
    let receiver = Receiver::start().await;
    let config = format!(
        r#"
chains:
  local: {{evm: {{rpc: "{http}", ws: "{ws}", block_time: 1s}}}}
contracts:
  vault: {{chain: local, address: "{vault}"}}
rules:
  - id: large-withdrawal
    watch: vault
    event: Withdraw(address indexed to, uint256 amount)
    if: amount >= ether("10")
    title: "${{formatUnits(amount, 18)}} ether to ${{to}}"
    severity: P1
receivers:
  me: {{webhook: {{url: "{hook}"}}}}
"#,
        http = anvil.http_url(),
        ws = anvil.ws_url(),
        hook = receiver.url("/hook"),
    );
    let mut watchkeeper = Watchkeeper::start(&config).await;
    watchkeeper.wait_for_height("local", anvil.height().await).await;

    let small = Tx::call(vault, Fixture::Vault, "withdraw", &[number(ether(1))]);
    let large = Tx::call(vault, Fixture::Vault, "withdraw", &[number(ether(12))]);
    anvil.execute(&small).await;
    let sent = Instant::now();
    anvil.execute(&large).await;
    receiver
        .wait_for("the large withdrawal is told", Duration::from_secs(20), |all| {
            all.iter().any(|message| message.json()["kind"] == "finding")
        })
        .await;
    let took = sent.elapsed();
    let found = receiver.accepted().remove(0).json();
    let title = found["finding"]["title"].as_str().expect("a title").to_owned();
    assert!(title.starts_with("12") && title.contains("ether to 0x"), "{title}");
    println!("transaction sent to webhook received: {took:?}");

    anvil.reorg(2).await;
    receiver
        .wait_for("the retraction is told", Duration::from_secs(20), |all| {
            all.iter().any(|message| message.json()["kind"] == "retraction")
        })
        .await;
    let retraction =
        receiver.accepted().into_iter().map(|m| m.json()).find(|m| m["kind"] == "retraction");
    let retraction = retraction.expect("it was waited for");
    assert_eq!(retraction["finding"]["id"], found["finding"]["id"]);

    // Everything was looked at, in full, and an orderly end is one.
    let coverage = watchkeeper.get("/api/v1/chains/local/coverage").await;
    assert_eq!(coverage["missing"], 0, "{coverage}");
    // Of the very first block the parent is not known; everything else is verified in full.
    assert_eq!(coverage["weaker"], 1, "{coverage}");
    assert_eq!(watchkeeper.stop(), Some(0));
}
