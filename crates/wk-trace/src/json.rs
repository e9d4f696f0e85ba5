//! A JSON reader that borrows, never recurses, and never builds a tree.
//!
//! Traces nest as deep as calls do, so a recursive reader would let untrusted input choose the depth
//! of our stack. This one is tolerant: it checks the shape it walks, not every byte it skips.

use alloy_primitives::{Address, B256, U256};

/// Where and why text is not the JSON it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no valid JSON at byte {at}: {what}")]
pub struct JsonError {
    /// Byte offset within the text that was being read.
    pub at: usize,
    /// What was missing.
    pub what: &'static str,
}

/// Walks over a text.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(text: &'a [u8]) -> Reader<'a> {
        Reader { text, at: 0 }
    }

    fn error(&self, what: &'static str) -> JsonError {
        JsonError { at: self.at, what }
    }

    /// The next byte that is not white space, not yet taken.
    pub(crate) fn peek(&mut self) -> Option<u8> {
        while let Some(&byte) = self.text.get(self.at) {
            match byte {
                b' ' | b'\n' | b'\r' | b'\t' => self.at += 1,
                _ => return Some(byte),
            }
        }
        None
    }

    /// Takes `byte` if it comes next.
    pub(crate) fn eat(&mut self, byte: u8) -> bool {
        let here = self.peek() == Some(byte);
        if here {
            self.at += 1;
        }
        here
    }

    pub(crate) fn expect(&mut self, byte: u8, what: &'static str) -> Result<(), JsonError> {
        if self.eat(byte) { Ok(()) } else { Err(self.error(what)) }
    }

    /// The inside of a string; escapes stay as they are.
    pub(crate) fn string(&mut self) -> Result<&'a [u8], JsonError> {
        self.expect(b'"', "a string was expected")?;
        let start = self.at;
        loop {
            let rest = &self.text[self.at..];
            let Some(step) = rest.iter().position(|&byte| byte == b'"' || byte == b'\\') else {
                return Err(self.error("a string does not end"));
            };
            self.at += step;
            if self.text[self.at] == b'"' {
                let inside = &self.text[start..self.at];
                self.at += 1;
                return Ok(inside);
            }
            // The escaped byte cannot end the string.
            self.at += 2;
            if self.at > self.text.len() {
                self.at = self.text.len();
                return Err(self.error("a string does not end"));
            }
        }
    }

    /// The next member's name; its value comes next.
    pub(crate) fn key(&mut self) -> Result<&'a [u8], JsonError> {
        let key = self.string()?;
        self.expect(b':', "`:` was expected")?;
        Ok(key)
    }

    /// The next value, whole and unread.
    pub(crate) fn value(&mut self) -> Result<Raw<'a>, JsonError> {
        let first = self.peek().ok_or_else(|| self.error("a value was expected"))?;
        let start = self.at;
        match first {
            b'"' => {
                self.string()?;
            }
            b'{' | b'[' => self.nested()?,
            b'}' | b']' | b',' | b':' => return Err(self.error("a value was expected")),
            _ => {
                let rest = &self.text[self.at..];
                let end = rest
                    .iter()
                    .position(|byte| {
                        matches!(byte, b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t')
                    })
                    .unwrap_or(rest.len());
                self.at += end;
            }
        }
        Ok(Raw(&self.text[start..self.at]))
    }

    /// Steps over an object or array, however deep.
    fn nested(&mut self) -> Result<(), JsonError> {
        let mut depth = 0_usize;
        loop {
            let rest = &self.text[self.at..];
            let step = rest
                .iter()
                .position(|byte| matches!(byte, b'"' | b'{' | b'}' | b'[' | b']'))
                .ok_or_else(|| self.error("an object or array does not end"))?;
            self.at += step;
            match self.text[self.at] {
                b'"' => {
                    self.string()?;
                    continue;
                }
                b'{' | b'[' => depth += 1,
                _ => depth -= 1,
            }
            self.at += 1;
            if depth == 0 {
                return Ok(());
            }
        }
    }
}

/// One value, not read yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Raw<'a>(&'a [u8]);

