//! The names of the programs that a command starts.

use super::arguments::{Argument, Piece, Variables, call};
use super::builtins;
use super::words::literal;
use brush_parser::ParserOptions;
use brush_parser::ast::{
    AndOr, AndOrList, Assignment, AssignmentName, AssignmentValue, Command, CommandPrefixOrSuffixItem, CompoundCommand,
    CompoundList, ExtendedTestExpr, IoFileRedirectTarget, IoHereDocument, IoRedirect, Pipeline, RedirectList,
    SimpleCommand, Word,
};
use brush_parser::word::{WordPiece, WordPieceWithSource};
use buildscope_commands::grammar::{parse, pipelines};
use std::collections::HashMap;

/// The most programs that one command may have. Functions that call functions could name any number.
pub(super) const NAMES: usize = 200;

/// The name of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    /// The program of this name in the text.
    Is(Program),
    /// An unknown name: it depends on an expansion.
    Any,
    /// A command of a function whose name may be in a call of the function (`"$@"`, `$1`). Without a call it is unknown.
    Given(Words),
    /// A copy of the shell: `( … )`, or a compound command in a pipeline. A shell may run the last one without a copy, and then starts its
    /// programs itself.
    Subshell(Vec<Name>),
}

/// A program that the text names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Program {
    pub(crate) name: String,
    /// The words after its name.
    pub(crate) arguments: Vec<Argument>,
    /// Whether a condition or a loop within the command decides if it runs.
    pub(crate) optional: bool,
    /// Whether the shell read a file or an unknown text before, which may have defined a function of this name.
    pub(crate) sourced: bool,
}

impl Program {
    /// Its name and the words after it. A word that the text does not determine is empty.
    pub(crate) fn command(&self) -> Vec<String> {
        let words = self.arguments.iter().map(|word| word.text().unwrap_or_default());
        std::iter::once(self.name.clone()).chain(words).collect()
    }
}

/// The words of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Words {
    words: Vec<Argument>,
    optional: bool,
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
    functions: HashMap<String, FunctionPrograms>,
    variables: Variables,
    /// The depth of substitutions within substitutions.
    depth: usize,
    /// The depth of conditions, and of loops.
    conditions: usize,
    loops: usize,
    /// Whether the body of a function is read.
    in_function: bool,
    /// Whether a command was read that may start its programs more than once.
    repeats: bool,
    /// Whether a command was read that may define functions.
    pub(super) sourced: bool,
}

/// The programs of a function.
#[derive(Debug)]
struct FunctionPrograms {
    names: Vec<Name>,
    repeats: bool,
}

impl Programs {
    /// Defines a function.
    pub(super) fn define(&mut self, name: &str, body: &CompoundCommand) {
        let before = std::mem::take(&mut self.repeats);
        let outside = std::mem::replace(&mut self.in_function, true);
        let names = self.names(|programs, names| programs.compound(body, names));
        self.in_function = outside;
        let calls_itself = names.iter().any(|one| matches!(one, Name::Is(program) if program.name == name));
        let repeats = std::mem::replace(&mut self.repeats, before) || calls_itself;
        self.functions.insert(name.to_owned(), FunctionPrograms { names, repeats });
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
        let before = std::mem::take(&mut self.repeats);
        match command {
            Command::Simple(simple) => self.simple(simple, position, names),
            Command::Compound(CompoundCommand::Subshell(subshell), redirects) => {
                self.redirects(redirects.as_ref(), names);
                let within = self.copied(|programs, names| programs.inner(&subshell.list, names));
                names.push(Name::Subshell(within));
            }
            Command::Compound(_, redirects) if position == Position::InPipeline => {
                self.redirects(redirects.as_ref(), names);
                names.push(Name::Subshell(Vec::new()));
            }
            Command::Compound(compound, redirects) => {
                self.redirects(redirects.as_ref(), names);
                self.compound(compound, names);
            }
            Command::ExtendedTest(test) => self.tested(&test.expr, names),
            Command::Function(_) => {}
        }
        let repeats = self.repeats;
        self.repeats |= before;
        repeats
    }

