//! The sentence for a miss.

use super::cause::Cause;
use crate::wording::quote;
use buildscope_record::{Instruction, Nanos, Step};

/// The cost of a miss.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cost {
    /// The steps that changed for this reason.
    pub(super) changed: usize,
    /// The steps that ran again only because of those.
    pub(super) caused: usize,
    pub(super) rerun: Nanos,
    pub(super) on_path: Nanos,
}

/// The reasons why no step of a build comes from the cache, as far as a log leaves them open.
const UNCACHED: &str =
    "`--no-cache`, an emptied cache, another builder, or a base image whose digest the log does not have";

/// The number of names in a sentence.
const SHOWN: usize = 3;

fn list(names: &[String]) -> String {
    let shown = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

fn quoted(names: &[String]) -> String {
    list(&names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>())
}

/// A digest, shortened as docker shows it: its algorithm and twelve digits.
fn short(digest: &str) -> &str {
    let digits = digest.find(':').map_or(0, |colon| colon + 1) + 12;
    digest.get(..digits).unwrap_or(digest)
}

/// "`COPY . .` changed: `src/a.rs`: 100 ms rerun with 1 step after it, 100 ms on the critical path".
pub(super) fn sentence(step: &Step, cause: &Cause, cost: Cost) -> String {
    let Cost { changed, caused, rerun, on_path } = cost;
    let what =
        if changed > 1 { several(step, cause, changed) } else { format!("{} {}", quote(&step.text), why(step, cause)) };
    let pronoun = if changed > 1 { "them" } else { "it" };
    let with = match caused {
        0 => String::new(),
        1 => format!(" with 1 step after {pronoun}"),
        count => format!(" with {count} steps after {pronoun}"),
    };
    format!("{what}: {rerun} rerun{with}, {on_path} on the critical path")
}

/// What [`sentence`] says before the cost.
pub(super) fn without_cost(sentence: &str, rerun: Nanos) -> &str {
    sentence.rfind(&format!(": {rerun} rerun")).map_or(sentence, |at| &sentence[..at])
}

/// The flag that keeps results from being used: for these stages, or for all.
fn flag(stages: &[String]) -> &'static str {
    if stages.is_empty() { "--no-cache" } else { "--no-cache-filter" }
}

/// The name of a file in a sentence; a heredoc has its own name.
fn named(file: &str) -> String {
    match file.strip_prefix("<<") {
        Some(name) => format!("the text of its heredoc `{name}`"),
        None => format!("`{file}`"),
    }
}

/// A change of a setting: "`USER app` before it is `USER root` now".
fn setting(before: Option<&str>, now: Option<&str>) -> String {
    match (before, now) {
        (Some(before), Some(now)) => format!("{} before it is {} now", quote(before), quote(now)),
        (None, Some(now)) => format!("{} was inserted before it", quote(now)),
        (before, None) => format!("{} before it was removed", quote(before.unwrap_or_default())),
    }
}

/// What a step does with files of the context.
fn reads(step: &Step) -> &'static str {
    if step.instruction == Instruction::Run { "mounts" } else { "copies" }
}

/// The reason why a single step ran.
fn why(step: &Step, cause: &Cause) -> String {
    match cause {
        Cause::New => "is new: no earlier record has it".to_owned(),
        Cause::Instruction => "changed: its text".to_owned(),
        Cause::Setting { before, now } => format!("ran again: {}", setting(before.as_deref(), now.as_deref())),
        Cause::Expansion(names) => format!("changed: the value of {} in it", quoted(names)),
        Cause::Base { image, before, now } => {
            format!("changed: the base image `{image}` is {} now, it was {}", short(now), short(before))
        }
        Cause::Files(files) => format!("changed: {}", list(&files.iter().map(|file| named(file)).collect::<Vec<_>>())),
        Cause::Content => format!("changed: files that it {} (too many for the record to name them)", reads(step)),
        Cause::Metadata(properties) if properties.is_empty() => {
            "changed: a mode, owner or attribute of its files".to_owned()
        }
        Cause::Metadata(properties) => format!("changed: {}", list(properties)),
        Cause::Arguments(names) => format!("changed: build argument {}", quoted(names)),
        Cause::Environment(names) => format!("changed: variable {}", quoted(names)),
        Cause::Options(flags) => format!("changed: the option {}", quoted(flags)),
        Cause::Source => "changed: the content from another stage or image".to_owned(),
        Cause::Inserted(text) => format!("ran again: {} was inserted before it", quote(text)),
        Cause::Removed(text) => format!("ran again: {} before it was removed", quote(text)),
        Cause::Moved(text) => format!("ran again: its order with {} changed", quote(text)),
        Cause::Parent => "changed: its parent".to_owned(),
        Cause::Times => "was only copied again: only the times of its files have changed".to_owned(),
        Cause::Expired | Cause::Pruned => {
            let recorded = step.cache.as_ref().and_then(|cache| cache.miss.as_deref());
            let known = if *cause == Cause::Expired { "its result expired" } else { "its result was pruned" };
            format!("ran again: {}", recorded.unwrap_or(known))
        }
        Cause::Gone => {
            "did not change, but its result is not in this store: it was made in another store, or lost".to_owned()
        }
        Cause::Unasked(stages) => format!("did not change: `{}` ignored its result", flag(stages)),
        Cause::Recorded(reason) => format!("ran: {reason}"),
        Cause::Text(before) => format!("changed: its text was {} (a log shows values of variables)", quote(before)),
        Cause::Unnamed => format!(
            "ran again with the same text: files that it {} changed, or its result was not in the cache (a log does not say which)",
            reads(step)
        ),
        Cause::Missing => {
            "ran again with the same text after steps that did not change: its result was not in the cache, \
                           or a build argument changed that its text does not show"
                .to_owned()
        }
        Cause::Uncached => {
            format!("ran although its text did not change: no step of this build came from the cache ({UNCACHED})")
        }
        Cause::Unknown => "is the first step of its stage that ran; the record does not say what changed".to_owned(),
    }
}

/// The reason why several steps ran, of which `step` is the first.
fn several(step: &Step, cause: &Cause, changed: usize) -> String {
    let from = quote(&step.text);
    match cause {
        Cause::Arguments(names) => {
            format!("build argument {} changed for {changed} steps from {from} on", quoted(names))
        }
        Cause::Environment(names) => format!("variable {} changed for {changed} steps from {from} on", quoted(names)),
        Cause::Options(flags) => format!("the option {} changed for {changed} steps from {from} on", quoted(flags)),
        Cause::Setting { before, now } => {
            let setting = setting(before.as_deref(), now.as_deref()).replace(" before it ", " before them ");
            format!("{changed} steps from {from} on ran again: {setting}")
        }
        Cause::Uncached => format!(
            "{changed} steps from {from} on ran although their texts did not change: no step of this build came from the \
             cache ({UNCACHED})"
        ),
        Cause::Unasked(stages) => {
            format!("`{}` ignored the results of {changed} steps that did not change", flag(stages))
        }
        _ => format!(
            "{changed} steps from {from} on did not change, but their results are not in this store: they were made in \
             another store, or lost"
        ),
    }
}
