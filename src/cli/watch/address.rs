//! Where to connect, and how.

use std::{fmt::Write, str::FromStr};

use tokio_tungstenite::tungstenite::{
    client::IntoClientRequest,
    handshake::client::Request,
    http::{HeaderValue, Uri, header},
};

/// The subprotocol of the messages that are understood here.
const PROTOCOL: &str = "quota-stream.v1";
const PATH: &str = "/api/quota/ws";

/// A node's address, as given: `http`, `https`, `ws` or `wss`, with or without a path before the API's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    shown: String,
    socket: String,
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let uri: Uri = text.parse().map_err(|error| format!("{error}"))?;
        let (scheme, secure) = match uri.scheme_str() {
            Some("http" | "ws") => ("ws", false),
            Some("https" | "wss") => ("wss", true),
            _ => return Err("begin with http:// or https://".to_owned()),
        };
        let authority = uri.authority().ok_or("there is no host in it")?;
        if authority.as_str().contains('@') {
            return Err("give the key as --key or QUOTA_KEY, not in the URL".to_owned());
        }
        if uri.query().is_some() {
            return Err("give the pool as --pool, not in the URL".to_owned());
        }
        let base = uri.path().trim_end_matches('/');
        let base = base.strip_suffix(PATH).unwrap_or(base);
        let shown = format!("{}://{authority}{base}", if secure { "https" } else { "http" });
        Ok(Self { shown, socket: format!("{scheme}://{authority}{base}{PATH}") })
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.shown)
    }
}

impl Address {
    /// The request that opens the socket. The key goes into a header, never into the URL.
    pub fn request(&self, query: &[(&str, Option<&str>)], key: Option<&str>) -> Result<Request, String> {
        let mut url = self.socket.clone();
        let mut separator = '?';
        for (name, value) in query {
            let Some(value) = value else { continue };
            url.push(separator);
            url.push_str(name);
            url.push('=');
            escape(&mut url, value);
            separator = '&';
        }
        let mut request = url.into_client_request().map_err(|error| error.to_string())?;
        let headers = request.headers_mut();
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(PROTOCOL));
        if let Some(key) = key {
            let mut value = HeaderValue::from_str(&format!("Bearer {key}"))
                .map_err(|_| "the key has characters that no key has".to_owned())?;
            value.set_sensitive(true);
            headers.insert(header::AUTHORIZATION, value);
        }
        Ok(request)
    }
}

/// Percent-encodes everything that could mean something in a query.
fn escape(to: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            to.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(to, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_become_requests() {
        let address: Address = "https://quota.example/base/".parse().unwrap();
        assert_eq!(address.to_string(), "https://quota.example/base");
        let query = [("pool", Some("a b&c")), ("workspace_id", None), ("cursor", Some("v1.a.3.0"))];
        let request = address.request(&query, Some("k")).unwrap();
        assert_eq!(request.uri().to_string(), "wss://quota.example/base/api/quota/ws?pool=a%20b%26c&cursor=v1.a.3.0");
        assert_eq!(request.headers()[header::AUTHORIZATION], "Bearer k");
        assert_eq!(request.headers()["sec-websocket-protocol"], PROTOCOL);
        let plain: Address = "ws://[::1]:8080/api/quota/ws".parse().unwrap();
        assert_eq!(plain.request(&[], None).unwrap().uri().to_string(), "ws://[::1]:8080/api/quota/ws");
        assert!(plain.request(&[], Some("k\n")).is_err());
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for bad in ["", "localhost:8080", "ftp://x", "http://", "http://u:p@x", "http://x/?pool=a"] {
            assert!(bad.parse::<Address>().is_err(), "{bad}");
        }
    }
}
