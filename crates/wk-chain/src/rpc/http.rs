//! JSON-RPC over HTTP: one request, one answer, with every limit held.

use std::error::Error;
use std::sync::OnceLock;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Response};
use url::Url;
use wk_model::Timestamp;
use wk_runtime::with_causes;

use super::class::ErrorClass;
use super::hints;
use super::tls;

/// What came back, whatever it is.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) body: Vec<u8>,
}

/// Nothing came back that could be looked at. The text may still hold secrets.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Broken {
    pub(crate) class: ErrorClass,
    pub(crate) message: String,
    /// There was too much of it: a smaller question helps.
    pub(crate) too_large: bool,
}

impl Broken {
    pub(crate) fn new(class: ErrorClass, message: impl Into<String>) -> Broken {
        Broken { class, message: message.into(), too_large: false }
    }
}

/// The limits of one pool's requests.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) connect_timeout: Duration,
    pub(crate) max_body_bytes: u64,
}

/// The HTTP client of a pool. Made at the first request: reading the machine's certificates is
/// I/O.
#[derive(Debug)]
pub(crate) struct Http {
    client: OnceLock<Result<Client, String>>,
    limits: Limits,
}

impl Http {
    pub(crate) fn new(limits: Limits) -> Http {
        Http { client: OnceLock::new(), limits }
    }

    /// Sends `body` and reads the answer, within `timeout` in all.
    pub(crate) async fn post(
        &self,
        url: &Url,
        headers: &HeaderMap,
        body: String,
        timeout: Duration,
        now: Timestamp,
    ) -> Result<Received, Broken> {
        let client = self
            .client
            .get_or_init(|| build(self.limits))
            .as_ref()
            .map_err(|message| Broken::new(ErrorClass::Connect, message.as_str()))?;
        let exchange = async {
            let request = client
                .post(url.clone())
                .headers(headers.clone())
                .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
                .body(body);
            let response = request.send().await.map_err(broken)?;
            let status = response.status().as_u16();
            let retry_after = response
                .headers()
                .get(RETRY_AFTER)
                .and_then(|value| value.to_str().ok())
                .and_then(|value| hints::retry_after(value, now));
            let body = read(response, self.limits.max_body_bytes).await?;
            Ok(Received { status, retry_after, body })
        };
        match tokio::time::timeout(timeout, exchange).await {
            Ok(received) => received,
            Err(_) => Err(Broken::new(ErrorClass::Timeout, format!("no answer in {timeout:?}"))),
        }
    }
}

fn build(limits: Limits) -> Result<Client, String> {
    Client::builder()
        .tls_backend_preconfigured(tls::config(&["h2", "http/1.1"]))
        .user_agent(concat!("watchkeeper/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(limits.connect_timeout)
        // A redirect could carry a key to another host.
        .redirect(reqwest::redirect::Policy::none())
        // Retries are the pool's business: it counts them.
        .retry(reqwest::retry::never())
        .referer(false)
        .tcp_nodelay(true)
        .pool_idle_timeout(Duration::from_secs(60))
        .build()
        .map_err(|error| format!("no HTTP client: {}", with_causes(&error)))
}

/// Reads a body up to `limit` bytes, counted after decompression.
async fn read(mut response: Response, limit: u64) -> Result<Vec<u8>, Broken> {
    let too_large = || Broken {
        too_large: true,
        ..Broken::new(ErrorClass::Json, format!("the answer is larger than {limit} bytes"))
    };
    let announced = response.content_length().unwrap_or_default();
    if announced > limit {
        return Err(too_large());
    }
    // What is announced is only believed up to a point: memory is taken when bytes come.
    let mut body = Vec::with_capacity(usize::try_from(announced.min(1024 * 1024)).unwrap_or(0));
    while let Some(chunk) = response.chunk().await.map_err(broken)? {
        if (body.len() + chunk.len()) as u64 > limit {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn broken(error: reqwest::Error) -> Broken {
    let error = error.without_url();
    let class = if has_tls(&error) {
        ErrorClass::Tls
    } else if error.is_timeout() {
        ErrorClass::Timeout
    } else if is_garbled(&error) {
        ErrorClass::Json
    } else {
        ErrorClass::Connect
    };
    Broken::new(class, with_causes(&error))
}

/// Whether a failure comes from TLS.
pub(crate) fn has_tls(error: &(dyn Error + 'static)) -> bool {
    any_cause(error, &|cause| cause.is::<rustls::Error>())
}

/// Whether a body came, and could not be decompressed. A body that ends too early is a broken
/// connection.
fn is_garbled(error: &reqwest::Error) -> bool {
    use std::io::ErrorKind::{InvalidData, InvalidInput};
    let garbled = |cause: &(dyn Error + 'static)| {
        let kind = cause.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        matches!(kind, Some(InvalidData | InvalidInput))
    };
    error.is_decode() && any_cause(error, &garbled)
}

/// Whether an error, or what caused it, is of a kind.
fn any_cause(error: &(dyn Error + 'static), is: &dyn Fn(&(dyn Error + 'static)) -> bool) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if is(error) {
            return true;
        }
        // An I/O error hides the error inside it from `source`.
        if let Some(inner) =
            error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref)
            && any_cause(inner, is)
        {
            return true;
        }
        next = error.source();
    }
    false
}
