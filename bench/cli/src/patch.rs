//! The changes that advice suggests, as one patch that `git apply` takes.

use crate::Failure;
use crate::input::cannot_read;
use buildscope_commands::Source;
use buildscope_commands::rules::{Edit, InstructionChange};
use buildscope_record::{Instruction, redacted};
use buildscope_reports::Explanation;
use buildscope_reports::advise::{Advice, IGNORE_RULE};
use miette::{IntoDiagnostic, WrapErr, miette};
use similar::TextDiff;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

/// A patch and what it leaves out.
pub(super) struct Patch {
    /// The text; empty if there is nothing to change.
    pub(super) text: String,
    /// The advice whose change is in it.
    pub(super) taken: Vec<String>,
    /// The advice whose change is not in it: another one changes the same instruction, or it has spaces or credentials that a record leaves out.
    pub(super) left_out: Vec<String>,
    /// The directory that its paths start in, if that is not the current one.
    pub(super) directory: Option<PathBuf>,
}

/// The patch for a Dockerfile and the .dockerignore next to it.
pub(super) fn patch(explanation: &Explanation, dockerfile: &Path) -> Result<Patch, Failure> {
    let text = fs::read_to_string(dockerfile).into_diagnostic();
    let text = text.wrap_err_with(|| cannot_read(dockerfile)).map_err(|report| {
        let help = "name the Dockerfile of this build with --dockerfile";
        Failure::usage(report.context(format!("no patch without the Dockerfile: {help}")))
    })?;
    let source = Source::read(&text);
    let hidden = hidden(&source);
    let own = |text: &str| hidden.iter().find(|(shown, _)| shown == text.lines().next().unwrap_or_default());
    let steps: Vec<(&str, Option<u32>)> = explanation
        .steps
        .iter()
        .map(|step| (own(&step.text).map_or(&*step.text, |(_, text)| text), step.source.map(|source| source.line)))
        .collect();
    // A part that the record leaves out must stay in the file.
    let whole = |edit: &Edit| {
        !matches!(edit.change, InstructionChange::Lines(_)) || own(&explanation.steps[edit.step].text).is_none()
    };
    let places = source.places(&steps);
    let (mut taken, mut left_out) = (Vec::new(), Vec::new());
    let (mut edits, mut changed) = (Vec::new(), BTreeMap::new());
    for advice in explanation.advice.iter().filter(|advice| !advice.edits.is_empty()) {
        let name = name(advice);
        let is_there = |step: usize| places.get(step).is_some_and(Option::is_some);
        if !advice.edits.iter().all(|edit| is_there(edit.step)) {
            // BuildKit's logs have values for variables: such an instruction is not found in its own file.
            let mut runs = explanation.steps.iter().filter(|step| step.instruction == Instruction::Run);
            if runs.any(|step| is_there(step.id.index())) {
                left_out.push(name);
                continue;
            }
            return Err(Failure::usage(miette!(
                help = "give the Dockerfile of this build with --dockerfile",
                "{} has no instruction like the one that {name} changes",
                dockerfile.display()
            )));
        }
        let (mut all, mut all_changed) = (edits.clone(), changed.clone());
        let fits = advice.edits.iter().all(&whole) && add(&advice.edits, &mut all, &mut all_changed);
        // An edit may change the words that another one is about.
        if fits && source.applied(&all, &places).is_some() {
            (edits, changed) = (all, all_changed);
            taken.push(name);
        } else {
            left_out.push(name);
        }
    }
    let mut patch = String::new();
    if !edits.is_empty() {
        let better = source.applied(&edits, &places);
        let better = better
            .ok_or_else(|| Failure::usage(miette!("{} is not the Dockerfile of this build", dockerfile.display())))?;
        patch += &unified(dockerfile, Some(&text), &better);
    }
    let ignored: BTreeSet<&str> = explanation.advice.iter().filter_map(Advice::ignored).collect();
    if !ignored.is_empty() {
        patch += &ignore_patch(dockerfile, &ignored);
        taken.push(IGNORE_RULE.to_owned());
    }
    let elsewhere = in_current_directory(dockerfile).is_none();
    let directory = dockerfile.parent().filter(|_| elsewhere).map(Path::to_owned);
    Ok(Patch { text: patch, taken, left_out, directory })
}

/// The instructions with credentials in addresses: each as a record shows it, and as the file has it.
fn hidden(source: &Source<'_>) -> Vec<(String, String)> {
    let shown = |text: String| {
        let first = text.lines().next().unwrap_or_default().to_owned();
        match redacted(&first) {
            Cow::Owned(shown) => Some((shown, first)),
            Cow::Borrowed(_) => None,
        }
    };
    source.instructions().filter_map(shown).collect()
}

fn name(advice: &Advice) -> String {
    match advice.line {
        Some(line) => format!("{} (line {line})", advice.rule),
        None => advice.rule.clone(),
    }
}

/// The extent of an instruction's change.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Changed {
    /// Its flags or words.
    Parts,
    /// All of it, or its place.
    Whole,
}

fn kind(edit: &Edit) -> Changed {
    match edit.change {
        InstructionChange::Flags(_) | InstructionChange::Prefix(_) | InstructionChange::Word { .. } => Changed::Parts,
        _ => Changed::Whole,
    }
}

