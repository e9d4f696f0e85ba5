//! What a record of the write-ahead log holds: a row of things, each with its own tag.

use std::sync::Arc;

use wk_model::series::{Exemplar, Histogram, Metadata, MetricKind};

use crate::bytes::{Put, Take};
use crate::histogram::{put_exemplar, put_histogram, take_exemplar, take_histogram};

const SERIES: u8 = 1;
const FLOAT: u8 = 2;
const HISTOGRAM: u8 = 3;
const EXEMPLAR: u8 = 4;
const METADATA: u8 = 5;

/// One thing of a record.
#[derive(Debug, PartialEq)]
pub(crate) enum Item<'a> {
    /// From here on in this segment, this number means the series with this key.
    Series(u64, &'a [u8]),
    Float(u64, i64, f64),
    Histogram(u64, i64, Arc<Histogram>),
    Exemplar(u64, Exemplar),
    Metadata(&'a str, Metadata),
}

/// Writes a record. Numbers of series and times are differences to those before them.
#[derive(Debug, Default)]
pub(crate) struct Record {
    pub(crate) bytes: Vec<u8>,
    series: u64,
    time: i64,
}

impl Record {
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        (self.series, self.time) = (0, 0);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(crate) fn series(&mut self, series: u64, key: &[u8]) {
        self.bytes.push(SERIES);
        self.bytes.put_u64(series);
        self.bytes.put_bytes(key);
    }

    pub(crate) fn float(&mut self, series: u64, time: i64, value: f64) {
        self.head(FLOAT, series, time);
        self.bytes.put_f64(value);
    }

    pub(crate) fn histogram(&mut self, series: u64, time: i64, value: &Histogram) {
        self.head(HISTOGRAM, series, time);
        put_histogram(&mut self.bytes, value);
    }

    pub(crate) fn exemplar(&mut self, series: u64, value: &Exemplar) {
        self.head(EXEMPLAR, series, value.time_ms);
        put_exemplar(&mut self.bytes, value);
    }

    pub(crate) fn metadata(&mut self, metric: &str, metadata: &Metadata) {
        self.bytes.push(METADATA);
        for text in [metric, metadata.kind.name(), &metadata.help, &metadata.unit] {
            self.bytes.put_bytes(text.as_bytes());
        }
    }

    fn head(&mut self, tag: u8, series: u64, time: i64) {
        self.bytes.push(tag);
        self.bytes.put_i64(series.wrapping_sub(self.series).cast_signed());
        self.bytes.put_i64(time.wrapping_sub(self.time));
        (self.series, self.time) = (series, time);
    }
}

/// Hands each thing of a record to `each`; an error where the bytes make no sense.
pub(crate) fn read(bytes: &[u8], mut each: impl FnMut(Item<'_>)) -> Result<(), String> {
    let mut take = Take(bytes);
    let (mut series, mut time) = (0u64, 0i64);
    while let Some(tag) = take.byte() {
        let item = item(tag, &mut take, &mut series, &mut time);
        each(item.ok_or_else(|| "a record makes no sense from some place on".to_owned())?);
    }
    Ok(())
}

fn item<'a>(tag: u8, take: &mut Take<'a>, series: &mut u64, time: &mut i64) -> Option<Item<'a>> {
    if tag == SERIES {
        return Some(Item::Series(take.u64()?, take.bytes()?));
    }
    if tag == METADATA {
        let (metric, kind) = (take.text()?, MetricKind::from_name(take.text()?));
        let (help, unit) = (take.text()?.to_owned(), take.text()?.to_owned());
        return Some(Item::Metadata(metric, Metadata { kind, help, unit }));
    }
    *series = series.wrapping_add(take.i64()?.cast_unsigned());
    *time = time.wrapping_add(take.i64()?);
    match tag {
        FLOAT => Some(Item::Float(*series, *time, take.f64()?)),
        HISTOGRAM => Some(Item::Histogram(*series, *time, Arc::new(take_histogram(take)?))),
        EXEMPLAR => Some(Item::Exemplar(*series, take_exemplar(take)?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use wk_model::series::Labels;

    use super::*;

    #[test]
    fn a_record_comes_back() {
        let exemplar = Exemplar { labels: Labels::default(), time_ms: 4, value: 1.0 };
        let metadata = Metadata {
            kind: MetricKind::Counter,
            help: "Calls".to_owned(),
            unit: "seconds".to_owned(),
        };
        let mut record = Record::default();
        record.series(7, b"key");
        record.float(7, 1_000, 1.5);
        record.float(3, 990, -1.0);
        record.histogram(9, i64::MAX, &Histogram::default());
        record.exemplar(1, &exemplar);
        record.metadata("m", &metadata);
        let mut seen = Vec::new();
        read(&record.bytes, |item| seen.push(format!("{item:?}"))).unwrap();
        let expected = [
            Item::Series(7, b"key"),
            Item::Float(7, 1_000, 1.5),
            Item::Float(3, 990, -1.0),
            Item::Histogram(9, i64::MAX, Arc::default()),
            Item::Exemplar(1, exemplar),
            Item::Metadata("m", metadata),
        ];
        assert_eq!(seen, expected.map(|item| format!("{item:?}")));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_record_or_not(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes, |_| {});
        }
    }
}
