//! The texts that a config came from, and places in them.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// A config file is at most this long, in bytes. Big address lists belong in files of their own.
pub(crate) const MAX_FILE: u64 = 4 << 20;

/// All texts of one config, in the order in which they were read.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    files: Vec<SourceFile>,
}

#[derive(Debug)]
struct SourceFile {
    shown: String,
    text: String,
}

/// Bytes `start..end` of one text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) file: u32,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// A place as people count: lines and columns from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position<'a> {
    pub(crate) file: &'a str,
    pub(crate) line: usize,
    pub(crate) column: usize,
    /// Characters on that line that belong to the place; at least 1.
    pub(crate) length: usize,
    /// The whole line without its break.
    pub(crate) text: &'a str,
}

/// A config file could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadFile {
    #[error("cannot read it: {0}")]
    Io(#[from] std::io::Error),
    #[error("it is longer than {} MiB", MAX_FILE >> 20)]
    TooLong,
    #[error("it is no UTF-8 text: the first bad byte stands in line {line}")]
    NoText { line: usize },
}

impl Sources {
    /// Adds a text that is called `shown`.
    pub(crate) fn add(&mut self, shown: String, text: String) -> u32 {
        self.files.push(SourceFile { shown, text });
        u32::try_from(self.files.len() - 1).expect("a folder holds fewer than 2^32 files")
    }

    pub(crate) fn text(&self, file: u32) -> &str {
        &self.files[file as usize].text
    }

    /// Where `place` is, for people.
    pub(crate) fn position(&self, place: Place) -> Position<'_> {
        let SourceFile { shown, text } = &self.files[place.file as usize];
        let start = floor(text, place.start);
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
        let end = floor(text, place.end).clamp(start, line_end);
        Position {
            file: shown,
            line: text[..start].matches('\n').count() + 1,
            column: text[line_start..start].chars().count() + 1,
            length: text[start..end].trim_end().chars().count().max(1),
            text: text[line_start..line_end].trim_end_matches('\r'),
        }
    }
}

/// Reads a config file within its limits.
pub(crate) fn read(path: &Path) -> Result<String, ReadFile> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(ReadFile::TooLong);
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        ReadFile::NoText { line: good.iter().filter(|&&byte| byte == b'\n').count() + 1 }
    })
}

/// The `*.yaml` and `*.yml` files of a folder in name order. Hidden files (editors' copies, and
/// the folders of mounted ConfigMaps) do not count.
pub(crate) fn folder(path: &Path) -> Result<Vec<PathBuf>, std::io::Error> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path)? {
        let path = entry?.path();
        let hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes()[0] == b'.');
        let yaml = path.extension().is_some_and(|end| end == "yaml" || end == "yml");
        if yaml && !hidden && !path.is_dir() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The nearest character boundary at or below `at`.
fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}
