//! How a watched contract is used is learned from finalized blocks alone, and kept over a stop.

use serde_json::Value;
use wk_model::{Address, FindingStatus, Severity};
use wk_testkit::{Anvil, Fixture, Tx, anvil_or_skip, ether, wait_until};

use crate::support::{PATIENCE, Running, local};

impl Running {
    /// What is known of the only contract, once it was learned from so many transactions.
    async fn learned(&self, transactions: u64) -> Value {
        wait_until("it is learned", PATIENCE, async || self.known().await == transactions).await;
        let profiles = self.handle.store.contract_profiles(&local()).await.unwrap();
        serde_json::from_str(&profiles[0].1).unwrap()
    }

    async fn known(&self) -> u64 {
        let profiles = self.handle.store.contract_profiles(&local()).await.unwrap();
        let first = profiles.first().map(|(_, text)| serde_json::from_str::<Value>(text).unwrap());
        first.and_then(|profile| profile["transactions"].as_u64()).unwrap_or(0)
    }

    async fn all_inspected(&self, anvil: &Anvil) {
        self.catch_up(anvil).await;
        let height = anvil.height().await;
        wait_until("all is inspected", PATIENCE, async || {
            let status = self.handle.statuses.get(&local()).and_then(|s| s.inspection);
            status.is_some_and(|s| s.pending == 0 && s.inspected.is_some_and(|h| h.0 >= height))
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_never_done_with_a_contract_is_told_once_its_use_is_known() {
    let anvil = anvil_or_skip!();
    let vault = anvil.deploy(Fixture::Vault, &[]).await;
    let config = format!(
        "chains: {{local: {{evm: {{rpc: \"{}\", ws: \"{}\", block_time: 1s}}}}}}\n\
         contracts: {{vault: {{chain: local, address: \"{vault}\"}}}}\n\
         detectors: {{unusual_use: {{warm_up: 5, settled_blocks: 6}}}}\n",
        anvil.http_url(),
        anvil.ws_url()
    );
    let running = Running::start(&config).await;
    running.catch_up(&anvil).await;
    let deposit = |wei| Tx::call(vault, Fixture::Vault, "deposit", &[]).from(1).value(wei);
    let heartbeat = || Tx::call(vault, Fixture::Vault, "heartbeat", &[]);
    // While nothing is known, nothing is unusual.
    for n in 1..=6 {
        anvil.execute(&deposit(ether(n))).await;
    }
    running.all_inspected(&anvil).await;
    assert!(running.findings("unusual_use").await.is_empty());
    assert_eq!(running.known().await, 0, "nothing is finalized yet");
    anvil.mine(10).await;
    running.learned(6).await;

    // After a stop it is still known.
    let running = running.restart(&config).await;
    anvil.execute(&deposit(ether(2))).await;
    running.all_inspected(&anvil).await;
    assert!(running.findings("unusual_use").await.is_empty());
    let receipt = anvil.execute(&heartbeat()).await;
    assert_eq!(receipt["status"], "0x1");
    running.all_inspected(&anvil).await;
    let told = running.findings("unusual_use").await;
    assert_eq!(told.len(), 1, "{told:?}");
    let finding = &told[0].finding;
    assert_eq!(finding.severity, Severity::P3);
    assert_eq!(finding.title, "Possible unusual use at vault");
    assert_eq!(finding.evidence["kinds"], serde_json::json!(["new_function"]));
    assert_eq!(finding.evidence["learned_from_transactions"], 6);

    // Reverted, it is taken back and never learned; what stays is.
    anvil.reorg(1).await;
    anvil.mine(12).await;
    let profile = running.learned(7).await;
    assert_eq!(profile["functions"].as_object().unwrap().len(), 1, "{profile:#}");
    assert_eq!(running.findings("unusual_use").await[0].status, FindingStatus::Retracted);

    // Once it is learned, it is unusual no more.
    anvil.execute(&heartbeat()).await;
    anvil.mine(12).await;
    running.learned(8).await;
    let before = running.findings("unusual_use").await.len();
    anvil.execute(&heartbeat()).await;
    running.all_inspected(&anvil).await;
    assert_eq!(running.findings("unusual_use").await.len(), before);
    assert!(
        running
            .handle
            .store
            .contract_uses(&local(), wk_model::Height(0), 9)
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_use_is_not_initialised_in_silence() {
    let anvil = anvil_or_skip!();
    // Does nothing, whatever it is told.
    let code = [0x60, 0x01, 0x60, 0x0c, 0x60, 0x00, 0x39, 0x60, 0x01, 0x60, 0x00, 0xf3, 0x00];
    let receipt = anvil.execute(&Tx::default().data(code.to_vec().into())).await;
    let wallet: Address = serde_json::from_value(receipt["contractAddress"].clone()).unwrap();
    let config = format!(
        "chains: {{local: {{evm: {{rpc: \"{}\", ws: \"{}\", block_time: 1s}}}}}}\n\
         contracts: {{wallet: {{chain: local, address: \"{wallet}\"}}}}\n",
        anvil.http_url(),
        anvil.ws_url()
    );
    let running = Running::start(&config).await;
    running.catch_up(&anvil).await;
    // initialize(address)
    let initialise =
        || Tx::to(wallet).data([&[0xc4, 0xd6, 0x6d, 0xe8][..], &[7; 32]].concat().into());
    let severities = async || -> Vec<Severity> {
        let found = running.findings("access_control").await;
        found.iter().map(|row| row.finding.severity).collect()
    };
    anvil.execute(&initialise()).await;
    running.all_inspected(&anvil).await;
    assert_eq!(severities().await, [Severity::P3], "so do those who made it");
    anvil.mine(12).await;
    running.learned(1).await;
    anvil.execute(&initialise()).await;
    running.all_inspected(&anvil).await;
    assert_eq!(severities().await, [Severity::P1, Severity::P3]);
}
