//! The series that have samples in memory, and what comes in for them.

use std::collections::HashMap;
use std::sync::Arc;

use wk_model::series::{Labels, Metadata};
use wk_model::write::{WriteBatch, WriteSeries, Written};
use wk_promql::Matcher;

use crate::buffer::{Buffer, Taken};
use crate::bytes::{Put, Take};
use crate::postings::Postings;
use crate::record::{Item, Record};
use crate::settings::{Settings, millis};

/// The first reasons that are told of what a batch was refused for.
const MOST_REASONS: usize = 5;

/// A series with samples in memory, or with some a short time ago.
#[derive(Debug)]
pub(crate) struct Series {
    pub(crate) labels: Labels,
    key: Arc<[u8]>,
    pub(crate) buffer: Buffer,
    /// What is being written into a file.
    pub(crate) frozen: Arc<Buffer>,
    /// The log's segment that says who it is.
    segment: u64,
    /// Newest time that ever came in.
    newest: i64,
    /// Flushes that it had nothing for.
    idle: u32,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Head {
    by_key: HashMap<Arc<[u8]>, u32>,
    pub(crate) series: Vec<Series>,
    pub(crate) postings: Postings,
    pub(crate) metadata: HashMap<String, Metadata>,
    /// Samples in buffers, frozen ones not counted.
    pub(crate) samples: usize,
    /// When the oldest of them came in, by this machine's clock.
    pub(crate) since: Option<i64>,
    /// What is taken of a batch, to be taken back if the log refuses it.
    taken: Vec<(u32, i64)>,
    /// Metrics that it told of for the first time, likewise.
    told: Vec<String>,
    key: Vec<u8>,
}

impl Head {
    /// Nothing but what is known of metrics.
    pub(crate) fn new(metadata: HashMap<String, Metadata>) -> Head {
        Head { metadata, ..Head::default() }
    }

    /// Takes a batch and writes into `record` what is new. `segment` is the log's, `now` this
    /// machine's clock.
    pub(crate) fn take(
        &mut self,
        batch: &WriteBatch,
        settings: &Settings,
        segment: u64,
        now: i64,
        record: &mut Record,
    ) -> Written {
        let mut written = Written::default();
        self.taken.clear();
        self.told.clear();
        for series in batch.series() {
            let samples = series.floats.len() + series.histograms.len();
            match self.resolve(&series, settings) {
                Ok(at) => self.add(at, &series, settings, segment, now, record, &mut written),
                Err(why) => refuse(&mut written, samples, || why),
            }
        }
        for (metric, metadata) in batch.all_metadata() {
            if self.metadata.get(metric) != Some(metadata) {
                record.metadata(metric, metadata);
                self.told.push(metric.clone());
                self.metadata.insert(metric.clone(), metadata.clone());
            }
        }
        if !self.taken.is_empty() {
            self.since.get_or_insert(now);
        }
        written
    }

