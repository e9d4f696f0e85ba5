//! What people and programs read, as snapshots.

use std::io::Write;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use wk_model::NoticeKind;
use wk_notifiers::{Channel, stdout};

use crate::support::{Server, channel, finding, hostile_finding, message};

const KINDS: [NoticeKind; 4] =
    [NoticeKind::Found, NoticeKind::Retracted, NoticeKind::Resolved, NoticeKind::Test];

fn pretty(body: &str) -> String {
    serde_json::to_string_pretty(&serde_json::from_str::<Value>(body).unwrap()).unwrap()
}

/// The bodies that a server gets for an ordinary finding in each kind, and for a hostile one.
async fn bodies(config: impl Fn(String) -> Value) -> Vec<(String, String)> {
    let server = Server::start([]).await;
    let channel = channel(config(server.url("/hook")));
    let mut names = Vec::new();
    for kind in KINDS {
        channel.send(&message(kind, finding()), &format!("abc-1-{kind}-oncall")).await.unwrap();
        names.push(kind.to_string());
    }
    channel
        .send(&message(NoticeKind::Found, hostile_finding()), "def-1-found-oncall")
        .await
        .unwrap();
    names.push("hostile".to_owned());
    names.into_iter().zip(server.got().into_iter().map(|got| got.body)).collect()
}

#[tokio::test]
async fn webhook_bodies() {
    for (name, body) in bodies(|url| json!({"webhook": {"url": url}})).await {
        insta::assert_snapshot!(format!("webhook_{name}"), pretty(&body));
    }
}

#[tokio::test]
async fn slack_bodies() {
    for (name, body) in bodies(|url| json!({"slack": {"url": url}})).await {
        insta::assert_snapshot!(format!("slack_{name}"), pretty(&body));
    }
}

#[tokio::test]
async fn slack_limits_hold_for_the_most_hostile_text() {
    let (_, body) = bodies(|url| json!({"slack": {"url": url}})).await.pop().unwrap();
    let body: Value = serde_json::from_str(&body).unwrap();
    let blocks = body["blocks"].as_array().unwrap();
    assert!(blocks.len() <= 50);
    let mut texts = Vec::new();
    for block in blocks {
        if let Some(text) = block["text"]["text"].as_str() {
            let longest = if block["type"] == "header" { 150 } else { 3_000 };
            assert!(text.chars().count() <= longest, "{text}");
            texts.push(text.to_owned());
        }
        for field in block["fields"].as_array().into_iter().flatten() {
            let text = field["text"].as_str().unwrap();
            assert!(text.chars().count() <= 2_000, "{text}");
            texts.push(text.to_owned());
        }
        assert!(block["fields"].as_array().is_none_or(|fields| (1..=10).contains(&fields.len())));
    }
    texts.push(body["text"].as_str().unwrap().to_owned());
    for text in texts {
        assert!(!text.contains(['<', '>', '\u{202e}', '\u{200b}', '\u{1b}']), "{text:?}");
    }
}

#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

async fn lines(format: stdout::Format) -> String {
    let page = Page::default();
    let channel = Channel::Stdout(stdout::Stdout::to(&stdout::Config { format }, page.clone()));
    for kind in KINDS {
        channel.send(&message(kind, finding()), "abc-1-found-oncall").await.unwrap();
    }
    channel.send(&message(NoticeKind::Found, hostile_finding()), "k").await.unwrap();
    let text = String::from_utf8(page.0.lock().unwrap().clone()).unwrap();
    assert_eq!(text.lines().count(), 5, "a message is a line");
    text
}

#[tokio::test]
async fn stdout_lines_for_people() {
    insta::assert_snapshot!(lines(stdout::Format::Text).await);
}

#[tokio::test]
async fn stdout_lines_for_programs_are_the_webhook_body() {
    let lines = lines(stdout::Format::Json).await;
    let server = Server::start([]).await;
    let webhook = channel(json!({"webhook": {"url": server.url("/")}}));
    webhook.send(&message(NoticeKind::Found, finding()), "abc-1-found-oncall").await.unwrap();
    assert_eq!(lines.lines().next().unwrap(), server.got()[0].body);
}

#[test]
fn plain_text() {
    let texts = KINDS.map(|kind| message(kind, finding()).render_text());
    insta::assert_snapshot!(texts.join("\n\n"));
}
