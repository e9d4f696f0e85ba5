//! Attacks and their harmless look-alikes on a real chain, watched live: what is told, how soon, and
//! that a revert takes it back.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::support::{Watchkeeper, run};
use serde_json::{Value, json};
use wk_model::{Address, U256};
use wk_testkit::{Anvil, Fixture, Receiver, Tx, anvil_or_skip, ether, scene};

const PATIENCE: Duration = Duration::from_secs(30);

/// What is to be told of a scene.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Twin {
    /// An attack of this class, at P0 or P1.
    Attack(&'static str),
    /// Something of this class, at any severity: what one transaction of it shows is often honest, so
    /// that its detector never, or only when more speaks for it, tells it at P0 or P1.
    Noticed(&'static str),
    /// Nothing at P0 or P1.
    Harmless,
    /// Nothing at P0 or P1, and nothing of this class: the look-alike of what is only noticed.
    Unlike(&'static str),
}

use Twin::{Attack, Harmless, Noticed, Unlike};

/// Each scene with what is to be told of it.
const TWINS: &[(&str, Twin)] = &[
    ("ReentrancySame", Attack("reentrancy")),
    ("ReentrancyCross", Attack("reentrancy")),
    ("ReentrancyHook", Attack("reentrancy")),
    ("HonestMover", Harmless),
    ("GuardHolds", Harmless),
    ("HonestHook", Harmless),
    ("FlashOracle", Attack("price_manipulation")),
    ("OwnOracle", Attack("price_manipulation")),
    ("SpotDesk", Attack("price_manipulation")),
    ("Arbitrage", Harmless),
    ("FlashArbitrage", Harmless),
    ("FlashLiquidation", Harmless),
    ("Leverage", Harmless),
    ("RoundTrip", Harmless),
    ("OwnershipTaken", Attack("access_control")),
    ("InitializedAgain", Attack("access_control")),
    ("AdminOfNobody", Attack("access_control")),
    ("ModuleOfStranger", Attack("access_control")),
    ("OwnershipHandedOn", Harmless),
    ("ModuleOfOwner", Harmless),
    ("OwnerSweeps", Harmless),
    ("FreshInitialized", Harmless),
    ("DrainOne", Attack("arbitrary_call")),
    ("DrainMany", Attack("arbitrary_call")),
    ("DrainNamed", Attack("arbitrary_call")),
    ("AirdropClaim", Harmless),
    ("OwnCoinsMoved", Harmless),
    ("OfferFilled", Harmless),
    ("GiftOnLoan", Attack("price_manipulation")),
    ("Reward", Harmless),
    ("Withdrawal", Harmless),
    ("VotesOnLoan", Attack("governance")),
    ("VotesOfOwn", Attack("governance")),
    ("LawOnLoan", Attack("governance")),
    ("PlainVote", Harmless),
    ("GrantPaid", Harmless),
    ("ProposalMade", Harmless),
    ("ExecutorPaid", Unlike("governance")),
    ("WrappedAround", Attack("arithmetic")),
    ("FeeWrappedAround", Attack("arithmetic")),
    ("HalvesWrappedAround", Attack("arithmetic")),
    ("SumWrappedAround", Attack("arithmetic")),
    ("BelowNothing", Attack("arithmetic")),
    ("OneBelowNothing", Attack("arithmetic")),
    ("PaidToMany", Harmless),
    ("AmountsPaidToMany", Unlike("arithmetic")),
    ("AllOfIt", Unlike("arithmetic")),
    ("LessOfIt", Unlike("arithmetic")),
    ("EmptyMarket", Attack("donation_inflation")),
    ("EmptyMarketOwn", Attack("donation_inflation")),
    ("CapSteppedOver", Attack("donation_inflation")),
    ("FirstIn", Attack("donation_inflation")),
    ("FirstInHalf", Attack("donation_inflation")),
    ("RateOfNothing", Attack("donation_inflation")),
    ("RateGiftFirst", Attack("donation_inflation")),
    ("WrapperInflated", Attack("donation_inflation")),
    ("GiftOfOwn", Attack("donation_inflation")),
    ("FirstInForNothing", Unlike("donation_inflation")),
    ("EarningsBrought", Unlike("donation_inflation")),
    ("EarningsPaidFor", Unlike("donation_inflation")),
    ("Savings", Unlike("business_logic")),
    ("VaultSeeded", Unlike("donation_inflation")),
    ("GiftAndLeave", Unlike("donation_inflation")),
    ("VoucherAgain", Attack("signature_replay")),
    ("OrderCarriedAgain", Attack("signature_replay")),
    ("SignatureShared", Attack("signature_replay")),
    ("SignatureMirrored", Attack("signature_replay")),
    ("SignedByNobody", Noticed("signature_replay")),
    ("PermitNotLookedAt", Noticed("signature_replay")),
    ("VouchersCashed", Unlike("signature_replay")),
    ("OrderCarriedOnce", Unlike("signature_replay")),
    ("PermitBrought", Unlike("signature_replay")),
    ("OfferInParts", Unlike("signature_replay")),
    ("KeeperReplaced", Attack("bridge")),
    ("MinterByMessage", Attack("bridge")),
    ("AttesterEnabled", Attack("bridge")),
    ("NeverProven", Noticed("bridge")),
    ("DepositOfNothing", Noticed("bridge")),
    ("UnlockedForOneself", Harmless),
    ("UnlockedForOther", Unlike("bridge")),
    ("ApplicationTold", Unlike("bridge")),
    ("AttesterRotated", Unlike("bridge")),
    ("ProvenForOther", Unlike("bridge")),
    ("DepositOfTokens", Unlike("bridge")),
    ("LiquidityPulled", Noticed("rug_pull")),
    ("PulledByRouter", Noticed("rug_pull")),
    ("FarmMigrated", Noticed("rug_pull")),
    ("OwnerMints", Attack("rug_pull")),
    ("MintedByAnyone", Noticed("access_control")),
    ("OneOfManyLeaves", Unlike("rug_pull")),
    ("LiquidityMoved", Unlike("rug_pull")),
    ("RewardSold", Unlike("rug_pull")),
    ("UpgradedAndTaken", Noticed("proxy_upgrade")),
    ("TakenByUpgrade", Noticed("proxy_upgrade")),
    ("BeaconTurned", Noticed("proxy_upgrade")),
    ("UpgradedInTime", Unlike("proxy_upgrade")),
    ("UpgradedWithMigration", Unlike("proxy_upgrade")),
    ("ProxyLaunched", Unlike("proxy_upgrade")),
    ("PaidThroughProxy", Unlike("proxy_upgrade")),
    ("PoolBurnt", Attack("token_mechanics")),
    ("PoolRewarded", Attack("token_mechanics")),
    ("SelfDoubled", Attack("token_mechanics")),
    ("PoolTidied", Unlike("token_mechanics")),
    ("TaxedThereAndBack", Unlike("token_mechanics")),
    ("RewardDelivered", Unlike("token_mechanics")),
    ("WalletEmptied", Noticed("key_compromise")),
    ("StoreForwarded", Noticed("key_compromise")),
    ("TokensRescued", Noticed("key_compromise")),
    ("CoinsWithdrawn", Noticed("key_compromise")),
    ("BasketRedeemed", Unlike("key_compromise")),
    ("EarnedCollected", Unlike("key_compromise")),
    ("StoreFilled", Unlike("key_compromise")),
    ("WagesPaid", Unlike("key_compromise")),
    ("KeysChanged", Unlike("key_compromise")),
    ("EarningsForwarded", Unlike("key_compromise")),
    ("PermitPhished", Noticed("phishing")),
    ("ApprovalsPhished", Attack("phishing")),
    ("HistoryPoisoned", Noticed("phishing")),
    ("GiftPromised", Noticed("phishing")),
    ("UpdatePromised", Noticed("phishing")),
    ("DepositByPermit", Unlike("phishing")),
    ("EmptyPayments", Unlike("phishing")),
    ("GiftKept", Unlike("phishing")),
    ("SubscriptionsCharged", Harmless),
    ("RewardAtOnce", Attack("business_logic")),
    ("RewardOnLoan", Attack("business_logic")),
    ("SoldBackDearer", Attack("business_logic")),
    ("RewardWaitedFor", Harmless),
    ("SoldElsewhere", Harmless),
    ("SoldBackCheaper", Harmless),
    ("FlipForeseen", Attack("business_logic")),
    ("LossUndone", Attack("business_logic")),
    ("WinnerBred", Attack("business_logic")),
    ("TicketBought", Unlike("business_logic")),
    ("ChangeGivenBack", Unlike("business_logic")),
    ("PrizeCollected", Unlike("business_logic")),
    ("GuessedRight", Harmless),
    ("LootMixed", Noticed("fund_flow")),
    ("CoinsMixed", Noticed("fund_flow")),
    ("CoinsUnmixed", Noticed("fund_flow")),
    ("NameRegistered", Unlike("fund_flow")),
    ("CoinsWrapped", Unlike("fund_flow")),
    ("TicketRedeemed", Unlike("fund_flow")),
];

/// Contracts that somebody makes around a watched vault, and whether they are made for an attack on it.
const MADE: &[(&str, bool)] = &[
    ("LoanToolMade", true),
    ("SwapToolMade", true),
    ("PoolToolMade", true),
    ("IntegratorMade", false),
    ("OwnScriptMade", false),
    ("CloneMade", false),
];

/// Scenes in which chance was foreseen: the same detector says that, too.
const FORESEEN: [&str; 3] = ["FlipForeseen", "LossUndone", "WinnerBred"];

fn config(anvil: &Anvil, hook: &str, rest: &str) -> String {
    format!(
        r#"
chains:
  local:
    evm: {{rpc: "{http}", ws: "{ws}", block_time: 1s, explorer: "https://explorer.example"}}
receivers:
  me: {{webhook: {{url: "{hook}"}}}}
{rest}
"#,
        http = anvil.http_url(),
        ws = anvil.ws_url(),
    )
}

/// What a scene's actor needs to begin with.
fn stake(name: &str) -> U256 {
    match name {
        "ReentrancySame" | "ReentrancyCross" | "GiftPromised" | "UpdatePromised" | "GiftKept" => {
            ether(1)
        }
        _ => U256::ZERO,
    }
}

/// A transaction in which a scene's actor runs, or does what it is that people call themselves.
fn play(name: &str, actor: Address) -> Tx {
    // What depends on chance takes another way when it is tried first than when it is sent.
    let tx = Anvil::play(actor, stake(name)).gas(5_000_000);
    let function: u32 = match name {
        "GiftPromised" | "GiftKept" => 0x4e71_d92d, // claim()
        "UpdatePromised" => 0xaf34_7b61,            // securityUpdate()
        "TokensRescued" => 0xdd8c_2e0f,             // rescueTokens()
        "CoinsWithdrawn" => 0x4311_de8f,            // ownerWithdraw()
        _ => return tx,
    };
    tx.data(function.to_be_bytes().to_vec().into())
}

/// Every message about a transaction so far.
fn messages(receiver: &Receiver, tx: &Value) -> Vec<Value> {
    let all = receiver.accepted().into_iter().map(|message| message.json());
    all.filter(|message| message["finding"]["position"]["tx"] == *tx).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_are_told_at_once_and_their_twins_are_left_alone() {
    let anvil = anvil_or_skip!();
    let receiver = Receiver::start().await;
    let mut watchkeeper = Watchkeeper::start(&config(&anvil, &receiver.url("/hook"), "")).await;
    watchkeeper.wait_for_height("local", anvil.height().await).await;
    let mut played: BTreeMap<&str, Value> = BTreeMap::new();
    let mut took: Vec<Duration> = Vec::new();
    for (name, twin) in TWINS {
        let actor = anvil.set_scene(name, ether(10)).await;
        let sent = Instant::now();
        let receipt = anvil.execute(&play(name, actor)).await;
        assert_eq!(receipt["status"], "0x1", "{name} cannot be played");
        let tx = receipt["transactionHash"].clone();
        if let Attack(class) | Noticed(class) = twin {
            let told = |message: &Value| {
                message["finding"]["position"]["tx"] == tx && message["finding"]["class"] == *class
            };
            let what = format!("{name} is told as {class}");
            receiver
                .wait_for(&what, PATIENCE, |all| all.iter().any(|message| told(&message.json())))
                .await;
            took.push(sent.elapsed());
        }
        played.insert(name, tx);
    }
    let height = anvil.height().await;
    watchkeeper
        .wait("/api/v1/chains/local", "all is inspected", |chain| {
            chain["inspection"]["inspected"].as_u64() >= Some(height)
                && chain["inspection"]["source"] == "call_tracer"
        })
        .await;
    let mut wrong = Vec::new();
    println!("{:<20} told", "scene");
    for (name, twin) in TWINS {
        let told = messages(&receiver, &played[name]);
        let shown: Vec<String> = told
            .iter()
            .map(|m| {
                let finding = &m["finding"];
                format!(
                    "{} {}: {}",
                    finding["severity"], finding["source"]["name"], finding["title"]
                )
            })
            .collect();
        println!("{name:<20} {}", shown.join("\n                     "));
        let severe =
            |message: &Value| matches!(message["finding"]["severity"].as_str(), Some("P0" | "P1"));
        let of = |message: &Value, class: &str| message["finding"]["class"] == class;
        let right = match twin {
            Attack(class) => told.iter().any(|message| severe(message) && of(message, class)),
            Noticed(class) => told.iter().any(|message| of(message, class)),
            Harmless => !told.iter().any(severe),
            Unlike(class) => !told.iter().any(|message| severe(message) || of(message, class)),
        };
        if !right {
            wrong.push(format!("{name}: {shown:?}, expected {twin:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for name in FORESEEN {
        let told = messages(&receiver, &played[name]);
        assert!(told.iter().any(|m| m["finding"]["class"] == "randomness"), "{name}: {told:#?}");
    }
    took.sort();
    println!(
        "transaction sent to webhook received: half within {:?}, all within {:?}",
        took[took.len() / 2],
        took[took.len() - 1]
    );
    // Setting a scene is no attack either.
    for message in receiver.accepted().iter().map(|message| message.json()) {
        let tx = &message["finding"]["position"]["tx"];
        let severe = matches!(message["finding"]["severity"].as_str(), Some("P0" | "P1"));
        assert!(!severe || played.values().any(|known| known == tx), "{message:#}");
    }
    assert!(receiver.keys().values().all(|count| *count == 1), "nothing is told twice");
    assert_eq!(watchkeeper.stop(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contract_made_for_an_attack_on_a_watched_one_is_told_before_it_is_used() {
    let anvil = anvil_or_skip!();
    let receiver = Receiver::start().await;
    let vault = anvil.deploy(Fixture::Vault, &[]).await;
    let rest = format!("contracts: {{vault: {{chain: local, address: \"{vault}\"}}}}");
    let mut watchkeeper = Watchkeeper::start(&config(&anvil, &receiver.url("/hook"), &rest)).await;
    watchkeeper.wait_for_height("local", anvil.height().await).await;
    let mut made: BTreeMap<&str, Value> = BTreeMap::new();
    for (name, _) in MADE {
        // Made for the vault: its address follows the init code.
        let code = [&scene(name)[..], vault.into_word().as_slice()].concat();
        let receipt = anvil.execute(&Tx::default().data(code.into())).await;
        assert_eq!(receipt["status"], "0x1", "{name} cannot be made");
        made.insert(name, receipt["transactionHash"].clone());
    }
    let height = anvil.height().await;
    watchkeeper
        .wait("/api/v1/chains/local", "all is inspected", |chain| {
            chain["inspection"]["inspected"].as_u64() >= Some(height)
        })
        .await;
    let of = |message: &Value| message["finding"]["source"]["name"] == "attacker_contract";
    for (name, attack) in MADE {
        if *attack {
            let tx = &made[name];
            let told = |m: &Value| m["finding"]["position"]["tx"] == *tx && of(m);
            receiver
                .wait_for(name, PATIENCE, |all| all.iter().any(|message| told(&message.json())))
                .await;
        }
        let told = messages(&receiver, &made[name]);
        for message in &told {
            println!(
                "{name:<16} {} {}",
                message["finding"]["severity"], message["finding"]["title"]
            );
        }
        let severe: Vec<&Value> = told
            .iter()
            .filter(|m| m["finding"]["severity"] == "P1")
            .map(|m| &m["finding"])
            .collect();
        assert_eq!(severe.len(), usize::from(*attack), "{name}: {told:#?}");
        for finding in severe {
            assert_eq!(finding["class"], "attack_contract", "{name}");
            assert_eq!(finding["evidence"]["contracts"], json!(["vault"]), "{name}");
            let title = finding["title"].as_str().expect("a title");
            assert_eq!(title, "Possible attack contract against vault", "{name}");
        }
    }
    assert_eq!(watchkeeper.stop(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attack_that_is_reverted_is_taken_back_and_found_again_after_a_stop() {
    let anvil = anvil_or_skip!();
    let receiver = Receiver::start().await;
    let vault = anvil.deploy(Fixture::Vault, &[]).await;
    let actor = anvil.set_scene("ReentrancySame", ether(10)).await;
    let rest = format!(
        r#"contracts:
  thief: {{chain: local, address: "{actor}", labels: {{team: red}}}}
  vault: {{chain: local, address: "{vault}"}}"#
    );
    let mut watchkeeper = Watchkeeper::start(&config(&anvil, &receiver.url("/hook"), &rest)).await;
    watchkeeper.wait_for_height("local", anvil.height().await).await;
    let receipt = anvil.execute(&Anvil::play(actor, ether(1))).await;
    let tx = receipt["transactionHash"].clone();
    let about = |message: &Value| {
        message["finding"]["position"]["tx"] == tx
            && message["finding"]["source"] == json!({"kind": "detector", "name": "reentrancy"})
    };
    receiver
        .wait_for("the attack is told", PATIENCE, |all| all.iter().any(|m| about(&m.json())))
        .await;
    let told = messages(&receiver, &tx).into_iter().find(about).expect("it was waited for");
    let finding = &told["finding"];
    assert_eq!(finding["severity"], "P0");
    assert_eq!(finding["labels"]["team"], "red");
    assert_eq!(finding["evidence"]["contracts"], json!(["thief"]));
    assert_eq!(finding["evidence"]["traces"], "call_tracer");
    let link = format!("https://explorer.example/tx/{}", tx.as_str().expect("a hash"));
    assert_eq!(finding["evidence"]["link"], link);
    assert_eq!(finding["evidence"]["losses"][0]["shown"], "10 native coins");
    let title = finding["title"].as_str().expect("a title");
    assert!(title.starts_with("Reentrancy attack against 0x"), "{title}");
    assert!(title.contains("it lost 10 native coins"), "{title}");
    let frames = finding["evidence"]["frames"].as_array().expect("calls are shown");
    assert!(frames.iter().any(|frame| frame.as_str().is_some_and(|f| f.contains("thief"))));

    // The same line as from a file, asked of the node.
    let hash = tx.as_str().expect("a hash");
    let line =
        run(watchkeeper.folder(), &["inspect", "tx", hash, "--rpc", &anvil.http_url()]).await;
    assert_eq!(line.code, Some(0), "{line:?}");
    let line = line.json();
    assert_eq!((&line["tx"], &line["source"]), (&tx, &json!("call_tracer")));
    assert_eq!(line["findings"][0]["class"], "reentrancy");
    let ours = ["inspect", "tx", hash, "--config", "watchkeeper.yaml", "--chain", "local"];
    let same = run(watchkeeper.folder(), &ours).await;
    assert_eq!(same.json()["findings"], line["findings"], "{same:?}");
    let unknown = format!("0x{}", "77".repeat(32));
    let none =
        run(watchkeeper.folder(), &["inspect", "tx", &unknown, "--rpc", &anvil.http_url()]).await;
    assert_eq!(none.code, Some(3), "{none:?}");

    // Past blocks, with what the detectors would have said.
    let backtest = ["backtest", "--from", "0", "--detectors", "-o", "json"];
    let past = run(watchkeeper.folder(), &backtest).await;
    assert_eq!(past.code, Some(0), "{past:?}");
    let rows = past.json();
    let of = |name: &str| {
        let rows = rows.as_array().expect("rows");
        rows.iter().find(|row| row["detector"] == name).cloned().unwrap_or_default()
    };
    assert_eq!(of("reentrancy")["fired"], 1, "{rows}");

    anvil.reorg(1).await;
    anvil.mine(2).await;
    receiver
        .wait_for("the retraction is told", PATIENCE, |all| {
            all.iter().any(|m| m.json()["kind"] == "retraction" && about(&m.json()))
        })
        .await;
    let retracted = watchkeeper.findings("&source=detector/reentrancy").await;
    assert_eq!(retracted[0]["status"], "retracted");

    // What comes while nobody looks is looked at afterwards.
    watchkeeper.kill();
    let actor = anvil.set_scene("ReentrancyCross", ether(10)).await;
    let receipt = anvil.execute(&Anvil::play(actor, ether(1))).await;
    let missed = receipt["transactionHash"].clone();
    watchkeeper.start_again().await;
    receiver
        .wait_for("the missed attack is told", PATIENCE, |all| {
            all.iter().any(|m| m.json()["finding"]["position"]["tx"] == missed)
        })
        .await;
    assert_eq!(watchkeeper.stop(), Some(0));
}
