//! The words of rewrites, the same for `check` and `explain`.

use super::{CacheAdvice, Reorder, ReorderKind};
use crate::usage::{Cache, Tool};

impl Reorder {
    /// The change, as a clause. `run` names the RUN.
    pub fn remedy(&self, run: &str) -> String {
        let files = [&self.files[..], &self.folders].concat().join(" ");
        let lists = self.files.join(" ");
        match &self.kind {
            ReorderKind::Whole if files.is_empty() => format!("copy the sources after {run}, which needs none of them"),
            ReorderKind::Whole => format!("copy {files} alone before {run}, and the rest after it"),
            ReorderKind::Part(first) if files.is_empty() => {
                format!("move `{first}` of {run} to a RUN of its own before the sources are copied")
            }
            ReorderKind::Part(first) => {
                format!("copy {files} alone and move `{first}` of {run} to a RUN of its own before the rest is copied")
            }
            ReorderKind::Fetch(command) => {
                format!("copy {files} and run `{command}` before the sources are copied for {run}")
            }
            ReorderKind::Hard if self.tool == Tool::Cargo => format!(
                "compile the dependencies before the sources are copied (cargo-chef does that): {lists} list what {run} needs"
            ),
            ReorderKind::Hard => {
                format!(
                    "fetch the dependencies before the sources are copied, if {} can: {lists} list what {run} needs",
                    self.tool.name()
                )
            }
        }
    }
}

impl CacheAdvice {
    /// The flags of RUN.
    pub fn flags(&self) -> String {
        self.caches.iter().map(Cache::flag).collect::<Vec<_>>().join(" ")
    }

    /// The further changes, as clauses; empty if there are none.
    pub fn conditions(&self) -> String {
        self.also.join(", and ")
    }
}
