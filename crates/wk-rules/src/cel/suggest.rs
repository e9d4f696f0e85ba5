//! Names near to a mistyped one.

/// The name that was probably meant: equal but for case and `_`, or a few letters away.
pub(crate) fn nearest<'a>(
    wrong: &str,
    names: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    // Names are untrusted in length; distances of long ones would only cost time.
    if wrong.len() > 64 {
        return None;
    }
    let plain = |name: &str| name.replace('_', "").to_ascii_lowercase();
    let wanted = plain(wrong);
    let mut best: Option<(usize, &str)> = None;
    for name in names {
        if name.len() > 64 {
            continue;
        }
        let distance =
            if plain(name) == wanted { 0 } else { distance(&wanted, &plain(name)).max(1) };
        let allowed = (wrong.chars().count() / 3).clamp(1, 3);
        // One letter names everything: a slip in it is no hint.
        let is_near = distance == 0 || (distance <= allowed && wrong.len() > 1 && name.len() > 1);
        if is_near && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, name));
        }
    }
    best.map(|(_, name)| name)
}

/// Equal but for case and `_`: `gasUsed` and `gas_used`.
pub(super) fn same_name(a: &str, b: &str) -> bool {
    let letters = |name: &str| -> Vec<u8> {
        name.bytes().filter(|byte| *byte != b'_').map(|byte| byte.to_ascii_lowercase()).collect()
    };
    letters(a) == letters(b)
}

/// The names as a sentence part, cut when there are many.
pub(crate) fn enumerate<S: AsRef<str>>(names: &[S]) -> String {
    const MOST: usize = 16;
    let shown = names.iter().take(MOST).map(AsRef::as_ref).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(MOST) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// Letters to insert, drop, replace or swap with their neighbour to get from `a` to `b`.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(before_last[j - 2] + 1);
            }
            row.push(least);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_the_name_and_a_stranger_finds_none() {
        let names = ["amount", "to", "from", "gas_used", "block", "lists"];
        let check = |wrong, expected| assert_eq!(nearest(wrong, names), expected, "{wrong}");
        check("amout", Some("amount"));
        check("ammount", Some("amount"));
        check("Amount", Some("amount"));
        check("gasUsed", Some("gas_used"));
        check("blcok", Some("block"));
        check("form", Some("from"));
        check("x", None);
        check("recipient", None);
        check("", None);
    }
}
