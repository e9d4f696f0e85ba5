//! Counts what a query reads.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use wk_model::series::Labels;
use wk_promql::{ExemplarSeries, QueryError, Queryable, Scope, Select, SeriesStream};

/// A source whose samples are counted as they are read.
pub(crate) struct Counted<'s> {
    source: &'s dyn Queryable,
    samples: AtomicUsize,
    series: AtomicUsize,
}

/// What was read.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Read {
    pub(crate) samples: usize,
    pub(crate) series: usize,
}

impl<'s> Counted<'s> {
    pub(crate) fn new(source: &'s dyn Queryable) -> Counted<'s> {
        Counted { source, samples: AtomicUsize::new(0), series: AtomicUsize::new(0) }
    }

    pub(crate) fn read(&self) -> Read {
        Read {
            samples: self.samples.load(Ordering::Relaxed),
            series: self.series.load(Ordering::Relaxed),
        }
    }
}

impl Queryable for Counted<'_> {
    fn select<'a>(&'a self, select: &Select<'a>) -> Result<SeriesStream<'a>, QueryError> {
        let counted = self.source.select(select)?.inspect(|series| {
            if let Ok(series) = series {
                self.samples.fetch_add(series.points.len(), Ordering::Relaxed);
                self.series.fetch_add(1, Ordering::Relaxed);
            }
        });
        Ok(Box::new(counted))
    }

    fn series(&self, scope: &Scope<'_>) -> Result<BTreeSet<Labels>, QueryError> {
        self.source.series(scope)
    }

    fn label_names(&self, scope: &Scope<'_>) -> Result<BTreeSet<Arc<str>>, QueryError> {
        self.source.label_names(scope)
    }

    fn label_values(
        &self,
        name: &str,
        scope: &Scope<'_>,
    ) -> Result<BTreeSet<Arc<str>>, QueryError> {
        self.source.label_values(name, scope)
    }

    fn exemplars(&self, scope: &Scope<'_>) -> Result<Vec<ExemplarSeries>, QueryError> {
        self.source.exemplars(scope)
    }
}
