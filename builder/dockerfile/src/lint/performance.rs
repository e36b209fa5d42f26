//! Rules about slow builds, as far as the text shows the cause.

use super::{Linter, Rule};
use crate::{Instruction, Kind, Span};
use buildscope_commands::rules::{Changer, late_installs, missing_caches, needless_chains, recursive_changes};
use buildscope_commands::{Environments, File, InstructionLine, Tool};

/// The parts of names of arguments whose values change at every build.
const CHANGING: [&str; 10] =
    ["commit", "sha", "revision", "rev", "timestamp", "date", "cachebust", "cache_bust", "buildnumber", "vcs_ref"];

pub(super) fn check(linter: &mut Linter<'_>) {
    let file = linter.file;
    for stage in super::by_stage(file) {
        cache_busting(linter, stage);
    }
    let texts: Vec<String> = file.instructions.iter().map(|instruction| text(linter, instruction)).collect();
    let mut stage = None;
    let lines = file.instructions.iter().zip(&texts).map(|(instruction, text)| {
        if matches!(instruction.kind, Kind::From(_)) {
            stage = Some(stage.map_or(0, |stage| stage + 1));
        }
        InstructionLine { text, stage }
    });
    let bases: Environments =
        linter.context.bases.iter().map(|(name, base)| (name.clone(), base.env.clone())).collect();
    let read = File::read(&lines.collect::<Vec<_>>(), &bases);
    copy_before_install(linter, &read);
    cache_mounts(linter, &read);
    chains(linter, &read);
    recursive(linter, &read);
}

/// Returns an instruction on one line, followed by its heredocs.
fn text(linter: &Linter<'_>, instruction: &Instruction<'_>) -> String {
    let mut text = linter.file.one_line(instruction);
    let documents = match &instruction.kind {
        Kind::Run(run) => &*run.heredocs,
        _ => &[],
    };
    for document in documents {
        text += &format!("\n{}{}", document.text(), document.name);
    }
    text
}

/// Returns the span of the keyword, which is enough to identify a long instruction.
fn head(instruction: &Instruction<'_>) -> Span {
    instruction.keyword_span
}

fn copy_before_install(linter: &mut Linter<'_>, read: &File<'_>) {
    for found in late_installs(read, linter.context.facts) {
        let (copy, run) = (&linter.file.instructions[found.copy], &linter.file.instructions[found.run]);
        let line = run.lines.0;
        linter.find(
            Rule::CopyBeforeInstall,
            copy,
            copy.span,
            format!(
                "everything is copied before {} fetches what it needs in line {line}: each edit fetches it again",
                found.tool.name()
            ),
            found.remedy(&format!("the RUN in line {line}")),
        );
    }
}

fn cache_busting(linter: &mut Linter<'_>, stage: &[Instruction<'_>]) {
    for (at, instruction) in stage.iter().enumerate() {
        let Kind::Arg(arguments) = &instruction.kind else { continue };
        for argument in arguments {
            let name = argument.name.to_lowercase();
            // An argument with a default is a pinned version.
            let pinned = argument.default.as_ref().is_some_and(|default| !default.trim_matches(['"', '\'']).is_empty());
            let parts: Vec<&str> = name.split('_').collect();
            let changing = CHANGING.iter().any(|part| parts.contains(part) || name == *part)
                || matches!(&*name, "version" | "app_version" | "build_number" | "build_id" | "build_version");
            if pinned || !changing {
                continue;
            }
            let uses = |instruction: &Instruction<'_>| {
                mentions(&linter.file.text[instruction.span.range()], &argument.name.text)
            };
            let after = &stage[at + 1..];
            let first_use = after.iter().position(uses);
            let between = &after[..first_use.unwrap_or(after.len())];
            let runs = between.iter().filter(|found| matches!(found.kind, Kind::Run(_))).count();
            if runs == 0 {
                continue;
            }
            let help = match first_use {
                Some(used) => format!("move it down to line {}, where it is used", after[used].lines.0),
                None => "remove it: nothing in this stage uses it".into(),
            };
            linter.find(
                Rule::CacheBustingOrder,
                instruction,
                argument.name.span,
                format!(
                    "{} changes at every build, so {runs} RUN below it run again although they do not use it",
                    argument.name.text
                ),
                help,
            );
        }
    }
}

/// Returns whether a text uses `$NAME` or `${NAME`.
fn mentions(text: &str, name: &str) -> bool {
    memchr::memchr_iter(b'$', text.as_bytes()).any(|at| {
        let rest = text[at + 1..].trim_start_matches('{');
        rest.strip_prefix(name).is_some_and(|after| !after.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
    })
}

fn chains(linter: &mut Linter<'_>, read: &File<'_>) {
    for found in needless_chains(read) {
        let (first, second) = (&linter.file.instructions[found.first], &linter.file.instructions[found.second]);
        let line = first.lines.0;
        let (message, help) = match found.tools {
            (Tool::Download, _) => (
                format!("this download waits for the one in line {line}, which it does not need"),
                "give each download a stage of its own (FROM base AS fetch-a) and COPY --from it: stages run in parallel".to_owned(),
            ),
            (earlier, later) => (
                format!("{} waits for {} in line {line}, which it does not need", later.name(), earlier.name()),
                format!("run {} in a stage of its own and COPY --from it: stages run in parallel", later.name()),
            ),
        };
        linter.find(Rule::NeedlessChain, second, head(second), message, help);
    }
}

fn cache_mounts(linter: &mut Linter<'_>, read: &File<'_>) {
    for found in missing_caches(read, linter.context.facts) {
        let run = &linter.file.instructions[found.run];
        let also = found.conditions();
        let also = if also.is_empty() { also } else { format!(", and {also}") };
        linter.find(
            Rule::MissingCacheMount,
            run,
            head(run),
            format!("{} has no cache mount, so this step starts from nothing whenever it runs", found.tool.name()),
            format!("write RUN {} ...{also}", found.flags()),
        );
    }
}

fn recursive(linter: &mut Linter<'_>, read: &File<'_>) {
    for found in recursive_changes(read) {
        let run = &linter.file.instructions[found.run];
        let (program, value) = (found.program, &found.value);
        let flag = if program == Changer::Chmod { "--chmod" } else { "--chown" };
        let instead = match found.copies.last().map(|&copy| &linter.file.instructions[copy]) {
            Some(copy) if program != Changer::Chgrp => format!(
                "write {} {flag}={value} in line {}, and change only the directory itself here",
                copy.keyword().name(),
                copy.lines.0
            ),
            _ => format!("run {program} in the RUN that creates the files, or only on the files that need it"),
        };
        linter.find(
            Rule::RecursiveChown,
            run,
            run.span,
            format!("{program} -R {} stores every file below it a second time", found.path),
            instead,
        );
    }
}
