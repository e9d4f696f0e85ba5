//! What stands behind a proxy is known block by block: upgrades, reorgs, beacons, and changes that
//! no event tells.

use serde_json::json;
use wk_model::proxy::{Change, Target, Upgrade};
use wk_model::{Address, B256, Bytes, FindingStatus, Severity};
use wk_testkit::{Anvil, AnvilOptions, DynSolValue, Fixture, Tx, anvil_or_skip, wait_until};

use crate::support::{PATIENCE, Running, local};

const IMPLEMENTATION: &str = "0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc";
const ADMIN: &str = "0xb53127684a568b3173ae13b9f8a6016e243e63b6e8ee1178d6a717850b5d6103";

fn config(anvil: &Anvil, contract: Address) -> String {
    format!(
        r#"
chains:
  local: {{evm: {{rpc: "{}", ws: "{}", block_time: 1s}}}}
contracts:
  counter: {{address: "{contract}", proxy_reread_blocks: 2, labels: {{team: core}}}}
"#,
        anvil.http_url(),
        anvil.ws_url()
    )
}

async fn set_slot(anvil: &Anvil, contract: Address, slot: &str, value: Address) {
    let word = B256::left_padding_from(value.as_slice());
    anvil.rpc().call("anvil_setStorageAt", json!([contract, slot, word])).await;
}

impl Running {
    async fn upgrades(&self) -> Vec<Upgrade> {
        let rows = self.handle.store.upgrades(&local()).await.unwrap();
        rows.into_iter().map(|row| row.upgrade).collect()
    }

    /// Waits until the targets of `contract`, lowest block first, are these; true means that a log
    /// told it.
    async fn wait_for_targets(&self, contract: Address, expected: &[(Target, bool)]) {
        wait_until(&format!("the targets are {expected:?}"), PATIENCE, async || {
            let targets: Vec<(Target, bool)> = self
                .upgrades()
                .await
                .into_iter()
                .filter(|upgrade| upgrade.address == contract)
                .filter_map(|upgrade| match upgrade.change {
                    Change::Target(target) => Some((target, upgrade.log.is_some())),
                    Change::Admin(_) => None,
                })
                .collect();
            targets == expected
        })
        .await;
    }
}

