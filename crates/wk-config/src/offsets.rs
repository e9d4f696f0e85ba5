//! Finds in the source what stands at an offset of a value: quotes, escapes, folds, indentation and
//! variables lie in between.

use crate::sources::Place;
use crate::tree::{Scalar, Style};

/// The place of `length` bytes at `offset` of a scalar's text. The scalar was written at `place` of
/// `source`.
///
/// Exact for every style of scalar; when the value does not read back as it was parsed, the place
/// of the whole scalar.
pub(crate) fn source_range(
    source: &str,
    place: Place,
    scalar: &Scalar,
    (offset, length): (usize, usize),
) -> Place {
    let written = &source[place.start..place.end];
    let (start, end) = before_edits(scalar, offset, offset.saturating_add(length));
    let decoded_length = scalar.text.len()
        + scalar.edits.iter().map(|e| e.from_length).sum::<usize>()
        - scalar.edits.iter().map(|e| e.length).sum::<usize>();
    let Some(map) = read_back(written, scalar, decoded_length) else {
        return place;
    };
    let last = map.len() - 1;
    let start_at = map[start.min(last)];
    // The end is where the last byte stands, plus one: what lies between it and the next byte of
    // the value (a fold, an indentation) is not meant.
    let end_at = if end > start {
        let last_byte = end.min(last) - 1;
        (map[last_byte.max(start.min(last))] + 1).max(start_at)
    } else {
        start_at
    };
    Place { file: place.file, start: place.start + start_at, end: place.start + end_at }
}

/// Offsets in the text before variables were put in. A place inside of a variable's value becomes
/// the whole reference.
fn before_edits(scalar: &Scalar, start: usize, end: usize) -> (usize, usize) {
    let back = |offset: usize, at_end: bool| {
        // `shift`: how much longer the text was before, up to here.
        let (mut added, mut removed) = (0, 0);
        for edit in &scalar.edits {
            let edit_end = edit.at + edit.length;
            if at_end && edit_end < offset || !at_end && edit_end <= offset {
                added += edit.from_length;
                removed += edit.length;
            } else if edit.at < offset || !at_end && edit.at == offset && edit.length > 0 {
                return if at_end { edit.from + edit.from_length } else { edit.from };
            }
        }
        (offset + added).saturating_sub(removed)
    };
    let start_back = back(start, false);
    (start_back, back(end, true).max(start_back))
}

/// For each byte of the value, and for its end, the offset in what was written. None when this
/// does not come out at `length` bytes.
fn read_back(written: &str, scalar: &Scalar, length: usize) -> Option<Vec<usize>> {
    let style = scalar.style;
    let mut map = match style {
        Style::Plain => flow(written, 0, written.len(), style),
        Style::Single | Style::Double => flow(written, 1, written.len().checked_sub(1)?, style),
        Style::Literal | Style::Folded => return block(written, scalar, length),
    };
    map.push(match style {
        Style::Plain => written.len(),
        _ => written.len() - 1,
    });
    (map.len() == length + 1).then_some(map)
}

/// Plain and quoted scalars: escapes, and line breaks that fold into spaces.
fn flow(written: &str, from: usize, to: usize, style: Style) -> Vec<usize> {
    let bytes = written.as_bytes();
    let (mut map, mut at) = (Vec::new(), from);
    while at < to {
        let rest = &bytes[at..to];
        let (consumed, breaks) = spaces(rest);
        if breaks > 0 {
            // One break is a space; more are all breaks but the first.
            map.extend(std::iter::repeat_n(at, (breaks - 1).max(1)));
            at += consumed;
        } else if consumed > 0 {
            map.extend(at..at + consumed);
            at += consumed;
        } else if style == Style::Single && rest.starts_with(b"''") {
            map.push(at);
            at += 2;
        } else if style == Style::Double && rest[0] == b'\\' {
            let (consumed, out) = escape(rest);
            map.extend(std::iter::repeat_n(at, out));
            at += consumed;
        } else {
            map.push(at);
            at += 1;
        }
    }
    map
}

/// Spaces and line breaks at the start of `rest`: bytes of them, and how many are breaks.
fn spaces(rest: &[u8]) -> (usize, usize) {
    let (mut at, mut breaks) = (0, 0);
    while let Some(byte) = rest.get(at) {
        match byte {
            b' ' | b'\t' => at += 1,
            b'\n' | b'\r' => {
                at += if rest[at..].starts_with(b"\r\n") { 2 } else { 1 };
                breaks += 1;
            }
            _ => break,
        }
    }
    (at, breaks)
}

/// An escape of a double-quoted scalar: bytes it takes, and bytes it stands for.
fn escape(rest: &[u8]) -> (usize, usize) {
    let digits = match rest.get(1) {
        Some(b'x') => 2,
        Some(b'u') => 4,
        Some(b'U') => 8,
        Some(b'N') => return (2, '\u{85}'.len_utf8()),
        Some(b'_') => return (2, '\u{a0}'.len_utf8()),
        Some(b'L' | b'P') => return (2, '\u{2028}'.len_utf8()),
        Some(b'\n' | b'\r') => {
            // The break goes, and so does the indentation of the next line; empty lines stay.
            let (consumed, breaks) = spaces(&rest[1..]);
            return (1 + consumed, breaks.saturating_sub(1));
        }
        _ => return (2.min(rest.len()), 1),
    };
    let hex = |from: usize| {
        let text = std::str::from_utf8(rest.get(from..from + digits)?).ok()?;
        u32::from_str_radix(text, 16).ok()
    };
    match hex(2) {
        // A pair of surrogates is one character.
        Some(0xD800..=0xDBFF) if rest[6.min(rest.len())..].starts_with(b"\\u") => (12, 4),
        Some(code) => (2 + digits, char::from_u32(code).map_or(1, char::len_utf8)),
        None => (2.min(rest.len()), 1),
    }
}

