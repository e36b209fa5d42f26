//! The two accounts, which are never mixed: *wall*, the time on the critical path, and *work*, the time of all threads together.

use super::activity::Activities;
use super::docker_desktop::DesktopClass;
use super::row_name::{Attributed, Owner};
use super::walk::Segment;
use crate::index::{Grouped, Index};
use buildscope_record::{Group, Instruction, Nanos, Phase, Record, Span, SpanId, StepId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

/// Wall time and work of one thing: a group, a phase, a stage, a kind of instruction, a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Row")]
pub struct Row<N> {
    /// The owner of the time: its name, `unattributed` or `(build)`.
    #[schemars(with = "String")]
    pub name: N,
    /// Its share of the build's wall time. The rows of a table sum to the wall time exactly.
    pub wall: Nanos,
    /// Its work, summed over all threads. It may exceed the wall time.
    pub work: Nanos,
}

/// Both accounts by several keys. The wall times of each table sum to the wall time of the build exactly.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Accounts {
    /// By group of phases, in the order of the groups, then `unattributed`. Empty groups are listed too.
    pub groups: Vec<Row<Attributed<Group>>>,
    /// By phase, largest first.
    pub phases: Vec<Row<Attributed<Phase>>>,
    /// By name of the stage, largest first.
    pub stages: Vec<Row<Owner<String>>>,
    /// By kind of instruction, largest first.
    pub instructions: Vec<Row<Owner<Instruction>>>,
    /// By line of the Dockerfile on which the instruction starts, largest first.
    pub lines: Vec<Row<Owner<u32>>>,
    /// By class of Docker Desktop's Builds view, largest first. `unattributed` is time for which it has no class.
    #[serde(default)]
    pub desktop: Vec<Row<Attributed<DesktopClass>>>,
}

/// The accounts of one step, or of the build itself, by phase. Unattributed time has no phase.
pub(crate) type ByPhase = BTreeMap<Option<Phase>, PhaseTimes>;

/// Wall time and work of one phase of one step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PhaseTimes {
    pub(crate) wall: Nanos,
    pub(crate) work: Nanos,
}

/// Both accounts by step and phase.
pub(crate) fn ledger(activities: &Activities<'_>, segments: &[Segment]) -> HashMap<Option<StepId>, ByPhase> {
    let mut ledger: HashMap<Option<StepId>, ByPhase> = HashMap::new();
    for segment in segments {
        let entry = ledger.entry(segment.step).or_default().entry(segment.phase).or_default();
        entry.wall += segment.end.saturating_sub(segment.start);
    }
    let record = activities.record;
    for (span, work) in record.spans.iter().zip(exclusive(record)) {
        // Waiting for a slot or a lock is not work.
        if work > Nanos::ZERO && !matches!(span.phase, Phase::Queue | Phase::Lock) {
            ledger.entry(span.step).or_default().entry(Some(span.phase)).or_default().work += work;
        }
    }
    ledger
}

/// The index of a span in [`Record::spans`].
#[derive(Clone, Copy, PartialEq, Eq)]
struct SpanIndex(usize);

impl Index for SpanIndex {
    fn from_index(index: usize) -> Self {
        Self(index)
    }

    fn index(self) -> usize {
        self.0
    }
}

/// The duration of each span without that of its children.
fn exclusive(record: &Record) -> Vec<Nanos> {
    let spans = &record.spans;
    let cut = |span: &Span| (span.start.min(record.wall), span.end.min(record.wall));
    // Records without nested spans are common, and large.
    let nested = spans.iter().any(|span| span.parent.is_some());
    let indices: HashMap<SpanId, SpanIndex> = if nested {
        spans.iter().enumerate().map(|(index, span)| (span.id, SpanIndex(index))).collect()
    } else {
        HashMap::new()
    };
    let parents = spans.iter().map(|span| span.parent.and_then(|parent| indices.get(&parent).copied()));
    let children = Grouped::new(spans.len(), parents.zip(spans).filter_map(|(parent, child)| Some((parent?, child))));
    let own = |(index, span): (usize, &Span)| {
        let (start, end) = cut(span);
        let mut within: Vec<_> = children.of(SpanIndex(index)).iter().map(|&child| cut(child)).collect();
        within.sort_unstable();
        let (mut covered, mut from) = (Nanos::ZERO, start);
        for (first, last) in within {
            let (first, last) = (first.max(from), last.min(end));
            covered += last.saturating_sub(first);
            from = from.max(last);
        }
        end.saturating_sub(start).saturating_sub(covered)
    };
    spans.iter().enumerate().map(own).collect()
}

/// The tables of a ledger.
pub(crate) fn tables(record: &Record, ledger: &HashMap<Option<StepId>, ByPhase>) -> Accounts {
    // Groups keep their own order, and empty ones are listed too.
    let groups = Group::ALL.iter().copied().map(Attributed::Of).chain([Attributed::Unattributed]);
    let mut groups: Vec<_> = groups.map(|name| Row { name, wall: Nanos::ZERO, work: Nanos::ZERO }).collect();
    let mut phases = AccountTable::default();
    let (mut stages, mut instructions, mut lines) =
        (AccountTable::default(), AccountTable::default(), AccountTable::default());
    let mut desktop = AccountTable::default();
    for (&step, by_phase) in ledger {
        let step = step.map(|step| &record.steps[step.index()]);
        let mut whole = PhaseTimes::default();
        for (&phase, &entry) in by_phase {
            let group = Attributed::from(phase.map(Phase::group));
            for row in groups.iter_mut().filter(|row| row.name == group) {
                (row.wall, row.work) = (row.wall + entry.wall, row.work + entry.work);
            }
            phases.add(Attributed::from(phase), entry);
            desktop.add(Attributed::from(DesktopClass::of(step, phase)), entry);
            (whole.wall, whole.work) = (whole.wall + entry.wall, whole.work + entry.work);
        }
        let stage = step.and_then(|step| Some(record.stages.get(step.stage?.index())?.name.clone()));
        stages.add(Owner::from(stage), whole);
        instructions.add(Owner::from(step.map(|step| step.instruction.clone())), whole);
        lines.add(Owner::from(step.and_then(|step| step.source).map(|source| source.line)), whole);
    }
    Accounts {
        groups,
        phases: phases.sorted(),
        stages: stages.sorted(),
        instructions: instructions.sorted(),
        lines: lines.sorted(),
        desktop: desktop.sorted(),
    }
}

/// Entries summed by name.
struct AccountTable<N>(HashMap<N, PhaseTimes>);

impl<N> Default for AccountTable<N> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<N: Hash + Eq + ToString> AccountTable<N> {
    fn add(&mut self, name: N, entry: PhaseTimes) {
        let sum = self.0.entry(name).or_default();
        (sum.wall, sum.work) = (sum.wall + entry.wall, sum.work + entry.work);
    }

    /// The rows that are not empty, largest first; of equals, the first by name.
    fn sorted(self) -> Vec<Row<N>> {
        let filled = self.0.into_iter().filter(|(_, entry)| entry.wall > Nanos::ZERO || entry.work > Nanos::ZERO);
        let mut rows: Vec<_> = filled.map(|(name, entry)| Row { name, wall: entry.wall, work: entry.work }).collect();
        rows.sort_by_cached_key(|row| (Reverse((row.wall, row.work)), row.name.to_string()));
        rows
    }
}
