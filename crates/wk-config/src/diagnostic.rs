//! What is wrong with a config, as people and machines read it.

use std::fmt::{self, Write};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::fault::{Fault, FaultSeverity, Faults};
use crate::redact::{redact, redact_line};
use crate::sources::{Place, Position, Sources};

/// One fault of a config: what, where, and how to mend it. Holds no secrets: they are masked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    /// Error or warning.
    pub severity: FaultSeverity,
    /// What is wrong, lowercase, without a final stop.
    pub message: String,
    /// Keys from the root, such as `rules[3].if`; empty when no key is meant.
    pub key: String,
    /// Where it is written; none when the config was not read from a file.
    pub at: Option<Location>,
    /// How to mend it, as a full sentence.
    pub hint: Option<String>,
    /// Another place that has to do with it, such as where a repeated key was first written.
    pub related: Option<Related>,
}

/// A place in a config file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Location {
    /// Path of the file, as it was given.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// Characters on that line that are meant, at least 1.
    pub length: usize,
    /// The line, or the part of it around the column. Secrets are masked.
    pub text: String,
    /// Where in `text` the meant characters begin, in columns of a terminal.
    pub mark_at: usize,
    /// Columns of a terminal that they take.
    pub mark_length: usize,
}

/// Another place that has to do with a fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Related {
    /// What is there.
    pub message: String,
    /// Where.
    pub at: Location,
}

/// A config cannot be used. Its `Display` shows every fault with the line it stands on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigErrors {
    /// The errors, in the order of their places; at least one.
    pub errors: Vec<Diagnostic>,
    /// How many more errors there are.
    pub more: usize,
    /// What else is strange.
    pub warnings: Vec<Diagnostic>,
    /// What was read or should have been, as far as it came. A change of any of them may mend it.
    #[serde(skip)]
    pub files: Vec<PathBuf>,
}

impl Diagnostic {
    pub(crate) fn new(fault: Fault, sources: &Sources) -> Diagnostic {
        Diagnostic {
            severity: fault.severity,
            message: redact(&one_line(&fault.message)),
            key: one_line(&fault.key),
            at: fault.place.map(|place| locate(place, sources)),
            hint: fault.hint.map(|hint| one_line(&hint)),
            related: fault
                .related
                .map(|(message, place)| Related { message, at: locate(place, sources) }),
        }
    }

