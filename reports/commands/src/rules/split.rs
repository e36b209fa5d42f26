//! Splits a RUN in two: its install, and the commands after it.

use super::copies::brings_directory;
use super::facts::Facts;
use crate::file::{File, Step};
use crate::script::Join;
use crate::usage::Work;

/// A RUN in two parts, each the text of its commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// The first part.
    pub first: String,
    /// The second part.
    pub rest: String,
}

/// Splits a RUN before an element. `None` if the second part would miss what the first sets in the shell.
pub(super) fn split_before(step: &Step<'_>, at: usize) -> Option<Split> {
    let run = step.run.as_ref().filter(|run| run.on_line)?;
    if at == 0 || at >= run.elements.len() {
        return None;
    }
    let texts = elements(step)?;
    // Directories, variables and options at the start are set in both.
    let leading = run
        .elements
        .iter()
        .take_while(|element| element.leaks && !element.opaque && setting(&element.commands))
        .count();
    let leaking = run.elements[..at].iter().skip(leading).any(|element| element.leaks);
    if leaking || leading >= at || run.elements[at].join == Join::Other {
        return None;
    }
    let first = chain(run, &texts, 0..at);
    let rest = if leading == 0 {
        chain(run, &texts, at..texts.len())
    } else {
        let joined = if run.elements[at].join == Join::And { " && " } else { "; " };
        format!("{}{joined}{}", chain(run, &texts, 0..leading), chain(run, &texts, at..texts.len()))
    };
    Some(Split { first, rest })
}

fn setting(commands: &[crate::Invocation]) -> bool {
    commands.iter().all(|command| matches!(command.program(), "cd" | "set" | "export"))
}

/// A range of elements as one text.
fn chain(run: &crate::Run, texts: &[&str], range: std::ops::Range<usize>) -> String {
    let mut out = String::new();
    for at in range.clone() {
        if at > range.start {
            out += if run.elements[at].join == Join::And { " && " } else { "; " };
        }
        out += texts[at];
    }
    out
}

/// The texts of the elements of a chain whose separators are `&&` and `;`. `None` if there are others, or if the text has parts that
/// belong to no element.
pub(super) fn elements<'r>(step: &'r Step<'_>) -> Option<Vec<&'r str>> {
    let run = step.run.as_ref().filter(|run| run.on_line && !run.elements.is_empty())?;
    let starts: Vec<usize> = run.elements.iter().map(|element| element.span.start).collect();
    if starts[0] != 0 || run.elements.iter().any(|element| element.join == Join::Other) {
        return None;
    }
    let mut texts = Vec::new();
    for (at, start) in starts.iter().enumerate() {
        let end = starts.get(at + 1).copied().unwrap_or(run.script.len());
        let text = run.script.get(*start..end)?.trim();
        let text = match run.elements.get(at + 1).map(|next| next.join) {
            Some(Join::And) => text.strip_suffix("&&")?,
            Some(_) => text.strip_suffix(';')?,
            None => text.strip_suffix(';').unwrap_or(text),
        };
        let text = text.trim();
        // A redirection or `!` before the next command.
        if text.is_empty() || text.ends_with(['&', ';', '|']) {
            return None;
        }
        texts.push(text);
    }
    Some(texts)
}

/// A RUN without some of its elements; `None` if that changes how others run.
pub(super) fn without(step: &Step<'_>, gone: &[usize]) -> Option<String> {
    let run = step.run.as_ref()?;
    let texts = elements(step)?;
    let kept: Vec<usize> = (0..texts.len()).filter(|at| !gone.contains(at)).collect();
    let mut out = String::new();
    for (number, &at) in kept.iter().enumerate() {
        if number > 0 {
            out += if run.elements[at].join == Join::And { " && " } else { "; " };
        }
        out += texts[at];
    }
    (!kept.is_empty()).then_some(out)
}

/// An install and what comes after it in one RUN: any change of the second part installs everything again. After a COPY of a directory, or
/// with one mounted, both parts run again anyway.
pub fn split_install(file: &File<'_>, step: usize, facts: &dyn Facts) -> Option<Split> {
    let mounted = |(name, value): (&str, &str)| {
        name == "mount"
            && !value.contains("from=")
            && !["cache", "secret", "ssh", "tmpfs"].iter().any(|kind| value.contains(&format!("type={kind}")))
    };
    let copied = |other: usize| brings_directory(&file.steps[other], facts.files(other));
    if file.steps[step].instruction.each_flag().any(mounted) || file.before(step).any(copied) {
        return None;
    }
    let run = file.steps[step].run.as_ref().filter(|run| run.understood)?;
    let installs = run.usages.iter().filter(|(_, _, usage)| usage.work == Work::Install);
    let mut end = installs.map(|(element, _, _)| *element).max()? + 1;
    let work =
        |at: usize| run.usages.iter().filter(move |(element, _, _)| *element == at).map(|(_, _, usage)| usage.work);
    // Files that are removed after their use belong to the same layer.
    while end < run.elements.len() && is_clearing(run, end) {
        end += 1;
    }
    let rest = end..run.elements.len();
    let removes = rest.clone().any(|at| work(at).any(|work| work == Work::Clean) || is_clearing(run, at));
    let builds = rest.clone().any(|at| {
        work(at).any(|work| work == Work::Build)
            || run.elements[at]
                .commands
                .iter()
                .any(|command| !command.words[0].literal || command.words[0].text.contains('/'))
    });
    // A kept clone lacks the commits that a later change may name.
    let checks_out = rest.clone().any(|at| run.elements[at].commands.iter().any(|command| command.program() == "git"));
    if removes || !builds || checks_out {
        return None;
    }
    split_before(&file.steps[step], end)
}

/// Whether an element only removes files or packages.
fn is_clearing(run: &crate::Run, at: usize) -> bool {
    let element = &run.elements[at];
    let cleans = |command: &crate::Invocation| {
        command.program() == "rm"
            || run.usages.iter().any(|(_, other, usage)| other == command && usage.work == Work::Clean)
    };
    !element.commands.is_empty() && element.commands.iter().all(cleans)
}

/// Several RUNs as one chain. `None` if one sets something in its shell that the next would see, or has flags.
pub fn merged(file: &File<'_>, steps: &[usize]) -> Option<String> {
    let mut chains = Vec::new();
    for &step in steps {
        let run = file.steps[step].run.as_ref().filter(|run| run.on_line && run.understood)?;
        let leaks = run.elements.iter().any(|element| element.leaks);
        let other = run.elements.iter().any(|element| element.join == Join::Other);
        // `a; b` continues after a failure, which separate RUNs would not.
        let goes_on = run.elements.iter().skip(1).any(|element| element.join == Join::Then);
        if leaks || other || goes_on || !file.steps[step].instruction.flags.is_empty() || run.script.contains(" # ") {
            return None;
        }
        let texts = elements(&file.steps[step])?;
        chains.push(texts.join(" && "));
    }
    Some(chains.join(" && "))
}
