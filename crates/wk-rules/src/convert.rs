//! Values on their way: from the chain into expressions, and from there into evidence.

use std::sync::Arc;

use alloy_primitives::{B256, Bytes};
use serde_json::{Map, Value as Json};
use wk_chain::abi::{DynSolType, DynSolValue, ParamSpec};

use crate::cel::{Key, ObjectType, Type, Value};

/// The type of a parameter's value in expressions. What is indexed and does not fit in a topic is
/// its hash.
pub(crate) fn param_type(spec: &ParamSpec) -> Type {
    if spec.is_hashed() { Type::Bytes } else { sol_type(&spec.kind, &spec.fields) }
}

fn sol_type(kind: &DynSolType, fields: &[ParamSpec]) -> Type {
    match kind {
        DynSolType::Bool => Type::Bool,
        DynSolType::Int(_) | DynSolType::Uint(_) => Type::Int,
        DynSolType::FixedBytes(_) | DynSolType::Bytes | DynSolType::Function => Type::Bytes,
        DynSolType::Address => Type::Address,
        DynSolType::String => Type::String,
        DynSolType::Array(inner) | DynSolType::FixedArray(inner, _) => {
            Type::list(sol_type(inner, fields))
        }
        DynSolType::Tuple(kinds) => {
            let names: Vec<String> = (0..kinds.len())
                .map(|i| fields.get(i).map_or(format!("arg{i}"), |field| field.name.to_string()))
                .collect();
            let types = kinds.iter().enumerate().map(|(i, kind)| {
                sol_type(kind, fields.get(i).map_or(&[], |field| field.fields.as_slice()))
            });
            Type::object("tuple", names.iter().map(String::as_str).zip(types))
        }
    }
}

/// A decoded value as a value of `ty`, which `param_type` gave.
pub(crate) fn to_value(ty: &Type, value: &DynSolValue) -> Value {
    match (value, ty) {
        (DynSolValue::Bool(value), _) => Value::Bool(*value),
        (DynSolValue::Int(value, _), _) => Value::from(*value),
        (DynSolValue::Uint(value, _), _) => Value::from(*value),
        (DynSolValue::FixedBytes(word, 32), _) => Value::Hash(*word),
        (DynSolValue::FixedBytes(word, size), _) => {
            Value::Bytes(Bytes::copy_from_slice(&word[..(*size).min(32)]))
        }
        (DynSolValue::Bytes(bytes), _) => Value::Bytes(Bytes::copy_from_slice(bytes)),
        (DynSolValue::Function(function), _) => {
            Value::Bytes(Bytes::copy_from_slice(function.as_slice()))
        }
        (DynSolValue::Address(address), _) => Value::Address(*address),
        (DynSolValue::String(text), _) => Value::string(text),
        (DynSolValue::Array(items) | DynSolValue::FixedArray(items), ty) => {
            let item = match ty {
                Type::List(item) => item.as_ref(),
                _ => &Type::Dyn,
            };
            Value::list(items.iter().map(|value| to_value(item, value)).collect())
        }
        (DynSolValue::Tuple(items), Type::Object(object)) => {
            let fields = object.fields.iter().zip(items);
            Value::object(object, fields.map(|(field, value)| to_value(&field.ty, value)).collect())
        }
        (DynSolValue::Tuple(items), _) => {
            Value::list(items.iter().map(|value| to_value(&Type::Dyn, value)).collect())
        }
    }
}

/// The type of an object that holds these parameters by name.
pub(crate) fn params_type(name: &str, params: &[ParamSpec]) -> Type {
    Type::object(name, params.iter().map(|param| (&*param.name, param_type(param))))
}

/// Decoded values by the names of their parameters, for parameters that are not known at load.
pub(crate) fn params_map(params: &[ParamSpec], values: &[DynSolValue]) -> Value {
    Value::map(params.iter().zip(values).map(|(param, value)| {
        (Key::String(Arc::clone(&param.name)), to_value(&param_type(param), value))
    }))
}

/// The object type behind an object's or optional object's type.
pub(crate) fn object_type(ty: &Type) -> Option<&Arc<ObjectType>> {
    match ty.required() {
        Type::Object(object) => Some(object),
        _ => None,
    }
}

/// A word as bytes of `size`, from its lowest end: how storage packs what is narrower.
pub(crate) fn lowest_bytes(word: &B256, size: usize) -> Bytes {
    Bytes::copy_from_slice(&word[32 - size.min(32)..])
}

/// Longest text in evidence; what is longer is cut, and says so.
const LONGEST: usize = 2_000;

/// A value as evidence: integers as decimal text, addresses and bytes in lower-case hex.
pub(crate) fn to_json(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(value) => Json::Bool(*value),
        Value::Double(value) => {
            serde_json::Number::from_f64(*value).map_or(Json::Null, Json::Number)
        }
        Value::List(list) => Json::Array(list.items().iter().map(to_json).collect()),
        Value::Map(map) => {
            Json::Object(map.iter().map(|(k, v)| (k.to_value().to_string(), to_json(v))).collect())
        }
        Value::Object(object) => {
            let fields = object.ty.fields.iter().zip(&object.fields);
            let fields: Map<String, Json> =
                fields.map(|(field, value)| (field.name.clone(), to_json(value))).collect();
            Json::Object(fields)
        }
        Value::Int(_)
        | Value::String(_)
        | Value::Bytes(_)
        | Value::Hash(_)
        | Value::Address(_)
        | Value::Timestamp(_)
        | Value::Duration(_) => Json::String(clip(value.to_string())),
    }
}

/// Evidence is stored and sent: what an attacker can make long is cut.
pub(crate) fn clip_json(json: &mut Json) {
    match json {
        Json::String(text) => *text = clip(std::mem::take(text)),
        Json::Array(items) => {
            items.truncate(256);
            items.iter_mut().for_each(clip_json);
        }
        Json::Object(fields) => fields.values_mut().for_each(clip_json),
        Json::Null | Json::Bool(_) | Json::Number(_) => {}
    }
}

fn clip(mut text: String) -> String {
    if text.len() > LONGEST {
        let full = text.len();
        let end = (0..=LONGEST).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
        text.push_str(&format!("… ({full} bytes)"));
    }
    text
}
