//! Contracts and money on real chains: funds followed, contracts examined, costs counted, a bridge's
//! releases held against its deposits, findings held against labels.

use serde_json::{Value, json};
use wk_testkit::{Anvil, DynSolValue, Fixture, Tx, anvil_or_skip, ether, number};

use crate::support::{Watchkeeper, run};

/// `wk_testkit` speaks of these with the same types as the program.
type Address = wk_model::Address;

fn folder(config: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    std::fs::write(folder.path().join("watchkeeper.yaml"), config).expect("it can be written");
    folder
}

fn chain(name: &str, anvil: &Anvil) -> String {
    format!("  {name}: {{evm: {{rpc: \"{}\", block_time: 1s}}}}\n", anvil.http_url())
}

/// A transfer of money.
async fn pay(anvil: &Anvil, from: usize, to: Address, amount: u64) {
    anvil.execute(&Tx::to(to).from(from).value(ether(amount))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn funds_are_followed_on_a_real_chain() {
    let anvil = anvil_or_skip!();
    let weth = anvil.deploy(Fixture::Weth, &[]).await;
    let (mixer, exchange) = (Address::repeat_byte(0x90), Address::repeat_byte(0x91));
    let accounts = anvil.accounts().to_vec();
    let root = accounts[1];
    // Mixed money: the second account had 10,000 before.
    pay(&anvil, 1, accounts[2], 1_000).await;
    pay(&anvil, 2, mixer, 1_100).await;
    // Wrapped, handed on, unwrapped by a payment from inside of the contract, paid out.
    anvil.execute(&Tx::call(weth, Fixture::Weth, "deposit", &[]).from(1).value(ether(10))).await;
    let transfer = |to: Address, amount: u64| {
        let arguments = [DynSolValue::Address(to), number(ether(amount))];
        Tx::call(weth, Fixture::Weth, "transfer", &arguments)
    };
    anvil.execute(&transfer(accounts[4], 3).from(1)).await;
    anvil.execute(&transfer(exchange, 7).from(1)).await;
    anvil.execute(&Tx::call(weth, Fixture::Weth, "withdraw", &[number(ether(3))]).from(4)).await;
    anvil.mine(1).await;

    let config = format!(
        "chains:\n{}labels:\n  - {{address: \"{mixer}\", kind: mixer, name: tornado}}\n  \
         - {{address: \"{exchange}\", kind: exchange}}\n",
        chain("local", &anvil)
    );
    let folder = folder(&config);
    let root = root.to_string();
    let ended = run(folder.path(), &["trace", "funds", &root, "--from", "0", "-o", "json"]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let graph = ended.json();
    let wei = |amount: u64| ether(amount).to_string();
    let token = format!("{weth:#x}");
    assert_eq!(graph["endings"]["mixer"]["native"], wei(100), "a tenth of 1,100: {graph:#}");
    assert_eq!(graph["endings"]["exchange"][&token], wei(7), "{graph:#}");
    // What was unwrapped lies with its owner, as coins.
    let holder = format!("{:#x}", accounts[4]);
    let nodes = graph["nodes"].as_array().expect("a list");
    let node = nodes.iter().find(|node| node["address"] == holder).expect("it is on the way");
    assert_eq!(node["holds"]["native"], wei(3), "{graph:#}");
    let exchanges = graph["exchanges"].as_array().expect("a list");
    assert!(exchanges.iter().any(|one| one["account"] == holder), "{graph:#}");
    assert_eq!(graph["notes"], json!([]), "the node traces: {graph:#}");

    // The other forms say the same.
    let tree = run(folder.path(), &["trace", "funds", &root, "--from", "0"]).await;
    assert!(tree.stdout.contains("(mixer: tornado)  [mixer]"), "{tree:?}");
    let dot = run(folder.path(), &["trace", "funds", &root, "--from", "0", "--dot"]).await;
    assert!(dot.stdout.starts_with("digraph funds {"), "{dot:?}");
    let csv = run(folder.path(), &["trace", "funds", &root, "--from", "0", "-o", "csv"]).await;
    assert!(csv.stdout.starts_with("from,to,asset,amount"), "{csv:?}");
    // Backwards, by an endpoint instead of a config: the mixer's money came from two.
    let back = [
        "trace",
        "funds",
        &format!("{mixer:#x}"),
        "--backward",
        "--from",
        "0",
        "--rpc",
        &anvil.http_url(),
        "-o",
        "json",
    ];
    let graph = run(folder.path(), &back).await.json();
    let from = format!("{:#x}", accounts[2]);
    let edges = graph["edges"].as_array().expect("a list");
    assert!(
        edges.iter().any(|edge| edge["to"] == from && edge["amount"] == wei(1_100)),
        "{graph:#}"
    );
    let wrong = run(folder.path(), &["trace", "funds", &root, "--from", "9", "--to", "3"]).await;
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn contracts_are_examined_and_their_costs_counted() {
    let anvil = anvil_or_skip!();
    let logic = anvil.deploy(Fixture::CounterV1, &[]).await;
    let proxy = anvil.deploy(Fixture::Proxy, &[DynSolValue::Address(logic)]).await;
    let vault = anvil.deploy(Fixture::Vault, &[]).await;
    let config = format!(
        "chains:\n{}contracts:\n  proxy: {{chain: local, address: \"{proxy}\"}}\n  \
         vault: {{chain: local, address: \"{vault}\"}}\ncoin_prices: {{local: 2000}}\n",
        chain("local", &anvil)
    );
    let made = folder(&config);
    let address = proxy.to_string();
    let ended = run(made.path(), &["inspect", "contract", &address, "-o", "json"]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let examined = ended.json();
    assert_eq!(examined["code"]["proxy"]["kind"], "eip1967", "{examined:#}");
    assert_eq!(examined["implementation"]["address"], format!("{logic:#x}"));
    assert_eq!(examined["admin"], format!("{:#x}", anvil.accounts()[0]));
    let item = |items: &Value, name: &str| {
        let items = items.as_array().expect("a list");
        items.iter().find(|item| item["name"] == name).expect("each item is there").clone()
    };
    let items = &examined["risk"]["items"];
    assert_eq!(item(items, "upgrade")["points"], 30, "one key can change it: {items:#}");
    assert_eq!(item(items, "age")["known"], true, "{items:#}");
    assert_eq!(item(items, "verified")["fact"], "unknown", "{items:#}");
    let text = run(made.path(), &["inspect", "contract", &address]).await;
    assert!(text.stdout.contains("one key (EOA), at once"), "{text:?}");
    let nobody = "0x00000000000000000000000000000000000000aa";
    let none = run(made.path(), &["inspect", "contract", nobody]).await;
    assert_eq!(none.code, Some(3), "{none:?}");
    // Code in a file: a selfdestruct that anyone can reach.
    std::fs::write(made.path().join("code.hex"), "0x33ff\n").expect("it can be written");
    let code = run(made.path(), &["inspect", "code", "code.hex", "-o", "json"]).await.json();
    assert_eq!(code[0]["findings"][0]["check"], "unprotected_selfdestruct", "{code:#}");

    // Live: what the vault's callers spend, and how risky it is.
    // What created it would count, too, if it stood in the first block that is watched.
    anvil.mine(1).await;
    let friend = anvil.accounts()[5];
    pay(&anvil, 0, friend, 1).await;
    let mut watchkeeper = Watchkeeper::start(&config).await;
    watchkeeper.wait_for_height("local", anvil.height().await).await;
    anvil.execute(&Tx::call(vault, Fixture::Vault, "deposit", &[]).value(ether(5))).await;
    anvil.execute(&Tx::call(vault, Fixture::Vault, "withdraw", &[number(ether(1))])).await;
    let too_much = Tx::call(vault, Fixture::Vault, "withdraw", &[number(ether(99))]);
    let failed = anvil.execute(&too_much.gas(200_000)).await;
    assert_eq!(failed["status"], "0x0", "the vault does not have that much");
    let costs = "/api/v1/contracts/vault/costs";
    watchkeeper
        .wait(costs, "all three calls are counted", |costs| costs["total"]["calls"] == 3)
        .await;
    let costs = watchkeeper.get(costs).await;
    assert_eq!(costs["total"]["failed"], 1, "{costs:#}");
    assert_eq!(costs["functions"].as_array().expect("a list").len(), 2, "{costs:#}");
    let fees: u128 =
        costs["total"]["fees"].as_str().and_then(|fees| fees.parse().ok()).expect("wei");
    let fiat = costs["total"]["fees_fiat"].as_f64().expect("a price is set");
    assert!(fees > 0 && (fiat / (fees as f64 / 1e18 * 2_000.0) - 1.0).abs() < 1e-9, "{costs:#}");
    // The receipt only says that it failed; the trace says why.
    let said = |costs: &Value| {
        let errors =
            costs["total"]["errors"].as_object().map(|errors| errors.keys().cloned().collect());
        errors.is_some_and(|all: Vec<String>| all.len() == 1 && !all[0].contains("not told"))
    };
    watchkeeper.wait("/api/v1/contracts/vault/costs", "the reason is known", said).await;
    // A reorg takes its calls back.
    anvil.rollback(1).await;
    anvil.mine(2).await;
    let costs = "/api/v1/contracts/vault/costs";
    watchkeeper
        .wait(costs, "the reverted call is gone", |costs| costs["total"]["calls"] == 2)
        .await;
    assert_eq!(watchkeeper.get(costs).await["total"]["failed"], 0);
    watchkeeper.wait_for_height("local", anvil.height().await).await;
    let risk = watchkeeper.get("/api/v1/contracts/proxy/risk").await;
    assert_eq!(item(&risk["items"], "upgrade")["points"], 30, "{risk:#}");
    assert_eq!(item(&risk["items"], "findings")["fact"], "0 urgent, 0 minor", "{risk:#}");
    let contracts = watchkeeper.get("/api/v1/contracts").await;
    assert_eq!(contracts[1]["name"], "vault", "{contracts:#}");
    let funds = format!("/api/v1/chains/local/funds/{:#x}?from=0&to=7", anvil.accounts()[0]);
    let graph = watchkeeper.get(&funds).await;
    assert_eq!(graph["edges"][0]["to"], format!("{friend:#x}"), "{graph:#}");
    assert_eq!(watchkeeper.stop(), Some(0));
}

/// Logs what it is called with: four topics and a word.
const LOGGER: &str = "60158060095f395ff360803560005260603560403560203560003560206000a400";

/// One of the plain bridge's events.
async fn emit(anvil: &Anvil, logger: Address, name: &str, id: u64, amount: u64) {
    let signature = format!("{name}(bytes32,address,address,uint256)");
    let word = |bytes: &[u8]| {
        let mut word = [0; 32];
        word[32 - bytes.len()..].copy_from_slice(bytes);
        word
    };
    let data = [
        wk_model::primitives::keccak256(signature).0,
        word(&id.to_be_bytes()),
        word(&[0x11; 20]),
        word(&[0x22; 20]),
        word(&amount.to_be_bytes()),
    ];
    let receipt = anvil.execute(&Tx::to(logger).data(data.concat().into())).await;
    assert_eq!(receipt["logs"].as_array().map(Vec::len), Some(1), "{receipt:#}");
}

async fn logger(anvil: &Anvil) -> Address {
    // The length byte is that of the code behind the begin.
    let mut code = wk_model::primitives::hex::decode(LOGGER).expect("it is hex");
    code[1] = u8::try_from(code.len() - 9).expect("it is short");
    let receipt = anvil.execute(&Tx::default().data(code.into())).await;
    serde_json::from_value(receipt["contractAddress"].clone()).expect("it was created")
}

#[tokio::test(flavor = "multi_thread")]
async fn releases_of_a_bridge_are_held_against_its_deposits() {
    let source = anvil_or_skip!();
    let target = anvil_or_skip!();
    let (lock, release) = (logger(&source).await, logger(&target).await);
    emit(&source, lock, "Deposited", 1, 500).await;
    emit(&source, lock, "Deposited", 2, 500).await;
    emit(&target, release, "Released", 1, 500).await;
    emit(&target, release, "Released", 2, 501).await;
    emit(&target, release, "Released", 1, 500).await;
    emit(&target, release, "Released", 3, 7).await;
    let bridge = format!(
        "bridges:\n  plain:\n    finality: 0s\n    source: {{chain: a, contracts: \"{lock}\"}}\n    \
         target: {{chain: b, contracts: \"{release}\"}}\n"
    );
    let config = format!("chains:\n{}{}{bridge}", chain("a", &source), chain("b", &target));
    let made = folder(&config);
    // The source chain goes on, so that it is known that no deposit is missing.
    let time = target.block(target.height().await).await["timestamp"].clone();
    let time = u64::from_str_radix(time.as_str().expect("a time").trim_start_matches("0x"), 16);
    source.mine_at(time.expect("a number") + 10).await;
    let ended = run(made.path(), &["inspect", "bridge", "plain", "-o", "json"]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let flags = ended.json();
    let reasons: Vec<&str> = flags
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|flag| flag["reason"].as_str())
        .collect();
    assert_eq!(reasons, ["differs", "already_released", "no_deposit"], "{flags:#}");
    assert_eq!(flags[0]["severity"], "P0", "{flags:#}");
    assert_eq!(flags[0]["evidence"]["differs_in"], json!(["amount"]), "{flags:#}");
    let none = run(made.path(), &["inspect", "bridge", "other"]).await;
    assert_eq!(none.code, Some(3), "{none:?}");
    // What is wrong with a bridge's settings is said with its place.
    let wrong =
        folder(&config.replace("chain: a", "chain: c").replace("plain:", "plain:\n    max_fee: 2"));
    let ended = run(wrong.path(), &["check"]).await;
    assert_eq!(ended.code, Some(4), "{ended:?}");
    for part in ["there is no chain `c`", "`2` is no share"] {
        let said = ended.stderr.clone() + &ended.stdout;
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn findings_are_held_against_labels() {
    let anvil = anvil_or_skip!();
    let vault = anvil.deploy(Fixture::Vault, &[]).await;
    anvil.execute(&Tx::call(vault, Fixture::Vault, "deposit", &[]).value(ether(50))).await;
    let mut hashes = Vec::new();
    for amount in [3, 1, 2] {
        let withdraw = Tx::call(vault, Fixture::Vault, "withdraw", &[number(ether(amount))]);
        hashes.push(anvil.execute(&withdraw).await["transactionHash"].clone());
    }
    let config = format!(
        "chains:\n{}contracts:\n  vault: {{chain: local, address: \"{vault}\"}}\nrules:\n  \
         - id: withdrawal\n    watch: vault\n    \
         event: Withdraw(address indexed to, uint256 amount)\n    if: amount >= ether(\"2\")\n    \
         severity: P1\n    labels: {{class: drain}}\n",
        chain("local", &anvil)
    );
    let made = folder(&config);
    // The large one is an attack and is found, the small one is an attack and is not, and the
    // middle one is found and harmless. It is the attacker's, and earlier than none of them.
    let attacker = anvil.accounts()[0];
    let labels = json!([
        {"tx": hashes[2], "labels": ["drain"], "name": "large", "attacker": attacker},
        {"tx": hashes[1], "labels": ["drain"], "name": "small", "attacker": attacker},
    ]);
    std::fs::write(made.path().join("labels.json"), labels.to_string()).expect("it can be written");
    let arguments = ["backtest", "--from", "0", "--labels", "labels.json"];
    let ended = run(made.path(), &[&arguments[..], &["-o", "json"]].concat()).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let card = ended.json();
    assert_eq!(card["recall"]["share"], 0.5, "{card:#}");
    assert_eq!(card["right_class"]["of"], 1, "{card:#}");
    assert_eq!(card["precision"]["share"], 0.5, "{card:#}");
    assert_eq!(card["missed"], json!(["small"]), "{card:#}");
    // Three harmless ones: the deployment, the deposit, and the one that is accused.
    assert_eq!(card["false_positives_per_1000"].as_f64().map(f64::round), Some(333.0), "{card:#}");
    assert_eq!(card["leads"][1]["blocks"], 2, "found out with its first: {card:#}");
    let table = run(made.path(), &arguments).await;
    assert!(table.stdout.contains("P0 and P1 false positives per 1,000"), "{table:?}");
    let missing = run(made.path(), &["backtest", "--from", "0", "--labels", "none.json"]).await;
    assert_eq!(missing.code, Some(2), "{missing:?}");
}
