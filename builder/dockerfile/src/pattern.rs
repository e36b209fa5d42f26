//! The patterns of substitutions such as `${name#pattern}`: `*`, `?` and escapes, without character classes.

/// A compiled pattern.
#[derive(Clone, Debug)]
pub(super) struct Pattern(Vec<PatternToken>);

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

/// The error of a result that exceeds its limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct TooLong;

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
enum PatternToken {
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
                '*' if tokens.last() == Some(&PatternToken::Star) => continue,
                '*' => PatternToken::Star,
                '?' => PatternToken::Any,
                '\\' => match chars.next() {
                    Some(escaped @ ('*' | '?' | '\\' | '/' | '}')) => PatternToken::Literal(escaped),
                    Some(other) => return Err(other.to_string()),
                    None => return Err(String::new()),
                },
                c => PatternToken::Literal(c),
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
        let reversed: Vec<PatternToken> = self.0.iter().rev().copied().collect();
        match prefixes(&reversed, value.chars().rev()) {
            Some(lengths) => &value[..value.len() - lengths.of(which)],
            None => value,
        }
    }

    /// The number of comparisons that matching a value costs.
    pub(super) fn work(&self, value: &str) -> usize {
        value.len().saturating_mul(self.0.len() + 1)
    }

    /// Replaces the first or every match. Each match is the longest one at its position.
    ///
    /// # Errors
    /// [`TooLong`] if the result would be longer than `limit` bytes.
    pub(super) fn replace(
        &self,
        value: &str,
        replacement: &str,
        which: Replace,
        limit: usize,
    ) -> Result<String, TooLong> {
        let ends = self.longest_matches(value);
        let mut out = String::with_capacity(value.len().min(limit));
        let mut after_match = false;
        let mut chars = value.char_indices().peekable();
        loop {
            let at = chars.peek().map_or(value.len(), |(at, _)| *at);
            match ends[at] {
                // An empty match directly after a match belongs to that match.
                Some(end) if end as usize > at || !after_match => {
                    let end = end as usize;
                    if out.len() + replacement.len() > limit {
                        return Err(TooLong);
                    }
                    out += replacement;
                    after_match = end > at;
                    while chars.next_if(|(at, _)| *at < end).is_some() {}
                    if which == Replace::First {
                        out += &value[end..];
                        break;
                    }
                    if after_match {
                        if end == value.len() {
                            break;
                        }
                        continue;
                    }
                }
                _ => after_match = false,
            }
            match chars.next() {
                Some((_, c)) => out.push(c),
                None => break,
            }
        }
        if out.len() > limit { Err(TooLong) } else { Ok(out) }
    }

    /// For each offset of the value, the end of the longest match that starts there. The offsets of no character have none.
    ///
    /// The value is read once, from its end: the longest match of the tokens from `i` at a character follows from those of
    /// `i` and `i + 1` at the next character.
    fn longest_matches(&self, value: &str) -> Vec<Option<u32>> {
        let offset = |at: usize| u32::try_from(at).expect("a value is shorter than 4 GiB");
        let tokens = &self.0;
        let mut ends = vec![None; value.len() + 1];
        // The longest matches of the tokens from each position, at the character after the current one.
        let mut next: Vec<Option<u32>> = vec![None; tokens.len() + 1];
        let mut here = next.clone();
        let characters =
            std::iter::once((value.len(), None)).chain(value.char_indices().rev().map(|(at, c)| (at, Some(c))));
        for (at, c) in characters {
            here[tokens.len()] = Some(offset(at));
            for (i, token) in tokens.iter().enumerate().rev() {
                here[i] = match (token, c) {
                    (PatternToken::Star, Some(_)) => next[i].max(here[i + 1]),
                    (PatternToken::Star, None) => here[i + 1],
                    (PatternToken::Any, Some(c)) if c != '\n' => next[i + 1],
                    (PatternToken::Literal(literal), Some(c)) if *literal == c => next[i + 1],
                    _ => None,
                };
            }
            ends[at] = here[0];
            std::mem::swap(&mut here, &mut next);
        }
        ends
    }
}

