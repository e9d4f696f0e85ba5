//! A pool of JSON-RPC endpoints that knows which of them to believe.

mod call;
mod class;
mod config;
mod pool;
mod status;
mod votes;

pub use call::{
    Attempt, CallError, EndpointName, Purpose, Rejection, Reply, Request, Unused, Validate,
};
pub use class::{ErrorClass, Remedy, RpcError};
pub use config::{EndpointConfig, EndpointSettings, PoolConfig, RpcConfig, Trust};
pub use pool::{HeadSeen, HeadVia, LogsPage, LogsQuery, PendingSeen, Pool, PoolError};
pub use status::{
    BreakerState, Budget, EndpointKind, EndpointStatus, Health, LastError, Quarantine, Trouble,
    TroubleKind, WsStatus,
};
pub use votes::{HashVote, HashVotes};
