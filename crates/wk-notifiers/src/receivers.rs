//! Receivers: named sets of channels.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use wk_model::Problem;

use crate::{Channel, slack, stdout, webhook};

/// One entry of `receivers`: the channels through which this receiver hears of findings. Each gets
/// every message; one that fails is tried again by itself.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ReceiverConfig {
    /// Lines on standard output.
    pub stdout: Option<stdout::Config>,
    /// JSON to an HTTP endpoint.
    pub webhook: Option<webhook::Config>,
    /// A Slack channel.
    pub slack: Option<slack::Config>,
}

/// All receivers of a config, ready to send. Clones share connections.
#[derive(Clone, Debug, Default)]
pub struct Receivers(BTreeMap<String, Vec<(String, Channel)>>);

impl Receivers {
    /// Builds every channel; nothing is connected or read yet. Paths of problems begin with the
    /// receiver's name.
    pub fn build(config: &BTreeMap<String, ReceiverConfig>) -> Result<Receivers, Vec<Problem>> {
        let mut receivers = BTreeMap::new();
        let mut problems = Vec::new();
        for (name, receiver) in config {
            let mut channels = Vec::new();
            for (key, built) in receiver.channels() {
                match built {
                    Ok(channel) => channels.push((format!("{name}/{key}"), channel)),
                    Err(found) => problems
                        .extend(found.into_iter().map(|problem| problem.under(key).under(name))),
                }
            }
            if *receiver == ReceiverConfig::default() {
                // It would swallow every message without a word.
                problems.push(
                    Problem::new(name.as_str(), "the receiver has no channel").hint(
                        "Add one, such as `stdout: {}` or `slack: {url: \"env:SLACK_URL\"}`.",
                    ),
                );
            }
            receivers.insert(name.clone(), channels);
        }
        if problems.is_empty() { Ok(Receivers(receivers)) } else { Err(problems) }
    }

    /// The names of all receivers.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The targets of the receiver `name`, one per channel, such as `oncall/slack`: what a route
    /// hands to the store. Empty for an unknown receiver.
    pub fn targets(&self, name: &str) -> Vec<String> {
        self.0
            .get(name)
            .map(|channels| channels.iter().map(|(target, _)| target.clone()).collect())
            .unwrap_or_default()
    }

    /// The channel of a target; none if the config has it no more.
    pub fn channel(&self, target: &str) -> Option<&Channel> {
        let (receiver, _) = target.rsplit_once('/')?;
        let channels = self.0.get(receiver)?;
        channels.iter().find(|(name, _)| name == target).map(|(_, channel)| channel)
    }

    /// Every target with its channel.
    pub fn channels(&self) -> impl Iterator<Item = (&str, &Channel)> {
        self.0.values().flatten().map(|(target, channel)| (target.as_str(), channel))
    }

    /// Secrets that cannot be read now, or do not hold what they should: to be told at the start,
    /// not at the first alert.
    pub fn check_secrets(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (target, channel) in self.channels() {
            let path = target.replace('/', ".");
            problems
                .extend(channel.check_secrets().into_iter().map(|problem| problem.under(&path)));
        }
        problems
    }
}

impl ReceiverConfig {
    /// The channels that are set, by their keys. A new channel adds its line here.
    fn channels(&self) -> Vec<(&'static str, Result<Channel, Vec<Problem>>)> {
        let ReceiverConfig { stdout, webhook, slack } = self;
        [
            stdout
                .as_ref()
                .map(|config| ("stdout", Ok(Channel::Stdout(stdout::Stdout::build(config))))),
            webhook
                .as_ref()
                .map(|config| ("webhook", webhook::Webhook::build(config).map(Channel::Webhook))),
            slack.as_ref().map(|config| ("slack", slack::Slack::build(config).map(Channel::Slack))),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}
