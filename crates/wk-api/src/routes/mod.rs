//! All routes, and the state that they share.

mod chains;
mod contracts;
mod findings;
mod outbox;
mod overview;
mod page;
mod rules;
mod search;
mod status;
mod stream;
mod tokens;
mod transactions;
mod ui;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::sync::Semaphore;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use wk_engine::Handle;
use wk_runtime::StopToken;
use wk_store::Role;

use crate::error::Problem;
use crate::serve::ServeOptions;
use crate::wire::BlockEvent;
use crate::{auth, description};

/// What every request can reach.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) handle: Handle,
    pub(crate) anonymous: Option<Role>,
    pub(crate) hosts: Arc<[String]>,
    pub(crate) stop: StopToken,
    /// One place for each client that listens to live events.
    pub(crate) listeners: Arc<Semaphore>,
}

/// Clients that listen to live events at the same time; each is an open connection.
const MOST_LISTENERS: usize = 256;

/// Requests carry small JSON documents at most.
const LARGEST_BODY: usize = 64 * 1024;

/// Paths and queries carry names, ids and a search text.
const LONGEST_URI: usize = 8 * 1024;

#[derive(OpenApi)]
#[openapi(
    components(schemas(BlockEvent)),
    info(
        title = "Watchkeeper",
        description = "Chains, coverage, findings and messages of a Watchkeeper. Lists are paged, newest first: pass `next` as `cursor`. Errors are problem details (RFC 9457) with a stable `code`.",
        license(name = "Apache-2.0 OR MIT", identifier = "Apache-2.0 OR MIT")
    )
)]
struct Description;

fn api() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(status::status))
        .routes(routes!(status::me))
        .routes(routes!(overview::overview))
        .routes(routes!(search::search))
        .routes(routes!(chains::chains))
        .routes(routes!(chains::chain))
        .routes(routes!(chains::blocks))
        .routes(routes!(chains::coverage))
        .routes(routes!(chains::coverage_ranges))
        .routes(routes!(chains::recent))
        .routes(routes!(transactions::transaction))
        .routes(routes!(contracts::contracts))
        .routes(routes!(contracts::costs))
        .routes(routes!(contracts::risk))
        .routes(routes!(contracts::funds))
        .routes(routes!(findings::findings))
        .routes(routes!(findings::finding))
        .routes(routes!(outbox::messages))
        .routes(routes!(outbox::resend_all))
        .routes(routes!(outbox::resend))
        .routes(routes!(outbox::targets))
        .routes(routes!(rules::rules))
        .routes(routes!(rules::errors))
        .routes(routes!(stream::stream))
        .routes(routes!(tokens::tokens, tokens::create))
        .routes(routes!(tokens::revoke))
}

/// The OpenAPI description as JSON.
pub fn openapi() -> String {
    let (_, made) = api().split_for_parts();
    description::complete(made).to_pretty_json().unwrap_or_default()
}

/// The whole server.
pub(crate) fn router(handle: Handle, options: ServeOptions, stop: StopToken) -> Router {
    let app = App {
        handle,
        anonymous: options.anonymous,
        hosts: options.hosts.into(),
        stop,
        listeners: Arc::new(Semaphore::new(MOST_LISTENERS)),
    };
    let (api, _) = api().split_for_parts();
    let guarded = api
        .route("/metrics", get(status::metrics))
        .route_layer(from_fn_with_state(app.clone(), auth::guard));
    let open = Router::new()
        .route("/", get(ui::index))
        .route("/assets/page.css", get(page::style))
        .route("/assets/page.js", get(page::script))
        .route("/assets/icon.svg", get(page::icon))
        .route("/api/openapi.json", get(|| async { page::json(openapi()) }))
        .route("/-/healthy", get(status::healthy))
        .route("/-/ready", get(status::ready));
    guarded
        .merge(open)
        .fallback(ui::other)
        .method_not_allowed_fallback(|| async {
            Problem::method_not_allowed("this path knows other methods only")
        })
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .layer(from_fn(harden))
        .with_state(app)
}

/// Headers that keep a page from being framed, sniffed or fed foreign scripts.
async fn harden(
    request: axum::extract::Request,
    next: axum::middleware::Next,
) -> axum::response::Response {
    const HEADERS: [(HeaderName, &str); 4] = [
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; frame-ancestors 'none'; base-uri 'self'; form-action 'none'",
        ),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ];
    let length = request.uri().path_and_query().map_or(0, |text| text.as_str().len());
    let mut response = if length > LONGEST_URI {
        Problem::uri_too_long(format!("path and query may have {LONGEST_URI} bytes at most"))
            .into_response()
    } else {
        next.run(request).await
    };
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// A query's parts that are separated by commas, each parsed.
fn list<T: std::str::FromStr<Err = String>>(text: Option<&str>) -> Result<Vec<T>, Problem> {
    text.into_iter()
        .flat_map(|text| text.split(','))
        .filter(|part| !part.is_empty())
        .map(|part| part.parse().map_err(Problem::bad_request))
        .collect()
}
