//! What a contract's bytecode gives away: its functions, whether it is a proxy, known kinds of holes,
//! and whether it looks like made for an attack.
//!
//! Code is walked through with words whose origin is known (the caller, the call's data, storage)
//! instead of their value. That is an approximation to both sides: a check by a way that is not
//! understood makes a finding that is none, and a hole behind an unknown jump is not seen. What
//! stands here is a reason to look, with the place to look at.

mod asm;
mod known;
mod proxy;
mod scan;
mod value;
mod walk;

use std::collections::BTreeSet;

use serde::Serialize;
use wk_model::{Confidence, Severity};

pub use asm::{Instruction, MAX_CODE, instructions, without_metadata};
pub use proxy::{Proxy, ProxyKind};
pub use scan::{AttackItem, AttackLikeness, SUSPICIOUS, attack_likeness};

use asm::op;
use walk::{Event, Guard};

/// Instructions that are walked per code; some milliseconds.
pub const MAX_STEPS: usize = 60_000;

/// Kinds of holes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// Runs code of the caller's choice on its own storage.
    DelegatecallToGiven,
    /// Calls whatever the caller says with whatever data: its tokens and approvals are the caller's.
    ArbitraryCall,
    /// Decides by who sent the transaction, which anyone in between can use.
    TxOrigin,
    /// Can be destroyed without asking who calls.
    UnprotectedSelfdestruct,
    /// A function that sets up writes storage without asking whether that was done, or who calls.
    UnprotectedInitializer,
    /// Makes contracts of code that the caller gives, at an address known beforehand.
    CreateGivenCode,
}

impl Check {
    /// All of them.
    pub const ALL: [Check; 6] = [
        Check::DelegatecallToGiven,
        Check::ArbitraryCall,
        Check::TxOrigin,
        Check::UnprotectedSelfdestruct,
        Check::UnprotectedInitializer,
        Check::CreateGivenCode,
    ];

    /// Its name as data shows it.
    pub fn name(self) -> &'static str {
        match self {
            Check::DelegatecallToGiven => "delegatecall_to_given",
            Check::ArbitraryCall => "arbitrary_call",
            Check::TxOrigin => "tx_origin",
            Check::UnprotectedSelfdestruct => "unprotected_selfdestruct",
            Check::UnprotectedInitializer => "unprotected_initializer",
            Check::CreateGivenCode => "create_given_code",
        }
    }
}

/// A hole, as far as the code tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CodeFinding {
    /// What kind.
    pub check: Check,
    /// How bad it would be.
    pub severity: Severity,
    /// How sure it is.
    pub confidence: Confidence,
    /// The function by which it is reached, as `0x` and eight digits; none for the fallback or
    /// where functions are not told apart.
    pub selector: Option<String>,
    /// Byte of the code.
    pub at: usize,
    /// Some state of the contract is asked on the way, which may be the protection.
    pub behind_storage: bool,
    /// In words.
    pub why: String,
}

/// What a code gives away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CodeReport {
    /// Its length in bytes.
    pub size: usize,
    /// Functions that it tells apart, as `0x` and eight digits.
    pub selectors: Vec<String>,
    /// Functions of others that it names.
    pub calls: Vec<String>,
    /// Whether it runs other code on its own storage anywhere.
    pub delegates: bool,
    /// Whether it hands calls on, and how.
    pub proxy: Option<Proxy>,
    /// What is wrong, worst first.
    pub findings: Vec<CodeFinding>,
    /// Whether every way through it was walked; if not, there may be more.
    pub complete: bool,
    /// Whether it is an EIP-7702 delegation and no code of its own.
    pub delegation: Option<String>,
}

impl CodeReport {
    /// Whether it has any of these functions.
    pub fn has(&self, selectors: &[u32]) -> bool {
        selectors.iter().any(|selector| self.selectors.contains(&shown(*selector)))
    }

