//! A server over series in memory, and a client that speaks to it.

#![allow(dead_code)] // Each test uses a part of it.

pub(crate) mod real;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::Value;
use wk_model::series::{Labels, SampleValue};
use wk_prometheus::{Nothing, QuerySettings, Sources, router};
use wk_promql::{ExemplarSeries, MemorySeries, QueryError, Queryable, Scope, Select, SeriesStream};

/// Series and exemplars in memory.
#[derive(Default)]
pub(crate) struct Source {
    pub(crate) series: MemorySeries,
    pub(crate) exemplars: Vec<ExemplarSeries>,
}

impl Source {
    /// Adds numbers at equal distances of `step_ms` from `start_ms`.
    pub(crate) fn add(
        &mut self,
        labels: &[(&str, &str)],
        start_ms: i64,
        step_ms: i64,
        values: &[f64],
    ) {
        let labels = Labels::from_pairs(labels.iter().copied());
        let mut time_ms = start_ms;
        for value in values {
            self.series.append(&labels, time_ms, SampleValue::Float(*value));
            time_ms += step_ms;
        }
    }
}

impl Queryable for Source {
    fn select<'a>(&'a self, select: &Select<'a>) -> Result<SeriesStream<'a>, QueryError> {
        self.series.select(select)
    }

    fn series(&self, scope: &Scope<'_>) -> Result<BTreeSet<Labels>, QueryError> {
        self.series.series(scope)
    }

    fn exemplars(&self, scope: &Scope<'_>) -> Result<Vec<ExemplarSeries>, QueryError> {
        let known = self.exemplars.iter().filter(|series| scope.holds(&series.labels));
        Ok(known
            .map(|series| ExemplarSeries {
                labels: series.labels.clone(),
                exemplars: series
                    .exemplars
                    .iter()
                    .filter(|e| (scope.start_ms..=scope.end_ms).contains(&e.time_ms))
                    .cloned()
                    .collect(),
            })
            .filter(|series| !series.exemplars.is_empty())
            .collect())
    }
}

/// Sources with nothing but these series.
pub(crate) fn sources(series: impl Queryable + 'static) -> Sources {
    Sources {
        series: Arc::new(series),
        targets: Arc::new(Nothing),
        rules: Arc::new(Nothing),
        metadata: Arc::new(Nothing),
        status: Arc::new(Nothing),
        external_labels: Labels::default(),
    }
}

/// A server on a free port, for as long as the test's runtime lives.
pub(crate) async fn serve(sources: Sources, settings: QuerySettings) -> Client {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    let app = router(sources, settings);
    tokio::spawn(async move { axum::serve(listener, app).await });
    // The client wants to know what it would encrypt with, even where nothing is.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client { address, http: reqwest::Client::builder().no_proxy().build().expect("no TLS") }
}

/// Asks one server.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) address: SocketAddr,
    pub(crate) http: reqwest::Client,
}

impl Client {
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Status and text of a GET with these parameters.
    pub(crate) async fn text(&self, path: &str, parameters: &[(&str, &str)]) -> (u16, String) {
        let url = format!("{}?{}", self.url(path), form(parameters));
        let response = self.http.get(url).send().await.expect("it answers");
        let status = response.status().as_u16();
        (status, response.text().await.expect("the answer is text"))
    }

    /// Status and JSON of a GET.
    pub(crate) async fn get(&self, path: &str, parameters: &[(&str, &str)]) -> (u16, Value) {
        let (status, text) = self.text(path, parameters).await;
        (status, serde_json::from_str(&text).unwrap_or_else(|e| panic!("{path}: {e}: {text}")))
    }

    /// Status and JSON of a POST with a form.
    pub(crate) async fn post(&self, path: &str, parameters: &[(&str, &str)]) -> (u16, Value) {
        let request = self.http.post(self.url(path));
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let response = request.body(form(parameters)).send().await.expect("it answers");
        let status = response.status().as_u16();
        let text = response.text().await.expect("the answer is text");
        (status, serde_json::from_str(&text).unwrap_or_else(|e| panic!("{path}: {e}: {text}")))
    }
}

/// Parameters as a form.
pub(crate) fn form(parameters: &[(&str, &str)]) -> String {
    let escaped = |text: &str| {
        text.bytes().fold(String::new(), |mut out, byte| {
            if byte.is_ascii_alphanumeric() {
                out.push(char::from(byte));
            } else {
                out.push_str(&format!("%{byte:02X}"));
            }
            out
        })
    };
    let pairs =
        parameters.iter().map(|(name, value)| format!("{}={}", escaped(name), escaped(value)));
    pairs.collect::<Vec<_>>().join("&")
}
