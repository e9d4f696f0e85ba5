//! The watcher is watched: canaries, and pings to an outside service while all is well.

use wk_testkit::{Receiver, Trouble, anvil_or_skip, wait_until};

use crate::support::{PATIENCE, Running};

fn config(receiver: &Receiver, rest: &str) -> String {
    format!(
        "server: {{canary: {{every: 1s}}, deadman: {{url: \"{}\", every: 1s}}}}\n{rest}",
        receiver.url("/ping/secret-uuid")
    )
}

impl Running {
    fn metric(&self, line: &str) -> f64 {
        let text = self.handle.metrics.render();
        let value = text.lines().find_map(|found| found.strip_prefix(line));
        value.map_or(f64::NAN, |value| value.trim().parse().unwrap())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pings_go_out_while_canaries_come_through() {
    let receiver = Receiver::start().await;
    let running = Running::start(&config(&receiver, "")).await;
    let pings = receiver.wait_for("pings", PATIENCE, |all| all.len() >= 3).await;
    assert!(pings.iter().all(|ping| ping.path == "/ping/secret-uuid" && ping.body.is_empty()));
    wait_until("canaries arrive again and again", PATIENCE, async || {
        let line = "wk_deliveries_total{receiver=\"watchkeeper/canary\",result=\"ok\"}";
        running.metric(line) >= 2.0
    })
    .await;
    assert!(running.metric("wk_canary_age_seconds") < 20.0);
    assert_eq!(
        receiver.received().iter().filter(|ping| ping.path != "/ping/secret-uuid").count(),
        0
    );

    // The service is down: people are told, without the secret in the URL.
    receiver.trouble_all(Some(Trouble::Status(503, None)));
    wait_until("the trouble is told", PATIENCE, async || {
        !running.findings("deadman_unreachable").await.is_empty()
    })
    .await;
    let told = running.findings("deadman_unreachable").await.remove(0).finding;
    assert!(told.title.contains("503") && !told.title.contains("secret"), "{}", told.title);
    receiver.trouble_all(None);
    wait_until("the trouble is over", PATIENCE, async || {
        let told = running.findings("deadman_unreachable").await;
        told[0].status == wk_model::FindingStatus::Resolved
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_ping_goes_out_once_a_chain_is_given_up() {
    let anvil = anvil_or_skip!();
    let receiver = Receiver::start().await;
    let rest = format!(
        "chains: {{local: {{evm: {{rpc: \"{}\", ws: \"{}\", block_time: 1s, reorg_window: 4}}}}}}",
        anvil.http_url(),
        anvil.ws_url()
    );
    anvil.mine(30).await;
    let running = Running::start(&config(&receiver, &rest)).await;
    running.catch_up(&anvil).await;
    anvil.mine(12).await;
    running.catch_up(&anvil).await;
    receiver.wait_for("a ping", PATIENCE, |all| !all.is_empty()).await;
    let line = "wk_seen_to_stored_seconds_count{chain=\"local\"}";
    assert!(running.metric(line) >= 1.0, "{}", running.metric(line));

    // Deeper than the window: people have to decide, and whoever waits for pings hears of it.
    anvil.reorg(10).await;
    anvil.mine(3).await;
    let withheld = "wk_deadman_pings_total{result=\"withheld\"}";
    wait_until("pings are withheld", PATIENCE, async || running.metric(withheld) >= 1.0).await;
    let before = receiver.received().len();
    let more = running.metric(withheld) + 2.0;
    wait_until("more are withheld", PATIENCE, async || running.metric(withheld) >= more).await;
    assert_eq!(receiver.received().len(), before);
}