/// Returns the lengths of the prefixes of `value` that match the tokens. `None` means that no prefix matches.
fn prefixes(tokens: &[PatternToken], value: impl Iterator<Item = char>) -> Option<Lengths> {
    // The states of a nondeterministic automaton. State `i` means that `i` tokens are matched.
    let mut states = vec![false; tokens.len() + 1];
    let mut next = states.clone();
    let close = |states: &mut [bool]| {
        for (i, token) in tokens.iter().enumerate() {
            if states[i] && *token == PatternToken::Star {
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
        next.fill(false);
        for (i, token) in tokens.iter().enumerate() {
            if states[i] {
                match token {
                    PatternToken::Star => next[i] = true,
                    // As in a regular expression, a wildcard does not match a newline.
                    PatternToken::Any if c != '\n' => next[i + 1] = true,
                    PatternToken::Literal(l) if *l == c => next[i + 1] = true,
                    _ => {}
                }
            }
        }
        close(&mut next);
        std::mem::swap(&mut states, &mut next);
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
    use super::{Match, Pattern, Replace, TooLong};

    #[test]
    fn replacements_are_leftmost_longest() {
        let replace =
            |pattern, value, with, which| Pattern::parse(pattern).unwrap().replace(value, with, which, 100).unwrap();
        assert_eq!(replace("b*", "abcabc", "-", Replace::First), "a-");
        assert_eq!(replace("b?", "abcabc", "-", Replace::All), "a-a-");
        assert_eq!(replace("", "ab", "-", Replace::All), "-a-b-");
        assert_eq!(replace("x", "ab", "-", Replace::All), "ab");
        assert_eq!(replace("b", "ab", "", Replace::All), "a");
        assert_eq!(replace("a*c", "xabcbcx", "-", Replace::All), "x-x");
        assert_eq!(replace("*", "", "-", Replace::All), "-");
        assert_eq!(replace("?", "é\nü", "-", Replace::All), "-\n-");
        assert_eq!(replace("*b", "ab\nab", "-", Replace::First), "-");
    }

    #[test]
    fn a_replacement_stays_within_its_limit() {
        let pattern = Pattern::parse("a").unwrap();
        assert_eq!(pattern.replace("aaa", "12", Replace::All, 6).as_deref(), Ok("121212"));
        assert_eq!(pattern.replace("aaa", "12", Replace::All, 5), Err(TooLong));
        assert_eq!(pattern.replace("abbbb", "12", Replace::First, 5), Err(TooLong));
    }

    /// The naive search tries each position and each length, longest first.
    #[test]
    fn replacements_equal_those_of_a_naive_search() {
        let mut state = 7_u32;
        let mut random = |below: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 16) % below
        };
        for _ in 0..3000 {
            let mut text = |letters: &[char], most| -> String {
                (0..random(most)).map(|_| letters[random(letters.len() as u32) as usize]).collect()
            };
            let (pattern, value) = (text(&['a', 'b', '*', '?'], 5), text(&['a', 'b', '\n', 'é'], 9));
            let pattern = Pattern::parse(&pattern).unwrap();
            for which in [Replace::First, Replace::All] {
                let found = pattern.replace(&value, "-", which, 100).unwrap();
                assert_eq!(found, naive(&pattern, &value, which), "{pattern:?} in {value:?}");
            }
        }
    }

    fn naive(pattern: &Pattern, value: &str, which: Replace) -> String {
        let (mut out, mut rest, mut after_match) = (String::new(), value, false);
        loop {
            let found = super::prefixes(&pattern.0, rest.chars()).map(|lengths| lengths.longest);
            match found {
                Some(length) if length > 0 || !after_match => {
                    out.push('-');
                    rest = &rest[length..];
                    after_match = length > 0;
                    if which == Replace::First {
                        return out + rest;
                    }
                    if length > 0 {
                        if rest.is_empty() {
                            return out;
                        }
                        continue;
                    }
                }
                _ => after_match = false,
            }
            let Some(c) = rest.chars().next() else { return out };
            out.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }

    #[test]
    fn suffixes_match_from_the_end() {
        let strip = |pattern, value, which| Pattern::parse(pattern).unwrap().strip_suffix(value, which).to_owned();
        assert_eq!(strip(".*", "a.tar.gz", Match::Shortest), "a.tar");
        assert_eq!(strip(".*", "a.tar.gz", Match::Longest), "a");
        assert_eq!(strip("é", "caffé", Match::Shortest), "caff");
    }
}
