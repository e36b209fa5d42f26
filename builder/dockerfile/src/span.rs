//! Positions in a text.

use serde::{Deserialize, Serialize};

/// The bytes `start..end` of a text. The text is shorter than 4 GiB, because [`super::parse`] rejects longer ones.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Span {
    /// The offset of the first byte.
    pub start: u32,
    /// The offset after the last byte.
    pub end: u32,
}

impl Span {
    /// Creates the span of the bytes `start..end`. Offsets beyond 4 GiB are reduced to 4 GiB.
    #[inline]
    pub fn new(start: usize, end: usize) -> Self {
        let short = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Self { start: short(start), end: short(end) }
    }

    /// Returns the range with which a text can be indexed.
    #[inline]
    pub fn range(self) -> std::ops::Range<usize> {
        self.start as usize..self.end as usize
    }
}

impl From<Span> for miette::SourceSpan {
    fn from(span: Span) -> Self {
        (span.range().start, span.range().len()).into()
    }
}
