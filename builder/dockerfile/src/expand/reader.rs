//! Reads a word with its quotes, escapes and substitutions.

use super::super::pattern::{Match, Pattern, Replace, TooLong};
use super::error::{ExpandError, MAX_DEPTH, MAX_LENGTH, MAX_WORK};
use super::rules::{Escapes, Expander};
use super::variables::Variables;
use std::collections::BTreeSet;

/// Reads a word from left to right and expands it.
pub(super) struct WordReader<'a> {
    rules: &'a Expander,
    word: &'a str,
    at: usize,
    depth: usize,
    /// The bytes that substitutions have produced so far, inner ones included.
    produced: usize,
    variables: &'a dyn Variables,
    pub(super) matched: BTreeSet<String>,
    pub(super) unmatched: BTreeSet<String>,
}

/// The result of an expansion so far.
#[derive(Default)]
pub(super) struct ExpandedText {
    pub(super) text: String,
    /// The words of the text, if the caller needs them.
    pub(super) words: Option<Splitter>,
}

impl ExpandedText {
    pub(super) fn with_words() -> Self {
        Self { text: String::new(), words: Some(Splitter::default()) }
    }

    /// Adds text whose spaces separate words.
    fn push_unquoted(&mut self, text: &str) {
        self.text += text;
        if let Some(words) = &mut self.words {
            text.chars().for_each(|c| words.add(c));
        }
    }

    /// Adds text whose spaces belong to the word.
    fn push_quoted(&mut self, text: &str) {
        self.text += text;
        if let Some(words) = &mut self.words {
            words.word += text;
        }
    }
}

/// Collects words from a stream of characters.
#[derive(Default)]
pub(super) struct Splitter {
    word: String,
    words: Vec<String>,
}

impl Splitter {
    /// Adds a character. A space ends the word.
    fn add(&mut self, c: char) {
        if !c.is_whitespace() {
            self.word.push(c);
        } else if !self.word.is_empty() {
            self.words.push(std::mem::take(&mut self.word));
        }
    }

    pub(super) fn finish(mut self) -> Vec<String> {
        if !self.word.is_empty() {
            self.words.push(self.word);
        }
        self.words
    }
}

impl<'a> WordReader<'a> {
    pub(super) fn new(rules: &'a Expander, word: &'a str, variables: &'a dyn Variables) -> Self {
        Self {
            rules,
            word,
            at: 0,
            depth: 0,
            produced: 0,
            variables,
            matched: BTreeSet::new(),
            unmatched: BTreeSet::new(),
        }
    }

    fn peek(&self) -> Option<char> {
        self.word[self.at..].chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    /// Expands up to `stop`, which is consumed, or to the end of the word. The position of the error of a missing
    /// `stop` is the end of the word.
    pub(super) fn until(
        &mut self,
        stop: Option<char>,
        escapes: Escapes,
        output: &mut ExpandedText,
    ) -> Result<(), ExpandError> {
        let word = self.word;
        while let Some(c) = self.peek() {
            let start = self.at;
            if Some(c) == stop {
                self.next();
                return Ok(());
            }
            match c {
                '$' => output.push_unquoted(&self.dollar()?),
                '"' if !self.rules.plain_quotes => output.push_quoted(&self.double_quoted(escapes)?),
                '\'' if !self.rules.plain_quotes => output.push_quoted(&self.single_quoted()?),
                '<' if output.words.is_some() && self.rules.keep_quotes => output.push_quoted(self.heredoc_mark()),
                c if c == self.rules.escape => {
                    self.next();
                    let escaped = self.at;
                    self.next();
                    output.push_quoted(&word[if escapes == Escapes::Keep { start } else { escaped }..self.at]);
                }
                _ => {
                    self.next();
                    output.push_unquoted(&word[start..self.at]);
                }
            }
        }
        match stop {
            None => Ok(()),
            // The caller knows where its substitution starts, and corrects the position.
            Some(_) => Err(ExpandError::MissingBrace { at: self.at }),
        }
    }

    /// Consumes `<<`, an optional `-`, and the spaces before the delimiter. These spaces do not split words.
    fn heredoc_mark(&mut self) -> &'a str {
        let word = self.word;
        let start = self.at;
        self.next();
        if self.peek() == Some('<') {
            self.next();
            if self.peek() == Some('-') {
                self.next();
            }
            while self.peek().is_some_and(char::is_whitespace) {
                self.next();
            }
        }
        &word[start..self.at]
    }

