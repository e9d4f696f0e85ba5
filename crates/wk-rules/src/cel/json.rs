//! Values to JSON and back.

use std::sync::Arc;

use serde_json::{Number, Value as Json};

use super::{Int, Key, Type, Value, literal};

/// Deeper JSON is taken as `null`: nobody writes it in earnest.
const MAX_DEPTH: usize = 128;

impl Value {
    /// The value as JSON: whole numbers as decimal strings (they may have 512 bits), addresses and
    /// bytes as lower-case hex, times as RFC 3339, durations as `1h30m`.
    pub fn to_json(&self) -> Json {
        match self {
            Value::Null => Json::Null,
            Value::Bool(value) => Json::Bool(*value),
            Value::Double(number) => Number::from_f64(*number)
                .map_or_else(|| Json::String(number.to_string()), Json::Number),
            Value::Int(_)
            | Value::String(_)
            | Value::Bytes(_)
            | Value::Hash(_)
            | Value::Address(_)
            | Value::Timestamp(_)
            | Value::Duration(_) => Json::String(self.to_string()),
            Value::List(list) => list.items().iter().map(Value::to_json).collect(),
            Value::Map(map) => map
                .iter()
                .map(|(key, value)| (key.to_value().to_string(), value.to_json()))
                .collect(),
            Value::Object(object) => object
                .ty
                .fields
                .iter()
                .zip(&object.fields)
                .map(|(field, value)| (field.name.clone(), value.to_json()))
                .collect(),
        }
    }

    /// JSON of unknown shape, such as an HTTP answer, for a variable of type `dyn`: whole numbers
    /// as int, others as double, objects as maps.
    pub fn from_json(json: &Json) -> Value {
        from_json(json, 0)
    }

    /// What `to_json` made of a value of type `ty`; none when the JSON says something else.
    pub fn from_json_as(json: &Json, ty: &Type) -> Option<Value> {
        match (ty, json) {
            (Type::Dyn, json) => Some(Value::from_json(json)),
            (Type::Null | Type::Optional(_), Json::Null) => Some(Value::Null),
            (Type::Optional(inner), json) => Value::from_json_as(json, inner),
            (Type::Bool, Json::Bool(value)) => Some(Value::Bool(*value)),
            (Type::Int, Json::String(text)) => {
                let digits = text.strip_prefix('-');
                let number = Int::from_digits(digits.unwrap_or(text))?;
                Some(Value::Int(if digits.is_some() { -number } else { number }))
            }
            (Type::Int, Json::Number(number)) => int(number).map(Value::Int),
            (Type::Double, Json::Number(number)) => number.as_f64().map(Value::Double),
            (Type::Double, Json::String(text)) => text.parse().ok().map(Value::Double),
            (Type::String, Json::String(text)) => Some(Value::string(text)),
            (Type::Bytes, Json::String(text)) => literal::hex_bytes(text).ok().map(Value::Bytes),
            (Type::Address, Json::String(text)) => literal::address(text).ok().map(Value::Address),
            (Type::Timestamp, Json::String(text)) => {
                literal::timestamp(text).ok().map(Value::Timestamp)
            }
            (Type::Duration, Json::String(text)) => {
                literal::duration(text).ok().map(Value::Duration)
            }
            (Type::List(item), Json::Array(items)) => {
                let items = items.iter().map(|json| Value::from_json_as(json, item));
                Some(Value::list(items.collect::<Option<_>>()?))
            }
            (Type::Map(key, value), Json::Object(entries)) => {
                let entries = entries.iter().map(|(name, json)| {
                    let name = match &**key {
                        Type::Bool => Json::Bool(name.parse().ok()?),
                        _ => Json::String(name.clone()),
                    };
                    let key = Key::of(&Value::from_json_as(&name, key)?)?;
                    Some((key, Value::from_json_as(json, value)?))
                });
                Some(Value::map(entries.collect::<Option<Vec<_>>>()?))
            }
            (Type::Object(object), Json::Object(entries)) => {
                let fields = object.fields.iter().map(|field| {
                    Value::from_json_as(entries.get(&field.name).unwrap_or(&Json::Null), &field.ty)
                });
                Some(Value::object(object, fields.collect::<Option<_>>()?))
            }
            _ => None,
        }
    }
}

fn from_json(json: &Json, depth: usize) -> Value {
    if depth > MAX_DEPTH {
        return Value::Null;
    }
    match json {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => int(number)
            .map(Value::Int)
            .or_else(|| number.as_f64().map(Value::Double))
            .unwrap_or(Value::Null),
        Json::String(text) => Value::string(text),
        Json::Array(items) => {
            Value::list(items.iter().map(|item| from_json(item, depth + 1)).collect())
        }
        Json::Object(entries) => Value::map(entries.iter().map(|(name, value)| {
            (Key::String(Arc::from(name.as_str())), from_json(value, depth + 1))
        })),
    }
}

fn int(number: &Number) -> Option<Int> {
    number.as_u64().map(Int::from).or_else(|| number.as_i64().map(Int::from))
}
