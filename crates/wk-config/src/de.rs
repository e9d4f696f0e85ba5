//! Tree → typed settings, with every fault at its place instead of only the first.
//!
//! Serde stops at the first fault. So a value that is wrong is told of, left out, and everything is
//! read again, until nothing new is found.

use serde::de::{self, DeserializeOwned, DeserializeSeed, IntoDeserializer, Unexpected, Visitor};

use crate::de_error::{At, Error, Kind};
use crate::fault::Faults;
use crate::path::{Dropped, path_of};
use crate::tree::{Entry, Node, Scalar, Style, Value};

/// A config with more faults than this is not read to its end.
const MAX_ROUNDS: usize = 100;

/// The settings in `root`, without the values that are wrong: those go to `faults` and `dropped`.
/// None when nothing can be made of it. Of values that are `unresolved`, a fault was told before.
/// `homes` says where in a config a key belongs.
pub(crate) fn read<T: DeserializeOwned>(
    root: &Node,
    dropped: &mut Dropped,
    unresolved: &Dropped,
    faults: &mut Faults,
    homes: impl Fn(&str) -> Vec<String> + Copy,
) -> Option<T> {
    for _ in 0..MAX_ROUNDS {
        let error = match T::deserialize(NodeReader { node: root, dropped }) {
            Ok(settings) => return Some(settings),
            Err(error) => error,
        };
        let at = error.at.clone().unwrap_or(At {
            place: root.first_place(),
            on_key: false,
            drop: root.id,
            follows: false,
        });
        if !at.follows && !unresolved.contains(&at.drop) {
            let path = path_of(root, at.drop).unwrap_or_default();
            faults.push(error.into_fault(&at, &path, homes));
        }
        if faults.is_full() || !dropped.insert(at.drop) || dropped.contains(&root.id) {
            return None;
        }
    }
    None
}

#[derive(Clone, Copy)]
struct NodeReader<'a> {
    node: &'a Node,
    dropped: &'a Dropped,
}

/// A scalar's meaning, as YAML's core schema has it.
enum Plain {
    Null,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text,
}

fn meaning(node: &Node, scalar: &Scalar) -> Plain {
    let text = scalar.text.as_str();
    if node.is_null() {
        return Plain::Null;
    }
    if scalar.style != Style::Plain {
        return Plain::Text;
    }
    match text {
        "true" | "True" | "TRUE" => return Plain::Bool(true),
        "false" | "False" | "FALSE" => return Plain::Bool(false),
        _ => {}
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    // What a number would lose stays a text: hex (addresses, hashes), leading zeros, and digits
    // beyond what a number holds.
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        || digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.")
    {
        return Plain::Text;
    }
    if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return match (text.parse(), text.parse()) {
            (Ok(number), _) => Plain::Unsigned(number),
            (_, Ok(number)) => Plain::Signed(number),
            _ => Plain::Text,
        };
    }
    let float = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    match text.parse::<f64>() {
        Ok(number) if float && number.is_finite() && text.len() <= 20 => Plain::Float(number),
        _ => Plain::Text,
    }
}

/// An integer as people write it: `12`, `-1`, `1_000_000`, `0x1f`.
fn integer(text: &str) -> Option<i128> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let number = match digits.strip_prefix("0x") {
        Some(hex) if hex.starts_with(|c: char| c.is_ascii_hexdigit()) => {
            i128::from_str_radix(hex, 16).ok()?
        }
        _ if digits.starts_with(|c: char| c.is_ascii_digit()) && !digits.ends_with('_') => {
            digits.replace('_', "").parse().ok()?
        }
        _ => return None,
    };
    Some(if negative { -number } else { number })
}

fn visit_integer<'a, V: Visitor<'a>>(number: i128, visitor: V) -> Result<V::Value, Error> {
    match (u64::try_from(number), i64::try_from(number)) {
        (Ok(number), _) => visitor.visit_u64(number),
        (_, Ok(number)) => visitor.visit_i64(number),
        _ => visitor.visit_i128(number),
    }
}

