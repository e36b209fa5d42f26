//! Parts of the build context that should not be in it.

use super::case::AdviceCase;
use super::parts::takes_all;
use super::suggestion::{Advice, IGNORE_RULE};
use crate::steps::StepExplanation;
use crate::wording::quote_located;
use buildscope_commands::{Invocation, Needs, Tool};
use buildscope_record::{ContextEntry, Nanos, Phase};

/// Entries of a context that are rarely intended to be copied, each with the exception to consider before excluding it.
const SELDOM_MEANT: [(&str, &str); 13] = [
    (".git", "keep it if the build asks git for its version"),
    (".hg", "keep it if the build asks for its version"),
    (".svn", "keep it if the build asks for its version"),
    ("node_modules", "keep it if it is installed outside of the build on purpose"),
    ("target", "keep it if the image gets programs that were built outside"),
    (".venv", "keep it if it is created outside of the build on purpose"),
    ("venv", "keep it if it is created outside of the build on purpose"),
    ("__pycache__", "Python creates it again"),
    (".pytest_cache", "tests create it again"),
    (".mypy_cache", "the type checker creates it again"),
    (".gradle", "Gradle creates it again"),
    (".idea", "only an editor uses it"),
    (".vscode", "only an editor uses it"),
];

/// The cost of a file, as a number of bytes: 25 us against 4.7 ns a byte, from the scan to the layer (measured with 6,000 small files and
/// with one of 150 MB).
const BYTES_OF_A_FILE: u64 = 5_400;

/// The cost of the files of an entry, in bytes.
fn cost(entry: &ContextEntry) -> u64 {
    entry.bytes.0.saturating_add(entry.files.saturating_mul(BYTES_OF_A_FILE))
}

/// Parts of the context that no step uses, or that are rarely intended to be copied.
pub(super) fn unused_context(case: &AdviceCase<'_>) -> Vec<Advice> {
    let context = &case.analysis.record.context;
    let total: u64 = context.iter().map(cost).fold(0, u64::saturating_add);
    let large = context.iter().filter(|entry| cost(entry) > 1_000_000 && cost(entry) > total / 20);
    let whole = case.analysis.steps.iter().find(|step| takes_all(case, step));
    let seen = case.phases(&[Phase::ContextScan, Phase::ContextHash]);
    let advice = large.filter_map(|entry| {
        let seldom = SELDOM_MEANT.iter().find(|(name, _)| *name == entry.path).map(|(_, caveat)| *caveat);
        let (spent, step, whose, caveat) = match (entry.used, seldom, whole) {
            (false, ..) => (seen, None, "that no step copies".to_owned(), "no step needs it"),
            (true, Some(caveat), Some(copy)) => {
                // Except for waiting for a lock, a COPY spends all its time on the files: it copies them, writes their layer and syncs it.
                let copied: Nanos =
                    copy.phases.iter().filter(|row| row.name.is_one_of(&FILES)).map(|row| row.wall).sum();
                (seen + copied, Some(copy), format!("that {} copies with the rest", quote_located(copy)), caveat)
            }
            _ => return None,
        };
        let gain = Nanos((u128::from(spent.0) * u128::from(cost(entry)) / u128::from(total.max(1))) as u64);
        let certain = step.is_none_or(|copy| is_needless(case, copy, &entry.path));
        Some(Advice {
            rule: IGNORE_RULE.into(),
            text: format!("add `{}` to .dockerignore: {} in {} files {whose}", entry.path, entry.bytes, entry.files),
            gain,
            caveat: format!("estimated by its share of the context's files and bytes; {caveat}"),
            step: step.map(|step| step.id),
            line: step.and_then(|step| step.source).map(|source| source.line),
            column: None,
            diff: if certain { vec![format!("+{}", entry.path)] } else { Vec::new() },
            edits: Vec::new(),
        })
    });
    advice.collect()
}

/// The phases of a COPY that grow with its files.
const FILES: [Phase; 5] = [Phase::Copy, Phase::Archive, Phase::Digest, Phase::Commit, Phase::Sync];

/// Whether no later step and no program in the image can need an entry that a COPY takes.
fn is_needless(case: &AdviceCase<'_>, copy: &StepExplanation, entry: &str) -> bool {
    let later = &case.file.steps[copy.id.index() + 1..];
    let mut runs = later.iter().filter_map(|step| step.run.as_ref());
    match entry {
        "__pycache__" | ".pytest_cache" | ".mypy_cache" | ".idea" | ".vscode" => true,
        // A build may ask for its version, also where its text does not show it.
        ".git" | ".hg" | ".svn" => runs.all(|run| {
            let needs = |command: &Invocation| {
                run.usages.iter().find(|(_, other, _)| other == command).map(|(_, _, usage)| &usage.needs)
            };
            run.understood
                && run.elements.iter().flat_map(|element| &element.commands).all(|command| {
                    needs(command).is_none_or(|needs| !matches!(needs, Needs::Sources(_)))
                        && !command.words.iter().any(|word| word.text.contains("git"))
                })
        }),
        // An exact install removes it first.
        "node_modules" => runs.any(|run| {
            run.usages.iter().any(|(_, command, usage)| {
                usage.tool == Tool::Npm && command.has("ci") && usage.folder.as_deref() == Some("")
            })
        }),
        _ => false,
    }
}
