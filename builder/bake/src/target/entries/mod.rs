//! Entries of lists that are written as `key=value,...` or as objects: caches, outputs, secrets, SSH, attestations.

mod attest;
mod cache;
mod export;
mod policy;
mod secret;
mod ssh;

use std::collections::BTreeMap;

use buildscope_oci::csv_fields;
use serde::Serializer;

pub use attest::Attest;
pub use cache::CacheEntry;
pub use export::Export;
pub use policy::Policy;
pub use secret::Secret;
pub use ssh::Ssh;

pub(crate) use attest::canonical_attest;
pub(crate) use cache::cache_entries;

use crate::value::{Type, Value, convert};

/// An entry of such a list.
pub(crate) trait ListEntry: Clone + PartialEq {
    /// Reads the form `key=value,...`.
    fn parse(text: &str) -> Result<Self, String>;
    /// Reads an object.
    fn from_fields(value: Value) -> Result<Self, String>;
    /// The object as others can refer to it.
    fn to_value(&self) -> Value;
    /// The type of that object.
    fn kind() -> Type;
    /// Removes repeated entries.
    fn dedup(entries: &mut Vec<Self>);
}

/// Reads a list of texts and objects. Empty texts are left out.
pub(crate) fn from_value<T: ListEntry>(value: Value) -> Result<Vec<T>, String> {
    let values = value.elements().ok_or_else(|| format!("a list is required, not {}", value.kind()))?;
    let mut entries = Vec::new();
    for value in values {
        match value {
            Value::String(text) if text.is_empty() => {}
            Value::String(text) => entries.push(T::parse(text)?),
            other => entries.push(T::from_fields(other.clone())?),
        }
    }
    Ok(entries)
}

/// Adds entries of an overriding list.
pub(crate) fn merge_entries<T: ListEntry>(own: &mut Option<Vec<T>>, other: &Option<Vec<T>>) {
    if let Some(other) = other {
        let entries = own.get_or_insert_default();
        entries.extend_from_slice(other);
        T::dedup(entries);
    }
}

/// Of entries with the same key, the last one stays, at the place of the first.
fn dedup_by_key<T: Clone>(entries: &mut Vec<T>, key: impl Fn(&T) -> String) {
    let mut kept: Vec<T> = Vec::with_capacity(entries.len());
    for entry in entries.iter() {
        match kept.iter_mut().find(|known| key(known) == key(entry)) {
            Some(known) => *known = entry.clone(),
            None => kept.push(entry.clone()),
        }
    }
    *entries = kept;
}

/// Removes equal entries. The last entry takes the place of a removed one, which is the order that buildx prints.
fn dedup_equal<T: PartialEq>(entries: &mut Vec<T>) {
    let mut index = entries.len().saturating_sub(1);
    while index > 0 {
        index -= 1;
        if let Some(later) = (index + 1..entries.len()).find(|later| entries[index] == entries[*later]) {
            entries.swap_remove(later);
        }
    }
}

/// The `key=value` fields of a text.
fn fields(text: &str) -> Result<Vec<(String, String)>, String> {
    let field = |field: String| match field.split_once('=') {
        Some((key, value)) => Ok((key.to_owned(), value.to_owned())),
        None => Err(format!("invalid value {field}: write key=value")),
    };
    csv_fields(text)?.into_iter().map(field).collect()
}

/// The fields of a map of strings.
fn strings(value: Value) -> Result<BTreeMap<String, String>, String> {
    let Value::Map(_, fields) = convert(value, &Type::map(Type::String))? else {
        return Err("an entry is null".into());
    };
    let text = |(name, value)| match value {
        Value::String(text) => Ok((name, text)),
        _ => Err(format!("{name} is null")),
    };
    fields.into_iter().map(text).collect()
}

fn string_map(fields: &BTreeMap<String, String>, more: &[(&str, &str)]) -> Value {
    let own = fields.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str())));
    let more = more.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value)));
    Value::Map(Type::String, own.chain(more).collect())
}

/// One map, in the order of its keys.
fn serialize_map<S: Serializer>(
    serializer: S,
    attributes: &BTreeMap<String, String>,
    more: &[(&str, &str)],
) -> Result<S::Ok, S::Error> {
    let mut all: BTreeMap<&str, &str> = attributes.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    all.extend(more.iter().copied());
    serializer.collect_map(all)
}

/// Writes `key=value` fields, quoted where they have a comma or a quote.
fn write_fields<'f>(
    out: &mut std::fmt::Formatter<'_>,
    fields: impl IntoIterator<Item = (&'f str, &'f str)>,
) -> std::fmt::Result {
    let mut separator = "";
    for (key, value) in fields.into_iter().filter(|(key, value)| !key.is_empty() && !value.is_empty()) {
        let field = format!("{key}={value}");
        if field.contains([',', '"']) {
            write!(out, "{separator}\"{}\"", field.replace('"', "\"\""))?;
        } else {
            write!(out, "{separator}{field}")?;
        }
        separator = ",";
    }
    Ok(())
}

fn attribute_fields(attributes: &BTreeMap<String, String>) -> impl Iterator<Item = (&str, &str)> {
    attributes.iter().map(|(key, value)| (key.as_str(), value.as_str()))
}