impl<'a> NodeReader<'a> {
    fn unexpected(self) -> Unexpected<'a> {
        match &self.node.value {
            Value::List(_) => Unexpected::Seq,
            Value::Map(_) => Unexpected::Map,
            Value::Scalar(scalar) => match meaning(self.node, scalar) {
                Plain::Null => Unexpected::Unit,
                Plain::Bool(value) => Unexpected::Bool(value),
                Plain::Unsigned(number) => Unexpected::Unsigned(number),
                Plain::Signed(number) => Unexpected::Signed(number),
                Plain::Float(number) => Unexpected::Float(number),
                Plain::Text => Unexpected::Str(&scalar.text),
            },
        }
    }

    /// A number, in quotes or not: whoever asks for a number means one.
    fn number<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        if let Value::Scalar(scalar) = &self.node.value
            && !self.node.is_null()
        {
            let text = scalar.text.trim();
            if let Some(number) = integer(text) {
                return visit_integer(number, visitor);
            }
            if let Ok(number) = text.parse::<f64>()
                && number.is_finite()
            {
                return visitor.visit_f64(number);
            }
        }
        Err(de::Error::invalid_type(self.unexpected(), &visitor))
    }

    fn entries(self, entries: &'a [Entry]) -> Entries<'a> {
        Entries { entries: entries.iter(), dropped: self.dropped, value: None }
    }

    fn items(self, items: &'a [Node]) -> Items<'a> {
        Items { items: items.iter(), dropped: self.dropped }
    }
}

macro_rules! numbers {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
            self.number(visitor)
        })*
    };
}

impl<'a> de::Deserializer<'a> for NodeReader<'a> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.node.value {
            Value::List(items) => visitor.visit_seq(self.items(items)),
            Value::Map(entries) => visitor.visit_map(self.entries(entries)),
            Value::Scalar(scalar) => match meaning(self.node, scalar) {
                Plain::Null => visitor.visit_unit(),
                Plain::Bool(value) => visitor.visit_bool(value),
                Plain::Unsigned(number) => visitor.visit_u64(number),
                Plain::Signed(number) => visitor.visit_i64(number),
                Plain::Float(number) => visitor.visit_f64(number),
                Plain::Text => visitor.visit_borrowed_str(&scalar.text),
            },
        }
    }

    fn deserialize_bool<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.node.value {
            Value::Scalar(scalar) => match scalar.text.as_str() {
                "true" | "True" | "TRUE" => visitor.visit_bool(true),
                "false" | "False" | "FALSE" => visitor.visit_bool(false),
                _ => Err(de::Error::invalid_type(self.unexpected(), &visitor)),
            },
            _ => Err(de::Error::invalid_type(self.unexpected(), &visitor)),
        }
    }

    numbers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
        deserialize_f32 deserialize_f64
    }

    /// Whoever wants a text gets it as it was written: `0x00ff`, `1e3` and `true` are texts then.
    fn deserialize_str<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.node.value {
            Value::Scalar(scalar) if !self.node.is_null() => {
                visitor.visit_borrowed_str(&scalar.text)
            }
            _ => Err(de::Error::invalid_type(self.unexpected(), &visitor)),
        }
    }

    fn deserialize_string<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_char<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_byte_buf<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.node.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_unit<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        // An empty map is as good as nothing: `stdout: {}`.
        match &self.node.value {
            Value::Map(entries) if entries.is_empty() => visitor.visit_unit(),
            _ if self.node.is_null() => visitor.visit_unit(),
            _ => Err(de::Error::invalid_type(self.unexpected(), &visitor)),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'a>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'a>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    /// A key without a value is an empty list: everything below it was commented out.
    fn deserialize_seq<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.node.value {
            Value::List(items) => visitor.visit_seq(self.items(items)),
            _ if self.node.is_null() => visitor.visit_seq(self.items(&[])),
            _ => Err(de::Error::invalid_type(self.unexpected(), &visitor)),
        }
    }

    fn deserialize_tuple<V: Visitor<'a>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'a>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.node.value {
            Value::Map(entries) => visitor.visit_map(self.entries(entries)),
            _ if self.node.is_null() => visitor.visit_map(self.entries(&[])),
            _ => Err(de::Error::invalid_type(self.unexpected(), &visitor)),
        }
    }

    fn deserialize_struct<V: Visitor<'a>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        // Also for settings that forgot to deny unknown fields: a misspelt key is never ignored.
        let unknown = self.node.entries().iter().find(|entry| {
            !fields.contains(&entry.key.as_str()) && !self.dropped.contains(&entry.value.id)
        });
        match unknown {
            Some(entry) => {
                Err(Error::from(Kind::UnknownField { field: entry.key.clone(), known: fields })
                    .at_key(entry))
            }
            None => self.deserialize_map(visitor),
        }
    }

    /// `name`, or `name: settings` as the only key.
    fn deserialize_enum<V: Visitor<'a>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let node = self.node;
        match &node.value {
            Value::Scalar(scalar) if !node.is_null() => visitor.visit_enum(Variant {
                name: &scalar.text,
                content: None,
                whole: node,
                dropped: self.dropped,
            }),
            Value::Map(entries) => match entries.as_slice() {
                [entry] if self.dropped.contains(&entry.value.id) => Err(Error::following(node)),
                [entry] => visitor.visit_enum(Variant {
                    name: &entry.key,
                    content: Some(entry),
                    whole: node,
                    dropped: self.dropped,
                }),
                _ => {
                    let keys: Vec<String> = entries.iter().map(|e| e.key.clone()).collect();
                    let mut error = Error::from(Kind::NotOneKey { keys, known: variants });
                    if let Some(second) = entries.get(1) {
                        error = error.at_key(second).dropping(node);
                    }
                    Err(error)
                }
            },
            _ => Err(Kind::NotOneKey { keys: Vec::new(), known: variants }.into()),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }
}

