//! Values as people write them in a config, as values of a Solidity type.

use alloy_primitives::{Address, I256, U256};
use serde_json::Value as Json;
use wk_chain::abi::{DynSolType, DynSolValue, ParamSpec, kind_name};

use crate::env::address;
use crate::names::shorten;

/// Resolves names of contracts, where an address is wanted.
pub(crate) type Resolve<'a> = &'a dyn Fn(&str) -> Option<Address>;

/// Why a value cannot be of a type: where in it, and why.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Misfit {
    /// Path below the value, such as `[1].amount`; empty for the value itself.
    pub(crate) path: String,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

impl Misfit {
    fn below(mut self, step: &str) -> Misfit {
        self.path = format!("{step}{}", self.path);
        self
    }
}

/// The value of `json` as `kind`.
pub(crate) fn coerce(
    kind: &DynSolType,
    fields: &[ParamSpec],
    json: &Json,
    resolve: Resolve<'_>,
) -> Result<DynSolValue, Misfit> {
    let misfit = |hint: &str| Misfit {
        path: String::new(),
        message: format!("{} is no {}", shown(json), kind_name(kind)),
        hint: Some(hint.to_owned()),
    };
    match kind {
        DynSolType::Bool => match json {
            Json::Bool(value) => Ok(DynSolValue::Bool(*value)),
            _ => Err(misfit("Write true or false.")),
        },
        DynSolType::Uint(bits) => {
            let wrong =
                || misfit("Write digits, in quotes when large, or an amount like \"1 ether\".");
            let text = number_text(json).ok_or_else(wrong)?;
            let value = uint(&text).ok_or_else(wrong)?;
            if value.bit_len() > *bits {
                return Err(misfit("It is too large for the type."));
            }
            Ok(DynSolValue::Uint(value, *bits))
        }
        DynSolType::Int(bits) => {
            let wrong =
                || misfit("Write digits, in quotes when large, or an amount like \"-1 ether\".");
            let text = number_text(json).ok_or_else(wrong)?;
            let value = int(&text).ok_or_else(wrong)?;
            if value.bits() as usize > *bits {
                return Err(misfit("It is out of the type's range."));
            }
            Ok(DynSolValue::Int(value, *bits))
        }
        DynSolType::Address => {
            let text = json.as_str().ok_or_else(|| misfit(ADDRESS))?;
            let found = resolve(text).or_else(|| address(text));
            Ok(DynSolValue::Address(found.ok_or_else(|| misfit(ADDRESS))?))
        }
        DynSolType::String => match json {
            Json::String(text) => Ok(DynSolValue::String(text.clone())),
            _ => Err(misfit("Write text, in quotes.")),
        },
        DynSolType::FixedBytes(_) | DynSolType::Bytes | DynSolType::Function => {
            let text = json.as_str().filter(|text| text.starts_with("0x"));
            let value = text.and_then(|text| kind.coerce_str(text).ok());
            value.ok_or_else(|| {
                misfit("Write `0x` and hex digits, in quotes, as many as the type has.")
            })
        }
        DynSolType::Array(inner) => {
            let items = json.as_array().ok_or_else(|| misfit("Write a list."))?;
            list(inner, fields, items, resolve).map(DynSolValue::Array)
        }
        DynSolType::FixedArray(inner, len) => {
            let items = json.as_array().filter(|items| items.len() == *len);
            let items = items.ok_or_else(|| misfit(&format!("Write a list of {len} items.")))?;
            list(inner, fields, items, resolve).map(DynSolValue::FixedArray)
        }
        DynSolType::Tuple(kinds) => {
            let mut values = Vec::with_capacity(kinds.len());
            for (index, kind) in kinds.iter().enumerate() {
                let field = fields.get(index);
                let name = field.map_or_else(|| format!("arg{index}"), |f| f.name.to_string());
                let (part, step) = match json {
                    Json::Object(parts) => (parts.get(&name), format!(".{name}")),
                    Json::Array(parts) if parts.len() == kinds.len() => {
                        (parts.get(index), format!("[{index}]"))
                    }
                    _ => (None, String::new()),
                };
                let part = part.ok_or_else(|| {
                    misfit("Write an object with all fields by name, or a list with all of them.")
                })?;
                let fields = field.map_or(&[][..], |field| &field.fields);
                values.push(coerce(kind, fields, part, resolve).map_err(|m| m.below(&step))?);
            }
            Ok(DynSolValue::Tuple(values))
        }
    }
}

const ADDRESS: &str =
    "Write the name of a contract, or `0x` and 40 hex digits in quotes (mixed case is checked).";

fn list(
    kind: &DynSolType,
    fields: &[ParamSpec],
    items: &[Json],
    resolve: Resolve<'_>,
) -> Result<Vec<DynSolValue>, Misfit> {
    let items = items.iter().enumerate();
    items
        .map(|(i, item)| {
            coerce(kind, fields, item, resolve).map_err(|misfit| misfit.below(&format!("[{i}]")))
        })
        .collect()
}

