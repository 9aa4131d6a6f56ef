//! `docs/openapi.yaml` against the program: the same calls, the schemas of the very types that are sent,
//! and responses that match it.

mod recorder;

use std::collections::BTreeSet;

use roomcast::api::routes::ROUTES;
use roomcast_protocol::api;
use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use crate::http_api::{PASSWORD, person, user};
use crate::support::node::{Node, unique};
use recorder::Recorder;

/// Calls that are in the document and not in the table of routes: the gateway's and the admin port's.
const ELSEWHERE: [&str; 4] = ["GET /v1/ws", "GET /livez", "GET /readyz", "GET /metrics"];

fn document() -> Value {
    let text = include_str!("../../docs/openapi.yaml");
    serde_norway::from_str(text).expect("docs/openapi.yaml is YAML")
}

#[test]
fn the_document_has_exactly_the_calls_there_are() {
    let document = document();
    let mut described = BTreeSet::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for method in item.as_object().expect("a path item").keys() {
            if method != "parameters" && method != "servers" {
                described.insert(format!("{} {path}", method.to_uppercase()));
            }
        }
    }
    let mut served: BTreeSet<_> = ROUTES
        .iter()
        .map(|route| format!("{} {}", route.method, route.path))
        .collect();
    served.extend(ELSEWHERE.map(str::to_owned));
    assert_eq!(described, served);
}

/// The schemas of everything that is answered, made from the types that are serialized.
fn schemas() -> serde_json::Map<String, Value> {
    let settings = SchemaSettings::draft2020_12()
        .for_serialize()
        .with(|settings| settings.definitions_path = "/components/schemas".into());
    let mut generator = settings.into_generator();
    generator.subschema_for::<api::RoomEntries>();
    generator.subschema_for::<api::RoomViews>();
    generator.subschema_for::<api::MemberViews>();
    generator.subschema_for::<api::UserViews>();
    generator.subschema_for::<api::HistoryPage>();
    generator.subschema_for::<api::MessageView>();
    generator.subschema_for::<api::PresenceViews>();
    generator.subschema_for::<api::TokensView>();
    generator.subschema_for::<api::SessionViews>();
    generator.subschema_for::<api::Problem>();
    generator.take_definitions(true)
}

#[test]
fn the_document_has_the_schemas_of_the_types() {
    let document = document();
    let stale: serde_json::Map<String, Value> = schemas()
        .into_iter()
        .filter(|(name, schema)| document["components"]["schemas"].get(name) != Some(schema))
        .collect();
    let yaml = serde_norway::to_string(&stale).expect("schemas are YAML");
    assert!(
        stale.is_empty(),
        "components.schemas in docs/openapi.yaml should have:\n{yaml}"
    );
}

#[test]
fn every_call_responds_as_documented() {
    let node = Node::shared();
    let mut recorder = Recorder::new(&node, document());
    accounts(&mut recorder);
    rooms(&mut recorder);
    let silent: Vec<_> = ROUTES
        .iter()
        .map(|route| format!("{} {}", route.method, route.path))
        .filter(|call| !recorder.answered.contains(call))
        .collect();
    assert_eq!(silent, [""; 0], "never answered with success");
}

