//! Replaces [`plan`](super) if the command is compiled without the builder: only the text is checked.

use super::{CheckSubject, Request};
use crate::Failure;
use buildscope_dockerfile::lint::{BaseImage, Finding, Options, Stop};
use buildscope_dockerfile::{Diagnostics, Dockerfile, Parsed};
use miette::miette;
use std::collections::BTreeMap;

/// A planner without a builder.
pub(super) struct Planner;

impl Planner {
    pub(super) fn open(_: &Request) -> Result<Self, Failure> {
        Ok(Self)
    }

    /// All errors of a text that cannot be parsed.
    pub(super) fn errors(&self, text: &str) -> Diagnostics {
        let mut parsed = Parsed::of(text);
        parsed.diagnostics.extend(Options::of_file(&parsed.file).err());
        Diagnostics::new(text, parsed.diagnostics)
    }

    /// The rules themselves meet the errors of words.
    pub(super) fn stop(&self, _: &Dockerfile<'_>, _: &Diagnostics) -> Option<Stop> {
        None
    }

    pub(super) fn lower_all(&self, _: &Dockerfile<'_>) -> Result<Vec<Finding>, Diagnostics> {
        Ok(Vec::new())
    }

    /// Only a plan shows which stages the target needs: all are listed.
    pub(super) fn needed(&self, _: &Dockerfile<'_>) -> Result<Vec<bool>, Diagnostics> {
        Ok(Vec::new())
    }

    pub(super) fn bases(&self) -> BTreeMap<String, BaseImage> {
        BTreeMap::new()
    }

    /// Describes the unchecked parts.
    pub(super) fn unchecked<'s>(&self, _: impl Iterator<Item = &'s str>) -> Option<String> {
        Some("this buildscope was compiled without the builder: base images and references between stages are not checked".into())
    }

    pub(super) fn draw(&self, _: &CheckSubject, _: &Dockerfile<'_>, _: &str, _: Option<&str>) -> Result<(), Failure> {
        Err(Failure::usage(miette!("--graph needs the builder, and this buildscope was compiled without it")))
    }
}
