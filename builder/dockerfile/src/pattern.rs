//! The patterns of substitutions such as `${name#pattern}`: `*`, `?` and escapes, without character classes.

/// A compiled pattern.
#[derive(Clone, Debug)]
pub(super) struct Pattern(Vec<Token>);

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

    /// Returns the lengths in bytes of the shortest and of the longest prefix of `value` that matches.
    fn prefixes(&self, value: impl Iterator<Item = char>, reversed: bool) -> Option<(usize, usize)> {
        let tokens: Vec<Token> = if reversed { self.0.iter().rev().copied().collect() } else { self.0.clone() };
        // The states of a nondeterministic automaton. State `i` means that `i` tokens are matched.
        let mut states = vec![false; tokens.len() + 1];
        let close = |states: &mut Vec<bool>| {
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
        shortest.map(|shortest| (shortest, longest))
    }

    /// Removes the shortest or longest prefix that matches.
    pub(super) fn strip_prefix<'a>(&self, value: &'a str, longest: bool) -> &'a str {
        match self.prefixes(value.chars(), false) {
            Some((short, long)) => &value[if longest { long } else { short }..],
            None => value,
        }
    }

    /// Removes the shortest or longest suffix that matches.
    pub(super) fn strip_suffix<'a>(&self, value: &'a str, longest: bool) -> &'a str {
        match self.prefixes(value.chars().rev(), true) {
            Some((short, long)) => &value[..value.len() - if longest { long } else { short }],
            None => value,
        }
    }

    /// Replaces the first or every match. Each match is the longest one at its position.
    pub(super) fn replace(&self, value: &str, replacement: &str, all: bool) -> String {
        let mut out = String::with_capacity(value.len());
        let mut at = 0;
        let mut after_match = false;
        loop {
            let rest = &value[at..];
            let found = self.prefixes(rest.chars(), false).map(|(_, long)| long);
            let next = rest.chars().next();
            match found {
                // An empty match directly after a match belongs to that match.
                Some(length) if !(length == 0 && after_match) => {
                    out += replacement;
                    at += length;
                    after_match = length > 0;
                    if !all {
                        return out + &value[at..];
                    }
                    if length > 0 {
                        if at == value.len() && self.0.iter().any(|t| *t != Token::Star) {
                            return out;
                        }
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

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn replacements_are_leftmost_longest() {
        let replace = |pattern, value, with, all| Pattern::parse(pattern).unwrap().replace(value, with, all);
        assert_eq!(replace("b*", "abcabc", "-", false), "a-");
        assert_eq!(replace("b?", "abcabc", "-", true), "a-a-");
        assert_eq!(replace("", "ab", "-", true), "-a-b-");
        assert_eq!(replace("x", "ab", "-", true), "ab");
        assert_eq!(replace("b", "ab", "", true), "a");
    }

    #[test]
    fn suffixes_match_from_the_end() {
        let strip = |pattern, value, longest| Pattern::parse(pattern).unwrap().strip_suffix(value, longest).to_owned();
        assert_eq!(strip(".*", "a.tar.gz", false), "a.tar");
        assert_eq!(strip(".*", "a.tar.gz", true), "a");
        assert_eq!(strip("é", "caffé", false), "caff");
    }
}
