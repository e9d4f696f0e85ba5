//! Takes secrets out of what is shown: the paths of URLs (they hold API keys), and the values of
//! keys that name a secret.

/// Keys whose values are not shown, in lower case, without `-` and `_`.
const SECRET_KEYS: [&str; 8] =
    ["secret", "token", "password", "authorization", "apikey", "xapikey", "cookie", "signature"];

/// `text` with everything in its URLs behind the host, and names and passwords before it, as `***`.
pub(crate) fn redact(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, url, after)) = next_url(rest) {
        out.push_str(before);
        let (scheme, inner) = url.split_at(url.find("://").map_or(0, |at| at + 3));
        let (host, tail) = split_host(inner);
        out.push_str(scheme);
        if let Some((_, host)) = host.rsplit_once('@') {
            out.push_str("***@");
            out.push_str(host);
        } else {
            out.push_str(host);
        }
        out.push_str(if tail.len() > 1 { "/***" } else { tail });
        rest = after;
    }
    out.push_str(rest);
    out
}

/// A line of a config with the same secrets, and those of telling keys, masked character by
/// character, so that columns stay.
pub(crate) fn redact_line(line: &str) -> String {
    let mut mask = vec![false; line.len()];
    let mut rest = line;
    while let Some((before, url, after)) = next_url(rest) {
        let start = line.len() - rest.len() + before.len();
        let scheme = url.find("://").map_or(0, |at| at + 3);
        let (host, tail) = split_host(&url[scheme..]);
        let host_start = start + scheme;
        let login = host.rfind('@').unwrap_or(0);
        mask[host_start..host_start + login].fill(true);
        let tail_start = host_start + host.len();
        if tail.len() > 1 {
            mask[tail_start + 1..tail_start + tail.len()].fill(true);
        }
        rest = after;
    }
    let mut from = 0;
    while let Some(colon) = line[from..].find(':').map(|at| from + at) {
        from = colon + 1;
        let key_start = line[..colon].rfind([' ', '{', ',', '\t']).map_or(0, |at| at + 1);
        let key = &line[key_start..colon];
        let plain: String = key
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .map(|c| c.to_ascii_lowercase())
            .collect();
        let value = line[from..].trim_start_matches([' ', '"', '\'']);
        let reference = ["env:", "file:", "${"].iter().any(|start| value.starts_with(start));
        if SECRET_KEYS.contains(&plain.as_str()) && !reference {
            let start = line.len() - value.len();
            let end = match line[..start].chars().next_back() {
                Some(quote @ ('"' | '\'')) => value.find(quote),
                _ if line[..start].contains('{') => value.find([',', '}']),
                _ => None,
            };
            let end = end.map_or(line.len(), |at| start + at);
            mask[start..end].fill(true);
        }
    }
    line.char_indices().map(|(at, c)| if mask[at] && c != ' ' { '*' } else { c }).collect()
}

/// What stands before the first URL, the URL, and what stands behind it.
fn next_url(text: &str) -> Option<(&str, &str, &str)> {
    let at = text.find("://")?;
    let letters = text[..at].bytes().rev().take_while(|byte| byte.is_ascii_alphanumeric()).count();
    let start = at - letters;
    let end = text[at..]
        .find(|c: char| c.is_whitespace() || "\"'`,]}<>".contains(c))
        .map_or(text.len(), |end| at + end);
    Some((&text[..start], &text[start..end], &text[end..]))
}

/// Host with login and port, and the rest.
fn split_host(inner: &str) -> (&str, &str) {
    inner.split_at(inner.find(['/', '?', '#']).unwrap_or(inner.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, redacted: &str, masked: &str) {
        assert_eq!(redact(line), redacted);
        assert_eq!(redact_line(line), masked);
        assert_eq!(line.chars().count(), masked.chars().count());
    }

    #[test]
    fn keys_in_urls_and_secrets_are_not_shown() {
        check("rpc: http://a:8545", "rpc: http://a:8545", "rpc: http://a:8545");
        check(
            "rpc: [\"https://e.example/v2/k3y\", wss://u:p@x/]",
            "rpc: [\"https://e.example/***\", wss://***@x/]",
            "rpc: [\"https://e.example/******\", wss://***@x/]",
        );
        check("u: https://h?key=1", "u: https://h/***", "u: https://h?*****");
        check("secret: \"abc, d\"", "secret: \"abc, d\"", "secret: \"**** *\"");
        check("secret: a,b c", "secret: a,b c", "secret: *** *");
        check("{secret: env:X}", "{secret: env:X}", "{secret: env:X}");
        check(
            "headers: {Authorization: Bearer xyz, A: b}",
            "headers: {Authorization: Bearer xyz, A: b}",
            "headers: {Authorization: ****** ***, A: b}",
        );
        check("://", "://", "://");
        check("é://ü/ß", "é://ü/***", "é://ü/*");
    }
}
