//! What is told beside series: targets, rules, alerts, the server itself.

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use common::{Client, Source, serve, sources};
use serde_json::{Value, json};
use wk_prometheus::{
    ActiveTarget, Alert, AlertState, DroppedTarget, Health, QuerySettings, Rule, RuleGroup,
    RuleKind, Rules, TargetHealth, TargetMetadata, Targets,
};

struct Known;

fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn rule(name: &str, kind: RuleKind) -> Rule {
    Rule {
        kind,
        name: name.into(),
        query: "up == 0".into(),
        health: Health::Ok,
        last_error: String::new(),
        evaluation_time: 0.0,
        last_evaluation: "2026-01-01T00:00:00Z".into(),
    }
}

impl Rules for Known {
    fn groups(&self) -> Vec<RuleGroup> {
        let alert = Alert { state: AlertState::Pending, value: 1.0, ..Alert::default() };
        let alerting = RuleKind::Alerting {
            state: AlertState::Pending,
            duration: 60.0,
            keep_firing_for: 0.0,
            labels: labels(&[("team", "x")]),
            annotations: BTreeMap::new(),
            alerts: vec![alert],
        };
        let recording = |team| RuleKind::Recording { labels: labels(&[("team", team)]) };
        let group = |file: &str, name: &str, rules| RuleGroup {
            name: name.into(),
            file: file.into(),
            rules,
            ..RuleGroup::default()
        };
        vec![
            group("a.yml", "one", vec![rule("Down", alerting)]),
            group("a.yml", "two", vec![rule("up:sum", recording("y"))]),
            group("b.yml", "one", vec![rule("up:avg", recording("x"))]),
        ]
    }

    fn alertmanagers(&self) -> Vec<String> {
        vec!["http://am/api/v2/alerts".into()]
    }
}

impl Targets for Known {
    fn active(&self) -> Vec<ActiveTarget> {
        ["node", "api"]
            .map(|pool| ActiveTarget {
                scrape_pool: pool.into(),
                health: TargetHealth::Up,
                ..ActiveTarget::default()
            })
            .to_vec()
    }

    fn dropped(&self) -> Vec<DroppedTarget> {
        vec![DroppedTarget { scrape_pool: "api".into(), ..DroppedTarget::default() }]
    }

    fn scrape_pools(&self) -> Vec<String> {
        vec!["api".into(), "node".into()]
    }

    fn metadata(&self) -> Vec<TargetMetadata> {
        let one = |job: &str, metric: &str| TargetMetadata {
            target: labels(&[("job", job)]),
            metric: metric.into(),
            kind: "gauge".into(),
            ..TargetMetadata::default()
        };
        vec![one("a", "up"), one("b", "up"), one("b", "other")]
    }
}

async fn server() -> Client {
    let mut all = sources(Source::default());
    (all.rules, all.targets) = (Arc::new(Known), Arc::new(Known));
    serve(all, QuerySettings::default()).await
}

/// Expects this at the places in the answer's data.
async fn check(client: &Client, path: &str, asked: &[(&str, &str)], expected: &[(&str, Value)]) {
    let (status, answer) = client.get(&format!("/api/v1/{path}"), asked).await;
    assert_eq!(status, 200, "{path} {asked:?}: {answer}");
    for (at, expected) in expected {
        let found = answer["data"].pointer(at).unwrap_or(&Value::Null);
        assert_eq!(found, expected, "{path} {asked:?} {at}: {answer}");
    }
}

