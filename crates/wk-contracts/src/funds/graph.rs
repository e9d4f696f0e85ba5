//! The way that value took, as data, as a drawing (Graphviz DOT) and as a tree for people.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write;

use alloy_primitives::{Address, B256, U256};
use serde_json::{Map, Value, json};

use super::labels::LabelKind;
use super::ledger::Method;
use super::trace::Direction;
use super::{Asset, Movement};

/// Exchanges that are listed; beyond it they are only counted.
const MAX_EXCHANGES: usize = 1_000;
/// Lines of a tree.
const MAX_LINES: usize = 2_000;

/// What was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tracer {
    /// The account that it begins with.
    pub root: Address,
    /// Which way.
    pub direction: Direction,
    /// How mixed money is split.
    pub method: Method,
}

/// Why the way ends at an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ending {
    /// It is known, and of a kind that mixes money.
    Label(LabelKind),
    /// It is as many steps away as was asked for.
    MaxHops,
    /// It got too little.
    Small,
    /// It has so many transactions that it is likely a service.
    Busy,
    /// It still has followed value.
    Holds,
}

impl Ending {
    /// Its name as data shows it.
    pub fn name(self) -> &'static str {
        match self {
            Ending::Label(kind) => kind.name(),
            Ending::MaxHops => "max_hops",
            Ending::Small => "small",
            Ending::Busy => "busy",
            Ending::Holds => "holds",
        }
    }
}

/// An account on the way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FundNode {
    /// Steps from the first.
    pub hops: u16,
    /// What is known of it.
    pub label: Option<(LabelKind, String)>,
    /// Followed value that came to it, in smallest units.
    pub received: BTreeMap<Asset, U256>,
    /// Followed value that it has in the end.
    pub holds: BTreeMap<Asset, U256>,
    /// Why the way ends here; none where all was passed on.
    pub ending: Option<Ending>,
}

/// Payments of one asset between two accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FundEdge {
    /// Followed value in them, in the asset's smallest unit.
    pub amount: U256,
    /// How many there were.
    pub transactions: u64,
    /// The first.
    pub first_tx: B256,
    /// When that was, in seconds since the Unix epoch.
    pub first_time: u64,
    /// When the last was.
    pub last_time: u64,
}

/// One asset was turned into another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// Where.
    pub tx: B256,
    /// Whose.
    pub account: Address,
    /// Followed value that went in.
    pub paid: (Asset, U256),
    /// Followed value that came out.
    pub got: (Asset, U256),
    /// Who paid it out.
    pub with: BTreeSet<Address>,
}

/// The result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FundGraph {
    /// What was asked.
    pub tracer: Tracer,
    /// Accounts, with the first.
    pub nodes: BTreeMap<Address, FundNode>,
    /// Payments: who, to whom, of what.
    pub edges: BTreeMap<(Address, Address, Asset), FundEdge>,
    /// Exchanges, in order.
    pub exchanges: Vec<Exchange>,
    /// What went to accounts beyond the number that was asked for.
    pub left_out: BTreeMap<Asset, U256>,
    /// What the reader should know.
    pub notes: Vec<String>,
    more_exchanges: u64,
}

impl FundGraph {
    pub(super) fn new(tracer: Tracer, label: Option<(LabelKind, &str)>) -> FundGraph {
        let root = FundNode {
            label: label.map(|(kind, name)| (kind, name.to_owned())),
            ..FundNode::default()
        };
        FundGraph {
            tracer,
            nodes: BTreeMap::from([(tracer.root, root)]),
            edges: BTreeMap::new(),
            exchanges: Vec::new(),
            left_out: BTreeMap::new(),
            notes: Vec::new(),
            more_exchanges: 0,
        }
    }

    /// Adds what the reader should know.
    pub fn note(&mut self, note: String) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// How many accounts it has, with the first.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether nothing was followed.
    pub fn is_empty(&self) -> bool {
        self.edges.is_empty()
    }

