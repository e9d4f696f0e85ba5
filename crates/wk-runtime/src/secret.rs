//! Reads a secret where its reference points.

use wk_model::Secret;

/// A secret could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadSecret {
    /// The environment variable is not set, or is no text.
    #[error("environment variable `{0}` is not set")]
    Env(String),
    /// The file cannot be read.
    #[error("cannot read the secret file `{path}`: {source}")]
    File {
        /// Its path.
        path: String,
        /// Why.
        source: std::io::Error,
    },
}

/// The secret's text. Do not log it.
pub fn read_secret(secret: &Secret) -> Result<String, ReadSecret> {
    match secret {
        Secret::Literal(text) => Ok(text.clone()),
        Secret::Env(name) => std::env::var(name).map_err(|_| ReadSecret::Env(name.clone())),
        Secret::File(path) => std::fs::read_to_string(path)
            .map(|text| text.trim_end_matches(['\r', '\n']).to_owned())
            .map_err(|source| ReadSecret::File { path: path.display().to_string(), source }),
    }
}
