//! A shell's text by the grammar of POSIX and bash, and the places of its commands.
//!
//! *Takes* a text. *Gives* its syntax tree, and byte ranges of parts of the tree. *Must never know* what a command does.

use brush_parser::ast::{
    Command, CommandPrefixOrSuffixItem, CompoundList, IoFileRedirectTarget, IoRedirect, SourceLocation, Word,
};
use brush_parser::{Parser, ParserOptions, SourceInfo, TokenLocation};
use std::io::Cursor;
use std::ops::Range;

/// Longer or more deeply nested texts are not read: a text from outside must not exhaust the stack.
const LONGEST: usize = 64 << 10;
const DEEPEST: usize = 100;

/// Reads a text by the grammar. `None` if it does not accept the text, or if the text is too long or too deeply nested.
pub fn parse(text: &str) -> Option<Vec<CompoundList>> {
    let nested = text.bytes().filter(|byte| b"({`".contains(byte)).count();
    if text.len() > LONGEST || nested > DEEPEST {
        return None;
    }
    let source = SourceInfo { source: String::new() };
    let mut parser = Parser::new(Cursor::new(text.as_bytes()), &ParserOptions::default(), &source);
    Some(parser.parse_program().ok()?.complete_commands)
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
