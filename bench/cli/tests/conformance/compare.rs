//! Compares an image with an expected one (a golden).

use crate::image::{Image, Tree};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The compared fields of the configuration. An empty field equals an absent one.
const CONFIG: [&str; 12] = [
    "Env",
    "Entrypoint",
    "Cmd",
    "WorkingDir",
    "User",
    "ExposedPorts",
    "Volumes",
    "Labels",
    "StopSignal",
    "Healthcheck",
    "OnBuild",
    "Shell",
];
/// The compared attributes of a path. The type comes first because each type has other attributes.
const ATTRIBUTES: [&str; 10] = ["mode", "uid", "gid", "size", "sha256", "link", "hard", "dev", "xattrs", "mtime"];

/// Returns the differences of an image from the golden, one line each.
pub(crate) fn differences(case: &Value, golden: &Value, base: Option<&Tree>, found: &Image) -> Vec<String> {
    let mut differences = Vec::new();
    let mut check = |field: &str, expected: &Value, found: &Value| {
        let also = case["alsoAccept"][field].as_array();
        if expected != found && !also.is_some_and(|also| also.contains(found)) {
            differences.push(format!("{field}: {found}, not {expected}"));
        }
    };
    for field in CONFIG {
        check(&format!("config.{field}"), &filled(&golden["config"][field]), &filled(&found.config[field]));
    }
    check("layers", &golden["layers"], &json!(found.layers.1));
    let with_layer = found.history.iter().filter(|entry| entry[1] == false).count();
    check("history entries with a layer", &json!(found.layers.0), &json!(with_layer));

    let expected = expanded(golden, base);
    let paths: BTreeSet<&String> = expected.keys().chain(found.tree.keys()).collect();
    for path in paths {
        let kind = |attributes: Option<&Map<String, Value>>| {
            attributes.map_or(Value::Null, |attributes| attributes["type"].clone())
        };
        let (want, have) = (expected.get(path), found.tree.get(path).map(|node| &node.attributes));
        check(&format!("{path} type"), &kind(want), &kind(have));
        let (Some(want), Some(have)) = (want, have) else { continue };
        for attribute in ATTRIBUTES {
            // The times of the build itself vary, so goldens do not contain them.
            if attribute == "mtime" && (want["type"] == "dir" || !want.contains_key("mtime")) {
                continue;
            }
            let value = |attributes: &Map<String, Value>| attributes.get(attribute).cloned().unwrap_or_default();
            check(&format!("{path} {attribute}"), &value(want), &value(have));
        }
    }
    differences
}

/// A field of a configuration. Empty values count as absent, also in a health check.
fn filled(value: &Value) -> Value {
    let empty = |value: &Value| match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::Bool(_) => false,
    };
    let mut value = value.clone();
    if let Some(map) = value.as_object_mut().filter(|map| map.contains_key("Test")) {
        map.retain(|_, value| !empty(value));
    }
    if empty(&value) { Value::Null } else { value }
}

/// The whole tree of a golden, which is stored as the difference from the base.
fn expanded(golden: &Value, base: Option<&Tree>) -> BTreeMap<String, Map<String, Value>> {
    let removed: Vec<&str> = golden["removed"].as_array().unwrap().iter().map(|path| path.as_str().unwrap()).collect();
    let gone = |path: &str| removed.iter().any(|other| path == *other || path.starts_with(&format!("{other}/")));
    let base = base.into_iter().flatten().filter(|(path, _)| !gone(path));
    let mut tree: BTreeMap<String, Map<String, Value>> =
        base.map(|(path, node)| (path.clone(), node.attributes.clone())).collect();
    for (path, attributes) in golden["tree"].as_object().unwrap() {
        tree.insert(path.clone(), attributes.as_object().unwrap().clone());
    }
    tree
}
