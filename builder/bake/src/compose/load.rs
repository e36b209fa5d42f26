//! Compose files as one merged tree: interpolation, `include`, `extends`, overriding files.

use std::collections::BTreeMap;

use serde::Deserialize;
use yaml_serde::{Mapping, Value as Yaml};

use super::{
    interpolate::interpolate,
    merge::{build_map, merge, without_tags},
    scalar,
};
use crate::{
    error::{Error, File, Place, SourceText},
    paths,
    text::read_text,
};

/// The most files that include or extend each other in a row.
const MAX_FILES: usize = 32;
/// The deepest nesting of `[` and `{`. The YAML library allows 128, but takes quadratic time to find out.
const MAX_BRACKETS: usize = 1000;

type Evaluation = BTreeMap<String, String>;

/// The merged tree of all files.
pub(super) fn model(files: &[File], environment: &Evaluation) -> Result<Mapping, Error> {
    let mut model = Yaml::Mapping(Mapping::new());
    for file in files {
        let loader = Loader { environment, files: vec![file.name.clone()], directory: "" };
        let tree = loader.load(file)?;
        let failed = |why: String| Error::new(format!("{}: {why}", file.name));
        model = merge(model, Yaml::Mapping(tree), &mut Vec::new()).map_err(failed)?;
    }
    match without_tags(model) {
        Yaml::Mapping(model) if !model.is_empty() => Ok(model),
        _ => Err(Error::new("empty compose file")),
    }
}

/// The line of a key, found by the keys that lead to it. `None` if the file is not written one key a line.
pub(super) fn place(file: &File, path: &[&str]) -> Option<Place> {
    let mut offset = 0;
    let mut found = None;
    for key in path {
        let wanted = [format!("{key}:"), format!("\"{key}\":"), format!("'{key}':")];
        let mut position = offset;
        let line = file.text[offset..].split_inclusive('\n').find_map(|line| {
            let start = position;
            position += line.len();
            let text = line.trim_start();
            wanted
                .iter()
                .any(|wanted| text.starts_with(wanted.as_str()))
                .then_some((start + line.len() - text.len(), position))
        });
        let (start, end) = line?;
        found = Some(start);
        offset = end;
    }
    found.map(|start| SourceText::new(&file.name, &file.text).place(start..start))
}

struct Loader<'a> {
    environment: &'a Evaluation,
    /// The files that lead here, to find cycles.
    files: Vec<String>,
    /// The directory of the paths in its file: the working directory, or the project directory of an included file.
    directory: &'a str,
}

