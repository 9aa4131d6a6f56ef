//! `docs/schemas/` and `docs/asyncapi.yaml` match the code.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use jsonschema::Validator;
use roomcast_protocol::{CloseCode, ErrorCode, schema};
use serde_json::{Map, Value, json};

use crate::cases;
use crate::client_frames::{ENOUGH, WRONG};
use crate::random::Random;
use crate::types;

const WRITE: &str = "cargo run --package roomcast-protocol --features schema --example schemas";

fn docs(path: &str) -> String {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../docs")
        .join(path);
    fs::read_to_string(&file).unwrap_or_else(|error| panic!("docs/{path}: {error}"))
}

fn generated(name: &str) -> Value {
    let documents = schema::documents();
    let found = documents.iter().find(|(file, _)| *file == name);
    serde_json::from_str(&found.expect(name).1).unwrap()
}

fn validator(schema: &Value) -> Validator {
    jsonschema::validator_for(schema).expect("the schema is one")
}

/// Folder of the golden files, schema, path of a value's type, and path of its fields.
const SAID: [(&str, &str, &str, &str); 3] = [
    ("client", "client-frame.json", "/type", ""),
    ("fleet", "fleet-frame.json", "/type", ""),
    ("event", "event.json", "/eventType", "/payload"),
];

fn golden(folder: &str) -> Vec<Value> {
    let files = cases::files();
    let of_folder = files.iter().filter(|(path, _)| path.starts_with(folder));
    of_folder
        .map(|(_, bytes)| serde_json::from_slice(bytes).unwrap())
        .collect()
}

#[test]
fn the_schemas_are_those_of_the_types() {
    for (name, text) in schema::documents() {
        let stored: Value = serde_json::from_str(&docs(&format!("schemas/{name}"))).unwrap();
        let made: Value = serde_json::from_str(&text).unwrap();
        assert!(stored == made, "docs/schemas/{name} is stale: `{WRITE}`");
    }
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/schemas");
    let files = fs::read_dir(folder).unwrap().count();
    assert_eq!(
        files,
        schema::documents().len(),
        "docs/schemas has another file"
    );
}

#[test]
fn every_golden_file_is_valid() {
    for (folder, file, ..) in SAID {
        let validator = validator(&generated(file));
        for value in golden(folder) {
            let faults: Vec<_> = validator
                .iter_errors(&value)
                .map(|e| e.to_string())
                .collect();
            assert!(faults.is_empty(), "{value}: {faults:?}");
        }
    }
}

#[test]
fn golden_files_show_each_field_of_the_schemas_there_and_optional_ones_absent() {
    for (folder, file, type_at, fields_at) in SAID {
        let schema = generated(file);
        let golden = golden(folder);
        for reference in schema["oneOf"].as_array().unwrap() {
            let name = reference["$ref"]
                .as_str()
                .unwrap()
                .trim_start_matches("#/$defs/");
            let path = fields_at.replace('/', "/properties/");
            let definition = schema["$defs"][name].pointer(&path).unwrap();
            let of_type: Vec<&Map<String, Value>> = golden
                .iter()
                .filter(|value| value.pointer(type_at).unwrap() == name)
                .map(|value| value.pointer(fields_at).unwrap().as_object().unwrap())
                .collect();
            let shown: BTreeSet<_> = of_type.iter().flat_map(|fields| fields.keys()).collect();
            let known: BTreeSet<_> = keys(&definition["properties"]).collect();
            assert_eq!(shown, known, "{folder} {name}");
            let required = definition["required"].as_array().unwrap();
            for field in known
                .iter()
                .filter(|field| !required.contains(&json!(field)))
            {
                let absent = of_type.iter().any(|fields| !fields.contains_key(*field));
                assert!(absent, "no golden {name} is without {field}");
            }
        }
    }
}

fn keys(object: &Value) -> impl Iterator<Item = &String> {
    object.as_object().into_iter().flat_map(Map::keys)
}

#[test]
fn the_schema_of_client_frames_takes_and_refuses_what_the_fleet_does() {
    let validator = validator(&generated("client-frame.json"));
    let said = |fields: &str| serde_json::from_str::<Value>(&format!("{{{fields}}}")).unwrap();
    for fields in ENOUGH {
        let nulls =
            r#","ref":null,"clientMsgId":null,"presence":null,"mentions":null,"after":null"#;
        for fields in [fields.to_owned(), format!("{fields}{nulls},\"future\":[]")] {
            assert!(validator.is_valid(&said(&fields)), "{fields}");
        }
    }
    for (fields, _) in WRONG {
        assert!(!validator.is_valid(&said(fields)), "{fields}");
    }
    assert!(!validator.is_valid(&json!({ "type": "MARK", "roomId": "R88" })));
    assert!(!validator.is_valid(&json!({ "type": "CALL_OFFER" })));
    for seed in 0..300 {
        let mut random = Random::new(seed);
        let text = random.client_frame().to_json(Some("7"));
        assert!(
            validator.is_valid(&serde_json::from_str(&text).unwrap()),
            "seed {seed}: {text}"
        );
    }
}

