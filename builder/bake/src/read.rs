//! Reads definition files of both families.

use std::collections::BTreeMap;

use crate::{
    bakefile, compose,
    definition::{Definition, Inputs},
    error::{Error, File},
    file,
};

impl Definition {
    /// Reads files. Later files override earlier ones; compose files come before bake files.
    ///
    /// # Errors
    /// The first error, with its place.
    pub fn read(files: &[File], inputs: &Inputs) -> Result<Definition, Error> {
        let mut compose_files = Vec::new();
        let mut bodies = Vec::new();
        let environment = compose::environment(inputs)?;
        for file in files {
            match Family::of(file, &environment) {
                Family::Compose => compose_files.push(file.clone()),
                Family::Bake => bodies.push(file::read(file)?),
            }
        }
        let mut definition = Definition::default();
        if !compose_files.is_empty() {
            definition = compose::read(&compose_files, &environment, inputs.file_relative)?;
            definition.merge_repeated();
        }
        if !bodies.is_empty() {
            bakefile::read(&bodies, inputs, &mut definition)?;
            definition.merge_repeated();
        }
        Ok(definition)
    }
}

/// The two families of definition files.
enum Family {
    Compose,
    Bake,
}

impl Family {
    /// The name decides. Without a known ending, a file that reads as compose is one.
    fn of(file: &File, environment: &BTreeMap<String, String>) -> Family {
        let name = file.name.to_lowercase();
        if name.ends_with(".yml") || name.ends_with(".yaml") {
            Family::Compose
        } else if name.ends_with(".json") || name.ends_with(".hcl") {
            Family::Bake
        } else if compose::read(std::slice::from_ref(file), environment, false).is_ok() {
            Family::Compose
        } else {
            Family::Bake
        }
    }
}
