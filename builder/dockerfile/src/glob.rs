//! The patterns of COPY sources, which follow Go's `filepath.Match` on Unix.
//!
//! `*` and `?` do not match a slash. `[a-z]` and `[^a-z]` are character classes, and a backslash escapes a character.

use crate::diagnostic::shortened;
use std::borrow::Cow;
use std::fmt;

/// The error of a malformed pattern (Go's `filepath.ErrBadPattern`). It holds the pattern.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("syntax error in pattern `{}`", shortened(.0.clone()))]
pub struct BadPattern(pub String);

/// A compiled pattern.
#[derive(Clone, PartialEq, Debug)]
pub struct Glob {
    text: String,
    tokens: Vec<Token>,
}

#[derive(Clone, PartialEq, Debug)]
pub(super) enum Token {
    Literal(char),
    /// One character other than a slash.
    Any,
    /// Any number of characters other than a slash.
    Star,
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

/// Returns a pattern that matches exactly this text.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '*' | '?' | '[' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

impl Glob {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// [`BadPattern`] for an unclosed or empty class, a range without an end, or a backslash at the end.
    pub fn parse(text: &str) -> Result<Self, BadPattern> {
        let bad = || BadPattern(text.to_owned());
        let mut tokens = Vec::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            tokens.push(match c {
                '*' if tokens.last() == Some(&Token::Star) => continue,
                '*' => Token::Star,
                '?' => Token::Any,
                '\\' => Token::Literal(chars.next().ok_or_else(bad)?),
                '[' => class(&mut chars).ok_or_else(bad)?,
                c => Token::Literal(c),
            });
        }
        Ok(Self { text: text.to_owned(), tokens })
    }

    /// Returns the pattern as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns whether the pattern matches the whole path. A byte that is not UTF-8 counts as one character.
    pub fn matches(&self, path: impl AsRef<[u8]>) -> bool {
        let chars = Chars(path.as_ref());
        // Backtracking to the last star is enough: a longer match of an earlier star cannot help the later ones.
        let (mut token, mut rest) = (0, chars);
        let mut retry: Option<(usize, Chars<'_>)> = None;
        loop {
            let mut ahead = rest;
            let step = match self.tokens.get(token) {
                Some(Token::Star) => {
                    retry = Some((token + 1, rest));
                    token += 1;
                    continue;
                }
                Some(wanted) => ahead.next().is_some_and(|c| wanted.accepts(c)),
                None if rest.0.is_empty() => return true,
                None => false,
            };
            if step {
                token += 1;
                rest = ahead;
                continue;
            }
            let Some((after_star, mut longer)) = retry else { return false };
            match longer.next() {
                Some(c) if c != '/' => {
                    retry = Some((after_star, longer));
                    (token, rest) = (after_star, longer);
                }
                _ => return false,
            }
        }
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Token {
    /// Returns whether the token matches this character.
    fn accepts(&self, c: char) -> bool {
        match self {
            Self::Literal(l) => *l == c,
            Self::Any | Self::Star => c != '/',
            Self::Class { .. } => c != '/' && self.class_has(c),
        }
    }

    pub(super) fn class_has(&self, c: char) -> bool {
        match self {
            Self::Class { negated, ranges } => ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) != *negated,
            _ => false,
        }
    }
}

/// Parses a character class after its `[`, up to and including `]`. Returns `None` if the class is malformed.
pub(super) fn class(chars: &mut std::str::Chars<'_>) -> Option<Token> {
    let negated = chars.as_str().starts_with('^');
    if negated {
        chars.next();
    }
    let one = |chars: &mut std::str::Chars<'_>| match chars.next()? {
        '-' | ']' => None,
        '\\' => chars.next(),
        c => Some(c),
    };
    let mut ranges = Vec::new();
    loop {
        if chars.as_str().starts_with(']') && !ranges.is_empty() {
            chars.next();
            return Some(Token::Class { negated, ranges });
        }
        let low = one(chars)?;
        let high = if chars.as_str().starts_with('-') {
            chars.next();
            one(chars)?
        } else {
            low
        };
        ranges.push((low, high));
    }
}

/// The character for the byte 0 if it is not UTF-8. Those for the other bytes follow. They are in a plane for private use,
/// so a name with a byte that is not UTF-8 matches a pattern with the same byte and no other one.
const RAW: u32 = 0x10_ff00;

fn raw(byte: u8) -> char {
    // The last code point is 0x10ffff, so this cannot fail.
    char::from_u32(RAW + u32::from(byte)).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// Returns bytes as text, with a private character for each byte that is not UTF-8.
pub(super) fn characters(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => Chars(bytes).collect::<String>().into(),
    }
}

/// Returns the bytes of a text that [`characters`] returned.
pub(super) fn bytes(text: &str) -> Cow<'_, [u8]> {
    let byte = |c: char| u32::from(c).checked_sub(RAW).and_then(|byte| u8::try_from(byte).ok());
    if !text.chars().any(|c| byte(c).is_some()) {
        return text.as_bytes().into();
    }
    let mut bytes = Vec::with_capacity(text.len());
    for c in text.chars() {
        match byte(c) {
            Some(byte) => bytes.push(byte),
            None => bytes.extend(c.encode_utf8(&mut [0; 4]).bytes()),
        }
    }
    bytes.into()
}

/// The characters of a byte string. A byte that is not UTF-8 is one character, which stands for this byte only.
#[derive(Clone, Copy)]
pub(super) struct Chars<'a>(pub(super) &'a [u8]);

impl Iterator for Chars<'_> {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        let first = *self.0.first()?;
        if first.is_ascii() {
            self.0 = &self.0[1..];
            return Some(char::from(first));
        }
        let window = &self.0[..self.0.len().min(4)];
        let valid = match std::str::from_utf8(window) {
            Ok(text) => text,
            // The bytes before `valid_up_to` are UTF-8, so this cannot fail.
            Err(error) => std::str::from_utf8(&window[..error.valid_up_to()]).unwrap_or(""),
        };
        let (c, length) = valid.chars().next().map_or((raw(first), 1), |c| (c, c.len_utf8()));
        self.0 = &self.0[length..];
        Some(c)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_filepath_match_does() {
        // The grammar in the documentation of Match in Go's path/filepath.
        for (pattern, path, expected) in [
            ("abc", "abc", true),
            ("a*/b", "abc/b", true),
            ("a*/b", "a/c/b", false),
            ("*", "", true),
            ("*", "a/b", false),
            ("a?b", "a☺b", true),
            ("[a-ζ]*", "α", true),
            ("a[^a]b", "a/b", false),
            ("a*b*c", "aXbYbZc", true),
            ("\\*", "*", true),
            ("*x*x", "xxx", true),
        ] {
            assert_eq!(Glob::parse(pattern).unwrap().matches(path), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn malformed_patterns_are_errors() {
        assert!(Glob::parse(&"[".repeat(1 << 20)).unwrap_err().to_string().len() < 1000);
        for pattern in ["[]a]", "[-]", "[x-]", "[a-b-c]", "[", "[^", "[^bc", "a[", "\\", "[]"] {
            assert!(Glob::parse(pattern).is_err(), "{pattern}");
        }
    }

    #[test]
    fn a_byte_that_is_not_utf8_is_a_character() {
        assert!(Glob::parse("a?b").unwrap().matches(b"a\xffb"));
        assert!(!Glob::parse("a?b").unwrap().matches(b"a\xff\xfeb"));
    }

    #[test]
    fn an_escaped_text_matches_itself() {
        let name = "a*b[c]\\?";
        assert!(Glob::parse(&escape(name)).unwrap().matches(name));
    }
}
