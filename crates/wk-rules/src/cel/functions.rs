//! What the built-in functions do.
//!
//! Arguments are never `null`. Their number fits an overload; their kinds do too, unless they
//! came in as `dyn`.

use std::cmp::Ordering;

use alloy_primitives::{Address, Bytes, keccak256 as keccak};
use wk_model::Timestamp;

use super::ast::Operator;
use super::calendar::{Civil, LATEST, civil, zone};
use super::literal::{self, Malformed};
use super::operate::{arithmetic, fits, text};
use super::{Fault, Int, Millis, Value};

type Outcome = Result<Value, Fault>;

fn refused(message: impl Into<String>) -> Fault {
    Fault::Refused { message: message.into(), hint: None }
}

impl From<Malformed> for Fault {
    fn from(malformed: Malformed) -> Fault {
        Fault::Refused { message: malformed.message, hint: malformed.hint }
    }
}

fn unfit(wanted: &str, found: &Value) -> Fault {
    Fault::WrongType { wanted: wanted.to_owned(), found: found.kind() }
}

fn as_int(value: &Value) -> Result<Int, Fault> {
    value.as_int().ok_or_else(|| unfit("int", value))
}

fn as_str(value: &Value) -> Result<&str, Fault> {
    value.as_str().ok_or_else(|| unfit("string", value))
}

fn as_list(value: &Value) -> Result<&[Value], Fault> {
    value.as_list().ok_or_else(|| unfit("list", value))
}

pub(super) fn unreached(_: &[Value]) -> Outcome {
    Err(refused("this function cannot be called here"))
}

pub(super) fn same(arguments: &[Value]) -> Outcome {
    Ok(arguments[0].clone())
}

// Amounts

pub(super) fn ether(arguments: &[Value]) -> Outcome {
    scale(&arguments[0], 18, "ether")
}

pub(super) fn gwei(arguments: &[Value]) -> Outcome {
    scale(&arguments[0], 9, "gwei")
}

pub(super) fn units(arguments: &[Value]) -> Outcome {
    scale(&arguments[0], decimals(&arguments[1])?, "units")
}

fn decimals(value: &Value) -> Result<u32, Fault> {
    as_int(value)?
        .to_u64()
        .and_then(|number| u8::try_from(number).ok())
        .map(u32::from)
        .ok_or_else(|| refused(format!("{value} decimals: a token has 0 to 255")))
}

fn scale(amount: &Value, decimals: u32, operator: &'static str) -> Outcome {
    match amount {
        Value::Int(number) => Int::from(10u64)
            .checked_pow(decimals)
            .and_then(|scale| number.checked_mul(scale))
            .map(Value::Int)
            .ok_or(Fault::Overflow { operator }),
        Value::String(text) => Ok(Value::Int(literal::units(text, decimals)?)),
        other => Err(unfit("an int or a decimal string", other)),
    }
}

pub(super) fn format_units(arguments: &[Value]) -> Outcome {
    Ok(text(in_units(as_int(&arguments[0])?, decimals(&arguments[1])?)))
}

pub(super) fn format_ether(arguments: &[Value]) -> Outcome {
    Ok(text(in_units(as_int(&arguments[0])?, 18)))
}

/// `1500000` with 6 decimals as `1.5`.
fn in_units(amount: Int, decimals: u32) -> String {
    let places = usize::try_from(decimals).expect("at most 255");
    let digits = format!("{:0>width$}", amount.abs().to_string(), width = places + 1);
    let (whole, fraction) = digits.split_at(digits.len() - places);
    let fraction = fraction.trim_end_matches('0');
    let sign = if amount.is_negative() { "-" } else { "" };
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{sign}{whole}{point}{fraction}")
}

// Numbers

pub(super) fn abs(arguments: &[Value]) -> Outcome {
    match &arguments[0] {
        Value::Int(number) => Ok(Value::Int(number.abs())),
        Value::Double(number) => Ok(Value::Double(number.abs())),
        Value::Duration(Millis(ms)) => ms
            .checked_abs()
            .map(|ms| Value::Duration(Millis(ms)))
            .ok_or(Fault::Overflow { operator: "abs" }),
        other => Err(unfit("a number", other)),
    }
}

pub(super) fn min(arguments: &[Value]) -> Outcome {
    extreme(arguments, Ordering::Less, "min")
}

pub(super) fn max(arguments: &[Value]) -> Outcome {
    extreme(arguments, Ordering::Greater, "max")
}

