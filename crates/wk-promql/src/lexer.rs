//! Splits a query into tokens, each with its byte range.

use crate::ast::Span;
use crate::error::ParseError;

/// What a token is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Token {
    /// A word; the parser tells keywords, functions and names apart.
    Word(String),
    Number(f64),
    /// Milliseconds, `1h30m`.
    Duration(i64),
    /// Bytes, as an escape may name any.
    Text(Vec<u8>),
    /// Brackets, commas and operators.
    Sign(&'static str),
    End,
}

/// Longer signs first, so that `=~` is not read as `=`.
const SIGNS: [&str; 27] = [
    "==", "!=", "<=", ">=", "=~", "!~", "</", ">/", "(", ")", "{", "}", "[", "]", ",", "+", "-",
    "*", "/", "%", "^", "<", ">", "=", "@", ":", "!",
];

/// Reads all tokens; the last is `End`.
pub(crate) fn tokens(text: &str) -> Result<Vec<(Token, Span)>, ParseError> {
    let mut lexer = Lexer { text, at: 0, brackets: 0 };
    let mut tokens = Vec::new();
    loop {
        let token = lexer.next()?;
        let done = token.0 == Token::End;
        tokens.push(token);
        if done {
            return Ok(tokens);
        }
    }
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    /// Depth of `[`: there a colon parts range and step and does not begin a name.
    brackets: usize,
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn skip_blank(&mut self) {
        loop {
            let rest = self.rest();
            let blank = rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r']).len();
            if blank > 0 {
                self.at += blank;
            } else if rest.starts_with('#') {
                self.at += rest.find('\n').unwrap_or(rest.len());
            } else {
                return;
            }
        }
    }

    fn next(&mut self) -> Result<(Token, Span), ParseError> {
        self.skip_blank();
        let start = self.at;
        let Some(first) = self.rest().chars().next() else {
            return Ok((Token::End, start..start));
        };
        let second_digit =
            self.rest()[first.len_utf8()..].starts_with(|c: char| c.is_ascii_digit());
        let token = if first.is_ascii_digit() || (first == '.' && second_digit) {
            self.number()?
        } else if matches!(first, '"' | '\'' | '`') {
            self.quoted(first)?
        } else if first.is_ascii_alphabetic()
            || first == '_'
            || (first == ':' && self.brackets == 0)
        {
            let colons = self.brackets == 0;
            let word: String = self
                .rest()
                .chars()
                .take_while(|c| c.is_ascii_alphanumeric() || *c == '_' || (*c == ':' && colons))
                .collect();
            self.at += word.len();
            Token::Word(word)
        } else {
            let Some(sign) = SIGNS.into_iter().find(|sign| self.rest().starts_with(sign)) else {
                let span = start..start + first.len_utf8();
                return Err(ParseError::new(span, format!("unexpected character: {first:?}")));
            };
            match sign {
                "[" => self.brackets += 1,
                "]" => self.brackets = self.brackets.saturating_sub(1),
                _ => {}
            }
            self.at += sign.len();
            Token::Sign(sign)
        };
        Ok((token, start..self.at))
    }

    /// A number (`1_000`, `0x1F`, `1e3`, `.5`) or a duration (`1h30m`).
    fn number(&mut self) -> Result<Token, ParseError> {
        let start = self.at;
        let bytes = self.text.as_bytes();
        let mut end = start;
        let hex = self.rest().starts_with("0x") || self.rest().starts_with("0X");
        while let Some(&byte) = bytes.get(end) {
            let exponent_sign = !hex
                && matches!(byte, b'+' | b'-')
                && end > start
                && matches!(bytes[end - 1], b'e' | b'E');
            if byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'.' || exponent_sign {
                end += 1;
            } else {
                break;
            }
        }
        self.at = end;
        let word = &self.text[start..end];
        if let Some(number) = number(word) {
            return Ok(Token::Number(number));
        }
        match duration_ms(word) {
            Ok(ms) => Ok(Token::Duration(ms)),
            Err(reason) => Err(ParseError::new(
                start..end,
                format!("bad number or duration syntax: {word:?}: {reason}"),
            )),
        }
    }

    fn quoted(&mut self, quote: char) -> Result<Token, ParseError> {
        let start = self.at;
        self.at += 1;
        let mut bytes = Vec::new();
        loop {
            let Some(c) = self.rest().chars().next() else {
                return Err(ParseError::new(start..self.at, "unterminated quoted string".into()));
            };
            self.at += c.len_utf8();
            if c == quote {
                return Ok(Token::Text(bytes));
            }
            if quote != '`' && c == '\n' {
                return Err(ParseError::new(start..self.at, "unterminated quoted string".into()));
            }
            if quote != '`' && c == '\\' {
                self.escape(&mut bytes, start)?;
            } else {
                bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            }
        }
    }

    /// The escapes of Go: `\n`, `\x41`, `\101`, `\u0041`, `\U00000041`.
    fn escape(&mut self, bytes: &mut Vec<u8>, start: usize) -> Result<(), ParseError> {
        let unknown = |at: usize| ParseError::new(start..at, "unknown escape sequence".into());
        let Some(c) = self.rest().chars().next() else {
            return Err(ParseError::new(start..self.at, "unterminated quoted string".into()));
        };
        let (digits, radix, skip) = match c {
            'x' => (2, 16, 1),
            'u' => (4, 16, 1),
            'U' => (8, 16, 1),
            '0'..='7' => (3, 8, 0),
            _ => {
                self.at += c.len_utf8();
                bytes.push(match c {
                    'a' => 7,
                    'b' => 8,
                    'f' => 12,
                    'n' => b'\n',
                    'r' => b'\r',
                    't' => b'\t',
                    'v' => 11,
                    '\\' => b'\\',
                    '\'' => b'\'',
                    '"' => b'"',
                    _ => return Err(unknown(self.at)),
                });
                return Ok(());
            }
        };
        let from = self.at + skip;
        let code = self.text.get(from..from + digits).filter(|t| !t.starts_with('+'));
        let code = code.and_then(|t| u32::from_str_radix(t, radix).ok());
        let code = code.ok_or_else(|| unknown(self.at))?;
        self.at = from + digits;
        if matches!(c, 'u' | 'U') {
            let c = char::from_u32(code).ok_or_else(|| unknown(self.at))?;
            bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        } else {
            bytes.push(u8::try_from(code).map_err(|_| unknown(self.at))?);
        }
        Ok(())
    }
}

