//! The place of a part of a shell's text in the Dockerfile.

use buildscope_record::Origin;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Lines and columns of a Dockerfile, counted from 1; columns are characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SourcePlace {
    /// The line of the first character.
    pub line: u32,
    /// The column of the first character.
    pub column: u32,
    /// The line of the last character.
    pub end_line: u32,
    /// The column after the last character.
    pub end_column: u32,
}

/// A shell's text with the places of its pieces.
#[derive(Clone, Copy, Debug)]
pub(super) struct Places<'a> {
    pub(super) text: &'a str,
    pub(super) origins: &'a [Origin],
}

impl Places<'_> {
    /// The place of a part of the text; `None` if it is not known.
    pub(super) fn of(&self, span: Range<usize>) -> Option<SourcePlace> {
        let (line, column) = self.position(span.start)?;
        let last = self.text.get(span.clone())?.char_indices().next_back().map_or(0, |(at, _)| at);
        let (end_line, before) = self.position(span.start + last)?;
        Some(SourcePlace { line, column, end_line, end_column: before + 1 })
    }

    fn position(&self, at: usize) -> Option<(u32, u32)> {
        let number = self.origins.partition_point(|origin| origin.at as usize <= at).checked_sub(1)?;
        let origin = self.origins[number];
        let before = self.text.get(origin.at as usize..at)?;
        // The text is in a Dockerfile, which is shorter than 4 GiB.
        let count = |text: &str| text.chars().count() as u32;
        Some(match before.rsplit_once('\n') {
            None => (origin.line, origin.column.saturating_add(count(before))),
            Some((above, rest)) => {
                let lines = above.matches('\n').count() as u32 + 1;
                (origin.line.saturating_add(lines), count(rest) + 1)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `RUN é && \` on line 4, ` make \` and `x` on lines 5 and 6, then a heredoc that begins on line 7.
    #[test]
    fn columns_are_characters_of_the_dockerfile() {
        let text = "é &&  make x\nbody\nmore";
        let origin = |at, line, column| Origin { at, line, column };
        let origins = [origin(0, 4, 5), origin(6, 5, 1), origin(12, 6, 1), origin(14, 7, 1)];
        let places = Places { text, origins: &origins };
        let place = |part: &str| {
            let at = text.find(part).unwrap();
            let place = places.of(at..at + part.len()).unwrap();
            (place.line, place.column, place.end_line, place.end_column)
        };
        assert_eq!(place("é"), (4, 5, 4, 6));
        assert_eq!(place("make x"), (5, 2, 6, 2));
        assert_eq!(place("more"), (8, 1, 8, 5));
        assert_eq!(Places { text, origins: &[] }.of(0..2), None);
    }
}
