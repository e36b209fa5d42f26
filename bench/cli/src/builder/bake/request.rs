//! A target as the command line of `build`: so both accept the same options, and a target has the same result.

use super::super::build;
use super::{Arguments, Target};
use crate::Failure;
use buildscope_bake::{self as bake, Selection};
use buildscope_builder::engine::DockerfileInput;
use buildscope_builder::plan::{is_git, is_url};
use clap::Parser;
use miette::miette;
use std::path::Path;

/// The arguments of `build`, to read them as the command does.
#[derive(Debug, Parser)]
#[command(no_binary_name = true)]
struct Build {
    #[command(flatten)]
    arguments: build::Arguments,
}

/// Resolves the options of all targets.
pub(super) fn targets(selection: &Selection, arguments: &Arguments) -> Result<Vec<Target>, Failure> {
    let named = |(name, target): (&String, &bake::Target)| {
        let failed = |failure: Failure| Failure::usage(miette!("target {name}: {failure}"));
        let line = command_line(target, arguments).map_err(failed)?;
        let parsed = Build::try_parse_from(line).map_err(|error| failed(Failure::usage(miette!("{error}"))))?;
        let mut options = parsed.arguments.resolve().map_err(failed)?;
        if let Some(text) = &target.dockerfile_inline {
            options.request.dockerfile =
                DockerfileInput::Text { name: format!("{name} (dockerfile-inline)"), text: text.clone() };
        }
        Ok(Target { name: name.clone(), options })
    };
    selection.targets.iter().map(named).collect()
}

/// Collects flags.
#[derive(Default)]
struct Line(Vec<String>);

impl Line {
    fn flag(&mut self, name: &str, value: impl Into<String>) {
        self.0.push(format!("--{name}={}", value.into()));
    }

    fn flags<'t>(&mut self, name: &str, values: impl IntoIterator<Item = &'t String>) {
        values.into_iter().for_each(|value| self.flag(name, value));
    }

    fn switch(&mut self, name: &str, on: bool) {
        if on {
            self.0.push(format!("--{name}"));
        }
    }
}

fn command_line(target: &bake::Target, arguments: &Arguments) -> Result<Vec<String>, Failure> {
    let mut line = Line::default();
    let context = target.context.as_deref().unwrap_or(".");
    if target.dockerfile_inline.is_none() {
        line.flag("file", dockerfile(context, target.dockerfile.as_deref().unwrap_or("Dockerfile")));
    }
    for (name, value) in &target.args {
        line.flag("build-arg", format!("{name}={value}"));
    }
    for (name, value) in &target.contexts {
        line.flag("build-context", format!("{name}={}", value.strip_prefix("cwd://").unwrap_or(value)));
    }
    for (name, value) in &target.labels {
        line.flag("label", format!("{name}={value}"));
    }
    line.flags("platform", target.platforms.iter().flatten());
    line.flags("target", &target.target);
    line.flags("network", &target.network);
    line.flags("shm-size", &target.shm_size);
    line.flags("ulimit", target.ulimits.iter().flatten());
    line.flags("no-cache-filter", target.no_cache_filter.iter().flatten());
    line.switch("no-cache", target.no_cache == Some(true));
    line.switch("pull", target.pull == Some(true));
    for (host, addresses) in &target.extra_hosts {
        addresses.split(',').for_each(|address| line.flag("add-host", format!("{host}:{address}")));
    }
    line.flags("secret", &target.secrets.iter().flatten().map(ToString::to_string).collect::<Vec<_>>());
    line.flags("ssh", &target.ssh.iter().flatten().map(ToString::to_string).collect::<Vec<_>>());
    line.flags("allow", target.entitlements.iter().flatten());
    line.flags("call", &target.call);
    resources(target, &mut line);
    if let Some(policy) = target.policy.iter().flatten().find(|policy| !policy.is_disabled()) {
        return Err(Failure::usage(miette!("policies of sources ({}) are not supported", policy.file())));
    }
    // A target that only another target needs delivers nothing.
    if !target.linked {
        line.flags("tag", target.tags.iter().flatten());
        line.flags("output", &target.outputs.iter().flatten().map(ToString::to_string).collect::<Vec<_>>());
        line.flags("annotation", target.annotations.iter().flatten());
        line.flags("cache-to", &target.cache_to.iter().flatten().map(ToString::to_string).collect::<Vec<_>>());
        let attests = target.attest.iter().flatten().filter(|attest| !attest.disabled);
        line.flags("attest", &attests.map(ToString::to_string).collect::<Vec<_>>());
    }
    line.flags("cache-from", &target.cache_from.iter().flatten().map(ToString::to_string).collect::<Vec<_>>());
    line.flags("insecure-registry", &arguments.unverified.insecure_registry);
    line.flags("plain-http", &arguments.unverified.plain_http);
    line.flag("granularity", &arguments.policy);
    line.flag("jobs", arguments.jobs.to_string());
    line.flag("driver", &arguments.driver);
    line.flag("root", arguments.root.resolve()?.display().to_string());
    line.switch("no-record", true);
    line.flag("progress", arguments.progress.name());
    line.0.extend(["--".to_owned(), context.to_owned()]);
    Ok(line.0)
}

/// The path of a Dockerfile, which is relative to a context that is a directory.
fn dockerfile(context: &str, dockerfile: &str) -> String {
    if let Some(local) = dockerfile.strip_prefix("cwd://") {
        return local.to_owned();
    }
    if is_url(context) || is_git(context) || Path::new(dockerfile).is_absolute() {
        return dockerfile.to_owned();
    }
    Path::new(context).join(dockerfile).display().to_string()
}

fn resources(target: &bake::Target, line: &mut Line) {
    let Some(resources) = &target.resources else { return };
    line.flags("memory", &resources.memory);
    line.flags("memory-swap", &resources.memory_swap);
    let numbers = [
        ("cpu-shares", resources.cpu_shares),
        ("cpu-period", resources.cpu_period),
        ("cpu-quota", resources.cpu_quota),
    ];
    for (name, number) in numbers {
        line.flags(name, &number.map(|number| number.to_string()));
    }
    line.flags("cpuset-cpus", &resources.processors);
    line.flags("cpuset-mems", &resources.memory_nodes);
}
