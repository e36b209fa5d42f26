//! The state of a build of buildah: steps of several stages, which may run at the same time.

use super::super::marks::buildah::{is_error, stages, step, without_numbers};
use super::{Announced, Before, BuildState, Fit};
use std::collections::HashMap;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Progress {
    #[default]
    Steps,
    /// The image is written.
    Commit,
    Over,
}

#[derive(Debug, Default)]
pub(crate) struct BuildahState {
    /// The number of stages.
    stages: u32,
    /// The step of each stage: its number, the number of steps, and its text.
    steps: HashMap<u32, (u32, u32, String)>,
    progress: Progress,
}

/// Whether a line is the id of the image, which ends a build.
fn is_image(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_commit(text: &str) -> bool {
    without_numbers(text).starts_with("COMMIT")
}

impl BuildahState {
    /// Whether the last step of the last stage is announced.
    fn is_at_end(&self) -> bool {
        self.steps.get(&self.stages).is_some_and(|(number, of, _)| number == of)
    }
}

impl BuildState for BuildahState {
    fn announced(text: &str) -> Option<Announced<'_>> {
        let (stage, number, of, instruction) = step(text)?;
        Some(Announced { stage, stages: stages(text), number, of, text: instruction })
    }

    /// Each stage counts its own steps, from its FROM on.
    fn instruction<'f>(file: &'f [String], step: &Announced<'_>) -> Option<&'f String> {
        let is_from =
            |line: &String| line.split_whitespace().next().is_some_and(|word| word.eq_ignore_ascii_case("from"));
        let mut starts = (0..file.len()).filter(|&at| is_from(&file[at]));
        let start = starts.nth((step.stage as usize).checked_sub(1)?)?;
        file.get(start + (step.number as usize).checked_sub(1)?)
    }

    fn before(text: &str) -> Option<Before> {
        (text.starts_with("--> ") && !text.starts_with("--> Using cache")).then_some(Before::Next)
    }

    fn is_in_turn(_: &str) -> bool {
        false
    }

    fn expects(&self, step: &Announced<'_>) -> Fit {
        if self.progress != Progress::Steps || step.stages != self.stages {
            return Fit::Unlikely;
        }
        match self.steps.get(&step.stage) {
            None if step.number == 1 => Fit::Sure,
            Some((number, of, _)) if (number + 1, *of) == (step.number, step.of) => Fit::Sure,
            Some((number, of, _)) if step.number <= *number || step.of != *of => Fit::Unlikely,
            _ => Fit::Possible,
        }
    }

    fn fits(&self, text: &str) -> Fit {
        let quotes = |(_, _, step): &(u32, u32, String)| text.contains(&**step);
        match self.progress {
            Progress::Over => Fit::Unlikely,
            Progress::Commit if text.starts_with("--> ") => Fit::Sure,
            Progress::Commit if is_image(text) || text.starts_with("Successfully tagged") => Fit::Likely,
            Progress::Commit => Fit::Unlikely,
            Progress::Steps if is_commit(text) => {
                if self.is_at_end() {
                    Fit::Sure
                } else {
                    Fit::Unlikely
                }
            }
            Progress::Steps if is_error(text) && self.steps.values().any(quotes) => Fit::Sure,
            Progress::Steps => Fit::Possible,
        }
    }

    fn add(&mut self, text: &str) {
        if let Some(Announced { stage, stages, number, of, text }) = Self::announced(text) {
            self.stages = stages;
            self.steps.insert(stage, (number, of, text.to_owned()));
        } else if self.progress == Progress::Steps && is_commit(text) {
            self.progress = Progress::Commit;
        } else if is_error(text) || (self.progress == Progress::Commit && is_image(text)) {
            self.progress = Progress::Over;
        }
    }
}
