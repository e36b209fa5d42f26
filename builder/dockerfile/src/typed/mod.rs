//! Turns syntax into instructions, and checks the arguments and flags of each.

use super::duration::{self, BadDuration};
use super::flags::{Flags, Takes};
use super::instruction::{Argument, Command, Copy, From, Health, Instruction, Kind, Onbuild, Run};
use super::mount;
use super::{Arguments, Diagnostic, Heredoc, Keyword, Node, Pair, Span, Word};
use std::time::Duration;

/// The minimum time of HEALTHCHECK (docker's `container.MinimumDuration`).
const SHORTEST_INTERVAL: Duration = Duration::from_millis(1);

/// Returns the instruction of a node.
///
/// # Errors
/// Every error of the instruction.
pub(super) fn instruction<'t>(node: &mut Node<'t>, source: &str) -> Result<Instruction<'t>, Vec<Diagnostic>> {
    let Some(keyword) = node.kind else {
        let diagnostic = Diagnostic::new(node.keyword.span, format!("unknown instruction: {}", node.keyword.text))
            .label("not a Dockerfile instruction")
            .did_you_mean(&node.keyword, Keyword::ALL.iter().map(|keyword| keyword.name()));
        return Err(vec![match diagnostic.help {
            Some(_) => diagnostic,
            None => diagnostic.help("to continue an instruction on a new line, end the line before with `\\`"),
        }]);
    };
    let mut diagnostics = Vec::new();
    let kind = kind(keyword, node, source, &mut diagnostics);
    match kind {
        Some(kind) if diagnostics.is_empty() => Ok(Instruction {
            kind,
            keyword_span: node.keyword.span,
            span: node.span,
            lines: node.lines,
            comments: node.comments,
            blank_inside: node.blank_inside,
        }),
        _ => Err(diagnostics),
    }
}

/// Returns the flags that an instruction takes.
fn known_flags(keyword: Keyword) -> &'static [(&'static str, Takes)] {
    use Takes::{Switch, Value, Values};
    match keyword {
        Keyword::From => &[("platform", Value), ("after", Value)],
        Keyword::Run => &[("mount", Values), ("network", Value), ("security", Value), ("device", Values)],
        Keyword::Copy => &[
            ("from", Value),
            ("chown", Value),
            ("chmod", Value),
            ("link", Switch),
            ("parents", Switch),
            ("exclude", Values),
        ],
        Keyword::Add => &[
            ("chown", Value),
            ("chmod", Value),
            ("link", Switch),
            ("keep-git-dir", Switch),
            ("checksum", Value),
            ("exclude", Values),
            ("unpack", Switch),
        ],
        Keyword::Healthcheck => &[
            ("interval", Value),
            ("timeout", Value),
            ("start-period", Value),
            ("start-interval", Value),
            ("retries", Value),
        ],
        _ => &[],
    }
}

