//! Reads JSON objects of unknown clients field by field, and says which field was wrong.

use std::borrow::Cow;
use std::fmt;

use serde::Deserializer;
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use wk_model::primitives::{Address, B64, B256, Bloom, Bytes, U256};

/// A field of an answer cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct WireError {
    /// Path of the field, such as `transactions[3].gas`.
    pub field: String,
    /// What is wrong with it.
    pub reason: String,
}

impl WireError {
    pub(super) fn new(field: impl Into<String>, reason: impl Into<String>) -> WireError {
        WireError { field: field.into(), reason: reason.into() }
    }

    /// The same fault, one level further in.
    pub(super) fn under(mut self, parent: impl fmt::Display) -> WireError {
        self.field = if self.field.is_empty() {
            parent.to_string()
        } else {
            format!("{parent}.{}", self.field)
        };
        self
    }
}

/// An object whose values are not yet read. Of a key that comes twice, the first counts.
#[derive(Debug)]
pub(super) struct Object<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

/// Objects with more keys than this are no answer to anything we ask.
const MOST_KEYS: usize = 256;

impl<'a> Object<'a> {
    pub(super) fn parse(raw: &'a RawValue) -> Result<Object<'a>, WireError> {
        struct Fields;

        impl<'de> Visitor<'de> for Fields {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
                let mut fields = Vec::with_capacity(24);
                while let Some((Key(key), value)) = map.next_entry::<Key<'de>, &'de RawValue>()? {
                    if fields.len() == MOST_KEYS {
                        return Err(serde::de::Error::custom("an object with too many keys"));
                    }
                    fields.push((key, value));
                }
                Ok(Object(fields))
            }
        }

        serde_json::Deserializer::from_str(raw.get())
            .deserialize_map(Fields)
            .map_err(|_| WireError::new("", format!("expected an object, not {}", shown(raw))))
    }

    /// The field's value, unless it is missing or `null`.
    pub(super) fn get(&self, name: &str) -> Option<&'a RawValue> {
        let (_, value) = self.0.iter().find(|(key, _)| key == name)?;
        (value.get() != "null").then_some(*value)
    }

    /// The field's value; missing is a fault.
    pub(super) fn need<T: FromWire>(&self, name: &str) -> Result<T, WireError> {
        self.maybe(name)?.ok_or_else(|| WireError::new(name, "missing"))
    }

    /// The field's value; none when it is missing or `null`.
    pub(super) fn maybe<T: FromWire>(&self, name: &str) -> Result<Option<T>, WireError> {
        self.get(name)
            .map(|raw| {
                T::from_wire(raw)
                    .map_err(|reason| WireError::new(name, format!("{reason}, not {}", shown(raw))))
            })
            .transpose()
    }

    /// The field's value, or the type's default.
    pub(super) fn or_default<T: FromWire + Default>(&self, name: &str) -> Result<T, WireError> {
        Ok(self.maybe(name)?.unwrap_or_default())
    }

    /// Each item of the array in field `name`; nothing when it is missing or `null`.
    pub(super) fn each<T>(
        &self,
        name: &str,
        read: impl FnMut(&'a RawValue) -> Result<T, WireError>,
    ) -> Result<Vec<T>, WireError> {
        match self.get(name) {
            None => Ok(Vec::new()),
            Some(raw) => each(raw, read).map_err(|error| error.under_index(name)),
        }
    }

    /// All keys, in their order.
    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(key, _)| key.as_ref())
    }
}

impl WireError {
    /// Joins `name` and `[3].rest` without a dot.
    pub(super) fn under_index(mut self, name: &str) -> WireError {
        self.field = format!("{name}{}", self.field);
        self
    }
}

/// Each item of an array.
pub(super) fn each<'a, T>(
    raw: &'a RawValue,
    mut read: impl FnMut(&'a RawValue) -> Result<T, WireError>,
) -> Result<Vec<T>, WireError> {
    struct Items;

    impl<'de> Visitor<'de> for Items {
        type Value = Vec<&'de RawValue>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an array")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            let mut items = Vec::new();
            while let Some(item) = seq.next_element()? {
                items.push(item);
            }
            Ok(items)
        }
    }

    let items = serde_json::Deserializer::from_str(raw.get())
        .deserialize_seq(Items)
        .map_err(|_| WireError::new("", format!("expected an array, not {}", shown(raw))))?;
    items
        .into_iter()
        .enumerate()
        .map(|(index, item)| read(item).map_err(|error| error.under(format_args!("[{index}]"))))
        .collect()
}

/// A plain value, such as an item of an array.
pub(super) fn value<T: FromWire>(raw: &RawValue) -> Result<T, WireError> {
    T::from_wire(raw).map_err(|reason| WireError::new("", format!("{reason}, not {}", shown(raw))))
}

/// A key, borrowed where it has no escapes.
struct Key<'a>(Cow<'a, str>);

impl<'de> serde::Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Key<'de>, D::Error> {
        struct Text;

        impl<'de> Visitor<'de> for Text {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(text.to_owned())))
            }
        }

        deserializer.deserialize_str(Text)
    }
}

/// A value as far as an error message needs it.
fn shown(raw: &RawValue) -> String {
    let text = raw.get();
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// A value that answers carry. The error says what was expected.
pub(super) trait FromWire: Sized {
    fn from_wire(raw: &RawValue) -> Result<Self, &'static str>;
}

/// The text of a JSON string; none for other values.
fn text(raw: &RawValue) -> Option<Cow<'_, str>> {
    let inner = raw.get().strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        serde_json::from_str(raw.get()).ok().map(Cow::Owned)
    } else {
        Some(Cow::Borrowed(inner))
    }
}

