//! Labels as they stand on a page: unsorted, in one buffer that is used again.

/// Name and value pairs in one text.
#[derive(Clone, Debug, Default)]
pub struct RawLabels {
    text: String,
    /// Ends of names and values, in turn.
    ends: Vec<usize>,
}

impl RawLabels {
    /// Empties it and keeps its memory.
    pub fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
    }

    /// Adds a pair.
    pub fn push(&mut self, name: &str, value: &str) {
        self.push_with(name, |text| text.push_str(value));
    }

    /// Adds a pair whose value is written by `value`.
    pub fn push_with(&mut self, name: &str, value: impl FnOnce(&mut String)) {
        self.text.push_str(name);
        self.ends.push(self.text.len());
        value(&mut self.text);
        self.ends.push(self.text.len());
    }

    /// Number of pairs.
    pub fn len(&self) -> usize {
        self.ends.len() / 2
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Keeps the first `pairs` alone.
    pub fn truncate(&mut self, pairs: usize) {
        self.ends.truncate(2 * pairs);
        self.text.truncate(self.ends.last().copied().unwrap_or_default());
    }

    /// The pairs as they were added.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        (0..self.len()).map(|at| {
            let start = (2 * at).checked_sub(1).map_or(0, |before| self.ends[before]);
            let (middle, end) = (self.ends[2 * at], self.ends[2 * at + 1]);
            (&self.text[start..middle], &self.text[middle..end])
        })
    }

    /// Bytes that are the same for the same pairs in the same order, and for no others.
    pub fn key(&self, into: &mut Vec<u8>) {
        into.clear();
        for (name, value) in self.iter() {
            for text in [name, value] {
                into.extend_from_slice(text.as_bytes());
                // No part of any UTF-8 text.
                into.push(0xff);
            }
        }
    }
}