    /// Whether it names any of these functions of others.
    pub fn asks(&self, selectors: &[u32]) -> bool {
        selectors.iter().any(|selector| self.calls.contains(&shown(*selector)))
    }
}

/// Looks at a contract's run-time code. Beyond [`MAX_CODE`] bytes the rest is not read.
pub fn inspect(code: &[u8]) -> CodeReport {
    let size = code.len();
    let delegation = match code.strip_prefix(&[0xef, 0x01, 0x00]) {
        Some(address) if address.len() == 20 => Some(hex(address)),
        _ => None,
    };
    let cut = size > MAX_CODE;
    let body = without_metadata(&code[..size.min(MAX_CODE)]);
    let walked = walk::walk(body, MAX_STEPS);
    let mut findings: Vec<CodeFinding> = Vec::new();
    let mut seen = BTreeSet::new();
    for ((event, at, function), guard) in &walked.events {
        let Some(finding) = finding(*event, *at, *function, *guard) else { continue };
        // One line per kind and function, though the code may be reached at several places.
        if seen.insert((finding.check, finding.selector.clone())) {
            findings.push(finding);
        }
    }
    let mut named = walked.calls.clone();
    let mut delegates = false;
    for instruction in instructions(body) {
        match (instruction.opcode, instruction.data) {
            (op::PUSH4, &[a, b, c, d]) => {
                named.insert(u32::from_be_bytes([a, b, c, d]));
            }
            (op::DELEGATECALL | op::CALLCODE, _) => delegates = true,
            _ => {}
        }
    }
    named.retain(|selector| !walked.selectors.contains(selector));
    findings.sort_by_key(|finding| (finding.severity, std::cmp::Reverse(finding.confidence)));
    CodeReport {
        size,
        selectors: walked.selectors.iter().map(|one| shown(*one)).collect(),
        calls: named.iter().map(|one| shown(*one)).collect(),
        delegates,
        proxy: proxy::proxy(body),
        findings,
        complete: walked.complete && !cut,
        delegation,
    }
}

fn finding(event: Event, at: usize, function: Option<u32>, guard: Guard) -> Option<CodeFinding> {
    if guard.caller && event != Event::OriginCheck {
        return None;
    }
    let (check, severity, confidence, why) = match event {
        Event::DelegateToGiven => (
            Check::DelegatecallToGiven,
            Severity::P1,
            70,
            "delegatecall to an address from the call's data, without asking who calls",
        ),
        Event::ArbitraryCall => (
            Check::ArbitraryCall,
            Severity::P1,
            60,
            "call with target and data from the call's data, without asking who calls",
        ),
        Event::OriginCheck => (
            Check::TxOrigin,
            Severity::P2,
            75,
            "a branch compares tx.origin with what the contract knows",
        ),
        Event::SelfDestruct => (
            Check::UnprotectedSelfdestruct,
            Severity::P1,
            65,
            "selfdestruct without asking who calls",
        ),
        Event::CreateGiven => (
            Check::CreateGivenCode,
            Severity::P3,
            40,
            "create2 of code from the call's data, without asking who calls",
        ),
        Event::UnguardedSetup => (
            Check::UnprotectedInitializer,
            Severity::P1,
            50,
            "a function that sets up writes storage and asks neither storage nor who calls before",
        ),
    };
    let behind_storage = guard.storage && event != Event::OriginCheck;
    // Half as sure when some state is asked on the way.
    let (severity, confidence) = match behind_storage {
        true => (severity.max(Severity::P2), confidence / 2),
        false => (severity, confidence),
    };
    Some(CodeFinding {
        check,
        severity,
        confidence: Confidence(confidence),
        selector: function.map(shown),
        at,
        behind_storage,
        why: why.to_owned(),
    })
}

fn shown(selector: u32) -> String {
    format!("0x{selector:08x}")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold("0x".to_owned(), |text, byte| text + &format!("{byte:02x}"))
}
