//! Types of an expression, before it runs: every name is known, every operator's operands fit.
//!
//! A literal takes its type from its surroundings: `to == "0x…"` reads the text as an address
//! because `to` is one. What may be `null` is allowed everywhere and checked when it runs, because
//! `x != null && x > 1` cannot be told from `x > 1` by types alone.

mod calls;
mod literals;
mod macros;
mod names;
mod operators;

use super::ast::{Expr, ExprKind, Span};
use super::eval::{Nothing, eval};
use super::literal::Malformed;
use super::node::{Node, NodeKind};
use super::program::BUDGET;
use super::{CompileError, Fault, Type, TypeEnv, Value};

/// The checked expression and its type, which is `expected` if that is given.
pub(super) fn check(
    expr: &Expr,
    text: &str,
    env: &TypeEnv,
    expected: Option<&Type>,
) -> Result<(Node, Type), CompileError> {
    let mut checker = Checker { text, env, locals: Vec::new() };
    let typed = checker.check(expr, expected)?;
    if let Some(expected) = expected
        && !fits(&typed.ty, expected)
    {
        return Err(checker.not_expected(expr, &typed.ty, expected));
    }
    Ok((typed.node, typed.ty))
}

struct Checker<'a> {
    text: &'a str,
    env: &'a TypeEnv,
    /// Names and types of the macros' variables, outermost first.
    locals: Vec<(String, Type)>,
}

/// A checked part and its type.
struct Typed {
    node: Node,
    ty: Type,
}

type Checked = Result<Typed, CompileError>;

