//! What serde finds wrong with a value, in our words and with its place.

use std::fmt;

use serde::de::{self, Expected, Unexpected};
use wk_model::Severity;

use crate::fault::Fault;
use crate::nearest::nearest;
use crate::path::Dropped;
use crate::redact::redact;
use crate::sources::Place;
use crate::tree::{Entry, Node, Value, join};

/// A value does not fit the setting it is for.
#[derive(Debug)]
pub(crate) struct Error {
    kind: Kind,
    /// Filled in by the innermost reader that knows the place.
    pub(crate) at: Option<At>,
}

/// Where an error is, and what to leave out when reading again.
#[derive(Clone, Debug)]
pub(crate) struct At {
    pub(crate) place: Place,
    /// Whether `place` is a key.
    pub(crate) on_key: bool,
    /// The node to leave out.
    pub(crate) drop: u32,
    /// Whether it is only the consequence of an error that was already told.
    pub(crate) follows: bool,
}

#[derive(Debug)]
pub(crate) enum Kind {
    UnknownField {
        field: String,
        known: &'static [&'static str],
    },
    UnknownVariant {
        name: String,
        known: &'static [&'static str],
    },
    MissingField(&'static str),
    Type {
        found: String,
        expected: String,
    },
    /// Exactly one of `known` is needed as a key.
    NotOneKey {
        keys: Vec<String>,
        known: &'static [&'static str],
    },
    /// A kind was named without its settings.
    NeedsSettings {
        name: String,
        kind: &'static str,
    },
    Said(String),
    /// Already told.
    Following,
}

impl From<Kind> for Error {
    fn from(kind: Kind) -> Error {
        Error { kind, at: None }
    }
}

impl Error {
    /// The consequence, for `node`, of an error inside of it.
    pub(crate) fn following(node: &Node) -> Error {
        let at = At { place: node.place, on_key: false, drop: node.id, follows: true };
        Error { kind: Kind::Following, at: Some(at) }
    }

    /// The key itself is wrong.
    pub(crate) fn at_key(mut self, entry: &Entry) -> Error {
        let (place, drop) = (entry.key_place, entry.value.id);
        self.at.get_or_insert(At { place, on_key: true, drop, follows: false });
        self
    }

    /// The entry's value is wrong.
    pub(crate) fn at_value(self, entry: &Entry, dropped: &Dropped) -> Error {
        self.at_node(&entry.value, Some(entry.key_place), dropped)
    }

    /// The list's item is wrong.
    pub(crate) fn at_item(self, node: &Node, dropped: &Dropped) -> Error {
        self.at_node(node, None, dropped)
    }

    /// Leaves out `node` instead.
    pub(crate) fn dropping(mut self, node: &Node) -> Error {
        if let Some(at) = &mut self.at {
            at.drop = node.id;
        }
        self
    }

    fn at_node(mut self, node: &Node, key_place: Option<Place>, dropped: &Dropped) -> Error {
        if self.at.is_none() {
            // A value that was left out because it is wrong is not missing.
            // Nor is one whose key is misspelt.
            let follows = match self.kind {
                Kind::MissingField(field) => node.entries().iter().any(|entry| {
                    let meant = entry.key == field || nearest(&entry.key, [field]).is_some();
                    meant && dropped.contains(&entry.value.id)
                }),
                _ => false,
            };
            let place = match &node.value {
                Value::Scalar(_) if node.place.start < node.place.end => node.place,
                _ => key_place.unwrap_or_else(|| node.first_place()),
            };
            self.at = Some(At { place, on_key: false, drop: node.id, follows });
        }
        self
    }

    /// In words; `path` leads to the node that is left out. `homes` says where in a config a key
    /// with a given name belongs.
    pub(crate) fn into_fault(
        self,
        at: &At,
        path: &str,
        homes: impl Fn(&str) -> Vec<String>,
    ) -> Fault {
        let mut key = path.to_owned();
        let (message, hint) = match self.kind {
            Kind::UnknownField { field, known } => {
                (format!("unknown field `{field}`"), choose(&field, known, "fields", homes))
            }
            Kind::UnknownVariant { name, known } if at.on_key => {
                key = join(path, &name);
                (format!("unknown field `{name}`"), choose(&name, known, "fields", homes))
            }
            Kind::UnknownVariant { name, known } => {
                let hint = choose(&name, known, "values", |_| Vec::new());
                (format!("unknown value `{name}`"), hint)
            }
            Kind::MissingField(field) => {
                key = join(path, field);
                (format!("missing field `{field}`"), format!("Add `{field}: …` here."))
            }
            Kind::Type { found, expected } => {
                let hint = type_hint(&found, &expected);
                (format!("expected {expected}, found {found}"), hint)
            }
            Kind::NotOneKey { keys, known } => {
                let message = match keys.as_slice() {
                    [] => "nothing is chosen here".to_owned(),
                    keys => format!("several keys where one is chosen: {}", list(keys)),
                };
                (message, format!("Use exactly one of {}.", list(known)))
            }
            Kind::NeedsSettings { name, kind } => (
                format!("`{name}` stands alone, but needs {kind}"),
                format!("Write `{{{name}: {{…}}}}`."),
            ),
            Kind::Said(text) => split(&text),
            Kind::Following => ("the value is wrong".to_owned(), String::new()),
        };
        let fault = Fault::at(at.place, message).key(key);
        if hint.is_empty() { fault } else { fault.hint(hint) }
    }
}

