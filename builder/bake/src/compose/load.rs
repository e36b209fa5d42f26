//! Compose files as one merged tree: interpolation, `include`, `extends`, overriding files.

use std::{borrow::Cow, cell::Cell, collections::BTreeMap};

use buildscope_record::{WeightError, weight};
use serde::{Deserialize, Deserializer};
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
/// The most files that are read. One that is included twice is read twice.
const MAX_READ: usize = 1000;
/// The most that the values of all files take, in bytes. Aliases, variables and `extends` repeat values in a few bytes.
const MAX_VALUES: usize = 64 << 20;
/// The deepest nesting of `[` and `{`. The YAML library allows 128, but takes quadratic time to find out.
const MAX_BRACKETS: usize = 1000;

type Evaluation = BTreeMap<String, String>;

/// The merged tree of all files.
pub(super) fn model(files: &[File], environment: &Evaluation) -> Result<Mapping, Error> {
    let mut model = Yaml::Mapping(Mapping::new());
    let budget = Budget { files: Cell::new(MAX_READ), values: Cell::new(MAX_VALUES) };
    for file in files {
        let loader = Loader { environment, files: vec![file.name.clone()], directory: "", budget: &budget };
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

/// What is left for the files of one command: they may come from elsewhere.
struct Budget {
    files: Cell<usize>,
    /// In bytes.
    values: Cell<usize>,
}

impl Budget {
    /// Reads a file that another one names.
    fn read(&self, path: &str, from: &str) -> Result<String, Error> {
        let left = self.files.get().checked_sub(1);
        self.files.set(left.ok_or_else(|| Error::new(format!("{from}: more than {MAX_READ} files are included")))?);
        read_text(path).map_err(|error| Error::new(format!("{from}: cannot read {path}: {error}")))
    }

    /// Counts values that are copied.
    fn take(&self, bytes: usize) -> Result<(), String> {
        let left = self.values.get().checked_sub(bytes);
        self.values
            .set(left.ok_or_else(|| format!("the values of all files take more than {} MiB", MAX_VALUES >> 20))?);
        Ok(())
    }

    /// Counts a value or a document.
    fn weigh<'de>(&self, value: impl Deserializer<'de>) -> Result<(), String> {
        match weight(value, self.values.get()) {
            Ok(bytes) => self.take(bytes),
            Err(WeightError::TooLarge) => self.take(usize::MAX),
            // It is reported when it is parsed.
            Err(WeightError::Invalid) => Ok(()),
        }
    }
}

struct Loader<'a> {
    environment: &'a Evaluation,
    budget: &'a Budget,
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
        for document in documents(file, self.budget)? {
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
                let known = |name: &str| self.environment.get(name).map(|value| Cow::Borrowed(value.as_str()));
                let replaced = interpolate(&text, &known).and_then(|text| self.budget.take(text.len()).map(|()| text));
                Yaml::String(replaced.map_err(|why| (path.clone(), why))?)
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
                let text = self.budget.read(&paths::join(base, &file), &from.name)?;
                let known = |name: &str| self.environment.get(name).cloned();
                let own = super::dotenv::parse(&text, &known).map_err(|why| Error::new(format!("{file}: {why}")))?;
                for (name, value) in own {
                    environment.entry(name).or_insert(value);
                }
            }
            for path in paths {
                let path = paths::join(base, &path);
                let file = File { text: self.budget.read(&path, &from.name)?, name: path };
                let files = self.deeper(&file.name)?;
                let loader = Loader { environment: &environment, files, directory: &project, budget: self.budget };
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
                let other = File { text: self.budget.read(&located, &file.name)?, name: located };
                let mut found = None;
                for document in documents(&other, self.budget)? {
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
        self.budget.weigh(&base).map_err(failed)?;
        if base.is_null() {
            base = Yaml::Mapping(Mapping::new());
        }
        let mut at = vec!["services".to_owned(), name.to_owned()];
        merge(base, Yaml::Mapping(service), &mut at).map_err(failed)
    }
}

/// The documents of a file.
fn documents(file: &File, budget: &Budget) -> Result<Vec<Yaml>, Error> {
    if let Some(offset) = too_deep(&file.text) {
        let place = SourceText::new(&file.name, &file.text).place(offset..offset);
        return Err(Error::new(format!("brackets are nested more than {MAX_BRACKETS} deep")).at(&place));
    }
    let mut documents = Vec::new();
    let twice = yaml_serde::Deserializer::from_str(&file.text).zip(yaml_serde::Deserializer::from_str(&file.text));
    for (weighed, document) in twice {
        budget.weigh(weighed).map_err(|why| Error::new(format!("{}: {why}", file.name)))?;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: String) -> String {
        let file = File { name: "compose.yaml".into(), text };
        model(&[file], &Evaluation::new()).unwrap_err().message
    }

    #[test]
    fn values_that_are_repeated_count_each_time() {
        let long = "x".repeat(100_000);
        let limit = "the values of all files take more than 64 MiB";
        let aliases = ["*a"; 1000].join(",");
        for text in [
            format!("x-a: &a \"{long}\"\nx-b: [{aliases}]\nservices: {{}}\n"),
            format!(
                "x-a: &a {{b: \"{long}\"}}\nservices: {{}}\n{}",
                (0..1000).map(|n| format!("x-{n}: {{<<: *a}}\n")).collect::<String>()
            ),
            format!(
                "services:\n  a: {{image: \"{long}\"}}\n{}",
                (0..1000).map(|n| format!("  s{n}: {{extends: a}}\n")).collect::<String>()
            ),
        ] {
            let error = refused(text);
            assert!(error.contains(limit), "{error}");
        }
    }

    #[test]
    fn files_that_are_included_count_each_time() {
        let folder = std::env::temp_dir().join(format!("buildscope-include-{}", std::process::id()));
        std::fs::create_dir(&folder).unwrap();
        let path = |level: u32| folder.join(format!("{level}.yaml"));
        for level in 0..12 {
            let next = path(level + 1);
            std::fs::write(path(level), format!("include: [{0}, {0}]\n", next.display())).unwrap();
        }
        std::fs::write(path(12), "services: {a: {build: .}}\n").unwrap();
        let error = refused(format!("include: [{}]\n", path(0).display()));
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(error.contains("more than 1000 files"), "{error}");
    }
}
