//! The few changes that would help most, by replay.

use super::model::Model;
use super::replay::replay;
use super::scenario::{Scenario, Selector};
use super::{drift, nanos};
use crate::answer::place;
use crate::attribute::Activities;
use crate::explain::Explanation;
use buildscope_record::{Group, Nanos, Outcome, Policy, Record};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Beyond this drift of the unchanged replay, nothing is ranked: a model that does not know the build knows no better one.
pub const MAX_DRIFT: f64 = 0.05;

/// A build of more stretches is not ranked: some dozens of replays would take longer than anything else that is said of it.
const MAX_SIZE: usize = 100_000;

/// How many changes are told.
const TOLD: usize = 6;

/// A change and what it would gain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    /// What to change.
    pub what: String,
    /// The wall time that the replay predicts.
    pub wall: Nanos,
    /// How much less than measured.
    pub gain: Nanos,
    /// What the prediction takes for granted.
    pub caveat: String,
}

/// The changes, largest gain first, and how far to believe them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Ranking {
    /// How far the replay of the record as it was is off; none where it was too large to be replayed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift: Option<f64>,
    /// Why nothing is ranked, where that is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// At most a handful.
    pub changes: Vec<Change>,
}

/// Ranks what could be changed about a build.
pub(crate) fn rank(activities: &Activities<'_>, explanation: &Explanation) -> Ranking {
    let record = activities.record;
    let model = Model::new(activities);
    if record.wall == Nanos::ZERO || record.steps.is_empty() {
        return Ranking { refused: Some("the record has no steps with times".to_owned()), ..Ranking::default() };
    }
    if model.size() > MAX_SIZE {
        let refused = format!(
            "{} steps are too many to replay some dozen times here; `whatif` replays them once",
            record.steps.len()
        );
        return Ranking { refused: Some(refused), ..Ranking::default() };
    }
    let base = replay(&model).wall;
    let drift = drift(record, base);
    if drift > MAX_DRIFT {
        let refused =
            format!("the replay of the build as it was is {:.1} % off: its predictions would be too", drift * 100.0);
        return Ranking { drift: Some(drift), refused: Some(refused), changes: Vec::new() };
    }
    let mut changes: Vec<Change> = Vec::new();
    for (what, scenario, caveat) in candidates(record, explanation) {
        if scenario.check(record).is_err() {
            continue;
        }
        let wall = replay(&scenario.apply(record, &model)).wall;
        // The gain is the model's own difference, so that its drift is not counted as a gain.
        let gain = nanos((base - wall).max(0.0)).min(record.wall);
        let wall = record.wall.saturating_sub(gain);
        if gain.0 as f64 >= record.wall.0 as f64 * 0.01 {
            changes.push(Change { what, wall, gain, caveat });
        }
    }
    changes.sort_by_key(|change| std::cmp::Reverse(change.gain));
    changes.truncate(TOLD);
    Ranking { drift: Some(drift), refused: None, changes }
}

/// What may be worth a try.
fn candidates(record: &Record, explanation: &Explanation) -> Vec<(String, Scenario, String)> {
    let mut found: Vec<(String, Scenario, String)> = Vec::new();
    let mut add = |what: String, scenario: Scenario, caveat: &str| found.push((what, scenario, caveat.to_owned()));
    let policy = record.options.policy.unwrap_or_default();
    if policy == Policy::Serial {
        let scenario = Scenario { policy: Some(Policy::Stages), jobs: Some(0), ..Scenario::default() };
        add(
            "build independent stages in parallel (`--policy stages`)".into(),
            scenario,
            "disks and memory are shared, which is not modelled",
        );
    }
    if policy != Policy::Instructions {
        let scenario = Scenario { policy: Some(Policy::Instructions), jobs: Some(0), ..Scenario::default() };
        add(
            "build independent instructions in parallel (`--policy instructions`)".into(),
            scenario,
            "disks and memory are shared, which is not modelled",
        );
    }
    if let Some(jobs) = record.options.jobs.filter(|&jobs| jobs > 0 && policy != Policy::Serial) {
        let scenario = Scenario { jobs: Some(0), ..Scenario::default() };
        add(format!("lift the limit of {jobs} slots (`--jobs 0`)"), scenario, "more steps at once need more memory");
    }
    if record.steps.iter().any(|step| !step.locks.is_empty()) {
        let scenario = Scenario { without_locks: true, ..Scenario::default() };
        add(
            "share the cache mounts (`sharing=shared` instead of `locked`)".into(),
            scenario,
            "only where the tool behind it copes with several users",
        );
    }
    if let Some(cpus) = record.host.cpus {
        let scenario = Scenario { cores: Some(f64::from(cpus) * 2.0), ..Scenario::default() };
        add(
            format!("twice the processors ({} instead of {cpus})", cpus * 2),
            scenario,
            "steps are taken to use them as they used those they had",
        );
    }
    for group in [Group::Storage, Group::Transfer] {
        let scenario = Scenario { faster: vec![(Selector::Group(group), f64::INFINITY)], ..Scenario::default() };
        add(format!("if {group} took no time"), scenario, "an upper bound: some of it always remains");
    }
    let mut steps: Vec<_> =
        explanation.steps.iter().filter(|step| step.drag > Nanos::ZERO && step.outcome == Outcome::Executed).collect();
    steps.sort_by_key(|step| std::cmp::Reverse(step.drag));
    for step in steps.into_iter().take(5) {
        let cached = Scenario { cached: vec![step.id], ..Scenario::default() };
        add(format!("if {} were cached", place(step)), cached, "an upper bound: what it needs must not change either");
    }
    found
}
