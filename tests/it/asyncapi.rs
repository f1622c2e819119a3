//! The AsyncAPI document: sound in itself, and true of what nodes send.

mod document;
mod frames;

use std::collections::BTreeSet;

use document::{Direction, document, messages, resolve, strict_validator, validator};
use quota_coordinator::http::live::LiveSettings;
use serde_json::{Value, json};

/// Every reference below a value, with its place.
fn references(value: &Value, place: &str, found: &mut Vec<(String, String)>) {
    match value {
        Value::Object(map) => {
            if let Some(reference) = map.get("$ref") {
                found.push((place.to_owned(), reference.as_str().unwrap().to_owned()));
            }
            map.iter().for_each(|(key, value)| references(value, &format!("{place}/{key}"), found));
        }
        Value::Array(list) => list.iter().for_each(|value| references(value, place, found)),
        _ => {}
    }
}

#[test]
fn references_lead_somewhere_and_nothing_is_left_over() {
    let mut found = Vec::new();
    references(document(), "", &mut found);
    for (place, reference) in &found {
        assert!(resolve(reference).is_some(), "{place}: {reference} leads nowhere");
    }
    let used: BTreeSet<&str> = found.iter().map(|(_, reference)| reference.as_str()).collect();
    for kind in ["schemas", "messages", "correlationIds", "securitySchemes"] {
        for name in document()["components"][kind].as_object().unwrap().keys() {
            let own = format!("#/components/{kind}/{name}");
            assert!(used.contains(own.as_str()), "{own} is not used");
        }
    }
    for name in document()["channels"]["quota"]["messages"].as_object().unwrap().keys() {
        assert!(used.contains(format!("#/channels/quota/messages/{name}").as_str()), "no operation has {name}");
    }
}

#[test]
fn every_message_has_examples_that_its_schema_allows() {
    assert_eq!(messages().len(), 17);
    for message in messages() {
        let (allows, knows) = (validator(message.payload.clone()), strict_validator(&message));
        assert!(!message.examples.is_empty(), "{} has no example", message.key);
        for example in message.examples {
            let payload = &example["payload"];
            assert_eq!(payload["type"], message.name.as_str(), "{}", message.key);
            let mut errors = allows.iter_errors(payload).chain(knows.iter_errors(payload));
            let error = errors.next().map(|error| format!("{error} at {}", error.instance_path()));
            assert_eq!(error, None, "{} of {payload}", message.key);
        }
    }
}

#[test]
fn schemas_refuse_what_nodes_never_send() {
    let initial = messages().into_iter().find(|message| message.name == "quota_initial").unwrap();
    let schema = validator(initial.payload.clone());
    let good = &initial.examples[0]["payload"];
    let mut late = good.clone();
    late["a_field_of_a_later_version"] = 1.into();
    assert!(schema.is_valid(&late) && !strict_validator(&initial).is_valid(&late));
    for (pointer, value) in [
        ("/type", json!("quota_update")),
        ("/cursor", json!(null)),
        ("/timestamp", json!("yesterday")),
        ("/data/status", json!("purple")),
        ("/data/limits/0/used", json!(-1)),
        ("/data/limits/0/remaining", json!("1.5 dollars")),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(pointer).unwrap() = value;
        assert!(!schema.is_valid(&bad), "{pointer}");
    }
}

#[test]
fn commands_are_what_nodes_understand() {
    let named: BTreeSet<String> =
        messages().iter().filter(|message| message.direction == Direction::ToNode).map(|message| message.name.clone()).collect();
    let expected = ["authenticate", "ping", "pong", "request_status", "subscribe", "unsubscribe"];
    assert_eq!(named, expected.map(str::to_owned).into());
}

/// Pairs of a close code and its reason in the source of the edge: `(4200, "drain")`.
fn closes_in(code: &str) -> BTreeSet<(u64, String)> {
    let pair = |(at, _): (usize, &str)| {
        let (number, rest) = code[at + 1..].split_once(", \"")?;
        let (reason, _) = rest.split_once("\")")?;
        Some((number.parse().ok().filter(|number| *number >= 1000)?, reason.to_owned()))
    };
    code.match_indices('(').filter_map(pair).collect()
}

#[test]
fn close_codes_are_those_of_the_source() {
    let source = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/http/live/session.rs")).unwrap();
    let documented = document()["channels"]["quota"]["x-close-codes"].as_array().unwrap();
    let of = |close: &Value| (close["code"].as_u64().unwrap(), close["reason"].as_str().unwrap().to_owned());
    assert_eq!(documented.iter().map(of).collect::<BTreeSet<_>>(), closes_in(&source));
    for close in documented {
        let range = match close["code"].as_u64().unwrap() {
            1002 | 1007 | 1009 | 4000..4100 => "stop",
            4200..4300 => "resume",
            _ => "retry",
        };
        assert_eq!(close["client"], range, "{close}");
    }
}

#[test]
fn limits_and_version_are_those_of_the_source() {
    let settings = LiveSettings::default();
    let millis = |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap();
    assert_eq!(
        document()["channels"]["quota"]["x-limits"],
        json!({
            "message_bytes": settings.message_bytes,
            "message_bytes_before_authentication": settings.unknown_message_bytes,
            "authenticate_within_ms": millis(settings.authenticate_within),
            "subscriptions": settings.max_subscriptions,
            "commands_per_second": settings.commands.0,
            "commands_at_once": settings.commands.1,
            "ping_ms": millis(settings.ping),
            "pong_timeout_ms": millis(settings.pong),
            "write_stall_ms": millis(settings.write_stall),
            "max_age_ms": millis(settings.max_age),
            "ticket_ms": millis(settings.ticket),
        })
    );
    assert_eq!(document()["info"]["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(document()["channels"]["quota"]["address"], quota_coordinator::http::live::WS_PATH);
}