    /// The programs that a copy of the shell starts. How often it does so and what it defines is its own affair.
    fn copied(&mut self, read: impl FnOnce(&mut Self, &mut Vec<Name>)) -> Vec<Name> {
        let before = (self.repeats, self.sourced);
        let names = self.names(read);
        (self.repeats, self.sourced) = before;
        names
    }

    /// Reads commands that run only under a condition.
    fn under_condition(&mut self, read: impl FnOnce(&mut Self)) {
        self.conditions += 1;
        read(self);
        self.conditions -= 1;
    }

    /// Reads the body of a loop. Within another loop it may run not at all.
    fn in_loop(&mut self, read: impl FnOnce(&mut Self)) {
        self.repeats = true;
        let within = usize::from(self.loops > 0);
        (self.loops, self.conditions) = (self.loops + 1, self.conditions + within);
        read(self);
        (self.loops, self.conditions) = (self.loops - 1, self.conditions - within);
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
                match &clause.values {
                    Some(words) => {
                        self.variables.assign_each(&clause.variable_name, words.iter().map(|word| &*word.value));
                    }
                    None => self.variables.assign_parameters(&clause.variable_name),
                }
                self.in_loop(|programs| programs.inner(&clause.body.list, names));
            }
            CompoundCommand::ArithmeticForClause(clause) => {
                self.in_loop(|programs| programs.inner(&clause.body.list, names));
            }
            CompoundCommand::WhileClause(clause) | CompoundCommand::UntilClause(clause) => self.in_loop(|programs| {
                let before = names.len();
                programs.inner(&clause.0, names);
                // A turn that begins with a program of the body has all of the body.
                if names.len() == before {
                    programs.inner(&clause.1.list, names);
                } else {
                    programs.under_condition(|programs| programs.inner(&clause.1.list, names));
                }
            }),
            CompoundCommand::IfClause(clause) => {
                self.inner(&clause.condition, names);
                self.under_condition(|programs| {
                    programs.inner(&clause.then, names);
                    for other in clause.elses.iter().flatten() {
                        if let Some(condition) = &other.condition {
                            programs.inner(condition, names);
                        }
                        programs.inner(&other.body, names);
                    }
                });
            }
            CompoundCommand::CaseClause(case) => {
                self.substitutions(&case.value, names);
                self.under_condition(|programs| {
                    for list in case.cases.iter().filter_map(|case| case.cmd.as_ref()) {
                        programs.inner(list, names);
                    }
                });
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

    /// Adds a copy of the shell that runs these commands.
    fn copy(&mut self, list: &CompoundList, names: &mut Vec<Name>) {
        let found = self.copied(|programs, names| programs.inner(list, names));
        names.push(copy_of(found, Some(list)));
    }

    fn inner(&mut self, list: &CompoundList, names: &mut Vec<Name>) {
        list.0.iter().for_each(|item| self.chain(&item.0, names));
    }

    /// Adds the programs of commands that `&&` and `||` join.
    pub(super) fn chain(&mut self, commands: &AndOrList, names: &mut Vec<Name>) {
        for (pipeline, is_optional) in steps(commands) {
            self.conditions += usize::from(is_optional);
            for command in &pipeline.seq {
                self.command(command, Position::in_pipeline(pipeline), names);
            }
            self.conditions -= usize::from(is_optional);
        }
    }

    fn simple(&mut self, simple: &SimpleCommand, position: Position, names: &mut Vec<Name>) {
        // Command substitutions run before the command itself.
        for item in items(simple) {
            match item {
                CommandPrefixOrSuffixItem::ProcessSubstitution(_, subshell) => self.copy(&subshell.list, names),
                CommandPrefixOrSuffixItem::IoRedirect(redirect) => self.redirect(redirect, names),
                item => words(item).into_iter().for_each(|word| self.substitutions(word, names)),
            }
        }
        simple.word_or_name.iter().for_each(|word| self.substitutions(word, names));
        self.assignments(simple);
        let Some((name, before)) = started(simple) else { return };
        match name.as_deref() {
            None if self.in_function => names.push(Name::Given(self.words(simple, before))),
            None => names.push(Name::Any),
            Some(path) if path.contains('/') => {
                let name = path.rsplit('/').next().unwrap_or_default();
                names.push(Name::Is(Program { sourced: false, ..self.program(name, simple, before) }));
            }
            Some("eval") if let Some(text) = evaluated(simple) => self.evaluated(&text, names),
            Some("." | "source" | "eval") => self.unknown(names),
            Some(function) if self.functions.contains_key(function) => {
                let parameters = self.arguments(simple, before);
                let function = &self.functions[function];
                let called = |name| called(name, &parameters, self.conditions);
                names.extend(function.names.iter().take(NAMES).filter_map(called));
                self.repeats |= function.repeats;
            }
            Some(name) if builtins::work(name).is_some() => {
                if position == Position::InPipeline {
                    names.push(Name::Subshell(Vec::new()));
                }
            }
            Some(name) => names.push(Name::Is(self.program(name, simple, before))),
        }
    }

    fn program(&self, name: &str, simple: &SimpleCommand, before: usize) -> Program {
        let arguments = self.arguments(simple, before);
        Program { name: name.to_owned(), arguments, optional: self.conditions > 0, sourced: self.sourced }
    }

    /// The words after the name of the program; `before` words of the suffix come before them.
    fn arguments(&self, simple: &SimpleCommand, before: usize) -> Vec<Argument> {
        let suffix = simple.suffix.iter().flat_map(|suffix| &suffix.0);
        let words = suffix.filter_map(|item| match item {
            CommandPrefixOrSuffixItem::Word(word) | CommandPrefixOrSuffixItem::AssignmentWord(_, word) => {
                Some(self.variables.read(&word.value))
            }
            CommandPrefixOrSuffixItem::ProcessSubstitution(..) => Some(Argument::One(vec![Piece::Unknown])),
            CommandPrefixOrSuffixItem::IoRedirect(_) => None,
        });
        words.skip(before).collect()
    }

    /// The name of a command, if a word has it, and the words after it; `before` words of the suffix come up to the name.
    fn words(&self, simple: &SimpleCommand, before: usize) -> Words {
        let arguments = self.arguments(simple, before.saturating_sub(1));
        let name = simple.word_or_name.as_ref().filter(|_| before == 0).map(|word| self.variables.read(&word.value));
        Words { words: name.into_iter().chain(arguments).collect(), optional: self.conditions > 0 }
    }

    /// Notes the values of variables: before a command, or after `export` and the like.
    fn assignments(&mut self, simple: &SimpleCommand) {
        for item in items(simple) {
            if let CommandPrefixOrSuffixItem::AssignmentWord(assignment, _) = item
                && let (AssignmentName::VariableName(name), AssignmentValue::Scalar(value)) =
                    (&assignment.name, &assignment.value)
            {
                self.variables.assign(name, &value.value);
            }
        }
    }

    /// Adds the programs of `$( … )` and backquotes in a word.
    pub(super) fn substitutions(&mut self, word: &Word, names: &mut Vec<Name>) {
        if self.depth < 4 && has_substitution(word) {
            match brush_parser::word::parse(&word.value, &ParserOptions::default()) {
                Ok(pieces) => self.pieces(&pieces, names),
                Err(_) => names.push(Name::Any),
            }
        }
    }

    fn pieces(&mut self, pieces: &[WordPieceWithSource], names: &mut Vec<Name>) {
        for text in texts(pieces) {
            let program = parse(text).unwrap_or_default();
            let found = self.of_text(&program);
            names.push(copy_of(found, program.last()));
        }
    }

    /// Adds the programs of a text that is not known, which the shell itself runs.
    fn unknown(&mut self, names: &mut Vec<Name>) {
        names.push(Name::Any);
        (self.repeats, self.sourced) = (true, true);
    }

    /// Adds the programs of a text that the shell itself runs.
    fn evaluated(&mut self, text: &str, names: &mut Vec<Name>) {
        let Some(program) = parse(text).filter(|_| self.depth < 4) else { return self.unknown(names) };
        self.depth += 1;
        program.iter().for_each(|list| self.inner(list, names));
        self.depth -= 1;
    }

    /// Adds the names in a text that the shell reads as commands.
    pub(super) fn substituted(&mut self, text: &str) -> Vec<Name> {
        self.of_text(&parse(text).unwrap_or_default())
    }

    fn of_text(&mut self, program: &[CompoundList]) -> Vec<Name> {
        self.depth += 1;
        let names = self.copied(|programs, names| program.iter().for_each(|list| programs.inner(list, names)));
        self.depth -= 1;
        names
    }
}

/// Everything before and after the name of a command.
fn items(simple: &SimpleCommand) -> impl Iterator<Item = &CommandPrefixOrSuffixItem> {
    let prefix = simple.prefix.iter().flat_map(|prefix| &prefix.0);
    prefix.chain(simple.suffix.iter().flat_map(|suffix| &suffix.0))
}

/// The words of a part of a command other than a redirection.
fn words(item: &CommandPrefixOrSuffixItem) -> Vec<&Word> {
    match item {
        CommandPrefixOrSuffixItem::Word(word) => vec![word],
        CommandPrefixOrSuffixItem::AssignmentWord(Assignment { value, .. }, _) => match value {
            AssignmentValue::Scalar(word) => vec![word],
            AssignmentValue::Array(values) => values.iter().map(|(_, word)| word).collect(),
        },
        CommandPrefixOrSuffixItem::ProcessSubstitution(..) | CommandPrefixOrSuffixItem::IoRedirect(_) => Vec::new(),
    }
}

/// The texts of the command substitutions in the words of a command, in the order in which the shell runs them. `None` if other parts of the
/// command may have substitutions as well.
pub(super) fn substitutions(simple: &SimpleCommand) -> Option<Vec<String>> {
    let is_other = |item: &CommandPrefixOrSuffixItem| match item {
        CommandPrefixOrSuffixItem::ProcessSubstitution(..) => true,
        CommandPrefixOrSuffixItem::IoRedirect(redirect) => redirect.to_string().contains(['(', '`']),
        _ => false,
    };
    if items(simple).any(is_other) {
        return None;
    }
    let mut found = Vec::new();
    let words = items(simple).flat_map(words).chain(&simple.word_or_name);
    for word in words.filter(|word| has_substitution(word)) {
        let pieces = brush_parser::word::parse(&word.value, &ParserOptions::default()).ok()?;
        found.extend(texts(&pieces).into_iter().map(str::to_owned));
    }
    Some(found)
}

fn has_substitution(word: &Word) -> bool {
    word.value.contains("$(") || word.value.contains('`')
}

/// The texts of the command substitutions of a word.
fn texts(pieces: &[WordPieceWithSource]) -> Vec<&str> {
    fn of(piece: &WordPieceWithSource) -> Vec<&str> {
        match &piece.piece {
            WordPiece::CommandSubstitution(text) | WordPiece::BackquotedCommandSubstitution(text) => vec![text],
            WordPiece::DoubleQuotedSequence(pieces) | WordPiece::GettextDoubleQuotedSequence(pieces) => texts(pieces),
            _ => Vec::new(),
        }
    }
    pieces.iter().flat_map(of).collect()
}

/// A copy of the shell with these programs, whose commands end with this list. It may execute the last one in its own place.
fn copy_of(mut found: Vec<Name>, last: Option<&CompoundList>) -> Name {
    let last = last.and_then(|list| list.0.last()).and_then(|item| pipelines(&item.0).last());
    let is_builtin = || match last.map(|pipeline| &pipeline.seq[..]) {
        Some([Command::Simple(simple)]) => {
            named(simple).is_none_or(|name| name.is_some_and(|name| builtins::work(&name).is_some()))
        }
        _ => false,
    };
    if matches!(found[..], [Name::Is(_)]) && !is_builtin() { found.remove(0) } else { Name::Subshell(found) }
}

/// The name in a function, with the parameters of a call that runs under this number of conditions; `None` for a command that starts no
/// program.
fn called(name: &Name, parameters: &[Argument], conditions: usize) -> Option<Name> {
    Some(match name {
        Name::Is(program) => Name::Is(Program {
            arguments: call(&program.arguments, parameters),
            optional: program.optional || conditions > 0,
            ..program.clone()
        }),
        Name::Subshell(within) => {
            Name::Subshell(within.iter().filter_map(|name| called(name, parameters, conditions)).collect())
        }
        Name::Given(Words { words, optional }) => {
            return given(Words { words: call(words, parameters), optional: *optional || conditions > 0 });
        }
        Name::Any => Name::Any,
    })
}

/// The name of a command with these words; `None` if the shell runs it itself.
fn given(given: Words) -> Option<Name> {
    let path = match given.words.first() {
        Some(Argument::One(pieces) | Argument::Many(pieces)) => match &pieces[..] {
            [Piece::Text(path)] => path.clone(),
            _ => return Some(Name::Given(given)),
        },
        None => return Some(Name::Given(given)),
    };
    let name = path.rsplit('/').next().unwrap_or_default().to_owned();
    let program = Program { name, arguments: given.words[1..].to_vec(), optional: given.optional, sourced: false };
    builtins::work(&path).is_none().then_some(Name::Is(program))
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

/// The pipelines that `&&` and `||` join, and whether each may not run though everything before it did not fail the build: after `||`, and
/// after a test.
pub(super) fn steps(commands: &AndOrList) -> impl Iterator<Item = (&Pipeline, bool)> {
    let has_or = commands.additional.iter().any(|next| matches!(next, AndOr::Or(_)));
    let mut tested = false;
    pipelines(commands).enumerate().map(move |(number, pipeline)| {
        let is_optional = number > 0 && (has_or || tested);
        tested |= is_test(pipeline);
        (pipeline, is_optional)
    })
}

/// Whether it is a command that answers a question.
fn is_test(pipeline: &Pipeline) -> bool {
    const TESTS: &[&str] = &["[", "test", "command", "which", "type", "hash", "false", "grep", "diff", "cmp", "getent"];
    match &pipeline.seq[..] {
        [.., Command::Simple(simple)] => {
            let name = simple.word_or_name.as_ref().and_then(literal);
            pipeline.bang || name.is_some_and(|name| TESTS.contains(&&*name))
        }
        [.., Command::ExtendedTest(_)] => true,
        _ => pipeline.bang,
    }
}

/// What `trap` sets.
pub(super) struct Trap {
    /// The action, without its quotes. `-` removes an earlier one.
    pub(super) action: String,
    /// Whether the shell runs it when it ends or a command fails, not only at a signal.
    pub(super) at_end: bool,
}

/// The action of a `trap` with conditions. `None` for other commands.
pub(super) fn trap(command: &Command) -> Option<Trap> {
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
    let action = brush_parser::unquote_str(&words.next()?.value);
    let mut conditions = words.peekable();
    conditions.peek()?;
    let at_end = conditions.any(|word| matches!(&*word.value.to_ascii_uppercase(), "EXIT" | "0" | "ERR"));
    Some(Trap { action, at_end })
}

/// The name of the command. The inner `None` is a name that depends on an expansion; the outer one is a command of assignments and
/// redirections only.
pub(super) fn named(simple: &SimpleCommand) -> Option<Option<String>> {
    started(simple).map(|(name, _)| name)
}

/// The same with the number of words of the suffix up to that name.
fn started(simple: &SimpleCommand) -> Option<(Option<String>, usize)> {
    let suffix = simple.suffix.iter().flat_map(|suffix| &suffix.0);
    let mut arguments = suffix.filter_map(|item| match item {
        CommandPrefixOrSuffixItem::Word(word) => Some(word),
        _ => None,
    });
    let mut before = 0;
    let mut next = || {
        before += 1;
        arguments.next()
    };
    let mut name = literal(simple.word_or_name.as_ref()?);
    // These run the command that follows them.
    while let Some("exec" | "command" | "builtin" | "coproc") = name.as_deref() {
        let mut word = next()?;
        while word.value.starts_with('-') {
            match &*word.value {
                // Where a command is.
                "-v" | "-V" => return Some((name, 0)),
                // The name in the list of processes.
                "-a" => drop(next()),
                _ => {}
            }
            word = next()?;
        }
        name = literal(word);
    }
    Some((name, before))
}
