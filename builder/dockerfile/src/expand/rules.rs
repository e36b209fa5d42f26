//! The rules by which words are expanded.

/// The rules by which words are expanded.
#[derive(Clone, Copy, Debug)]
pub struct Expander {
    /// The escape character: `\`, or a backtick after `# escape=`.
    pub escape: char,
    /// Whether quotes stay in the result.
    pub keep_quotes: bool,
    /// Whether escape characters stay in the result.
    pub keep_escapes: bool,
    /// Whether quotes are ordinary characters, as in heredocs.
    pub plain_quotes: bool,
    /// Whether unset variables stay as written.
    pub keep_unset: bool,
}

impl Expander {
    /// Creates an expander for the words of instructions.
    pub fn new(escape: char) -> Self {
        Self { escape, keep_quotes: false, keep_escapes: false, plain_quotes: false, keep_unset: false }
    }

    /// Creates an expander for the content of heredocs: quotes are ordinary characters, and the escape is a backslash.
    pub fn heredoc() -> Self {
        Self { plain_quotes: true, ..Self::new('\\') }
    }

    pub(super) fn escapes(&self) -> Escapes {
        if self.keep_escapes { Escapes::Keep } else { Escapes::Remove }
    }

    pub(super) fn is_plain(&self, word: &str) -> bool {
        let escape = u8::try_from(self.escape).unwrap_or(b'\\');
        !word.bytes().any(|b| b == b'$' || b == escape || (!self.plain_quotes && (b == b'\'' || b == b'"')))
    }
}

/// The handling of escape characters.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Escapes {
    /// Escape characters stay in the result, because a pattern interprets them later.
    Keep,
    Remove,
}
