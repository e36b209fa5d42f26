//! `--set TARGETPATTERN.KEY=VALUE`.

use std::collections::BTreeMap;

use buildscope_oci::go_bool;

use super::{
    Attest, BakeTarget, Export, Secret, Ssh,
    entries::{ListEntry, cache_entries, merge_entries},
};
use crate::{error::Error, target::Policy};

/// The values of one key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Override {
    /// The last value.
    pub(crate) value: String,
    /// The values of a key that is a list.
    pub(crate) values: Vec<String>,
    /// Whether they are added to those of the file.
    pub(crate) append: bool,
}

/// The overrides of a target, by key.
pub(crate) type Overrides = BTreeMap<String, Override>;

/// Keys whose values are lists.
const LISTS: [&str; 12] = [
    "output",
    "cache-to",
    "cache-from",
    "tags",
    "platform",
    "secrets",
    "ssh",
    "attest",
    "entitlements",
    "network",
    "annotations",
    "policy",
];

/// A `--set` flag, before its pattern is matched.
pub(crate) struct SetFlag<'a> {
    pub(crate) pattern: &'a str,
    key: String,
    family: &'a str,
    name: Option<&'a str>,
    append: bool,
    value: Option<&'a str>,
    text: &'a str,
}

impl<'a> SetFlag<'a> {
    pub(crate) fn parse(text: &'a str) -> Result<SetFlag<'a>, Error> {
        let (path, value) = text.split_once('=').map_or((text, None), |(path, value)| (path, Some(value)));
        let (path, append) = path.strip_suffix('+').map_or((path, false), |path| (path, true));
        let mut keys = path.splitn(3, '.');
        let (Some(pattern), Some(family)) = (keys.next(), keys.next()) else {
            return Err(Error::new(format!("invalid override key {path}, expected target.name")));
        };
        if value.is_none() && family != "args" {
            return Err(Error::new(format!("invalid override {text}, expected target.name=value")));
        }
        let name = keys.next();
        let key = name.map_or_else(|| family.to_owned(), |name| format!("{family}.{name}"));
        Ok(SetFlag { pattern, key, family, name, append, value, text })
    }

    /// Adds the value to the overrides of a target.
    pub(crate) fn add(&self, overrides: &mut Overrides, environment: &BTreeMap<String, String>) -> Result<(), Error> {
        let mut entry = overrides.get(&self.key).cloned().unwrap_or_default();
        let needs_name = |family: &str| Error::new(format!("invalid key {}, {family} requires name", self.text));
        match self.family {
            family if LISTS.contains(&family) => {
                entry.append = self.append;
                entry.values.extend(self.value.map(str::to_owned));
            }
            "resources" | "secret" => {
                if self.name.is_none() {
                    return Err(needs_name(self.family));
                }
                if self.append {
                    let message = format!("invalid key {}, {} does not support append", self.text, self.family);
                    return Err(Error::new(message));
                }
                entry.value = self.value.unwrap_or_default().to_owned();
            }
            "args" | "contexts" => {
                let name = self.name.ok_or_else(|| needs_name(self.family))?;
                let from_environment = || environment.get(name).map(String::as_str);
                match self.value.or_else(from_environment) {
                    Some(value) => entry.value = value.to_owned(),
                    None => return Ok(()),
                }
            }
            _ => entry.value = self.value.unwrap_or_default().to_owned(),
        }
        overrides.insert(self.key.clone(), entry);
        Ok(())
    }
}

impl BakeTarget {
    /// Applies the overrides of this target.
    pub(crate) fn apply(&mut self, overrides: &Overrides) -> Result<(), Error> {
        let mut secrets = Vec::new();
        for (path, entry) in overrides {
            let (key, name) = path.split_once('.').map_or((path.as_str(), None), |(key, name)| (key, Some(name)));
            if let ("secret", Some(id)) = (key, name) {
                secrets.push((id, entry.value.as_str()));
                continue;
            }
            self.apply_one(key, name, entry).map_err(|why| Error::new(format!("--set {}.{path}: {why}", self.name)))?;
        }
        for (id, value) in secrets {
            self.override_secret(id, value)
                .map_err(|why| Error::new(format!("--set {}.secret.{id}: {why}", self.name)))?;
        }
        Ok(())
    }