#[test]
fn server_frames_from_any_seed_are_valid() {
    let frames = validator(&generated("fleet-frame.json"));
    let events = validator(&generated("event.json"));
    for seed in 0..300 {
        let stored = Random::new(seed).stored_event();
        let frame = serde_json::from_slice(&stored.frame().to_json()).unwrap();
        assert!(frames.is_valid(&frame), "seed {seed}: {frame}");
        let event = roomcast_protocol::event::encode(&stored.event);
        let event = serde_json::from_slice(&event).unwrap();
        assert!(events.is_valid(&event), "seed {seed}: {event}");
    }
}

fn asyncapi() -> Value {
    // Its own kind of value refuses keys that come twice; JSON's would keep the last one.
    let document: serde_norway::Value =
        serde_norway::from_str(&docs("asyncapi.yaml")).expect("docs/asyncapi.yaml is YAML");
    serde_json::to_value(document).unwrap()
}

fn names(prefix: &str, names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| format!("{prefix}{name}")).collect()
}

#[test]
fn asyncapi_has_every_frame_and_event_once_and_no_other() {
    let document = asyncapi();
    let mut frames = names("client.", types::CLIENT);
    frames.extend(names("fleet.", types::FLEET));
    for (channel, expected) in [("socket", frames), ("events", names("", types::EVENTS))] {
        let messages = &document["channels"][channel]["messages"];
        assert_eq!(keys(messages).cloned().collect::<BTreeSet<_>>(), expected);
        for (key, message) in messages.as_object().unwrap() {
            let (file, name) = match key.split_once('.').unwrap() {
                ("client", name) => ("client-frame.json", name),
                ("fleet", name) => ("fleet-frame.json", name),
                _ => ("event.json", key.as_str()),
            };
            assert_eq!(message["name"], name);
            assert_eq!(
                message["payload"]["$ref"],
                format!("schemas/{file}#/$defs/{name}")
            );
            let payload = &generated(file)["$defs"][name];
            assert_eq!(message["summary"], payload["description"], "{key}");
        }
    }
}

#[test]
fn asyncapi_has_an_operation_for_every_frame() {
    let document = asyncapi();
    let (mut received, mut sent) = (Vec::new(), BTreeSet::new());
    for operation in document["operations"].as_object().unwrap().values() {
        let messages = references(&operation["messages"]);
        if operation["action"] == "receive" {
            received.extend(messages);
            sent.extend(references(&operation["reply"]["messages"]));
        } else {
            sent.extend(messages);
        }
    }
    let at = "#/channels/socket/messages/";
    assert_eq!(received.len(), types::CLIENT.len(), "each in one operation");
    assert_eq!(
        BTreeSet::from_iter(received),
        names(&format!("{at}client."), types::CLIENT)
    );
    assert_eq!(sent, names(&format!("{at}fleet."), types::FLEET));
}

fn references(list: &Value) -> Vec<String> {
    let entries = list.as_array().into_iter().flatten();
    entries
        .map(|entry| entry["$ref"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn asyncapi_has_every_code_and_every_close() {
    let document = asyncapi();
    let codes: Map<String, Value> = ErrorCode::ALL
        .iter()
        .map(|code| {
            let when = &document["x-codes"][code.as_str()]["when"];
            assert!(when.is_string(), "{} says when", code.as_str());
            let (status, retryable) = (code.http_status(), code.retryable());
            let row = json!({ "httpStatus": status, "retryable": retryable, "when": when });
            (code.as_str().to_owned(), row)
        })
        .collect();
    assert_eq!(document["x-codes"], Value::Object(codes));
    let closes: Map<String, Value> = CloseCode::ALL
        .iter()
        .map(|close| {
            let come_back = &document["x-closes"][close.name()]["comeBack"];
            assert!(
                come_back.is_string(),
                "{} says whether to come back",
                close.name()
            );
            let row =
                json!({ "code": close.code(), "reason": close.reason(), "comeBack": come_back });
            (close.name().to_owned(), row)
        })
        .collect();
    assert_eq!(document["x-closes"], Value::Object(closes));
}
