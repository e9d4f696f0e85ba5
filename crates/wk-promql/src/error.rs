//! What can be wrong with a query.

use std::ops::Range;

/// The text is not a query.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct ParseError {
    /// Bytes of the query at fault.
    pub span: Range<usize>,
    /// What is wrong.
    pub message: String,
}

impl ParseError {
    pub(crate) fn new(span: Range<usize>, message: String) -> ParseError {
        ParseError { span, message }
    }

    /// With line and column (both from 1) in front, as Prometheus prints it.
    pub fn with_position(&self, query: &str) -> String {
        format!("{}: parse error: {}", position(query, self.span.start), self.message)
    }
}

/// Line and column of a byte, `1:5`.
pub fn position(query: &str, byte: usize) -> String {
    let before = query.get(..byte).unwrap_or(query);
    let line = before.matches('\n').count() + 1;
    let column = before.len() - before.rfind('\n').map_or(0, |at| at + 1) + 1;
    format!("{line}:{column}")
}

/// Why a query has no answer.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum QueryError {
    /// Not a query, or not one of the kind that was asked for.
    #[error("{0}")]
    Parse(String),
    /// Well-formed, but these data or parameters do not allow it.
    #[error("{0}")]
    Execution(String),
    /// It would read or hold more than allowed.
    #[error(
        "query processing would load too many samples into memory in query execution \
         (limit {limit}): narrow the selectors or the range, or raise the limit"
    )]
    TooManySamples {
        /// Samples that one query may hold.
        limit: usize,
    },
    /// Somebody stopped it.
    #[error("query was canceled")]
    Stopped,
    /// Its time was up.
    #[error("query timed out: narrow the selectors or the range, or raise the timeout")]
    TimedOut,
    /// The store could not be read.
    #[error("reading series failed: {0}")]
    Storage(String),
}

impl QueryError {
    pub(crate) fn execution(message: impl Into<String>) -> QueryError {
        QueryError::Execution(message.into())
    }
}
