//! The model as the HTML page gets it, which replays it by itself (`render/html/whatif.js`).

use super::model::{Model, Stretch, Task, busy};
use crate::attribute::Activities;
use buildscope_record::{EdgeKind, Phase, StageId};
use serde::Serialize;

/// A phase by its place in [`Phase::ALL`].
type Place = Option<usize>;

/// A build to be run again. Times are nanoseconds.
#[derive(Debug, Serialize)]
pub(crate) struct PageModel {
    tasks: Vec<PageTask>,
    slots: Option<usize>,
    chains: bool,
    cpus: Option<f64>,
    head: Vec<(Place, f64)>,
    tail: Vec<(Place, f64)>,
    /// Of the parts of `head` and `tail` in which the builder computes.
    own_demand: f64,
    /// The phases of those, by their place.
    busy: Vec<usize>,
    unplaced: f64,
    extent: f64,
}

#[derive(Debug, Serialize)]
struct PageTask {
    runs: bool,
    slot: bool,
    lag: f64,
    began: f64,
    locks: Vec<usize>,
    stage: Option<StageId>,
    /// Length, demand, phase, whether it locks, whether it is the kernel's, whether it unlocks, hops.
    stretches: Vec<(f64, f64, Place, bool, bool, bool, f64)>,
    /// The task, and whether only the policy's order asks for it.
    needs: Vec<(usize, bool)>,
}

pub(crate) fn page_model(activities: &Activities<'_>) -> PageModel {
    let Model { tasks, slots, cpus, chains_first, head, tail, own_demand, unplaced, extent, .. } =
        Model::new(activities);
    let tasks = tasks.into_iter().zip(&activities.record.steps).map(|(task, step)| {
        let Task { runs, slot, lag, began, locks, stretches, needs } = task;
        let stretches = stretches
            .iter()
            .map(|of: &Stretch| (of.length, of.demand, place(of.phase), of.locks, of.kernel, of.unlocks, of.hops));
        let needs = needs.iter().map(|&(need, kind)| (need, kind == EdgeKind::Order));
        PageTask {
            runs,
            slot,
            lag,
            began,
            locks,
            stage: step.stage,
            stretches: stretches.collect(),
            needs: needs.collect(),
        }
    });
    let own = |parts: Vec<(Option<Phase>, f64)>| parts.into_iter().map(|(of, length)| (place(of), length)).collect();
    PageModel {
        tasks: tasks.collect(),
        slots,
        chains: chains_first,
        cpus,
        head: own(head),
        tail: own(tail),
        own_demand,
        busy: (0..Phase::ALL.len()).filter(|&place| busy(Some(Phase::ALL[place]))).collect(),
        unplaced,
        extent,
    }
}

fn place(phase: Option<Phase>) -> Place {
    phase.and_then(|phase| Phase::ALL.iter().position(|&other| other == phase))
}
