//! Arithmetic on values: exact, or a fault.

use std::sync::Arc;

use alloy_primitives::Bytes;
use wk_model::Timestamp;

use super::ast::Operator;
use super::calendar::LATEST;
use super::{Fault, Int, Millis, Value};

/// Longest string or bytes that a rule can make, in bytes.
pub(super) const MAX_TEXT: usize = 1 << 20;

pub(super) fn arithmetic(operator: Operator, left: &Value, right: &Value) -> Result<Value, Fault> {
    match (left, right) {
        (Value::Int(a), Value::Int(b)) => ints(operator, *a, *b).map(Value::Int),
        (Value::Double(a), Value::Double(b)) => doubles(operator, *a, *b),
        // Only JSON gets here: its numbers are ints or doubles as they happen to be written.
        (Value::Int(a), Value::Double(b)) => doubles(operator, a.to_f64(), *b),
        (Value::Double(a), Value::Int(b)) => doubles(operator, *a, b.to_f64()),
        (Value::Duration(a), Value::Duration(b)) => durations(operator, *a, *b),
        (Value::Timestamp(a), Value::Timestamp(b)) if operator == Operator::Subtract => {
            let difference = i128::from(a.0) - i128::from(b.0);
            i64::try_from(difference)
                .map(|ms| Value::Duration(Millis(ms)))
                .map_err(|_| overflow(operator))
        }
        (Value::Timestamp(at), Value::Duration(by)) if is_sum(operator) => {
            let by = if operator == Operator::Add { by.0 } else { by.0.saturating_neg() };
            moved(*at, by, operator)
        }
        (Value::Duration(by), Value::Timestamp(at)) if operator == Operator::Add => {
            moved(*at, by.0, operator)
        }
        (Value::Duration(duration), Value::Int(factor))
            if matches!(operator, Operator::Multiply | Operator::Divide) =>
        {
            scaled(operator, *duration, *factor)
        }
        (Value::Int(factor), Value::Duration(duration)) if operator == Operator::Multiply => {
            scaled(operator, *duration, *factor)
        }
        (Value::String(a), Value::String(b)) if operator == Operator::Add => {
            fits(a.len() + b.len(), operator.symbol())?;
            Ok(Value::String([&**a, &**b].concat().into()))
        }
        (Value::List(a), Value::List(b)) if operator == Operator::Add => {
            Ok(Value::list(a.items().iter().chain(b.items()).cloned().collect()))
        }
        (a, b) => match (a.as_bytes(), b.as_bytes()) {
            (Some(a), Some(b)) if operator == Operator::Add => {
                fits(a.len() + b.len(), operator.symbol())?;
                Ok(Value::Bytes(Bytes::from([a, b].concat())))
            }
            _ => Err(unfit(operator, left, right)),
        },
    }
}

/// The value with the other sign.
pub(super) fn negate(value: &Value) -> Result<Value, Fault> {
    match value {
        Value::Int(number) => Ok(Value::Int(-*number)),
        Value::Double(number) => Ok(Value::Double(-number)),
        Value::Duration(Millis(ms)) => ms
            .checked_neg()
            .map(|ms| Value::Duration(Millis(ms)))
            .ok_or(Fault::Overflow { operator: "-" }),
        other => Err(Fault::WrongType { wanted: "a number".to_owned(), found: other.kind() }),
    }
}

/// Refuses a string or bytes longer than a rule needs.
pub(super) fn fits(len: usize, operator: &'static str) -> Result<(), Fault> {
    if len > MAX_TEXT { Err(Fault::TooLarge { operator }) } else { Ok(()) }
}

fn ints(operator: Operator, a: Int, b: Int) -> Result<Int, Fault> {
    let (result, fault) = match operator {
        Operator::Add => (a.checked_add(b), overflow(operator)),
        Operator::Subtract => (a.checked_sub(b), overflow(operator)),
        Operator::Multiply => (a.checked_mul(b), overflow(operator)),
        Operator::Divide => (a.checked_div(b), Fault::DivisionByZero),
        Operator::Remainder => (a.checked_rem(b), Fault::DivisionByZero),
        _ => return Err(unfit(operator, &Value::Int(a), &Value::Int(b))),
    };
    result.ok_or(fault)
}

fn doubles(operator: Operator, a: f64, b: f64) -> Result<Value, Fault> {
    Ok(Value::Double(match operator {
        Operator::Add => a + b,
        Operator::Subtract => a - b,
        Operator::Multiply => a * b,
        // As IEEE 754 has it: infinite, or no number.
        Operator::Divide => a / b,
        _ => return Err(unfit(operator, &Value::Double(a), &Value::Double(b))),
    }))
}

fn durations(operator: Operator, a: Millis, b: Millis) -> Result<Value, Fault> {
    let result = match operator {
        Operator::Add => a.0.checked_add(b.0),
        Operator::Subtract => a.0.checked_sub(b.0),
        _ => return Err(unfit(operator, &Value::Duration(a), &Value::Duration(b))),
    };
    result.map(|ms| Value::Duration(Millis(ms))).ok_or_else(|| overflow(operator))
}

fn scaled(operator: Operator, duration: Millis, factor: Int) -> Result<Value, Fault> {
    let result = ints(operator, Int::from(duration.0), factor)?;
    result.to_i64().map(|ms| Value::Duration(Millis(ms))).ok_or_else(|| overflow(operator))
}

fn moved(at: Timestamp, by: i64, operator: Operator) -> Result<Value, Fault> {
    at.0.checked_add_signed(by)
        .map(Timestamp)
        .filter(|timestamp| *timestamp <= LATEST)
        .map(Value::Timestamp)
        .ok_or_else(|| overflow(operator))
}

fn is_sum(operator: Operator) -> bool {
    matches!(operator, Operator::Add | Operator::Subtract)
}

fn overflow(operator: Operator) -> Fault {
    Fault::Overflow { operator: operator.symbol() }
}

fn unfit(operator: Operator, left: &Value, right: &Value) -> Fault {
    Fault::Refused {
        message: format!(
            "`{}` does not work on {} and {}",
            operator.symbol(),
            left.kind(),
            right.kind()
        ),
        hint: None,
    }
}

/// Text that is shared.
pub(super) fn text(text: String) -> Value {
    Value::String(Arc::from(text))
}
