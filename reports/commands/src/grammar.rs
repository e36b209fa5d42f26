//! A shell's text by the grammar of POSIX and bash, and the places of its commands.
//!
//! *Takes* a text. *Gives* its syntax tree, and byte ranges of parts of the tree. *Must never know* what a command does.

use brush_parser::ast::{
    Command, CommandPrefixOrSuffixItem, CompoundList, IoFileRedirectTarget, IoRedirect, SourceLocation, Word,
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

/// The byte at which each character of a text begins. The grammar counts characters.
#[derive(Clone, Debug)]
pub struct Offsets(Vec<usize>);

impl Offsets {
    /// The offsets of a text.
    pub fn of(text: &str) -> Self {
        Self(text.char_indices().map(|(at, _)| at).chain([text.len()]).collect())
    }

    /// The bytes from the first word of commands to their last. A closing redirection may be missing, because the syntax tree has no
    /// place for it. `None` for commands without a word.
    pub fn commands<'c>(&self, commands: impl IntoIterator<Item = &'c Command>) -> Option<Range<usize>> {
        self.span(commands.into_iter().flat_map(places))
    }

    /// The bytes of a word.
    pub fn word(&self, word: &Word) -> Option<Range<usize>> {
        self.span(word.location().into_iter())
    }

    /// The bytes from the first place to the last.
    fn span(&self, places: impl Iterator<Item = TokenLocation>) -> Option<Range<usize>> {
        let byte = |at: usize| self.0[at.min(self.0.len() - 1)];
        let whole = |(start, end): (usize, usize), place: TokenLocation| {
            (start.min(place.start.index), end.max(place.end.index))
        };
        let (start, end) = places.fold((usize::MAX, 0), whole);
        (start <= end).then(|| byte(start)..byte(end))
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
