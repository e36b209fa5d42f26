//! The command line of `build`: the flags of `docker buildx build` and our own.

use super::super::recording::RecordingFlags;
use super::super::remote_flags::RemoteFlags;
use super::super::unverified::UnverifiedRegistries;
use super::call::Call;
use super::docker_flags::DockerFlags;
use crate::{Failure, Root};
use clap::{Args, Parser};
use miette::miette;
use std::path::PathBuf;

/// Build an image from a Dockerfile
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The build context: a directory, the URL of an archive, the URL of a git repository (`URL#REF:DIRECTORY`), or `-` (an
    /// archive or a Dockerfile on standard input)
    #[arg(default_value = ".")]
    pub(in crate::builder) context: PathBuf,
    /// The Dockerfile [default: Dockerfile in the context]; `-` reads it from standard input. For a context that is not a
    /// directory, the path is inside the context
    #[arg(short, long, value_name = "FILE")]
    pub(in crate::builder) file: Option<PathBuf>,
    /// Name of the image; may be repeated
    #[arg(short, long, value_name = "NAME[:TAG]")]
    pub(in crate::builder) tag: Vec<String>,
    /// Build this stage and the stages that it needs [default: the last stage]
    #[arg(long, value_name = "STAGE")]
    pub(in crate::builder) target: Option<String>,
    /// Set an ARG; without VALUE, from the environment. SOURCE_DATE_EPOCH sets the times in the image
    #[arg(long, value_name = "NAME[=VALUE]")]
    pub(in crate::builder) build_arg: Vec<String>,
    /// An additional context. VALUE is a directory, an archive or its URL, the URL of a git repository,
    /// docker-image://IMAGE, or oci-layout://DIRECTORY[:TAG]
    #[arg(long, value_name = "NAME=VALUE")]
    pub(in crate::builder) build_context: Vec<String>,
    /// Add a label to the image
    #[arg(long, value_name = "NAME=VALUE")]
    pub(in crate::builder) label: Vec<String>,
    /// Build for these platforms; for several, the result is an index with one image for each
    #[arg(long, value_name = "OS/ARCH[/VARIANT]", value_delimiter = ',')]
    pub(in crate::builder) platform: Vec<String>,
    /// What to do: build, check, outline (list arguments, secrets and caches), targets (list stages) or subrequests.describe (list these); with format=json
    #[arg(
        long,
        alias = "print",
        value_name = "CALL[,format=json]",
        default_value = "build",
        hide_default_value = true
    )]
    pub(in crate::builder) call: Call,
    /// Check the Dockerfile and do not build: short for --call check
    #[arg(long)]
    pub(in crate::builder) check: bool,
    /// Do not use the cache
    #[arg(long)]
    pub(in crate::builder) no_cache: bool,
    /// Do not use the cache for these stages
    #[arg(long, value_name = "STAGE", value_delimiter = ',')]
    pub(in crate::builder) no_cache_filter: Vec<String>,
    /// Ask registries for newer base images
    #[arg(long)]
    pub(in crate::builder) pull: bool,
    /// Where to write the image: type=oci,dest=FILE[,rewrite-timestamp=true] and other types [default: the store]
    #[arg(short, long, value_name = "SPEC")]
    pub(in crate::builder) output: Vec<String>,
    /// Push the image to its registry: short for --output type=registry
    #[arg(long)]
    pub(in crate::builder) push: bool,
    /// Load the image into the local docker daemon: short for --output type=docker
    #[arg(long)]
    pub(in crate::builder) load: bool,
    /// Add an annotation to the image: [LEVEL[PLATFORM]:]KEY=VALUE. LEVEL is manifest, manifest-descriptor, index or
    /// index-descriptor
    #[arg(long, value_name = "ANNOTATION")]
    pub(in crate::builder) annotation: Vec<String>,
    /// Attach a provenance attestation: true, or mode=min|max, version=v0.2|v1, builder-id=ID
    #[arg(long, value_name = "SPEC")]
    pub(in crate::builder) provenance: Option<String>,
    /// Attach an attestation: type=provenance, followed by the options of --provenance
    #[arg(long, value_name = "SPEC")]
    pub(in crate::builder) attest: Vec<String>,
    /// Import a cache: type=local,src=DIR, type=registry,ref=IMAGE and other types
    #[arg(long, value_name = "SPEC")]
    pub(in crate::builder) cache_from: Vec<String>,
    /// Export the cache: type=local,dest=DIR, type=registry,ref=IMAGE, type=inline and other types
    #[arg(long, value_name = "SPEC")]
    pub(in crate::builder) cache_to: Vec<String>,
    /// Make a secret available to RUN --mount=type=secret
    #[arg(long, value_name = "id=ID[,src=FILE|,env=NAME]")]
    pub(in crate::builder) secret: Vec<String>,
    /// Make an SSH agent, or an agent with these keys, available to RUN --mount=type=ssh
    #[arg(long, value_name = "ID[=SOCKET|=KEY[,KEY]]")]
    pub(in crate::builder) ssh: Vec<String>,
    /// Grant an entitlement to steps that ask for it: network.host, security.insecure, device=PATH
    #[arg(long, value_name = "ENTITLEMENT")]
    pub(in crate::builder) allow: Vec<String>,
    /// Network of RUN steps: default (isolated if possible), isolated (through slirp4netns or pasta), host, or none
    #[arg(long, value_name = "MODE")]
    pub(in crate::builder) network: Option<String>,
    /// Add a line to /etc/hosts of RUN steps
    #[arg(long, value_name = "HOST:IP")]
    pub(in crate::builder) add_host: Vec<String>,
    /// Size of /dev/shm of RUN steps
    #[arg(long, value_name = "BYTES")]
    pub(in crate::builder) shm_size: Option<String>,
    /// A resource limit of RUN steps (see setrlimit(2))
    #[arg(short, long, value_name = "NAME=SOFT[:HARD]")]
    pub(in crate::builder) ulimit: Vec<String>,
    /// Memory limit of each RUN step
    #[arg(short, long, value_name = "BYTES")]
    pub(in crate::builder) memory: Option<String>,
    /// Number of processors that each RUN step may use
    #[arg(long, value_name = "N")]
    pub(in crate::builder) cpus: Option<f64>,
    /// Number of processes and threads that each RUN step may have; -1 for any number
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(in crate::builder) pids_limit: Option<i64>,
    /// Time limit of each RUN step
    #[arg(long, value_name = "SECONDS")]
    pub(in crate::builder) timeout: Option<f64>,
    /// Write the image ID to this file
    #[arg(long, value_name = "FILE")]
    pub(in crate::builder) iidfile: Option<PathBuf>,
    /// Write the digests of the result to this file, as JSON
    #[arg(long, value_name = "FILE")]
    pub(in crate::builder) metadata_file: Option<PathBuf>,

    #[command(flatten)]
    pub(in crate::builder) unverified: UnverifiedRegistries,
    /// Try this mirror before the registry
    #[arg(long, value_name = "REGISTRY=HOST", help_heading = "Registries")]
    pub(in crate::builder) registry_mirror: Vec<String>,
    /// Also trust the certificate authorities in this file (PEM)
    #[arg(long, value_name = "FILE", help_heading = "Registries")]
    pub(in crate::builder) registry_ca: Vec<PathBuf>,

    /// Granularity of the build graph: serial (one step at a time), stages (stages in parallel), or instructions (every
    /// step as soon as its inputs are ready)
    #[arg(
        long = "granularity",
        alias = "policy",
        value_name = "GRANULARITY",
        default_value = "instructions",
        help_heading = "Execution"
    )]
    pub(in crate::builder) policy: String,
    /// Maximum number of steps that run at once; 0 means no limit
    #[arg(short, long, value_name = "N", default_value_t = 0, help_heading = "Execution")]
    pub(in crate::builder) jobs: usize,
    /// What a ready RUN waits for: memory (a free slot, and as much memory as it is expected to need after earlier builds), or
    /// slots (a free slot)
    #[arg(long, value_name = "ADMISSION", default_value = "memory", help_heading = "Execution")]
    pub(in crate::builder) admission: String,
    /// Storage driver: auto, erofs, overlay, fuse-overlayfs, btrfs or copy
    #[arg(long, value_name = "DRIVER", default_value = "auto", help_heading = "Execution")]
    pub(in crate::builder) driver: String,
    /// Memory for the files that RUN steps change: a size, auto (a quarter of the available memory), or 0 (use the disk). A
    /// step that needs more is run again on the disk
    #[arg(long, value_name = "BYTES", default_value = "auto", help_heading = "Execution")]
    pub(in crate::builder) tmpfs_upper: String,
    /// When to fsync: build (once, at the end), layer (after each layer), or never (a power failure may lose the build)
    #[arg(long, value_name = "WHEN", default_value = "build", help_heading = "Execution")]
    pub(in crate::builder) sync: String,
    /// Executor of RUN steps: native, or oci (crun or runc)
    #[arg(long, value_name = "EXECUTOR", default_value = "native", help_heading = "Execution")]
    pub(in crate::builder) executor: String,
    #[command(flatten)]
    pub(in crate::builder) remote: RemoteFlags,
    #[command(flatten)]
    pub(in crate::builder) docker: DockerFlags,
    #[command(flatten)]
    pub(in crate::builder) root: Root,

    #[command(flatten)]
    pub(in crate::builder) recording: RecordingFlags,
    /// Print only the image ID: short for --progress quiet
    #[arg(short, long, help_heading = "Output and diagnostics")]
    pub(in crate::builder) quiet: bool,
    /// For experiments: make each occurrence of a phase (process, copy, archive...) or instruction (RUN) take this much
    /// longer
    #[arg(long, value_name = "WHAT=SECONDS", help_heading = "Output and diagnostics")]
    pub(in crate::builder) delay: Option<String>,
    /// Profile the builder, and write flamegraph.svg and stacks.folded to this directory
    #[arg(long, value_name = "DIR", help_heading = "Output and diagnostics")]
    pub(in crate::builder) pprof: Option<PathBuf>,
}

impl Arguments {
    /// The arguments of a command line without flags. Fails if a variable of the environment has an invalid value.
    pub(in crate::builder) fn defaults() -> Result<Self, Failure> {
        #[derive(Debug, Parser)]
        #[command(no_binary_name = true)]
        struct Build {
            #[command(flatten)]
            arguments: Arguments,
        }
        let none: [&str; 0] = [];
        let build = Build::try_parse_from(none).map_err(|error| Failure::usage(miette!("{error}")))?;
        Ok(build.arguments)
    }
}

const EXAMPLES: &str = "Examples:
  buildscope build -t app .
  buildscope build --granularity serial --record a.json . && buildscope explain a.json
  buildscope build --budget 5m --max-regression 20% .   (exit code 1 with the reason)
  buildscope build --record now.json --expect-cached --why-miss before.json .
  buildscope build -o type=oci,dest=app.tar --build-context gcc=oci-layout://bases/gcc .
  SOURCE_DATE_EPOCH=0 buildscope build -o type=oci,dest=a.tar,rewrite-timestamp=true .";
