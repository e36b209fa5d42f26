//! Dagger's spans (engine/telemetryattrs): calls with their cache evidence, and waits as span links.
//!
//! A call that contains no other call is a step. A call may return before its work is done; a later span with a link to it then
//! does the work, and gives the step its times.

use super::draft::{Draft, DraftId, DraftSpan, DraftStep, DraftWait};
use super::instant::Instant;
use super::names::{self, Targets};
use super::trace_span::{SpanLink, TraceSpan};
use buildscope_record::{Cache, Fidelity, Outcome, Phase, Removal, StepKey, Tool, WaitKind};
use std::collections::{BTreeMap, HashMap, HashSet};

/// The attribute of a call with the identity of its recipe.
const CALL: &str = "dagger.io/dag.digest";
/// The attribute of a call with the decision of the cache.
const OUTCOME: &str = "dagger.io/cache.outcome";
/// The attribute of a link with its meaning.
const PURPOSE: &str = "dagger.io/link.purpose";
/// The attribute with the real parent of a span whose place in the tree is only for display.
const PARENT: &str = "wcprof.parent";
/// The attribute of the span that only carries the number of a session's spans. It is not work.
const SESSION_END: &str = "wcprof.session_complete";
/// The most ancestors that are followed, so that a damaged trace ends.
const DEEPEST: usize = 10_000;

/// Whether the spans are Dagger's.
pub(super) fn is_dagger(spans: &[TraceSpan]) -> bool {
    spans.iter().any(|span| span.attributes.contains_key(CALL) || span.attributes.contains_key(OUTCOME))
}

/// Reads the calls as steps.
pub(super) fn draft(spans: &[TraceSpan]) -> Draft {
    let fidelity = Fidelity { starts: true, edges: true, waits: true, ..Fidelity::default() };
    let mut draft = Draft { dated: true, ..Draft::new(Tool::Otlp, fidelity) };
    let tree = SpanTree::of(spans);
    let work = |span: &&TraceSpan| !span.attributes.contains_key(SESSION_END);
    for root in spans.iter().filter(work).filter(|span| !tree.spans.contains_key(parent(span))) {
        draft.saw(root.start);
        draft.saw(root.end.max(root.start));
        draft.failed |= root.failed.is_some();
    }
    let mut steps: HashMap<&str, DraftId> = HashMap::new();
    for call in spans.iter().filter(|span| is_call(span) && !tree.outer.contains(span.id.as_str())) {
        steps.insert(&call.id, draft.steps.push(step(call)));
    }
    let mut worked = HashSet::new();
    for (span, call) in works(spans, &tree) {
        let Some(&id) = steps.get(call) else { continue };
        let step = &mut draft.steps[id];
        let phase = phase(&step.text);
        // The first such span replaces the times of the call, which only asked for the work.
        let first = worked.insert(id);
        step.start =
            Some(if first { span.start } else { step.start.map_or(span.start, |start| start.min(span.start)) });
        step.end = Some(if first { span.end } else { step.end.map_or(span.end, |end| end.max(span.end)) });
        if first {
            step.spans.clear();
        }
        step.spans.push(DraftSpan::new(phase, span.start, span.end).named(span.name.clone()));
        if let Some(error) = &span.failed {
            (step.error, step.outcome) = (Some(error.clone()), Some(Outcome::Failed));
        }
        steps.insert(&span.id, id);
    }
    for span in spans {
        let Some(id) = tree.step_of(&span.id, &steps) else { continue };
        for wait in span.links.iter().filter_map(|link| wait(link, &tree, &steps)) {
            if wait.on == Some(id) {
                continue;
            }
            if let (WaitKind::Dependency, Some(on)) = (wait.kind, wait.on) {
                draft.steps[id].needs.push(on);
            }
            draft.steps[id].waits.push(wait);
        }
    }
    draft
}

fn is_call(span: &TraceSpan) -> bool {
    span.attributes.contains_key(CALL) || span.attributes.contains_key(OUTCOME)
}

fn parent(span: &TraceSpan) -> &str {
    span.attributes.get(PARENT).unwrap_or(&span.parent)
}

/// The spans by id, and the calls that contain other calls.
struct SpanTree<'s> {
    spans: HashMap<&'s str, &'s TraceSpan>,
    outer: HashSet<&'s str>,
}

