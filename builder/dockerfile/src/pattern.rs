//! The patterns of substitutions such as `${name#pattern}`: `*`, `?` and escapes, without character classes.

/// A compiled pattern.
#[derive(Clone, Debug)]
pub(super) struct Pattern(Vec<Token>);

/// The match that is removed if several match at the same position.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Match {
    Shortest,
    Longest,
}

/// The matches that are replaced.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Replace {
    First,
    All,
}

/// The lengths in bytes of the prefixes that match a pattern.
struct Lengths {
    shortest: usize,
    longest: usize,
}

impl Lengths {
    fn of(&self, which: Match) -> usize {
        match which {
            Match::Shortest => self.shortest,
            Match::Longest => self.longest,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Token {
    Literal(char),
    Any,
    Star,
}

impl Pattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// The character that cannot be escaped, or an empty text for a backslash at the end.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut tokens = Vec::new();
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            tokens.push(match c {
                // Two stars match the same as one.
                '*' if tokens.last() == Some(&Token::Star) => continue,
                '*' => Token::Star,
                '?' => Token::Any,
                '\\' => match chars.next() {
                    Some(escaped @ ('*' | '?' | '\\' | '/' | '}')) => Token::Literal(escaped),
                    Some(other) => return Err(other.to_string()),
                    None => return Err(String::new()),
                },
                c => Token::Literal(c),
            });
        }
        Ok(Self(tokens))
    }

    /// Removes the shortest or longest prefix that matches.
    pub(super) fn strip_prefix<'a>(&self, value: &'a str, which: Match) -> &'a str {
        match prefixes(&self.0, value.chars()) {
            Some(lengths) => &value[lengths.of(which)..],
            None => value,
        }
    }

    /// Removes the shortest or longest suffix that matches.
    pub(super) fn strip_suffix<'a>(&self, value: &'a str, which: Match) -> &'a str {
        let reversed: Vec<Token> = self.0.iter().rev().copied().collect();
        match prefixes(&reversed, value.chars().rev()) {
            Some(lengths) => &value[..value.len() - lengths.of(which)],
            None => value,
        }
    }

    /// Replaces the first or every match. Each match is the longest one at its position.
    pub(super) fn replace(&self, value: &str, replacement: &str, which: Replace) -> String {
        let mut out = String::with_capacity(value.len());
        let mut at = 0;
        let mut after_match = false;
        loop {
            let rest = &value[at..];
            let found = prefixes(&self.0, rest.chars()).map(|lengths| lengths.longest);
            let next = rest.chars().next();
            match found {
                // An empty match directly after a match belongs to that match.
                Some(length) if !(length == 0 && after_match) => {
                    out += replacement;
                    at += length;
                    after_match = length > 0;
                    if which == Replace::First {
                        return out + &value[at..];
                    }
                    if length > 0 {
                        if at == value.len() {
                            return out;
                        }
                        continue;
                    }
                }
                _ => after_match = false,
            }
            match next {
                Some(c) => {
                    out.push(c);
                    at += c.len_utf8();
                }
                None => return out,
            }
        }
    }
}

/// Returns the lengths of the prefixes of `value` that match the tokens. `None` means that no prefix matches.
fn prefixes(tokens: &[Token], value: impl Iterator<Item = char>) -> Option<Lengths> {
    // The states of a nondeterministic automaton. State `i` means that `i` tokens are matched.
    let mut states = vec![false; tokens.len() + 1];
    let close = |states: &mut [bool]| {
        for (i, token) in tokens.iter().enumerate() {
            if states[i] && *token == Token::Star {
                states[i + 1] = true;
            }
        }
    };
    states[0] = true;
    close(&mut states);
    let (mut shortest, mut longest, mut length) = (None, 0, 0);
    let mut note = |matched: bool, length: usize| {
        if matched {
            shortest.get_or_insert(length);
            longest = length;
        }
    };
    note(states[tokens.len()], 0);
    for c in value {
        let mut next = vec![false; tokens.len() + 1];
        for (i, token) in tokens.iter().enumerate() {
            if states[i] {
                match token {
                    Token::Star => next[i] = true,
                    // As in a regular expression, a wildcard does not match a newline.
                    Token::Any if c != '\n' => next[i + 1] = true,
                    Token::Literal(l) if *l == c => next[i + 1] = true,
                    _ => {}
                }
            }
        }
        close(&mut next);
        states = next;
        length += c.len_utf8();
        if !states.contains(&true) {
            break;
        }
        note(states[tokens.len()], length);
    }
    shortest.map(|shortest| Lengths { shortest, longest })
}

#[cfg(test)]
mod tests {
    use super::{Match, Pattern, Replace};

    #[test]
    fn replacements_are_leftmost_longest() {
        let replace = |pattern, value, with, which| Pattern::parse(pattern).unwrap().replace(value, with, which);
        assert_eq!(replace("b*", "abcabc", "-", Replace::First), "a-");
        assert_eq!(replace("b?", "abcabc", "-", Replace::All), "a-a-");
        assert_eq!(replace("", "ab", "-", Replace::All), "-a-b-");
        assert_eq!(replace("x", "ab", "-", Replace::All), "ab");
        assert_eq!(replace("b", "ab", "", Replace::All), "a");
    }

    #[test]
    fn suffixes_match_from_the_end() {
        let strip = |pattern, value, which| Pattern::parse(pattern).unwrap().strip_suffix(value, which).to_owned();
        assert_eq!(strip(".*", "a.tar.gz", Match::Shortest), "a.tar");
        assert_eq!(strip(".*", "a.tar.gz", Match::Longest), "a");
        assert_eq!(strip("é", "caffé", Match::Shortest), "caff");
    }
}
