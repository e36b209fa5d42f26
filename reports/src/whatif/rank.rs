//! The changes that would help most, by replay.

use super::baseline::MAX_DRIFT;
use super::scenario::{Scenario, Selector};
use crate::analysis::Analysis;
use crate::dialect;
use crate::steps::StepExplanation;
use crate::wording::quote_located;
use buildscope_record::{Group, Nanos, Outcome, Policy, StepId, Tool};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The most work segments of a build that is ranked: of a larger build, dozens of replays would take longer than the rest of the
/// explanation.
const MAX_SEGMENTS: usize = 100_000;

/// The number of changes that are listed.
const LISTED: usize = 6;

/// The number of the longest steps that are tried in pairs.
const PAIRED: usize = 12;

/// The number of pairs that are listed.
const LISTED_PAIRS: usize = 2;

/// The most work segments that may be replayed for pairs, over all replays.
const PAIR_BUDGET: usize = 250_000;

/// The least gain that is listed, as a share of the wall time.
const LEAST_GAIN: f64 = 0.01;

/// A change and its gain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    /// The change, as a sentence.
    pub what: String,
    /// The wall time that the replay predicts.
    pub wall: Nanos,
    /// The predicted wall time subtracted from the measured one.
    pub gain: Nanos,
    /// The assumptions of the prediction.
    pub caveat: String,
}

/// The changes, largest gain first, and the error of the replay.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Ranking {
    /// The relative error of the replay of the record as it was; `None` if the build was not replayed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift: Option<f64>,
    /// The reason why nothing is ranked; `None` if changes are ranked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// At most six changes.
    pub changes: Vec<Change>,
}

/// A change of a build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChangeKind {
    /// Another policy, without a limit of slots.
    Policy(Policy),
    /// No limit of slots.
    UnlimitedSlots {
        /// The limit that the build had.
        jobs: u32,
    },
    /// Cache mounts that several steps may use at once.
    SharedCacheMounts,
    /// Twice the processors.
    TwiceTheProcessors {
        /// The number of processors of the build.
        cpus: u32,
    },
    /// A group of phases that takes no time.
    FreeGroup(Group),
    /// A step whose result is in the cache.
    CachedStep(StepId),
    /// Two steps of paths of about the same length: only both together shorten the build.
    CachedPair(StepId, StepId),
}

impl ChangeKind {
    /// The change in the words of the builder. `steps` are those of the record, by [`StepId`].
    pub(crate) fn sentence(self, steps: &[StepExplanation], tool: &Tool) -> String {
        match self {
            Self::Policy(policy) => dialect::other_policy(tool, policy).unwrap_or_default(),
            Self::UnlimitedSlots { jobs } => dialect::unlimited_slots(tool, jobs),
            Self::SharedCacheMounts => "share the cache mounts (`sharing=shared` instead of `locked`)".to_owned(),
            Self::TwiceTheProcessors { cpus } => {
                format!("twice the processors ({} instead of {cpus})", u64::from(cpus) * 2)
            }
            Self::FreeGroup(group) => format!("if {group} took no time"),
            Self::CachedStep(step) => format!("if {} were cached", quote_located(&steps[step.index()])),
            Self::CachedPair(one, other) => format!(
                "if both were cached: {} and {}",
                quote_located(&steps[one.index()]),
                quote_located(&steps[other.index()])
            ),
        }
    }

    /// The assumptions of the prediction of the change.
    pub(crate) fn caveat(self) -> &'static str {
        match self {
            Self::Policy(_) => "disks and memory are shared, which is not modelled",
            Self::UnlimitedSlots { .. } => "more steps at once need more memory",
            Self::SharedCacheMounts => "only if the tool supports concurrent use of its cache",
            Self::TwiceTheProcessors { .. } => {
                "assumes that steps use the additional processors as well as the recorded ones"
            }
            Self::FreeGroup(_) => "an upper bound: some of this time always remains",
            Self::CachedStep(_) => "an upper bound: the steps that it needs must not change either",
            Self::CachedPair(..) => "an upper bound: the steps that they need must not change either",
        }
    }

    fn scenario(self) -> Scenario {
        let unchanged = Scenario::default();
        match self {
            Self::Policy(policy) => Scenario { policy: Some(policy), jobs: Some(0), ..unchanged },
            Self::UnlimitedSlots { .. } => Scenario { jobs: Some(0), ..unchanged },
            Self::SharedCacheMounts => Scenario { without_locks: true, ..unchanged },
            Self::TwiceTheProcessors { cpus } => Scenario { cores: Some(f64::from(cpus) * 2.0), ..unchanged },
            Self::FreeGroup(group) => Scenario { faster: vec![(Selector::Group(group), f64::INFINITY)], ..unchanged },
            Self::CachedStep(step) => Scenario { cached: vec![step], ..unchanged },
            Self::CachedPair(one, other) => Scenario { cached: vec![one, other], ..unchanged },
        }
    }
}

/// A change with its predicted effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RankedChange {
    pub(crate) kind: ChangeKind,
    /// The predicted wall time.
    pub(crate) wall: Nanos,
    /// The predicted wall time subtracted from the measured one.
    pub(crate) gain: Nanos,
}

/// A [`Ranking`] by kind, without sentences.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct RankedChanges {
    pub(crate) drift: Option<f64>,
    pub(crate) refused: Option<String>,
    pub(crate) changes: Vec<RankedChange>,
}

