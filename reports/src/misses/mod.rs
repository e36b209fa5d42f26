//! Why steps were not in the cache: which input changed since the nearest earlier record, and what that cost.
//!
//! *Takes* an analysis and earlier records of the same build. *Gives* the root causes: a step that missed only because its parent
//! changed is counted with the step that really changed.

mod cause;
mod sentence;

pub use cause::Cause;

use crate::analysis::Analysis;
use crate::counterpart::Counterparts;
use buildscope_record::{CacheState, EdgeKind, Nanos, Outcome, Record, Step, StepId};
use cause::{cause, of_parent};
use schemars::JsonSchema;
use sentence::{Cost, sentence};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A step that ran because something changed, and the steps that ran because of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Miss {
    /// The step that changed; of several that changed for one reason, the first.
    pub step: StepId,
    /// What changed.
    pub cause: Cause,
    /// The other steps that ran again for that reason, or only because these did.
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
    let mut grouped: BTreeMap<StepId, Vec<StepId>> = BTreeMap::new();
    for (step, root) in record.steps.iter().zip(&roots.of_step).filter(|(step, _)| ran(step)) {
        if let Some(root) = root {
            grouped.entry(*root).or_default().push(step.id);
        }
    }
    // One change may have several steps run: they are one miss.
    let mut by_cause: BTreeMap<(&Cause, StepId), Vec<StepId>> = BTreeMap::new();
    for (step, cause) in roots.causes.iter().filter(|(step, _)| grouped.contains_key(step)) {
        let key = if cause.is_shared() { StepId(0) } else { *step };
        by_cause.entry((cause, key)).or_default().push(*step);
    }
    let miss = |((cause, _), changed): ((&Cause, StepId), Vec<StepId>)| {
        let step = changed[0];
        let all = || changed.iter().flat_map(|root| &grouped[root]).copied();
        let rerun = all().map(|id| analysis.step(id).own).sum();
        let on_path = all().map(|id| analysis.step(id)).map(|step| step.wall.min(step.own)).sum();
        let mut caused: Vec<StepId> = all().filter(|&id| id != step).collect();
        caused.sort_unstable();
        let after = caused.iter().filter(|id| !changed.contains(id)).count();
        let cost = Cost { changed: changed.len(), caused: after, rerun, on_path };
        let sentence = sentence(&record.steps[step.index()], cause, cost);
        Miss { step, cause: cause.clone(), caused, rerun, on_path, sentence }
    };
    let mut found: Vec<Miss> = by_cause.into_iter().map(miss).collect();
    found.sort_by_key(|miss| (std::cmp::Reverse((miss.on_path, miss.rerun)), miss.step));
    found
}

/// Whether a step of a stage ran. What a builder does for the build as a whole (loading a context, for example) runs always.
fn ran(step: &Step) -> bool {
    matches!(step.outcome, Outcome::Executed | Outcome::Failed) && step.stage.is_some()
}

/// Whether the user asked for a step to run whatever is in the cache.
fn unasked(record: &Record, step: &Step) -> Option<Cause> {
    let options = &record.options;
    let stage = step.stage.and_then(|stage| record.stages.get(stage.index()));
    let named =
        stage.is_some_and(|stage| options.no_cache_stages.iter().any(|name| name.eq_ignore_ascii_case(&stage.name)));
    if named {
        Some(Cause::Unasked(options.no_cache_stages.clone()))
    } else {
        (options.cache == Some(CacheState::Cold)).then(|| Cause::Unasked(Vec::new()))
    }
}

/// The steps whose own change made them and others run.
struct Roots {
    /// By step: the root that its change is counted with; `None` for a step that did not change and did not run.
    of_step: Vec<Option<StepId>>,
    /// By root: what changed.
    causes: BTreeMap<StepId, Cause>,
}