/// A number as the language writes it; underscores only between digits.
pub(crate) fn number(word: &str) -> Option<f64> {
    if word.starts_with('_') || word.ends_with('_') || word.contains("__") {
        return None;
    }
    let plain = word.replace('_', "");
    let lower = plain.to_ascii_lowercase();
    match lower.as_str() {
        "inf" => return Some(f64::INFINITY),
        "nan" => return Some(f64::NAN),
        _ => {}
    }
    if let Some(hex) = lower.strip_prefix("0x") {
        #[allow(clippy::cast_precision_loss)] // Large numbers are floats here, as everywhere.
        return u64::from_str_radix(hex, 16).ok().map(|n| n as f64);
    }
    if lower.len() > 1
        && lower.starts_with('0')
        && lower.bytes().all(|byte| matches!(byte, b'0'..=b'7'))
    {
        #[allow(clippy::cast_precision_loss)]
        return u64::from_str_radix(&lower, 8).ok().map(|n| n as f64);
    }
    if !lower.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'+' | b'-')) {
        return None;
    }
    lower.parse().ok()
}

/// Milliseconds of `1y2w3d4h5m6s7ms`: each unit at most once, in this order.
pub fn duration_ms(word: &str) -> Result<i64, &'static str> {
    const UNITS: [(&str, i64); 7] = [
        ("y", 365 * 86_400_000),
        ("w", 7 * 86_400_000),
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1000),
        ("ms", 1),
    ];
    let mut rest = word;
    let mut least = 0;
    let mut total: i64 = 0;
    if rest.is_empty() {
        return Err("empty duration string");
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let count: i64 = rest[..digits].parse().map_err(|_| "not a valid duration string")?;
        rest = &rest[digits..];
        let letters = rest.bytes().take_while(|b| !b.is_ascii_digit()).count();
        let unit = UNITS.iter().position(|(unit, _)| *unit == &rest[..letters]);
        let unit = unit.filter(|at| *at >= least).ok_or("not a valid duration string")?;
        least = unit + 1;
        rest = &rest[letters..];
        total = count
            .checked_mul(UNITS[unit].1)
            .and_then(|ms| total.checked_add(ms))
            .filter(|ms| *ms < i64::MAX / 1_000_000)
            .ok_or("duration out of range")?;
    }
    Ok(total)
}
