//! Values of attributes as fields of a target.

use std::collections::BTreeMap;

use super::{
    Attest, BakeTarget, CacheEntry, Export, Policy, Resources, Secret, Ssh,
    entries::{ListEntry, cache_entries, from_value},
};
use crate::value::{Type, Value, convert};

/// The type that an attribute has when another block refers to it.
pub(crate) fn field_type(field: &str) -> Option<Type> {
    Some(match field {
        "description" | "context" | "dockerfile" | "dockerfile-inline" | "target" | "network" | "shm-size" | "call" => {
            Type::String
        }
        "inherits" | "annotations" | "tags" | "platforms" | "no-cache-filter" | "ulimits" | "entitlements"
        | "targets" => Type::list(Type::String),
        "contexts" | "args" | "labels" | "extra-hosts" => Type::map(Type::String),
        "pull" | "no-cache" => Type::Bool,
        "attest" => Type::list(Attest::kind()),
        "cache-from" | "cache-to" => Type::list(CacheEntry::kind()),
        "output" => Type::list(Export::kind()),
        "secret" => Type::list(Secret::kind()),
        "ssh" => Type::list(Ssh::kind()),
        "policy" => Type::list(Policy::kind()),
        "resources" => Resources::kind(),
        "matrix" => Type::Dynamic,
        "name" => Type::String,
        _ => return None,
    })
}

/// Converts a value to the type of its attribute.
pub(crate) fn normal(field: &str, value: Value) -> Result<Value, String> {
    fn entries<T: ListEntry>(entries: &[T]) -> Value {
        Value::List(T::kind(), entries.iter().map(ListEntry::to_value).collect())
    }
    if value.is_null() {
        return Ok(Value::Null(field_type(field).unwrap_or(Type::Dynamic)));
    }
    Ok(match field {
        "attest" => entries(&from_value::<Attest>(value)?),
        "cache-from" | "cache-to" => entries(&caches(value)?),
        "output" => entries(&from_value::<Export>(value)?),
        "secret" => entries(&from_value::<Secret>(value)?),
        "ssh" => entries(&from_value::<Ssh>(value)?),
        "policy" => entries(&from_value::<Policy>(value)?),
        field => convert(value, &field_type(field).unwrap_or(Type::Dynamic))?,
    })
}

fn caches(value: Value) -> Result<Vec<CacheEntry>, String> {
    let values = value.elements().ok_or_else(|| format!("a list is required, not {}", value.kind()))?;
    let mut entries = Vec::new();
    for value in values {
        match value {
            Value::String(text) => entries.extend(cache_entries(text)?),
            other => entries.push(CacheEntry::from_fields(other.clone())?),
        }
    }
    Ok(entries)
}

/// Sets an attribute from its normal value. Null leaves it unset.
pub(crate) fn set(target: &mut BakeTarget, field: &str, value: Value) -> Result<(), String> {
    if value.is_null() {
        return Ok(());
    }
    match field {
        "description" => target.description = text(value)?,
        "inherits" => target.inherits = texts(value)?,
        "annotations" => target.annotations = Some(texts(value)?),
        "attest" => target.attest = Some(from_value(value)?),
        "context" => target.context = Some(text(value)?),
        "contexts" => {
            if value.fields().is_some_and(|fields| fields.values().any(Value::is_null)) {
                return Err("a context is null".into());
            }
            target.contexts = map(value)?;
        }
        "dockerfile" => target.dockerfile = Some(text(value)?),
        "dockerfile-inline" => target.dockerfile_inline = Some(text(value)?),
        "args" => target.args = map(value)?,
        "labels" => target.labels = map(value)?,
        "tags" => target.tags = Some(texts(value)?),
        "cache-from" => target.cache_from = Some(from_value(value)?),
        "cache-to" => target.cache_to = Some(from_value(value)?),
        "target" => target.target = Some(text(value)?),
        "secret" => target.secrets = Some(from_value(value)?),
        "ssh" => target.ssh = Some(from_value(value)?),
        "platforms" => target.platforms = Some(texts(value)?),
        "output" => target.outputs = Some(from_value(value)?),
        "pull" => target.pull = Some(value == Value::Bool(true)),
        "no-cache" => target.no_cache = Some(value == Value::Bool(true)),
        "network" => target.network = Some(text(value)?),
        "no-cache-filter" => target.no_cache_filter = Some(texts(value)?),
        "shm-size" => target.shm_size = Some(text(value)?),
        "ulimits" => target.ulimits = Some(texts(value)?),
        "resources" => target.resources = Some(Resources::from_value(value)?),
        "call" => target.call = Some(text(value)?),
        "entitlements" => target.entitlements = Some(texts(value)?),
        "extra-hosts" => target.extra_hosts = map(value)?,
        "policy" => target.policy = Some(from_value(value)?),
        _ => {}
    }
    Ok(())
}

fn text(value: Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text),
        other => Err(format!("a string is required, not {}", other.kind())),
    }
}

fn texts(value: Value) -> Result<Vec<String>, String> {
    let values = value.elements().unwrap_or_default().iter();
    values.map(|value| text(value.clone()).map_err(|_| "an element is null".to_owned())).collect()
}

/// A map without its null values.
fn map(value: Value) -> Result<BTreeMap<String, String>, String> {
    let fields = value.fields().cloned().unwrap_or_default().into_iter();
    fields.filter(|(_, value)| !value.is_null()).map(|(name, value)| Ok((name, text(value)?))).collect()
}
