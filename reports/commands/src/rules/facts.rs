//! The known facts of a build besides its Dockerfile.

use std::collections::BTreeSet;

/// The facts that the caller knows. Without them, rules have fewer edits.
pub trait Facts: std::fmt::Debug {
    /// The files of the build context that an instruction copies, or all files of the context; `None` if unknown.
    fn files(&self, step: usize) -> Option<&BTreeSet<String>>;
    /// The last lines that a RUN printed; `None` if unknown.
    fn output(&self, step: usize) -> Option<&[String]>;
    /// The text of a file of the build context; `None` if it cannot be read.
    fn text(&self, path: &str) -> Option<String>;
    /// Whether all instructions are known. A log has only those that make layers.
    fn is_complete(&self) -> bool;
}

/// Only the Dockerfile is known.
#[derive(Clone, Copy, Debug)]
pub struct Nothing;

impl Facts for Nothing {
    fn files(&self, _: usize) -> Option<&BTreeSet<String>> {
        None
    }

    fn output(&self, _: usize) -> Option<&[String]> {
        None
    }

    fn text(&self, _: &str) -> Option<String> {
        None
    }

    fn is_complete(&self) -> bool {
        true
    }
}
