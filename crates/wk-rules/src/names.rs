//! Names that were mistyped, and what was probably meant.

use wk_model::Problem;

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

/// The names as a sentence part, cut when there are many.
pub(crate) fn enumerate(names: &[&str]) -> String {
    const MOST: usize = 12;
    let shown = names.iter().take(MOST).copied().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(MOST) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// The candidate that differs from `name` by at most two edits (one for short names); case, `-` and
/// `_` do not count.
fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = plain(name);
    candidates
        .filter_map(|candidate| {
            let other = plain(candidate);
            let allowed = if wanted.len().min(other.len()) <= 3 { 1 } else { 2 };
            let edits = distance(&wanted, &other);
            (edits <= allowed && candidate != name).then_some((edits, candidate))
        })
        .min()
        .map(|(_, candidate)| candidate)
}

fn plain(name: &str) -> Vec<char> {
    // Names are short: what is longer is no slip, and comparing it would only cost time.
    name.chars().filter(|c| !matches!(c, '-' | '_')).flat_map(char::to_lowercase).take(64).collect()
}

/// Letters to insert, drop or replace to get from `a` to `b`.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let cost = (diagonal + usize::from(x != y)).min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = row[j + 1];
            row[j + 1] = cost;
        }
    }
    row[b.len()]
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