/// Adds edits to those that were made before, if they can be made together. Several pieces of advice may have the same edit.
fn add(more: &[Edit], edits: &mut Vec<Edit>, changed: &mut BTreeMap<usize, Changed>) -> bool {
    let new: Vec<&Edit> = more.iter().filter(|edit| !edits.contains(edit)).collect();
    if !new.iter().all(|edit| fits(edit, changed)) {
        return false;
    }
    new.iter().for_each(|edit| mark(edit, changed));
    edits.extend(new.into_iter().cloned());
    true
}

/// Whether an edit can be made with those that were made before.
fn fits(edit: &Edit, changed: &BTreeMap<usize, Changed>) -> bool {
    let moved = if let InstructionChange::MoveAfter(other) = edit.change { Some(other) } else { None };
    let free =
        |step: usize| changed.get(&step).is_none_or(|before| *before == Changed::Parts && kind(edit) == Changed::Parts);
    free(edit.step) && moved.is_none_or(|other| !changed.contains_key(&other))
}

fn mark(edit: &Edit, changed: &mut BTreeMap<usize, Changed>) {
    let whole = changed.get(&edit.step) == Some(&Changed::Whole);
    changed.insert(edit.step, if whole { Changed::Whole } else { kind(edit) });
    if let InstructionChange::MoveAfter(other) = edit.change {
        // The instruction itself stays as it is.
        changed.entry(other).or_insert(Changed::Parts);
    }
}

/// The lines that are added to the file that leaves parts of the context out.
fn ignore_patch(dockerfile: &Path, ignored: &BTreeSet<&str>) -> String {
    let mut own = dockerfile.as_os_str().to_owned();
    own.push(".dockerignore");
    let own = Path::new(&own);
    let path = if own.is_file() { own.to_owned() } else { dockerfile.with_file_name(".dockerignore") };
    let before = fs::read_to_string(&path).ok();
    let mut after = before.clone().unwrap_or_default();
    if !after.is_empty() && !after.ends_with('\n') {
        after.push('\n');
    }
    for entry in ignored {
        after += &format!("{entry}\n");
    }
    unified(&path, before.as_deref(), &after)
}

/// The path below the current directory, unless it is elsewhere.
fn in_current_directory(path: &Path) -> Option<PathBuf> {
    let path = path.strip_prefix(".").unwrap_or(path);
    if path.is_relative() && !path.components().any(|part| part == Component::ParentDir) {
        return Some(path.to_owned());
    }
    let here = std::env::current_dir().ok()?;
    path.strip_prefix(here).ok().map(Path::to_owned)
}

/// A name as git writes it in a patch: one with control characters, quotes or backslashes is a quoted string, so that no name is taken
/// for another line of the patch.
fn quoted(name: &str) -> String {
    let special = |c: char| c.is_ascii_control() || matches!(c, '"' | '\\');
    if !name.contains(special) {
        return name.to_owned();
    }
    let mut quoted = String::from('"');
    for c in name.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_ascii_control() => quoted += &format!("\\{:03o}", u32::from(c)),
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

/// A change of one file as `diff -u` writes it; a file without a text before is new.
fn unified(path: &Path, before: Option<&str>, after: &str) -> String {
    // git takes paths from the directory in which it is called.
    let name = in_current_directory(path).unwrap_or_else(|| PathBuf::from(path.file_name().unwrap_or_default()));
    let (old, new) = (quoted(&format!("a/{}", name.display())), quoted(&format!("b/{}", name.display())));
    let old = if before.is_some() { old } else { "/dev/null".to_owned() };
    let diff = TextDiff::from_lines(before.unwrap_or_default(), after);
    diff.unified_diff().header(&old, &new).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_change_is_made_once() {
        let flags = |flags: &str| Edit { step: 1, change: InstructionChange::Flags(flags.into()) };
        let whole = |line: &str| Edit { step: 2, change: InstructionChange::Lines(vec![line.into()]) };
        let (mut edits, mut changed) = (Vec::new(), BTreeMap::new());
        let mut made = |more: &[Edit]| add(more, &mut edits, &mut changed);
        assert!(made(&[flags("--mount=a"), whole("RUN b")]));
        assert!(made(&[flags("--mount=a")]) && made(&[whole("RUN b"), flags("--mount=c")]));
        assert!(!made(&[flags("--mount=d"), whole("RUN e")]), "the line is another one already");
        assert_eq!(edits, [flags("--mount=a"), whole("RUN b"), flags("--mount=c")]);
    }

    /// The rules are those of git's documentation of `core.quotePath`; `git apply` reads both forms.
    #[test]
    fn a_name_is_never_another_line_of_the_patch() {
        for (name, written) in [
            ("a/with space/ünï", "a/with space/ünï"),
            ("a/new\n+++ b/evil", r#""a/new\012+++ b/evil""#),
            ("a/tab\t", r#""a/tab\011""#),
            ("a/quo\"te\\", r#""a/quo\"te\\""#),
        ] {
            assert_eq!(quoted(name), written);
        }
    }
}
