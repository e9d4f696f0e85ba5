//! Receivers as they stand in a config, and what is said about wrong ones.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use wk_notifiers::{ReceiverConfig, Receivers};

fn build(config: Value) -> Result<Receivers, String> {
    let config: BTreeMap<String, ReceiverConfig> =
        serde_json::from_value(config).map_err(|error| error.to_string())?;
    Receivers::build(&config).map_err(|problems| {
        let lines: Vec<String> = problems
            .iter()
            .map(|problem| format!("{}: {}", problem.path, problem.message))
            .collect();
        lines.join("\n")
    })
}

#[test]
fn a_receiver_is_a_target_for_each_of_its_channels() {
    let receivers = build(json!({
        "oncall": {"slack": {"url": "env:SLACK_URL"}, "webhook": {"url": "https://a.example/x"}},
        "log": {"stdout": {"format": "json"}},
    }))
    .unwrap();
    assert_eq!(receivers.names().collect::<Vec<_>>(), ["log", "oncall"]);
    assert_eq!(receivers.targets("oncall"), ["oncall/webhook", "oncall/slack"]);
    assert_eq!(receivers.targets("nobody"), Vec::<String>::new());
    let name = |target: &str| receivers.channel(target).map(|channel| channel.name());
    assert_eq!(name("oncall/slack"), Some("slack"));
    assert_eq!(name("log/stdout"), Some("stdout"));
    assert_eq!(name("log/slack"), None);
    assert_eq!(name("oncall"), None);
}

#[test]
fn wrong_settings_are_refused_with_their_place() {
    let cases = [
        (json!({"a": {}}), "a: the receiver has no channel"),
        (json!({"a": {"stdout": null}}), "a: the receiver has no channel"),
        (json!({"a": {"slack": {"url": "slack.com/x"}}}), "a.slack.url: the url is no URL"),
        (
            json!({"a": {"slack": {"url": "ftp://x/y", "timeout": "2m"}}}),
            "a.slack.url: the url is neither http nor https\n\
             a.slack.timeout: 2m is no usable timeout",
        ),
        (
            json!({"a": {"webhook": {"url": "https://x/y", "secret": "", "headers": {
                "Idempotency-Key": "x", "bad name": "x", "X-Ok": "two\nlines"}}}}),
            "a.webhook.headers.Idempotency-Key: the header `Idempotency-Key` is set by watchkeeper\n\
             a.webhook.headers.X-Ok: the value does not fit into a header\n\
             a.webhook.headers.bad name: `bad name` is no header name\n\
             a.webhook.secret: the secret is empty",
        ),
        (
            json!({"a": {"pager": {}}}),
            "unknown field `pager`, expected one of `stdout`, `webhook`, `slack`",
        ),
        (json!({"a": {"slack": {}}}), "missing field `url`"),
        (
            json!({"a": {"slack": {"url": "https://x/y", "channel": "#x"}}}),
            "unknown field `channel`, expected `url` or `timeout`",
        ),
    ];
    for (config, expected) in cases {
        assert_eq!(build(config.clone()).unwrap_err(), expected, "{config}");
    }
}

#[test]
fn secrets_that_cannot_be_read_are_told_at_the_start() {
    let receivers = build(json!({
        "a": {"slack": {"url": "env:WK_TEST_NO_SUCH_VARIABLE"}, "stdout": {}},
        "b": {"webhook": {
            "url": "https://a.example/x",
            "secret": "file:/no/such/file",
            "headers": {"X-Key": "env:WK_TEST_NO_SUCH_VARIABLE"},
        }},
    }))
    .unwrap();
    let paths: Vec<String> =
        receivers.check_secrets().into_iter().map(|problem| problem.path).collect();
    assert_eq!(paths, ["a.slack.url", "b.webhook.secret", "b.webhook.headers.x-key"]);
}
