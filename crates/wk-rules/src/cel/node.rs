//! A checked expression: names are slots, literals are values, every operator's types fit.

use std::sync::Arc;

use regex::Regex;

use super::ast::{Operator, Span};
use super::builtins::Builtin;
use super::{Key, Type, Value};

#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) span: Span,
    pub(super) kind: NodeKind,
}

#[derive(Clone, Debug)]
pub(super) enum NodeKind {
    Const(Value),
    /// A variable of the scope.
    Variable(usize),
    /// A field below a variable of the scope.
    Path {
        slot: usize,
        fields: Box<[usize]>,
    },
    /// A macro's variable, counted from the outermost.
    Local(usize),
    /// A field of an object that is a value; `null` of `null`.
    Field {
        operand: Box<Node>,
        index: usize,
    },
    /// `map.key`
    Entry {
        operand: Box<Node>,
        key: Key,
    },
    /// `has(map.key)`
    HasEntry {
        operand: Box<Node>,
        key: Key,
    },
    /// `has(object.field)`
    IsPresent(Box<Node>),
    Index {
        operand: Box<Node>,
        index: Box<Node>,
    },
    List(Box<[Node]>),
    Map(Box<[(Node, Node)]>),
    Not(Box<Node>),
    Negate(Box<Node>),
    All(Box<[Node]>),
    Any(Box<[Node]>),
    Choice(Box<[Node; 3]>),
    Equal {
        left: Box<Node>,
        right: Box<Node>,
        negated: bool,
    },
    Order {
        operator: Operator,
        left: Box<Node>,
        right: Box<Node>,
    },
    In {
        needle: Box<Node>,
        haystack: Box<Node>,
    },
    Arithmetic {
        operator: Operator,
        left: Box<Node>,
        right: Box<Node>,
    },
    Builtin {
        builtin: &'static Builtin,
        arguments: Box<[Node]>,
    },
    Matches {
        text: Box<Node>,
        pattern: Arc<Regex>,
    },
    /// `value.orValue(fallback)`
    OrValue(Box<[Node; 2]>),
    /// A function of the scope, with the types that its arguments must have.
    Host {
        number: usize,
        arguments: Box<[Node]>,
        params: Box<[Type]>,
    },
    Macro(Box<Macro>),
}

/// `range.kind(local, condition, transform)`
#[derive(Clone, Debug)]
pub(super) struct Macro {
    pub(super) kind: MacroKind,
    pub(super) range: Node,
    pub(super) condition: Option<Node>,
    pub(super) transform: Option<Node>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MacroKind {
    All,
    Exists,
    ExistsOne,
    Filter,
    Map,
}

impl MacroKind {
    pub(super) fn named(name: &str) -> Option<MacroKind> {
        Some(match name {
            "all" => MacroKind::All,
            "exists" => MacroKind::Exists,
            "exists_one" | "existsOne" => MacroKind::ExistsOne,
            "filter" => MacroKind::Filter,
            "map" => MacroKind::Map,
            _ => return None,
        })
    }
}

impl Node {
    pub(super) fn constant(&self) -> Option<&Value> {
        match &self.kind {
            NodeKind::Const(value) => Some(value),
            _ => None,
        }
    }

    /// The parts it is made of.
    pub(super) fn children(&self) -> Vec<&Node> {
        match &self.kind {
            NodeKind::Const(_)
            | NodeKind::Variable(_)
            | NodeKind::Path { .. }
            | NodeKind::Local(_) => Vec::new(),
            NodeKind::Field { operand, .. }
            | NodeKind::Entry { operand, .. }
            | NodeKind::HasEntry { operand, .. }
            | NodeKind::IsPresent(operand)
            | NodeKind::Not(operand)
            | NodeKind::Negate(operand)
            | NodeKind::Matches { text: operand, .. } => vec![operand],
            NodeKind::Index { operand: left, index: right }
            | NodeKind::Equal { left, right, .. }
            | NodeKind::Order { left, right, .. }
            | NodeKind::In { needle: left, haystack: right }
            | NodeKind::Arithmetic { left, right, .. } => vec![left, right],
            NodeKind::List(nodes)
            | NodeKind::All(nodes)
            | NodeKind::Any(nodes)
            | NodeKind::Builtin { arguments: nodes, .. }
            | NodeKind::Host { arguments: nodes, .. } => nodes.iter().collect(),
            NodeKind::Map(entries) => {
                entries.iter().flat_map(|(key, value)| [key, value]).collect()
            }
            NodeKind::Choice(nodes) => nodes.iter().collect(),
            NodeKind::OrValue(nodes) => nodes.iter().collect(),
            NodeKind::Macro(node) => {
                std::iter::once(&node.range).chain(&node.condition).chain(&node.transform).collect()
            }
        }
    }

    /// True when its value follows from its parts alone and is cheap to have.
    pub(super) fn is_pure(&self) -> bool {
        match &self.kind {
            NodeKind::Const(_)
            | NodeKind::Variable(_)
            | NodeKind::Path { .. }
            | NodeKind::Local(_)
            | NodeKind::All(_)
            | NodeKind::Any(_)
            | NodeKind::Choice(_)
            | NodeKind::OrValue(_)
            | NodeKind::Host { .. }
            | NodeKind::Macro(_) => false,
            NodeKind::Field { .. }
            | NodeKind::Entry { .. }
            | NodeKind::HasEntry { .. }
            | NodeKind::IsPresent(_)
            | NodeKind::Index { .. }
            | NodeKind::List(_)
            | NodeKind::Map(_)
            | NodeKind::Not(_)
            | NodeKind::Negate(_)
            | NodeKind::Equal { .. }
            | NodeKind::Order { .. }
            | NodeKind::In { .. }
            | NodeKind::Arithmetic { .. }
            | NodeKind::Builtin { .. }
            | NodeKind::Matches { .. } => true,
        }
    }
}
