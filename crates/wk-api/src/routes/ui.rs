//! The web interface: files held in the binary, packed. The page learns from its own address where
//! the server's root is, so it works below any path that a proxy puts before it.

use std::collections::HashMap;
use std::io::Read;
use std::sync::LazyLock;

use axum::http::header::{
    ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, VARY,
};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};

use super::page;
use crate::error::Problem;

/// Name and content of each file: the page as it is, the others packed with gzip (`NAME.gz`).
static FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/ui.rs"));

/// The packed files by the names under which they are asked for.
static PACKED: LazyLock<HashMap<&str, &[u8]>> = LazyLock::new(|| {
    FILES.iter().filter_map(|(name, file)| Some((name.strip_suffix(".gz")?, *file))).collect()
});

/// What a packed file may have unpacked: far above what is built.
const LARGEST: u64 = 16 << 20;

/// Where the page's addresses begin, as the build leaves it.
const BASE: &str = r#"<base href="/">"#;

/// The page, if the UI was built into this binary.
fn built_page() -> Option<&'static str> {
    let (_, page) = FILES.iter().find(|(name, _)| *name == "index.html")?;
    std::str::from_utf8(page).ok()
}

/// `/`: the UI, or the plain page where there is none.
pub(crate) async fn index(uri: Uri) -> Response {
    match built_page() {
        Some(text) => html(text, &uri),
        None => page::index().await.into_response(),
    }
}

/// Everything that is no route: a file of the UI, one of its views, or nothing.
pub(crate) async fn other(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    if method == Method::GET || method == Method::HEAD {
        let path = uri.path().trim_start_matches('/');
        if let Some(file) = PACKED.get(path) {
            return packed(path, file, &headers);
        }
        if let Some(text) = built_page().filter(|_| is_view(&uri, &headers)) {
            return html(text, &uri);
        }
    }
    Problem::not_found("there is nothing at this path").into_response()
}

/// Whether a browser asks for a view of the UI. The API's paths, and files, are none.
fn is_view(uri: &Uri, headers: &HeaderMap) -> bool {
    let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let first = uri.path().split('/').nth(1).unwrap_or_default();
    accept.contains("text/html") && !matches!(first, "api" | "assets" | "metrics" | "-")
}

/// The page, with the way from the asked address back to the root as its base.
fn html(text: &str, uri: &Uri) -> Response {
    let depth = uri.path().matches('/').count().saturating_sub(1);
    let up = if depth == 0 { "./".to_owned() } else { "../".repeat(depth) };
    let text = text.replacen(BASE, &format!(r#"<base href="{up}">"#), 1);
    let kind = "text/html; charset=utf-8";
    ([(CONTENT_TYPE, kind), (CACHE_CONTROL, "no-cache")], text).into_response()
}

fn packed(path: &str, file: &'static [u8], headers: &HeaderMap) -> Response {
    // What lies in `assets` has a name that changes with its content.
    let cache = match path.starts_with("assets/") {
        true => "public, max-age=31536000, immutable",
        false => "no-cache",
    };
    let head = [(CONTENT_TYPE, kind(path)), (CACHE_CONTROL, cache), (VARY, "Accept-Encoding")];
    let accepted = headers.get(ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
    if accepted.is_some_and(|accepted| accepted.contains("gzip")) {
        return (head, [(CONTENT_ENCODING, "gzip")], file).into_response();
    }
    let mut plain = Vec::new();
    match flate2::read::GzDecoder::new(file).take(LARGEST).read_to_end(&mut plain) {
        Ok(_) => (head, plain).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn kind(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("webmanifest") => "application/manifest+json",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_base_leads_back_to_the_root() {
        let page = format!("<head>{BASE}</head>");
        for (path, expected) in [
            ("/", "./"),
            ("/?theme=light", "./"),
            ("/findings", "./"),
            ("/findings/0a1b", "../"),
            ("/tx/main/0x12?frame=3", "../../"),
        ] {
            let answer = html(&page, &path.parse().unwrap());
            let body = axum::body::to_bytes(answer.into_body(), 1_000).await.unwrap();
            let expected = format!(r#"<head><base href="{expected}"></head>"#);
            assert_eq!(std::str::from_utf8(&body).unwrap(), expected, "{path}");
        }
    }

    #[test]
    fn only_browsers_that_look_for_a_view_get_the_page() {
        for (path, accept, expected) in [
            ("/findings", "text/html,*/*", true),
            ("/tx/main/0x12", "text/html", true),
            ("/findings", "application/json", false),
            ("/api/v2/findings", "text/html", false),
            ("/assets/gone.js", "text/html", false),
            ("/-/else", "text/html", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, accept.parse().unwrap());
            assert_eq!(is_view(&path.parse().unwrap(), &headers), expected, "{path} {accept}");
        }
    }
}
