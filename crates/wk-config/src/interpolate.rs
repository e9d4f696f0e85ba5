//! Environment variables in values: `${X}`, `${X:-default}`, `${X:?message}`, and `$${X}` for the
//! text `${X}` itself.
//!
//! A name is `[A-Z_][A-Z0-9_]*`. Anything else after `${` is left as it is, because the titles of
//! rules are templates that use the same brackets: `${amount}` is theirs. So is `$$` elsewhere,
//! because passwords contain dollars.

use std::collections::BTreeMap;

use crate::nearest::nearest;

/// Where variables come from.
#[derive(Clone, Debug)]
pub struct Environment(Kind);

#[derive(Clone, Debug)]
enum Kind {
    System,
    Fixed(BTreeMap<String, String>),
}

impl Environment {
    /// The variables of this process.
    pub fn system() -> Environment {
        Environment(Kind::System)
    }

    /// These variables and no others.
    pub fn fixed<'a>(variables: impl IntoIterator<Item = (&'a str, &'a str)>) -> Environment {
        let owned = variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        Environment(Kind::Fixed(owned.collect()))
    }

    pub(crate) fn get(&self, name: &str) -> Option<String> {
        match &self.0 {
            Kind::System => std::env::var(name).ok(),
            Kind::Fixed(variables) => variables.get(name).cloned(),
        }
    }

    /// A variable that is set and called almost like `name`.
    fn nearest(&self, name: &str) -> Option<String> {
        let names: Vec<String> = match &self.0 {
            Kind::System => {
                std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()).collect()
            }
            Kind::Fixed(variables) => variables.keys().cloned().collect(),
        };
        nearest(name, names.iter().map(String::as_str)).map(str::to_owned)
    }
}

/// Bad references that are told of one value.
const MAX_BAD: usize = 10;

/// A piece of text that was put in place of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Edit {
    /// Offset in the text that came out, in bytes.
    pub(crate) at: usize,
    pub(crate) length: usize,
    /// Offset in the text that went in.
    pub(crate) from: usize,
    pub(crate) from_length: usize,
}

/// A variable could not be put in; `offset` counts in the text that went in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BadReference {
    pub(crate) offset: usize,
    pub(crate) length: usize,
    pub(crate) message: String,
    pub(crate) hint: String,
}

/// `text` with its variables put in, and where; or all that is wrong.
pub(crate) fn interpolate(
    text: &str,
    environment: &Environment,
) -> Result<(String, Vec<Edit>), Vec<BadReference>> {
    let (mut out, mut edits, mut bad) = (String::new(), Vec::new(), Vec::new());
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        out.push_str(&rest[..dollar]);
        rest = &rest[dollar..];
        let offset = text.len() - rest.len();
        let begins_name = |byte: &u8| byte.is_ascii_uppercase() || *byte == b'_';
        let length = match rest.as_bytes() {
            [b'$', b'$', b'{', name, ..] if begins_name(name) => 2,
            [b'$', b'{', name, ..] if begins_name(name) => {
                rest.find('}').map_or(rest.len(), |end| end + 1)
            }
            _ => {
                out.push('$');
                rest = &rest[1..];
                continue;
            }
        };
        let put = match &rest[..length] {
            "$$" => Ok("$".to_owned()),
            reference => resolve(reference, environment),
        };
        match put {
            Ok(value) => {
                let (at, put) = (out.len(), value.len());
                edits.push(Edit { at, length: put, from: offset, from_length: length });
                out.push_str(&value);
            }
            Err((message, hint)) => bad.push(BadReference { offset, length, message, hint }),
        }
        if bad.len() == MAX_BAD {
            break;
        }
        rest = &rest[length..];
    }
    out.push_str(rest);
    if bad.is_empty() { Ok((out, edits)) } else { Err(bad) }
}

