//! May a page of that origin connect? Browsers send cookies and reach private addresses for any page,
//! so this is asked for each request that names an origin. Clients that are no browsers name none.

use poem::http::{HeaderMap, header};

/// True when the request names no origin, the node's own, or one of the allowed.
pub fn is_allowed(headers: &HeaderMap, allowed: &[String]) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else { return true };
    let Ok(origin) = origin.to_str() else { return false };
    let own = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let host = origin.split_once("://").map(|(_, host)| host);
    let is_own = own.is_some_and(|own| host.is_some_and(|host| host.eq_ignore_ascii_case(own)));
    is_own || allowed.iter().any(|allowed| allowed.eq_ignore_ascii_case(origin))
}

#[cfg(test)]
mod tests {
    use poem::http::HeaderValue;

    use super::*;

    #[test]
    fn only_the_own_and_the_allowed_may_connect() {
        let allowed = ["https://console.example".to_owned()];
        let ask = |origin: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static("quota.example:8080"));
            headers.extend(origin.map(|origin| (header::ORIGIN, HeaderValue::from_str(origin).unwrap())));
            is_allowed(&headers, &allowed)
        };
        assert!(ask(None) && ask(Some("http://quota.example:8080")) && ask(Some("https://console.example")));
        for bad in ["https://evil.example", "null", "http://quota.example", "https://console.example.evil.example"] {
            assert!(!ask(Some(bad)), "{bad}");
        }
    }
}
