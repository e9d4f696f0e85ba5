//! Keeps an endpoint's secrets out of every text that people or machines read.

use std::borrow::Cow;

use serde_json::Value;
use url::Url;

/// Knows an endpoint's secrets and takes them out of texts.
#[derive(Clone, Default)]
pub(crate) struct Redactor {
    secrets: Vec<String>,
}

const STARS: &str = "***";
/// Shorter parts of a path are version numbers and names of networks; longer ones may be keys.
const SHORTEST_PATH_SECRET: usize = 8;
/// A shorter value would blank out half of every text; nobody hands out such keys.
const SHORTEST_SECRET: usize = 4;
/// Texts of endpoints are cut to this many characters.
const LONGEST_TEXT: usize = 300;
/// A larger `data` of an error is dropped rather than searched.
const LARGEST_DATA: usize = 64 * 1024;

impl Redactor {
    /// A redactor of everything in `urls` that may be a key, and of all `values`.
    pub(crate) fn new<'a>(
        urls: impl IntoIterator<Item = &'a Url>,
        values: impl IntoIterator<Item = &'a str>,
    ) -> Redactor {
        let mut secrets = Vec::new();
        for url in urls {
            let long = |part: &&str| part.len() >= SHORTEST_PATH_SECRET;
            secrets
                .extend(url.path_segments().into_iter().flatten().filter(long).map(str::to_owned));
            let query = url.query().unwrap_or_default();
            secrets.extend(
                [query, url.username(), url.password().unwrap_or_default()].map(str::to_owned),
            );
            secrets.extend(url.query_pairs().map(|(_, value)| value.into_owned()));
            secrets.extend(
                query
                    .split('&')
                    .filter_map(|pair| pair.split_once('='))
                    .map(|(_, value)| value.to_owned()),
            );
        }
        for value in values {
            secrets.push(value.to_owned());
            // `Bearer KEY`: an endpoint may repeat the key alone.
            secrets.extend(value.split_whitespace().map(str::to_owned));
        }
        secrets.extend(decoded(&secrets));
        secrets.retain(|secret| secret.len() >= SHORTEST_SECRET);
        // Longest first, so that no part of a long secret stays behind.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets.dedup();
        Redactor { secrets }
    }

    /// `text` without secrets and control characters, cut to a sensible length.
    pub(crate) fn text(&self, text: &str) -> String {
        // Cut first (generously), so that a huge body costs nothing; a secret that is cut in half
        // lies beyond what is kept.
        let head: String = text.chars().take(4 * LONGEST_TEXT).collect();
        let clean = self.strip(&head);
        let mut kept: String = clean
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .take(LONGEST_TEXT)
            .collect();
        if clean.chars().nth(LONGEST_TEXT).is_some() {
            kept.push('…');
        }
        kept.trim().to_owned()
    }

    /// `data` without secrets; none when it is too large to be searched.
    pub(crate) fn data(&self, data: Value) -> Option<Value> {
        let text = data.to_string();
        if text.len() > LARGEST_DATA {
            return None;
        }
        match self.strip(&text) {
            Cow::Borrowed(_) => Some(data),
            Cow::Owned(clean) => serde_json::from_str(&clean).ok(),
        }
    }

    fn strip<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut text = Cow::Borrowed(text);
        for secret in &self.secrets {
            if text.contains(secret.as_str()) {
                text = Cow::Owned(text.replace(secret.as_str(), STARS));
            }
        }
        text
    }
}

/// The forms that secrets have without percent-encoding.
fn decoded(secrets: &[String]) -> Vec<String> {
    let decode = |secret: &String| {
        let pairs = format!("k={}", secret.replace('+', "%2B").replace('&', "%26"));
        let mut decoded = url::form_urlencoded::parse(pairs.as_bytes());
        decoded.next().map(|(_, value)| value.into_owned()).filter(|value| value != secret)
    };
    secrets.iter().filter_map(decode).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn redactor() -> Redactor {
        let url = Url::parse(
            "https://user:hunter22@rpc.example/v2/s3cr3tpathkey?apikey=qu3ryk3y&x=a%20b%20c%20d",
        )
        .expect("a URL");
        Redactor::new([&url], ["Bearer h3ad3rk3y"])
    }

    #[test]
    fn takes_every_secret_out_of_texts() {
        for (text, expected) in [
            ("nothing to hide", "nothing to hide"),
            ("invalid key s3cr3tpathkey given", "invalid key *** given"),
            ("GET /v2/s3cr3tpathkey?apikey=qu3ryk3y&x=a%20b%20c%20d", "GET /v2/***?***"),
            ("key qu3ryk3y, user:hunter22@", "key ***, ***:***@"),
            ("token h3ad3rk3y; Bearer h3ad3rk3y", "token ***; ***"),
            ("decoded: a b c d", "decoded: ***"),
            ("line\nbreak\u{1b}[31m", "line break [31m"),
        ] {
            assert_eq!(redactor().text(text), expected);
        }
        let long = format!("{} s3cr3tpathkey", "x".repeat(290));
        let clean = redactor().text(&long);
        assert!(clean.ends_with("***") && !clean.contains("s3cr"), "{clean}");
        let longer = format!("{}s3cr3tpathkey", "x".repeat(1_195));
        assert!(!redactor().text(&longer).contains("s3c"));
    }

    #[test]
    fn takes_every_secret_out_of_error_data() {
        let redactor = redactor();
        assert_eq!(redactor.data(json!("0x08c379a0")), Some(json!("0x08c379a0")));
        assert_eq!(
            redactor.data(json!({"see": "https://x/?k=qu3ryk3y", "n": [1, {"h3ad3rk3y": 2}]})),
            Some(json!({"see": "https://x/?k=***", "n": [1, {"***": 2}]}))
        );
        assert_eq!(redactor.data(json!("x".repeat(LARGEST_DATA))), None);
    }
}
