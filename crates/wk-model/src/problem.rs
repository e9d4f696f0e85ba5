//! A fault in a config, with the place where it stands and how to mend it.

/// One fault. The place is a path of keys; who loaded the config turns it into file, line, column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Keys from the root, such as `rules[3].if` or `chains.mainnet.evm.rpc[0]`.
    pub path: String,
    /// Where inside the value at `path` the fault is: byte offset and length.
    pub span: Option<(usize, usize)>,
    /// What is wrong, lowercase, without a final stop.
    pub message: String,
    /// How to mend it, as a full sentence.
    pub hint: Option<String>,
}

impl Problem {
    /// A fault of the whole value at `path`.
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Problem {
        Problem { path: path.into(), span: None, message: message.into(), hint: None }
    }

    /// Narrows the fault to `length` bytes at `offset` of the value.
    #[must_use]
    pub fn at(mut self, offset: usize, length: usize) -> Problem {
        self.span = Some((offset, length));
        self
    }

    /// Adds how to mend it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Problem {
        self.hint = Some(hint.into());
        self
    }

    /// The same fault below `parent`: `parent.path`, or `parent[0]…` when the path is an index.
    #[must_use]
    pub fn under(mut self, parent: &str) -> Problem {
        self.path = match self.path.as_str() {
            "" => parent.to_owned(),
            path if path.starts_with('[') => format!("{parent}{path}"),
            path => format!("{parent}.{path}"),
        };
        self
    }
}
