//! Lists in pages, newest first, whose place stays right while new rows come in.

use std::fmt;

use crate::StoreError;

/// How many rows a page holds when nothing is asked.
pub const DEFAULT_PAGE: u32 = 100;
/// How many rows a page holds at most.
pub const LARGEST_PAGE: u32 = 1_000;

/// One page of a list, newest first.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// Where the next page begins; none at the end.
    pub next: Option<Cursor>,
}

/// Names a place in a list. Opaque: what is inside may change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor(String);

impl Cursor {
    /// A cursor as a client sent it back. Checked where it is used.
    pub fn new(text: impl Into<String>) -> Cursor {
        Cursor(text.into())
    }

    /// The place after the row `key` of `list`.
    pub(crate) fn after(list: char, key: i64) -> Cursor {
        Cursor(format!("{list}{key:x}"))
    }

    /// The key of the row after which to go on.
    pub(crate) fn key(&self, list: char) -> Result<i64, StoreError> {
        self.0
            .strip_prefix(list)
            .and_then(|hex| i64::from_str_radix(hex, 16).ok())
            .ok_or_else(|| StoreError::Cursor(self.0.chars().take(64).collect()))
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The number of rows to read for a page, from what was asked (0 means the default).
pub(crate) fn page_size(asked: u32) -> u32 {
    if asked == 0 { DEFAULT_PAGE } else { asked.min(LARGEST_PAGE) }
}

/// Cuts rows, of which one more than `size` was read, into a page.
pub(crate) fn cut<T>(mut items: Vec<T>, size: u32, list: char, key: impl Fn(&T) -> i64) -> Page<T> {
    let size = size as usize;
    let more = items.len() > size;
    items.truncate(size);
    let next = if more { items.last().map(|last| Cursor::after(list, key(last))) } else { None };
    Page { items, next }
}
