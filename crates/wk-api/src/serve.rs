//! Opens the port and answers until stop is said.

use tokio::net::TcpListener;
use wk_engine::Handle;
use wk_runtime::StopToken;
use wk_store::Role;

use crate::routes;

/// How to serve.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// What a caller without a token may do; none means nothing.
    pub anonymous: Option<Role>,
    /// Further host names by which this server is known, such as that of `public_url`.
    pub hosts: Vec<String>,
}

/// The server cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The listening socket failed.
    #[error("the server's socket failed: {0}")]
    Socket(#[from] std::io::Error),
}

/// Answers requests on `listener` until `stop`; streams end then, other requests finish.
pub async fn serve(
    listener: TcpListener,
    handle: Handle,
    options: ServeOptions,
    stop: StopToken,
) -> Result<(), ApiError> {
    let router = routes::router(handle, options, stop.clone());
    axum::serve(listener, router)
        .with_graceful_shutdown(async move { stop.stopped().await })
        .await?;
    Ok(())
}
