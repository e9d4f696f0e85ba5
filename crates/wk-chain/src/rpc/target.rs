//! Where an endpoint is: its secrets read, its URLs checked, ready to be sent to.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use tokio::time::Instant;
use url::Url;
use wk_model::Secret;
use wk_runtime::read_secret;

use super::config::EndpointSettings;
use super::redact::Redactor;

/// An endpoint's address as the config gives it.
#[derive(Debug)]
pub(crate) struct Address {
    url: Secret,
    ws: Option<Secret>,
    headers: BTreeMap<String, Secret>,
    resolved: Mutex<Option<Resolved>>,
}

/// The secrets as they were read.
#[derive(Debug)]
struct Resolved {
    at: Instant,
    target: Result<Arc<Target>, String>,
}

/// An endpoint's address with its secrets. Has no `Debug` on purpose.
pub(crate) struct Target {
    /// For requests over HTTP.
    pub(crate) http: Option<Url>,
    /// For the WebSocket.
    pub(crate) ws: Option<Url>,
    pub(crate) headers: HeaderMap,
    pub(crate) redactor: Redactor,
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Target(***)")
    }
}

/// Secrets are read again after this long, so that a rotated key is picked up.
const FRESH: Duration = Duration::from_secs(30);

impl Address {
    pub(crate) fn new(settings: &EndpointSettings) -> Address {
        Address {
            url: settings.url.clone(),
            ws: settings.ws.clone(),
            headers: settings.headers.clone(),
            resolved: Mutex::new(None),
        }
    }

    /// The address with its secrets read, at most half a minute ago.
    pub(crate) fn target(&self) -> Result<Arc<Target>, String> {
        let mut resolved = self.resolved.lock();
        if let Some(Resolved { at, target }) = &*resolved
            && at.elapsed() < FRESH
        {
            return target.clone();
        }
        let target = self.read().map(Arc::new);
        *resolved = Some(Resolved { at: Instant::now(), target: target.clone() });
        target
    }

    /// Reads the secrets again at the next use: the endpoint refused them.
    pub(crate) fn forget(&self) {
        *self.resolved.lock() = None;
    }

    fn read(&self) -> Result<Target, String> {
        let read = |secret: &Secret| read_secret(secret).map_err(|error| error.to_string());
        let mut headers = HeaderMap::new();
        let mut values = Vec::new();
        for (name, secret) in &self.headers {
            let value = read(secret)?;
            let header: HeaderName =
                name.parse().map_err(|_| format!("`{name}` is no header name"))?;
            let mut sent = HeaderValue::from_str(&value)
                .map_err(|_| format!("the value of header `{name}` cannot be sent"))?;
            sent.set_sensitive(true);
            headers.insert(header, sent);
            values.push(value);
        }
        let main = parse_url(&read(&self.url)?)?;
        let ws = match &self.ws {
            Some(secret) => Some(parse_url(&read(secret)?)?),
            None => None,
        };
        if ws.as_ref().is_some_and(|ws| !is_ws(ws)) {
            return Err("the `ws` URL does not begin with wss:// or ws://".to_owned());
        }
        let redactor = Redactor::new(
            [Some(&main), ws.as_ref()].into_iter().flatten(),
            values.iter().map(String::as_str),
        );
        let (mut http, mut ws) = if is_ws(&main) { (None, Some(main)) } else { (Some(main), ws) };
        for url in [&mut http, &mut ws].into_iter().flatten() {
            take_login(url, &mut headers);
        }
        Ok(Target { http, ws, headers, redactor })
    }
}

/// Moves user and password from the URL to a header: not every client reads them there.
fn take_login(url: &mut Url, headers: &mut HeaderMap) {
    if url.username().is_empty() && url.password().is_none() {
        return;
    }
    let decode = |text: &str| {
        let pair = format!("k={}", text.replace('+', "%2B"));
        let mut pairs = url::form_urlencoded::parse(pair.as_bytes());
        pairs.next().map(|(_, value)| value.into_owned()).unwrap_or_default()
    };
    let login =
        format!("{}:{}", decode(url.username()), decode(url.password().unwrap_or_default()));
    let basic = format!("Basic {}", base64(login.as_bytes()));
    if let Ok(mut value) = HeaderValue::from_str(&basic) {
        value.set_sensitive(true);
        headers.entry(AUTHORIZATION).or_insert(value);
    }
    // Only URLs without a host refuse this; ours have one.
    let _ = url.set_username("").and_then(|()| url.set_password(None));
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// A URL that an endpoint can have, or why it cannot. The text never shows the URL.
pub(crate) fn parse_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text.trim()).map_err(|error| match error {
        url::ParseError::RelativeUrlWithoutBase => "the URL has no scheme".to_owned(),
        error => format!("this is no URL: {error}"),
    })?;
    if !matches!(url.scheme(), "http" | "https" | "ws" | "wss") {
        // `localhost:8545` reads as a URL with the scheme `localhost`: do not repeat it, what
        // stands before a colon can be a user name.
        return Err("the URL's scheme is none of https, http, wss and ws".to_owned());
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err("the URL has no host".to_owned());
    }
    Ok(url)
}

/// Whether a URL is a WebSocket's.
pub(crate) fn is_ws(url: &Url) -> bool {
    matches!(url.scheme(), "ws" | "wss")
}

/// Host and port, the port only where it is not the scheme's own. Never path, query or login.
pub(crate) fn host_and_port(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(url: &str) -> EndpointSettings {
        EndpointSettings::new(Secret::parse(url))
    }

    #[test]
    fn reads_urls_and_moves_logins_into_a_header() {
        let address = Address::new(&EndpointSettings {
            ws: Some(Secret::parse("wss://us%40er:p%2Bw@rpc.example/ws")),
            headers: BTreeMap::from([("x-key".to_owned(), Secret::parse("k3y"))]),
            ..settings("https://rpc.example/v2/key12345")
        });
        let target = address.target().expect("all of it is literal");
        assert_eq!(target.http.as_ref().map(Url::as_str), Some("https://rpc.example/v2/key12345"));
        assert_eq!(target.ws.as_ref().map(Url::as_str), Some("wss://rpc.example/ws"));
        assert_eq!(target.headers["x-key"], "k3y");
        // us@er:p+w
        assert_eq!(target.headers[AUTHORIZATION], "Basic dXNAZXI6cCt3");
        assert!(!format!("{:?} {:?}", target.headers, target).contains("k3y"));
        let only_ws = Address::new(&settings("ws://127.0.0.1:8546"));
        let target = only_ws.target().expect("it is literal");
        assert!(target.http.is_none() && target.ws.is_some());
    }

    #[test]
    fn says_what_is_wrong_without_showing_it() {
        for (url, expected) in [
            ("rpc.example/v2/k3y", "the URL has no scheme"),
            ("k3y:8545", "the URL's scheme is none of https, http, wss and ws"),
            ("ftp://k3y.example", "the URL's scheme is none of https, http, wss and ws"),
            ("http://", "this is no URL: empty host"),
            ("http://[k3y", "this is no URL: invalid IPv6 address"),
        ] {
            assert_eq!(parse_url(url).expect_err(url), expected);
        }
        let address = Address::new(&settings("env:WATCHKEEPER_TEST_UNSET_URL"));
        let error = address.target().expect_err("it is not set");
        assert_eq!(error, "environment variable `WATCHKEEPER_TEST_UNSET_URL` is not set");
    }
}
