//! What a request asks for: the query's and the form's parameters, parsed strictly.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::{Method, header};
use futures_util::StreamExt;
use wk_promql::{Cancel, Matcher, duration_ms, parse_selector};

use crate::failure::Failure;
use crate::time;

/// Bytes that the form of a request may have; a query may have a part of it.
const LARGEST_FORM: usize = 2 << 20;
/// Bytes of a body that are taken, and thrown away, before its sender is cut off: most listen only
/// when they have sent all.
const TAKEN: usize = 16 << 20;
/// A sender has this long for its whole body.
const BODY_TIME: Duration = Duration::from_secs(30);

/// Names and values, those of the form before those of the address.
#[derive(Debug, Default)]
pub(crate) struct Parameters(Vec<(String, String)>);

impl Parameters {
    fn parse(form: &[u8], query: &[u8]) -> Result<Parameters, Failure> {
        let mut pairs = Vec::new();
        for part in [form, query] {
            for pair in part.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
                if pair.contains(&b';') {
                    let message = "error parsing form values: a semicolon must be written as %3B";
                    return Err(Failure::bad_data(message));
                }
                let mut sides = pair.splitn(2, |byte| *byte == b'=');
                let name = decoded(sides.next().unwrap_or_default())?;
                let value = decoded(sides.next().unwrap_or_default())?;
                pairs.push((name, value));
            }
        }
        Ok(Parameters(pairs))
    }

    /// The first value; empty when there is none.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.all(name).next().unwrap_or("")
    }

    /// All values.
    pub(crate) fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        let found = self.0.iter().filter(move |(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).collect::<Vec<_>>().into_iter()
    }

    /// A time in milliseconds; `None` when it is not given.
    pub(crate) fn time(&self, name: &str) -> Result<Option<i64>, Failure> {
        match self.get(name) {
            "" => Ok(None),
            text => time::parse(text).map(Some).map_err(|error| Failure::parameter(name, error)),
        }
    }

    /// A time in milliseconds that must be given.
    pub(crate) fn required_time(&self, name: &str) -> Result<i64, Failure> {
        time::parse(self.get(name)).map_err(|error| Failure::parameter(name, error))
    }

    /// A duration in milliseconds, as seconds or as `1h30m`; `None` when it is not given.
    pub(crate) fn duration(&self, name: &str) -> Result<Option<i64>, Failure> {
        match self.get(name) {
            "" => Ok(None),
            text => duration(text).map(Some).map_err(|error| Failure::parameter(name, error)),
        }
    }

    /// A number of things; zero and nothing mean no limit.
    pub(crate) fn limit(&self, name: &str) -> Result<usize, Failure> {
        let given = match self.get(name) {
            "" => 0,
            text => text
                .parse::<i64>()
                .map_err(|_| Failure::parameter(name, format!("{text:?} is no whole number")))?,
        };
        let limit = usize::try_from(given)
            .map_err(|_| Failure::parameter(name, "limit must be non-negative"))?;
        Ok(if limit == 0 { usize::MAX } else { limit })
    }

    /// A number that may be negative, which means no limit, or left out.
    pub(crate) fn loose_limit(&self, name: &str) -> Result<Option<usize>, Failure> {
        match self.get(name) {
            "" => Ok(None),
            text => text
                .parse::<i64>()
                .map(|number| usize::try_from(number).ok())
                .map_err(|_| Failure::bad_data(format!("{name} must be a number"))),
        }
    }

    /// A yes or no as Go reads it.
    pub(crate) fn flag(&self, name: &str) -> Result<bool, Failure> {
        match self.get(name) {
            "" | "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
            other => Err(Failure::parameter(name, format!("{other:?} is neither true nor false"))),
        }
    }

    /// The selectors of `match[]`, each with something that narrows it. Many of them take their
    /// time, as patterns are compiled.
    pub(crate) fn selectors(
        &self,
        name: &str,
        cancel: &Cancel,
    ) -> Result<Vec<Vec<Matcher>>, Failure> {
        let selector = |text: &str| {
            cancel.check()?;
            let matchers = parse_selector(text)
                .map_err(|error| Failure::parameter(name, error.with_position(text)))?;
            if matchers.iter().all(|matcher| matcher.matches_value("")) {
                let message = "match[] must contain at least one non-empty matcher";
                return Err(Failure::parameter(name, message));
            }
            Ok(matchers)
        };
        self.all(name).map(selector).collect()
    }
}

/// Seconds or `1h30m`, in milliseconds.
fn duration(text: &str) -> Result<i64, String> {
    let wrong = || format!("cannot parse {text:?} to a valid duration");
    if let Ok(seconds) = text.parse::<f64>() {
        return time::from_seconds(seconds)
            .ok_or_else(|| format!("{}. It overflows int64", wrong()));
    }
    duration_ms(text).map_err(|_| wrong())
}