    /// Where it ended, in sums per kind of ending and asset.
    pub fn endings(&self) -> BTreeMap<Ending, BTreeMap<Asset, U256>> {
        let mut sums: BTreeMap<Ending, BTreeMap<Asset, U256>> = BTreeMap::new();
        for node in self.nodes.values() {
            let Some(ending) = node.ending else { continue };
            let amounts = if ending == Ending::Holds { &node.holds } else { &node.received };
            for (asset, amount) in amounts {
                let sum = sums.entry(ending).or_default().entry(*asset).or_default();
                *sum = sum.saturating_add(*amount);
            }
        }
        sums
    }

    pub(super) fn has(&self, address: &Address) -> bool {
        self.nodes.contains_key(address)
    }

    pub(super) fn received(&self, address: &Address) -> impl Iterator<Item = (Asset, U256)> {
        let node = self.nodes.get(address);
        node.into_iter().flat_map(|node| node.received.iter().map(|(asset, sum)| (*asset, *sum)))
    }

    pub(super) fn receive(
        &mut self,
        address: Address,
        hops: u16,
        followed: &BTreeMap<Asset, U256>,
        label: Option<(LabelKind, &str)>,
    ) {
        let node = self.nodes.entry(address).or_insert_with(|| FundNode {
            hops,
            label: label.map(|(kind, name)| (kind, name.to_owned())),
            ..FundNode::default()
        });
        node.hops = node.hops.min(hops);
        for (asset, amount) in followed {
            let sum = node.received.entry(*asset).or_default();
            *sum = sum.saturating_add(*amount);
        }
    }

    pub(super) fn end(&mut self, address: Address, ending: Ending) {
        if let Some(node) = self.nodes.get_mut(&address) {
            node.ending = Some(ending);
        }
    }

    pub(super) fn edge(
        &mut self,
        from: Address,
        to: Address,
        asset: Asset,
        amount: U256,
        movement: &Movement,
    ) {
        let edge = self.edges.entry((from, to, asset)).or_insert_with(|| FundEdge {
            amount: U256::ZERO,
            transactions: 0,
            first_tx: movement.tx,
            first_time: movement.time,
            last_time: movement.time,
        });
        edge.amount = edge.amount.saturating_add(amount);
        edge.transactions += 1;
        if movement.time < edge.first_time {
            (edge.first_tx, edge.first_time) = (movement.tx, movement.time);
        }
        edge.last_time = edge.last_time.max(movement.time);
    }

    /// Takes out payments to an account that found no place.
    pub(super) fn unlink(&mut self, address: Address) {
        self.edges.retain(|(_, to, _), _| *to != address);
    }

    pub(super) fn exchange(&mut self, exchange: Exchange) {
        if self.exchanges.len() < MAX_EXCHANGES {
            self.exchanges.push(exchange);
        } else {
            self.more_exchanges += 1;
        }
    }

    pub(super) fn leave_out(&mut self, asset: Asset, amount: U256) {
        let sum = self.left_out.entry(asset).or_default();
        *sum = sum.saturating_add(amount);
    }

    pub(super) fn hold(&mut self, address: Address, asset: Asset, amount: U256) {
        if let Some(node) = self.nodes.get_mut(&address).filter(|_| !amount.is_zero()) {
            node.holds.insert(asset, amount);
        }
    }

    pub(super) fn finish(&mut self) {
        for node in self.nodes.values_mut() {
            if node.ending.is_none() && !node.holds.is_empty() {
                node.ending = Some(Ending::Holds);
            }
        }
        if self.more_exchanges > 0 {
            self.note(format!("{} more exchanges are not listed", self.more_exchanges));
        }
        if !self.left_out.is_empty() {
            self.note("some accounts are left out: more than were asked for".to_owned());
        }
    }

