//! How a problem is answered, and how the document says so.

use poem::{
    IntoResponse, Response,
    error::ResponseError,
    http::{HeaderValue, StatusCode, header},
};
use poem_openapi::{
    ApiResponse,
    registry::{MetaHeader, MetaMediaType, MetaResponse, MetaResponses, Registry},
    types::Type,
};

use super::{Problem, ProblemBody};
use crate::http::headers;

const MEDIA_TYPE: &str = "application/problem+json";

impl Problem {
    /// The answer to the request of that id.
    pub fn response(&self, instance: Option<&str>) -> Response {
        let body = serde_json::to_vec(&self.body(instance)).unwrap_or_default();
        let mut response = Response::builder().status(self.0.status).content_type(MEDIA_TYPE).body(body);
        let to = response.headers_mut();
        to.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(after) = self.0.retry_after {
            to.insert(header::RETRY_AFTER, HeaderValue::from(headers::seconds_up(after)));
        }
        if let Some((name, value)) = self.0.header.clone() {
            to.insert(name, value);
        }
        response
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        self.response(None)
    }
}

/// Lets `?` carry a problem through the framework; the edge finds it there and adds the request's id.
impl ResponseError for Problem {
    fn status(&self) -> StatusCode {
        self.0.status
    }

    fn as_response(&self) -> Response {
        self.response(None)
    }
}

/// Statuses that a problem can have, with what they mean. The document keeps those that an operation can answer.
const DOCUMENTED: [(u16, &str); 12] = [
    (400, "The body is not JSON."),
    (401, "No valid key was presented."),
    (403, "The key may not do this."),
    (404, "There is no such pool, limit or reservation."),
    (405, "The path exists, the method does not."),
    (409, "The reservation was settled in another way, or its lease has ended."),
    (413, "The body is too large."),
    (415, "The body is not `application/json`."),
    (422, "Some values are not valid, or the idempotency key was used with another request."),
    (429, "The caller's own rate limit is used up."),
    (500, "The node failed."),
    (503, "The store is not available, or the operation is switched off."),
];

impl ApiResponse for Problem {
    fn meta() -> MetaResponses {
        let header = |name: &str, description: &str, schema| MetaHeader {
            name: name.to_owned(),
            description: Some(description.to_owned()),
            required: false,
            deprecated: false,
            schema,
        };
        let responses = DOCUMENTED.map(|(status, description)| MetaResponse {
            description,
            status: Some(status),
            status_range: None,
            content: vec![MetaMediaType { content_type: MEDIA_TYPE, schema: ProblemBody::schema_ref() }],
            headers: match status {
                401 => vec![header("WWW-Authenticate", "How to present a key.", String::schema_ref())],
                405 => vec![header("Allow", "The methods that exist.", String::schema_ref())],
                429 | 503 => vec![header("Retry-After", "Seconds, rounded up.", u64::schema_ref())],
                _ => vec![],
            },
        });
        MetaResponses { responses: responses.into() }
    }

    fn register(registry: &mut Registry) {
        ProblemBody::register(registry);
    }
}
