//! Lines on standard output: for a first try, for pipes and for log shippers.

use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;

use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::http::backoff;
use crate::{Message, Retry, SendError, wire};

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

/// The channel. Clones write to the same place.
#[derive(Clone)]
pub struct Stdout {
    format: Format,
    writer: Arc<Mutex<dyn Write + Send>>,
}

impl Stdout {
    /// The channel with these settings.
    pub fn build(config: &Config) -> Stdout {
        Stdout::to(config, io::stdout())
    }

    /// The same, written to `writer` instead.
    pub fn to(config: &Config, writer: impl Write + Send + 'static) -> Stdout {
        Stdout { format: config.format, writer: Arc::new(Mutex::new(writer)) }
    }

    pub(crate) async fn send(&self, message: &Message, key: &str) -> Result<(), SendError> {
        let mut line = match self.format {
            Format::Text => message.render_line(),
            Format::Json => wire::body(message, key),
        };
        line.push('\n');
        let writer = Arc::clone(&self.writer);
        // A pipe that nobody reads blocks; only this channel must wait for it.
        let written = tokio::task::spawn_blocking(move || {
            let mut writer = writer.lock();
            writer.write_all(line.as_bytes())?;
            writer.flush()
        });
        match written.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) if error.kind() == io::ErrorKind::BrokenPipe => Err(SendError {
                retry: Retry::No,
                reason: "nobody reads standard output any more".to_owned(),
            }),
            Ok(Err(error)) => Err(backoff(format!("cannot write to standard output: {error}"))),
            Err(error) => Err(backoff(format!("writing to standard output broke off: {error}"))),
        }
    }

    pub(crate) async fn probe(&self) -> Result<String, SendError> {
        Ok("standard output needs no probe".to_owned())
    }
}

impl fmt::Debug for Stdout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stdout").field("format", &self.format).finish_non_exhaustive()
    }
}
