//! JSON to an HTTP endpoint, signed so that the receiver knows who sent it.

use std::collections::BTreeMap;

use alloy_primitives::hex;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use schemars::JsonSchema;
use serde::Deserialize;
use sha2::Sha256;
use wk_model::{HumanDuration, Problem, Secret};
use wk_runtime::{Clock, read_secret};

use crate::http::{Poster, backoff};
use crate::{Message, Retry, SendError, wire};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const SIGNATURE: HeaderName = HeaderName::from_static("x-watchkeeper-signature");

/// Settings of the `webhook` channel.
///
/// Each message is a `POST` with a JSON body `{"version":"1","kind":"finding",…}` (kinds: `finding`,
/// `retraction`, `resolved`, `test`) and the headers `Idempotency-Key` (the same at each attempt)
/// and, with a `secret`,
/// `X-Watchkeeper-Signature: t=<unix seconds>,v1=<hex HMAC-SHA256 of "t.body">`.
///
/// Any 2xx answer takes the message. 408, 425, 429, 5xx and broken connections are tried again;
/// other answers are not, and the message becomes a dead letter that can be sent again.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where to post to.
    pub url: Secret,
    /// Key of the signature; without one messages are not signed.
    #[serde(default)]
    pub secret: Option<Secret>,
    /// More headers, such as `Authorization: env:HOOK_AUTH`.
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,
    /// How long one attempt may take; at most 1m.
    #[serde(default = "default_timeout")]
    pub timeout: HumanDuration,
}

fn default_timeout() -> HumanDuration {
    HumanDuration::seconds(10)
}

/// The channel.
#[derive(Clone, Debug)]
pub struct Webhook {
    poster: Poster,
    secret: Option<Secret>,
    headers: Vec<(HeaderName, Secret)>,
    clock: Clock,
}

impl Webhook {
    /// The channel with these settings; nothing is connected or read yet.
    pub fn build(config: &Config) -> Result<Webhook, Vec<Problem>> {
        let Config { url, secret, headers, timeout } = config;
        let mut problems = Vec::new();
        let mut names = Vec::new();
        for (name, value) in headers {
            match header_name(name) {
                Ok(known) => names.push((known, value.clone())),
                Err(problem) => problems.push(problem),
            }
            if let Secret::Literal(text) = value
                && HeaderValue::from_str(text).is_err()
            {
                problems.push(unfit_value(name));
            }
        }
        if *secret == Some(Secret::Literal(String::new())) {
            problems.push(empty_secret());
        }
        match Poster::build(url, *timeout) {
            Ok(poster) if problems.is_empty() => Ok(Webhook {
                poster,
                secret: secret.clone(),
                headers: names,
                clock: Clock::system(),
            }),
            Ok(_) => Err(problems),
            Err(more) => {
                problems.extend(more);
                Err(problems)
            }
        }
    }

    pub(crate) fn check_secrets(&self) -> Vec<Problem> {
        let mut problems: Vec<Problem> = self.poster.check_secret().into_iter().collect();
        match self.secret.as_ref().map(read_secret) {
            Some(Err(error)) => problems.push(Problem::new("secret", error.to_string())),
            Some(Ok(secret)) if secret.is_empty() => problems.push(empty_secret()),
            Some(Ok(_)) | None => {}
        }
        for (name, value) in &self.headers {
            match read_secret(value) {
                Err(error) => {
                    problems.push(Problem::new(format!("headers.{name}"), error.to_string()));
                }
                Ok(text) if HeaderValue::from_str(&text).is_err() => {
                    problems.push(unfit_value(name.as_str()));
                }
                Ok(_) => {}
            }
        }
        problems
    }

    pub(crate) async fn send(&self, message: &Message, key: &str) -> Result<(), SendError> {
        let body = wire::body(message, key);
        let unreadable = |error: wk_runtime::ReadSecret| backoff(error.to_string());
        let mut headers = HeaderMap::new();
        let mut secrets = Vec::new();
        for (name, value) in &self.headers {
            let text = read_secret(value).map_err(unreadable)?;
            let mut value = HeaderValue::from_str(&text).map_err(|_| SendError {
                retry: Retry::No,
                reason: format!("the value of the header `{name}` does not fit into a header"),
            })?;
            value.set_sensitive(true);
            headers.insert(name, value);
            secrets.extend(text.split(' ').map(ToOwned::to_owned));
            secrets.push(text);
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(IDEMPOTENCY_KEY, key_value(key));
        if let Some(secret) = &self.secret {
            let secret = read_secret(secret).map_err(unreadable)?;
            let signature = sign(&secret, self.clock.now().0 / 1_000, &body);
            headers.insert(
                SIGNATURE,
                HeaderValue::try_from(signature).expect("digits and hex fit into a header"),
            );
            secrets.push(secret);
        }
        self.poster.post(headers, body.into(), secrets).await?.accept()
    }

    /// Sends a message of kind `test`: there is no quieter way to know.
    pub(crate) async fn probe(&self) -> Result<String, SendError> {
        let now = self.clock.now();
        self.send(&Message::test(now), &format!("test-{}", now.0)).await?;
        Ok("took a test message".to_owned())
    }
}

/// What the signature header says: when it was signed, and the HMAC of time and body.
fn sign(secret: &str, unix_seconds: u64, body: &str) -> String {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(secret.as_bytes())
        .expect("an HMAC takes a key of any length");
    mac.update(format!("{unix_seconds}.").as_bytes());
    mac.update(body.as_bytes());
    format!("t={unix_seconds},v1={}", hex::encode(mac.finalize().into_bytes()))
}

/// The key as a header; receivers' names may hold what headers cannot.
fn key_value(key: &str) -> HeaderValue {
    let plain: String = key
        .bytes()
        .map(|byte| match byte {
            b'!'..=b'~' if byte != b'%' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect();
    HeaderValue::try_from(plain).expect("visible ASCII fits into a header")
}

fn header_name(name: &str) -> Result<HeaderName, Problem> {
    const OURS: [&str; 6] = [
        "content-length",
        "content-type",
        "host",
        "idempotency-key",
        "transfer-encoding",
        "x-watchkeeper-signature",
    ];
    let path = format!("headers.{name}");
    let known = HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| Problem::new(path.clone(), format!("`{name}` is no header name")))?;
    if OURS.contains(&known.as_str()) {
        return Err(Problem::new(path, format!("the header `{name}` is set by watchkeeper"))
            .hint("Remove it."));
    }
    Ok(known)
}

fn unfit_value(name: &str) -> Problem {
    Problem::new(format!("headers.{name}"), "the value does not fit into a header")
        .hint("Header values are one line of visible ASCII characters.")
}

fn empty_secret() -> Problem {
    Problem::new("secret", "the secret is empty")
        .hint("Give a long random text, or leave `secret` out to send unsigned messages.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_as_others_can_check() {
        // Made with: printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac 'top secret'
        assert_eq!(
            sign("top secret", 1_700_000_000, r#"{"a":1}"#),
            "t=1700000000,v1=b818565009498d6980f18cd02e140c93528f621038a94cf111e7fee05f3a2bbf"
        );
    }

    #[test]
    fn keys_fit_into_a_header() {
        let cases = [
            ("ab-1-found-oncall/slack", "ab-1-found-oncall/slack"),
            ("ab-1-found-值班 50%", "ab-1-found-%E5%80%BC%E7%8F%AD%2050%25"),
        ];
        for (key, expected) in cases {
            assert_eq!(key_value(key), expected);
        }
    }
}
