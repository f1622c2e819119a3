//! The document, and schemas made of it.

use std::sync::LazyLock;

use jsonschema::Validator;
use serde_json::{Value, json};

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi/quota-stream.asyncapi.yaml");
    serde_yaml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
});

/// Who sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    ToNode,
    ToClient,
}

/// One message of the document.
pub struct Message {
    /// In the document.
    pub key: &'static str,
    /// On the wire.
    pub name: String,
    pub direction: Direction,
    pub payload: &'static Value,
    pub examples: &'static [Value],
    /// Why nodes do not send it, where they do not.
    pub not_sent: Option<&'static str>,
}

pub fn document() -> &'static Value {
    &DOCUMENT
}

/// What a reference stands for.
pub fn resolve(reference: &str) -> Option<&'static Value> {
    DOCUMENT.pointer(reference.strip_prefix('#')?)
}

/// Does an operation of that action have the message, itself or as its reply?
fn is_in(action: &str, key: &str) -> bool {
    let own = format!("#/channels/quota/messages/{key}");
    DOCUMENT["operations"].as_object().unwrap().values().any(|operation| {
        let list = if operation["action"] == action { &operation["messages"] } else { &operation["reply"]["messages"] };
        list.as_array().is_some_and(|list| list.iter().any(|message| message["$ref"] == own.as_str()))
    })
}

/// Every message, by its key.
pub fn messages() -> Vec<Message> {
    let list = DOCUMENT["components"]["messages"].as_object().unwrap().iter();
    list.map(|(key, message)| {
        let (to_node, to_client) = (is_in("receive", key), is_in("send", key));
        assert!(to_node != to_client, "{key} must go one way");
        Message {
            key,
            name: message["name"].as_str().unwrap().to_owned(),
            direction: if to_node { Direction::ToNode } else { Direction::ToClient },
            payload: &message["payload"],
            examples: message["examples"].as_array().map_or(&[], Vec::as_slice),
            not_sent: message["x-not-sent"].as_str(),
        }
    })
    .collect()
}

/// A validator of a schema whose references lead into the document.
pub fn validator(schema: Value) -> Validator {
    with_components(schema, &DOCUMENT["components"]["schemas"])
}

fn with_components(mut schema: Value, schemas: &Value) -> Validator {
    schema["components"] = json!({ "schemas": schemas });
    jsonschema::options().with_draft(jsonschema::Draft::Draft7).should_validate_formats(true).build(&schema).unwrap()
}

/// A validator that refuses every field that the document does not name. Clients must not do so, but a node
/// that sends more than is documented has a document that is not complete.
pub fn strict_validator(message: &Message) -> Validator {
    let (mut schema, mut schemas) = (message.payload.clone(), DOCUMENT["components"]["schemas"].clone());
    close(&mut schema);
    close(&mut schemas);
    with_components(schema, &schemas)
}

fn close(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            map.values_mut().for_each(close);
            if map.get("properties").is_some_and(Value::is_object) && map.contains_key("type") {
                map.insert("additionalProperties".to_owned(), false.into());
            }
        }
        Value::Array(list) => list.iter_mut().for_each(close),
        _ => {}
    }
}