struct Entries<'a> {
    entries: std::slice::Iter<'a, Entry>,
    dropped: &'a Dropped,
    value: Option<&'a Entry>,
}

impl<'a> de::MapAccess<'a> for Entries<'a> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'a>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        let Some(entry) = self.entries.find(|entry| !self.dropped.contains(&entry.value.id)) else {
            return Ok(None);
        };
        self.value = Some(entry);
        seed.deserialize(KeyReader(&entry.key)).map(Some).map_err(|error| error.at_key(entry))
    }

    fn next_value_seed<S: DeserializeSeed<'a>>(&mut self, seed: S) -> Result<S::Value, Error> {
        let entry = self.value.take().expect("serde asks for the key before the value");
        let reader = NodeReader { node: &entry.value, dropped: self.dropped };
        seed.deserialize(reader).map_err(|error| error.at_value(entry, self.dropped))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.entries.len())
    }
}

struct Items<'a> {
    items: std::slice::Iter<'a, Node>,
    dropped: &'a Dropped,
}

impl<'a> de::SeqAccess<'a> for Items<'a> {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'a>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Error> {
        let Some(node) = self.items.find(|item| !self.dropped.contains(&item.id)) else {
            return Ok(None);
        };
        let reader = NodeReader { node, dropped: self.dropped };
        seed.deserialize(reader).map(Some).map_err(|error| error.at_item(node, self.dropped))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

struct Variant<'a> {
    name: &'a str,
    content: Option<&'a Entry>,
    whole: &'a Node,
    dropped: &'a Dropped,
}

impl<'a> de::EnumAccess<'a> for Variant<'a> {
    type Error = Error;
    type Variant = Variant<'a>;

    fn variant_seed<S: DeserializeSeed<'a>>(
        self,
        seed: S,
    ) -> Result<(S::Value, Variant<'a>), Error> {
        match seed.deserialize(KeyReader(self.name)) {
            Ok(value) => Ok((value, self)),
            Err(error) => Err(match self.content {
                Some(entry) => error.at_key(entry).dropping(self.whole),
                None => error,
            }),
        }
    }
}

impl<'a> Variant<'a> {
    fn content<T>(
        self,
        read: impl FnOnce(NodeReader<'a>) -> Result<T, Error>,
        kind: &'static str,
    ) -> Result<T, Error> {
        match self.content {
            Some(entry) => read(NodeReader { node: &entry.value, dropped: self.dropped })
                .map_err(|error| error.at_value(entry, self.dropped)),
            None => Err(Kind::NeedsSettings { name: self.name.to_owned(), kind }.into()),
        }
    }
}

impl<'a> de::VariantAccess<'a> for Variant<'a> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        match self.content {
            None => Ok(()),
            Some(_) => self.content(de::Deserialize::deserialize, "nothing"),
        }
    }

    fn newtype_variant_seed<S: DeserializeSeed<'a>>(self, seed: S) -> Result<S::Value, Error> {
        self.content(|reader| seed.deserialize(reader), "settings")
    }

    fn tuple_variant<V: Visitor<'a>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.content(|reader| de::Deserializer::deserialize_seq(reader, visitor), "a list")
    }

    fn struct_variant<V: Visitor<'a>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let read = |reader| de::Deserializer::deserialize_struct(reader, "", fields, visitor);
        self.content(read, "settings")
    }
}

/// A key: a text, unless a number is asked for.
#[derive(Clone, Copy)]
struct KeyReader<'a>(&'a str);

macro_rules! number_keys {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            match integer(self.0) {
                Some(number) => visit_integer(number, visitor),
                None => Err(de::Error::invalid_type(Unexpected::Str(self.0), &visitor)),
            }
        })*
    };
}

impl<'de> de::Deserializer<'de> for KeyReader<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_borrowed_str(self.0)
    }

    number_keys! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_enum(IntoDeserializer::<Error>::into_deserializer(self.0))
    }

    serde::forward_to_deserialize_any! {
        bool f32 f64 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map
        struct identifier ignored_any
    }
}
