//! Decoded values as JSON for machines and as text for people.

use std::fmt;

use alloy_dyn_abi::DynSolValue;
use alloy_primitives::hex;
use serde_json::{Map, Value};

use super::decoder::{Decoded, Revert};
use super::item::{Item, ParamSpec};
use super::known::panic_meaning;

/// A value as JSON: integers as decimal strings, addresses and bytes as lower-case hex, a tuple as
/// an object by its fields' names.
pub fn to_json(spec: &ParamSpec, value: &DynSolValue) -> Value {
    fields_to_json(&spec.fields, value)
}

fn fields_to_json(fields: &[ParamSpec], value: &DynSolValue) -> Value {
    match value {
        DynSolValue::Bool(value) => Value::Bool(*value),
        DynSolValue::Int(value, _) => Value::String(value.to_string()),
        DynSolValue::Uint(value, _) => Value::String(value.to_string()),
        DynSolValue::String(text) => Value::String(text.clone()),
        DynSolValue::Address(_)
        | DynSolValue::FixedBytes(..)
        | DynSolValue::Function(_)
        | DynSolValue::Bytes(_) => Value::String(hex::encode_prefixed(bytes_of(value))),
        DynSolValue::Array(values) | DynSolValue::FixedArray(values) => {
            Value::Array(values.iter().map(|value| fields_to_json(fields, value)).collect())
        }
        DynSolValue::Tuple(values) => {
            let mut object = Map::new();
            for (index, value) in values.iter().enumerate() {
                let (name, fields) = match fields.get(index) {
                    Some(field) => (field.name.to_string(), field.fields.as_slice()),
                    None => (format!("arg{index}"), &[][..]),
                };
                object.insert(name, fields_to_json(fields, value));
            }
            Value::Object(object)
        }
    }
}

/// The bytes of a value that is shown as hex; empty for the others.
fn bytes_of(value: &DynSolValue) -> &[u8] {
    match value {
        DynSolValue::Address(address) => address.as_slice(),
        DynSolValue::FixedBytes(word, size) => &word[..(*size).min(32)],
        DynSolValue::Function(function) => function.as_slice(),
        DynSolValue::Bytes(bytes) => bytes,
        _ => &[],
    }
}

impl<I: Item> Decoded<I> {
    /// The values by their parameters' names, as `to_json` gives each.
    pub fn to_json(&self) -> Map<String, Value> {
        self.params()
            .map(|param| (param.name.to_owned(), to_json(param.spec, param.value)))
            .collect()
    }
}

/// A value as one line for people; long ones are cut.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a>(pub &'a DynSolValue);

/// Longest bytes and text that are shown in full.
const LONGEST: usize = 96;
/// Most elements of an array that are shown.
const MOST: usize = 12;

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            DynSolValue::Bool(value) => write!(f, "{value}"),
            DynSolValue::Int(value, _) => write!(f, "{value}"),
            DynSolValue::Uint(value, _) => write!(f, "{value}"),
            DynSolValue::String(text) => {
                f.write_str("\"")?;
                write_text(f, text)?;
                f.write_str("\"")
            }
            DynSolValue::Address(_)
            | DynSolValue::FixedBytes(..)
            | DynSolValue::Function(_)
            | DynSolValue::Bytes(_) => {
                let bytes = bytes_of(self.0);
                f.write_str("0x")?;
                for byte in bytes.iter().take(LONGEST) {
                    write!(f, "{byte:02x}")?;
                }
                if bytes.len() > LONGEST {
                    write!(f, "… ({} bytes)", bytes.len())?;
                }
                Ok(())
            }
            DynSolValue::Array(values) | DynSolValue::FixedArray(values) => {
                write_list(f, '[', values, ']')
            }
            DynSolValue::Tuple(values) => write_list(f, '(', values, ')'),
        }
    }
}

/// `Transfer(from: 0x…, to: 0x…, value: 5)`
impl<I: Item> fmt::Display for Decoded<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.name())?;
        for (index, param) in self.params().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            write!(f, "{comma}{}: {}", param.name, Shown(param.value))?;
        }
        f.write_str(")")
    }
}

/// What went wrong, in words.
impl fmt::Display for Revert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Revert::Empty => f.write_str("no reason given"),
            Revert::Reason(reason) => write_text(f, reason),
            Revert::Panic(code) => write!(f, "panic 0x{code:02x}: {}", panic_meaning(*code)),
            Revert::Custom(error) => write!(f, "{error}"),
            Revert::Unknown(Some(selector)) => write!(f, "unknown error {selector}"),
            Revert::Unknown(None) => f.write_str("revert data too short for an error"),
        }
    }
}

fn write_list(
    f: &mut fmt::Formatter<'_>,
    open: char,
    values: &[DynSolValue],
    close: char,
) -> fmt::Result {
    write!(f, "{open}")?;
    for (index, value) in values.iter().take(MOST).enumerate() {
        let comma = if index > 0 { ", " } else { "" };
        write!(f, "{comma}{}", Shown(value))?;
    }
    if values.len() > MOST {
        write!(f, ", … ({} items)", values.len())?;
    }
    write!(f, "{close}")
}

/// Text from the chain, on one line: control characters could redraw a terminal or forge a log.
fn write_text(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    for c in text.chars().take(LONGEST) {
        if is_treacherous(c) {
            write!(f, "{}", c.escape_unicode())?;
        } else {
            write!(f, "{c}")?;
        }
    }
    if text.chars().nth(LONGEST).is_some() {
        write!(f, "… ({} bytes)", text.len())?;
    }
    Ok(())
}

/// Control characters, and those that turn the direction of the text around them.
fn is_treacherous(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
