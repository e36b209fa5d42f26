//! Text to instructions.
//!
//! *Takes* the text of a Dockerfile or an ignore file. *Gives* instructions with their positions in the text, or every
//! independent error as a diagnostic with spans. *Must never know* the file system, the network or a clock: no I/O
//! here.
//!
//! # Start here
//!
//! ```
//! use buildscope_dockerfile::{Keyword, parse};
//!
//! let file = parse("FROM alpine AS build\nRUN make\nFROM scratch\nCOPY --from=build /app /app\n")?;
//! let keywords: Vec<_> = file.instructions.iter().map(|instruction| instruction.keyword()).collect();
//! assert_eq!(keywords, [Keyword::From, Keyword::Run, Keyword::From, Keyword::Copy]);
//!
//! // An error points at characters and suggests what to write.
//! let error = parse("FROM alpine\nRUNN make\n").unwrap_err();
//! assert!(error.to_string().contains("did you mean RUN?"));
//! # Ok::<_, buildscope_dockerfile::Diagnostics>(())
//! ```
//!
//! [`lint`] reports problems, [`Expander`] expands variables, [`Ignore`] matches `.dockerignore` patterns, and
//! [`print()`] writes instructions as text.

#![forbid(unsafe_code)]

mod decode;
mod diagnostic;
pub mod duration;
pub mod expand;
mod file_text;
mod flags;
pub mod glob;
mod heredoc;
mod id;
mod ignore;
mod instruction;
mod lines;
pub mod lint;
pub mod mount;
mod node;
mod outline;
mod pattern;
mod ports;
mod print;
mod script;
mod span;
mod typed;
mod words;

pub use buildscope_commands::Keyword;
pub use decode::{DecodeError, decode};
pub use diagnostic::{Diagnostic, Diagnostics, closest, shortened};
pub use expand::{ExpandError, Expander, Variables};
pub use file_text::FileText;
pub use glob::{BadPattern, Glob};
pub use heredoc::Heredoc;
pub use id::{BadId, Id};
pub use ignore::{Ignore, IgnoreError, clean};
pub use instruction::{Argument, Command, Copy, From, Health, Instruction, Kind, Onbuild, Run};
pub use node::{Arguments, Directive, Node, Pair, Syntax, Word};
pub use outline::{Outline, StageOutline};
pub use ports::Ports;
pub use print::print;
pub use script::{Piece, Script, pieces_of_last};
pub use span::Span;

use std::borrow::Cow;
use std::sync::OnceLock;

/// A name that outlives the text of the Dockerfile. Short names need no allocation.
pub type Text = compact_str::CompactString;

/// The build arguments that every FROM line can use without an ARG (Dockerfile reference, "Automatic platform ARGs in
/// the global scope").
pub const PREDEFINED: [&str; 11] = [
    "BUILDPLATFORM",
    "BUILDOS",
    "BUILDOSVERSION",
    "BUILDARCH",
    "BUILDVARIANT",
    "TARGETPLATFORM",
    "TARGETOS",
    "TARGETOSVERSION",
    "TARGETARCH",
    "TARGETVARIANT",
    "TARGETSTAGE",
];

/// A parsed Dockerfile.
#[derive(Clone, Debug)]
pub struct Dockerfile<'t> {
    /// The text of the file. Spans are positions in it.
    pub text: &'t str,
    /// The directives at the head of the file.
    pub directives: Vec<Directive>,
    /// The escape character of the file: `\` or a backtick.
    pub escape: char,
    /// The instructions in the order of the file.
    pub instructions: Vec<Instruction<'t>>,
    /// The positions of all comment lines.
    pub comments: Vec<Span>,
    /// The instructions with errors.
    broken: Vec<Broken>,
    /// The start of each line, computed at the first use.
    line_starts: OnceLock<Vec<usize>>,
}

/// An instruction with errors, as far as lint rules apply to it.
#[derive(Clone, Debug)]
struct Broken {
    /// `None` if the keyword is unknown.
    keyword: Option<Keyword>,
    keyword_span: Span,
    /// The first and the last line, counted from 1.
    lines: (u32, u32),
    comments: (u32, u32),
    blank_inside: Option<u32>,
}

