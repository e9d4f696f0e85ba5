//! One series' samples in memory, in the order of time.

use std::sync::Arc;

use wk_model::series::{Exemplar, Histogram, Point, SampleValue};

/// Samples that are in no file yet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Buffer {
    /// Times and values of numbers are two lists, as chunks want them.
    pub(crate) times: Vec<i64>,
    pub(crate) values: Vec<f64>,
    pub(crate) histograms: Vec<(i64, Arc<Histogram>)>,
    pub(crate) exemplars: Vec<Exemplar>,
}

/// What becomes of a sample that comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It is kept.
    New,
    /// It was there already, bit by bit.
    Same,
    /// Another value was there for this time.
    Other,
}

impl Buffer {
    pub(crate) fn is_empty(&self) -> bool {
        self.times.is_empty() && self.histograms.is_empty() && self.exemplars.is_empty()
    }

    /// Adds a number, unless there is a sample of this time.
    pub(crate) fn float(&mut self, time: i64, value: f64) -> Taken {
        if self.histogram_at(time).is_ok() {
            return Taken::Other;
        }
        if self.times.last().is_none_or(|last| *last < time) {
            self.times.push(time);
            self.values.push(value);
            return Taken::New;
        }
        match self.times.binary_search(&time) {
            Ok(at) if self.values[at].to_bits() == value.to_bits() => Taken::Same,
            Ok(_) => Taken::Other,
            Err(at) => {
                self.times.insert(at, time);
                self.values.insert(at, value);
                Taken::New
            }
        }
    }

    /// Adds a histogram, unless there is a sample of this time.
    pub(crate) fn histogram(&mut self, time: i64, value: &Arc<Histogram>) -> Taken {
        if self.times.binary_search(&time).is_ok() {
            return Taken::Other;
        }
        match self.histogram_at(time) {
            Ok(at) if same(&self.histograms[at].1, value) => Taken::Same,
            Ok(_) => Taken::Other,
            Err(at) => {
                self.histograms.insert(at, (time, value.clone()));
                Taken::New
            }
        }
    }

    /// Adds an exemplar, unless it was there; of more than `most` the oldest give way.
    pub(crate) fn exemplar(&mut self, exemplar: &Exemplar, most: usize) -> Taken {
        if self.exemplars.contains(exemplar) {
            return Taken::Same;
        }
        let at = self.exemplars.partition_point(|have| have.time_ms <= exemplar.time_ms);
        self.exemplars.insert(at, exemplar.clone());
        if self.exemplars.len() > most {
            self.exemplars.remove(0);
        }
        Taken::New
    }

    /// Takes a sample out again that was added.
    pub(crate) fn undo(&mut self, time: i64) {
        if let Ok(at) = self.times.binary_search(&time) {
            self.times.remove(at);
            self.values.remove(at);
        } else if let Ok(at) = self.histogram_at(time) {
            self.histograms.remove(at);
        }
    }

    /// The samples of `start..=end`.
    pub(crate) fn within(&self, start: i64, end: i64, into: &mut Vec<Point>) {
        let from = self.times.partition_point(|time| *time < start);
        let to = self.times.partition_point(|time| *time <= end);
        if from < to {
            let floats = self.times[from..to].iter().zip(&self.values[from..to]);
            into.extend(
                floats.map(|(time, value)| Point {
                    time_ms: *time,
                    value: SampleValue::Float(*value),
                }),
            );
        }
        let inside = self.histograms.iter().filter(|(time, _)| (start..=end).contains(time));
        into.extend(inside.map(|(time, histogram)| Point {
            time_ms: *time,
            value: SampleValue::Histogram(histogram.clone()),
        }));
    }

    /// Whether it holds a sample of `start..=end`.
    pub(crate) fn touches(&self, start: i64, end: i64) -> bool {
        let from = self.times.partition_point(|time| *time < start);
        self.times.get(from).is_some_and(|time| *time <= end)
            || self.histograms.iter().any(|(time, _)| (start..=end).contains(time))
    }

    fn histogram_at(&self, time: i64) -> Result<usize, usize> {
        self.histograms.binary_search_by_key(&time, |(time, _)| *time)
    }
}

/// Equal, where a NaN equals itself.
fn same(one: &Histogram, other: &Histogram) -> bool {
    let bytes = |histogram| {
        let mut out = Vec::new();
        crate::histogram::put_histogram(&mut out, histogram);
        out
    };
    bytes(one) == bytes(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_stand_in_the_order_of_time_and_once() {
        let mut buffer = Buffer::default();
        assert_eq!(buffer.float(20, 2.0), Taken::New);
        assert_eq!(buffer.float(10, 1.0), Taken::New);
        assert_eq!(buffer.float(10, 1.0), Taken::Same);
        assert_eq!(buffer.float(10, 3.0), Taken::Other);
        let histogram = Arc::new(Histogram { sum: f64::NAN, ..Histogram::default() });
        assert_eq!(buffer.histogram(10, &histogram), Taken::Other);
        assert_eq!(buffer.histogram(15, &histogram), Taken::New);
        assert_eq!(buffer.histogram(15, &histogram), Taken::Same);
        assert_eq!(buffer.float(15, 3.0), Taken::Other);
        assert!(buffer.touches(12, 16) && !buffer.touches(16, 19));
        buffer.undo(15);
        buffer.undo(20);
        assert_eq!((buffer.times, buffer.histograms.len()), (vec![10], 0));
    }
}
