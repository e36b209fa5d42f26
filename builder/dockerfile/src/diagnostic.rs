//! Diagnostics: errors and advice that point at characters of a Dockerfile.

use super::{FileText, Span};
use std::collections::HashMap;
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
        let message = shortened(message.into());
        Self { message, label: "here".into(), span: Some(span), help: None, warning: false, code: "" }
    }

    /// Creates an error of the request, without a position in the file.
    pub fn without_position(message: impl Into<String>) -> Self {
        Self { span: None, ..Self::new(Span::default(), message) }
    }

    /// Sets the text next to the marked characters.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = shortened(label.into());
        self
    }

    /// Sets the advice on what to write instead.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(shortened(help.into()));
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
    source: FileText,
    list: Vec<Diagnostic>,
    printed: Vec<Printed>,
}

/// The number of diagnostics that are printed. A file of 16 MiB may have millions; the first line says how many there are.
const MOST_PRINTED: usize = 100;

/// The longest text of a message, in characters.
const LONGEST: usize = 600;

/// The text, with its middle left out if it is too long to be read. Messages quote words, which may have megabytes.
pub fn shortened(text: String) -> String {
    if text.len() <= LONGEST || text.chars().nth(LONGEST).is_none() {
        return text;
    }
    let boundary = |count: usize| text.char_indices().nth(count).map_or(text.len(), |(at, _)| at);
    let tail = text.char_indices().rev().nth(LONGEST / 4).map_or(0, |(at, _)| at);
    let (head, tail) = (&text[..boundary(LONGEST / 2)], &text[tail..]);
    // Lines stay whole, unless they are long.
    let head = head.rfind('\n').filter(|at| head.len() - at < LONGEST_PART).map_or(head, |at| &head[..=at]);
    let tail = tail.find('\n').filter(|&at| at < LONGEST_PART).map_or(tail, |at| &tail[at..]);
    format!("{head}…{tail}")
}

/// The longest part of a line that is left out next to a middle that is left out, in bytes.
const LONGEST_PART: usize = 100;

/// The number of places that are marked for one error.
const MOST_MARKED: usize = 10;

/// What is printed for a diagnostic. An error with several places, such as a missing base of several stages, is printed once.
#[derive(Clone, Debug)]
struct Printed {
    diagnostic: Diagnostic,
    /// The line of the first place, counted from 1.
    line: Option<usize>,
    /// For each place the part of its span that is marked in an excerpt.
    marked: Vec<Span>,
    /// The number of places. Not all may be marked.
    places: usize,
}

impl Printed {
    fn new(source: &FileText, diagnostic: &Diagnostic) -> Self {
        let line = diagnostic.span.map(|span| source.line(span.range().start));
        Self { diagnostic: diagnostic.clone(), line, marked: Vec::new(), places: 0 }
    }

    /// All diagnostics, errors that differ only in their place together. Advice stays apart: each is a finding.
    fn of(source: &FileText, list: &[Diagnostic]) -> Vec<Self> {
        let mut printed: Vec<Self> = Vec::new();
        let mut known = HashMap::new();
        for diagnostic in list {
            let Diagnostic { message, label, span: _, help, warning, code } = diagnostic;
            let at = if *warning {
                printed.len()
            } else {
                *known.entry((message, label, help, code)).or_insert(printed.len())
            };
            if at == printed.len() {
                printed.push(Self::new(source, diagnostic));
            }
            let error = &mut printed[at];
            let mark = diagnostic.span.map(|span| source.marked(span));
            if error.places > 0 && error.marked.last() == mark.as_ref() {
                continue;
            }
            error.places += 1;
            if error.marked.len() < MOST_MARKED {
                error.marked.extend(mark);
            }
        }
        printed
    }

    /// The text next to a marked place.
    fn label(&self, place: usize) -> String {
        match self.places - self.marked.len() {
            more if more > 0 && place + 1 == self.marked.len() => format!("also here, and in {more} more places"),
            _ if place == 0 => self.diagnostic.label.clone(),
            _ => "also here".to_owned(),
        }
    }
}

impl Diagnostics {
    /// Creates the diagnostics of a text, in the order of their positions. The file is named `Dockerfile` unless
    /// [`Diagnostics::named`] changes that.
    pub fn new(text: impl Into<Arc<str>>, mut list: Vec<Diagnostic>) -> Self {
        let source = FileText::new("Dockerfile", text);
        let length = Span::new(0, source.text().len()).end;
        list.sort_by_key(|diagnostic| diagnostic.span.map_or((0, 0), |span| (span.start, span.end)));
        for span in list.iter_mut().filter_map(|diagnostic| diagnostic.span.as_mut()) {
            span.end = span.end.min(length);
            span.start = span.start.min(span.end);
        }
        let printed = Printed::of(&source, &list);
        Self { source, list, printed }
    }

