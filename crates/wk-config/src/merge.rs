//! Makes one tree of the files of a folder: maps merge, lists append, a value is set once.

use std::collections::HashMap;

use crate::fault::{Fault, Faults};
use crate::tree::{Node, Value, join};

/// `first` with what `second` adds. What both set is a fault, and `first` wins.
pub(crate) fn merge(first: &mut Node, second: Node, path: &str, faults: &mut Faults) {
    if second.is_null() {
        return;
    }
    if first.is_null() {
        *first = second;
        return;
    }
    match (&mut first.value, second.value) {
        (Value::Map(entries), Value::Map(more)) => {
            let places: HashMap<String, usize> =
                entries.iter().enumerate().map(|(at, entry)| (entry.key.clone(), at)).collect();
            for entry in more {
                let Some(&at) = places.get(&entry.key) else {
                    entries.push(entry);
                    continue;
                };
                let (have, path) = (&mut entries[at], join(path, &entry.key));
                if mergeable(&have.value, &entry.value) {
                    merge(&mut have.value, entry.value, &path, faults);
                } else {
                    faults.push(
                        Fault::at(entry.key_place, format!("`{path}` is set in two files"))
                            .hint("Remove one of the two, or give it another name.")
                            .related("it is also set here", have.key_place)
                            .key(path),
                    );
                }
            }
        }
        (Value::List(items), Value::List(more)) => items.extend(more),
        (Value::Scalar(_) | Value::List(_) | Value::Map(_), _) => faults.push(
            Fault::at(second.place, "a config file is a map of settings")
                .hint("Begin with a key such as `rules:`.")
                .key(path),
        ),
    }
}

fn mergeable(first: &Node, second: &Node) -> bool {
    matches!(
        (&first.value, &second.value),
        (Value::Map(_), Value::Map(_)) | (Value::List(_), Value::List(_))
    ) || first.is_null()
        || second.is_null()
}
