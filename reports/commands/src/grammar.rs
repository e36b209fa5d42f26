//! A shell's text by the grammar of POSIX and bash, and the places of its commands.
//!
//! *Takes* a text. *Gives* its syntax tree, and byte ranges of parts of the tree. *Must never know* what a command does.

use brush_parser::ast::{
    AndOr, AndOrList, Command, CommandPrefixOrSuffixItem, CompoundCommand, CompoundList, IoFileRedirectTarget,
    IoRedirect, Pipeline, SourceLocation, Word,
};
use brush_parser::{Parser, ParserOptions, SourceInfo, TokenLocation};
use std::io::Cursor;
use std::ops::Range;

/// The longest text that is read, in bytes. A text from outside must not exhaust the stack.
const LONGEST: usize = 64 << 10;
const DEEPEST: usize = 100;

/// The most levels of `(` or `case`. The parser tries each level more than once, so its time doubles with each: twelve levels take about
/// 0.1 s, eighteen of `case` took 7 s, and thirty `(` took minutes.
const MOST_REPEATED: usize = 12;

/// The most digits of a file descriptor before a redirection. The parser expects that it fits into 32 bits.
const MOST_DIGITS: usize = 9;

/// Reads a text by the grammar. `None` if it does not accept the text, or if the text is too long or too deeply nested, or has a file descriptor
/// that no system has.
pub fn parse(text: &str) -> Option<Vec<CompoundList>> {
    let nested = text.bytes().filter(|byte| b"({`".contains(byte)).count();
    if text.len() > LONGEST || nested > DEEPEST || repeated(text) > MOST_REPEATED || digits(text) > MOST_DIGITS {
        return None;
    }
    let source = SourceInfo { source: String::new() };
    let mut parser = Parser::new(Cursor::new(text.as_bytes()), &ParserOptions::default(), &source);
    Some(parser.parse_program().ok()?.complete_commands)
}

/// The longest run of `(` with only white space, continued lines and comments between them, or the number of words `case` if that is
/// larger.
fn repeated(text: &str) -> usize {
    let cases = text.split(|letter: char| !letter.is_alphanumeric()).filter(|word| *word == "case").count();
    let uncommented = |line: &str| line.split('#').next().unwrap_or_default().to_owned();
    cases.max(run_of_parentheses(text)).max(run_of_parentheses(&text.lines().map(uncommented).collect::<String>()))
}

fn run_of_parentheses(text: &str) -> usize {
    let (mut run, mut longest) = (0, 0);
    for byte in text.bytes().filter(|byte| !byte.is_ascii_whitespace() && *byte != b'\\') {
        run = if byte == b'(' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    longest
}

/// The most digits directly before a redirection. A continued line does not end a number.
fn digits(text: &str) -> usize {
    let (mut run, mut most) = (0, 0);
    for byte in text.replace("\\\n", "").bytes() {
        if matches!(byte, b'<' | b'>') {
            most = most.max(run);
        }
        run = if byte.is_ascii_digit() { run + 1 } else { 0 };
    }
    most
}

/// A text, and the byte at which each of its characters begins. The grammar counts characters.
#[derive(Clone, Debug)]
pub struct Offsets {
    text: String,
    bytes: Vec<usize>,
}

impl Offsets {
    /// The offsets of a text.
    pub fn of(text: &str) -> Self {
        let bytes = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
        Self { text: text.to_owned(), bytes }
    }

    /// The bytes from the first word of commands to their last. A closing redirection may be missing, because the syntax tree has no
    /// place for it. `None` for commands without a word.
    pub fn commands<'c>(&self, commands: impl IntoIterator<Item = &'c Command>) -> Option<Range<usize>> {
        union(commands.into_iter().filter_map(|command| self.command(command)))
    }

    /// The bytes of the commands of a list.
    pub fn list(&self, list: &CompoundList) -> Option<Range<usize>> {
        self.commands(list.0.iter().flat_map(|item| pipelines(&item.0)).flat_map(|pipeline| &pipeline.seq))
    }

    /// The bytes of a word.
    pub fn word(&self, word: &Word) -> Option<Range<usize>> {
        self.places(word.location())
    }

    /// The syntax tree has no place for the last word of `if` and for the first and the last one of `case`.
    fn command(&self, command: &Command) -> Option<Range<usize>> {
        let places = self.places(places(command))?;
        let Command::Compound(compound, _) = command else { return Some(places) };
        let inner = union(lists(compound).into_iter().filter_map(|list| self.list(list)));
        let whole = union([places].into_iter().chain(inner))?;
        Some(match compound {
            CompoundCommand::IfClause(_) => whole.start..self.end_of("fi", whole.end),
            CompoundCommand::CaseClause(_) => {
                let start = self.text[..whole.start].rfind("case").unwrap_or(whole.start);
                start..self.end_of("esac", whole.end)
            }
            _ => whole,
        })
    }

    /// The end of the first such word from here on.
    fn end_of(&self, word: &str, from: usize) -> usize {
        let is_part = |next: Option<char>| next.is_some_and(|next| next.is_alphanumeric() || "_-./".contains(next));
        let mut found = self.text[from..].match_indices(word).map(|(at, _)| (from + at, from + at + word.len()));
        let is_word = |&(start, end): &(usize, usize)| {
            !is_part(self.text[..start].chars().next_back()) && !is_part(self.text[end..].chars().next())
        };
        found.find(is_word).map_or(from, |(_, end)| end)
    }

    fn places(&self, places: impl IntoIterator<Item = TokenLocation>) -> Option<Range<usize>> {
        let byte = |at: usize| self.bytes[at.min(self.bytes.len() - 1)];
        union(places.into_iter().map(|place| byte(place.start.index)..byte(place.end.index)))
    }
}

