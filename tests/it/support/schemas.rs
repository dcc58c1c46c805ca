//! The committed JSON Schemas. Every JSON document that a test reads is held
//! against the one of its command: fields that are missing, of another type, in
//! another order or unknown to the schema fail the test.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::OnceLock;

use serde_json::{Value, json};

/// The address that the schemas give themselves.
const BASE: &str = "https://keyctl.example/schemas/";

struct Schema {
    document: Value,
    strict: jsonschema::Validator,
}

pub fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/schemas")
}

/// Returns the schema files by name, as they are committed.
pub fn files() -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|it| it == "json") {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            found.insert(name, serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap());
        }
    }
    found
}

fn schemas() -> &'static BTreeMap<String, Schema> {
    static SCHEMAS: OnceLock<BTreeMap<String, Schema>> = OnceLock::new();
    SCHEMAS.get_or_init(|| {
        let mut files = files();
        let mut common = files.remove("common").unwrap();
        close(&mut common);
        files
            .into_iter()
            .map(|(name, document)| {
                let mut closed = document.clone();
                close(&mut closed);
                let common = jsonschema::Resource::from_contents(common.clone()).unwrap();
                let options = jsonschema::options().with_resource(format!("{BASE}common.json"), common);
                let strict = options.build(&closed).unwrap_or_else(|error| panic!("{name}.json: {error}"));
                (name, Schema { document, strict })
            })
            .collect()
    })
}

/// For users a new field is no error; in the tests it has to be entered.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            if fields.contains_key("properties") {
                fields.insert("additionalProperties".to_owned(), json!(false));
            }
            fields.values_mut().for_each(close);
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

/// Fails unless a document is as its command's schema says. A failure before
/// the command is known has none.
#[track_caller]
pub fn check(document: &Value) {
    let Some(command) = document["command"].as_str() else { return };
    let Some(schema) = schemas().get(command) else {
        // Raw commands have documents for their failures only, and those on stderr.
        assert!(document.get("data").is_none(), "docs/schemas has no {command}.json");
        return;
    };
    let faults: Vec<String> =
        schema.strict.iter_errors(document).map(|it| format!("{}: {it}", it.instance_path)).collect();
    assert!(faults.is_empty(), "docs/schemas/{command}.json:\n{}\n{document:#}", faults.join("\n"));
    if let Some(data) = document.get("data") {
        assert!(
            in_order(data, &schema.document["properties"]["data"]),
            "the fields are in another order than in docs/schemas/{command}.json:\n{document:#}"
        );
    }
}

/// Returns whether the fields of each object are in the order of the schema:
/// the plain format is made of them.
fn in_order(value: &Value, schema: &Value) -> bool {
    if let Some(list) = schema.get("anyOf").and_then(Value::as_array) {
        return list.iter().any(|it| fits(value, it) && in_order(value, it));
    }
    match value {
        Value::Object(fields) => {
            let Some(known) = schema.get("properties").and_then(Value::as_object) else { return true };
            let places: Vec<Option<usize>> =
                fields.keys().map(|name| known.keys().position(|it| it == name)).collect();
            places.is_sorted()
                && fields.iter().all(|(name, value)| known.get(name).is_none_or(|it| in_order(value, it)))
        }
        Value::Array(items) => {
            schema.get("items").is_none_or(|it| items.iter().all(|item| in_order(item, it)))
        }
        _ => true,
    }
}

/// Returns whether a value may be of this alternative at all.
fn fits(value: &Value, schema: &Value) -> bool {
    let (Some(fields), Some(known)) =
        (value.as_object(), schema.get("properties").and_then(Value::as_object))
    else {
        return !value.is_object();
    };
    fields.keys().all(|name| known.contains_key(name))
}
