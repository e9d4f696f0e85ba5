//! The API as its user sees it: who is let in, lists to their end, live events, errors in one shape.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::support::{Watchkeeper, run};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use wk_testkit::{
    Anvil, Fixture, Receiver, Trouble, Tx, anvil_or_skip, ether, http_client, number, wait_until,
};

const PATIENCE: Duration = Duration::from_secs(30);

/// Each block is a finding.
fn every_block(anvil: &Anvil, more: &str) -> String {
    format!(
        r#"
chains:
  local: {{evm: {{rpc: "{http}", ws: "{ws}", block_time: 1s}}}}
rules:
  - {{id: each-block, on: evm.block, if: block.number >= 0, severity: P3, description: Each block.}}
{more}
"#,
        http = anvil.http_url(),
        ws = anvil.ws_url(),
    )
}

fn ask(watchkeeper: &Watchkeeper, method: &str, path: &str, token: Option<&str>) -> RequestBuilder {
    let method: Method = method.parse().expect("a method");
    let request = http_client().request(method, format!("{}{path}", watchkeeper.url()));
    match token {
        Some(token) => request.bearer_auth(token),
        None => request,
    }
}

async fn status(request: RequestBuilder) -> u16 {
    request.send().await.expect("the program answers").status().as_u16()
}

/// Sends the request; the answer is a problem in the documented shape.
async fn problem(request: RequestBuilder, what: &str) -> (u16, String) {
    let answer = request.send().await.expect("the program answers");
    let status = answer.status().as_u16();
    let kind = answer.headers()["content-type"].to_str().expect("text").to_owned();
    let text = answer.text().await.expect("a body");
    assert_eq!(kind, "application/problem+json", "{what}: {status} {text}");
    let problem: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(problem["status"], status, "{what}: {problem}");
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.len() > 5), "{what}: {problem}");
    (status, problem["code"].as_str().expect("a code").to_owned())
}