impl<'a> Raw<'a> {
    pub(crate) fn text(self) -> &'a [u8] {
        self.0
    }

    pub(crate) fn is_object(self) -> bool {
        self.0.first() == Some(&b'{')
    }

    pub(crate) fn is_array(self) -> bool {
        self.0.first() == Some(&b'[')
    }

    /// Members, when it is an object; none otherwise.
    pub(crate) fn members(self) -> Members<'a> {
        let mut reader = Reader::new(self.0);
        let open = reader.eat(b'{');
        Members { reader, open, first: true }
    }

    /// Elements, when it is an array; none otherwise.
    pub(crate) fn elements(self) -> Elements<'a> {
        let mut reader = Reader::new(self.0);
        let open = reader.eat(b'[');
        Elements { reader, open, first: true }
    }

    /// The member named `key`.
    pub(crate) fn member(self, key: &str) -> Option<Raw<'a>> {
        self.members().find_map(|member| match member {
            Ok((name, value)) if name == key.as_bytes() => Some(value),
            _ => None,
        })
    }

    /// The inside of a string, escapes untouched.
    pub(crate) fn string(self) -> Option<&'a [u8]> {
        self.0.strip_prefix(b"\"")?.strip_suffix(b"\"")
    }

    /// A string for people: cut to a bearable length.
    pub(crate) fn words(self) -> Option<Box<str>> {
        let inside = self.string()?;
        let cut = &inside[..inside.len().min(256)];
        Some(String::from_utf8_lossy(cut).into())
    }

    /// A number: decimal, or a string of decimal or `0x` hexadecimal digits.
    pub(crate) fn number(self) -> Option<U256> {
        let digits = self.string().unwrap_or(self.0);
        match digits.strip_prefix(b"0x").or_else(|| digits.strip_prefix(b"0X")) {
            Some(hex) => hex_number(hex),
            None => U256::from_str_radix(std::str::from_utf8(digits).ok()?, 10).ok(),
        }
    }

    /// A number that fits into 64 bits.
    pub(crate) fn small(self) -> Option<u64> {
        self.number()?.try_into().ok()
    }

    pub(crate) fn address(self) -> Option<Address> {
        let mut bytes = [0; 20];
        hex_exact(self.string()?, &mut bytes).then(|| Address::from(bytes))
    }

    pub(crate) fn hash(self) -> Option<B256> {
        let mut bytes = [0; 32];
        hex_exact(self.string()?, &mut bytes).then(|| B256::from(bytes))
    }
}

/// Walks over an object's members.
pub(crate) struct Members<'a> {
    reader: Reader<'a>,
    open: bool,
    first: bool,
}

impl<'a> Iterator for Members<'a> {
    type Item = Result<(&'a [u8], Raw<'a>), JsonError>;

    fn next(&mut self) -> Option<Self::Item> {
        if !self.open || self.reader.eat(b'}') {
            self.open = false;
            return None;
        }
        let mut step = || {
            if !self.first {
                self.reader.expect(b',', "`,` or `}` was expected")?;
            }
            self.first = false;
            Ok((self.reader.key()?, self.reader.value()?))
        };
        let item = step();
        self.open = item.is_ok();
        Some(item)
    }
}

/// Walks over an array's elements.
pub(crate) struct Elements<'a> {
    reader: Reader<'a>,
    open: bool,
    first: bool,
}

impl<'a> Iterator for Elements<'a> {
    type Item = Result<Raw<'a>, JsonError>;

    fn next(&mut self) -> Option<Self::Item> {
        if !self.open || self.reader.eat(b']') {
            self.open = false;
            return None;
        }
        let mut step = || {
            if !self.first {
                self.reader.expect(b',', "`,` or `]` was expected")?;
            }
            self.first = false;
            self.reader.value()
        };
        let item = step();
        self.open = item.is_ok();
        Some(item)
    }
}

/// Value of each hexadecimal digit; 255 is none.
const DIGITS: [u8; 256] = {
    let mut table = [255; 256];
    let mut digit = 0;
    while digit < 10 {
        table[b'0' as usize + digit as usize] = digit;
        digit += 1;
    }
    let mut digit = 0;
    while digit < 6 {
        table[b'a' as usize + digit as usize] = 10 + digit;
        table[b'A' as usize + digit as usize] = 10 + digit;
        digit += 1;
    }
    table
};

