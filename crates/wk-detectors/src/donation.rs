//! Shares of a vault or market made dearer by a gift, then borrowed against or redeemed.
//!
//! The side sends the asset to the contract without asking it, and takes more out: there, from a
//! market that asks the contract what its shares are worth, or from someone whose own deposit buys too
//! little afterwards. Where the gift comes before anything else, or after a first deposit of next to
//! nothing, that is the theft by the first depositor.
//!
//! Who has no part in the contract wins nothing by its shares: whoever brings a vault its earnings,
//! and is paid for it by someone else, is left alone.
//!
//! Known weaknesses: a gift by way of a third contract is not seen as one; a deposit that a stranger
//! makes in a later transaction is not either.

use wk_model::Severity;
use wk_trace::{Asset, FrameKind, Party, Transfer, TransferKind};

use crate::case::{BUDGET, Case};
use crate::config::settings;
use crate::finding::{Class, TxFinding, hex, moved};
use crate::flash_loan::losers;
use crate::instant_profit::generous;
use crate::signatures::Role;

settings! { "donation";
}

const NAME: &str = "donation_inflation";
/// Gifts of one transaction that are followed up.
const MAX_GIFTS: usize = 128;

/// By whom the gift was won back.
enum Won {
    /// By one who asks what shares are worth, and pays.
    Lent(Party),
    /// By one whose deposit came after the gift.
    Diluted(Party),
    /// By one who only lost.
    Lost(Party),
    /// More came out than was put in.
    More,
}

pub(crate) fn detect(case: &Case<'_>, config: &Config, findings: &mut Vec<TxFinding>) {
    if !config.enabled || case.gains().is_empty() || case.trace.frames.len() < 8 {
        return;
    }
    let mut budget = BUDGET / 8;
    let gifts = case.trace.transfers.iter().filter(|transfer| is_gift(case, transfer));
    let found = gifts.take(MAX_GIFTS).find_map(|gift| {
        let won = won(case, gift, &mut budget)?;
        Some((gift, won))
    });
    let Some((gift, won)) = found else { return };
    let (how, severity, confidence) = match won {
        Won::Lent(_) => ("lent_against", Severity::P1, 64),
        Won::Diluted(_) => ("later_deposit_diluted", Severity::P1, 70),
        Won::Lost(_) => ("redeemed", Severity::P1, 62),
        Won::More => ("redeemed", Severity::P2, 50),
    };
    let mut finding = TxFinding::new(NAME, Class::DonationInflation, severity, confidence)
        .party(case, "victim", gift.to)
        .with("how", how)
        .with("frame", gift.frame)
        .with("gift", moved(case, gift.asset, gift.amount));
    if let Won::Lent(loser) | Won::Diluted(loser) | Won::Lost(loser) = won {
        finding = finding.with("loser", hex(case, loser));
    }
    findings.push(finding.gains(case));
}

fn is_gift(case: &Case<'_>, transfer: &Transfer) -> bool {
    transfer.kind == TransferKind::Move
        && matches!(transfer.asset, Asset::Token(_))
        && transfer.by.is_some_and(|by| case.is_side(by))
        && case.is_side(transfer.from)
        && !case.wins(transfer.to)
        && case.is_active(transfer.to)
        && transfer.asset != Asset::Token(transfer.to)
        && !case.loans().iter().any(|loan| loan.lender == transfer.to)
}

fn won(case: &Case<'_>, gift: &Transfer, budget: &mut usize) -> Option<Won> {
    let vault = gift.to;
    let end = u32::try_from(case.trace.frames.len()).unwrap_or(u32::MAX);
    let before = used(case, vault, 0, gift.frame);
    let after = used(case, vault, gift.frame + 1, end);
    if !(before || after) || !has_part(case, gift) {
        return None;
    }
    if let Some(market) = lent(case, gift, budget) {
        return Some(Won::Lent(market));
    }
    if let Some(saver) = diluted(case, gift) {
        return Some(Won::Diluted(saver));
    }
    if !before || !after {
        return None;
    }
    match losers(case).first() {
        Some(loser) => Some(Won::Lost(*loser)),
        None if !generous(case, 100).is_empty() => Some(Won::More),
        None => None,
    }
}

