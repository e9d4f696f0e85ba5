//! A real anvil, driven through the helpers.

use std::time::Duration;

use alloy_primitives::U256;
use serde_json::json;
use wk_testkit::{
    Anvil, AnvilOptions, DynSolValue, Fixture, Mining, Tx, anvil_or_skip, ether, number, text,
    wait_until,
};

const DEADLINE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn contracts_are_deployed_called_and_fail_in_their_ways() {
    let anvil = anvil_or_skip!();
    let [owner, alice] = [0, 1].map(|account| anvil.accounts()[account]);
    let decimals = DynSolValue::Uint(U256::from(6), 8);
    let token = anvil.deploy(Fixture::Token, &[text("Dollar"), text("USDX"), decimals]).await;
    let mint = Tx::call(token, Fixture::Token, "mint", &[owner.into(), number(1_000)]);
    let receipt = anvil.execute(&mint).await;
    assert_eq!(receipt["logs"][0]["topics"][0], json!(Fixture::Token.topic("Transfer")));
    let balance = anvil.view(token, Fixture::Token, "balanceOf", &[owner.into()]).await;
    assert_eq!(balance, [number(1_000)]);

    let vault = anvil.deploy(Fixture::Vault, &[]).await;
    let deposit = Tx::call(vault, Fixture::Vault, "deposit", &[]).from(1).value(ether(5));
    assert_eq!(anvil.execute(&deposit).await["status"], "0x1");
    let withdraw =
        |amount| Tx::call(vault, Fixture::Vault, "withdraw", &[number(ether(amount))]).from(1);
    assert_eq!(anvil.execute(&withdraw(2)).await["status"], "0x1");
    assert_eq!(anvil.execute(&withdraw(4).gas(200_000)).await["status"], "0x0");
    let balance = anvil.view(vault, Fixture::Vault, "balanceOf", &[alice.into()]).await;
    assert_eq!(balance, [number(ether(3))]);
}

#[tokio::test]
async fn a_reorg_changes_hashes_and_drops_transactions() {
    let anvil = anvil_or_skip!();
    anvil.mine(3).await;
    let sent = anvil.send(&Tx::to(anvil.accounts()[1]).value(U256::from(1))).await;
    anvil.mine(2).await;
    assert!(anvil.receipt(sent).await.is_object());
    let (kept, old) = (anvil.hash(3).await, anvil.hash(4).await);
    anvil.reorg(2).await;
    assert_eq!(anvil.height().await, 5);
    assert_eq!(anvil.hash(3).await, kept);
    assert_ne!(anvil.hash(4).await, old);
    let receipt = anvil.rpc().call("eth_getTransactionReceipt", json!([sent])).await;
    assert!(receipt.is_null(), "{receipt}");
}

#[tokio::test]
async fn many_transactions_go_into_one_block() {
    let anvil = anvil_or_skip!();
    let emitter = anvil.deploy(Fixture::Emitter, &[]).await;
    let ping = Tx::call(emitter, Fixture::Emitter, "ping", &[number(2)]).gas(100_000);
    let txs: Vec<Tx> = (0..100).map(|index| ping.clone().from(index % 10)).collect();
    assert_eq!(anvil.send_all(&txs).await.len(), 100);
    anvil.mine(1).await;
    let block = anvil.block(anvil.height().await).await;
    assert_eq!(block["transactions"].as_array().unwrap().len(), 100);
}

#[tokio::test]
async fn blocks_come_by_themselves_and_chain_ids_differ() {
    let mining = Mining::Every(Duration::from_millis(100));
    let anvil = anvil_or_skip!(AnvilOptions { mining, ..AnvilOptions::default() });
    let other = anvil_or_skip!();
    assert_ne!(anvil.chain_id(), other.chain_id());
    wait_until("three blocks", DEADLINE, async || anvil.height().await >= 3).await;
    assert_eq!(other.height().await, 0);
}

#[tokio::test]
async fn drop_ends_the_process() {
    let anvil = anvil_or_skip!();
    let process = format!("/proc/{}", anvil.pid());
    assert!(std::path::Path::new(&process).exists());
    drop(anvil);
    assert!(!std::path::Path::new(&process).exists());
}

#[tokio::test]
async fn a_missing_anvil_is_an_error_that_says_what_to_do() {
    let error = wk_testkit::StartAnvil::NotFound.to_string();
    assert_eq!(error, "anvil not found (run make test)");
    assert!(Anvil::find().is_none_or(|path| path.is_file()));
}
