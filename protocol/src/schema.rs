//! JSON Schemas of frames, events and API bodies, generated from the types.
//!
//! `cargo run --package roomcast-protocol --features schema --example schemas` writes them to
//! `docs/schemas/`. They are read by those who write clients in other languages, and the documents of
//! the API refer to them.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use crate::limits::REF_CHARS_MAX;
use crate::{ClientFrame, ServerFrame, api, event};

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// Every schema by the name of its file in `docs/schemas/`, as that file has it.
pub fn documents() -> Vec<(&'static str, String)> {
    [
        ("client-frame.json", client_frames()),
        ("fleet-frame.json", fleet_frames()),
        ("event.json", events()),
        ("api.json", api_shapes()),
    ]
    .into_iter()
    .map(|(name, schema)| (name, format!("{schema:#}\n")))
    .collect()
}

fn client_frames() -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let frames = one_of(ClientFrame::json_schema(&mut generator).to_value());
    let frames = by_name(frames, "/properties/type/const", |frame| {
        let fields = frame["properties"]
            .as_object_mut()
            .expect("a frame has fields");
        let reference = json!({
            "type": "string",
            "maxLength": REF_CHARS_MAX,
            "description": "The client's own name for the frame, which comes back on its answer.",
        });
        fields.insert("ref".to_owned(), reference);
        let required = frame["required"].clone();
        take_null(&mut frame["properties"], &required);
    });
    let mut document = document(
        "Roomcast client frame",
        "What a client says, as one WebSocket text message.",
        frames,
        generator,
    );
    let after = &mut document["$defs"]["RoomAfter"]["properties"]["after"];
    let seq = after["$ref"].take();
    *after = json!({
        "anyOf": [{ "$ref": seq }, { "type": "null" }],
        "description": after["description"].take(),
    });
    document
}

fn fleet_frames() -> Value {
    let mut generator = settings_of_writing().into_generator();
    let frames = one_of(ServerFrame::json_schema(&mut generator).to_value());
    let frames = by_name(frames, "/properties/type/const", never_null);
    document(
        "Roomcast fleet frame",
        "What the fleet says, as one WebSocket text message. A client ignores types and fields it does not know.",
        frames,
        generator,
    )
}

fn events() -> Value {
    let mut generator = settings_of_writing().into_generator();
    let envelopes = one_of(event::schema_of_events(&mut generator).to_value());
    let envelopes = by_name(envelopes, "/properties/eventType/const", never_null);
    document(
        "Roomcast event",
        "An event of a room's log, in the shared envelope of the bus.",
        envelopes,
        generator,
    )
}

fn api_shapes() -> Value {
    let mut generator = settings_of_writing().into_generator();
    macro_rules! shapes {
        ($($name:ident)*) => { $(generator.subschema_for::<api::$name>();)* };
    }
    shapes! {
        RoomView RoomEntry RoomEntries RoomViews Marks MemberView MemberViews UserView UserViews
        ReactionView MessageView HistoryPage PresenceView PresenceViews TokensView
        SessionView SessionViews Problem
    }
    let mut schema = json!({
        "$schema": DIALECT,
        "title": "Roomcast HTTP bodies",
        "description": "The shapes of the HTTP API's bodies, by name.",
        "$defs": generator.take_definitions(true),
    });
    never_null(&mut schema);
    schema
}

fn settings_of_writing() -> SchemaSettings {
    SchemaSettings::draft2020_12().for_serialize()
}

/// Server frames omit absent fields: they never have `null`.
fn never_null(schema: &mut Value) {
    let is_null = |kind: &Value| kind == "null" || kind == &json!({ "type": "null" });
    for key in ["type", "anyOf"] {
        let Some(Value::Array(kinds)) = schema.get_mut(key) else {
            continue;
        };
        kinds.retain(|kind| !is_null(kind));
        let only = (kinds.len() == 1).then(|| kinds.remove(0));
        match (key, only) {
            ("type", Some(only)) => schema["type"] = only,
            (_, Some(only)) => {
                let schema = schema.as_object_mut().expect("it has a field");
                schema.remove(key);
                schema.extend(only.as_object().cloned().unwrap_or_default());
            }
            (_, None) => {}
        }
    }
    match schema {
        Value::Object(fields) => fields.values_mut().for_each(never_null),
        Value::Array(entries) => entries.iter_mut().for_each(never_null),
        _ => {}
    }
}

fn one_of(mut schema: Value) -> Vec<Value> {
    match schema["oneOf"].take() {
        Value::Array(each) => each,
        _ => unreachable!("an enum is one of its variants"),
    }
}

/// The variants by their tag, each changed by `change`.
fn by_name(variants: Vec<Value>, at: &str, change: impl Fn(&mut Value)) -> Map<String, Value> {
    variants
        .into_iter()
        .map(|mut variant| {
            change(&mut variant);
            let name = variant.pointer(at).and_then(Value::as_str);
            (name.expect("a variant has a name").to_owned(), variant)
        })
        .collect()
}

/// One schema for each variant under `$defs`, so that others can refer to it, and all of them as one.
fn document(
    title: &str,
    says: &str,
    variants: Map<String, Value>,
    mut generator: SchemaGenerator,
) -> Value {
    let one_of: Vec<Value> = variants
        .keys()
        .map(|name| json!({ "$ref": format!("#/$defs/{name}") }))
        .collect();
    let mut definitions = generator.take_definitions(true);
    definitions.values_mut().for_each(never_null);
    definitions.extend(variants);
    json!({
        "$schema": DIALECT,
        "title": title,
        "description": says,
        "oneOf": one_of,
        "$defs": definitions,
    })
}

/// `null` in an optional field is the same as its absence.
fn take_null(fields: &mut Value, required: &Value) {
    let required = required.as_array().map(Vec::as_slice).unwrap_or_default();
    let fields = fields.as_object_mut().into_iter().flatten();
    for (_, field) in fields.filter(|(name, _)| !required.contains(&json!(name))) {
        if let Some(Value::String(kind)) = field.get("type") {
            field["type"] = json!([kind, "null"]);
        }
    }
}
