//! Word expansion: quotes, escapes and `$variables`, by the rules of "Environment replacement" in the Dockerfile
//! reference.

use super::pattern::{Match, Pattern, Replace, TooLong};
use std::collections::BTreeSet;

/// A source of variables.
pub trait Variables {
    /// Returns the value of a variable, if it is set. Names are case-sensitive.
    fn get(&self, name: &str) -> Option<&str>;
}

/// A source of variables in which no variable is set.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoVariables;

impl Variables for NoVariables {
    fn get(&self, _: &str) -> Option<&str> {
        None
    }
}

impl<S: std::borrow::Borrow<str> + Ord> Variables for std::collections::BTreeMap<S, String> {
    fn get(&self, name: &str) -> Option<&str> {
        std::collections::BTreeMap::get(self, name).map(String::as_str)
    }
}

/// The error of a word that cannot be expanded. Positions are byte offsets in the word.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ExpandError {
    /// A quote that is never closed.
    #[error("unexpected end of statement while looking for matching {}", if *quote == '"' { "double-quote" } else { "single-quote" })]
    Unterminated {
        /// The quote character, `'` or `"`.
        quote: char,
        /// The position of the opening quote.
        at: usize,
    },
    /// `${` without `}`.
    #[error("syntax error: missing '}}'")]
    MissingBrace {
        /// The position of the `$`.
        at: usize,
    },
    /// `${name/pattern` without the second `/`.
    #[error("syntax error: missing '/' in ${{}}")]
    MissingSlash {
        /// The position of the `$`.
        at: usize,
    },
    /// A substitution without a name: `${}`, `${:`, `${{`.
    #[error("syntax error: bad substitution")]
    BadSubstitution {
        /// The position of the `$`.
        at: usize,
    },
    /// A modifier that does not exist.
    #[error("unsupported modifier ({modifier}) in substitution")]
    UnsupportedModifier {
        /// The modifier as written.
        modifier: String,
        /// The position of the `$`.
        at: usize,
    },
    /// `${name?message}` if `name` is not set.
    #[error("{name}: {message}")]
    Required {
        /// The name of the variable.
        name: String,
        /// The message in the Dockerfile.
        message: String,
        /// The position of the `$`.
        at: usize,
    },
    /// A pattern with an unknown escape.
    #[error("invalid pattern ({pattern}) in substitution: invalid escape '\\{escaped}'")]
    BadPattern {
        /// The pattern as written.
        pattern: String,
        /// The escaped character, or nothing if the pattern ends with the backslash.
        escaped: String,
        /// The position of the `$`.
        at: usize,
    },
    /// Substitutions that are nested more than [`MAX_DEPTH`] deep.
    #[error("substitutions are nested too deeply (more than {MAX_DEPTH})")]
    TooDeep {
        /// The position of the `$`.
        at: usize,
    },
    /// A result of more than [`MAX_LENGTH`] bytes.
    #[error("the result is too long (more than {} KiB)", MAX_LENGTH >> 10)]
    TooLong {
        /// The position of the `$`.
        at: usize,
    },
    /// A pattern that would take more than [`MAX_WORK`] comparisons.
    #[error("the pattern takes too long for a value of {length} bytes")]
    TooMuchWork {
        /// The length of the value in bytes.
        length: usize,
        /// The position of the `$`.
        at: usize,
    },
}

/// The maximum length of an expanded word in bytes. Linux limits one environment variable to 128 KiB (execve(2)). Variables
/// that contain others can double in every line, so some limit is needed.
pub const MAX_LENGTH: usize = 1 << 20;

/// The maximum number of comparisons of one pattern, its length times the length of the value. They take about 0.1 s.
pub const MAX_WORK: usize = 1 << 26;

/// The maximum nesting of `${a:-${b:-...}}`. It bounds the stack, and no handwritten file comes near it.
pub const MAX_DEPTH: usize = 100;

impl ExpandError {
    /// Returns the position of the error: a byte offset in the word.
    pub fn at(&self) -> usize {
        match self {
            Self::Unterminated { at, .. }
            | Self::MissingBrace { at }
            | Self::MissingSlash { at }
            | Self::BadSubstitution { at }
            | Self::UnsupportedModifier { at, .. }
            | Self::Required { at, .. }
            | Self::BadPattern { at, .. }
            | Self::TooDeep { at }
            | Self::TooLong { at }
            | Self::TooMuchWork { at, .. } => *at,
        }
    }