impl<'s> SpanTree<'s> {
    fn of(spans: &'s [TraceSpan]) -> Self {
        let mut tree =
            Self { spans: spans.iter().map(|span| (span.id.as_str(), span)).collect(), outer: HashSet::new() };
        for call in spans.iter().filter(|span| is_call(span)) {
            let mut above = parent(call);
            for _ in 0..DEEPEST {
                let Some((id, span)) = tree.spans.get_key_value(above) else { break };
                // What is above this one was seen before.
                if is_call(span) && !tree.outer.insert(id) {
                    break;
                }
                above = parent(span);
            }
        }
        tree
    }

    /// The step that a span belongs to: its own, or that of the nearest span above it.
    fn step_of(&self, span: &str, steps: &HashMap<&str, DraftId>) -> Option<DraftId> {
        let mut at = span;
        for _ in 0..DEEPEST {
            if let Some(&id) = steps.get(at) {
                return Some(id);
            }
            at = parent(self.spans.get(at)?);
        }
        None
    }
}

/// The spans that do the work of calls which returned earlier: each has a link to its call without a purpose, or with the purpose `cause`.
/// Of several causes the first is the call; the others asked for its result.
fn works<'s>(spans: &'s [TraceSpan], tree: &SpanTree<'s>) -> impl Iterator<Item = (&'s TraceSpan, &'s str)> {
    let cause = |link: &&SpanLink| link.attributes.get(PURPOSE).is_some_and(|purpose| purpose == "cause");
    spans.iter().filter(|span| !is_call(span)).flat_map(move |span| {
        let plain = || span.links.iter().filter(|link| !link.attributes.contains_key(PURPOSE));
        let called = |link: &&SpanLink| tree.spans.get(link.span.as_str()).is_some_and(|call| is_call(call));
        let first = span.links.iter().filter(cause).find(called).filter(|_| plain().next().is_none());
        plain().chain(first).map(move |link| (span, link.span.as_str()))
    })
}

/// The phase of a call, from the name of its function: `Container.withExec`.
fn phase(name: &str) -> Phase {
    let function = name.split(['(', ' ']).next().unwrap_or(name).to_ascii_lowercase();
    let has = |word: &str| function.contains(word);
    if has("exec") {
        Phase::Process
    } else if has(".from") || has("pull") {
        Phase::Pull
    } else if has("publish") {
        Phase::Push
    } else if has("export") || has("astarball") {
        Phase::Export
    } else if has("git") || has("http") {
        Phase::Fetch
    } else if has("host.") {
        Phase::ContextScan
    } else if has("file") || has("directory") || has("copy") {
        Phase::Copy
    } else {
        // A function of a module runs as a process.
        Phase::Process
    }
}

fn step(call: &TraceSpan) -> DraftStep {
    let name = names::vertex(&call.name, &Targets::default());
    let phase = phase(&name.text);
    let fact = |key: &str| call.attributes.get(key).map(String::as_str);
    let outcome = match fact(OUTCOME) {
        _ if call.failed.is_some() => Outcome::Failed,
        Some("hit") => Outcome::Cached,
        Some("joined") => Outcome::Joined,
        None if fact("dagger.io/dag.cached") == Some("true") => Outcome::Cached,
        _ => Outcome::Executed,
    };
    DraftStep {
        platform: None,
        spans: vec![DraftSpan::new(phase, call.start, call.end)],
        outcome: Some(outcome),
        start: Some(call.start),
        end: Some(call.end),
        error: call.failed.clone(),
        cache: fact("dagger.io/cache.contract").map(|_| cache(call)),
        ..DraftStep::named(name)
    }
}

