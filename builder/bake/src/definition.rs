//! The content of definition files: groups, targets and variables, evaluated but not yet selected, inherited or overridden.

use std::collections::{BTreeMap, HashMap};

use crate::target::BakeTarget;

/// A variable in the form of `--list=variables`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Variable {
    /// The name.
    pub name: String,
    /// The description.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The type in the file, or empty.
    #[serde(rename = "type", skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// The value as text; `None` for null.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

/// Targets that are built together under one name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// The name.
    pub name: String,
    /// The description.
    pub description: String,
    /// Names of targets and groups. `None`: no file lists any, as for compose files in which nothing is built.
    pub targets: Option<Vec<String>>,
}

/// The sources of the values of variables.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    /// The values of `--var`, which come before the environment.
    pub variables: BTreeMap<String, String>,
    /// The environment. Empty if variables must not come from it.
    pub environment: BTreeMap<String, String>,
    /// The text of `.env` in the working directory, for compose files.
    pub dotenv: Option<String>,
    /// `BAKE_CMD_CONTEXT` and `BAKE_LOCAL_PLATFORM`.
    pub builtins: BTreeMap<String, String>,
    /// Whether local contexts are relative to the directory of the file that names them, and not to the working directory.
    pub file_relative: bool,
}

impl Inputs {
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).or_else(|| self.environment.get(name)).map(String::as_str)
    }
}

/// The groups, targets and variables of all files.
#[derive(Clone, Debug, Default)]
pub struct Definition {
    /// In the order of the files.
    pub groups: Vec<Group>,
    /// In the order of the files.
    pub targets: Vec<BakeTarget>,
    /// Sorted by name. `None` without a bake file: only those declare variables.
    pub variables: Option<Vec<Variable>>,
}

impl Definition {
    pub(crate) fn target(&self, name: &str) -> Option<&BakeTarget> {
        self.targets.iter().find(|target| target.name == name)
    }

    /// The first target and the first group of each name.
    pub(crate) fn by_name(&self) -> ByName<'_> {
        // The last of equal keys stays in a map.
        ByName {
            targets: self.targets.iter().rev().map(|target| (target.name.as_str(), target)).collect(),
            groups: self.groups.iter().rev().map(|group| (group.name.as_str(), group)).collect(),
        }
    }

    /// Merges targets of the same name into the first.
    pub(crate) fn merge_repeated(&mut self) {
        self.groups.iter_mut().filter_map(|group| group.targets.as_mut()).for_each(dedup);
        let mut merged: Vec<BakeTarget> = Vec::with_capacity(self.targets.len());
        let mut positions: HashMap<String, usize> = HashMap::new();
        for target in self.targets.drain(..) {
            match positions.get(&target.name) {
                Some(&position) => merged[position].merge(&target),
                None => {
                    positions.insert(target.name.clone(), merged.len());
                    merged.push(target);
                }
            }
        }
        self.targets = merged;
    }
}

/// The targets and groups of a definition by their names.
pub(crate) struct ByName<'a> {
    pub(crate) targets: HashMap<&'a str, &'a BakeTarget>,
    pub(crate) groups: HashMap<&'a str, &'a Group>,
}

/// Keeps the first of equal names.
pub(crate) fn dedup(names: &mut Vec<String>) {
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| seen.insert(name.clone()));
}
