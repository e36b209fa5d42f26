//! Ignore files: the paths of a context that are left out, by the rules of moby's `patternmatcher`.
//!
//! A pattern matches a path if it matches the path itself or one of its parents. The last matching pattern wins, and a
//! pattern with `!` includes the path again. Patterns are compiled once, each to the cheapest form that decides it.

use super::glob::{self, BadPattern, Chars, Token};

/// The error of an invalid ignore pattern.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum IgnoreError {
    /// A `!` without a pattern.
    #[error("illegal exclusion pattern: \"!\"")]
    Empty {
        /// The line in the file, counted from 1.
        line: usize,
    },
    /// A malformed pattern.
    #[error("line {line}: {error}")]
    Pattern {
        /// The line in the file, counted from 1.
        line: usize,
        /// The error of the pattern.
        error: BadPattern,
    },
    /// More patterns than can be matched in a reasonable time.
    #[error("line {line}: the patterns are too long: more than {MOST_STATES} characters behind wildcards")]
    TooLong {
        /// The line in the file, counted from 1.
        line: usize,
    },
}

/// The most states of all automata together. Each path of the context may pass through all of them: a million take some milliseconds.
const MOST_STATES: usize = 1_000_000;

/// The compiled patterns of an ignore file or of `--exclude` flags.
#[derive(Clone, Debug, Default)]
pub struct Ignore {
    rules: Vec<IgnoreRule>,
    negated: bool,
}

#[derive(Clone, Debug)]
struct IgnoreRule {
    negated: bool,
    form: Form,
}

/// The form of a compiled pattern, cheapest first.
#[derive(Clone, Debug)]
enum Form {
    /// A pattern without wildcards, which matches one path.
    Exact(Vec<u8>),
    /// `dir/**`, which matches every path with this prefix.
    Prefix(Vec<u8>),
    /// `**/name`, which matches every path with this suffix.
    Suffix(Vec<u8>),
    /// Any other pattern: a literal prefix, then an automaton.
    Automaton { literal: Vec<u8>, states: Vec<PatternState> },
}

/// A state of the automaton, named for the characters that it matches.
#[derive(Clone, PartialEq, Debug)]
enum PatternState {
    One(Token),
    Star,
    /// `**` in the middle: nothing, or any text that ends with a slash. The next state is [`PatternState::Inside`].
    Deep,
    /// The text that `**` matches, once it has started.
    Inside,
    /// `**` at the end: any text.
    Rest,
}

impl Ignore {
    /// Returns the cleaned patterns of an ignore file, without comments, blank lines and leading slashes.
    pub fn lines(text: impl AsRef<[u8]>) -> Vec<String> {
        Self::numbered(&glob::characters(text.as_ref())).map(|(_, pattern)| pattern).collect()
    }