    /// As JSON; amounts are decimal strings in smallest units, addresses lower-case hex, times in
    /// seconds since the Unix epoch.
    pub fn to_json(&self) -> Value {
        let nodes: Vec<Value> = self
            .nodes
            .iter()
            .map(|(address, node)| {
                json!({
                    "address": hex(address),
                    "hops": node.hops,
                    "label": node.label.as_ref().map(|(kind, name)| json!({"kind": kind, "name": name})),
                    "received": amounts(&node.received),
                    "holds": amounts(&node.holds),
                    "ending": node.ending.map(Ending::name),
                })
            })
            .collect();
        let edges: Vec<Value> = self
            .edges
            .iter()
            .map(|((from, to, asset), edge)| {
                json!({
                    "from": hex(from),
                    "to": hex(to),
                    "asset": asset,
                    "amount": edge.amount.to_string(),
                    "transactions": edge.transactions,
                    "first_tx": edge.first_tx,
                    "first_time": edge.first_time,
                    "last_time": edge.last_time,
                })
            })
            .collect();
        let exchanges: Vec<Value> = self
            .exchanges
            .iter()
            .map(|exchange| {
                json!({
                    "tx": exchange.tx,
                    "account": hex(&exchange.account),
                    "paid": {"asset": exchange.paid.0, "amount": exchange.paid.1.to_string()},
                    "got": {"asset": exchange.got.0, "amount": exchange.got.1.to_string()},
                    "with": exchange.with.iter().map(hex).collect::<Vec<_>>(),
                })
            })
            .collect();
        let endings: Map<String, Value> = self
            .endings()
            .into_iter()
            .map(|(ending, sums)| (ending.name().to_owned(), amounts(&sums)))
            .collect();
        json!({
            "root": hex(&self.tracer.root),
            "direction": self.tracer.direction,
            "method": match self.tracer.method { Method::Haircut => "haircut", Method::Fifo => "fifo" },
            "nodes": nodes,
            "edges": edges,
            "exchanges": exchanges,
            "endings": endings,
            "left_out": amounts(&self.left_out),
            "notes": self.notes,
        })
    }

    /// As a drawing for Graphviz.
    pub fn to_dot(&self) -> String {
        let mut text = String::from("digraph funds {\n  rankdir=LR;\n  node [shape=box];\n");
        for (address, node) in &self.nodes {
            let mut label = self.short(address);
            if let Some(ending) = node.ending {
                let _ = write!(label, "\\n{}", ending.name());
            }
            let style = match node.ending {
                _ if *address == self.tracer.root => ", style=filled, fillcolor=lightblue",
                Some(Ending::Label(_)) => ", style=filled, fillcolor=lightpink",
                Some(Ending::Holds) => ", style=filled, fillcolor=lightyellow",
                _ => "",
            };
            let _ = writeln!(text, "  \"{}\" [label=\"{label}\"{style}];", hex(address));
        }
        for ((from, to, asset), edge) in &self.edges {
            let (from, to) =
                if self.tracer.direction == Direction::Forward { (from, to) } else { (to, from) };
            let _ = writeln!(
                text,
                "  \"{}\" -> \"{}\" [label=\"{} {}\"];",
                hex(from),
                hex(to),
                shown(*asset, edge.amount),
                self.asset_name(*asset)
            );
        }
        text.push_str("}\n");
        text
    }

