//! The demo: no network, no config, and within seconds all that it promises.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::BINARY;
use serde_json::Value;
use wk_testkit::{http_client, wait_for};

#[tokio::test(flavor = "multi_thread")]
async fn within_ten_seconds_findings_a_retraction_and_a_liar_appear() {
    let port = {
        let probe = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
        probe.local_addr().expect("it is bound").port()
    };
    let started = Instant::now();
    let mut child = Command::new(BINARY)
        .args(["demo", "--seconds", "60", "--listen", &format!("127.0.0.1:{port}")])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program can be started");
    let findings = async || -> Option<Vec<Value>> {
        let url = format!("http://127.0.0.1:{port}/api/v1/findings?limit=1000");
        let page: Value = http_client().get(url).send().await.ok()?.json().await.ok()?;
        Some(page["items"].as_array()?.clone())
    };
    let complete = wait_for("the demo shows everything", Duration::from_secs(30), async || {
        let all = findings().await?;
        let of_rules = all.iter().filter(|finding| finding["source_kind"] == "rule").count();
        let retracted = all.iter().any(|finding| finding["status"] == "retracted");
        let reorg = all.iter().any(|finding| finding["class"] == "reorg");
        let liar = all.iter().any(|finding| {
            finding["source_kind"] == "system"
                && finding["asset"].as_str().is_some_and(|asset| asset.starts_with("endpoint/"))
        });
        (of_rules >= 3 && retracted && reorg && liar).then_some(all)
    })
    .await;
    let took = started.elapsed();
    child.kill().expect("it runs");
    child.wait().expect("it runs");
    println!("{} findings after {took:?}", complete.len());
    assert!(took < Duration::from_secs(20), "took {took:?}");
}
