//! A new contract that looks made for an attack, before it is used.
//!
//! Code that can be called back by lenders and that names several contracts, code that trades and names
//! many, or a contract that gives out many unlimited approvals while it is made: the tools are laid out.
//! This looks so whoever is named; who knows which contracts are watched says the same more urgently
//! when one of them is. What the attack would be is a guess, which is said beside.
//!
//! Known weaknesses: bots for arbitrage and liquidation are made of the same parts; code that takes
//! its targets from call data names nobody.

use alloy_primitives::U256;
use wk_model::Severity;
use wk_trace::{FrameKind, Party};

use crate::case::Case;
use crate::config::settings;
use crate::finding::{Class, TxFinding};
use crate::signatures::{Role, roles};

settings! { "attacker_contract";
    /// Unlimited approvals that a contract gives while it is made or set up.
    min_approvals: u32 = 4,
    /// Contracts that code which can be called back by lenders must name.
    min_named: u32 = 2,
    /// Contracts that any other code which trades must name.
    min_fixed: u32 = 5,
}

/// Its name.
pub const NAME: &str = "attacker_contract";
/// Bytes of one contract that are looked at.
const MAX_CODE: usize = 1 << 16;

pub(crate) fn detect(case: &Case<'_>, config: &Config, findings: &mut Vec<TxFinding>) {
    let Some(first) = case.trace.frames.first().filter(|_| config.enabled) else { return };
    if first.kind == FrameKind::Create && !first.reverted {
        let code = case.trace.input(first);
        let read = Read::of(&code[..code.len().min(MAX_CODE)]);
        let named = read.named.len();
        let called_back = read.called_back && named >= config.min_named as usize;
        if called_back || (read.trades && named >= config.min_fixed as usize) {
            let named: Vec<String> =
                read.named.iter().take(16).map(|address| format!("0x{}", hex(address))).collect();
            let finding = |class, confidence| {
                TxFinding::new(NAME, class, Severity::P3, confidence)
                    .with("pattern", "code")
                    .party(case, "contract", first.to)
                    .with("frame", 0)
                    .with("names", named.clone())
                    .with("trades", read.trades)
            };
            let guess = if read.trades { Class::PriceManipulation } else { Class::BusinessLogic };
            findings.push(finding(guess, 25));
            findings.push(finding(Class::AttackContract, 24));
            return;
        }
    }
    approves(case, first.to, config, findings);
}

/// Approvals without limit, given to several by a contract that does nothing else yet.
fn approves(case: &Case<'_>, contract: Party, config: &Config, findings: &mut Vec<TxFinding>) {
    if !case.has_role(Role::Approval) || !case.trace.transfers.is_empty() {
        return;
    }
    let mut tokens: Vec<Party> = Vec::new();
    let mut given = 0_u32;
    for (at, frame) in case.frames().skip(1) {
        let unlimited = case.roles(at).has(Role::Approval)
            && frame.kind == FrameKind::Call
            && !frame.reverted
            && frame.from == contract
            && case.trace.word(frame, 1).is_some_and(|amount| amount >= U256::ONE << 255);
        if unlimited {
            given += 1;
            if !tokens.contains(&frame.to) && tokens.len() < 64 {
                tokens.push(frame.to);
            }
        }
    }
    if given < config.min_approvals || tokens.len() < 2 {
        return;
    }
    let finding = |class, confidence| {
        TxFinding::new(NAME, class, Severity::P3, confidence)
            .with("pattern", "approvals")
            .party(case, "contract", contract)
            .with("frame", 0)
            .with("approvals", given)
            .with("tokens", tokens.len())
    };
    findings.push(finding(Class::BusinessLogic, 20));
    findings.push(finding(Class::AttackContract, 19));
}

/// What code says of itself.
struct Read<'c> {
    /// It can be called back by lenders.
    called_back: bool,
    /// It calls pools or routers.
    trades: bool,
    /// Addresses in it.
    named: Vec<&'c [u8]>,
}

impl Read<'_> {
    fn of(code: &[u8]) -> Read<'_> {
        let mut read = Read { called_back: false, trades: false, named: Vec::new() };
        let mut at = 0;
        while at < code.len() {
            let pushed = match code[at] {
                push @ 0x60..=0x7f => usize::from(push - 0x5f),
                _ => 0,
            };
            let data = code.get(at + 1..at + 1 + pushed).unwrap_or_default();
            let after = at + 1 + pushed;
            if let [a, b, c, d] = *data {
                let roles = roles(u32::from_be_bytes([a, b, c, d]));
                // A function of its own is compared with: PUSH4 EQ; those of others are not.
                let own = code.get(after) == Some(&0x14);
                read.called_back |= own && roles.has(Role::LoanCallback);
                let trade = roles.has(Role::PublicEntry)
                    || roles.has(Role::Price)
                    || roles.has(Role::TaxedSwap);
                read.trades |= !own && trade;
            }
            let address = data.len() == 20
                && data.iter().filter(|byte| **byte != 0 && **byte != 0xff).count() > 8;
            if address && read.named.len() < 64 && !read.named.contains(&data) {
                read.named.push(data);
            }
            at = after;
        }
        read
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