    /// As a compiler would print it, with or without colours; ends without a line break.
    pub fn render(&self, colours: bool) -> String {
        let paint = Paint(colours);
        let mut out = String::new();
        let head = match self.severity {
            FaultSeverity::Error => paint.red("error"),
            FaultSeverity::Warning => paint.yellow("warning"),
        };
        let _ = write!(out, "{head}: {}", paint.bold(&self.message));
        let lines = self.at.iter().chain(self.related.iter().map(|related| &related.at));
        let width = lines.map(|at| at.line.to_string().len()).max().unwrap_or(1);
        if let Some(at) = &self.at {
            at.render(&mut out, "-->", "", width, paint);
        }
        if let Some(Related { message, at }) = &self.related {
            at.render(&mut out, ":::", message, width, paint);
        }
        if !self.key.is_empty() {
            let _ = write!(out, "\n{:width$} {} key: {}", "", paint.blue("="), self.key);
        }
        if let Some(hint) = &self.hint {
            let _ = write!(out, "\n{:width$} {} help: {hint}", "", paint.blue("="));
        }
        out
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl ConfigErrors {
    pub(crate) fn new(faults: Faults, sources: &Sources, files: Vec<PathBuf>) -> ConfigErrors {
        let more = faults.more;
        let (errors, warnings) = diagnose(faults, sources)
            .into_iter()
            .partition(|one| one.severity == FaultSeverity::Error);
        ConfigErrors { errors, more, warnings, files }
    }

    /// The first error in one line, with its place, and how many more there are.
    pub fn brief(&self) -> String {
        let Some(Diagnostic { message, at, hint, .. }) = self.errors.first() else {
            return "no error".to_owned();
        };
        let mut brief = match at {
            Some(Location { file, line, column, .. }) => {
                format!("{file}:{line}:{column}: {message}")
            }
            None => message.clone(),
        };
        if let Some(hint) = hint {
            let _ = write!(brief, " ({})", hint.trim_end_matches('.'));
        }
        match self.errors.len() - 1 + self.more {
            0 => {}
            more => {
                let _ = write!(brief, "; and {more} more");
            }
        }
        brief
    }

    /// All faults, errors first, as a compiler would print them.
    pub fn render(&self, colours: bool) -> String {
        let all: Vec<String> =
            self.errors.iter().chain(&self.warnings).map(|one| one.render(colours)).collect();
        let mut out = all.join("\n\n");
        if self.more > 0 {
            let _ = write!(out, "\n\nand {} more errors", self.more);
        }
        out
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for ConfigErrors {}

impl Location {
    fn render(&self, out: &mut String, arrow: &str, label: &str, width: usize, paint: Paint) {
        let Location { file, line, column, text, mark_at, mark_length, .. } = self;
        let bar = paint.blue("|");
        let carets = paint.red(&"^".repeat(*mark_length));
        let label = if label.is_empty() { String::new() } else { format!(" {label}") };
        let _ = write!(
            out,
            "\n{:width$}{} {file}:{line}:{column}\n{:width$} {bar}\n{} {bar} {text}\n\
             {:width$} {bar} {:mark_at$}{carets}{label}",
            "",
            paint.blue(arrow),
            "",
            paint.blue(&format!("{line:width$}")),
            "",
            "",
        );
    }
}

/// Faults in the order of their places.
pub(crate) fn diagnose(mut faults: Faults, sources: &Sources) -> Vec<Diagnostic> {
    faults.all.sort_by_key(|fault| fault.place.map(|place| (place.file, place.start, place.end)));
    faults.all.into_iter().map(|fault| Diagnostic::new(fault, sources)).collect()
}

fn locate(place: Place, sources: &Sources) -> Location {
    let Position { file, line, column, length, text } = sources.position(place);
    let (text, mark_at, mark_length) = if text.len() <= LONGEST_LINE {
        window(&redact_line(text), column, length)
    } else {
        (format!("({} characters)", text.chars().count()), 0, 1)
    };
    Location { file: file.to_owned(), line, column, length, text, mark_at, mark_length }
}

/// Bytes of a line beyond which it is not shown.
const LONGEST_LINE: usize = 4_000;

/// Columns of a terminal that a line may take.
const SHOWN: usize = 120;

/// The part of a line around the columns that are meant, how many terminal columns stand before
/// them, and how many they take.
fn window(text: &str, column: usize, length: usize) -> (String, usize, usize) {
    let cells: Vec<(char, usize)> = text
        .chars()
        .map(|c| match c {
            '\t' => (' ', 1),
            // Nothing in a file may steer the terminal.
            c if c.is_control() => ('\u{fffd}', 1),
            c => (c, columns(c)),
        })
        .collect();
    let start = (column - 1).min(cells.len());
    let end = (start + length).min(cells.len());
    let width = |cells: &[(char, usize)]| cells.iter().map(|(_, width)| width).sum::<usize>();
    let mut from = 0;
    if width(&cells) > SHOWN && width(&cells[..start]) > SHOWN / 2 {
        from = start - (SHOWN / 4).min(start);
    }
    let mut to = from;
    while to < cells.len() && width(&cells[from..=to]) <= SHOWN {
        to += 1;
    }
    let end = end.min(to);
    let mut shown: String = cells[from..to].iter().map(|(c, _)| *c).collect();
    let mut before = width(&cells[from..start.min(to)]);
    if from > 0 {
        shown.insert(0, '…');
        before += 1;
    }
    if to < cells.len() {
        shown.push('…');
    }
    (shown.trim_end().to_owned(), before, width(&cells[start.min(end)..end]).max(1))
}

/// Columns that a character takes on a terminal: two for Chinese, Japanese, Korean and emoji.
fn columns(c: char) -> usize {
    match u32::from(c) {
        0x300..=0x36F | 0x200B..=0x200F | 0xFE00..=0xFE0F => 0,
        0x1100..=0x115F
        | 0x2E80..=0xA4CF
        | 0xAC00..=0xD7A3
        | 0xF900..=0xFAFF
        | 0xFE30..=0xFE6F
        | 0xFF00..=0xFF60
        | 0xFFE0..=0xFFE6
        | 0x1F300..=0x1FAFF
        | 0x20000..=0x3FFFD => 2,
        _ => 1,
    }
}

/// Messages quote what people wrote: no line breaks, nothing that steers a terminal, not endless.
fn one_line(text: &str) -> String {
    const LONGEST: usize = 600;
    let mut line: String = text
        .chars()
        .map(|c| if c == '\n' || c == '\t' { ' ' } else { c })
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .take(LONGEST)
        .collect();
    if text.chars().nth(LONGEST).is_some() {
        line.push('…');
    }
    line
}

/// Colours for a terminal, or none.
#[derive(Clone, Copy)]
struct Paint(bool);

impl Paint {
    fn with(self, code: &str, text: &str) -> String {
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn red(self, text: &str) -> String {
        self.with("1;31", text)
    }

    fn yellow(self, text: &str) -> String {
        self.with("1;33", text)
    }

    fn blue(self, text: &str) -> String {
        self.with("1;34", text)
    }

    fn bold(self, text: &str) -> String {
        self.with("1", text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, column: usize, length: usize, expected: &str) {
        let (shown, before, marked) = window(text, column, length);
        let got = format!("{shown}\n{:before$}{}", "", "^".repeat(marked));
        assert_eq!(got, expected);
    }

    #[test]
    fn carets_stand_under_what_is_meant() {
        check("a: foo", 4, 3, "a: foo\n   ^^^");
        check("a:\tfoo", 4, 3, "a: foo\n   ^^^");
        check("钱: 包", 4, 1, "钱: 包\n    ^^");
        check("a", 5, 3, "a\n ^");
        check("a: \u{1b}[31mx", 4, 1, "a: \u{fffd}[31mx\n   ^");
        let long = format!("a: [{}, x, {}]", "y".repeat(200), "z".repeat(200));
        let (shown, before, marked) = window(&long, 207, 1);
        assert_eq!(shown.chars().nth(before), Some('x'), "{shown}");
        assert_eq!(marked, 1);
        assert!(shown.starts_with('…') && shown.ends_with('…'), "{shown}");
    }
}
