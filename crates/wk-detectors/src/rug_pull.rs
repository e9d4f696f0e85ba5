//! Those who made a token take what its buyers had paid.
//!
//! Nearly all that a pool holds leaves it for the liquidity that the sender takes out; or units of a
//! token come into being for the sender, or in the pool itself, and are sold to it at once.
//!
//! Known weaknesses: whoever alone had liquidity in a pool takes all of it when he leaves, so that
//! this is of low severity; whether who has new units made is the maker or a stranger one transaction
//! does not tell, so that both are said; sellers' taxes and blocked sales leave no trace in one
//! transaction.

use alloy_primitives::U256;
use wk_model::Severity;
use wk_trace::{Asset, FrameKind, Party, Transfer, TransferKind};

use crate::case::Case;
use crate::config::settings;
use crate::finding::{Class, TxFinding, moved};
use crate::flows::Trade;

settings! { "rug_pull";
    /// How much of what a pool held must leave, in percent.
    min_share_percent: u8 = 95,
    /// How much of what a pool held must be got for new units, in percent, to be more than a sale.
    min_sold_percent: u8 = 50,
}

const NAME: &str = "rug_pull";
/// New units that are followed up in one transaction.
const MAX_MINTED: usize = 64;
/// `burn(address)` of pairs.
const BURN: u32 = 0x89af_cb44;
const BALANCE: u32 = 0x70a0_8231;

pub(crate) fn detect(case: &Case<'_>, config: &Config, findings: &mut Vec<TxFinding>) {
    if !config.enabled || case.flows().is_empty() || case.trace.frames.len() < 3 {
        return;
    }
    if let Some(pulled) = pulled(case, config.min_share_percent) {
        findings.push(pulled);
    } else {
        minted_and_sold(case, config, findings);
    }
}

/// Liquidity taken out that was nearly all there was.
fn pulled(case: &Case<'_>, share: u8) -> Option<TxFinding> {
    let (at, frame) = case.frames().find(|(at, frame)| {
        case.selector(*at) == BURN && frame.kind == FrameKind::Call && !frame.reverted
    })?;
    let pool = frame.to;
    // A pair asks for its balances before it pays.
    let mut left = 0;
    for (question, below) in case.below(at) {
        let asks = case.selector(question) == BALANCE
            && below.from == pool
            && case.trace.word_address(below, 0) == Some(case.trace.address(pool));
        if !asks {
            continue;
        }
        let asset = Asset::Token(below.to);
        let held = case.trace.output_word(below, 0)?;
        let paid = case
            .flows()
            .iter()
            .filter(|flow| flow.frame > question && flow.from == pool && flow.asset == asset)
            .fold(U256::ZERO, |sum, flow| sum.saturating_add(flow.amount));
        let part = held.checked_mul(U256::from(share)).map_or(held, |most| most / U256::from(100));
        if held.is_zero() || paid < part {
            // The first two questions are those before the payment.
            return None;
        }
        left += 1;
        if left == 2 {
            break;
        }
    }
    (left == 2 && !case.is_fresh(pool)).then(|| {
        TxFinding::new(NAME, Class::RugPull, Severity::P3, 30)
            .with("pattern", "liquidity_pulled")
            .party(case, "pool", pool)
            .with("frame", at)
            .gains(case)
    })
}

/// New units sold at once, by whoever had them made.
fn minted_and_sold(case: &Case<'_>, config: &Config, findings: &mut Vec<TxFinding>) {
    let pool_of = |party: Party| case.pools().iter().any(|pool| pool.pool == party);
    let minted = |transfer: &&Transfer| {
        transfer.kind == TransferKind::Mint
            && transfer.id.is_none()
            && (case.is_side(transfer.to) || pool_of(transfer.to))
            && transfer.by.is_some_and(|by| case.is_side(by))
            && !matches!(transfer.asset, Asset::Token(token) if case.is_side(token) || case.is_fresh(token))
    };
    let mut minted = case.trace.transfers.iter().filter(minted).take(MAX_MINTED);
    let Some(minted) = minted.find(|transfer| !wraps(case, transfer.frame, transfer.asset)) else {
        return;
    };
    let sold = case.pools().iter().find_map(|pool| {
        let trade = pool
            .trades
            .iter()
            .find(|trade| trade.frame > minted.frame && trade.got == minted.asset)?;
        Some((pool.pool, trade))
    });
    let Some((pool, trade)) = sold else { return };
    let gained =
        case.gains().iter().any(|(asset, _)| *asset == trade.gave || *asset == Asset::Native);
    if !gained {
        return;
    }
    let share = share_sold(case, pool, trade);
    let most = share.is_some_and(|share| share >= U256::from(config.min_sold_percent));
    let (severity, confidence) = if most { (Severity::P1, 65) } else { (Severity::P2, 55) };
    let finding = |class, severity, confidence| {
        TxFinding::new(NAME, class, severity, confidence)
            .with("pattern", "minted_and_sold")
            .party(case, "pool", pool)
            .with("frame", minted.frame)
            .with("minted", moved(case, minted.asset, minted.amount))
            .with("got", moved(case, trade.gave, trade.gave_amount))
            .with("got_percent", share.map(|share| share.to_string()))
            .gains(case)
    };
    findings.push(finding(Class::RugPull, severity, confidence));
    // By its maker it is this, by anyone else that; once is enough to wake people.
    findings.push(finding(Class::AccessControl, Severity::P2, confidence - 10));
}

/// How much of what the pool had it gave, in percent; none where nobody asked what is left.
fn share_sold(case: &Case<'_>, pool: Party, trade: &Trade) -> Option<U256> {
    let Asset::Token(token) = trade.gave else { return None };
    let address = case.trace.address(pool);
    let left = case.frames().skip(trade.frame as usize).find_map(|(at, frame)| {
        let asks = frame.to == token
            && case.selector(at) == BALANCE
            && !frame.reverted
            && case.trace.word_address(frame, 0) == Some(address);
        case.trace.output_word(frame, 0).filter(|_| asks)
    })?;
    let all = left.checked_add(trade.gave_amount).filter(|all| !all.is_zero())?;
    Some(trade.gave_amount.checked_mul(U256::from(100))? / all)
}

/// Whether something was given for the new units: coins with the call, or another token during it.
fn wraps(case: &Case<'_>, at: u32, asset: Asset) -> bool {
    let frame = case.frame(at);
    let paid = |from: Party| case.is_side(from);
    !frame.value.is_zero()
        || case.flows().iter().any(|flow| {
            flow.frame <= frame.end
                && flow.asset != asset
                && paid(flow.from)
                && !case.is_side(flow.to)
        })
}
