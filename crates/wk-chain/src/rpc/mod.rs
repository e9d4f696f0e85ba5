//! A pool of JSON-RPC endpoints that knows which of them to believe.

mod ask;
mod batch;
mod breaker;
mod call;
mod choice;
mod class;
mod config;
mod endpoint;
mod failover;
mod heads;
mod hints;
mod honesty;
mod http;
mod identity;
mod latency;
mod logs;
mod pool;
mod quarantine;
mod rate;
mod redact;
mod report;
mod signals;
mod sizes;
mod status;
mod target;
mod tls;
mod votes;
mod watch;
mod wire;
mod ws;

pub use call::{
    Attempt, CallError, EndpointName, Purpose, Rejection, Reply, Request, Unused, Validate,
};
pub use class::{ErrorClass, Remedy, RpcError};
pub use config::{EndpointConfig, EndpointSettings, PoolConfig, RpcConfig, Trust};
pub use heads::{HeadSeen, HeadVia};
pub use logs::{LogsPage, LogsQuery};
pub use pool::{PendingSeen, Pool, PoolError};
pub use signals::SIGNALS;
pub use status::{
    BreakerState, Budget, EndpointKind, EndpointStatus, Health, LastError, Quarantine, Trouble,
    TroubleKind, WsStatus,
};
pub use tls::config as tls_config;
pub use votes::{HashVote, HashVotes};
