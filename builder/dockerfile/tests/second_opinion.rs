//! Compares our parser with the crate `parse-dockerfile`: instructions, their positions and their words must be the
//! same.
//!
//! The inputs are the Dockerfiles of the corpus and, if `BUILDSCOPE_CONFORMANCE` names a folder, those of its cases.

use buildscope_dockerfile::{self as dockerfile, Command, Copy, Kind};
use parse_dockerfile::{Command as TheirCommand, Instruction as Theirs, Source, UnescapedString};
use std::path::Path;

/// The cases in which the parsers differ, and why ours is right.
const DIFFERENCES: [(&str, &str); 2] = [
    ("kit/unknown-flag-fails", "they accept any flag; an unknown flag is an error for BuildKit and for us"),
    ("kit/expand-required-missing", "they do not parse ENV; a word without = is an error for BuildKit and for us"),
];

#[test]
fn both_parsers_find_the_same_instructions() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../workloads/corpus");
    let mut files: Vec<(String, String)> = Vec::new();
    for entry in std::fs::read_dir(corpus).unwrap() {
        let path = entry.unwrap().path().join("Dockerfile");
        if let Ok(text) = std::fs::read_to_string(&path) {
            files.push((path.display().to_string(), text));
        }
    }
    assert!(files.len() >= 20, "the corpus has {} Dockerfiles", files.len());
    if let Some(folder) = std::env::var_os("BUILDSCOPE_CONFORMANCE") {
        for entry in std::fs::read_dir(Path::new(&folder).join("cases")).unwrap() {
            let case: serde_json::Value =
                serde_json::from_str(&std::fs::read_to_string(entry.unwrap().path()).unwrap()).unwrap();
            files.push((case["id"].as_str().unwrap().to_owned(), case["text"].as_str().unwrap().to_owned()));
        }
    }
    let mut failures = Vec::new();
    for (name, text) in &files {
        let explained = DIFFERENCES.iter().any(|(id, _)| id == name);
        match compare(text) {
            Err(_) if explained => {}
            Err(failure) => failures.push(format!("{name}: {failure}")),
            Ok(()) if explained => failures.push(format!("{name}: no longer differs")),
            Ok(()) => {}
        }
    }
    eprintln!("{} of {} files parse to the same instructions", files.len() - failures.len(), files.len());
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn compare(text: &str) -> Result<(), String> {
    let (ours, theirs) = match (dockerfile::parse(text), parse_dockerfile::parse(text)) {
        (Ok(ours), Ok(theirs)) => (ours, theirs),
        (Err(_), Err(_)) => return Ok(()),
        (Err(ours), Ok(_)) => return Err(format!("we reject it: {ours}")),
        (Ok(_), Err(theirs)) => return Err(format!("they reject it: {theirs}")),
    };
    if ours.instructions.len() != theirs.instructions.len() {
        return Err(format!("{} instructions, they have {}", ours.instructions.len(), theirs.instructions.len()));
    }
    for (our, their) in ours.instructions.iter().zip(&theirs.instructions) {
        let (our, their) = (ours_said(our, text), theirs_said(their, text));
        if our != their {
            return Err(format!("\n  ours   {our:?}\n  theirs {their:?}"));
        }
    }
    Ok(())
}

/// The keyword and the words of an instruction.
type Said = (String, Vec<String>);

fn ours_said(instruction: &dockerfile::Instruction<'_>, text: &str) -> Said {
    let keyword = instruction.keyword().name().to_owned();
    let rest = |span: dockerfile::Span| vec![format!("text from {}", skipped(text, span.range().start))];
    let command = |command: &Command<'_>| match command {
        Command::Shell(word) if word.is_empty() => vec![String::new()],
        Command::Shell(word) => rest(word.span),
        Command::Exec(words) => words.iter().map(|word| word.text.to_string()).collect(),
    };
    let words = match &instruction.kind {
        Kind::From(from) => {
            [Some(&from.base), from.name.as_ref()].into_iter().flatten().map(|word| word.text.to_string()).collect()
        }
        Kind::Run(run) if run.heredocs.is_empty() => command(&run.command),
        Kind::Run(run) => run.heredocs.iter().map(|document| document.text().into_owned()).collect(),
        Kind::Copy(copy) => copied(copy),
        Kind::Cmd(found) | Kind::Entrypoint(found) => command(found),
        Kind::Workdir(word) | Kind::User(word) | Kind::Stopsignal(word) | Kind::Maintainer(word) => {
            vec![word.text.to_string()]
        }
        Kind::Expose(words) | Kind::Volume(words) | Kind::Shell(words) => {
            words.iter().map(|word| word.text.to_string()).collect()
        }
        Kind::Arg(arguments) => rest(arguments[0].name.span),
        Kind::Env(pairs) | Kind::Label(pairs) => rest(pairs[0].name.span),
        Kind::Onbuild(onbuild) => return (keyword, vec![format!("{:?}", ours_said(&onbuild.instruction, text))]),
        Kind::Healthcheck(_) => Vec::new(),
    };
    (keyword, words)
}

