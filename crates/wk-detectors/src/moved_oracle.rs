//! What a protocol goes by is moved between the attacker's own steps.
//!
//! The same question about a price (a pool's reserves, a share's worth, a feed's answer) has another
//! answer after the attacker's side has acted, and a contract that does not trade there itself goes
//! by the new one; with borrowed money any question that the same contract asks twice counts. Or the
//! side trades a great part of a pool's reserves, and someone else asks the
//! pool. Whether it is traded back does not matter.
//!
//! Known weaknesses: contracts that compute a price from balances of their own are not seen; only
//! questions with a known name are looked at where nothing was borrowed; a feed that is rightly brought up to date by the same
//! transaction looks the same, so that without a loan this is of low severity.

use std::collections::HashMap;

use alloy_primitives::{U256, keccak256};
use wk_model::Severity;
use wk_trace::{Asset, FrameKind, Party};

use crate::case::{BUDGET, Case};
use crate::config::settings;
use crate::finding::{Class, TxFinding};
use crate::signatures::Role;

settings! { "moved_oracle";
    /// How much an answer must change, in percent of the lesser one.
    min_change_percent: u32 = 20,
}

const NAME: &str = "moved_oracle";

/// `getReserves()`, `slot0()`, `latestRoundData()`, `getAccountSnapshot(address)`.
const RESERVES: u32 = 0x0902_f1ac;
const SLOT: u32 = 0x3850_c7bd;
const ROUND: u32 = 0xfeaf_968c;
const SNAPSHOT: u32 = 0xc37f_68e2;

/// How much further than is usual a pool's price must move when nobody is seen to rely on it.
const FAR: f64 = 1.5;

/// Answers that are looked at in one transaction.
const MAX_READINGS: usize = 20_000;
/// Answers that had changed which are followed up.
const MAX_CHANGED: usize = 1024;
/// Frames below a router's call that are looked at.
const MAX_BELOW: usize = 4096;

struct Reading {
    frame: u32,
    asker: Party,
    value: f64,
}

struct Moved {
    source: Party,
    asker: Party,
    frame: u32,
    before: f64,
    after: f64,
    share: bool,
    consumed: bool,
    /// The question is known to be about a price.
    named: bool,
}

/// Answers that changed while the side acted.
#[derive(Default)]
struct Changes {
    /// One that a contract goes by.
    relied_on: Option<Moved>,
    /// A pool's price that moved far, whoever looked.
    far: Option<Moved>,
}

pub(crate) fn detect(
    case: &Case<'_>,
    explained: bool,
    config: &Config,
    findings: &mut Vec<TxFinding>,
) {
    let borrowed = !case.loans().is_empty();
    let asked = case.has_role(Role::Price) || borrowed;
    if !config.enabled || !asked || case.gains().is_empty() || case.trace.frames.len() < 8 {
        return;
    }
    let least = 1.0 + f64::from(config.min_change_percent) / 100.0;
    let alone = borrowed && case.losses().is_empty();
    let found = Changes::of(case, least);
    let relied_on = found.relied_on.or_else(|| outweighed(case, least));
    let certain = relied_on.is_some();
    // Nobody is seen to rely on it, but the borrower moved it far and won.
    let Some(moved) = relied_on.or(found.far.filter(|_| alone && !explained)) else { return };
    let (severity, confidence) = match (alone, moved.consumed) {
        _ if !certain => (Severity::P2, 42),
        _ if !moved.named => (Severity::P2, 50),
        (true, true) => (Severity::P1, 76),
        (true, false) | (false, true) => (Severity::P2, 60),
        (false, false) => (Severity::P3, 40),
    };
    let finding = |class, severity, confidence| {
        TxFinding::new(NAME, class, severity, confidence)
            .party(case, "source", moved.source)
            .party(case, "victim", moved.asker)
            .with("frame", moved.frame)
            .with("function", format!("0x{:08x}", case.selector(moved.frame)))
            .with("before", moved.before)
            .with("after", moved.after)
            .with("borrowed", borrowed)
            .gains(case)
    };
    findings.push(finding(Class::PriceManipulation, severity, confidence));
    if moved.share && moved.after > moved.before {
        let severity = severity.max(Severity::P2);
        findings.push(finding(Class::DonationInflation, severity, confidence / 2));
    }
}

