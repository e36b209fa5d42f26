//! The commands of a shell's text, in the order in which the shell comes to them.
//!
//! The text is read by a shell grammar. What only the shell knows (the value of a variable, the branch that is taken) stays
//! open: such a command may have processes of any name, or none.

use brush_parser::ast::{
    AndOr, Assignment, AssignmentValue, CaseClauseCommand, Command, CommandPrefixOrSuffixItem, CompoundCommand,
    CompoundList, FunctionBody, IfClauseCommand, IoFileRedirectTarget, IoRedirect, Pipeline, SimpleCommand,
    SourceLocation, Word,
};
use brush_parser::word::{WordPiece, WordPieceWithSource};
use brush_parser::{Parser, ParserOptions, SourceInfo, TokenLocation};
use std::collections::HashMap;
use std::io::Cursor;
use std::ops::Range;

/// Longer or more deeply nested texts are one command: a text from outside must not exhaust the stack.
const LONGEST: usize = 64 << 10;
const DEEPEST: usize = 100;
/// So many programs of one command are told apart. Functions that call functions could name any number.
const NAMES: usize = 200;
/// A unit with more commands in it is not divided.
const COMMANDS: usize = 200;

/// A command of the text that is accounted for as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unit {
    /// Its place in the text, in bytes.
    pub(super) span: Range<usize>,
    /// The programs that it starts below the shell, in order.
    pub(super) names: Vec<Name>,
    /// Whether it may start them again and again: a loop, a function, a sourced file.
    pub(super) repeats: bool,
    /// The commands that it consists of.
    pub(super) inner: Inner,
}

/// The commands within a unit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Inner {
    /// It is one command.
    #[default]
    None,
    /// The parts of a pipeline, which run at the same time.
    Piped(Vec<Unit>),
    /// The commands of a subshell: a process of its own starts them.
    Subshell(Vec<Unit>),
    /// The commands of a loop or a function, which the shell itself starts, perhaps several times.
    Repeated(Vec<Unit>),
}

impl Inner {
    fn units(&self) -> &[Unit] {
        match self {
            Self::None => &[],
            Self::Piped(units) | Self::Subshell(units) | Self::Repeated(units) => units,
        }
    }

    /// Only several commands say more than the unit itself.
    fn of(wrap: fn(Vec<Unit>) -> Self, units: Vec<Unit>) -> Self {
        match &units[..] {
            [] => Self::None,
            [one] if one.inner.units().is_empty() && one.names.is_empty() => Self::None,
            _ => wrap(units),
        }
    }
}

/// A function of the text.
struct Function {
    names: Vec<Name>,
    body: Vec<Unit>,
}

/// The name of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Name {
    /// As the text says.
    Is(String),
    /// An expansion decides.
    Any,
    /// The shell's own copy: `( … )`, or a compound command in a pipeline. The last one a shell may go through itself: then it
    /// starts the programs in it.
    Subshell(Vec<Name>),
}

impl Unit {
    /// Whether the shell does it without starting anything.
    pub(super) fn is_builtin(&self) -> bool {
        self.names.is_empty()
    }
}

/// The units of a shell's text. A text that the shell's grammar does not accept is one unit that may start anything.
pub(super) fn units(text: &str) -> Vec<Unit> {
    let whole = || vec![Unit { span: 0..text.len(), names: vec![Name::Any], repeats: true, inner: Inner::None }];
    let Some(program) = parse(text) else { return whole() };
    // The grammar counts characters.
    let offsets: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    let mut reader = Reader { offsets, functions: HashMap::new(), units: Vec::new(), depth: 0 };
    for list in &program {
        reader.list(list);
    }
    let units = reader.units;
    if units.is_empty() { whole() } else { units }
}

fn parse(text: &str) -> Option<Vec<CompoundList>> {
    let nested = text.bytes().filter(|byte| b"({`".contains(byte)).count();
    if text.len() > LONGEST || nested > DEEPEST {
        return None;
    }
    let source = SourceInfo { source: String::new() };
    let mut parser = Parser::new(Cursor::new(text.as_bytes()), &ParserOptions::default(), &source);
    Some(parser.parse_program().ok()?.complete_commands)
}

struct Reader {
    /// The byte at which each character begins.
    offsets: Vec<usize>,
    functions: HashMap<String, Function>,
    units: Vec<Unit>,
    /// Of substitutions within substitutions.
    depth: usize,
}

impl Reader {
    fn list(&mut self, list: &CompoundList) {
        for item in &list.0 {
            self.pipeline(&item.0.first);
            for next in &item.0.additional {
                let (AndOr::And(pipeline) | AndOr::Or(pipeline)) = next;
                self.pipeline(pipeline);
            }
        }
    }

