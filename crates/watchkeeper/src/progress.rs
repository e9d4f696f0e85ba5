//! Progress of long work on stderr: a bar on a terminal, a line now and then elsewhere.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Shows how far long work has come.
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    what: &'static str,
    total: u64,
    done: u64,
    told: Instant,
}

impl Progress {
    /// Work of `total` steps, such as blocks.
    pub(crate) fn new(what: &'static str, total: u64) -> Progress {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template(
                "{msg} {wide_bar} {pos}/{len} ({per_sec}, {eta} left)",
            )
            .expect("the template is well formed");
            ProgressBar::new(total).with_style(style).with_message(what)
        });
        Progress { bar, what, total, done: 0, told: Instant::now() }
    }

    /// One step more is done.
    #[expect(clippy::print_stderr, reason = "progress is for people, stdout is data")]
    pub(crate) fn step(&mut self) {
        self.done += 1;
        match &self.bar {
            Some(bar) => bar.inc(1),
            None if self.told.elapsed() > Duration::from_secs(10) => {
                self.told = Instant::now();
                eprintln!("{}: {} of {}", self.what, self.done, self.total);
            }
            None => {}
        }
    }

    /// The work ended; the bar goes away.
    pub(crate) fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}
