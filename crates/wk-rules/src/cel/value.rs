//! Values of the language. Cloning one is cheap: what is large is shared.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::Arc;

use alloy_primitives::{Address, B256, Bytes, I256, U256};
use wk_model::{BlockTime, Timestamp};

use super::calendar::LATEST;
use super::{Int, ObjectType, Type};

/// What an expression works with.
#[derive(Clone, Debug)]
pub enum Value {
    /// Nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(Int),
    /// IEEE 754 double.
    Double(f64),
    /// Text.
    String(Arc<str>),
    /// Bytes.
    Bytes(Bytes),
    /// Bytes too, 32 of them: a hash or topic, kept in place so that comparing needs no memory.
    Hash(B256),
    /// An account.
    Address(Address),
    /// A point in time.
    Timestamp(Timestamp),
    /// A span of time.
    Duration(Millis),
    /// Values in order.
    List(Arc<List>),
    /// Values by key.
    Map(Arc<BTreeMap<Key, Value>>),
    /// Named fields.
    Object(Arc<Object>),
}

/// A span of time in milliseconds; negative points back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millis(pub i64);

/// What a map is looked up by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(Int),
    /// Text.
    String(Arc<str>),
    /// Bytes.
    Bytes(Bytes),
    /// An account.
    Address(Address),
}

/// Values in order, with an index for `in` when that pays.
#[derive(Debug)]
pub struct List {
    items: Vec<Value>,
    index: Option<Index>,
}

/// A list's items as keys.
#[derive(Debug)]
struct Index {
    /// What all of them are.
    kind: &'static str,
    keys: HashSet<Key>,
}

/// Values of an object's fields, in the order of its type's fields.
#[derive(Debug)]
pub struct Object {
    /// Names and types of the fields.
    pub ty: Arc<ObjectType>,
    /// One value per field.
    pub fields: Vec<Value>,
}

impl Value {
    /// Text.
    pub fn string(text: &str) -> Value {
        Value::String(text.into())
    }

    /// A list.
    pub fn list(items: Vec<Value>) -> Value {
        Value::List(Arc::new(List { items, index: None }))
    }

    /// A list that is asked `in` often, such as a configured one: one look instead of a walk.
    pub fn indexed_list(items: Vec<Value>) -> Value {
        Value::List(Arc::new(List::indexed(items)))
    }

    /// A map.
    pub fn map(entries: impl IntoIterator<Item = (Key, Value)>) -> Value {
        Value::Map(Arc::new(entries.into_iter().collect()))
    }

    /// An object of type `ty`; `fields` in the order of the type's.
    pub fn object(ty: &Arc<ObjectType>, fields: Vec<Value>) -> Value {
        Value::Object(Arc::new(Object { ty: Arc::clone(ty), fields }))
    }

    /// The value, or `null`.
    pub fn optional<T: Into<Value>>(value: Option<T>) -> Value {
        value.map_or(Value::Null, Into::into)
    }

    /// True for `null`.
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// The bool, if it is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The number, if it is an int.
    pub fn as_int(&self) -> Option<Int> {
        match self {
            Value::Int(value) => Some(*value),
            _ => None,
        }
    }

