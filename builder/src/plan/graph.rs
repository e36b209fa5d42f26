//! The build graph: the steps of a build, with every word expanded.

use super::{Config, CreatedBy, Environment};
use buildscope_dockerfile::lint::Finding;
use buildscope_dockerfile::{Keyword, Span};
use buildscope_oci::Platform;
use buildscope_record::{ManifestDigest, Origin, StageId, StepId, StrandStep};
use petgraph::Direction;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The steps of a build. Node indices are [`StepId`]s.
#[derive(Clone, Debug)]
pub struct Plan {
    /// All stages of the file, including those that the target does not need.
    pub stages: Vec<Stage>,
    /// Live and pruned steps in the order of the file. An edge goes from a step to the step that uses its result.
    pub graph: DiGraph<Step, Dependency>,
    /// The step whose result is the image.
    pub target: StepId,
    /// The targets for the other platforms of a multi-platform build.
    pub others: Vec<StepId>,
    /// The findings of rules about builds, such as build arguments that are not declared.
    pub warnings: Vec<Finding>,
}

impl Plan {
    /// Returns the step with this id.
    pub fn step(&self, id: StepId) -> &Step {
        &self.graph[NodeIndex::new(id.index())]
    }

    /// Returns the steps on whose file systems a step is built, from the first one to the step itself. The chain goes
    /// through `FROM stage`.
    pub fn chain(&self, id: StepId) -> impl Iterator<Item = StepId> {
        let mut chain = vec![id];
        while let Some(parent) = chain.last().and_then(|&id| self.parent(id)) {
            chain.push(parent);
        }
        chain.into_iter().rev()
    }

    /// Returns the step on whose file system a step is built.
    pub fn parent(&self, id: StepId) -> Option<StepId> {
        let edges = self.graph.edges_directed(NodeIndex::new(id.index()), Direction::Incoming);
        edges.into_iter().find(|edge| *edge.weight() == Dependency::Parent).map(|edge| self.graph[edge.source()].id)
    }

    /// Returns, by step, the steps whose file systems it uses, and whether it runs a process.
    pub(crate) fn strand_steps(&self) -> Vec<StrandStep> {
        let step = |node| {
            let edges = self.graph.edges_directed(node, Direction::Incoming);
            let data = edges.filter(|edge| *edge.weight() != Dependency::After);
            let needs = data.map(|edge| self.graph[edge.source()].id).collect();
            StrandStep { needs, runs: matches!(self.graph[node].op, Op::Run(_)) }
        };
        self.graph.node_indices().map(step).collect()
    }

    /// Returns the steps of the stages with these names, whose case does not matter.
    pub(crate) fn steps_of_stages(&self, names: &[String]) -> Vec<StepId> {
        let named = |stage: &&Stage| names.iter().any(|wanted| stage.is_named(wanted));
        let stages: Vec<_> = self.stages.iter().filter(named).map(|stage| stage.id).collect();
        self.steps().filter(|step| stages.contains(&step.stage)).map(|step| step.id).collect()
    }

    /// Returns those of these names that no stage has.
    pub(crate) fn unknown_stages<'n>(&self, names: &'n [String]) -> Vec<&'n str> {
        let unknown = |name: &&String| !self.stages.iter().any(|stage| stage.is_named(name));
        names.iter().filter(unknown).map(String::as_str).collect()
    }

    /// Returns all steps in the order of the file.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.graph.node_weights()
    }
}

/// A stage: a `FROM` and the instructions that follow it.
#[derive(Clone, Debug)]
pub struct Stage {
    /// The index of the stage.
    pub id: StageId,
    /// The name after `AS`.
    pub name: Option<String>,
    /// The expanded name after `FROM`.
    pub base: String,
    /// Whether the target needs the stage. The images of other stages are not resolved, and their steps do not run.
    pub live: bool,
    /// The platform on which the steps run, and for which the image is.
    pub platform: Platform,
    /// The first step, which is the FROM.
    pub first: StepId,
    /// The last step.
    pub last: StepId,
}

impl Stage {
    /// Whether the stage has this name, whose case does not matter.
    fn is_named(&self, wanted: &str) -> bool {
        self.name.as_ref().is_some_and(|name| wanted.eq_ignore_ascii_case(name))
    }
}

