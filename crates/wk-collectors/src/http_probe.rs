//! Asks a site again and again whether it answers, how fast, and what.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::time::Duration;

use rand::Rng;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue, SET_COOKIE};
use reqwest::tls::TlsInfo;
use reqwest::{Client, Method, Response, Url};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::time::Instant;
use wk_chain::rpc::tls_config;
use wk_model::{AssetId, Fact, Observation, Problem, Secret};
use wk_runtime::{Clock, Metrics, StopToken, read_secret};

use crate::certificate::not_after;
use crate::signals::{PROBE_SECONDS, PROBE_TLS_EXPIRY_SECONDS, PROBES};

/// What a probe keeps of a body, in bytes.
const BODY_KEPT: usize = 64 << 10;
/// How many headers of an answer a probe keeps, and how many characters of each.
const HEADERS_KEPT: (usize, usize) = (64, 1_000);
/// Name of the facts that probes state.
pub const PROBE_FACT: &str = "http_probe";

/// Settings of one probe; they come from an `http` rule. Paths of problems are the rule's keys.
#[derive(Clone, Debug, PartialEq)]
pub struct ProbeConfig {
    /// Id of the rule that wants to know.
    pub rule: String,
    /// What to ask: `http://` or `https://`. Read again for each probe when it is a reference.
    pub url: Secret,
    /// Request method.
    pub method: ProbeMethod,
    /// Request headers.
    pub headers: BTreeMap<String, Secret>,
    /// Request body.
    pub body: Option<String>,
    /// Time from the start of one probe to the start of the next.
    pub interval: Duration,
    /// How long a probe may take; never longer than the interval.
    pub timeout: Duration,
}

/// Method of a probe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProbeMethod {
    /// GET
    #[default]
    Get,
    /// HEAD
    Head,
    /// POST
    Post,
}

/// What came of a probe: the value of an `http_probe` fact.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Probe {
    /// Id of the rule that wanted to know.
    pub rule: String,
    /// The answer, or why there was none.
    #[serde(flatten)]
    pub answer: ProbeAnswer,
}

/// An answer to a probe, or why there was none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ProbeAnswer {
    /// Status code; 0 when there was no answer. Redirects are not followed.
    pub status: u16,
    /// Milliseconds until the whole answer was there, or until it was given up.
    pub latency_ms: u64,
    /// The body, up to 64 KiB of it; what is no UTF-8 is replaced.
    pub body: String,
    /// Whether there was more of the body.
    pub truncated: bool,
    /// Headers, names in lower case, without cookies.
    pub headers: BTreeMap<String, String>,
    /// Whole days until the site's certificate ends, negative when it has; none without TLS.
    pub tls_days_left: Option<i64>,
    /// Why there was no answer.
    pub error: Option<String>,
}

impl ProbeConfig {
    /// The faults that its types cannot see.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if let Secret::Literal(url) = &self.url
            && let Err(reason) = parse_url(url)
        {
            problems.push(
                Problem::new("url", reason)
                    .hint("Write it in full, such as https://app.example.org/health."),
            );
        }
        for (name, value) in &self.headers {
            let fits = match value {
                Secret::Literal(value) => HeaderValue::from_str(value).is_ok(),
                Secret::Env(_) | Secret::File(_) => true,
            };
            if !fits || HeaderName::from_bytes(name.as_bytes()).is_err() {
                problems.push(
                    Problem::new(format!("headers.{name}"), "no header of HTTP")
                        .hint("Names are letters, digits and `-`; values have no line breaks."),
                );
            }
        }
        for (path, duration) in [("interval", self.interval), ("timeout", self.timeout)] {
            if duration.is_zero() {
                problems.push(
                    Problem::new(path, "must be longer than zero")
                        .hint("Leave the key out for its default."),
                );
            }
        }
        problems
    }
}

impl Probe {
    /// The probe that a fact states; none when it states something else.
    pub fn from_fact(fact: &Fact) -> Option<Probe> {
        (fact.name == PROBE_FACT).then(|| Probe::deserialize(&fact.value).ok()).flatten()
    }
}

/// A probe cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// Nobody takes the answers.
    #[error("nobody takes the answers of the probe")]
    Closed,
}

/// A probe that can be run.
#[derive(Clone, Debug)]
pub struct HttpProbe {
    config: ProbeConfig,
    client: Client,
    clock: Clock,
    metrics: Metrics,
}

impl HttpProbe {
    /// A probe with these settings; nothing is asked yet.
    pub fn build(
        config: ProbeConfig,
        clock: Clock,
        metrics: &Metrics,
    ) -> Result<HttpProbe, Vec<Problem>> {
        let problems = config.problems();
        if !problems.is_empty() {
            return Err(problems);
        }
        let client = client().map_err(|error| vec![Problem::new("url", error)])?;
        Ok(HttpProbe { config, client, clock, metrics: metrics.clone() })
    }

    /// Probes until `stop`, one probe after the other, and hands each answer to `out` as a fact.
    pub async fn run(
        &self,
        out: mpsc::Sender<Observation>,
        stop: StopToken,
    ) -> Result<(), ProbeError> {
        let ProbeConfig { rule, interval, .. } = &self.config;
        // Many probes of one config shall not start in the same moment.
        let mut wait = interval.min(&Duration::from_secs(1)).mul_f64(jitter(0.0..1.0));
        loop {
            if !stop.sleep(wait).await {
                return Ok(());
            }
            let started = Instant::now();
            let Some(answer) = stop.run(self.probe()).await else { return Ok(()) };
            let probe = Probe { rule: rule.clone(), answer };
            let fact = Fact {
                asset: AssetId::new("site", rule),
                name: PROBE_FACT.to_owned(),
                value: serde_json::to_value(probe).expect("texts and numbers are JSON"),
                at: self.clock.now(),
            };
            match stop.run(out.send(Observation::Fact(fact))).await {
                None => return Ok(()),
                Some(Err(_)) => return Err(ProbeError::Closed),
                Some(Ok(())) => {}
            }
            wait = interval.mul_f64(jitter(0.95..1.05)).saturating_sub(started.elapsed());
        }
    }

