//! Answers: written straight to bytes, never kept by caches.

use poem::{
    IntoResponse, Response,
    http::{HeaderName, HeaderValue, StatusCode, header},
};
use poem_openapi::{
    ApiResponse,
    registry::{MetaMediaType, MetaResponse, MetaResponses, Registry},
    types::Type,
};
use serde::Serialize;

use super::problem::Problem;

/// Room for a usual answer, bytes.
const USUAL: usize = 1024;

/// A JSON answer.
#[derive(Debug)]
pub struct Answer<T> {
    /// The body.
    pub body: T,
    status: StatusCode,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl<T> Answer<T> {
    /// 200 with that body.
    pub fn ok(body: T) -> Self {
        Self { body, status: StatusCode::OK, headers: Vec::new() }
    }

    /// Changes the status.
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// Adds a header; a value that cannot stand in a header is left out.
    pub fn with_header(mut self, name: HeaderName, value: impl AsRef<str>) -> Self {
        if let Ok(value) = HeaderValue::from_str(value.as_ref()) {
            self.headers.push((name, value));
        }
        self
    }
}

impl<T: Serialize + Send> IntoResponse for Answer<T> {
    fn into_response(self) -> Response {
        let mut body = Vec::with_capacity(USUAL);
        if let Err(error) = serde_json::to_writer(&mut body, &self.body) {
            // Past the point where the edge could still turn it into a problem with the request's id.
            tracing::error!(%error, "an answer could not be written");
            return Problem::internal(error).into_response();
        }
        let mut response = Response::builder().status(self.status).body(body);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.extend(self.headers);
        response
    }
}

impl<T: Type> ApiResponse for Answer<T> {
    fn meta() -> MetaResponses {
        let content = vec![MetaMediaType { content_type: "application/json", schema: T::schema_ref() }];
        let response =
            MetaResponse { description: "The answer.", status: Some(200), status_range: None, content, headers: vec![] };
        MetaResponses { responses: vec![response] }
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}
