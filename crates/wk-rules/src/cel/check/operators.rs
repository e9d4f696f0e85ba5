//! Comparisons, membership and arithmetic.

use super::{Checked, Checker, Typed, comparable, fault, join, with_article};
use crate::cel::ast::{Expr, ExprKind, IntLiteral, Operator};
use crate::cel::literal;
use crate::cel::node::NodeKind;
use crate::cel::{CompileError, Type, Value};

impl Checker<'_> {
    pub(super) fn binary(
        &mut self,
        expr: &Expr,
        operator: Operator,
        left: &Expr,
        right: &Expr,
    ) -> Checked {
        match operator {
            Operator::Equal | Operator::NotEqual => self.equality(expr, operator, left, right),
            Operator::Less
            | Operator::LessOrEqual
            | Operator::Greater
            | Operator::GreaterOrEqual => self.order(expr, operator, left, right),
            Operator::In => self.membership(expr, left, right),
            Operator::Add
            | Operator::Subtract
            | Operator::Multiply
            | Operator::Divide
            | Operator::Remainder => self.arithmetic(expr, operator, left, right),
        }
    }

    fn equality(&mut self, expr: &Expr, operator: Operator, left: &Expr, right: &Expr) -> Checked {
        let (left_typed, right_typed) = self.pair(left, right, None)?;
        if !comparable(&left_typed.ty, &right_typed.ty) {
            return Err(self.mismatch(
                operator,
                (left, &left_typed.ty),
                (right, &right_typed.ty),
                expr,
            ));
        }
        let kind = NodeKind::Equal {
            left: Box::new(left_typed.node),
            right: Box::new(right_typed.node),
            negated: operator == Operator::NotEqual,
        };
        self.finish(expr, kind, Type::Bool)
    }

    fn order(&mut self, expr: &Expr, operator: Operator, left: &Expr, right: &Expr) -> Checked {
        if let Some(error) = self.chained(operator, left, right) {
            return Err(error);
        }
        let (left_typed, right_typed) = self.pair(left, right, None)?;
        let (a, b) = (left_typed.ty.required(), right_typed.ty.required());
        if !comparable(a, b) {
            return Err(self.mismatch(operator, (left, a), (right, b), expr));
        }
        for (part, ty) in [(left, a), (right, b)] {
            if matches!(ty, Type::List(_) | Type::Map(..) | Type::Object(_) | Type::Null) {
                let message =
                    format!("`{}` does not order {}", operator.symbol(), with_article(ty));
                let hint = match ty {
                    Type::List(_) | Type::Map(..) => Some("compare its .size()".to_owned()),
                    _ => None,
                };
                return Err(fault(part.span, message, hint));
            }
        }
        let kind = NodeKind::Order {
            operator,
            left: Box::new(left_typed.node),
            right: Box::new(right_typed.node),
        };
        self.finish(expr, kind, Type::Bool)
    }

    /// `1 < x < 10`
    fn chained(&self, operator: Operator, left: &Expr, right: &Expr) -> Option<CompileError> {
        let ExprKind::Binary { operator: first, left: lowest, right: middle } = &left.kind else {
            return None;
        };
        if !is_order(*first) {
            return None;
        }
        let [lowest, middle, highest] =
            [lowest.span, middle.span, right.span].map(|span| self.written(span));
        let hint = format!(
            "write {lowest} {} {middle} && {middle} {} {highest}",
            first.symbol(),
            operator.symbol()
        );
        Some(fault(left.span.to(right.span), "comparisons cannot be chained", Some(hint)))
    }

    fn membership(&mut self, expr: &Expr, needle: &Expr, haystack: &Expr) -> Checked {
        let (needle_typed, haystack_typed) = if needle.is_literal() && !haystack.is_literal() {
            let haystack = self.check(haystack, None)?;
            let wish = element(&haystack.ty).cloned();
            (self.check(needle, wish.as_ref())?, haystack)
        } else {
            let needle = self.check(needle, None)?;
            let wish = Type::list(needle.ty.required().clone());
            let haystack = self.check(haystack, Some(&wish))?;
            (needle, haystack)
        };
        let Some(item) = element(&haystack_typed.ty) else {
            let message = format!(
                "`in` looks into a list or map; this is {}",
                with_article(&haystack_typed.ty)
            );
            let hint = match haystack_typed.ty.required() {
                Type::String => {
                    let [part, text] = [needle, haystack].map(|it| self.written(it.span));
                    Some(format!("write {text}.contains({part})"))
                }
                _ => Some("a list is written [a, b]".to_owned()),
            };
            return Err(fault(haystack.span, message, hint));
        };
        if !comparable(&needle_typed.ty, item) {
            let message = format!(
                "{} is never in a {}",
                with_article(&needle_typed.ty),
                haystack_typed.ty.required()
            );
            let hint = self.how_to_meet((needle, &needle_typed.ty), (haystack, item));
            return Err(fault(needle.span, message, hint));
        }
        let kind = NodeKind::In {
            needle: Box::new(needle_typed.node),
            haystack: Box::new(haystack_typed.node),
        };
        self.finish(expr, kind, Type::Bool)
    }

    fn arithmetic(
        &mut self,
        expr: &Expr,
        operator: Operator,
        left: &Expr,
        right: &Expr,
    ) -> Checked {
        let (left_typed, right_typed) = self.operands(operator, left, right)?;
        let (a, b) = (left_typed.ty.required().clone(), right_typed.ty.required().clone());
        let Some(ty) = result(operator, &a, &b) else {
            return Err(self.mismatch(operator, (left, &a), (right, &b), expr));
        };
        let divides = matches!(operator, Operator::Divide | Operator::Remainder);
        if divides
            && matches!(right_typed.node.constant(), Some(Value::Int(zero)) if zero.is_zero())
        {
            return Err(fault(expr.span, "division by zero", None));
        }
        let kind = NodeKind::Arithmetic {
            operator,
            left: Box::new(left_typed.node),
            right: Box::new(right_typed.node),
        };
        self.finish(expr, kind, ty)
    }

    /// The operands of arithmetic. A literal follows the other operand where that is the only
    /// sense it makes: `price * 2`, `now - "10m"`; never `amount * 1.5`, which is no whole number.
    fn operands(
        &mut self,
        operator: Operator,
        left: &Expr,
        right: &Expr,
    ) -> Result<(Typed, Typed), CompileError> {
        let wish = |other: &Type, literal: &Expr| match other.required() {
            Type::Double => Some(Type::Double),
            Type::Bytes if operator == Operator::Add => Some(Type::Bytes),
            Type::Timestamp | Type::Duration
                if matches!(literal.kind, ExprKind::String(_))
                    && matches!(operator, Operator::Add | Operator::Subtract) =>
            {
                Some(Type::Duration)
            }
            Type::List(item) => Some(Type::List(item.clone())),
            _ => None,
        };
        let is_double = |expr: &Expr| matches!(expr.kind, ExprKind::Double(_));
        if left.is_literal() && (!right.is_literal() || is_double(right)) {
            let right = self.check(right, None)?;
            let left = self.check(left, wish(&right.ty, left).as_ref())?;
            return Ok((left, right));
        }
        let left = self.check(left, None)?;
        let right = self.check(right, wish(&left.ty, right).as_ref())?;
        Ok((left, right))
    }

    /// Operands whose types do not go together.
    fn mismatch(
        &self,
        operator: Operator,
        left: (&Expr, &Type),
        right: (&Expr, &Type),
        expr: &Expr,
    ) -> CompileError {
        let symbol = operator.symbol();
        let is_equality = matches!(operator, Operator::Equal | Operator::NotEqual);
        let nulls = match (left.1, right.1) {
            (Type::Null, _) => Some((right, left.0)),
            (_, Type::Null) => Some((left, right.0)),
            _ => None,
        };
        if let Some(((some, ty), null)) = nulls {
            if is_equality {
                let message = format!("{} is never null", with_article(ty));
                let written = self.written(some.span);
                let hint = format!("`{written}` always has a value; remove the comparison");
                return fault(expr.span, message, Some(hint));
            }
            return fault(null.span, format!("`{symbol}` does not work on null"), None);
        }
        let message = if is_equality || is_order(operator) {
            format!("`{symbol}` compares {} with {}", left.1, right.1)
        } else {
            format!("`{symbol}` does not work on {} and {}", left.1, right.1)
        };
        // The literal is what its writer can most likely change.
        let span = match (left.0.is_literal(), right.0.is_literal()) {
            (false, true) => right.0.span,
            (true, false) => left.0.span,
            _ => expr.span,
        };
        let calculate = || how_to_calculate(operator, left.1, right.1);
        let hint = match (left.0.is_literal(), right.0.is_literal()) {
            (_, true) => self.how_to_meet(right, left).or_else(calculate),
            (true, _) => self.how_to_meet(left, right).or_else(calculate),
            (false, false) => calculate()
                .or_else(|| self.how_to_meet(left, right))
                .or_else(|| self.how_to_meet(right, left)),
        };
        fault(span, message, hint)
    }

    /// How to write `from` so that it goes with `to`.
    pub(super) fn how_to_meet(&self, from: (&Expr, &Type), to: (&Expr, &Type)) -> Option<String> {
        let written = self.written(from.0.span);
        let written = if written.len() <= 60 { written } else { "…" };
        match (&from.0.kind, from.1.required(), to.1.required()) {
            (ExprKind::String(text), Type::String, Type::Int) => {
                let text = text.trim();
                if text.starts_with("0x") && literal::hex_bytes(text).is_ok() {
                    return Some(format!("write {text} without quotes"));
                }
                Some(match literal::units(text, 0) {
                    Ok(number) => format!("write {number} or ether(\"{text}\")"),
                    Err(_) if literal::units(text, 18).is_ok() => {
                        format!("write ether(\"{text}\") or units(\"{text}\", decimals)")
                    }
                    Err(_) => "numbers are written without quotes".to_owned(),
                })
            }
            (ExprKind::String(text), Type::String, Type::Double) if text.parse::<f64>().is_ok() => {
                Some(format!("write {text} without quotes"))
            }
            (ExprKind::String(text), Type::String, Type::Bool)
                if matches!(text.as_str(), "true" | "false") =>
            {
                Some(format!("write {text} without quotes"))
            }
            (ExprKind::Int(IntLiteral { value, .. }), Type::Int, Type::Bool)
                if value.bit_len() < 2 =>
            {
                let word = if value.is_zero() { "false" } else { "true" };
                Some(format!("write {word}"))
            }
            (ExprKind::Int(IntLiteral { value, .. }), Type::Int, Type::Address) => {
                Some(if value.is_zero() {
                    "the zero address is address(0)".to_owned()
                } else {
                    "an address is 0x and 40 hex digits".to_owned()
                })
            }
            (ExprKind::Int(_), Type::Int, Type::Duration) => {
                Some(format!("write duration(\"{written}s\")"))
            }
            (ExprKind::Int(_), Type::Int, Type::String) => Some(format!("write \"{written}\"")),
            (ExprKind::Int(_), Type::Int, Type::Timestamp) => {
                Some(format!("write timestamp({written}) for seconds since 1970"))
            }
            (_, Type::String, Type::Int) => Some(format!("write int({written})")),
            (_, Type::String, Type::Address) => Some(format!("write address({written})")),
            (_, Type::String, Type::Bytes) => Some(format!("write bytes({written})")),
            (_, Type::Bytes, Type::Address) => Some(format!("write address({written})")),
            (_, Type::Bytes, Type::Int) => Some(format!("write int({written})")),
            (_, Type::Timestamp, Type::Int) => {
                Some(format!("write int({written}) for seconds since 1970"))
            }
            (_, Type::Duration, Type::Int) => Some(format!("write int({written}) for seconds")),
            _ => None,
        }
    }
}

