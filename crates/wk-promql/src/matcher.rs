//! Conditions on labels.

use std::fmt;

use regex::{Regex, RegexBuilder};
use wk_model::series::Labels;

/// Compiled patterns may take this much memory, so that a query cannot exhaust it.
const PATTERN_BYTES: usize = 4 << 20;

/// How a label is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MatchOp {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`
    Matches,
    /// `!~`
    NotMatches,
}

impl MatchOp {
    /// As it is written.
    pub fn symbol(self) -> &'static str {
        match self {
            MatchOp::Equal => "=",
            MatchOp::NotEqual => "!=",
            MatchOp::Matches => "=~",
            MatchOp::NotMatches => "!~",
        }
    }
}

/// One condition on one label. A series without the label counts as having the empty value.
#[derive(Clone, Debug)]
pub struct Matcher {
    /// The label.
    pub name: String,
    /// The comparison.
    pub op: MatchOp,
    /// The text or pattern.
    pub value: String,
    pattern: Option<Regex>,
}

impl Matcher {
    /// Compiles the pattern if there is one; patterns match whole values.
    pub fn new(name: &str, op: MatchOp, value: &str) -> Result<Matcher, String> {
        let pattern = match op {
            MatchOp::Equal | MatchOp::NotEqual => None,
            MatchOp::Matches | MatchOp::NotMatches => Some(compile(value)?),
        };
        Ok(Matcher { name: name.to_owned(), op, value: value.to_owned(), pattern })
    }

    /// Whether this value of the label passes.
    pub fn matches_value(&self, value: &str) -> bool {
        let found = match &self.pattern {
            None => self.value == value,
            Some(pattern) => pattern.is_match(value),
        };
        found == matches!(self.op, MatchOp::Equal | MatchOp::Matches)
    }

    /// Whether the series passes.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.matches_value(labels.get(&self.name).unwrap_or(""))
    }
}

/// A pattern that must match the whole text; `.` matches line ends, too.
pub(crate) fn compile(pattern: &str) -> Result<Regex, String> {
    // First alone, so that a pattern cannot close the group that anchors it.
    RegexBuilder::new(pattern)
        .size_limit(PATTERN_BYTES)
        .build()
        .and_then(|_| {
            RegexBuilder::new(&format!("^(?s:{pattern})$")).size_limit(PATTERN_BYTES).build()
        })
        .map_err(|error| format!("error parsing regexp {pattern:?}: {error}"))
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let op = self.op.symbol();
        write!(f, "{}{op}{:?}", crate::format::label_name(&self.name), self.value)
    }
}