impl Checker<'_> {
    /// Checks `expr`. A literal in it becomes a `wish` if it can.
    fn check(&mut self, expr: &Expr, wish: Option<&Type>) -> Checked {
        match &expr.kind {
            ExprKind::Null
            | ExprKind::Bool(_)
            | ExprKind::Int(_)
            | ExprKind::Double(_)
            | ExprKind::String(_)
            | ExprKind::Bytes(_) => self.literal(expr, wish),
            ExprKind::Name(name) => self.name(expr, name),
            ExprKind::Field { operand, name } => self.field(expr, operand, name),
            ExprKind::Index { operand, index } => self.index(expr, operand, index),
            ExprKind::Call { function, arguments } => self.call(expr, function, arguments),
            ExprKind::Method { receiver, function, arguments } => {
                self.method(expr, receiver, function, arguments, wish)
            }
            ExprKind::List(items) => self.list(expr, items, wish),
            ExprKind::Map(entries) => self.map(expr, entries, wish),
            ExprKind::Not(operand) => {
                let node = self.condition(operand, "`!` turns true and false around")?;
                self.finish(expr, NodeKind::Not(Box::new(node)), Type::Bool)
            }
            ExprKind::Negate(operand) => self.negate(expr, operand, wish),
            ExprKind::All(operands) => {
                let nodes = self.conditions(operands, "`&&` joins conditions")?;
                self.finish(expr, NodeKind::All(nodes), Type::Bool)
            }
            ExprKind::Any(operands) => {
                let nodes = self.conditions(operands, "`||` joins conditions")?;
                self.finish(expr, NodeKind::Any(nodes), Type::Bool)
            }
            ExprKind::Binary { operator, left, right } => self.binary(expr, *operator, left, right),
            ExprKind::Choice { condition, then, otherwise } => {
                self.choice(expr, condition, [then, otherwise], wish)
            }
        }
    }

    fn conditions(&mut self, operands: &[Expr], role: &str) -> Result<Box<[Node]>, CompileError> {
        operands.iter().map(|operand| self.condition(operand, role)).collect()
    }

    /// A part that has to be true or false; `role` says why.
    fn condition(&mut self, expr: &Expr, role: &str) -> Result<Node, CompileError> {
        let typed = self.check(expr, Some(&Type::Bool))?;
        if fits(&typed.ty, &Type::Bool) {
            return Ok(typed.node);
        }
        let message = format!("{role}; this is {}", with_article(&typed.ty));
        Err(fault(expr.span, message, self.how_to_ask(expr, &typed.ty)))
    }

    fn choice(
        &mut self,
        expr: &Expr,
        condition: &Expr,
        [then, otherwise]: [&Expr; 2],
        wish: Option<&Type>,
    ) -> Checked {
        let condition = self.condition(condition, "a choice needs a condition before `?`")?;
        let (then_typed, otherwise_typed) = self.pair(then, otherwise, wish)?;
        let Some(ty) = join(&then_typed.ty, &otherwise_typed.ty) else {
            let message =
                format!("one branch gives {}, the other {}", then_typed.ty, otherwise_typed.ty);
            let hint = "both branches of a choice need one type".to_owned();
            return Err(fault(then.span.to(otherwise.span), message, Some(hint)));
        };
        let parts = Box::new([condition, then_typed.node, otherwise_typed.node]);
        self.finish(expr, NodeKind::Choice(parts), ty)
    }

    /// Two parts that should be of one type: a literal follows the other.
    fn pair(
        &mut self,
        left: &Expr,
        right: &Expr,
        wish: Option<&Type>,
    ) -> Result<(Typed, Typed), CompileError> {
        if left.is_literal() && !right.is_literal() {
            let right = self.check(right, wish)?;
            let left = self.check(left, Some(wish.unwrap_or(&right.ty)))?;
            return Ok((left, right));
        }
        let left = self.check(left, wish)?;
        let right = self.check(right, Some(wish.unwrap_or(&left.ty)))?;
        Ok((left, right))
    }

    fn negate(&mut self, expr: &Expr, operand: &Expr, wish: Option<&Type>) -> Checked {
        let operand_typed = self.check(operand, wish)?;
        let ty = operand_typed.ty.required().clone();
        if !matches!(ty, Type::Int | Type::Double | Type::Duration | Type::Dyn) {
            let message = format!("`-` needs a number; this is {}", with_article(&ty));
            return Err(fault(operand.span, message, None));
        }
        self.finish(expr, NodeKind::Negate(Box::new(operand_typed.node)), ty)
    }

    /// A part at its place. What is known at load becomes a value now, so that whatever is wrong
    /// with it is told at load.
    fn finish(&self, expr: &Expr, kind: NodeKind, ty: Type) -> Checked {
        let node = Node { span: expr.span, kind };
        let children = node.children();
        if !node.is_pure() || !children.iter().all(|child| child.constant().is_some()) {
            return Ok(Typed { node, ty });
        }
        match eval(&node, self.text, &Nothing, BUDGET) {
            Ok(value) => {
                // A literal list is asked `in` over and over.
                let value = match value {
                    Value::List(list) => Value::indexed_list(list.items().to_vec()),
                    value => value,
                };
                Ok(Typed { node: Node { span: expr.span, kind: NodeKind::Const(value) }, ty })
            }
            // Not a mistake, only much work: it is left for later.
            Err(error) if matches!(error.fault, Fault::TooCostly { .. }) => Ok(Typed { node, ty }),
            Err(error) => Err(CompileError {
                offset: error.offset,
                len: error.len,
                message: match &error.fault {
                    Fault::Null { .. } => "a value is needed here, not null".to_owned(),
                    other => other.to_string(),
                },
                hint: match error.fault {
                    Fault::Refused { hint, .. } => hint,
                    _ => None,
                },
            }),
        }
    }

    fn not_expected(&self, expr: &Expr, ty: &Type, expected: &Type) -> CompileError {
        if *expected == Type::Bool {
            let message = format!("a condition is true or false; this is {}", with_article(ty));
            return fault(expr.span, message, self.how_to_ask(expr, ty));
        }
        let message = format!("{} is needed here; this is {}", with_article(expected), ty);
        fault(expr.span, message, None)
    }

    /// How to make a condition of what is none.
    fn how_to_ask(&self, expr: &Expr, ty: &Type) -> Option<String> {
        let written = self.written(expr.span);
        let shown = if written.len() <= 40 { written } else { "value" };
        Some(match ty.required() {
            Type::Int => format!("compare it, for example {shown} > 0"),
            Type::Double => format!("compare it, for example {shown} > 0.0"),
            Type::String if matches!(expr.kind, ExprKind::String(_)) => {
                "a condition is written without quotes".to_owned()
            }
            Type::String => format!("compare it, for example {shown} == \"text\""),
            Type::Address => format!("compare it, for example {shown} == \"0x…\""),
            Type::Bytes | Type::List(_) | Type::Map(..) => {
                format!("ask for its size, for example {shown}.size() > 0")
            }
            Type::Duration => format!("compare it, for example {shown} > duration(\"10m\")"),
            _ => format!("compare it, for example {shown} == …"),
        })
    }

    fn written(&self, span: Span) -> &str {
        &self.text[span.start..span.end]
    }
}

