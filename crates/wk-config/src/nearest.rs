//! Finds the name that someone probably meant.

/// The candidate that differs from `name` by at most two edits (one for short names), the nearest
/// first; case, `-` and `_` do not count.
pub(crate) fn nearest<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let wanted = plain(name);
    candidates
        .into_iter()
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
    // Names are short; what is longer than this is no misspelt name, and would cost time.
    name.chars().filter(|c| !matches!(c, '-' | '_')).flat_map(char::to_lowercase).take(64).collect()
}

/// Insertions, deletions, replacements and swaps of neighbours that turn one into the other.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let differs = usize::from(a[i - 1] != b[j - 1]);
            row[j] = (last[j] + 1).min(row[j - 1] + 1).min(last[j - 1] + differs);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_was_meant() {
        let names = ["rpc", "ws", "receiver", "block_time", "address", "if", "id"];
        for (name, expected) in [
            ("rcp", Some("rpc")),
            ("rpcs", Some("rpc")),
            ("reciever", Some("receiver")),
            ("blockTime", Some("block_time")),
            ("adress", Some("address")),
            ("IF", Some("if")),
            ("endpoint", None),
            ("zz", None),
            ("", None),
        ] {
            assert_eq!(nearest(name, names), expected, "{name}");
        }
    }
}
