//! Heredocs, such as `<<EOF`, `<<-EOF` and `3<<"EOF"`.

use super::expand::{ExpandError, Expander, NoVariables};
use super::{Span, Text};

/// A document whose lines are in the Dockerfile.
#[derive(Clone, PartialEq, Debug)]
pub struct Heredoc {
    /// The delimiter: the word that ends the document.
    pub name: Text,
    /// The lines as written, with their line ends.
    pub content: String,
    /// Whether variables are expanded, which is the case if the delimiter is not quoted.
    pub expand: bool,
    /// Whether leading tabs are removed (`<<-`).
    pub chomp: bool,
    /// The file descriptor before `<<`. The default is 0.
    pub descriptor: u32,
    /// The position of the lines, without the line of the delimiter.
    pub span: Span,
}

impl Heredoc {
    /// Returns the content, without leading tabs if the document is `<<-`.
    pub fn text(&self) -> std::borrow::Cow<'_, str> {
        if !self.chomp {
            return (&*self.content).into();
        }
        self.content.split_inclusive('\n').map(|line| line.trim_start_matches('\t')).collect::<String>().into()
    }

    /// Returns whether this line ends the document.
    pub(super) fn ends_with(&self, line: &str) -> bool {
        let line = if self.chomp { line.trim_start_matches('\t') } else { line };
        line == self.name
    }

    /// Parses one word. Returns `None` if the word is not a heredoc.
    ///
    /// # Errors
    /// Quotes that do not match.
    pub fn parse(word: &str) -> Result<Option<Self>, ExpandError> {
        let digits = word.bytes().take_while(u8::is_ascii_digit).count();
        let Some(rest) = word[digits..].strip_prefix("<<") else { return Ok(None) };
        let (chomp, rest) = rest.strip_prefix('-').map_or((false, rest), |rest| (true, rest));
        let rest = rest.trim_start();
        if rest.is_empty() || rest.contains('<') {
            return Ok(None);
        }
        let (name, expand) = if rest.bytes().any(is_special) {
            let Some(word) = Self::word(rest)? else { return Ok(None) };
            word
        } else {
            (rest.into(), true)
        };
        let descriptor = word[..digits].parse().unwrap_or(0);
        Ok(Some(Self { name, content: String::new(), expand, chomp, descriptor, span: Span::default() }))
    }

    /// Parses the delimiter, and returns it with whether it is unquoted. Returns `None` if there is more than one word.
    fn word(rest: &str) -> Result<Option<(Text, bool)>, ExpandError> {
        let expander = Expander { keep_unset: true, ..Expander::new('\\') };
        let words = expander.words(rest, &NoVariables)?;
        let raw = Expander { keep_quotes: true, ..expander }.words(rest, &NoVariables)?;
        let ([name], [raw]) = (&*words, &*raw) else { return Ok(None) };
        let quotes = |text: &str| text.bytes().filter(|b| matches!(b, b'\'' | b'"')).count();
        Ok(Some((name.as_str().into(), quotes(name) == quotes(raw))))
    }

    /// Returns all heredocs that start on a line.
    ///
    /// # Errors
    /// Returns the same errors as [`Heredoc::parse`].
    pub fn of_line(line: &str) -> Result<Vec<Self>, ExpandError> {
        let plain = |b: u8| matches!(b, b' ' | b'\t') || !is_special(b);
        let words = || line.split([' ', '\t']).filter(|word| word.as_bytes().windows(2).any(|pair| pair == b"<<"));
        // A delimiter may follow its `<<` after spaces.
        if line.bytes().all(plain) && !words().any(|word| word.ends_with("<<") || word.ends_with("<<-")) {
            return words().filter_map(|word| Self::parse(word).transpose()).collect();
        }
        let expander = Expander { keep_quotes: true, keep_escapes: true, keep_unset: true, ..Expander::new('\\') };
        // Quotes that do not match are not an error here, because the shell may read the line differently.
        let words = expander.words(line, &NoVariables).unwrap_or_default();
        words.iter().filter_map(|word| Self::parse(word).transpose()).collect()
    }
}

/// Returns whether a byte needs the full expansion of the word: quotes, escapes, variables, spaces and other alphabets.
fn is_special(b: u8) -> bool {
    !b.is_ascii_graphic() || matches!(b, b'"' | b'\'' | b'\\' | b'$')
}