    fn apply_one(&mut self, key: &str, name: Option<&str>, entry: &Override) -> Result<(), String> {
        let value = entry.value.clone();
        let named = || {
            name.map(str::to_owned).ok_or_else(|| format!("invalid format for {key}, expecting {key}.<name>=<value>"))
        };
        let flag = || go_bool(&value).ok_or_else(|| format!("invalid value {value} for boolean key {key}"));
        match key {
            "context" => self.context = Some(value),
            "dockerfile" => self.dockerfile = Some(value),
            "target" => self.target = Some(value),
            "call" => self.call = Some(value),
            "shm-size" => self.shm_size = Some(value),
            "network" => self.network = Some(value),
            "args" => drop(self.args.insert(named()?, value)),
            "contexts" => drop(self.contexts.insert(named()?, value)),
            "labels" => drop(self.labels.insert(named()?, value)),
            "extra-hosts" => drop(self.extra_hosts.insert(named()?, value)),
            "tags" => texts(&mut self.tags, entry),
            "platform" => texts(&mut self.platforms, entry),
            "no-cache-filter" => texts(&mut self.no_cache_filter, entry),
            "ulimits" => texts(&mut self.ulimits, entry),
            "entitlements" => self.entitlements.get_or_insert_default().extend_from_slice(&entry.values),
            "annotations" => self.annotations.get_or_insert_default().extend_from_slice(&entry.values),
            "cache-from" => caches(&mut self.cache_from, entry)?,
            "cache-to" => caches(&mut self.cache_to, entry)?,
            "secrets" => entries::<Secret>(&mut self.secrets, entry)?,
            "ssh" => entries::<Ssh>(&mut self.ssh, entry)?,
            "output" => entries::<Export>(&mut self.outputs, entry)?,
            "policy" => entries::<Policy>(&mut self.policy, entry)?,
            "attest" => merge_entries(&mut self.attest, &Some(parse_all::<Attest>(&entry.values)?)),
            "resources" => self.resources.get_or_insert_default().set(&named()?, &value)?,
            "no-cache" => self.no_cache = Some(flag()?),
            "pull" => self.pull = Some(flag()?),
            "push" => set_push(self.outputs.get_or_insert_default(), flag()?),
            "load" => {
                if flag()? {
                    set_load(self.outputs.get_or_insert_default());
                }
            }
            _ => return Err(format!("unknown key: {key}")),
        }
        Ok(())
    }

    fn override_secret(&mut self, id: &str, value: &str) -> Result<(), String> {
        let secret = self.secrets.iter_mut().flatten().find(|secret| secret.id == id);
        let secret = secret.ok_or_else(|| format!("secret \"{id}\" must be declared before it can be overridden"))?;
        let next = Secret::parse(value)?;
        if !next.id.is_empty() && next.id != id {
            return Err(format!("secret override id \"{}\" does not match declared secret \"{id}\"", next.id));
        }
        secret.file = next.file;
        secret.variable = next.variable;
        Ok(())
    }
}

fn texts(own: &mut Option<Vec<String>>, entry: &Override) {
    if entry.append {
        own.get_or_insert_default().extend_from_slice(&entry.values);
    } else {
        *own = Some(entry.values.clone());
    }
}

fn parse_all<T: ListEntry>(values: &[String]) -> Result<Vec<T>, String> {
    values.iter().filter(|value| !value.is_empty()).map(|value| T::parse(value)).collect()
}

fn entries<T: ListEntry>(own: &mut Option<Vec<T>>, entry: &Override) -> Result<(), String> {
    let parsed = parse_all::<T>(&entry.values)?;
    if !entry.append {
        *own = None;
    }
    merge_entries(own, &Some(parsed));
    Ok(())
}

fn caches(own: &mut Option<Vec<super::CacheEntry>>, entry: &Override) -> Result<(), String> {
    let mut parsed = Vec::new();
    for value in &entry.values {
        parsed.extend(cache_entries(value)?);
    }
    if !entry.append {
        *own = None;
    }
    merge_entries(own, &Some(parsed));
    Ok(())
}

/// Sets whether results are pushed: changes, removes or adds outputs that push.
fn set_push(outputs: &mut Vec<Export>, push: bool) {
    let flag = |export: &mut Export, push: bool| {
        if export.kind == "image" {
            export.attributes.insert("push".into(), push.to_string());
        }
    };
    if !push {
        outputs.retain(|export| export.kind != "registry");
        outputs.iter_mut().for_each(|export| flag(export, false));
        return;
    }
    let only_docker = outputs.iter().all(|export| export.kind == "docker");
    outputs.iter_mut().for_each(|export| flag(export, true));
    if only_docker {
        let attributes = BTreeMap::from([("push".to_owned(), "true".to_owned())]);
        outputs.push(Export { kind: "image".into(), destination: String::new(), attributes });
    }
}

/// Loads the result into docker, unless an output does, or one is neither an image nor an archive of one.
fn set_load(outputs: &mut Vec<Export>) {
    for export in outputs.iter() {
        match export.kind.as_str() {
            "docker" if export.destination.is_empty() => return,
            "docker" | "image" | "registry" | "oci" => {}
            _ => return,
        }
    }
    outputs.push(Export { kind: "docker".into(), destination: String::new(), attributes: BTreeMap::new() });
}