fn hex_number(digits: &[u8]) -> Option<U256> {
    if digits.len() > 64 {
        // Leading zeros do no harm.
        let (zeros, rest) = digits.split_at(digits.len() - 64);
        return if zeros.iter().all(|&digit| digit == b'0') { hex_number(rest) } else { None };
    }
    let mut limbs = [0_u64; 4];
    for (place, &digit) in digits.iter().rev().enumerate() {
        let value = DIGITS[usize::from(digit)];
        if value > 15 {
            return None;
        }
        limbs[place / 16] |= u64::from(value) << (place % 16 * 4);
    }
    Some(U256::from_limbs(limbs))
}

/// Fills `bytes` from `0x` text of exactly that length.
fn hex_exact(text: &[u8], bytes: &mut [u8]) -> bool {
    let Some(digits) = text.strip_prefix(b"0x") else { return false };
    if digits.len() != bytes.len() * 2 {
        return false;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let (high, low) = (DIGITS[usize::from(pair[0])], DIGITS[usize::from(pair[1])]);
        if high > 15 || low > 15 {
            return false;
        }
        *byte = high << 4 | low;
    }
    true
}

/// Appends the bytes of `0x` text; stops at the first pair that is none.
pub(crate) fn hex_append(text: &[u8], bytes: &mut Vec<u8>) {
    let digits = text.strip_prefix(b"0x").unwrap_or(text);
    bytes.reserve(digits.len() / 2);
    for pair in digits.chunks_exact(2) {
        let (high, low) = (DIGITS[usize::from(pair[0])], DIGITS[usize::from(pair[1])]);
        if high > 15 || low > 15 {
            return;
        }
        bytes.push(high << 4 | low);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_and_elements_are_walked_without_reading_their_insides() {
        let text = br#" {"a": [1, {"b":"}\""}, "]"] , "c" : "x\"y", "d": -1.5e3 , "e":{}} "#;
        let raw = Reader::new(text).value().unwrap();
        let members: Vec<_> = raw
            .members()
            .map(|member| member.map(|(key, value)| (key.to_vec(), value.text().to_vec())).unwrap())
            .collect();
        let expected: [(&[u8], &[u8]); 4] = [
            (b"a", br#"[1, {"b":"}\""}, "]"]"#),
            (b"c", br#""x\"y""#),
            (b"d", b"-1.5e3"),
            (b"e", b"{}"),
        ];
        assert_eq!(members.len(), expected.len());
        for ((key, value), (wanted_key, wanted)) in members.iter().zip(expected) {
            assert_eq!((key.as_slice(), value.as_slice()), (wanted_key, wanted));
        }
        let inner: Vec<usize> = raw
            .member("a")
            .unwrap()
            .elements()
            .map(|element| element.unwrap().text().len())
            .collect();
        assert_eq!(inner, [1, 11, 3]);
    }

    #[test]
    fn numbers_come_in_several_spellings() {
        for (text, expected) in [
            ("12", Some(12)),
            ("\"12\"", Some(12)),
            ("\"0x\"", Some(0)),
            ("\"0xff\"", Some(255)),
            ("\"0x00000000000000000000000000000000000000000000000000000000000000000001\"", Some(1)),
            ("\"0xg\"", None),
            ("null", None),
            ("\"0x10000000000000000\"", None),
        ] {
            assert_eq!(Raw(text.as_bytes()).small(), expected, "{text}");
        }
    }

    #[test]
    fn broken_text_is_an_error_and_no_panic() {
        for text in ["", "{", "[1", "{\"a\"", "{\"a\":", "\"", "\"\\", "[[[[", "}", "{\"a\":1,,}"] {
            let walked = Reader::new(text.as_bytes()).value().map(|raw| {
                raw.members().count() + raw.elements().filter(|element| element.is_ok()).count()
            });
            assert!(walked.is_err() || walked.unwrap() < 3, "{text}");
        }
    }
}
