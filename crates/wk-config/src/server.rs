//! Settings of the program itself: where it answers, what it keeps, how it is watched.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use wk_model::{HumanDuration, Problem, Secret};
use wk_notifiers::Ping;
use wk_rules::HttpMethod;

/// Settings of the server: `server`.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ServerConfig {
    /// Address of the API, the status page and `/metrics`, as IP:PORT. The default can be reached
    /// from this machine only; port 0 takes any free port.
    #[serde(deserialize_with = "listen")]
    #[schemars(with = "String")]
    pub listen: SocketAddr,
    /// Folder of the embedded store, relative to the folder in which Watchkeeper is started.
    pub data_dir: PathBuf,
    /// Address under which people reach the API, for links in messages. Default: that of `listen`.
    pub public_url: Option<String>,
    /// Who may ask what.
    pub auth: AuthConfig,
    /// How long things are kept.
    pub retention: RetentionConfig,
    /// How the way from a finding to its delivery is watched.
    pub canary: CanaryConfig,
    /// An outside service that is pinged while all is well, and calls people when the ping stays
    /// away. Default: none.
    pub deadman: Option<DeadmanConfig>,
}

impl Default for ServerConfig {
    fn default() -> ServerConfig {
        ServerConfig {
            listen: SocketAddr::from(([127, 0, 0, 1], 7070)),
            data_dir: PathBuf::from("./data"),
            public_url: None,
            auth: AuthConfig::default(),
            retention: RetentionConfig::default(),
            canary: CanaryConfig::default(),
            deadman: None,
        }
    }
}

/// Who may ask what: `server.auth`. Tokens are made by `watchkeeper token`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AuthConfig {
    /// What a caller without a token may do. Default: `viewer` when `listen` can be reached from
    /// this machine only, else `none`.
    pub anonymous: Option<Anonymous>,
}

/// What a caller without a token may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Anonymous {
    /// Nothing but ask whether Watchkeeper is alive.
    None,
    /// Read.
    Viewer,
    /// Read and act: send again, acknowledge.
    Operator,
    /// Everything, tokens included.
    Admin,
}

impl ServerConfig {
    /// What a caller without a token may do, after the default.
    pub fn anonymous(&self) -> Anonymous {
        let local = self.listen.ip().is_loopback();
        self.auth.anonymous.unwrap_or(if local { Anonymous::Viewer } else { Anonymous::None })
    }
}

/// How long things are kept: `server.retention`. What is still needed is kept longer: blocks that
/// can be reverted, messages that are still to be delivered, troubles that last, holes in the
/// coverage, and what windows of rules reach back to. Write a long time, such as `36500d`, to keep
/// things for good; the shortest is `1h`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RetentionConfig {
    /// Findings that nothing can change any more: final, retracted or resolved. Counts from their
    /// last change.
    pub findings: HumanDuration,
    /// Records of messages that were delivered.
    pub deliveries: HumanDuration,
    /// Messages that were given up, and their findings.
    pub dead_letters: HumanDuration,
}

impl RetentionConfig {
    const SHORTEST: HumanDuration = HumanDuration::seconds(3_600);

    fn problems(&self) -> Vec<Problem> {
        let RetentionConfig { findings, deliveries, dead_letters } = *self;
        let times =
            [("findings", findings), ("deliveries", deliveries), ("dead_letters", dead_letters)];
        let short = times.into_iter().filter(|(_, time)| *time < RetentionConfig::SHORTEST);
        short
            .map(|(key, time)| {
                Problem::new(key, format!("`{time}` is too short to look at what was found"))
                    .hint("Write at least 1h, such as 30d.")
            })
            .collect()
    }
}

impl Default for RetentionConfig {
    fn default() -> RetentionConfig {
        const DAY: u64 = 86_400;
        RetentionConfig {
            findings: HumanDuration::seconds(90 * DAY),
            deliveries: HumanDuration::seconds(30 * DAY),
            dead_letters: HumanDuration::seconds(90 * DAY),
        }
    }
}

/// How the way from a finding to its delivery is watched: `server.canary`. A finding that nobody is
/// told of goes all the way at intervals; one that does not arrive is a trouble, and its age is the
/// metric `wk_canary_age_seconds`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CanaryConfig {
    /// Time between two of them; at least `1s`.
    pub every: HumanDuration,
}

impl Default for CanaryConfig {
    fn default() -> CanaryConfig {
        CanaryConfig { every: HumanDuration::seconds(60) }
    }
}

/// An outside service that expects a ping (healthchecks.io, Dead Man's Snitch and others):
/// `server.deadman`. It is pinged while all tasks run, no chain was given up, and findings are
/// stored and delivered.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeadmanConfig {
    /// The URL to ping; a secret, such as `env:DEADMAN_URL`.
    pub url: Secret,
    /// Time between two pings; at least `1s`. Shorter than what the service waits.
    #[serde(default = "minute")]
    pub every: HumanDuration,
    /// How to ping.
    #[serde(default)]
    pub method: HttpMethod,
}

fn minute() -> HumanDuration {
    HumanDuration::seconds(60)
}

impl ServerConfig {
    /// What is wrong with these settings; paths count from the section.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        let ServerConfig { retention, canary, deadman, .. } = self;
        let mut problems: Vec<Problem> =
            retention.problems().into_iter().map(|p| p.under("retention")).collect();
        let mut times = vec![("canary.every", canary.every)];
        if let Some(DeadmanConfig { url, every, method: _ }) = deadman {
            times.push(("deadman.every", *every));
            let url = Ping::build(url).err().unwrap_or_default();
            problems.extend(url.into_iter().map(|p| p.under("deadman")));
        }
        for (key, time) in times {
            if time < HumanDuration::seconds(1) {
                let problem = Problem::new(key, format!("`{time}` is too short"));
                problems.push(problem.hint("Write at least 1s, such as 1m."));
            }
        }
        problems
    }
}

fn listen<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    struct Listen;

    impl serde::de::Visitor<'_> for Listen {
        type Value = SocketAddr;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an address as IP:PORT, such as 127.0.0.1:7070")
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<SocketAddr, E> {
            let named = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
            named.as_deref().unwrap_or(text).parse().map_err(|_| {
                E::custom(format!(
                    "`{text}` is no address to listen on; write IP:PORT, such as 127.0.0.1:7070 \
                     for this machine only, or 0.0.0.0:7070 for all networks"
                ))
            })
        }
    }

    deserializer.deserialize_str(Listen)
}

#[cfg(test)]
mod tests {
    use crate::{Environment, load_text};

    #[test]
    fn times_that_cannot_work_are_refused() {
        let check = |server: &str, expected: &[&str]| {
            let loaded = load_text(&format!("server: {server}"), &Environment::system());
            let errors = loaded.err().map(|errors| errors.errors).unwrap_or_default();
            let keys: Vec<&str> = errors.iter().map(|error| error.key.as_str()).collect();
            assert_eq!(keys, expected, "{server}");
        };
        check("{}", &[]);
        check("{retention: {findings: 36500d, deliveries: 1h}}", &[]);
        check("{retention: {findings: 59m}}", &["server.retention.findings"]);
        check("{canary: {every: 500ms}}", &["server.canary.every"]);
        check("{deadman: {url: \"https://hc.example/uuid\", method: POST}}", &[]);
        check("{deadman: {url: \"ftp://hc.example\"}}", &["server.deadman.url"]);
        check(
            "{deadman: {url: \"https://hc.example/uuid\", every: 0s}}",
            &["server.deadman.every"],
        );
    }
}
