//! Rules about the form of single instructions.

use super::triggers::Stage;
use super::{Linter, Rule};
use crate::{Broken, Command, Copy, Diagnostic, Instruction, Keyword, Kind, Pair, Ports, Span, Word};

pub(super) fn check(linter: &mut Linter<'_>, stages: &[Stage<'_, '_>]) {
    let file = linter.file;
    casing(linter);
    file.broken.iter().for_each(|broken| self::broken(linter, broken));
    // An ARG above the first FROM is not part of an image.
    for instruction in stages.iter().flat_map(Stage::instructions) {
        values(linter, instruction);
    }
    for instruction in &file.instructions {
        if let Some(last) = instruction.blank_inside {
            // BuildKit reports it at the last line of the continuation.
            linter.find_at(
                Rule::NoEmptyContinuation,
                instruction,
                (last, last),
                Diagnostic::new(instruction.span, "this continued instruction contains a blank line")
                    .help("remove the blank line, or start it with #"),
            );
        }
        match &instruction.kind {
            Kind::Maintainer(author) => linter.find(
                Rule::MaintainerDeprecated,
                instruction,
                instruction.span,
                "MAINTAINER is deprecated",
                format!("write LABEL org.opencontainers.image.authors={:?}", author.text),
            ),
            Kind::Arg(arguments) => {
                let names: Vec<&str> = arguments.iter().map(|argument| &*argument.name.text).collect();
                described(linter, instruction, "ARG", &names);
            }
            Kind::From(from) => {
                let name = from.name.as_ref().map(|name| &*name.text);
                described(linter, instruction, "stage", name.as_slice());
            }
            _ => {}
        }
    }
    commands(linter, stages);
}

/// Checks the values of an instruction that takes effect in a stage.
fn values(linter: &mut Linter<'_>, instruction: &Instruction<'_>) {
    match &instruction.kind {
        Kind::Env(pairs) => {
            legacy(linter, instruction, pairs);
            for pair in pairs {
                secret(linter, instruction, "ENV", &pair.name.text, pair.name.span);
            }
        }
        Kind::Label(pairs) => legacy(linter, instruction, pairs),
        Kind::Expose(words) => exposed(linter, instruction, words),
        Kind::Copy(copy) => ignored(linter, instruction, copy),
        Kind::Arg(arguments) => {
            for argument in arguments {
                secret(linter, instruction, "ARG", &argument.name.text, argument.name.span);
            }
        }
        _ => {}
    }
}

/// Checks an instruction with errors. BuildKit looks at the letter case of a FROM before it parses it.
fn broken(linter: &mut Linter<'_>, broken: &Broken) {
    if let Some(last) = broken.blank_inside {
        let message = "this continued instruction contains a blank line".to_owned();
        let help = "remove the blank line, or start it with #";
        linter.find_broken(Rule::NoEmptyContinuation, broken, (last, last), message, help);
    }
    match broken.keyword {
        Some(Keyword::Maintainer) => {
            let message = "MAINTAINER is deprecated".to_owned();
            let help = "write LABEL org.opencontainers.image.authors=...";
            linter.find_broken(Rule::MaintainerDeprecated, broken, broken.lines, message, help);
        }
        Some(Keyword::From) => {
            let line = linter.file.joined_from(broken.keyword_span.range().start);
            let mut words = line.split_whitespace();
            let keyword = words.next().unwrap_or_default();
            let words: Vec<&str> = words.skip_while(|word| word.starts_with("--")).collect();
            let [_, second, third, more @ ..] = &words[..] else { return };
            let (lower, upper) = (keyword.to_lowercase(), keyword.to_uppercase());
            let differs = (keyword == lower && *second != second.to_lowercase())
                || (keyword == upper && *second != second.to_uppercase());
            if differs {
                let message = format!("{second} is not in the case of {keyword}");
                linter.find_broken(Rule::FromAsCasing, broken, broken.lines, message, "write FROM image AS name");
            }
            if more.is_empty() && *third != third.to_lowercase() {
                let message = format!("the stage name {third} is not in lower case");
                linter.find_broken(Rule::StageNameCasing, broken, broken.lines, message, "write it in lower case");
            }
        }
        _ => {}
    }
}

