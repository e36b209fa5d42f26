//! What was typed: `docker buildx build`'s flags and our own.

use crate::Root;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Build an image from a Dockerfile
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The build context: a directory, `-` (an archive or a Dockerfile from standard input), the address of an archive, or of a git repository (`URL#REF:DIRECTORY`)
    #[arg(default_value = ".")]
    pub(super) context: PathBuf,
    /// The Dockerfile [default: Dockerfile in the context]; of a context from elsewhere, a file in it; `-` reads it from standard input
    #[arg(short, long, value_name = "FILE")]
    pub(super) file: Option<PathBuf>,
    /// Name the image; may be repeated
    #[arg(short, long, value_name = "NAME[:TAG]")]
    pub(super) tag: Vec<String>,
    /// Build this stage, and of the others only what it needs
    #[arg(long, value_name = "STAGE")]
    pub(super) target: Option<String>,
    /// Set an ARG; without a value, from the environment. SOURCE_DATE_EPOCH sets the image's times
    #[arg(long, value_name = "NAME[=VALUE]")]
    pub(super) build_arg: Vec<String>,
    /// Another context: NAME=VALUE where VALUE is a directory, an archive or the address of one, the address of a git
    /// repository, docker-image://IMAGE or oci-layout://DIRECTORY[:TAG]
    #[arg(long, value_name = "NAME=VALUE")]
    pub(super) build_context: Vec<String>,
    /// Label the image
    #[arg(long, value_name = "NAME=VALUE")]
    pub(super) label: Vec<String>,
    /// Build for these platforms; several make an index with an image each
    #[arg(long, value_name = "OS/ARCH[/VARIANT]", value_delimiter = ',')]
    pub(super) platform: Vec<String>,
    /// Look for faults and advice, and do not build
    #[arg(long)]
    pub(super) check: bool,
    /// Use no step's result from the cache
    #[arg(long)]
    pub(super) no_cache: bool,
    /// Use no result of these stages from the cache
    #[arg(long, value_name = "STAGE")]
    pub(super) no_cache_filter: Vec<String>,
    /// Look for newer base images
    #[arg(long)]
    pub(super) pull: bool,
    /// Where the image goes: type=oci,dest=FILE[,rewrite-timestamp=true] and others; none keeps it in the store
    #[arg(short, long, value_name = "SPEC")]
    pub(super) output: Vec<String>,
    /// Send the image to its registry: short for --output type=registry
    #[arg(long)]
    pub(super) push: bool,
    /// Load the image into the docker daemon of this machine: short for --output type=docker
    #[arg(long)]
    pub(super) load: bool,
    /// Annotate the image: [LEVEL[PLATFORM]:]KEY=VALUE, where LEVEL is manifest, manifest-descriptor, index or
    /// index-descriptor
    #[arg(long, value_name = "ANNOTATION")]
    pub(super) annotation: Vec<String>,
    /// Attest beside the image how it was built: true, or mode=min|max, version=v0.2|v1, builder-id=ID
    #[arg(long, value_name = "SPEC", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(super) provenance: Option<String>,
    /// Attest: type=provenance and what --provenance takes
    #[arg(long, value_name = "SPEC")]
    pub(super) attest: Vec<String>,
    /// Import a cache
    #[arg(long, value_name = "SPEC")]
    pub(super) cache_from: Vec<String>,
    /// Export the cache
    #[arg(long, value_name = "SPEC")]
    pub(super) cache_to: Vec<String>,
    /// Give a secret to RUN --mount=type=secret
    #[arg(long, value_name = "id=ID[,src=FILE|,env=NAME]")]
    pub(super) secret: Vec<String>,
    /// Give an SSH agent, or one with these keys, to RUN --mount=type=ssh
    #[arg(long, value_name = "ID[=SOCKET|=KEY[,KEY]]")]
    pub(super) ssh: Vec<String>,
    /// Allow what needs it: network.host, security.insecure, device=PATH
    #[arg(long, value_name = "ENTITLEMENT")]
    pub(super) allow: Vec<String>,
    /// The network of RUN steps: default (the host's), host, none, or isolated (through slirp4netns or pasta)
    #[arg(long, value_name = "MODE")]
    pub(super) network: Option<String>,
    /// Add a line to /etc/hosts of RUN steps
    #[arg(long, value_name = "HOST:IP")]
    pub(super) add_host: Vec<String>,
    /// Size of /dev/shm of RUN steps
    #[arg(long, value_name = "BYTES")]
    pub(super) shm_size: Option<String>,
    /// A limit of RUN steps
    #[arg(long, value_name = "NAME=SOFT[:HARD]")]
    pub(super) ulimit: Vec<String>,
    /// Memory of a RUN step
    #[arg(short, long, value_name = "BYTES")]
    pub(super) memory: Option<String>,
    /// Processors of a RUN step
    #[arg(long, value_name = "N")]
    pub(super) cpus: Option<f64>,
    /// Time of a RUN step
    #[arg(long, value_name = "SECONDS")]
    pub(super) timeout: Option<f64>,
    /// Write the image's id to this file
    #[arg(long, value_name = "FILE")]
    pub(super) iidfile: Option<PathBuf>,
    /// Write the result's digests to this file, as JSON
    #[arg(long, value_name = "FILE")]
    pub(super) metadata_file: Option<PathBuf>,

    /// Do not verify this registry's certificate, and speak to it without TLS if it has none
    #[arg(long, value_name = "HOST", help_heading = "Registries")]
    pub(super) insecure_registry: Vec<String>,
    /// Speak to this registry without TLS (those of this machine are tried anyway)
    #[arg(long, value_name = "HOST", help_heading = "Registries")]
    pub(super) plain_http: Vec<String>,
    /// Ask this host first for a registry's images
    #[arg(long, value_name = "REGISTRY=HOST", help_heading = "Registries")]
    pub(super) registry_mirror: Vec<String>,
    /// Trust the certificate authorities in this file as well (PEM)
    #[arg(long, value_name = "FILE", help_heading = "Registries")]
    pub(super) registry_ca: Vec<PathBuf>,

    /// How fine the parallelism is: serial, stages or instructions
    #[arg(long, value_name = "POLICY", default_value = "instructions", help_heading = "How it is built")]
    pub(super) policy: String,
    /// Steps at a time; 0 is no limit [default: no limit]
    #[arg(short, long, value_name = "N", default_value_t = 0, help_heading = "How it is built")]
    pub(super) jobs: usize,
    /// The storage driver: auto, erofs, overlay, fuse-overlayfs, btrfs or copy
    #[arg(long, value_name = "DRIVER", default_value = "auto", help_heading = "How it is built")]
    pub(super) driver: String,
    /// Memory for what RUN steps change: auto (a quarter of what is available), a size, or 0 to have it on the disk. A step for
    /// which it is too small is run again on the disk
    #[arg(long, value_name = "BYTES", default_value = "auto", help_heading = "How it is built")]
    pub(super) tmpfs_upper: String,
    /// When to wait for the disk: build (once, at the end), layer (after each layer), never (a power cut may lose the build)
    #[arg(long, value_name = "WHEN", default_value = "build", help_heading = "How it is built")]
    pub(super) sync: String,
    /// What runs RUN steps: native or oci
    #[arg(long, value_name = "EXECUTOR", default_value = "native", help_heading = "How it is built")]
    pub(super) executor: String,
    #[command(flatten)]
    pub(super) root: Root,

    /// How progress is shown
    #[arg(long, value_enum, default_value_t, help_heading = "What is seen")]
    pub(super) progress: ProgressMode,
    /// Show nothing but the image's id: short for --progress quiet
    #[arg(short, long, help_heading = "What is seen")]
    pub(super) quiet: bool,
    /// Write the build record (JSON)
    #[arg(long, value_name = "FILE", help_heading = "What is seen")]
    pub(super) record: Option<PathBuf>,
    /// Write the timeline (Chrome trace JSON, for Perfetto)
    #[arg(long, value_name = "FILE", help_heading = "What is seen")]
    pub(super) trace: Option<PathBuf>,
    /// Write every span of the engine as it happens (Chrome trace JSON)
    #[arg(long, value_name = "FILE", help_heading = "What is seen")]
    pub(super) engine_trace: Option<PathBuf>,
    /// Fail (exit code 1) if a RUN, COPY, ADD or WORKDIR was not in the cache, and say what changed
    #[arg(long, help_heading = "What is seen")]
    pub(super) expect_cached: bool,
    /// What --expect-cached compares with: the record of an earlier build; may be repeated, oldest first
    #[arg(long, value_name = "RECORD", requires = "expect_cached", help_heading = "What is seen")]
    pub(super) why_miss: Vec<PathBuf>,
    /// For experiments: each step with this phase (process, copy, archive...) or instruction (RUN) really takes so much
    /// longer
    #[arg(long, value_name = "WHAT=SECONDS", help_heading = "What is seen")]
    pub(super) delay: Option<String>,
    /// Sample the builder's own stacks: flamegraph.svg and stacks.folded in this directory
    #[arg(long, value_name = "DIR", help_heading = "What is seen")]
    pub(super) pprof: Option<PathBuf>,
}

const EXAMPLES: &str = "Examples:
  buildscope build -t app .
  buildscope build --policy serial --record serial.json . && buildscope explain serial.json
  buildscope build --record now.json --expect-cached --why-miss before.json .
  buildscope build --output type=oci,dest=app.tar --build-context gcc=oci-layout://bases/gcc .
  SOURCE_DATE_EPOCH=0 buildscope build --output type=oci,dest=app.tar,rewrite-timestamp=true .";

/// How progress is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressMode {
    /// tty on a terminal, else plain
    #[default]
    Auto,
    /// Live lines on a terminal
    Tty,
    /// A line an event, as BuildKit writes it
    Plain,
    /// BuildKit's SolveStatus as JSON lines
    Rawjson,
    /// Nothing
    Quiet,
}
