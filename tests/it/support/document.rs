//! The operations of the OpenAPI document, for tests that must not forget one.

use std::sync::LazyLock;

use quota_coordinator::http::openapi;
use serde_json::Value;

static DOCUMENT: LazyLock<Value> = LazyLock::new(openapi::document);

/// An operation.
pub struct Operation {
    pub id: String,
    pub method: reqwest::Method,
    /// With its parameters in braces.
    pub path: String,
    /// Does it ask for a key?
    pub secured: bool,
    /// Schema of its body.
    pub body: Option<&'static Value>,
    /// May the body be left out?
    pub body_optional: bool,
    parameters: &'static [Value],
}

/// Every operation.
pub fn operations() -> Vec<Operation> {
    let of_path = |(path, methods): (&'static String, &'static Value)| {
        methods.as_object().unwrap().iter().map(move |(method, operation)| Operation {
            id: operation["operationId"].as_str().unwrap().to_owned(),
            method: method.to_uppercase().parse().unwrap(),
            path: path.clone(),
            secured: operation.get("security").is_some(),
            body: operation.get("requestBody").map(|body| resolve(&body["content"]["application/json"]["schema"])),
            body_optional: operation["requestBody"]["required"] != true,
            parameters: operation["parameters"].as_array().map_or(&[], Vec::as_slice),
        })
    };
    DOCUMENT["paths"].as_object().unwrap().iter().flat_map(of_path).collect()
}

/// The schema that a reference stands for.
pub fn resolve(schema: &'static Value) -> &'static Value {
    let reference = schema["$ref"].as_str().or_else(|| schema["allOf"][0]["$ref"].as_str());
    match reference {
        Some(reference) => resolve(&DOCUMENT["components"]["schemas"][reference.rsplit('/').next().unwrap()]),
        None => schema,
    }
}

impl Operation {
    /// Names and schemas of its parameters in `query`, `header` or `path`.
    pub fn parameters(&self, place: &'static str) -> impl Iterator<Item = (&'static str, &'static Value)> {
        let here = self.parameters.iter().filter(move |parameter| parameter["in"] == place);
        here.map(|parameter| (parameter["name"].as_str().unwrap(), &parameter["schema"]))
    }

    /// Its path for that reservation, or for a limit of pool `p`.
    pub fn path_for(&self, id: &str) -> String {
        self.path.replace("{id}", id).replace("{pool}", "p").replace("{limit}", "requests-per-minute")
    }
}
