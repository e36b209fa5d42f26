//! Where a build's time went, and what delayed its end.
//!
//! *Takes* a record. *Gives* the wall account (each instant of the build belongs to one step and phase, or to
//! `unattributed`), the work account, the observed and the dependency critical path, drag, slack, bounds and parallelism.
//! *Must never know* which tool made the record or how the results are shown.

mod accounts;
mod activity;
mod bounds;
mod deferred;
mod network;
mod row_name;
mod walk;

pub use accounts::{Accounts, Row};
pub use bounds::{Bounds, Levels, Parallelism};
pub use row_name::{Attributed, Owner};
pub use walk::{Leg, Link, Segment};

pub(crate) use activity::Activities;
pub(crate) use bounds::held;
pub(crate) use deferred::deferred;
pub(crate) use network::nanos;

use crate::index::Indexed;
use accounts::{ByPhase, ledger, tables};
use buildscope_record::{Record, StepId};
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
    /// The length of each step without the waits in it, in nanoseconds.
    pub(crate) lengths: Indexed<StepId, i128>,
    pub(crate) observed: PathAnalysis,
    pub(crate) dependency: PathAnalysis,
    pub(crate) bounds: Bounds,
    pub(crate) parallelism: Parallelism,
}

/// Attributes the time of a record.
pub(crate) fn attribute(record: &Record) -> Attribution<'_> {
    let activities = Activities::new(record);
    let path = walk::observed(&activities);
    let ledger = ledger(&activities, &path.segments);
    let accounts = tables(record, &ledger);
    let network = network::observed(&activities);
    let (observed, lengths) = (network.analyse(), network.lengths);
    let dependency = network::dependency(&activities, &lengths).analyse();
    let bounds = bounds::bounds(&activities, &lengths, dependency.length);
    let parallelism = bounds::parallelism(&activities);
    Attribution {
        segments: path.segments,
        legs: path.legs,
        activities,
        ledger,
        accounts,
        lengths,
        observed,
        dependency,
        bounds,
        parallelism,
    }
}

#[cfg(test)]
mod tests;
