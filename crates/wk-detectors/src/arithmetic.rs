//! Numbers that wrap around, or that are rounded to nothing.
//!
//! Overflow: two arguments that each are huge and together nearly nothing, or a huge one that
//! becomes nearly nothing when it is multiplied by the length of a list beside it; such numbers do not
//! come about by chance. Underflow: a balance that no token can have; surer when it is spent. Rounding: a few units given,
//! and much got for them, again and again or at once.
//!
//! Known weaknesses: an underflow of stored numbers that nobody asks for leaves no trace in calls;
//! rounding over many transactions is not seen.

use alloy_primitives::U256;
use wk_model::Severity;
use wk_trace::{Asset, FrameKind, Party};

use crate::case::Case;
use crate::config::settings;
use crate::finding::{Class, TxFinding, moved};
use crate::flash_loan::losers;
use crate::signatures::Role;

settings! { "arithmetic";
    /// Units of an asset, the smallest there are, that are worth nothing.
    dust: u32 = 100,
}

const NAME: &str = "arithmetic_overflow";

/// Words of one call that are put together.
const MAX_WORDS: usize = 24;

pub(crate) fn detect(case: &Case<'_>, config: &Config, findings: &mut Vec<TxFinding>) {
    if !config.enabled {
        return;
    }
    if let Some(finding) = wrapped(case).or_else(|| oversized(case)).or_else(|| impossible(case)) {
        findings.push(finding);
    } else {
        findings.extend(rounded(case, config));
    }
}

fn huge(word: U256) -> bool {
    word >= U256::ONE << 128
}

/// Arguments that wrap around when they are added up or multiplied.
fn wrapped(case: &Case<'_>) -> Option<TxFinding> {
    case.frames().find_map(|(at, frame)| {
        // Who moves tokens himself calls little else; routes of trades are packed into words.
        let told = frame.kind == FrameKind::Call
            && !frame.reverted
            && (frame.parent.is_none() || case.is_side(frame.from))
            && case.selector(at) != 0
            && frame.end - at <= 8;
        if !told {
            return None;
        }
        let input = case.trace.input(frame);
        let count = (input.len().saturating_sub(4) / 32).min(MAX_WORDS);
        // Cheap to tell for nearly all calls.
        if !(0..count).any(|n| input[4 + n * 32] >= 0x40) {
            return None;
        }
        let words: Vec<U256> = (0..count).filter_map(|n| case.trace.word(frame, n)).collect();
        let routed = case.roles(at).has(Role::PublicEntry);
        let product = || product(&words).filter(|_| !routed);
        let (severity, (left, right)) = match sum(&words) {
            Some(pair) => (Severity::P1, pair),
            // Some contracts take one half of all numbers for "everything there is".
            None if case.roles(at).has(Role::BatchTransfer) => (Severity::P1, product()?),
            None => (Severity::P2, product()?),
        };
        Some(
            TxFinding::new(NAME, Class::Arithmetic, severity, 88)
                .with("pattern", "wraps_around")
                .party(case, "victim", frame.to)
                .with("frame", at)
                .with("amount", left.to_string())
                .with("beside", right.to_string()),
        )
    })
}

/// What wraps around to less than this is nearly nothing.
fn nearly_nothing(number: U256) -> bool {
    number < U256::ONE << 100
}

/// Two huge words side by side that add up to nearly nothing. Text is written from the left, and is
/// no number.
fn sum(words: &[U256]) -> Option<(U256, U256)> {
    let number = |word: U256| huge(word) && word != U256::MAX && word.trailing_zeros() != 248;
    words.windows(2).map(|pair| (pair[0], pair[1])).find(|(left, right)| {
        number(*left) && number(*right) && nearly_nothing(left.wrapping_add(*right))
    })
}

/// A huge argument that becomes nearly nothing when multiplied by the length of a list beside it.
fn product(words: &[U256]) -> Option<(U256, U256)> {
    // Arguments end where the first list begins; a list's place is told in bytes.
    let lists = || {
        words.iter().filter_map(|place| {
            let place = usize::try_from(*place).ok().filter(|place| place % 32 == 0)? / 32;
            let length = *words.get(place)?;
            let members = usize::try_from(length).ok()?;
            (members > 1 && place > 0 && members < 1024).then_some((place, length))
        })
    };
    let (end, _) = lists().min()?;
    let amounts = words[..end].iter().filter(|word| huge(**word) && word.trailing_zeros() >= 240);
    amounts
        .flat_map(|amount| lists().map(move |(_, length)| (*amount, length)))
        .find(|(amount, length)| nearly_nothing(amount.wrapping_mul(*length)))
}

