//! The entries of `attest`.

use std::collections::BTreeMap;

use buildscope_oci::go_bool;
use serde::{Serialize, Serializer, ser::SerializeMap};

use super::{ListEntry, attribute_fields, dedup_by_key, fields, string_map, strings, write_fields};
use crate::value::{Type, Value};

/// An attestation: `type=provenance,mode=max`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attest {
    /// `provenance` or `sbom`.
    pub kind: String,
    /// Whether it is left out.
    pub disabled: bool,
    /// The other attributes.
    pub attributes: BTreeMap<String, String>,
}

/// The text of an attestation from the value of `--sbom` or `--provenance`.
pub(crate) fn canonical_attest(kind: &str, text: &str) -> String {
    match go_bool(text) {
        Some(enabled) => format!("type={kind},disabled={}", !enabled),
        None => format!("type={kind},{text}"),
    }
}

impl Attest {
    fn from_attributes(mut attributes: BTreeMap<String, String>) -> Result<Attest, String> {
        let kind = attributes.remove("type").unwrap_or_default();
        let disabled = attributes.remove("disabled").map_or(Some(false), |text| go_bool(&text));
        let disabled = disabled.ok_or("disabled must be true or false")?;
        Ok(Attest { kind, disabled, attributes })
    }
}

impl std::str::FromStr for Attest {
    type Err = String;

    fn from_str(text: &str) -> Result<Attest, String> {
        ListEntry::parse(text)
    }
}

impl ListEntry for Attest {
    fn parse(text: &str) -> Result<Attest, String> {
        let known = |key: String| match key.trim().to_lowercase().as_str() {
            known @ ("type" | "disabled") => known.to_owned(),
            _ => key,
        };
        let fields = fields(text)?.into_iter().map(|(key, value)| (known(key), value));
        let attest = Attest::from_attributes(fields.collect())?;
        if attest.kind.is_empty() { Err("attestation type not specified".into()) } else { Ok(attest) }
    }

    fn from_fields(value: Value) -> Result<Attest, String> {
        Attest::from_attributes(strings(value)?)
    }

    fn to_value(&self) -> Value {
        let mut more = vec![("type", self.kind.as_str())];
        if self.disabled {
            more.push(("disabled", "true"));
        }
        string_map(&self.attributes, &more)
    }

    fn kind() -> Type {
        Type::map(Type::String)
    }

    fn dedup(entries: &mut Vec<Attest>) {
        dedup_by_key(entries, |attest| attest.kind.clone());
    }
}

impl Serialize for Attest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut keys: Vec<&str> = self.attributes.keys().map(String::as_str).chain(["type"]).collect();
        if self.disabled {
            keys.push("disabled");
        }
        keys.sort_unstable();
        keys.dedup();
        let mut map = serializer.serialize_map(Some(keys.len()))?;
        for key in keys {
            match key {
                "type" => map.serialize_entry(key, &self.kind)?,
                "disabled" => map.serialize_entry(key, &self.disabled)?,
                other => map.serialize_entry(other, &self.attributes[other])?,
            }
        }
        map.end()
    }
}

/// Writes the form that `--attest` reads.
impl std::fmt::Display for Attest {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let disabled = if self.disabled { "true" } else { "" };
        let own = [("type", self.kind.as_str()), ("disabled", disabled)];
        write_fields(out, own.into_iter().chain(attribute_fields(&self.attributes)))
    }
}
