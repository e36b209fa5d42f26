//! The what-if of the HTML page: a prediction for each position of its controls, so that the page itself replays nothing.
//!
//! The controls can be combined, the speeds of the groups of phases too. All combinations are replayed here, so a build of more
//! work segments gets fewer positions.

use super::baseline::Baseline;
use super::model::Model;
use super::replay::replay;
use super::scenario::{Scenario, Selector};
use crate::attribute::Activities;
use buildscope_record::{Group, Nanos, Policy, Record};
use serde::Serialize;
use std::iter::successors;

/// The most work segments that may be replayed for one page, over all replays. A segment takes about a microsecond in an optimised build,
/// so a page takes about a second at most.
const BUDGET: usize = 1_000_000;

/// The largest number of combinations. Each is a number of about ten digits in the page.
const LARGEST: usize = 15_000;

/// The positions of the controls, from the most to the fewest.
const GRIDS: [Grid; 6] = [
    Grid {
        slots: &[1, 2, 3, 4, 6, 8, 12, 16, 24, 32],
        processors: &[1, 2, 4, 8, 16, 32, 64],
        percents: &[0, 25, 50, 75, 100, 150, 200],
    },
    Grid { slots: &[1, 2, 4, 8, 16], processors: &[1, 2, 4, 8, 16, 32], percents: &[0, 25, 50, 100, 200] },
    Grid { slots: &[1, 2, 4, 8, 16], processors: &[1, 2, 4, 8, 16, 32], percents: &[0, 50, 100, 200] },
    Grid { slots: &[1, 2, 4, 8], processors: &[1, 4, 16], percents: &[0, 50, 100] },
    Grid { slots: &[1, 4], processors: &[1, 4, 16], percents: &[0, 100] },
    Grid { slots: &[1], processors: &[], percents: &[100] },
];

/// The groups whose speed can be changed.
const GROUPS: [Group; 4] = [Group::Storage, Group::Execution, Group::Transfer, Group::Scheduling];

struct Grid {
    /// Limits of slots, besides no limit and the limit of the record.
    slots: &'static [u32],
    /// Numbers of processors, besides that of the record.
    processors: &'static [u32],
    /// The time of a group, in percent of its recorded time. Includes 100.
    percents: &'static [u32],
}

/// The controls of the page, and the prediction for each combination of their positions.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct PageWhatIf {
    /// The relative error of the replay of the record as it was.
    drift: f64,
    /// The groups that took time and whose speed can be changed.
    groups: Vec<Group>,
    /// The time of a group, in percent of its recorded time.
    percents: Vec<u32>,
    /// `None` keeps the order of the record.
    policies: Vec<Option<Policy>>,
    /// 0 is unlimited.
    slots: Vec<u32>,
    /// A single entry (0 if unknown) if the record does not contain the demand of the steps.
    processors: Vec<u32>,
    /// The position of the record's own limit in `slots`.
    recorded_slots: usize,
    /// The position of the record's own number in `processors`.
    recorded_processors: usize,
    /// The predicted wall times, by the percents of each group, then by policy, then by slots, then by processors.
    walls: Vec<Nanos>,
}

/// The reason why the page has no what-if.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoWhatIf {
    NoTimes,
    TooLarge,
}

impl NoWhatIf {
    pub(crate) fn sentence(self) -> &'static str {
        match self {
            Self::NoTimes => "The record has no steps with times.",
            Self::TooLarge => {
                "The build is too large to be replayed for this page; `buildscope whatif` replays it once."
            }
        }
    }
}

/// Replays the record under every combination of the controls.
pub(crate) fn page_whatif(activities: &Activities<'_>) -> Result<PageWhatIf, NoWhatIf> {
    let record = activities.record;
    let model = Model::new(activities);
    if !model.tasks.iter().any(|task| task.runs) {
        return Err(NoWhatIf::NoTimes);
    }
    let controls = GRIDS.iter().map(|grid| controls(record, &model, grid));
    let size = model.segment_count().max(1);
    let fits = |controls: &PageWhatIf| {
        let combinations = controls.combinations();
        combinations <= LARGEST && combinations.saturating_mul(size) <= BUDGET
    };
    let mut controls = controls.into_iter().find(fits).ok_or(NoWhatIf::TooLarge)?;
    let baseline = Baseline::new(record, model);
    controls.drift = baseline.drift;
    controls.walls = controls.replay_all(record, &baseline);
    Ok(controls)
}