/// Exactly `N` bytes of hex.
fn fixed<const N: usize>(raw: &RawValue) -> Option<[u8; N]> {
    let text = text(raw)?;
    let mut bytes = [0; N];
    wk_model::primitives::hex::decode_to_slice(text.as_bytes(), &mut bytes).ok()?;
    Some(bytes)
}

/// A quantity: hex, a decimal string, or a number.
impl FromWire for U256 {
    fn from_wire(raw: &RawValue) -> Result<U256, &'static str> {
        const EXPECTED: &str = "expected a quantity";
        let text = text(raw).unwrap_or(Cow::Borrowed(raw.get()));
        let parsed = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
            // Some clients write zero like this.
            Some("") => return Ok(U256::ZERO),
            Some(digits) if digits.bytes().all(|digit| digit.is_ascii_hexdigit()) => {
                U256::from_str_radix(digits, 16)
            }
            None if !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit()) => {
                U256::from_str_radix(&text, 10)
            }
            Some(_) | None => return Err(EXPECTED),
        };
        parsed.map_err(|_| EXPECTED)
    }
}

impl FromWire for u64 {
    fn from_wire(raw: &RawValue) -> Result<u64, &'static str> {
        U256::from_wire(raw)?.try_into().map_err(|_| "expected a quantity of 64 bits")
    }
}

impl FromWire for u8 {
    fn from_wire(raw: &RawValue) -> Result<u8, &'static str> {
        U256::from_wire(raw)?.try_into().map_err(|_| "expected a quantity of 8 bits")
    }
}

/// `true`, `false`, or a quantity that is 1 or 0.
impl FromWire for bool {
    fn from_wire(raw: &RawValue) -> Result<bool, &'static str> {
        match raw.get() {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => match u64::from_wire(raw) {
                Ok(0) => Ok(false),
                Ok(1) => Ok(true),
                Ok(_) | Err(_) => Err("expected yes (1) or no (0)"),
            },
        }
    }
}

impl FromWire for B256 {
    fn from_wire(raw: &RawValue) -> Result<B256, &'static str> {
        fixed(raw).map(B256::new).ok_or("expected 32 bytes of hex")
    }
}

impl FromWire for B64 {
    fn from_wire(raw: &RawValue) -> Result<B64, &'static str> {
        fixed(raw).map(B64::new).ok_or("expected 8 bytes of hex")
    }
}

impl FromWire for Address {
    fn from_wire(raw: &RawValue) -> Result<Address, &'static str> {
        fixed(raw).map(Address::new).ok_or("expected an address")
    }
}

impl FromWire for Bloom {
    fn from_wire(raw: &RawValue) -> Result<Bloom, &'static str> {
        fixed(raw).map(Bloom::new).ok_or("expected 256 bytes of hex")
    }
}

/// Any JSON.
impl FromWire for serde_json::Value {
    fn from_wire(raw: &RawValue) -> Result<serde_json::Value, &'static str> {
        serde_json::from_str(raw.get()).map_err(|_| "expected JSON")
    }
}

impl FromWire for Bytes {
    fn from_wire(raw: &RawValue) -> Result<Bytes, &'static str> {
        text(raw)
            .and_then(|text| wk_model::primitives::hex::decode(text.as_bytes()).ok())
            .map(Bytes::from)
            .ok_or("expected bytes of hex")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(json: &str) -> Box<RawValue> {
        RawValue::from_string(json.to_owned()).expect("it is JSON")
    }

    #[test]
    fn quantities_come_in_every_dress() {
        for (json, expected) in [
            ("\"0x1a\"", Some(26)),
            ("\"0X1A\"", Some(26)),
            ("\"0x001a\"", Some(26)),
            ("\"0x\"", Some(0)),
            ("\"26\"", Some(26)),
            ("26", Some(26)),
            ("\"0x1\\u0061\"", Some(26)),
            ("\"0xffffffffffffffff\"", Some(u64::MAX)),
            ("\"0x10000000000000000\"", None),
            ("\"\"", None),
            ("-1", None),
            ("1.5", None),
            ("1e3", None),
            ("true", None),
            ("\"0xzz\"", None),
            ("\"0x1_a\"", None),
            ("\"1_000\"", None),
            ("[1]", None),
        ] {
            assert_eq!(u64::from_wire(&raw(json)).ok(), expected, "{json}");
        }
        let huge = format!("{}", U256::MAX);
        assert_eq!(U256::from_wire(&raw(&huge)), Ok(U256::MAX));
        assert!(U256::from_wire(&raw(&format!("{huge}0"))).is_err());
    }

    #[test]
    fn faults_name_their_field() {
        let json = raw(r#"{"a": "0x1", "b": [{"c": 1}, {"c": "x"}], "d": null, "a": "0x2"}"#);
        let object = Object::parse(&json).unwrap();
        assert_eq!(object.need::<u64>("a"), Ok(1));
        assert_eq!(object.maybe::<u64>("d"), Ok(None));
        assert_eq!(object.need::<u64>("d").unwrap_err().to_string(), "d: missing");
        let error = object.each("b", |raw| Object::parse(raw)?.need::<u64>("c")).unwrap_err();
        assert_eq!(error.to_string(), "b[1].c: expected a quantity, not \"x\"");
        let error = Object::parse(&raw("[1]")).unwrap_err();
        assert_eq!(error.to_string(), ": expected an object, not [1]");
    }
}
