//! Word expansion: quotes, escapes and `$variables`, by the rules of "Environment replacement" in the Dockerfile
//! reference.

mod error;
mod reader;
mod rules;
mod variables;

pub use error::{ExpandError, MAX_DEPTH, MAX_LENGTH, MAX_WORK};
pub use rules::Expander;
pub use variables::{NoVariables, Variables};

use reader::{ExpandedText, Splitter, WordReader};
use std::collections::BTreeSet;

/// The result of an expansion.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Expanded {
    /// The expanded word.
    pub text: String,
    /// The expanded word, split at spaces that are neither quoted nor escaped.
    pub words: Vec<String>,
    /// The variables that the word uses and that are set.
    pub matched: BTreeSet<String>,
    /// The variables that the word uses and that are not set.
    pub unmatched: BTreeSet<String>,
}

impl Expander {
    /// Expands one word and reports the variables that it uses.
    ///
    /// # Errors
    /// Malformed quotes and substitutions, and `${name?message}` if the variable is not set.
    pub fn expand(&self, word: &str, variables: &dyn Variables) -> Result<Expanded, ExpandError> {
        let (expanded, error) = self.expand_until_error(word, variables);
        error.map_or(Ok(expanded), Err)
    }

    /// Expands one word as [`Expander::expand`] does, up to its first error. The variables are those that were looked up until then,
    /// including the one of `${name?message}`.
    pub fn expand_until_error(&self, word: &str, variables: &dyn Variables) -> (Expanded, Option<ExpandError>) {
        let mut reader = WordReader::new(self, word, variables);
        let mut output = ExpandedText::with_words();
        let error = reader.until(None, self.escapes(), &mut output).err();
        let expanded = Expanded {
            text: output.text,
            words: output.words.map(Splitter::finish).unwrap_or_default(),
            matched: reader.matched,
            unmatched: reader.unmatched,
        };
        (expanded, error)
    }

    /// Expands one word. A word without special characters costs only one scan.
    ///
    /// # Errors
    /// Returns the same errors as [`Expander::expand`].
    pub fn word(&self, word: &str, variables: &dyn Variables) -> Result<String, ExpandError> {
        if self.is_plain(word) {
            return Ok(word.to_owned());
        }
        let mut output = ExpandedText::default();
        WordReader::new(self, word, variables).until(None, self.escapes(), &mut output)?;
        Ok(output.text)
    }

    /// Expands a word and splits it at spaces that are neither quoted nor escaped.
    ///
    /// # Errors
    /// Returns the same errors as [`Expander::expand`].
    pub fn words(&self, word: &str, variables: &dyn Variables) -> Result<Vec<String>, ExpandError> {
        let mut output = ExpandedText::with_words();
        WordReader::new(self, word, variables).until(None, self.escapes(), &mut output)?;
        Ok(output.words.map(Splitter::finish).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests;
