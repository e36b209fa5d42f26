//! Makes the build record from the outcome of a build.

use super::outcome::UsedImage;
use super::{BuildError, DockerfileInput, Outcome, Request, StepReport, host, inside};
use crate::error_chain::distinct_causes;
use crate::plan::{Dependency, Plan, Step};
use crate::steps::copy::FileCount;
use buildscope_dockerfile::lint::Finding;
use buildscope_observe::StepProcesses;
use buildscope_record as record;
use buildscope_record::{
    Collector, Counter, Digest, Edge, EdgeKind, Fidelity, Nanos, Phase, Record, Sample, Span, WaitKind, redacted,
};
use buildscope_storage::Store;
use petgraph::graph::NodeIndex;
use petgraph::visit::EdgeRef;
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Instant;

/// The parts of a record that are known before the build ends: the machine and the options.
#[derive(Clone, Debug)]
pub struct Setting {
    host: record::Host,
    options: record::Options,
}

impl Setting {
    /// Describes this machine and a build on `store`.
    pub fn of(request: &Request, store: &Store) -> Self {
        let options = record::Options {
            policy: Some(request.policy),
            jobs: u32::try_from(request.jobs).ok(),
            admission: Some(request.admission),
            driver: store.driver_name(),
            executor: Some(request.run.executor.name()),
            remote: request.remote.iter().flat_map(|remote| &remote.servers).map(|of| of.address.to_string()).collect(),
            cache: request.no_cache.then_some(record::CacheState::Cold),
            no_cache_stages: request.no_cache_stages.clone(),
            dockerfile: match &request.dockerfile {
                DockerfileInput::Within(path) if request.context.is_dir() => {
                    Some(request.context.join(path).display().to_string())
                }
                DockerfileInput::File(path) | DockerfileInput::Within(path) => Some(path.display().to_string()),
                DockerfileInput::Text { name, .. } => Some(name.clone()),
            },
            target: request.target.clone(),
        };
        Self { host: host(store.root()), options }
    }

    /// Describes this machine and a build of several targets on `store`. The Dockerfile is left out if they have several, and the
    /// cache counts as ignored only if all of them ignore it.
    pub fn of_targets<'r>(requests: impl Iterator<Item = &'r Request> + Clone, store: &Store) -> Self {
        let first = requests.clone().next().cloned().unwrap_or_default();
        let mut setting = Self::of(&first, store);
        let file = |request: &Request| format!("{:?} {:?}", request.context, request.dockerfile);
        let options = &mut setting.options;
        options.dockerfile =
            options.dockerfile.take().filter(|_| requests.clone().all(|other| file(other) == file(&first)));
        options.cache = options.cache.filter(|_| requests.clone().all(|other| other.no_cache));
        options.target = None;
        setting
    }
}

/// Makes the record of a build. `collector` is the one whose probe the build had; it ends here, and so does the wall time.
/// `processes` is then called with the record's time zero and returns what the observer of the steps saw, if there was
/// one. `cpu` is called last: the processor time of the build's processes is complete only when they have ended. It
/// returns `None` if that is unknown.
pub fn record(
    outcome: &Outcome,
    collector: Collector,
    setting: Setting,
    processes: impl FnOnce(Instant) -> Vec<StepProcesses>,
    cpu: impl FnOnce() -> Option<Nanos>,
) -> Record {
    let (wall, epoch) = (collector.now(), collector.epoch());
    let started = jiff::Timestamp::now().checked_sub(epoch.elapsed()).ok();
    let Setting { host, options } = setting;
    let trace = collector.finish();
    let turns: BTreeMap<_, _> =
        trace.spans.iter().filter(|span| span.phase == Phase::Dispatch).map(|span| (span.step, span)).collect();
    let turn = |step: &Step| turns.get(&Some(step.id)).copied();
    let mut steps: Vec<_> = outcome.steps().map(|(step, report)| describe(step, report, turn(step))).collect();
    for image in &outcome.used_images {
        let asked = image.by.iter().filter_map(|by| turns.get(&Some(*by))).map(|span| span.start).min();
        steps.push(bring(image, asked));
    }
    let mut record = Record {
        schema: record::SCHEMA,
        source: record::Source {
            tool: record::Tool::Buildscope,
            version: Some(env!("CARGO_PKG_VERSION").into()),
            fidelity: Fidelity::FULL,
        },
        host,
        options,
        started: started.map(|time| time.to_string()),
        wall,
        cpu: None,
        load: None,
        succeeded: outcome.result.is_ok(),
        unfinished: false,
        notes: outcome.plan.iter().flat_map(|plan| &plan.warnings).map(Finding::in_one_line).collect(),
        stages: outcome.plan.iter().flat_map(|plan| &plan.stages).map(stage).collect(),
        steps,
        edges: outcome
            .plan
            .as_ref()
            .map_or_else(Vec::new, |plan| edges(plan, &outcome.order_edges, &outcome.used_images)),
        targets: outcome.targets.iter().map(|target| target.describe(epoch)).collect(),
        spans: trace.spans,
        waits: trace.waits,
        counters: trace.counters,
        context: context(&outcome.reports),
    };
    record.counters.extend(step_counters(&record));
    for (step, report) in outcome.steps() {
        record.steps[step.id.index()].processes = report.processes.as_ref().map(|remote| remote.in_record(epoch));
    }
    if let Err(error) = outcome.result.as_ref()
        && !matches!(error, BuildError::Cancelled)
    {
        record.fails_outside_of_steps(&distinct_causes(error));
    }
    inside::add_processes(&mut record, outcome, processes(epoch));
    record.options.cache = record.options.cache.or_else(|| cache_state(&record.steps));
    record.cpu = cpu();
    record
}

