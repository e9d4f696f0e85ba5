//! Who may ask what: who has a bearer token, and others as far as the config lets them.

use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use wk_store::Role;

use crate::error::Problem;
use crate::routes::App;

/// Lets a request through when its role suffices: viewers read, operators also act, admins also
/// manage tokens.
pub(crate) async fn guard(State(app): State<App>, request: Request, next: Next) -> Response {
    // The body cannot be shared between threads; the head can.
    let (head, body) = request.into_parts();
    let checked = check(&app, &head).await;
    let request = Request::from_parts(head, body);
    match checked {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

async fn check(app: &App, head: &Parts) -> Result<(), Problem> {
    let needed = needed(&head.method, head.uri.path());
    let Some(secret) = bearer(&head.headers) else {
        if app.anonymous.is_none_or(|role| role < needed) {
            return Err(Problem::unauthorized(format!(
                "a token with the role {needed} is needed; `watchkeeper token create NAME --role {needed}` makes one"
            )));
        }
        return same_site(&head.headers, &app.hosts);
    };
    match app.handle.store.verify_token(secret, app.handle.clock.now()).await? {
        None => Err(Problem::unauthorized("the token is unknown, expired or revoked")),
        Some(token) if token.role < needed => Err(Problem::forbidden(format!(
            "this needs the role {needed}; the token has {}",
            token.role
        ))),
        Some(_) => Ok(()),
    }
}

/// The role that a request needs.
fn needed(method: &Method, path: &str) -> Role {
    if path.starts_with("/api/v1/tokens") {
        Role::Admin
    } else if *method == Method::GET || *method == Method::HEAD {
        Role::Viewer
    } else {
        Role::Operator
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ").map(str::trim)
}

/// Without tokens, a foreign web page must not act through the user's browser: not by a name that
/// was made to point at this machine, and not from another origin.
fn same_site(headers: &HeaderMap, hosts: &[String]) -> Result<(), Problem> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(host) = text(header::HOST)
        && !is_own(host, hosts)
    {
        return Err(Problem::forbidden(format!(
            "the host name `{host}` is not this server's; set `server.public_url`"
        )));
    }
    if let Some(origin) = text(header::ORIGIN)
        && !is_own(origin.split_once("://").map_or(origin, |(_, host)| host), hosts)
    {
        return Err(Problem::forbidden("requests from other sites are refused"));
    }
    Ok(())
}

fn is_own(host: &str, hosts: &[String]) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    matches!(name, "localhost" | "127.0.0.1" | "::1") || hosts.iter().any(|own| own == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_request_needs_a_role() {
        for (method, path, expected) in [
            (Method::GET, "/api/v1/findings", Role::Viewer),
            (Method::POST, "/api/v1/outbox/3/resend", Role::Operator),
            (Method::GET, "/api/v1/tokens", Role::Admin),
            (Method::DELETE, "/api/v1/tokens/1", Role::Admin),
        ] {
            assert_eq!(needed(&method, path), expected, "{method} {path}");
        }
    }

    #[test]
    fn only_own_names_are_answered_without_a_token() {
        let own = ["watch.example.org".to_owned()];
        for (host, expected) in [
            ("127.0.0.1:7070", true),
            ("localhost", true),
            ("[::1]:7070", true),
            ("watch.example.org", true),
            ("evil.example:7070", false),
            ("127.0.0.1.evil.example", false),
            ("", false),
        ] {
            assert_eq!(is_own(host, &own), expected, "{host}");
        }
    }
}
