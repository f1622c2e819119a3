//! Corrections of the generated document. Each states what the generator gets wrong or cannot know.

use serde_json::{Map, Value, json};

/// Operations that settle, which can come too late.
const SETTLING: [&str; 4] = ["commit", "release", "release_by_key", "extend"];

/// Makes the document say what the code does.
pub fn correct(document: &mut Value) {
    document["openapi"] = json!("3.0.3");
    walk(document, &mut tidy);
    for (name, schema) in entries(&mut document["components"]["schemas"]) {
        schema["title"] = json!(name);
        let takes_input = name.ends_with("Request") || name == "Estimate" || name == "BatchOperation";
        if takes_input {
            close(schema);
        }
    }
    let paths = entries(&mut document["paths"]);
    for (_, path) in paths {
        for (_, operation) in entries(path) {
            keep_possible_failures(operation);
            describe_parameters(operation);
            describe_answers(operation);
        }
    }
}

fn entries(value: &mut Value) -> Vec<(String, &mut Value)> {
    value.as_object_mut().map(|map| map.iter_mut().map(|(k, v)| (k.clone(), v)).collect()).unwrap_or_default()
}

fn walk(value: &mut Value, visit: &mut impl FnMut(&mut Map<String, Value>)) {
    match value {
        Value::Object(map) => {
            visit(map);
            map.values_mut().for_each(|inner| walk(inner, visit));
        }
        Value::Array(list) => list.iter_mut().for_each(|inner| walk(inner, visit)),
        _ => {}
    }
}

/// Bounds come out as floats, formats as Rust's, and a described reference as a doubled `allOf`.
fn tidy(map: &mut Map<String, Value>) {
    for bound in ["minimum", "maximum"] {
        if let Some(whole) = map.get(bound).and_then(Value::as_f64).filter(|v| v.fract() == 0.0) {
            #[expect(clippy::cast_possible_truncation, reason = "bounds are small whole numbers")]
            map.insert(bound.to_owned(), json!(whole as i64));
        }
    }
    let format = match map.get("format").and_then(Value::as_str) {
        Some("uint64") => Some("int64"),
        Some("uint16" | "uint32") => Some("int32"),
        _ => None,
    };
    if let Some(format) = format {
        map.insert("format".to_owned(), json!(format));
        map.entry("minimum").or_insert(json!(0));
    }
    if let Some(Value::Array(parts)) = map.get_mut("allOf")
        && parts.first().is_some_and(|part| part.get("$ref").is_some())
    {
        parts.truncate(1);
    }
}

/// Requests refuse unknown fields, and take `null` for a field that is left out.
fn close(schema: &mut Value) {
    schema["additionalProperties"] = json!(false);
    let required: Vec<String> =
        schema["required"].as_array().into_iter().flatten().filter_map(|v| v.as_str().map(str::to_owned)).collect();
    for (name, property) in schema.get_mut("properties").map(entries).unwrap_or_default() {
        if !required.contains(&name) && property.get("type").is_some() {
            property["nullable"] = json!(true);
        }
    }
}

/// Every operation is declared with every failure; it keeps those that can happen to it.
fn keep_possible_failures(operation: &mut Value) {
    let id = operation["operationId"].as_str().unwrap_or_default().to_owned();
    let has_body = operation.get("requestBody").is_some();
    let has_key = operation.get("security").is_some();
    let has_parameters = operation.get("parameters").is_some();
    let Some(responses) = operation["responses"].as_object_mut() else { return };
    responses.retain(|status, _| match status.as_str() {
        "400" | "413" | "415" => has_body,
        "401" | "403" | "404" => has_key,
        "422" => has_key && (has_body || has_parameters),
        "409" => SETTLING.contains(&id.as_str()),
        // The method of a declared operation exists, and callers have no rate limit of their own yet.
        "405" | "429" => false,
        "503" => id != "livez",
        _ => true,
    });
}

fn describe_parameters(operation: &mut Value) {
    let id = operation["operationId"].as_str().unwrap_or_default().to_owned();
    if let Some(Value::Array(parameters)) = operation.get_mut("parameters") {
        for parameter in parameters {
            match parameter["name"].as_str() {
                Some("IDEMPOTENCY-KEY") => {
                    parameter["name"] = json!("Idempotency-Key");
                    parameter["schema"] = json!({"type": "string", "minLength": 1, "maxLength": 255});
                }
                Some("denied_status") => {
                    parameter["schema"] = json!({"type": "integer", "enum": [200, 429], "default": 200});
                }
                Some("period") => parameter["schema"] = json!({"type": "string", "enum": ["current", "hour", "day", "month"]}),
                Some("limit") => parameter["schema"] = json!({"type": "integer", "minimum": 1, "maximum": 200}),
                _ => {}
            }
        }
    }
    let open: &[(&str, &str, Value)] = match id.as_str() {
        "read_usage" => &[("scope", "Entries of the scope, each as `scope.K=V`.", json!({"type": "string"}))],
        "list_reservations" => &[
            ("scope", "Entries of the scope, each as `scope.K=V`.", json!({"type": "string"})),
            ("metadata", "Entries of the metadata, each as `metadata.K=V`.", json!({"type": "string"})),
        ],
        "check_by_query" => &[
            ("scope", "Entries of the scope, each as `scope.K=V`.", json!({"type": "string"})),
            ("cost", "Costs by unit, each as `cost.U=N`.", json!({"type": "string"})),
        ],
        _ => &[],
    };
    for (name, description, value) in open {
        // A form-exploded object is how OpenAPI writes parameters whose names are open.
        let parameter = json!({
            "name": name, "in": "query", "required": false, "style": "form", "explode": true, "description": description,
            "schema": {"type": "object", "additionalProperties": value},
        });
        if let Some(Value::Array(parameters)) = operation.get_mut("parameters") {
            parameters.push(parameter);
        }
    }
}

fn header(description: &str) -> Value {
    json!({"description": description, "schema": {"type": "string"}})
}

/// Statuses and headers that depend on the answer's values.
fn describe_answers(operation: &mut Value) {
    let id = operation["operationId"].as_str().unwrap_or_default().to_owned();
    let Some(responses) = operation["responses"].as_object_mut() else { return };
    for response in responses.values_mut() {
        let headers = &mut response["headers"];
        if headers.is_null() {
            *headers = json!({});
        }
        headers["X-Request-Id"] = header("Id of the request: the caller's own, or a new one.");
    }
    if ["reserve", "record_usage", "commit", "release", "release_by_key"].contains(&id.as_str()) {
        responses["200"]["headers"]["Idempotent-Replayed"] = header("`true` when the same was said before.");
    }
    if ["commit", "release", "release_by_key"].contains(&id.as_str()) {
        let mut accepted = responses["200"].clone();
        accepted["description"] = json!("The store is away; this node keeps the settlement and hands it in later.");
        responses.insert("202".to_owned(), accepted);
    }
    if id == "reserve" {
        let mut denied = responses["200"].clone();
        denied["description"] = json!("Denied, where `denied_status=429` asked for this status.");
        denied["headers"]["RateLimit-Policy"] = header("What the limits are.");
        denied["headers"]["RateLimit"] = header("What is left of them.");
        denied["headers"]["Retry-After"] = header("Seconds, rounded up; absent when waiting does not help.");
        if let Some(headers) = denied["headers"].as_object_mut() {
            headers.remove("Idempotent-Replayed");
        }
        responses.insert("429".to_owned(), denied);
    }
}
