//! Reading: what is in memory and in blocks as one.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use wk_model::series::{Exemplar, Labels, Point, SampleValue};
use wk_promql::{
    ExemplarSeries, Matcher, QueryError, Queryable, Scope, Select, SeriesData, SeriesStream,
};

use crate::block::{Block, Chunk, Index};
use crate::buffer::Buffer;
use crate::store::Store;

/// Where the samples of one series are.
#[derive(Debug, Default)]
struct Parts {
    /// Blocks by place in the list, and series by place in their index.
    blocks: Vec<(usize, usize)>,
    frozen: Arc<Buffer>,
    head: Vec<Point>,
}

/// A block with its index.
type Opened = (Arc<Block>, Arc<Index>);

impl Store {
    /// The blocks that touch the span, oldest first. Damaged ones are told and left out.
    fn opened(&self, blocks: Vec<Arc<Block>>, start: i64, end: i64) -> Vec<Opened> {
        let inside = |block: &Arc<Block>| block.info.first <= end && block.info.last >= start;
        let mut opened = Vec::new();
        for block in blocks.into_iter().filter(inside) {
            match block.index() {
                Ok(index) => opened.push((block, index)),
                Err(found) => self.damaged(found),
            }
        }
        opened
    }

    /// The samples of a series in the span, from all its parts.
    fn points(
        &self,
        parts: &Parts,
        opened: &[Opened],
        times: &mut HashMap<(usize, u32), Arc<[i64]>>,
        start: i64,
        end: i64,
    ) -> Vec<Point> {
        let mut points = Vec::new();
        for (block_at, series_at) in &parts.blocks {
            let (block, index) = &opened[*block_at];
            for chunk in &index.series[*series_at].1 {
                if !touches(index, chunk, start, end) {
                    continue;
                }
                let read = match chunk {
                    Chunk::Floats { place, column } => {
                        let key = (*block_at, *column);
                        let known = match times.get(&key) {
                            Some(known) => Ok(known.clone()),
                            None => block.times(index, *column).map(Arc::from),
                        };
                        known.and_then(|known: Arc<[i64]>| {
                            times.insert(key, known.clone());
                            let values = block.values(*place, known.len())?;
                            floats(&known, &values, start, end, &mut points);
                            Ok(())
                        })
                    }
                    Chunk::Histograms { place, .. } => block.histograms(*place).map(|more| {
                        let inside = |p: &Point| (start..=end).contains(&p.time_ms);
                        points.extend(more.into_iter().filter(inside));
                    }),
                    Chunk::Exemplars { .. } => Ok(()),
                };
                if let Err(found) = read {
                    self.damaged(found);
                }
            }
        }
        parts.frozen.within(start, end, &mut points);
        points.extend(parts.head.iter().cloned());
        in_order(points)
    }
}

fn floats(times: &[i64], values: &[f64], start: i64, end: i64, into: &mut Vec<Point>) {
    let from = times.partition_point(|time| *time < start);
    let to = times.partition_point(|time| *time <= end);
    if from < to {
        let inside = times[from..to].iter().zip(&values[from..to]);
        into.extend(
            inside.map(|(time, value)| Point { time_ms: *time, value: SampleValue::Float(*value) }),
        );
    }
}

/// Sorted by time; of several for one time the last counts, which is the newest.
fn in_order(mut points: Vec<Point>) -> Vec<Point> {
    if !points.is_sorted_by(|a, b| a.time_ms < b.time_ms) {
        points.sort_by_key(|point| point.time_ms);
        points.reverse();
        points.dedup_by_key(|point| point.time_ms);
        points.reverse();
    }
    points
}

fn touches(index: &Index, chunk: &Chunk, start: i64, end: i64) -> bool {
    let (first, last) = match chunk {
        Chunk::Floats { column, .. } => {
            let column = &index.columns[*column as usize];
            (column.first, column.last)
        }
        Chunk::Histograms { first, last, .. } | Chunk::Exemplars { first, last, .. } => {
            (*first, *last)
        }
    };
    first <= end && last >= start
}

fn series_of(index: &Index, matchers: &[Matcher]) -> Vec<u32> {
    index.postings.find(matchers, |id| &index.series[id as usize].0)
}

impl Queryable for Store {
    fn select<'a>(&'a self, select: &Select<'a>) -> Result<SeriesStream<'a>, QueryError> {
        let Select { matchers, start_ms: start, end_ms: end, cancel } = *select;
        if start > end {
            return Ok(Box::new(std::iter::empty()));
        }
        let mut found: HashMap<Labels, Parts> = HashMap::new();
        let blocks = {
            let live = self.live.lock();
            for series in live.head.find(matchers) {
                let mut head = Vec::new();
                series.buffer.within(start, end, &mut head);
                if !head.is_empty() || series.frozen.touches(start, end) {
                    let frozen = series.frozen.clone();
                    let parts = Parts { blocks: Vec::new(), frozen, head };
                    found.insert(series.labels.clone(), parts);
                }
            }
            live.blocks.clone()
        };
        let opened = self.opened(blocks, start, end);
        for (block_at, (_, index)) in opened.iter().enumerate() {
            cancel.check()?;
            for id in series_of(index, matchers) {
                let (labels, chunks) = &index.series[id as usize];
                if chunks.iter().any(|chunk| touches(index, chunk, start, end)) {
                    let parts = found.entry(labels.clone()).or_default();
                    parts.blocks.push((block_at, id as usize));
                }
            }
        }
        let mut times = HashMap::new();
        let series = found.into_iter().map(move |(labels, parts)| {
            cancel.check()?;
            let points = self.points(&parts, &opened, &mut times, start, end);
            Ok(SeriesData { labels, points })
        });
        Ok(Box::new(series.filter(|series| !matches!(series, Ok(s) if s.points.is_empty()))))
    }

