//! Names that hold more than letters, digits and underscores, written so that every path takes them.

/// Reads `U__my_2e_name` as `my.name`: `__` is an underscore, `_2e_` the letter of that number. What
/// is not written so stays as it is.
pub(crate) fn unescaped(name: &str) -> String {
    name.strip_prefix("U__").and_then(decoded).unwrap_or_else(|| name.to_owned())
}

fn decoded(escaped: &str) -> Option<String> {
    let mut out = String::with_capacity(escaped.len());
    let mut rest = escaped;
    while let Some((plain, after)) = rest.split_once('_') {
        out.push_str(plain);
        if let Some(after) = after.strip_prefix('_') {
            out.push('_');
            rest = after;
            continue;
        }
        let (number, after) = after.split_once('_')?;
        if number.len() > 6 {
            return None;
        }
        out.push(u32::from_str_radix(number, 16).ok().and_then(char::from_u32)?);
        rest = after;
    }
    out.push_str(rest);
    Some(out)
}

/// Whether the name needs no quotes where labels are written.
pub(crate) fn is_plain(name: &str, colons: bool) -> bool {
    let letter = |c: char| c.is_ascii_alphabetic() || c == '_' || (colons && c == ':');
    name.starts_with(letter) && name.chars().all(|c| letter(c) || c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_names_are_read() {
        for (escaped, expected) in [
            ("job", "job"),
            ("U__http_2e_status", "http.status"),
            ("U__a__b_20_c", "a_b c"),
            ("U___e9_t_e9_", "été"),
            ("U__broken_zz_", "U__broken_zz_"),
            ("U__broken_1", "U__broken_1"),
            ("U__surrogate_d800_", "U__surrogate_d800_"),
        ] {
            assert_eq!(unescaped(escaped), expected);
        }
    }

    #[test]
    fn plain_names_are_known() {
        for (name, expected) in [
            ("up", true),
            ("_a9", true),
            ("9a", false),
            ("a.b", false),
            ("a:b", false),
            ("", false),
        ] {
            assert_eq!(is_plain(name, false), expected, "{name}");
        }
        assert!(is_plain("job:up:sum", true));
    }
}
