//! The requests that Grafana's Prometheus library makes, with its parameters.

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use common::{Source, serve, sources};
use serde_json::{Value, json};
use wk_model::series::{Exemplar, Labels};
use wk_prometheus::{
    Health, MetadataSource, MetricMetadata, QuerySettings, Rule, RuleGroup, RuleKind, Rules,
};
use wk_promql::ExemplarSeries;

struct Known;

impl MetadataSource for Known {
    fn metadata(&self, metric: Option<&str>) -> BTreeMap<String, Vec<MetricMetadata>> {
        let up = MetricMetadata { kind: "gauge".into(), help: "Alive.".into(), unit: "".into() };
        let all = BTreeMap::from([("up".to_owned(), vec![up])]);
        all.into_iter().filter(|(name, _)| metric.is_none_or(|metric| metric == name)).collect()
    }
}

impl Rules for Known {
    fn groups(&self) -> Vec<RuleGroup> {
        let rule = Rule {
            kind: RuleKind::Recording {
                labels: BTreeMap::from([("team".to_owned(), "x".to_owned())]),
            },
            name: "job:up:sum".into(),
            query: "sum by (job) (up)".into(),
            health: Health::Ok,
            last_error: String::new(),
            evaluation_time: 0.5,
            last_evaluation: "2026-01-01T00:00:00Z".into(),
        };
        let group = RuleGroup { name: "g".into(), rules: vec![rule], ..RuleGroup::default() };
        vec![group]
    }
}

/// Path, parameters, whether it is also sent by POST, where in `data` to look and what stands there.
type Case = (&'static str, &'static [(&'static str, &'static str)], bool, &'static str, Value);

#[tokio::test]
async fn every_request_of_grafana_is_answered() {
    let mut source = Source::default();
    source.add(
        &[("__name__", "up"), ("job", "a"), ("k8s.pod", "p")],
        1_700_000_000_000,
        15_000,
        &[1.0; 8],
    );
    let labels = Labels::from_pairs([("__name__", "up"), ("job", "a")]);
    let exemplar = Exemplar {
        labels: Labels::from_pairs([("trace_id", "abc")]),
        time_ms: 1_700_000_001_500,
        value: 0.25,
    };
    source.exemplars.push(ExemplarSeries { labels, exemplars: vec![exemplar] });
    let mut all = sources(source);
    (all.metadata, all.rules) = (Arc::new(Known), Arc::new(Known));
    let client = serve(all, QuerySettings::default()).await;
    let cases: [Case; 17] = [
        // The probe of "save & test".
        ("query", &[("query", "1+1"), ("time", "1700000030")], true, "/result/1", json!("2")),
        ("status/buildinfo", &[], false, "/version", json!("3.5.0")),
        // Panels: the step as a number with a fraction, statistics for the inspector.
        (
            "query_range",
            &[
                ("query", "up"),
                ("start", "1700000000"),
                ("end", "1700000030.123"),
                ("step", "15.000"),
            ],
            true,
            "/result/0/values/2",
            json!([1_700_000_030, "1"]),
        ),
        (
            "query",
            &[("query", "up"), ("time", "1700000030"), ("stats", "all")],
            true,
            "/stats/samples/totalQueryableSamples",
            json!(3),
        ),
        // Whether there are exemplars: times in milliseconds, which are far away as seconds.
        (
            "query_exemplars",
            &[("query", "test"), ("start", "1700000000000"), ("end", "1700001800000")],
            false,
            "",
            json!([]),
        ),
        (
            "query_exemplars",
            &[("query", "rate(up{job=\"a\"}[5m])"), ("start", "1700000000"), ("end", "1700000030")],
            true,
            "/0/exemplars/0",
            json!({"labels": {"trace_id": "abc"}, "value": "0.25", "timestamp": 1_700_000_001.5}),
        ),
        // Names and values, in the range of the dashboard, with the usual limit and without one.
        (
            "labels",
            &[("limit", "40000"), ("start", "1700000000"), ("end", "1700003600")],
            true,
            "",
            json!(["__name__", "job", "k8s.pod"]),
        ),
        (
            "labels",
            &[
                ("match[]", "{__name__=\"up\"}"),
                ("limit", "0"),
                ("start", "1700000000"),
                ("end", "1700003600"),
            ],
            true,
            "/1",
            json!("job"),
        ),
        (
            "label/__name__/values",
            &[("limit", "40000"), ("start", "1700000000"), ("end", "1700003600")],
            false,
            "",
            json!(["up"]),
        ),
        (
            "label/__name__/values",
            &[("match[]", "{__name__=~\".*u.*\"}"), ("limit", "40000")],
            false,
            "",
            json!(["up"]),
        ),
        (
            "label/U__k8s_2e_pod/values",
            &[("match[]", "{\"k8s.pod\"!=\"\"}")],
            false,
            "",
            json!(["p"]),
        ),
        (
            "series",
            &[
                ("match[]", "{__name__!=\"\"}"),
                ("limit", "40000"),
                ("start", "1700000000"),
                ("end", "1700003600"),
            ],
            true,
            "/0/job",
            json!("a"),
        ),
        (
            "series",
            &[("match[]", "up{job=\"a\"}"), ("start", "1700000000"), ("end", "1700003600")],
            true,
            "/0/__name__",
            json!("up"),
        ),
        (
            "metadata",
            &[("limit", "40000")],
            false,
            "/up/0",
            json!({"type": "gauge", "help": "Alive.", "unit": ""}),
        ),
        // Recording rules that can be expanded in the editor, and the list of rules.
        ("rules", &[], false, "/groups/0/rules/0/query", json!("sum by (job) (up)")),
        ("rules", &[("type", "alert"), ("exclude_alerts", "true")], false, "/groups", json!([])),
        ("parse_query", &[("query", "sum(up)")], true, "/expr/name", json!("up")),
    ];
    for (path, parameters, by_post, at, expected) in cases {
        let path = format!("/api/v1/{path}");
        let mut answers = vec![client.get(&path, parameters).await];
        if by_post {
            answers.push(client.post(&path, parameters).await);
        }
        for (status, answer) in answers {
            assert_eq!(status, 200, "{path} {parameters:?}: {answer}");
            let found = answer["data"].pointer(at);
            assert_eq!(found, Some(&expected), "{path} {parameters:?}: {answer}");
        }
    }
}

#[tokio::test]
async fn answers_are_packed_for_those_who_take_it() {
    use std::io::Read as _;

    let mut source = Source::default();
    source.add(&[("__name__", "up")], 0, 1000, &vec![1.0; 9000]);
    let client = serve(sources(source), QuerySettings::default()).await;
    let url = client.url("/api/v1/query?query=up[9000s]&time=9000");
    let plain = client.http.get(&url).send().await.expect("it answers");
    assert_eq!(plain.headers().get("content-encoding"), None);
    let plain = plain.bytes().await.expect("the answer comes");
    // A client that does not unpack by itself.
    let bare = reqwest::Client::builder().no_proxy().gzip(false).build().expect("no TLS");
    let packed = bare.get(&url).header("accept-encoding", "gzip, br").send().await;
    let packed = packed.expect("it answers");
    assert_eq!(packed.headers()["content-encoding"], "gzip");
    let packed = packed.bytes().await.expect("the answer comes");
    assert!(packed.len() * 3 < plain.len(), "{} of {}", packed.len(), plain.len());
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut unpacked).expect("it is gzip");
    assert_eq!(unpacked, plain);
}
