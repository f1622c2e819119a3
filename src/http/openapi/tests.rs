use std::path::Path;

use serde_json::Value;

use super::*;
use crate::http::wire::examples;

#[test]
fn the_committed_file_is_the_document() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi/quota-coordinator.yaml");
    let yaml = yaml();
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &yaml).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    let read: Value = serde_yaml::from_str(&yaml).unwrap();
    assert!(read == document(), "the YAML has everything");
    assert!(committed == yaml, "openapi/quota-coordinator.yaml is out of date: run the tests with UPDATE_OPENAPI=1");
}

/// A validator for one schema of the document. `closed` = objects may have no fields but those that are declared,
/// so that a field whose name differs from the document's is found.
fn validator(name: &str, closed: bool) -> jsonschema::Validator {
    let mut root = document()["components"].clone();
    if closed {
        close_objects(&mut root);
    }
    let text = root.to_string().replace("#/components/schemas/", "#/schemas/");
    let mut root: Value = serde_json::from_str(&text).unwrap();
    root["$ref"] = format!("#/schemas/{name}").into();
    nullable(&mut root);
    jsonschema::options().with_draft(jsonschema::Draft::Draft202012).build(&root).unwrap()
}

fn close_objects(value: &mut Value) {
    match value {
        Value::Object(map) => {
            if map.contains_key("properties") && map.get("type") == Some(&"object".into()) {
                map.insert("additionalProperties".into(), false.into());
            }
            map.values_mut().for_each(close_objects);
        }
        Value::Array(list) => list.iter_mut().for_each(close_objects),
        _ => {}
    }
}

/// OpenAPI 3.0 says `nullable: true` where JSON Schema says `type: [T, null]`.
fn nullable(value: &mut Value) {
    match value {
        Value::Object(map) => {
            if map.remove("nullable") == Some(true.into()) {
                let ty = map["type"].clone();
                map.insert("type".into(), serde_json::json!([ty, "null"]));
            }
            map.values_mut().for_each(nullable);
        }
        Value::Array(list) => list.iter_mut().for_each(nullable),
        _ => {}
    }
}

#[test]
fn every_answer_is_what_the_document_says() {
    for (schema, answer) in examples::answers() {
        let errors: Vec<String> =
            validator(schema, true).iter_errors(&answer).map(|e| format!("{}: {e}", e.instance_path())).collect();
        assert!(errors.is_empty(), "{schema}: {errors:#?}\n{answer:#}");
    }
}

#[test]
fn every_answer_of_the_document_has_an_example() {
    let shown: Vec<&str> = examples::answers().iter().map(|(schema, _)| *schema).collect();
    let document = document();
    let mut refs = Vec::new();
    for path in document["paths"].as_object().unwrap().values() {
        for operation in path.as_object().unwrap().values() {
            for response in operation["responses"].as_object().unwrap().values() {
                for media in response["content"].as_object().unwrap().values() {
                    refs.push(media["schema"]["$ref"].as_str().expect("a named schema").rsplit('/').next().unwrap().to_owned());
                }
            }
        }
    }
    for schema in refs {
        assert!(shown.contains(&schema.as_str()), "{schema} has no example");
    }
}

#[test]
fn requests_that_the_document_allows_are_read() {
    for (schema, request, read) in examples::requests() {
        assert!(validator(schema, false).is_valid(&request), "{schema}: {request}");
        read(&request.to_string()).unwrap_or_else(|e| panic!("{schema}: {e}: {request}"));
    }
}

/// serde reads what the examples hold, and the document knows it: so every documented field must be in an example.
#[test]
fn every_field_of_a_request_is_in_an_example() {
    let document = document();
    let examples = examples::requests();
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        for field in schema["properties"].as_object().into_iter().flatten().map(|(field, _)| field) {
            let shown = |(of, request, _): &(&str, Value, _)| of == name && request.get(field).is_some();
            assert!(!name.ends_with("Request") || examples.iter().any(shown), "{name}.{field}");
        }
    }
}

#[test]
fn every_operation_is_described_and_named() {
    let document = document();
    assert_eq!(document["openapi"], "3.0.3");
    let text = document.to_string();
    assert!(!text.contains(r#""parameters":null"#) && !text.contains("charset") && !text.contains("IDEMPOTENCY"));
    for (path, operations) in document["paths"].as_object().unwrap() {
        for operation in operations.as_object().unwrap().values() {
            let id = operation["operationId"].as_str().unwrap_or_else(|| panic!("{path} has no id"));
            assert!(operation["summary"].is_string() && operation["tags"].is_array(), "{id}");
            let open = path == "/livez" || path == "/readyz";
            assert_eq!(operation.get("security").is_none(), open, "{id}");
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                assert!(parameter["description"].is_string(), "{id}: {parameter}");
            }
        }
    }
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        let described = schema["properties"].as_object().into_iter().flatten().all(|(_, p)| p["description"].is_string());
        assert!(described, "{name} has a field without description");
        assert!(schema["title"] == name.as_str() && schema["description"].is_string(), "{name}");
    }
}

#[test]
fn the_page_shows_the_corrected_document() {
    let page = page();
    assert!(page.contains(r#""openapi":"3.0.3""#));
    assert!(!page.contains(r#""openapi":"3.0.0""#));
}