    fn numbered(text: &str) -> impl Iterator<Item = (usize, String)> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        text.lines().enumerate().filter_map(|(index, line)| {
            if line.starts_with('#') {
                return None;
            }
            let line = line.trim();
            let (negated, pattern) = line.strip_prefix('!').map_or((false, line), |rest| (true, rest.trim()));
            if line.is_empty() {
                return None;
            }
            let cleaned = if pattern.is_empty() { String::new() } else { clean(pattern) };
            let relative = if cleaned.len() > 1 { cleaned.strip_prefix('/').unwrap_or(&cleaned) } else { &cleaned };
            Some((index + 1, format!("{}{relative}", if negated { "!" } else { "" })))
        })
    }

    /// Compiles the text of an ignore file. It may have bytes that are not UTF-8, as names of files may.
    ///
    /// # Errors
    /// A malformed pattern, or a `!` without a pattern.
    pub fn parse(text: impl AsRef<[u8]>) -> Result<Self, IgnoreError> {
        Self::compile(Self::numbered(&glob::characters(text.as_ref())))
    }

    /// Compiles patterns that do not come from a file (`--exclude`).
    ///
    /// # Errors
    /// A malformed pattern, or a `!` without a pattern. The line is the number of the pattern, counted from 1.
    pub fn from_patterns<S: AsRef<str>>(patterns: impl IntoIterator<Item = S>) -> Result<Self, IgnoreError> {
        Self::compile(patterns.into_iter().enumerate().map(|(index, pattern)| (index + 1, pattern.as_ref().to_owned())))
    }

    fn compile(patterns: impl Iterator<Item = (usize, String)>) -> Result<Self, IgnoreError> {
        let (mut rules, mut states) = (Vec::new(), 0);
        for (line, pattern) in patterns {
            let pattern = pattern.trim();
            if pattern.is_empty() {
                continue;
            }
            let cleaned = clean(pattern);
            let (negated, body) = cleaned.strip_prefix('!').map_or((false, &*cleaned), |rest| (true, rest));
            if body.is_empty() {
                return Err(IgnoreError::Empty { line });
            }
            // A pattern has a state for each character.
            if body.len() > MOST_STATES {
                return Err(IgnoreError::TooLong { line });
            }
            let form = Form::parse(body).map_err(|error| IgnoreError::Pattern { line, error })?;
            states += form.states();
            if states > MOST_STATES {
                return Err(IgnoreError::TooLong { line });
            }
            rules.push(IgnoreRule { negated, form });
        }
        Ok(Self { negated: rules.iter().any(|rule| rule.negated), rules })
    }

    /// Returns whether there are no patterns, so that nothing is left out.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Returns whether a path is left out. The path is relative to the context, with `/` as the separator and without a
    /// leading or trailing one. The rules are the same for files and directories.
    pub fn excludes(&self, path: impl AsRef<[u8]>) -> bool {
        let path = path.as_ref();
        self.rules.iter().rev().find(|rule| rule.form.matches(path)).is_some_and(|rule| !rule.negated)
    }

    /// Returns whether a `!` pattern may include something below this excluded directory again. If it returns false, a
    /// walk need not enter the directory. The answer is conservative: it may be true although nothing is included.
    pub fn may_include_below(&self, directory: impl AsRef<[u8]>) -> bool {
        let directory = directory.as_ref();
        // Patterns before the one that excludes the directory cannot include its content again.
        self.negated
            && self
                .rules
                .iter()
                .rev()
                .take_while(|rule| rule.negated || !rule.form.matches(directory))
                .any(|rule| rule.negated && rule.form.may_match_below(directory))
    }
}

impl Form {
    fn parse(pattern: &str) -> Result<Self, BadPattern> {
        let mut states = Vec::new();
        // The form so far: a leading `**` makes a suffix, a trailing one a prefix. Any other special character needs an
        // automaton.
        let (mut special, mut leading_deep, mut trailing_deep) = (false, false, false);
        let mut chars = pattern.chars();
        let bad = || BadPattern(pattern.to_owned());
        let mut first = true;
        while let Some(c) = chars.next() {
            match c {
                '*' if chars.as_str().starts_with('*') => {
                    chars.next();
                    if chars.as_str().starts_with('/') {
                        chars.next();
                    }
                    if chars.as_str().is_empty() {
                        trailing_deep = !special && !leading_deep;
                        special |= !trailing_deep && !first;
                        states.push(PatternState::Rest);
                    } else {
                        special |= !first;
                        // `**/**/` matches what `**/` does.
                        if states.last() != Some(&PatternState::Inside) {
                            states.extend([PatternState::Deep, PatternState::Inside]);
                        }
                    }
                    leading_deep |= first;
                }
                '*' => {
                    special = true;
                    if states.last() != Some(&PatternState::Star) {
                        states.push(PatternState::Star);
                    }
                }
                '?' => {
                    special = true;
                    states.push(PatternState::One(Token::Any));
                }
                '\\' => {
                    special = true;
                    states.push(PatternState::One(Token::Literal(chars.next().ok_or_else(bad)?)));
                }
                '[' => {
                    special = true;
                    states.push(PatternState::One(glob::class(&mut chars).ok_or_else(bad)?));
                }
                c => states.push(PatternState::One(Token::Literal(c))),
            }
            first = false;
        }
        let bytes = &*glob::bytes(pattern);
        Ok(if special {
            let literal: String = states
                .iter()
                .map_while(|state| match state {
                    PatternState::One(Token::Literal(c)) => Some(*c),
                    _ => None,
                })
                .collect();
            Self::Automaton {
                states: states.split_off(literal.chars().count()),
                literal: glob::bytes(&literal).into_owned(),
            }
        } else if leading_deep {
            Self::Suffix(bytes[2..].to_vec())
        } else if trailing_deep {
            let end = bytes.strip_suffix(b"**").or_else(|| bytes.strip_suffix(b"**/")).unwrap_or(bytes);
            Self::Prefix(end.to_vec())
        } else {
            Self::Exact(bytes.to_vec())
        })
    }

    /// The number of states of the automaton, which says what matching a path costs.
    fn states(&self) -> usize {
        match self {
            Self::Automaton { states, .. } => states.len(),
            Self::Exact(_) | Self::Prefix(_) | Self::Suffix(_) => 0,
        }
    }

