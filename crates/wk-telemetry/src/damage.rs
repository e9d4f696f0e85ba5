//! What was found broken: told, kept aside, never skipped silently.

use std::fmt;
use std::path::PathBuf;

/// A place in a file that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Damage {
    /// The file.
    pub path: PathBuf,
    /// Where the broken bytes start.
    pub offset: u64,
    /// How many they are; 0 when what is missing left no bytes.
    pub bytes: u64,
    /// What is lost by it.
    pub what: String,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Damage { path, offset, bytes, what } = self;
        write!(f, "`{}`, {bytes} bytes from {offset}: {what}", path.display())
    }
}
