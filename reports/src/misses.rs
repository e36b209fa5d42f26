//! Why steps were not found in the cache: which input changed against the nearest earlier record, and what that cost.
//!
//! *Takes* a record, its explanation and earlier records of the same build. *Gives* the root causes: a step that
//! missed only because what it goes on from changed is counted with the one that really changed.

use crate::answer::quote;
use crate::explain::Explanation;
use crate::graph::Graph;
use buildscope_record::{CacheState, Nanos, Outcome, Record, Removal, Step, StepId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};

/// What changed about a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase", tag = "kind", content = "names")]
pub enum Cause {
    /// No earlier record has such a step.
    New,
    /// The instruction itself.
    Instruction,
    /// The base image.
    Base,
    /// Files of the context: by path.
    Files(Vec<String>),
    /// Mode, owner or another property of files whose content stayed the same.
    Metadata,
    /// Build arguments: by name.
    Arguments(Vec<String>),
    /// Environment variables: by name.
    Environment(Vec<String>),
    /// What is mounted or copied from another stage or image.
    Source,
    /// Only what it goes on from.
    Parent,
    /// Nothing: its result was removed, since nothing had used it for long.
    Expired,
    /// Nothing: its result was removed to make room.
    Pruned,
    /// Nothing, but its result is not there, and nobody removed it: another store, or a crash.
    Gone,
    /// Nothing, and its result was not asked for (`--no-cache`).
    Unasked,
    /// The record does not hold the step's inputs.
    Unknown,
}

/// A step that ran because something changed, and what ran because of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Miss {
    /// The step.
    pub step: StepId,
    /// What changed.
    pub cause: Cause,
    /// The steps that ran again only because this one did.
    pub caused: Vec<StepId>,
    /// How long it and they took.
    pub rerun: Nanos,
    /// How much of that was on the critical path.
    pub on_path: Nanos,
    /// All of that in words.
    pub sentence: String,
}

/// The root causes of a record's misses, the most expensive first.
pub fn misses(record: &Record, explanation: &Explanation, earlier: &[Record]) -> Vec<Miss> {
    let graph = Graph::new(record);
    let (own, indices) = (Index::new(record), earlier.iter().map(Index::new).collect::<Vec<_>>());
    let ran = |step: &Step| matches!(step.outcome, Outcome::Executed | Outcome::Failed);
    // By step: its own cause, and the root that it is counted with.
    let mut roots: Vec<Option<StepId>> = vec![None; record.steps.len()];
    let mut causes: BTreeMap<StepId, Cause> = BTreeMap::new();
    for &id in graph.order() {
        let step = &record.steps[id.index()];
        if !ran(step) {
            continue;
        }
        let cause = match cause(step, &own, &indices) {
            Cause::Gone if record.options.cache == Some(CacheState::Cold) => Cause::Unasked,
            cause => cause,
        };
        let follows = matches!(cause, Cause::Parent | Cause::Source | Cause::Unknown | Cause::New);
        let before = graph.before(id).iter().filter_map(|&(before, _)| roots[before.index()]);
        // Of several roots below it, the one that cost most would be a guess: the first in the file is taken.
        roots[id.index()] = Some(before.min().filter(|_| follows).unwrap_or(id));
        if roots[id.index()] == Some(id) {
            causes.insert(id, cause);
        }
    }
    let mut with: HashMap<StepId, Vec<usize>> = HashMap::new();
    for (index, root) in roots.iter().enumerate() {
        if let Some(root) = root {
            with.entry(*root).or_default().push(index);
        }
    }
    let mut found: Vec<Miss> = causes
        .into_iter()
        .map(|(step, cause)| {
            let all = with.remove(&step).unwrap_or_default();
            let rerun = all.iter().map(|&index| explanation.steps[index].own).sum();
            let on_path =
                all.iter().map(|&index| explanation.steps[index].wall.min(explanation.steps[index].own)).sum();
            let caused: Vec<StepId> =
                all.iter().map(|&index| record.steps[index].id).filter(|&id| id != step).collect();
            let sentence = sentence(&record.steps[step.index()], &cause, caused.len(), rerun, on_path);
            Miss { step, cause, caused, rerun, on_path, sentence }
        })
        .collect();
    found.sort_by_key(|miss| std::cmp::Reverse((miss.on_path, miss.rerun)));
    found
}

/// What changed about a step against the nearest earlier record that has it.
fn cause(step: &Step, own: &Index<'_>, earlier: &[Index<'_>]) -> Cause {
    // Its very key was there: whatever changed since the nearest record, without the removal it would be there.
    match step.cache.as_ref().and_then(|cache| cache.removed) {
        Some(Removal::Expired) => return Cause::Expired,
        Some(Removal::Pruned) => return Cause::Pruned,
        None => {}
    }
    let Some(now) = step.cache.as_ref().map(|cache| &cache.inputs).filter(|inputs| !inputs.is_empty()) else {
        return Cause::Unknown;
    };
    let Some(before) = earlier.iter().rev().find_map(|earlier| own.counterpart(step, earlier)) else {
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
    match () {
        () if has("base") => Cause::Base,
        () if !files.is_empty() => Cause::Files(files),
        () if has("content") || has("times") => Cause::Metadata,
        () if !arguments.is_empty() => Cause::Arguments(arguments),
        () if !variables.is_empty() => Cause::Environment(variables),
        () if has("instruction") => Cause::Instruction,
        () if has("from") || !of("mount:").is_empty() => Cause::Source,
        () if has("parent") => Cause::Parent,
        () if changed.is_empty() => Cause::Gone,
        () => Cause::Unknown,
    }
}

/// The steps of a record by what another record's step would know them by.
pub(crate) struct Index<'r> {
    record: &'r Record,
    /// By stage and text: several steps may have one text.
    texts: HashMap<(&'r str, &'r str), Vec<usize>>,
    /// By stage: its steps in order.
    stages: HashMap<&'r str, Vec<usize>>,
    /// By step: its number among those of its stage and text, and its place in its stage.
    places: Vec<(usize, usize)>,
}