impl Roots {
    fn new(analysis: &Analysis<'_>, earlier: &[Record]) -> Self {
        let (record, graph) = (analysis.record, &analysis.activities.graph);
        let earlier: Vec<_> = earlier.iter().map(|earlier| Counterparts::between(record, earlier)).collect();
        let mut roots = Self { of_step: vec![None; record.steps.len()], causes: BTreeMap::new() };
        for &id in graph.order() {
            let step = &record.steps[id.index()];
            if step.outcome == Outcome::Pruned || step.stage.is_none() {
                continue;
            }
            let cause = match cause(record, step, &earlier) {
                // A step that did not run may still have changed, and the steps after it with it: a base image, or a result that
                // an older build had left in the store.
                Cause::Gone | Cause::Unknown | Cause::Times if !ran(step) => continue,
                Cause::Gone => unasked(record, step).unwrap_or(Cause::Gone),
                cause => cause,
            };
            // What did not change, or only in its times, leaves the keys of the steps after it as they were.
            let unchanged =
                |root: &StepId| matches!(roots.causes.get(root), Some(Cause::Times | Cause::Gone | Cause::Unasked(_)));
            let before = graph.before(id).iter().filter(|need| need.kind == EdgeKind::Data);
            let before = before.filter_map(|need| roots.of_step[need.step.index()]).filter(|root| !unchanged(root));
            // Which of several roots cost most would be a guess: the first in the file is taken.
            let root = before.min().filter(|_| cause.follows()).unwrap_or(id);
            roots.of_step[id.index()] = Some(root);
            if root == id {
                let cause = if cause == Cause::Parent { of_parent(record, step, &earlier) } else { cause };
                roots.causes.insert(id, cause);
            }
        }
        roots
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{explain, synthetic::Synthetic};
    use buildscope_record::{Cache, Removal, StepKey};

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
        assert_eq!(again.len(), 1, "one reason, one sentence: {again:?}");
        let mut filtered = now.clone();
        filtered.options.no_cache_stages = vec!["a".into()];
        let found = root_misses(&filtered, std::slice::from_ref(&now));
        let causes: Vec<_> = found.iter().map(|miss| (miss.step.0, miss.cause.clone())).collect();
        assert_eq!(causes, [(0, Cause::Unasked(vec!["a".into()])), (2, Cause::Gone)]);
        assert!(found[0].sentence.starts_with("`--no-cache-filter` ignored the results of 2 steps"), "{found:?}");
        let mut cold = now.clone();
        cold.options.cache = Some(CacheState::Cold);
        let unasked = root_misses(&cold, &[now]);
        let sentences: Vec<_> = unasked.iter().map(|miss| miss.sentence.as_str()).collect();
        assert_eq!(
            sentences,
            [
                "`--no-cache` ignored the results of 3 steps that did not change: 120 ms rerun, 100 ms on the critical path"
            ]
        );
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

    /// A stage of steps that add layers. The key of each is that of its texts so far, with the times of its files.
    fn stage(texts: &[&str], times: &str) -> Record {
        let mut made = Synthetic::default();
        let stage = made.stage("a");
        let mut before = None;
        for (at, text) in texts.iter().enumerate() {
            let at = at as u64 * 10;
            let step = made.step(stage, text, at..at + 10);
            if let Some(before) = before {
                made.data(before, step);
            }
            before = Some(step);
        }
        made.with(|record| {
            let mut key = String::new();
            for step in &mut record.steps {
                let mut inputs = BTreeMap::from([("instruction".to_owned(), step.text.clone())]);
                if step.instruction != "FROM" {
                    inputs.insert("parent".into(), key.clone());
                }
                if step.instruction == "COPY" {
                    inputs.insert("times".into(), times.into());
                }
                key = format!("{key};{}", step.text);
                step.cache = Some(Cache { key: StepKey::of(&key), inputs, miss: None, removed: None });
            }
        });
        made.finish(texts.len() as u64 * 10)
    }

    fn only(now: &Record, before: Record) -> Miss {
        let mut found = root_misses(now, &[before]);
        found.retain(|miss| !matches!(miss.cause, Cause::Gone));
        assert_eq!(found.len(), 1, "{found:?}");
        found.remove(0)
    }

    #[test]
    fn an_inserted_step_is_the_cause_although_a_checkout_changed_all_times() {
        let before = stage(&["FROM base", "COPY cfg.json /", "RUN make"], "old");
        let found = only(&stage(&["FROM base", "RUN true", "COPY cfg.json /", "RUN make"], "new"), before);
        assert_eq!((found.step, found.cause, found.caused), (StepId(1), Cause::New, vec![StepId(2), StepId(3)]));
    }

    #[test]
    fn a_removed_or_moved_step_is_named() {
        let before = || stage(&["FROM base", "COPY a /", "COPY b /", "RUN make"], "old");
        let removed = only(&stage(&["FROM base", "COPY b /", "RUN make"], "new"), before());
        assert_eq!((removed.step, &removed.cause), (StepId(1), &Cause::Removed("COPY a /".into())));
        assert!(
            removed.sentence.starts_with("`COPY b /` ran again: `COPY a /` before it was removed: "),
            "{removed:?}"
        );
        let moved = only(&stage(&["FROM base", "COPY b /", "COPY a /", "RUN make"], "new"), before());
        assert_eq!((moved.step, &moved.cause), (StepId(1), &Cause::Moved("COPY a /".into())));
        assert_eq!(moved.caused, [StepId(2), StepId(3)]);
    }

    #[test]
    fn an_inserted_step_that_was_cached_is_the_cause_of_the_next() {
        let before = stage(&["FROM base", "RUN make"], "");
        let mut now = stage(&["FROM base", "RUN true", "RUN make"], "");
        now.steps[1].outcome = Outcome::Cached;
        let found = root_misses(&now, &[before]);
        let found = found.iter().find(|miss| miss.step == StepId(1)).unwrap();
        assert_eq!((&found.cause, found.caused.as_slice()), (&Cause::New, &[StepId(2)][..]));
    }

    #[test]
    fn one_argument_of_several_steps_is_one_miss() {
        let arg = |value: &'static str| {
            let mut record = stage(&["FROM base", "RUN a", "RUN b", "COPY x /"], "");
            for step in &mut record.steps[1..3] {
                step.cache.as_mut().unwrap().inputs.insert("arg:V".into(), value.into());
            }
            record.steps[3].cache.as_mut().unwrap().inputs.insert("parent".into(), value.into());
            record
        };
        let found = only(&arg("2"), arg("1"));
        assert_eq!((found.step, &found.cause), (StepId(1), &Cause::Arguments(vec!["V".into()])));
        assert_eq!(
            found.sentence,
            "build argument `V` changed for 2 steps from `RUN a` on: 30.0 ms rerun with 1 step after them, 30.0 ms on the critical path"
        );
    }

