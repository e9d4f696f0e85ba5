//! Attacks that wait for inclusion: told ahead of their block, and followed to their end.

use std::time::{Duration, Instant};

use crate::support::Watchkeeper;
use serde_json::{Value, json};
use wk_model::{Address, B256};
use wk_testkit::{Anvil, Receiver, Tx, anvil_or_skip, ether};

const PATIENCE: Duration = Duration::from_secs(40);

fn config(anvil: &Anvil, hook: &str, contracts: &[(&str, Address)]) -> String {
    let contracts: Vec<String> = contracts
        .iter()
        .map(|(name, at)| format!("  {name}: {{chain: local, address: \"{at}\"}}"))
        .collect();
    format!(
        r#"
chains:
  local:
    evm:
      rpc: "{http}"
      ws: "{ws}"
      block_time: 1s
      pending: {{simulate: true}}
receivers:
  me: {{webhook: {{url: "{hook}"}}}}
contracts:
{contracts}
"#,
        http = anvil.http_url(),
        ws = anvil.ws_url(),
        contracts = contracts.join("\n"),
    )
}

/// Messages of one kind about a transaction that is in no block, or was in none.
fn about(all: &[Value], kind: &str, tx: B256) -> Vec<Value> {
    let ours = |message: &&Value| {
        message["kind"] == kind
            && message["finding"]["evidence"]["tx"] == json!(tx)
            && message["finding"]["evidence"]["pending"] == true
    };
    all.iter().filter(ours).cloned().collect()
}

async fn wait_for(receiver: &Receiver, kind: &str, tx: B256, what: &str) -> Value {
    receiver
        .wait_for(what, PATIENCE, |all| {
            let all: Vec<Value> = all.iter().map(|message| message.json()).collect();
            !about(&all, kind, tx).is_empty()
        })
        .await;
    let all: Vec<Value> = receiver.accepted().iter().map(|message| message.json()).collect();
    about(&all, kind, tx).swap_remove(0)
}

fn title(message: &Value) -> &str {
    message["finding"]["title"].as_str().expect("a title")
}

#[tokio::test(flavor = "multi_thread")]
async fn pending_attacks_are_told_ahead_and_followed_to_their_end() {
    let anvil = anvil_or_skip!();
    let receiver = Receiver::start().await;
    let mover = anvil.set_scene("HonestMover", ether(10)).await;
    let thief = anvil.set_scene("ReentrancySame", ether(10)).await;
    let second = anvil.set_scene("ReentrancyCross", ether(10)).await;
    let third = anvil.set_scene("FlashOracle", ether(10)).await;
    let watched = [("mover", mover), ("thief", thief), ("second", second), ("third", third)];
    let config = config(&anvil, &receiver.url("/hook"), &watched);
    let mut watchkeeper = Watchkeeper::start(&config).await;
    watchkeeper.wait_for_height("local", anvil.height().await).await;
    anvil.rpc().call("evm_setAutomine", json!([false])).await;

    // The sender's transaction before it changes nothing about the attack.
    let harmless = anvil.send(&Anvil::play(mover, ether(0)).gas(3_000_000)).await;
    let sent = Instant::now();
    let attack = anvil.send(&Anvil::play(thief, ether(1)).gas(3_000_000)).await;
    let told = wait_for(&receiver, "finding", attack, "the pending attack is told").await;
    println!("pending transaction sent to webhook received: {:?}", sent.elapsed());
    let finding = &told["finding"];
    assert!(title(&told).starts_with("Pending: Reentrancy attack against 0x"), "{told:#}");
    assert_eq!((&finding["class"], &finding["severity"]), (&json!("reentrancy"), &json!("P0")));
    assert_eq!(finding["position"], Value::Null);
    assert_eq!(finding["evidence"]["traces"], "replay");
    assert_eq!(finding["evidence"]["after"], json!([harmless]));
    assert_eq!(finding["evidence"]["losses"][0]["shown"], "10 native coins");

    anvil.mine(1).await;
    let ended = wait_for(&receiver, "resolved", attack, "its block is told").await;
    let height = anvil.height().await;
    let begin = format!("Included in block {height}: Reentrancy attack");
    assert!(title(&ended).starts_with(&begin), "{ended:#}");
    let outcome = json!({"state": "included", "block": height, "success": true});
    assert_eq!(ended["finding"]["evidence"]["outcome"], outcome);
    receiver
        .wait_for("the block's own finding is told", PATIENCE, |all| {
            all.iter().any(|m| m.json()["finding"]["position"]["tx"] == json!(attack))
        })
        .await;

    let attack = anvil.send(&Anvil::play(second, ether(1)).gas(3_000_000)).await;
    wait_for(&receiver, "finding", attack, "the second attack is told").await;
    anvil.rpc().call("anvil_dropTransaction", json!([attack])).await;
    let ended = wait_for(&receiver, "resolved", attack, "that it was dropped is told").await;
    assert!(title(&ended).starts_with("Dropped: "), "{ended:#}");

    let sender = anvil.accounts()[1];
    let nonce = anvil.rpc().call("eth_getTransactionCount", json!([sender, "latest"])).await;
    let nonce = nonce.as_str().and_then(|text| u64::from_str_radix(&text[2..], 16).ok());
    let nonce = nonce.expect("a nonce");
    let play = Anvil::play(second, ether(1)).gas(3_000_000).nonce(nonce).tip(1_000_000_000);
    let attack = anvil.send(&play).await;
    wait_for(&receiver, "finding", attack, "the third attack is told").await;
    let instead = Tx::to(sender).from(1).gas(100_000).nonce(nonce).tip(50_000_000_000);
    let instead = anvil.send(&instead).await;
    let ended = wait_for(&receiver, "resolved", attack, "that it was replaced is told").await;
    assert!(title(&ended).starts_with(&format!("Replaced by {instead:#x}")), "{ended:#}");
    anvil.mine(1).await;

    // What was told before a stop ends after it.
    let attack = anvil.send(&Anvil::play(third, ether(0)).gas(5_000_000)).await;
    wait_for(&receiver, "finding", attack, "the last attack is told").await;
    assert!(receiver.keys().values().all(|count| *count == 1), "nothing is told twice");
    watchkeeper.kill();
    anvil.mine(1).await;
    watchkeeper.start_again().await;
    let ended = wait_for(&receiver, "resolved", attack, "its block is told after the stop").await;
    assert!(title(&ended).starts_with("Included in block"), "{ended:#}");

    let all: Vec<Value> = receiver.accepted().iter().map(|message| message.json()).collect();
    assert_eq!(about(&all, "finding", harmless), Vec::<Value>::new());
    assert_eq!(watchkeeper.stop(), Some(0));
}
