//! The names of the programs that a command starts.

use brush_parser::ParserOptions;
use brush_parser::ast::{
    AndOr, Assignment, AssignmentValue, Command, CommandPrefixOrSuffixItem, CompoundCommand, CompoundList, Pipeline,
    SimpleCommand, Word,
};
use brush_parser::word::{WordPiece, WordPieceWithSource};
use buildscope_commands::grammar::parse;
use std::collections::HashMap;

/// So many programs of one command are told apart. Functions that call functions could name any number.
pub(super) const NAMES: usize = 200;

/// The name of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    /// As the text says.
    Is(String),
    /// An expansion decides.
    Any,
    /// The shell's own copy: `( … )`, or a compound command in a pipeline. The last one a shell may go through itself: then it
    /// starts the programs in it.
    Subshell(Vec<Name>),
}

/// Where a command is. In a pipeline, the shell starts a copy of itself for what is not a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Position {
    Alone,
    InPipeline,
}

impl Position {
    /// The position of the commands of a pipeline.
    pub(super) fn in_pipeline(pipeline: &Pipeline) -> Self {
        if pipeline.seq.len() > 1 { Self::InPipeline } else { Self::Alone }
    }
}

/// Finds the programs of commands. It knows the functions that the text has defined so far.
#[derive(Debug, Default)]
pub(super) struct Programs {
    functions: HashMap<String, Vec<Name>>,
    /// The depth of substitutions within substitutions.
    depth: usize,
}

impl Programs {
    /// Defines a function.
    pub(super) fn define(&mut self, name: &str, body: &CompoundCommand) {
        let names = self.names(|programs, names| programs.compound(body, names));
        self.functions.insert(name.to_owned(), names);
    }

    /// The names that `read` adds. Too many names are left out.
    pub(super) fn names(&mut self, read: impl FnOnce(&mut Self, &mut Vec<Name>)) -> Vec<Name> {
        let mut names = Vec::new();
        read(self, &mut names);
        names.truncate(NAMES);
        names
    }

    /// Adds the programs of a command. Returns whether the shell may start them more than once.
    pub(super) fn command(&mut self, command: &Command, position: Position, names: &mut Vec<Name>) -> bool {
        match command {
            Command::Simple(simple) => self.simple(simple, position, names),
            Command::Compound(CompoundCommand::Subshell(subshell), _) => {
                let within = self.names(|programs, names| programs.inner(&subshell.list, names));
                names.push(Name::Subshell(within));
                false
            }
            Command::Compound(..) if position == Position::InPipeline => {
                names.push(Name::Subshell(Vec::new()));
                false
            }
            Command::Compound(compound, _) => {
                self.compound(compound, names);
                true
            }
            Command::Function(_) | Command::ExtendedTest(_) => false,
        }
    }

    /// Adds the programs within a compound command that the shell itself goes through.
    fn compound(&mut self, compound: &CompoundCommand, names: &mut Vec<Name>) {
        match compound {
            CompoundCommand::Subshell(_) => names.push(Name::Subshell(Vec::new())),
            CompoundCommand::BraceGroup(group) => self.inner(&group.list, names),
            CompoundCommand::ForClause(clause) => {
                for word in clause.values.iter().flatten() {
                    self.substitutions(word, names);
                }
                self.inner(&clause.body.list, names);
            }
            CompoundCommand::ArithmeticForClause(clause) => self.inner(&clause.body.list, names),
            CompoundCommand::WhileClause(clause) | CompoundCommand::UntilClause(clause) => {
                self.inner(&clause.0, names);
                self.inner(&clause.1.list, names);
            }
            CompoundCommand::IfClause(clause) => {
                self.inner(&clause.condition, names);
                self.inner(&clause.then, names);
                for other in clause.elses.iter().flatten() {
                    if let Some(condition) = &other.condition {
                        self.inner(condition, names);
                    }
                    self.inner(&other.body, names);
                }
            }
            CompoundCommand::CaseClause(case) => {
                for list in case.cases.iter().filter_map(|case| case.cmd.as_ref()) {
                    self.inner(list, names);
                }
            }
            CompoundCommand::Arithmetic(_) => {}
        }
    }

    fn inner(&mut self, list: &CompoundList, names: &mut Vec<Name>) {
        for item in &list.0 {
            let others = item.0.additional.iter().map(|next| {
                let (AndOr::And(pipeline) | AndOr::Or(pipeline)) = next;
                pipeline
            });
            for pipeline in [&item.0.first].into_iter().chain(others) {
                for command in &pipeline.seq {
                    self.command(command, Position::in_pipeline(pipeline), names);
                }
            }
        }
    }

