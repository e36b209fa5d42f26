//! Every flag of `docker buildx build` 0.36: which ones buildscope has, and what becomes of the others.
//!
//! COMPATIBILITY.md shows [`FLAGS`] as a table; a test compares them.

use super::flag_values::size;
use crate::{Failure, write_message};
use buildscope_schedule::Policy;
use clap::Args;
use miette::miette;

/// The treatment of a flag of docker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Support {
    /// The same as docker.
    Same,
    /// It works, with this difference.
    Differs(&'static str),
    /// It is accepted and does nothing, for this reason.
    NoEffect(&'static str),
    /// It is an error, with the reason and an alternative.
    Refused(&'static str),
}

/// Why there is no bill of materials, and what makes one.
pub(super) const NO_SBOM: &str = "buildscope runs no SBOM scanner: scan the image (`syft oci-archive:FILE`)";

use Support::{Differs, NoEffect, Refused, Same};

/// The flags of `docker buildx build`, those that its help hides at the end.
pub(super) const FLAGS: &[(&str, Support)] = &[
    ("--add-host", Differs("without `host-gateway`, which is refused: steps cannot reach the host's loopback")),
    ("--allow", Differs("`device=PATH` only; `device` alone and `buildx.local.delete` are refused")),
    ("--annotation", Same),
    ("--attest", Differs("`type=provenance`; `type=sbom` is refused like `--sbom`")),
    ("--build-arg", Same),
    ("--build-context", Same),
    ("--builder", Refused("buildscope is itself the builder: leave the flag out, or say `default`")),
    ("--cache-from", Differs("`local`, `registry`, `s3` and `reapi`; `gha` and `azblob` are refused by name")),
    (
        "--cache-to",
        Differs(
            "`local`, `registry`, `s3`, `reapi` and `inline`; `gha` and `azblob` are refused by name; no options of `docker` media types",
        ),
    ),
    (
        "--call",
        Differs(
            "`build`, `check`, `outline`, `targets`, `subrequests.describe`, each with `format=json`; `check` and `outline` print buildscope's own tables",
        ),
    ),
    (
        "--cgroup-parent",
        Refused(
            "steps run in cgroups below buildscope's own: start buildscope in that cgroup (`systemd-run --scope --slice=NAME`)",
        ),
    ),
    ("--check", Same),
    ("--debug", NoEffect("there is no debug log; `--engine-trace FILE` writes every internal span")),
    ("--file", Same),
    ("--iidfile", Same),
    ("--label", Same),
    ("--load", Same),
    ("--metadata-file", Same),
    ("--network", Differs("also `isolated`")),
    ("--no-cache", Same),
    ("--no-cache-filter", Same),
    (
        "--output",
        Differs(
            "without `mode=delete`, `compression=estargz`, `registry.insecure`, `dangling-name-prefix`, `type=docker,context=` and `type=docker,tar=false`, which are refused with the alternative",
        ),
    ),
    ("--platform", Same),
    (
        "--policy",
        Differs(
            "a Rego policy is refused: check the Dockerfile before the build instead; `serial`, `stages` and `instructions` are the old values of `--granularity`",
        ),
    ),
    ("--progress", Same),
    ("--provenance", Same),
    ("--pull", Same),
    ("--push", Same),
    ("--quiet", Same),
    (
        "--resource",
        Differs(
            "`memory`, `cpu-quota` and `cpu-period`; `memory-swap`, `cpu-shares`, `cpuset-cpus` and `cpuset-mems` are refused",
        ),
    ),
    ("--sbom", Refused(NO_SBOM)),
    ("--secret", Same),
    ("--shm-size", Same),
    ("--ssh", Same),
    ("--tag", Same),
    ("--target", Same),
    ("--ulimit", Same),
    ("--memory", Same),
    ("--memory-swap", Refused("there is no limit of swap (-1, no limit, is accepted): `--memory` limits memory")),
    ("--cpu-shares", Refused("there are no relative weights: `--cpus N` limits processors")),
    ("--cpu-period", Same),
    ("--cpu-quota", Same),
    ("--cpuset-cpus", Refused("run buildscope itself on those processors (`taskset -c 0-3 buildscope ...`)")),
    ("--cpuset-mems", Refused("run buildscope itself on those nodes (`numactl --membind=0 buildscope ...`)")),
    ("--compress", NoEffect("the context is not sent anywhere")),
    ("--isolation", NoEffect("as with BuildKit")),
    ("--security-opt", NoEffect("as with BuildKit; `RUN --security=insecure` works")),
    ("--squash", NoEffect("as with BuildKit: use a multi-stage Dockerfile")),
    ("--rm", NoEffect("there are no intermediate containers")),
    ("--force-rm", NoEffect("there are no intermediate containers")),
];

/// The flags that only docker's help needs to explain.
#[derive(Debug, Default, Args)]
pub(crate) struct DockerFlags {
    #[arg(long, hide = true, value_name = "NAME")]
    pub(in crate::builder) builder: Option<String>,
    #[arg(long, hide = true, value_name = "PATH")]
    pub(in crate::builder) cgroup_parent: Option<String>,
    #[arg(short = 'D', long, hide = true)]
    pub(in crate::builder) debug: bool,
    /// Resource limits of RUN steps: memory=2g, cpu-quota=50000, cpu-period=100000
    #[arg(long, value_name = "NAME=VALUE", value_delimiter = ',')]
    pub(in crate::builder) resource: Vec<String>,
    #[arg(long, hide = true)]
    pub(in crate::builder) sbom: Option<String>,
    #[arg(long, hide = true, allow_hyphen_values = true)]
    pub(in crate::builder) memory_swap: Option<String>,
    #[arg(short = 'c', long, hide = true)]
    pub(in crate::builder) cpu_shares: Option<String>,
    #[arg(long, hide = true)]
    pub(in crate::builder) cpu_period: Option<String>,
    #[arg(long, hide = true, allow_hyphen_values = true)]
    pub(in crate::builder) cpu_quota: Option<String>,
    #[arg(long, hide = true)]
    pub(in crate::builder) cpuset_cpus: Option<String>,
    #[arg(long, hide = true)]
    pub(in crate::builder) cpuset_mems: Option<String>,
    #[arg(long, hide = true)]
    pub(in crate::builder) compress: bool,
    #[arg(long, hide = true)]
    pub(in crate::builder) isolation: Option<String>,
    #[arg(long, hide = true)]
    pub(in crate::builder) security_opt: Vec<String>,
    #[arg(long, hide = true)]
    pub(in crate::builder) squash: bool,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(in crate::builder) rm: Option<bool>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(in crate::builder) force_rm: Option<bool>,
}

/// The limits that docker's flags set.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct DockerLimits {
    pub(super) memory: Option<u64>,
    pub(super) cpus: Option<f64>,
}

impl DockerFlags {
    /// Fails for a flag that is refused, with the reason and the alternative, and warns of one without effect.
    pub(in crate::builder) fn check(&self) -> Result<(), Failure> {
        let set = |name: &str| {
            let given = [
                ("--builder", self.builder.as_ref().is_some_and(|name| name != "default")),
                ("--cgroup-parent", self.cgroup_parent.is_some()),
                ("--debug", self.debug),
                ("--sbom", self.sbom.as_ref().is_some_and(|value| value != "false")),
                ("--memory-swap", self.memory_swap.as_ref().is_some_and(|limit| limit != "-1")),
                ("--cpu-shares", self.cpu_shares.is_some()),
                ("--cpuset-cpus", self.cpuset_cpus.is_some()),
                ("--cpuset-mems", self.cpuset_mems.is_some()),
                ("--compress", self.compress),
                ("--isolation", self.isolation.is_some()),
                ("--security-opt", !self.security_opt.is_empty()),
                ("--squash", self.squash),
                ("--rm", self.rm.is_some()),
                ("--force-rm", self.force_rm.is_some()),
            ];
            given.iter().any(|&(flag, given)| given && flag == name)
        };
        for &(name, support) in FLAGS.iter().filter(|(name, _)| set(name)) {
            match support {
                Refused(why) => return Err(refused(name, why)),
                NoEffect(why) => write_message(&format!("warning: {name} has no effect: {why}")),
                Same | Differs(_) => {}
            }
        }
        Ok(())
    }

    /// The limits of RUN steps.
    pub(super) fn limits(&self) -> Result<DockerLimits, Failure> {
        let mut limits = DockerLimits::default();
        // As with docker, 0 and a quota of -1 mean that there is no limit.
        let number = |flag: &str, text: &str| match text.parse::<u64>() {
            Ok(number) => Ok(Some(number).filter(|number| *number > 0)),
            Err(_) if text == "-1" => Ok(None),
            Err(_) => Err(Failure::usage(miette!("{flag} takes microseconds, not `{text}`"))),
        };
        let (mut quota, mut period) = (self.cpu_quota.clone(), self.cpu_period.clone());
        for resource in &self.resource {
            match resource.split_once('=') {
                Some(("memory", bytes)) => limits.memory = Some(size("--resource memory", bytes)?),
                Some(("cpu-quota", value)) => quota = Some(value.to_owned()),
                Some(("cpu-period", value)) => period = Some(value.to_owned()),
                Some((name @ ("memory-swap" | "cpu-shares" | "cpuset-cpus" | "cpuset-mems"), _)) => {
                    let flag = format!("--{name}");
                    let why = FLAGS.iter().find(|(known, _)| *known == flag);
                    let Some((_, Refused(why))) = why else { continue };
                    return Err(refused(&format!("--resource {name}"), why));
                }
                _ => {
                    return Err(Failure::usage(miette!(
                        "--resource takes memory=SIZE, cpu-quota=MICROSECONDS or cpu-period=MICROSECONDS, not `{resource}`"
                    )));
                }
            }
        }
        // docker's default period is 100 ms.
        let period = period.map(|text| number("--cpu-period", &text)).transpose()?.flatten().unwrap_or(100_000);
        let quota = quota.map(|text| number("--cpu-quota", &text)).transpose()?.flatten();
        limits.cpus = quota.map(|quota| quota as f64 / period as f64);
        Ok(limits)
    }
}

/// The granularity: the value of `--granularity`, of which `--policy` is the old name. A Rego policy of buildx, which has the same
/// flag, is refused unless it is disabled.
pub(super) fn granularity(policy: &str) -> Result<Policy, Failure> {
    match policy.split_once('=') {
        None => policy.parse().map_err(|error| Failure::usage(miette!("--granularity: {error}"))),
        Some(("disabled", "true" | "1")) => Ok(Policy::Instructions),
        Some(_) => Err(refused(
            "--policy",
            "Rego policies are not evaluated: check the Dockerfile before the build (`conftest test Dockerfile`)",
        )),
    }
}

pub(super) fn refused(name: &str, why: &str) -> Failure {
    Failure::usage(miette!("{name} is not supported: {why}"))
}

#[cfg(test)]
mod tests {
    use super::super::arguments::Arguments;
    use super::*;
    use clap::{CommandFactory as _, Parser};

    #[derive(Debug, Parser)]
    struct Build {
        #[command(flatten)]
        arguments: Arguments,
    }

    #[derive(Debug, Parser)]
    struct Bake {
        #[command(flatten)]
        arguments: crate::builder::bake::Arguments,
    }

    fn flags(text: &str) -> DockerFlags {
        let words = std::iter::once("build").chain(text.split(' '));
        Build::try_parse_from(words).unwrap_or_else(|error| panic!("{text}: {error}")).arguments.docker
    }

    #[test]
    fn completed_values_are_accepted_and_others_are_not() {
        let accepts = |flag: &str, value: &str| {
            let build = Build::try_parse_from(["build", &format!("--{flag}={value}"), "--root=/nonexistent", "."]);
            build.is_ok_and(|build| build.arguments.resolve().is_ok())
        };
        for flag in ["granularity", "admission", "driver", "sync", "network", "call"] {
            let values = crate::shell::values(flag);
            let refused: Vec<_> = values.iter().filter(|value| !accepts(flag, value)).collect();
            assert!(!values.is_empty() && refused.is_empty(), "--{flag} {refused:?}");
            assert!(!accepts(flag, "nonsense"), "--{flag}");
        }
    }

    #[test]
    fn help_and_documents_name_every_driver() {
        let help = |command: clap::Command| {
            let driver = command.get_arguments().find(|argument| argument.get_long() == Some("driver")).cloned();
            driver.unwrap().get_help().unwrap().to_string()
        };
        let document = |name: &str| {
            let path = format!("{}/../../{name}", env!("CARGO_MANIFEST_DIR"));
            std::fs::read_to_string(path).unwrap()
        };
        for (place, text) in [
            ("--help of build", help(Build::command())),
            ("--help of bake", help(Bake::command())),
            ("GLOSSARY.md", document("GLOSSARY.md")),
            ("docs/design/storage.md", document("docs/design/storage.md")),
            ("bench/cli/tests/builds/digests.rs", document("bench/cli/tests/builds/digests.rs")),
            ("bench/cli/tests/conformance/main.rs", document("bench/cli/tests/conformance/main.rs")),
        ] {
            let missing: Vec<_> =
                crate::shell::values("driver").into_iter().skip(1).filter(|name| !text.contains(name)).collect();
            assert!(missing.is_empty(), "{place} does not name {missing:?}");
        }
    }

    #[test]
    fn every_flag_is_on_the_command_line() {
        let command = Build::command();
        let known = |name: &str| {
            let name = name.trim_start_matches("--");
            command.get_arguments().any(|argument| {
                argument.get_long() == Some(name) || argument.get_all_aliases().is_some_and(|all| all.contains(&name))
            })
        };
        let missing: Vec<_> = FLAGS.iter().filter(|(name, _)| !known(name)).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }

    #[test]
    fn every_refused_flag_names_its_reason() {
        for (text, reason) in [
            ("--builder remote", "itself the builder"),
            ("--sbom true", "SBOM scanner"),
            ("--cgroup-parent /x", "systemd-run"),
            ("--memory-swap 2g", "--memory"),
            ("-c 512", "--cpus"),
            ("--cpuset-cpus 0-1", "taskset"),
            ("--cpuset-mems 0", "numactl"),
        ] {
            let failure = flags(text).check().unwrap_err().to_string();
            assert!(failure.contains("is not supported") && failure.contains(reason), "{text}: {failure}");
        }
        for text in [
            "--builder default",
            "--sbom=false",
            "--rm=true",
            "--compress -D",
            "--security-opt label=disable",
            "--memory-swap -1",
        ] {
            assert!(flags(text).check().is_ok(), "{text}");
        }
    }

    #[test]
    fn resources_are_limits() {
        let of = |text: &str| flags(text).limits();
        let limits = DockerLimits { memory: Some(2 << 30), cpus: Some(0.5) };
        assert_eq!(of("--resource memory=2g,cpu-quota=50000").unwrap(), limits);
        assert_eq!(of("--cpu-quota 30000 --cpu-period 10000").unwrap().cpus, Some(3.0));
        assert!(of("--resource cpu-shares=2").unwrap_err().to_string().contains("--cpus"));
        assert_eq!(of("--cpu-quota -1 --cpu-period 0").unwrap().cpus, None);
        assert!(of("--resource disk=1").is_err() && of("--cpu-quota -2").is_err());
    }

    #[test]
    fn the_table_of_the_documents_is_current() {
        let mut table = "| flag | buildscope |\n|---|---|\n".to_owned();
        for (name, support) in FLAGS {
            let text = match support {
                Same => "the same".to_owned(),
                Differs(how) => format!("the same, but: {how}"),
                NoEffect(why) => format!("accepted without effect: {why}"),
                Refused(why) => format!("refused: {why}"),
            };
            table += &format!("| `{name}` | {} |\n", text.replace('|', "\\|"));
        }
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../COMPATIBILITY.md");
        let document = std::fs::read_to_string(path).unwrap();
        assert!(document.contains(&table), "COMPATIBILITY.md needs this table:\n{table}");
    }
}
