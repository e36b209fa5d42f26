//! The names of the programs that a command starts.

use super::builtins;
use brush_parser::ParserOptions;
use brush_parser::ast::{
    AndOr, AndOrList, Assignment, AssignmentValue, Command, CommandPrefixOrSuffixItem, CompoundCommand, CompoundList,
    ExtendedTestExpr, IoFileRedirectTarget, IoHereDocument, IoRedirect, Pipeline, RedirectList, SimpleCommand, Word,
};
use brush_parser::word::{WordPiece, WordPieceWithSource};
use buildscope_commands::grammar::parse;
use std::collections::HashMap;

/// The most programs that one command may have. Functions that call functions could name any number.
pub(super) const NAMES: usize = 200;

/// The name of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    /// The name in the text.
    Is(String),
    /// An unknown name: it depends on an expansion.
    Any,
    /// A copy of the shell: `( … )`, or a compound command in a pipeline. A shell may run the last one without a copy, and then starts its
    /// programs itself.
    Subshell(Vec<Name>),
}

/// The context of a command. In a pipeline, a copy of the shell runs everything that is not a program.
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

    /// Returns the names that `read` adds. Names above the limit are left out.
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
            Command::Compound(CompoundCommand::Subshell(subshell), redirects) => {
                self.redirects(redirects.as_ref(), names);
                let within = self.names(|programs, names| programs.inner(&subshell.list, names));
                names.push(Name::Subshell(within));
                false
            }
            Command::Compound(_, redirects) if position == Position::InPipeline => {
                self.redirects(redirects.as_ref(), names);
                names.push(Name::Subshell(Vec::new()));
                false
            }
            Command::Compound(compound, redirects) => {
                self.redirects(redirects.as_ref(), names);
                self.compound(compound, names);
                true
            }
            Command::ExtendedTest(test) => {
                self.tested(&test.expr, names);
                false
            }
            Command::Function(_) => false,
        }
    }

    fn tested(&mut self, test: &ExtendedTestExpr, names: &mut Vec<Name>) {
        match test {
            ExtendedTestExpr::And(left, right) | ExtendedTestExpr::Or(left, right) => {
                self.tested(left, names);
                self.tested(right, names);
            }
            ExtendedTestExpr::Not(within) | ExtendedTestExpr::Parenthesized(within) => self.tested(within, names),
            ExtendedTestExpr::UnaryTest(_, word) => self.substitutions(word, names),
            ExtendedTestExpr::BinaryTest(_, left, right) => {
                self.substitutions(left, names);
                self.substitutions(right, names);
            }
        }
    }

    /// Adds the programs within a compound command that the shell runs without a copy.
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
                self.substitutions(&case.value, names);
                for list in case.cases.iter().filter_map(|case| case.cmd.as_ref()) {
                    self.inner(list, names);
                }
            }
            CompoundCommand::Arithmetic(_) => {}
        }
    }

    fn redirects(&mut self, redirects: Option<&RedirectList>, names: &mut Vec<Name>) {
        redirects.iter().flat_map(|list| &list.0).for_each(|redirect| self.redirect(redirect, names));
    }

    /// Adds the programs of the substitutions in a redirection, which run before its command.
    fn redirect(&mut self, redirect: &IoRedirect, names: &mut Vec<Name>) {
        match redirect {
            IoRedirect::File(_, _, IoFileRedirectTarget::ProcessSubstitution(_, subshell)) => {
                self.copy(&subshell.list, names);
            }
            IoRedirect::File(_, _, IoFileRedirectTarget::Filename(word) | IoFileRedirectTarget::Duplicate(word))
            | IoRedirect::HereDocument(_, IoHereDocument { doc: word, .. })
            | IoRedirect::HereString(_, word)
            | IoRedirect::OutputAndError(word, _) => self.substitutions(word, names),
            IoRedirect::File(_, _, IoFileRedirectTarget::Fd(_)) => {}
        }
    }

    /// Adds a copy of the shell that runs these commands. It executes a single one in its own place.
    fn copy(&mut self, list: &CompoundList, names: &mut Vec<Name>) {
        let found = self.names(|programs, names| programs.inner(list, names));
        names.push(if let [Name::Is(_)] = &found[..] { found[0].clone() } else { Name::Subshell(found) });
    }

    fn inner(&mut self, list: &CompoundList, names: &mut Vec<Name>) {
        list.0.iter().for_each(|item| self.chain(&item.0, names));
    }

    /// Adds the programs of commands that `&&` and `||` join.
    pub(super) fn chain(&mut self, commands: &AndOrList, names: &mut Vec<Name>) {
        for pipeline in pipelines(commands) {
            for command in &pipeline.seq {
                self.command(command, Position::in_pipeline(pipeline), names);
            }
        }
    }

    fn simple(&mut self, simple: &SimpleCommand, position: Position, names: &mut Vec<Name>) -> bool {
        let items = simple.prefix.iter().flat_map(|prefix| &prefix.0);
        let items: Vec<_> = items.chain(simple.suffix.iter().flat_map(|suffix| &suffix.0)).collect();
        // Command substitutions run before the command itself.
        for item in &items {
            match item {
                CommandPrefixOrSuffixItem::Word(word) => self.substitutions(word, names),
                CommandPrefixOrSuffixItem::AssignmentWord(Assignment { value, .. }, _) => match value {
                    AssignmentValue::Scalar(word) => self.substitutions(word, names),
                    AssignmentValue::Array(words) => words.iter().for_each(|(_, word)| self.substitutions(word, names)),
                },
                CommandPrefixOrSuffixItem::ProcessSubstitution(_, subshell) => self.copy(&subshell.list, names),
                CommandPrefixOrSuffixItem::IoRedirect(redirect) => self.redirect(redirect, names),
            }
        }
        simple.word_or_name.iter().for_each(|word| self.substitutions(word, names));
        let Some(name) = named(simple) else { return false };
        match name.as_deref() {
            None => names.push(Name::Any),
            Some(path) if path.contains('/') => {
                names.push(Name::Is(path.rsplit('/').next().unwrap_or_default().to_owned()));
            }
            Some("eval") if let Some(text) = evaluated(simple) => return self.evaluated(&text, names),
            Some("." | "source" | "eval") => {
                names.push(Name::Any);
                return true;
            }
            Some(function) if self.functions.contains_key(function) => {
                names.extend(self.functions[function].iter().take(NAMES).cloned());
                return true;
            }
            Some(name) if builtins::work(name).is_some() => {
                if position == Position::InPipeline {
                    names.push(Name::Subshell(Vec::new()));
                }
            }
            Some(name) => names.push(Name::Is(name.to_owned())),
        }
        false
    }

    /// Adds the programs of `$( … )` and backquotes in a word.
    pub(super) fn substitutions(&mut self, word: &Word, names: &mut Vec<Name>) {
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

    /// Adds the programs of a text that the shell itself runs. Returns whether it may start them more than once.
    fn evaluated(&mut self, text: &str, names: &mut Vec<Name>) -> bool {
        let Some(program) = parse(text).filter(|_| self.depth < 4) else {
            names.push(Name::Any);
            return true;
        };
        self.depth += 1;
        let mut repeats = false;
        let lists = program.iter().flat_map(|list| &list.0);
        for pipeline in lists.flat_map(|item| pipelines(&item.0)) {
            for command in &pipeline.seq {
                repeats |= self.command(command, Position::in_pipeline(pipeline), names);
            }
        }
        self.depth -= 1;
        repeats
    }

    /// Adds the names in a text that the shell reads as commands.
    pub(super) fn substituted(&mut self, text: &str) -> Vec<Name> {
        let Some(program) = parse(text) else { return Vec::new() };
        self.depth += 1;
        let names = self.names(|programs, names| program.iter().for_each(|list| programs.inner(list, names)));
        self.depth -= 1;
        names
    }
}

