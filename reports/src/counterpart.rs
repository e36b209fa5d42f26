//! The same step in another record of a build.

use buildscope_record::{Record, Step};
use std::collections::HashMap;

/// An index for finding the corresponding step in another record.
pub(crate) struct Counterparts<'r> {
    record: &'r Record,
    /// Steps by stage and text. Several steps may have the same text.
    texts: HashMap<(&'r str, &'r str), Vec<usize>>,
    /// Steps by stage, in the order of the file.
    stages: HashMap<&'r str, Vec<usize>>,
    /// By step.
    positions: Vec<Positions>,
}

/// How a step is found among similar ones.
#[derive(Clone, Copy)]
struct Positions {
    /// Its position among the steps of the same stage with the same text.
    of_text: usize,
    /// Its position in its stage.
    in_stage: usize,
}

impl<'r> Counterparts<'r> {
    /// Indexes a record.
    pub(crate) fn new(record: &'r Record) -> Self {
        let mut index = Self { record, texts: HashMap::new(), stages: HashMap::new(), positions: Vec::new() };
        for (at, step) in record.steps.iter().enumerate() {
            let stage = stage(record, step);
            let texts = index.texts.entry((stage, step.text.as_str())).or_default();
            texts.push(at);
            let of_text = texts.len() - 1;
            let steps = index.stages.entry(stage).or_default();
            steps.push(at);
            index.positions.push(Positions { of_text, in_stage: steps.len() - 1 });
        }
        index
    }

    /// The step of `other` that corresponds to a step of this record: the one with the same text in the same stage, else
    /// the one with the same instruction at the same position of the stage.
    pub(crate) fn find<'o>(&self, step: &Step, other: &Counterparts<'o>) -> Option<&'o Step> {
        let Positions { of_text, in_stage } = *self.positions.get(step.id.index())?;
        let stage = stage(self.record, step);
        let text = other.texts.get(&(stage, step.text.as_str())).and_then(|steps| steps.get(of_text));
        let at = || other.stages.get(stage).and_then(|steps| steps.get(in_stage));
        let found = text.or_else(|| at().filter(|&&at| other.record.steps[at].instruction == step.instruction))?;
        other.record.steps.get(*found)
    }
}

/// The name of a stage, or its number if it has no name; BuildKit writes `stage-1` for those.
fn stage<'r>(record: &'r Record, step: &Step) -> &'r str {
    let name = step.stage.and_then(|stage| record.stages.get(stage.index())).map_or("", |stage| &stage.name);
    let number = |rest: &&str| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit());
    name.strip_prefix("stage-").filter(number).unwrap_or(name)
}
