//! Changes to a trace that leave the attack what it is.

use std::collections::HashMap;
use std::fmt::Write;

use alloy_primitives::{Address, keccak256};
use wk_trace::{Frame, FrameKind, TxTrace};

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Mutation {
    /// Every account has another address.
    Renamed,
    /// The sender's call goes through one more contract.
    Relayed,
    /// Every other contract that is called is a proxy.
    Proxied,
    /// Questions that follow each other come in the opposite order.
    Reordered,
    /// The first half of the attacker's calls in one transaction, the second in the next.
    Split,
    /// Functions of protocols have names that nobody knows.
    Unnamed,
}

pub(crate) const ALL: [Mutation; 6] = [
    Mutation::Renamed,
    Mutation::Relayed,
    Mutation::Proxied,
    Mutation::Reordered,
    Mutation::Split,
    Mutation::Unnamed,
];

/// Functions that every token, pair and router has; all others may have any name.
const NAMED: [u32; 14] = [
    0xa905_9cbb,
    0x23b8_72dd,
    0x095e_a7b3,
    0x70a0_8231,
    0xdd62_ed3e,
    0x1816_0ddd,
    0x40c1_0f19,
    0x9dc2_9fac,
    0x4296_6c68,
    0xd0e3_0db0,
    0x2e1a_7d4d,
    0x022c_0d9f,
    0x0902_f1ac,
    0x128a_cb08,
];

/// The mutated transactions as callTracer trees.
pub(crate) fn mutate(trace: &TxTrace, mutation: Mutation) -> Vec<String> {
    let children = children(trace);
    let writer = Writer { trace, children: &children, mutation };
    match mutation {
        Mutation::Renamed => vec![renamed(trace, &writer.whole())],
        Mutation::Relayed => {
            let root = &trace.frames[0];
            if root.kind == FrameKind::Create {
                return vec![writer.whole()];
            }
            let relay = Address::repeat_byte(0xa7);
            let inner = writer.frame(0, Some(relay), &children[0]);
            let input = hex(trace.input(root));
            vec![format!(
                "{{\"type\":\"CALL\",\"from\":\"{:#x}\",\"to\":\"{relay:#x}\",\"value\":\"0x{:x}\",\"input\":\"{input}\",\"calls\":[{inner}]}}",
                trace.address(root.from),
                root.value,
            )]
        }
        Mutation::Split => {
            // The frame whose own calls are the steps: relays and proxies above it stay.
            let own = &children[0];
            if own.len() < 2 {
                return vec![writer.whole()];
            }
            let (first, second) = own.split_at(own.len() / 2);
            vec![writer.frame(0, None, first), writer.frame(0, None, second)]
        }
        Mutation::Proxied | Mutation::Reordered | Mutation::Unnamed => vec![writer.whole()],
    }
}

fn children(trace: &TxTrace) -> Vec<Vec<u32>> {
    let mut children = vec![Vec::new(); trace.frames.len()];
    for (at, frame) in (0..).zip(&trace.frames) {
        if let Some(parent) = frame.parent {
            children[parent as usize].push(at);
        }
    }
    children
}

struct Writer<'a> {
    trace: &'a TxTrace,
    children: &'a [Vec<u32>],
    mutation: Mutation,
}

impl Writer<'_> {
    fn whole(&self) -> String {
        self.frame(0, None, &self.children[0])
    }

    fn frame(&self, at: u32, from: Option<Address>, calls: &[u32]) -> String {
        let frame = &self.trace.frames[at as usize];
        let mut calls = calls.to_vec();
        if self.mutation == Mutation::Reordered {
            let is_question =
                |at: &u32| self.trace.frames[*at as usize].kind == FrameKind::StaticCall;
            calls
                .chunk_by_mut(|left, right| is_question(left) && is_question(right))
                .for_each(<[u32]>::reverse);
        }
        let inner: Vec<String> = calls
            .iter()
            .map(|child| self.frame(*child, None, &self.children[*child as usize]))
            .collect();
        let inner = inner.join(",");
        let proxied = self.mutation == Mutation::Proxied
            && frame.kind == FrameKind::Call
            && frame.depth > 0
            && frame.to.index() % 2 == 1
            && !self.trace.input(frame).is_empty();
        if proxied {
            let to = self.trace.address(frame.to);
            let code = Address::from_slice(&keccak256(to)[12..]);
            let delegated = format!(
                "{{\"type\":\"DELEGATECALL\",\"from\":\"{to:#x}\",\"to\":\"{code:#x}\",\"input\":\"{}\",\"output\":\"{}\",\"calls\":[{inner}]}}",
                hex(self.trace.input(frame)),
                hex(self.trace.output(frame)),
            );
            return self.text(frame, from, &delegated);
        }
        self.text(frame, from, &inner)
    }

    fn text(&self, frame: &Frame, from: Option<Address>, calls: &str) -> String {
        let kind = match frame.kind {
            FrameKind::Call => "CALL",
            FrameKind::StaticCall => "STATICCALL",
            FrameKind::Delegate => "DELEGATECALL",
            FrameKind::Create => "CREATE",
            FrameKind::SelfDestruct => "SELFDESTRUCT",
        };
        let to = if frame.kind == FrameKind::Delegate { frame.code } else { frame.to };
        let mut input = hex(self.trace.input(frame));
        let selector = self.trace.selector(frame);
        if self.mutation == Mutation::Unnamed && selector != 0 && !NAMED.contains(&selector) {
            input.replace_range(2..10, &format!("{:08x}", selector ^ 0x5a5a_5a5a));
        }
        let error =
            frame.error.as_deref().map_or(String::new(), |_| ",\"error\":\"reverted\"".into());
        format!(
            "{{\"type\":\"{kind}\",\"from\":\"{:#x}\",\"to\":\"{:#x}\",\"value\":\"0x{:x}\",\"input\":\"{}\",\"output\":\"{}\"{error},\"calls\":[{calls}]}}",
            from.unwrap_or(self.trace.address(frame.from)),
            self.trace.address(to),
            frame.value,
            input,
            hex(self.trace.output(frame)),
        )
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 + bytes.len() * 2);
    text.push_str("0x");
    for byte in bytes {
        write!(text, "{byte:02x}").unwrap();
    }
    text
}

/// Replaces every address wherever its twenty bytes stand, at any even place.
fn renamed(trace: &TxTrace, text: &str) -> String {
    let names: HashMap<String, String> = trace
        .parties()
        .map(|party| trace.address(party))
        .filter(|address| address.iter().filter(|byte| **byte != 0).count() > 4)
        .map(|address| {
            let name = Address::from_slice(&keccak256(address)[..20]);
            (format!("{address:x}"), format!("{name:x}"))
        })
        .collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        match text.get(at..at + 40).and_then(|word| names.get(word)) {
            Some(name) => {
                out.push_str(name);
                at += 40;
            }
            None => {
                out.push_str(&text[at..=at]);
                at += 1;
            }
        }
    }
    out
}
