//! The OpenAPI document: made from the code, then corrected once where the generator cannot say what the code does.

mod correct;

use poem::{IntoEndpoint as _, endpoint::BoxEndpoint};
use poem_openapi::{LicenseObject, OpenApiService};
use serde_json::Value;

use super::{Api, api};

const DESCRIPTION: &str = "Admission control for shared LLM provider quotas. Ask before a call (reserve), tell after it \
(commit), and never run over a limit that many services share.\n\nA denial is an answer, not a failure. Every failure is \
`application/problem+json` with a stable `code`. Amounts are whole units, money is a decimal string in `cost_usd`, \
instants are RFC 3339 in UTC, durations end in `_ms`.";

fn generated() -> OpenApiService<Api, ()> {
    OpenApiService::new(api(), "quota-coordinator", env!("CARGO_PKG_VERSION"))
        .description(DESCRIPTION)
        .license(LicenseObject::new("MIT OR Apache-2.0").url("https://spdx.org/licenses/MIT.html"))
        .server("/")
}

/// The operations, ready to be mounted.
pub fn service() -> BoxEndpoint<'static> {
    generated().into_endpoint()
}

/// The document.
pub fn document() -> Value {
    // The generator writes JSON; were it not to, the test of the committed file would fail.
    let mut document = serde_json::from_str(&generated().spec()).unwrap_or_default();
    correct::correct(&mut document);
    document
}

/// The document as YAML, as it is committed: what a reader wants first stands first.
pub fn yaml() -> String {
    let mut document = document();
    let mut ordered = serde_yaml::Mapping::new();
    for key in ["openapi", "info", "servers", "tags", "paths", "components"] {
        let part = document.as_object_mut().and_then(|document| document.remove(key));
        let part = part.and_then(|part| serde_yaml::to_value(part).ok());
        ordered.extend(part.map(|part| (key.into(), part)));
    }
    serde_yaml::to_string(&ordered).unwrap_or_default()
}

/// A page to read the document with; loads nothing from other sites.
pub fn page() -> String {
    let service = generated();
    service.swagger_ui_html().replace(&service.spec(), &document().to_string())
}

#[cfg(test)]
mod tests;
