//! The header `Idempotency-Key`: a structured string (quoted), or its characters bare.

use poem::http::{HeaderMap, HeaderName};

use super::problem::{FieldError, Problem};

/// The request's header.
const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The answer's header, on an answer that was given before.
pub const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
/// Longest key, characters.
const MAX_LENGTH: usize = 255;

/// Is this a key? Errors say the rule.
pub fn check(key: &str) -> Result<(), String> {
    let printable = key.bytes().all(|b| matches!(b, b' '..=b'~'));
    if printable && (1..=MAX_LENGTH).contains(&key.len()) {
        return Ok(());
    }
    Err(format!("must be 1 to {MAX_LENGTH} printable ASCII characters"))
}

/// The key of a request, absent where there is none.
pub fn of(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all(KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let refuse = |detail: String| Problem::validation(vec![FieldError::parameter("Idempotency-Key", detail)]);
    if values.next().is_some() {
        return Err(refuse("was sent twice".to_owned()));
    }
    let text = value.to_str().unwrap_or_default();
    let key = match text.strip_prefix('"') {
        Some(rest) => unquoted(rest).ok_or_else(|| refuse("is not a well-formed quoted string".to_owned()))?,
        None => text.to_owned(),
    };
    check(&key).map_err(refuse)?;
    Ok(Some(key))
}

/// The characters of a structured string (RFC 9651, 3.3.3) after its opening quote.
fn unquoted(rest: &str) -> Option<String> {
    let mut key = String::with_capacity(rest.len());
    let mut chars = rest.chars();
    loop {
        match chars.next()? {
            '"' => return chars.as_str().is_empty().then_some(key),
            '\\' => key.push(chars.next().filter(|c| matches!(c, '"' | '\\'))?),
            plain => key.push(plain),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(value: &str) -> Result<Option<String>, u16> {
        let mut headers = HeaderMap::new();
        headers.insert(KEY, poem::http::HeaderValue::from_bytes(value.as_bytes()).unwrap());
        of(&headers).map_err(|p| p.status().as_u16())
    }

    #[test]
    fn quoted_and_bare_keys_are_the_same() {
        assert_eq!(of(&HeaderMap::new()).unwrap(), None);
        assert_eq!(key("\"8f0c-1\""), Ok(Some("8f0c-1".into())));
        assert_eq!(key("8f0c-1"), Ok(Some("8f0c-1".into())));
        assert_eq!(key(r#""a\"b\\c""#), Ok(Some(r#"a"b\c"#.into())));
        let longest = "x".repeat(255);
        assert_eq!(key(&longest), Ok(Some(longest.clone())));
        for bad in ["", "\"", "\"a", "\"a\"b", r#""a\n""#, "\"\"", "é", &"x".repeat(256)] {
            assert_eq!(key(bad), Err(422), "{bad:?}");
        }
    }
}
