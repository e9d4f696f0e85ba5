//! Samples on their way into a store: one batch, laid out so that a sender allocates nothing per
//! sample, and the door of whoever keeps them.

use std::ops::Range;
use std::sync::Arc;

use crate::series::{Exemplar, Histogram, Labels, Metadata};

/// Samples, exemplars and metadata that go into a store by one call.
///
/// Built series by series: [`start_series`](WriteBatch::start_series), its labels in any order, its
/// samples in any order. A batch is emptied and used again by those who send many.
#[derive(Clone, Debug, Default)]
pub struct WriteBatch {
    text: String,
    labels: Vec<[Range<u32>; 2]>,
    floats: Vec<(i64, f64)>,
    histograms: Vec<(i64, Arc<Histogram>)>,
    exemplars: Vec<Exemplar>,
    series: Vec<Ends>,
    metadata: Vec<(String, Metadata)>,
}

/// Where a series' parts end in the lists of its batch.
#[derive(Clone, Copy, Debug, Default)]
struct Ends {
    labels: usize,
    floats: usize,
    histograms: usize,
    exemplars: usize,
}

impl WriteBatch {
    /// Begins a series; what is added next belongs to it.
    pub fn start_series(&mut self) {
        self.series.push(self.ends());
    }

    /// Adds a label to the series; one with an empty value is left out.
    pub fn label(&mut self, name: &str, value: &str) {
        if !value.is_empty() {
            let pair = [self.push_text(name), self.push_text(value)];
            self.labels.push(pair);
            self.close();
        }
    }

    /// Adds all labels of a set.
    pub fn labels(&mut self, labels: &Labels) {
        for (name, value) in labels.iter() {
            self.label(name, value);
        }
    }

    /// Adds a number at a time in milliseconds since 1970.
    pub fn float(&mut self, time_ms: i64, value: f64) {
        self.floats.push((time_ms, value));
        self.close();
    }

    /// Adds a native histogram.
    pub fn histogram(&mut self, time_ms: i64, value: Arc<Histogram>) {
        self.histograms.push((time_ms, value));
        self.close();
    }

    /// Adds an exemplar.
    pub fn exemplar(&mut self, exemplar: Exemplar) {
        self.exemplars.push(exemplar);
        self.close();
    }

    /// Tells what a metric is; of several for one name the last counts.
    pub fn metadata(&mut self, metric: &str, metadata: Metadata) {
        self.metadata.push((metric.to_owned(), metadata));
    }

    /// Takes the series that was begun last out again, for example because its labels are refused.
    pub fn drop_series(&mut self) {
        if self.series.pop().is_some() {
            let ends = self.series.last().copied().unwrap_or_default();
            self.labels.truncate(ends.labels);
            self.floats.truncate(ends.floats);
            self.histograms.truncate(ends.histograms);
            self.exemplars.truncate(ends.exemplars);
        }
    }

    /// Empties it and keeps its memory.
    pub fn clear(&mut self) {
        self.text.clear();
        self.labels.clear();
        self.floats.clear();
        self.histograms.clear();
        self.exemplars.clear();
        self.series.clear();
        self.metadata.clear();
    }

    /// Whether there is nothing to keep.
    pub fn is_empty(&self) -> bool {
        self.series.is_empty() && self.metadata.is_empty()
    }

    /// Numbers and histograms in it.
    pub fn samples(&self) -> usize {
        self.floats.len() + self.histograms.len()
    }