async fn counter(anvil: &Anvil) -> (Address, Address, Address) {
    let first = anvil.deploy(Fixture::CounterV1, &[]).await;
    let second = anvil.deploy(Fixture::CounterV2, &[]).await;
    let proxy = anvil.deploy(Fixture::Proxy, &[DynSolValue::Address(first)]).await;
    // Watching begins after the event of its making.
    anvil.mine(1).await;
    (proxy, first, second)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_is_known_until_its_block_goes() {
    let anvil = anvil_or_skip!();
    let (proxy, first, second) = counter(&anvil).await;
    let running = Running::start(&config(&anvil, proxy)).await;
    running.catch_up(&anvil).await;
    let (first, second) = (Target::Implementation(first), Target::Implementation(second));
    running.wait_for_targets(proxy, &[(first, false)]).await;

    let Target::Implementation(to) = second else { unreachable!() };
    let upgrade = Tx::call(proxy, Fixture::Proxy, "upgradeTo", &[DynSolValue::Address(to)]);
    anvil.execute(&upgrade).await;
    anvil.mine(1).await;
    running.wait_for_targets(proxy, &[(first, false), (second, true)]).await;

    anvil.reorg(2).await;
    anvil.mine(3).await;
    running.catch_up(&anvil).await;
    running.wait_for_targets(proxy, &[(first, false)]).await;

    anvil.execute(&upgrade).await;
    anvil.mine(4).await;
    running.catch_up(&anvil).await;
    running.wait_for_targets(proxy, &[(first, false), (second, true)]).await;
    assert_eq!(running.findings("silent_upgrade").await, [], "an event told it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_without_an_event_is_found() {
    // No block of this test is ever final.
    let anvil = anvil_or_skip!(AnvilOptions { slots_in_an_epoch: 32, ..AnvilOptions::default() });
    let (proxy, first, second) = counter(&anvil).await;
    let config = config(&anvil, proxy);
    let running = Running::start(&config).await;
    running.catch_up(&anvil).await;
    let targets = [(Target::Implementation(first), false), (Target::Implementation(second), false)];
    running.wait_for_targets(proxy, &targets[..1]).await;
    // What is known outlives a reload, and a restart.
    running.reload(&format!("{config}    # changed\n")).await;
    let running = running.restart(&config).await;
    anvil.mine(1).await;
    running.catch_up(&anvil).await;
    assert_eq!(running.findings("silent_upgrade").await, []);

    set_slot(&anvil, proxy, IMPLEMENTATION, second).await;
    anvil.mine(3).await;
    running.catch_up(&anvil).await;
    running.wait_for_targets(proxy, &targets).await;
    let found = running.findings("silent_upgrade").await.remove(0);
    assert_eq!(found.finding.severity, Severity::P1);
    assert_eq!(found.finding.asset.as_str(), "contract/local/counter");
    let short = |address: Address| address.to_string().to_lowercase();
    assert_eq!(
        found.finding.title,
        format!(
            "counter: implementation changed without an event, from {} to {}",
            short(first),
            short(second)
        )
    );
    assert_eq!(found.finding.labels["team"], "core");

    // The admin, too; and each change is told once.
    set_slot(&anvil, proxy, ADMIN, second).await;
    anvil.mine(5).await;
    running.catch_up(&anvil).await;
    assert_eq!(running.findings("silent_admin_change").await.len(), 1);
    assert_eq!(running.findings("silent_upgrade").await.len(), 1);

    // The blocks go, and the change with them.
    anvil.reorg(9).await;
    running.catch_up(&anvil).await;
    wait_until("the findings are taken back", PATIENCE, async || {
        let found = running.findings("silent_upgrade").await;
        found.len() == 1 && found[0].status == FindingStatus::Retracted
    })
    .await;
    running.wait_for_targets(proxy, &targets[..1]).await;
}

/// Answers any call with the address in its slot 0; 32 bytes of call data are taken as a new one,
/// with an `Upgraded` event.
fn beacon_code() -> Bytes {
    let topic = Fixture::Proxy.topic("Upgraded");
    let runtime = [
        &hex("366020 14 600f 57 5f54 5f52 6020 5f f3 5b 5f35 80 5f55 7f")[..],
        topic.as_slice(),
        &hex("5f5fa200"),
    ]
    .concat();
    let length = u8::try_from(runtime.len()).unwrap();
    let init = [0x60, length, 0x60, 0x0a, 0x5f, 0x39, 0x60, length, 0x5f, 0xf3];
    [&init[..], &runtime].concat().into()
}

/// A contract that keeps `beacon` in its EIP-1967 slot and does nothing.
fn beacon_proxy_code(beacon: Address) -> Bytes {
    let slot = hex("a3f0ad74e5423aebfd80d3ef4346578335a9a72aeaee59ff6cb3582b35133d50");
    // The runtime code is one STOP: memory is zero.
    [&[0x73], beacon.as_slice(), &[0x7f], &slot, &hex("55 6001 5f f3")].concat().into()
}

fn hex(text: &str) -> Vec<u8> {
    let digits: String = text.split_whitespace().collect();
    wk_model::primitives::hex::decode(digits).unwrap()
}

async fn create(anvil: &Anvil, code: Bytes) -> Address {
    let receipt = anvil.execute(&Tx::default().data(code)).await;
    assert_eq!(receipt["status"], "0x1");
    serde_json::from_value(receipt["contractAddress"].clone()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_beacon_is_followed_also_after_a_restart() {
    let anvil = anvil_or_skip!();
    let beacon = create(&anvil, beacon_code()).await;
    let proxy = create(&anvil, beacon_proxy_code(beacon)).await;
    let point = async |to: u8| {
        let word = B256::left_padding_from(Address::repeat_byte(to).as_slice());
        anvil.execute(&Tx::to(beacon).data(Bytes::copy_from_slice(word.as_slice()))).await;
    };
    let code = |to: u8| Target::Implementation(Address::repeat_byte(to));
    point(1).await;
    anvil.mine(1).await;
    let config = config(&anvil, proxy);
    let running = Running::start(&config).await;
    running.catch_up(&anvil).await;
    running.wait_for_targets(proxy, &[(Target::Beacon(beacon), false)]).await;
    running.wait_for_targets(beacon, &[(code(1), false)]).await;

    point(2).await;
    running.wait_for_targets(beacon, &[(code(1), false), (code(2), true)]).await;
    anvil.reorg(1).await;
    anvil.mine(1).await;
    running.catch_up(&anvil).await;
    running.wait_for_targets(beacon, &[(code(1), false)]).await;

    let running = running.restart(&config).await;
    anvil.mine(1).await;
    running.catch_up(&anvil).await;
    point(3).await;
    running.wait_for_targets(beacon, &[(code(1), false), (code(3), true)]).await;
    assert_eq!(running.findings("silent_upgrade").await, []);

    // The beacon says something else, and no event told it.
    set_slot(&anvil, beacon, "0x0", Address::repeat_byte(4)).await;
    anvil.mine(3).await;
    running.wait_for_targets(beacon, &[(code(1), false), (code(3), true), (code(4), false)]).await;
    assert_eq!(running.findings("silent_upgrade").await.len(), 1);
}
