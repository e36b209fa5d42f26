//! The request for one build.

use super::Provenance;
use crate::images::RegistryOptions;
use crate::plan::BuildArgs;
use crate::steps::run::RunOptions;
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
    /// `--build-arg`. `SOURCE_DATE_EPOCH` has its special meaning here too.
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
    /// `SOURCE_DATE_EPOCH` in seconds since 1970: the times in the image's documents. With `rewrite-timestamp`, later file
    /// times become this one.
    pub source_date_epoch: Option<i64>,
    /// `--cache-from`, as written.
    pub cache_from: Vec<String>,
    /// `--cache-to`, as written.
    pub cache_to: Vec<String>,
    /// `--pull`: base images are looked up at their registries, even if the store has images of these names.
    pub pull: bool,
    /// Options for registries.
    pub registries: RegistryOptions,
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