    fn series(&self, scope: &Scope<'_>) -> Result<BTreeSet<Labels>, QueryError> {
        let (start, end) = (scope.start_ms, scope.end_ms);
        let every = [Vec::new()];
        let selectors = if scope.any_of.is_empty() { &every[..] } else { scope.any_of };
        let mut all = BTreeSet::new();
        let blocks = {
            let live = self.live.lock();
            for matchers in selectors {
                let touching = live.head.find(matchers).filter(|series| {
                    series.buffer.touches(start, end) || series.frozen.touches(start, end)
                });
                all.extend(touching.map(|series| series.labels.clone()));
            }
            live.blocks.clone()
        };
        for (_, index) in self.opened(blocks, start, end) {
            scope.cancel.check()?;
            for matchers in selectors {
                for id in series_of(&index, matchers) {
                    let (labels, chunks) = &index.series[id as usize];
                    if chunks.iter().any(|chunk| touches(&index, chunk, start, end)) {
                        all.insert(labels.clone());
                    }
                }
            }
        }
        Ok(all)
    }

    fn label_names(&self, scope: &Scope<'_>) -> Result<BTreeSet<Arc<str>>, QueryError> {
        let mut names = BTreeSet::new();
        if !scope.any_of.is_empty() {
            let series = self.series(scope)?;
            names.extend(series.iter().flat_map(Labels::iter).map(|(name, _)| name.clone()));
            return Ok(names);
        }
        let blocks = {
            let live = self.live.lock();
            live.head.postings.names(&mut names);
            live.blocks.clone()
        };
        for (_, index) in self.opened(blocks, scope.start_ms, scope.end_ms) {
            scope.cancel.check()?;
            index.postings.names(&mut names);
        }
        Ok(names)
    }

    fn label_values(
        &self,
        name: &str,
        scope: &Scope<'_>,
    ) -> Result<BTreeSet<Arc<str>>, QueryError> {
        let mut values = BTreeSet::new();
        if !scope.any_of.is_empty() {
            let series = self.series(scope)?;
            values.extend(series.iter().filter_map(|labels| labels.get(name)).map(Arc::from));
            return Ok(values);
        }
        let blocks = {
            let live = self.live.lock();
            live.head.postings.values(name, &mut values);
            live.blocks.clone()
        };
        for (_, index) in self.opened(blocks, scope.start_ms, scope.end_ms) {
            scope.cancel.check()?;
            index.postings.values(name, &mut values);
        }
        Ok(values)
    }

    fn exemplars(&self, scope: &Scope<'_>) -> Result<Vec<ExemplarSeries>, QueryError> {
        let inside =
            |exemplar: &Exemplar| (scope.start_ms..=scope.end_ms).contains(&exemplar.time_ms);
        let mut found: HashMap<Labels, Vec<Exemplar>> = HashMap::new();
        let blocks = {
            let live = self.live.lock();
            for series in live.head.find(&[]).filter(|series| scope.holds(&series.labels)) {
                let both = series.frozen.exemplars.iter().chain(&series.buffer.exemplars);
                let some: Vec<_> = both.filter(|exemplar| inside(exemplar)).cloned().collect();
                if !some.is_empty() {
                    found.insert(series.labels.clone(), some);
                }
            }
            live.blocks.clone()
        };
        for (block, index) in self.opened(blocks, scope.start_ms, scope.end_ms) {
            scope.cancel.check()?;
            for (labels, chunks) in index.series.iter().filter(|(l, _)| scope.holds(l)) {
                for chunk in chunks {
                    let Chunk::Exemplars { place, .. } = chunk else { continue };
                    if !touches(&index, chunk, scope.start_ms, scope.end_ms) {
                        continue;
                    }
                    match block.exemplars(*place) {
                        Ok(exemplars) => {
                            let some = exemplars.into_iter().filter(|exemplar| inside(exemplar));
                            found.entry(labels.clone()).or_default().extend(some);
                        }
                        Err(damage) => self.damaged(damage),
                    }
                }
            }
        }
        let mut all: Vec<ExemplarSeries> = found
            .into_iter()
            .filter(|(_, exemplars)| !exemplars.is_empty())
            .map(|(labels, mut exemplars)| {
                exemplars.sort_by_key(|exemplar| exemplar.time_ms);
                ExemplarSeries { labels, exemplars }
            })
            .collect();
        all.sort_by(|a, b| a.labels.cmp(&b.labels));
        Ok(all)
    }
}