/// `+` is a blank, `%41` a byte; what comes out must be UTF-8.
fn decoded(text: &[u8]) -> Result<String, Failure> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, after @ ..] = rest {
        rest = after;
        match first {
            b'+' => out.push(b' '),
            b'%' => {
                let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
                let byte = digits
                    .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
                    .and_then(|digits| u8::from_str_radix(digits, 16).ok())
                    .ok_or_else(|| {
                        let shown: String =
                            String::from_utf8_lossy(after).chars().take(2).collect();
                        let message = format!("invalid URL escape \"%{shown}\"");
                        Failure::bad_data(format!("error parsing form values: {message}"))
                    })?;
                out.push(byte);
                rest = &after[2..];
            }
            byte => out.push(*byte),
        }
    }
    String::from_utf8(out)
        .map_err(|_| Failure::bad_data("error parsing form values: a parameter is not UTF-8"))
}

impl<S: Send + Sync> FromRequest<S> for Parameters {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &S) -> Result<Parameters, Failure> {
        let (parts, body) = request.into_parts();
        let query = parts.uri.query().unwrap_or("").to_owned();
        let content = parts.headers.get(header::CONTENT_TYPE);
        let content = content.and_then(|value| value.to_str().ok()).unwrap_or("");
        let is_form = content.split(';').next().is_some_and(|kind| {
            kind.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded")
        });
        if parts.method != Method::POST || !is_form {
            return Parameters::parse(b"", query.as_bytes());
        }
        let form = read_body(body, LARGEST_FORM).await?;
        Parameters::parse(&form, query.as_bytes())
    }
}

/// The whole body, bounded in size and time.
pub(crate) async fn read_body(body: Body, most: usize) -> Result<Vec<u8>, Failure> {
    let read = async {
        let (mut whole, mut came) = (Vec::new(), 0);
        let mut pieces = body.into_data_stream();
        while let Some(piece) = pieces.next().await {
            let piece =
                piece.map_err(|error| Failure::bad_data(format!("reading the body: {error}")))?;
            came += piece.len();
            if came <= most {
                whole.extend_from_slice(&piece);
            } else if came > TAKEN {
                break;
            }
        }
        if came > most {
            return Err(Failure::too_large(format!("the body may have {most} bytes at most")));
        }
        Ok(whole)
    };
    tokio::time::timeout(BODY_TIME, read).await.unwrap_or_else(|_| {
        let seconds = BODY_TIME.as_secs();
        Err(Failure::too_slow(format!("the body did not come within {seconds} s")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_decoded_strictly() {
        for (form, expected) in [
            ("a=1+2%20%2B", Ok("1 2 +")),
            ("b=3&a=%C3%A9&a=x", Ok("é")),
            ("a", Ok("")),
            ("a=%zz", Err("error parsing form values: invalid URL escape \"%zz\"")),
            ("a=%4", Err("error parsing form values: invalid URL escape \"%4\"")),
            ("a=%ff", Err("error parsing form values: a parameter is not UTF-8")),
            ("a=1;b=2", Err("error parsing form values: a semicolon must be written as %3B")),
        ] {
            let parsed = Parameters::parse(form.as_bytes(), b"");
            let got = parsed.as_ref().map(|p| p.get("a")).map_err(Failure::message);
            assert_eq!(got, expected, "{form}");
        }
    }

    #[test]
    fn durations_are_seconds_or_words() {
        for (text, expected) in [
            ("15", Some(15_000)),
            ("1.5", Some(1500)),
            ("1m30s", Some(90_000)),
            ("x", None),
            ("1e99", None),
        ] {
            assert_eq!(duration(text).ok(), expected, "{text}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_come_is_given_up() {
        let slow = Body::from_stream(futures_util::stream::pending::<std::io::Result<Vec<u8>>>());
        let failure = read_body(slow, 10).await.expect_err("it never comes");
        assert_eq!(failure.message(), "the body did not come within 30 s");
        let large = Body::from("01234567890");
        let failure = read_body(large, 10).await.expect_err("it is too large");
        assert_eq!(failure.message(), "the body may have 10 bytes at most");
    }

    proptest::proptest! {
        #[test]
        fn nothing_that_comes_is_a_panic(
            bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..64),
            text in "\\PC{0,40}|[0-9TZ:.+-]{15,35}|U__[0-9a-f_]{0,20}",
        ) {
            let _ = Parameters::parse(&bytes, text.as_bytes());
            let _ = (time::parse(&text), duration(&text), crate::names::unescaped(&text));
            let _ = crate::remote::ReadRequest::parse(&bytes);
        }
    }
}
