//! The syntax of a Dockerfile: instructions with split arguments, whose meaning is not checked yet.

use super::heredoc::Heredoc;
use super::lines::{Item, LineReader, Logical};
use super::words::{self, Json};
use super::{Diagnostic, Keyword, Span};
use std::borrow::Cow;

/// A word of the Dockerfile, not yet expanded.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Word<'t> {
    /// The word as written, with its quotes and escapes. It borrows from the text unless a continuation or an escape
    /// changes it.
    pub text: Cow<'t, str>,
    /// The position in the text.
    pub span: Span,
}

impl<'t> Word<'t> {
    /// Returns a part of the word.
    #[inline]
    pub(super) fn part(&self, start: usize, end: usize) -> Cow<'t, str> {
        match &self.text {
            Cow::Borrowed(text) => text[start..end].into(),
            Cow::Owned(text) => text[start..end].to_owned().into(),
        }
    }
}

impl std::ops::Deref for Word<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

/// A name and its value.
#[derive(Clone, PartialEq, Debug)]
pub struct Pair<'t> {
    /// The name as written.
    pub name: Word<'t>,
    /// The value as written.
    pub value: Word<'t>,
    /// Whether the pair is written as `NAME value` and not as `NAME=value`.
    pub legacy: bool,
}

/// A parser directive: a line `# key=value` at the head of the file.
#[derive(Clone, PartialEq, Debug)]
pub struct Directive {
    /// The name in lower case: `syntax`, `escape` or `check`.
    pub name: String,
    /// The value as written.
    pub value: String,
    /// The position of the line.
    pub span: Span,
    /// The position of the value.
    pub value_span: Span,
}

