//! Stages with the ONBUILD triggers that their base brings, if the base is a stage of the file.

use crate::{Dockerfile, From, Instruction, Kind, Run};
use std::collections::BTreeMap;

/// A stage.
pub(super) struct Stage<'f, 't> {
    pub(super) from_line: &'f Instruction<'t>,
    pub(super) from: &'f From<'t>,
    /// The triggers of its base, at the position of the FROM.
    triggers: Vec<Instruction<'t>>,
    own: &'f [Instruction<'t>],
}

impl<'t> Stage<'_, 't> {
    /// The instructions of the stage after its FROM, in the order in which they take effect.
    pub(super) fn instructions(&self) -> impl Iterator<Item = &Instruction<'t>> {
        self.triggers.iter().chain(self.own)
    }
}

/// Returns the stages of a file. A trigger takes effect only in the stages that the last one needs, because BuildKit looks for triggers
/// only there.
pub(super) fn stages<'f, 't>(file: &'f Dockerfile<'t>) -> Vec<Stage<'f, 't>> {
    let mut stages: Vec<Stage<'f, 't>> = Vec::new();
    let mut names: BTreeMap<String, usize> = BTreeMap::new();
    let mut bases: Vec<Option<usize>> = Vec::new();
    for stage in super::by_stage(file) {
        let Some((from_line, own)) = stage.split_first() else { continue };
        let Kind::From(from) = &from_line.kind else { continue };
        bases.push(names.get(&*from.base.text).copied());
        if let Some(name) = &from.name {
            names.insert(name.to_lowercase(), stages.len());
        }
        stages.push(Stage { from_line, from, triggers: Vec::new(), own });
    }
    let brings = |stage: &Stage<'_, '_>| stage.own.iter().any(|found| matches!(found.kind, Kind::Onbuild(_)));
    if !stages.iter().any(brings) {
        return stages;
    }
    let needed = needed(&stages, &bases, &names);
    for (index, base) in bases.iter().enumerate().filter(|(index, _)| needed[*index]) {
        let Some(base) = *base else { continue };
        let from = stages[index].from_line;
        let at_from = |instruction: &Instruction<'t>| match &instruction.kind {
            Kind::Onbuild(onbuild) => Some(Instruction {
                span: from.span,
                lines: from.lines,
                comments: (0, 0),
                ..onbuild.instruction.clone()
            }),
            _ => None,
        };
        stages[index].triggers = stages[base].own.iter().filter_map(at_from).collect();
    }
    stages
}

/// Whether the last stage needs each stage.
fn needed(stages: &[Stage<'_, '_>], bases: &[Option<usize>], names: &BTreeMap<String, usize>) -> Vec<bool> {
    let mut needed = vec![false; stages.len()];
    let mut waiting: Vec<usize> = stages.len().checked_sub(1).into_iter().collect();
    while let Some(index) = waiting.pop() {
        if std::mem::replace(&mut needed[index], true) {
            continue;
        }
        waiting.extend(bases[index]);
        let sources = stages[index].own.iter().flat_map(sources);
        let stage = |name: String| {
            let by_index = || name.parse().ok().filter(|&index: &usize| index < stages.len());
            names.get(&name.to_lowercase()).copied().or_else(by_index)
        };
        waiting.extend(sources.filter_map(stage));
    }
    needed
}

/// The names of the stages from which an instruction takes files.
fn sources(instruction: &Instruction<'_>) -> Vec<String> {
    let mounts = |run: &Run<'_>| run.mounts().filter_map(crate::mount::Spec::from_of).collect();
    match &instruction.kind {
        Kind::Copy(copy) => copy.from().map(|word| word.text.to_string()).into_iter().collect(),
        Kind::Run(run) => mounts(run),
        Kind::Onbuild(onbuild) => sources(&onbuild.instruction),
        _ => Vec::new(),
    }
}