/// `warm` if all steps that add layers were cached, `edit` if some were. Otherwise the state is unknown: `cold` is for
/// builds with `--no-cache`.
fn cache_state(steps: &[record::Step]) -> Option<record::CacheState> {
    use record::Outcome::{Cached, Executed, Failed, Joined};
    let count = |outcomes: &[record::Outcome]| {
        steps.iter().filter(|step| step.instruction.adds_layer() && outcomes.contains(&step.outcome)).count()
    };
    match (count(&[Cached, Joined]), count(&[Executed, Failed])) {
        (0, _) => None,
        (_, 0) => Some(record::CacheState::Warm),
        _ => Some(record::CacheState::Edit),
    }
}

/// The entries of the context that steps used. If several steps use one entry, the largest part counts.
fn context(reports: &[StepReport]) -> Vec<record::ContextEntry> {
    let mut tops: BTreeMap<&str, FileCount> = BTreeMap::new();
    for (name, count) in reports.iter().flat_map(|report| &report.context) {
        let most = tops.entry(name).or_default();
        *most = FileCount { files: most.files.max(count.files), bytes: most.bytes.max(count.bytes) };
    }
    let entry = |(path, FileCount { files, bytes }): (&str, FileCount)| record::ContextEntry {
        path: path.to_owned(),
        files,
        bytes: record::ByteSize(bytes),
        used: true,
    };
    tops.into_iter().map(entry).collect()
}

/// A digest of what a build did, without times: of stages, steps and edges as JSON with sorted keys. It is known before the
/// image is written, so the image's provenance can contain it. From a record it is computed by
/// `jq -cSj '{stages, edges: [.edges[] | select(.kind == "data")], steps: [.steps[] | del(.start, .end, .slot, .base, .log, .resources, .processes, .network, .place)]}' RECORD | sha256sum`.
pub(super) fn identity(plan: &Plan, reports: &[StepReport], used: &[UsedImage]) -> Digest {
    let step = |(step, report): (&Step, &StepReport)| {
        let described = describe(step, report, None);
        record::Step { base: None, log: Vec::new(), resources: None, network: None, ran_on: None, ..described }
    };
    let steps = plan.steps().zip(reports).map(step).chain(used.iter().map(|image| bring(image, None)));
    let steps: Vec<_> = steps.collect();
    let stages: Vec<_> = plan.stages.iter().map(stage).collect();
    // Numbers, names and digests always serialise. The maps of `Value` are sorted.
    let edges: Vec<_> = edges(plan, &[], used).into_iter().filter(|edge| edge.kind == EdgeKind::Data).collect();
    Digest::of(json!({ "stages": stages, "edges": edges, "steps": steps }).to_string())
}

fn stage(stage: &crate::plan::Stage) -> record::Stage {
    let name = stage.name.clone().unwrap_or_else(|| stage.id.0.to_string());
    record::Stage { id: stage.id, name, base: stage.base.clone() }
}

