//! The input of everything that comes after the last step.

use super::contexts::TreeOrigin;
use super::outcome::StepReport;
use super::results::Results;
use super::skipped::Skipped;
use super::solver::Solver;
use super::{Progress, Request};
use crate::images::{ImportedCache, Resolver};
use crate::plan::Plan;
use buildscope_record::StepId;
use buildscope_storage::{Store, Timestamp};
use std::collections::BTreeMap;

/// A build whose steps have all succeeded: what its documents and exports need of it.
#[derive(Clone, Copy)]
pub(super) struct FinishedBuild<'a> {
    pub(super) request: &'a Request,
    pub(super) plan: &'a Plan,
    pub(super) results: &'a Results,
    pub(super) reports: &'a [StepReport],
    pub(super) skipped: &'a BTreeMap<StepId, Skipped>,
    pub(super) store: &'a Store,
    pub(super) images: &'a Resolver,
    pub(super) imported: &'a ImportedCache,
    pub(super) progress: &'a dyn Progress,
    /// The text of the Dockerfile.
    pub(super) dockerfile: &'a str,
    /// Where the context came from, if it was fetched.
    pub(super) context_origin: Option<&'a TreeOrigin>,
    /// `SOURCE_DATE_EPOCH` in seconds since 1970.
    pub(super) epoch: Option<i64>,
    /// When the build started.
    pub(super) started: Timestamp,
}

impl<'a> FinishedBuild<'a> {
    pub(super) fn new(solver: &'a Solver, request: &'a Request, reports: &'a [StepReport]) -> Self {
        static NONE: BTreeMap<StepId, Skipped> = BTreeMap::new();
        Self {
            request,
            plan: &solver.ctx.plan,
            results: &solver.ctx.results,
            reports,
            skipped: solver.skipped.get().unwrap_or(&NONE),
            store: &solver.cache.store,
            images: &solver.runner.images,
            imported: &solver.cache.imported,
            progress: &*solver.ctx.progress,
            dockerfile: solver.runner.dockerfile.text(),
            context_origin: solver.runner.context.origin.as_ref(),
            epoch: solver.runner.epoch,
            started: solver.started,
        }
    }
}
