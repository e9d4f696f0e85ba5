//! Text from a chain or an endpoint, made safe to show to people.

use std::borrow::Cow;

/// `text` on one line, at most `longest` characters long: line breaks and tabs become spaces,
/// characters that could move, hide or reverse what stands around them are replaced or left out.
pub(crate) fn line(text: &str, longest: usize) -> String {
    let mut safe = String::new();
    let mut rest = text.chars();
    let mut room = longest;
    while let Some(character) = rest.next() {
        let Some(character) = shown(character) else { continue };
        if room == 0 || (room == 1 && rest.clone().any(|next| shown(next).is_some())) {
            if room == 1 {
                safe.push('…');
            }
            break;
        }
        safe.push(character);
        room -= 1;
    }
    safe
}

/// What to show in place of a character; none for one that is left out.
fn shown(character: char) -> Option<char> {
    match character {
        '\t' | '\n' | '\r' | '\u{0b}' | '\u{0c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => Some(' '),
        // Zero width: harmless where it belongs to a script, and a way to hide one word in another.
        '\u{ad}' | '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2064}' | '\u{feff}' | '\u{180e}' => {
            None
        }
        // Direction: turns "exe.gpj" into "jpg.exe".
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{206f}' => {
            Some('\u{fffd}')
        }
        // Tags: invisible letters.
        '\u{e0000}'..='\u{e0fff}' | '\u{fff9}'..='\u{fffb}' => Some('\u{fffd}'),
        control if control.is_control() => Some('\u{fffd}'),
        character => Some(character),
    }
}

/// `text` with what stands in `secrets` replaced by `***`.
pub(crate) fn without<'a>(text: &'a str, secrets: &[String]) -> Cow<'a, str> {
    let mut text = Cow::Borrowed(text);
    // Short ones would hide ordinary words, and are no secrets.
    for secret in secrets.iter().filter(|secret| secret.len() >= 4) {
        if text.contains(secret.as_str()) {
            text = Cow::Owned(text.replace(secret.as_str(), "***"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_moves_hides_or_reverses_is_gone() {
        let cases = [
            ("Withdrew 5 ETH", 20, "Withdrew 5 ETH"),
            ("提款 5 ETH", 20, "提款 5 ETH"),
            ("two\nlines\tand\r\nmore", 20, "two lines and  more"),
            ("\u{1b}[2Jcleared", 20, "\u{fffd}[2Jcleared"),
            ("photo\u{202e}gpj.exe", 20, "photo\u{fffd}gpj.exe"),
            ("US\u{200b}DC", 20, "USDC"),
            ("nul\0", 20, "nul\u{fffd}"),
            ("exactly ten", 11, "exactly ten"),
            ("exactly ten\u{200b}", 11, "exactly ten"),
            ("eleven and more", 11, "eleven and…"),
            ("提款提款", 3, "提款…"),
        ];
        for (text, longest, expected) in cases {
            assert_eq!(line(text, longest), expected, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_becomes_a_short_line(text in any::<String>(), longest in 1usize..50) {
            let safe = line(&text, longest);
            prop_assert!(safe.chars().count() <= longest);
            prop_assert!(!safe.chars().any(char::is_control));
            prop_assert_eq!(line(&safe, longest), safe);
        }
    }

    #[test]
    fn secrets_are_starred() {
        let secrets = ["T0/B0/XYZ".to_owned(), "ok".to_owned()];
        assert_eq!(without("POST /T0/B0/XYZ: ok", &secrets), "POST /***: ok");
    }
}