    /// A pipeline is a unit, but for groups and branches, which are as if their commands stood there.
    fn pipeline(&mut self, pipeline: &Pipeline) {
        match &pipeline.seq[..] {
            [Command::Compound(compound, _)] => match compound {
                CompoundCommand::BraceGroup(group) => return self.list(&group.list),
                CompoundCommand::IfClause(clause) => return self.branches(clause),
                CompoundCommand::CaseClause(case) => return self.cases(case),
                _ => {}
            },
            [Command::Function(function)] => {
                let FunctionBody(body, _) = &function.body;
                let names = self.names_of(|reader, names| reader.compound(body, names));
                let body = self.units_of(|reader| reader.body(body));
                self.functions.insert(function.fname.value.clone(), Function { names, body });
                return;
            }
            _ => {}
        }
        let Some(span) = self.extent(pipeline) else { return };
        let mut repeats = false;
        let names = self.names_of(|reader, names| {
            for command in &pipeline.seq {
                let piped = pipeline.seq.len() > 1;
                repeats |= reader.command(command, piped, names);
            }
        });
        let inner = match &pipeline.seq[..] {
            [one] => self.inside(one),
            parts => Inner::of(Inner::Piped, self.units_of(|reader| parts.iter().for_each(|part| reader.part(part)))),
        };
        self.units.push(Unit { span, names, repeats, inner });
    }

    /// A part of a pipeline. The shell starts a copy of itself for what is not a program.
    fn part(&mut self, command: &Command) {
        let Some(span) = extent_of(command).and_then(|places| self.bytes(places)) else { return };
        let names = self.names_of(|reader, names| {
            reader.command(command, true, names);
        });
        let inner = match command {
            Command::Compound(compound, _) => Inner::of(Inner::Subshell, self.units_of(|reader| reader.body(compound))),
            _ => Inner::None,
        };
        self.units.push(Unit { span, names, repeats: false, inner });
    }

    /// The commands within one command.
    fn inside(&mut self, command: &Command) -> Inner {
        match command {
            Command::Compound(compound @ CompoundCommand::Subshell(_), _) => {
                Inner::of(Inner::Subshell, self.units_of(|reader| reader.body(compound)))
            }
            Command::Compound(compound, _) => Inner::of(Inner::Repeated, self.units_of(|reader| reader.body(compound))),
            Command::Simple(simple) => {
                let name = simple.word_or_name.as_ref().and_then(literal);
                match name.and_then(|name| self.functions.get(&name)) {
                    Some(function) => Inner::of(Inner::Repeated, function.body.clone()),
                    None => Inner::None,
                }
            }
            Command::Function(_) | Command::ExtendedTest(_) => Inner::None,
        }
    }

    /// The commands of a compound command, as units.
    fn body(&mut self, compound: &CompoundCommand) {
        match compound {
            CompoundCommand::Subshell(subshell) => self.list(&subshell.list),
            CompoundCommand::BraceGroup(group) => self.list(&group.list),
            CompoundCommand::ForClause(clause) => self.list(&clause.body.list),
            CompoundCommand::ArithmeticForClause(clause) => self.list(&clause.body.list),
            CompoundCommand::WhileClause(clause) | CompoundCommand::UntilClause(clause) => {
                self.list(&clause.0);
                self.list(&clause.1.list);
            }
            CompoundCommand::IfClause(clause) => self.branches(clause),
            CompoundCommand::CaseClause(case) => self.cases(case),
            CompoundCommand::Arithmetic(_) => {}
        }
    }

    fn branches(&mut self, clause: &IfClauseCommand) {
        self.list(&clause.condition);
        self.list(&clause.then);
        for other in clause.elses.iter().flatten() {
            if let Some(condition) = &other.condition {
                self.list(condition);
            }
            self.list(&other.body);
        }
    }

    fn cases(&mut self, case: &CaseClauseCommand) {
        case.cases.iter().filter_map(|case| case.cmd.as_ref()).for_each(|list| self.list(list));
    }

    /// The units that `read` adds, apart from those so far. Too many units are left out.
    fn units_of(&mut self, read: impl FnOnce(&mut Self)) -> Vec<Unit> {
        let before = std::mem::take(&mut self.units);
        read(self);
        let units = std::mem::replace(&mut self.units, before);
        if count(&units) > COMMANDS { Vec::new() } else { units }
    }

    fn names_of(&mut self, read: impl FnOnce(&mut Self, &mut Vec<Name>)) -> Vec<Name> {
        let mut names = Vec::new();
        read(self, &mut names);
        names.truncate(NAMES);
        names
    }

