//! The request for one build.

use super::destinations::Destinations;
use super::{BuildError, Provenance, cache_import, prepare};
use crate::images::{Output, RegistryOptions};
use crate::plan::BuildArgs;
use crate::remote::RemoteRequest;
use crate::steps::run::RunOptions;
use buildscope_oci::go_bool;
use buildscope_record::Admission;
use buildscope_schedule::Policy;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

/// All options of one build. The command line fills it; so may any other caller.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The main build context: a directory, an archive, or the address of an archive or a git repository.
    pub context: PathBuf,
    /// The main build context as an open file, used instead of `context`: an archive, or a Dockerfile.
    pub context_file: Option<Arc<File>>,
    /// The Dockerfile.
    pub dockerfile: DockerfileInput,
    /// `--build-arg`. `SOURCE_DATE_EPOCH` sets the times in the image's documents: seconds since 1970, `context`, or the name
    /// of a context or a stage. With `rewrite-timestamp`, later file times become this one.
    pub build_args: BuildArgs,
    /// `--target`: the name or index of a stage; `None` is the last stage.
    pub target: Option<String>,
    /// `--build-context NAME=VALUE`, as written.
    pub named_contexts: BTreeMap<String, String>,
    /// `--label`.
    pub labels: BTreeMap<String, String>,
    /// `--platform OS/ARCH[/VARIANT]`: one image for each; empty is the host's platform.
    pub platforms: Vec<String>,
    /// `--no-cache`: nothing is looked up; results are still stored.
    pub no_cache: bool,
    /// `--no-cache-filter`: nothing is looked up for the steps of these stages.
    pub no_cache_stages: Vec<String>,
    /// The record names every file that a step reads, with its digest, if the step reads at most so many.
    pub named_files: usize,
    /// The granularity of the parallelism.
    pub policy: Policy,
    /// The number of slots; 0 means that there is no limit.
    pub jobs: usize,
    /// The condition for a ready RUN to start.
    pub admission: Admission,
    /// The servers that RUN steps are sent to; `None` runs all of them on this machine.
    pub remote: Option<RemoteRequest>,
    /// Options of RUN steps: `--network`, `--secret`, `--ssh`, `--allow`, limits.
    pub run: RunOptions,
    /// `-t`: names for the image.
    pub tags: Vec<String>,
    /// `--output`, as written; empty keeps the image in the store.
    pub outputs: Vec<String>,
    /// `--annotation`, as written: for every output.
    pub annotations: Vec<String>,
    /// `--provenance`: the attestation that accompanies the image.
    pub provenance: Option<Provenance>,
    /// `--cache-from`, as written.
    pub cache_from: Vec<String>,
    /// `--cache-to`, as written.
    pub cache_to: Vec<String>,
    /// `--pull`: base images are looked up at their registries, even if the store has images of these names.
    pub pull: bool,
    /// Options for registries.
    pub registries: RegistryOptions,
}

impl Request {
    /// Checks what can be known before the build, so that a wrong option does not cost one.
    ///
    /// # Errors
    /// The first option that is invalid or does not fit the others.
    pub fn check(&self) -> Result<(), BuildError> {
        Destinations::of(self)?;
        cache_import::sources(self)?;
        prepare::platforms(self).map(drop)
    }

    /// Whether the result has the form of several platforms' images even if it is one: `BUILDKIT_MULTI_PLATFORM`.
    pub(super) fn is_multi_platform(&self) -> bool {
        self.is_set("BUILDKIT_MULTI_PLATFORM")
    }

    /// Whether a build argument is true, as Go's `strconv.ParseBool` reads it.
    pub fn is_set(&self, argument: &str) -> bool {
        self.build_args.get(argument).and_then(|value| go_bool(value)) == Some(true)
    }

    /// Whether an output asks for names with the digest: `name-canonical`.
    pub fn names_canonically(&self) -> bool {
        self.outputs.iter().any(|text| Output::parse(text).is_ok_and(|output| output.image.canonical))
    }

    /// Whether an output goes to the standard output. Invalid outputs do not.
    pub fn writes_to_stdout(&self) -> bool {
        self.outputs.iter().any(|text| Output::parse(text).is_ok_and(|output| output.writes_to_stdout()))
    }
}

/// The source of the Dockerfile.
#[derive(Clone, Debug)]
pub enum DockerfileInput {
    /// A file. `Dockerfile.dockerignore` next to it, else the context's `.dockerignore`, has the ignore patterns.
    File(PathBuf),
    /// A file of the context, which may not be fetched yet. Links out of the context are refused.
    Within(PathBuf),
    /// A text from elsewhere, such as standard input.
    Text {
        /// The name for messages.
        name: String,
        /// The text.
        text: String,
    },
}

impl Default for DockerfileInput {
    fn default() -> Self {
        Self::File("Dockerfile".into())
    }
}