/// What was probably meant, and what there is.
fn choose(name: &str, known: &[&str], what: &str, homes: impl Fn(&str) -> Vec<String>) -> String {
    let all = if known.is_empty() {
        format!("There are no {what} here.")
    } else {
        format!("Known {what}: {}.", list(known))
    };
    // `high` is P1.
    let word = |name: &str| {
        Severity::ALL.into_iter().find(|severity| severity.word().eq_ignore_ascii_case(name))
    };
    let near = nearest(name, known.iter().copied()).map(str::to_owned).or_else(|| {
        word(name).map(|severity| severity.to_string()).filter(|near| known.contains(&&**near))
    });
    let homes = match homes(name).as_slice() {
        [] => None,
        homes => Some(format!("`{name}` belongs to {}", homes.join(" or "))),
    };
    match (homes, near) {
        (None, None) => all,
        (None, Some(near)) => format!("Did you mean `{near}`? {all}"),
        (Some(home), None) => format!("{home}. {all}"),
        (Some(home), Some(near)) => format!("{home}; or did you mean `{near}`? {all}"),
    }
}

fn list<T: fmt::Display>(names: &[T]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

fn type_hint(found: &str, expected: &str) -> String {
    let (is_list, is_map) = (found == "a list", found == "a map");
    if found == "nothing" {
        "Write a value behind the colon, or remove the key.".to_owned()
    } else if expected == "a map" {
        "Write its settings as `key: value` lines below it, indented.".to_owned()
    } else if expected == "a list" {
        "Write `[a, b]`, or one `- ` line for each entry.".to_owned()
    } else if expected == "true or false" {
        "Write true or false, without quotes.".to_owned()
    } else if expected.contains("number") && found.starts_with("the number") {
        format!("Write {expected}.")
    } else if expected.contains("number") {
        "Write digits only, without units.".to_owned()
    } else if is_list || is_map {
        "Quote a text that begins with `[` or `{`.".to_owned()
    } else {
        format!("Write {expected}.")
    }
}

/// A part's own words are often `what is wrong; how to mend it`.
fn split(text: &str) -> (String, String) {
    match text.split_once("; ") {
        // A value that is quoted in the message may itself contain the separator.
        Some((message, hint)) => (message.to_owned(), sentence(&redact(hint))),
        None => (text.to_owned(), String::new()),
    }
}

fn sentence(text: &str) -> String {
    let mut letters = text.trim_end_matches('.').chars();
    let first: String = letters.next().map(|c| c.to_uppercase().collect()).unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}

/// Serde's words for what it found, in ours.
fn found(unexpected: Unexpected<'_>) -> String {
    match unexpected {
        Unexpected::Bool(value) => format!("`{value}`"),
        Unexpected::Unsigned(number) => format!("the number {number}"),
        Unexpected::Signed(number) => format!("the number {number}"),
        Unexpected::Float(number) => format!("the number {number}"),
        Unexpected::Char(c) => format!("the text `{c}`"),
        Unexpected::Str(text) if text.chars().count() > 60 => {
            format!("the text `{}…`", text.chars().take(60).collect::<String>())
        }
        Unexpected::Str(text) => format!("the text `{text}`"),
        Unexpected::Unit | Unexpected::Option => "nothing".to_owned(),
        Unexpected::Seq => "a list".to_owned(),
        Unexpected::Map => "a map".to_owned(),
        Unexpected::Other(what) => what.trim_start_matches("integer ").replace('`', ""),
        other => other.to_string(),
    }
}

/// Serde's words for what it wants, in ours.
fn expected(wanted: &dyn Expected) -> String {
    let wanted = wanted.to_string();
    let range = |least: i128, most: i128| format!("a whole number from {least} to {most}");
    match wanted.as_str() {
        "u8" => range(0, u8::MAX.into()),
        "u16" => range(0, u16::MAX.into()),
        "u32" => range(0, u32::MAX.into()),
        "u64" | "usize" | "u128" => "a whole number, 0 or more".to_owned(),
        "i8" => range(i8::MIN.into(), i8::MAX.into()),
        "i16" => range(i16::MIN.into(), i16::MAX.into()),
        "i32" => range(i32::MIN.into(), i32::MAX.into()),
        "i64" | "isize" | "i128" => "a whole number".to_owned(),
        "f32" | "f64" => "a number".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a string" | "a borrowed string" | "string" => "a text".to_owned(),
        "a sequence" => "a list".to_owned(),
        "path string" => "a path".to_owned(),
        text if text.starts_with("struct ") => "a map".to_owned(),
        text => text.to_owned(),
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.kind)
    }
}

impl std::error::Error for Error {}

impl de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Error {
        Kind::Said(message.to_string()).into()
    }

    fn invalid_type(unexpected: Unexpected<'_>, wanted: &dyn Expected) -> Error {
        Kind::Type { found: found(unexpected), expected: expected(wanted) }.into()
    }

    fn invalid_value(unexpected: Unexpected<'_>, wanted: &dyn Expected) -> Error {
        Kind::Type { found: found(unexpected), expected: expected(wanted) }.into()
    }

    fn invalid_length(length: usize, wanted: &dyn Expected) -> Error {
        let found = format!("{length} entries");
        Kind::Type { found, expected: expected(wanted) }.into()
    }

    fn unknown_variant(name: &str, known: &'static [&'static str]) -> Error {
        Kind::UnknownVariant { name: name.to_owned(), known }.into()
    }

    fn unknown_field(field: &str, known: &'static [&'static str]) -> Error {
        Kind::UnknownField { field: field.to_owned(), known }.into()
    }

    fn missing_field(field: &'static str) -> Error {
        Kind::MissingField(field).into()
    }

    fn duplicate_field(field: &'static str) -> Error {
        Kind::Said(format!("field `{field}` is set twice; remove one of the two")).into()
    }
}