/// A step in the record. Its times are those during which it had a slot of the scheduler.
fn describe(step: &Step, report: &StepReport, turn: Option<&Span>) -> record::Step {
    record::Step {
        id: step.id,
        stage: Some(step.stage),
        instruction: step.keyword.name().into(),
        text: redacted(&step.text).into_owned(),
        source: Some(record::SourceRange { line: step.lines.0, end_line: step.lines.1 }),
        outcome: report.outcome,
        start: turn.map(|span| span.start),
        end: turn.map(|span| span.end),
        slot: turn.and_then(|span| span.slot),
        cache: report.cache.clone(),
        layer: report.layer.map(|layer| record::Layer {
            bytes: record::ByteSize(layer.size),
            files: layer.files,
            digest: Some(layer.diff_id),
        }),
        base: report.base,
        resources: report.resources,
        processes: None,
        network: report.network,
        ran_on: report.ran_on.clone(),
        output: Vec::new(),
        locks: report.locks.clone(),
        log: report.log.clone(),
        exit_code: report.exit_code,
        error: report.error.clone(),
    }
}

/// The step that stands for pulling an image which no FROM names. It takes no time of its own: the steps that ask for the
/// image wait for the pull, as they do for a lazily pulled FROM.
fn bring(image: &UsedImage, asked: Option<Nanos>) -> record::Step {
    record::Step {
        outcome: if image.cached { record::Outcome::Cached } else { record::Outcome::Executed },
        start: asked,
        end: asked,
        ..record::Step::of(image.id, record::Instruction::From, format!("FROM {}", image.reference))
    }
}

fn edges(plan: &Plan, order: &[(NodeIndex, NodeIndex)], used: &[UsedImage]) -> Vec<Edge> {
    let id = |node: NodeIndex| plan.graph[node].id;
    let kind = |dependency: Dependency| match dependency {
        Dependency::Parent | Dependency::Source => EdgeKind::Data,
        Dependency::After => EdgeKind::After,
    };
    let data = plan.graph.edge_references().map(|edge| (edge.source(), edge.target(), kind(*edge.weight())));
    let order = order.iter().map(|&(from, to)| (from, to, EdgeKind::Order));
    let mut edges: Vec<_> =
        data.chain(order).map(|(from, to, kind)| Edge { from: id(from), to: id(to), kind }).collect();
    let brought = used.iter().flat_map(|image| image.by.iter().map(|to| (image.id, *to)));
    edges.extend(brought.map(|(from, to)| Edge { from, to, kind: EdgeKind::Data }));
    edges.sort_unstable();
    edges.dedup();
    edges
}

/// The number of steps that run, wait for a slot, or wait for other steps, over time.
fn step_counters(record: &Record) -> [Counter; 3] {
    let active = record.steps.iter().filter_map(|step| step.start.zip(step.end));
    let waiting = |kind| record.waits.iter().filter(move |wait| wait.kind == kind).map(|wait| (wait.start, wait.end));
    [
        Counter { name: "steps.active".into(), step: None, samples: levels(active) },
        Counter { name: "steps.ready".into(), step: None, samples: levels(waiting(WaitKind::Slot)) },
        Counter { name: "steps.blocked".into(), step: None, samples: levels(waiting(WaitKind::Dependency)) },
    ]
}

/// The number of intervals that contain each instant, as a sample at each change.
fn levels(intervals: impl Iterator<Item = (Nanos, Nanos)>) -> Vec<Sample> {
    let mut changes: Vec<(Nanos, i32)> = intervals.flat_map(|(start, end)| [(start, 1), (end, -1)]).collect();
    changes.sort_unstable_by_key(|change| change.0);
    let mut level = 0;
    let mut samples: Vec<Sample> = Vec::new();
    for chunk in changes.chunk_by(|one, other| one.0 == other.0) {
        let change: i32 = chunk.iter().map(|change| change.1).sum();
        if change != 0 {
            level += change;
            samples.push(Sample { at: chunk[0].0, value: level.into() });
        }
    }
    samples
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_count_the_intervals_of_each_instant() {
        let intervals = [(0, 10), (5, 20), (10, 12), (30, 30)].map(|(start, end)| (Nanos(start), Nanos(end)));
        let samples = levels(intervals.into_iter());
        let seen: Vec<_> = samples.iter().map(|sample| (sample.at.0, sample.value)).collect();
        assert_eq!(seen, [(0, 1.0), (5, 2.0), (12, 1.0), (20, 0.0)]);
    }
}