fn accounts(recorder: &mut Recorder<'_>) {
    let credentials = json!({ "name": unique("p"), "password": PASSWORD });
    let account = recorder.call("POST", "/v1/accounts", "", credentials.clone());
    recorder.call("POST", "/v1/accounts", "", credentials.clone());
    let tokens = recorder.call("POST", "/v1/sessions", "", credentials.clone());
    recorder.call("POST", "/v1/sessions", "", json!({}));
    let refresh = json!({ "refreshToken": tokens["refreshToken"] });
    recorder.call("POST", "/v1/sessions/refresh", "", refresh);
    let token = tokens["accessToken"].as_str().expect("a token");
    recorder.call("GET", "/v1/me", token, Value::Null);
    recorder.call("GET", "/v1/me", "", Value::Null);
    recorder.call("PATCH", "/v1/me", token, json!({ "displayName": "x" }));
    let user_id = account["userId"].as_str().expect("an id");
    recorder.call("GET", &format!("/v1/users/{user_id}"), token, Value::Null);
    recorder.call("GET", "/v1/users/nobody-of-this-name", token, Value::Null);
    recorder.call("GET", "/v1/users?name=p&limit=1", token, Value::Null);
    recorder.call("GET", "/v1/me/sessions", token, Value::Null);
    let again = recorder.call("POST", "/v1/sessions", "", credentials);
    let again = again["accessToken"].as_str().expect("a token");
    let sessions = recorder.call("GET", "/v1/me/sessions", again, Value::Null);
    let other = sessions["sessions"].as_array().expect("a list").iter();
    let other = other.filter(|session| session["current"] == false);
    let other = other.map(|session| session["sessionId"].as_str().expect("an id"));
    for session_id in other {
        let path = format!("/v1/me/sessions/{session_id}");
        recorder.call("DELETE", &path, again, Value::Null);
        recorder.call("DELETE", &path, again, Value::Null);
    }
    recorder.call("DELETE", "/v1/me/sessions", again, Value::Null);
    recorder.call("DELETE", "/v1/sessions/current", again, Value::Null);
    let other = person(recorder.node);
    recorder.call("DELETE", "/v1/me", &other.token, Value::Null);
    let (host, path) = (recorder.node.admin_token(), format!("/v1/users/{user_id}"));
    recorder.call("DELETE", &path, &recorder.node.token("u"), Value::Null);
    recorder.call("DELETE", &path, &host, Value::Null);
}

fn rooms(recorder: &mut Recorder<'_>) {
    let ((owner_id, owner), (guest_id, _)) = (user(recorder.node), user(recorder.node));
    let direct = json!({ "kind": "DIRECT", "memberIds": [guest_id] });
    recorder.call("POST", "/v1/rooms", &owner, direct);
    let group = json!({ "kind": "GROUP", "visibility": "PUBLIC", "name": unique("room") });
    let room = recorder.call("POST", "/v1/rooms", &owner, group);
    let room = format!("/v1/rooms/{}", room["roomId"].as_str().expect("an id"));
    let member = format!("{room}/members/{guest_id}");
    recorder.call("PUT", &member, &owner, Value::Null);
    recorder.call("PUT", &member, &owner, Value::Null);
    recorder.call("PATCH", &member, &owner, json!({ "role": "ADMIN" }));
    recorder.call("GET", &format!("{room}/members"), &owner, Value::Null);
    let messages = format!("{room}/messages");
    let message = json!({ "content": "hello", "clientMsgId": "c1", "mentions": [guest_id] });
    let ack = recorder.call("POST", &messages, &owner, message.clone());
    recorder.call("POST", &messages, &owner, message);
    recorder.call("POST", &messages, &owner, json!({ "content": "" }));
    recorder.call("GET", &messages, &owner, Value::Null);
    recorder.call("GET", &format!("{messages}?after=0"), &owner, Value::Null);
    recorder.call("GET", &format!("{messages}?limit=0"), &owner, Value::Null);
    let message_id = ack["messageId"].as_str().expect("an id");
    recorder.call(
        "GET",
        &format!("{messages}/{message_id}"),
        &owner,
        Value::Null,
    );
    recorder.call("GET", "/v1/rooms", &owner, Value::Null);
    recorder.call("GET", "/v1/rooms?visibility=PUBLIC", &owner, Value::Null);
    recorder.call("GET", &room, &owner, Value::Null);
    recorder.call("PATCH", &room, &owner, json!({ "topic": "tea" }));
    recorder.call("DELETE", &member, &owner, Value::Null);
    recorder.call("DELETE", &room, &owner, Value::Null);
    recorder.call("GET", &room, &owner, Value::Null);
    let asked = format!("/v1/presence?userId={owner_id}&userId={guest_id}");
    recorder.call("GET", &asked, &owner, Value::Null);
}
