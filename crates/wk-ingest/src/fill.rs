//! Fills a batch from untrusted input: no more memory than allowed, no series that is none.

use std::sync::Arc;

use wk_model::series::{Exemplar, Histogram, METRIC_NAME, Metadata};
use wk_model::write::{WriteBatch, WriteSeries};

/// Bytes of memory that a label, a sample, an exemplar or a series takes beside its text.
const ENTRY: usize = 64;
/// How many refused series are described.
const REASONS: usize = 5;
/// How much of a name is shown.
const SHOWN: usize = 80;

/// A request that needs more memory than one may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the request unpacks to more than {limit} bytes: send fewer series at once")]
pub(crate) struct TooMuch {
    limit: usize,
}

/// A batch under construction.
pub(crate) struct Fill<'b> {
    batch: &'b mut WriteBatch,
    limit: usize,
    left: usize,
    /// Samples of series that were refused.
    pub(crate) refused: usize,
    /// The first reasons.
    pub(crate) reasons: Vec<String>,
}

impl<'b> Fill<'b> {
    /// Into `batch`, up to `limit` bytes of memory.
    pub(crate) fn new(batch: &'b mut WriteBatch, limit: usize) -> Fill<'b> {
        Fill { batch, limit, left: limit, refused: 0, reasons: Vec::new() }
    }

    /// Takes bytes off what is left.
    #[inline]
    pub(crate) fn pay(&mut self, bytes: usize) -> Result<(), TooMuch> {
        self.left = self.left.checked_sub(bytes).ok_or(TooMuch { limit: self.limit })?;
        Ok(())
    }

    /// Begins a series.
    #[inline]
    pub(crate) fn start(&mut self) -> Result<(), TooMuch> {
        self.pay(ENTRY)?;
        self.batch.start_series();
        Ok(())
    }

    #[inline]
    pub(crate) fn label(&mut self, name: &str, value: &str) -> Result<(), TooMuch> {
        self.pay(ENTRY + name.len() + value.len())?;
        self.batch.label(name, value);
        Ok(())
    }

    #[inline]
    pub(crate) fn float(&mut self, time_ms: i64, value: f64) -> Result<(), TooMuch> {
        self.pay(16)?;
        self.batch.float(time_ms, value);
        Ok(())
    }

    pub(crate) fn histogram(&mut self, time_ms: i64, value: Histogram) -> Result<(), TooMuch> {
        let buckets = |side: &wk_model::series::Buckets| side.spans.len() + side.counts.len();
        let numbers = buckets(&value.positive) + buckets(&value.negative);
        self.pay(4 * ENTRY + 8 * (numbers + value.custom_bounds.len()))?;
        self.batch.histogram(time_ms, Arc::new(value));
        Ok(())
    }

    pub(crate) fn exemplar(&mut self, exemplar: Exemplar) -> Result<(), TooMuch> {
        let text: usize = exemplar.labels.iter().map(|(n, v)| n.len() + v.len() + ENTRY).sum();
        self.pay(text + ENTRY)?;
        self.batch.exemplar(exemplar);
        Ok(())
    }

    pub(crate) fn metadata(&mut self, name: &str, metadata: Metadata) -> Result<(), TooMuch> {
        self.pay(2 * ENTRY + name.len() + metadata.help.len() + metadata.unit.len())?;
        self.batch.metadata(name, metadata);
        Ok(())
    }

    /// Ends the series and tells whether it stays. It is taken out again, and the reason kept, if its
    /// labels name none or something else is `wrong` with it. `sorted`: its label names came in rising
    /// order, so none can come twice.
    #[inline]
    pub(crate) fn end(&mut self, sorted: bool, wrong: Option<String>) -> bool {
        let Some(series) = self.batch.series().next_back() else { return false };
        let found = fault(series, sorted).or_else(|| {
            let name = series.labels().find(|(name, _)| *name == METRIC_NAME).map(|(_, name)| name);
            wrong.map(|wrong| format!("`{}`: {wrong}", shown(name.unwrap_or_default())))
        });
        let Some(found) = found else { return true };
        let samples = series.floats.len() + series.histograms.len();
        self.batch.drop_series();
        self.refuse(samples.max(1), found);
        false
    }

    /// Notes samples that did not get into the batch.
    pub(crate) fn refuse(&mut self, samples: usize, reason: String) {
        self.refused += samples;
        if self.reasons.len() < REASONS {
            self.reasons.push(reason);
        }
    }
}

/// What is wrong with a label set.
fn fault(series: WriteSeries<'_>, sorted: bool) -> Option<String> {
    let mut name = None;
    for (label, value) in series.labels() {
        if label.is_empty() {
            return Some(format!("a label of `{}` has no name", shown(name.unwrap_or_default())));
        }
        if label == METRIC_NAME {
            name = Some(value);
        }
    }
    let Some(name) = name else {
        let first = series.labels().next().map(|(n, v)| format!("{}={:?}", shown(n), shown(v)));
        return Some(format!(
            "a series has no metric name (its first label is {}): give it `{METRIC_NAME}`",
            first.as_deref().unwrap_or("missing")
        ));
    };
    if !sorted {
        let mut names: Vec<&str> = series.labels().map(|(name, _)| name).collect();
        names.sort_unstable();
        if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Some(format!("`{}` has the label `{}` twice", shown(name), shown(twice[0])));
        }
    }
    None
}

/// A text from outside, short enough for a message.
pub(crate) fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