impl Loader<'_> {
    /// The directory of the paths in a file: those of a file that services extend are relative to its own.
    fn base<'f>(&'f self, file: &'f File) -> &'f str {
        if self.files.last() == Some(&file.name) { self.directory } else { paths::directory(&file.name) }
    }

    fn load(&self, file: &File) -> Result<Mapping, Error> {
        let failed = |why: String| Error::new(format!("{}: {why}", file.name));
        let mut model = Mapping::new();
        for document in documents(file)? {
            let mut document = self.interpolated(document, &mut Vec::new()).map_err(|(path, why)| {
                let keys: Vec<&str> = path.iter().map(String::as_str).collect();
                let error = Error::new(format!("{}: {why}", path.join(".")));
                place(file, &keys).map_or_else(|| failed(error.message.clone()), |place| error.clone().at(&place))
            })?;
            document.apply_merge().map_err(|error| failed(error.to_string()))?;
            let Yaml::Mapping(mut tree) = document else {
                return Err(failed("the file must be a map with services".into()));
            };
            if let Some(include) = tree.remove("include") {
                let included = self.included(&include, file)?;
                tree = match merge(Yaml::Mapping(included), Yaml::Mapping(tree), &mut Vec::new()).map_err(failed)? {
                    Yaml::Mapping(tree) => tree,
                    _ => Mapping::new(),
                };
            }
            self.extend_services(&mut tree, file)?;
            let merged = merge(Yaml::Mapping(model), Yaml::Mapping(tree), &mut Vec::new()).map_err(failed)?;
            model = match merged {
                Yaml::Mapping(model) => model,
                _ => Mapping::new(),
            };
        }
        Ok(model)
    }

    /// Replaces variables in all texts except keys.
    fn interpolated(&self, value: Yaml, path: &mut Vec<String>) -> Result<Yaml, (Vec<String>, String)> {
        Ok(match value {
            Yaml::String(text) => {
                Yaml::String(interpolate(&text, self.environment).map_err(|why| (path.clone(), why))?)
            }
            Yaml::Sequence(values) => Yaml::Sequence(
                values.into_iter().map(|value| self.interpolated(value, path)).collect::<Result<_, _>>()?,
            ),
            Yaml::Mapping(map) => {
                let mut replaced = Mapping::new();
                for (key, value) in map {
                    path.push(scalar::text(&key).unwrap_or_default());
                    replaced.insert(key, self.interpolated(value, path)?);
                    path.pop();
                }
                Yaml::Mapping(replaced)
            }
            Yaml::Tagged(mut tagged) => {
                tagged.value = self.interpolated(tagged.value, path)?;
                Yaml::Tagged(tagged)
            }
            other => other,
        })
    }

    /// The models of included files. Their paths are relative to their own directory.
    fn included(&self, include: &Yaml, from: &File) -> Result<Mapping, Error> {
        let mut model = Mapping::new();
        for entry in include.as_sequence().into_iter().flatten() {
            let (paths, project, env_file) = match entry {
                Yaml::Mapping(map) => {
                    (texts(map.get("path")), map.get("project_directory"), texts(map.get("env_file")))
                }
                other => (texts(Some(other)), None, Vec::new()),
            };
            let base = self.directory;
            let first = paths.first().map(|path| paths::join(base, path)).unwrap_or_default();
            let project = project.and_then(scalar::text).map(|project| paths::join(base, &project));
            let project = project.unwrap_or_else(|| paths::directory(&first).to_owned());
            let mut environment = self.environment.clone();
            for file in env_file {
                let text = read(&paths::join(base, &file), &from.name)?;
                let known = |name: &str| self.environment.get(name).cloned();
                let own = super::dotenv::parse(&text, &known).map_err(|why| Error::new(format!("{file}: {why}")))?;
                for (name, value) in own {
                    environment.entry(name).or_insert(value);
                }
            }
            for path in paths {
                let path = paths::join(base, &path);
                let file = File { text: read(&path, &from.name)?, name: path };
                let loader = Loader { environment: &environment, files: self.deeper(&file.name)?, directory: &project };
                let mut tree = Yaml::Mapping(loader.load(&file)?);
                relocate(&mut tree, &project);
                let merged = merge(Yaml::Mapping(model), tree, &mut Vec::new());
                model = match merged.map_err(|why| Error::new(format!("{}: {why}", file.name)))? {
                    Yaml::Mapping(model) => model,
                    _ => Mapping::new(),
                };
            }
        }
        Ok(model)
    }

    fn deeper(&self, file: &str) -> Result<Vec<String>, Error> {
        if self.files.iter().any(|known| known == file) || self.files.len() == MAX_FILES {
            return Err(Error::new(format!(
                "include cycle detected: {} includes {file}",
                self.files.join(" includes ")
            )));
        }
        Ok(self.files.iter().cloned().chain([file.to_owned()]).collect())
    }

    fn extend_services(&self, tree: &mut Mapping, file: &File) -> Result<(), Error> {
        let Some(Yaml::Mapping(services)) = tree.get("services").cloned() else {
            return Ok(());
        };
        let mut extended = Mapping::new();
        for name in services.keys() {
            let name = scalar::text(name).unwrap_or_default();
            let service = self.extended(&name, &services, file, &mut Vec::new())?;
            extended.insert(Yaml::from(name), service);
        }
        tree.insert(Yaml::from("services"), Yaml::Mapping(extended));
        Ok(())
    }

    /// A service merged over the one that it extends.
    fn extended(&self, name: &str, services: &Mapping, file: &File, path: &mut Vec<String>) -> Result<Yaml, Error> {
        let failed = |why: String| {
            let error = Error::new(format!("services.{name}: {why}"));
            place(file, &["services", name]).map_or_else(|| error.clone(), |place| error.clone().at(&place))
        };
        let Some(Yaml::Mapping(service)) = services.get(name) else {
            return Ok(services.get(name).cloned().unwrap_or(Yaml::Null));
        };
        let mut service = service.clone();
        let Some(extends) = service.remove("extends") else {
            return Ok(Yaml::Mapping(service));
        };
        let step = format!("{}#{name}", file.name);
        if path.contains(&step) || path.len() == MAX_FILES {
            return Err(failed(format!("circular reference with extends: {}", path.join(" extends "))));
        }
        path.push(step);
        let (base_name, base_file) = match &extends {
            Yaml::Mapping(map) => (map.get("service").and_then(scalar::text), map.get("file").and_then(scalar::text)),
            other => (scalar::text(other), None),
        };
        let base_name = base_name.ok_or_else(|| failed("extends needs a service".into()))?;
        let missing = |file: &str| failed(format!("cannot extend: service \"{base_name}\" not found in {file}"));
        let mut base = match base_file {
            None if services.get(&base_name).is_none() => return Err(missing(&file.name)),
            None => self.extended(&base_name, services, file, path)?,
            Some(base_file) => {
                let located = paths::join(self.base(file), &base_file);
                let other = File { text: read(&located, &file.name)?, name: located };
                let mut found = None;
                for document in documents(&other)? {
                    let document = self.interpolated(document, &mut Vec::new()).map_err(|(_, why)| failed(why))?;
                    if let Some(Yaml::Mapping(services)) = document.get("services")
                        && services.get(&base_name).is_some()
                    {
                        found = Some(self.extended(&base_name, services, &other, path)?);
                    }
                }
                let service = found.ok_or_else(|| missing(&other.name))?;
                let services: Mapping = [(Yaml::from(base_name.clone()), service)].into_iter().collect();
                let mut tree = Yaml::Mapping([(Yaml::from("services"), Yaml::Mapping(services))].into_iter().collect());
                relocate(&mut tree, paths::directory(&other.name));
                tree.get("services").and_then(|services| services.get(&base_name)).cloned().unwrap_or(Yaml::Null)
            }
        };
        path.pop();
        if base.is_null() {
            base = Yaml::Mapping(Mapping::new());
        }
        let mut at = vec!["services".to_owned(), name.to_owned()];
        merge(base, Yaml::Mapping(service), &mut at).map_err(failed)
    }
}