fn extreme(arguments: &[Value], wanted: Ordering, name: &str) -> Outcome {
    let items = match arguments {
        [one] if one.as_list().is_some() => as_list(one)?,
        several => several,
    };
    if let Some(null) = items.iter().find(|item| item.is_null()) {
        return Err(unfit("a number or time", null));
    }
    let (first, rest) =
        items.split_first().ok_or_else(|| refused(format!("{name} of an empty list")))?;
    let mut best = first;
    // What is no number is neither least nor greatest, unless nothing else is there.
    let is_nan = |value: &Value| matches!(value, Value::Double(number) if number.is_nan());
    for item in rest {
        match item.order(best) {
            Some(ordering) if ordering == wanted => best = item,
            Some(_) => {}
            None if is_nan(best) => best = item,
            None if is_nan(item) => {}
            None => return Err(unfit(best.kind(), item)),
        }
    }
    Ok(best.clone())
}

pub(super) fn sum(arguments: &[Value]) -> Outcome {
    let zero = Value::Int(Int::ZERO);
    as_list(&arguments[0])?
        .iter()
        .try_fold(zero, |total, item| arithmetic(Operator::Add, &total, item))
}

pub(super) fn pow(arguments: &[Value]) -> Outcome {
    let (base, exponent) = (as_int(&arguments[0])?, as_int(&arguments[1])?);
    if exponent.is_negative() {
        return Err(refused("a negative exponent gives no whole number"));
    }
    let exponent = exponent.to_u64().and_then(|exponent| u32::try_from(exponent).ok());
    exponent
        .and_then(|exponent| base.checked_pow(exponent))
        .map(Value::Int)
        .ok_or(Fault::Overflow { operator: "pow" })
}

// Conversions

pub(super) fn int(arguments: &[Value]) -> Outcome {
    whole(&arguments[0], "int").map(Value::Int)
}

pub(super) fn uint(arguments: &[Value]) -> Outcome {
    match whole(&arguments[0], "uint")? {
        number if number.is_negative() => Err(refused(format!("{number} is below zero"))),
        number => Ok(Value::Int(number)),
    }
}

fn whole(value: &Value, operator: &'static str) -> Result<Int, Fault> {
    match value {
        Value::Int(number) => Ok(*number),
        Value::Double(number) => Int::from_f64(*number).ok_or(Fault::Overflow { operator }),
        Value::String(text) => {
            let shown = literal::shorten(text);
            let (negative, digits) = match text.strip_prefix('-') {
                Some(digits) => (true, digits),
                None => (false, &**text),
            };
            let number = match digits.strip_prefix("0x") {
                Some(digits) => hex_number(digits),
                None if digits.len() > 160 => None,
                None => Int::from_digits(digits),
            };
            let number = number.ok_or_else(|| refused(format!("`{shown}` is no whole number")))?;
            Ok(if negative { -number } else { number })
        }
        Value::Timestamp(timestamp) => Ok(Int::from(timestamp.0 / 1_000)),
        Value::Duration(Millis(ms)) => Ok(Int::from(ms / 1_000)),
        other => match other.as_bytes() {
            Some(bytes) if bytes.len() <= 32 => {
                Ok(Int::from_be_bytes(bytes).expect("32 bytes are in range"))
            }
            Some(bytes) => {
                Err(refused(format!("{} bytes are no number: the most is 32", bytes.len())))
            }
            None => Err(unfit("a number", other)),
        },
    }
}

/// What hex digits write, at most 32 bytes of them.
fn hex_number(digits: &str) -> Option<Int> {
    if digits.is_empty() || digits.len() > 64 {
        return None;
    }
    let padded = format!("{digits:0>64}");
    Int::from_be_bytes(&alloy_primitives::hex::decode(padded).ok()?)
}

pub(super) fn double(arguments: &[Value]) -> Outcome {
    match &arguments[0] {
        Value::Int(number) => Ok(Value::Double(number.to_f64())),
        Value::Double(number) => Ok(Value::Double(*number)),
        Value::String(text) => text
            .trim()
            .parse()
            .map(Value::Double)
            .map_err(|_| refused(format!("`{}` is no number", literal::shorten(text)))),
        other => Err(unfit("a number or text", other)),
    }
}

pub(super) fn string(arguments: &[Value]) -> Outcome {
    match &arguments[0] {
        same @ Value::String(_) => Ok(same.clone()),
        value @ (Value::List(_) | Value::Map(_) | Value::Object(_)) => {
            Err(unfit("a single value", value))
        }
        value => match value.as_bytes() {
            Some(bytes) => std::str::from_utf8(bytes)
                .map(Value::string)
                .map_err(|_| refused("these bytes are no UTF-8 text; hex() shows any bytes")),
            None => Ok(text(value.to_string())),
        },
    }
}

