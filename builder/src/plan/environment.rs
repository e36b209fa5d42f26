//! The environment of a step.

use super::chain::Chain;
use buildscope_dockerfile::Text;
use serde::{Serialize, Serializer};
use std::sync::Arc;

/// Environment variables in the order in which they were first set. Cheap to clone.
#[derive(Clone, Default, Debug)]
pub struct Environment(Chain<Variable>);

/// One assignment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Variable {
    /// Its name.
    pub name: Text,
    /// Its value.
    pub value: Arc<str>,
    /// Whether it is a build argument, not part of the image.
    pub argument: bool,
}

impl Environment {
    /// Sets a variable; one that is set already keeps its place.
    pub fn set(&mut self, variable: Variable) {
        self.0.push(variable);
    }

    /// The variables, each once.
    pub fn variables(&self) -> Vec<Variable> {
        let mut latest: indexmap::IndexMap<Text, Variable> = indexmap::IndexMap::new();
        for variable in self.0.oldest_first() {
            latest.insert(variable.name.clone(), variable.clone());
        }
        latest.into_values().collect()
    }

    /// As `NAME=value`, for a process.
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
