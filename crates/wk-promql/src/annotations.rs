//! Remarks about an answer: warnings and infos in the words of Prometheus, with their place.

use std::collections::BTreeSet;

use crate::ast::Span;
use crate::error::position;

/// What a query's answer is to be read with.
#[derive(Clone, Debug, Default)]
pub struct Annotations {
    warnings: BTreeSet<(String, usize)>,
    infos: BTreeSet<(String, usize)>,
}

impl Annotations {
    pub(crate) fn warn(&mut self, span: &Span, message: impl Into<String>) {
        self.warnings.insert((message.into(), span.start));
    }

    pub(crate) fn info(&mut self, span: &Span, message: impl Into<String>) {
        self.infos.insert((message.into(), span.start));
    }

    /// The warnings, each with line and column in the query.
    pub fn warnings(&self, query: &str) -> Vec<String> {
        render("PromQL warning", &self.warnings, query)
    }

    /// The infos, each with line and column in the query.
    pub fn infos(&self, query: &str) -> Vec<String> {
        render("PromQL info", &self.infos, query)
    }
}

fn render(kind: &str, set: &BTreeSet<(String, usize)>, query: &str) -> Vec<String> {
    let line = |(message, start): &(String, usize)| {
        format!("{kind}: {message} ({})", position(query, *start))
    };
    set.iter().map(line).collect()
}

/// ` for metric name "x"`, or nothing when there is no name.
pub(crate) fn for_metric(message: &str, name: &str) -> String {
    if name.is_empty() { message.to_owned() } else { format!("{message} for metric name {name:?}") }
}
