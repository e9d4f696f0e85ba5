//! Who may ask what: who has a bearer token, and others as far as the config lets them.

use std::net::IpAddr;

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
    let (mut head, body) = request.into_parts();
    match check(&app, &head).await {
        Ok(caller) => {
            head.extensions.insert(caller);
            next.run(Request::from_parts(head, body)).await
        }
        Err(problem) => problem.into_response(),
    }
}

/// Who asks, as handlers see it.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) role: Role,
    /// The token's name; none without a token.
    pub(crate) token: Option<String>,
}

async fn check(app: &App, head: &Parts) -> Result<Caller, Problem> {
    let needed = needed(&head.method, head.uri.path());
    let Some(secret) = bearer(&head.headers) else {
        let role = app.anonymous.filter(|role| *role >= needed).ok_or_else(|| {
            Problem::unauthorized(format!(
                "a token with the role {needed} is needed; `watchkeeper token create NAME --role {needed}` makes one"
            ))
        })?;
        same_site(&head.headers, &app.hosts)?;
        return Ok(Caller { role, token: None });
    };
    match app.handle.store.verify_token(secret, app.handle.clock.now()).await? {
        None => Err(Problem::unauthorized("the token is unknown, expired or revoked")),
        Some(token) if token.role < needed => Err(Problem::forbidden(format!(
            "this needs the role {needed}; the token has {}",
            token.role
        ))),
        Some(token) => Ok(Caller { role: token.role, token: Some(token.name) }),
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

/// The token that a request carries.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ").map(str::trim)
}

/// Without tokens, a foreign web page must not act through the user's browser: not by a name that
/// was made to point at this machine, and not from another origin.
fn same_site(headers: &HeaderMap, hosts: &[String]) -> Result<(), Problem> {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let host = text(header::HOST);
    if let Some(host) = host
        && !is_own(host, hosts)
    {
        return Err(Problem::forbidden(format!(
            "the host name `{host}` is not this server's; set `server.public_url`"
        )));
    }
    if let Some(origin) = text(header::ORIGIN) {
        let origin = origin.split_once("://").map_or(origin, |(_, host)| host);
        if host != Some(origin) && !is_named(origin, hosts) {
            return Err(Problem::forbidden("requests from other sites are refused"));
        }
    }
    Ok(())
}

/// Whether a browser that was sent here by this name was sent here by someone who means us. An
/// address cannot be made to point elsewhere, as a name can.
fn is_own(host: &str, hosts: &[String]) -> bool {
    let name = name_of(host);
    name.parse::<IpAddr>().is_ok()
        || name.eq_ignore_ascii_case("localhost")
        || is_named(host, hosts)
}

/// Whether it is one of the names that the config gives this server.
fn is_named(host: &str, hosts: &[String]) -> bool {
    hosts.iter().any(|own| own.eq_ignore_ascii_case(name_of(host)))
}

/// The host without its port, and an IPv6 address without its brackets.
fn name_of(host: &str) -> &str {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next(),
        None => host.split(':').next(),
    };
    name.unwrap_or_default()
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
            ("LOCALHOST:7070", true),
            ("192.168.1.5:7070", true),
            ("watch.example.org", true),
            ("Watch.Example.org:443", true),
            ("evil.example:7070", false),
            ("127.0.0.1.evil.example", false),
            ("", false),
        ] {
            assert_eq!(is_own(host, &own), expected, "{host}");
        }
    }

    #[test]
    fn pages_of_other_sites_are_not_answered_without_a_token() {
        let own = ["watch.example.org".to_owned()];
        for (host, origin, expected) in [
            ("127.0.0.1:7070", None, true),
            ("127.0.0.1:7070", Some("http://127.0.0.1:7070"), true),
            ("127.0.0.1:7070", Some("https://watch.example.org"), true),
            ("127.0.0.1:7070", Some("http://127.0.0.1:3000"), false),
            ("127.0.0.1:7070", Some("http://evil.example"), false),
            ("127.0.0.1:7070", Some("http://6.6.6.6"), false),
            ("127.0.0.1:7070", Some("null"), false),
            ("evil.example:7070", Some("http://evil.example:7070"), false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, host.parse().unwrap());
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, origin.parse().unwrap());
            }
            assert_eq!(same_site(&headers, &own).is_ok(), expected, "{host} {origin:?}");
        }
    }
}
