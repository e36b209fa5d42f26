//! The entries of `cache-from` and `cache-to`.

use std::collections::BTreeMap;

use buildscope_oci::csv_fields;
use serde::{Serialize, Serializer};

use super::{ListEntry, attribute_fields, dedup_equal, fields, serialize_map, string_map, strings, write_fields};
use crate::value::{Type, Value};

/// A cache to read or write: `type=registry,ref=...`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheEntry {
    /// `registry`, `local`, `inline`, `gha`, ...
    pub kind: String,
    /// The other attributes.
    pub attributes: BTreeMap<String, String>,
}

/// Reads a text that may name several references without `key=value`.
pub(crate) fn cache_entries(text: &str) -> Result<Vec<CacheEntry>, String> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    if text.contains('=') {
        return Ok(vec![CacheEntry::parse(text)?]);
    }
    csv_fields(text)?.iter().map(|field| CacheEntry::parse(field)).collect()
}

impl ListEntry for CacheEntry {
    fn parse(text: &str) -> Result<CacheEntry, String> {
        if let [reference] = &csv_fields(text)?[..]
            && !reference.contains('=')
        {
            let attributes = BTreeMap::from([("ref".to_owned(), reference.clone())]);
            return Ok(CacheEntry { kind: "registry".into(), attributes });
        }
        let mut attributes: BTreeMap<String, String> =
            fields(text)?.into_iter().map(|(key, value)| (key.to_lowercase(), value)).collect();
        let kind = attributes.remove("type").filter(|kind| !kind.is_empty());
        Ok(CacheEntry { kind: kind.ok_or_else(|| format!("type required for \"{text}\""))?, attributes })
    }

    fn from_fields(value: Value) -> Result<CacheEntry, String> {
        let mut attributes = strings(value)?;
        let kind = attributes.remove("type").filter(|kind| !kind.is_empty());
        Ok(CacheEntry { kind: kind.ok_or("a cache needs a type")?, attributes })
    }

    fn to_value(&self) -> Value {
        string_map(&self.attributes, &[("type", &self.kind)])
    }

    fn kind() -> Type {
        Type::map(Type::String)
    }

    fn dedup(entries: &mut Vec<CacheEntry>) {
        dedup_equal(entries);
    }
}

impl Serialize for CacheEntry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_map(serializer, &self.attributes, &[("type", &self.kind)])
    }
}

/// Writes the form that `--cache-from` reads.
impl std::fmt::Display for CacheEntry {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write_fields(out, [("type", self.kind.as_str())].into_iter().chain(attribute_fields(&self.attributes)))
    }
}
