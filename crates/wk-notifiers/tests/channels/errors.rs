//! Requests as they arrive, and what a channel makes of each answer.

use std::time::Duration;

use alloy_primitives::hex;
use axum::http::Method;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use wk_model::NoticeKind;
use wk_notifiers::{Retry, SendError};

use crate::support::{PATIENCE, Say, Server, channel, finding, message};

#[tokio::test]
async fn a_webhook_is_signed_and_names_the_message() {
    let server = Server::start([]).await;
    let dir = tempfile::tempdir().unwrap();
    let secret = dir.path().join("secret");
    std::fs::write(&secret, "the key\n").unwrap();
    let channel = channel(json!({"webhook": {
        "url": server.url("/hook?to=ops"),
        "secret": format!("file:{}", secret.display()),
        "headers": {"Authorization": "Bearer abc"},
    }}));
    let told = message(NoticeKind::Found, finding());
    channel.send(&told, "abc-1-found-oncall/webhook").await.unwrap();
    channel.send(&told, "abc-1-found-oncall/webhook").await.unwrap();

    let got = server.got();
    assert_eq!(got.len(), 2);
    assert_eq!(got[0].body, got[1].body, "a retry says the same");
    for got in got {
        assert_eq!((&got.method, got.uri.to_string().as_str()), (&Method::POST, "/hook?to=ops"));
        let header = |name: &str| got.headers.get(name).unwrap().to_str().unwrap().to_owned();
        assert_eq!(header("content-type"), "application/json");
        assert_eq!(header("idempotency-key"), "abc-1-found-oncall/webhook");
        assert_eq!(header("authorization"), "Bearer abc");
        assert!(header("user-agent").starts_with("watchkeeper/"));

        // As a receiver checks it.
        let signature = header("x-watchkeeper-signature");
        let (time, mac) = signature.split_once(',').unwrap();
        let (time, mac) = (time.strip_prefix("t=").unwrap(), mac.strip_prefix("v1=").unwrap());
        let mut expected = <Hmac<Sha256> as KeyInit>::new_from_slice(b"the key").unwrap();
        expected.update(format!("{time}.{}", got.body).as_bytes());
        assert!(expected.verify_slice(&hex::decode(mac).unwrap()).is_ok());
        let now = wk_runtime::Clock::system().now().0 / 1_000;
        assert!(now - time.parse::<u64>().unwrap() < 60);

        let body: Value = serde_json::from_str(&got.body).unwrap();
        assert_eq!((&body["version"], &body["kind"]), (&json!("1"), &json!("finding")));
    }

    // A rotated secret is read at the next message.
    std::fs::remove_file(&secret).unwrap();
    let error = channel.send(&told, "k").await.unwrap_err();
    assert_eq!(error.retry, Retry::Backoff);
    assert!(error.reason.contains("cannot read the secret file"), "{error}");
}

async fn outcome(answers: Vec<Say>, kind: &str) -> (Result<(), SendError>, usize) {
    let server = Server::start(answers).await;
    let channel = channel(json!({kind: {"url": server.url("/services/T000/B000/XXXXXXXX")}}));
    let sent = channel.send(&message(NoticeKind::Found, finding()), "k").await;
    (sent, server.got().len())
}

#[tokio::test]
async fn each_answer_is_retried_or_not() {
    let wait = |seconds| Retry::After(Duration::from_secs(seconds));
    for kind in ["webhook", "slack"] {
        let cases = [
            (Say::status(204), None),
            (Say::status(400).body("invalid_payload"), Some((Retry::No, "invalid_payload"))),
            (Say::status(404).body("no_service"), Some((Retry::No, "404 Not Found: no_service"))),
            (Say::status(408), Some((Retry::Backoff, "408"))),
            (Say::status(425), Some((Retry::Backoff, "425"))),
            (Say::status(429).header("retry-after", "30"), Some((wait(30), "429"))),
            (Say::status(429), Some((Retry::Backoff, "429"))),
            (Say::status(500).body("oh\u{1b}[2J no"), Some((Retry::Backoff, "oh\u{fffd}[2J no"))),
            (Say::status(502).body("x".repeat(1 << 20)), Some((Retry::Backoff, "xxx…"))),
            (Say::status(503).header("retry-after", "2"), Some((wait(2), "503"))),
        ];
        for (say, expected) in cases {
            let status = say.status;
            let (sent, requests) = outcome(vec![say], kind).await;
            assert_eq!(requests, 1, "{kind} {status}");
            match (sent, expected) {
                (Ok(()), None) => {}
                (Err(error), Some((retry, words))) => {
                    assert_eq!(error.retry, retry, "{kind} {status}");
                    assert!(error.reason.contains(words), "{kind} {status}: {error}");
                    assert!(error.reason.chars().count() < 400, "{error}");
                }
                (sent, expected) => panic!("{kind} {status}: {sent:?}, not {expected:?}"),
            }
        }
    }
}