/// The reason why a step needs another step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dependency {
    /// The step is built on the file system of the other step.
    Parent,
    /// The step copies from the file system of the other step, or mounts it.
    Source,
    /// The step starts after the other one and uses nothing of it (`FROM --after`).
    After,
}

/// An expanded instruction that is ready to run.
#[derive(Clone, Debug)]
pub struct Step {
    /// The id, which is also the index of the node.
    pub id: StepId,
    /// The stage of the step.
    pub stage: StageId,
    /// The instruction that it comes from.
    pub keyword: Keyword,
    /// The instruction as written, on one line.
    pub text: String,
    /// The position in the Dockerfile. For an ONBUILD trigger, it is that of the `FROM` whose base has the trigger.
    pub span: Span,
    /// The first and the last line in the Dockerfile, counted from 1.
    pub lines: (u32, u32),
    /// Whether the target needs the step.
    pub live: bool,
    /// The operation. For a step that the target does not need, it is [`Op::Pruned`].
    pub op: Op,
    /// Whether the step is a trigger of the base image and not a line of this file.
    pub onbuild: bool,
    /// The `created_by` entry of the image history, as BuildKit writes it. `to_string` returns the text. FROM has no
    /// entry.
    pub history: CreatedBy,
    /// The image configuration after this step. [`Config::image`] returns the document, without layers, history and
    /// times.
    pub config: Config,
}

/// The operation of a step.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum Op {
    /// Starts a stage.
    From(Base),
    /// Runs a process.
    Run(Run),
    /// Adds files from a context, a stage, an image or the Dockerfile itself.
    Copy(Copy),
    /// Creates the working directory.
    Workdir {
        /// The absolute path in the image.
        path: String,
        /// The current `USER` as written, which owns the directories that are created.
        user: String,
    },
    /// Changes only the configuration.
    Config,
    /// Does nothing, because the target does not need the stage.
    Pruned,
}

/// The base of a stage.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum Base {
    /// The empty image.
    Scratch,
    /// The last step of another stage.
    Stage(StepId),
    /// A resolved image.
    Image(ImageSource),
    /// A named context that is a directory. Its files are the first layer of the stage.
    Context(String),
}

/// A resolved image, with the facts that identify its layers and go into cache keys.
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
    /// The program and its arguments. For the shell form, the program is the shell.
    pub args: Vec<String>,
    /// The environment of the image and the build arguments, in the order in which they were last set. Variables that
    /// must not be part of the cache key (proxies) are in `unkeyed_env`.
    pub env: Environment,
    /// The predefined proxy arguments, which are passed to the process but are not part of the cache key.
    #[serde(skip)]
    pub unkeyed_env: Vec<String>,
    /// The absolute working directory.
    pub workdir: String,
    /// The current `USER` as written (`name`, `uid`, `name:group`). Empty means root.
    pub user: String,
    /// The mounts of this step.
    pub mounts: Vec<Mount>,
    /// The network of this step (`--network`).
    pub network: Network,
    /// Whether the step runs without restrictions (`--security=insecure`).
    pub insecure: bool,
    /// The names of devices (`--device`).
    pub devices: Vec<String>,
    /// The host name that `BUILDKIT_SANDBOX_HOSTNAME` sets.
    pub hostname: Option<String>,
    /// The options of the request that the process can see, by flag.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, String>,
    /// The places of the pieces of the shell's text in the Dockerfile. They do not affect the step.
    #[serde(skip)]
    pub origins: Vec<Origin>,
}

/// The network of a step.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub enum Network {
    /// The network that the build uses by default (`--network` of the command).
    #[default]
    Default,
    /// Only the loopback interface.
    None,
    /// The network of the host.
    Host,
}

/// A mount of `RUN --mount`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Mount {
    /// The absolute path in the file system of the step. `None` for a secret that is only in the environment.
    pub target: Option<String>,
    /// The kind of the mount, with its options.
    pub kind: MountKind,
}