fn is_order(operator: Operator) -> bool {
    use Operator::{Greater, GreaterOrEqual, Less, LessOrEqual};
    matches!(operator, Less | LessOrEqual | Greater | GreaterOrEqual)
}

/// What a list or map is asked for by `in`.
fn element(ty: &Type) -> Option<&Type> {
    match ty.required() {
        Type::List(item) => Some(item),
        Type::Map(key, _) => Some(key),
        Type::Dyn => Some(&Type::Dyn),
        _ => None,
    }
}

/// The type of `a operator b`, where it works.
fn result(operator: Operator, a: &Type, b: &Type) -> Option<Type> {
    use Operator::{Add, Divide, Multiply, Remainder, Subtract};
    match (a, operator, b) {
        (Type::Dyn, Add | Subtract | Multiply | Divide | Remainder, _)
        | (_, Add | Subtract | Multiply | Divide | Remainder, Type::Dyn) => Some(Type::Dyn),
        (Type::Int, Add | Subtract | Multiply | Divide | Remainder, Type::Int) => Some(Type::Int),
        (Type::Double, Add | Subtract | Multiply | Divide, Type::Double) => Some(Type::Double),
        (Type::String, Add, Type::String) => Some(Type::String),
        (Type::Bytes, Add, Type::Bytes) => Some(Type::Bytes),
        (Type::List(_), Add, Type::List(_)) => join(a, b),
        (Type::Timestamp, Subtract, Type::Timestamp) => Some(Type::Duration),
        (Type::Timestamp, Add | Subtract, Type::Duration)
        | (Type::Duration, Add, Type::Timestamp) => Some(Type::Timestamp),
        (Type::Duration, Add | Subtract, Type::Duration)
        | (Type::Duration, Multiply | Divide, Type::Int)
        | (Type::Int, Multiply, Type::Duration) => Some(Type::Duration),
        _ => None,
    }
}

fn how_to_calculate(operator: Operator, a: &Type, b: &Type) -> Option<String> {
    match (a, b) {
        (Type::Int, Type::Double) | (Type::Double, Type::Int) => Some(match operator {
            Operator::Multiply | Operator::Divide => {
                "stay exact with whole numbers, as in amount * 3 / 2, or convert by double(amount)"
                    .to_owned()
            }
            _ => "convert the whole number by double(…)".to_owned(),
        }),
        (Type::String, _) | (_, Type::String) if operator == Operator::Add => {
            Some("make text of the other operand by string(…)".to_owned())
        }
        (Type::List(_), _) | (_, Type::List(_)) if operator == Operator::Add => {
            Some("a list grows by a list: list + [item]".to_owned())
        }
        (Type::Double, Type::Double) if operator == Operator::Remainder => {
            Some("`%` works on whole numbers".to_owned())
        }
        _ => None,
    }
}