fn controls(record: &Record, model: &Model, grid: &Grid) -> PageWhatIf {
    let own_slots = model.slots.map_or(0, |slots| u32::try_from(slots).unwrap_or(u32::MAX));
    // More slots than steps that need one change nothing.
    let widest = u32::try_from(model.tasks.iter().filter(|task| task.slot).count()).unwrap_or(u32::MAX);
    let slots = with(grid.slots.iter().copied().filter(|&slots| slots < widest).chain([0]), own_slots);
    let own_processors = record.host.cpus.unwrap_or(0);
    let measured = own_processors > 0 && model.demands_processors();
    let more = grid
        .processors
        .iter()
        .copied()
        .filter(|&processors| measured && processors <= own_processors.saturating_mul(4));
    let processors = with(more, own_processors);
    let took_time =
        |group: &Group| record.spans.iter().any(|span| span.phase.group() == *group && span.end > span.start);
    let position = |all: &[u32], own: u32| all.iter().position(|&one| one == own).unwrap_or(0);
    PageWhatIf {
        drift: 0.0,
        groups: GROUPS.into_iter().filter(|group| grid.percents.len() > 1 && took_time(group)).collect(),
        percents: grid.percents.to_vec(),
        policies: [None].into_iter().chain(Policy::ALL.iter().copied().map(Some)).collect(),
        recorded_slots: position(&slots, own_slots),
        recorded_processors: position(&processors, own_processors),
        slots,
        processors,
        walls: Vec::new(),
    }
}

/// The numbers with another one, sorted and without duplicates.
fn with(numbers: impl Iterator<Item = u32>, more: u32) -> Vec<u32> {
    let mut all: Vec<u32> = numbers.chain([more]).collect();
    all.sort_unstable();
    all.dedup();
    all
}

impl PageWhatIf {
    fn combinations(&self) -> usize {
        let speeds = self.groups.iter().fold(1_usize, |speeds, _| speeds.saturating_mul(self.percents.len()));
        speeds.saturating_mul(self.policies.len() * self.slots.len() * self.processors.len())
    }

    fn replay_all(&self, record: &Record, baseline: &Baseline) -> Vec<Nanos> {
        let mut walls = Vec::with_capacity(self.combinations());
        for speeds in self.speeds() {
            for &policy in &self.policies {
                for &jobs in &self.slots {
                    for &processors in &self.processors {
                        let scenario = self.scenario(&speeds, policy, jobs, processors);
                        let changed = replay(&scenario.apply(record, &baseline.model)).wall;
                        walls.push(baseline.predicted(record, changed));
                    }
                }
            }
        }
        walls
    }

    /// All combinations of percents, one percent for each group. The last group changes fastest.
    fn speeds(&self) -> impl Iterator<Item = Vec<u32>> {
        let next = |positions: &Vec<usize>| {
            let mut positions = positions.clone();
            for position in positions.iter_mut().rev() {
                *position += 1;
                if *position < self.percents.len() {
                    return Some(positions);
                }
                *position = 0;
            }
            None
        };
        successors(Some(vec![0; self.groups.len()]), next)
            .map(|positions| positions.into_iter().map(|position| self.percents[position]).collect())
    }

    fn scenario(&self, percents: &[u32], policy: Option<Policy>, jobs: u32, processors: u32) -> Scenario {
        let times = |percent: u32| if percent == 0 { f64::INFINITY } else { 100.0 / f64::from(percent) };
        let changed = self.groups.iter().zip(percents).filter(|&(_, &percent)| percent != 100);
        Scenario {
            jobs: Some(jobs),
            cores: (self.processors.len() > 1).then_some(f64::from(processors)),
            policy,
            faster: changed.map(|(&group, &percent)| (Selector::Group(group), times(percent))).collect(),
            ..Scenario::default()
        }
    }
}