async fn token(watchkeeper: &Watchkeeper, role: &str) -> String {
    let data = watchkeeper.data_dir().display().to_string();
    let arguments = ["token", "create", role, "--role", role, "--data-dir", &data];
    let made = run(watchkeeper.folder(), &arguments).await;
    assert_eq!(made.code, Some(0), "{made:?}");
    made.stdout.trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_role_may_do_its_part_and_secrets_are_not_stored() {
    let anvil = anvil_or_skip!();
    let mut watchkeeper = Watchkeeper::start(&every_block(&anvil, "")).await;
    let mut tokens = Vec::new();
    for role in ["viewer", "operator", "admin"] {
        tokens.push(token(&watchkeeper, role).await);
    }
    let [viewer, operator, admin] = &tokens[..] else { panic!("three were made") };
    let wrong = format!("wk_{}", "0".repeat(64));
    let requests = [
        // From this machine everyone may look.
        ("GET", "/api/v1/findings", [200, 200, 200, 200, 401]),
        ("GET", "/metrics", [200, 200, 200, 200, 401]),
        ("POST", "/api/v1/outbox/resend", [401, 403, 200, 200, 401]),
        ("GET", "/api/v1/tokens", [401, 403, 403, 200, 401]),
        ("DELETE", "/api/v1/tokens/99", [401, 403, 403, 404, 401]),
        ("GET", "/-/healthy", [200, 200, 200, 200, 200]),
    ];
    for (method, path, expected) in requests {
        let callers = [None, Some(viewer), Some(operator), Some(admin), Some(&wrong)];
        for (caller, expected) in callers.into_iter().zip(expected) {
            let request = ask(&watchkeeper, method, path, caller.map(String::as_str));
            assert_eq!(status(request).await, expected, "{method} {path} {caller:?}");
        }
    }

    // Made over HTTP: shown once, useful at once, and for nothing once it is revoked.
    let new = json!({"name": "grafana", "role": "viewer"});
    let made = ask(&watchkeeper, "POST", "/api/v1/tokens", Some(admin)).json(&new).send().await;
    let made = made.expect("the program answers");
    assert_eq!(made.status(), StatusCode::CREATED);
    let made: Value = made.json().await.expect("JSON");
    let secret = made["secret"].as_str().expect("a secret").to_owned();
    assert_eq!(status(ask(&watchkeeper, "GET", "/api/v1/rules", Some(&secret))).await, 200);
    let revoke = format!("/api/v1/tokens/{}", made["token"]["id"]);
    assert_eq!(status(ask(&watchkeeper, "DELETE", &revoke, Some(admin))).await, 204);
    let refused = ask(&watchkeeper, "GET", "/api/v1/rules", Some(&secret)).send().await;
    let refused = refused.expect("the program answers");
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(refused.headers()["www-authenticate"], "Bearer");
    let list = ask(&watchkeeper, "GET", "/api/v1/tokens", Some(admin)).send().await;
    let list = list.expect("the program answers").text().await.expect("a body");
    assert!(list.contains("grafana") && !list.contains("secret"), "{list}");

    assert_eq!(watchkeeper.stop(), Some(0));
    for entry in std::fs::read_dir(watchkeeper.data_dir()).expect("it was made") {
        let path = entry.expect("it can be read").path();
        let bytes = std::fs::read(&path).expect("it can be read");
        for secret in tokens.iter().chain([&secret]) {
            let found = bytes.windows(64).any(|part| part == &secret.as_bytes()[3..]);
            assert!(!found, "{} holds a secret", path.display());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_this_machine_nobody_is_let_in_without_a_token() {
    assert!(wk_config::ServerConfig::default().listen.ip().is_loopback());
    let anvil = anvil_or_skip!();
    let config = every_block(&anvil, "server: {auth: {anonymous: none}}");
    let watchkeeper = Watchkeeper::start(&config).await;
    for (path, expected) in [
        ("/", 200),
        ("/-/healthy", 200),
        ("/api/openapi.json", 200),
        ("/api/v1/status", 401),
        ("/api/v1/stream", 401),
        ("/metrics", 401),
    ] {
        assert_eq!(status(ask(&watchkeeper, "GET", path, None)).await, expected, "{path}");
    }
    let viewer = token(&watchkeeper, "viewer").await;
    assert_eq!(status(ask(&watchkeeper, "GET", "/metrics", Some(&viewer))).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_read_to_its_end_while_it_grows() {
    let anvil = anvil_or_skip!();
    let watchkeeper = Watchkeeper::start(&every_block(&anvil, "")).await;
    // It begins with the newest block that it sees.
    watchkeeper.wait_for_height("local", anvil.height().await).await;
    anvil.mine(120).await;
    watchkeeper.wait_for_height("local", anvil.height().await).await;
    let rule = "source=each-block";
    let before = watchkeeper.findings(&format!("&{rule}")).await;
    assert!(before.len() >= 120, "{}", before.len());

    let mut read: Vec<Value> = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = watchkeeper.get(&format!("/api/v1/findings?limit=7&{rule}{cursor}")).await;
        read.extend(page["items"].as_array().expect("items").iter().cloned());
        // The list grows at its head with each page that is read.
        anvil.mine(2).await;
        watchkeeper.wait_for_height("local", anvil.height().await).await;
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let height = |finding: &Value| finding["position"]["height"].as_u64().expect("a height");
    let ids = |all: &[Value]| all.iter().map(|f| f["id"].to_string()).collect::<Vec<_>>();
    assert_eq!(ids(&read), ids(&before), "none is lost, none comes twice, none slips in");
    assert!(read.windows(2).all(|pair| height(&pair[0]) > height(&pair[1])), "newest first");

    let rules = watchkeeper.get("/api/v1/rules").await;
    let rule = &rules[0];
    assert_eq!(rule["id"], "each-block");
    assert_eq!(rule["on"], "evm.block");
    assert_eq!(rule["severity"], "P3");
    assert_eq!(rule["deliver"], "seen");
    assert_eq!(rule["description"], "Each block.");
    assert!(rule["findings"].as_u64().is_some_and(|n| n > before.len() as u64), "{rule}");
    assert!(rule["last_fired_at"].is_u64() && rule["last_error"].is_null(), "{rule}");
}

/// One server-sent event.
#[derive(Debug)]
struct Event {
    id: u64,
    topic: String,
    data: Value,
}

/// Reads events until there are enough.
async fn events(request: RequestBuilder, enough: impl Fn(&[Event]) -> bool) -> Vec<Event> {
    let mut answer = request.send().await.expect("the program answers");
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    let mut text = String::new();
    let reading = async {
        loop {
            let chunk = answer.chunk().await.expect("the stream goes on").expect("it has no end");
            text.push_str(std::str::from_utf8(&chunk).expect("events are whole"));
            let events: Vec<Event> = text.split("\n\n").filter_map(event).collect();
            if enough(&events) {
                return events;
            }
        }
    };
    match tokio::time::timeout(PATIENCE, reading).await {
        Ok(events) => events,
        Err(_) => panic!("not enough events: {text}"),
    }
}

fn event(text: &str) -> Option<Event> {
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
    Some(Event {
        id: field("id: ")?.parse().ok()?,
        topic: field("event: ")?.to_owned(),
        data: serde_json::from_str(field("data: ")?).ok()?,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn listeners_beyond_what_is_allowed_are_refused_until_one_goes() {
    let anvil = anvil_or_skip!();
    let watchkeeper = Watchkeeper::start(&every_block(&anvil, "")).await;
    let listen = || ask(&watchkeeper, "GET", "/api/v1/stream", None).send();
    let mut listeners = Vec::new();
    for _ in 0..256 {
        let answer = listen().await.expect("the program answers");
        assert_eq!(answer.status(), StatusCode::OK);
        listeners.push(answer);
    }
    let refused = listen().await.expect("the program answers");
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    drop(listeners.pop());
    wait_until("a place is free", PATIENCE, async || {
        listen().await.is_ok_and(|answer| answer.status() == StatusCode::OK)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn live_events_come_as_they_happen_and_are_caught_up_on() {
    let anvil = anvil_or_skip!();
    let watchkeeper = Watchkeeper::start(&every_block(&anvil, "")).await;
    watchkeeper.wait_for_height("local", anvil.height().await).await;
    let mining = async {
        // Something happens as long as someone listens.
        loop {
            anvil.mine(1).await;
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    let listening = async {
        // From the very first event on: what was there before is kept for late comers.
        let stream = || ask(&watchkeeper, "GET", "/api/v1/stream", None);
        let all = events(stream().header("Last-Event-ID", "0"), |events| {
            ["block", "finding", "health"]
                .iter()
                .all(|topic| events.iter().any(|event| event.topic == *topic))
                && events.len() >= 6
        })
        .await;
        assert!(all.windows(2).all(|pair| pair[1].id == pair[0].id + 1), "{all:#?}");
        let of = |topic: &str| all.iter().find(|event| event.topic == topic).expect("it came");
        let block = &of("block").data;
        assert_eq!(block["chain"], "local");
        assert!(block["link"]["block"]["height"].is_u64(), "{block}");
        assert_eq!(block["reverted"], false);
        let finding = &of("finding").data;
        let same = watchkeeper.get(&format!("/api/v1/findings/{}", text(&finding["id"]))).await;
        assert_eq!(*finding, same, "the stream and the list tell the same");
        let health = &of("health").data;
        assert!(health["endpoints"].is_array() && health["state"].is_string(), "{health}");

        let third = all[2].id;
        let missed = stream().header("Last-Event-ID", third.to_string());
        let missed = events(missed, |events| events.len() >= 3).await;
        assert_eq!(missed[0].id, third + 1, "nothing is left out");
        let blocks = ask(&watchkeeper, "GET", "/api/v1/stream?topics=block", None);
        let blocks = events(blocks, |events| events.len() >= 2).await;
        assert!(blocks.iter().all(|event| event.topic == "block"), "{blocks:#?}");
    };
    tokio::select! {
        () = listening => {}
        () = mining => unreachable!("it has no end"),
    }
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_ready_when_every_chain_is_followed() {
    let anvil = anvil_or_skip!();
    let dead = {
        let probe = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
        probe.local_addr().expect("it is bound").port()
    };
    let config = format!(
        r#"
chains:
  local: {{evm: {{rpc: "{}", block_time: 1s}}}}
  dead: {{evm: {{rpc: "http://127.0.0.1:{dead}", block_time: 1s}}}}
"#,
        anvil.http_url()
    );
    let watchkeeper = Watchkeeper::start(&config).await;
    watchkeeper.wait_for_height("local", anvil.height().await).await;
    assert_eq!(status(ask(&watchkeeper, "GET", "/-/healthy", None)).await, 200);
    let refused = problem(ask(&watchkeeper, "GET", "/-/ready", None), "not ready").await;
    assert_eq!(refused, (503, "not_ready".to_owned()));
    drop(watchkeeper);

    let watchkeeper = Watchkeeper::start(&every_block(&anvil, "")).await;
    wait_until("it is ready", PATIENCE, async || {
        status(ask(&watchkeeper, "GET", "/-/ready", None)).await == 200
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_has_the_documented_shape() {
    let anvil = anvil_or_skip!();
    let watchkeeper = Watchkeeper::start(&every_block(&anvil, "")).await;
    watchkeeper.wait_for_height("local", anvil.height().await).await;
    let admin = token(&watchkeeper, "admin").await;
    let zeros = "0".repeat(64);
    let nowhere = format!("/api/v1/chains/nowhere/transactions/0x{zeros}");
    let unknown = format!("/api/v1/chains/local/transactions/0x{zeros}");
    let long = format!("/api/v1/findings?text={}", "x".repeat(9_000));
    for (method, path, status, code) in [
        ("GET", "/api/v1/findings?cursor=nonsense", 400, "bad_request"),
        ("GET", "/api/v1/findings?cursor=o1f", 400, "bad_request"),
        ("GET", "/api/v1/findings?status=sleepy", 400, "bad_request"),
        ("GET", "/api/v1/findings?severity=P9", 400, "bad_request"),
        ("GET", "/api/v1/findings?colour=red", 400, "bad_request"),
        ("GET", "/api/v1/findings?limit=many", 400, "bad_request"),
        ("GET", "/api/v1/findings/nonsense", 400, "bad_request"),
        ("GET", "/api/v1/findings/00000000000000000000000000000000", 404, "not_found"),
        ("GET", "/api/v1/outbox?state=lost", 400, "bad_request"),
        ("GET", "/api/v1/outbox?finding=x", 400, "bad_request"),
        ("GET", "/api/v1/chains/nowhere", 404, "not_found"),
        ("GET", "/api/v1/chains/nowhere/coverage", 404, "not_found"),
        ("GET", "/api/v1/chains/local/blocks?from=low", 400, "bad_request"),
        ("GET", "/api/v1/chains/nowhere/recent", 404, "not_found"),
        ("GET", "/api/v1/chains/local/transactions/0x12", 400, "bad_request"),
        ("GET", &nowhere, 404, "not_found"),
        ("GET", &unknown, 404, "not_found"),
        ("GET", "/api/v1/overview?hours=many", 400, "bad_request"),
        ("GET", "/api/v1/search?what=x", 400, "bad_request"),
        ("GET", "/api/v1/stream?topics=gossip", 400, "bad_request"),
        ("POST", "/api/v1/outbox/99/resend", 404, "not_found"),
        ("POST", "/api/v1/outbox/x/resend", 400, "bad_request"),
        ("DELETE", "/api/v1/findings", 405, "method_not_allowed"),
        ("GET", "/api/v2/findings", 404, "not_found"),
        ("GET", &long, 414, "uri_too_long"),
        ("POST", "/api/v1/tokens", 415, "unsupported_media_type"),
    ] {
        let what = format!("{method} {path:.60}");
        let refused = problem(ask(&watchkeeper, method, path, Some(&admin)), &what).await;
        assert_eq!(refused, (status, code.to_owned()), "{what}");
    }
    for (body, status, code) in [
        (json!({"name": "x", "role": "king"}), 400, "bad_request"),
        (json!({"name": "", "role": "viewer"}), 400, "bad_request"),
        (json!({"name": "x", "role": "viewer", "more": 1}), 400, "bad_request"),
        (json!({"name": "x".repeat(70_000), "role": "viewer"}), 413, "too_large"),
    ] {
        let request = ask(&watchkeeper, "POST", "/api/v1/tokens", Some(&admin)).json(&body);
        let what = format!("{body:.60}");
        assert_eq!(problem(request, &what).await, (status, code.to_owned()), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_web_page_gets_nothing() {
    let anvil = anvil_or_skip!();
    let watchkeeper = Watchkeeper::start(&every_block(&anvil, "")).await;
    let ask = |name: &'static str, value: &str| {
        ask(&watchkeeper, "GET", "/api/v1/status", None).header(name, value)
    };
    let foreign = problem(ask("host", "evil.example"), "a name that points here").await;
    assert_eq!(foreign, (403, "forbidden".to_owned()));
    let foreign = problem(ask("origin", "http://evil.example"), "another site").await;
    assert_eq!(foreign, (403, "forbidden".to_owned()));
    assert_eq!(status(ask("host", "localhost:7070")).await, 200);
    let own = watchkeeper.url().to_owned();
    let answer = ask("origin", &own).send().await.expect("the program answers");
    assert_eq!(answer.status(), StatusCode::OK);
    let headers = answer.headers();
    assert_eq!(headers["x-content-type-options"], "nosniff");
    assert_eq!(headers["x-frame-options"], "DENY");
    assert_eq!(headers["referrer-policy"], "no-referrer");
    let policy = headers["content-security-policy"].to_str().expect("text");
    assert!(policy.starts_with("default-src 'none'; script-src 'self'"), "{policy}");
    assert!(!headers.contains_key("access-control-allow-origin"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_served_is_what_is_described() {
    let anvil = anvil_or_skip!();
    let receiver = Receiver::start().await;
    receiver.trouble_all(Some(Trouble::Status(400, None)));
    let vault = anvil.deploy(Fixture::Vault, &[]).await;
    anvil.execute(&Tx::call(vault, Fixture::Vault, "deposit", &[]).value(ether(5))).await;
    let more = format!(
        r#"
  - id: withdrawal
    watch: vault
    event: Withdraw(address indexed to, uint256 amount)
    notify: me
  - {{id: silent, on: evm.tx, if: tx.failed, enabled: false}}
contracts:
  vault: {{chain: local, address: "{vault}"}}
receivers:
  me: {{webhook: {{url: "{}"}}}}
  log: {{stdout: {{}}}}
route: {{receiver: log}}
"#,
        receiver.url("/hook")
    );
    let watchkeeper = Watchkeeper::start(&every_block(&anvil, &more)).await;
    watchkeeper.wait_for_height("local", anvil.height().await).await;
    let described = watchkeeper.get("/api/openapi.json").await;
    let committed: Value = serde_json::from_str(include_str!("../../../../schemas/openapi.json"))
        .expect("the committed file is JSON");
    assert!(described == committed, "schemas/openapi.json is stale: cargo xtask generate");

    anvil.execute(&Tx::call(vault, Fixture::Vault, "withdraw", &[number(ether(1))])).await;
    watchkeeper
        .wait("/api/v1/targets", "the message is given up", |targets| {
            targets.as_array().is_some_and(|all| all.iter().any(|target| target["dead"] == 1))
        })
        .await;
    let targets = watchkeeper.get("/api/v1/targets").await;
    let names: BTreeSet<(&str, &str)> = targets
        .as_array()
        .expect("a list")
        .iter()
        .map(|target| (text(&target["target"]), text(&target["channel"])))
        .collect();
    assert_eq!(names, BTreeSet::from([("log/stdout", "stdout"), ("me/webhook", "webhook")]));
    let dead = watchkeeper.get("/api/v1/outbox?state=dead").await;
    assert_eq!(dead["items"][0]["target"], "me/webhook");
    assert!(text(&dead["items"][0]["last_error"]).contains("400"), "{dead}");
    let rules = watchkeeper.get("/api/v1/rules").await;
    let rule = |id: &str| {
        let all = rules.as_array().expect("a list");
        all.iter().find(|rule| rule["id"] == id).expect("it is in the config").clone()
    };
    assert_eq!(rule("withdrawal")["watch"], json!(["vault"]));
    assert_eq!(rule("withdrawal")["findings"], 1);
    assert_eq!(rule("withdrawal")["notify"], json!(["me"]));
    assert_eq!(rule("silent")["enabled"], false);

    // Every path without parameters answers, and every listed field is described.
    let paths = described["paths"].as_object().expect("paths");
    for (path, item) in paths {
        if path.contains('{') || !item["get"].is_object() || path.ends_with("/stream") {
            continue;
        }
        let expected = if path.ends_with("/tokens") { 401 } else { 200 };
        assert_eq!(status(ask(&watchkeeper, "GET", path, None)).await, expected, "{path}");
    }
    for (schema, value) in
        [("Rule", &rules[0]), ("Target", &targets[0]), ("Message", &dead["items"][0])]
    {
        let known = described["components"]["schemas"][schema]["properties"].as_object();
        let known: BTreeSet<&String> = known.expect("it is described").keys().collect();
        let have: BTreeSet<&String> = value.as_object().expect("an object").keys().collect();
        assert_eq!(have, known, "{schema}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_is_looked_into_and_found_by_its_hash() {
    let anvil = anvil_or_skip!();
    let vault = anvil.deploy(Fixture::Vault, &[]).await;
    let more = format!(
        r#"
contracts:
  vault: {{chain: local, address: "{vault}", abi: ["function withdraw(uint256 amount)"]}}
"#
    );
    let deposit = Tx::call(vault, Fixture::Vault, "deposit", &[]).value(ether(5));
    anvil.execute(&deposit).await;
    let withdraw = Tx::call(vault, Fixture::Vault, "withdraw", &[number(ether(1))]);
    let receipt = anvil.execute(&withdraw).await;
    let hash = text(&receipt["transactionHash"]);
    let watchkeeper = Watchkeeper::start(&every_block(&anvil, &more)).await;
    watchkeeper.wait_for_height("local", anvil.height().await).await;

    let tx = watchkeeper.get(&format!("/api/v1/chains/local/transactions/{hash}")).await;
    assert_eq!(tx["success"], true, "{tx}");
    assert_eq!(tx["calls_known"], true, "anvil traces");
    let account = |of: &Value| {
        let place = of.as_u64().and_then(|place| usize::try_from(place).ok());
        tx["accounts"][place.expect("a number")].clone()
    };
    assert_eq!(account(&tx["target"])["name"], "vault");
    let frames = tx["frames"].as_array().expect("a list");
    assert_eq!(frames.len(), 2, "the vault is called, and pays");
    assert_eq!(frames[0]["function"], "withdraw(uint256)");
    assert_eq!(frames[0]["arguments"], json!({"amount": ether(1).to_string()}));
    assert_eq!(frames[1]["parent"], 0);
    assert_eq!(frames[1]["value"], ether(1).to_string());
    assert_eq!(frames[1]["marks"], json!(["value", "moves"]));
    // What one lost, another won.
    let nets = tx["balances"].as_array().expect("a list").iter().map(|one| text(&one["net"]));
    let nets: BTreeSet<String> = nets.map(str::to_owned).collect();
    assert_eq!(nets, BTreeSet::from([ether(1).to_string(), format!("-{}", ether(1))]));

    let height = number_of(&receipt["blockNumber"]);
    let block = text(&receipt["blockHash"]);
    for (asked, kind, id) in [
        (hash, "transaction", hash.to_owned()),
        (block, "block", height.to_string()),
        (&height.to_string(), "block", height.to_string()),
        (&vault.to_string(), "contract", "vault".to_owned()),
        ("EACH-BL", "rule", "each-block".to_owned()),
    ] {
        let hits = watchkeeper.get(&format!("/api/v1/search?q={asked}")).await;
        assert_eq!((text(&hits[0]["kind"]), text(&hits[0]["id"])), (kind, &*id), "{asked}: {hits}");
    }
    let me = watchkeeper.get("/api/v1/me").await;
    assert_eq!(me, json!({"role": "viewer", "token": null}));

    // Blocks that are taken back stay in sight beside those that came for them.
    let next = anvil.height().await + 1;
    anvil.mine(1).await;
    watchkeeper.wait_for_height("local", next).await;
    anvil.reorg(1).await;
    let recent = "/api/v1/chains/local/recent?limit=600";
    watchkeeper
        .wait(recent, "the block is taken back", |blocks| {
            let blocks = blocks.as_array().into_iter().flatten();
            let at = blocks.filter(|block| block["link"]["block"]["height"] == next);
            let gone: Vec<bool> = at.map(|block| block["reverted_at"].is_u64()).collect();
            gone == [true, false]
        })
        .await;
    let used = watchkeeper.get(recent).await;
    let used = used.as_array().into_iter().flatten();
    let of_withdraw = used.clone().find(|block| block["link"]["block"]["height"] == height);
    if let Some(block) = of_withdraw {
        assert_eq!(block["gas_used"], number_of(&receipt["gasUsed"]));
    }
    let overview = watchkeeper.get("/api/v1/overview").await;
    let status = watchkeeper.get("/api/v1/status").await;
    let open = |of: &Value| of["P3"].as_u64().unwrap_or(0);
    let domains = overview["domains"].as_array().expect("a list");
    let all: u64 = domains.iter().map(|domain| open(&domain["open"])).sum();
    assert!(all > 0 && all <= open(&status["open_findings"]), "{overview} {status}");
}

/// A quantity as nodes write it.
fn number_of(value: &Value) -> u64 {
    let digits = text(value).trim_start_matches("0x");
    u64::from_str_radix(digits, 16).expect("a quantity")
}
