//! The destinations of a build's result: its names, its outputs and its exported caches.
//!
//! *Takes* the options of a request as written. *Gives* them parsed, or the reason why the request cannot be fulfilled. It knows no store
//! and no step: everything here is known before the build.

use super::{BuildError, Request, prepare};
use crate::images::{CacheTo, Destination, Output, OutputKind};
use buildscope_oci::{Annotation, Reference};
use std::path::Path;

/// The destinations of a build.
#[derive(Clone, Debug)]
pub(super) struct Destinations {
    /// The names that `--tag` gives.
    pub(super) names: Vec<Reference>,
    /// The outputs that `--output` asks for. Without any, the image stays in the store.
    pub(super) outputs: Vec<Output>,
    /// The targets of `--cache-to`.
    pub(super) caches: Vec<CacheTo>,
}

impl Destinations {
    /// Parses the destinations of a request.
    ///
    /// # Errors
    /// The first destination that is invalid, or that does not fit the other options.
    pub(super) fn of(request: &Request) -> Result<Self, BuildError> {
        let names = request.tags.iter().map(|tag| name(tag)).collect::<Result<_, _>>()?;
        let caches = request.cache_to.iter().map(|text| CacheTo::parse(text)).collect::<Result<_, _>>();
        let caches = caches.map_err(|error| BuildError::Request(error.to_string()))?;
        let destinations = Self { names, outputs: outputs(request)?, caches };
        destinations.check(request)?;
        Ok(destinations)
    }

    fn check(&self, request: &Request) -> Result<(), BuildError> {
        let failed = |flag: &str, reason: &str| Err(BuildError::Request(format!("{flag}: {reason}")));
        // With attestations, the image of one platform is in an index too.
        let several = request.is_multi_platform() || !prepare::platforms(request)?.1.is_empty();
        let has_index = several || request.provenance.is_some();
        for output in &self.outputs {
            let given = output.image.names.iter().map(|given| name(given)).collect::<Result<Vec<_>, _>>()?;
            if let Some(tagged) =
                self.names.iter().chain(&given).find(|name| output.image.by_digest && name.tag.is_some())
            {
                return failed("--output", &format!("push-by-digest gives no tag: leave that of {tagged} out"));
            }
            output.kind.check_platforms(several).or_else(|reason| failed("--output", reason))?;
            match &output.kind {
                OutputKind::Image { push: true } if self.names.is_empty() && output.image.names.is_empty() => {
                    return failed("--output", "a push needs a name: add `-t NAME` or `name=NAME`");
                }
                OutputKind::Oci { dest: Destination::Path(path), tar: true }
                | OutputKind::Docker { dest: Some(Destination::Path(path)) }
                | OutputKind::Tar { dest: Destination::Path(path) }
                    if path.is_dir() =>
                {
                    return failed("--output", &format!("{} is a directory", path.display()));
                }
                OutputKind::Oci { dest: Destination::Path(path), tar: false }
                | OutputKind::Local { dest: path, .. }
                    if is_other(path) =>
                {
                    return failed("--output", &format!("{} is not a directory", path.display()));
                }
                _ => {}
            }
            output.image.check_annotations(has_index).or_else(|reason| failed("--annotation", reason))?;
        }
        for cache in &self.caches {
            if let CacheTo::Local { dest, .. } = cache
                && is_other(dest)
            {
                return failed("--cache-to", &format!("{} is not a directory", dest.display()));
            }
        }
        Ok(())
    }
}

/// Whether something that is not a directory is at this path.
fn is_other(path: &Path) -> bool {
    path.exists() && !path.is_dir()
}

fn name(tag: &str) -> Result<Reference, BuildError> {
    tag.parse().map_err(|error| BuildError::Request(format!("invalid tag `{tag}`: {error}")))
}

fn outputs(request: &Request) -> Result<Vec<Output>, BuildError> {
    let annotations = request.annotations.iter().map(|text| Annotation::of_flag(text)).collect::<Result<Vec<_>, _>>();
    let annotations = annotations.map_err(|reason| BuildError::Request(format!("--annotation {reason}")))?.concat();
    let parsed = request.outputs.iter().map(|text| Output::parse(text)).collect::<Result<Vec<_>, _>>();
    let mut outputs = parsed.map_err(|error| BuildError::Request(error.to_string()))?;
    outputs.iter_mut().for_each(|output| output.image.annotations.extend(annotations.iter().cloned()));
    Ok(outputs)
}
