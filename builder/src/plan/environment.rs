//! The environment of a step.

use super::chain::Chain;
use buildscope_dockerfile::Text;
use serde::{Serialize, Serializer};
use std::collections::HashSet;
use std::sync::Arc;

/// Environment variables in the order in which a process gets them: that in which they were last set. (In the image
/// configuration, a variable that is set again keeps its position.) The list is cheap to clone.
#[derive(Clone, Default, Debug)]
pub struct Environment(Chain<Variable>);

/// An environment variable with its value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Variable {
    /// The name of the variable.
    pub name: Text,
    /// The expanded value.
    pub value: Arc<str>,
    /// Whether the variable is a build argument, which is not part of the image.
    pub argument: bool,
}

impl Environment {
    /// Sets a variable. A variable that is set again moves to the end.
    pub fn set(&mut self, variable: Variable) {
        self.0.push(variable);
    }

    /// Returns every variable once, with its latest value.
    pub fn variables(&self) -> Vec<Variable> {
        let mut seen: HashSet<&Text> = HashSet::new();
        let latest = self.0.newest_first().filter(|variable| seen.insert(&variable.name));
        let mut latest: Vec<Variable> = latest.cloned().collect();
        latest.reverse();
        latest
    }

    /// Returns the variables of the image configuration. One that is set again keeps its position.
    pub(super) fn of_image(&self) -> Vec<Variable> {
        let mut latest: indexmap::IndexMap<&Text, &Variable> = indexmap::IndexMap::new();
        for variable in self.0.oldest_first().filter(|variable| !variable.argument) {
            latest.insert(&variable.name, variable);
        }
        latest.into_values().cloned().collect()
    }

    /// Returns the variables as `NAME=value`, the form for a process.
    pub fn to_vec(&self) -> Vec<String> {
        self.variables().iter().map(|variable| format!("{}={}", variable.name, variable.value)).collect()
    }
}

impl PartialEq for Environment {
    fn eq(&self, other: &Self) -> bool {
        self.variables() == other.variables()
    }
}

impl Serialize for Environment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.to_vec())
    }
}
