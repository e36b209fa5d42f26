//! Errors in definition files, with their place.

use std::{fmt, ops::Range, sync::Arc};

/// A definition file: its name as the user wrote it, and its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// The name; `-` is standard input.
    pub name: String,
    /// The text.
    pub text: String,
}

/// A place in a definition file. Line and column count from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The name of the file.
    pub file: Arc<str>,
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// An error in a definition, an override or a selection of targets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Error {
    /// The place of the error; `None` for an error in a flag.
    pub place: Option<Place>,
    /// The problem and its solution, in one sentence.
    pub message: String,
    /// Whether the error is an undefined name, which `try` may hide.
    pub(crate) undefined: bool,
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some(place) => write!(out, "{place}: {}", self.message),
            None => out.write_str(&self.message),
        }
    }
}

impl Error {
    /// An error without a place.
    pub fn new(message: impl Into<String>) -> Error {
        Error { place: None, message: message.into(), undefined: false }
    }

    /// Adds a place, unless there is one.
    #[must_use]
    pub fn at(mut self, place: &Place) -> Error {
        self.place.get_or_insert_with(|| place.clone());
        self
    }
}

/// The text of a file with expressions, to turn offsets into lines.
#[derive(Debug)]
pub(crate) struct SourceText {
    name: Arc<str>,
    text: String,
    /// The offsets of the lines.
    lines: Vec<usize>,
    /// The number of characters before each block of `BLOCK` bytes. Each attribute has a place, and all may be in one line.
    characters: Vec<usize>,
}

/// The distance of the places at which characters were counted, in bytes.
const BLOCK: usize = 1024;

/// The number of characters that start in these bytes of UTF-8.
fn characters(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte & 0xc0 != 0x80).count()
}

impl SourceText {
    pub(crate) fn new(name: &str, text: &str) -> Arc<SourceText> {
        let newlines = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let lines = std::iter::once(0).chain(newlines.map(|(offset, _)| offset + 1)).collect();
        let counts = text.as_bytes().chunks(BLOCK).scan(0, |count, block| {
            *count += characters(block);
            Some(*count)
        });
        let characters = std::iter::once(0).chain(counts).collect();
        Arc::new(SourceText { name: name.into(), text: text.to_owned(), lines, characters })
    }

    /// The place of the first byte of a range.
    pub(crate) fn place(&self, range: Range<usize>) -> Place {
        let offset = range.start.min(self.text.len());
        let line = self.lines.partition_point(|start| *start <= offset);
        let column = self.characters_before(offset) - self.characters_before(self.lines[line - 1]) + 1;
        Place { file: Arc::clone(&self.name), line, column }
    }

    fn characters_before(&self, offset: usize) -> usize {
        let block = offset / BLOCK;
        self.characters[block] + characters(&self.text.as_bytes()[block * BLOCK..offset])
    }

    /// The text of a range.
    pub(crate) fn slice(&self, range: Range<usize>) -> &str {
        self.text.get(range.start..range.end.min(self.text.len())).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_counts_lines_and_characters() {
        let text = format!("a\n{}bäc\n", "ü".repeat(3000));
        let source = SourceText::new("f", &text);
        let place = |offset| {
            let place = source.place(offset..offset);
            (place.line, place.column)
        };
        assert_eq!(place(0), (1, 1));
        assert_eq!(place(1), (1, 2));
        assert_eq!(place(2), (2, 1));
        assert_eq!(place(2 + 6000), (2, 3001));
        assert_eq!(place(2 + 6000 + 3), (2, 3003));
        assert_eq!((place(text.len()), place(usize::MAX)), ((3, 1), (3, 1)));
    }
}
