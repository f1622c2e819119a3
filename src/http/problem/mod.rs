//! Failures as `application/problem+json` (RFC 9457): one body for every failure, the framework's own included.
//!
//! `code` is part of the contract and never changes its meaning; `title` and `detail` are for people.

mod map;
mod response;

use std::{borrow::Cow, time::Duration};

use poem::http::{HeaderName, HeaderValue, StatusCode, header};
use poem_openapi::Object;
use serde::Serialize;

pub use map::{from_body, from_coordinator, from_poem};

/// One field at fault.
#[derive(Clone, Debug, PartialEq, Eq, Object, Serialize)]
#[oai(skip_serializing_if_is_none)]
pub struct FieldError {
    /// JSON pointer (RFC 6901) into the request's body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// Name of the query parameter, header or path segment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameter: Option<String>,
    /// What is wrong with it.
    pub detail: String,
}

impl FieldError {
    /// A field of the body.
    pub fn at(pointer: impl Into<String>, detail: impl ToString) -> Self {
        Self { pointer: Some(pointer.into()), parameter: None, detail: detail.to_string() }
    }

    /// A query parameter, header or path segment.
    pub fn parameter(name: impl Into<String>, detail: impl ToString) -> Self {
        Self { pointer: None, parameter: Some(name.into()), detail: detail.to_string() }
    }
}

/// A failure, before it is known which request it belongs to.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}: {}", .0.code, .0.detail)]
pub struct Problem(Box<Parts>);

#[derive(Clone, Debug)]
struct Parts {
    status: StatusCode,
    code: &'static str,
    title: &'static str,
    detail: Cow<'static, str>,
    errors: Vec<FieldError>,
    retry_after: Option<Duration>,
    header: Option<(HeaderName, HeaderValue)>,
    /// For the log only.
    cause: Option<String>,
}

const VALIDATION: &str = "validation";

/// What is wrong, in one line.
fn summary(errors: &[FieldError]) -> Cow<'static, str> {
    match errors {
        [FieldError { pointer: Some(place), detail, .. } | FieldError { parameter: Some(place), detail, .. }] => {
            format!("{place}: {detail}").into()
        }
        _ => "some values are not valid; see `errors`".into(),
    }
}

impl Problem {
    /// A failure with a code of the contract.
    pub fn new(status: StatusCode, code: &'static str, title: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        let detail = detail.into();
        Self(Box::new(Parts { status, code, title, detail, errors: Vec::new(), retry_after: None, header: None, cause: None }))
    }

    /// 422: the request is well-formed, and some of its values are not.
    pub fn validation(errors: Vec<FieldError>) -> Self {
        let detail = summary(&errors);
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, VALIDATION, "Request is not valid", detail).with_errors(errors)
    }

    /// The same failure of an object inside the body: `base` is its JSON pointer.
    pub fn within(mut self, base: &str) -> Self {
        self.0.errors.iter_mut().filter_map(|error| error.pointer.as_mut()).for_each(|pointer| pointer.insert_str(0, base));
        if self.0.code == VALIDATION {
            self.0.detail = summary(&self.0.errors);
        }
        self
    }

    /// The same failure of a request without a body, whose values stand in the query string: `/cost/tokens` becomes
    /// `cost.tokens`.
    pub fn in_query(mut self) -> Self {
        for error in &mut self.0.errors {
            if let Some(pointer) = error.pointer.take() {
                error.parameter = Some(pointer.trim_start_matches('/').replace('/', "."));
            }
        }
        self
    }

    /// 404 for a path that does not exist.
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "Not found", "there is nothing at this path; see /docs")
    }

    /// 401, with the challenge that RFC 9110 asks for.
    pub fn unauthorized(detail: &'static str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "Unauthorized", detail).challenge()
    }

    /// 401 for a key that was good once.
    pub fn key_expired() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "key_expired", "Key has expired", "the key has expired; ask for another").challenge()
    }

    fn challenge(self) -> Self {
        self.with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"quota-coordinator\""))
    }

    /// 403.
    pub fn forbidden(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", "Forbidden", detail)
    }

    /// 500. The caller is not told the cause; the log is.
    pub fn internal(cause: impl ToString) -> Self {
        let detail = "the request failed; the log of this node has the cause under this request id";
        let mut problem = Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal error", detail);
        problem.0.cause = Some(cause.to_string());
        problem
    }

    /// Adds the fields at fault.
    pub fn with_errors(mut self, errors: Vec<FieldError>) -> Self {
        self.0.errors = errors;
        self
    }

    /// Says when to try again.
    pub fn with_retry_after(mut self, after: Duration) -> Self {
        self.0.retry_after = Some(after);
        self
    }

    fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.header = Some((name, value));
        self
    }

    /// Writes the cause to the log, where there is one that the caller is not told.
    pub fn log(&self, request: &str) {
        if let Some(cause) = &self.0.cause {
            tracing::error!(request, cause, "the request failed");
        }
    }

    /// The stable code.
    pub fn code(&self) -> &'static str {
        self.0.code
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }
}

/// A failure, as it is answered.
#[derive(Clone, Debug, Object, Serialize)]
#[oai(rename = "Problem", skip_serializing_if_is_none)]
pub struct ProblemBody {
    /// A URI that names the kind of failure.
    #[oai(rename = "type")]
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind of failure, for people.
    pub title: String,
    /// The status of the answer.
    pub status: u16,
    /// What happened, for people.
    pub detail: String,
    /// The request's id, as in the header `X-Request-Id`; absent inside a batch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// The kind of failure, for programs. Never changes its meaning.
    pub code: String,
    /// The fields at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub errors: Option<Vec<FieldError>>,
    /// Time until it is worth trying again, ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

impl Problem {
    /// The body, for the request of that id.
    pub fn body(&self, instance: Option<&str>) -> ProblemBody {
        let parts = &*self.0;
        let kind = match parts.status {
            StatusCode::SERVICE_UNAVAILABLE => {
                "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity".to_owned()
            }
            _ => format!("urn:quota-coordinator:problem:{}", parts.code),
        };
        ProblemBody {
            kind,
            title: parts.title.to_owned(),
            status: parts.status.as_u16(),
            detail: parts.detail.clone().into_owned(),
            instance: instance.map(str::to_owned),
            code: parts.code.to_owned(),
            errors: (!parts.errors.is_empty()).then(|| parts.errors.clone()),
            retry_after_ms: parts.retry_after.map(super::headers::millis),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_has_the_members_of_rfc_9457() {
        let problem = Problem::validation(vec![FieldError::at("/cost/tokens", "must be whole")]);
        assert_eq!(
            serde_json::to_value(problem.body(Some("r1"))).unwrap(),
            serde_json::json!({
                "type": "urn:quota-coordinator:problem:validation", "title": "Request is not valid", "status": 422,
                "detail": "/cost/tokens: must be whole", "instance": "r1", "code": "validation",
                "errors": [{"pointer": "/cost/tokens", "detail": "must be whole"}],
            })
        );
    }
}