    /// Returns advice on what to write instead.
    pub fn help(&self) -> String {
        match self {
            Self::Unterminated { quote, .. } => format!("close it with {quote} or escape it with a backslash"),
            Self::MissingBrace { .. } => "close the substitution: `${name}`".into(),
            Self::MissingSlash { .. } => "write a replacement as `${name/pattern/replacement}`".into(),
            Self::BadSubstitution { .. } => "write a name after `${`, or `\\$` for a dollar sign".into(),
            Self::UnsupportedModifier { .. } => {
                "use one of the modifiers `:-` `-` `:+` `+` `:?` `?` `#` `##` `%` `%%` `/` and `//`".into()
            }
            Self::Required { name, .. } => {
                format!("set it: `--build-arg {name}=...`, or an ARG or ENV before this line")
            }
            Self::BadPattern { .. } => "in a pattern only `*`, `?`, `\\`, `/` and `}` may be escaped".into(),
            Self::TooDeep { .. } => "use ARG or ENV for the inner values".into(),
            Self::TooLong { .. } => "write long texts to a file, for example by a heredoc".into(),
            Self::TooMuchWork { .. } => "use a shorter pattern, or change the value in a RUN".into(),
        }
    }
}

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
    /// Creates an expander for the words of instructions.
    pub fn new(escape: char) -> Self {
        Self { escape, keep_quotes: false, keep_escapes: false, plain_quotes: false, keep_unset: false }
    }

    /// Creates an expander for the content of heredocs: quotes are ordinary characters, and the escape is a backslash.
    pub fn heredoc() -> Self {
        Self { plain_quotes: true, ..Self::new('\\') }
    }

    /// Expands one word and reports the variables that it uses.
    ///
    /// # Errors
    /// Malformed quotes and substitutions, and `${name?message}` if the variable is not set.
    pub fn expand(&self, word: &str, variables: &dyn Variables) -> Result<Expanded, ExpandError> {
        let mut run = Run::new(self, word, variables);
        let mut output = Output::with_words();
        run.until(None, self.escapes(), &mut output)?;
        Ok(Expanded {
            text: output.text,
            words: output.words.map(Splitter::finish).unwrap_or_default(),
            matched: run.matched,
            unmatched: run.unmatched,
        })
    }

    /// Expands one word. A word without special characters costs only one scan.
    ///
    /// # Errors
    /// Returns the same errors as [`Expander::expand`].
    pub fn word(&self, word: &str, variables: &dyn Variables) -> Result<String, ExpandError> {
        if self.is_plain(word) {
            return Ok(word.to_owned());
        }
        let mut output = Output::default();
        Run::new(self, word, variables).until(None, self.escapes(), &mut output)?;
        Ok(output.text)
    }

    /// Expands a word and splits it at spaces that are neither quoted nor escaped.
    ///
    /// # Errors
    /// Returns the same errors as [`Expander::expand`].
    pub fn words(&self, word: &str, variables: &dyn Variables) -> Result<Vec<String>, ExpandError> {
        let mut output = Output::with_words();
        Run::new(self, word, variables).until(None, self.escapes(), &mut output)?;
        Ok(output.words.map(Splitter::finish).unwrap_or_default())
    }

    fn escapes(&self) -> Escapes {
        if self.keep_escapes { Escapes::Keep } else { Escapes::Remove }
    }

    fn is_plain(&self, word: &str) -> bool {
        let escape = u8::try_from(self.escape).unwrap_or(b'\\');
        !word.bytes().any(|b| b == b'$' || b == escape || (!self.plain_quotes && (b == b'\'' || b == b'"')))
    }
}

/// The handling of escape characters.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Escapes {
    /// Escape characters stay in the result, because a pattern interprets them later.
    Keep,
    Remove,
}

struct Run<'a> {
    how: &'a Expander,
    word: &'a str,
    at: usize,
    depth: usize,
    /// The bytes that substitutions have produced so far, inner ones included.
    produced: usize,
    variables: &'a dyn Variables,
    matched: BTreeSet<String>,
    unmatched: BTreeSet<String>,
}

/// The result of an expansion so far.
#[derive(Default)]
struct Output {
    text: String,
    /// The words of the text, if the caller needs them.
    words: Option<Splitter>,
}

