//! A shell's text as the chain of its commands.
//!
//! *Takes* the text that a RUN gives to its shell. *Gives* the elements of its top-level chain, each with the commands that it may run:
//! without wrappers, with the directory and the variables that the text gives them. *Must never know* what a command does.

use crate::grammar::{Offsets, parse};
use crate::invocation::{Invocation, StartedProgram};
use crate::path::join;
use crate::word::Word;
use brush_parser::ast::{
    AndOr, Assignment, AssignmentName, AssignmentValue, Command, CommandPrefixOrSuffixItem, CompoundCommand,
    CompoundList, FunctionBody, IoFileRedirectKind, IoFileRedirectTarget, IoRedirect, Pipeline, SeparatorOperator,
    SimpleCommand,
};
use std::collections::BTreeMap;
use std::ops::Range;

/// Texts within texts, as in `sh -c "bash -c '…'"`.
const DEEPEST_TEXT: usize = 4;

/// The chain of a shell's text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Script {
    /// The pipelines of the chain in order.
    pub elements: Vec<Element>,
}

/// A pipeline of the top-level chain: a command, or several that belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element {
    /// The range of the element in the text, in bytes.
    pub span: Range<usize>,
    /// The operator between the previous element and this one.
    pub join: Join,
    /// The commands in it, in order.
    pub commands: Vec<Invocation>,
    /// Whether it changes the shell for later elements: a directory, a variable, an option, a function.
    pub leaks: bool,
    /// Whether it may run something that the text does not show: a function, a sourced file, an expansion.
    pub opaque: bool,
}

/// The operator between an element and the previous one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Join {
    /// It is the first, or follows `;` or a line end.
    Then,
    /// It follows `&&`.
    And,
    /// It follows `||`, or the command before it runs in the background.
    Other,
}

impl Script {
    /// Reads a text. `None` if the shell's grammar (POSIX and bash) does not accept it.
    pub fn read(text: &str) -> Option<Self> {
        Self::within(text, &ShellState::default(), 0)
    }

    fn within(text: &str, state: &ShellState, depth: usize) -> Option<Self> {
        let lists = parse(text)?;
        let mut reader =
            ScriptReader { offsets: Offsets::of(text), state: state.clone(), functions: Vec::new(), depth };
        let mut elements = Vec::new();
        for list in &lists {
            reader.chain(list, &mut elements);
        }
        Some(Self { elements })
    }

    /// Adds a program that no shell starts.
    pub(crate) fn exec(&mut self, invocation: Invocation) {
        let mut reader =
            ScriptReader { offsets: Offsets::of(""), state: ShellState::default(), functions: Vec::new(), depth: 0 };
        let mut found = Found::default();
        reader.start(invocation, None, &mut found);
        let Found { commands, leaks, opaque } = found;
        self.elements.push(Element { span: 0..0, join: Join::Then, commands, leaks, opaque });
    }

    /// All commands in order.
    pub fn commands(&self) -> impl Iterator<Item = &Invocation> {
        self.elements.iter().flat_map(|element| &element.commands)
    }
}

/// The state of the shell so far.
#[derive(Clone, Debug, Default)]
struct ShellState {
    /// The directory, relative to the start unless it is absolute; `None` if an expansion decides.
    folder: Folder,
    variables: BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Folder(Option<String>);

impl Default for Folder {
    fn default() -> Self {
        Self(Some(String::new()))
    }
}

/// The properties of an element besides its commands.
#[derive(Default)]
struct Found {
    commands: Vec<Invocation>,
    leaks: bool,
    opaque: bool,
}

/// The context of a command.
#[derive(Clone, Copy)]
struct CommandContext {
    /// Whether it runs whenever all before it succeed.
    certain: bool,
    /// Whether another command writes its input.
    piped: bool,
}

impl CommandContext {
    /// Within a branch or a loop.
    const UNCERTAIN: Self = Self { certain: false, piped: false };

    /// Within a compound command, whose commands do not all read its input.
    fn inner(self) -> Self {
        Self { piped: false, ..self }
    }
}

struct ScriptReader {
    offsets: Offsets,
    state: ShellState,
    functions: Vec<String>,
    depth: usize,
}

impl ScriptReader {
    fn chain(&mut self, list: &CompoundList, elements: &mut Vec<Element>) {
        let mut background = false;
        for item in &list.0 {
            let join = if background { Join::Other } else { Join::Then };
            self.element(&item.0.first, join, elements);
            for next in &item.0.additional {
                let (pipeline, join) = match next {
                    AndOr::And(pipeline) => (pipeline, Join::And),
                    AndOr::Or(pipeline) => (pipeline, Join::Other),
                };
                self.element(pipeline, join, elements);
            }
            background = matches!(item.1, SeparatorOperator::Async);
        }
    }

    fn element(&mut self, pipeline: &Pipeline, join: Join, elements: &mut Vec<Element>) {
        let mut found = Found { opaque: pipeline.bang || pipeline.timed.is_some(), ..Found::default() };
        self.pipeline(pipeline, CommandContext { certain: true, piped: false }, &mut found);
        let span = self.offsets.commands(&pipeline.seq).unwrap_or(0..0);
        let Found { commands, leaks, opaque } = found;
        elements.push(Element { span, join, commands, leaks, opaque });
    }

