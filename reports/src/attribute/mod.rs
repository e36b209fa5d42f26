//! Attributes a build's time to steps and phases, and finds what delayed its end.
//!
//! *Takes* a record. *Gives* the wall account (each instant of the build belongs to one step and phase, or to
//! `unattributed`), the work account, the observed and the dependency critical path, drag, slack and parallelism.
//! *Must never know* which tool made the record or how the results are shown.

mod accounts;
mod activity;
mod deferred;
mod docker_desktop;
mod holders;
mod interval;
mod network;
mod parallelism;
mod row_name;
mod walk;

pub use accounts::{Accounts, Row};
pub use docker_desktop::DesktopClass;
pub use parallelism::{Levels, Parallelism};
pub use row_name::{Attributed, Owner};
pub use walk::{Leg, Link, Segment};

pub(crate) use activity::{Activities, Piece};
pub(crate) use deferred::{Deferred, deferred};
pub(crate) use holders::ActivityWait;
pub(crate) use network::{head, nanos, tail, work_until};
pub(crate) use parallelism::held;

use crate::index::Indexed;
use accounts::{ByPhase, ledger, tables};
use buildscope_record::{Nanos, Record, StepId};
use network::PathAnalysis;
use std::collections::HashMap;

/// Everything that attribution finds in a record.
pub(crate) struct Attribution<'r> {
    pub(crate) activities: Activities<'r>,
    /// The observed critical path by phase, from 0 to the wall time without gap.
    pub(crate) segments: Vec<Segment>,
    pub(crate) legs: Vec<Leg>,
    pub(crate) ledger: HashMap<Option<StepId>, ByPhase>,
    pub(crate) accounts: Accounts,
    /// The working time of each step: without waits for other steps, slots and locks.
    pub(crate) own: Indexed<StepId, Nanos>,
    pub(crate) observed: PathAnalysis,
    pub(crate) dependency: PathAnalysis,
    pub(crate) parallelism: Parallelism,
}

/// Attributes the time of a record.
pub(crate) fn attribute(record: &Record) -> Attribution<'_> {
    let activities = Activities::new(record);
    let path = walk::observed(&activities);
    let ledger = ledger(&activities, &path.segments);
    let accounts = tables(record, &ledger);
    let network = network::observed(&activities);
    let observed = network.analyse();
    let dependency = network::dependency(&activities, &network.lengths).analyse();
    let later = deferred(&activities);
    let own = activities.steps().map(|step| network::own(&activities, &later, step)).collect();
    let parallelism = parallelism::parallelism(&activities);
    Attribution {
        segments: path.segments,
        legs: path.legs,
        activities,
        ledger,
        accounts,
        own,
        observed,
        dependency,
        parallelism,
    }
}

#[cfg(test)]
mod tests;
