//! The sources of COPY and of mounts: stages, images and named contexts.

use super::graph::{CopyFrom, ImageSource};
use super::scope::Scope;
use super::stages::{FilesFrom, Stages};
use buildscope_dockerfile::{Diagnostic, Word};
use buildscope_record::StepId;

/// Resolves the `from` of an instruction, and collects the steps that the instruction needs for it.
pub(super) struct SourceResolver<'a> {
    /// The index of the stage of the instruction.
    stage: usize,
    stages: &'a Stages<'a>,
    /// The last step of each stage so far, and the scope after it.
    ends: &'a [(StepId, Scope)],
    /// The steps whose files the instruction reads.
    pub(super) steps: Vec<StepId>,
}

impl<'a> SourceResolver<'a> {
    pub(super) fn new(stage: usize, stages: &'a Stages<'a>, ends: &'a [(StepId, Scope)]) -> Self {
        Self { stage, stages, ends, steps: Vec::new() }
    }

    /// Resolves a name at the position of `word`. Returns `None` if it cannot be resolved. A later stage is reported as
    /// an error.
    pub(super) fn resolve(
        &mut self,
        word: &Word<'_>,
        name: &str,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Option<CopyFrom> {
        // The errors of the name are already reported, by `Stages::resolve`.
        let mut reported = Vec::new();
        Some(match self.stages.source(name, word.span, &mut reported) {
            FilesFrom::Scratch => CopyFrom::Empty,
            FilesFrom::Context(name) => CopyFrom::NamedContext(name),
            FilesFrom::Image(image) => {
                let found = self.stages.images.get(&image)?;
                CopyFrom::Image(ImageSource { manifest: found.manifest, reference: image })
            }
            FilesFrom::Target(end) => {
                self.steps.push(end.step);
                CopyFrom::Stage(end.step)
            }
            FilesFrom::Stage(other) if other < self.stage => {
                let step = self.ends[other].0;
                self.steps.push(step);
                CopyFrom::Stage(step)
            }
            FilesFrom::Stage(other) => {
                let (other, this) = (self.stages.label(other), self.stages.label(self.stage));
                diagnostics.push(
                    Diagnostic::new(
                        word.span,
                        format!(
                            "cannot copy from stage {other:?}, it needs to be defined before current stage {this:?}"
                        ),
                    )
                    .label("this is a later stage")
                    .help(format!("move the stage {other} above this one")),
                );
                return None;
            }
        })
    }
}