/// The arguments of an instruction, after the keyword and the flags.
#[derive(Clone, PartialEq, Debug)]
pub enum Arguments<'t> {
    /// Words that are separated by spaces.
    Words(Vec<Word<'t>>),
    /// The strings of a JSON array.
    Json(Vec<Word<'t>>),
    /// The rest of the line, which may be empty.
    Rest(Word<'t>),
    /// The pairs of ENV and LABEL.
    Pairs(Vec<Pair<'t>>),
    /// The type of a HEALTHCHECK (CMD or NONE), and its command.
    Health(Word<'t>, Box<Arguments<'t>>),
    /// The instruction that an ONBUILD triggers.
    Trigger(Box<Node<'t>>),
}

impl Default for Arguments<'_> {
    fn default() -> Self {
        Self::Words(Vec::new())
    }
}

/// One instruction of the file.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Node<'t> {
    /// The keyword as written.
    pub keyword: Word<'t>,
    /// The instruction that the keyword names. `None` if the keyword is unknown.
    pub kind: Option<Keyword>,
    /// The `--flags` without their quotes.
    pub flags: Vec<Word<'t>>,
    /// The arguments after the flags.
    pub arguments: Arguments<'t>,
    /// The heredocs that follow the instruction.
    pub heredocs: Vec<Heredoc>,
    /// The position from the keyword to the last character, heredocs included.
    pub span: Span,
    /// The first and the last line, counted from 1.
    pub lines: (u32, u32),
    /// The range of comments directly above the instruction, as indices of [`Syntax::comments`].
    pub comments: (u32, u32),
    /// The last line of the continuation, before any heredocs, if there is a blank line within it.
    pub blank_inside: Option<u32>,
    /// The instruction that an ONBUILD triggers, on one line.
    pub trigger_text: Option<String>,
}

/// The syntax of a whole text.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Syntax<'t> {
    /// The directives in the order of the text.
    pub directives: Vec<Directive>,
    /// The instructions in the order of the text.
    pub nodes: Vec<Node<'t>>,
    /// The positions of all comment lines.
    pub comments: Vec<Span>,
    /// The escape character of the text.
    pub escape: char,
    /// Whether some lines could not be split with certainty, so that their instructions are unknown.
    pub(super) incomplete: bool,
}

impl<'t> Syntax<'t> {
    /// Parses a text. Returns the valid instructions together with every error.
    pub fn parse(text: &'t str) -> (Self, Vec<Diagnostic>) {
        let mut nodes = Vec::new();
        let (syntax, diagnostics) = Self::read(text, |line| line, |node| nodes.push(std::mem::take(node)));
        (Self { nodes, ..syntax }, diagnostics)
    }

    /// Parses a text and passes each instruction to `found`. The node is passed by reference, because nodes are large
    /// and numerous. Its words borrow from the text, or from the line that `keep` returns.
    pub(super) fn read<'s>(
        text: &'s str,
        keep: impl Fn(Logical<'s>) -> Logical<'t>,
        mut found: impl FnMut(&mut Node<'t>),
    ) -> (Self, Vec<Diagnostic>) {
        if u32::try_from(text.len()).is_err() {
            let diagnostic = Diagnostic::without_position("the Dockerfile is too large: the limit is 4 GiB");
            return (
                Self { incomplete: true, ..Self::default() },
                vec![diagnostic.help("put the data in files of the context")],
            );
        }
        let mut reader = LineReader::new(text);
        let mut diagnostics = Vec::new();
        let mut syntax = Self::default();
        // The index of the first comment directly above the next instruction.
        let mut above = 0;
        while let Some(item) = reader.item() {
            match item {
                Item::Directive { key, value, span, value_span } => {
                    match directive(&syntax.directives, key, value, span, value_span) {
                        Ok(Some(found)) => {
                            if found.name == "escape" {
                                reader.escape = found.value.chars().next().unwrap_or('\\');
                            }
                            syntax.directives.push(found);
                        }
                        Ok(None) => {
                            reader.end_directives();
                            syntax.comments.push(span);
                        }
                        Err(diagnostic) => {
                            syntax.incomplete |= key.eq_ignore_ascii_case("escape");
                            diagnostics.push(diagnostic);
                        }
                    }
                }
                Item::Comment(comment, span) => {
                    syntax.comments.push(span);
                    if comment.is_empty() {
                        above = syntax.comments.len();
                    }
                }
                Item::Line(line) => {
                    let line = keep(line);
                    let comments =
                        Span::new(std::mem::replace(&mut above, syntax.comments.len()), syntax.comments.len());
                    let mut read = node(&line, 0, reader.escape);
                    match &mut read {
                        Ok(node) => {
                            if let Err(diagnostic) = heredocs(node, &line, &mut reader) {
                                syntax.incomplete = true;
                                diagnostics.push(diagnostic);
                            }
                            node.comments = (comments.start, comments.end);
                            found(node);
                        }
                        Err(diagnostic) => {
                            skip_heredocs(&line, &mut reader);
                            syntax.incomplete = true;
                            diagnostics.push(diagnostic.clone());
                        }
                    }
                }
            }
        }
        syntax.escape = reader.escape;
        syntax.incomplete |= !reader.diagnostics.is_empty();
        diagnostics.append(&mut reader.diagnostics);
        (syntax, diagnostics)
    }
}

fn directive(
    seen: &[Directive],
    key: &str,
    value: &str,
    span: Span,
    value_span: Span,
) -> Result<Option<Directive>, Diagnostic> {
    let name = key.to_ascii_lowercase();
    if !matches!(&*name, "syntax" | "escape" | "check") {
        return Ok(None);
    }
    if seen.iter().any(|directive| directive.name == name) {
        return Err(Diagnostic::new(span, format!("only one {name} parser directive can be used"))
            .label("the second one")
            .help("remove it"));
    }
    if name == "escape" && !matches!(value, "\\" | "`") {
        return Err(Diagnostic::new(value_span, format!("invalid ESCAPE '{value}': it does not match ` or \\"))
            .label("neither ` nor \\")
            .help("write # escape=` or # escape=\\"));
    }
    Ok(Some(Directive { name, value: value.into(), span, value_span }))
}

/// Splits the instruction in `line[from..]`.
fn node<'t>(line: &Logical<'t>, from: usize, escape: char) -> Result<Node<'t>, Diagnostic> {
    let text = &*line.text;
    let (start, end) = words::trim(text, from, text.len());
    let bytes = &text.as_bytes()[..end];
    let keyword_end = bytes[start..].iter().position(|b| words::is_space(*b)).map_or(end, |at| start + at);
    let word = |start: usize, end: usize| line.word(start, end);
    let keyword = word(start, keyword_end);
    let (args_start, args_end) = words::trim(text, keyword_end, end);
    let mut flags = Vec::new();
    let rest = words::flags(text, args_start, args_end, &mut |unquoted, start, end| {
        flags.push(match unquoted {
            None => word(start, end),
            Some(text) => Word { text: text.into(), span: line.span_of(start, end) },
        });
    });
    let (rest, rest_end) = words::trim(text, rest, args_end);

    let list = || {
        let split = words::Split::new(text, rest, rest_end);
        let mut words = Vec::with_capacity(split.clone().count());
        for (start, end) in split {
            words.push(word(start, end));
        }
        words
    };
    let json =
        |from: usize| if text.as_bytes().get(from) == Some(&b'[') { exec(line, from, rest_end) } else { Ok(None) };
    let kind = Keyword::parse(&keyword);
    let mut trigger_text = None;
    let arguments = match kind {
        Some(Keyword::Add | Keyword::Copy | Keyword::Volume) => json(rest)?.unwrap_or_else(|| Arguments::Words(list())),
        Some(Keyword::Run | Keyword::Cmd | Keyword::Entrypoint | Keyword::Shell) => {
            json(rest)?.unwrap_or_else(|| Arguments::Rest(word(rest, rest_end)))
        }
        Some(Keyword::Env | Keyword::Label) => Arguments::Pairs(pairs(line, &keyword, rest, rest_end, escape)?),
        Some(Keyword::Arg) => {
            let mut words = Vec::with_capacity(1);
            words.extend(words::Quoted::new(text, rest, rest_end, escape).map(|(start, end)| word(start, end)));
            Arguments::Words(words)
        }
        Some(Keyword::From | Keyword::Expose) => Arguments::Words(list()),
        Some(Keyword::Healthcheck) => {
            let kind_end = text[rest..rest_end].find(char::is_whitespace).map_or(rest_end, |at| rest + at);
            let (command, _) = words::trim(text, kind_end, rest_end);
            let command = json(command)?.unwrap_or_else(|| Arguments::Rest(word(command, rest_end)));
            Arguments::Health(word(rest, kind_end), Box::new(command))
        }
        // An ONBUILD within an ONBUILD is an error later, so it is not parsed here.
        Some(Keyword::Onbuild) if rest < rest_end && from == 0 => {
            // ONBUILD takes no flags. They belong to the instruction that it triggers.
            trigger_text = Some(text[args_start..args_end].to_owned());
            Arguments::Trigger(Box::new(node(line, args_start, escape)?))
        }
        Some(Keyword::Maintainer | Keyword::Stopsignal | Keyword::User | Keyword::Workdir | Keyword::Onbuild)
        | None => Arguments::Rest(word(rest, rest_end)),
    };
    Ok(Node {
        keyword,
        kind,
        flags,
        arguments,
        heredocs: Vec::new(),
        span: line.span,
        lines: line.lines,
        comments: (0, 0),
        blank_inside: line.blank_inside,
        trigger_text,
    })
}