/// Parses a Dockerfile.
///
/// # Errors
/// Every independent error of the file.
pub fn parse(text: &str) -> Result<Dockerfile<'_>, Diagnostics> {
    let parsed = Parsed::of(text);
    if parsed.diagnostics.is_empty() { Ok(parsed.file) } else { Err(Diagnostics::new(text, parsed.diagnostics)) }
}

/// The result of parsing a text that may have errors.
#[derive(Clone, Debug)]
pub struct Parsed<'t> {
    /// The valid instructions.
    pub file: Dockerfile<'t>,
    /// The errors of the invalid instructions.
    pub diagnostics: Vec<Diagnostic>,
    /// Whether stages and variables are known in spite of the errors, so that the valid instructions can be checked
    /// further.
    pub stages_known: bool,
    /// The place at which BuildKit's front end stops because of the errors.
    pub stop: Option<lint::Stop>,
}

impl<'t> Parsed<'t> {
    /// Parses every instruction that is valid.
    pub fn of(text: &'t str) -> Self {
        // There are at most as many instructions as lines. Capacity that is not used is never touched, so it is free.
        let mut instructions = Vec::with_capacity(memchr::memchr_iter(b'\n', text.as_bytes()).count() + 1);
        let mut word_diagnostics = Vec::new();
        let mut broken = Vec::new();
        let mut stages_known = true;
        let (mut has_stage, mut before_first_stage) = (false, None);
        let (syntax, mut diagnostics) = Syntax::read(
            text,
            |line| line,
            |node| {
                let keyword = node.kind;
                has_stage |= keyword == Some(Keyword::From);
                if !has_stage && before_first_stage.is_none() && keyword.is_some_and(|keyword| keyword != Keyword::Arg)
                {
                    before_first_stage = Some(node.keyword.clone());
                }
                match typed::instruction(node, text) {
                    Ok(instruction) => instructions.push(instruction),
                    Err(found) => {
                        broken.push(Broken {
                            keyword,
                            keyword_span: node.keyword.span,
                            lines: node.lines,
                            comments: node.comments,
                            blank_inside: node.blank_inside,
                        });
                        stages_known &= !matches!(keyword, None | Some(Keyword::From | Keyword::Arg | Keyword::Env));
                        word_diagnostics.extend(found);
                    }
                }
            },
        );
        stages_known &= !syntax.incomplete;
        let at = |span: Span| lint::Stop::at(lint::Pass::Instructions, span.range().start);
        let mut stop = if diagnostics.is_empty() {
            let broken = broken.iter().map(|broken| broken.keyword_span);
            broken.chain(before_first_stage.iter().map(|word: &Word<'_>| word.span)).map(at).min()
        } else {
            Some(lint::Stop::NOTHING)
        };
        diagnostics.append(&mut word_diagnostics);
        if let Some(word) = before_first_stage {
            stages_known = false;
            diagnostics.push(
                Diagnostic::new(word.span, "no build stage in current context: FROM must come first")
                    .label("only ARG is allowed before the first FROM")
                    .help("move this line below a FROM"),
            );
        } else if !has_stage && diagnostics.is_empty() {
            stages_known = false;
            let (message, end) = match &*instructions {
                [] => ("file with no instructions: the Dockerfile is empty", lint::Stop::NOTHING),
                _ => (
                    "dockerfile contains no stages to build: there is no FROM",
                    lint::Stop::after(lint::Pass::Instructions),
                ),
            };
            stop = Some(end);
            let start = Span::new(0, text.chars().next().map_or(0, char::len_utf8));
            diagnostics.push(Diagnostic::new(start, message).help("start the file with FROM image"));
        }
        let file = Dockerfile {
            text,
            directives: syntax.directives,
            escape: syntax.escape,
            instructions,
            comments: syntax.comments,
            broken,
            line_starts: OnceLock::new(),
        };
        Self { file, diagnostics, stages_known: stages_known && has_stage, stop }
    }
}

/// Parses a single instruction, such as an ONBUILD trigger of a base image.
///
/// # Errors
/// The message of the first error.
pub fn parse_trigger(text: &str) -> Result<Instruction<'static>, String> {
    let mut nodes = Vec::new();
    let (_, diagnostics) = Syntax::read(text, lines::Logical::owned, |node| nodes.push(std::mem::take(node)));
    if let Some(diagnostic) = diagnostics.first() {
        return Err(diagnostic.message.clone());
    }
    let [mut node] =
        <[Node<'_>; 1]>::try_from(nodes).map_err(|_| "onbuild trigger should be a single expression".to_owned())?;
    let instruction = typed::instruction(&mut node, text).map_err(|diagnostics| match diagnostics.first() {
        Some(diagnostic) => diagnostic.message.clone(),
        None => "malformed".into(),
    })?;
    match instruction.keyword() {
        keyword @ (Keyword::From | Keyword::Maintainer | Keyword::Onbuild) => {
            Err(format!("{} isn't allowed as an ONBUILD trigger", keyword.name()))
        }
        _ => Ok(instruction),
    }
}

impl<'t> Dockerfile<'t> {
    /// Returns a directive by its name: `syntax`, `escape` or `check`.
    pub fn directive(&self, name: &str) -> Option<&Directive> {
        self.directives.iter().find(|directive| directive.name == name)
    }

    /// Returns the comment lines directly above an instruction.
    pub(crate) fn comments_above(&self, instruction: &Instruction<'_>) -> &[Span] {
        self.comments_in(instruction.comments)
    }

    fn comments_in(&self, (first, end): (u32, u32)) -> &[Span] {
        self.comments.get(first as usize..end as usize).unwrap_or_default()
    }

    /// Returns the keyword of an instruction as written.
    pub fn written(&self, instruction: &Instruction<'_>) -> Cow<'_, str> {
        let written = &self.text[instruction.keyword_span.range()];
        if Keyword::parse(written).is_some() {
            return written.into();
        }
        // A continuation splits the keyword, as in `R\` and `UN` on two lines.
        let joined = self.joined(instruction);
        joined.split(|c: char| c.is_ascii() && words::is_space(c as u8)).next().unwrap_or_default().to_owned().into()
    }

    /// Returns an instruction as written, with its lines joined and without comments and heredocs.
    pub fn joined(&self, instruction: &Instruction<'_>) -> String {
        self.joined_from(instruction.span.range().start)
    }

    /// Returns the instruction that starts at an offset, as [`Dockerfile::joined`] does.
    fn joined_from(&self, start: usize) -> String {
        let mut reader = lines::LineReader::new(&self.text[start..]);
        reader.escape = self.escape;
        reader.end_directives();
        match reader.item() {
            Some(lines::Item::Line(line)) => line.text.into_owned(),
            _ => String::new(),
        }
    }

    /// Returns the pieces of the file that make up a word: the offset of each in the word and in the file, ascending.
    /// Empty for a word of another text, such as an ONBUILD trigger of a base image.
    fn pieces(&self, word: &Word<'_>) -> Vec<(usize, usize)> {
        let start = word.span.range().start;
        let mut reader = lines::LineReader::new(self.text.get(start..).unwrap_or_default());
        reader.escape = self.escape;
        reader.end_directives();
        match reader.item() {
            Some(lines::Item::Line(line)) if line.text.starts_with(&*word.text) => {
                let within = line.pieces().iter().filter(|(at, _)| *at < word.text.len());
                within.map(|&(at, offset)| (at, start + offset)).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Returns the line and the column of an offset, both counted from 1; columns are characters.
    fn line_and_column(&self, offset: usize) -> (u32, u32) {
        let starts = self.line_starts.get_or_init(|| {
            std::iter::once(0).chain(memchr::memchr_iter(b'\n', self.text.as_bytes()).map(|end| end + 1)).collect()
        });
        let before = self.text.get(..offset).unwrap_or(self.text);
        let line = starts.partition_point(|&start| start <= before.len());
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let column = before[starts[line - 1]..].chars().count();
        (number(line), number(column).saturating_add(1))
    }

    /// Returns the same text as [`Dockerfile::joined`], with every run of spaces reduced to one space.
    pub fn one_line(&self, instruction: &Instruction<'_>) -> String {
        let joined = self.joined(instruction);
        let mut line = String::with_capacity(joined.len());
        for word in joined.split_whitespace() {
            if !line.is_empty() {
                line.push(' ');
            }
            line += word;
        }
        line
    }
}
