//! The command line as scripts see it: exit codes, and data only on stdout.

use std::path::Path;
use std::time::Duration;

use crate::support::{Watchkeeper, run};
use serde_json::Value;
use tempfile::TempDir;
use wk_testkit::{Anvil, Fixture, Receiver, Trouble, Tx, anvil_or_skip, ether, number, wait_until};

const GOOD: &str = r#"
chains:
  main: {evm: {rpc: "http://127.0.0.1:1", chain_id: 1}}
rules:
  - id: whale
    on: evm.tx
    if: tx.value > ether("100")
tests:
  - name: a whale is seen
    rules: whale
    given: [{txs: [{value: 101 ether}]}]
    expect: [{rule: whale}]
"#;

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).expect("a file can be written");
    }
    folder
}

/// Runs each command; all end with this code.
async fn check(folder: &Path, cases: &[(i32, &str, &str)]) {
    for (code, command, said) in cases {
        let arguments: Vec<&str> = command.split_whitespace().collect();
        let ended = run(folder, &arguments).await;
        assert_eq!(ended.code, Some(*code), "{command}: {ended:#?}");
        let all = format!("{}{}", ended.stdout, ended.stderr);
        assert!(all.contains(said), "{command} does not say `{said}`: {ended:#?}");
        if *code != 0 && *code != 10 {
            assert_eq!(ended.stdout, "", "{command}: errors are no data");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_end_has_its_exit_code() {
    let empty = folder(&[]);
    check(
        empty.path(),
        &[
            (0, "--version", "watchkeeper 0."),
            (0, "--help", "Exit codes:"),
            (2, "dance", "unrecognized subcommand"),
            (2, "check --colour", "unexpected argument"),
            (2, "findings --severity P7", "P7"),
            (2, "findings show nonsense", "nonsense"),
            (2, "findings --limit 0", "--limit"),
            (2, "token revoke all", "invalid digit"),
            (2, "token create x --role king", "king"),
            (2, "backtest", "--from"),
            (2, "backtest --from 9 --to 3", "--from 9 is above --to 3"),
            (2, "backtest --last 3 --from 1", "cannot be used with"),
            (2, "replay --from 9 --to 3", "--from 9 is above --to 3"),
            (3, "check", "there is no watchkeeper.yaml here"),
            (3, "check --config gone.yaml", "there is no config at `gone.yaml`"),
            (3, "test", "there is no watchkeeper.yaml here"),
            (3, "doctor", "there is no watchkeeper.yaml here"),
            (3, "findings", "there is no store"),
            (3, "findings dead", "there is no store"),
            (3, "coverage", "there is no store"),
            (3, "token list", "there is no store"),
            (3, "run --config gone.yaml", "there is no config at `gone.yaml`"),
        ],
    )
    .await;

    let good = folder(&[("watchkeeper.yaml", GOOD)]);
    check(
        good.path(),
        &[
            (0, "check", "is fine: 1 chain, 0 contracts, 1 rule, 1 receiver"),
            (0, "test", "1 passed, 0 failed"),
            (0, "test nothing-like-it", "0 passed, 0 failed"),
            (3, "backtest --from 1 --rule gone", "the config has no rule `gone`"),
            (3, "backtest --from 1 --chain gone", "the config has no chain `gone`"),
            (3, "replay --from 1 --to 2", "nor was any"),
            // Made by the commands above, and empty.
            (0, "token create first", "wk_"),
            (3, "token revoke 99", "there is no valid token 99"),
            (3, "findings show 00000000000000000000000000000000", "there is no finding"),
            (3, "findings resend 7", "there is no dead message 7"),
            (3, "coverage --chain main", "no block of `main` was processed yet"),
            (5, "backtest --from 1", "no endpoint of `main` answers"),
        ],
    )
    .await;

    let failing = GOOD.replace("101 ether", "99 ether");
    let broken = GOOD.replace("tx.value >", "tx.valu >");
    let other = folder(&[("failing.yaml", &failing), ("broken.yaml", &broken)]);
    check(
        other.path(),
        &[
            (10, "test -c failing.yaml", "0 passed, 1 failed"),
            (4, "check -c broken.yaml", "broken.yaml:7:12"),
            (4, "test -c broken.yaml", "broken.yaml:7:12"),
            (4, "doctor -c broken.yaml", "broken.yaml:7:12"),
            (4, "run -c broken.yaml", "broken.yaml:7:12"),
            (4, "findings -c broken.yaml", "broken.yaml:7:12"),
        ],
    )
    .await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let taken = taken.local_addr().expect("it is bound");
    check(good.path(), &[(1, &format!("run --listen {taken}"), "cannot listen on")]).await;
}

/// Reads RFC 4180 records.
fn csv(text: &str) -> Vec<Vec<String>> {
    let (mut records, mut record, mut field) = (Vec::new(), Vec::new(), String::new());
    let (mut quoted, mut chars) = (false, text.chars().peekable());
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                field.push('"');
                chars.next();
            }
            '"' => quoted = !quoted,
            ',' if !quoted => record.push(std::mem::take(&mut field)),
            '\n' if !quoted => {
                record.push(std::mem::take(&mut field));
                records.push(std::mem::take(&mut record));
            }
            other => field.push(other),
        }
    }
    assert!(!quoted && field.is_empty() && record.is_empty(), "not whole: {text}");
    records
}

