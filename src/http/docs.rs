//! The document and a page to read it with; all made once, and without anything from other sites.

use std::sync::LazyLock;

use bytes::Bytes;
use poem::{Response, handler, http::header};

use super::openapi;

static JSON: LazyLock<Bytes> = LazyLock::new(|| openapi::document().to_string().into());
static YAML: LazyLock<Bytes> = LazyLock::new(|| openapi::yaml().into());
static PAGE: LazyLock<Bytes> = LazyLock::new(|| openapi::page().into());

fn page_of(media_type: &'static str, body: &Bytes) -> Response {
    Response::builder().content_type(media_type).header(header::CACHE_CONTROL, "no-cache").body(body.clone())
}

/// `GET /openapi.json`.
#[handler]
pub fn json() -> Response {
    page_of("application/json", &JSON)
}

/// `GET /openapi.yaml`.
#[handler]
pub fn yaml() -> Response {
    page_of("application/yaml", &YAML)
}

/// `GET /docs`.
#[handler]
pub fn page() -> Response {
    page_of("text/html; charset=utf-8", &PAGE)
}