    /// Returns whether the pattern matches the path or one of its parents.
    fn matches(&self, path: &[u8]) -> bool {
        match self {
            Self::Exact(exact) => path.strip_prefix(&**exact).is_some_and(|rest| rest.is_empty() || rest[0] == b'/'),
            Self::Prefix(prefix) => path.starts_with(prefix),
            Self::Suffix(suffix) => boundaries(path).any(|parent| {
                parent.ends_with(suffix) || suffix.strip_prefix(b"/").is_some_and(|whole| whole == parent)
            }),
            Self::Automaton { literal, states } => match path.strip_prefix(&**literal) {
                Some(rest) => run(states, rest).matched,
                None => false,
            },
        }
    }

    /// Returns whether the pattern could match a path below this directory.
    fn may_match_below(&self, directory: &[u8]) -> bool {
        let below = |literal: &[u8]| {
            literal.strip_prefix(directory).is_some_and(|rest| directory.is_empty() || rest.starts_with(b"/"))
        };
        match self {
            // A pattern that matches the directory itself matches every path below it.
            Self::Exact(exact) => below(exact) || self.matches(directory),
            Self::Prefix(prefix) => {
                below(prefix) || directory.starts_with(prefix) || {
                    // The pattern is `dir/**`, and the directory is `dir`.
                    prefix.strip_suffix(b"/") == Some(directory)
                }
            }
            Self::Suffix(_) => true,
            Self::Automaton { literal, states } => {
                if below(literal) {
                    return true;
                }
                let mut inside = directory.to_vec();
                inside.push(b'/');
                match inside.strip_prefix(&**literal) {
                    Some(rest) => {
                        let end = run(states, rest);
                        end.matched || end.may_continue
                    }
                    // The pattern matches below the directory only if its literal prefix continues there.
                    None => literal.starts_with(&inside),
                }
            }
        }
    }
}

/// Returns the path and its parents, longest last.
fn boundaries(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    memchr::memchr_iter(b'/', path).map(|at| &path[..at]).chain(std::iter::once(path))
}

/// The end of a run of the automaton.
struct End {
    /// Whether the automaton accepts the path or one of its parents.
    matched: bool,
    /// Whether the automaton could accept a longer path.
    may_continue: bool,
}

fn run(states: &[PatternState], path: &[u8]) -> End {
    let words = states.len() / 64 + 1;
    let mut now = vec![0_u64; words];
    let mut next = vec![0_u64; words];
    let set = |bits: &mut [u64], i: usize| bits[i / 64] |= 1 << (i % 64);
    let has = |bits: &[u64], i: usize| bits[i / 64] & (1 << (i % 64)) != 0;
    // Follows the transitions that consume no character. The states are in order, so one pass is enough.
    let close = |bits: &mut [u64]| {
        for (i, state) in states.iter().enumerate() {
            if has(bits, i) {
                match state {
                    PatternState::Star | PatternState::Rest => set(bits, i + 1),
                    PatternState::Deep => set(bits, i + 2),
                    PatternState::One(_) | PatternState::Inside => {}
                }
            }
        }
    };
    set(&mut now, 0);
    close(&mut now);
    for c in Chars(path) {
        if c == '/' && has(&now, states.len()) {
            return End { matched: true, may_continue: true };
        }
        next.fill(0);
        for (i, state) in states.iter().enumerate() {
            if !has(&now, i) {
                continue;
            }
            match state {
                PatternState::One(Token::Literal(l)) if *l == c => set(&mut next, i + 1),
                PatternState::One(Token::Any) if c != '/' => set(&mut next, i + 1),
                // Moby compiles a class to that of a regular expression, which may match a slash.
                PatternState::One(class) if class.class_has(c) => set(&mut next, i + 1),
                PatternState::One(_) => {}
                PatternState::Star if c != '/' => set(&mut next, i),
                PatternState::Star => {}
                PatternState::Rest => set(&mut next, i),
                PatternState::Deep => {
                    set(&mut next, i + 1);
                    if c == '/' {
                        set(&mut next, i + 2);
                    }
                }
                PatternState::Inside => {
                    set(&mut next, i);
                    if c == '/' {
                        set(&mut next, i + 1);
                    }
                }
            }
        }
        std::mem::swap(&mut now, &mut next);
        if now.iter().all(|word| *word == 0) {
            return End { matched: false, may_continue: false };
        }
        close(&mut now);
    }
    End { matched: has(&now, states.len()), may_continue: true }
}

