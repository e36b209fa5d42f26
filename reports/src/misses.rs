//! Why steps were not in the cache: which input changed since the nearest earlier record, and what that cost.
//!
//! *Takes* an analysis and earlier records of the same build. *Gives* the root causes: a step that missed only because its parent
//! changed is counted with the step that really changed.

use crate::analysis::Analysis;
use crate::counterpart::Counterparts;
use crate::wording::quote;
use buildscope_record::{CacheState, Nanos, Outcome, Record, Removal, Step, StepId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};

/// What changed about a step since the nearest earlier record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase", tag = "kind", content = "names")]
pub enum Cause {
    /// No earlier record has such a step.
    New,
    /// The text of the instruction.
    Instruction,
    /// The base image.
    Base,
    /// Files of the context, by path.
    Files(Vec<String>),
    /// Mode, owner or another property of files whose content stayed the same.
    Metadata,
    /// Build arguments, by name.
    Arguments(Vec<String>),
    /// Environment variables, by name.
    Environment(Vec<String>),
    /// The content that is mounted or copied from another stage or image.
    Source,
    /// Only the parent: the state of the file system before the step.
    Parent,
    /// Nothing: the result was removed because it had not been used for a long time.
    Expired,
    /// Nothing: the result was removed to free space.
    Pruned,
    /// Nothing, and the result was never removed, but it is missing: another store, or a crash.
    Gone,
    /// Nothing: the cache was not used (`--no-cache`).
    Unasked,
    /// The record does not hold the inputs of the step.
    Unknown,
}

/// A step that ran because something changed, and the steps that ran because of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Miss {
    /// The step that changed.
    pub step: StepId,
    /// What changed.
    pub cause: Cause,
    /// The steps that ran again only because this one did.
    pub caused: Vec<StepId>,
    /// The summed length of the step and those that it caused to run.
    pub rerun: Nanos,
    /// The part of that time that was on the critical path.
    pub on_path: Nanos,
    /// The miss in words.
    pub sentence: String,
}

/// The root causes of a record's misses, the most expensive first. Without an earlier record, only those that the store
/// itself remembers are known.
pub(crate) fn misses(analysis: &Analysis<'_>, earlier: &[Record]) -> Vec<Miss> {
    let removed = |step: &Step| step.cache.as_ref().is_some_and(|cache| cache.removed.is_some());
    if earlier.is_empty() && !analysis.record.steps.iter().any(removed) {
        return Vec::new();
    }
    let mut found = root_causes(analysis, earlier);
    found.retain(|miss| !earlier.is_empty() || matches!(miss.cause, Cause::Expired | Cause::Pruned));
    found
}

fn root_causes(analysis: &Analysis<'_>, earlier: &[Record]) -> Vec<Miss> {
    let record = analysis.record;
    let roots = Roots::new(analysis, earlier);
    let mut grouped: HashMap<StepId, Vec<StepId>> = HashMap::new();
    for (step, root) in record.steps.iter().zip(&roots.of_step) {
        if let Some(root) = root {
            grouped.entry(*root).or_default().push(step.id);
        }
    }
    let miss = |(step, cause): (StepId, Cause)| {
        let all = grouped.get(&step).map_or(&[][..], Vec::as_slice);
        let explained = || all.iter().map(|&id| analysis.step(id));
        let rerun = explained().map(|step| step.own).sum();
        let on_path = explained().map(|step| step.wall.min(step.own)).sum();
        let caused: Vec<StepId> = all.iter().copied().filter(|&id| id != step).collect();
        let sentence = sentence(&record.steps[step.index()], &cause, caused.len(), rerun, on_path);
        Miss { step, cause, caused, rerun, on_path, sentence }
    };
    let mut found: Vec<Miss> = roots.causes.into_iter().map(miss).collect();
    found.sort_by_key(|miss| std::cmp::Reverse((miss.on_path, miss.rerun)));
    found
}

/// The steps whose own change made them and others run.
struct Roots {
    /// By step: the root that its run is counted with; none for a step that did not run.
    of_step: Vec<Option<StepId>>,
    /// By root: what changed.
    causes: BTreeMap<StepId, Cause>,
}

