//! Commands that write while the program runs: tokens, messages sent again, blocks replayed.

use std::process::Stdio;
use std::time::Duration;

use crate::support::{BINARY, Watchkeeper, run};
use serde_json::Value;
use wk_testkit::{
    Anvil, Fixture, Receiver, Trouble, Tx, anvil_or_skip, ether, http_client, number, wait_until,
};

const PATIENCE: Duration = Duration::from_secs(20);

fn config(anvil: &Anvil, vault: &str, hook: &str, rule: &str) -> String {
    format!(
        r#"
chains:
  local: {{evm: {{rpc: "{http}", ws: "{ws}", block_time: 1s, from: 0}}}}
contracts:
  vault: {{chain: local, address: "{vault}"}}
rules:
  - {{id: {rule}, watch: vault, event: "Withdraw(address indexed to, uint256 amount)"}}
receivers:
  me: {{webhook: {{url: "{hook}"}}}}
"#,
        http = anvil.http_url(),
        ws = anvil.ws_url(),
    )
}

async fn status(url: &str, token: &str) -> u16 {
    let answer = http_client().get(url).bearer_auth(token).send().await;
    answer.expect("the program answers").status().as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_program_minds_what_commands_write_beside_it() {
    let anvil = anvil_or_skip!();
    let vault = anvil.deploy(Fixture::Vault, &[]).await;
    anvil.execute(&Tx::call(vault, Fixture::Vault, "deposit", &[]).value(ether(5))).await;
    let receiver = Receiver::start().await;
    receiver.trouble_all(Some(Trouble::Status(400, None)));
    let hook = receiver.url("/hook");
    let before = config(&anvil, &vault.to_string(), &hook, "withdrawal");
    let mut watchkeeper = Watchkeeper::start(&before).await;
    anvil.execute(&Tx::call(vault, Fixture::Vault, "withdraw", &[number(ether(1))])).await;
    watchkeeper.wait_for_height("local", anvil.height().await).await;
    let folder = watchkeeper.folder().to_owned();
    let data = watchkeeper.data_dir().display().to_string();

    // A token works at once, and no more once it is revoked.
    let made = run(
        &folder,
        &["token", "create", "ci", "--role", "admin", "--data-dir", &data, "-o", "json"],
    )
    .await;
    assert_eq!(made.code, Some(0), "{made:?}");
    let made = made.json();
    let secret = made["secret"].as_str().expect("a secret").to_owned();
    let tokens = format!("{}/api/v1/tokens", watchkeeper.url());
    assert_eq!(status(&tokens, &secret).await, 200);
    let list = run(&folder, &["token", "list", "--data-dir", &data, "-o", "json"]).await.json();
    assert_eq!(list[0]["name"], "ci");
    assert!(!list.to_string().contains(&secret));
    let id = made["id"].to_string();
    let revoked = run(&folder, &["token", "revoke", &id, "--data-dir", &data]).await;
    assert_eq!(revoked.code, Some(0), "{revoked:?}");
    assert_eq!(status(&tokens, &secret).await, 401);
    let again = run(&folder, &["token", "revoke", &id, "--data-dir", &data]).await;
    assert_eq!(again.code, Some(3), "{again:?}");

    // A dead letter that is sent again arrives.
    let dead = async || {
        run(&folder, &["findings", "dead", "--data-dir", &data, "-o", "json"]).await.json()
    };
    wait_until("the message is given up", PATIENCE, async || dead().await[0]["id"].is_u64()).await;
    receiver.trouble_all(None);
    let resent = run(&folder, &["findings", "resend", "--data-dir", &data, "-o", "json"]).await;
    assert_eq!(resent.json()["resent"], 1, "{resent:?}");
    receiver
        .wait_for("it is sent again", PATIENCE, |all| all.iter().any(|m| m.status == 200))
        .await;
    assert_eq!(dead().await, Value::Array(Vec::new()));
    let none = run(&folder, &["findings", "resend", "99", "--data-dir", &data]).await;
    assert_eq!(none.code, Some(3), "{none:?}");

    // A rule that is new finds what was before it, and is told.
    let after = config(&anvil, &vault.to_string(), &hook, "newer-rule");
    std::fs::write(folder.join("newer.yaml"), format!("{after}server: {{data_dir: {data:?}}}\n"))
        .expect("the config can be written");
    let to = anvil.height().await.to_string();
    let replay = ["replay", "--config", "newer.yaml", "--from", "0", "--to", &to, "-o", "json"];
    let replayed = run(&folder, &replay).await;
    assert_eq!(replayed.code, Some(0), "{replayed:?}");
    assert_eq!(replayed.json()["new_findings"], 1, "{replayed:?}");
    assert_eq!(replayed.json()["failed"], 0, "{replayed:?}");
    receiver
        .wait_for("the newer rule's finding is told", PATIENCE, |all| {
            all.iter().any(|message| {
                message.json()["finding"]["source"]["rule"] == "newer-rule"
                    || message.json().to_string().contains("newer-rule")
            })
        })
        .await;
    let again = run(&folder, &replay).await;
    assert_eq!(again.json()["new_findings"], 0, "{again:?}");
    let ahead = ["replay", "--config", "newer.yaml", "--from", "0", "--to", "99999"];
    let ahead = run(&folder, &ahead).await;
    assert_eq!(ahead.code, Some(3), "{ahead:?}");
    assert!(ahead.stderr.contains("was not processed yet"), "{ahead:?}");

    // The chain goes on as if nothing had been.
    anvil.mine(3).await;
    watchkeeper.wait_for_height("local", anvil.height().await).await;
    let coverage = watchkeeper.get("/api/v1/chains/local/coverage").await;
    assert_eq!(coverage["missing"], 0, "{coverage}");
    assert_eq!(watchkeeper.stop(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_that_are_killed_leave_the_store_sound() {
    let anvil = anvil_or_skip!();
    anvil.set_interval(1).await;
    let config =
        format!("chains: {{local: {{evm: {{rpc: \"{}\", block_time: 1s}}}}}}\n", anvil.http_url());
    let mut watchkeeper = Watchkeeper::start(&config).await;
    let data = watchkeeper.data_dir();
    for round in 0..20 {
        let mut child = std::process::Command::new(BINARY)
            .args(["token", "create", "x", "--data-dir"])
            .arg(&data)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program can be started");
        // From before it opens the store to after it is done.
        tokio::time::sleep(Duration::from_millis(3 * round)).await;
        child.kill().expect("it may have ended, but was not waited for");
        child.wait().expect("it was started");
    }
    let height = watchkeeper.height("local").await.unwrap_or_default();
    watchkeeper.wait_for_height("local", height + 2).await;
    // Both die at once; the next start finds everything as it was answered.
    watchkeeper.kill();
    watchkeeper.start_again().await;
    watchkeeper.wait_for_height("local", height + 3).await;
    let data = data.display().to_string();
    let list =
        run(watchkeeper.folder(), &["token", "list", "--data-dir", &data, "-o", "json"]).await;
    assert_eq!(list.code, Some(0), "{list:?}");
    println!(
        "{} of 20 tokens were made before their command was killed",
        list.json().as_array().map_or(0, Vec::len)
    );
    assert_eq!(watchkeeper.stop(), Some(0));
}