/// The text of an `eval` without expansions.
fn evaluated(simple: &SimpleCommand) -> Option<String> {
    let words = simple.suffix.iter().flat_map(|suffix| &suffix.0).filter_map(|item| match item {
        CommandPrefixOrSuffixItem::Word(word) => Some(literal(word)),
        _ => None,
    });
    let words: Option<Vec<String>> = words.collect();
    words.map(|words| words.join(" "))
}

/// The value of a word without its quotes; `None` if it depends on an expansion.
pub(super) fn literal(word: &Word) -> Option<String> {
    if word.value.contains(['$', '`', '*', '?']) {
        return None;
    }
    Some(brush_parser::unquote_str(&word.value))
}

/// The pipelines that `&&` and `||` join.
pub(super) fn pipelines(commands: &AndOrList) -> impl Iterator<Item = &Pipeline> {
    let others = commands.additional.iter().map(|next| {
        let (AndOr::And(pipeline) | AndOr::Or(pipeline)) = next;
        pipeline
    });
    [&commands.first].into_iter().chain(others)
}

/// The action of `trap ACTION EXIT`, without its quotes: the shell runs it when it ends or a command fails. The action `-` removes an
/// earlier one. `None` for other commands, and if the action depends on an expansion.
pub(super) fn exit_action(command: &Command) -> Option<String> {
    let Command::Simple(simple) = command else { return None };
    if named(simple).flatten().as_deref() != Some("trap") {
        return None;
    }
    let suffix = simple.suffix.iter().flat_map(|suffix| &suffix.0);
    let words = suffix.filter_map(|item| match item {
        CommandPrefixOrSuffixItem::Word(word) => Some(word),
        _ => None,
    });
    let mut words = words.skip_while(|word| word.value == "--");
    let action = words.next()?;
    let ends = words.any(|word| matches!(&*word.value.to_ascii_uppercase(), "EXIT" | "0" | "ERR"));
    ends.then(|| brush_parser::unquote_str(&action.value))
}

/// The name of the command. The inner `None` is a name that depends on an expansion; the outer one is a command of assignments and
/// redirections only.
pub(super) fn named(simple: &SimpleCommand) -> Option<Option<String>> {
    let suffix = simple.suffix.iter().flat_map(|suffix| &suffix.0);
    let mut arguments = suffix.filter_map(|item| match item {
        CommandPrefixOrSuffixItem::Word(word) => Some(word),
        _ => None,
    });
    let mut name = literal(simple.word_or_name.as_ref()?);
    // These run the command that follows them.
    while let Some("exec" | "command" | "builtin" | "coproc") = name.as_deref() {
        let mut word = arguments.next()?;
        while word.value.starts_with('-') {
            match &*word.value {
                // Where a command is.
                "-v" | "-V" => return Some(name),
                // The name in the list of processes.
                "-a" => drop(arguments.next()),
                _ => {}
            }
            word = arguments.next()?;
        }
        name = literal(word);
    }
    Some(name)
}
