//! What a query cost, for those who ask by `stats`.

use std::time::Duration;

/// How much is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    None,
    Totals,
}

impl Detail {
    /// Any text asks for totals, `all` too: samples are not counted step by step.
    pub(crate) fn parse(text: &str) -> Detail {
        if text.is_empty() { Detail::None } else { Detail::Totals }
    }
}

/// What a query cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stats {
    /// Time until it had its turn.
    pub(crate) waited: Duration,
    /// Time of its evaluation.
    pub(crate) took: Duration,
    /// Samples that it read. How many it held at once is not counted apart.
    pub(crate) samples: usize,
}

impl Stats {
    /// `,"stats":{…}` if it was asked for.
    pub(crate) fn write(&self, out: &mut Vec<u8>, detail: Detail) {
        if detail == Detail::None {
            return;
        }
        let (took, waited) = (self.took.as_secs_f64(), self.waited.as_secs_f64());
        let total = took + waited;
        let samples = self.samples;
        let text = format!(
            ",\"stats\":{{\"timings\":{{\"evalTotalTime\":{took},\"resultSortTime\":0,\
             \"queryPreparationTime\":0,\"innerEvalTime\":{took},\"execQueueTime\":{waited},\
             \"execTotalTime\":{total}}},\"samples\":{{\"totalQueryableSamples\":{samples},\
             \"peakSamples\":{samples}}}}}"
        );
        out.extend(text.bytes());
    }
}