/// Whether the side has a part in the contract: it puts something in by asking for it, has shares, or
/// gets something out.
fn has_part(case: &Case<'_>, gift: &Transfer) -> bool {
    let vault = gift.to;
    case.flows().iter().any(|flow| {
        let shares = flow.asset == Asset::Token(vault);
        let mine = case.is_side(flow.from) || case.is_side(flow.to);
        let taken_out = flow.from == vault && case.wins(flow.to) && flow.frame > gift.frame;
        let put_in = flow.to == vault
            && case.is_side(flow.from)
            && case.trace.ancestors(flow.frame).any(|(_, above)| above.to == vault);
        (shares && mine) || taken_out || put_in
    })
}

/// One who asks the contract for something after the gift, and pays the side in the same call.
fn lent(case: &Case<'_>, gift: &Transfer, budget: &mut usize) -> Option<Party> {
    let vault = gift.to;
    // A pool goes by its own balances, and is traded at; who lends asks about another contract.
    let mut calls = Vec::new();
    let mut at = gift.frame + 1;
    while (at as usize) < case.trace.frames.len() && *budget > 0 {
        let frame = case.frame(at);
        *budget -= 1;
        let told = frame.kind == FrameKind::Call
            && !frame.reverted
            && case.is_side(frame.from)
            && !case.is_side(frame.to);
        if told && frame.to != vault && !case.roles(at).has(Role::Token) {
            calls.push((at, frame));
            at = frame.end;
        } else {
            at += 1;
        }
    }
    calls.into_iter().find_map(|(at, frame)| {
        let start = case.flows().partition_point(|flow| flow.frame < at);
        let paid = case.flows()[start..].iter().take_while(|flow| flow.frame < frame.end).find(
            |flow| {
                case.wins(flow.to)
                    && flow.from != vault
                    && !case.wins(flow.from)
                    && case.is_active(flow.from)
                    && flow.asset != Asset::Token(flow.from)
                    && flow.asset != Asset::Token(vault)
            },
        )?;
        let asks = case.below(at).any(|(below, asked)| {
            *budget = budget.saturating_sub(1);
            asked.to == vault
                && asked.from != vault
                && asked.kind == FrameKind::StaticCall
                && !asked.reverted
                && !case.is_side(asked.from)
                && !case.roles(below).has(Role::Token)
                && *budget > 0
        });
        asks.then_some(paid.from)
    })
}

/// One who puts the same asset in after the gift, where the side then takes more out than it gave.
fn diluted(case: &Case<'_>, gift: &Transfer) -> Option<Party> {
    let (vault, asset) = (gift.to, gift.asset);
    let own = |flow: &&crate::flows::Flow| flow.asset == asset;
    let (mut gave, mut got) = (alloy_primitives::U256::ZERO, alloy_primitives::U256::ZERO);
    let mut saver = None;
    for flow in case.flows().iter().filter(own) {
        if flow.to == vault && case.is_side(flow.from) {
            gave = gave.saturating_add(flow.amount);
        } else if flow.from == vault && case.wins(flow.to) {
            got = got.saturating_add(flow.amount);
        } else if flow.to == vault && flow.frame > gift.frame && !case.wins(flow.from) {
            saver.get_or_insert((flow.from, got));
        }
    }
    // What came out before the stranger's deposit was not its.
    let (saver, before) = saver?;
    (got > gave && got > before).then_some(saver)
}

/// Whether the side calls a contract for more than its token, within frames.
fn used(case: &Case<'_>, contract: Party, from: u32, to: u32) -> bool {
    case.frames().skip(from as usize).take_while(|(at, _)| *at < to).any(|(at, frame)| {
        frame.to == contract
            && frame.kind == FrameKind::Call
            && !frame.reverted
            && case.is_side(frame.from)
            && !case.roles(at).has(Role::Token)
            && !case.roles(at).has(Role::PoolTrick)
            && !AMM.contains(&case.selector(at))
    })
}

/// Functions of pairs that expect the tokens to be there already:
/// `swap(uint256,uint256,address,bytes)`, `mint(address)`, `burn(address)`.
const AMM: [u32; 3] = [0x022c_0d9f, 0x6a62_7842, 0x89af_cb44];
