//! A service as a target.

use std::{cell::Cell, collections::BTreeMap};

use yaml_serde::{Mapping, Value as Yaml};

use super::{
    dotenv,
    limits::{extra_hosts, shm_size, ulimits},
    load::{located, texts},
    merge::build_map,
    scalar,
};
use crate::{
    error::Error,
    target::{Attest, BakeTarget, Export, ListEntry, Secret, Ssh, cache_entries, canonical_attest, merge_entries},
    text::read_text,
};

/// The keys of `build` in the Compose Specification. Other keys start with `x-`.
const BUILD: [&str; 25] = [
    "additional_contexts",
    "args",
    "cache_from",
    "cache_to",
    "context",
    "dockerfile",
    "dockerfile_inline",
    "entitlements",
    "extra_hosts",
    "isolation",
    "labels",
    "network",
    "no_cache",
    "no_cache_filter",
    "platforms",
    "privileged",
    "provenance",
    "pull",
    "sbom",
    "secrets",
    "shm_size",
    "ssh",
    "tags",
    "target",
    "ulimits",
];

/// The services and secrets of all files.
pub(super) struct Project<'a> {
    /// The services in the order of their names.
    pub(super) services: BTreeMap<String, Mapping>,
    secrets: Mapping,
    environment: &'a BTreeMap<String, String>,
    /// What environment files may still take, in bytes.
    env_files_left: Cell<usize>,
}

/// The most that all environment files take with their values, in bytes: each service may name many.
const MAX_ENV_FILES: usize = 256 << 20;

type Texts = BTreeMap<String, Option<String>>;

impl<'a> Project<'a> {
    pub(super) fn of(model: &Mapping, environment: &'a BTreeMap<String, String>) -> Result<Project<'a>, Error> {
        let mut services = BTreeMap::new();
        match model.get("services") {
            Some(Yaml::Mapping(map)) => {
                for (name, service) in map {
                    let name = scalar::text(name).unwrap_or_default();
                    let service = match service {
                        Yaml::Mapping(service) => service.clone(),
                        Yaml::Null => Mapping::new(),
                        _ => return Err(Error::new(format!("services.{name} must be a mapping"))),
                    };
                    services.insert(name, service);
                }
            }
            None | Some(Yaml::Null) => {}
            Some(_) => return Err(Error::new("services must be a mapping")),
        }
        if services.is_empty() && model.get("secrets").is_none() {
            return Err(Error::new("empty compose file"));
        }
        let secrets = model.get("secrets").and_then(Yaml::as_mapping).cloned().unwrap_or_default();
        let project = Project { services, secrets, environment, env_files_left: Cell::new(MAX_ENV_FILES) };
        project.check()?;
        Ok(project)
    }

    /// Checks the rules that concern several services.
    fn check(&self) -> Result<(), Error> {
        for (name, service) in &self.services {
            let has = |key: &str| service.get(key).is_some_and(|value| !value.is_null());
            if !has("image") && !has("build") {
                let message = format!("service \"{name}\" has neither an image nor a build context specified");
                return Err(Error::new(message));
            }
        }
        for (name, secret) in &self.secrets {
            let has = |key: &str| secret.get(key).is_some_and(|value| !value.is_null());
            if !has("file") && !has("environment") && !has("external") {
                let name = scalar::text(name).unwrap_or_default();
                return Err(Error::new(format!("secret \"{name}\" must declare either `file` or `environment`")));
            }
        }
        Ok(())
    }

    /// The target of a service. `None`: it is not built.
    pub(super) fn target(&self, name: &str, service: &Mapping) -> Result<Option<BakeTarget>, String> {
        let build = match service.get("build") {
            None | Some(Yaml::Null) => return Ok(None),
            Some(build @ (Yaml::Mapping(_) | Yaml::String(_))) => build_map(build.clone()),
            Some(_) => return Err("build must be a path or a mapping".into()),
        };
        let known = |key: &str| BUILD.contains(&key) || key.starts_with("x-");
        if let Some(key) = build.keys().filter_map(scalar::text).find(|key| !known(key)) {
            return Err(format!("build: additional properties '{key}' not allowed"));
        }
        let target_name = name.replace('.', "_");
        if !target_name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-') {
            return Err(format!(
                "invalid service name \"{target_name}\": only letters, digits, `_`, `-` and `.` are allowed"
            ));
        }
        let text = |key: &str| build.get(key).and_then(scalar::text).filter(|text| !text.is_empty());
        let mut target = BakeTarget {
            name: target_name,
            context: Some(located("", text("context").as_deref().unwrap_or("."))),
            contexts: named_contexts(&set(pairs(build.get("additional_contexts"))?)),
            dockerfile: text("dockerfile"),
            dockerfile_inline: text("dockerfile_inline"),
            labels: filled(pairs(build.get("labels"))?),
            args: self.args(&build, service)?,
            network: text("network"),
            target: text("target"),
            shm_size: build.get("shm_size").map(shm_size).transpose()?.flatten(),
            ulimits: ulimits(build.get("ulimits"))?,
            extra_hosts: extra_hosts(build.get("extra_hosts"))?,
            cache_from: list(build.get("cache_from"), cache_entries)?,
            cache_to: list(build.get("cache_to"), cache_entries)?,
            tags: array(build.get("tags"))?,
            platforms: array(build.get("platforms"))?,
            ssh: ssh(build.get("ssh"))?,
            secrets: self.secrets(&build)?,
            attest: attest(&build)?,
            no_cache: flag(&build, "no_cache")?.filter(|flag| *flag),
            pull: flag(&build, "pull")?.filter(|flag| *flag),
            ..BakeTarget::default()
        };
        if let Some(Yaml::Mapping(extension)) = build.get("x-bake") {
            extend(&mut target, extension)?;
        }
        if target.tags.as_ref().is_none_or(Vec::is_empty)
            && let Some(image) = service.get("image").and_then(scalar::text).filter(|image| !image.is_empty())
        {
            target.tags = Some(vec![image]);
        }
        Ok(Some(target))
    }