/// Runs the command once per format; each parses, and all say the same number of things.
async fn formats(folder: &Path, command: &str, code: i32) -> Value {
    let run = async |format: &str| {
        let arguments: Vec<&str> = command.split_whitespace().chain(["-o", format]).collect();
        let ended = run(folder, &arguments).await;
        assert_eq!(ended.code, Some(code), "{command} -o {format}: {ended:#?}");
        ended
    };
    let whole = run("json").await.json();
    let lines = run("jsonl").await.stdout;
    let lines: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{command}: {e}: {line}")))
        .collect();
    let records = csv(&run("csv").await.stdout);
    let width = records.first().map_or(0, Vec::len);
    assert!(width > 0, "{command}: a header is there");
    assert!(records.iter().all(|record| record.len() == width), "{command}: {records:?}");
    assert!(!run("table").await.stdout.contains('\u{1b}'), "{command}: no colours in data");
    match &whole {
        Value::Array(rows) => {
            assert_eq!(rows.len(), lines.len(), "{command}");
            assert_eq!(rows.len(), records.len() - 1, "{command}");
        }
        _ => assert_eq!(lines.len(), 1, "{command}"),
    }
    whole
}

fn watched(anvil: &Anvil, vault: &str, more: &str) -> String {
    format!(
        r#"
chains:
  local: {{evm: {{rpc: "{http}", ws: "{ws}", block_time: 1s, from: 0}}}}
contracts:
  vault: {{chain: local, address: "{vault}"}}
rules:
  - id: withdrawal
    watch: vault
    event: Withdraw(address indexed to, uint256 amount)
    if: amount >= ether("2")
    title: "${{formatUnits(amount, 18)}}, \"taken\" by ${{to}}"
  - {{id: never, on: evm.tx, if: 'tx.value > ether("100000")'}}
{more}
"#,
        http = anvil.http_url(),
        ws = anvil.ws_url(),
    )
}

