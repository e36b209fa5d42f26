//! The committed JSON Schema is that of the types, and the example records satisfy it.
//!
//! After a change of the types: `UPDATE_SCHEMA=1 cargo test -p buildscope-record --test schema`.

use buildscope_record::{Record, SCHEMA, json_schema};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn home() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn examples() -> impl Iterator<Item = (PathBuf, Vec<u8>)> {
    let folder = std::fs::read_dir(home().join("tests/examples")).unwrap();
    folder.map(|entry| entry.unwrap().path()).map(|path| (path.clone(), std::fs::read(path).unwrap()))
}

#[test]
fn the_committed_schema_is_current() {
    let path = home().join("schema/record.v2.json");
    let now = serde_json::to_string_pretty(&json_schema()).unwrap() + "\n";
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(&path, &now).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap();
    assert!(committed == now, "schema/record.v2.json is not what the types say: run this test with UPDATE_SCHEMA=1");
}

#[test]
fn examples_satisfy_the_schema_and_survive_a_round_trip() {
    let validator = jsonschema::validator_for(&json_schema()).unwrap();
    let mut versions = BTreeSet::new();
    for (path, text) in examples() {
        let instance = serde_json::from_slice(&text).unwrap();
        if let Err(error) = validator.validate(&instance) {
            panic!("{}: {error} at {}", path.display(), error.instance_path());
        }
        let record = Record::from_json(&text).unwrap();
        assert_eq!(serde_json::to_value(&record).unwrap(), instance, "{}", path.display());
        versions.insert(record.schema);
    }
    assert_eq!(versions, (1..=SCHEMA).collect(), "an example of every version is there");
}

#[test]
fn the_schema_refuses_other_documents() {
    let validator = jsonschema::validator_for(&json_schema()).unwrap();
    let (_, text) = examples().next().unwrap();
    let good: serde_json::Value = serde_json::from_slice(&text).unwrap();
    for (field, wrong) in [("wall", "\"1s\""), ("steps", "{}"), ("spans", "[{\"id\": 1}]"), ("source", "null")] {
        let mut bad = good.clone();
        bad[field] = serde_json::from_str(wrong).unwrap();
        assert!(!validator.is_valid(&bad), "{field}: {wrong}");
    }
}
