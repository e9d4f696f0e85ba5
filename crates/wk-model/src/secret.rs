//! Secrets in a config: a reference where possible, and never shown.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A secret as the config gives it. Debug, display and serialisation never show a literal.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Secret {
    /// `env:NAME`: the value of an environment variable.
    Env(String),
    /// `file:PATH`: the content of a file without the final line break; read at each use, so that
    /// a rotated secret is picked up.
    File(PathBuf),
    /// The text itself.
    Literal(String),
}

impl Secret {
    /// A secret as it is written in a config.
    pub fn parse(text: &str) -> Secret {
        match text.split_once(':') {
            Some(("env", name)) => Secret::Env(name.to_owned()),
            Some(("file", path)) => Secret::File(path.into()),
            _ => Secret::Literal(text.to_owned()),
        }
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Secret::Env(name) => write!(f, "env:{name}"),
            Secret::File(path) => write!(f, "file:{}", path.display()),
            Secret::Literal(_) => f.write_str("***"),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({self})")
    }
}

impl Serialize for Secret {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
        Ok(Secret::parse(&Cow::<'de, str>::deserialize(deserializer)?))
    }
}

impl schemars::JsonSchema for Secret {
    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "A secret: env:NAME, file:PATH (read at each use), or the text itself."
        })
    }
}
