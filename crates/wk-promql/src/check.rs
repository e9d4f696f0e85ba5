//! Checks the types of one node whose children are already checked.

use crate::ast::{Cardinality, Expr, ExprKind, ValueType};
use crate::error::ParseError;

pub(crate) fn check(expr: &Expr) -> Result<(), ParseError> {
    let fail = |at: &Expr, message: String| Err(ParseError::new(at.span.clone(), message));
    match &expr.kind {
        ExprKind::Number(_)
        | ExprKind::Text(_)
        | ExprKind::Selector(_)
        | ExprKind::Range { .. }
        | ExprKind::Paren(_) => Ok(()),
        ExprKind::Unary { inner, .. } => match inner.value_type() {
            ValueType::Scalar | ValueType::Vector => Ok(()),
            other => fail(
                inner,
                format!(
                    "unary expression only allowed on expressions of type scalar or instant \
                     vector, got {:?}",
                    other.name()
                ),
            ),
        },
        ExprKind::Subquery { inner, .. } => match inner.value_type() {
            ValueType::Vector => Ok(()),
            other => fail(
                inner,
                format!("subquery is only allowed on instant vector, got {} instead", other.name()),
            ),
        },
        ExprKind::Aggregate(aggregate) => {
            if let (Some(wanted), Some(parameter)) =
                (aggregate.op.parameter(), &aggregate.parameter)
            {
                expect(parameter, wanted, "aggregation parameter")?;
            }
            expect(&aggregate.inner, ValueType::Vector, "aggregation expression")
        }
        ExprKind::Call { function, arguments } => {
            let (least, most) = (function.least(), function.most());
            if arguments.len() < least || most.is_some_and(|most| arguments.len() > most) {
                let bound = match (arguments.len() < least, most) {
                    (_, Some(most)) if most == least => format!("{least}"),
                    (true, _) => format!("at least {least}"),
                    (false, most) => format!("at most {}", most.unwrap_or(least)),
                };
                let message = format!(
                    "expected {bound} argument(s) in call to {:?}, got {}",
                    function.name,
                    arguments.len()
                );
                return fail(expr, message);
            }
            for (at, argument) in arguments.iter().enumerate() {
                let wanted = function.arguments.get(at).or(function.arguments.last());
                if let Some(wanted) = wanted {
                    expect(argument, *wanted, &format!("call to function {:?}", function.name))?;
                }
            }
            Ok(())
        }
        ExprKind::Binary(binary) => {
            for side in [&binary.left, &binary.right] {
                if !matches!(side.value_type(), ValueType::Scalar | ValueType::Vector) {
                    let message =
                        "binary expression must contain only scalar and instant vector types";
                    return fail(side, message.into());
                }
            }
            let scalars = [&binary.left, &binary.right]
                .into_iter()
                .filter(|side| side.value_type() == ValueType::Scalar)
                .count();
            if scalars == 2 && binary.op.is_comparison() && !binary.returns_bool {
                let message = "comparisons between scalars must use BOOL modifier";
                return fail(expr, message.into());
            }
            if scalars > 0 && binary.op.is_set() {
                let message = format!(
                    "set operator {:?} not allowed in binary scalar expression",
                    binary.op.name()
                );
                return fail(expr, message);
            }
            let matches = binary.matching.given
                || !matches!(
                    binary.matching.cardinality,
                    Cardinality::OneToOne | Cardinality::ManyToMany
                );
            if scalars > 0 && matches && !binary.matching.labels.is_empty() {
                let message = "vector matching only allowed between instant vectors";
                return fail(expr, message.into());
            }
            Ok(())
        }
    }
}

fn expect(expr: &Expr, wanted: ValueType, place: &str) -> Result<(), ParseError> {
    let got = expr.value_type();
    if got == wanted {
        return Ok(());
    }
    let message = format!("expected type {} in {place}, got {}", wanted.name(), got.name());
    Err(ParseError::new(expr.span.clone(), message))
}
