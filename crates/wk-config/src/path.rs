//! Key paths such as `rules[3].if`: from a part's problem to the place in the tree, and back.

use std::collections::HashSet;

use wk_model::Problem;

use crate::fault::Fault;
use crate::offsets::source_range;
use crate::sources::{Place, Sources};
use crate::tree::{Node, Value, join};

/// Values that were left out because they are wrong, by the ids of their nodes. The typed config
/// does not have them, so indexes in its lists count without them.
pub(crate) type Dropped = HashSet<u32>;

/// Whether `path` leads to a value whose variables could not be put in: what is wrong with it was
/// told before.
pub(crate) fn is_unresolved(
    path: &str,
    root: &Node,
    dropped: &Dropped,
    unresolved: &Dropped,
) -> bool {
    unresolved.contains(&find(root, dropped, path).node.id)
}

/// A part's problem as a fault at its place in the tree.
pub(crate) fn locate(
    problem: Problem,
    root: Option<&Node>,
    dropped: &Dropped,
    sources: &Sources,
) -> Fault {
    let place = root.map(|root| {
        problem
            .span
            .and_then(|range| part_of(&problem.path, range, root, dropped, sources))
            .unwrap_or_else(|| place_of(&problem.path, root, dropped))
    });
    Fault { place, hint: problem.hint, key: problem.path, ..Fault::nowhere(problem.message) }
}

/// The keys from the root to the node `id`.
pub(crate) fn path_of(root: &Node, id: u32) -> Option<String> {
    if root.id == id {
        return Some(String::new());
    }
    match &root.value {
        Value::Scalar(_) => None,
        Value::List(items) => items.iter().enumerate().find_map(|(index, item)| {
            path_of(item, id).map(|rest| glue(&format!("[{index}]"), &rest))
        }),
        Value::Map(entries) => entries
            .iter()
            .find_map(|entry| path_of(&entry.value, id).map(|rest| glue(&entry.key, &rest))),
    }
}

/// Where `path` leads, as far as it is written in the config.
pub(crate) struct Found<'a> {
    pub(crate) node: &'a Node,
    /// The key of the innermost map entry on the way.
    pub(crate) key_place: Option<Place>,
    /// Whether the whole path was found.
    pub(crate) whole: bool,
}

pub(crate) fn find<'a>(root: &'a Node, dropped: &Dropped, path: &str) -> Found<'a> {
    let mut found = Found { node: root, key_place: None, whole: false };
    let mut rest = path;
    while !rest.is_empty() {
        match &found.node.value {
            Value::Map(entries) => {
                let keys = rest.strip_prefix('.').unwrap_or(rest);
                // Names may contain dots, so the longest key that fits is taken.
                let entry = entries
                    .iter()
                    .filter(|entry| {
                        keys.strip_prefix(entry.key.as_str())
                            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
                    })
                    .max_by_key(|entry| entry.key.len());
                let Some(entry) = entry else { return one_of_one(found, rest) };
                rest = &keys[entry.key.len()..];
                found.node = &entry.value;
                found.key_place = Some(entry.key_place);
            }
            Value::List(items) => {
                let Some((index, after)) = index(rest) else { return found };
                let item = items.iter().filter(|item| !dropped.contains(&item.id)).nth(index);
                let Some(item) = item else { return found };
                rest = after;
                found.node = item;
                found.key_place = None;
            }
            Value::Scalar(_) => return one_of_one(found, rest),
        }
    }
    found.whole = true;
    found
}

/// A list of one may be written as its only item.
fn one_of_one<'a>(mut found: Found<'a>, rest: &str) -> Found<'a> {
    found.whole = rest == "[0]";
    found
}

/// The index that `path` begins with, and the rest.
fn index(path: &str) -> Option<(usize, &str)> {
    let (index, rest) = path.strip_prefix('[')?.split_once(']')?;
    Some((index.parse().ok()?, rest))
}

/// The place of the value at `path`; when it is not written, of the innermost key on the way.
pub(crate) fn place_of(path: &str, root: &Node, dropped: &Dropped) -> Place {
    let found = find(root, dropped, path);
    let node = found.node;
    let written = node.place.start < node.place.end;
    match &node.value {
        Value::Scalar(_) if found.whole && written => node.place,
        _ => found.key_place.unwrap_or_else(|| node.first_place()),
    }
}

/// The place of some bytes of the text at `path`.
fn part_of(
    path: &str,
    range: (usize, usize),
    root: &Node,
    dropped: &Dropped,
    sources: &Sources,
) -> Option<Place> {
    let found = find(root, dropped, path);
    match &found.node.value {
        Value::Scalar(scalar) if found.whole => {
            let place = found.node.place;
            Some(source_range(sources.text(place.file), place, scalar, range))
        }
        _ => None,
    }
}

fn glue(first: &str, rest: &str) -> String {
    if rest.starts_with('[') || rest.is_empty() {
        format!("{first}{rest}")
    } else {
        join(first, rest)
    }
}