    #[test]
    fn a_changed_base_is_named_with_its_digests() {
        let with = |digest: &str| {
            let mut record = stage(&["FROM busybox", "RUN a", "RUN b"], "");
            record.steps[0].outcome = Outcome::Cached;
            record.steps[0].cache.as_mut().unwrap().inputs.insert("base".into(), digest.into());
            record.steps[1].cache.as_mut().unwrap().inputs.insert("parent".into(), digest.into());
            record
        };
        let found = only(&with("sha256:aaaaaaaaaaaaaaaa"), with("sha256:bbbbbbbbbbbbbbbb"));
        assert_eq!((found.step, found.caused.as_slice()), (StepId(0), &[StepId(1)][..]));
        let expected =
            "`FROM busybox` changed: the base image `busybox` is sha256:aaaaaaaaaaaa now, it was sha256:bbbbbbbbbbbb: ";
        assert!(found.sentence.starts_with(expected), "{}", found.sentence);
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
        assert_eq!(cause(&[("content", "1")], &[("content", "2")]), Cause::Content);
        const FILE: (&str, &str) = ("file:./run.sh", "same");
        let modes = cause(&[("content", "2"), FILE], &[("content", "1"), FILE, ("entry:./run.sh", "file 0755 0:0")]);
        assert_eq!(modes, Cause::Metadata(vec!["mode of `run.sh` (0755, now 0644)".into()]));
        let base = Cause::Base { image: "busybox".into(), before: "2".into(), now: "1".into() };
        assert_eq!(cause(&[("base", "1")], &[("base", "2")]), base);
        assert_eq!(cause(&[("times", "1")], &[("times", "2")]), Cause::Times);
        assert_eq!(cause(&[("instruction", "1")], &[("instruction", "2")]), Cause::Instruction);
        assert_eq!(cause(&[("env:A", "1")], &[("env:A", "1"), ("env:B", "1")]), Cause::Environment(vec!["B".into()]));
        assert_eq!(cause(&[("from", "1")], &[("from", "2")]), Cause::Source);
        let alone = inputs(&[("content", "1")]);
        assert_eq!(root_misses(&alone, &[])[0].cause, Cause::New);
    }
}