/// The kinds of `RUN --mount`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum MountKind {
    /// A directory or file of a stage, an image or the context.
    Bind {
        /// The source of the files.
        from: CopyFrom,
        /// The path in the source.
        source: String,
        /// Whether the mount is writable. Written files are discarded after the step.
        writable: bool,
    },
    /// A directory that is kept between builds.
    Cache {
        /// The name of the cache.
        id: String,
        /// The rule for concurrent use.
        sharing: Sharing,
        /// The initial content of an empty cache: its source, and the path in the source.
        from: Option<(CopyFrom, String)>,
        /// Whether the mount is read-only.
        readonly: bool,
        /// The mode of a new cache directory.
        mode: u32,
        /// The owner of a new cache directory.
        uid: u32,
        /// The group of a new cache directory.
        gid: u32,
    },
    /// A file system in memory.
    Tmpfs {
        /// The maximum size in bytes.
        size: Option<u64>,
    },
    /// A secret of the build.
    Secret {
        /// The name of the secret.
        id: String,
        /// Whether the step fails without the secret.
        required: bool,
        /// The environment variable that holds the secret.
        env: Option<String>,
        /// The mode of the file.
        mode: u32,
        /// The owner of the file.
        uid: u32,
        /// The group of the file.
        gid: u32,
    },
    /// A read-only file whose content is in the Dockerfile: a heredoc that starts with `#!`.
    Inline {
        /// The content of the file.
        content: String,
        /// The mode of the file.
        mode: u32,
    },
    /// The socket of an SSH agent.
    Ssh {
        /// The name of the agent.
        id: String,
        /// Whether the step fails without the agent.
        required: bool,
        /// The mode of the socket.
        mode: u32,
        /// The owner of the socket.
        uid: u32,
        /// The group of the socket.
        gid: u32,
    },
}

/// The rule for concurrent use of a cache mount (`sharing=`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum Sharing {
    /// Any number of steps use the cache at the same time.
    #[default]
    Shared,
    /// A step gets its own copy while another step uses the cache.
    Private,
    /// Steps use the cache one after the other.
    Locked,
}

/// Adds files to the image (COPY and ADD).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Copy {
    /// Whether the instruction is ADD, which unpacks archives and fetches URLs.
    pub add: bool,
    /// The source of the files.
    pub from: CopyFrom,
    /// The expanded paths or patterns in the source. They may be URLs if `add` is set.
    pub sources: Vec<String>,
    /// The heredocs, each with its name and content.
    pub inline: Vec<(String, String)>,
    /// The expanded destination, relative to `workdir`. A trailing slash means a directory.
    pub destination: String,
    /// The absolute working directory.
    pub workdir: String,
    /// The expanded value of `--chown`. Names are resolved in the passwd and group files of the image.
    pub chown: Option<String>,
    /// The expanded value of `--chmod`, an octal or a symbolic mode.
    pub chmod: Option<String>,
    /// Whether the layer is independent of the layers below it: `--link`, and no `--chmod`.
    pub link: bool,
    /// Whether parent directories of the sources are kept (`--parents`).
    pub parents: bool,
    /// The patterns of `--exclude`.
    pub exclude: Vec<String>,
    /// The value of `--checksum`.
    pub checksum: Option<String>,
    /// The value of `--unpack`. `None` means the default of ADD: local archives are unpacked, and remote ones are not.
    pub unpack: Option<bool>,
    /// Whether the `.git` directory of a cloned repository is kept (`--keep-git-dir`).
    pub keep_git_dir: bool,
}

/// The source of files.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum CopyFrom {
    /// The main build context.
    Context,
    /// A named context that is a directory.
    NamedContext(String),
    /// The last step of a stage.
    Stage(StepId),
    /// A resolved image.
    Image(ImageSource),
    /// No files: for a mount of an empty directory, or a COPY of heredocs only.
    Empty,
}

/// The build arguments of the command line, by name.
pub type BuildArgs = BTreeMap<String, String>;

impl CopyFrom {
    /// Returns whether the files come from outside the graph, so that they do not depend on other steps.
    pub(crate) fn is_outside(&self) -> bool {
        matches!(self, Self::Context | Self::NamedContext(_) | Self::Empty)
    }
}

impl Copy {
    /// Creates a `COPY source destination` without flags.
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
