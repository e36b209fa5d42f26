//! Compose files as targets.
//!
//! *Takes* compose files and an environment; reads the files that they name (`extends`, `include`, `env_file`). *Gives* a
//! target for each service with `build`. *Must never know* bake files.

mod dotenv;
mod interpolate;
mod limits;
mod load;
mod merge;
mod scalar;
mod service;

use std::collections::BTreeMap;

use crate::{
    definition::{Definition, Group, Inputs},
    error::{Error, File},
    paths,
};

/// The environment of compose files: `.env`, the environment, then `--var`.
pub(crate) fn environment(inputs: &Inputs) -> Result<BTreeMap<String, String>, Error> {
    let mut environment = BTreeMap::new();
    if let Some(text) = &inputs.dotenv {
        let known = |name: &str| inputs.environment.get(name).cloned();
        environment = dotenv::parse(text, &known).map_err(|why| Error::new(format!(".env: {why}")))?;
    }
    environment.extend(inputs.environment.clone());
    environment.extend(inputs.variables.clone());
    let project = environment.entry("COMPOSE_PROJECT_NAME".into()).or_default();
    if project.is_empty() {
        *project = "bake".into();
    }
    Ok(environment)
}

/// Reads compose files, each of which overrides those before it.
///
/// # Errors
/// The first error, with its place.
pub(crate) fn read(
    files: &[File],
    environment: &BTreeMap<String, String>,
    file_relative: bool,
) -> Result<Definition, Error> {
    let model = load::model(files, environment)?;
    let mut definition = Definition::default();
    let mut group = Group { name: "default".into(), ..Group::default() };
    let project = service::Project::of(&model, environment)?;
    for (name, service) in &project.services {
        let failed = |why: String| {
            let place = files.iter().rev().find_map(|file| load::place(file, &["services", name]));
            let error = Error::new(format!("services.{name}: {why}"));
            place.map_or_else(|| error.clone(), |place| error.clone().at(&place))
        };
        if let Some(mut target) = project.target(name, service).map_err(failed)? {
            if file_relative {
                target.relocate(paths::directory(&files[0].name));
            }
            group.targets.get_or_insert_default().push(target.name.clone());
            definition.targets.push(target);
        }
    }
    if !project.services.is_empty() {
        definition.groups.push(group);
    }
    Ok(definition)
}
