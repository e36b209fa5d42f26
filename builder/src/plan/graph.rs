//! The build graph: what has to be done, every word already expanded.

use super::{Config, CreatedBy, Environment};
use buildscope_dockerfile::{Diagnostic, Span};
use buildscope_oci::Platform;
use buildscope_record::{ManifestDigest, StageId, StepId};
use petgraph::Direction;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;
use serde::Serialize;
use std::collections::BTreeMap;

/// What a build has to do. Node indices are [`StepId`]s.
#[derive(Clone, Debug)]
pub struct Plan {
    /// All stages of the file, dead ones too.
    pub stages: Vec<Stage>,
    /// Live and pruned steps in the order of the file; an edge goes from a step to the step that uses its result.
    pub graph: DiGraph<Step, Dependency>,
    /// The step whose result is the image.
    pub target: StepId,
    /// The same of other platforms, where there are several.
    pub others: Vec<StepId>,
    /// What is odd about the request, but no fault: build arguments that nothing declares.
    pub warnings: Vec<Diagnostic>,
}

impl Plan {
    /// The step of that id.
    pub fn step(&self, id: StepId) -> &Step {
        &self.graph[NodeIndex::new(id.index())]
    }

    /// The steps whose results a step goes on from, first first, itself last: through `FROM stage`, too.
    pub fn chain(&self, id: StepId) -> impl Iterator<Item = StepId> {
        let mut chain = vec![id];
        while let Some(parent) = chain.last().and_then(|&id| self.parent(id)) {
            chain.push(parent);
        }
        chain.into_iter().rev()
    }

    /// The step that a step goes on from.
    pub fn parent(&self, id: StepId) -> Option<StepId> {
        let edges = self.graph.edges_directed(NodeIndex::new(id.index()), Direction::Incoming);
        edges.into_iter().find(|edge| *edge.weight() == Dependency::Parent).map(|edge| self.graph[edge.source()].id)
    }

    /// All steps, in the order of the file.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.graph.node_weights()
    }
}

/// One `FROM` and what follows it.
#[derive(Clone, Debug)]
pub struct Stage {
    /// Its index.
    pub id: StageId,
    /// Its `AS` name, if it has one.
    pub name: Option<String>,
    /// What its `FROM` names, expanded.
    pub base: String,
    /// Whether the target needs it. Nothing of a dead stage is resolved or run.
    pub live: bool,
    /// What its steps run on, and its image is for.
    pub platform: Platform,
    /// Its first step: the FROM.
    pub first: StepId,
    /// Its last step.
    pub last: StepId,
}

/// Why a step needs another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dependency {
    /// It goes on from the other's file system.
    Parent,
    /// It copies from, or mounts, the other's file system.
    Source,
}

/// One instruction, expanded and ready to be run.
#[derive(Clone, Debug)]
pub struct Step {
    /// Its node.
    pub id: StepId,
    /// Its stage.
    pub stage: StageId,
    /// The keyword in upper case.
    pub keyword: String,
    /// The instruction as written, on one line.
    pub text: String,
    /// Where it stands; for an ONBUILD trigger, the `FROM` that pulled it in.
    pub span: Span,
    /// First and last line in the Dockerfile, from 1.
    pub lines: (u32, u32),
    /// Whether the target needs it.
    pub live: bool,
    /// What it does. A pruned step has [`Op::Pruned`].
    pub op: Op,
    /// Whether it is a trigger of the base image, not a line of this file.
    pub onbuild: bool,
    /// `created_by` in the image's history, as BuildKit writes it: `to_string` gives the text. FROM has no entry.
    pub history: CreatedBy,
    /// The image's configuration after this step; [`Config::image`] gives the document, without layers, history and times.
    pub config: Config,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum Op {
    /// Begins a stage.
    From(Base),
    /// Runs a process.
    Run(Run),
    /// Adds files from a context, a stage, an image or the Dockerfile itself.
    Copy(Copy),
    /// Makes the working directory. The directory belongs to `user`.
    Workdir {
        /// Absolute path in the image.
        path: String,
        /// The `USER` in force, as written: what is made belongs to it.
        user: String,
    },
    /// Changes only the configuration.
    Config,
    /// Belongs to a stage that nothing needs.
    Pruned,
}

/// What a stage begins from.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum Base {
    /// Nothing at all.
    Scratch,
    /// The end of another stage.
    Stage(StepId),
    /// An image, already resolved.
    Image(ImageSource),
    /// A named context that is a directory: its files are the stage's first layer.
    Context(String),
}

/// A resolved image: enough to find its layers, and to key what is built on it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ImageSource {
    /// The reference as written in the Dockerfile, expanded.
    pub reference: String,
    /// The digest of its manifest.
    pub manifest: ManifestDigest,
}

