//! Names that were mistyped, and what was probably meant.

use wk_model::Problem;

pub(crate) use crate::cel::suggest::enumerate;
use crate::cel::suggest::nearest;

/// `there is no NOUN NAME`, with the nearest known name or all of them as the hint.
pub(crate) fn unknown<'a>(
    path: impl Into<String>,
    noun: &str,
    name: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Problem {
    let mut known: Vec<&str> = known.into_iter().collect();
    known.sort_unstable();
    known.dedup();
    let problem = Problem::new(path, format!("there is no {noun} `{}`", shorten(name)));
    match nearest(name, known.iter().copied()) {
        Some(meant) => problem.hint(format!("Did you mean `{meant}`?")),
        None if known.is_empty() => problem.hint(format!("No {noun} is configured.")),
        None => problem.hint(format!("Known: {}.", enumerate(&known))),
    }
}

/// A text from outside, short enough for a message and on one line.
pub(crate) fn shorten(text: &str) -> String {
    const MOST: usize = 80;
    let mut shown: String =
        text.chars().take(MOST).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(MOST).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_names_come_with_what_was_meant() {
        let check = |name: &str, known: &[&str], hint: &str| {
            let problem = unknown("x", "contract", name, known.iter().copied());
            assert_eq!(problem.hint.as_deref(), Some(hint), "{name}");
        };
        check("valt", &["vault", "pool"], "Did you mean `vault`?");
        check("Vault", &["vault", "pool"], "Did you mean `vault`?");
        check("oracle", &["vault", "pool"], "Known: pool, vault.");
        check("vault", &[], "No contract is configured.");
    }
}