fn kind<'t>(
    keyword: Keyword,
    node: &mut Node<'t>,
    source: &str,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<Kind<'t>> {
    let arguments = std::mem::take(&mut node.arguments);
    if matches!(arguments, Arguments::Trigger(_)) {
        // The flags after ONBUILD belong to the instruction that it triggers.
        node.flags.clear();
    }
    let flags = Flags::read(node, known_flags(keyword), diagnostics);
    match (keyword, arguments) {
        (Keyword::From, Arguments::Words(words)) => {
            from(node, words, &flags, diagnostics).map(|from| Kind::From(Box::new(from)))
        }
        (Keyword::Arg, Arguments::Words(words)) => self::arguments(node, words, diagnostics).map(Kind::Arg),
        (Keyword::Env, Arguments::Pairs(pairs)) => self::pairs(keyword, node, pairs, diagnostics).map(Kind::Env),
        (Keyword::Label, Arguments::Pairs(pairs)) => self::pairs(keyword, node, pairs, diagnostics).map(Kind::Label),
        (Keyword::Run, arguments) => {
            if !node.flags.is_empty() {
                run_flags(&flags, diagnostics);
            }
            let heredocs = std::mem::take(&mut node.heredocs).into_boxed_slice();
            Some(Kind::Run(Run { flags, command: command(arguments)?, heredocs }))
        }
        (Keyword::Copy | Keyword::Add, Arguments::Words(words)) => {
            copy(keyword, node, CopyWords { words, json: false }, flags, diagnostics).map(Kind::Copy)
        }
        (Keyword::Copy | Keyword::Add, Arguments::Json(words)) => {
            copy(keyword, node, CopyWords { words, json: true }, flags, diagnostics).map(Kind::Copy)
        }
        (Keyword::Workdir, Arguments::Rest(word)) => exactly_one(node, word, diagnostics).map(Kind::Workdir),
        (Keyword::User, Arguments::Rest(word)) => exactly_one(node, word, diagnostics).map(Kind::User),
        (Keyword::Stopsignal, Arguments::Rest(word)) => exactly_one(node, word, diagnostics).map(Kind::Stopsignal),
        (Keyword::Maintainer, Arguments::Rest(word)) => exactly_one(node, word, diagnostics).map(Kind::Maintainer),
        (Keyword::Cmd, arguments) => command(arguments).map(Kind::Cmd),
        (Keyword::Entrypoint, arguments) => command(arguments).map(Kind::Entrypoint),
        (Keyword::Shell, arguments) => shell(node, arguments, diagnostics).map(Kind::Shell),
        (Keyword::Expose, Arguments::Words(words)) if !words.is_empty() => Some(Kind::Expose(words)),
        (Keyword::Volume, Arguments::Words(words) | Arguments::Json(words)) if !words.is_empty() => {
            volume(&words, diagnostics);
            Some(Kind::Volume(words))
        }
        (Keyword::Healthcheck, Arguments::Health(word, command)) => {
            health(node, &word, *command, &flags, diagnostics).map(|health| Kind::Healthcheck(Box::new(health)))
        }
        (Keyword::Onbuild, Arguments::Trigger(mut inner)) => {
            onbuild(node, &mut inner, source, diagnostics).map(|onbuild| Kind::Onbuild(Box::new(onbuild)))
        }
        _ => {
            diagnostics.push(at_least_one(node, "argument"));
            None
        }
    }
}

/// Checks the pairs of ENV and LABEL.
fn pairs<'t>(
    keyword: Keyword,
    node: &Node<'t>,
    pairs: Vec<Pair<'t>>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<Vec<Pair<'t>>> {
    if pairs.is_empty() {
        diagnostics.push(at_least_one(node, "NAME=value"));
        return None;
    }
    let name = keyword.name();
    for pair in pairs.iter().filter(|pair| pair.name.is_empty()) {
        diagnostics.push(
            Diagnostic::new(pair.value.span, format!("{name} names can not be blank"))
                .label("no name before the =")
                .help(format!("write {name} NAME=value")),
        );
    }
    Some(pairs)
}

fn shell<'t>(node: &Node<'t>, arguments: Arguments<'t>, diagnostics: &mut Vec<Diagnostic>) -> Option<Vec<Word<'t>>> {
    match arguments {
        Arguments::Json(words) if !words.is_empty() => Some(words),
        _ => {
            diagnostics.push(
                Diagnostic::new(node.span, "SHELL requires the arguments to be in JSON form")
                    .label("not a JSON array of strings, or an empty one")
                    .help("write SHELL [\"/bin/sh\", \"-c\"]"),
            );
            None
        }
    }
}

