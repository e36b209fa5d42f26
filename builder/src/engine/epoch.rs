//! `SOURCE_DATE_EPOCH`: the one time that an image has.
//!
//! *Takes* the build argument, or the ARG above the first FROM. *Gives* seconds since 1970. As with BuildKit, the value may
//! also name something that has a time: `context`, a named context, or a stage that fetches one file or repository.

use super::BuildError;
use super::contexts::OpenContext;
use crate::images::Resolver;
use crate::plan::{self, Base, LowerRequest, Op, SOURCE_DATE_EPOCH, is_git};
use crate::sources::{GitAddress, download};
use buildscope_dockerfile::{Dockerfile, Keyword};
use buildscope_record::Probe;
use buildscope_storage::Store;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The sources that a value may name.
pub(super) struct EpochSources<'a> {
    pub(super) context: &'a OpenContext,
    pub(super) named: &'a BTreeMap<String, Arc<OpenContext>>,
    pub(super) images: &'a Resolver,
    pub(super) store: &'a Store,
}

impl EpochSources<'_> {
    /// Resolves the value for a build, and puts the number in its place: ARG sees the number, or nothing if there is no
    /// time, as in a local context.
    pub(super) fn resolve(
        &self,
        file: &Dockerfile<'_>,
        request: &mut LowerRequest,
        probe: &Probe,
    ) -> Result<Option<i64>, BuildError> {
        let Some(value) = plan::source_date_epoch(file, request) else { return Ok(None) };
        let epoch = match value.parse() {
            _ if value.is_empty() => None,
            Ok(seconds) => Some(seconds),
            Err(_) => self.named(&value, file, request, probe)?,
        };
        let text = epoch.map(|seconds: i64| seconds.to_string()).unwrap_or_default();
        match request.build_args.get_mut(SOURCE_DATE_EPOCH) {
            Some(given) => *given = text,
            None => request.source_date_epoch = Some(text),
        }
        Ok(epoch)
    }

    fn named(
        &self,
        value: &str,
        file: &Dockerfile<'_>,
        request: &LowerRequest,
        probe: &Probe,
    ) -> Result<Option<i64>, BuildError> {
        if value == "context" {
            return Ok(self.context.time);
        }
        if let Some(context) = self.named.get(value) {
            return Ok(context.time);
        }
        let invalid = |what: &str| BuildError::Request(format!("invalid {SOURCE_DATE_EPOCH} `{value}`: {what}"));
        let (build_args, target) = (request.build_args.clone(), Some(value.to_owned()));
        let without = LowerRequest { build_args, target, source_date_epoch: Some(String::new()), ..request.clone() };
        let plan = plan::lower(file, &without, self.images)
            .map_err(|_| invalid("use seconds since 1970, `context`, or the name of a context or of a stage"))?;
        let stage = plan.step(plan.target).stage;
        let mut source = None;
        for step in plan.steps().filter(|step| step.stage == stage) {
            match &step.op {
                Op::From(Base::Scratch) => {}
                Op::Config if step.keyword == Keyword::Arg => {}
                Op::Copy(copy) if copy.add && copy.sources.len() == 1 && source.is_none() => {
                    source = copy.sources.first().cloned();
                }
                _ => {
                    return Err(invalid(
                        "its stage must be FROM scratch with exactly one ADD of a URL or a repository",
                    ));
                }
            }
        }
        match source {
            Some(url) if is_git(&url) => {
                let address = GitAddress::parse(&url).map_err(BuildError::Context)?;
                let checkout = address.check_out(self.store.scratch_path("git"), probe).map_err(BuildError::Context)?;
                Ok(Some(checkout.time))
            }
            Some(url) if plan::is_url(&url) => {
                let download = download(&url, None, self.store, probe).map_err(BuildError::Context)?;
                Ok(download.last_modified())
            }
            _ => Err(invalid("its stage must fetch one URL or repository")),
        }
    }
}
