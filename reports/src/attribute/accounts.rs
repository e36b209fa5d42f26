//! The two accounts, never mixed up: *wall*, what the build's time went to on the critical path, and *work*, what
//! was done on all threads together.

use super::activity::Activities;
use super::walk::Segment;
use crate::graph::Grouped;
use buildscope_record::{Group, Nanos, Phase, Record, Span, SpanId, StepId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};

/// Wall time and work of one thing: a group, a phase, a stage, a kind of instruction, a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Row {
    /// Its name; [`UNATTRIBUTED`] and [`BUILD`] stand for what belongs to none.
    pub name: String,
    /// Its share of the build's wall time. The rows of a table sum to the wall time exactly.
    pub wall: Nanos,
    /// Its work, summed over all threads: may exceed the wall time.
    pub work: Nanos,
}

/// The name of wall time that no span accounts for.
pub const UNATTRIBUTED: &str = "unattributed";
/// The name of what belongs to no step.
pub const BUILD: &str = "(build)";

/// The wall account by several keys; the rows of each table sum to the wall time exactly.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Accounts {
    /// By group of phases, in the groups' own order, then `unattributed`. All of them, also empty ones.
    pub groups: Vec<Row>,
    /// By phase, largest first.
    pub phases: Vec<Row>,
    /// By stage, largest first.
    pub stages: Vec<Row>,
    /// By kind of instruction, largest first.
    pub instructions: Vec<Row>,
    /// By line of the Dockerfile on which the instruction begins, largest first.
    pub lines: Vec<Row>,
}

/// One step's (or the build's) accounts by phase; no phase is `unattributed`.
pub(crate) type ByPhase = BTreeMap<Option<Phase>, Entry>;

/// Wall and work of one phase of one step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Entry {
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
        // To wait for a turn is no work.
        if work > Nanos::ZERO && !matches!(span.phase, Phase::Queue | Phase::Lock) {
            ledger.entry(span.step).or_default().entry(Some(span.phase)).or_default().work += work;
        }
    }
    ledger
}

/// Each span's duration without that of its children.
fn exclusive(record: &Record) -> Vec<Nanos> {
    let spans = &record.spans;
    let cut = |span: &Span| (span.start.min(record.wall), span.end.min(record.wall));
    let places: HashMap<SpanId, usize> = match spans.iter().any(|span| span.parent.is_some()) {
        true => spans.iter().enumerate().map(|(place, span)| (span.id, place)).collect(),
        false => HashMap::new(),
    };
    let parents = spans.iter().map(|span| span.parent.and_then(|parent| places.get(&parent).copied()));
    let children = Grouped::new(spans.len(), parents.enumerate().filter_map(|(child, parent)| Some((parent?, child))));
    let own = |(place, span): (usize, &Span)| {
        let (start, end) = cut(span);
        let mut within: Vec<_> = children.of(place).iter().map(|&child| cut(&spans[child])).collect();
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
    let mut groups: Vec<Row> = Group::ALL.iter().map(|group| empty(group.name())).collect();
    groups.push(empty(UNATTRIBUTED));
    let mut phases = Table::default();
    let (mut stages, mut instructions, mut lines) = (Table::default(), Table::default(), Table::default());
    for (&step, by_phase) in ledger {
        let step = step.map(|step| &record.steps[step.index()]);
        let mut whole = Entry::default();
        for (&phase, &entry) in by_phase {
            let group = &mut groups[phase.map_or(Group::ALL.len(), |phase| place(phase.group()))];
            (group.wall, group.work) = (group.wall + entry.wall, group.work + entry.work);
            phases.add(phase, entry);
            (whole.wall, whole.work) = (whole.wall + entry.wall, whole.work + entry.work);
        }
        stages.add(step.and_then(|step| Some(&*record.stages.get(step.stage?.index())?.name)), whole);
        instructions.add(step.map(|step| &*step.instruction), whole);
        lines.add(step.and_then(|step| step.source).map(|source| source.line), whole);
    }
    let build = |name: Option<&str>| name.unwrap_or(BUILD).to_owned();
    Accounts {
        groups,
        phases: phases.sorted(|phase| phase.map_or(UNATTRIBUTED, Phase::name).to_owned()),
        stages: stages.sorted(build),
        instructions: instructions.sorted(build),
        lines: lines.sorted(|line| line.map_or_else(|| BUILD.to_owned(), |line| line.to_string())),
    }
}

fn place(group: Group) -> usize {
    Group::ALL.iter().position(|&other| other == group).unwrap_or(Group::ALL.len())
}

fn empty(name: &str) -> Row {
    Row { name: name.to_owned(), wall: Nanos::ZERO, work: Nanos::ZERO }
}

/// Entries summed by what they are of; none is the build as a whole.
struct Table<K>(HashMap<Option<K>, Entry>);

impl<K> Default for Table<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: std::hash::Hash + Eq> Table<K> {
    fn add(&mut self, of: Option<K>, entry: Entry) {
        let sum = self.0.entry(of).or_default();
        (sum.wall, sum.work) = (sum.wall + entry.wall, sum.work + entry.work);
    }

    /// The rows, largest first.
    fn sorted(self, name: impl Fn(Option<K>) -> String) -> Vec<Row> {
        let named = self.0.into_iter().filter(|(_, entry)| entry.wall > Nanos::ZERO || entry.work > Nanos::ZERO);
        let mut rows: Vec<Row> =
            named.map(|(of, entry)| Row { name: name(of), wall: entry.wall, work: entry.work }).collect();
        rows.sort_unstable_by(|a, b| (b.wall, b.work, &a.name).cmp(&(a.wall, a.work, &b.name)));
        rows
    }
}