/// Amounts of transfers to many that no token has; surer when all of them together are little.
fn oversized(case: &Case<'_>) -> Option<TxFinding> {
    if !case.has_role(Role::BatchTransfer) {
        return None;
    }
    case.frames().find_map(|(at, frame)| {
        let moves = frame.kind == FrameKind::Call
            && !frame.reverted
            && (frame.parent.is_none() || case.is_side(frame.from))
            && case.roles(at).has(Role::BatchTransfer);
        if !moves {
            return None;
        }
        let count = (case.trace.input(frame).len().saturating_sub(4) / 32).min(MAX_WORDS);
        let words: Vec<U256> = (0..count).filter_map(|n| case.trace.word(frame, n)).collect();
        let amount =
            *words.iter().find(|amount| **amount >= U256::ONE << 200 && **amount != U256::MAX)?;
        let (severity, confidence) =
            if list_wraps(&words) { (Severity::P1, 85) } else { (Severity::P2, 70) };
        Some(
            TxFinding::new(NAME, Class::Arithmetic, severity, confidence)
                .with("pattern", "oversized")
                .party(case, "victim", frame.to)
                .with("frame", at)
                .with("amount", amount.to_string()),
        )
    })
}

/// Whether a list among the arguments wraps around to nearly nothing when it is added up.
fn list_wraps(words: &[U256]) -> bool {
    let lists = words.iter().filter_map(|place| {
        let place = usize::try_from(*place).ok().filter(|place| place % 32 == 0)? / 32;
        let length = usize::try_from(*words.get(place)?).ok().filter(|length| *length > 1)?;
        words.get(place + 1..place.checked_add(1)?.checked_add(length)?)
    });
    lists.into_iter().any(|list| {
        let sum = list.iter().fold(U256::ZERO, |sum, word| sum.wrapping_add(*word));
        list.iter().any(|word| huge(*word)) && nearly_nothing(sum)
    })
}

/// A balance of the side that no token can have.
fn impossible(case: &Case<'_>) -> Option<TxFinding> {
    if !case.has_role(Role::Balance) || case.gains().is_empty() {
        return None;
    }
    case.frames().find_map(|(at, frame)| {
        let asks = frame.kind == FrameKind::StaticCall
            && !frame.reverted
            && case.roles(at).has(Role::Balance)
            && !case.is_side(frame.to);
        let balance = case.trace.output_word(frame, 0).filter(|_| asks)?;
        if balance < U256::ONE << 200 {
            return None;
        }
        let owner =
            case.trace.word_address(frame, 0).and_then(|address| case.trace.party(&address))?;
        let asset = Asset::Token(frame.to);
        let spent = case.flows().iter().any(|flow| {
            flow.asset == asset && flow.frame > at && case.is_side(flow.from) && !case.wins(flow.to)
        });
        let won = case.gains().iter().any(|(gained, _)| *gained != asset);
        // Some answer "the greatest number" for "as much as you like".
        if balance == U256::MAX && !spent {
            return None;
        }
        let (severity, confidence) =
            if spent && won { (Severity::P1, 75) } else { (Severity::P2, 65) };
        case.is_side(owner).then(|| {
            TxFinding::new(NAME, Class::Arithmetic, severity, confidence)
                .with("pattern", "impossible_balance")
                .party(case, "victim", frame.to)
                .with("frame", at)
                .with("amount", balance.to_string())
                .gains(case)
        })
    })
}

/// Next to nothing given to a contract that then, or whose market then, pays much.
fn rounded(case: &Case<'_>, config: &Config) -> Option<TxFinding> {
    if case.gains().is_empty() || !case.losses().is_empty() {
        return None;
    }
    let dust = U256::from(config.dust);
    let much = U256::from(10).pow(U256::from(9));
    let mut first: Option<(Party, Asset, U256, u32)> = None;
    let mut times = 0;
    for flow in case.flows() {
        let given = flow.amount <= dust
            && matches!(flow.asset, Asset::Token(_))
            && case.is_side(flow.from)
            && !case.wins(flow.to)
            && case.is_active(flow.to);
        if given {
            times += 1;
            first.get_or_insert((flow.to, flow.asset, flow.amount, flow.frame));
        }
    }
    let (to, asset, amount, frame) = first?;
    let paid = case.flows().iter().any(|flow| {
        flow.from == to && case.wins(flow.to) && flow.amount > much && flow.asset != asset
    });
    // A number may also be the name of a thing, which is no small amount.
    let robbed = !losers(case).is_empty();
    let (severity, confidence) = if robbed { (Severity::P2, 45) } else { (Severity::P3, 25) };
    (paid || (times >= 10 && robbed)).then(|| {
        TxFinding::new(NAME, Class::Arithmetic, severity, confidence)
            .with("pattern", "rounded")
            .party(case, "victim", to)
            .with("frame", frame)
            .with("given", moved(case, asset, amount))
            .with("times", times)
            .gains(case)
    })
}
