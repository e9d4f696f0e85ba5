//! Posting over HTTP: what every channel that does it shares.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::redirect::{Attempt, Policy};
use reqwest::{Client, Method, StatusCode, Url};
use rustls::{ClientConfig, RootCertStore};
use wk_model::{HumanDuration, Problem, Secret};
use wk_runtime::{read_secret, with_causes};

use crate::text::{line, without};
use crate::{Retry, SendError};

/// How much of an answer is read, in bytes.
const LONGEST_ANSWER: usize = 16 << 10;
/// How much of an answer is shown, in characters.
const LONGEST_EXCERPT: usize = 200;
/// The longest that a receiver can ask to be left alone.
const LONGEST_WAIT: Duration = Duration::from_secs(3_600);
/// The longest timeout that may be set.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(60);
/// How many redirects on the same host are followed.
const MOST_REDIRECTS: usize = 3;

/// Posts to one URL. Clones share connections. Nothing happens before the first message.
#[derive(Clone, Debug)]
pub(crate) struct Poster {
    url: Secret,
    timeout: Duration,
    client: Arc<OnceLock<Client>>,
}

/// What a receiver answered, when it took the message or for those who look closer.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// Made safe to show, without secrets.
    pub(crate) excerpt: String,
}

impl Poster {
    /// Posts to `url`. Checks what can be checked without reading secrets.
    pub(crate) fn build(url: &Secret, timeout: HumanDuration) -> Result<Poster, Vec<Problem>> {
        let mut problems = Vec::new();
        if let Secret::Literal(text) = url
            && let Err(reason) = parse_url(text)
        {
            problems.push(url_problem(reason));
        }
        if timeout.0.is_zero() || timeout.0 > LONGEST_TIMEOUT {
            problems.push(
                Problem::new("timeout", format!("{timeout} is no usable timeout"))
                    .hint("Use a time between 1ms and 1m."),
            );
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Poster { url: url.clone(), timeout: timeout.0, client: Arc::default() })
    }

    /// What is wrong with the URL, now that it can be read.
    pub(crate) fn check_secret(&self) -> Option<Problem> {
        let text = match read_secret(&self.url) {
            Ok(text) => text,
            Err(error) => return Some(Problem::new("url", error.to_string())),
        };
        parse_url(&text).err().map(url_problem)
    }

    /// Posts `body`. `secrets` are texts that no error may show; the URL is one of them anyway.
    pub(crate) async fn post(
        &self,
        headers: HeaderMap,
        body: Bytes,
        secrets: Vec<String>,
    ) -> Result<Answer, SendError> {
        self.request(Method::POST, headers, body, secrets).await
    }

    /// The same with another method.
    pub(crate) async fn request(
        &self,
        method: Method,
        headers: HeaderMap,
        body: Bytes,
        mut secrets: Vec<String>,
    ) -> Result<Answer, SendError> {
        let text = read_secret(&self.url).map_err(|error| backoff(error.to_string()))?;
        let url = parse_url(&text).map_err(|reason| SendError {
            retry: Retry::No,
            reason: format!("the url {reason}"),
        })?;
        secrets.extend(parts_of(&url));
        secrets.push(text);
        // The longest first: a part must not star out the middle of the whole.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));

        let request = self.client()?.request(method, url).headers(headers);
        let request = request.body(body).timeout(self.timeout);
        let mut response =
            request.send().await.map_err(|error| failed(error, self.timeout, &secrets))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let mut answer = Vec::new();
        // The status is what counts: an answer that breaks off is shown as far as it came.
        while answer.len() < LONGEST_ANSWER
            && let Ok(Some(chunk)) = response.chunk().await
        {
            answer.extend_from_slice(&chunk);
        }
        answer.truncate(LONGEST_ANSWER);
        let answer = String::from_utf8_lossy(&answer);
        let excerpt = line(without(&answer, &secrets).trim(), LONGEST_EXCERPT);
        Ok(Answer { status, headers, excerpt })
    }

    fn client(&self) -> Result<&Client, SendError> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let client = Client::builder()
            .tls_backend_preconfigured(tls())
            .user_agent(concat!("watchkeeper/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(self.timeout)
            .pool_idle_timeout(Duration::from_secs(60))
            .redirect(Policy::custom(stay))
            .build()
            .map_err(|error| backoff(format!("cannot set up HTTP: {}", with_causes(&error))))?;
        Ok(self.client.get_or_init(|| client))
    }
}

impl Answer {
    /// Sorts the answer into taken, not now, and never.
    pub(crate) fn accept(self) -> Result<(), SendError> {
        let Answer { status, headers, excerpt } = self;
        if status.is_success() {
            return Ok(());
        }
        let mut reason = format!("answered {status}");
        if status.is_redirection() {
            reason.push_str(
                "; redirects are followed on the same host and with the same method only, \
                 set the final url",
            );
        }
        if !excerpt.is_empty() {
            reason.push_str(": ");
            reason.push_str(&excerpt);
        }
        let later = status.is_server_error()
            || matches!(
                status,
                StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS
            );
        let retry = match wait_asked(&headers, SystemTime::now()) {
            _ if !later => Retry::No,
            Some(wait) => Retry::After(wait.min(LONGEST_WAIT)),
            None => Retry::Backoff,
        };
        Err(SendError { retry, reason })
    }
}

/// Follows a redirect only where it repeats the same request at the same place: another host must
/// not get the message, and a redirect that turns it into a GET loses it.
fn stay(attempt: Attempt<'_>) -> reqwest::redirect::Action {
    let same_request = matches!(attempt.status().as_u16(), 307 | 308);
    let same_place = attempt.previous().first().is_some_and(|first| {
        first.scheme() == attempt.url().scheme()
            && first.host_str() == attempt.url().host_str()
            && first.port_or_known_default() == attempt.url().port_or_known_default()
    });
    if same_request && same_place && attempt.previous().len() <= MOST_REDIRECTS {
        attempt.follow()
    } else {
        attempt.stop()
    }
}

/// Trusts the machine's certificates and Mozilla's: the first for private authorities, the second
/// for machines without any, such as an empty container.
fn tls() -> ClientConfig {
    static CONFIG: OnceLock<ClientConfig> = OnceLock::new();
    let config = CONFIG.get_or_init(|| {
        let mut roots = RootCertStore::empty();
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider has the ciphers of the default versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config
    });
    config.clone()
}

fn parse_url(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text).map_err(|_| "is no URL")?;
    match url.scheme() {
        "http" | "https" if url.has_host() => Ok(url),
        "http" | "https" => Err("names no host"),
        _ => Err("is neither http nor https"),
    }
}