    /// Build arguments. One without a value takes it from the service's environment, then from that of the command.
    fn args(&self, build: &Mapping, service: &Mapping) -> Result<BTreeMap<String, String>, String> {
        let args = pairs(build.get("args"))?;
        let mut own = self.env_files(service)?;
        for (name, value) in pairs(service.get("environment"))? {
            own.insert(name.clone(), value.or_else(|| self.environment.get(&name).cloned()));
        }
        let value = |name: &str| own.get(name).cloned().flatten().or_else(|| self.environment.get(name).cloned());
        Ok(args.into_iter().filter_map(|(name, given)| Some((name.clone(), given.or_else(|| value(&name))?))).collect())
    }

    fn env_files(&self, service: &Mapping) -> Result<Texts, String> {
        let mut variables = Texts::new();
        let files = match service.get("env_file") {
            Some(Yaml::Sequence(files)) => files.clone(),
            Some(file) => vec![file.clone()],
            None => Vec::new(),
        };
        for file in files {
            let (path, required) = match &file {
                Yaml::Mapping(map) => {
                    let required = map.get("required").and_then(Yaml::as_bool).unwrap_or(true);
                    (map.get("path").and_then(scalar::text), required)
                }
                other => (scalar::text(other), true),
            };
            let path = path.ok_or("env_file needs a path")?;
            let text = match read_text(&path) {
                Ok(text) => text,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound && !required => continue,
                Err(error) => return Err(format!("env file {path}: {error}")),
            };
            let known = |name: &str| self.environment.get(name).cloned();
            let parsed = dotenv::parse(&text, &known).map_err(|why| format!("env file {path}: {why}"))?;
            let size = text.len() + parsed.values().map(String::len).sum::<usize>();
            let more = || format!("env file {path}: all of them take more than {} MiB", MAX_ENV_FILES >> 20);
            self.env_files_left.set(self.env_files_left.get().checked_sub(size).ok_or_else(more)?);
            variables.extend(parsed.into_iter().map(|(name, value)| (name, Some(value))));
        }
        Ok(variables)
    }

    fn secrets(&self, build: &Mapping) -> Result<Option<Vec<Secret>>, String> {
        let mut secrets = Vec::new();
        for secret in build.get("secrets").and_then(Yaml::as_sequence).into_iter().flatten() {
            let source = match secret {
                Yaml::Mapping(map) => map.get("source").and_then(scalar::text),
                other => scalar::text(other),
            };
            let id = source.ok_or("a secret needs a source")?;
            let declared = self.secrets.get(&id).ok_or_else(|| format!("undefined build secret {id}"))?;
            if declared.get("external").and_then(Yaml::as_bool) == Some(true) {
                return Err(format!("unsupported external secret {id}"));
            }
            let text = |key: &str| declared.get(key).and_then(scalar::text).unwrap_or_default();
            let file = text("file");
            let file = if file.is_empty() { file } else { located("", &file) };
            secrets.push(Secret { id, file, variable: text("environment") });
        }
        Ok((!secrets.is_empty()).then_some(secrets))
    }
}

/// A map, or a list of `key=value`.
fn pairs(value: Option<&Yaml>) -> Result<Texts, String> {
    match value {
        None | Some(Yaml::Null) => Ok(Texts::new()),
        Some(Yaml::Mapping(map)) => {
            Ok(map.iter().map(|(key, value)| (scalar::text(key).unwrap_or_default(), scalar::text(value))).collect())
        }
        Some(Yaml::Sequence(values)) => {
            let pair = |text: String| match text.split_once('=') {
                Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
                None => (text, None),
            };
            Ok(values.iter().filter_map(scalar::text).map(pair).collect())
        }
        Some(_) => Err("a mapping or a list of key=value is required".into()),
    }
}

/// The pairs that have a value.
fn set(pairs: Texts) -> BTreeMap<String, String> {
    pairs.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
}

/// The pairs, with an empty value instead of a missing one.
fn filled(pairs: Texts) -> BTreeMap<String, String> {
    pairs.into_iter().map(|(key, value)| (key, value.unwrap_or_default())).collect()
}