fn volume(words: &[Word<'_>], diagnostics: &mut Vec<Diagnostic>) {
    if let Some(word) = words.iter().find(|word| word.trim().is_empty()) {
        diagnostics
            .push(Diagnostic::new(word.span, "VOLUME specified can not be an empty string").help("name a directory"));
    }
}

fn at_least_one(node: &Node<'_>, what: &str) -> Diagnostic {
    let name = node.keyword.to_ascii_uppercase();
    Diagnostic::new(node.span, format!("{name} requires at least one argument"))
        .label("nothing follows")
        .help(format!("write {name} {what}"))
}

fn exactly_one<'t>(node: &Node<'t>, word: Word<'t>, diagnostics: &mut Vec<Diagnostic>) -> Option<Word<'t>> {
    if word.is_empty() {
        let name = node.keyword.to_ascii_uppercase();
        diagnostics.push(
            Diagnostic::new(node.span, format!("{name} requires exactly one argument"))
                .label("nothing follows")
                .help(format!("write {name} argument")),
        );
        return None;
    }
    Some(word)
}

fn run_flags(flags: &Flags<'_>, diagnostics: &mut Vec<Diagnostic>) {
    diagnostics.extend(flags.values("mount").filter_map(|mount| mount::Spec::check(mount).err()));
    one_of(flags.value("network"), "network", &["default", "none", "host"], diagnostics);
    one_of(flags.value("security"), "security", &["sandbox", "insecure"], diagnostics);
}

fn one_of(word: Option<&Word<'_>>, flag: &str, values: &[&str], diagnostics: &mut Vec<Diagnostic>) {
    let Some(word) = word else { return };
    if !values.contains(&&*word.text) && !word.contains('$') {
        let diagnostic = Diagnostic::new(word.span, format!("{flag} {:?} is not valid", word.text))
            .label("unknown value")
            .did_you_mean(word, values.iter().copied());
        diagnostics.push(match diagnostic.help {
            Some(_) => diagnostic,
            None => diagnostic.help(format!("use one of the values {}", values.join(", "))),
        });
    }
}

fn command(arguments: Arguments<'_>) -> Option<Command<'_>> {
    match arguments {
        Arguments::Json(words) => Some(Command::Exec(words.into())),
        Arguments::Rest(word) => Some(Command::Shell(word)),
        _ => None,
    }
}

fn from<'t>(
    node: &Node<'t>,
    words: Vec<Word<'t>>,
    flags: &Flags<'t>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<From<'t>> {
    let platform = flags.value("platform").cloned();
    let after = flags.value("after").cloned();
    let given = words.len();
    let second = words.get(1).map(|word| word.span);
    let mut words = words.into_iter();
    match (given, words.next(), words.next(), words.next()) {
        (1, Some(base), ..) => Some(From { platform, after, base, name: None, as_word: None }),
        (3, Some(base), Some(as_word), Some(name)) if as_word.eq_ignore_ascii_case("as") => {
            if !is_stage_name(&name) {
                diagnostics.push(
                    Diagnostic::new(
                        name.span,
                        format!(
                            "invalid name for build stage: {:?}, name can't start with a number or contain symbols",
                            name.text
                        ),
                    )
                    .label("not a valid stage name")
                    .help("start with a letter, and continue with letters, digits, `-`, `_` and `.`"),
                );
            }
            Some(From { platform, after, base, name: Some(name), as_word: Some(as_word) })
        }
        _ => {
            diagnostics.push(
                Diagnostic::new(second.unwrap_or(node.span), "FROM requires either one or three arguments")
                    .label(if given == 0 { "nothing follows" } else { "expected `AS name`, or nothing" })
                    .help("write FROM image, or FROM image AS name"),
            );
            None
        }
    }
}

/// Returns whether a name is valid by BuildKit's rule, which applies to the name in lower case: a letter, then letters,
/// digits, `-`, `_` and `.`.
fn is_stage_name(name: &str) -> bool {
    let valid = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    // A few letters outside ASCII have a lower case within ASCII.
    if name.is_ascii() { valid(name) } else { valid(&name.to_lowercase()) }
}

fn arguments<'t>(
    node: &Node<'t>,
    words: Vec<Word<'t>>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<Vec<Argument<'t>>> {
    if words.is_empty() {
        diagnostics.push(at_least_one(node, "NAME=default"));
        return None;
    }
    let mut arguments = Vec::with_capacity(words.len());
    for word in words {
        if word.text.is_empty() || word.text.starts_with('=') {
            diagnostics.push(
                Diagnostic::new(word.span, "ARG names can not be blank")
                    .label("no name")
                    .help("write ARG NAME=default"),
            );
        }
        arguments.push(match memchr::memchr(b'=', word.text.as_bytes()) {
            Some(at) => Argument { name: sub(&word, 0, at), default: Some(sub(&word, at + 1, word.text.len())) },
            None => Argument { name: word, default: None },
        });
    }
    Some(arguments)
}

/// Returns a part of a word. Its position is exact if the word is not split by a continuation, and else that of the
/// word.
fn sub<'t>(word: &Word<'t>, start: usize, end: usize) -> Word<'t> {
    let range = word.span.range();
    let exact = range.len() == word.text.len();
    let span = if exact { Span::new(range.start + start, range.start + end) } else { word.span };
    Word { text: word.part(start, end), span }
}

