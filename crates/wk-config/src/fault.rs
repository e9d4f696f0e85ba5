//! A fault with its place in the tree, before it is turned into words for people.

use crate::sources::Place;

/// Errors, and warnings, that are told at most.
const MAX_FAULTS: usize = 100;

/// Something wrong in a config. Messages and hints are written in the manner of
/// [`wk_model::Problem`].
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub(crate) severity: FaultSeverity,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
    /// Keys from the root.
    pub(crate) key: String,
    pub(crate) place: Option<Place>,
    /// Another place that has to do with it, and what it is.
    pub(crate) related: Option<(String, Place)>,
}

/// Whether a fault keeps a config from being used.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum FaultSeverity {
    /// The config is refused.
    Error,
    /// The config is used, but probably not as it was meant.
    Warning,
}

impl Fault {
    pub(crate) fn at(place: Place, message: impl Into<String>) -> Fault {
        Fault { place: Some(place), ..Fault::nowhere(message) }
    }

    pub(crate) fn nowhere(message: impl Into<String>) -> Fault {
        Fault {
            severity: FaultSeverity::Error,
            message: message.into(),
            hint: None,
            key: String::new(),
            place: None,
            related: None,
        }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Fault {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn key(mut self, key: impl Into<String>) -> Fault {
        self.key = key.into();
        self
    }

    pub(crate) fn related(mut self, what: impl Into<String>, place: Place) -> Fault {
        self.related = Some((what.into(), place));
        self
    }

    pub(crate) fn warning(mut self) -> Fault {
        self.severity = FaultSeverity::Warning;
        self
    }
}

/// Faults as they are found. Beyond a bound they are only counted: nobody reads more, and a text of
/// 4 MiB can hold a million.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    pub(crate) all: Vec<Fault>,
    /// Errors that were not kept.
    pub(crate) more: usize,
}

impl Faults {
    pub(crate) fn push(&mut self, fault: Fault) {
        let alike = self.all.iter().filter(|other| other.severity == fault.severity).count();
        if alike < MAX_FAULTS {
            self.all.push(fault);
        } else if fault.severity == FaultSeverity::Error {
            self.more += 1;
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.more > 0
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.all.iter().any(|fault| fault.severity == FaultSeverity::Error)
    }
}