    fn pipeline(&mut self, pipeline: &Pipeline, setting: CommandContext, found: &mut Found) {
        if let [command] = &pipeline.seq[..] {
            self.command(command, setting, found);
            return;
        }
        // Each command of a pipeline has a shell of its own.
        for (at, command) in pipeline.seq.iter().enumerate() {
            let state = self.state.clone();
            let mut inner = Found::default();
            self.command(command, CommandContext { piped: at > 0, ..setting }, &mut inner);
            self.state = state;
            found.commands.append(&mut inner.commands);
            found.opaque |= inner.opaque;
        }
    }

    fn command(&mut self, command: &Command, setting: CommandContext, found: &mut Found) {
        match command {
            Command::Simple(simple) => self.simple(simple, setting, found),
            Command::Compound(compound, redirects) => {
                self.compound(compound, setting.inner(), found);
                for redirect in redirects.iter().flat_map(|list| &list.0) {
                    found.opaque |= matches!(redirect, IoRedirect::HereDocument(..));
                }
            }
            Command::Function(function) => {
                let FunctionBody(body, _) = &function.body;
                let state = self.state.clone();
                self.compound(body, CommandContext::UNCERTAIN, found);
                self.state = state;
                self.functions.push(function.fname.value.clone());
                found.leaks = true;
            }
            Command::ExtendedTest(_) => {}
        }
    }

    fn compound(&mut self, compound: &CompoundCommand, setting: CommandContext, found: &mut Found) {
        match compound {
            CompoundCommand::Subshell(subshell) => {
                let state = self.state.clone();
                let mut inner = Found::default();
                self.list(&subshell.list, setting, &mut inner);
                self.state = state;
                found.commands.append(&mut inner.commands);
                found.opaque |= inner.opaque;
            }
            CompoundCommand::BraceGroup(group) => self.list(&group.list, setting, found),
            CompoundCommand::ForClause(clause) => {
                // The text contains the body of the loop, but not the values.
                self.list(&clause.body.list, CommandContext::UNCERTAIN, found);
                found.opaque = true;
            }
            CompoundCommand::ArithmeticForClause(clause) => {
                self.list(&clause.body.list, CommandContext::UNCERTAIN, found)
            }
            CompoundCommand::WhileClause(clause) | CompoundCommand::UntilClause(clause) => {
                self.list(&clause.0, CommandContext::UNCERTAIN, found);
                self.list(&clause.1.list, CommandContext::UNCERTAIN, found);
            }
            CompoundCommand::IfClause(clause) => {
                self.list(&clause.condition, setting, found);
                self.branch(&clause.then, found);
                for other in clause.elses.iter().flatten() {
                    if let Some(condition) = &other.condition {
                        self.branch(condition, found);
                    }
                    self.branch(&other.body, found);
                }
            }
            CompoundCommand::CaseClause(case) => {
                for list in case.cases.iter().filter_map(|case| case.cmd.as_ref()) {
                    self.branch(list, found);
                }
            }
            CompoundCommand::Arithmetic(_) => {}
        }
    }

    /// A list that may or may not run: afterwards, everything that it can change is unknown.
    fn branch(&mut self, list: &CompoundList, found: &mut Found) {
        let before = self.state.clone();
        self.list(list, CommandContext::UNCERTAIN, found);
        if self.state.folder != before.folder {
            self.state.folder = Folder(None);
        }
    }

    fn list(&mut self, list: &CompoundList, setting: CommandContext, found: &mut Found) {
        for item in &list.0 {
            self.pipeline(&item.0.first, setting, found);
            for next in &item.0.additional {
                match next {
                    AndOr::And(pipeline) => self.pipeline(pipeline, setting, found),
                    AndOr::Or(pipeline) => self.pipeline(pipeline, CommandContext::UNCERTAIN, found),
                }
            }
        }
    }

