//! What a build is asked to do.

use super::Provenance;
use crate::images::RegistryOptions;
use crate::plan::BuildArgs;
use crate::steps::run::RunOptions;
use buildscope_schedule::Policy;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

/// Everything that one build is told; the command line is one way to say it.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The main build context: a directory, an archive, or the address of an archive or a git repository.
    pub context: PathBuf,
    /// The main build context where it came as bytes, instead of `context`: an archive, or a Dockerfile.
    pub context_file: Option<Arc<File>>,
    /// The Dockerfile.
    pub dockerfile: DockerfileInput,
    /// `--build-arg`, in which `SOURCE_DATE_EPOCH` has its meaning.
    pub build_args: BuildArgs,
    /// `--target`: a stage's name or index; none is the last.
    pub target: Option<String>,
    /// `--build-context NAME=VALUE`, as written.
    pub named_contexts: BTreeMap<String, String>,
    /// `--label`.
    pub labels: BTreeMap<String, String>,
    /// `--platform OS/ARCH[/VARIANT]`, one an image; none is the host's.
    pub platforms: Vec<String>,
    /// `--no-cache`: nothing is looked up; results are still stored.
    pub no_cache: bool,
    /// Whether the record is to name every file that a step reads: it costs a digest's text a file.
    pub detailed: bool,
    /// How fine the parallelism is.
    pub policy: Policy,
    /// Slots; 0 is no limit.
    pub jobs: usize,
    /// What RUN steps get and may have: `--network`, `--secret`, `--ssh`, `--allow`, limits.
    pub run: RunOptions,
    /// `-t`: names for the image.
    pub tags: Vec<String>,
    /// `--output`, as written; none keeps the image in the store.
    pub outputs: Vec<String>,
    /// `--annotation`, as written: for every output.
    pub annotations: Vec<String>,
    /// `--provenance`: what is attested of the image beside it.
    pub provenance: Option<Provenance>,
    /// Times in the image are set to this, and with `rewrite-timestamp` file times are held below
    /// it: seconds since 1970.
    pub source_date_epoch: Option<i64>,
    /// `--cache-from`, as written.
    pub cache_from: Vec<String>,
    /// `--cache-to`, as written.
    pub cache_to: Vec<String>,
    /// `--pull`: base images come from their registries, whatever is here under their names.
    pub pull: bool,
    /// What is known of registries.
    pub registries: RegistryOptions,
}

/// Where the Dockerfile comes from.
#[derive(Clone, Debug)]
pub enum DockerfileInput {
    /// A file; `Dockerfile.dockerignore` beside it, else the context's `.dockerignore`, says what is not sent.
    File(PathBuf),
    /// A file of the context, which may not be here yet; no link leads out of that.
    Within(PathBuf),
    /// A text that was read from elsewhere.
    Text {
        /// What to call it in messages.
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
