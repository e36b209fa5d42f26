//! Splits a logical line into words: flags, quoted words and JSON arrays.

/// Returns whether a byte is a space that separates the words of an instruction. The newline and the spaces of Unicode
/// are not.
#[inline]
pub(super) fn is_space(b: u8) -> bool {
    matches!(b, b' ' | b'\t' | b'\r' | 0x0b | 0x0c)
}

/// Returns the range of `line[start..end]` without surrounding spaces.
#[inline]
pub(super) fn trim(line: &str, mut start: usize, mut end: usize) -> (usize, usize) {
    let bytes = line.as_bytes();
    while start < end && bytes[start] == b' ' {
        start += 1;
    }
    while start < end && bytes[end - 1] == b' ' {
        end -= 1;
    }
    // Nearly all words need no further trimming.
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

/// The ranges of words that are separated by spaces. Quotes and escapes are ordinary characters.
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

/// The ranges of the words of ENV, LABEL and ARG. A word may contain quoted or escaped spaces, and its quotes and
/// escapes are part of the range.
pub(super) struct Quoted<'a> {
    line: &'a str,
    at: usize,
    escape: char,
}

impl<'a> Quoted<'a> {
    pub(super) fn new(line: &'a str, start: usize, end: usize, escape: char) -> Self {
        Self { line: &line[..end], at: start, escape }
    }

    /// Returns the character at the current position, which is nearly always one byte.
    fn peek(&self) -> Option<char> {
        match self.line.as_bytes().get(self.at) {
            Some(b) if b.is_ascii() => Some(char::from(*b)),
            Some(_) => self.line[self.at..].chars().next(),
            None => None,
        }
    }

    /// Reads a word. An escape at the end of the line is not part of it.
    fn word(&mut self) -> (usize, usize) {
        let from = self.at;
        let mut quote = None;
        let escape = u8::try_from(self.escape).unwrap_or(b'\\');
        let plain = |b: &u8| b.is_ascii_graphic() && !matches!(b, b'"' | b'\'') && *b != escape;
        loop {
            // Bytes that are neither spaces nor quotes nor escapes are skipped together.
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

/// Passes the `--flags` at the head of the arguments to `found`, each with its range in the line, and with its unquoted
/// text if it has quotes or escapes. Returns the offset of the remaining arguments.
#[inline]
pub(super) fn flags(
    line: &str,
    start: usize,
    end: usize,
    found: &mut dyn FnMut(Option<String>, usize, usize),
) -> usize {
    // Nearly all instructions have no flags.
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

/// The result of parsing an argument that may be a JSON array.
pub(super) enum Json {
    /// The strings of an array of strings.
    Strings(Vec<String>),
    /// An array with an element that is not a string, which is an error.
    NotStrings,
    /// A text that is not a JSON array, taken literally.
    None,
}

/// Parses the exec form.
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