/// The sources and the destination of COPY or ADD.
struct CopyWords<'t> {
    words: Vec<Word<'t>>,
    /// Whether they are written as a JSON array, which has no heredocs.
    json: bool,
}

fn copy<'t>(
    keyword: Keyword,
    node: &Node<'t>,
    CopyWords { words, json }: CopyWords<'t>,
    flags: Flags<'t>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<Copy<'t>> {
    let name = keyword.name();
    let [sources @ .., destination] = &*words else {
        diagnostics.push(no_destination(node, name, 0));
        return None;
    };
    if sources.is_empty() {
        diagnostics.push(no_destination(node, name, 1));
        return None;
    }
    let heredoc = |word: &Word<'_>| if json { None } else { Heredoc::parse(word).ok().flatten() };
    if heredoc(destination).is_some() {
        diagnostics.push(
            Diagnostic::new(destination.span, format!("{name} cannot accept a heredoc as a destination"))
                .label("a heredoc")
                .help("put the destination last"),
        );
    }
    let add = keyword == Keyword::Add;
    // Most instructions have no heredocs, and then all words are sources.
    if !sources.iter().any(|word| heredoc(word).is_some()) {
        return Some(Copy { add, json, flags, words: words.into(), heredocs: Box::default() });
    }
    let mut heredocs = Vec::new();
    let mut others = Vec::with_capacity(words.len());
    for word in sources {
        match heredoc(word) {
            // The last of two heredocs with the same delimiter counts.
            Some(mark) => match node.heredocs.iter().rfind(|document| document.name == mark.name) {
                Some(document) => {
                    heredocs.push(Heredoc { chomp: mark.chomp, expand: mark.expand, ..document.clone() });
                }
                None => heredocs.push(mark),
            },
            None => others.push(word.clone()),
        }
    }
    others.push(destination.clone());
    Some(Copy { add, json, flags, words: others.into(), heredocs: heredocs.into() })
}

fn no_destination(node: &Node<'_>, name: &str, given: usize) -> Diagnostic {
    Diagnostic::new(
        node.span,
        format!(
            "{name} requires at least two arguments, but only {given} provided. Destination could not be determined"
        ),
    )
    .label("expected source and destination")
    .help(format!("write {name} source destination"))
}

