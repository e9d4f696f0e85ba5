//! Tasks that have names, owners and an end; clock, backoff and the program's own metrics.

mod backoff;
mod causes;
mod clock;
mod metrics;
mod reconciler;
mod secret;
mod stop;
mod supervisor;

pub use backoff::Backoff;
pub use causes::with_causes;
pub use clock::Clock;
pub use metrics::{Counter, Gauge, Histogram, Metrics, Series};
pub use reconciler::{Outcome, Reconciler, Wake, reconcile};
pub use secret::{ReadSecret, read_secret};
pub use stop::StopToken;
pub use supervisor::{
    Restart, Stage, StillRunning, Supervisor, TaskFailure, TaskState, TaskStatus,
};
