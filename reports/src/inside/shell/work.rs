//! Whether the shell itself may take long for a command.

use super::builtins::{self, Work};
use super::names::{named, pipelines};
use brush_parser::ast::{Command, CompoundCommand, CompoundList, SeparatorOperator, SimpleCommand};
use std::collections::HashMap;

/// Finds the work of commands. It knows the functions that the text has defined so far.
#[derive(Debug, Default)]
pub(super) struct Works {
    functions: HashMap<String, Work>,
}

impl Works {
    /// Defines a function.
    pub(super) fn define(&mut self, name: &str, body: &CompoundCommand) {
        let work = self.of_compound(body);
        self.functions.insert(name.to_owned(), work);
    }

    /// The activities of the shell itself in a command that may take long, besides waiting for its children.
    pub(super) fn of(&self, command: &Command) -> Work {
        match command {
            Command::Simple(simple) => self.of_simple(simple).unwrap_or_default(),
            Command::Compound(compound, _) => self.of_compound(compound),
            Command::Function(_) | Command::ExtendedTest(_) => Work::default(),
        }
    }

    /// The same for a simple command; `None` if it is a program.
    pub(super) fn of_simple(&self, simple: &SimpleCommand) -> Option<Work> {
        let Some(name) = named(simple) else { return Some(Work::default()) };
        match name.as_deref()? {
            "." | "source" | "eval" => Some(Work::ANY),
            name => self.functions.get(name).copied().or_else(|| builtins::work(name)),
        }
    }

    fn of_compound(&self, compound: &CompoundCommand) -> Work {
        match compound {
            CompoundCommand::Subshell(_) | CompoundCommand::Arithmetic(_) => Work::default(),
            CompoundCommand::BraceGroup(group) => self.of_list(&group.list),
            CompoundCommand::ForClause(clause) => Work::COMPUTES | self.of_list(&clause.body.list),
            CompoundCommand::ArithmeticForClause(clause) => Work::COMPUTES | self.of_list(&clause.body.list),
            CompoundCommand::WhileClause(clause) | CompoundCommand::UntilClause(clause) => {
                Work::COMPUTES | self.of_list(&clause.0) | self.of_list(&clause.1.list)
            }
            CompoundCommand::IfClause(clause) => {
                let others = clause.elses.iter().flatten();
                let others = others.flat_map(|other| other.condition.iter().chain([&other.body]));
                let lists = [&clause.condition, &clause.then].into_iter().chain(others);
                lists.fold(Work::default(), |work, list| work | self.of_list(list))
            }
            CompoundCommand::CaseClause(case) => {
                let lists = case.cases.iter().filter_map(|case| case.cmd.as_ref());
                lists.fold(Work::default(), |work, list| work | self.of_list(list))
            }
        }
    }

    fn of_list(&self, list: &CompoundList) -> Work {
        let own = list.0.iter().filter(|item| matches!(item.1, SeparatorOperator::Sequence));
        let own = own.flat_map(|item| pipelines(&item.0)).filter(|pipeline| pipeline.seq.len() == 1);
        own.fold(Work::default(), |work, pipeline| work | self.of(&pipeline.seq[0]))
    }
}