/// The value of one reference, `${…}`; else message and hint.
fn resolve(reference: &str, environment: &Environment) -> Result<String, (String, String)> {
    let Some(inner) = reference.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')) else {
        let hint = "Close it with `}`; write `$${` for the text `${` itself.".to_owned();
        return Err(("a variable reference is not closed".to_owned(), hint));
    };
    let end = inner
        .find(|c: char| !(c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'))
        .unwrap_or(inner.len());
    let (name, rest) = inner.split_at(end);
    let value = environment.get(name);
    let value = match (value, rest.as_bytes()) {
        (Some(value), []) => value,
        // As in a shell: with the colon, an empty variable counts as not set.
        (Some(value), [b':', b'-' | b'?', ..]) if !value.is_empty() => value,
        (_, [b':', b'-', ..]) => rest[2..].to_owned(),
        (_, [b':', b'?', ..]) => {
            let said = if rest.len() > 2 { &rest[2..] } else { "it is required" };
            let hint = format!("Set the environment variable `{name}`.");
            return Err((format!("variable `{name}` is not set: {said}"), hint));
        }
        (None, []) => {
            let hint = match environment.nearest(name) {
                Some(near) => format!("Did you mean `${{{near}}}`? It is set."),
                None => format!("Set it, or give a default: `${{{name}:-default}}`."),
            };
            return Err((format!("variable `{name}` is not set"), hint));
        }
        _ => {
            let hint = format!(
                "Write `${{{name}}}`, `${{{name}:-default}}` or `${{{name}:?message}}`; for the \
                 text itself, `$${{`."
            );
            return Err((format!("`{reference}` is no variable reference"), hint));
        }
    };
    if value.contains(['\n', '\r']) {
        let hint = "Put the text into a file, and refer to it by `file:PATH`.".to_owned();
        return Err((format!("the value of variable `{name}` has more than one line"), hint));
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<&str, &[&str]>) {
        let environment = Environment::fixed([
            ("RPC_URL", "http://one"),
            ("EMPTY", ""),
            ("LINES", "a\nb"),
            ("_X1", "x"),
        ]);
        let got = interpolate(text, &environment);
        match (&got, expected) {
            (Ok((got, _)), Ok(expected)) => assert_eq!(got, expected, "{text}"),
            (Err(bad), Err(expected)) => {
                let messages: Vec<&str> = bad.iter().map(|bad| bad.message.as_str()).collect();
                assert_eq!(messages, expected, "{text}");
            }
            _ => panic!("{text}: {got:?}"),
        }
    }

    #[test]
    fn puts_variables_in() {
        check("", Ok(""));
        check("no variable", Ok("no variable"));
        check("${RPC_URL}/v1?k=${_X1}", Ok("http://one/v1?k=x"));
        check("${NONE:-a:-b}", Ok("a:-b"));
        check("${NONE:-}", Ok(""));
        check("${EMPTY}", Ok(""));
        check("${EMPTY:-default}", Ok("default"));
        check("${RPC_URL:?needed}", Ok("http://one"));
        // A default that is not used may say anything, and nothing is read twice.
        check("${RPC_URL:-${}", Ok("http://one"));
        check("5$ or $5, pa$$word, $${RPC_URL}", Ok("5$ or $5, pa$$word, ${RPC_URL}"));
        // Titles' own templates.
        check("${amount} by ${tx.from}", Ok("${amount} by ${tx.from}"));
        check("a plain $${amount}", Ok("a plain $${amount}"));
        check("$", Ok("$"));
        check("${", Ok("${"));
        check("${}", Ok("${}"));
    }

    #[test]
    fn says_what_is_wrong() {
        check(
            "${NONE} ${NONE2}",
            Err(&["variable `NONE` is not set", "variable `NONE2` is not set"]),
        );
        check("${NONE:?give a URL}", Err(&["variable `NONE` is not set: give a URL"]));
        check("${EMPTY:?}", Err(&["variable `EMPTY` is not set: it is required"]));
        check("${RPC_URL", Err(&["a variable reference is not closed"]));
        check("${RPC_URL-x}", Err(&["`${RPC_URL-x}` is no variable reference"]));
        check("${LINES}", Err(&["the value of variable `LINES` has more than one line"]));
        let bad = interpolate("${RPC_ULR}", &Environment::fixed([("RPC_URL", "")]));
        assert_eq!(bad.expect_err("not set")[0].hint, "Did you mean `${RPC_URL}`? It is set.");
    }
}