/// Block scalars. `written` begins behind the indentation of the first line that is not empty.
fn block(written: &str, scalar: &Scalar, length: usize) -> Option<Vec<usize>> {
    let (mut map, mut at, mut first) = (Vec::new(), 0, true);
    let (mut pending, mut last_more, mut last_break) = (0, false, 0);
    for line in written.split_inclusive('\n') {
        let content = line.trim_end_matches(['\n', '\r']);
        let indent = if first { 0 } else { scalar.indent };
        let skipped = content.bytes().take(indent).take_while(|byte| *byte == b' ').count();
        let content = &content[skipped..];
        if !content.is_empty() {
            let more = content.starts_with([' ', '\t']);
            if !first {
                let folded = scalar.style == Style::Folded && !more && !last_more;
                let out = if folded { pending.max(2) - 1 } else { pending };
                map.extend(std::iter::repeat_n(last_break, out));
            }
            map.extend(at + skipped..at + skipped + content.len());
            (pending, last_more, first) = (0, more, false);
            last_break = at + skipped + content.len();
        }
        pending += 1;
        at += line.len();
    }
    // Empty lines before the first line, which `written` lacks; and what chomping kept at the end.
    let leading = scalar.text.bytes().take_while(|byte| *byte == b'\n').count();
    map.splice(0..0, std::iter::repeat_n(0, leading));
    let ending = length.checked_sub(map.len())?.min(pending);
    map.extend(std::iter::repeat_n(last_break, ending));
    map.push(last_break);
    (map.len() == length + 1).then_some(map)
}

#[cfg(test)]
mod tests {
    use crate::interpolate::Environment;
    use crate::sources::Sources;
    use crate::tree::{Node, Value};
    use crate::yaml::Reader;

    use super::*;

    /// Looks for `needle` in the value of `a` and checks what is written at its place.
    fn check(yaml: &str, needle: &str, expected: &str) {
        let environment = Environment::fixed([("X", "0x00ff"), ("EMPTY", "")]);
        let mut sources = Sources::default();
        let file = sources.add("a.yaml".to_owned(), yaml.to_owned());
        let mut reader = Reader::new(&environment);
        let root = reader.read(file, sources.text(file)).expect("it is YAML");
        let Node { place, value: Value::Scalar(scalar), .. } = &root.entry("a").unwrap().value
        else {
            panic!("a scalar")
        };
        let offset = scalar.text.find(needle).unwrap_or_else(|| panic!("{:?}", scalar.text));
        let found = source_range(yaml, *place, scalar, (offset, needle.len()));
        let place = &yaml[found.start..found.end];
        assert_eq!(place, expected, "{needle:?} of {:?} in {yaml:?}", scalar.text);
    }

    #[test]
    fn finds_the_source_in_every_style() {
        for yaml in [
            "a: one two",
            "a: 'one two'",
            "a: \"one two\"",
            "a: |\n  one two",
            "a: |\n\n\n    one two\n\n",
            "a: >-\n  one two\nb: 1",
            "a: one\n  two",
            "a: 'one\n\n\n  two'",
            "a: \"one \\\n   two\"",
            "a: |+\n  one\n  two\n\n",
            "a: |2\n    one\n  two\n",
            "a: >\n  one\n  two\n",
            "a: >\n  one\n\n   more\n\n  two\n",
            "a: >\r\n  one\r\n  two\r\n",
            "a: one\r\n  two\r\n",
            "a: ä→one two",
        ] {
            check(yaml, "one", "one");
            check(yaml, "two", "two");
        }
    }

    #[test]
    fn finds_what_is_escaped_and_folded() {
        check("a: 'it''s x'", "'", "'");
        check("a: 'it''s x'", "x", "x");
        check(r#"a: "\"\\ \x41\u00e9\U0001F600 \N\L x""#, "x", "x");
        check(r#"a: "\x41 x""#, "A", r"\");
        check(r#"a: "\ud83d\ude00 x""#, "x", "x");
        check("a: >-\n  amount >\n  ether(1)\n  && x\n", "> ether(1) &&", ">\n  ether(1)\n  &&");
        check("a: |\n  if x\n    y\n  z\n", "  y", "  y");
    }

    #[test]
    fn finds_what_stands_around_variables() {
        check("a: x ${X} y", "y", "y");
        check("a: x ${X} y", "x ", "x ");
        check("a: x ${X} y", "0x00ff", "${X}");
        check("a: x ${X} y", "ff", "${X}");
        check("a: 'x ${EMPTY}${X} ''y'", "y", "y");
        check("a: x $${X} y", "{X} y", "{X} y");
        check("a: ${X}", "0x00ff", "${X}");
    }
}
