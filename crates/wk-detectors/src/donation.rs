//! Shares of a vault or market made dearer by a gift, then borrowed against or redeemed.
//!
//! The side deposits, sends the asset to the contract without asking it, and takes more out, there
//! or from a market that values the shares.
//!
//! Known weaknesses: a gift by way of a third contract is not seen as one.

use wk_model::Severity;
use wk_trace::{Asset, FrameKind, Party, TransferKind};

use crate::case::Case;
use crate::config::settings;
use crate::finding::{Class, TxFinding, moved};
use crate::flash_loan::losers;
use crate::instant_profit::generous;
use crate::signatures::Role;

settings! { "donation";
}

const NAME: &str = "donation_inflation";
/// Gifts of one transaction that are followed up.
const MAX_GIFTS: usize = 512;

pub(crate) fn detect(case: &Case<'_>, config: &Config, findings: &mut Vec<TxFinding>) {
    if !config.enabled || case.gains().is_empty() || case.trace.frames.len() < 8 {
        return;
    }
    let mut gifts = 0;
    for transfer in &case.trace.transfers {
        let Some(by) = transfer.by else { continue };
        let gift = transfer.kind == TransferKind::Move
            && matches!(transfer.asset, Asset::Token(_))
            && case.is_side(by)
            && case.is_side(transfer.from)
            && !case.wins(transfer.to)
            && case.is_active(transfer.to)
            && transfer.asset != Asset::Token(transfer.to);
        if !gift {
            continue;
        }
        gifts += 1;
        if gifts > MAX_GIFTS {
            return;
        }
        let vault = transfer.to;
        let lends = case.loans().iter().any(|loan| loan.lender == vault);
        if lends || !used(case, vault, 0, transfer.frame) {
            continue;
        }
        let end = u32::try_from(case.trace.frames.len()).unwrap_or(u32::MAX);
        let redeemed = used(case, vault, transfer.frame + 1, end);
        // Shares that are the vault's own token tell it from a pool.
        let issues =
            case.is_token(vault) || case.trace.frames.iter().any(|frame| frame.to == vault);
        let victims = !losers(case).is_empty();
        let known = victims || !generous(case, 100).is_empty();
        if redeemed && issues && known {
            let (severity, confidence) =
                if victims { (Severity::P1, 62) } else { (Severity::P2, 50) };
            findings.push(
                TxFinding::new(NAME, Class::DonationInflation, severity, confidence)
                    .party(case, "victim", vault)
                    .with("frame", transfer.frame)
                    .with("gift", moved(case, transfer.asset, transfer.amount))
                    .gains(case),
            );
            return;
        }
    }
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
