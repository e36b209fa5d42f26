//! A logical line to words: flags, quoted words, JSON arrays.

/// The spaces that part an instruction's words: not the newline, not Unicode's.
#[inline]
pub(super) fn is_space(b: u8) -> bool {
    matches!(b, b' ' | b'\t' | b'\r' | 0x0b | 0x0c)
}

/// The part of `line[start..end]` without spaces around it.
#[inline]
pub(super) fn trim(line: &str, mut start: usize, mut end: usize) -> (usize, usize) {
    let bytes = line.as_bytes();
    while start < end && bytes[start] == b' ' {
        start += 1;
    }
    while start < end && bytes[end - 1] == b' ' {
        end -= 1;
    }
    // Nearly always nothing else is to trim.
    if start == end || (bytes[start].is_ascii_graphic() && bytes[end - 1].is_ascii_graphic()) {
        return (start, end);
    }
    trim_any(line, start, end)
}

#[cold]
fn trim_any(line: &str, start: usize, end: usize) -> (usize, usize) {
    let text = &line[start..end];
    let left = text.len() - text.trim_start().len();
    (start + left, start + left + text.trim().len())
}

/// Words between spaces, quotes and escapes being ordinary characters: where each begins and ends.
#[derive(Clone)]
pub(super) struct Split<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Split<'a> {
    pub(super) fn new(line: &'a str, start: usize, end: usize) -> Self {
        Self { bytes: &line.as_bytes()[..end], at: start }
    }
}

impl Iterator for Split<'_> {
    type Item = (usize, usize);

    fn next(&mut self) -> Option<Self::Item> {
        let rest = &self.bytes[self.at..];
        let from = self.at + rest.iter().position(|b| !is_space(*b))?;
        let word = &self.bytes[from..];
        self.at = word.iter().position(|b| is_space(*b)).map_or(self.bytes.len(), |length| from + length);
        Some((from, self.at))
    }
}

/// Words of ENV, LABEL and ARG: quotes and escapes keep spaces together and stay in the word.
pub(super) struct Quoted<'a> {
    line: &'a str,
    at: usize,
    escape: char,
}

impl<'a> Quoted<'a> {
    pub(super) fn new(line: &'a str, start: usize, end: usize, escape: char) -> Self {
        Self { line: &line[..end], at: start, escape }
    }

    /// The character that stands there: nearly always one byte.
    fn peek(&self) -> Option<char> {
        match self.line.as_bytes().get(self.at) {
            Some(b) if b.is_ascii() => Some(char::from(*b)),
            Some(_) => self.line[self.at..].chars().next(),
            None => None,
        }
    }

    /// One word. An escape at the very end of the line is no part of it.
    fn word(&mut self) -> (usize, usize) {
        let from = self.at;
        let mut quote = None;
        let escape = u8::try_from(self.escape).unwrap_or(b'\\');
        let plain = |b: &u8| b.is_ascii_graphic() && !matches!(b, b'"' | b'\'') && *b != escape;
        loop {
            // What is neither space nor quote nor escape needs no look at it one by one.
            let rest = &self.line.as_bytes()[self.at..];
            self.at += rest.iter().position(|b| !plain(b)).unwrap_or(rest.len());
            let Some(c) = self.peek() else { break };
            match quote {
                None if c.is_whitespace() => break,
                None if c == '"' || c == '\'' => quote = Some(c),
                Some(open) if c == open => quote = None,
                _ if c == self.escape && quote != Some('\'') => {
                    let escape = self.at;
                    self.at += c.len_utf8();
                    match self.peek() {
                        Some(escaped) => self.at += escaped.len_utf8(),
                        None => return (from, escape),
                    }
                    continue;
                }
                _ => {}
            }
            self.at += c.len_utf8();
        }
        (from, self.at)
    }
}

impl Iterator for Quoted<'_> {
    type Item = (usize, usize);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let c = self.peek()?;
            if c.is_whitespace() {
                self.at += c.len_utf8();
                continue;
            }
            let (from, to) = self.word();
            if from < to {
                return Some((from, to));
            }
        }
    }
}

/// Gives the `--flags` at the head of the arguments away, each with its place, and unquoted where it has quotes or
/// escapes; tells where the rest begins.
#[inline]
pub(super) fn flags(
    line: &str,
    start: usize,
    end: usize,
    found: &mut dyn FnMut(Option<String>, usize, usize),
) -> usize {
    // Nearly always there is none.
    if line.as_bytes()[..end].get(start).is_some_and(|b| b.is_ascii_graphic() && *b != b'-') {
        return start;
    }
    some_flags(line, start, end, found)
}

fn some_flags(line: &str, mut at: usize, end: usize, found: &mut dyn FnMut(Option<String>, usize, usize)) -> usize {
    loop {
        at += line[at..end].len() - line[at..end].trim_start().len();
        if !line[at..end].starts_with("--") {
            return at;
        }
        let from = at;
        let bytes = &line.as_bytes()[..end];
        let plain = |b: &u8| b.is_ascii_graphic() && !matches!(b, b'"' | b'\'' | b'\\');
        let word_end = bytes[from..].iter().position(|b| !plain(b)).map_or(end, |length| from + length);
        if word_end == end || is_space(bytes[word_end]) {
            at = word_end;
            if at - from == 2 {
                return at;
            }
            found(None, from, at);
            continue;
        }
        let mut text = String::new();
        let mut quote = None;
        let mut chars = line[from..end].char_indices();
        let mut to = end;
        let mut was_quoted = false;
        while let Some((offset, c)) = chars.next() {
            match (quote, c) {
                (None, c) if c.is_whitespace() => {
                    to = from + offset;
                    break;
                }
                (None, '"' | '\'') => {
                    quote = Some(c);
                    was_quoted = true;
                }
                (Some(q), c) if q == c => quote = None,
                (_, '\\') => {
                    if let Some((_, escaped)) = chars.next() {
                        text.push(escaped);
                    }
                }
                (_, c) => text.push(c),
            }
        }
        at = to;
        if text == "--" {
            return at;
        }
        if was_quoted || !text.is_empty() {
            found(Some(text), from, to);
        }
    }
}

/// What an argument that looks like a JSON array is.
pub(super) enum Json {
    /// An array of strings.
    Strings(Vec<String>),
    /// An array that holds something else: refused.
    NotStrings,
    /// No JSON: the text itself.
    None,
}

/// Reads the exec form.
pub(super) fn json(text: &str) -> Json {
    if text.as_bytes().first().is_some_and(|b| b.is_ascii_graphic() && *b != b'[') {
        return Json::None;
    }
    let text = text.trim_start();
    if !text.starts_with('[') {
        return Json::None;
    }
    match serde_json::from_str::<Vec<serde_json::Value>>(text) {
        Ok(values) => values
            .into_iter()
            .map(|value| match value {
                serde_json::Value::String(text) => Some(text),
                _ => None,
            })
            .collect::<Option<_>>()
            .map_or(Json::NotStrings, Json::Strings),
        Err(_) => Json::None,
    }
}