/// The documents of a file.
fn documents(file: &File) -> Result<Vec<Yaml>, Error> {
    if let Some(offset) = too_deep(&file.text) {
        let place = SourceText::new(&file.name, &file.text).place(offset..offset);
        return Err(Error::new(format!("brackets are nested more than {MAX_BRACKETS} deep")).at(&place));
    }
    let mut documents = Vec::new();
    for document in yaml_serde::Deserializer::from_str(&file.text) {
        let value = Yaml::deserialize(document).map_err(|error| {
            let message = error.to_string();
            let location = error.location();
            let place =
                location.map(|at| Place { file: file.name.as_str().into(), line: at.line(), column: at.column() });
            let error = Error::new(message.split(" at line ").next().unwrap_or(&message));
            place.map_or_else(|| Error::new(format!("{}: {message}", file.name)), |place| error.at(&place))
        })?;
        if !value.is_null() {
            documents.push(value);
        }
    }
    Ok(documents)
}

/// The offset at which brackets are nested too deeply. Brackets in quotes and comments count too: a real file does not have that many
/// unclosed ones.
fn too_deep(text: &str) -> Option<usize> {
    let mut depth: usize = 0;
    text.bytes().position(|byte| {
        match byte {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth > MAX_BRACKETS
    })
}

fn read(path: &str, from: &str) -> Result<String, Error> {
    read_text(path).map_err(|error| Error::new(format!("{from}: cannot read {path}: {error}")))
}

/// The texts of a list, or of a single text.
pub(super) fn texts(value: Option<&Yaml>) -> Vec<String> {
    match value {
        Some(Yaml::Sequence(values)) => values.iter().filter_map(scalar::text).collect(),
        Some(value) => scalar::text(value).into_iter().collect(),
        None => Vec::new(),
    }
}

/// Makes paths of services and secrets relative to the directory of their file.
fn relocate(tree: &mut Yaml, directory: &str) {
    if directory.is_empty() {
        return;
    }
    let move_text = |value: &mut Yaml| {
        if let Yaml::String(path) = value {
            *path = located(directory, path);
        }
    };
    if let Some(Yaml::Mapping(services)) = tree.get_mut("services") {
        for (_, service) in services.iter_mut() {
            let Yaml::Mapping(service) = service else { continue };
            if let Some(build) = service.get_mut("build") {
                let mut map = build_map(build.clone());
                map.entry(Yaml::from("context")).or_insert(Yaml::from("."));
                map.get_mut("context").into_iter().for_each(move_text);
                match map.get_mut("additional_contexts") {
                    Some(Yaml::Mapping(contexts)) => contexts.iter_mut().for_each(|(_, context)| move_text(context)),
                    Some(Yaml::Sequence(contexts)) => {
                        for context in contexts {
                            if let Yaml::String(text) = context
                                && let Some((name, path)) = text.split_once('=')
                            {
                                *text = format!("{name}={}", located(directory, path));
                            }
                        }
                    }
                    _ => {}
                }
                *build = Yaml::Mapping(map);
            }
            match service.get_mut("env_file") {
                Some(Yaml::Sequence(files)) => {
                    for file in files {
                        match file {
                            Yaml::Mapping(map) => map.get_mut("path").into_iter().for_each(move_text),
                            file => move_text(file),
                        }
                    }
                }
                Some(file) => move_text(file),
                None => {}
            }
        }
    }
    if let Some(Yaml::Mapping(secrets)) = tree.get_mut("secrets") {
        secrets.iter_mut().filter_map(|(_, secret)| secret.get_mut("file")).for_each(move_text);
    }
}

/// A context or file below a directory, unless it is absolute, remote or not a path.
pub(super) fn located(directory: &str, path: &str) -> String {
    let home = || std::env::home_dir().map(|home| home.to_string_lossy().into_owned());
    if path.is_empty() || path.contains("://") || path.starts_with("service:") || paths::is_remote(path) {
        return path.to_owned();
    }
    if let Some(rest) = path.strip_prefix('~')
        && (rest.is_empty() || rest.starts_with('/'))
        && let Some(home) = home()
    {
        return format!("{home}{rest}");
    }
    if path.starts_with('/') {
        return path.to_owned();
    }
    if path.starts_with("target:") || path.starts_with("docker-image:") {
        path.to_owned()
    } else {
        paths::join(directory, path)
    }
}