/// Zero, empty, false: what a parameter is when nothing is said.
pub(crate) fn zero(kind: &DynSolType) -> DynSolValue {
    match kind {
        DynSolType::Bool => DynSolValue::Bool(false),
        DynSolType::Int(bits) => DynSolValue::Int(I256::ZERO, *bits),
        DynSolType::Uint(bits) => DynSolValue::Uint(U256::ZERO, *bits),
        DynSolType::FixedBytes(size) => DynSolValue::FixedBytes(Default::default(), *size),
        DynSolType::Address => DynSolValue::Address(Address::ZERO),
        DynSolType::Function => DynSolValue::Function(Default::default()),
        DynSolType::Bytes => DynSolValue::Bytes(Vec::new()),
        DynSolType::String => DynSolValue::String(String::new()),
        DynSolType::Array(_) => DynSolValue::Array(Vec::new()),
        DynSolType::FixedArray(inner, len) => DynSolValue::FixedArray(vec![zero(inner); *len]),
        DynSolType::Tuple(kinds) => DynSolValue::Tuple(kinds.iter().map(zero).collect()),
    }
}

/// An amount in wei: digits, `0x` and hex digits, or with a unit such as `1.5 ether`.
pub(crate) fn amount(json: &Json) -> Option<U256> {
    uint(&number_text(json)?)
}

fn uint(text: &str) -> Option<U256> {
    let text = text.trim();
    if text.is_empty() || text.starts_with('-') {
        return None;
    }
    match DynSolType::Uint(256).coerce_str(text) {
        Ok(DynSolValue::Uint(value, _)) => Some(value),
        _ => None,
    }
}

fn int(text: &str) -> Option<I256> {
    match DynSolType::Int(256).coerce_str(text.trim()) {
        Ok(DynSolValue::Int(value, _)) => Some(value),
        _ => None,
    }
}

/// A whole number as text. A fraction or an exponent is none: such numbers are not exact.
fn number_text(json: &Json) -> Option<String> {
    match json {
        Json::String(text) => Some(text.clone()),
        Json::Number(number) if number.is_u64() || number.is_i64() => Some(number.to_string()),
        _ => None,
    }
}

fn shown(json: &Json) -> String {
    match json {
        Json::String(text) => format!("`{}`", shorten(text)),
        other => format!("`{}`", shorten(&other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(kind: &str, json: Json, expected: Result<&str, &str>) {
        let vault = |name: &str| (name == "vault").then(|| Address::repeat_byte(7));
        let kind = DynSolType::parse(kind).expect("the type is written well");
        let coerced = coerce(&kind, &[], &json, &vault);
        let shown = coerced.map(|value| wk_chain::abi::Shown(&value).to_string());
        match expected {
            Ok(text) => assert_eq!(shown.as_deref(), Ok(text), "{json}"),
            Err(path) => assert_eq!(shown.expect_err("a misfit").path, path, "{json}"),
        }
    }

    #[test]
    fn takes_values_as_people_write_them() {
        check("uint256", json!(5), Ok("5"));
        check("uint256", json!("2000 ether"), Ok("2000000000000000000000"));
        check("uint256", json!("0x10"), Ok("16"));
        check("uint8", json!(255), Ok("255"));
        check("int256", json!("-1"), Ok("-1"));
        check("int8", json!(-128), Ok("-128"));
        check("address", json!("vault"), Ok("0x0707070707070707070707070707070707070707"));
        check("bytes4", json!("0xa9059cbb"), Ok("0xa9059cbb"));
        check("string", json!("a"), Ok("\"a\""));
        check("bool", json!(true), Ok("true"));
        check("uint256[]", json!([1, "2"]), Ok("[1, 2]"));
        check("(uint256,bool)", json!([1, false]), Ok("(1, false)"));
        check("(uint256,bool)", json!({"arg0": 1, "arg1": false}), Ok("(1, false)"));
    }

    #[test]
    fn refuses_what_does_not_fit() {
        check("uint8", json!(256), Err(""));
        check("int8", json!(128), Err(""));
        check("uint256", json!(-1), Err(""));
        check("uint256", json!(1e30), Err(""));
        check("uint256", json!(""), Err(""));
        check("address", json!("pool"), Err(""));
        check(
            "address",
            json!("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"),
            Ok("0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed"),
        );
        check("address", json!("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD"), Err(""));
        check("bytes4", json!("0xa9"), Err(""));
        check("bool", json!("true"), Err(""));
        check("uint256[]", json!([1, "x"]), Err("[1]"));
        check("uint256[2]", json!([1]), Err(""));
        check("(uint256,uint8[])", json!([1, [1, 300]]), Err("[1][1]"));
    }
}