    /// Probes once, now.
    pub async fn probe(&self) -> ProbeAnswer {
        let ProbeConfig { rule, interval, timeout, .. } = &self.config;
        let timeout = *timeout.min(interval);
        let started = Instant::now();
        let outcome = match tokio::time::timeout(timeout, self.ask()).await {
            Ok(outcome) => outcome,
            Err(_) => Err(format!("no answer within {} ms", timeout.as_millis())),
        };
        let took = started.elapsed();
        let latency_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let answer = match outcome {
            Ok(answer) => ProbeAnswer { latency_ms, ..answer },
            Err(error) => ProbeAnswer { latency_ms, error: Some(error), ..ProbeAnswer::default() },
        };
        let result = match answer.status {
            0 => "error".to_owned(),
            status => format!("{}xx", status / 100),
        };
        self.metrics.counter(&PROBES, &[rule, &result]).inc();
        self.metrics.histogram(&PROBE_SECONDS, &[rule]).observe(took.as_secs_f64());
        answer
    }

    /// One request with its whole answer; else why not, without the URL: it may hold a key.
    async fn ask(&self) -> Result<ProbeAnswer, String> {
        let ProbeConfig { url, method, headers, body, .. } = &self.config;
        let url = parse_url(&read_secret(url).map_err(|error| error.to_string())?)?;
        let mut request = self.client.request(method.name(), url);
        for (name, value) in headers {
            let value = read_secret(value).map_err(|error| error.to_string())?;
            request = request.header(name, value);
        }
        if let Some(body) = body {
            request = request.body(body.clone());
        }
        let mut response = request.send().await.map_err(describe)?;
        let tls_days_left = self.tls_days_left(&response);
        let (body, truncated) = read_body(&mut response).await?;
        Ok(ProbeAnswer {
            status: response.status().as_u16(),
            latency_ms: 0,
            body: String::from_utf8_lossy(&body).into_owned(),
            truncated,
            headers: shown_headers(response.headers()),
            tls_days_left,
            error: None,
        })
    }

    fn tls_days_left(&self, response: &Response) -> Option<i64> {
        let certificate = response.extensions().get::<TlsInfo>()?.peer_certificate()?;
        let (end, now) = (not_after(certificate)?, self.clock.now());
        let seconds = |ms: u64| i64::try_from(ms / 1_000).unwrap_or(i64::MAX);
        let left = seconds(end.0) - seconds(now.0);
        #[expect(clippy::cast_precision_loss, reason = "seconds of a few years are exact")]
        self.metrics.gauge(&PROBE_TLS_EXPIRY_SECONDS, &[&self.config.rule]).set(left as f64);
        Some(left.div_euclid(86_400))
    }
}

impl ProbeMethod {
    fn name(self) -> Method {
        match self {
            ProbeMethod::Get => Method::GET,
            ProbeMethod::Head => Method::HEAD,
            ProbeMethod::Post => Method::POST,
        }
    }
}

fn client() -> Result<Client, String> {
    Client::builder()
        .tls_backend_preconfigured(tls_config(&["h2", "http/1.1"]))
        .tls_info(true)
        .user_agent(concat!("watchkeeper/", env!("CARGO_PKG_VERSION")))
        // The rule judges a redirect; following it could carry a key to another host.
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        // Each probe connects anew: a kept connection would hide that nobody else can connect.
        .pool_max_idle_per_host(0)
        .build()
        .map_err(|error| format!("no HTTP client: {error}"))
}

fn parse_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("not a URL: {error}"))?;
    match url.scheme() {
        "http" | "https" if url.has_host() => Ok(url),
        scheme => Err(format!("a URL of HTTP is needed, not of `{scheme}`")),
    }
}

/// The body up to [`BODY_KEPT`], and whether there is more.
async fn read_body(response: &mut Response) -> Result<(Vec<u8>, bool), String> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(describe)? {
        body.extend_from_slice(&chunk[..chunk.len().min(BODY_KEPT + 1 - body.len())]);
        if body.len() > BODY_KEPT {
            body.truncate(BODY_KEPT);
            return Ok((body, true));
        }
    }
    Ok((body, false))
}

fn shown_headers(headers: &HeaderMap) -> BTreeMap<String, String> {
    let (count, length) = HEADERS_KEPT;
    headers
        .iter()
        .filter(|(name, _)| *name != SET_COOKIE)
        .take(count)
        .map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes());
            (name.as_str().to_owned(), value.chars().take(length).collect())
        })
        .collect()
}

/// Why a request failed: the kind of trouble, and the innermost reason.
fn describe(error: reqwest::Error) -> String {
    let error = error.without_url();
    let kind = if error.is_connect() {
        "cannot connect"
    } else if error.is_body() || error.is_decode() {
        "the answer broke off"
    } else {
        "the request failed"
    };
    let mut innermost = error.source();
    while let Some(source) = innermost.and_then(|error| error.source()) {
        innermost = Some(source);
    }
    match innermost {
        Some(reason) => format!("{kind}: {reason}"),
        None => kind.to_owned(),
    }
}

fn jitter(range: std::ops::Range<f64>) -> f64 {
    rand::rng().random_range(range)
}
