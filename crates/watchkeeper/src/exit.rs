//! Exit codes: one for each kind of end that a script wants to tell apart.

use std::fmt;
use std::process::ExitCode;

/// An end other than success. What each code means is part of the interface.
#[derive(Debug)]
pub(crate) struct Exit {
    code: Code,
    message: String,
}

/// The codes, as `watchkeeper --help` lists them.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Code {
    /// 1: something failed while running.
    Failure = 1,
    /// 2: what was asked for makes no sense; the same code as for unknown options.
    Usage = 2,
    /// 3: what was asked for does not exist.
    NotFound = 3,
    /// 4: the config is wrong.
    Config = 4,
    /// 5: an endpoint, a server or a channel could not be reached.
    Unreachable = 5,
    /// 10: done, and it found something: failed checks, failed tests.
    Findings = 10,
}

/// What `--help` says about exit codes.
pub(crate) const HELP: &str = "\
Exit codes:
  0  done
  1  failed while running
  2  wrong usage
  3  not found
  4  wrong config
  5  unreachable
  10 done, with faults found (test, doctor, coverage)";

impl Exit {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Exit {
        Exit { code, message: message.into() }
    }

    pub(crate) fn failure(message: impl Into<String>) -> Exit {
        Exit::new(Code::Failure, message)
    }

    /// Ends with `code`; everything worth saying was said already.
    pub(crate) fn quiet(code: Code) -> Exit {
        Exit::new(code, "")
    }

    /// What was asked for makes no sense.
    pub(crate) fn usage(message: impl Into<String>) -> Exit {
        Exit::new(Code::Usage, message)
    }

    /// Tells the user and gives the code to the shell.
    #[expect(clippy::print_stderr, reason = "the last word to the user")]
    pub(crate) fn report(self) -> ExitCode {
        if !self.message.is_empty() {
            let message = self.message.trim_end();
            // Config errors come rendered, each with its own `error:`.
            let prefix = if message.starts_with("error") { "" } else { "error: " };
            eprintln!("{prefix}{message}");
        }
        ExitCode::from(self.code as u8)
    }
}

/// Any error of the world that a command does not tell apart.
impl<E: Into<anyhow::Error>> From<E> for Exit {
    fn from(error: E) -> Exit {
        Exit::failure(format!("{:#}", error.into()))
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (*self as u8).fmt(f)
    }
}