    /// Its series in the order in which they were added.
    pub fn series(&self) -> impl ExactSizeIterator<Item = WriteSeries<'_>> + DoubleEndedIterator {
        (0..self.series.len()).map(move |at| {
            let from = at.checked_sub(1).map_or(Ends::default(), |before| self.series[before]);
            let to = self.series[at];
            WriteSeries {
                text: &self.text,
                labels: &self.labels[from.labels..to.labels],
                floats: &self.floats[from.floats..to.floats],
                histograms: &self.histograms[from.histograms..to.histograms],
                exemplars: &self.exemplars[from.exemplars..to.exemplars],
            }
        })
    }

    /// What was told of metrics.
    pub fn all_metadata(&self) -> &[(String, Metadata)] {
        &self.metadata
    }

    fn push_text(&mut self, text: &str) -> Range<u32> {
        let offset = |at: usize| u32::try_from(at).expect("whoever fills a batch bounds its bytes");
        let start = offset(self.text.len());
        self.text.push_str(text);
        start..offset(self.text.len())
    }

    fn ends(&self) -> Ends {
        Ends {
            labels: self.labels.len(),
            floats: self.floats.len(),
            histograms: self.histograms.len(),
            exemplars: self.exemplars.len(),
        }
    }

    fn close(&mut self) {
        let ends = self.ends();
        let last = self.series.last_mut().expect("a series was begun before anything was added");
        *last = ends;
    }
}

/// One series of a batch.
#[derive(Clone, Copy, Debug)]
pub struct WriteSeries<'a> {
    text: &'a str,
    labels: &'a [[Range<u32>; 2]],
    /// Times in milliseconds and numbers, as they came.
    pub floats: &'a [(i64, f64)],
    /// Times and native histograms, as they came.
    pub histograms: &'a [(i64, Arc<Histogram>)],
    /// Exemplars, as they came.
    pub exemplars: &'a [Exemplar],
}

impl<'a> WriteSeries<'a> {
    /// Name and value of each label, as they came: neither sorted nor unique.
    pub fn labels(&self) -> impl ExactSizeIterator<Item = (&'a str, &'a str)> + use<'a> {
        let text = self.text;
        let part = move |range: &Range<u32>| &text[range.start as usize..range.end as usize];
        self.labels.iter().map(move |[name, value]| (part(name), part(value)))
    }

    /// The labels as a set.
    pub fn label_set(&self) -> Labels {
        Labels::from_pairs(self.labels())
    }
}

/// Who keeps samples.
///
/// Calls block until what they took is durable: callers on an async runtime use a blocking thread.
pub trait SampleSink: Send + Sync {
    /// Keeps what can be kept and tells what was refused.
    fn write(&self, batch: &WriteBatch) -> Result<Written, WriteError>;
}

/// What became of a batch that was taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Numbers and histograms kept. One that was there already, bit by bit, counts as kept.
    pub samples: usize,
    /// Exemplars kept.
    pub exemplars: usize,
    /// Samples refused for good: sending them again does not help.
    pub refused: usize,
    /// The first reasons, each with its series, for people.
    pub reasons: Vec<String>,
}

/// Nothing of the batch was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WriteError {
    /// The same batch may be taken later: the disk is full, the store stops.
    Later(String),
    /// It never will be, for example because it is too large.
    Never(String),
}

impl std::fmt::Display for WriteError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            WriteError::Later(why) | WriteError::Never(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for WriteError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_keep_their_own_parts() {
        let mut batch = WriteBatch::default();
        batch.start_series();
        batch.label("__name__", "up");
        batch.label("empty", "");
        batch.float(1, 1.0);
        batch.float(2, 0.0);
        batch.start_series();
        batch.label("__name__", "gone");
        batch.float(3, 3.0);
        batch.drop_series();
        batch.start_series();
        batch.labels(&Labels::from_pairs([("__name__", "down"), ("a", "b")]));
        batch.float(4, 4.0);
        let seen: Vec<_> =
            batch.series().map(|series| (series.label_set().to_string(), series.floats)).collect();
        assert_eq!(
            seen,
            [
                (r#"{__name__="up"}"#.to_owned(), &[(1, 1.0), (2, 0.0)][..]),
                (r#"{__name__="down", a="b"}"#.to_owned(), &[(4, 4.0)][..]),
            ]
        );
        assert_eq!(batch.samples(), 3);
        batch.clear();
        assert!(batch.is_empty());
    }
}
