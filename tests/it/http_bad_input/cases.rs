//! Bad bodies and query strings, made from schemas.

use serde_json::{Value, json};

use crate::support::document::{Operation, resolve};

/// A body as it is sent, and what is wrong with it.
pub struct Case {
    pub what: String,
    pub body: String,
}

/// Stands for a value that JSON cannot say, until the body is text.
const RAW: &str = "\u{1}raw";

/// Values that no integer of the API takes, as they stand in JSON.
const NOT_WHOLE: [&str; 10] = ["\"x\"", "\"1\"", "true", "[]", "{}", "-1", "1.5", "NaN", "9007199254740993", "1e400"];
/// Values that no text of the API takes.
const NOT_TEXT: [&str; 6] = ["1", "true", "[]", "{}", "\"a\\u0000b\"", "\"a\\u001bb\""];
/// Values that are no object.
const NOT_OBJECT: [&str; 4] = ["[]", "\"x\"", "1", "NaN"];
/// Keys that no map of the API takes.
const BAD_KEYS: [&str; 3] = ["", "a\u{7}b", "a b"];

fn long() -> String {
    "x".repeat(300)
}

/// Everything that is wrong with a body whatever it is about.
pub fn whole(operation: &Operation) -> Vec<Case> {
    let nested = |open: &str, close: &str| format!("{}1{}", open.repeat(5000), close.repeat(5000));
    let mut list = vec![
        ("not JSON", "{".to_owned()),
        ("two values", "{} {}".to_owned()),
        ("an array", "[]".to_owned()),
        ("an array of objects", "[{}]".to_owned()),
        ("a string", "\"x\"".to_owned()),
        ("a number", "1".to_owned()),
        ("null", "null".to_owned()),
        ("not a number", "NaN".to_owned()),
        ("an unknown field", "{\"no_such_field\":1}".to_owned()),
        ("deep objects", nested("{\"a\":", "}")),
        ("deep arrays", nested("[", "]")),
        ("not UTF-8", "{\"pool\":\"\\ud800\"}".to_owned()),
    ];
    if !operation.body_optional {
        list.push(("nothing", String::new()));
    }
    list.into_iter().map(|(what, body)| Case { what: what.to_owned(), body }).collect()
}

/// Every field of a body's schema, with every value that it must not have.
pub fn fields(schema: &'static Value) -> Vec<Case> {
    let mut cases = Vec::new();
    walk(schema, "", &mut |what, value| {
        let mut body = smallest(schema);
        merge(&mut body, what, value);
        cases.push(body);
    });
    cases.into_iter().map(|body| Case { what: body.to_string(), body: text(&body) }).collect()
}

/// The smallest value that a schema allows.
fn smallest(schema: &'static Value) -> Value {
    let schema = resolve(schema);
    if let Some(word) = schema["enum"].get(0) {
        return word.clone();
    }
    match schema["type"].as_str() {
        Some("object") => {
            let required = schema["required"].as_array().map_or(&[][..], Vec::as_slice);
            let fields = required.iter().map(|name| name.as_str().unwrap());
            fields.map(|name| (name.to_owned(), smallest(&schema["properties"][name]))).collect()
        }
        Some("array") => json!([smallest(&schema["items"])]),
        Some("string") => json!("k"),
        _ => json!(1),
    }
}

/// Calls `found` with a JSON pointer and a value that must not stand there.
fn walk(schema: &'static Value, at: &str, found: &mut dyn FnMut(&str, Value)) {
    let schema = resolve(schema);
    let mut raw = |values: &[&str]| values.iter().for_each(|value| found(at, json!(format!("{RAW}{value}"))));
    if schema["enum"].is_array() {
        raw(&["\"no_such_word\"", "1", "[]", "{}", "true"]);
    } else if schema["oneOf"].is_array() {
        raw(&NOT_WHOLE);
    } else {
        match schema["type"].as_str() {
            Some("object") => {
                raw(if at.is_empty() { &[] } else { &NOT_OBJECT });
                for (name, property) in schema["properties"].as_object().into_iter().flatten() {
                    walk(property, &format!("{at}/{name}"), found);
                }
                if schema["additionalProperties"].is_object() {
                    walk(&schema["additionalProperties"], &format!("{at}/tokens"), found);
                    for key in BAD_KEYS.map(str::to_owned).into_iter().chain([long()]) {
                        let value = smallest(&schema["additionalProperties"]);
                        found(at, json!({key: value}));
                    }
                }
            }
            Some("array") => {
                raw(&["{}", "1", "\"x\"", "[]", "[1]", "[[]]", "[null]", "NaN"]);
                walk(&schema["items"], &format!("{at}/0"), found);
            }
            Some("integer") => raw(&NOT_WHOLE),
            Some("string") => {
                raw(&NOT_TEXT);
                found(at, json!(long()));
            }
            other => panic!("{at}: a type that this test does not know: {other:?}"),
        }
    }
}

/// Puts a value at a pointer, making what is missing on the way.
fn merge(to: &mut Value, pointer: &str, value: Value) {
    let Some(rest) = pointer.strip_prefix('/') else {
        *to = value;
        return;
    };
    let (key, rest) = rest.split_once('/').map_or((rest, String::new()), |(key, rest)| (key, format!("/{rest}")));
    let inner = match to {
        Value::Array(list) => &mut list[key.parse::<usize>().unwrap()],
        to => to.as_object_mut().unwrap().entry(key).or_insert_with(|| json!({})),
    };
    merge(inner, &rest, value);
}

/// JSON text, with raw values as they are.
fn text(body: &Value) -> String {
    match body {
        Value::String(text) => text.strip_prefix(RAW).map_or_else(|| body.to_string(), str::to_owned),
        Value::Array(list) => format!("[{}]", list.iter().map(text).collect::<Vec<_>>().join(",")),
        Value::Object(map) => {
            let entries = map.iter().map(|(key, value)| format!("{}:{}", json!(key), text(value)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(","))
        }
        other => other.to_string(),
    }
}

/// Query strings with a bad value in one of the operation's parameters.
pub fn queries(operation: &Operation) -> Vec<String> {
    let mut list: Vec<String> = Vec::new();
    for (name, schema) in operation.parameters("query") {
        let mut bad = |values: &[&str]| list.extend(values.iter().map(|value| format!("{name}={value}")));
        if schema["enum"].is_array() {
            bad(&["no_such_word", "", "1", "-1", "NaN"]);
        } else {
            match schema["type"].as_str() {
                Some("integer") => bad(&["x", "", "-1", "1.5", "NaN", "9007199254740993", "0"]),
                Some("string") => bad(&["a%00b", "a%1Bb", &long(), "&pool=p"].map(str::as_ref)),
                Some("object") if name == "cost" => {
                    list.extend(NOT_WHOLE.map(|value| format!("cost.tokens={value}")));
                    list.extend(BAD_KEYS.map(|key| format!("cost.{key}=1")));
                }
                Some("object") => {
                    list.extend(BAD_KEYS.map(|key| format!("{name}.{key}=1")));
                    list.push(format!("{name}.k={}", long()));
                    list.push(format!("{name}.{}=1", long()));
                    list.push(format!("{name}.k=a%07b"));
                }
                other => panic!("{name}: a type that this test does not know: {other:?}"),
            }
        }
        list.push(format!("{name}x=1"));
    }
    list
}
