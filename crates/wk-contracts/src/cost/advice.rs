//! Gas that could be saved, as far as a trace shows it.

use std::collections::{HashMap, HashSet};

use serde::Serialize;
use wk_trace::{Access, FrameKind, TxTrace};

/// Frames below one call that are compared; beyond it, advice is drawn from these only.
const MAX_FRAMES: usize = 4_096;
/// Gas of reading a slot that was touched before (EIP-2929).
const WARM_READ: u64 = 100;

/// A kind of waste, as a key for sums.
pub type Advice = AdviceKind;

/// A kind of waste.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AdviceKind {
    /// The same static call with the same answer again: keep the answer.
    RepeatedStaticCall,
    /// Calls that failed inside of one that went on: ask before, or order them so that the likely
    /// failure comes first.
    FailedInnerCalls,
    /// A slot read again in the same call: keep it in memory. 100 gas each (EIP-2929).
    RepeatedSlotRead,
    /// Many zero bytes in the call's data: pack the arguments. 4 gas each (EIP-2028).
    PaddedCalldata,
}

impl AdviceKind {
    /// What to do, in a sentence.
    pub fn text(self) -> &'static str {
        match self {
            AdviceKind::RepeatedStaticCall => {
                "the same question is asked again with the same answer: keep the first answer"
            }
            AdviceKind::FailedInnerCalls => {
                "gas is spent on inner calls that fail: check their condition before calling"
            }
            AdviceKind::RepeatedSlotRead => {
                "storage slots are read again in the same call: keep them in memory"
            }
            AdviceKind::PaddedCalldata => {
                "most of the call's data are zeros: pack arguments into fewer words"
            }
        }
    }
}

/// What could be saved in one outermost call of a contract, in gas.
pub(super) fn advise(trace: &TxTrace, at: u32, gas: u64) -> Vec<(Advice, u64)> {
    let mut found = Vec::new();
    let Some(call) = trace.frames.get(at as usize) else { return found };
    let mut add = |kind, saved: u64| {
        // Below a hundredth it is not worth anybody's time.
        if saved > 0 && saved >= gas / 100 {
            found.push((kind, saved.min(gas)));
        }
    };
    let (mut repeated, mut failed) = (0u64, 0u64);
    let mut asked: HashMap<(usize, usize, &[u8]), &[u8]> = HashMap::new();
    let mut failed_until = 0;
    for (place, frame) in
        (at + 1..call.end).zip(&trace.frames[at as usize + 1..call.end as usize]).take(MAX_FRAMES)
    {
        if frame.kind == FrameKind::StaticCall && frame.error.is_none() {
            let (input, output) = (trace.input(frame), trace.output(frame));
            let question = (frame.from.index(), frame.to.index(), input);
            match asked.insert(question, output) {
                Some(before) if before == output => {
                    repeated = repeated.saturating_add(frame.gas_used)
                }
                _ => {}
            }
        }
        if frame.error.is_some() && place >= failed_until {
            failed = failed.saturating_add(frame.gas_used);
            failed_until = frame.end;
        }
    }
    add(AdviceKind::RepeatedStaticCall, repeated);
    if call.error.is_none() && !call.reverted {
        add(AdviceKind::FailedInnerCalls, failed);
    }
    if trace.known.accesses {
        let mut read = HashSet::new();
        let own = trace.accesses.iter().filter(|access| (at..call.end).contains(&access.frame));
        let again = own.filter(|access| {
            let first = read.insert((access.frame, access.account, access.slot));
            !first && matches!(access.kind, Access::Read { .. })
        });
        add(AdviceKind::RepeatedSlotRead, again.count() as u64 * WARM_READ);
    }
    if at == 0 && call.kind == FrameKind::Call {
        let data = trace.input(call);
        let zeros = data.iter().filter(|byte| **byte == 0).count() as u64;
        // A word of a short number is mostly zeros; only long lists are worth packing.
        if data.len() > 4 + 32 * 8 && zeros * 10 > data.len() as u64 * 6 {
            add(AdviceKind::PaddedCalldata, zeros * 4);
        }
    }
    found
}
