//! The entries of `output`.

use std::collections::BTreeMap;

use buildscope_oci::csv_fields;
use serde::{Serialize, Serializer};

use super::{ListEntry, attribute_fields, dedup_equal, fields, serialize_map, string_map, strings, write_fields};
use crate::value::{Type, Value};

/// An output: `type=image,push=true`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    /// `image`, `registry`, `docker`, `oci`, `local`, `tar`, `cacheonly`.
    pub kind: String,
    /// The file or directory.
    pub destination: String,
    /// The other attributes.
    pub attributes: BTreeMap<String, String>,
}

impl ListEntry for Export {
    fn parse(text: &str) -> Result<Export, String> {
        if let [path] = &csv_fields(text)?[..]
            && path == text
            && !text.starts_with("type=")
        {
            let kind = if text == "-" { "tar" } else { "local" };
            return Ok(Export { kind: kind.into(), destination: text.to_owned(), attributes: BTreeMap::new() });
        }
        let mut export = Export { kind: String::new(), destination: String::new(), attributes: BTreeMap::new() };
        for (key, value) in fields(text)? {
            match key.trim().to_lowercase().as_str() {
                "type" => export.kind = value,
                "dest" => export.destination = value,
                other => {
                    export.attributes.insert(other.to_owned(), value);
                }
            }
        }
        if export.kind.is_empty() { Err("type is required for output".into()) } else { Ok(export) }
    }

    fn from_fields(value: Value) -> Result<Export, String> {
        let mut attributes = strings(value)?;
        let kind = attributes.remove("type").filter(|kind| !kind.is_empty());
        let destination = attributes.remove("dest").unwrap_or_default();
        Ok(Export { kind: kind.ok_or("type is required for output")?, destination, attributes })
    }

    fn to_value(&self) -> Value {
        string_map(&self.attributes, &[("type", &self.kind), ("dest", &self.destination)])
    }

    fn kind() -> Type {
        Type::map(Type::String)
    }

    fn dedup(entries: &mut Vec<Export>) {
        dedup_equal(entries);
    }
}

impl Serialize for Export {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.destination.is_empty() {
            serialize_map(serializer, &self.attributes, &[("type", &self.kind)])
        } else {
            serialize_map(serializer, &self.attributes, &[("type", &self.kind), ("dest", &self.destination)])
        }
    }
}

/// Writes the form that `--output` reads.
impl std::fmt::Display for Export {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let own = [("type", self.kind.as_str()), ("dest", self.destination.as_str())];
        write_fields(out, own.into_iter().chain(attribute_fields(&self.attributes)))
    }
}
