//! What came of a test, for machines and for people.

use std::fmt;

use serde::{Serialize, Serializer};
use wk_model::Severity;

use crate::input::RuleError;

/// What came of a test. Displayed, it shows what was expected and what was found instead.
#[derive(Clone, Debug, PartialEq)]
pub struct TestReport {
    /// The test's name.
    pub name: String,
    /// How many findings there were.
    pub found: usize,
    /// Findings that were expected and did not come.
    pub missing: Vec<Missing>,
    /// Findings that came and were not expected.
    pub unexpected: Vec<Unexpected>,
    /// Rules that could not be evaluated.
    pub errors: Vec<RuleError>,
}

/// An expected finding that did not come.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Missing {
    /// Its place in the test's `expect`.
    pub index: usize,
    /// How many are missing.
    pub count: u32,
    /// What was expected.
    pub expected: String,
    /// Title of the unexpected finding of the same rule that comes nearest, and what differs.
    pub nearest: Option<(String, Vec<Difference>)>,
}

/// One thing that is other than expected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What: `severity`, `evidence.args.amount`.
    pub what: String,
    /// The expected value.
    pub expected: String,
    /// The value that was found.
    pub found: String,
}

/// A finding that was not expected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unexpected {
    /// The rule.
    pub rule: String,
    /// Its title.
    pub title: String,
    /// Its severity.
    pub severity: Severity,
    /// The number of its block.
    pub block: Option<u64>,
    /// Its key.
    pub key: Option<String>,
    /// Whether it was taken back.
    pub is_retracted: bool,
}

impl TestReport {
    /// Whether everything came as expected.
    pub fn passed(&self) -> bool {
        self.missing.is_empty() && self.unexpected.is_empty() && self.errors.is_empty()
    }
}

impl Serialize for TestReport {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let errors: Vec<(&str, &str, u64)> =
            self.errors.iter().map(|e| (e.rule.as_str(), e.message.as_str(), e.count)).collect();
        let mut report = serializer.serialize_struct("TestReport", 6)?;
        report.serialize_field("name", &self.name)?;
        report.serialize_field("passed", &self.passed())?;
        report.serialize_field("found", &self.found)?;
        report.serialize_field("missing", &self.missing)?;
        report.serialize_field("unexpected", &self.unexpected)?;
        report.serialize_field("errors", &errors)?;
        report.end()
    }
}

/// Unexpected findings that are shown one by one.
const SHOWN: usize = 10;

impl fmt::Display for TestReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let findings = if self.found == 1 { "finding" } else { "findings" };
        if self.passed() {
            return write!(f, "ok    {} ({} {findings})", self.name, self.found);
        }
        write!(f, "FAIL  {} ({} {findings})", self.name, self.found)?;
        for missing in &self.missing {
            let times =
                if missing.count > 1 { format!("{} × ", missing.count) } else { String::new() };
            write!(f, "\n  expected, and did not come: {times}{}", missing.expected)?;
            if let Some((title, differences)) = &missing.nearest {
                write!(f, "\n    nearest is \"{title}\"")?;
                for Difference { what, expected, found } in differences {
                    write!(f, "\n      {what}\n        - {expected}\n        + {found}")?;
                }
            }
        }
        for unexpected in self.unexpected.iter().take(SHOWN) {
            write!(f, "\n  came, and was not expected: {unexpected}")?;
        }
        if let Some(more) = self.unexpected.len().checked_sub(SHOWN).filter(|more| *more > 0) {
            write!(f, "\n  … and {more} more that were not expected")?;
        }
        for RuleError { rule, position: _, message, count } in &self.errors {
            let times = if *count > 1 { format!(" ({count} times)") } else { String::new() };
            write!(f, "\n  {rule} could not be evaluated{times}: {message}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Unexpected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Unexpected { rule, title, severity, block, key, is_retracted } = self;
        write!(f, "{rule}, {severity}, \"{title}\"")?;
        if let Some(block) = block {
            write!(f, ", block {block}")?;
        }
        if let Some(key) = key {
            write!(f, ", key {key}")?;
        }
        if *is_retracted {
            write!(f, ", retracted")?;
        }
        Ok(())
    }
}
