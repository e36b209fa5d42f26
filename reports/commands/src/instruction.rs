//! An instruction's text: its keyword, its flags and the rest.

use crate::keyword::Keyword;
use crate::word::Word;

/// An instruction as text on one line, followed by its heredocs if they are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction<'t> {
    /// The keyword as written.
    pub keyword: &'t str,
    /// The instruction; `None` for an unknown keyword.
    pub kind: Option<Keyword>,
    /// The flags as written, with the spaces between them.
    pub flags: &'t str,
    /// The rest of the line after the flags.
    pub rest: &'t str,
    /// The lines below the instruction, which are its heredocs.
    pub documents: &'t str,
}

impl<'t> Instruction<'t> {
    /// Splits a text.
    pub fn read(text: &'t str) -> Self {
        let (line, documents) = text.split_once('\n').unwrap_or((text, ""));
        let line = line.trim();
        let (keyword, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let rest = rest.trim_start();
        let mut end = 0;
        loop {
            let left = rest[end..].trim_start();
            if !left.starts_with("--") || left.len() == 2 {
                break;
            }
            let at = rest.len() - left.len();
            end = at + left.find(char::is_whitespace).unwrap_or(left.len());
        }
        Self { keyword, kind: Keyword::parse(keyword), flags: rest[..end].trim(), rest: rest[end..].trim(), documents }
    }

    /// Whether the instruction has this keyword.
    pub fn is(&self, keyword: Keyword) -> bool {
        self.kind == Some(keyword)
    }

    /// The flags, each as a name and a value.
    pub(crate) fn each_flag(&self) -> impl Iterator<Item = (&'t str, &'t str)> {
        self.flags.split_whitespace().map(|flag| {
            let flag = flag.trim_start_matches("--");
            flag.split_once('=').unwrap_or((flag, ""))
        })
    }

    /// The targets of the cache mounts of a RUN, as they are written.
    pub fn cache_mounts(&self) -> Vec<&'t str> {
        self.each_flag()
            .filter(|(name, value)| *name == "mount" && value.contains("type=cache"))
            .flat_map(|(_, value)| value.split(','))
            .filter_map(|part| part.split_once('=').filter(|(key, _)| matches!(*key, "target" | "dst" | "destination")))
            .map(|(_, target)| target)
            .collect()
    }

    /// The value of the first flag of this name.
    pub fn flag(&self, name: &str) -> Option<&'t str> {
        self.each_flag().find(|(found, _)| *found == name).map(|(_, value)| value)
    }

    /// The words of a JSON array; `None` if the rest is not one.
    pub fn json(&self) -> Option<Vec<String>> {
        if self.rest.starts_with('[') { serde_json::from_str(self.rest).ok() } else { None }
    }

    /// The words of the rest: those of a JSON array, or those between spaces, without quotes.
    pub fn words(&self) -> Vec<Word> {
        match self.json() {
            Some(words) => words.iter().map(|word| Word::plain(word)).collect(),
            None => pieces(self.rest).iter().map(|piece| Word::of(piece)).collect(),
        }
    }

    /// The pairs of ENV or LABEL, or the arguments of ARG with their defaults.
    pub fn pairs(&self) -> Vec<(String, Option<Word>)> {
        let pieces = pieces(self.rest);
        let Some(first) = pieces.first() else { return Vec::new() };
        if !first.contains('=') && self.is(Keyword::Env) {
            let value = self.rest[first.len()..].trim();
            return vec![((*first).to_owned(), Some(Word::of(value)))];
        }
        let pair = |piece: &&str| match piece.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(Word::of(value))),
            None => ((*piece).to_owned(), None),
        };
        pieces.iter().map(pair).collect()
    }
}

/// The pieces of a text between spaces, with their quotes. A space in quotes or after a backslash does not end a piece.
fn pieces(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let (mut start, mut quote, mut escaped) = (None, None, false);
    for (at, letter) in text.char_indices() {
        if letter.is_whitespace() && quote.is_none() && !escaped {
            found.extend(start.take().map(|start: usize| &text[start..at]));
            continue;
        }
        start.get_or_insert(at);
        match (escaped, quote, letter) {
            (true, ..) => escaped = false,
            (_, _, '\\') if quote != Some('\'') => escaped = true,
            (_, None, '\'' | '"') => quote = Some(letter),
            (_, Some(open), _) if open == letter => quote = None,
            _ => {}
        }
    }
    found.extend(start.map(|start| &text[start..]));
    found
}
