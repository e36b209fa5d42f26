//! The commands of a shell's text, in the order in which the shell comes to them.
//!
//! The text is read by a shell grammar. What only the shell knows (the value of a variable, the branch that is taken) stays
//! open: such a command may have processes of any name, or none.

use brush_parser::ast::{
    AndOr, Assignment, AssignmentValue, Command, CommandPrefixOrSuffixItem, CompoundCommand, CompoundList,
    FunctionBody, IoFileRedirectTarget, IoRedirect, Pipeline, SimpleCommand, SourceLocation, Word,
};
use brush_parser::word::{WordPiece, WordPieceWithSource};
use brush_parser::{Parser, ParserOptions, SourceInfo, TokenLocation};
use std::collections::HashMap;
use std::io::Cursor;
use std::ops::Range;

/// Longer or more deeply nested texts are one command: a text from outside must not exhaust the stack.
const LONGEST: usize = 64 << 10;
const DEEPEST: usize = 100;

/// A command of the text that is accounted for as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unit {
    /// Its place in the text, in bytes.
    pub(super) span: Range<usize>,
    /// The programs that it starts below the shell, in order.
    pub(super) names: Vec<Name>,
    /// Whether it may start them again and again: a loop, a function, a sourced file.
    pub(super) repeats: bool,
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
    let whole = || vec![Unit { span: 0..text.len(), names: vec![Name::Any], repeats: true }];
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
    functions: HashMap<String, Vec<Name>>,
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
                CompoundCommand::IfClause(clause) => {
                    self.list(&clause.condition);
                    self.list(&clause.then);
                    for other in clause.elses.iter().flatten() {
                        if let Some(condition) = &other.condition {
                            self.list(condition);
                        }
                        self.list(&other.body);
                    }
                    return;
                }
                CompoundCommand::CaseClause(case) => {
                    return case.cases.iter().filter_map(|case| case.cmd.as_ref()).for_each(|list| self.list(list));
                }
                _ => {}
            },
            [Command::Function(function)] => {
                let FunctionBody(body, _) = &function.body;
                let names = self.names_of(|reader, names| reader.compound(body, names));
                self.functions.insert(function.fname.value.clone(), names);
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
        self.units.push(Unit { span, names, repeats });
    }

    fn names_of(&mut self, read: impl FnOnce(&mut Self, &mut Vec<Name>)) -> Vec<Name> {
        let mut names = Vec::new();
        read(self, &mut names);
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
                names.extend(self.functions[function].iter().cloned());
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
        let mut places: Vec<TokenLocation> = Vec::new();
        for command in &pipeline.seq {
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
        }
        let start = places.iter().map(|place| place.start.index).min()?;
        let end = places.iter().map(|place| place.end.index).max()?;
        let byte = |at: usize| self.offsets[at.min(self.offsets.len() - 1)];
        Some(byte(start)..byte(end))
    }
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