    fn simple(&mut self, simple: &SimpleCommand, position: Position, names: &mut Vec<Name>) -> bool {
        let items = simple.prefix.iter().flat_map(|prefix| &prefix.0);
        let items: Vec<_> = items.chain(simple.suffix.iter().flat_map(|suffix| &suffix.0)).collect();
        // What is substituted runs before the command itself.
        for item in &items {
            match item {
                CommandPrefixOrSuffixItem::Word(word) => self.substitutions(word, names),
                CommandPrefixOrSuffixItem::AssignmentWord(Assignment { value, .. }, _) => match value {
                    AssignmentValue::Scalar(word) => self.substitutions(word, names),
                    AssignmentValue::Array(words) => words.iter().for_each(|(_, word)| self.substitutions(word, names)),
                },
                CommandPrefixOrSuffixItem::ProcessSubstitution(..) => names.push(Name::Subshell(Vec::new())),
                CommandPrefixOrSuffixItem::IoRedirect(_) => {}
            }
        }
        let Some(word) = &simple.word_or_name else { return false };
        self.substitutions(word, names);
        let suffix = simple.suffix.iter().flat_map(|suffix| &suffix.0);
        let mut arguments = suffix.filter_map(|item| match item {
            CommandPrefixOrSuffixItem::Word(word) => Some(word),
            _ => None,
        });
        let mut name = literal(word);
        // These run what comes after them in their own place.
        while let Some("exec" | "command" | "builtin") = name.as_deref() {
            match arguments.next() {
                Some(word) => name = literal(word),
                None => return false,
            }
        }
        match name.as_deref() {
            None => names.push(Name::Any),
            Some(path) if path.contains('/') => {
                names.push(Name::Is(path.rsplit('/').next().unwrap_or_default().to_owned()));
            }
            Some("." | "source" | "eval") => {
                names.push(Name::Any);
                return true;
            }
            Some(function) if self.functions.contains_key(function) => {
                names.extend(self.functions[function].iter().take(NAMES).cloned());
                return true;
            }
            Some(name) if BUILTINS.contains(&name) => {
                if position == Position::InPipeline {
                    names.push(Name::Subshell(Vec::new()));
                }
            }
            Some(name) => names.push(Name::Is(name.to_owned())),
        }
        false
    }

    /// The programs of `$( … )` and backquotes in a word.
    fn substitutions(&mut self, word: &Word, names: &mut Vec<Name>) {
        if self.depth < 4 && (word.value.contains("$(") || word.value.contains('`')) {
            match brush_parser::word::parse(&word.value, &ParserOptions::default()) {
                Ok(pieces) => self.pieces(&pieces, names),
                Err(_) => names.push(Name::Any),
            }
        }
    }

    fn pieces(&mut self, pieces: &[WordPieceWithSource], names: &mut Vec<Name>) {
        for piece in pieces {
            match &piece.piece {
                WordPiece::CommandSubstitution(text) | WordPiece::BackquotedCommandSubstitution(text) => {
                    let found = self.substituted(text);
                    // A shell executes a single command in the place of its copy.
                    names.push(if let [Name::Is(_)] = &found[..] { found[0].clone() } else { Name::Subshell(found) });
                }
                WordPiece::DoubleQuotedSequence(pieces) | WordPiece::GettextDoubleQuotedSequence(pieces) => {
                    self.pieces(pieces, names);
                }
                _ => {}
            }
        }
    }

    fn substituted(&mut self, text: &str) -> Vec<Name> {
        let Some(program) = parse(text) else { return Vec::new() };
        self.depth += 1;
        let names = self.names(|programs, names| program.iter().for_each(|list| programs.inner(list, names)));
        self.depth -= 1;
        names
    }
}

/// The value of a word without its quotes; `None` if it depends on an expansion.
pub(super) fn literal(word: &Word) -> Option<String> {
    if word.value.contains(['$', '`', '*', '?']) {
        return None;
    }
    Some(brush_parser::unquote_str(&word.value))
}

/// The commands that a shell runs itself (POSIX.1-2024, "Special Built-In Utilities" and "Utilities" that shells build in).
const BUILTINS: &[&str] = &[
    ":",
    "[",
    "alias",
    "bg",
    "break",
    "cd",
    "continue",
    "declare",
    "dirs",
    "disown",
    "echo",
    "enable",
    "exit",
    "export",
    "false",
    "fg",
    "getopts",
    "hash",
    "history",
    "jobs",
    "kill",
    "let",
    "local",
    "mapfile",
    "popd",
    "printf",
    "pushd",
    "pwd",
    "read",
    "readarray",
    "readonly",
    "return",
    "set",
    "shift",
    "shopt",
    "test",
    "times",
    "trap",
    "true",
    "type",
    "typeset",
    "ulimit",
    "umask",
    "unalias",
    "unset",
    "wait",
];