pub(super) fn bool(arguments: &[Value]) -> Outcome {
    match &arguments[0] {
        Value::Bool(value) => Ok(Value::Bool(*value)),
        Value::String(text) => match &**text {
            "true" | "True" | "TRUE" => Ok(Value::Bool(true)),
            "false" | "False" | "FALSE" => Ok(Value::Bool(false)),
            other => {
                Err(refused(format!("`{}` is neither true nor false", literal::shorten(other))))
            }
        },
        other => Err(unfit("a bool or text", other)),
    }
}

pub(super) fn bytes(arguments: &[Value]) -> Outcome {
    match &arguments[0] {
        same @ (Value::Bytes(_) | Value::Hash(_)) => Ok(same.clone()),
        Value::Address(address) => Ok(Value::Bytes(Bytes::copy_from_slice(address.as_slice()))),
        Value::String(text) if text.starts_with("0x") => {
            Ok(Value::Bytes(literal::hex_bytes(text)?))
        }
        Value::String(text) => Ok(Value::Bytes(Bytes::copy_from_slice(text.as_bytes()))),
        other => Err(unfit("text or bytes", other)),
    }
}

pub(super) fn address(arguments: &[Value]) -> Outcome {
    let value = &arguments[0];
    let wrong = || refused(format!("{} is no address", literal::shorten(&value.to_string())));
    match value {
        same @ Value::Address(_) => Ok(same.clone()),
        Value::String(text) => Ok(Value::Address(literal::address(text)?)),
        Value::Int(number) => {
            let word = number.to_u256().ok_or_else(wrong)?.to_be_bytes::<32>();
            word_address(&word).ok_or_else(wrong)
        }
        other => match other.as_bytes() {
            Some(bytes) if bytes.len() == 20 => Ok(Value::Address(Address::from_slice(bytes))),
            Some(bytes) => word_address(bytes).ok_or_else(wrong),
            None => Err(unfit("text, bytes or a number", other)),
        },
    }
}

/// The address in the low 20 bytes of an EVM word.
fn word_address(word: &[u8]) -> Option<Value> {
    let (high, low) = word.split_at_checked(12)?;
    (low.len() == 20 && high.iter().all(|byte| *byte == 0))
        .then(|| Value::Address(Address::from_slice(low)))
}

pub(super) fn timestamp(arguments: &[Value]) -> Outcome {
    match &arguments[0] {
        same @ Value::Timestamp(_) => Ok(same.clone()),
        Value::String(text) => Ok(Value::Timestamp(literal::timestamp(text)?)),
        Value::Int(seconds) => seconds
            .to_u64()
            .and_then(|seconds| seconds.checked_mul(1_000))
            .map(Timestamp)
            .filter(|timestamp| *timestamp <= LATEST)
            .map(Value::Timestamp)
            .ok_or(Fault::Overflow { operator: "timestamp" }),
        other => Err(unfit("text or seconds", other)),
    }
}

pub(super) fn duration(arguments: &[Value]) -> Outcome {
    match &arguments[0] {
        same @ Value::Duration(_) => Ok(same.clone()),
        Value::String(text) => Ok(Value::Duration(literal::duration(text)?)),
        other => Err(unfit("text such as \"10m\"", other)),
    }
}

pub(super) fn hex(arguments: &[Value]) -> Outcome {
    match &arguments[0] {
        Value::Int(number) => {
            let word = number.to_u256().ok_or(Fault::Overflow { operator: "hex" })?;
            Ok(text(format!("{word:#x}")))
        }
        value @ (Value::Address(_) | Value::Bytes(_) | Value::Hash(_)) => {
            fits(2 * weight(value), "hex")?;
            Ok(text(value.to_string()))
        }
        other => Err(unfit("bytes, an address or an int", other)),
    }
}

// Text, bytes and lists

/// How much there is to read: bytes of text and bytes, items of lists and maps.
pub(super) fn weight(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        Value::List(list) => list.items().len(),
        Value::Map(map) => map.len(),
        _ => 1,
    }
}

pub(super) fn size(arguments: &[Value]) -> Outcome {
    let size = match &arguments[0] {
        Value::String(text) => text.chars().count(),
        Value::List(list) => list.items().len(),
        Value::Map(map) => map.len(),
        other => {
            other.as_bytes().ok_or_else(|| unfit("text, bytes, a list or a map", other))?.len()
        }
    };
    Ok(Value::Int(size.into()))
}