    /// The text, if it is a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// The bytes, if it is bytes or a hash.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Value::Bytes(bytes) => Some(bytes),
            Value::Hash(hash) => Some(hash.as_slice()),
            _ => None,
        }
    }

    /// The account, if it is an address.
    pub fn as_address(&self) -> Option<Address> {
        match self {
            Value::Address(address) => Some(*address),
            _ => None,
        }
    }

    /// The items, if it is a list.
    pub fn as_list(&self) -> Option<&[Value]> {
        match self {
            Value::List(list) => Some(&list.items),
            _ => None,
        }
    }

    /// What the value is, in the type's words.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "bool",
            Value::Int(_) => "int",
            Value::Double(_) => "double",
            Value::String(_) => "string",
            Value::Bytes(_) | Value::Hash(_) => "bytes",
            Value::Address(_) => "address",
            Value::Timestamp(_) => "timestamp",
            Value::Duration(_) => "duration",
            Value::List(_) => "list",
            Value::Map(_) => "map",
            Value::Object(_) => "object",
        }
    }

    /// True when the value is one of the type's.
    pub fn is_a(&self, ty: &Type) -> bool {
        match (self, ty) {
            (_, Type::Dyn)
            | (Value::Null, Type::Null)
            | (Value::Bool(_), Type::Bool)
            | (Value::Int(_), Type::Int)
            | (Value::Double(_), Type::Double)
            | (Value::String(_), Type::String)
            | (Value::Bytes(_) | Value::Hash(_), Type::Bytes)
            | (Value::Address(_), Type::Address)
            | (Value::Timestamp(_), Type::Timestamp)
            | (Value::Duration(_), Type::Duration) => true,
            (value, Type::Optional(inner)) => value.is_null() || value.is_a(inner),
            (Value::List(list), Type::List(item)) => list.items.iter().all(|i| i.is_a(item)),
            (Value::Map(map), Type::Map(key, value)) => {
                map.iter().all(|(k, v)| k.is_a(key) && v.is_a(value))
            }
            (Value::Object(object), Type::Object(ty)) => {
                object.fields.len() == ty.fields.len()
                    && object.fields.iter().zip(&ty.fields).all(|(v, field)| v.is_a(&field.ty))
            }
            _ => false,
        }
    }

    /// Orders two values of one kind, or an int and a double; none where there is no order.
    pub(super) fn order(&self, other: &Value) -> Option<Ordering> {
        match (self, other) {
            (Value::Int(a), Value::Int(b)) => Some(a.cmp(b)),
            (Value::Double(a), Value::Double(b)) => a.partial_cmp(b),
            (Value::Int(a), Value::Double(b)) => a.compare_f64(*b),
            (Value::Double(a), Value::Int(b)) => b.compare_f64(*a).map(Ordering::reverse),
            (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
            (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
            (Value::Address(a), Value::Address(b)) => Some(a.cmp(b)),
            (Value::Timestamp(a), Value::Timestamp(b)) => Some(a.cmp(b)),
            (Value::Duration(a), Value::Duration(b)) => Some(a.cmp(b)),
            (a, b) => Some(a.as_bytes()?.cmp(b.as_bytes()?)),
        }
    }
}

/// Values of different kinds are unequal, but for an int and a double of the same number, and for
/// text (as JSON has it) that writes an address or bytes in hex.
impl PartialEq for Value {
    fn eq(&self, other: &Value) -> bool {
        match (self, other) {
            (Value::Null, Value::Null) => true,
            (Value::List(a), Value::List(b)) => a.items == b.items,
            (Value::Map(a), Value::Map(b)) => a == b,
            (Value::Object(a), Value::Object(b)) => a.fields == b.fields,
            (Value::String(text), Value::Address(address))
            | (Value::Address(address), Value::String(text)) => {
                text.starts_with("0x") && text.parse() == Ok(*address)
            }
            (Value::String(text), bytes @ (Value::Bytes(_) | Value::Hash(_)))
            | (bytes @ (Value::Bytes(_) | Value::Hash(_)), Value::String(text)) => {
                bytes.as_bytes().is_some_and(|bytes| writes_in_hex(text, bytes))
            }
            (a, b) => a.order(b) == Some(Ordering::Equal),
        }
    }
}

fn writes_in_hex(text: &str, bytes: &[u8]) -> bool {
    let Some(digits) = text.strip_prefix("0x") else { return false };
    digits.len() == bytes.len() * 2
        && digits
            .bytes()
            .zip(bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]))
            .all(|(digit, nibble)| char::from(digit).to_digit(16) == Some(u32::from(nibble)))
}

impl Key {
    /// The value as a key; none for kinds that are no keys.
    pub fn of(value: &Value) -> Option<Key> {
        match value {
            Value::Bool(value) => Some(Key::Bool(*value)),
            Value::Int(value) => Some(Key::Int(*value)),
            Value::String(text) => Some(Key::String(Arc::clone(text))),
            Value::Bytes(bytes) => Some(Key::Bytes(bytes.clone())),
            Value::Hash(hash) => Some(Key::Bytes(Bytes::copy_from_slice(hash.as_slice()))),
            Value::Address(address) => Some(Key::Address(*address)),
            Value::Double(number) => {
                // A double that is a whole number is the same key as the int.
                let whole = Int::from_f64(*number)?;
                (whole.compare_f64(*number) == Some(Ordering::Equal)).then_some(Key::Int(whole))
            }
            Value::Null
            | Value::Timestamp(_)
            | Value::Duration(_)
            | Value::List(_)
            | Value::Map(_)
            | Value::Object(_) => None,
        }
    }

    /// The key as a value.
    pub fn to_value(&self) -> Value {
        match self {
            Key::Bool(value) => Value::Bool(*value),
            Key::Int(value) => Value::Int(*value),
            Key::String(text) => Value::String(Arc::clone(text)),
            Key::Bytes(bytes) => Value::Bytes(bytes.clone()),
            Key::Address(address) => Value::Address(*address),
        }
    }

    fn is_a(&self, ty: &Type) -> bool {
        self.to_value().is_a(ty)
    }
}