/// Whether a value of type `actual` may stand where `wanted` is needed. What may be `null` may:
/// that is checked when it runs.
fn fits(actual: &Type, wanted: &Type) -> bool {
    match (actual, wanted) {
        (Type::Dyn, _) | (_, Type::Dyn) => true,
        (Type::Null, wanted) => wanted.is_optional(),
        (Type::Optional(actual), wanted) => fits(actual, wanted.required()),
        (actual, Type::Optional(wanted)) => fits(actual, wanted),
        (Type::List(actual), Type::List(wanted)) => fits(actual, wanted),
        (Type::Map(key, value), Type::Map(wanted_key, wanted_value)) => {
            fits(key, wanted_key) && fits(value, wanted_value)
        }
        (actual, wanted) => actual == wanted,
    }
}

/// The type of what may be of either type.
fn join(a: &Type, b: &Type) -> Option<Type> {
    match (a, b) {
        (Type::Dyn, _) | (_, Type::Dyn) => Some(Type::Dyn),
        (Type::Null, other) | (other, Type::Null) => Some(Type::optional(other.clone())),
        (Type::Optional(a), b) => join(a, b.required()).map(Type::optional),
        (a, Type::Optional(b)) => join(a, b).map(Type::optional),
        (Type::List(a), Type::List(b)) => join(a, b).map(Type::list),
        (Type::Map(a_key, a), Type::Map(b_key, b)) => {
            Some(Type::map(join(a_key, b_key)?, join(a, b)?))
        }
        (a, b) => (a == b).then(|| a.clone()),
    }
}

/// Whether `==` makes sense between the types.
fn comparable(a: &Type, b: &Type) -> bool {
    match (a, b) {
        (Type::Dyn, _) | (_, Type::Dyn) | (Type::Null, Type::Null) => true,
        (Type::Null, other) | (other, Type::Null) => other.is_optional(),
        (Type::Optional(a), b) => comparable(a, b.required()),
        (a, Type::Optional(b)) => comparable(a, b),
        (Type::Int, Type::Double) | (Type::Double, Type::Int) => true,
        (Type::List(a), Type::List(b)) => comparable(a, b),
        (Type::Map(a_key, a), Type::Map(b_key, b)) => comparable(a_key, b_key) && comparable(a, b),
        (a, b) => a == b,
    }
}

fn with_article(ty: &Type) -> String {
    let name = ty.to_string();
    let article = match ty {
        Type::Null | Type::Bytes | Type::Dyn | Type::Object(_) => "",
        _ if name.starts_with(['a', 'e', 'i', 'o', 'u']) => "an ",
        _ => "a ",
    };
    format!("{article}{name}")
}

fn fault(span: Span, message: impl Into<String>, hint: Option<String>) -> CompileError {
    CompileError { offset: span.start, len: span.end - span.start, message: message.into(), hint }
}

fn malformed(span: Span, malformed: Malformed) -> CompileError {
    fault(span, malformed.message, malformed.hint)
}