/// Reports pairs of ENV and LABEL without `=`.
fn legacy(linter: &mut Linter<'_>, instruction: &Instruction<'_>, pairs: &[Pair<'_>]) {
    for pair in pairs.iter().filter(|pair| pair.legacy) {
        let keyword = linter.file.written(instruction);
        linter.find(
            Rule::LegacyKeyValueFormat,
            instruction,
            Span { start: pair.name.span.start, end: pair.value.span.end },
            format!("{keyword} name value is the legacy form of {keyword} name=value"),
            format!("write {keyword} {}={}", pair.name.text, quoted(&pair.value.text)),
        );
    }
}

/// Reports ports of EXPOSE with a capitalized protocol or with parts that belong to the host.
fn exposed(linter: &mut Linter<'_>, instruction: &Instruction<'_>, words: &[Word<'_>]) {
    for word in words.iter().filter(|word| !word.contains('$')) {
        let Ok(ports) = Ports::parse(word) else { continue };
        if ports.odd_case {
            linter.find(
                Rule::ExposeProtoCasing,
                instruction,
                word.span,
                format!("the protocol of {} is not in lower case", word.text),
                format!("write {}", word.text.to_lowercase()),
            );
        }
        if ports.has_host {
            let inner = word.rsplit(':').next().unwrap_or(word);
            linter.find(
                Rule::ExposeInvalidFormat,
                instruction,
                word.span,
                format!("{} names an address or port of the host", word.text),
                format!("write {inner}, and publish ports on the host with docker run -p"),
            );
        }
    }
}

fn quoted(value: &str) -> String {
    let bare = !value.is_empty() && !value.contains(char::is_whitespace);
    if bare || value.starts_with(['"', '\'']) {
        value.to_owned()
    } else {
        format!("\"{}\"", value.replace('"', "\\\""))
    }
}

/// Checks that all keywords have the case of the majority, and `AS` the case of its FROM.
fn casing(linter: &mut Linter<'_>) {
    let file = linter.file;
    let upper = |text: &str| text == text.to_uppercase();
    let lower = |text: &str| text == text.to_lowercase();
    let words = || file.instructions.iter().map(|instruction| file.written(instruction));
    let most_lower = words().filter(|word| lower(word)).count() > words().filter(|word| upper(word)).count();
    for instruction in &file.instructions {
        let word = &*file.written(instruction);
        let (right, name) = if most_lower { (word.to_lowercase(), "lower") } else { (word.to_uppercase(), "upper") };
        if word != right {
            linter.find(
                Rule::ConsistentInstructionCasing,
                instruction,
                instruction.keyword_span,
                format!("{word} is not in {name} case, as most instructions of this file are"),
                format!("write {right}"),
            );
        }
        let Kind::From(from) = &instruction.kind else { continue };
        if let Some(as_word) = &from.as_word {
            let right = match word {
                word if lower(word) => as_word.to_lowercase(),
                word if upper(word) => as_word.to_uppercase(),
                // A FROM in mixed case says nothing about the case of AS.
                _ => as_word.text.to_string(),
            };
            if *as_word.text != right {
                linter.find(
                    Rule::FromAsCasing,
                    instruction,
                    as_word.span,
                    format!("{} is not in the case of {word}", as_word.text),
                    format!("write {right}"),
                );
            }
        }
    }
}

/// Reports a variable whose name suggests a secret.
fn secret(linter: &mut Linter<'_>, instruction: &Instruction<'_>, keyword: &str, name: &str, span: Span) {
    const SECRET: [&str; 10] =
        ["apikey", "auth", "credential", "credentials", "key", "password", "pword", "passwd", "secret", "token"];
    const HARMLESS: [&str; 3] = ["public", "file", "version"];
    let lower = name.to_lowercase();
    let has = |words: &[&str]| lower.split('_').any(|part| words.contains(&part));
    if has(&SECRET) && !has(&HARMLESS) {
        linter.find(
            Rule::SecretsUsedInArgOrEnv,
            instruction,
            span,
            format!("{keyword} {name:?} looks like a secret, and its value stays in the image"),
            format!("write RUN --mount=type=secret,id={lower},env={name} in the steps that need it"),
        );
    }
}

/// Reports a comment above an argument or a stage that does not start with its name. `docker build --call outline`
/// shows only those that do.
fn described(linter: &mut Linter<'_>, instruction: &Instruction<'_>, what: &str, names: &[&str]) {
    let (Some(span), false) = (linter.file.comments_above(instruction).last(), names.is_empty()) else { return };
    let comment = linter.file.text[span.range()].trim_start_matches('#').trim();
    let first = comment.split(' ').next().unwrap_or_default();
    if comment.starts_with("check=") || names.iter().any(|name| name.eq_ignore_ascii_case(first)) {
        return;
    }
    let example = if let [name] = names { name } else { "<name>" };
    linter.find(
        Rule::InvalidDefinitionDescription,
        instruction,
        *span,
        format!("this comment does not describe the {what} below it"),
        format!("write # {example} <description>, or put a blank # line between them"),
    );
}

fn ignored(linter: &mut Linter<'_>, instruction: &Instruction<'_>, copy: &Copy<'_>) {
    let Some(ignore) = linter.context.ignore else { return };
    if copy.from().is_some() {
        return;
    }
    for source in copy.sources() {
        let plain = !source.contains(['$', '*', '?', '[', '\\']) && !source.contains("://");
        let path = crate::clean(&format!("/{}", source.text));
        let path = path.trim_start_matches('/');
        if plain && !path.is_empty() && ignore.excludes(path) && !ignore.may_include_below(path) {
            linter.find(
                Rule::CopyIgnoredFile,
                instruction,
                source.span,
                format!("{} copies {}, which .dockerignore leaves out", linter.file.written(instruction), source.text),
                format!("remove this source, or add !{path} to .dockerignore"),
            );
        }
    }
}

/// Reports CMD and ENTRYPOINT in shell form.
fn commands(linter: &mut Linter<'_>, stages: &[Stage<'_, '_>]) {
    let mut shells: Vec<(Option<String>, bool)> = Vec::new();
    for stage in stages {
        let from = stage.from;
        // A stage that sets a shell wants the shell form. Stages that are based on it inherit the shell.
        let base = Some(&*from.base.text);
        let inherited = shells.iter().rev().find(|(name, _)| name.as_deref() == base).is_some_and(|(_, shell)| *shell);
        let known = linter.context.bases.get(&*from.base.text).is_some_and(|base| base.shell);
        let mut shell = inherited || known;
        for instruction in stage.instructions() {
            match &instruction.kind {
                Kind::Shell(_) => shell = true,
                Kind::Cmd(Command::Shell(word)) | Kind::Entrypoint(Command::Shell(word)) if !shell => {
                    let keyword = instruction.keyword().name();
                    let words: Vec<String> = word.split_whitespace().map(|word| format!("{word:?}")).collect();
                    let plain = !word.contains(['$', '|', '&', ';', '<', '>', '*', '?', '"', '\'', '`', '(', '\\']);
                    let instead = if plain && !words.is_empty() {
                        format!("write {keyword} [{}]", words.join(", "))
                    } else {
                        format!(
                            "write {keyword} [\"sh\", \"-c\", \"exec ...\"], so that the program replaces the shell"
                        )
                    };
                    linter.find(
                        Rule::JSONArgsRecommended,
                        instruction,
                        instruction.span,
                        format!(
                            "{keyword} in shell form: the program does not get the signals that stop the container"
                        ),
                        instead,
                    );
                }
                _ => {}
            }
        }
        shells.push((from.name.as_ref().map(|name| name.to_lowercase()), shell));
    }
}
