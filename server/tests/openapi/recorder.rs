//! Makes calls and compares each response with the document.

use std::collections::BTreeSet;

use roomcast::api::routes::ROUTES;
use serde_json::{Value, json};

use crate::support::node::Node;

/// Calls, checked one by one.
pub(crate) struct Recorder<'a> {
    pub(crate) node: &'a Node,
    /// The calls that were answered with success, as `METHOD /path/{id}`.
    pub(crate) answered: BTreeSet<String>,
    document: Value,
}

impl<'a> Recorder<'a> {
    pub(crate) fn new(node: &'a Node, document: Value) -> Self {
        let answered = BTreeSet::new();
        Self {
            node,
            answered,
            document,
        }
    }

    /// One call; gives the reply's JSON.
    pub(crate) fn call(&mut self, method: &str, path: &str, token: &str, body: Value) -> Value {
        let template = template(method, path);
        let item = &self.document["paths"][template];
        let operation = &item[method.to_lowercase()];
        let takes_it = body.is_null() || operation.get("requestBody").is_some();
        assert!(
            takes_it,
            "{method} {template} takes no body, says the document"
        );
        let reply = self.node.call(method, path, token, body);
        let answer = if reply.body.is_empty() {
            Value::Null
        } else {
            reply.json()
        };
        let status = reply.status.to_string();
        let responses = &operation["responses"];
        let described = responses.get(&status).unwrap_or(&responses["default"]);
        let described = self.resolved(described);
        let content_type = reply.header("content-type").unwrap_or_default();
        match described["content"].as_object() {
            None => assert_eq!(answer, Value::Null, "{method} {template} {status}"),
            Some(content) => {
                let media = content.get(content_type);
                let media = media.unwrap_or_else(|| panic!("{method} {template}: {content_type}"));
                self.validate(
                    &media["schema"],
                    &answer,
                    &format!("{method} {template} {status}"),
                );
            }
        }
        if reply.status < 300 {
            assert!(
                responses.get(&status).is_some(),
                "{method} {template}: {status} is not described"
            );
            self.answered.insert(format!("{method} {template}"));
        }
        answer
    }

    fn resolved<'v>(&'v self, described: &'v Value) -> &'v Value {
        let pointer = described["$ref"]
            .as_str()
            .and_then(|text| text.strip_prefix('#'));
        match pointer {
            Some(pointer) => self
                .document
                .pointer(pointer)
                .expect("a reference that leads somewhere"),
            None => described,
        }
    }

    fn validate(&self, schema: &Value, answer: &Value, call: &str) {
        let schema = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "allOf": [schema],
            "components": self.document["components"],
        });
        let validator = jsonschema::validator_for(&schema).expect("a schema");
        let faults: Vec<_> = validator
            .iter_errors(answer)
            .map(|fault| format!("{}: {fault}", fault.instance_path))
            .collect();
        assert!(faults.is_empty(), "{call}: {faults:#?}\n{answer}");
    }
}

fn template(method: &str, path: &str) -> &'static str {
    let path = path.split('?').next().unwrap_or_default();
    let matches = |template: &str| {
        let (mut wanted, mut given) = (template.split('/'), path.split('/'));
        loop {
            match (wanted.next(), given.next()) {
                (None, None) => return true,
                (Some(wanted), Some(given)) if wanted.starts_with('{') || wanted == given => {}
                _ => return false,
            }
        }
    };
    // A name in the table goes before a pattern that would take it as well.
    let mut known: Vec<_> = ROUTES
        .iter()
        .filter(|route| route.method == method && matches(route.path))
        .collect();
    known.sort_by_key(|route| route.path.matches('{').count());
    known
        .first()
        .unwrap_or_else(|| panic!("no route for {method} {path}"))
        .path
}
