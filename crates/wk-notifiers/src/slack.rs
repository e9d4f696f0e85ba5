//! A Slack channel, through an incoming webhook.

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use wk_model::{Finding, HumanDuration, NoticeKind, Problem, Secret, Severity};

use crate::http::Poster;
use crate::{Message, SendError};

/// Settings of the `slack` channel.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The incoming webhook's URL, best as `env:NAME`: who has it can post.
    pub url: Secret,
    /// How long one attempt may take; at most 1m.
    #[serde(default = "default_timeout")]
    pub timeout: HumanDuration,
}

fn default_timeout() -> HumanDuration {
    HumanDuration::seconds(10)
}

/// The channel.
#[derive(Clone, Debug)]
pub struct Slack {
    poster: Poster,
}

impl Slack {
    /// The channel with these settings; nothing is connected or read yet.
    pub fn build(config: &Config) -> Result<Slack, Vec<Problem>> {
        let Config { url, timeout } = config;
        Ok(Slack { poster: Poster::build(url, *timeout)? })
    }

    pub(crate) fn check_secrets(&self) -> Vec<Problem> {
        self.poster.check_secret().into_iter().collect()
    }

    /// Slack has no place for an idempotency key: a repeated message shows twice.
    pub(crate) async fn send(&self, message: &Message, _: &str) -> Result<(), SendError> {
        self.post(&payload(message)).await?.accept()
    }

    /// Posts a message without content: Slack refuses it, in words that tell whether a real one
    /// would have been taken. Nobody sees it.
    pub(crate) async fn probe(&self) -> Result<String, SendError> {
        const KNOWS_US: [&str; 3] =
            ["no_text", "invalid_payload", "missing_text_or_fallback_or_attachments"];
        let answer = self.post(&json!({})).await?;
        if !KNOWS_US.contains(&answer.excerpt.as_str()) {
            answer.accept()?;
        }
        Ok("the webhook is known to Slack; no message was posted".to_owned())
    }

    async fn post(&self, payload: &Value) -> Result<crate::http::Answer, SendError> {
        let json = HeaderValue::from_static("application/json");
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, json)]);
        self.poster.post(headers, payload.to_string().into(), Vec::new()).await
    }
}

/// Slack's limits, in characters: of a header block, of a section's text, of a field.
/// <https://docs.slack.dev/reference/block-kit/blocks>
const LONGEST_HEADER: usize = 150;
const LONGEST_SECTION: usize = 3_000;
const LONGEST_FIELD: usize = 2_000;
/// How many fields a section holds.
const MOST_FIELDS: usize = 10;
/// How many pieces of evidence are shown; the rest is counted.
const MOST_EVIDENCE: usize = 20;
/// The longest value in a field: two lines on a screen.
const LONGEST_VALUE: usize = 300;
/// The longest text that stands for the message in a notification.
const LONGEST_FALLBACK: usize = 600;

fn payload(message: &Message) -> Value {
    let finding = message.finding();
    let mut blocks = vec![json!({
        "type": "header",
        "text": {
            "type": "plain_text",
            "text": escape(&format!("{} {}", sign(message), message.headline()), LONGEST_HEADER),
            "emoji": false,
        },
    })];
    if let Some(explanation) = explanation(message) {
        blocks.push(section(&explanation));
    }
    blocks.push(fields(&facts(finding)));
    if message.kind() != NoticeKind::Retracted {
        let evidence: Vec<String> = message
            .evidence()
            .take(MOST_EVIDENCE)
            .map(|(name, value)| field(name, &value))
            .collect();
        blocks.extend(evidence.chunks(MOST_FIELDS).map(fields));
        if let Some(more) = finding.evidence.len().checked_sub(MOST_EVIDENCE + 1) {
            blocks.push(section(&format!("… and {} more", more + 1)));
        }
    }
    let seen = format!("finding {} seen {}", code(&finding.id.to_string()), finding.seen_at);
    blocks.push(json!({"type": "context", "elements": [markdown(&seen, LONGEST_SECTION)]}));
    json!({
        // What a notification shows; without markup, so that a title cannot bring its own.
        "text": escape(&message.headline(), LONGEST_FALLBACK),
        "mrkdwn": false,
        "unfurl_links": false,
        "unfurl_media": false,
        "blocks": blocks,
    })
}

/// A sign to find one's way by in a long channel. The words say the same.
fn sign(message: &Message) -> &'static str {
    match message.kind() {
        NoticeKind::Retracted => "↩️",
        NoticeKind::Resolved => "✅",
        NoticeKind::Test => "🧪",
        NoticeKind::Found => match message.finding().severity {
            Severity::P0 => "🚨",
            Severity::P1 => "🔴",
            Severity::P2 => "🟠",
            Severity::P3 => "🔵",
        },
    }
}

