//! Heredocs: `<<EOF`, `<<-EOF`, `3<<"EOF"`.

use super::expand::{ExpandError, Expander, NoVariables};
use super::{Span, Text};

/// A document that stands in the Dockerfile itself.
#[derive(Clone, PartialEq, Debug)]
pub struct Heredoc {
    /// The word that ends it.
    pub name: Text,
    /// Its lines, with their line ends, as they stand.
    pub content: String,
    /// Whether variables in it are expanded: its word is not quoted.
    pub expand: bool,
    /// `<<-`: leading tabs do not count.
    pub chomp: bool,
    /// The file descriptor before `<<`; 0 if there is none.
    pub descriptor: u32,
    /// The place of its lines, without the one that ends it.
    pub span: Span,
}

impl Heredoc {
    /// The content, without leading tabs if they do not count.
    pub fn text(&self) -> std::borrow::Cow<'_, str> {
        if !self.chomp {
            return (&*self.content).into();
        }
        self.content.split_inclusive('\n').map(|line| line.trim_start_matches('\t')).collect::<String>().into()
    }

    /// Whether this line ends it.
    pub(super) fn ends_with(&self, line: &str) -> bool {
        let line = if self.chomp { line.trim_start_matches('\t') } else { line };
        line == self.name
    }

    /// Reads one word: none if it is no heredoc.
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
        let (name, expand) = match rest.bytes().any(is_special) {
            false => (rest.into(), true),
            true => match Self::word(rest)? {
                Some(word) => word,
                None => return Ok(None),
            },
        };
        let descriptor = word[..digits].parse().unwrap_or(0);
        Ok(Some(Self { name, content: String::new(), expand, chomp, descriptor, span: Span::default() }))
    }

    /// The word that ends it, and whether it is not quoted; none if there are several.
    fn word(rest: &str) -> Result<Option<(Text, bool)>, ExpandError> {
        let expander = Expander { keep_unset: true, ..Expander::new('\\') };
        let words = expander.words(rest, &NoVariables)?;
        let raw = Expander { keep_quotes: true, ..expander }.words(rest, &NoVariables)?;
        let ([name], [raw]) = (&*words, &*raw) else { return Ok(None) };
        let quotes = |text: &str| text.bytes().filter(|b| matches!(b, b'\'' | b'"')).count();
        Ok(Some((name.as_str().into(), quotes(name) == quotes(raw))))
    }

    /// All heredocs that a line begins.
    ///
    /// # Errors
    /// As [`Heredoc::parse`].
    pub fn of_line(line: &str) -> Result<Vec<Self>, ExpandError> {
        let plain = |b: u8| matches!(b, b' ' | b'\t') || !is_special(b);
        let words = || line.split([' ', '\t']).filter(|word| word.as_bytes().windows(2).any(|pair| pair == b"<<"));
        // Spaces behind a mark do not part it from its word.
        if line.bytes().all(plain) && !words().any(|word| word.ends_with("<<") || word.ends_with("<<-")) {
            return words().filter_map(|word| Self::parse(word).transpose()).collect();
        }
        let expander = Expander { keep_quotes: true, keep_escapes: true, keep_unset: true, ..Expander::new('\\') };
        // A line whose quotes do not match is none of our business: the shell may read it otherwise.
        let words = expander.words(line, &NoVariables).unwrap_or_default();
        words.iter().filter_map(|word| Self::parse(word).transpose()).collect()
    }
}

/// Whether a byte makes a word more than its characters: quotes, escapes, variables, spaces, other alphabets.
fn is_special(b: u8) -> bool {
    !b.is_ascii_graphic() || matches!(b, b'"' | b'\'' | b'\\' | b'$')
}
