//! Signals: the catalogued definitions of what is measured.

use std::fmt;

/// The definition of a metric. Metric names follow the Prometheus rules, with the prefix `wk_`.
#[derive(Debug, PartialEq)]
pub struct Signal {
    /// Full name, such as `wk_chain_height`.
    pub name: &'static str,
    /// Counter, gauge or histogram.
    pub kind: SignalKind,
    /// Unit of the value.
    pub unit: Unit,
    /// Label names, in the order in which values are given.
    pub labels: &'static [&'static str],
    /// One sentence for people, without a final stop.
    pub help: &'static str,
}

/// How a metric behaves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SignalKind {
    /// Only goes up; a restart begins at zero.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts observations in buckets with these upper bounds; `+Inf` is added.
    Histogram(&'static [f64]),
}

impl SignalKind {
    /// The word that Prometheus' exposition format uses.
    pub fn name(self) -> &'static str {
        match self {
            SignalKind::Counter => "counter",
            SignalKind::Gauge => "gauge",
            SignalKind::Histogram(_) => "histogram",
        }
    }
}

/// Unit of a metric's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
    /// Part of a whole, 0 to 1.
    Ratio,
    /// Gas.
    Gas,
    /// Wei, or wei per gas.
    Wei,
    /// Blocks.
    Blocks,
    /// A number of things; the name says which.
    Count,
    /// 1 for yes, 0 for no; or a constant 1 that carries labels.
    Flag,
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Unit::Seconds => "seconds",
            Unit::Bytes => "bytes",
            Unit::Ratio => "ratio",
            Unit::Gas => "gas",
            Unit::Wei => "wei",
            Unit::Blocks => "blocks",
            Unit::Count => "count",
            Unit::Flag => "flag",
        })
    }
}

/// Label values, in the order of a signal's label names.
pub type Labels = Vec<String>;
