//! Where call traces come from, and how much may be asked for them: `evm.traces`,
//! `evm.trace_options` and `evm.pending`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wk_model::{HumanDuration, Problem};

/// Where what transactions did inside is learnt from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TraceMode {
    /// What the endpoints can do, best first: `debug_traceBlockByHash`, `trace_block`,
    /// `debug_traceTransaction`. Where the first takes more than a quarter of the time between two
    /// blocks, the second is tried before it. Where none is there, receipts alone, which see no
    /// calls: that is told.
    #[default]
    Auto,
    /// geth's `callTracer` only: `debug_traceBlockByHash`, `debug_traceTransaction`.
    CallTracer,
    /// Flat traces only: `trace_block`.
    Parity,
    /// Transactions of this chain are not inspected.
    Off,
}

/// Which transactions findings are told of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TraceWatch {
    /// All of them.
    #[default]
    All,
    /// Those in which a watched contract takes part: it is called, calls, emits an event, or
    /// something of it moves.
    Contracts,
}

/// How traces are asked for.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TraceOptions {
    /// Which transactions findings are told of.
    pub watch: TraceWatch,
    /// Longest time for one answer with traces. It holds up nothing else.
    pub timeout: HumanDuration,
    /// Blocks that are inspected at the same time, 1 to 64.
    pub parallel: u16,
    /// So many of the newest blocks are inspected. What is further behind, after a long stop or
    /// while no traces can be had, is left out; that is told.
    pub window: u32,
}

impl Default for TraceOptions {
    fn default() -> TraceOptions {
        TraceOptions {
            watch: TraceWatch::All,
            timeout: HumanDuration::seconds(20),
            parallel: 4,
            window: 1_024,
        }
    }
}

impl TraceOptions {
    /// The faults that a schema cannot see. Paths are relative to the section.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        let TraceOptions { watch: _, timeout, parallel, window } = self;
        let mut problems = Vec::new();
        if !(1..=64).contains(parallel) {
            problems.push(
                Problem::new("parallel", format!("{parallel} is out of range"))
                    .hint("Use a number from 1 to 64; 4 is the default."),
            );
        }
        if *timeout < HumanDuration::millis(100) || *timeout > HumanDuration::seconds(600) {
            problems.push(
                Problem::new("timeout", format!("{timeout} is out of range"))
                    .hint("Use 100ms to 10m; 20s is the default."),
            );
        }
        if *window == 0 {
            problems.push(
                Problem::new("window", "must be at least 1 block")
                    .hint("Set `traces: off` to inspect nothing."),
            );
        }
        problems
    }
}
/// How transactions are executed ahead of their block.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PendingOptions {
    /// Whether they are. Off by default: it needs an endpoint with a WebSocket, and costs requests
    /// for each pending transaction there and for the state that is executed on.
    pub simulate: bool,
    /// Which ones: with `contracts`, those that call or name a watched contract, create one, call
    /// one whose code names one, or call what led to one before; with `all`, all that call
    /// anything.
    pub watch: TraceWatch,
    /// Transactions that are executed at the same time, 1 to 64.
    pub parallel: u16,
    /// Longest time for one, with all the state that it needs.
    pub timeout: HumanDuration,
}

impl Default for PendingOptions {
    fn default() -> PendingOptions {
        PendingOptions {
            simulate: false,
            watch: TraceWatch::Contracts,
            parallel: 4,
            timeout: HumanDuration::seconds(5),
        }
    }
}

impl PendingOptions {
    /// The faults that a schema cannot see. Paths are relative to the section.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        let PendingOptions { simulate: _, watch: _, parallel, timeout } = self;
        let mut problems = Vec::new();
        if !(1..=64).contains(parallel) {
            problems.push(
                Problem::new("parallel", format!("{parallel} is out of range"))
                    .hint("Use a number from 1 to 64; 4 is the default."),
            );
        }
        if *timeout < HumanDuration::millis(100) || *timeout > HumanDuration::seconds(60) {
            problems.push(
                Problem::new("timeout", format!("{timeout} is out of range"))
                    .hint("Use 100ms to 1m; 5s is the default."),
            );
        }
        problems
    }
}