/// The cache evidence of a call: the parts of its key, and why it missed.
fn cache(call: &TraceSpan) -> Cache {
    let fact = |key: &str| call.attributes.get(key).map(String::as_str);
    let key = StepKey::of(fact(CALL).unwrap_or_default());
    let mut inputs = BTreeMap::new();
    if let Some(digest) = fact("dagger.io/cache.self_digest") {
        inputs.insert("instruction".to_owned(), digest.to_owned());
    }
    let list =
        fact("dagger.io/cache.structural_inputs").and_then(|text| serde_json::from_str::<Vec<String>>(text).ok());
    for (number, digest) in list.into_iter().flatten().enumerate() {
        // The first one is the value that the call is made on.
        let name = if number == 0 { "parent".to_owned() } else { format!("mount:{number}") };
        inputs.insert(name, digest);
    }
    let is = |key: &str| fact(key) == Some("true");
    let unknown = fact("dagger.io/cache.miss.unknown_input").and_then(|text| text.parse::<usize>().ok());
    let miss = match (fact(OUTCOME), unknown) {
        (Some("uncached"), _) => Some("the call is never cached".to_owned()),
        _ if is("dagger.io/cache.miss.incompatible_candidates") => {
            Some("earlier results need secrets or sockets that this session does not have".to_owned())
        }
        (_, Some(number)) => Some(format!("the cache did not know input {number}")),
        _ => None,
    };
    Cache { key, inputs, miss, removed: is("dagger.io/cache.miss.saw_expired").then_some(Removal::Expired) }
}

