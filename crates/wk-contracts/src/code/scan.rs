//! Whether fresh code looks like made for an attack.
//!
//! Attack contracts are small, serve nobody, know their victims, borrow for a moment and trade; the
//! signs and the idea to look at creation are those of SMARTCAT, LookAhead and FinDet. Arbitrage bots
//! share most of them, which is why a watched contract's address in the code weighs most.

use std::collections::BTreeSet;

use alloy_primitives::Address;
use serde::Serialize;

use super::asm::{MAX_CODE, instructions, op, without_metadata};
use super::known::KNOWN;
use super::walk::{Event, walk};
use super::{MAX_STEPS, shown};

/// From this score on, code is worth an alert.
pub const SUSPICIOUS: u8 = 60;

/// Signs and what each adds to the score.
const WEIGHTS: [(&str, u8); 9] = [
    ("names_watched", 40),
    ("flash_loan_callback", 25),
    ("asks_for_flash_loan", 15),
    ("trades", 10),
    ("moves_tokens", 5),
    ("serves_nobody", 10),
    ("few_functions", 5),
    ("checks_tx_origin", 10),
    ("can_selfdestruct", 10),
];

/// A sign that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AttackItem {
    /// Its name.
    pub sign: &'static str,
    /// What it adds to the score.
    pub weight: u8,
    /// What was found: addresses, selectors.
    pub found: Vec<String>,
}

/// How much a code looks like made for an attack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AttackLikeness {
    /// 0–100.
    pub score: u8,
    /// What it is made of.
    pub items: Vec<AttackItem>,
    /// Watched contracts that it names.
    pub names: Vec<Address>,
}

/// Looks at fresh run-time code: `is_watched` says which addresses are ours.
pub fn attack_likeness(code: &[u8], is_watched: impl Fn(&Address) -> bool) -> AttackLikeness {
    let known = &*KNOWN;
    let body = without_metadata(&code[..code.len().min(MAX_CODE)]);
    let walked = walk(body, MAX_STEPS);
    let mut pushed = BTreeSet::new();
    let mut names = BTreeSet::new();
    let mut destroys = false;
    for instruction in instructions(body) {
        match (instruction.opcode, instruction.data) {
            (op::PUSH4, &[a, b, c, d]) => {
                pushed.insert(u32::from_be_bytes([a, b, c, d]));
            }
            // Encoded calls are put together from whole words: a selector and zeros, or an address.
            (op::PUSH20..=op::PUSH32, data) => {
                if let Some((&[a, b, c, d], rest)) = data.split_first_chunk::<4>()
                    && data.len() == 32
                    && rest.iter().all(|byte| *byte == 0)
                {
                    pushed.insert(u32::from_be_bytes([a, b, c, d]));
                }
                if let Some(tail) = data.len().checked_sub(20) {
                    let address = Address::from_slice(&data[tail..]);
                    if is_watched(&address) {
                        names.insert(address);
                    }
                }
            }
            (op::SELFDESTRUCT, _) => destroys = true,
            _ => {}
        }
    }
    pushed.extend(&walked.calls);
    let own = &walked.selectors;
    let list = |found: &mut dyn Iterator<Item = u32>| found.map(shown).collect::<Vec<String>>();
    let callbacks =
        list(&mut own.iter().copied().filter(|one| known.flash_callbacks.contains_key(one)));
    let asked = |set: &std::collections::HashSet<u32>| {
        list(&mut pushed.iter().copied().filter(|one| set.contains(one) && !own.contains(one)))
    };
    let origin = walked.events.keys().any(|(event, _, _)| *event == Event::OriginCheck);
    let yes = |holds: bool| if holds { vec![String::from("yes")] } else { Vec::new() };
    let has_code = body.len() > 32;
    let found = [
        names.iter().map(|address| format!("{address:#x}")).collect(),
        callbacks,
        asked(&known.flash_loans),
        asked(&known.markets),
        asked(&known.tokens),
        yes(has_code && !own.iter().any(|one| known.public.contains(one))),
        yes(has_code && own.len() <= 6),
        yes(origin),
        yes(destroys),
    ];
    let items: Vec<AttackItem> = WEIGHTS
        .into_iter()
        .zip(found)
        .filter(|(_, found)| !found.is_empty())
        .map(|((sign, weight), found)| AttackItem { sign, weight, found })
        .collect();
    let sum: u16 = items.iter().map(|item| u16::from(item.weight)).sum();
    AttackLikeness {
        score: u8::try_from(sum.min(100)).unwrap_or(100),
        items,
        names: names.into_iter().collect(),
    }
}
