//! The channels, all under one roof.

use wk_model::Problem;

use crate::slack::Slack;
use crate::stdout::Stdout;
use crate::webhook::Webhook;
use crate::{Message, SendError};

/// A way to reach someone. Clones share connections.
#[derive(Clone, Debug)]
pub enum Channel {
    /// Lines on standard output.
    Stdout(Stdout),
    /// JSON to an HTTP endpoint.
    Webhook(Webhook),
    /// A Slack channel.
    Slack(Slack),
}

impl Channel {
    /// Its key in a receiver's config.
    pub fn name(&self) -> &'static str {
        match self {
            Channel::Stdout(_) => "stdout",
            Channel::Webhook(_) => "webhook",
            Channel::Slack(_) => "slack",
        }
    }

    /// Sends one message, once. `idempotency_key` is the same at each attempt, so that a receiver
    /// can tell a repeated message from a new one.
    pub async fn send(&self, message: &Message, idempotency_key: &str) -> Result<(), SendError> {
        match self {
            Channel::Stdout(stdout) => stdout.send(message, idempotency_key).await,
            Channel::Webhook(webhook) => webhook.send(message, idempotency_key).await,
            Channel::Slack(slack) => slack.send(message, idempotency_key).await,
        }
    }

    /// Secrets that cannot be read now, or do not hold what they should. Reads them, and nothing else.
    pub fn check_secrets(&self) -> Vec<Problem> {
        match self {
            Channel::Stdout(_) => Vec::new(),
            Channel::Webhook(webhook) => webhook.check_secrets(),
            Channel::Slack(slack) => slack.check_secrets(),
        }
    }

    /// Tries whether a message would arrive, and says what was tried. Quiet where the channel
    /// allows it; a webhook gets a message of kind `test`.
    pub async fn probe(&self) -> Result<String, SendError> {
        match self {
            Channel::Stdout(stdout) => stdout.probe().await,
            Channel::Webhook(webhook) => webhook.probe().await,
            Channel::Slack(slack) => slack.probe().await,
        }
    }
}