impl Output {
    fn with_words() -> Self {
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
struct Splitter {
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

    fn finish(mut self) -> Vec<String> {
        if !self.word.is_empty() {
            self.words.push(self.word);
        }
        self.words
    }
}

impl<'a> Run<'a> {
    fn new(how: &'a Expander, word: &'a str, variables: &'a dyn Variables) -> Self {
        Self {
            how,
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
    fn until(&mut self, stop: Option<char>, escapes: Escapes, output: &mut Output) -> Result<(), ExpandError> {
        let word = self.word;
        while let Some(c) = self.peek() {
            let start = self.at;
            if Some(c) == stop {
                self.next();
                return Ok(());
            }
            match c {
                '$' => output.push_unquoted(&self.dollar()?),
                '"' if !self.how.plain_quotes => output.push_quoted(&self.double_quoted(escapes)?),
                '\'' if !self.how.plain_quotes => output.push_quoted(&self.single_quoted()?),
                '<' if output.words.is_some() && self.how.keep_quotes => output.push_quoted(self.heredoc_mark()),
                c if c == self.how.escape => {
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
        Ok(if self.how.keep_quotes { &self.word[start..=end] } else { &self.word[start + 1..end] }.to_owned())
    }

    fn double_quoted(&mut self, escapes: Escapes) -> Result<String, ExpandError> {
        let start = self.at;
        let mut text = String::new();
        self.next();
        if self.how.keep_quotes {
            text.push('"');
        }
        loop {
            match self.peek() {
                None => return Err(ExpandError::Unterminated { quote: '"', at: start }),
                Some('"') => {
                    self.next();
                    if self.how.keep_quotes {
                        text.push('"');
                    }
                    return Ok(text);
                }
                Some('$') => text += &self.dollar()?,
                Some(c) if c == self.how.escape => {
                    self.next();
                    if escapes == Escapes::Keep {
                        text.push(c);
                    }
                    match self.peek() {
                        None => {}
                        // Only these can be escaped within double quotes. Before any other character, the escape is
                        // kept.
                        Some(escaped) if escaped == '"' || escaped == '$' || escaped == self.how.escape => {
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
                None if self.how.keep_unset => format!("${name}"),
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
                None if self.how.keep_unset => format!("${{{name}}}"),
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
        if value.is_none() && self.how.keep_unset {
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
            return Ok(if self.how.keep_unset { format!("${{{name}/{text}/{replacement}}}") } else { String::new() });
        };
        let pattern = self.pattern(at, &text, &value)?;
        pattern.replace(&value, &replacement, which, MAX_LENGTH).map_err(|TooLong| ExpandError::TooLong { at })
    }

    fn argument(&mut self, at: usize, stop: char, escapes: Escapes) -> Result<String, ExpandError> {
        let mut output = Output::default();
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn expand(word: &str) -> Result<String, String> {
        let variables =
            BTreeMap::from([("A", "1".to_owned()), ("E", String::new()), ("P", "/usr/local/x.tar.gz".to_owned())]);
        Expander::new('\\').word(word, &variables).map_err(|error| error.to_string())
    }

    #[test]
    fn modifiers_follow_the_reference() {
        for (word, expected) in [
            ("${A:-x}${E:-x}${N:-x}", "1xx"),
            ("${A-x}${E-x}${N-x}", "1x"),
            ("${A:+x}|${E:+x}|${N:+x}", "x||"),
            ("${A+x}|${E+x}|${N+x}", "x|x|"),
            ("${P#*/}", "usr/local/x.tar.gz"),
            ("${P##*/}", "x.tar.gz"),
            ("${P%.*}", "/usr/local/x.tar"),
            ("${P%%.*}", "/usr/local/x"),
            ("${P/l/L}", "/usr/Local/x.tar.gz"),
            ("${P//l/L}", "/usr/LocaL/x.tar.gz"),
            ("${N:-${E:-\"a b\"}}", "a b"),
            ("'$A'\"$A\"\\$A", "$A1$A"),
        ] {
            assert_eq!(expand(word).as_deref(), Ok(expected), "{word}");
        }
    }

    #[test]
    fn errors_have_positions() {
        let at = |word| Expander::new('\\').word(word, &NoVariables).unwrap_err().at();
        assert_eq!(at("ab${c"), 2);
        assert_eq!(at("ab\"c"), 2);
        assert_eq!(at("x${y:?no}"), 1);
    }

    #[test]
    fn deep_nesting_is_an_error() {
        let word = "${a:-".repeat(100_000);
        assert!(matches!(Expander::new('\\').word(&word, &NoVariables), Err(ExpandError::TooDeep { .. })));
    }

    #[test]
    fn a_long_result_is_an_error() {
        let value = "x".repeat(MAX_LENGTH / 4);
        let variables = BTreeMap::from([("A", value), ("B", "b".repeat(2000))]);
        let expand = |word: &str| Expander::new('\\').word(word, &variables);
        assert_eq!(expand("$A$A$A$A").map(|text| text.len()), Ok(MAX_LENGTH));
        assert_eq!(expand("$A$A$A$A$B"), Err(ExpandError::TooLong { at: 8 }));
        assert_eq!(expand("\"$A$A$A${A}$A\""), Err(ExpandError::TooLong { at: 11 }));
        assert_eq!(expand("${A//x/12345}"), Err(ExpandError::TooLong { at: 0 }));
    }

    #[test]
    fn an_expensive_pattern_is_an_error() {
        let variables = BTreeMap::from([("A", "x".repeat(MAX_LENGTH))]);
        let pattern = "*a".repeat(40);
        for word in [format!("${{A/{pattern}/y}}"), format!("${{A##{pattern}}}"), format!("${{A%{pattern}}}")] {
            let error = Expander::new('\\').word(&word, &variables).unwrap_err();
            assert_eq!(error, ExpandError::TooMuchWork { length: MAX_LENGTH, at: 0 });
        }
    }

    #[test]
    fn a_backtick_can_be_the_escape() {
        assert_eq!(Expander::new('`').word("C:\\x`$A", &NoVariables).as_deref(), Ok("C:\\x$A"));
    }
}
