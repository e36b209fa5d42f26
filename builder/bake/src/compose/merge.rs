//! Merges compose files as trees, by the rules of the Compose Specification.

use yaml_serde::{Mapping, Value as Yaml, value::Tag};

use super::scalar;

/// Values that may be a map or a list of `key=value`, and are merged by key.
const KEYED: [&[&str]; 5] = [
    &["services", "*", "build", "args"],
    &["services", "*", "build", "labels"],
    &["services", "*", "build", "additional_contexts"],
    &["services", "*", "environment"],
    &["services", "*", "build", "tags"],
];

/// Merges `other` over `own`.
///
/// # Errors
/// A value of `other` is of another kind than that of `own`.
pub(super) fn merge(own: Yaml, other: Yaml, path: &mut Vec<String>) -> Result<Yaml, String> {
    let (own, other) = match (own, other) {
        (own, Yaml::Tagged(tagged)) => {
            return Ok(match tagged.tag {
                tag if tag == Tag::new("override") => tagged.value,
                tag if tag == Tag::new("reset") => Yaml::Null,
                _ => merge(own, tagged.value, path)?,
            });
        }
        both => both,
    };
    let is = |pattern: &[&str]| {
        path.len() == pattern.len()
            && path.iter().zip(pattern).all(|(name, pattern)| *pattern == "*" || name == pattern)
    };
    if is(&["services", "*", "build"]) {
        return merge_maps(build_map(own), build_map(other), path);
    }
    if is(&["services", "*", "build", "extra_hosts"]) {
        let mut hosts = sequence(own);
        hosts.extend(sequence(other).into_iter().filter(|host| !hosts.clone().contains(host)).collect::<Vec<_>>());
        return Ok(Yaml::Sequence(hosts));
    }
    if is(&["services", "*", "env_file"]) {
        let mut files = sequence(own);
        files.extend(sequence(other));
        return Ok(Yaml::Sequence(files));
    }
    if KEYED.iter().any(|pattern| is(pattern)) {
        return Ok(Yaml::Sequence(keyed(sequence(own), sequence(other))));
    }
    match (own, other) {
        (own, Yaml::Null) => Ok(own),
        (Yaml::Mapping(own), Yaml::Mapping(other)) => merge_maps(own, other, path),
        (Yaml::Sequence(mut own), Yaml::Sequence(other)) => {
            own.extend(other);
            Ok(Yaml::Sequence(own))
        }
        (Yaml::Mapping(_) | Yaml::Sequence(_), _) => Err(format!("cannot override {}", path.join("."))),
        (_, other) => Ok(other),
    }
}

fn merge_maps(mut own: Mapping, other: Mapping, path: &mut Vec<String>) -> Result<Yaml, String> {
    for (key, value) in other {
        let name = scalar::text(&key).unwrap_or_default();
        match own.remove(&key) {
            None => drop(own.insert(key, value)),
            Some(known) => {
                path.push(name);
                let merged = merge(known, value, path)?;
                path.pop();
                own.insert(key, merged);
            }
        }
    }
    Ok(Yaml::Mapping(own))
}

/// `build: path` is short for `build: {context: path}`.
pub(super) fn build_map(build: Yaml) -> Mapping {
    match build {
        Yaml::Mapping(map) => map,
        context @ Yaml::String(_) => [(Yaml::from("context"), context)].into_iter().collect(),
        _ => Mapping::new(),
    }
}

/// A map as `key=value` entries in the order of the keys.
fn sequence(value: Yaml) -> Vec<Yaml> {
    match value {
        Yaml::Sequence(values) => values,
        Yaml::Mapping(map) => {
            let mut entries = Vec::new();
            for (key, value) in map {
                let key = scalar::text(&key).unwrap_or_default();
                match value {
                    Yaml::Null => entries.push(key),
                    Yaml::Sequence(values) => {
                        let texts = values.iter().filter_map(scalar::text);
                        entries.extend(texts.map(|value| format!("{key}={value}")));
                    }
                    value => entries.push(format!("{key}={}", scalar::text(&value).unwrap_or_default())),
                }
            }
            entries.sort();
            entries.into_iter().map(Yaml::from).collect()
        }
        Yaml::Null => Vec::new(),
        value => vec![value],
    }
}

/// Of entries with the same key, the last one stays, at the place of the first.
fn keyed(own: Vec<Yaml>, other: Vec<Yaml>) -> Vec<Yaml> {
    let key = |value: &Yaml| {
        let text = scalar::text(value).unwrap_or_default();
        text.split_once('=').map_or(text.clone(), |(key, _)| key.to_owned())
    };
    let mut merged: Vec<Yaml> = Vec::new();
    for value in own.into_iter().chain(other) {
        match merged.iter_mut().find(|known| key(known) == key(&value)) {
            Some(known) => *known = value,
            None => merged.push(value),
        }
    }
    merged
}

/// Removes the tags that only matter to merging: a value to reset is null, one to override is itself.
pub(super) fn without_tags(value: Yaml) -> Yaml {
    match value {
        Yaml::Tagged(tagged) if tagged.tag == Tag::new("reset") => Yaml::Null,
        Yaml::Tagged(tagged) => without_tags(tagged.value),
        Yaml::Mapping(map) => Yaml::Mapping(map.into_iter().map(|(key, value)| (key, without_tags(value))).collect()),
        Yaml::Sequence(values) => Yaml::Sequence(values.into_iter().map(without_tags).collect()),
        other => other,
    }
}