    fn single_quoted(&mut self) -> Result<String, ExpandError> {
        let start = self.at;
        let end = self.word[start + 1..]
            .find('\'')
            .map(|end| start + 1 + end)
            .ok_or(ExpandError::Unterminated { quote: '\'', at: start })?;
        self.at = end + 1;
        Ok(if self.rules.keep_quotes { &self.word[start..=end] } else { &self.word[start + 1..end] }.to_owned())
    }

    fn double_quoted(&mut self, escapes: Escapes) -> Result<String, ExpandError> {
        let start = self.at;
        let mut text = String::new();
        self.next();
        if self.rules.keep_quotes {
            text.push('"');
        }
        loop {
            match self.peek() {
                None => return Err(ExpandError::Unterminated { quote: '"', at: start }),
                Some('"') => {
                    self.next();
                    if self.rules.keep_quotes {
                        text.push('"');
                    }
                    return Ok(text);
                }
                Some('$') => text += &self.dollar()?,
                Some(c) if c == self.rules.escape => {
                    self.next();
                    if escapes == Escapes::Keep {
                        text.push(c);
                    }
                    match self.peek() {
                        None => {}
                        // Only these can be escaped within double quotes. Before any other character, the escape is
                        // kept.
                        Some(escaped) if escaped == '"' || escaped == '$' || escaped == self.rules.escape => {
                            self.next();
                            text.push(escaped);
                        }
                        Some(_) => text.push(c),
                    }
                }
                Some(c) => {
                    self.next();
                    text.push(c);
                }
            }
        }
    }

    fn dollar(&mut self) -> Result<String, ExpandError> {
        let at = self.at;
        self.next();
        let text = if self.peek() == Some('{') {
            if self.depth >= MAX_DEPTH {
                return Err(ExpandError::TooDeep { at });
            }
            self.depth += 1;
            let text = self.braced(at);
            self.depth -= 1;
            text?
        } else {
            let name = self.name();
            if name.is_empty() {
                return Ok("$".into());
            }
            match self.lookup(name) {
                Some(value) => value.to_owned(),
                None if self.rules.keep_unset => format!("${name}"),
                None => String::new(),
            }
        };
        self.produced = self.produced.saturating_add(text.len());
        if self.produced > MAX_LENGTH {
            return Err(ExpandError::TooLong { at });
        }
        Ok(text)
    }

    fn braced(&mut self, at: usize) -> Result<String, ExpandError> {
        self.next();
        match self.peek() {
            None => return Err(ExpandError::MissingBrace { at }),
            Some('{' | '}' | ':') => return Err(ExpandError::BadSubstitution { at }),
            Some(_) => {}
        }
        let name = self.name();
        let Some(first) = self.next() else { return Err(ExpandError::MissingBrace { at }) };
        match first {
            '}' => Ok(match self.lookup(name) {
                Some(value) => value.to_owned(),
                None if self.rules.keep_unset => format!("${{{name}}}"),
                None => String::new(),
            }),
            ':' | '+' | '-' | '?' | '#' | '%' => self.modified(at, name, first),
            '/' => self.replaced(at, name),
            other => Err(ExpandError::UnsupportedModifier { modifier: other.to_string(), at }),
        }
    }

