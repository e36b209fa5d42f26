//! A record under construction: steps refer to each other by their index in the draft, and times are those of any clock.

use super::instant::Instant;
use super::names::{Name, is_export, is_preparation, loads_context};
use super::output::OutputLines;
use crate::graph::topological;
use crate::index::{Grouped, Index, Indexed};
use buildscope_record::{
    Cache, Fidelity, Instruction, Layer, Options, Outcome, Phase, Resources, Source, Tool, WaitKind,
    failure_outside_of_steps,
};
use std::collections::{BTreeMap, HashMap};

/// The name of an interval that was inferred.
pub(crate) const INFERRED: &str = "inferred";

/// The index of a step in its draft. The record has the steps in another order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct DraftId(usize);

impl Index for DraftId {
    fn from_index(index: usize) -> Self {
        Self(index)
    }

    fn index(self) -> usize {
        self.0
    }
}

/// A step as the log shows it.
#[derive(Clone, Debug, Default)]
pub(crate) struct DraftStep {
    pub(crate) stage: Option<String>,
    /// The target of a bake file or the service of a compose file.
    pub(crate) target: Option<String>,
    /// The platform, or `linux/amd64->arm64` for a step that runs on one platform for another.
    pub(crate) platform: Option<String>,
    pub(crate) number: Option<(u32, u32)>,
    pub(crate) instruction: Instruction,
    pub(crate) text: String,
    pub(crate) lines: Option<(u32, u32)>,
    pub(crate) outcome: Option<Outcome>,
    pub(crate) start: Option<Instant>,
    pub(crate) end: Option<Instant>,
    /// The intervals of the step's work. Inferred intervals have the name [`INFERRED`].
    pub(crate) spans: Vec<DraftSpan>,
    /// The intervals in which the step waited.
    pub(crate) waits: Vec<DraftWait>,
    /// The steps that it needs.
    pub(crate) needs: Vec<DraftId>,
    /// The steps that it came after without needing them.
    pub(crate) after: Vec<DraftId>,
    pub(crate) error: Option<String>,
    pub(crate) log: Vec<String>,
    /// The lines of the output that show the step's activity.
    pub(crate) output: OutputLines,
    pub(crate) layer: Option<Layer>,
    pub(crate) resources: Option<Resources>,
    /// The parts of the cache key, and the reason for a miss.
    pub(crate) cache: Option<Cache>,
}

impl DraftStep {
    /// A step of which only the name is known.
    pub(crate) fn named(name: Name) -> Self {
        Self {
            stage: name.stage,
            target: name.target,
            platform: name.platform,
            number: name.number,
            instruction: name.instruction,
            text: name.text,
            ..Self::default()
        }
    }
}

/// An interval of a step or of the build.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct DraftSpan {
    pub(crate) phase: Phase,
    pub(crate) name: Option<String>,
    pub(crate) start: Instant,
    pub(crate) end: Instant,
    pub(crate) bytes: Option<u64>,
}

impl DraftSpan {
    pub(crate) fn new(phase: Phase, start: Instant, end: Instant) -> Self {
        // Clocks may step back. An interval that ends before it starts gets no length.
        Self { phase, name: None, start, end: end.max(start), bytes: None }
    }

    pub(crate) fn named(self, name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..self }
    }
}

/// A wait of a step. An inferred wait has the name [`INFERRED`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DraftWait {
    pub(crate) kind: WaitKind,
    /// The step that ended the wait, if there was one.
    pub(crate) on: Option<DraftId>,
    pub(crate) name: String,
    pub(crate) start: Instant,
    pub(crate) end: Instant,
}

/// A record under construction.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) source: Source,
    pub(crate) options: Options,
    pub(crate) cpus: Option<u32>,
    pub(crate) memory: Option<u64>,
    /// The steps in any order. `finish` sorts them as in a Dockerfile.
    pub(crate) steps: Indexed<DraftId, DraftStep>,
    pub(crate) spans: Vec<DraftSpan>,
    pub(crate) counters: BTreeMap<String, Vec<(Instant, f64)>>,
    pub(crate) begin: Option<Instant>,
    pub(crate) end: Option<Instant>,
    /// Whether times are since 1970.
    pub(crate) dated: bool,
    pub(crate) failed: bool,
    /// Whether the log ends before the build does.
    pub(crate) unfinished: bool,
    /// Notes for the reader of the record about the log.
    pub(crate) notes: Vec<String>,
    /// The number of the log's line at which the build starts.
    pub(crate) line: usize,
}

impl Draft {
    pub(crate) fn new(tool: Tool, fidelity: Fidelity) -> Self {
        Self {
            source: Source { tool, version: None, fidelity },
            options: Options::default(),
            cpus: None,
            memory: None,
            steps: Indexed::default(),
            spans: Vec::new(),
            counters: BTreeMap::new(),
            begin: None,
            end: None,
            dated: false,
            failed: false,
            unfinished: false,
            notes: Vec::new(),
            line: 0,
        }
    }

    /// Whether the log ends between two steps: it has no failure and no export, but a step was cancelled, announced steps did not start, the
    /// last steps of a stage are missing, or no stage started.
    pub(crate) fn is_cut(&self) -> bool {
        if self.failed || self.is_exported() {
            return false;
        }
        if self.steps.iter().any(|step| step.outcome == Some(Outcome::Cancelled)) {
            return true;
        }
        if self.steps.iter().all(|step| step.stage.is_none() && is_preparation(&step.text)) {
            return true;
        }
        // A step that several targets share has the name of one of them, and the next step of its stage may have that of another.
        let mut last: HashMap<(&str, u32), u32> = HashMap::new();
        for step in self.steps.iter() {
            let (Some(stage), Some((number, of))) = (&step.stage, step.number) else { continue };
            let known = last.entry((stage, of)).or_default();
            let began = step.outcome != Some(Outcome::Pruned);
            *known = (*known).max(if began { number } else { 0 });
        }
        // BuildKit counts the FROM of a named context, but gives it no number: the last step is n - 1 of n.
        let loads_context = self.steps.iter().any(|step| step.stage.is_none() && loads_context(&step.text));
        last.iter().any(|(&(_, of), &number)| number + u32::from(loads_context) < of)
    }

    /// Says in which words the build failed, if no step did.
    pub(crate) fn fails_outside_of_steps(&mut self, words: &str) {
        if self.failed && self.steps.iter().all(|step| step.outcome != Some(Outcome::Failed)) {
            self.notes.push(failure_outside_of_steps(words));
        }
    }

    /// Whether a result was written.
    pub(crate) fn is_exported(&self) -> bool {
        let exports = |step: &DraftStep| step.stage.is_none() && is_export(&step.text);
        self.steps.iter().any(|step| exports(step) && step.outcome == Some(Outcome::Executed))
    }

    /// The steps, each after the steps that it needs or comes after. Steps on a cycle are left out.
    pub(crate) fn order(&self) -> Vec<DraftId> {
        let edges = |(id, step): (DraftId, &DraftStep)| -> Vec<(DraftId, DraftId)> {
            step.needs.iter().chain(&step.after).map(|&need| (need, id)).collect()
        };
        let edges: Vec<_> = self.steps.entries().flat_map(edges).collect();
        let after = Grouped::new(self.steps.len(), edges.into_iter());
        topological(self.steps.len(), &after)
    }

    /// Extends the build's interval to include that time.
    pub(crate) fn saw(&mut self, at: Instant) {
        self.begin = Some(self.begin.map_or(at, |begin| begin.min(at)));
        self.end = Some(self.end.map_or(at, |end| end.max(at)));
    }
}