/// Both as text or both as bytes.
fn sequences(arguments: &[Value]) -> Result<(&[u8], &[u8]), Fault> {
    match (&arguments[0], &arguments[1]) {
        (Value::String(a), Value::String(b)) => Ok((a.as_bytes(), b.as_bytes())),
        (a, b) => match (a.as_bytes(), b.as_bytes()) {
            (Some(a), Some(b)) => Ok((a, b)),
            (None, _) => Err(unfit("text or bytes", a)),
            (_, None) => Err(unfit(a.kind(), b)),
        },
    }
}

pub(super) fn contains(arguments: &[Value]) -> Outcome {
    if let (Value::String(whole), Value::String(part)) = (&arguments[0], &arguments[1]) {
        return Ok(Value::Bool(whole.contains(&**part)));
    }
    let (whole, part) = sequences(arguments)?;
    Ok(Value::Bool(find_bytes(whole, part)))
}

/// Whether `part` occurs in `whole`, in time linear in both.
fn find_bytes(whole: &[u8], part: &[u8]) -> bool {
    // Knuth, Morris, Pratt: what is untrusted must not cost its length times the part's.
    let mut fallback = vec![0; part.len()];
    let mut matched = 0;
    for at in 1..part.len() {
        while matched > 0 && part[at] != part[matched] {
            matched = fallback[matched - 1];
        }
        matched += usize::from(part[at] == part[matched]);
        fallback[at] = matched;
    }
    matched = 0;
    for byte in whole {
        if matched == part.len() {
            break;
        }
        while matched > 0 && *byte != part[matched] {
            matched = fallback[matched - 1];
        }
        matched += usize::from(*byte == part[matched]);
    }
    matched == part.len()
}

pub(super) fn starts_with(arguments: &[Value]) -> Outcome {
    let (whole, part) = sequences(arguments)?;
    Ok(Value::Bool(whole.starts_with(part)))
}

pub(super) fn ends_with(arguments: &[Value]) -> Outcome {
    let (whole, part) = sequences(arguments)?;
    Ok(Value::Bool(whole.ends_with(part)))
}

pub(super) fn lower_ascii(arguments: &[Value]) -> Outcome {
    Ok(text(as_str(&arguments[0])?.to_ascii_lowercase()))
}

pub(super) fn upper_ascii(arguments: &[Value]) -> Outcome {
    Ok(text(as_str(&arguments[0])?.to_ascii_uppercase()))
}

pub(super) fn trim(arguments: &[Value]) -> Outcome {
    Ok(Value::string(as_str(&arguments[0])?.trim()))
}

pub(super) fn replace(arguments: &[Value]) -> Outcome {
    let (whole, from, to) =
        (as_str(&arguments[0])?, as_str(&arguments[1])?, as_str(&arguments[2])?);
    let count = whole.matches(from).count();
    fits(whole.len().saturating_add(count.saturating_mul(to.len())), "replace")?;
    Ok(text(whole.replace(from, to)))
}

pub(super) fn split(arguments: &[Value]) -> Outcome {
    let (whole, separator) = (as_str(&arguments[0])?, as_str(&arguments[1])?);
    if separator.is_empty() {
        return Ok(Value::list(
            whole.chars().map(|c| Value::string(c.encode_utf8(&mut [0; 4]))).collect(),
        ));
    }
    Ok(Value::list(whole.split(separator).map(Value::string).collect()))
}

pub(super) fn join(arguments: &[Value]) -> Outcome {
    let items = as_list(&arguments[0])?;
    let separator = arguments.get(1).map_or(Ok(""), as_str)?;
    let mut joined = String::new();
    for (place, item) in items.iter().enumerate() {
        let item = as_str(item)?;
        fits(joined.len() + separator.len() + item.len(), "join")?;
        if place > 0 {
            joined.push_str(separator);
        }
        joined.push_str(item);
    }
    Ok(text(joined))
}

pub(super) fn index_of(arguments: &[Value]) -> Outcome {
    let (whole, part) = (as_str(&arguments[0])?, as_str(&arguments[1])?);
    Ok(Value::Int(match whole.find(part) {
        Some(at) => Int::from(whole[..at].chars().count()),
        None => -Int::ONE,
    }))
}

pub(super) fn substring(arguments: &[Value]) -> Outcome {
    let whole = as_str(&arguments[0])?;
    let len = whole.chars().count();
    let (from, to) = range(arguments, len)?;
    let byte = |index: usize| whole.char_indices().nth(index).map_or(whole.len(), |(at, _)| at);
    Ok(Value::string(&whole[byte(from)..byte(to)]))
}

