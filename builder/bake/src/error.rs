//! Faults in definition files, with the place.

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

/// A fault in a definition, an override or a selection of targets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Error {
    /// Where the fault is. A fault in a flag has no place.
    pub place: Option<Place>,
    /// What is wrong, and what to write instead.
    pub message: String,
    /// The error is that a name is not defined, which `try` may hide.
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
    /// A fault without a place.
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

/// The text of a file in which expressions stand, to turn offsets into lines.
#[derive(Debug)]
pub(crate) struct Source {
    name: Arc<str>,
    text: String,
}

impl Source {
    pub(crate) fn new(name: &str, text: &str) -> Arc<Source> {
        Arc::new(Source { name: name.into(), text: text.to_owned() })
    }

    /// The place of the first byte of a range.
    pub(crate) fn place(&self, range: Range<usize>) -> Place {
        let before = &self.text.as_bytes()[..range.start.min(self.text.len())];
        let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let column = String::from_utf8_lossy(&before[start..]).chars().count() + 1;
        Place { file: Arc::clone(&self.name), line, column }
    }

    /// The text of a range.
    pub(crate) fn slice(&self, range: Range<usize>) -> &str {
        self.text.get(range.start..range.end.min(self.text.len())).unwrap_or_default()
    }
}