/// Parses the JSON form. Returns `None` if the text is not a JSON array.
fn exec<'t>(line: &Logical<'t>, from: usize, to: usize) -> Result<Option<Arguments<'t>>, Diagnostic> {
    let span = line.span_of(from, to);
    match words::json(&line.text[from..to]) {
        Json::Strings(strings) => {
            Ok(Some(Arguments::Json(strings.into_iter().map(|text| Word { text: text.into(), span }).collect())))
        }
        Json::NotStrings => {
            Err(Diagnostic::new(span, "when using JSON array syntax, arrays must be comprised of strings only")
                .label("this array has an element that is not a string")
                .help("put every argument in double quotes"))
        }
        Json::None => Ok(None),
    }
}

fn pairs<'t>(
    line: &Logical<'t>,
    keyword: &str,
    from: usize,
    end: usize,
    escape: char,
) -> Result<Vec<Pair<'t>>, Diagnostic> {
    let text = &*line.text;
    let word = |start: usize, end: usize| line.word(start, end);
    // There is one pair for each `=`, or fewer if a value contains one.
    let mut pairs = Vec::with_capacity(memchr::memchr_iter(b'=', &text.as_bytes()[from..end]).count());
    for (start, end_of_word) in words::Quoted::new(text, from, end, escape) {
        match memchr::memchr(b'=', &text.as_bytes()[start..end_of_word]) {
            Some(at) => pairs.push(Pair {
                name: word(start, start + at),
                value: word(start + at + 1, end_of_word),
                legacy: false,
            }),
            None if pairs.is_empty() => return legacy_pair(line, keyword, from, end).map(|pair| vec![pair]),
            None => {
                return Err(Diagnostic::new(
                    line.span_of(start, end_of_word),
                    format!("can't find = in {:?}: must be of the form name=value", &text[start..end_of_word]),
                )
                .label("no = in this word")
                .help("quote a value that has spaces in it: name=\"a b\""));
            }
        }
    }
    Ok(pairs)
}