    /// Adds the programs of a command; says whether they may be started more than once.
    fn command(&mut self, command: &Command, piped: bool, names: &mut Vec<Name>) -> bool {
        match command {
            Command::Simple(simple) => self.simple(simple, piped, names),
            Command::Compound(CompoundCommand::Subshell(subshell), _) => {
                let within = self.names_of(|reader, names| reader.inner(&subshell.list, names));
                names.push(Name::Subshell(within));
                false
            }
            Command::Compound(..) if piped => {
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

    /// The programs within a compound command that the shell itself goes through.
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
                    self.command(command, pipeline.seq.len() > 1, names);
                }
            }
        }
    }

    fn simple(&mut self, simple: &SimpleCommand, piped: bool, names: &mut Vec<Name>) -> bool {
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
                names.extend(self.functions[function].names.iter().take(NAMES).cloned());
                return true;
            }
            Some(name) if BUILTINS.contains(&name) => {
                if piped {
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
        let names = self.names_of(|reader, names| program.iter().for_each(|list| reader.inner(list, names)));
        self.depth -= 1;
        names
    }

    /// From a pipeline's first word to its last. What the grammar has no place for (a closing redirection) may be missing.
    fn extent(&self, pipeline: &Pipeline) -> Option<Range<usize>> {
        let places: Vec<_> = pipeline.seq.iter().filter_map(extent_of).collect();
        let start = places.iter().map(|place| place.start).min()?;
        let end = places.iter().map(|place| place.end).max()?;
        self.bytes(start..end)
    }

    /// The bytes of a range of characters.
    fn bytes(&self, characters: Range<usize>) -> Option<Range<usize>> {
        let byte = |at: usize| self.offsets.get(at.min(self.offsets.len() - 1)).copied();
        Some(byte(characters.start)?..byte(characters.end)?)
    }
}

/// The characters from a command's first word to its last.
fn extent_of(command: &Command) -> Option<Range<usize>> {
    let mut places: Vec<TokenLocation> = Vec::new();
    match command {
        Command::Simple(simple) => {
            places.extend(simple.word_or_name.iter().filter_map(SourceLocation::location));
            let prefix = simple.prefix.iter().flat_map(|prefix| &prefix.0);
            for item in prefix.chain(simple.suffix.iter().flat_map(|suffix| &suffix.0)) {
                places.extend(item_place(item));
            }
        }
        Command::Compound(compound, _) => places.extend(compound.location()),
        Command::ExtendedTest(test) => places.extend(test.location()),
        Command::Function(function) => places.extend(function.location()),
    }
    let start = places.iter().map(|place| place.start.index).min()?;
    let end = places.iter().map(|place| place.end.index).max()?;
    Some(start..end)
}

/// How many units there are, with those within them.
fn count(units: &[Unit]) -> usize {
    units.iter().map(|unit| 1 + count(unit.inner.units())).sum()
}

fn item_place(item: &CommandPrefixOrSuffixItem) -> Option<TokenLocation> {
    match item {
        CommandPrefixOrSuffixItem::Word(word) => word.location(),
        CommandPrefixOrSuffixItem::AssignmentWord(assignment, _) => assignment.location(),
        CommandPrefixOrSuffixItem::ProcessSubstitution(_, subshell) => subshell.location(),
        CommandPrefixOrSuffixItem::IoRedirect(IoRedirect::File(_, _, IoFileRedirectTarget::Filename(word))) => {
            word.location()
        }
        CommandPrefixOrSuffixItem::IoRedirect(_) => None,
    }
}

/// The value of a word without its quotes; `None` if it depends on an expansion.
fn literal(word: &Word) -> Option<String> {
    if word.value.contains(['$', '`', '*', '?']) {
        return None;
    }
    Some(brush_parser::unquote_str(&word.value))
}

