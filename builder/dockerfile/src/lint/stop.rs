//! The place at which BuildKit's front end stops in a file with an error. It reports what it found until then.

use super::Rule;
use crate::{Dockerfile, Kind};

/// The passes of BuildKit's front end over a file, in their order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Pass {
    /// Lines are joined and split. Rules report at its end.
    Lines,
    /// Instructions are parsed, one after the other.
    Instructions,
    /// The instructions are compared with each other, and the arguments above the first FROM are expanded.
    File,
    /// The FROM lines are expanded, one after the other.
    Stages,
    /// The other instructions are expanded and converted, one after the other.
    Commands,
}

/// The place at which BuildKit's front end stops.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Stop {
    pass: Pass,
    /// The offset of the instruction with the error. `usize::MAX` if the pass comes to its end.
    at: usize,
}

impl Stop {
    /// The first pass fails: nothing is reported.
    pub(crate) const NOTHING: Self = Self { pass: Pass::Lines, at: 0 };

    /// Stops in a pass, at the instruction with this offset.
    pub(crate) fn at(pass: Pass, at: usize) -> Self {
        Self { pass, at }
    }

    /// Stops at the end of a pass.
    pub fn after(pass: Pass) -> Self {
        Self { pass, at: usize::MAX }
    }

    /// Stops where an error of lowering is. Such an error is found in the pass over the FROM lines if it prevents all conversion
    /// (`stages`), in that over the commands otherwise. `None` if the error has no place in it.
    pub fn of_lowering(file: &Dockerfile<'_>, offset: Option<usize>, stages: bool) -> Option<Self> {
        let holds = |offset: usize| file.instructions.iter().find(|found| found.span.range().contains(&offset));
        let Some(instruction) = offset.and_then(holds) else { return stages.then(|| Self::after(Pass::Stages)) };
        let first = file.instructions.iter().find(|found| matches!(found.kind, Kind::From(_)));
        match &instruction.kind {
            Kind::Arg(_) if first.is_some_and(|first| instruction.span.start < first.span.start) => {
                Some(Self::after(Pass::File))
            }
            _ if stages => Some(Self::after(Pass::Stages)),
            // The error of a trigger is one of the FROM that brings it.
            Kind::Onbuild(_) => None,
            _ => Some(Self::at(Pass::Commands, instruction.span.range().start)),
        }
    }

    /// Whether a rule reports at an instruction, given by its offset, before BuildKit stops.
    pub(super) fn comes_after(self, rule: Rule, instruction: usize, file: &Dockerfile<'_>) -> bool {
        let pass = pass(rule);
        match (pass == self.pass, pass) {
            (true, Pass::Lines) => false,
            (true, Pass::Commands) => {
                let is_arg = || file.text[instruction..].get(..3).is_some_and(|word| word.eq_ignore_ascii_case("ARG"));
                // Words are expanded before anything else is done with an instruction. Only the names of arguments are looked at before.
                let first = rule == Rule::UndefinedVar || (rule == Rule::SecretsUsedInArgOrEnv && is_arg());
                instruction < self.at || (instruction == self.at && first)
            }
            (true, _) => instruction <= self.at,
            (false, pass) => pass < self.pass,
        }
    }
}

/// The pass in which one of BuildKit's rules reports.
fn pass(rule: Rule) -> Pass {
    match rule {
        Rule::NoEmptyContinuation => Pass::Lines,
        Rule::StageNameCasing
        | Rule::FromAsCasing
        | Rule::MaintainerDeprecated
        | Rule::InvalidDefinitionDescription => Pass::Instructions,
        Rule::ReservedStageName
        | Rule::DuplicateStageName
        | Rule::ConsistentInstructionCasing
        | Rule::InvalidDefaultArgInFrom => Pass::File,
        Rule::UndefinedArgInFrom | Rule::RedundantTargetPlatform | Rule::FromPlatformFlagConstDisallowed => {
            Pass::Stages
        }
        _ => Pass::Commands,
    }
}