    /// As a tree for people: each account under who paid it first, largest payments first.
    pub fn to_tree(&self) -> String {
        let mut children: HashMap<Address, Vec<(Address, Asset, &FundEdge)>> = HashMap::new();
        for ((from, to, asset), edge) in &self.edges {
            children.entry(*from).or_default().push((*to, *asset, edge));
        }
        for payments in children.values_mut() {
            payments.sort_by_key(|(to, asset, edge)| (*asset, std::cmp::Reverse(edge.amount), *to));
        }
        let mut text = format!("{}\n", self.short(&self.tracer.root));
        let mut opened = BTreeSet::from([self.tracer.root]);
        // Depth first with a stack of our own: chains of payments are long.
        let mut stack: Vec<(usize, Address, Asset, &FundEdge)> = Vec::new();
        let push = |stack: &mut Vec<_>, depth: usize, of: &Address| {
            for (to, asset, edge) in children.get(of).into_iter().flatten().rev() {
                stack.push((depth, *to, *asset, *edge));
            }
        };
        push(&mut stack, 1, &self.tracer.root);
        let mut lines = 0;
        while let Some((depth, to, asset, edge)) = stack.pop() {
            lines += 1;
            if lines > MAX_LINES {
                text.push_str("… (more in the JSON)\n");
                break;
            }
            let again = !opened.insert(to);
            let arrow = if self.tracer.direction == Direction::Forward { "→" } else { "←" };
            let _ = write!(
                text,
                "{:indent$}{arrow} {} {}  {}",
                "",
                shown(asset, edge.amount),
                self.asset_name(asset),
                self.short(&to),
                indent = depth * 2
            );
            if edge.transactions > 1 {
                let _ = write!(text, "  ({} payments)", edge.transactions);
            }
            if let Some(ending) = self.nodes.get(&to).and_then(|node| node.ending) {
                let _ = write!(text, "  [{}]", ending.name());
            }
            if again && children.contains_key(&to) {
                text.push_str("  (see above)");
            }
            text.push('\n');
            if !again {
                push(&mut stack, depth + 1, &to);
            }
        }
        for exchange in self.exchanges.iter().take(50) {
            let with: Vec<String> =
                exchange.with.iter().take(3).map(|one| self.short(one)).collect();
            let _ = writeln!(
                text,
                "exchange: {} gave {} {} for {} {} with {}",
                self.short(&exchange.account),
                shown(exchange.paid.0, exchange.paid.1),
                self.asset_name(exchange.paid.0),
                shown(exchange.got.0, exchange.got.1),
                self.asset_name(exchange.got.0),
                with.join(", ")
            );
        }
        for (ending, sums) in self.endings() {
            for (asset, amount) in sums {
                let _ = writeln!(
                    text,
                    "{}: {} {}",
                    ending.name(),
                    shown(asset, amount),
                    self.asset_name(asset)
                );
            }
        }
        for note in &self.notes {
            let _ = writeln!(text, "note: {note}");
        }
        text
    }

    fn short(&self, address: &Address) -> String {
        let known = self.nodes.get(address).and_then(|node| node.label.as_ref());
        match known {
            Some((kind, name)) if !name.is_empty() => {
                format!("{} ({}: {})", hex(address), kind.name(), plain(name))
            }
            _ => hex(address),
        }
    }

    fn asset_name(&self, asset: Asset) -> String {
        match asset {
            Asset::Native => "native".to_owned(),
            Asset::Token(token) => hex(&token),
        }
    }
}

/// Native amounts in whole coins (18 decimals); tokens in smallest units, as their decimals are not
/// known here.
fn shown(asset: Asset, amount: U256) -> String {
    match asset {
        Asset::Native => {
            let text = format!("{:0>19}", amount.to_string());
            let (whole, rest) = text.split_at(text.len() - 18);
            let rest = rest.trim_end_matches('0');
            if rest.is_empty() { whole.to_owned() } else { format!("{whole}.{rest}") }
        }
        Asset::Token(_) => amount.to_string(),
    }
}

/// A name without what would break a quoted text or a terminal.
fn plain(name: &str) -> String {
    name.chars().map(|c| if c.is_control() || c == '"' || c == '\\' { '_' } else { c }).collect()
}

fn hex(address: &Address) -> String {
    format!("{address:#x}")
}

fn amounts(sums: &BTreeMap<Asset, U256>) -> Value {
    let map: Map<String, Value> =
        sums.iter().map(|(asset, amount)| (asset.name(), amount.to_string().into())).collect();
    Value::Object(map)
}
