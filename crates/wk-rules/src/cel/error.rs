//! What can be wrong with an expression: at load, and when it runs.

use std::fmt;

/// An expression is refused at load.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CompileError {
    /// Where the fault begins, in bytes from the start of the text.
    pub offset: usize,
    /// How many bytes it covers; at least 1 unless it lies at the end of the text.
    pub len: usize,
    /// What is wrong, lowercase, without a final stop.
    pub message: String,
    /// How to mend it.
    pub hint: Option<String>,
}

/// An expression could not be evaluated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{fault}")]
pub struct EvalError {
    /// Where the part stands that failed, in bytes from the start of the text.
    pub offset: usize,
    /// How many bytes it covers.
    pub len: usize,
    /// What went wrong.
    pub fault: Fault,
}

/// What can go wrong in a checked expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A number left the range of 512 bits, a time its range.
    #[error("`{operator}` overflows")]
    Overflow {
        /// The operator or function.
        operator: &'static str,
    },
    /// Division by zero, or what it leaves.
    #[error("division by zero")]
    DivisionByZero,
    /// A value is needed, and there is none.
    #[error("`{what}` is null here; guard it with `{what} != null &&`")]
    Null {
        /// What is null, as written.
        what: String,
    },
    /// A map has no such key.
    #[error("no such key: {key}")]
    NoSuchKey {
        /// The key, as text.
        key: String,
    },
    /// A list is shorter.
    #[error("index {index} is outside a list of {len}")]
    IndexOutOfRange {
        /// The index.
        index: String,
        /// The number of items.
        len: usize,
    },
    /// A `dyn` value is not what the operator works on.
    #[error("{wanted} is needed, this is {found}")]
    WrongType {
        /// What the operator or function needs.
        wanted: String,
        /// What the value is.
        found: &'static str,
    },
    /// A conversion or function refused its argument.
    #[error("{message}")]
    Refused {
        /// Why.
        message: String,
        /// How to mend it, where that is known.
        hint: Option<String>,
    },
    /// The scope has no value for a variable now, such as a state read that failed.
    #[error("{message}")]
    Unavailable {
        /// Why.
        message: String,
    },
    /// The evaluation took more steps than it may.
    #[error("too costly: more than {budget} steps")]
    TooCostly {
        /// The steps it may take.
        budget: u64,
    },
    /// A string, list or bytes would become larger than a rule needs.
    #[error("the result of `{operator}` is too large")]
    TooLarge {
        /// The operator or function.
        operator: &'static str,
    },
}

/// Why a scope has no value for a variable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unavailable(pub String);

/// Shows a refused expression with a caret under the fault, and the hint below.
///
/// ```text
/// unknown name `amout`
///   |
/// 1 | amout > ether("1000")
///   | ^^^^^
///   = did you mean `amount`?
/// ```
pub fn render(text: &str, error: &CompileError) -> String {
    let mut out = format!("{}\n", error.message);
    caret(&mut out, text, error.offset, error.len).expect("writing to a string cannot fail");
    if let Some(hint) = &error.hint {
        out.push_str("  = ");
        out.push_str(hint);
        out.push('\n');
    }
    out
}

fn caret(out: &mut String, text: &str, offset: usize, len: usize) -> fmt::Result {
    use fmt::Write as _;
    let offset = floor_char(text, offset);
    let end = floor_char(text, offset.saturating_add(len)).max(offset);
    let line_start = text[..offset].rfind('\n').map_or(0, |at| at + 1);
    let line_end = text[offset..].find('\n').map_or(text.len(), |at| offset + at);
    let number = text[..offset].matches('\n').count() + 1;
    let gutter = " ".repeat(number.to_string().len());

    // A very long line is cut around the fault.
    let before = tail(&text[line_start..offset], 60);
    let fault = head(&text[offset..end.min(line_end)], 60);
    let after = head(&text[(offset + fault.len()).min(line_end)..line_end], 40);
    let cut_before = if before.len() < offset - line_start { "…" } else { "" };
    let cut_after = if offset + fault.len() + after.len() < line_end { "…" } else { "" };

    let line = printable(&format!("{cut_before}{before}{fault}{after}{cut_after}"));
    writeln!(out, "{gutter} |")?;
    writeln!(out, "{}", format!("{number} | {line}").trim_end())?;
    let indent = " ".repeat(width(cut_before) + width(before));
    writeln!(out, "{gutter} | {indent}{}", "^".repeat(width(fault).max(1)))
}

/// The nearest character border at or below `at`.
fn floor_char(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

fn head(text: &str, chars: usize) -> &str {
    text.char_indices().nth(chars).map_or(text, |(at, _)| &text[..at])
}

fn tail(text: &str, chars: usize) -> &str {
    match text.char_indices().rev().nth(chars.saturating_sub(1)) {
        Some((at, _)) => &text[at..],
        None => text,
    }
}

/// Tabs and other control characters become one blank each, so that the caret stays below.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Columns on a terminal: Chinese, Japanese, Korean and full-width characters take two.
fn width(text: &str) -> usize {
    let wide = |c: char| {
        matches!(u32::from(c),
            0x1100..=0x115f | 0x2e80..=0xa4cf | 0xac00..=0xd7a3 | 0xf900..=0xfaff
            | 0xfe30..=0xfe6f | 0xff00..=0xff60 | 0xffe0..=0xffe6 | 0x1f300..=0x1faff
            | 0x20000..=0x3fffd)
    };
    text.chars().map(|c| if wide(c) { 2 } else { 1 }).sum()
}
