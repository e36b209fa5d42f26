//! The entries of `policy`.

use std::collections::BTreeMap;

use buildscope_oci::go_bool;
use serde::{Serialize, Serializer, ser::SerializeMap};

use super::{ListEntry, fields, string_map, strings};
use crate::value::{Type, Value};

/// A policy of sources: `filename=policy.rego,strict=true`. It is read, printed, and refused by builds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The attributes.
    pub attributes: BTreeMap<String, String>,
}

impl Policy {
    /// Whether it turns policies off.
    #[must_use]
    pub fn is_disabled(&self) -> bool {
        self.attributes.get("disabled").and_then(|text| go_bool(text)) == Some(true)
    }

    /// The name of its file, or empty.
    #[must_use]
    pub fn file(&self) -> &str {
        self.attributes.get("filename").map_or("", String::as_str)
    }
}

impl ListEntry for Policy {
    fn parse(text: &str) -> Result<Policy, String> {
        let attributes: BTreeMap<String, String> =
            fields(text)?.into_iter().map(|(key, value)| (key.trim().to_lowercase(), value)).collect();
        let known = ["filename", "reset", "disabled", "strict", "log-level"];
        match attributes.keys().find(|key| !known.contains(&key.as_str())) {
            Some(key) => {
                Err(format!("invalid value {key}: a policy has filename, reset, disabled, strict or log-level"))
            }
            None => Ok(Policy { attributes }),
        }
    }

    fn from_fields(value: Value) -> Result<Policy, String> {
        Ok(Policy { attributes: strings(value)? })
    }

    fn to_value(&self) -> Value {
        string_map(&self.attributes, &[])
    }

    fn kind() -> Type {
        Type::map(Type::String)
    }

    fn dedup(_: &mut Vec<Policy>) {}
}

/// A file of a policy, as buildx prints it.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct File {
    #[serde(rename = "Filename")]
    name: String,
    /// What buildx has read when it builds.
    data: Option<String>,
}

/// Prints the structure of buildx, whose fields have no names of their own in JSON.
impl Serialize for Policy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let flag = |name: &str| self.attributes.get(name).and_then(|text| go_bool(text));
        let file = |name: &String| [File { name: name.clone(), data: None }];
        let files = self.attributes.get("filename").map(file);
        let mut map = serializer.serialize_map(Some(5))?;
        map.serialize_entry("Files", &files)?;
        map.serialize_entry("Reset", &flag("reset").unwrap_or(false))?;
        map.serialize_entry("Disabled", &flag("disabled").unwrap_or(false))?;
        map.serialize_entry("Strict", &flag("strict"))?;
        map.serialize_entry("LogLevel", &self.attributes.get("log-level"))?;
        map.end()
    }
}
