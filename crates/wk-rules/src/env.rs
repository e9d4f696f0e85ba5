//! What rules may refer to: chains, contracts and lists.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{Address, Bytes, hex};
use wk_chain::abi::Decoder;
use wk_model::{ChainName, Problem};

use crate::cel::{Int, Type, Value};
use crate::list::{ListConfig, ListKind};
use crate::names::shorten;

/// What rules may refer to.
#[derive(Clone, Debug)]
pub struct RuleEnv {
    /// All chains, in the order of the config.
    pub chains: Vec<ChainName>,
    /// The watched contracts with their ABIs.
    pub decoder: Decoder,
    /// Lists by name.
    pub lists: BTreeMap<String, List>,
    /// Names of contracts and lists that exist and cannot be used: the fault has been told where
    /// it is, and what follows from it is not told again.
    pub broken: BTreeSet<String>,
}

/// A list that rules look things up in.
#[derive(Clone, Debug)]
pub struct List {
    pub(crate) kind: Type,
    pub(crate) value: Value,
}

impl List {
    /// The list of these items, as `ListConfig::read` gives them. Problems have the path of an item
    /// in the config where it stands there, else of the file.
    pub fn build(config: &ListConfig, items: &[String]) -> Result<List, Vec<Problem>> {
        let kind = config.kind.unwrap_or_else(|| guess(items));
        let mut values = Vec::with_capacity(items.len());
        let mut problems = Vec::new();
        for (index, item) in items.iter().enumerate() {
            match parse(kind, item) {
                Some(value) => values.push(value),
                None => {
                    let in_config = index < config.items.len();
                    let path = match (in_config, config.is_plain()) {
                        (true, true) => format!("[{index}]"),
                        (true, false) => format!("items[{index}]"),
                        (false, _) => "file".to_owned(),
                    };
                    let message = format!("`{}` is no {}", shorten(item), noun(kind));
                    problems.push(Problem::new(path, message).hint(form(kind)));
                }
            }
        }
        if !problems.is_empty() {
            // One wrong `type` makes every item wrong: a few show it.
            problems.truncate(5);
            return Err(problems);
        }
        let kind = match kind {
            ListKind::Address => Type::Address,
            ListKind::Int => Type::Int,
            ListKind::Bytes => Type::Bytes,
            ListKind::String => Type::String,
        };
        Ok(List { kind: Type::list(kind), value: Value::indexed_list(values) })
    }
}

/// Addresses when all items are, else integers when all are, else text. An item that looks like an
/// address and is none makes no list of text: it is a slip of the pen.
fn guess(items: &[String]) -> ListKind {
    let all = |fits: fn(&str) -> bool| !items.is_empty() && items.iter().all(|item| fits(item));
    let looks_like_address = |item: &str| {
        item.strip_prefix("0x").is_some_and(|digits| (38..=42).contains(&digits.len()))
    };
    if all(looks_like_address) || items.is_empty() {
        ListKind::Address
    } else if all(|item| int(item).is_some()) {
        ListKind::Int
    } else {
        ListKind::String
    }
}

fn parse(kind: ListKind, item: &str) -> Option<Value> {
    match kind {
        ListKind::Address => address(item).map(Value::Address),
        ListKind::Int => int(item).map(Value::Int),
        ListKind::Bytes => {
            let bytes = hex::decode(item.strip_prefix("0x")?).ok()?;
            Some(Value::Bytes(Bytes::from(bytes)))
        }
        ListKind::String => Some(Value::string(item)),
    }
}

/// `0x` and 40 hex digits; in mixed case they must be the EIP-55 checksum.
pub(crate) fn address(text: &str) -> Option<Address> {
    let digits = text.strip_prefix("0x")?;
    if digits.len() != 40 {
        return None;
    }
    let address: Address = text.parse().ok()?;
    let mixed = digits.bytes().any(|digit| digit.is_ascii_uppercase())
        && digits.bytes().any(|digit| digit.is_ascii_lowercase());
    (!mixed || address.to_checksum(None)[2..] == *digits).then_some(address)
}

fn int(text: &str) -> Option<Int> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let number = match digits.strip_prefix("0x") {
        Some(digits) if digits.len() % 2 == 1 => {
            Int::from_be_bytes(&hex::decode(format!("0{digits}")).ok()?)?
        }
        Some(digits) => Int::from_be_bytes(&hex::decode(digits).ok()?)?,
        None => Int::from_digits(digits)?,
    };
    Some(if negative { -number } else { number })
}

fn noun(kind: ListKind) -> &'static str {
    match kind {
        ListKind::Address => "address",
        ListKind::Int => "whole number",
        ListKind::Bytes => "bytes in hex",
        ListKind::String => "text",
    }
}

fn form(kind: ListKind) -> &'static str {
    match kind {
        ListKind::Address => {
            "An address is `0x` and 40 hex digits; in mixed case, its EIP-55 checksum."
        }
        ListKind::Int => "Write digits, or `0x` and hex digits; or say `type: string`.",
        ListKind::Bytes => "Write `0x` and an even number of hex digits.",
        ListKind::String => "Write text.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(config: ListConfig, expected: Result<&str, &[&str]>) {
        let items = config.items.clone();
        let built = List::build(&config, &items);
        match (built, expected) {
            (Ok(list), Ok(kind)) => assert_eq!(list.kind.to_string(), kind, "{items:?}"),
            (Err(problems), Err(paths)) => {
                let found: Vec<&str> = problems.iter().map(|p| p.path.as_str()).collect();
                assert_eq!(found, paths, "{items:?}");
            }
            (built, _) => panic!("{items:?}: {built:?}"),
        }
    }

    fn items(items: &[&str]) -> ListConfig {
        ListConfig {
            items: items.iter().map(|item| (*item).to_owned()).collect(),
            ..Default::default()
        }
    }

    #[test]
    fn kinds_are_guessed_and_items_checked() {
        let a = "0x1111111111111111111111111111111111111111";
        check(items(&[]), Ok("list<address>"));
        check(items(&[a]), Ok("list<address>"));
        check(items(&["1", "0x10", "-5"]), Ok("list<int>"));
        check(items(&["usdx", "1"]), Ok("list<string>"));
        check(items(&[a, "0x111111111111111111111111111111111111111"]), Err(&["[1]"]));
        // The last letter's case breaks the checksum.
        check(
            items(&[
                "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD",
                "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
            ]),
            Err(&["[0]"]),
        );
        let bytes = ListConfig { kind: Some(ListKind::Bytes), ..items(&["0xa9059cbb", "zz"]) };
        check(bytes, Err(&["items[1]"]));
    }
}
