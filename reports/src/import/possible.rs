//! The Dockerfiles that a build may have read, by the names of its steps.

use super::names::{self, Targets};
use crate::inside::shows;

/// The instructions of each such Dockerfile, each on one line.
#[derive(Clone, Debug, Default)]
pub(crate) struct PossibleFiles<'f>(Vec<&'f [String]>);

impl<'f> PossibleFiles<'f> {
    pub(crate) fn of(files: &'f [Vec<String>]) -> Self {
        Self(files.iter().map(Vec::as_slice).collect())
    }

    /// Whether one of them has the instruction that a vertex of BuildKit is named after.
    pub(crate) fn have(&self, name: &str) -> bool {
        self.0.iter().any(|file| has(file, name))
    }

    /// Leaves those that have the instruction. The forms of some names, such as those of heredocs, are not in a Dockerfile.
    pub(crate) fn narrow(&mut self, name: &str) {
        if self.have(name) {
            self.0.retain(|file| has(file, name));
        }
    }
}

/// BuildKit shows the values of variables.
fn has(file: &[String], name: &str) -> bool {
    let step = names::vertex(name, &Targets::default());
    step.number.is_some() && file.iter().any(|line| shows(&step.text, line))
}