impl<'r> Index<'r> {
    /// Indexes a record.
    pub(crate) fn new(record: &'r Record) -> Self {
        let mut index = Self { record, texts: HashMap::new(), stages: HashMap::new(), places: Vec::new() };
        for (at, step) in record.steps.iter().enumerate() {
            let stage = stage(record, step);
            let texts = index.texts.entry((stage, step.text.as_str())).or_default();
            texts.push(at);
            let number = texts.len() - 1;
            let steps = index.stages.entry(stage).or_default();
            steps.push(at);
            index.places.push((number, steps.len() - 1));
        }
        index
    }

    /// The step of another record that this record's step was then: the same text in the same stage, else the same
    /// instruction at the same place in it.
    pub(crate) fn counterpart<'o>(&self, step: &Step, other: &Index<'o>) -> Option<&'o Step> {
        let (number, place) = *self.places.get(step.id.index())?;
        let stage = stage(self.record, step);
        let text = other.texts.get(&(stage, step.text.as_str())).and_then(|steps| steps.get(number));
        let at = || other.stages.get(stage).and_then(|steps| steps.get(place));
        let found = text.or_else(|| at().filter(|&&at| other.record.steps[at].instruction == step.instruction))?;
        other.record.steps.get(*found)
    }
}

/// A stage's name; its number where it has none, which BuildKit writes `stage-1`.
fn stage<'r>(record: &'r Record, step: &Step) -> &'r str {
    let name = step.stage.and_then(|stage| record.stages.get(stage.index())).map_or("", |stage| &stage.name);
    let number = |rest: &&str| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit());
    name.strip_prefix("stage-").filter(number).unwrap_or(name)
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
        Cause::Source => "changed: what it takes from another stage or image".to_owned(),
        Cause::Parent => "changed: what it goes on from".to_owned(),
        Cause::Expired | Cause::Pruned => {
            let said = step.cache.as_ref().and_then(|cache| cache.miss.as_deref());
            let known = if *cause == Cause::Expired { "its result expired" } else { "its result was pruned" };
            format!("ran again, for {}", said.unwrap_or(known))
        }
        Cause::Gone => {
            "did not change, but its result is not in this store: it was made in another, or lost".to_owned()
        }
        Cause::Unasked => "did not change: `--no-cache` kept its result from being used".to_owned(),
        Cause::Unknown => "ran for a reason that the record does not hold".to_owned(),
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

    /// COPY, then a RUN on it that takes 90 ms, beside a RUN that depends on an argument.
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
        let found = misses(&now, &explain(&now), std::slice::from_ref(&before));
        let sentences: Vec<_> = found.iter().map(|miss| miss.sentence.as_str()).collect();
        assert_eq!(
            sentences,
            [
                "`COPY . .` changed: `src/a.rs`: 100 ms rerun with 1 step after it, 100 ms on the critical path",
                "`RUN echo $V` changed: build argument `V`: 20.0 ms rerun, 0 ns on the critical path",
            ]
        );
        let again = misses(&now, &explain(&now), std::slice::from_ref(&now));
        assert!(again.iter().all(|miss| miss.cause == Cause::Gone), "{again:?}");
        let mut cold = now.clone();
        cold.options.cache = Some(CacheState::Cold);
        let unasked = misses(&cold, &explain(&cold), &[now]);
        assert!(unasked.iter().all(|miss| miss.cause == Cause::Unasked), "{unasked:?}");
    }

    #[test]
    fn what_was_removed_from_the_cache_is_told_whatever_else_changed() {
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
        // No earlier record is needed: the store knows.
        let alone = explain(&now);
        let causes: Vec<_> = alone.misses.iter().map(|miss| (miss.step.0, miss.cause.clone())).collect();
        assert_eq!(causes, [(0, Cause::Expired), (2, Cause::Pruned)]);
        assert_eq!(
            alone.steps[0].miss.as_deref(),
            Some(
                "`COPY . .` ran again, for its result expired (unused for 8 days when old ones were removed 2 h ago): \
                 100 ms rerun with 1 step after it, 100 ms on the critical path"
            )
        );
        let other = build([&[("content", "2")], &[("parent", "2")], &[("arg:V", "2")]]);
        let found = misses(&now, &explain(&now), &[other]);
        assert!(found.iter().all(|miss| matches!(miss.cause, Cause::Expired | Cause::Pruned)), "{found:?}");
    }

    #[test]
    fn the_other_causes() {
        let inputs = |names: &'static [(&'static str, &'static str)]| build([names, &[], &[]]);
        let cause = |now, before| {
            misses(&inputs(now), &explain(&inputs(now)), &[inputs(before)])
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
        assert_eq!(misses(&alone, &explain(&alone), &[])[0].cause, Cause::New);
    }
}
