//! Text to tokens.

use alloy_primitives::U256;

use super::CompileError;
use super::ast::{IntLiteral, Span};

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) span: Span,
    pub(super) kind: TokenKind,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum TokenKind {
    /// A name, or one of the words `true`, `false`, `null`, `in`.
    Word(String),
    Int(IntLiteral),
    Double(String),
    String(String),
    Bytes(Vec<u8>),
    /// Brackets, operators and commas, as written.
    Sign(&'static str),
    End,
}

/// Longest first, so that the first that fits is the one meant.
const SIGNS: [&str; 25] = [
    "==", "!=", "<=", ">=", "&&", "||", "(", ")", "[", "]", "{", "}", ".", ",", ":", "?", "!", "-",
    "+", "*", "/", "%", "<", ">", ";",
];

pub(super) struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Lexer<'a> {
        Lexer { text, at: 0 }
    }

    pub(super) fn next(&mut self) -> Result<Token, CompileError> {
        self.skip_blanks();
        let start = self.at;
        let kind = self.token()?;
        Ok(Token { span: Span { start, end: self.at }, kind })
    }

    fn token(&mut self) -> Result<TokenKind, CompileError> {
        let rest = self.rest();
        let Some(first) = rest.chars().next() else { return Ok(TokenKind::End) };
        if let Some((raw, bytes, prefix)) = string_prefix(rest) {
            return self.string(raw, bytes, prefix);
        }
        if first.is_ascii_alphabetic() || first == '_' {
            let word = take_while(rest, is_word);
            self.at += word.len();
            return Ok(TokenKind::Word(word.to_owned()));
        }
        let starts_number = first.is_ascii_digit()
            || (first == '.' && rest[1..].starts_with(|c: char| c.is_ascii_digit()));
        if starts_number {
            return self.number();
        }
        self.refuse_foreign_sign(rest)?;
        if let Some(sign) = SIGNS.into_iter().find(|sign| rest.starts_with(sign)) {
            self.at += sign.len();
            return Ok(TokenKind::Sign(sign));
        }
        Err(self.unknown(first))
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// Whitespace, and comments from `//` to the end of the line.
    fn skip_blanks(&mut self) {
        loop {
            let rest = self.rest();
            let blanks = take_while(rest, |c| matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{c}'));
            self.at += blanks.len();
            if !self.rest().starts_with("//") {
                return;
            }
            self.at += take_while(self.rest(), |c| c != '\n').len();
        }
    }

    fn number(&mut self) -> Result<TokenKind, CompileError> {
        let start = self.at;
        let rest = self.rest();
        if rest.starts_with("0x") || rest.starts_with("0X") {
            return self.hex_number();
        }
        let digits = take_while(rest, |c| c.is_ascii_digit());
        let mut len = digits.len();
        let mut is_double = false;
        if let Some(fraction) = rest[len..].strip_prefix('.') {
            let fraction = take_while(fraction, |c| c.is_ascii_digit());
            if !fraction.is_empty() {
                is_double = true;
                len += 1 + fraction.len();
            }
        }
        if let Some(exponent) = rest[len..].strip_prefix(['e', 'E']) {
            let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            let count = take_while(digits, |c| c.is_ascii_digit()).len();
            if count > 0 {
                is_double = true;
                len += 1 + (exponent.len() - digits.len()) + count;
            }
        }
        let number = &rest[..len];
        self.at += len;
        if is_double {
            self.refuse_suffix(start, number)?;
            let finite = number.parse::<f64>().is_ok_and(f64::is_finite);
            return if finite {
                Ok(TokenKind::Double(number.to_owned()))
            } else {
                Err(self.error(start, "this number is too large for a double", None))
            };
        }
        if self.rest().starts_with(['u', 'U']) && !self.rest()[1..].starts_with(is_word) {
            self.at += 1;
        }
        self.refuse_suffix(start, number)?;
        match U256::from_str_radix(number, 10) {
            Ok(value) => Ok(TokenKind::Int(IntLiteral { value, hex: None })),
            Err(_) => Err(self.too_large(start)),
        }
    }

    fn hex_number(&mut self) -> Result<TokenKind, CompileError> {
        let start = self.at;
        let digits = take_while(&self.rest()[2..], |c| c.is_ascii_hexdigit());
        self.at += 2 + digits.len();
        if self.rest().starts_with(['u', 'U']) && !self.rest()[1..].starts_with(is_word) {
            self.at += 1;
        }
        let tail = take_while(self.rest(), is_word);
        if digits.is_empty() || !tail.is_empty() {
            self.at += tail.len();
            return Err(self.error(
                start,
                "a hex number has the digits 0-9 and a-f only",
                Some("text goes in quotes: \"0x…\"".to_owned()),
            ));
        }
        if digits.len() > 64 && digits.trim_start_matches('0').len() > 64 {
            return Err(self.error(
                start,
                "this hex number has more than 64 digits (256 bits)",
                Some("longer data is written bytes(\"0x…\")".to_owned()),
            ));
        }
        match U256::from_str_radix(digits, 16) {
            Ok(value) => Ok(TokenKind::Int(IntLiteral { value, hex: Some(digits.to_owned()) })),
            Err(_) => Err(self.too_large(start)),
        }
    }

    fn too_large(&self, start: usize) -> CompileError {
        self.error(
            start,
            "this integer is too large: the largest is 2^256 - 1",
            Some("larger numbers can be had as products, such as pow(10, 80)".to_owned()),
        )
    }

    /// Letters right after a number: a unit, a grouped number, or a slip.
    fn refuse_suffix(&mut self, start: usize, number: &str) -> Result<(), CompileError> {
        let suffix = take_while(self.rest(), is_word);
        if suffix.is_empty() {
            return Ok(());
        }
        self.at += suffix.len();
        let hint = match suffix {
            "ns" | "us" | "ms" | "s" | "m" | "h" | "d" => {
                format!("a duration is written duration(\"{number}{suffix}\")")
            }
            "ether" | "eth" | "ETH" => format!("an amount is written ether(\"{number}\")"),
            "gwei" => format!("an amount is written gwei(\"{number}\")"),
            "wei" => format!("amounts are in wei: write {number}"),
            _ if suffix.starts_with('_') => {
                let digits: String =
                    number.chars().chain(suffix.chars()).filter(|c| *c != '_').collect();
                format!("numbers are written without grouping: {digits}")
            }
            _ => "put an operator between the number and the name".to_owned(),
        };
        Err(self.error(start, format!("`{number}{suffix}` is no number"), Some(hint)))
    }

    /// Signs that other languages use, or that an input method put in.
    fn refuse_foreign_sign(&self, rest: &str) -> Result<(), CompileError> {
        let foreign = [
            ("===", "equality is `==`"),
            ("!==", "inequality is `!=`"),
            ("=>", "\"greater or equal\" is `>=`"),
            ("=<", "\"less or equal\" is `<=`"),
            ("<>", "inequality is `!=`"),
            ("**", "a power is pow(base, exponent)"),
            ("<<", "there is no shift; multiply by pow(2, n)"),
            (">>", "there is no shift; divide by pow(2, n)"),
            ("?.", "a field of an absent object is null by itself: write `.`"),
            ("??", "a fallback for null is value.orValue(fallback)"),
        ];
        let single = [
            ("=", "==", "equality is `==`"),
            ("&", "&&", "\"and\" is `&&`"),
            ("|", "||", "\"or\" is `||`"),
        ];
        let found = foreign
            .into_iter()
            .find(|(sign, _)| rest.starts_with(sign) && !is_choice_of_fraction(rest))
            .or_else(|| {
                single
                    .into_iter()
                    .find(|(sign, double, _)| rest.starts_with(sign) && !rest.starts_with(double))
                    .map(|(sign, _, hint)| (sign, hint))
            });
        match found {
            Some((sign, hint)) => Err(CompileError {
                offset: self.at,
                len: sign.len(),
                message: format!("`{sign}` is no operator"),
                hint: Some(hint.to_owned()),
            }),
            None => Ok(()),
        }
    }

    fn unknown(&self, c: char) -> CompileError {
        let plain = match c {
            '（' => "(",
            '）' => ")",
            '，' | '、' => ",",
            '。' => ".",
            '：' => ":",
            '？' => "?",
            '！' => "!",
            '＝' => "==",
            '＞' => ">",
            '＜' => "<",
            '＆' => "&&",
            '｜' => "||",
            '【' | '［' => "[",
            '】' | '］' => "]",
            '“' | '”' | '‘' | '’' | '「' | '」' | '«' | '»' | '＂' => "\"",
            '≥' => ">=",
            '≤' => "<=",
            '≠' => "!=",
            '×' => "*",
            '÷' => "/",
            '–' | '—' | '−' | '－' => "-",
            '\u{a0}' | '\u{3000}' => " ",
            _ => "",
        };
        let hint = match (plain, c) {
            ("", c) if c.is_alphabetic() => {
                Some("names are ASCII letters, digits and `_`; text goes in quotes".to_owned())
            }
            ("", '$') => Some("variables are written without `$`".to_owned()),
            ("", '^') => Some("a power is pow(base, exponent)".to_owned()),
            ("", '`') => Some("text goes in quotes: \"…\"".to_owned()),
            ("", _) => None,
            (" ", _) => Some("replace it by an ordinary blank".to_owned()),
            (plain, _) => Some(format!("write `{plain}` instead")),
        };
        CompileError {
            offset: self.at,
            len: c.len_utf8(),
            message: format!("`{}` is not part of the language", c.escape_debug()),
            hint,
        }
    }

    fn string(&mut self, raw: bool, bytes: bool, prefix: usize) -> Result<TokenKind, CompileError> {
        let start = self.at;
        let rest = &self.rest()[prefix..];
        let quote = &rest[..1];
        let triple = rest.starts_with(&quote.repeat(3));
        let close = if triple { quote.repeat(3) } else { quote.to_owned() };
        self.at += prefix + close.len();
        let mut content = Content { bytes, out: Vec::new() };
        loop {
            let rest = self.rest();
            if rest.starts_with(&close) {
                self.at += close.len();
                break;
            }
            match rest.chars().next() {
                None => return Err(self.unterminated(start, prefix + close.len(), &close)),
                Some('\n' | '\r') if !triple => {
                    return Err(self.unterminated(start, prefix + close.len(), &close));
                }
                Some('\\') if !raw => self.escape(&mut content)?,
                Some(c) => {
                    content.push(c);
                    self.at += c.len_utf8();
                }
            }
        }
        if bytes {
            return Ok(TokenKind::Bytes(content.out));
        }
        let text = String::from_utf8(content.out).expect("only whole characters were pushed");
        Ok(TokenKind::String(text))
    }

    fn unterminated(&self, start: usize, len: usize, close: &str) -> CompileError {
        CompileError {
            offset: start,
            len,
            message: "this string is never closed".to_owned(),
            hint: Some(format!("close it by {close}")),
        }
    }

    fn escape(&mut self, content: &mut Content) -> Result<(), CompileError> {
        let start = self.at;
        let rest = &self.rest()[1..];
        let Some(letter) = rest.chars().next() else {
            self.at += 1;
            return Err(self.error(start, "this string ends in a backslash", None));
        };
        self.at += 1 + letter.len_utf8();
        let plain = match letter {
            'a' => '\u{7}',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\u{b}',
            '\\' | '?' | '"' | '\'' | '`' => letter,
            'x' | 'X' => return self.number_escape(start, content, 2, 16),
            'u' if !content.bytes => return self.number_escape(start, content, 4, 16),
            'U' if !content.bytes => return self.number_escape(start, content, 8, 16),
            '0'..='3' => {
                self.at -= 1;
                return self.number_escape(start, content, 3, 8);
            }
            _ => {
                return Err(self.error(
                    start,
                    "no such escape",
                    Some("a backslash is written \\\\, or use a raw string r\"…\"".to_owned()),
                ));
            }
        };
        content.push(plain);
        Ok(())
    }

    /// `\x41`, `\u0041`, `\U00000041`, `\101`: a byte in bytes, a character in text.
    fn number_escape(
        &mut self,
        start: usize,
        content: &mut Content,
        digits: usize,
        radix: u32,
    ) -> Result<(), CompileError> {
        let number = self
            .rest()
            .get(..digits)
            .filter(|text| text.chars().all(|c| c.is_digit(radix)))
            .and_then(|text| u32::from_str_radix(text, radix).ok());
        let Some(number) = number else {
            let message = format!("this escape needs {digits} digits");
            return Err(self.error(start, message, None));
        };
        self.at += digits;
        if content.bytes {
            let byte = u8::try_from(number).expect("two hex or three octal digits up to 377");
            content.out.push(byte);
            return Ok(());
        }
        match char::from_u32(number) {
            Some(c) => {
                content.push(c);
                Ok(())
            }
            None => Err(self.error(start, "this escape names no character", None)),
        }
    }

    /// A fault from `start` to here.
    fn error(
        &self,
        start: usize,
        message: impl Into<String>,
        hint: Option<String>,
    ) -> CompileError {
        CompileError { offset: start, len: self.at - start, message: message.into(), hint }
    }
}

/// What a string literal says, as bytes.
struct Content {
    bytes: bool,
    out: Vec<u8>,
}

impl Content {
    fn push(&mut self, c: char) {
        self.out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    }
}

/// Whether a string begins here: raw, bytes, and the length of its prefix letters.
fn string_prefix(rest: &str) -> Option<(bool, bool, usize)> {
    let letters = take_while(rest, |c| matches!(c, 'r' | 'R' | 'b' | 'B'));
    let (raw, bytes) = match letters.to_ascii_lowercase().as_str() {
        "" => (false, false),
        "r" => (true, false),
        "b" => (false, true),
        "rb" | "br" => (true, true),
        _ => return None,
    };
    rest[letters.len()..].starts_with(['"', '\'']).then_some((raw, bytes, letters.len()))
}

/// `a ?.5 : 1`: a choice whose first branch begins with a dot.
fn is_choice_of_fraction(rest: &str) -> bool {
    rest.strip_prefix("?.").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn take_while(text: &str, test: impl Fn(char) -> bool) -> &str {
    let end = text.find(|c: char| !test(c)).unwrap_or(text.len());
    &text[..end]
}