    /// Sets the file name that is printed.
    pub fn named(self, name: &str) -> Self {
        Self { source: self.source.named(name), ..self }
    }

    /// Returns the diagnostics in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.list.iter()
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
        let Some(first) = self.printed.first() else { return f.write_str("nothing") };
        if let Some(line) = first.line {
            write!(f, "{}:{line}: ", self.source.name())?;
        }
        write!(f, "{first}")?;
        match self.printed.len() {
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
        self.list.iter().all(|diagnostic| diagnostic.warning).then_some(miette::Severity::Warning)
    }

    // A single diagnostic is shown as itself, and several are shown as a list.
    fn labels(&self) -> Option<Box<dyn Iterator<Item = miette::LabeledSpan> + '_>> {
        match &*self.printed {
            [only] => only.labels(),
            _ => None,
        }
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        match &*self.printed {
            [only] => only.help(),
            _ => None,
        }
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn miette::Diagnostic> + 'a>> {
        (self.printed.len() > 1).then(|| {
            Box::new(self.printed.iter().take(MOST_PRINTED).map(|printed| printed as &dyn miette::Diagnostic))
                as Box<dyn Iterator<Item = &'a dyn miette::Diagnostic> + 'a>
        })
    }
}

impl fmt::Display for Printed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.diagnostic.code.is_empty() {
            write!(f, "{}: ", self.diagnostic.code)?;
        }
        f.write_str(&self.diagnostic.message)
    }
}

impl std::error::Error for Printed {}

impl miette::Diagnostic for Printed {
    fn severity(&self) -> Option<miette::Severity> {
        self.diagnostic.warning.then_some(miette::Severity::Warning)
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.diagnostic.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = miette::LabeledSpan> + '_>> {
        let label = |(place, &span)| miette::LabeledSpan::new_with_span(Some(self.label(place)), span);
        (!self.marked.is_empty())
            .then(|| Box::new(self.marked.iter().enumerate().map(label)) as Box<dyn Iterator<Item = _>>)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_of_many_errors_are_printed() {
        let text = "BOGUS\n".repeat(1000);
        let bogus = |line: usize| Diagnostic::new(Span::new(6 * line, 6 * line + 5), format!("bogus {line}"));
        let diagnostics = Diagnostics::new(text, (0..1000).map(bogus).collect());
        assert_eq!(miette::Diagnostic::related(&diagnostics).unwrap().count(), MOST_PRINTED);
        assert_eq!(diagnostics.to_string(), "Dockerfile:1: bogus 0 (and 999 more)");
    }

    #[test]
    fn an_error_in_several_places_is_printed_once() {
        let shown = |lines: usize| {
            let missing = |line: usize| Diagnostic::new(Span::new(6 * line, 6 * line + 5), "missing").label("no image");
            let report = miette::Report::new(Diagnostics::new("BOGUS\n".repeat(20), (0..lines).map(missing).collect()));
            let handler = miette::GraphicalReportHandler::new_themed(miette::GraphicalTheme::unicode_nocolor());
            let mut shown = String::new();
            handler.render_report(&mut shown, &*report).unwrap();
            shown
        };
        let three = shown(3);
        let count = |word: &str| three.matches(word).count();
        assert_eq!((count("missing"), count("no image"), count("also here")), (1, 1, 2), "{three}");
        let twenty = shown(20);
        assert!(twenty.contains("also here, and in 10 more places"), "{twenty}");
    }

    #[test]
    fn a_long_text_loses_its_middle() {
        let text = format!("start{}end", "é".repeat(1 << 20));
        let short = shortened(text);
        assert!(short.starts_with("start") && short.ends_with("end") && short.contains('…'), "{short}");
        assert!(short.chars().count() < LONGEST);
        assert_eq!(shortened("x".repeat(LONGEST)), "x".repeat(LONGEST));
        let lines: String = (100..400).map(|line| format!("echo line {line}\n")).collect();
        let short = shortened(lines);
        assert!(short.contains("\n…\necho line 3"), "{short}");
        assert!(short.lines().all(|line| line == "…" || line.len() == "echo line 100".len()), "{short}");
    }

    #[test]
    fn a_diagnostic_of_a_long_instruction_is_short() {
        let text = format!("FROM a\\\nENV A={}\n", "x\\\n".repeat(100_000));
        let diagnostic = Diagnostic::new(Span::new(0, text.len()), format!("failed: {text}")).label(text.clone());
        let report = miette::Report::new(Diagnostics::new(text.as_str(), vec![diagnostic]));
        let handler = miette::GraphicalReportHandler::new_themed(miette::GraphicalTheme::unicode_nocolor());
        let mut shown = String::new();
        handler.render_report(&mut shown, &*report).unwrap();
        assert!(shown.len() < 8000, "{} bytes", shown.len());
    }
}
