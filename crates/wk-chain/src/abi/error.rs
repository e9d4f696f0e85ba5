//! Why a text is no ABI, told so that its author can mend it.

use std::fmt;

use wk_model::Problem;

/// A fault in an ABI or a signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AbiError {
    /// The item it is in, such as `event Transfer` or `item 3`.
    pub item: Option<String>,
    /// What is wrong, lowercase, without a final stop.
    pub message: String,
    /// How to mend it, as a full sentence.
    pub hint: Option<String>,
    /// Where in the text it is, in a human-readable signature: byte offset and length.
    pub span: Option<(usize, usize)>,
}

impl AbiError {
    pub(super) fn new(message: impl Into<String>) -> AbiError {
        AbiError { item: None, message: message.into(), hint: None, span: None }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> AbiError {
        self.hint.get_or_insert_with(|| hint.into());
        self
    }

    pub(super) fn at(mut self, offset: usize, length: usize) -> AbiError {
        self.span.get_or_insert((offset, length));
        self
    }

    pub(super) fn of(mut self, item: impl Into<String>) -> AbiError {
        self.item.get_or_insert_with(|| item.into());
        self
    }

    /// The same fault as a problem of the config value at `path`.
    pub fn problem(self, path: impl Into<String>) -> Problem {
        let mut problem = Problem::new(path, self.to_string());
        problem.span = self.span;
        problem.hint = self.hint;
        problem
    }
}

impl fmt::Display for AbiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.item {
            Some(item) => write!(f, "{}: {}", shortened(item), self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for AbiError {}

/// A name from an untrusted text, short enough for a message.
pub(super) fn shortened(text: &str) -> String {
    const MOST: usize = 80;
    let mut shown: String =
        text.chars().take(MOST).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(MOST).is_some() {
        shown.push('…');
    }
    shown
}