/// What a shell does itself (POSIX.1-2024, "Special Built-In Utilities" and "Utilities" that shells build in).
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

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<(String, String, bool)> {
        let name = |name: &Name| match name {
            Name::Is(name) => name.clone(),
            Name::Any => "*".into(),
            Name::Subshell(_) => "( )".into(),
        };
        units(text)
            .iter()
            .map(|unit| {
                let names: Vec<_> = unit.names.iter().map(name).collect();
                (text[unit.span.clone()].to_owned(), names.join(" "), unit.repeats)
            })
            .collect()
    }

    fn row(text: &str, names: &str, repeats: bool) -> (String, String, bool) {
        (text.to_owned(), names.to_owned(), repeats)
    }

    #[test]
    fn a_chain_is_its_commands() {
        let text =
            "set -eux; apt-get update && apt-get install -y --no-install-recommends gcc > /dev/null && rm -rf /x/*";
        assert_eq!(
            shown(text),
            [
                row("set -eux", "", false),
                row("apt-get update", "apt-get", false),
                row("apt-get install -y --no-install-recommends gcc > /dev/null", "apt-get", false),
                row("rm -rf /x/*", "rm", false),
            ]
        );
    }

    #[test]
    fn pipelines_subshells_and_substitutions_start_what_is_in_them() {
        assert_eq!(shown("curl -L x | tar xz"), [row("curl -L x | tar xz", "curl tar", false)]);
        assert_eq!(
            shown("a && b; (c | d)"),
            [row("a", "a", false), row("b", "b", false), row("(c | d)", "( )", false)]
        );
        assert_eq!(shown("make -j\"$(nproc)\" all"), [row("make -j\"$(nproc)\" all", "nproc make", false)]);
        assert_eq!(shown("V=`uname -m` ./run"), [row("V=`uname -m` ./run", "uname run", false)]);
        assert_eq!(shown("echo a | sh"), [row("echo a | sh", "( ) sh", false)]);
    }

    #[test]
    fn loops_and_functions_start_theirs_again_and_again() {
        assert_eq!(shown("while [ $i ]; do /bin/true; done"), [row("while [ $i ]; do /bin/true; done", "true", true)]);
        assert_eq!(
            shown("for i in a b; do gcc -c $i.c; done; make"),
            [row("for i in a b; do gcc -c $i.c; done", "gcc", true), row("make", "make", false)]
        );
        assert_eq!(shown("f() { cc $1; ld; }; f a; f b"), [row("f a", "cc ld", true), row("f b", "cc ld", true)]);
        assert_eq!(shown(". ./env.sh; $CC x.c"), [row(". ./env.sh", "*", true), row("$CC x.c", "*", false)]);
    }

    fn inner(text: &str) -> Vec<String> {
        let units = units(text);
        let inner = units[0].inner.units().iter();
        inner.map(|unit| text[unit.span.clone()].to_owned()).collect()
    }

    #[test]
    fn commands_within_a_command_are_known() {
        assert_eq!(inner("(cd x && make; make install)"), ["cd x", "make", "make install"]);
        assert_eq!(inner("curl -L x | tar xz"), ["curl -L x", "tar xz"]);
        assert_eq!(inner("for i in a b; do gcc $i; strip $i; done"), ["gcc $i", "strip $i"]);
        assert_eq!(inner("while read x; do cc $x; done"), ["read x", "cc $x"]);
        assert_eq!(inner("f() { cc $1; ld; }; f a"), ["cc $1", "ld"]);
        assert_eq!(inner("make"), Vec::<String>::new());
        let nested = units("a | (b; (c; d))");
        let part = &nested[0].inner.units()[1];
        assert_eq!(part.inner.units().len(), 2);
        assert!(matches!(&part.inner.units()[1].inner, Inner::Subshell(units) if units.len() == 2));
    }

    /// Each calls the one before twice: the last would have 2^30 commands.
    #[test]
    fn functions_that_call_functions_stay_small() {
        let functions = (1..30).map(|n| format!("f{n}() {{ f{0}; f{0}; }}\n", n - 1)).collect::<String>();
        let text = format!("f0() {{ cc; }}\n{functions}f29\n");
        let units = units(&text);
        assert!(count(&units) <= 2 * COMMANDS && units[0].names.len() <= NAMES);
    }

    #[test]
    fn branches_are_as_if_they_stood_there() {
        assert_eq!(
            shown("if test -f x; then make; else { cmake . && ninja; }; fi"),
            [
                row("test -f x", "", false),
                row("make", "make", false),
                row("cmake .", "cmake", false),
                row("ninja", "ninja", false)
            ]
        );
    }

    #[test]
    fn a_script_of_many_lines_is_read_as_a_whole() {
        let text =
            "#!/bin/bash\nset -e\n# comment é\ncat <<X > /f\nnot a command\nX\npip install x\nexec /usr/bin/true-ish\n";
        assert_eq!(
            shown(text),
            [
                row("set -e", "", false),
                row("cat <<X > /f", "cat", false),
                row("pip install x", "pip", false),
                row("exec /usr/bin/true-ish", "true-ish", false),
            ]
        );
    }

    #[test]
    fn what_is_no_shell_text_is_one_command() {
        assert_eq!(shown("if then fi ((("), [row("if then fi (((", "*", true)]);
        assert_eq!(shown(&"(".repeat(100_000)).len(), 1);
        assert_eq!(shown(""), [row("", "*", true)]);
    }
}