/// From the first byte of ranges to the last.
fn union(ranges: impl Iterator<Item = Range<usize>>) -> Option<Range<usize>> {
    ranges.reduce(|all, one| all.start.min(one.start)..all.end.max(one.end))
}

/// The pipelines that `&&` and `||` join.
pub fn pipelines(commands: &AndOrList) -> impl Iterator<Item = &Pipeline> {
    let others = commands.additional.iter().map(|next| {
        let (AndOr::And(pipeline) | AndOr::Or(pipeline)) = next;
        pipeline
    });
    [&commands.first].into_iter().chain(others)
}

/// The lists of commands within a compound command.
pub fn lists(compound: &CompoundCommand) -> Vec<&CompoundList> {
    match compound {
        CompoundCommand::Subshell(subshell) => vec![&subshell.list],
        CompoundCommand::BraceGroup(group) => vec![&group.list],
        CompoundCommand::ForClause(clause) => vec![&clause.body.list],
        CompoundCommand::ArithmeticForClause(clause) => vec![&clause.body.list],
        CompoundCommand::WhileClause(clause) | CompoundCommand::UntilClause(clause) => vec![&clause.0, &clause.1.list],
        CompoundCommand::IfClause(clause) => {
            let others = clause.elses.iter().flatten().flat_map(|other| other.condition.iter().chain([&other.body]));
            [&clause.condition, &clause.then].into_iter().chain(others).collect()
        }
        CompoundCommand::CaseClause(case) => case.cases.iter().filter_map(|case| case.cmd.as_ref()).collect(),
        CompoundCommand::Arithmetic(_) => Vec::new(),
    }
}

/// The places of a command's words.
fn places(command: &Command) -> Vec<TokenLocation> {
    match command {
        Command::Simple(simple) => {
            let prefix = simple.prefix.iter().flat_map(|prefix| &prefix.0);
            let items = prefix.chain(simple.suffix.iter().flat_map(|suffix| &suffix.0));
            simple.word_or_name.iter().filter_map(SourceLocation::location).chain(items.filter_map(place)).collect()
        }
        Command::Compound(compound, _) => compound.location().into_iter().collect(),
        Command::ExtendedTest(test) => test.location().into_iter().collect(),
        Command::Function(function) => function.location().into_iter().collect(),
    }
}

fn place(item: &CommandPrefixOrSuffixItem) -> Option<TokenLocation> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    #[test]
    fn file_descriptors_have_few_digits() {
        assert!(parse("echo a 999999999>/f; echo 2>&1; echo 1234567890 >/f").is_some());
        for long in ["echo a 1234567890>/f", "echo a 12345\\\n67890<&1", "(1234567890>|b)"] {
            assert!(parse(long).is_none(), "{long}");
        }
    }

    #[test]
    fn a_compound_command_has_its_first_and_last_word() {
        for command in [
            "if a; then b; fi",
            "if a; then if b; then c; fi; fi",
            "if a; then b 2>&1; else echo é /fi; fi",
            "case $x in a) b;; esac",
            "case x in a) case y in b) c; esac;; esac",
            "if a; then case $x in y) z;; esac; fi",
            "{ a; b; }",
            "(a; b)",
            "while a; do b; done",
        ] {
            let text = format!("x; {command} | y; z");
            let program = parse(&text).unwrap();
            let pipeline = pipelines(&program[0].0[1].0).next().unwrap();
            let place = Offsets::of(&text).commands(&pipeline.seq[..1]).unwrap();
            assert_eq!(&text[place], command);
        }
    }

    #[test]
    fn nested_texts_take_no_exponential_time() {
        let start = Instant::now();
        for part in ["(", "( ", "(\n", "( \\\n", "( # x\n", "case a in b) ", "case a in (b) x; case c in d) "] {
            assert!(parse(&part.repeat(40)).is_none(), "{part}");
            let _ = parse(&part.repeat(6));
        }
        assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
        assert!(parse("( ( (echo a); b ) )").is_some());
        assert!(parse(&"case $a in b) c ;; esac\n".repeat(MOST_REPEATED)).is_some());
    }
}