/// `service:NAME` is the target of that service.
fn named_contexts(contexts: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let context = |value: &String| {
        let service = value.strip_prefix("service:").or_else(|| value.strip_prefix("target:"));
        service.map_or_else(|| located("", value), |service| format!("target:{}", service.replace('.', "_")))
    };
    contexts.iter().map(|(name, value)| (name.clone(), context(value))).collect()
}

fn list<T>(value: Option<&Yaml>, parse: fn(&str) -> Result<Vec<T>, String>) -> Result<Option<Vec<T>>, String> {
    let mut entries = Vec::new();
    for text in array(value)?.unwrap_or_default() {
        entries.extend(parse(&text)?);
    }
    Ok(value.map(|_| entries))
}

/// The texts of a key that must have a list (the Compose Specification's schema).
fn array(value: Option<&Yaml>) -> Result<Option<Vec<String>>, String> {
    match value {
        None | Some(Yaml::Null | Yaml::Sequence(_)) => Ok(value.map(|value| texts(Some(value)))),
        Some(_) => Err("cache_from, cache_to, tags and platforms must be lists".into()),
    }
}

fn flag(build: &Mapping, key: &str) -> Result<Option<bool>, String> {
    match build.get(key) {
        None | Some(Yaml::Null) => Ok(None),
        Some(Yaml::Bool(flag)) => Ok(Some(*flag)),
        Some(Yaml::String(text)) => match text.to_lowercase().as_str() {
            "true" | "1" | "t" => Ok(Some(true)),
            "false" | "0" | "f" | "" => Ok(Some(false)),
            _ => Err(format!("{key} must be true or false")),
        },
        Some(_) => Err(format!("{key} must be true or false")),
    }
}

fn ssh(value: Option<&Yaml>) -> Result<Option<Vec<Ssh>>, String> {
    let pairs = pairs(value)?;
    let entry = |(id, path): (String, Option<String>)| Ssh {
        id,
        paths: path.filter(|path| !path.is_empty()).map(|path| located("", &path)).into_iter().collect(),
    };
    let entries: Vec<Ssh> = pairs.into_iter().map(entry).collect();
    Ok((!entries.is_empty()).then_some(entries))
}

fn attest(build: &Mapping) -> Result<Option<Vec<Attest>>, String> {
    let mut attests = Vec::new();
    for kind in ["sbom", "provenance"] {
        if let Some(text) = build.get(kind).and_then(scalar::text).filter(|text| !text.is_empty()) {
            attests.push(Attest::parse(&canonical_attest(kind, &text))?);
        }
    }
    Ok((!attests.is_empty()).then_some(attests))
}

/// Applies `x-bake`, which has options that compose files lack.
fn extend(target: &mut BakeTarget, extension: &Mapping) -> Result<(), String> {
    let words = |key: &str| match extension.get(key) {
        Some(Yaml::String(text)) => text.split_whitespace().map(str::to_owned).collect(),
        other => texts(other),
    };
    let append = |own: &mut Option<Vec<String>>, more: Vec<String>| {
        if !more.is_empty() {
            let own = own.get_or_insert_default();
            own.extend(more);
            crate::definition::dedup(own);
        }
    };
    append(&mut target.tags, words("tags"));
    append(&mut target.platforms, words("platforms"));
    append(&mut target.no_cache_filter, words("no-cache-filter"));
    entries(&mut target.cache_from, &words("cache-from"), cache_entries)?;
    entries(&mut target.cache_to, &words("cache-to"), cache_entries)?;
    entries(&mut target.secrets, &words("secret"), |text| Ok(vec![Secret::parse(text)?]))?;
    entries(&mut target.outputs, &words("output"), |text| Ok(vec![Export::parse(text)?]))?;
    entries(&mut target.ssh, &words("ssh"), |text| Ok(vec![Ssh::parse(text)?]))?;
    if let Some(ssh) = &mut target.ssh {
        ssh.sort();
    }
    target.pull = flag(extension, "pull")?.or(target.pull);
    target.no_cache = flag(extension, "no-cache")?.or(target.no_cache);
    for (name, context) in named_extension_contexts(extension)? {
        target.contexts.entry(name).or_insert(context);
    }
    Ok(())
}

fn named_extension_contexts(extension: &Mapping) -> Result<BTreeMap<String, String>, String> {
    let contexts = set(pairs(extension.get("contexts"))?);
    let target = |value: String| {
        let service = value.strip_prefix("service:").or_else(|| value.strip_prefix("target:"));
        service.map_or_else(|| value.clone(), |service| format!("target:{}", service.replace('.', "_")))
    };
    Ok(contexts.into_iter().map(|(name, value)| (name, target(value))).collect())
}

fn entries<T: ListEntry>(
    own: &mut Option<Vec<T>>,
    words: &[String],
    parse: fn(&str) -> Result<Vec<T>, String>,
) -> Result<(), String> {
    let mut parsed = Vec::new();
    for word in words.iter().filter(|word| !word.is_empty()) {
        parsed.extend(parse(word)?);
    }
    if !parsed.is_empty() {
        merge_entries(own, &Some(parsed));
    }
    Ok(())
}