fn url_problem(reason: &str) -> Problem {
    Problem::new("url", format!("the url {reason}"))
        .hint("Write a full URL such as https://hooks.example.org/watchkeeper, or env:NAME.")
}

/// The parts of a URL that may be secret: all but scheme and host.
fn parts_of(url: &Url) -> Vec<String> {
    let mut parts: Vec<String> =
        url.path_segments().into_iter().flatten().map(Into::into).collect();
    parts.push(url.path().to_owned());
    parts.extend(url.query().map(ToOwned::to_owned));
    parts.extend(url.query_pairs().map(|(_, value)| value.into_owned()));
    parts.extend(url.password().map(ToOwned::to_owned));
    // What is short is a word, not a key.
    parts.retain(|part| part.len() >= 8);
    parts
}

fn failed(error: reqwest::Error, timeout: Duration, secrets: &[String]) -> SendError {
    let error = error.without_url();
    if error.is_timeout() {
        return backoff(format!("no answer within {}", HumanDuration(timeout)));
    }
    let text = with_causes(&error);
    let reason = line(&without(&text, secrets), LONGEST_EXCERPT);
    let retry = if error.is_builder() { Retry::No } else { Retry::Backoff };
    SendError { retry, reason }
}

pub(crate) fn backoff(reason: String) -> SendError {
    SendError { retry: Retry::Backoff, reason }
}

/// How long the receiver asks to be left alone: seconds, or a date (RFC 9110 §10.2.3).
fn wait_asked(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(unix_seconds(text)?))?;
    Some(until.duration_since(now).unwrap_or_default())
}

/// Unix time of a date as HTTP writes it: `Sun, 06 Nov 1994 08:49:37 GMT`.
fn unix_seconds(date: &str) -> Option<u64> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (_, rest) = date.split_once(", ")?;
    let mut words = rest.split(' ');
    let day: u64 = words.next()?.parse().ok()?;
    let name = words.next()?;
    let month = 1 + u64::try_from(MONTHS.iter().position(|month| *month == name)?).ok()?;
    let year: u64 = words.next()?.parse().ok()?;
    let mut clock = words.next()?.splitn(3, ':').map(|number| number.parse::<u64>().ok());
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    let known = (1970..=9999).contains(&year) && (1..=31).contains(&day);
    if !known || hour > 23 || minute > 59 || second > 60 || words.next() != Some("GMT") {
        return None;
    }
    // Days from 1970-01-01, counted in years that begin in March (Gregorian calendar).
    let shifted_year = if month > 2 { year } else { year - 1 };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = 365 * shifted_year + shifted_year / 4 - shifted_year / 100
        + shifted_year / 400
        + day_of_year;
    Some((days.checked_sub(719_468)?) * 86_400 + hour * 3_600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    #[test]
    fn reads_both_forms_of_retry_after() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777 - 90);
        let cases = [
            ("120", Some(120)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(90)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("Tue, 29 Feb 2000 00:00:00 GMT", Some(951_782_400 - 784_111_777 + 90)),
            ("soon", None),
            ("-5", None),
            ("Sun, 06 Nov 1994 08:49:37 CET", None),
            ("Sun, 06 Foo 1994 08:49:37 GMT", None),
            ("Sun, 06 Nov 0000 08:49:37 GMT", None),
            ("", None),
        ];
        for (text, expected) in cases {
            let headers =
                HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_str(text).unwrap())]);
            assert_eq!(wait_asked(&headers, now), expected.map(Duration::from_secs), "{text}");
        }
        assert_eq!(wait_asked(&HeaderMap::new(), now), None);
    }

    #[test]
    fn sorts_answers_into_taken_not_now_and_never() {
        let cases = [
            (200, None, Ok(())),
            (204, None, Ok(())),
            (301, None, Err(Retry::No)),
            (400, None, Err(Retry::No)),
            (401, Some("5"), Err(Retry::No)),
            (404, None, Err(Retry::No)),
            (408, None, Err(Retry::Backoff)),
            (410, None, Err(Retry::No)),
            (425, None, Err(Retry::Backoff)),
            (429, None, Err(Retry::Backoff)),
            (429, Some("30"), Err(Retry::After(Duration::from_secs(30)))),
            (429, Some("999999999"), Err(Retry::After(LONGEST_WAIT))),
            (500, None, Err(Retry::Backoff)),
            (503, Some("7"), Err(Retry::After(Duration::from_secs(7)))),
        ];
        for (status, wait, expected) in cases {
            let mut headers = HeaderMap::new();
            headers.extend(wait.map(|wait| (RETRY_AFTER, HeaderValue::from_static(wait))));
            let status = StatusCode::from_u16(status).unwrap();
            let answer = Answer { status, headers, excerpt: String::new() };
            let outcome = answer.accept().map_err(|error| error.retry);
            assert_eq!(outcome, expected, "{status}");
        }
    }
}
