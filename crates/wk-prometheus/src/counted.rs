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
}

impl<'s> Counted<'s> {
    pub(crate) fn new(source: &'s dyn Queryable) -> Counted<'s> {
        Counted { source, samples: AtomicUsize::new(0) }
    }

    /// Samples that were read so far.
    pub(crate) fn samples(&self) -> usize {
        self.samples.load(Ordering::Relaxed)
    }
}

impl Queryable for Counted<'_> {
    fn select<'a>(&'a self, select: &Select<'a>) -> Result<SeriesStream<'a>, QueryError> {
        let counted = self.source.select(select)?.inspect(|series| {
            if let Ok(series) = series {
                self.samples.fetch_add(series.points.len(), Ordering::Relaxed);
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