pub(super) fn slice(arguments: &[Value]) -> Outcome {
    match &arguments[0] {
        Value::List(list) => {
            let (from, to) = range(arguments, list.items().len())?;
            Ok(Value::list(list.items()[from..to].to_vec()))
        }
        Value::Bytes(bytes) => {
            let (from, to) = range(arguments, bytes.len())?;
            Ok(Value::Bytes(bytes.slice(from..to)))
        }
        Value::Hash(hash) => {
            let (from, to) = range(arguments, hash.len())?;
            Ok(Value::Bytes(Bytes::copy_from_slice(&hash[from..to])))
        }
        other => Err(unfit("bytes or a list", other)),
    }
}

/// The second argument and the third, or the end, when they lie within `len` in this order.
fn range(arguments: &[Value], len: usize) -> Result<(usize, usize), Fault> {
    let index = |value: &Value| {
        let index = as_int(value)?;
        index
            .to_u64()
            .and_then(|index| usize::try_from(index).ok())
            .filter(|index| *index <= len)
            .ok_or_else(|| Fault::IndexOutOfRange { index: index.to_string(), len })
    };
    let from = index(&arguments[1])?;
    let to = arguments.get(2).map_or(Ok(len), index)?;
    if from > to {
        return Err(refused(format!("the end {to} lies before the start {from}")));
    }
    Ok((from, to))
}

// Ethereum

pub(super) fn keccak256(arguments: &[Value]) -> Outcome {
    let bytes = match &arguments[0] {
        Value::String(text) => text.as_bytes(),
        other => other.as_bytes().ok_or_else(|| unfit("bytes or text", other))?,
    };
    Ok(Value::Hash(keccak(bytes)))
}

pub(super) fn selector(arguments: &[Value]) -> Outcome {
    let signature = as_str(&arguments[0])?;
    let is_canonical = signature.contains('(')
        && signature.ends_with(')')
        && !signature.contains(char::is_whitespace)
        && signature.is_ascii();
    if !is_canonical {
        let shown = literal::shorten(signature);
        return Err(refused(format!(
            "`{shown}` is no signature: write transfer(address,uint256), without names and blanks"
        )));
    }
    Ok(Value::Bytes(Bytes::copy_from_slice(&keccak(signature)[..4])))
}

// Times

pub(super) fn full_year(arguments: &[Value]) -> Outcome {
    calendar(arguments, |civil| civil.year)
}

pub(super) fn month(arguments: &[Value]) -> Outcome {
    calendar(arguments, |civil| civil.month - 1)
}

pub(super) fn date(arguments: &[Value]) -> Outcome {
    calendar(arguments, |civil| civil.day)
}

pub(super) fn day_of_month(arguments: &[Value]) -> Outcome {
    calendar(arguments, |civil| civil.day - 1)
}

pub(super) fn day_of_week(arguments: &[Value]) -> Outcome {
    calendar(arguments, |civil| civil.day_of_week)
}

pub(super) fn day_of_year(arguments: &[Value]) -> Outcome {
    calendar(arguments, |civil| civil.day_of_year)
}

pub(super) fn hours(arguments: &[Value]) -> Outcome {
    clock(arguments, 3_600_000, |civil| civil.hour)
}

pub(super) fn minutes(arguments: &[Value]) -> Outcome {
    clock(arguments, 60_000, |civil| civil.minute)
}

pub(super) fn seconds(arguments: &[Value]) -> Outcome {
    clock(arguments, 1_000, |civil| civil.second)
}

pub(super) fn milliseconds(arguments: &[Value]) -> Outcome {
    clock(arguments, 1, |civil| civil.millisecond)
}

fn calendar(arguments: &[Value], part: impl Fn(Civil) -> i64) -> Outcome {
    let Value::Timestamp(timestamp) = arguments[0] else {
        return Err(unfit("a timestamp", &arguments[0]));
    };
    let minutes_east = match arguments.get(1) {
        None => 0,
        Some(text) => {
            let text = as_str(text)?;
            zone(text).ok_or_else(|| {
                let shown = literal::shorten(text);
                refused(format!("`{shown}` is no offset from UTC: write for example +08:00"))
            })?
        }
    };
    Ok(Value::Int(part(civil(timestamp, minutes_east)).into()))
}

fn clock(arguments: &[Value], unit: i64, part: impl Fn(Civil) -> i64) -> Outcome {
    match arguments[0] {
        Value::Duration(Millis(ms)) => Ok(Value::Int((ms / unit).into())),
        _ => calendar(arguments, part),
    }
}