    /// Takes back what the last batch added: the log refused it.
    pub(crate) fn undo(&mut self) {
        for (at, time) in std::mem::take(&mut self.taken) {
            self.series[at as usize].buffer.undo(time);
            self.samples -= 1;
        }
        for metric in std::mem::take(&mut self.told) {
            self.metadata.remove(&metric);
        }
        // The log may lack who is who.
        self.series.iter_mut().for_each(|series| series.segment = 0);
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one batch's taking")]
    fn add(
        &mut self,
        at: u32,
        from: &WriteSeries<'_>,
        settings: &Settings,
        segment: u64,
        now: i64,
        record: &mut Record,
        written: &mut Written,
    ) {
        let series = &mut self.series[at as usize];
        if series.segment != segment {
            series.segment = segment;
            record.series(at.into(), &series.key);
        }
        // A clock that was ahead for a while must not shut its series up afterwards.
        let oldest = series.newest.min(now).saturating_sub(millis(settings.out_of_order));
        let newest = now.saturating_add(millis(settings.ahead));
        let numbers = from.floats.iter().map(|(time, value)| (*time, Some(*value), None));
        let histograms = from.histograms.iter().map(|(time, value)| (*time, None, Some(value)));
        for (time, number, histogram) in numbers.chain(histograms) {
            if time < oldest || time > newest {
                refuse(written, 1, || out_of_bounds(&series.labels, time, oldest, newest));
                continue;
            }
            let taken = match (number, histogram) {
                (Some(value), _) => series.buffer.float(time, value),
                (None, Some(value)) => series.buffer.histogram(time, value),
                (None, None) => continue,
            };
            match taken {
                Taken::Same => written.samples += 1,
                Taken::Other => refuse(written, 1, || {
                    format!("{}: another sample has the time {time} already", series.labels)
                }),
                Taken::New => {
                    written.samples += 1;
                    self.samples += 1;
                    series.newest = series.newest.max(time);
                    self.taken.push((at, time));
                    match (number, histogram) {
                        (Some(value), _) => record.float(at.into(), time, value),
                        (None, Some(value)) => record.histogram(at.into(), time, value),
                        (None, None) => {}
                    }
                }
            }
        }
        for exemplar in from.exemplars {
            if series.buffer.exemplar(exemplar, settings.max_exemplars) == Taken::New {
                record.exemplar(at.into(), exemplar);
            }
            written.exemplars += 1;
        }
    }

    /// The series of these labels; a new one is made if the limits allow it.
    fn resolve(&mut self, from: &WriteSeries<'_>, settings: &Settings) -> Result<u32, String> {
        let mut key = std::mem::take(&mut self.key);
        key.clear();
        put_key(&mut key, from);
        let found = match self.by_key.get(key.as_slice()) {
            Some(at) => Ok(*at),
            None => check(from, settings).and_then(|()| {
                if self.series.len() >= settings.max_series {
                    return Err(format!(
                        "{}: there are {} series already, which is `telemetry.max_series`",
                        from.label_set(),
                        self.series.len()
                    ));
                }
                Ok(self.insert(Arc::from(key.as_slice()), from.label_set()))
            }),
        };
        self.key = key;
        found
    }

    fn insert(&mut self, key: Arc<[u8]>, labels: Labels) -> u32 {
        let at = u32::try_from(self.series.len()).expect("max_series is checked before");
        self.postings.push(&labels);
        self.by_key.insert(key.clone(), at);
        self.series.push(Series {
            labels,
            key,
            buffer: Buffer::default(),
            frozen: Arc::default(),
            segment: 0,
            newest: i64::MIN,
            idle: 0,
        });
        at
    }

    /// Takes what a record of the log holds; `numbers` tells which series its numbers mean.
    pub(crate) fn replay(
        &mut self,
        item: Item<'_>,
        numbers: &mut HashMap<u64, u32>,
        settings: &Settings,
        now: i64,
    ) -> Result<(), String> {
        let unknown = || "a record names a series that none before it tells of".to_owned();
        match item {
            Item::Series(number, key) => {
                let at = match self.by_key.get(key) {
                    Some(at) => *at,
                    None => {
                        let labels = key_labels(key).ok_or("a record's labels make no sense")?;
                        self.insert(Arc::from(key), labels)
                    }
                };
                numbers.insert(number, at);
            }
            Item::Float(number, time, value) => {
                let at = *numbers.get(&number).ok_or_else(unknown)?;
                let taken = self.series[at as usize].buffer.float(time, value);
                self.replayed(at, time, taken, now);
            }
            Item::Histogram(number, time, value) => {
                let at = *numbers.get(&number).ok_or_else(unknown)?;
                let taken = self.series[at as usize].buffer.histogram(time, &value);
                self.replayed(at, time, taken, now);
            }
            Item::Exemplar(number, exemplar) => {
                let at = *numbers.get(&number).ok_or_else(unknown)?;
                self.series[at as usize].buffer.exemplar(&exemplar, settings.max_exemplars);
            }
            Item::Metadata(metric, metadata) => {
                self.metadata.insert(metric.to_owned(), metadata);
            }
        }
        Ok(())
    }

    fn replayed(&mut self, at: u32, time: i64, taken: Taken, now: i64) {
        let series = &mut self.series[at as usize];
        series.newest = series.newest.max(time);
        if taken == Taken::New {
            self.samples += 1;
            self.since.get_or_insert(now);
        }
    }

    /// Moves all samples aside, to be written into a file.
    pub(crate) fn freeze(&mut self) -> Vec<(Labels, Arc<Buffer>)> {
        self.samples = 0;
        self.since = None;
        let mut frozen = Vec::new();
        for series in &mut self.series {
            if series.buffer.is_empty() {
                series.idle += 1;
                continue;
            }
            series.idle = 0;
            series.frozen = Arc::new(std::mem::take(&mut series.buffer));
            frozen.push((series.labels.clone(), series.frozen.clone()));
        }
        frozen
    }

    /// Lets go of what is in a file now, and of series for which nothing came for long.
    pub(crate) fn thaw(&mut self) {
        for series in &mut self.series {
            if !series.frozen.is_empty() {
                series.frozen = Arc::default();
            }
        }
        let gone = |series: &Series| series.idle > 1 && series.buffer.is_empty();
        if self.series.iter().filter(|series| gone(series)).count() * 10 <= self.series.len() {
            return;
        }
        let all = std::mem::take(&mut self.series);
        self.by_key.clear();
        self.postings = Postings::default();
        for series in all.into_iter().filter(|series| !gone(series)) {
            let at = self.insert(series.key.clone(), series.labels.clone());
            // Numbers changed: the log is told anew who is who.
            self.series[at as usize] = Series { segment: 0, ..series };
        }
    }

    /// The series that pass all matchers.
    pub(crate) fn find(&self, matchers: &[Matcher]) -> impl Iterator<Item = &Series> {
        let ids = self.postings.find(matchers, |id| &self.series[id as usize].labels);
        ids.into_iter().map(|id| &self.series[id as usize])
    }
}

fn refuse(written: &mut Written, samples: usize, why: impl FnOnce() -> String) {
    written.refused += samples;
    if written.reasons.len() < MOST_REASONS {
        written.reasons.push(why());
    }
}

fn out_of_bounds(labels: &Labels, time: i64, oldest: i64, newest: i64) -> String {
    if time < oldest {
        format!(
            "{labels}: the sample of {time} is older than {oldest}; `telemetry.out_of_order` says \
             how late one may be"
        )
    } else {
        format!(
            "{labels}: the sample of {time} is after {newest}; `telemetry.ahead` says how far in \
             the future one may be"
        )
    }
}

/// Labels in the order of their names, each with its length.
fn put_key(key: &mut Vec<u8>, from: &WriteSeries<'_>) {
    let mut before: Option<&str> = None;
    let sorted = from.labels().all(|(name, _)| before.replace(name).is_none_or(|b| b < name));
    if sorted {
        for (name, value) in from.labels() {
            key.put_bytes(name.as_bytes());
            key.put_bytes(value.as_bytes());
        }
    } else {
        for (name, value) in from.label_set().iter() {
            key.put_bytes(name.as_bytes());
            key.put_bytes(value.as_bytes());
        }
    }
}

fn key_labels(key: &[u8]) -> Option<Labels> {
    let mut take = Take(key);
    let mut pairs = Vec::new();
    while !take.is_empty() {
        pairs.push((take.text()?, take.text()?));
    }
    Some(Labels::from_pairs(pairs))
}

fn check(from: &WriteSeries<'_>, settings: &Settings) -> Result<(), String> {
    let short = |text: &str| text.chars().take(60).collect::<String>();
    let count = from.labels().len();
    if count == 0 {
        return Err("a series has no labels; at least `__name__` is needed".to_owned());
    }
    if count > settings.max_labels {
        let name = from.labels().find(|(name, _)| *name == "__name__").map_or("", |(_, v)| v);
        return Err(format!(
            "`{}` has {count} labels; `telemetry.max_labels` allows {}",
            short(name),
            settings.max_labels
        ));
    }
    for (name, value) in from.labels() {
        if name.is_empty() {
            return Err(format!("a label with the value `{}` has no name", short(value)));
        }
        for (what, bytes, most, key) in [
            ("name", name.len(), settings.max_label_name_bytes, "max_label_name_bytes"),
            ("value", value.len(), settings.max_label_value_bytes, "max_label_value_bytes"),
        ] {
            if bytes > most {
                return Err(format!(
                    "the {what} of label `{}` has {bytes} bytes; `telemetry.{key}` allows {most}",
                    short(name)
                ));
            }
        }
    }
    Ok(())
}
