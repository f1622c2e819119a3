//! Request bodies: bounded, JSON only, parsed straight from bytes, with the place of what is wrong.

use poem::{
    Request, RequestBody,
    error::ReadBodyError,
    http::{StatusCode, header},
    web::headers::HeaderMapExt as _,
};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    registry::{MetaMediaType, MetaRequest, Registry},
    types::Type,
};
use serde::de::DeserializeOwned;
use serde_path_to_error::{Path, Segment};

use super::{
    edge::Context,
    problem::{self, FieldError, Problem},
};

/// A type that can be the body of a request.
pub trait JsonBody: DeserializeOwned + Type {
    /// What an empty body means; `None` = a body is required.
    fn absent() -> Option<Self> {
        None
    }
}

/// The body of a request.
pub struct Body<T>(pub T);

impl<'a, T: JsonBody> ApiExtractor<'a> for Body<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        Some(MetaRequest {
            description: None,
            content: vec![MetaMediaType { content_type: "application/json", schema: T::schema_ref() }],
            required: T::absent().is_none(),
        })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _options: ExtractParamOptions<Self::ParamType>,
    ) -> poem::Result<Self> {
        let limit = Context::of(request)?.state.settings().body_limit;
        let body = body.take()?;
        let bytes = match request.headers().typed_get::<poem::web::headers::ContentLength>() {
            Some(length) if length.0 > u64::try_from(limit).unwrap_or(u64::MAX) => {
                return Err(problem::from_body(&ReadBodyError::PayloadTooLarge).into());
            }
            // The server cuts a body at the length that it announced.
            Some(_) => body.into_bytes().await.map_err(|e| problem::from_body(&e))?,
            None => body.into_bytes_limit(limit).await.map_err(|e| problem::from_body(&e))?,
        };
        if let (true, Some(absent)) = (bytes.is_empty(), T::absent()) {
            return Ok(Self(absent));
        }
        check_media_type(request.headers().get(header::CONTENT_TYPE).map(|value| value.as_bytes()))?;
        Ok(Self(parse(&bytes)?))
    }
}

fn check_media_type(value: Option<&[u8]>) -> Result<(), Problem> {
    let essence = value.unwrap_or_default().split(|b| *b == b';').next().unwrap_or_default().trim_ascii();
    let is_json = essence.eq_ignore_ascii_case(b"application/json")
        || (essence.starts_with(b"application/") && essence.to_ascii_lowercase().ends_with(b"+json"));
    if is_json {
        return Ok(());
    }
    let detail = "the body must be JSON, announced by `Content-Type: application/json`";
    Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", "Unsupported media type", detail))
}

/// Reads a body. Only when that fails is it read again, slowly, to learn where.
fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    match serde_json::from_slice(bytes) {
        Ok(value) => Ok(value),
        Err(error) => Err(explain::<T>(bytes, &error)),
    }
}

fn explain<T: DeserializeOwned>(bytes: &[u8], first: &serde_json::Error) -> Problem {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let pointer = match serde_path_to_error::deserialize::<_, T>(&mut reader) {
        Err(error) => pointer(error.path()),
        // The value itself is fine, and something follows it.
        Ok(_) => String::new(),
    };
    let text = first.to_string();
    if first.classify() == serde_json::error::Category::Data {
        let detail = text.split(" at line ").next().unwrap_or(&text);
        return Problem::validation(vec![FieldError::at(named(pointer, detail), detail)]);
    }
    Problem::new(StatusCode::BAD_REQUEST, "invalid_json", "Body is not JSON", text.clone())
        .with_errors(vec![FieldError::at(pointer, text)])
}

/// A JSON pointer (RFC 6901) for where parsing stopped.
fn pointer(path: &Path) -> String {
    path.iter().fold(String::new(), |mut to, segment| {
        match segment {
            Segment::Seq { index } => to.push_str(&format!("/{index}")),
            Segment::Map { key } => to.push_str(&format!("/{}", escaped(key))),
            Segment::Enum { .. } | Segment::Unknown => {}
        }
        to
    })
}

fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// An unknown or missing field is named in the message, not in the path; the pointer should end in it.
fn named(pointer: String, detail: &str) -> String {
    let field = ["unknown field `", "missing field `", "duplicate field `"]
        .iter()
        .find_map(|start| detail.strip_prefix(start)?.split('`').next());
    match field {
        Some(field) if !pointer.ends_with(&format!("/{}", escaped(field))) => format!("{pointer}/{}", escaped(field)),
        _ => pointer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::wire::ReserveBody;

    fn refusal(json: &str) -> (u16, String) {
        let problem = parse::<ReserveBody>(json.as_bytes()).unwrap_err();
        let pointer = problem.body(None).errors.unwrap().remove(0).pointer.unwrap();
        (problem.status().as_u16(), pointer)
    }

    #[test]
    fn an_error_says_where_it_is() {
        for (json, status, pointer) in [
            (r#"{"cost":{"tokens":-1}}"#, 422, "/cost/tokens"),
            (r#"{"cost":{"tokens":1.5}}"#, 422, "/cost/tokens"),
            (r#"{"cost":{"tokens":9007199254740993}}"#, 422, "/cost/tokens"),
            (r#"{"cost":{"tokens":"NaN"}}"#, 422, "/cost/tokens"),
            (r#"{"cost":{"tokens":NaN}}"#, 400, "/cost/tokens"),
            (r#"{"cost":{"cost_usd":"1e9"}}"#, 422, "/cost/cost_usd"),
            (r#"{"scope":{"a~b/c":1}}"#, 422, "/scope/a~0b~1c"),
            (r#"{"scopee":{}}"#, 422, "/scopee"),
            (r#"{"estimate":{"inputtokens":1}}"#, 422, "/estimate/inputtokens"),
            (r#"{"lease_ms":1,"lease_ms":2}"#, 422, "/lease_ms"),
            (r#"{"priority":"urgent"}"#, 422, "/priority"),
            ("[]", 422, ""),
            (r#"{"pool":"a"} x"#, 400, ""),
            (r#"{"pool":"#, 400, "/pool"),
            ("", 400, ""),
            ("{\"pool\":\"a\u{0}b\"}", 400, "/pool"),
        ] {
            assert_eq!(refusal(json), (status, pointer.to_owned()), "{json}");
        }
    }

    #[test]
    fn only_json_is_json() {
        for good in ["application/json", "Application/JSON; charset=utf-8", "application/vnd.x+json"] {
            assert!(check_media_type(Some(good.as_bytes())).is_ok(), "{good}");
        }
        for bad in [None, Some(&b"text/plain"[..]), Some(b"application/jsonx"), Some(b"")] {
            assert!(check_media_type(bad).is_err());
        }
    }
}
