//! Whether the shell itself may take long for a command.

use super::builtins::{self, ShellWork};
use super::names::named;
use brush_parser::ast::{Command, CompoundCommand, CompoundList, SeparatorOperator, SimpleCommand};
use buildscope_commands::grammar::pipelines;
use std::collections::HashMap;

/// Finds the work of commands. It knows the functions that the text has defined so far.
#[derive(Debug, Default)]
pub(super) struct Works {
    functions: HashMap<String, ShellWork>,
}

impl Works {
    /// Defines a function.
    pub(super) fn define(&mut self, name: &str, body: &CompoundCommand) {
        let work = self.of_compound(body);
        self.functions.insert(name.to_owned(), work);
    }

    /// The activities of the shell itself in a command that may take long, besides waiting for its children.
    pub(super) fn of(&self, command: &Command) -> ShellWork {
        match command {
            Command::Simple(simple) => self.of_simple(simple).unwrap_or_default(),
            Command::Compound(compound, _) => self.of_compound(compound),
            Command::Function(_) | Command::ExtendedTest(_) => ShellWork::default(),
        }
    }

    /// The same for a simple command; `None` if it is a program.
    pub(super) fn of_simple(&self, simple: &SimpleCommand) -> Option<ShellWork> {
        let Some(name) = named(simple) else { return Some(ShellWork::default()) };
        match name.as_deref()? {
            "." | "source" | "eval" => Some(ShellWork::ANY),
            name => self.functions.get(name).copied().or_else(|| builtins::work(name)),
        }
    }

    fn of_compound(&self, compound: &CompoundCommand) -> ShellWork {
        match compound {
            CompoundCommand::Subshell(_) | CompoundCommand::Arithmetic(_) => ShellWork::default(),
            CompoundCommand::BraceGroup(group) => self.of_list(&group.list),
            CompoundCommand::ForClause(clause) => ShellWork::COMPUTES | self.of_list(&clause.body.list),
            CompoundCommand::ArithmeticForClause(clause) => ShellWork::COMPUTES | self.of_list(&clause.body.list),
            CompoundCommand::WhileClause(clause) | CompoundCommand::UntilClause(clause) => {
                ShellWork::COMPUTES | self.of_list(&clause.0) | self.of_list(&clause.1.list)
            }
            CompoundCommand::IfClause(clause) => {
                let others = clause.elses.iter().flatten();
                let others = others.flat_map(|other| other.condition.iter().chain([&other.body]));
                let lists = [&clause.condition, &clause.then].into_iter().chain(others);
                lists.fold(ShellWork::default(), |work, list| work | self.of_list(list))
            }
            CompoundCommand::CaseClause(case) => {
                let lists = case.cases.iter().filter_map(|case| case.cmd.as_ref());
                lists.fold(ShellWork::default(), |work, list| work | self.of_list(list))
            }
        }
    }

    fn of_list(&self, list: &CompoundList) -> ShellWork {
        let own = list.0.iter().filter(|item| matches!(item.1, SeparatorOperator::Sequence));
        let own = own.flat_map(|item| pipelines(&item.0)).filter(|pipeline| pipeline.seq.len() == 1);
        own.fold(ShellWork::default(), |work, pipeline| work | self.of(&pipeline.seq[0]))
    }
}
