//! Literals, whose type may follow from their surroundings.

use std::sync::Arc;

use super::{Checked, Checker, Typed, fault, join, malformed};
use crate::cel::ast::{Expr, ExprKind, IntLiteral};
use crate::cel::literal;
use crate::cel::node::{Node, NodeKind};
use crate::cel::{CompileError, Int, Type, Value};

impl Checker<'_> {
    pub(super) fn literal(&self, expr: &Expr, wish: Option<&Type>) -> Checked {
        let wish = wish.map(Type::required);
        let (value, ty) = match &expr.kind {
            ExprKind::Null => (Value::Null, Type::Null),
            ExprKind::Bool(value) => (Value::Bool(*value), Type::Bool),
            ExprKind::Int(literal) => int_literal(expr, literal, wish)?,
            ExprKind::Double(text) => match (wish, literal::whole_double(text)) {
                (Some(Type::Int), Some(whole)) => (Value::Int(whole), Type::Int),
                _ => (Value::Double(double(text)), Type::Double),
            },
            ExprKind::String(text) => string_literal(expr, text, wish)?,
            ExprKind::Bytes(bytes) => (Value::Bytes(bytes.clone().into()), Type::Bytes),
            _ => unreachable!("only literals are handed in"),
        };
        Ok(Typed { node: Node { span: expr.span, kind: NodeKind::Const(value) }, ty })
    }

    pub(super) fn list(&mut self, expr: &Expr, items: &[Expr], wish: Option<&Type>) -> Checked {
        let wish = match wish.map(Type::required) {
            // One number with a fraction makes doubles of all: [1, 2.5].
            _ if items.iter().any(has_fraction) => Some(Type::Double),
            Some(Type::List(item)) => Some(Type::clone(item)),
            _ => None,
        };
        let mut nodes = Vec::with_capacity(items.len());
        let mut ty: Option<Type> = None;
        for item in items {
            let typed = self.check(item, wish.as_ref().or(ty.as_ref()))?;
            ty = Some(match ty {
                None => typed.ty,
                Some(before) => join(&before, &typed.ty).ok_or_else(|| {
                    let message = format!("this list mixes {before} and {}", typed.ty);
                    fault(item.span, message, Some("a list's items have one type".to_owned()))
                })?,
            });
            nodes.push(typed.node);
        }
        // An empty list goes with any.
        let ty = Type::list(ty.or(wish).unwrap_or(Type::Dyn));
        self.finish(expr, NodeKind::List(nodes.into()), ty)
    }

    pub(super) fn map(
        &mut self,
        expr: &Expr,
        entries: &[(Expr, Expr)],
        wish: Option<&Type>,
    ) -> Checked {
        let (wished_key, wished_value) = match wish.map(Type::required) {
            Some(Type::Map(key, value)) => (Some(Type::clone(key)), Some(Type::clone(value))),
            _ => (None, None),
        };
        let has_fractions = entries.iter().any(|(_, value)| has_fraction(value));
        let wished_value = if has_fractions { Some(Type::Double) } else { wished_value };
        let mut nodes = Vec::with_capacity(entries.len());
        let mut types: Option<(Type, Type)> = None;
        for (key, value) in entries {
            let so_far = types.as_ref();
            let key_typed = self.check(key, wished_key.as_ref().or(so_far.map(|(key, _)| key)))?;
            let value_typed =
                self.check(value, wished_value.as_ref().or(so_far.map(|(_, value)| value)))?;
            if !is_key(&key_typed.ty) {
                let message = format!("{} cannot be a key", key_typed.ty);
                let hint = "keys are bool, int, string, bytes or address".to_owned();
                return Err(fault(key.span, message, Some(hint)));
            }
            types = Some(match types {
                None => (key_typed.ty, value_typed.ty),
                Some((key_type, value_type)) => {
                    let mixed = |span, what: &str, a: &Type, b: &Type| {
                        let message = format!("this map's {what} mix {a} and {b}");
                        fault(span, message, None)
                    };
                    (
                        join(&key_type, &key_typed.ty)
                            .ok_or_else(|| mixed(key.span, "keys", &key_type, &key_typed.ty))?,
                        join(&value_type, &value_typed.ty).ok_or_else(|| {
                            mixed(value.span, "values", &value_type, &value_typed.ty)
                        })?,
                    )
                }
            });
            nodes.push((key_typed.node, value_typed.node));
        }
        let (key, value) =
            types.unwrap_or((wished_key.unwrap_or(Type::Dyn), wished_value.unwrap_or(Type::Dyn)));
        let ty = Type::Map(Arc::new(key), Arc::new(value));
        self.finish(expr, NodeKind::Map(nodes.into()), ty)
    }
}

fn has_fraction(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Double(text) => literal::whole_double(text).is_none(),
        ExprKind::Negate(operand) => has_fraction(operand),
        _ => false,
    }
}

pub(super) fn is_key(ty: &Type) -> bool {
    matches!(
        ty.required(),
        Type::Bool | Type::Int | Type::String | Type::Bytes | Type::Address | Type::Dyn
    )
}

fn int_literal(
    expr: &Expr,
    literal: &IntLiteral,
    wish: Option<&Type>,
) -> Result<(Value, Type), CompileError> {
    let number = Int::from(literal.value);
    match (wish, &literal.hex) {
        // `0x0` and the like are left to be compared with as a number, which is then refused with
        // its own hint.
        (Some(Type::Address), Some(digits)) if digits.len() > 8 => {
            let address = literal::address(&format!("0x{digits}"))
                .map_err(|wrong| malformed(expr.span, wrong))?;
            Ok((Value::Address(address), Type::Address))
        }
        (Some(Type::Bytes), Some(digits)) => {
            let bytes = literal::hex_bytes(&format!("0x{digits}"))
                .map_err(|wrong| malformed(expr.span, wrong))?;
            Ok((Value::Bytes(bytes), Type::Bytes))
        }
        (Some(Type::Double), _) if Int::from_f64(number.to_f64()) == Some(number) => {
            Ok((Value::Double(number.to_f64()), Type::Double))
        }
        _ => Ok((Value::Int(number), Type::Int)),
    }
}

fn string_literal(
    expr: &Expr,
    text: &str,
    wish: Option<&Type>,
) -> Result<(Value, Type), CompileError> {
    let read = match wish {
        Some(Type::Address) => literal::address(text).map(|it| (Value::Address(it), Type::Address)),
        Some(Type::Bytes) => literal::hex_bytes(text)
            .map(|it| (Value::Bytes(it), Type::Bytes))
            .map_err(|mut wrong| {
                if !text.starts_with("0x") {
                    wrong.message = "bytes are needed here; this is text".to_owned();
                    wrong.hint =
                        Some("write bytes as \"0x…\", or text as bytes: b\"…\"".to_owned());
                }
                wrong
            }),
        Some(Type::Timestamp) => {
            literal::timestamp(text).map(|it| (Value::Timestamp(it), Type::Timestamp))
        }
        Some(Type::Duration) => {
            literal::duration(text).map(|it| (Value::Duration(it), Type::Duration))
        }
        _ => Ok((Value::string(text), Type::String)),
    };
    read.map_err(|wrong| malformed(expr.span, wrong))
}

fn double(text: &str) -> f64 {
    text.parse().expect("the lexer read it as a double")
}