#[tokio::test]
async fn rules_are_narrowed_and_paged() {
    let client = server().await;
    let names = |groups: &[&str]| -> Vec<(String, Value)> {
        let mut all: Vec<_> = groups
            .iter()
            .enumerate()
            .map(|(at, name)| (format!("/groups/{at}/rules/0/name"), json!(name)))
            .collect();
        all.push((format!("/groups/{}", groups.len()), Value::Null));
        all
    };
    type Case<'a> = (&'a [(&'a str, &'a str)], &'a [&'a str]);
    let cases: [Case<'_>; 9] = [
        (&[], &["Down", "up:sum", "up:avg"]),
        (&[("type", "alert")], &["Down"]),
        (&[("type", "record")], &["up:sum", "up:avg"]),
        (&[("file[]", "a.yml")], &["Down", "up:sum"]),
        (&[("rule_group[]", "one")], &["Down", "up:avg"]),
        (&[("rule_name[]", "up:avg"), ("rule_name[]", "Down")], &["Down", "up:avg"]),
        (&[("match[]", "{team='x'}")], &["Down", "up:avg"]),
        (&[("group_limit", "2")], &["Down", "up:sum"]),
        (&[("group_limit", "2"), ("group_next_token", "b.yml;one")], &["up:avg"]),
    ];
    for (asked, groups) in cases {
        let expected = names(groups);
        let expected: Vec<_> = expected.iter().map(|(at, v)| (at.as_str(), v.clone())).collect();
        check(&client, "rules", asked, &expected).await;
    }
    let alerts = "/groups/0/rules/0/alerts";
    check(
        &client,
        "rules",
        &[],
        &[(
            alerts,
            json!([{
                "labels": {}, "annotations": {}, "state": "pending", "value": "1e+00",
            }]),
        )],
    )
    .await;
    check(&client, "rules", &[("exclude_alerts", "true")], &[(alerts, json!([]))]).await;
    let token = [("/groupNextToken", json!("b.yml;one"))];
    check(&client, "rules", &[("group_limit", "2")], &token).await;
    for wrong in [
        ("type", "x"),
        ("group_limit", "0"),
        ("group_next_token", "x"),
        ("match[]", "{"),
        ("exclude_alerts", "x"),
    ] {
        let (status, answer) = client.get("/api/v1/rules", &[wrong]).await;
        assert_eq!((status, &answer["errorType"]), (400, &json!("bad_data")), "{wrong:?}");
    }
    check(&client, "alerts", &[], &[("/alerts/0/state", json!("pending"))]).await;
    let url = json!("http://am/api/v2/alerts");
    check(&client, "alertmanagers", &[], &[("/activeAlertmanagers/0/url", url)]).await;
}

#[tokio::test]
async fn targets_are_narrowed() {
    let client = server().await;
    let (active, dropped, counts) = ("/activeTargets", "/droppedTargets", "/droppedTargetCounts");
    let of = [("scrapePool", "node")];
    check(
        &client,
        "targets",
        &of,
        &[
            ("/activeTargets/0/health", json!("up")),
            ("/activeTargets/1", Value::Null),
            (dropped, json!([])),
        ],
    )
    .await;
    let expected = [(active, json!([])), (counts, json!({"api": 1}))];
    check(&client, "targets", &[("state", "dropped")], &expected).await;
    check(&client, "targets", &[("state", "active")], &[(dropped, json!([]))]).await;
    check(&client, "scrape_pools", &[], &[("/scrapePools", json!(["api", "node"]))]).await;
    let all = [("/2/metric", json!("other")), ("/3", Value::Null)];
    check(&client, "targets/metadata", &[], &all).await;
    let only = json!([{"target": {"job": "b"}, "type": "gauge", "help": "", "unit": ""}]);
    let asked = [("match_target", "{job='b'}"), ("metric", "up")];
    check(&client, "targets/metadata", &asked, &[("", only)]).await;
}

#[tokio::test]
async fn the_server_tells_of_itself() {
    let client = server().await;
    check(&client, "status/buildinfo", &[], &[("/version", json!("3.5.0"))]).await;
    check(&client, "status/config", &[], &[("/yaml", json!(""))]).await;
    check(&client, "status/flags", &[], &[("", json!({}))]).await;
    check(&client, "status/runtimeinfo", &[], &[("/CWD", json!("")), ("/GOMAXPROCS", json!(0))])
        .await;
    check(&client, "status/walreplay", &[], &[("/current", json!(0))]).await;
    check(&client, "status/tsdb", &[("limit", "5")], &[("/headStats/numSeries", json!(0))]).await;
    check(&client, "notifications", &[], &[("", json!([]))]).await;
    let known =
        [("/promql_functions/rate", json!(true)), ("/promql_operators/limitk", json!(false))];
    check(&client, "features", &[], &known).await;
    let (status, _) = client.get("/api/v1/status/tsdb", &[("limit", "0")]).await;
    assert_eq!(status, 400);
    for path in ["/-/healthy", "/-/ready"] {
        let (status, text) = client.text(path, &[]).await;
        assert_eq!((status, text.starts_with("Watchkeeper is ")), (200, true), "{text}");
    }
}