/// The wait that a link describes: the step that was waited for, and the interval.
fn wait(link: &SpanLink, tree: &SpanTree<'_>, steps: &HashMap<&str, DraftId>) -> Option<DraftWait> {
    let fact = |key: &str| link.attributes.get(key).map(String::as_str);
    if fact(PURPOSE) != Some("wait") {
        return None;
    }
    let time = |key: &str| fact(key).and_then(|text| text.parse::<Instant>().ok());
    let (start, end) = (time("wcprof.wait.start_unix_ns")?, time("wcprof.wait.end_unix_ns")?);
    let reason = fact("wcprof.wait.reason").unwrap_or("wait");
    let kind = match reason {
        "lock" => WaitKind::Lock,
        "exec" => WaitKind::Process,
        "io" => WaitKind::Disk,
        _ => WaitKind::Dependency,
    };
    let name = fact("wcprof.wait.ident").unwrap_or(reason).to_owned();
    let on = tree.step_of(&link.span, steps).filter(|_| !kind.is_leaf());
    Some(DraftWait { kind, on, name, start, end: end.max(start) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn attributes(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn span(id: &str, parent: &str, name: &str, [start, end]: [u64; 2], pairs: &[(&str, &str)]) -> TraceSpan {
        TraceSpan {
            id: id.into(),
            parent: parent.into(),
            name: name.into(),
            start: (start * SECOND).into(),
            end: (end * SECOND).into(),
            attributes: attributes(pairs),
            ..TraceSpan::default()
        }
    }

    fn link(span: &str, pairs: &[(&str, &str)]) -> Vec<SpanLink> {
        vec![SpanLink { span: span.into(), attributes: attributes(pairs) }]
    }

    /// `build` is called at 1 s, and a later span does its work from 1 to 5 s; `test` waits for it from 2 to 5 s.
    fn spans() -> Vec<TraceSpan> {
        let wait = [
            (PURPOSE, "wait"),
            ("wcprof.wait.reason", "lazy"),
            ("wcprof.wait.start_unix_ns", "2000000000"),
            ("wcprof.wait.end_unix_ns", "5000000000"),
        ];
        let evidence = |outcome| [(CALL, "xxh3:1"), ("dagger.io/cache.contract", "1"), (OUTCOME, outcome)];
        let missed = [
            (CALL, "xxh3:2"),
            ("dagger.io/cache.contract", "1"),
            (OUTCOME, "executed"),
            ("dagger.io/cache.self_digest", "xxh3:self"),
            ("dagger.io/cache.structural_inputs", r#"["xxh3:a","xxh3:b"]"#),
            ("dagger.io/cache.miss.saw_expired", "true"),
        ];
        vec![
            span("r", "", "dagger call test", [0, 10], &[]),
            span("m", "r", "Module.test", [0, 9], &evidence("executed")),
            span("b", "m", "Container.withExec build", [1, 1], &missed),
            TraceSpan { links: link("b", &[]), ..span("w", "m", "resume withExec", [1, 5], &[]) },
            TraceSpan {
                links: link("w", &wait),
                ..span("t", "m", "Container.withExec test", [2, 8], &evidence("executed"))
            },
            span("h", "m", "Container.from alpine", [0, 1], &evidence("hit")),
        ]
    }

    #[test]
    fn links_are_waits_and_evidence_is_why_a_call_missed() {
        let record = draft(&spans()).finish();
        let step =
            |text: &str| record.steps.iter().find(|step| step.text.contains(text)).unwrap_or_else(|| panic!("{text}"));
        assert_eq!(record.steps.len(), 3, "the call that contains the others is not a step");
        assert_eq!(step("alpine").outcome, Outcome::Cached);
        let (build, test) = (step("withExec build"), step("withExec test"));
        let seconds = |time: Option<buildscope_record::Nanos>| time.unwrap().0 / SECOND;
        assert_eq!((seconds(build.start), seconds(build.end)), (1, 5));
        let cache = build.cache.as_ref().unwrap();
        assert_eq!(cache.removed, Some(Removal::Expired));
        assert_eq!((&*cache.inputs["parent"], &*cache.inputs["mount:1"]), ("xxh3:a", "xxh3:b"));
        assert_eq!(record.waits.len(), 1);
        let wait = &record.waits[0];
        assert_eq!((wait.step, wait.on, wait.kind), (test.id, Some(build.id), WaitKind::Dependency));
        assert_eq!((wait.start.0 / SECOND, wait.end.0 / SECOND), (2, 5));
        assert!(record.edges.iter().any(|edge| (edge.from, edge.to) == (build.id, test.id)));
        let misses = |record| crate::explain(record).misses.into_iter().map(|miss| miss.sentence).collect::<Vec<_>>();
        assert!(misses(&record)[0].starts_with("`Container.withExec build` ran again: its result expired"));

        // A reason of the cache that is not a removal, and a span that is not work.
        let mut spans = spans();
        let build = spans.iter_mut().find(|span| span.name.contains("withExec build")).unwrap();
        build.attributes.remove("dagger.io/cache.miss.saw_expired");
        build.attributes.insert(OUTCOME.into(), "uncached".into());
        spans.push(span("end", "", "session complete", [9, 99], &[(SESSION_END, "true")]));
        let record = draft(&spans).finish();
        assert!(misses(&record)[0].starts_with("`Container.withExec build` ran: the call is never cached"));
        assert!(record.wall.0 / SECOND < 90);
    }

    #[test]
    fn the_longest_chain_passes_through_waits() {
        // `build` takes four seconds; `test` waits for it until 5 s, and works for three more.
        let bounds = |spans: &[TraceSpan]| crate::explain(&draft(spans).finish()).bounds;
        let found = bounds(&spans());
        assert_eq!([found.work, found.span, found.least].map(|time| time.0 / SECOND), [8, 7, 9], "{found:?}");

        // A second before the wait needs nothing: a chain of `build` and the three seconds after the wait stays.
        let mut earlier = spans();
        earlier[4].start = SECOND.into();
        let found = bounds(&earlier);
        assert_eq!([found.work, found.span].map(|time| time.0 / SECOND), [9, 7], "{found:?}");

        // Without the link, nothing is known of the need.
        let mut unlinked = spans();
        unlinked[4].links.clear();
        assert_eq!(bounds(&unlinked).span.0 / SECOND, 6);

        // What `build` does after the wait is not waited for: four seconds to 5 s, three after it.
        let mut longer = spans();
        let more = TraceSpan { links: link("b", &[]), ..span("v", "m", "resume withExec", [5, 7], &[]) };
        longer.push(more);
        let found = bounds(&longer);
        assert_eq!([found.work, found.span].map(|time| time.0 / SECOND), [10, 7], "{found:?}");
    }

    #[test]
    fn a_span_belongs_to_the_call_of_its_first_cause() {
        let mut spans = spans();
        let cause = [(PURPOSE, "cause")];
        spans[3].links = [link("b", &cause), link("t", &cause)].concat();
        let record = draft(&spans).finish();
        let build = record.steps.iter().find(|step| step.text.contains("withExec build")).unwrap();
        assert_eq!(build.end.unwrap().0 / SECOND, 5);
        assert_eq!(record.waits[0].on, Some(build.id));
        let phases =
            ["Container.withExec a", "Container.from b", "Host.directory", "Directory.withFile", "Git.ref", "App.test"]
                .map(phase);
        let expected = [Phase::Process, Phase::Pull, Phase::ContextScan, Phase::Copy, Phase::Fetch, Phase::Process];
        assert_eq!(phases, expected);
        let explanation = crate::explain(&record);
        assert!(
            explanation.answer.contains("went to `Container.withExec build`, mostly process"),
            "{}",
            explanation.answer
        );
    }
}