#[tokio::test]
async fn redirects_stay_on_the_host_and_keep_the_message() {
    let elsewhere = Server::start([]).await;
    let moved = |status, to: String| Say::status(status).header("location", to);
    let cases = [
        (307, "/new".to_owned(), 2, None),
        (308, "/new".to_owned(), 2, None),
        // These would turn the message into a GET without a body, and call it delivered.
        (301, "/new".to_owned(), 1, Some(Retry::No)),
        (302, "/new".to_owned(), 1, Some(Retry::No)),
        (303, "/new".to_owned(), 1, Some(Retry::No)),
        (307, elsewhere.url("/"), 1, Some(Retry::No)),
        (308, elsewhere.url("/"), 1, Some(Retry::No)),
    ];
    for (status, to, requests, expected) in cases {
        let (sent, got) = outcome(vec![moved(status, to.clone())], "webhook").await;
        assert_eq!(got, requests, "{status} {to}");
        assert_eq!(sent.map_err(|error| error.retry).err(), expected, "{status} {to}");
    }
    let (sent, got) = outcome(vec![moved(307, "/again".to_owned()); 10], "webhook").await;
    assert!(sent.is_err());
    assert_eq!(got, 4, "a circle ends");
    assert_eq!(elsewhere.got().len(), 0);
}

#[tokio::test]
async fn no_answer_and_nobody_there_are_tried_again() {
    let server = Server::start([Say { silent: true, ..Say::default() }]).await;
    let slow = channel(json!({"webhook": {"url": server.url("/"), "timeout": "100ms"}}));
    let told = message(NoticeKind::Found, finding());
    let sent = tokio::time::timeout(PATIENCE, slow.send(&told, "k")).await.unwrap();
    let error = sent.unwrap_err();
    assert_eq!((error.retry, error.reason.as_str()), (Retry::Backoff, "no answer within 100ms"));

    // A port that was free a moment ago.
    let url = Server::start([]).await.url("/services/SECRETPART");
    let gone = channel(json!({"slack": {"url": url}}));
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let error = loop {
        match gone.send(&told, "k").await {
            Err(error) => break error,
            Ok(()) => assert!(tokio::time::Instant::now() < deadline, "the server goes away"),
        }
    };
    assert_eq!(error.retry, Retry::Backoff);
    assert!(!error.reason.contains("SECRETPART"), "{error}");
}

#[tokio::test]
async fn secrets_that_come_back_are_not_shown() {
    let server = Server::start([]).await;
    let url = server.url("/services/T0SECRET0/B0SECRET0?token=querysecret");
    let channel = channel(json!({"webhook": {
        "url": url,
        "secret": "signingsecret",
        "headers": {"Authorization": "Bearer headersecret"},
    }}));
    let echo = format!(
        "no route {url} for Bearer headersecret, path /services/T0SECRET0/B0SECRET0, \
         key signingsecret"
    );
    server.then(Say::status(403).body(echo));
    let error = channel.send(&message(NoticeKind::Found, finding()), "k").await.unwrap_err();
    assert!(error.reason.starts_with("answered 403 Forbidden: no route ***"), "{error}");
    let shown = format!("{error} {error:?} {channel:?}").to_lowercase();
    assert!(!shown.contains("secret0") && !shown.contains("querysecret"), "{shown}");
    assert!(!shown.contains("headersecret") && !shown.contains("signingsecret"), "{shown}");
}

#[tokio::test]
async fn a_probe_is_quiet_where_it_can_be() {
    let cases = [
        ("slack", Say::status(400).body("no_text"), Ok("known to Slack")),
        ("slack", Say::status(400).body("invalid_payload"), Ok("known to Slack")),
        ("slack", Say::status(404).body("no_service"), Err("no_service")),
        ("slack", Say::status(403).body("invalid_token"), Err("invalid_token")),
        ("webhook", Say::status(200), Ok("took a test message")),
        ("webhook", Say::status(401), Err("401")),
    ];
    for (kind, say, expected) in cases {
        let server = Server::start([say.clone()]).await;
        let probed = channel(json!({kind: {"url": server.url("/")}})).probe().await;
        match (probed, expected) {
            (Ok(words), Ok(expected)) => assert!(words.contains(expected), "{words}"),
            (Err(error), Err(expected)) => assert!(error.reason.contains(expected), "{error}"),
            (probed, _) => panic!("{kind} {say:?}: {probed:?}"),
        }
        let body: Value = serde_json::from_str(&server.got()[0].body).unwrap();
        match kind {
            "slack" => assert_eq!(body, json!({})),
            _ => assert_eq!(body["kind"], "test"),
        }
    }
}
