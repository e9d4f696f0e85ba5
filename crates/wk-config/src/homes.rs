//! Where in a config a key belongs, for those who wrote it one level too high or too low.

use serde_json::Value;

use crate::config::schema;
use crate::tree::join;

/// Deeper than any setting is.
const MAX_DEPTH: usize = 10;

/// More places than this are no help.
const MAX_HOMES: usize = 3;

/// The settings that have a key called `key`, such as `chains.NAME.evm` for `rpc`; none when there
/// are too many of them.
pub(crate) fn homes(key: &str) -> Vec<String> {
    let root = schema();
    let mut homes = Vec::new();
    walk(&root, &root, "", key, MAX_DEPTH, &mut homes);
    homes.sort();
    homes.dedup();
    if homes.len() > MAX_HOMES { Vec::new() } else { homes }
}

fn walk(
    root: &Value,
    schema: &Value,
    path: &str,
    key: &str,
    depth: usize,
    homes: &mut Vec<String>,
) {
    if depth == 0 {
        return;
    }
    let mut step = |schema: &Value, path: &str| walk(root, schema, path, key, depth - 1, homes);
    if let Some(target) = schema["$ref"].as_str().and_then(|target| target.strip_prefix('#')) {
        step(root.pointer(target).unwrap_or(&Value::Null), path);
    }
    for choice in ["anyOf", "oneOf", "allOf"] {
        schema[choice].as_array().into_iter().flatten().for_each(|one| step(one, path));
    }
    if schema["items"].is_object() {
        step(&schema["items"], &format!("{path}[…]"));
    }
    if schema["additionalProperties"].is_object() {
        step(&schema["additionalProperties"], &join(path, "NAME"));
    }
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        step(inner, &join(path, name));
    }
    if schema["properties"].get(key).is_some() {
        homes.push(if path.is_empty() { "the root".to_owned() } else { format!("`{path}`") });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_where_keys_belong() {
        let check = |key: &str, expected: &[&str]| assert_eq!(homes(key), expected, "{key}");
        check("chain_id", &["`chains.NAME.evm`"]);
        check("receiver", &["`route`"]);
        check("rules", &["`tests[…]`", "the root"]);
        check("listen", &["`server`"]);
        check("no_such_key", &[]);
    }
}