impl Roots {
    fn new(analysis: &Analysis<'_>, earlier: &[Record]) -> Self {
        let (record, graph) = (analysis.record, &analysis.activities.graph);
        let own = Counterparts::new(record);
        let earlier: Vec<_> = earlier.iter().map(Counterparts::new).collect();
        let mut roots = Self { of_step: vec![None; record.steps.len()], causes: BTreeMap::new() };
        for &id in graph.order() {
            let step = &record.steps[id.index()];
            if !matches!(step.outcome, Outcome::Executed | Outcome::Failed) {
                continue;
            }
            let cause = match cause(step, &own, &earlier) {
                Cause::Gone if record.options.cache == Some(CacheState::Cold) => Cause::Unasked,
                cause => cause,
            };
            let follows = matches!(cause, Cause::Parent | Cause::Source | Cause::Unknown | Cause::New);
            let before = graph.before(id).iter().filter_map(|need| roots.of_step[need.step.index()]);
            // Which of several roots cost most would be a guess: the first in the file is taken.
            let root = before.min().filter(|_| follows).unwrap_or(id);
            roots.of_step[id.index()] = Some(root);
            if root == id {
                roots.causes.insert(id, cause);
            }
        }
        roots
    }
}

/// What changed about a step against the nearest earlier record that has it.
fn cause(step: &Step, own: &Counterparts<'_>, earlier: &[Counterparts<'_>]) -> Cause {
    // A result with this key was removed. Without the removal the step would have hit, whatever changed since the nearest record.
    match step.cache.as_ref().and_then(|cache| cache.removed) {
        Some(Removal::Expired) => return Cause::Expired,
        Some(Removal::Pruned) => return Cause::Pruned,
        None => {}
    }
    let Some(now) = step.cache.as_ref().map(|cache| &cache.inputs).filter(|inputs| !inputs.is_empty()) else {
        return Cause::Unknown;
    };
    let Some(before) = earlier.iter().rev().find_map(|earlier| own.find(step, earlier)) else {
        return Cause::New;
    };
    let Some(before) = before.cache.as_ref().map(|cache| &cache.inputs) else { return Cause::Unknown };
    let names = now.keys().chain(before.keys().filter(|name| !now.contains_key(*name)));
    let changed: Vec<&String> = names.filter(|name| now.get(*name) != before.get(*name)).collect();
    let of = |kind: &str| -> Vec<String> {
        changed
            .iter()
            .filter_map(|name| name.strip_prefix(kind))
            .map(|name| name.trim_start_matches("./").to_owned())
            .collect()
    };
    let has = |name: &str| changed.iter().any(|changed| *changed == name);
    let (files, arguments, variables) = (of("file:"), of("arg:"), of("env:"));
    if has("base") {
        Cause::Base
    } else if !files.is_empty() {
        Cause::Files(files)
    } else if has("content") || has("times") {
        Cause::Metadata
    } else if !arguments.is_empty() {
        Cause::Arguments(arguments)
    } else if !variables.is_empty() {
        Cause::Environment(variables)
    } else if has("instruction") {
        Cause::Instruction
    } else if has("from") || !of("mount:").is_empty() {
        Cause::Source
    } else if has("parent") {
        Cause::Parent
    } else if changed.is_empty() {
        Cause::Gone
    } else {
        Cause::Unknown
    }
}

