//! The command line of `bake`: the flags of `docker buildx bake` and our own.

use super::super::build::DockerFlags;
use super::super::recording::RecordingFlags;
use super::super::remote_flags::RemoteFlags;
use super::super::unverified::UnverifiedRegistries;
use super::remote::is_remote;
use crate::Root;
use clap::Args;
use std::path::PathBuf;

/// Build the targets of bake and compose files, all in one graph
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Targets, groups or patterns [default: default]. A git repository (URL#REF:DIRECTORY) before them has the definition
    pub(super) target: Vec<String>,
    /// A bake or compose file; may be repeated, and later ones override earlier ones; `-` is standard input [default:
    /// those of BUILDX_BAKE_FILE, else compose.yaml, docker-bake.json, docker-bake.hcl and their variants, as far as they exist]
    #[arg(short, long, value_name = "FILE")]
    pub(super) file: Vec<PathBuf>,
    /// Override an attribute of the targets that a pattern matches; KEY+ adds to a list
    #[arg(long, value_name = "PATTERN.KEY[+]=VALUE")]
    pub(super) set: Vec<String>,
    /// Set a variable
    #[arg(long, value_name = "NAME=VALUE")]
    pub(super) var: Vec<String>,
    /// Print the targets with all that they inherit, as JSON, and do not build
    #[arg(long, conflicts_with = "list")]
    pub(super) print: bool,
    /// List targets or variables, and do not build; type=targets,format=json prints JSON
    #[arg(long, value_name = "targets|variables")]
    pub(super) list: Option<String>,
    /// What to do: build, check, outline, targets or subrequests.describe; with format=json
    #[arg(long, value_name = "CALL[,format=json]")]
    pub(super) call: Option<String>,
    /// Check the Dockerfiles and do not build: short for --call check
    #[arg(long)]
    pub(super) check: bool,
    /// Do not use the cache: short for --set *.no-cache=true
    #[arg(long)]
    pub(super) no_cache: bool,
    /// Ask registries for newer base images: short for --set *.pull=true
    #[arg(long)]
    pub(super) pull: bool,
    /// Push the images to their registries: short for --set *.push=true
    #[arg(long)]
    pub(super) push: bool,
    /// Load the images into the local docker daemon: short for --set *.load=true
    #[arg(long)]
    pub(super) load: bool,
    /// Attach a provenance attestation: short for --set *.attest=type=provenance
    #[arg(long, value_name = "SPEC")]
    pub(super) provenance: Option<String>,
    /// Attach a bill of materials: short for --set *.attest=type=sbom
    #[arg(long, value_name = "SPEC")]
    pub(super) sbom: Option<String>,
    /// Grant what the files ask for: network.host, security.insecure, fs.read=PATH, fs.write=PATH, fs=PATH, ssh
    #[arg(long, value_name = "PRIVILEGE")]
    pub(super) allow: Vec<String>,
    #[arg(long, hide = true, value_name = "NAME")]
    pub(super) builder: Option<String>,
    #[arg(short = 'D', long, hide = true)]
    pub(super) debug: bool,
    /// Build the targets that do not need a failed step
    #[arg(short, long)]
    pub(super) keep_going: bool,
    /// Write the digests of all results to this file, as JSON
    #[arg(long, value_name = "FILE")]
    pub(super) metadata_file: Option<PathBuf>,

    #[command(flatten)]
    pub(super) unverified: UnverifiedRegistries,

    /// Granularity of the build graph: serial, stages or instructions
    #[arg(
        long = "granularity",
        value_name = "GRANULARITY",
        default_value = "instructions",
        help_heading = "Execution"
    )]
    pub(super) policy: String,
    /// Maximum number of steps of all targets that run at once; 0 means no limit
    #[arg(short, long, value_name = "N", default_value_t = 0, help_heading = "Execution")]
    pub(super) jobs: usize,
    /// What a ready RUN waits for: memory (a free slot, and as much memory as it is expected to need after earlier builds), or
    /// slots (a free slot)
    #[arg(long, value_name = "ADMISSION", default_value = "memory", help_heading = "Execution")]
    pub(super) admission: String,
    /// Storage driver: auto, erofs, overlay, fuse-overlayfs, btrfs or copy
    #[arg(long, value_name = "DRIVER", default_value = "auto", help_heading = "Execution")]
    pub(super) driver: String,
    #[command(flatten)]
    pub(super) remote: RemoteFlags,
    #[command(flatten)]
    pub(super) root: Root,

    #[command(flatten)]
    pub(super) recording: RecordingFlags,
}

const EXAMPLES: &str = "Examples:
  buildscope bake
  buildscope bake -f compose.yaml --print web
  buildscope bake --set '*.platform=linux/arm64' --var TAG=1.2 release
  buildscope bake --keep-going --jobs 8 all
  buildscope bake https://host/shop.git#main --print";

impl Arguments {
    /// The files that are named with `--file`, else in the environment.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        if !self.file.is_empty() {
            return self.file.clone();
        }
        let named = std::env::var("BUILDX_BAKE_FILE").unwrap_or_default();
        let separator = std::env::var("BUILDX_BAKE_PATH_SEPARATOR").ok().filter(|separator| !separator.is_empty());
        named.split(separator.as_deref().unwrap_or(":")).filter(|name| !name.is_empty()).map(PathBuf::from).collect()
    }

    /// The repository or URL that has the definition.
    pub(super) fn repository(&self) -> Option<&str> {
        self.target.first().map(String::as_str).filter(|first| is_remote(first))
    }

    /// The value of `BAKE_CMD_CONTEXT`: the second repository, which a definition may use as a context.
    pub(super) fn command_context(&self) -> &str {
        let second = self.target.get(1).filter(|second| self.repository().is_some() && is_remote(second));
        second.map_or("cwd://", String::as_str)
    }

    /// The names of what is built.
    pub(super) fn targets(&self) -> Vec<String> {
        let repositories = usize::from(self.repository().is_some()) + usize::from(self.command_context() != "cwd://");
        let names = &self.target[repositories..];
        if names.is_empty() { vec!["default".into()] } else { names.to_vec() }
    }

    /// The flags that have no meaning here.
    pub(super) fn docker_flags(&self) -> DockerFlags {
        DockerFlags { builder: self.builder.clone(), debug: self.debug, ..DockerFlags::default() }
    }

    /// What is asked instead of a build, and the options of the answer. A check is called `lint`, as buildx prints it.
    pub(super) fn subrequest(&self) -> Option<(&str, &str)> {
        let call = if self.check { "check" } else { self.call.as_deref()? };
        match call.split_once(',').unwrap_or((call, "")) {
            ("build", "") => None,
            ("check", options) => Some(("lint", options)),
            other => Some(other),
        }
    }

    /// The overrides, with those that have a flag of their own.
    pub(super) fn settings(&self) -> Vec<String> {
        let mut settings = self.set.clone();
        let flags = [(self.push, "push"), (self.load, "load"), (self.no_cache, "no-cache"), (self.pull, "pull")];
        settings.extend(flags.iter().filter(|(wanted, _)| *wanted).map(|(_, key)| format!("*.{key}=true")));
        settings.extend(self.subrequest().map(|(call, _)| format!("*.call={call}")));
        let attests = [("sbom", &self.sbom), ("provenance", &self.provenance)];
        for (kind, text) in attests {
            settings.extend(text.as_deref().map(|text| match text {
                "true" | "1" => format!("*.attest=type={kind},disabled=false"),
                "false" | "0" => format!("*.attest=type={kind},disabled=true"),
                spec => format!("*.attest=type={kind},{spec}"),
            }));
        }
        settings
    }
}