impl List {
    // Below this, walking is as fast as hashing.
    const WORTH_AN_INDEX: usize = 8;

    fn indexed(items: Vec<Value>) -> List {
        let index = if items.len() >= List::WORTH_AN_INDEX { index_of(&items) } else { None };
        List { items, index }
    }

    /// The items in order.
    pub fn items(&self) -> &[Value] {
        &self.items
    }

    /// Answers `in` by the index; none where the items have to be walked.
    pub(super) fn look_up(&self, needle: &Value) -> Option<bool> {
        let index = self.index.as_ref()?;
        // Equality crosses kinds (`1 == 1.0`), the index does not.
        if needle.kind() != index.kind {
            return None;
        }
        Some(index.keys.contains(&Key::of(needle)?))
    }
}

/// The items as keys, when all are of one kind that can be a key.
fn index_of(items: &[Value]) -> Option<Index> {
    let kind = items.first()?.kind();
    let key = |item: &Value| if item.kind() == kind { Key::of(item) } else { None };
    if !matches!(kind, "int" | "string" | "bytes" | "address") {
        return None;
    }
    Some(Index { kind, keys: items.iter().map(key).collect::<Option<_>>()? })
}

impl From<bool> for Value {
    fn from(value: bool) -> Value {
        Value::Bool(value)
    }
}

impl From<Int> for Value {
    fn from(value: Int) -> Value {
        Value::Int(value)
    }
}

impl From<U256> for Value {
    fn from(value: U256) -> Value {
        Value::Int(value.into())
    }
}

impl From<I256> for Value {
    fn from(value: I256) -> Value {
        Value::Int(value.into())
    }
}

impl From<u64> for Value {
    fn from(value: u64) -> Value {
        Value::Int(value.into())
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Value {
        Value::Int(value.into())
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Value {
        Value::Double(value)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::string(text)
    }
}

impl From<Bytes> for Value {
    fn from(bytes: Bytes) -> Value {
        Value::Bytes(bytes)
    }
}

impl From<B256> for Value {
    fn from(hash: B256) -> Value {
        Value::Hash(hash)
    }
}

impl From<Address> for Value {
    fn from(address: Address) -> Value {
        Value::Address(address)
    }
}

/// A time beyond the year 9999, which only a liar claims, is taken as its end.
impl From<Timestamp> for Value {
    fn from(timestamp: Timestamp) -> Value {
        Value::Timestamp(timestamp.min(LATEST))
    }
}

impl From<BlockTime> for Value {
    fn from(time: BlockTime) -> Value {
        time.to_timestamp().into()
    }
}

impl From<std::time::Duration> for Value {
    fn from(duration: std::time::Duration) -> Value {
        Value::Duration(Millis(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }
}

/// As messages and window keys have it: ints in decimal, addresses and bytes in lower-case hex,
/// text as it is, durations as `1h30m`.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => f.write_str("null"),
            Value::Bool(value) => write!(f, "{value}"),
            Value::Int(value) => write!(f, "{value}"),
            Value::Double(value) => write!(f, "{value:?}"),
            Value::String(text) => f.write_str(text),
            Value::Bytes(bytes) => write!(f, "{bytes}"),
            Value::Hash(hash) => write!(f, "{hash:#x}"),
            Value::Address(address) => write!(f, "{address:#x}"),
            Value::Timestamp(timestamp) => write!(f, "{timestamp}"),
            Value::Duration(duration) => write!(f, "{duration}"),
            Value::List(list) => {
                f.write_str("[")?;
                for (place, item) in list.items.iter().enumerate() {
                    write!(f, "{}{item}", if place > 0 { ", " } else { "" })?;
                }
                f.write_str("]")
            }
            Value::Map(map) => {
                f.write_str("{")?;
                for (place, (key, value)) in map.iter().enumerate() {
                    let comma = if place > 0 { ", " } else { "" };
                    write!(f, "{comma}{}: {value}", key.to_value())?;
                }
                f.write_str("}")
            }
            Value::Object(object) => {
                f.write_str("{")?;
                for (place, (field, value)) in
                    object.ty.fields.iter().zip(&object.fields).enumerate()
                {
                    let comma = if place > 0 { ", " } else { "" };
                    write!(f, "{comma}{}: {value}", field.name)?;
                }
                f.write_str("}")
            }
        }
    }
}

/// `1h30m`, `-250ms`, `0s`.
impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let length = std::time::Duration::from_millis(self.0.unsigned_abs());
        let sign = if self.0 < 0 { "-" } else { "" };
        write!(f, "{sign}{}", wk_model::HumanDuration(length))
    }
}