/// The same as [`Message::explanation`], with what comes from elsewhere set apart.
fn explanation(message: &Message) -> Option<String> {
    let finding = message.finding();
    let id = code(&finding.id.to_string());
    match message.kind() {
        NoticeKind::Found | NoticeKind::Test => None,
        NoticeKind::Resolved => Some(format!("It is no longer so. Resolves finding {id}.")),
        NoticeKind::Retracted => Some(match &finding.position {
            Some(position) => format!(
                "It never happened: block {} ({}) of {} was reverted. Retracts finding {id}.",
                position.block.height,
                code(&position.block.hash.to_string()),
                code(position.chain.as_str())
            ),
            None => format!("It never happened. Retracts finding {id}."),
        }),
    }
}

fn facts(finding: &Finding) -> Vec<String> {
    let mut facts =
        vec![field("Asset", finding.asset.as_str()), field("Source", &finding.source.to_string())];
    if let Some(position) = &finding.position {
        let place = format!("{} block {}", position.chain, position.block.height);
        facts.push(field("Where", &place));
        if let Some(tx) = &position.tx {
            facts.push(field("Transaction", &tx.to_string()));
        }
    }
    facts
}

fn field(name: &str, value: &str) -> String {
    format!("{}\n{}", code_name(name), code(value))
}

fn section(text: &str) -> Value {
    json!({"type": "section", "text": markdown(text, LONGEST_SECTION)})
}

fn fields<T: AsRef<str>>(texts: &[T]) -> Value {
    let fields: Vec<Value> =
        texts.iter().map(|text| markdown(text.as_ref(), LONGEST_FIELD)).collect();
    json!({"type": "section", "fields": fields})
}

/// A text with markup. `verbatim` keeps Slack from making links, channels and mentions of plain
/// words.
fn markdown(text: &str, longest: usize) -> Value {
    debug_assert!(text.chars().count() <= longest, "the parts are bounded");
    json!({"type": "mrkdwn", "text": text, "verbatim": true})
}

/// Text from elsewhere as code: nothing in it is markup to Slack.
fn code(text: &str) -> String {
    // The one character that would end the code becomes one that looks like it.
    let inside = escape(&text.replace('`', "ˋ"), LONGEST_VALUE);
    // Code that is empty or begins with a space shows its backticks.
    let inside = inside.trim();
    if inside.is_empty() { "–".to_owned() } else { format!("`{inside}`") }
}

/// A name in bold; letters that are markup are shown as code instead.
fn code_name(name: &str) -> String {
    let plain = name.chars().all(|letter| letter.is_alphanumeric() || " -".contains(letter));
    if plain && !name.trim().is_empty() { format!("*{}*", name.trim()) } else { code(name) }
}

/// `text` with the characters escaped that Slack gives a meaning to (`&`, `<`, `>`), cut so that the
/// result has at most `longest` characters.
fn escape(text: &str, longest: usize) -> String {
    let mut escaped = String::new();
    let mut length = 0;
    for letter in text.chars() {
        let piece = match letter {
            '&' => "&amp;",
            '<' => "&lt;",
            '>' => "&gt;",
            _ => "",
        };
        let added = piece.len().max(1);
        if length + added >= longest {
            escaped.push('…');
            return escaped;
        }
        length += added;
        if piece.is_empty() { escaped.push(letter) } else { escaped.push_str(piece) }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_from_elsewhere_is_no_markup() {
        let cases = [
            ("<!channel> & <https://evil|x>", "`&lt;!channel&gt; &amp; &lt;https://evil|x&gt;`"),
            ("`*bold* _it_ ~no~`", "`ˋ*bold* _it_ ~no~ˋ`"),
            ("```", "`ˋˋˋ`"),
            ("  ", "–"),
            ("", "–"),
        ];
        for (text, expected) in cases {
            assert_eq!(code(text), expected);
        }
        for (name, expected) in [("amount", "*amount*"), ("a_b", "`a_b`"), ("*x*", "`*x*`")] {
            assert_eq!(code_name(name), expected);
        }
    }

    proptest! {
        #[test]
        fn no_text_breaks_out_or_gets_too_long(text in any::<String>()) {
            let code = code(&text);
            prop_assert!(code.chars().count() <= LONGEST_VALUE + 2);
            prop_assert!(!code.contains(['<', '>']));
            prop_assert!(code == "–" || code.matches('`').count() == 2);
            prop_assert!(field(&text, &text).chars().count() <= LONGEST_FIELD);
            prop_assert!(escape(&text, LONGEST_HEADER).chars().count() <= LONGEST_HEADER);
        }
    }
}
