//! The state of lowering: its inputs, and its results so far.

use super::graph::{Dependency, Op, Step};
use super::history::CreatedBy;
use super::request::LowerRequest;
use super::scope::Scope;
use super::stages::Stages;
use buildscope_dockerfile::lint::Finding;
use buildscope_dockerfile::{Diagnostic, Dockerfile, Expander, Span, Text};
use buildscope_record::StepId;
use petgraph::graph::DiGraph;
use std::collections::{BTreeMap, HashMap};

/// The inputs of lowering, which do not change.
pub(super) struct LoweringContext<'a> {
    pub(super) file: &'a Dockerfile<'a>,
    pub(super) request: &'a LowerRequest,
    /// The variables of FROM lines.
    pub(super) globals: BTreeMap<Text, String>,
    pub(super) expander: Expander,
    pub(super) settings: RunSettings,
}

/// The results of lowering so far.
pub(super) struct Lowering<'a> {
    pub(super) context: &'a LoweringContext<'a>,
    pub(super) stages: Stages<'a>,
    pub(super) graph: DiGraph<Step, Dependency>,
    /// The number of stages of the targets before this one.
    pub(super) stages_before: usize,
    /// The steps of the targets before this one, by what they do.
    pub(super) known: &'a HashMap<String, StepId>,
    /// The steps of this target that its other stages and other targets may share, by what they do.
    pub(super) fresh: HashMap<String, StepId>,
    /// The last step of each stage so far, and the scope after it.
    pub(super) ends: Vec<(StepId, Scope)>,
    pub(super) diagnostics: Vec<Diagnostic>,
    pub(super) warnings: Vec<Finding>,
    /// The number of bytes to which the instructions have expanded so far.
    pub(super) expanded: usize,
}

/// The limit for the sum of all expanded instructions, in bytes. A Dockerfile has at most 16 MiB, but variables can make every
/// instruction of a few bytes expand to [`MAX_LENGTH`](buildscope_dockerfile::expand::MAX_LENGTH).
pub(super) const MAX_EXPANDED: usize = 64 << 20;

/// The length of a port with its protocol and a separator, in bytes.
const PORT: usize = 10;

/// The settings of the build that apply to all RUN steps.
pub(super) struct RunSettings {
    /// The prefix of the names of cache mounts (`BUILDKIT_CACHE_MOUNT_NS`).
    pub(super) cache_namespace: Option<String>,
    /// The host name of steps (`BUILDKIT_SANDBOX_HOSTNAME`).
    pub(super) hostname: Option<String>,
    /// The options of the request that a process can see, by flag.
    pub(super) options: BTreeMap<String, String>,
    /// The predefined proxy arguments that are given, in upper and in lower case.
    pub(super) proxies: Vec<String>,
}

/// The result of lowering an instruction.
pub(super) struct Lowered {
    pub(super) op: Op,
    pub(super) history: CreatedBy,
    /// The steps whose files the instruction reads.
    pub(super) sources: Vec<StepId>,
}

impl Lowered {
    /// The number of bytes that the instruction has expanded to.
    pub(super) fn size(&self) -> usize {
        let history = match &self.history {
            CreatedBy::Text(text) => text.len(),
            CreatedBy::Run { args, .. } => args.iter().map(String::len).sum(),
            // Each port is a text such as `65535/tcp`, in the history and in the configuration.
            CreatedBy::Expose(ports) => {
                ports.iter().map(|ports| usize::from(ports.range.1 - ports.range.0) * PORT + PORT).sum()
            }
            CreatedBy::None => 0,
        };
        let files: usize = match &self.op {
            Op::Copy(copy) => copy.inline.iter().map(|(_, content)| content.len()).sum(),
            _ => 0,
        };
        history.saturating_add(files)
    }

    pub(super) fn config(history: impl Into<Text>) -> Self {
        Self { op: Op::Config, history: CreatedBy::Text(history.into()), sources: Vec::new() }
    }
}

/// The error of a file whose instructions expand to more than [`MAX_EXPANDED`] bytes.
pub(super) fn too_much(span: Span) -> Diagnostic {
    Diagnostic::new(span, format!("the Dockerfile expands to more than {} MiB", MAX_EXPANDED >> 20))
        .label("up to here")
        .help("use shorter variables; each use of a variable counts with the length of its value")
}