/// Runs a process over the parent's file system.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Run {
    /// The program and its arguments: the shell form already has the shell in front.
    pub args: Vec<String>,
    /// The image's variables and build arguments, in the order in which they were first set: `to_vec` gives
    /// `NAME=value`. What must not be part of the key (proxies) is in `unkeyed_env`.
    pub env: Environment,
    /// Predefined proxy arguments: seen by the process, not by the key.
    #[serde(skip)]
    pub unkeyed_env: Vec<String>,
    /// The working directory, absolute.
    pub workdir: String,
    /// The `USER` in force, as written (`name`, `uid`, `name:group`); empty is root.
    pub user: String,
    /// What is mounted for this step.
    pub mounts: Vec<Mount>,
    /// `--network`.
    pub network: Network,
    /// `--security=insecure`.
    pub insecure: bool,
    /// `--device` names.
    pub devices: Vec<String>,
    /// `BUILDKIT_SANDBOX_HOSTNAME`.
    pub hostname: Option<String>,
}

/// The network of a step.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub enum Network {
    /// As the build was told (`--network`).
    #[default]
    Default,
    /// Loopback only.
    None,
    /// The host's.
    Host,
}

/// `RUN --mount`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Mount {
    /// Where, absolute in the step's file system; none for a secret that is only in the environment.
    pub target: Option<String>,
    /// What.
    pub kind: MountKind,
}

/// The kinds of `RUN --mount`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum MountKind {
    /// A directory or file of a stage, an image or the context.
    Bind {
        /// From where.
        from: CopyFrom,
        /// The path in it.
        source: String,
        /// Writable; what is written is thrown away.
        writable: bool,
    },
    /// A directory that lives from build to build.
    Cache {
        /// Its name.
        id: String,
        /// Who may use it at a time.
        sharing: Sharing,
        /// What an empty cache begins with, and the path in it.
        from: Option<(CopyFrom, String)>,
        /// Not writable.
        readonly: bool,
        /// Mode of a new cache directory.
        mode: u32,
        /// Owner of a new cache directory.
        uid: u32,
        /// Group of a new cache directory.
        gid: u32,
    },
    /// Memory.
    Tmpfs {
        /// Its limit in bytes.
        size: Option<u64>,
    },
    /// A secret of the build.
    Secret {
        /// Its name.
        id: String,
        /// Whether the step fails without it.
        required: bool,
        /// The environment variable that holds it.
        env: Option<String>,
        /// Mode of the file.
        mode: u32,
        /// Owner of the file.
        uid: u32,
        /// Group of the file.
        gid: u32,
    },
    /// A file whose content stands in the Dockerfile: a heredoc that begins with `#!`. Read-only.
    Inline {
        /// Its content.
        content: String,
        /// Its mode.
        mode: u32,
    },
    /// A socket of an SSH agent.
    Ssh {
        /// Its name.
        id: String,
        /// Whether the step fails without it.
        required: bool,
        /// Mode of the socket.
        mode: u32,
        /// Owner of the socket.
        uid: u32,
        /// Group of the socket.
        gid: u32,
    },
}

/// `sharing=` of a cache mount.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub enum Sharing {
    /// Any number of steps at once.
    #[default]
    Shared,
    /// Each step gets one of its own while another uses it.
    Private,
    /// One after the other.
    Locked,
}

/// COPY and ADD.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Copy {
    /// Whether it is ADD: archives are unpacked, URLs fetched.
    pub add: bool,
    /// From where.
    pub from: CopyFrom,
    /// Paths or patterns in it, as written and expanded. URLs only with `add`.
    pub sources: Vec<String>,
    /// Files whose content stands in the Dockerfile: (name, content).
    pub inline: Vec<(String, String)>,
    /// Where to, as written and expanded; relative to `workdir`. A trailing slash means a directory.
    pub destination: String,
    /// The working directory, absolute.
    pub workdir: String,
    /// `--chown`, expanded: resolved in the image's passwd and group.
    pub chown: Option<String>,
    /// `--chmod`, expanded: octal or symbolic.
    pub chmod: Option<String>,
    /// `--link`: the layer does not depend on what is below it.
    pub link: bool,
    /// `--parents`.
    pub parents: bool,
    /// `--exclude` patterns.
    pub exclude: Vec<String>,
    /// `--checksum`.
    pub checksum: Option<String>,
    /// `--unpack`; none is ADD's default (local archives yes, remote ones no).
    pub unpack: Option<bool>,
    /// `--keep-git-dir`.
    pub keep_git_dir: bool,
}

/// Where files come from.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum CopyFrom {
    /// The main build context.
    Context,
    /// A named context that is a directory.
    NamedContext(String),
    /// The end of a stage.
    Stage(StepId),
    /// An image.
    Image(ImageSource),
    /// Nothing: a mount of an empty directory, or files from heredocs only.
    Empty,
}

/// Build arguments as given on the command line.
pub type BuildArgs = BTreeMap<String, String>;

impl CopyFrom {
    /// Whether its files come from outside the graph: nothing that is built decides them.
    pub fn is_outside(&self) -> bool {
        matches!(self, Self::Context | Self::NamedContext(_) | Self::Empty)
    }
}

impl Copy {
    /// A plain `COPY source destination`.
    pub fn of(from: CopyFrom, source: &str, destination: &str) -> Self {
        Self {
            add: false,
            from,
            sources: vec![source.to_owned()],
            inline: Vec::new(),
            destination: destination.to_owned(),
            workdir: "/".into(),
            chown: None,
            chmod: None,
            link: false,
            parents: false,
            exclude: Vec::new(),
            checksum: None,
            unpack: None,
            keep_git_dir: false,
        }
    }
}
