//! What tracing costs the endpoints, way by way, so that the cheaper way is gone where the better one
//! would hold up the chain.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;
use wk_model::evm;

use super::TraceVia;

/// What was measured is believed for so long.
const BELIEVED: Duration = Duration::from_secs(3_600);
/// Blocks with less gas than this are traced in no time; what they took tells nothing of others.
const TELLING: f64 = 1e6;
/// Gas that such a node executes in a second while it traces; believed until it was measured.
const GAS_PER_SECOND: f64 = 1e8;
/// Software that, for each transaction that it traces, executes all before it in the block once
/// more: a block of 200 takes a hundred times as long as its transactions.
const STARTS_ANEW: &[&str] = &["anvil", "hardhat"];

/// Whether a node of this software traces each transaction of a block from the block's start.
pub(super) fn starts_anew(client_version: &str) -> bool {
    let client = client_version.to_ascii_lowercase();
    STARTS_ANEW.iter().any(|name| client.starts_with(name))
}

/// What a block asks of a node that traces it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Work {
    gas: f64,
    gas_from_the_start: f64,
}

impl Work {
    pub(super) fn of(block: &evm::Block) -> Work {
        let gas = block.header.gas_used as f64;
        Work { gas, gas_from_the_start: gas * (block.transactions.len() as f64 + 1.0) / 2.0 }
    }
}

/// What was measured: seconds for each unit of a block's gas, and when.
#[derive(Debug, Default)]
pub(super) struct Effort(BTreeMap<TraceVia, (f64, Instant)>);

impl Effort {
    /// A block's traces were had by `via`, after so long.
    pub(super) fn learn(&mut self, via: TraceVia, work: Work, took: Duration, now: Instant) {
        if work.gas < TELLING {
            return;
        }
        let measured = took.as_secs_f64() / work.gas;
        let known = self.known(via, now);
        let mean = known.map_or(measured, |known| known + (measured - known) / 4.0);
        self.0.insert(via, (mean, now));
    }

    /// The ways in the order in which they are gone: a way that would take longer than `bound` gives
    /// way to `trace_block`, unless that is known to be slower. `anew` says that the node
    /// traces each transaction from the block's start.
    pub(super) fn order(
        &self,
        ways: &mut Vec<TraceVia>,
        work: Work,
        anew: bool,
        bound: Duration,
        now: Instant,
    ) {
        let Some(flat) = ways.iter().position(|via| *via == TraceVia::Parity) else { return };
        let first = ways[0];
        let expected = match self.known(first, now) {
            // What small blocks took tells nothing of large ones there.
            _ if anew => work.gas_from_the_start / GAS_PER_SECOND,
            Some(per_gas) => per_gas * work.gas,
            None => return,
        };
        let flat_expected = self.known(TraceVia::Parity, now).map_or(0.0, |known| known * work.gas);
        if expected > bound.as_secs_f64() && flat_expected < expected {
            let flat = ways.remove(flat);
            ways.insert(0, flat);
        }
    }

    fn known(&self, via: TraceVia, now: Instant) -> Option<f64> {
        let (per_gas, at) = self.0.get(&via)?;
        (now.duration_since(*at) < BELIEVED).then_some(*per_gas)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUND: Duration = Duration::from_millis(250);

    fn work(gas: f64, transactions: f64) -> Work {
        Work { gas, gas_from_the_start: gas * (transactions + 1.0) / 2.0 }
    }

    fn first(effort: &Effort, work: Work, anew: bool, now: Instant) -> TraceVia {
        let mut ways = TraceVia::ORDER.to_vec();
        effort.order(&mut ways, work, anew, BOUND, now);
        assert_eq!(ways.len(), TraceVia::ORDER.len());
        ways[0]
    }

    #[test]
    fn a_way_that_holds_up_the_chain_gives_way() {
        let (mut effort, now) = (Effort::default(), Instant::now());
        let block = work(10e6, 200.0);
        assert_eq!(first(&effort, block, false, now), TraceVia::CallTracer, "nothing is known");
        effort.learn(TraceVia::CallTracer, block, Duration::from_millis(200), now);
        assert_eq!(first(&effort, block, false, now), TraceVia::CallTracer, "it is fast enough");
        assert_eq!(first(&effort, work(30e6, 400.0), false, now), TraceVia::Parity);
        effort.learn(TraceVia::Parity, block, Duration::from_secs(1), now);
        assert_eq!(first(&effort, work(30e6, 400.0), false, now), TraceVia::CallTracer);
        assert_eq!(first(&effort, work(30e6, 400.0), false, now + BELIEVED), TraceVia::CallTracer);
    }

    #[test]
    fn tracing_each_from_the_start_is_foreseen() {
        let (mut effort, now) = (Effort::default(), Instant::now());
        assert_eq!(first(&effort, work(5e6, 1.0), true, now), TraceVia::CallTracer);
        assert_eq!(first(&effort, work(10e6, 200.0), true, now), TraceVia::Parity);
        effort.learn(TraceVia::CallTracer, work(5e6, 1.0), Duration::from_millis(1), now);
        assert_eq!(first(&effort, work(10e6, 200.0), true, now), TraceVia::Parity);
        assert!(starts_anew("anvil/v1.7.1") && !starts_anew("Geth/v1.16.0"));
    }

    #[test]
    fn small_blocks_tell_nothing() {
        let (mut effort, now) = (Effort::default(), Instant::now());
        effort.learn(TraceVia::CallTracer, work(21e3, 1.0), Duration::from_millis(20), now);
        assert_eq!(first(&effort, work(30e6, 400.0), false, now), TraceVia::CallTracer);
    }
}