/// The answer's number, and whether it depends on what was asked.
fn value(case: &Case<'_>, at: u32) -> Option<(f64, bool)> {
    let frame = case.frame(at);
    if !case.roles(at).has(Role::Price) {
        // Any number that is large enough to be a price or an amount.
        let number =
            case.trace.output_word(frame, 0).filter(|_| case.trace.output(frame).len() == 32)?;
        let large = number > U256::from(1_000_000_u32) && number < U256::ONE << 120;
        return large.then(|| (f64::from(number), true));
    }
    let word = |n| case.trace.output_word(frame, n).filter(|word| !word.is_zero()).map(f64::from);
    match case.selector(at) {
        RESERVES => Some((word(0)? / word(1)?, false)),
        SNAPSHOT => Some((word(3)?, false)),
        ROUND => Some((word(1)?, false)),
        _ => Some((word(0)?, true)),
    }
}

impl Changes {
    fn of(case: &Case<'_>, least: f64) -> Changes {
        let steps = side_steps(case);
        let borrowed = !case.loans().is_empty();
        let mut budget = BUDGET;
        let mut first: HashMap<(Party, u32, u64), Reading> = HashMap::new();
        let mut changes = Changes::default();
        let mut changed = 0;
        for (at, frame) in case.frames() {
            let named = case.roles(at).has(Role::Price);
            let asks = matches!(frame.kind, FrameKind::StaticCall | FrameKind::Call)
                && !frame.reverted
                && (named || (borrowed && frame.kind == FrameKind::StaticCall))
                && !case.roles(at).has(Role::Token)
                && !case.is_side(frame.to)
                && frame.from != frame.to;
            if !asks {
                continue;
            }
            let Some((value, by_question)) = value(case, at) else { continue };
            let question = if by_question {
                let hash = keccak256(case.trace.input(frame));
                u64::from_be_bytes(*hash.first_chunk().expect("a hash has 32 bytes"))
            } else {
                0
            };
            let key = (frame.to, case.selector(at), question);
            let Some(before) = first.get(&key) else {
                if first.len() < MAX_READINGS {
                    first.insert(key, Reading { frame: at, asker: frame.from, value });
                }
                continue;
            };
            let ratio =
                if value > before.value { value / before.value } else { before.value / value };
            let begun = |until: u32| steps.partition_point(|step| *step < until);
            if ratio < least || begun(before.frame + 1) >= begun(at) {
                continue;
            }
            changed += 1;
            if changed > MAX_CHANGED {
                break;
            }
            let pool = matches!(case.selector(at), RESERVES | SLOT);
            let mut found = Moved {
                source: frame.to,
                asker: frame.from,
                frame: at,
                before: before.value,
                after: value,
                share: case.roles(at).has(Role::SharePrice),
                consumed: false,
                named,
            };
            if !relies(case, at, &mut budget) {
                if pool && ratio >= FAR && changes.far.is_none() {
                    changes.far = Some(found);
                }
                continue;
            }
            // Who had asked before is told from a bystander who looks for the first time.
            found.consumed = (named && before.asker == frame.from) || pays(case, at);
            if !named && (before.asker != frame.from || !found.consumed) {
                continue;
            }
            let better = changes.relied_on.as_ref().is_none_or(|best| {
                (!best.named && found.named)
                    || (best.named == found.named && !best.consumed && found.consumed)
            });
            if better {
                changes.relied_on = Some(found);
            }
            let sure = changes.relied_on.as_ref().is_some_and(|best| best.consumed && best.named);
            if sure || budget == 0 {
                break;
            }
        }
        changes
    }
}