fn copied(copy: &Copy<'_>) -> Vec<String> {
    let mut words: Vec<String> = copy.sources().iter().map(|word| word.text.to_string()).collect();
    words.extend(copy.heredocs.iter().map(|document| document.text().into_owned()));
    words.push(copy.destination().text.to_string());
    words
}

fn theirs_said(instruction: &Theirs<'_>, text: &str) -> Said {
    let rest = |start: usize| vec![format!("text from {}", skipped(text, start))];
    let strings = |words: &mut dyn Iterator<Item = &UnescapedString<'_>>| {
        words.map(|word| word.value.to_string()).collect::<Vec<_>>()
    };
    let command = |command: &TheirCommand<'_>| match command {
        TheirCommand::Shell(found) if found.value.is_empty() => vec![String::new()],
        TheirCommand::Shell(found) => rest(found.span.start),
        TheirCommand::Exec(words) => strings(&mut words.value.iter()),
        _ => Vec::new(),
    };
    let sources = |src: &[Source<'_>], dest: &UnescapedString<'_>| {
        let path = |source: &Source<'_>| match source {
            Source::Path(path) => Some(path.value.to_string()),
            _ => None,
        };
        let document = |source: &Source<'_>| match source {
            Source::HereDoc(document) => Some(document.value.to_string()),
            _ => None,
        };
        let mut words: Vec<String> = src.iter().filter_map(path).collect();
        words.extend(src.iter().filter_map(document));
        words.push(dest.value.to_string());
        words
    };
    let (keyword, words) = match instruction {
        Theirs::From(from) => {
            ("FROM", strings(&mut [Some(&from.image), from.as_.as_ref().map(|(_, name)| name)].into_iter().flatten()))
        }
        Theirs::Run(run) if run.here_docs.is_empty() => ("RUN", command(&run.arguments)),
        Theirs::Run(run) => ("RUN", run.here_docs.iter().map(|document| document.value.to_string()).collect()),
        Theirs::Copy(copy) => ("COPY", sources(&copy.src, &copy.dest)),
        Theirs::Add(add) => ("ADD", sources(&add.src, &add.dest)),
        Theirs::Cmd(cmd) => ("CMD", command(&cmd.arguments)),
        Theirs::Entrypoint(entrypoint) => ("ENTRYPOINT", command(&entrypoint.arguments)),
        Theirs::Workdir(found) => ("WORKDIR", vec![found.arguments.value.to_string()]),
        Theirs::User(found) => ("USER", vec![found.arguments.value.to_string()]),
        Theirs::Stopsignal(found) => ("STOPSIGNAL", vec![found.arguments.value.to_string()]),
        Theirs::Maintainer(found) => ("MAINTAINER", vec![found.name.value.to_string()]),
        Theirs::Expose(found) => ("EXPOSE", strings(&mut found.arguments.iter())),
        Theirs::Shell(found) => ("SHELL", strings(&mut found.arguments.iter())),
        Theirs::Volume(found) => {
            let words = match &found.arguments {
                parse_dockerfile::JsonOrStringArray::Json(words) => strings(&mut words.value.iter()),
                parse_dockerfile::JsonOrStringArray::String(words) => strings(&mut words.iter()),
            };
            ("VOLUME", words)
        }
        Theirs::Arg(found) => ("ARG", rest(found.arguments.span.start)),
        Theirs::Env(found) => ("ENV", rest(found.arguments.span.start)),
        Theirs::Label(found) => ("LABEL", rest(found.arguments.span.start)),
        Theirs::Onbuild(found) => ("ONBUILD", vec![format!("{:?}", theirs_said(&found.instruction, text))]),
        Theirs::Healthcheck(_) => ("HEALTHCHECK", Vec::new()),
        _ => ("?", Vec::new()),
    };
    (keyword.to_owned(), words)
}

/// Skips spaces and continuations from an offset on, because the parsers disagree on whether these belong to the text.
fn skipped(text: &str, mut at: usize) -> usize {
    while let Some(c) = text[at..].chars().next() {
        let continued =
            matches!(c, '\\' | '`') && text[at + 1..].trim_start_matches([' ', '\t']).starts_with(['\n', '\r']);
        if !c.is_whitespace() && !continued {
            break;
        }
        at += c.len_utf8();
    }
    at
}
