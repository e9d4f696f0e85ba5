//! A Slack channel, through an incoming webhook.

use schemars::JsonSchema;
use serde::Deserialize;
use wk_model::{HumanDuration, Problem, Secret};

use crate::{Message, SendError};

/// Settings of the `slack` channel.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The incoming webhook's URL. It is a secret: who has it can post.
    pub url: Secret,
    /// How long one attempt may take.
    #[serde(default = "default_timeout")]
    pub timeout: HumanDuration,
}

fn default_timeout() -> HumanDuration {
    HumanDuration::seconds(10)
}

/// The channel.
#[derive(Clone, Debug)]
pub struct Slack {
    config: Config,
}

impl Slack {
    /// The channel with these settings; nothing is connected yet.
    pub fn build(config: &Config) -> Result<Slack, Vec<Problem>> {
        Ok(Slack { config: config.clone() })
    }

    pub(crate) async fn send(&self, message: &Message, key: &str) -> Result<(), SendError> {
        let _ = (message, key, &self.config);
        Ok(())
    }

    pub(crate) async fn probe(&self) -> Result<String, SendError> {
        Ok(String::new())
    }
}