/// A pool of which the side traded a great part, and that someone else asks afterwards.
fn outweighed(case: &Case<'_>, least: f64) -> Option<Moved> {
    let mut budget = BUDGET;
    for pool in case.pools().iter().filter(|pool| !case.is_conduit(pool.pool)) {
        let Some(start) = pool.trades.first() else { continue };
        for (at, frame) in case.frames().skip(start.frame as usize + 1) {
            budget = budget.saturating_sub(1);
            if budget == 0 {
                return None;
            }
            if frame.to != pool.pool || case.selector(at) != RESERVES || frame.reverted {
                continue;
            }
            if !relies(case, at, &mut budget) || !pays(case, at) {
                continue;
            }
            // What the pool got in all, against what it has of it now.
            let (mut lesser, mut greater) = (0.0, 0.0);
            for trade in pool.trades.iter().take_while(|trade| trade.frame < at) {
                let (Asset::Token(got), Asset::Token(gave)) = (trade.got, trade.gave) else {
                    continue;
                };
                let amount = f64::from(trade.got_amount);
                if case.trace.address(got) < case.trace.address(gave) {
                    lesser += amount;
                } else {
                    greater += amount;
                }
            }
            let reserve =
                |n| case.trace.output_word(frame, n).map_or(0.0, |word: U256| f64::from(word));
            let grown = |got: f64, now: f64| if now > got { now / (now - got) } else { 1.0 };
            let (before, after) = (grown(lesser, reserve(0)), grown(greater, reserve(1)));
            // A price moves by the square of what a side of the pool grows.
            if before.max(after).powi(2) < least || (before >= least) == (after >= least) {
                continue;
            }
            return Some(Moved {
                source: pool.pool,
                asker: frame.from,
                frame: at,
                before: 1.0,
                after: before.max(after).powi(2),
                share: false,
                consumed: true,
                named: true,
            });
        }
    }
    None
}

/// Frames by which the side does something to others.
fn side_steps(case: &Case<'_>) -> Vec<u32> {
    case.frames()
        .filter(|(at, frame)| {
            frame.kind == FrameKind::Call
                && !frame.reverted
                && case.is_side(frame.from)
                && !case.is_side(frame.to)
                && (!case.roles(*at).has(Role::Token) || case.is_gift(*at))
        })
        .map(|(at, _)| at)
        .collect()
}

/// Whether who asks in frame `at` goes by the answer for something else than a trade at whom it asks.
fn relies(case: &Case<'_>, at: u32, budget: &mut usize) -> bool {
    let frame = case.frame(at);
    if case.is_side(frame.from) || case.is_token(frame.from) {
        return false;
    }
    // The call in which it is asked: delegated code is the same account.
    let within = case.trace.ancestors(at).find(|(_, above)| above.kind != FrameKind::Delegate);
    let Some((within, around)) = within else { return false };
    if case.roles(within).has(Role::PublicEntry) && around.depth <= 1 && case.is_side(around.from) {
        let routes = case
            .below(within)
            .take(MAX_BELOW)
            .any(|(_, below)| below.kind == FrameKind::Call && below.to == frame.to);
        if routes {
            return false;
        }
    }
    let trades = case.below(within).any(|(_, below)| {
        *budget = budget.saturating_sub(1);
        below.kind == FrameKind::Call
            && below.to == frame.to
            && below.acts()
            && below.from == frame.from
    });
    let told = case.trace.ancestors(at).any(|(_, above)| {
        above.kind == FrameKind::Call && case.is_side(above.from) && !case.is_side(above.to)
    });
    !trades && told
}

/// Whether the side's call around frame `at` moves anything to the side.
fn pays(case: &Case<'_>, at: u32) -> bool {
    let call = case.trace.ancestors(at).find(|(_, above)| {
        above.kind == FrameKind::Call && case.is_side(above.from) && !case.is_side(above.to)
    });
    let Some((call, frame)) = call else { return false };
    let flows = case.flows();
    let start = flows.partition_point(|flow| flow.frame < call);
    flows[start..].iter().take_while(|flow| flow.frame < frame.end).any(|flow| case.wins(flow.to))
}