fn sentence(step: &Step, cause: &Cause, caused: usize, rerun: Nanos, on_path: Nanos) -> String {
    const SHOWN: usize = 3;
    let list = |names: &[String]| {
        let shown: Vec<String> = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
        let more = names.len().saturating_sub(SHOWN);
        if more > 0 { format!("{} and {more} more", shown.join(", ")) } else { shown.join(", ") }
    };
    let why = match cause {
        Cause::New => "is new: no earlier record has it".to_owned(),
        Cause::Instruction => "changed: its text".to_owned(),
        Cause::Base => "changed: the base image".to_owned(),
        Cause::Files(files) => format!("changed: {}", list(files)),
        Cause::Metadata => "changed: mode or owner of its files".to_owned(),
        Cause::Arguments(names) => format!("changed: build argument {}", list(names)),
        Cause::Environment(names) => format!("changed: variable {}", list(names)),
        Cause::Source => "changed: the content from another stage or image".to_owned(),
        Cause::Parent => "changed: its parent".to_owned(),
        Cause::Expired | Cause::Pruned => {
            let recorded = step.cache.as_ref().and_then(|cache| cache.miss.as_deref());
            let known = if *cause == Cause::Expired { "its result expired" } else { "its result was pruned" };
            format!("ran again: {}", recorded.unwrap_or(known))
        }
        Cause::Gone => {
            "did not change, but its result is not in this store: it was made in another store, or lost".to_owned()
        }
        Cause::Unasked => "did not change: `--no-cache` ignored its result".to_owned(),
        Cause::Unknown => "ran for a reason that the record does not contain".to_owned(),
    };
    let with = match caused {
        0 => String::new(),
        1 => " with 1 step after it".to_owned(),
        count => format!(" with {count} steps after it"),
    };
    format!("{} {why}: {rerun} rerun{with}, {on_path} on the critical path", quote(&step.text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{explain, synthetic::Synthetic};
    use buildscope_record::{Cache, StepKey};

    fn root_misses(now: &Record, earlier: &[Record]) -> Vec<Miss> {
        root_causes(&Analysis::new(now), earlier)
    }

    /// A COPY and a RUN after it that takes 90 ms, in parallel with a RUN that depends on an argument.
    fn build(inputs: [&[(&str, &str)]; 3]) -> Record {
        let mut made = Synthetic::default();
        let (a, b) = (made.stage("a"), made.stage("b"));
        let copy = made.step(a, "COPY . .", 0..10);
        let run = made.step(a, "RUN make", 10..100);
        made.step(b, "RUN echo $V", 0..20);
        made.data(copy, run);
        made.with(|record| {
            for (step, inputs) in record.steps.iter_mut().zip(inputs) {
                let inputs = inputs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
                step.cache = Some(Cache { key: StepKey::of("key"), inputs, miss: None, removed: None });
            }
        });
        made.finish(100)
    }

    #[test]
    fn the_file_that_changed_has_the_cost_of_what_follows() {
        let before = build([&[("file:src/a.rs", "1"), ("content", "1")], &[("parent", "1")], &[("arg:V", "1")]]);
        let now = build([&[("file:src/a.rs", "2"), ("content", "2")], &[("parent", "2")], &[("arg:V", "2")]]);
        let found = root_misses(&now, std::slice::from_ref(&before));
        let sentences: Vec<_> = found.iter().map(|miss| miss.sentence.as_str()).collect();
        assert_eq!(
            sentences,
            [
                "`COPY . .` changed: `src/a.rs`: 100 ms rerun with 1 step after it, 100 ms on the critical path",
                "`RUN echo $V` changed: build argument `V`: 20.0 ms rerun, 0 ns on the critical path",
            ]
        );
        let again = root_misses(&now, std::slice::from_ref(&now));
        assert!(again.iter().all(|miss| miss.cause == Cause::Gone), "{again:?}");
        let mut cold = now.clone();
        cold.options.cache = Some(CacheState::Cold);
        let unasked = root_misses(&cold, &[now]);
        assert!(unasked.iter().all(|miss| miss.cause == Cause::Unasked), "{unasked:?}");
    }

    #[test]
    fn a_removal_is_the_cause_whatever_else_changed() {
        let mut now = build([&[("content", "1")], &[("parent", "1")], &[("arg:V", "1")]]);
        let with = |step: &mut Step, removed, miss: Option<&str>| {
            let cache = step.cache.as_mut().unwrap();
            (cache.removed, cache.miss) = (Some(removed), miss.map(str::to_owned));
        };
        with(
            &mut now.steps[0],
            Removal::Expired,
            Some("its result expired (unused for 8 days when old ones were removed 2 h ago)"),
        );
        with(&mut now.steps[2], Removal::Pruned, None);
        // No earlier record is needed, because the store remembers removals.
        let alone = explain(&now);
        let causes: Vec<_> = alone.misses.iter().map(|miss| (miss.step.0, miss.cause.clone())).collect();
        assert_eq!(causes, [(0, Cause::Expired), (2, Cause::Pruned)]);
        assert_eq!(
            alone.steps[0].miss.as_deref(),
            Some(
                "`COPY . .` ran again: its result expired (unused for 8 days when old ones were removed 2 h ago): \
                 100 ms rerun with 1 step after it, 100 ms on the critical path"
            )
        );
        let other = build([&[("content", "2")], &[("parent", "2")], &[("arg:V", "2")]]);
        let found = root_misses(&now, &[other]);
        assert!(found.iter().all(|miss| matches!(miss.cause, Cause::Expired | Cause::Pruned)), "{found:?}");
    }

    #[test]
    fn the_other_causes() {
        let inputs = |names: &'static [(&'static str, &'static str)]| build([names, &[], &[]]);
        let cause = |now, before| {
            root_misses(&inputs(now), &[inputs(before)])
                .iter()
                .find(|miss| miss.step == StepId(0))
                .unwrap()
                .cause
                .clone()
        };
        assert_eq!(cause(&[("content", "1")], &[("content", "2")]), Cause::Metadata);
        assert_eq!(cause(&[("base", "1")], &[("base", "2")]), Cause::Base);
        assert_eq!(cause(&[("instruction", "1")], &[("instruction", "2")]), Cause::Instruction);
        assert_eq!(cause(&[("env:A", "1")], &[("env:A", "1"), ("env:B", "1")]), Cause::Environment(vec!["B".into()]));
        assert_eq!(cause(&[("from", "1")], &[("from", "2")]), Cause::Source);
        let alone = inputs(&[("content", "1")]);
        assert_eq!(root_misses(&alone, &[])[0].cause, Cause::New);
    }
}