    fn simple(&mut self, simple: &SimpleCommand, setting: CommandContext, found: &mut Found) {
        let mut assigned = Vec::new();
        let mut words: Vec<Word> = simple.word_or_name.iter().map(|word| Word::of(&word.value)).collect();
        let (mut reads, mut writes, mut document) = (Vec::new(), Vec::new(), None);
        let before = simple.prefix.iter().flat_map(|prefix| &prefix.0).map(|item| (true, item));
        let behind = simple.suffix.iter().flat_map(|suffix| &suffix.0).map(|item| (false, item));
        for (before, item) in before.chain(behind) {
            match item {
                CommandPrefixOrSuffixItem::Word(word) => words.push(Word::of(&word.value)),
                // After the name of the command it is an argument: `env A=b`, `export A=b`, `make A=b`.
                CommandPrefixOrSuffixItem::AssignmentWord(assignment, _) if before => {
                    assigned.push(variable(assignment))
                }
                CommandPrefixOrSuffixItem::AssignmentWord(_, word) => words.push(Word::of(&word.value)),
                CommandPrefixOrSuffixItem::IoRedirect(redirect) => match redirect {
                    IoRedirect::HereDocument(_, here) => document = Some(here.doc.value.clone()),
                    IoRedirect::HereString(_, word) => document = Some(word.value.clone()),
                    IoRedirect::File(_, kind, IoFileRedirectTarget::Filename(word)) => match kind {
                        IoFileRedirectKind::Read => reads.push(Word::of(&word.value)),
                        _ => writes.push(Word::of(&word.value)),
                    },
                    IoRedirect::OutputAndError(word, _) => writes.push(Word::of(&word.value)),
                    IoRedirect::File(..) => {}
                },
                CommandPrefixOrSuffixItem::ProcessSubstitution(..) => found.opaque = true,
            }
        }
        if words.is_empty() {
            found.leaks |= !assigned.is_empty();
            self.state.variables.extend(assigned);
            return;
        }
        let mut variables = self.state.variables.clone();
        variables.extend(assigned);
        // The words that a command or a file gives.
        if words.iter().skip(1).any(|word| is_of_input(word, &variables)) {
            words.push(Word { text: "$@".into(), literal: false });
        }
        let invocation = Invocation {
            words,
            variables,
            folder: self.state.folder.0.clone(),
            reads,
            writes,
            piped: setting.piped,
            document: document.is_some(),
            certain: setting.certain,
            user: None,
        };
        self.start(invocation, document, found);
    }

    /// Adds a command, or the commands of the text that it gives to a shell.
    fn start(&mut self, invocation: Invocation, document: Option<String>, found: &mut Found) {
        match invocation.unwrapped(document) {
            StartedProgram::Command(command) => {
                if self.functions.iter().any(|name| *name == command.words[0].text) {
                    found.opaque = true;
                    return;
                }
                self.effects(&command, found);
                found.commands.push(command);
            }
            StartedProgram::Text { text, command } => {
                let state = ShellState { folder: Folder(command.folder.clone()), variables: command.variables.clone() };
                match (self.depth < DEEPEST_TEXT).then(|| Script::within(&text, &state, self.depth + 1)).flatten() {
                    Some(script) => {
                        for element in script.elements {
                            found.opaque |= element.opaque;
                            let placed = element.commands.into_iter().map(|inner| Invocation {
                                certain: inner.certain && command.certain,
                                user: inner.user.or_else(|| command.user.clone()),
                                ..inner
                            });
                            found.commands.extend(placed);
                        }
                    }
                    None => found.opaque = true,
                }
            }
            StartedProgram::Nothing => {}
        }
    }

    /// Applies a command's changes of the shell itself.
    fn effects(&mut self, command: &Invocation, found: &mut Found) {
        let argument = command.words.get(1);
        match command.words[0].text.as_str() {
            "cd" | "pushd" => {
                found.leaks = true;
                let target = command.words[1..].iter().find(|word| !word.text.starts_with('-') || word.text == "-");
                let joined = match (&command.folder, target) {
                    (Some(folder), Some(word)) if word.literal && word.text != "-" => Some(join(folder, &word.text)),
                    (_, Some(word)) if word.literal && word.text.starts_with('/') => Some(word.text.clone()),
                    _ => None,
                };
                self.state.folder = Folder(joined);
            }
            "popd" => {
                found.leaks = true;
                self.state.folder = Folder(None);
            }
            "export" | "declare" | "typeset" | "readonly" | "local" => {
                found.leaks = true;
                for word in &command.words[1..] {
                    if let Some((name, value)) = word.text.split_once('=') {
                        self.state.variables.insert(name.to_owned(), value.to_owned());
                    }
                }
            }
            "set" | "unset" | "shopt" | "umask" | "trap" | "alias" | "ulimit" | "exit" | "return" | "shift" => {
                found.leaks = true;
            }
            "read" => {
                found.leaks = true;
                let names = command.words[1..].iter().filter(|word| !word.is_option());
                self.state.variables.extend(names.map(|name| (name.text.clone(), "$@".to_owned())));
            }
            "exec" => found.leaks = true,
            "." | "source" | "eval" => {
                found.leaks = true;
                // An environment file of a tool: it sets variables.
                found.opaque |= !argument.is_some_and(|word| word.literal && word.text.starts_with('/'));
            }
            _ => {}
        }
    }
}

/// Whether a word is a variable with the output of a command or a line of the input.
fn is_of_input(word: &Word, variables: &BTreeMap<String, String>) -> bool {
    let name = word.text.strip_prefix('$').map(|name| name.trim_start_matches('{').trim_end_matches('}'));
    let value = name.and_then(|name| variables.get(name));
    value.is_some_and(|value| value.contains("$(") || value.contains('`') || value == "$@")
}

fn variable(assignment: &Assignment) -> (String, String) {
    let name = match &assignment.name {
        AssignmentName::VariableName(name) | AssignmentName::ArrayElementName(name, _) => name.clone(),
    };
    let value = match &assignment.value {
        AssignmentValue::Scalar(word) => Word::of(&word.value).text,
        AssignmentValue::Array(_) => String::new(),
    };
    (name, value)
}
