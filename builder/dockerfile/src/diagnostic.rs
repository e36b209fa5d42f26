//! Diagnostics: errors and advice that point at characters of a Dockerfile.

use super::Span;
use std::fmt;
use std::sync::Arc;

/// An error or a piece of advice.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Diagnostic {
    /// The problem, in a sentence without a full stop.
    pub message: String,
    /// The text next to the marked characters, which says what they are.
    pub label: String,
    /// The characters that are marked. `None` if the problem is not at a position in the file.
    pub span: Option<Span>,
    /// The advice on what to write instead.
    pub help: Option<String>,
    /// Whether this is advice and not an error.
    pub warning: bool,
    /// The name under which the problem is documented. It is empty for errors.
    pub code: &'static str,
}

impl Diagnostic {
    /// Creates an error at a position in the file.
    pub fn new(span: Span, message: impl Into<String>) -> Self {
        Self { message: message.into(), label: "here".into(), span: Some(span), help: None, warning: false, code: "" }
    }

    /// Creates an error of the request, without a position in the file.
    pub fn without_position(message: impl Into<String>) -> Self {
        Self { span: None, ..Self::new(Span::default(), message) }
    }

    /// Sets the text next to the marked characters.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// Sets the advice on what to write instead.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Suggests the closest of the known names, if one is close enough.
    pub fn did_you_mean<'a>(self, written: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        match closest(written, known) {
            Some(name) => {
                let message = format!("{} (did you mean {name}?)", self.message);
                Self { message, ..self }.help(format!("write `{name}`"))
            }
            None => self,
        }
    }
}

/// Returns the known name that is closest to the written one, if the number of edits between them is at most a third of
/// the length. Letter case does not count.
pub fn closest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = written.to_lowercase();
    let close = |name: &'a str| {
        let limit = (name.len().max(lower.len()) / 3).max(1);
        // An edit changes the length by at most one and the set of letters by at most two. This cheap test rejects
        // nearly all of thousands of names.
        let far = name.len().abs_diff(lower.len()) > limit
            || (letters(name) ^ letters(&lower)).count_ones() as usize > 2 * limit;
        if far && name.is_ascii() && lower.is_ascii() {
            return None;
        }
        let distance = strsim::damerau_levenshtein(&lower, &name.to_lowercase());
        (distance <= limit).then_some((distance, name))
    };
    known.into_iter().filter_map(close).min().map(|(_, name)| name)
}

/// Returns the set of the lowercase letters of a text. Each letter is a bit, and some letters share one.
fn letters(text: &str) -> u64 {
    text.bytes().fold(0, |set, letter| set | 1 << (letter.to_ascii_lowercase() & 63))
}

/// All diagnostics of one file, together with its text. The command line prints them.
#[derive(Clone, Debug)]
pub struct Diagnostics {
    source: Source,
    list: Vec<Located>,
}

/// A text and the offsets at which its lines start. With them, each of many diagnostics in a long text is shown without
/// reading the text from its first line.
#[derive(Clone, Debug)]
struct Source {
    name: Arc<str>,
    text: Arc<str>,
    /// The offsets of the lines, ascending. The first one is 0.
    lines: Arc<[usize]>,
}

impl Source {
    fn new(name: &str, text: Arc<str>) -> Self {
        let ends = memchr::memchr_iter(b'\n', text.as_bytes());
        let lines = std::iter::once(0).chain(ends.map(|end| end + 1)).collect();
        Self { name: name.into(), text, lines }
    }

    /// Returns the line of an offset, counted from 1.
    fn line(&self, offset: usize) -> usize {
        self.lines.partition_point(|start| *start <= offset)
    }
}

impl miette::SourceCode for Source {
    fn read_span<'a>(
        &'a self,
        span: &miette::SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn miette::SpanContents<'a> + 'a>, miette::MietteError> {
        // One line more than is shown, because the reader also looks at the line end before the position.
        let first = self.line(span.offset()).saturating_sub(2 + before);
        let start = self.lines[first];
        let within = miette::SourceSpan::new((span.offset() - start).into(), span.len());
        let shown: &'a [u8] = self.text.as_bytes().get(start..).unwrap_or_default();
        let found = shown.read_span(&within, before, after)?;
        let span = miette::SourceSpan::new((start + found.span().offset()).into(), found.span().len());
        let (line, column, lines) = (first + found.line(), found.column(), found.line_count());
        let name = self.name.to_string();
        Ok(Box::new(miette::MietteSpanContents::new_named(name, found.data(), span, line, column, lines)))
    }
}