/// A vault with three withdrawals, two of them large, and the heights of these.
async fn withdrawals(anvil: &Anvil) -> (String, Vec<u64>) {
    let vault = anvil.deploy(Fixture::Vault, &[]).await;
    anvil.execute(&Tx::call(vault, Fixture::Vault, "deposit", &[]).value(ether(50))).await;
    let mut large = Vec::new();
    for amount in [3, 1, 2] {
        anvil.mine(2).await;
        let amount_in_wei = [number(ether(amount))];
        anvil.execute(&Tx::call(vault, Fixture::Vault, "withdraw", &amount_in_wei)).await;
        if amount >= 2 {
            large.push(anvil.height().await);
        }
    }
    anvil.mine(2).await;
    (vault.to_string(), large)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backtest_fires_exactly_where_it_should() {
    let anvil = anvil_or_skip!();
    let (vault, large) = withdrawals(&anvil).await;
    let folder = folder(&[("watchkeeper.yaml", &watched(&anvil, &vault, ""))]);
    let folder = folder.path();
    let rules = formats(folder, "backtest --from 0", 0).await;
    let rule = |rules: &Value, id: &str| {
        let all = rules.as_array().expect("a list");
        all.iter().find(|rule| rule["rule"] == id).expect("it is in the config").clone()
    };
    assert_eq!(rule(&rules, "withdrawal")["fired"], 2);
    assert_eq!(rule(&rules, "withdrawal")["first"], large[0]);
    assert_eq!(rule(&rules, "withdrawal")["last"], large[1]);
    assert_eq!(rule(&rules, "never")["fired"], 0);
    let found = formats(folder, "backtest --from 0 --findings --rule withdrawal", 0).await;
    let blocks: Vec<u64> = found
        .as_array()
        .expect("a list")
        .iter()
        .map(|finding| finding["block"].as_u64().expect("a height"))
        .collect();
    assert_eq!(blocks, large);
    let title = found[0]["title"].as_str().expect("a title");
    assert!(title.starts_with("3") && title.contains(", \"taken\" by 0x"), "{title}");

    // The newest blocks only; what is not there yet is said at once.
    let last = anvil.height().await + 1 - large[1];
    let newest = run(folder, &["backtest", "--last", &last.to_string(), "-o", "json"]).await;
    assert_eq!(rule(&newest.json(), "withdrawal")["fired"], 1, "{newest:?}");
    let none = run(folder, &["backtest", "--last", &(last - 1).to_string(), "-o", "json"]).await;
    assert_eq!(rule(&none.json(), "withdrawal")["fired"], 0, "{none:?}");
    let ahead = run(folder, &["backtest", "--from", "0", "--to", "99999"]).await;
    assert_eq!(ahead.code, Some(3), "{ahead:?}");
    assert!(ahead.stderr.contains("does not exist yet"), "{ahead:?}");
    // Nothing was kept.
    assert!(!folder.join("data").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn stdout_is_data_in_every_format() {
    let anvil = anvil_or_skip!();
    let receiver = Receiver::start().await;
    receiver.trouble_all(Some(Trouble::Status(400, None)));
    let (vault, large) = withdrawals(&anvil).await;
    let more = format!("receivers: {{me: {{webhook: {{url: \"{}\"}}}}}}", receiver.url("/hook"));
    let mut watchkeeper = Watchkeeper::start(&watched(&anvil, &vault, &more)).await;
    watchkeeper.wait_for_height("local", anvil.height().await).await;
    watchkeeper
        .wait("/api/v1/outbox?state=dead", "both messages are given up", |page| {
            page["items"].as_array().is_some_and(|items| items.len() == 2)
        })
        .await;
    let folder = watchkeeper.folder().to_owned();
    let folder = folder.as_path();
    let data = format!("--data-dir {}", watchkeeper.data_dir().display());

    let found = formats(folder, &format!("findings {data}"), 0).await;
    assert_eq!(found.as_array().map_or(0, Vec::len), large.len(), "{found}");
    assert_eq!(found[0]["block"], large[1], "newest first");
    let one = formats(folder, &format!("findings {data} --limit 1 --source withdrawal"), 0).await;
    assert_eq!(one.as_array().map_or(0, Vec::len), 1);
    let none = formats(folder, &format!("findings {data} --severity P0"), 0).await;
    assert_eq!(none, Value::Array(Vec::new()));
    let id = found[0]["id"].as_str().expect("an id");
    let shown = formats(folder, &format!("findings show {id} {data}"), 0).await;
    assert_eq!(shown["id"], id);
    let dead = formats(folder, &format!("findings dead {data}"), 0).await;
    assert_eq!(dead.as_array().map_or(0, Vec::len), 2, "{dead}");
    let coverage = formats(folder, &format!("coverage {data}"), 0).await;
    assert_eq!((&coverage[0]["from"], &coverage[0]["missing"]), (&0.into(), &0.into()));
    let ranges = formats(folder, &format!("coverage --ranges {data}"), 0).await;
    assert!(ranges.as_array().is_some_and(|ranges| !ranges.is_empty()), "{ranges}");
    formats(folder, &format!("token create x {data}"), 0).await;
    let tokens = formats(folder, &format!("token list {data}"), 0).await;
    assert_eq!(tokens.as_array().map_or(0, Vec::len), 4, "{tokens}");
    formats(folder, &format!("findings resend {data}"), 0).await;
    assert_eq!(watchkeeper.stop(), Some(0));

    let good = tempfile::tempdir().expect("a temporary folder can be made");
    let broken = GOOD.replace("tx.value >", "tx.valu >");
    let failing = GOOD.replace("101 ether", "99 ether");
    for (name, text) in
        [("watchkeeper.yaml", GOOD), ("broken.yaml", &broken), ("failing.yaml", &failing)]
    {
        std::fs::write(good.path().join(name), text).expect("a file can be written");
    }
    let fine = formats(good.path(), "check", 0).await;
    assert_eq!((&fine["ok"], &fine["rules"]), (&true.into(), &1.into()));
    let wrong = formats(good.path(), "check -c broken.yaml", 4).await;
    assert_eq!(wrong["ok"], false);
    let fault = &wrong["errors"][0];
    assert_eq!((&fault["at"]["line"], &fault["key"]), (&7.into(), &"rules[0].if".into()));
    let tests = formats(good.path(), "test", 0).await;
    assert_eq!(tests[0]["passed"], true);
    let tests = formats(good.path(), "test -c failing.yaml", 10).await;
    assert_eq!(tests[0]["passed"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_says_what_to_fix() {
    let anvil = anvil_or_skip!();
    let receiver = Receiver::start().await;
    receiver.trouble_all(Some(Trouble::Status(403, None)));
    let config = format!(
        r#"
chains:
  local:
    evm:
      rpc:
        - {{name: good, url: "{}"}}
        - {{name: dead, url: "http://127.0.0.1:1/v3/secret-key"}}
receivers:
  oncall: {{webhook: {{url: "{}"}}}}
  log: {{stdout: {{}}}}
"#,
        anvil.http_url(),
        receiver.url("/hook/secret-path"),
    );
    let folder = folder(&[("watchkeeper.yaml", &config)]);
    let checks = formats(folder.path(), "doctor --send", 10).await;
    let check = |name: &str| {
        let all = checks.as_array().expect("a list");
        all.iter().find(|check| check["check"] == name).unwrap_or_else(|| panic!("{checks:#}"))
    };
    assert_eq!(check("endpoint local/good")["result"], "ok");
    assert_eq!(check("endpoint local/dead")["result"], "fail");
    assert_eq!(
        check("endpoint local/dead")["fix"],
        "check its URL and key under chains.local.evm.rpc, and the network"
    );
    assert_eq!(check("channel oncall/webhook")["result"], "fail");
    assert!(check("channel oncall/webhook")["detail"].to_string().contains("403"), "{checks:#}");
    let fix = check("channel oncall/webhook")["fix"].as_str().expect("a fix");
    assert!(fix.contains("receivers.oncall.webhook"), "{fix}");
    assert_eq!(check("channel log/stdout")["result"], "ok");
    let text = checks.to_string();
    assert!(!text.contains("secret-key") && !text.contains("secret-path"), "{text}");

    receiver.trouble_all(None);
    let well =
        config.replace("        - {name: dead, url: \"http://127.0.0.1:1/v3/secret-key\"}\n", "");
    std::fs::write(folder.path().join("watchkeeper.yaml"), well).expect("a file can be written");
    let checks = formats(folder.path(), "doctor", 0).await;
    assert!(checks.to_string().contains("took a test message"), "{checks:#}");
    assert!(checks.to_string().contains("one endpoint only"), "{checks:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn schemas_and_completions_are_printed() {
    let folder = folder(&[]);
    for (what, begins) in [
        ("config", "{"),
        ("openapi", "{"),
        ("metrics", "# Metrics"),
        ("rules", "# Rules"),
        ("cli", "# Command line"),
    ] {
        let ended = run(folder.path(), &["schema", what]).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(ended.stdout.starts_with(begins), "{what}: {:.200}", ended.stdout);
        if begins == "{" {
            assert!(ended.json().is_object(), "{what}");
        }
    }
    for (shell, holds) in [
        ("bash", "complete -F _watchkeeper"),
        ("zsh", "#compdef watchkeeper"),
        ("fish", "complete -c watchkeeper"),
    ] {
        let ended = run(folder.path(), &["completions", shell]).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(ended.stdout.contains(holds), "{shell}: {:.400}", ended.stdout);
        // Where the shell is there, it understands the script.
        let script = folder.path().join(shell);
        std::fs::write(&script, &ended.stdout).expect("a file can be written");
        if let Ok(output) = std::process::Command::new(shell).arg("-n").arg(&script).output() {
            assert!(output.status.success(), "{shell}: {output:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_has_enough_is_no_fault() {
    let folder = folder(&[]);
    let program = crate::support::BINARY;
    let line = format!("'{program}' schema config | head -n 1; echo \"${{PIPESTATUS[0]}}\"");
    let output = std::process::Command::new("bash")
        .args(["-c", &line])
        .current_dir(folder.path())
        .output()
        .expect("bash is there");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "{\n0\n");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn coverage_tells_holes_by_its_exit_code() {
    let anvil = anvil_or_skip!();
    anvil.mine(5).await;
    let config = watched(&anvil, "0x0000000000000000000000000000000000000001", "");
    let mut watchkeeper = Watchkeeper::start(&config).await;
    watchkeeper.wait_for_height("local", 5).await;
    let data = watchkeeper.data_dir().display().to_string();
    let arguments = ["coverage", "--chain", "local", "--data-dir", &data, "-o", "json"];
    wait_until("the coverage is written", Duration::from_secs(10), async || {
        let ended = run(watchkeeper.folder(), &arguments).await;
        ended.code == Some(0) && ended.json()[0]["contiguous_from"] == 0
    })
    .await;
    let gone = ["coverage", "--chain", "elsewhere", "--data-dir", &data];
    assert_eq!(run(watchkeeper.folder(), &gone).await.code, Some(3));
    assert_eq!(watchkeeper.stop(), Some(0));
}
