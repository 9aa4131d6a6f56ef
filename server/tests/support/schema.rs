//! Every frame that any test is sent, held to the published schema.

use std::sync::OnceLock;

use jsonschema::Validator;
use serde_json::Value;

/// Fails unless the frame is one that `docs/schemas/fleet-frame.json` describes.
pub(crate) fn check(frame: &Value) {
    static SCHEMA: OnceLock<Validator> = OnceLock::new();
    let schema = SCHEMA.get_or_init(|| {
        let text = include_str!("../../../docs/schemas/fleet-frame.json");
        let schema = serde_json::from_str(text).expect("the schema is JSON");
        jsonschema::validator_for(&schema).expect("a schema")
    });
    if let Err(error) = schema.validate(frame) {
        panic!("not as docs/schemas/fleet-frame.json has it: {error}: {frame}");
    }
}