/// A diagnostic and its line, counted from 1.
#[derive(Clone, Debug)]
struct Located(Diagnostic, Option<usize>);

impl Diagnostics {
    /// Creates the diagnostics of a text, in the order of their positions. The file is named `Dockerfile` unless
    /// [`Diagnostics::named`] changes that.
    pub fn new(text: impl Into<Arc<str>>, mut list: Vec<Diagnostic>) -> Self {
        let source = Source::new("Dockerfile", text.into());
        let length = Span::new(0, source.text.len()).end;
        list.sort_by_key(|diagnostic| diagnostic.span.map_or((0, 0), |span| (span.start, span.end)));
        let list = list
            .into_iter()
            .map(|mut diagnostic| {
                if let Some(span) = &mut diagnostic.span {
                    span.end = span.end.min(length);
                    span.start = span.start.min(span.end);
                }
                let line = diagnostic.span.map(|span| source.line(span.range().start));
                Located(diagnostic, line)
            })
            .collect();
        Self { source, list }
    }

    /// Sets the file name that is printed.
    pub fn named(self, name: &str) -> Self {
        Self { source: Source { name: name.into(), ..self.source }, ..self }
    }

    /// Returns the diagnostics in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.list.iter().map(|located| &located.0)
    }

    /// Returns the number of diagnostics.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Returns whether the list is empty.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Returns the line of a diagnostic, counted from 1.
    pub fn line_of(&self, diagnostic: &Diagnostic) -> Option<u32> {
        let span = diagnostic.span?;
        u32::try_from(self.source.line(span.range().start)).ok()
    }
}

impl fmt::Display for Diagnostics {
    /// Writes the first diagnostic and the number of further ones, as in
    /// `Dockerfile:3: unknown instruction: FORM (and 2 more)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(first) = self.list.first() else { return f.write_str("nothing") };
        if let Some(line) = first.1 {
            write!(f, "{}:{line}: ", self.source.name)?;
        }
        write!(f, "{first}")?;
        match self.list.len() {
            1 => Ok(()),
            count => write!(f, " (and {} more)", count - 1),
        }
    }
}

impl std::error::Error for Diagnostics {}

impl miette::Diagnostic for Diagnostics {
    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        Some(&self.source)
    }

    fn severity(&self) -> Option<miette::Severity> {
        self.list.iter().all(|located| located.0.warning).then_some(miette::Severity::Warning)
    }

    // A single diagnostic is shown as itself, and several are shown as a list.
    fn labels(&self) -> Option<Box<dyn Iterator<Item = miette::LabeledSpan> + '_>> {
        match &*self.list {
            [only] => only.labels(),
            _ => None,
        }
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        match &*self.list {
            [only] => only.help(),
            _ => None,
        }
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn miette::Diagnostic> + 'a>> {
        (self.list.len() > 1).then(|| {
            Box::new(self.list.iter().map(|located| located as &dyn miette::Diagnostic))
                as Box<dyn Iterator<Item = &'a dyn miette::Diagnostic> + 'a>
        })
    }
}

impl fmt::Display for Located {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.0.code.is_empty() {
            write!(f, "{}: ", self.0.code)?;
        }
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for Located {}

impl miette::Diagnostic for Located {
    fn severity(&self) -> Option<miette::Severity> {
        self.0.warning.then_some(miette::Severity::Warning)
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.0.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = miette::LabeledSpan> + '_>> {
        let span = self.0.span?;
        Some(Box::new(std::iter::once(miette::LabeledSpan::new_with_span(Some(self.0.label.clone()), span))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use miette::SourceCode;

    /// The expected values are those of miette's own reader, which reads the text from its first byte.
    #[test]
    fn snippets_equal_those_of_miette_s_reader() {
        let text = "FROM a\nRUN \\\n  x\n\nCOPY b /c\r\nRUN y\nENV ü=1";
        let (ours, theirs) = (Source::new("f", text.into()), miette::NamedSource::new("f", text.to_owned()));
        for start in (0..=text.len()).filter(|at| text.is_char_boundary(*at)) {
            for length in [0, 1, 5, 12].into_iter().filter(|length| start + length <= text.len()) {
                let span = miette::SourceSpan::new(start.into(), length);
                for (before, after) in [(0, 0), (1, 1), (2, 0)] {
                    let seen = |source: &dyn SourceCode| {
                        let found = source.read_span(&span, before, after).unwrap();
                        (found.data().to_vec(), *found.span(), found.line(), found.column())
                    };
                    assert_eq!(seen(&ours), seen(&theirs), "{start} {length} {before} {after}");
                }
            }
        }
    }
}
