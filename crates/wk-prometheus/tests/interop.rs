//! A real Prometheus that takes series from this API: by federation and by remote read.

mod common;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use common::real::{Prometheus, missing};
use common::{Client, Source, serve, sources};
use serde_json::Value;
use wk_model::series::{Histogram, Labels, SampleValue};
use wk_prometheus::QuerySettings;

/// Series up to now, from a server that calls itself `cluster="x"` outside.
async fn server() -> (Client, i64) {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("it is after 1970");
    let now = i64::try_from(now.as_secs()).expect("it is before the end of time");
    let mut source = Source::default();
    let values: Vec<f64> = (0..60).map(|at| f64::from(at) * 1.25 - 3e-9).collect();
    for job in ["a", "b\"\\\n"] {
        let labels = [("__name__", "temperature"), ("job", job)];
        source.add(&labels, (now - 59) * 1000, 1000, &values);
    }
    source.add(&[("__name__", "other"), ("job", "a"), ("instance", "i")], now * 1000, 1000, &[1e9]);
    let mut all = sources(source);
    all.external_labels = Labels::from_pairs([("cluster", "x")]);
    (serve(all, QuerySettings::default()).await, now)
}

/// Asks until the answer has series, for at most a minute.
async fn wait_for(client: &Client, query: &str) -> Value {
    for _ in 0..600 {
        let (_, answer) = client.get("/api/v1/query", &[("query", query)]).await;
        let result = &answer["data"]["result"];
        if result.as_array().is_some_and(|list| !list.is_empty()) {
            return result.clone();
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("no answer to {query} within a minute");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prometheus_federates() {
    if missing() {
        return;
    }
    let (ours, now) = server().await;
    let folder = tempfile::tempdir().expect("a folder can be made");
    let config = format!(
        "global: {{scrape_interval: 1s}}\nscrape_configs:\n- job_name: federate\n  \
         honor_labels: true\n  metrics_path: /federate\n  params:\n    \
         'match[]': ['{{job=\"a\"}}', 'temperature']\n  static_configs: [{{targets: ['{}']}}]\n",
        ours.address
    );
    let real = Prometheus::start(folder, &config).await;
    let up = wait_for(&real.client, "up{job='federate'} == 1").await;
    assert_eq!(up[0]["value"][1], "1");
    let time = (now + 1).to_string();
    let at = [("query", "sort_desc({cluster='x'})"), ("time", &*time)];
    let (_, answer) = real.client.get("/api/v1/query", &at).await;
    let result = answer["data"]["result"].as_array().expect("it is a vector");
    let mut seen: Vec<_> = result
        .iter()
        .map(|item| {
            let label = |name: &str| item["metric"][name].as_str().unwrap_or("-").to_owned();
            let value = item["value"][1].as_str().expect("it is text").to_owned();
            (label("__name__"), label("job"), label("instance"), value)
        })
        .collect();
    seen.sort();
    let last = "73.749999997".to_owned();
    let [temperature, other] = ["temperature", "other"].map(str::to_owned);
    assert_eq!(
        seen,
        [
            (other, "a".into(), "i".into(), "1000000000".into()),
            (temperature.clone(), "a".into(), "-".into(), last.clone()),
            (temperature, "b\"\\\n".into(), "-".into(), last),
        ]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prometheus_reads_remotely() {
    if missing() {
        return;
    }
    let (ours, now) = server().await;
    let folder = tempfile::tempdir().expect("a folder can be made");
    let config = format!(
        "global: {{external_labels: {{cluster: x}}}}\nremote_read: [{{url: 'http://{}/api/v1/read', \
         read_recent: true}}]\n",
        ours.address
    );
    let real = Prometheus::start(folder, &config).await;
    let time = now.to_string();
    for query in [
        "temperature[59500ms]",
        "{job='a'}",
        "sum by (job) (rate(temperature[30500ms]))",
        "other{cluster='y'}",
    ] {
        let asked = [("query", query), ("time", &*time)];
        let (_, theirs) = real.client.get("/api/v1/query", &asked).await;
        let (_, answer) = ours.get("/api/v1/query", &asked).await;
        assert_eq!(theirs["status"], "success", "{query}: {theirs}");
        assert_eq!(theirs["data"], answer["data"], "{query}");
    }
}

#[tokio::test]
async fn histograms_are_read_as_samples_where_chunks_cannot_hold_them() {
    let mut source = Source::default();
    let labels = Labels::from_pairs([("__name__", "latency")]);
    let histogram = Histogram { count: 2.0, sum: 3.5, ..Histogram::default() };
    source.series.append(&labels, 1000, SampleValue::Histogram(Arc::new(histogram)));
    let client = serve(sources(source), QuerySettings::default()).await;
    // Up to 2 s; chunks and samples, or chunks alone.
    for (accepted, status) in [(&[0x10, 1, 0x10, 0][..], 200), (&[0x10, 1], 422)] {
        let request = [&[0x0a, 3, 0x10, 0xd0, 0x0f], accepted].concat();
        let packed = snap::raw::Encoder::new().compress_vec(&request).expect("it is small");
        let sent = client.http.post(client.url("/api/v1/read")).body(packed).send();
        let answer = sent.await.expect("it answers");
        assert_eq!(answer.status(), status);
        if status == 200 {
            assert_eq!(answer.headers()["content-type"], "application/x-protobuf");
            let packed = answer.bytes().await.expect("the answer comes");
            let message = snap::raw::Decoder::new().decompress_vec(&packed).expect("it is snappy");
            // The sum, a double in field 3 of the histogram.
            let sum = [&[0x19][..], &3.5f64.to_le_bytes()].concat();
            assert!(message.windows(9).any(|window| window == sum), "{message:?}");
        }
    }
}
