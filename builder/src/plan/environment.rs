//! The environment of a step.

use super::chain::Chain;
use buildscope_dockerfile::Text;
use indexmap::IndexMap;
use serde::{Serialize, Serializer};
use std::collections::HashSet;
use std::sync::Arc;

/// Environment variables in the order in which a process gets them: that in which they were last set. (In the image
/// configuration, a variable that is set again keeps its position.) The list is cheap to clone.
#[derive(Clone, Default, Debug)]
pub struct Environment(Chain<EnvironmentEntry>);

#[derive(Clone, Debug)]
enum EnvironmentEntry {
    /// A variable is set.
    Set(Variable),
    /// A stage starts. As in BuildKit, the variables of the image are set again there: after the build arguments, and over
    /// an argument of the same name. One entry stands for all of them, so that many stages need little memory.
    Stage,
}

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

impl EnvironmentEntry {
    fn variable(&self) -> Option<&Variable> {
        match self {
            Self::Set(variable) => Some(variable),
            Self::Stage => None,
        }
    }
}

impl Environment {
    /// Sets a variable. A variable that is set again moves to the end.
    pub fn set(&mut self, variable: Variable) {
        self.0.push(EnvironmentEntry::Set(variable));
    }

    /// Starts a stage that is based on a stage with these variables.
    pub(super) fn start_stage(&mut self) {
        self.0.push(EnvironmentEntry::Stage);
    }

    /// Returns every variable once, with its latest value.
    pub fn variables(&self) -> Vec<Variable> {
        let entries: Vec<&EnvironmentEntry> = self.0.oldest_first().collect();
        let stage = entries.iter().rposition(|entry| matches!(entry, EnvironmentEntry::Stage)).unwrap_or(0);
        let (before, after) = entries.split_at(stage);
        // A variable of the image that is set again keeps its position there.
        let mut image: IndexMap<&Text, &Variable> = IndexMap::new();
        for variable in before.iter().filter_map(|entry| entry.variable()).filter(|variable| !variable.argument) {
            image.insert(&variable.name, variable);
        }
        let arguments =
            before.iter().filter_map(|entry| entry.variable()).filter(|variable| !image.contains_key(&variable.name));
        let in_order =
            arguments.chain(image.values().copied()).chain(after.iter().filter_map(|entry| entry.variable()));
        let in_order: Vec<&Variable> = in_order.collect();
        let mut seen: HashSet<&Text> = HashSet::new();
        let latest = in_order.into_iter().rev().filter(|variable| seen.insert(&variable.name));
        let mut latest: Vec<Variable> = latest.cloned().collect();
        latest.reverse();
        latest
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
