//! The input of everything that comes after the last step.

use super::contexts::TreeOrigin;
use super::outcome::StepReport;
use super::part::Part;
use super::results::Results;
use super::skipped::Skipped;
use super::solver::Solver;
use super::{Progress, Request};
use crate::images::{ImportedCache, PreparedBlobs, Resolver};
use crate::plan::Plan;
use buildscope_record::StepId;
use buildscope_storage::{Store, Timestamp};
use std::collections::BTreeMap;

/// A build whose steps have all succeeded: what its documents and exports need of it.
#[derive(Clone, Copy)]
pub(super) struct FinishedBuild<'a> {
    pub(super) request: &'a Request,
    pub(super) plan: &'a Plan,
    /// The steps whose results are the images.
    pub(super) targets: &'a [StepId],
    pub(super) results: &'a Results,
    pub(super) reports: &'a [StepReport],
    pub(super) skipped: &'a BTreeMap<StepId, Skipped>,
    pub(super) store: &'a Store,
    pub(super) images: &'a Resolver,
    pub(super) imported: &'a ImportedCache,
    /// The blobs that were compressed and sent while steps ran.
    pub(super) prepared: &'a PreparedBlobs,
    pub(super) progress: &'a dyn Progress,
    /// The text of the Dockerfile.
    pub(super) dockerfile: &'a str,
    /// The source of the context, if it was fetched.
    pub(super) context_origin: Option<&'a TreeOrigin>,
    /// `SOURCE_DATE_EPOCH` in seconds since 1970.
    pub(super) epoch: Option<i64>,
    /// The start of the build.
    pub(super) started: Timestamp,
}

impl<'a> FinishedBuild<'a> {
    /// The part of a plan that belongs to a request.
    pub(super) fn new(solver: &'a Solver, part: &'a Part, request: &'a Request, reports: &'a [StepReport]) -> Self {
        static NONE: BTreeMap<StepId, Skipped> = BTreeMap::new();
        Self {
            request,
            plan: &solver.ctx.plan,
            targets: &part.targets,
            results: &solver.ctx.results,
            reports,
            skipped: solver.skipped.get().unwrap_or(&NONE),
            store: &part.cache.store,
            images: &part.runner.images,
            imported: &part.cache.imported,
            prepared: &part.prepared,
            progress: &*solver.ctx.progress,
            dockerfile: part.runner.dockerfile.text(),
            context_origin: part.runner.context.origin.as_ref(),
            epoch: part.runner.epoch,
            started: solver.started,
        }
    }
}
