//! `kill -9` at any moment, a hundred times, under load: nothing lost, nothing told twice.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::support::Watchkeeper;
use serde_json::json;
use wk_testkit::{AnvilOptions, Fixture, Mining, Receiver, Tx, anvil_or_skip, ether, number};

/// How often the program is killed.
const KILLS: u64 = 100;

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_kills_lose_nothing_and_tell_nothing_twice() {
    let anvil = anvil_or_skip!(AnvilOptions { mining: Mining::Manual, ..AnvilOptions::default() });
    let vault = anvil.deploy(Fixture::Vault, &[]).await;
    anvil.execute(&Tx::call(vault, Fixture::Vault, "deposit", &[]).value(ether(50))).await;
    let deposit = Tx::call(vault, Fixture::Vault, "deposit", &[]).value(ether(50)).from(1);
    anvil.execute(&deposit).await;
    let receiver = Receiver::start().await;
    let first = anvil.height().await + 1;
    let config = format!(
        r#"
chains:
  local: {{evm: {{rpc: "{http}", ws: "{ws}", from: {first}, block_time: 200ms}}}}
contracts:
  vault: {{chain: local, address: "{vault}"}}
rules:
  - id: withdrawal
    watch: vault
    event: Withdraw(address indexed to, uint256 amount)
    severity: P2
  - id: many-withdrawals
    watch: vault
    event: Withdraw(address indexed to, uint256 amount)
    window: {{by: to, over: "20 blocks", when: count > 12}}
    severity: P1
receivers:
  me: {{webhook: {{url: "{hook}"}}}}
"#,
        http = anvil.http_url(),
        ws = anvil.ws_url(),
        hook = receiver.url("/hook"),
    );
    anvil.mine(1).await;
    let mut watchkeeper = Watchkeeper::start(&config).await;
    // A fixed sequence of odd waits: over the whole life of a start, from opening the store to
    // delivering at the head.
    let mut wait = 17;
    for round in 0..KILLS {
        let withdraw = Tx::call(vault, Fixture::Vault, "withdraw", &[number(round + 1)]);
        anvil.send_all(&[withdraw.clone(), withdraw.clone().from(1)]).await;
        anvil.mine(2).await;
        wait = (wait * 37 + 11) % 401;
        tokio::time::sleep(Duration::from_millis(wait)).await;
        watchkeeper.kill();
        watchkeeper.spawn();
    }
    watchkeeper.kill();
    anvil.mine(1).await;
    watchkeeper.start_again().await;
    let last = anvil.height().await;
    watchkeeper.wait_for_height("local", last).await;

    let filter = json!([{
        "address": vault, "fromBlock": format!("{first:#x}"), "toBlock": format!("{last:#x}"),
        "topics": [Fixture::Vault.topic("Withdraw")],
    }]);
    let logs = anvil.rpc().call("eth_getLogs", filter).await;
    let expected: BTreeSet<(String, u64)> = logs
        .as_array()
        .expect("logs are a list")
        .iter()
        .map(|log| {
            let index = log["logIndex"].as_str().expect("an index").trim_start_matches("0x");
            let hash = log["blockHash"].as_str().expect("a hash").to_owned();
            (hash, u64::from_str_radix(index, 16).expect("hex"))
        })
        .collect();
    assert!(expected.len() as u64 >= KILLS, "load: {} events", expected.len());

    let findings = watchkeeper.findings("&source=withdrawal").await;
    let have: BTreeSet<(String, u64)> = findings
        .iter()
        .map(|finding| {
            let position = &finding["position"];
            let hash = position["hash"].as_str().expect("a hash").to_owned();
            (hash, position["log_index"].as_u64().expect("an index"))
        })
        .collect();
    assert_eq!(findings.len(), have.len(), "a finding is stored twice");
    assert_eq!(have, expected, "findings and events differ");

    // Every finding was told, each under one key.
    let all = watchkeeper.findings("&chain=local").await;
    let told: BTreeSet<String> = all.iter().map(|finding| finding["id"].to_string()).collect();
    let outbox_empty = |status: &serde_json::Value| status["outbox"]["due"] == 0;
    watchkeeper.wait("/api/v1/status", "every message is delivered", outbox_empty).await;
    let accepted = receiver.accepted();
    let mut keys_of: std::collections::BTreeMap<(String, String), BTreeSet<String>> =
        std::collections::BTreeMap::new();
    for message in &accepted {
        let body = message.json();
        let about = (body["finding"]["id"].to_string(), body["kind"].to_string());
        let key = message.key().expect("each message has a key").to_owned();
        keys_of.entry(about).or_default().insert(key);
    }
    let found: BTreeSet<String> = keys_of
        .keys()
        .filter(|(_, kind)| kind == "\"finding\"")
        .map(|(finding, _)| finding.clone())
        .collect();
    let of_rules: BTreeSet<String> = all
        .iter()
        .filter(|finding| finding["source_kind"] == "rule")
        .map(|finding| finding["id"].to_string())
        .collect();
    assert!(of_rules.is_subset(&found), "a finding was not told");
    assert!(found.is_subset(&told), "something was told that is no finding");
    for ((finding, kind), keys) in &keys_of {
        assert_eq!(keys.len(), 1, "{finding} was told ({kind}) under several keys: {keys:?}");
    }

    let coverage = watchkeeper.get("/api/v1/chains/local/coverage").await;
    assert_eq!(coverage["missing"], 0, "{coverage}");
    assert_eq!(coverage["contiguous_from"], first, "{coverage}");
    let repeated = accepted.len() - receiver.keys().len();
    println!(
        "{KILLS} kills: {} events, {} findings, {} messages under {} keys ({repeated} repeated), blocks {first}–{last} contiguous",
        expected.len(),
        all.len(),
        accepted.len(),
        receiver.keys().len(),
    );
}