impl RankedChanges {
    fn refused(drift: Option<f64>, reason: String) -> Self {
        Self { drift, refused: Some(reason), changes: Vec::new() }
    }

    /// The ranking with sentences. `steps` are those of the record, by [`StepId`].
    pub(crate) fn into_ranking(self, steps: &[StepExplanation], tool: &Tool) -> Ranking {
        let change = |change: RankedChange| Change {
            what: change.kind.sentence(steps, tool),
            wall: change.wall,
            gain: change.gain,
            caveat: change.kind.caveat().to_owned(),
        };
        Ranking { drift: self.drift, refused: self.refused, changes: self.changes.into_iter().map(change).collect() }
    }
}

/// Ranks the changes of a build.
pub(crate) fn rank(analysis: &Analysis<'_>) -> RankedChanges {
    let (record, baseline) = (analysis.record, &analysis.baseline);
    if record.wall == Nanos::ZERO || record.steps.is_empty() {
        return RankedChanges::refused(None, "the record has no steps with times".to_owned());
    }
    if baseline.model.segment_count() > MAX_SEGMENTS {
        let reason = format!(
            "{} steps are too many to be replayed dozens of times here; `whatif` replays them once",
            record.steps.len()
        );
        return RankedChanges::refused(None, reason);
    }
    let drift = baseline.drift;
    if drift > MAX_DRIFT {
        let reason = format!(
            "the replay of the recorded build is {:.1} % off, and its predictions would be, too",
            drift * 100.0
        );
        return RankedChanges::refused(Some(drift), reason);
    }
    let worth = |gain: Nanos| gain.0 as f64 >= record.wall.0 as f64 * LEAST_GAIN;
    let ranked =
        |(kind, gain): (ChangeKind, Nanos)| RankedChange { kind, wall: record.wall.saturating_sub(gain), gain };
    let whole = candidates(analysis).into_iter().filter_map(|kind| {
        let scenario = kind.scenario();
        scenario.check(record).is_ok().then(|| (kind, baseline.gain(record, &scenario)))
    });
    // The drag of a step is its gain by the same replay.
    // The builder's own work and exports are never in a cache.
    let ran = analysis.steps.iter().filter(|step| step.outcome == Outcome::Executed && step.stage.is_some());
    let steps = ran.map(|step| (ChangeKind::CachedStep(step.id), step.drag));
    let mut pairs: Vec<_> = pairs(analysis).into_iter().filter(|(_, more)| worth(*more)).collect();
    pairs.sort_by_key(|&((_, gain), _)| std::cmp::Reverse(gain));
    let pairs = pairs.into_iter().take(LISTED_PAIRS).map(|(pair, _)| pair);
    let mut changes: Vec<RankedChange> =
        whole.chain(steps).chain(pairs).filter(|&(_, gain)| worth(gain)).map(ranked).collect();
    changes.sort_by_key(|change| std::cmp::Reverse(change.gain));
    changes.truncate(LISTED);
    RankedChanges { drift: Some(drift), refused: None, changes }
}

/// The pairs of long steps that do not need each other, with the gain of both together, and its excess over the sum of their gains alone.
fn pairs(analysis: &Analysis<'_>) -> Vec<((ChangeKind, Nanos), Nanos)> {
    let cacheable =
        |step: &&StepExplanation| step.outcome == Outcome::Executed && step.stage.is_some() && step.own > Nanos::ZERO;
    let mut longest: Vec<&StepExplanation> = analysis.steps.iter().filter(cacheable).collect();
    longest.sort_by_key(|step| std::cmp::Reverse((step.own, step.id)));
    longest.truncate(PAIRED);
    longest.sort_by_key(|step| step.id);
    let count = longest.len() * longest.len() / 2;
    if count * analysis.baseline.model.segment_count() > PAIR_BUDGET {
        return Vec::new();
    }
    let graph = &analysis.activities.graph;
    let mut found = Vec::new();
    for (index, one) in longest.iter().enumerate() {
        for other in &longest[index + 1..] {
            if graph.needs(other.id, one.id) || graph.needs(one.id, other.id) {
                continue;
            }
            let kind = ChangeKind::CachedPair(one.id, other.id);
            let gain = analysis.baseline.gain(analysis.record, &kind.scenario());
            found.push(((kind, gain), gain.saturating_sub(one.drag + other.drag)));
        }
    }
    found
}

/// The changes of the whole build that are tried by replay.
fn candidates(analysis: &Analysis<'_>) -> Vec<ChangeKind> {
    let record = analysis.record;
    let policy = record.options.policy.unwrap_or_default();
    let mut found = Vec::new();
    let finer = match policy {
        Policy::Serial => &[Policy::Stages, Policy::Instructions][..],
        Policy::Stages => &[Policy::Instructions],
        Policy::Instructions => &[],
    };
    let tool = &record.source.tool;
    let offered = finer.iter().filter(|&&policy| dialect::other_policy(tool, policy).is_some());
    found.extend(offered.map(|&policy| ChangeKind::Policy(policy)));
    let limit = record.options.jobs.filter(|&jobs| jobs > 0 && policy != Policy::Serial);
    found.extend(limit.map(|jobs| ChangeKind::UnlimitedSlots { jobs }));
    if record.steps.iter().any(|step| !step.locks.is_empty()) {
        found.push(ChangeKind::SharedCacheMounts);
    }
    found.extend(record.host.cpus.map(|cpus| ChangeKind::TwiceTheProcessors { cpus }));
    found.extend([Group::Storage, Group::Transfer].map(ChangeKind::FreeGroup));
    found
}
