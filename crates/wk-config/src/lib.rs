//! The settings of the whole program: loading, secrets, schema, and errors that say what to mend.

mod check;
mod config;
mod de;
mod de_error;
mod diagnostic;
mod fault;
mod homes;
mod interpolate;
mod load;
mod merge;
mod nearest;
mod offsets;
mod path;
mod redact;
mod server;
mod sources;
mod tree;
mod yaml;

pub use config::{ChainConfig, Config, RouteConfig, probe_config, schema};
pub use diagnostic::{ConfigErrors, Diagnostic, Location, Related};
pub use fault::FaultSeverity;
pub use interpolate::Environment;
pub use load::{DEFAULT_FILE, Loaded, compile, find, for_rpc_url, load, load_text, load_texts};
pub use server::{
    Anonymous, AuthConfig, CanaryConfig, DeadmanConfig, RetentionConfig, ServerConfig,
};