/// Cleans a path as Go's `filepath.Clean` does on Unix: removes doubled slashes and `.`, and resolves `..` where a name
/// comes before it.
pub fn clean(path: &str) -> String {
    let absolute = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => match parts.last() {
                Some(&last) if last != ".." => {
                    parts.pop();
                }
                _ if absolute => {}
                _ => parts.push(".."),
            },
            part => parts.push(part),
        }
    }
    match (absolute, parts.is_empty()) {
        (true, _) => format!("/{}", parts.join("/")),
        (false, true) => ".".into(),
        (false, false) => parts.join("/"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn excluded(text: &str, path: &str) -> bool {
        Ignore::parse(text).unwrap().excludes(path)
    }

    #[test]
    fn bytes_that_are_not_utf8_match_the_same_bytes() {
        for pattern in [&b"no\xe9*"[..], b"no\xe9x", b"**/no\xe9x", b"no\xe9**", b"no[\xe9]x"] {
            let ignore = Ignore::parse(pattern).unwrap();
            assert!(ignore.excludes(b"no\xe9x"), "{ignore:?}");
            assert!(!ignore.excludes(b"no\xe8x") && !ignore.excludes("no\u{fffd}x"), "{ignore:?}");
        }
        let ignore = Ignore::parse(b"*\n!no\xe9/in\n# \xff\n").unwrap();
        assert!(!ignore.excludes(b"no\xe9/in") && ignore.may_include_below(b"no\xe9"));
    }

    #[test]
    fn the_last_match_wins_and_parents_count() {
        // The example of ".dockerignore file" in the Dockerfile reference.
        let text = "*.md\n!README*.md\nREADME-secret.md\n";
        assert!(excluded(text, "a.md") && !excluded(text, "README.md") && excluded(text, "README-secret.md"));
        assert!(excluded("dir", "dir/a/b"));
        assert!(!excluded("dir\n!dir/a", "dir/a/b"));
        assert!(!excluded("*/temp*", "temp1") && excluded("*/temp*", "a/temp1/x"));
    }

    #[test]
    fn directories_with_included_files_are_entered() {
        let ignore = Ignore::parse("node_modules\n**/target\n!node_modules/keep/**/x\n").unwrap();
        assert!(ignore.may_include_below("node_modules"));
        assert!(ignore.may_include_below("node_modules/keep"));
        assert!(ignore.may_include_below("node_modules/keep/deep"));
        assert!(!ignore.may_include_below("node_modules/other"));
        assert!(!ignore.may_include_below("a/target"));
        let ignore = Ignore::parse("!a/b\na\n").unwrap();
        assert!(!ignore.may_include_below("a"), "the later pattern wins");
        let ignore = Ignore::parse("**\n!src/*.rs\n").unwrap();
        assert!(
            ignore.may_include_below("src") && !ignore.may_include_below("doc") && !ignore.may_include_below("src/x")
        );
    }

    #[test]
    fn patterns_have_a_limit_of_work() {
        let long = |count: usize| Ignore::parse(format!("*{}\n", "a".repeat(199_999)).repeat(count));
        assert!(long(5).is_ok());
        assert!(matches!(long(6), Err(IgnoreError::TooLong { line: 6 })));
        // A name without wildcards has no states, but a limit, too.
        assert!(matches!(Ignore::parse("x".repeat(1_000_001)), Err(IgnoreError::TooLong { line: 1 })));
    }

    #[test]
    fn repeated_wildcards_match_as_one() {
        // The automata have more than 64 states.
        let many = |text: &str, count: usize| format!("{}b", text.repeat(count));
        assert!(excluded(&many("**/", 80), "b") && excluded(&many("**/", 80), "x/y/b"));
        assert!(!excluded(&many("**/*/", 40), &many("x/", 39)) && excluded(&many("**/*/", 40), &many("x/", 41)));
        assert!(excluded(&many("*a", 70), &many("xa", 70)) && !excluded(&many("*a", 70), &many("xa", 69)));
        assert!(excluded(&many("**/a", 66), &many("a", 66)) && !excluded(&many("**/a", 66), &many("a", 65)));
    }

    #[test]
    fn paths_are_cleaned_as_in_go() {
        for (path, cleaned) in
            [("a//b/./c/", "a/b/c"), ("", "."), ("/../a", "/a"), ("../../a", "../../a"), ("a/..", ".")]
        {
            assert_eq!(clean(path), cleaned);
        }
    }
}