/// Parses the legacy form, in which the first word is the name and the rest of the line is the value.
fn legacy_pair<'t>(line: &Logical<'t>, keyword: &str, from: usize, end: usize) -> Result<Pair<'t>, Diagnostic> {
    let text = &*line.text;
    let word = |start: usize, end: usize| line.word(start, end);
    let name_end = text[from..end].bytes().position(words::is_space).map_or(end, |at| from + at);
    let value = name_end + text[name_end..end].bytes().take_while(|b| words::is_space(*b)).count();
    if value >= end {
        let keyword = keyword.to_ascii_uppercase();
        return Err(Diagnostic::new(line.span_of(from, end), format!("{keyword} must have two arguments"))
            .label("a name without a value")
            .help(format!("write {keyword} {}=value", &text[from..name_end])));
    }
    Ok(Pair { name: word(from, name_end), value: word(value, end), legacy: true })
}

/// Reads the heredocs that follow an instruction.
fn heredocs(node: &mut Node<'_>, line: &Logical<'_>, reader: &mut LineReader<'_>) -> Result<(), Diagnostic> {
    if !reader.may_start_heredoc(line.span) || !line.text.contains("<<") || !takes_heredocs(node) {
        return Ok(());
    }
    if node.kind.is_none() {
        if let Some(end) = skip_heredocs(line, reader) {
            node.span = Span::new(node.span.range().start, end);
        }
        return Ok(());
    }
    let mut heredocs = Heredoc::of_line(&line.text).map_err(|error| {
        Diagnostic::new(line.span, error.to_string()).label("the quotes of a heredoc's delimiter do not match")
    })?;
    for heredoc in &mut heredocs {
        let start = reader.position();
        heredoc.span = Span::new(start, start);
        loop {
            let Some(physical) = reader.physical() else {
                return Err(Diagnostic::new(line.span, "unterminated heredoc")
                    .label(format!("no line is exactly `{}`", heredoc.name))
                    .help(format!("end the heredoc with a line that is exactly `{}`", heredoc.name)));
            };
            if heredoc.ends_with(physical.content) {
                node.span = Span::new(node.span.range().start, physical.start + physical.content.len());
                break;
            }
            heredoc.span = Span::new(start, reader.position());
        }
        heredoc.content = reader.part(heredoc.span).to_owned();
    }
    node.lines.1 = reader.number();
    node.heredocs = heredocs;
    Ok(())
}

fn takes_heredocs(node: &Node<'_>) -> bool {
    match node.kind {
        Some(Keyword::Add | Keyword::Copy | Keyword::Run) => !matches!(node.arguments, Arguments::Json(_)),
        Some(Keyword::Onbuild) => match &node.arguments {
            Arguments::Trigger(inner) => inner.kind != Some(Keyword::Onbuild) && takes_heredocs(inner),
            _ => false,
        },
        Some(_) => false,
        // The instruction may be a misspelt RUN, and the lines of its heredoc are not instructions.
        None => true,
    }
}

/// Skips the heredocs of an invalid instruction, because their lines are not instructions. A heredoc without an end is
/// not skipped. Returns the end of the last one.
fn skip_heredocs(line: &Logical<'_>, reader: &mut LineReader<'_>) -> Option<usize> {
    let mut end = None;
    for heredoc in Heredoc::of_line(&line.text).unwrap_or_default() {
        let mut ahead = reader.ahead();
        while let Some(physical) = ahead.physical() {
            if heredoc.ends_with(physical.content) {
                end = Some(physical.start + physical.content.len());
                reader.resume(&ahead);
                break;
            }
        }
    }
    end
}