    /// Expands `${name:-word}` and the other modifiers. The first character of the modifier is already consumed.
    fn modified(&mut self, at: usize, name: &str, first: char) -> Result<String, ExpandError> {
        let null_is_unset = first == ':';
        let operator = match first {
            ':' => self.next().ok_or(ExpandError::MissingBrace { at })?,
            other => other,
        };
        let modifier = if null_is_unset { format!(":{operator}") } else { operator.to_string() };
        let pattern_follows = matches!(operator, '#' | '%');
        if (null_is_unset && pattern_follows) || !matches!(operator, '-' | '+' | '?' | '#' | '%') {
            return Err(ExpandError::UnsupportedModifier { modifier, at });
        }
        let escapes = if pattern_follows { Escapes::Keep } else { Escapes::Remove };
        let mut word = self.argument(at, '}', escapes)?;
        let value = self.lookup(name).map(str::to_owned);
        if value.is_none() && self.rules.keep_unset {
            return Ok(format!("${{{name}{modifier}{word}}}"));
        }
        let usable = value.as_ref().is_some_and(|value| !(null_is_unset && value.is_empty()));
        let value = value.unwrap_or_default();
        match operator {
            '-' => Ok(if usable { value } else { word }),
            '+' => Ok(if usable { word } else { String::new() }),
            '?' if usable => Ok(value),
            '?' => {
                if word.is_empty() {
                    word =
                        if null_is_unset { "is not allowed to be empty" } else { "is not allowed to be unset" }.into();
                }
                Err(ExpandError::Required { name: name.to_owned(), message: word, at })
            }
            _ => {
                let (text, which) = match word.strip_prefix(operator) {
                    Some(rest) => (rest, Match::Longest),
                    None => (&*word, Match::Shortest),
                };
                let pattern = self.pattern(at, text, &value)?;
                Ok(match operator {
                    '#' => pattern.strip_prefix(&value, which),
                    _ => pattern.strip_suffix(&value, which),
                }
                .to_owned())
            }
        }
    }

    /// Expands `${name/pattern/replacement}` and `${name//pattern/replacement}`. The first slash is already consumed.
    fn replaced(&mut self, at: usize, name: &str) -> Result<String, ExpandError> {
        let which = if self.peek() == Some('/') { Replace::All } else { Replace::First };
        if which == Replace::All {
            self.next();
        }
        let text = self.argument(at, '/', Escapes::Keep)?;
        let replacement = self.argument(at, '}', Escapes::Keep)?;
        let Some(value) = self.lookup(name).map(str::to_owned) else {
            return Ok(if self.rules.keep_unset { format!("${{{name}/{text}/{replacement}}}") } else { String::new() });
        };
        let pattern = self.pattern(at, &text, &value)?;
        pattern.replace(&value, &replacement, which, MAX_LENGTH).map_err(|TooLong| ExpandError::TooLong { at })
    }

    fn argument(&mut self, at: usize, stop: char, escapes: Escapes) -> Result<String, ExpandError> {
        let mut output = ExpandedText::default();
        match self.until(Some(stop), escapes, &mut output) {
            Ok(()) => Ok(output.text),
            // If the word ends within the argument, this substitution is not closed.
            Err(ExpandError::MissingBrace { .. } | ExpandError::MissingSlash { .. }) if self.peek().is_none() => {
                Err(if stop == '/' { ExpandError::MissingSlash { at } } else { ExpandError::MissingBrace { at } })
            }
            Err(error) => Err(error),
        }
    }

    /// Compiles a pattern for a value.
    fn pattern(&self, at: usize, text: &str, value: &str) -> Result<Pattern, ExpandError> {
        let bad = |escaped| ExpandError::BadPattern { pattern: text.to_owned(), escaped, at };
        let pattern = Pattern::parse(text).map_err(bad)?;
        if pattern.work(value) > MAX_WORK {
            return Err(ExpandError::TooMuchWork { length: value.len(), at });
        }
        Ok(pattern)
    }

    /// Consumes a name: letters, digits and `_`, or only digits, or one special parameter.
    fn name(&mut self) -> &'a str {
        let word = self.word;
        let rest = &word[self.at..];
        let first = rest.chars().next();
        let length = match first {
            Some(c) if c.is_numeric() => rest.find(|c: char| !c.is_numeric()).unwrap_or(rest.len()),
            Some('@' | '*' | '#' | '?' | '-' | '$' | '!') => 1,
            _ => rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len()),
        };
        self.at += length;
        &rest[..length]
    }

    fn lookup(&mut self, name: &str) -> Option<&'a str> {
        let value = self.variables.get(name);
        let set = if value.is_some() { &mut self.matched } else { &mut self.unmatched };
        if !set.contains(name) {
            set.insert(name.to_owned());
        }
        value
    }
}
