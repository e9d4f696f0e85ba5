//! What a built-in function is: a name, the types it takes, and what runs.

use std::fmt;

use super::table::BUILTINS;
use super::{Fault, Type, Value};

/// A built-in function, for those who list them.
#[derive(Debug)]
pub struct Builtin {
    /// Its name.
    pub name: &'static str,
    /// One sentence on what it gives.
    pub doc: &'static str,
    pub(super) style: Style,
    pub(super) overloads: &'static [Overload],
    pub(super) run: fn(&[Value]) -> Result<Value, Fault>,
}

/// How it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// `abs(x)`
    Function,
    /// `x.trim()`
    Method,
    /// `size(x)` or `x.size()`
    Both,
}

/// One set of argument types.
#[derive(Debug)]
pub(super) struct Overload {
    pub(super) params: &'static [Shape],
    pub(super) output: Shape,
}

/// A type as the table can write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Bool,
    Int,
    Double,
    String,
    Bytes,
    Address,
    Timestamp,
    Duration,
    Strings,
    Ints,
    Doubles,
    /// A list of anything; as output, the type of the first argument.
    List,
    Map,
    Any,
}

impl Shape {
    pub(super) fn accepts(self, ty: &Type) -> bool {
        match (self, ty.required()) {
            (_, Type::Dyn)
            | (Shape::Any, _)
            | (Shape::List, Type::List(_))
            | (Shape::Map, Type::Map(..)) => true,
            (Shape::Strings, Type::List(item)) => Shape::String.accepts(item),
            (Shape::Ints, Type::List(item)) => Shape::Int.accepts(item),
            (Shape::Doubles, Type::List(item)) => Shape::Double.accepts(item),
            (shape, ty) => shape.simple().as_ref() == Some(ty),
        }
    }

    /// The type, when it is one.
    pub(super) fn simple(self) -> Option<Type> {
        Some(match self {
            Shape::Bool => Type::Bool,
            Shape::Int => Type::Int,
            Shape::Double => Type::Double,
            Shape::String => Type::String,
            Shape::Bytes => Type::Bytes,
            Shape::Address => Type::Address,
            Shape::Timestamp => Type::Timestamp,
            Shape::Duration => Type::Duration,
            Shape::Strings => Type::list(Type::String),
            Shape::Ints => Type::list(Type::Int),
            Shape::Doubles => Type::list(Type::Double),
            Shape::List | Shape::Map | Shape::Any => return None,
        })
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, self.simple()) {
            (_, Some(ty)) => ty.fmt(f),
            (Shape::List, None) => f.write_str("list"),
            (Shape::Map, None) => f.write_str("map"),
            (_, None) => f.write_str("any value"),
        }
    }
}

impl Builtin {
    /// How it may be written, such as `string.startsWith(string)`, and the result's type.
    pub fn signatures(&self) -> Vec<String> {
        self.overloads
            .iter()
            .map(|overload| format!("{} -> {}", self.form(overload), overload.output))
            .collect()
    }

    /// How one overload is written.
    pub(super) fn form(&self, overload: &Overload) -> String {
        let params: Vec<String> = overload.params.iter().map(Shape::to_string).collect();
        match (self.style, params.split_first()) {
            (Style::Method, Some((receiver, rest))) => {
                format!("{receiver}.{}({})", self.name, rest.join(", "))
            }
            _ => format!("{}({})", self.name, params.join(", ")),
        }
    }
}

/// All built-in functions, by name. The macros `has`, `all`, `exists`, `exists_one`, `map` and
/// `filter` are part of the syntax and not among them.
pub fn builtins() -> &'static [Builtin] {
    BUILTINS
}

pub(super) fn find(name: &str) -> Option<&'static Builtin> {
    BUILTINS.iter().find(|builtin| builtin.name == name)
}
