//! The state of a build of the classic builder: one step after the other, each with its container.

use super::super::marks::classic::{fails, removed, step, triggers};
use super::super::names;
use super::{Announced, Before, BuildState, Fit};
use buildscope_record::Instruction;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Progress {
    /// A step is announced.
    #[default]
    Announced,
    /// Its container runs.
    Running,
    /// Its container is removed, or its result was in the cache.
    Ending,
    /// Its image is known.
    Done,
    /// The build has ended.
    Over,
}

#[derive(Debug, Default)]
pub(crate) struct ClassicState {
    number: u32,
    of: u32,
    /// The text of the step.
    text: String,
    progress: Progress,
    /// Whether the base image's ONBUILD instructions are executed.
    has_triggers: bool,
    /// The step's container, and the last image.
    container: String,
    image: String,
}

/// What a line says, apart from the lines of programs.
enum Said<'t> {
    Runs(&'t str),
    Removes(&'t str),
    Cached,
    Image(&'t str),
    Built(&'t str),
    Tagged,
    Failed,
    Triggers,
    Output,
}

fn said(text: &str) -> Said<'_> {
    let id = |start: &str| text.strip_prefix(start).map(str::trim);
    if let Some(container) = id("---> Running in ") {
        Said::Runs(container)
    } else if let Some(container) = removed(text) {
        Said::Removes(container)
    } else if text.starts_with("---> Using cache") {
        Said::Cached
    } else if let Some(image) = id("---> ") {
        Said::Image(image)
    } else if let Some(image) = id("Successfully built ") {
        Said::Built(image)
    } else if text.starts_with("Successfully tagged ") {
        Said::Tagged
    } else if fails(text) {
        Said::Failed
    } else if triggers(text) {
        Said::Triggers
    } else {
        Said::Output
    }
}

impl BuildState for ClassicState {
    fn announced(text: &str) -> Option<Announced<'_>> {
        step(text).map(|(number, of, text)| Announced { stage: 1, stages: 1, number, of, text })
    }

    fn instruction<'f>(file: &'f [String], step: &Announced<'_>) -> Option<&'f String> {
        file.get((step.number as usize).checked_sub(1)?)
    }

    fn before(text: &str) -> Option<Before> {
        text.starts_with("Sending build context to Docker daemon").then_some(Before::Start)
    }

    fn is_in_turn(text: &str) -> bool {
        matches!(said(text), Said::Runs(_))
    }

    fn expects(&self, step: &Announced<'_>) -> Fit {
        match self.progress {
            Progress::Over => Fit::Unlikely,
            _ if step.of != self.of || step.number <= self.number => Fit::Unlikely,
            Progress::Done if step.number == self.number + 1 => Fit::Sure,
            _ => Fit::Possible,
        }
    }

    fn fits(&self, text: &str) -> Fit {
        use Progress::{Announced, Done, Ending, Over, Running};
        match (said(text), self.progress) {
            (Said::Tagged, Over) => Fit::Likely,
            (_, Over) => Fit::Unlikely,
            (Said::Runs(_), Announced) if self.has_container() => Fit::Sure,
            (Said::Triggers, Announced) if !self.has_container() => Fit::Sure,
            (Said::Runs(_) | Said::Cached, Announced | Ending) if self.has_triggers => Fit::Sure,
            (Said::Cached, Announced) | (Said::Image(_), Ending) => Fit::Sure,
            (Said::Removes(container), Running) if container == self.container => Fit::Sure,
            (Said::Built(image), Done) if image == self.image => Fit::Sure,
            (Said::Failed, Running) if text.contains(self.command()) => Fit::Sure,
            (Said::Image(_), Announced) => Fit::Likely,
            (Said::Image(_) | Said::Failed | Said::Output, Running) | (Said::Failed, Announced) => Fit::Possible,
            _ => Fit::Unlikely,
        }
    }

    fn add(&mut self, text: &str) {
        if let Some((number, of, text)) = step(text) {
            *self = Self { number, of, text: text.to_owned(), ..Self::default() };
            return;
        }
        self.progress = match said(text) {
            Said::Runs(container) => {
                self.container = container.to_owned();
                Progress::Running
            }
            Said::Removes(_) | Said::Cached => Progress::Ending,
            Said::Image(image) => {
                self.image = image.to_owned();
                Progress::Done
            }
            Said::Built(_) | Said::Failed => Progress::Over,
            Said::Triggers => {
                self.has_triggers = true;
                return;
            }
            Said::Tagged | Said::Output => return,
        };
    }
}

impl ClassicState {
    /// Whether the step is executed in a container.
    fn has_container(&self) -> bool {
        let instruction = names::instruction(&self.text);
        instruction != Instruction::From && !instruction.copies()
    }

    /// The words of the step after the name of its instruction.
    fn command(&self) -> &str {
        self.text.split_once(' ').map_or(&*self.text, |(_, command)| command.trim())
    }
}