fn health<'t>(
    node: &Node<'t>,
    word: &Word<'t>,
    arguments: Arguments<'t>,
    flags: &Flags<'t>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<Health<'t>> {
    match word.to_ascii_uppercase().as_str() {
        "" => {
            diagnostics.push(at_least_one(node, "CMD command"));
            None
        }
        "NONE" => {
            let nothing = match &arguments {
                Arguments::Json(words) => words.is_empty(),
                Arguments::Rest(rest) => rest.is_empty(),
                _ => true,
            };
            if !nothing {
                diagnostics.push(
                    Diagnostic::new(node.span, "HEALTHCHECK NONE takes no arguments").help("write HEALTHCHECK NONE"),
                );
            }
            Some(Health::None)
        }
        "CMD" => {
            let command = command(arguments)?;
            let empty = match &command {
                Command::Shell(text) => text.is_empty(),
                Command::Exec(words) => words.is_empty(),
            };
            if empty {
                diagnostics.push(
                    Diagnostic::new(node.span, "Missing command after HEALTHCHECK CMD")
                        .label("nothing follows CMD")
                        .help("write HEALTHCHECK CMD command"),
                );
            }
            let mut time = |name: &str| match flags.value(name) {
                Some(word) => interval(name, word).unwrap_or_else(|diagnostic| {
                    diagnostics.push(diagnostic);
                    Duration::ZERO
                }),
                None => Duration::ZERO,
            };
            let (period, timeout) = (time("interval"), time("timeout"));
            let (start_period, start_interval) = (time("start-period"), time("start-interval"));
            let retries = match flags.value("retries").map(|word| (word.parse::<i32>(), word)) {
                None => 0,
                Some((Ok(retries), _)) if retries >= 0 => i64::from(retries),
                Some((retries, word)) => {
                    let message = match retries {
                        Ok(retries) => format!("--retries cannot be negative ({retries})"),
                        Err(error) => format!("--retries: {error}: {:?}", word.text),
                    };
                    diagnostics
                        .push(Diagnostic::new(word.span, message).label("not a number").help("write --retries=3"));
                    0
                }
            };
            Some(Health::Command { command, interval: period, timeout, start_period, start_interval, retries })
        }
        other => {
            diagnostics.push(
                Diagnostic::new(word.span, format!("Unknown type {other:?} in HEALTHCHECK (try CMD)"))
                    .label("neither CMD nor NONE")
                    .help("write HEALTHCHECK CMD command"),
            );
            None
        }
    }
}

fn interval(name: &str, word: &Word<'_>) -> Result<Duration, Diagnostic> {
    let bad = |message: String| {
        Diagnostic::new(word.span, message)
            .label("invalid duration")
            .help(format!("write a duration such as --{name}=30s, 1m30s or 500ms"))
    };
    match duration::parse(word) {
        Ok(duration) if duration.is_zero() || duration >= SHORTEST_INTERVAL => Ok(duration),
        Ok(_) | Err(BadDuration::Negative) => Err(bad(format!("Interval {name:?} cannot be less than 1ms"))),
        Err(BadDuration::Malformed) => Err(bad(format!("invalid duration {:?}", word.text))),
    }
}

fn onbuild<'t>(
    node: &mut Node<'t>,
    inner: &mut Node<'t>,
    source: &str,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<Onbuild<'t>> {
    let trigger = inner.keyword.to_ascii_uppercase();
    let refused = match &*trigger {
        "ONBUILD" => Some("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed".to_owned()),
        "FROM" | "MAINTAINER" => Some(format!("{trigger} isn't allowed as an ONBUILD trigger")),
        _ => None,
    };
    if let Some(message) = refused {
        diagnostics.push(
            Diagnostic::new(inner.keyword.span, message)
                .label("not allowed here")
                .help("write any other instruction after ONBUILD"),
        );
        return None;
    }
    let mut text = node.trigger_text.take().unwrap_or_default();
    for document in &node.heredocs {
        text += "\n";
        text += &document.content;
        text += &document.name;
    }
    inner.heredocs = std::mem::take(&mut node.heredocs);
    match instruction(inner, source) {
        Ok(instruction) => Some(Onbuild { text, instruction }),
        Err(inner) => {
            diagnostics.extend(inner);
            None
        }
    }
}

#[cfg(test)]
mod tests;
