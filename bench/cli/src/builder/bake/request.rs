//! A target as the arguments of `build`: so both accept the same options, and a target has the same result.

use super::super::build;
use super::super::build::DockerFlags;
use super::super::recording::RecordingFlags;
use super::{Arguments, ReadyTarget};
use crate::Failure;
use buildscope_bake::{self as bake, Selection};
use buildscope_builder::engine::DockerfileInput;
use buildscope_builder::plan::{is_git, is_url};
use miette::miette;
use std::collections::BTreeMap;
use std::path::Path;

/// Resolves the options of all targets.
pub(super) fn targets(selection: &Selection, arguments: &Arguments) -> Result<Vec<ReadyTarget>, Failure> {
    let named = |(name, target): (&String, &bake::BakeTarget)| {
        let failed = |failure: Failure| Failure::usage(miette!("target {name}: {failure}"));
        let mut options = build_arguments(target, arguments).and_then(build::Arguments::resolve).map_err(failed)?;
        if let Some(text) = &target.dockerfile_inline {
            options.request.dockerfile =
                DockerfileInput::Text { name: format!("{name} (dockerfile-inline)"), text: text.clone() };
        }
        Ok(ReadyTarget { name: name.clone(), options })
    };
    selection.targets.iter().map(named).collect()
}

/// The arguments with which `build` has the same result as this target.
fn build_arguments(target: &bake::BakeTarget, arguments: &Arguments) -> Result<build::Arguments, Failure> {
    if let Some(policy) = target.policy.iter().flatten().find(|policy| !policy.is_disabled()) {
        return Err(Failure::usage(miette!("policies of sources ({}) are not supported", policy.file())));
    }
    let context = target.context.as_deref().unwrap_or(".");
    let file = || dockerfile(context, target.dockerfile.as_deref().unwrap_or("Dockerfile"));
    let inputs = build::Arguments {
        context: context.into(),
        file: target.dockerfile_inline.is_none().then(|| file().into()),
        target: target.target.clone(),
        build_arg: pairs(&target.args),
        build_context: named_contexts(target),
        label: pairs(&target.labels),
        platform: separated(&target.platforms),
        call: call(target, arguments)?,
        no_cache: target.no_cache == Some(true),
        no_cache_filter: separated(&target.no_cache_filter),
        pull: target.pull == Some(true),
        cache_from: texts(&target.cache_from),
        secret: texts(&target.secrets),
        ssh: texts(&target.ssh),
        allow: texts(&target.entitlements),
        network: target.network.clone(),
        add_host: hosts(target),
        shm_size: target.shm_size.clone(),
        ulimit: texts(&target.ulimits),
        memory: target.resources.as_ref().and_then(|resources| resources.memory.clone()),
        docker: docker_flags(target),
        ..build::Arguments::defaults()?
    };
    Ok(with_execution(with_results(inputs, target), arguments))
}

/// Adds what the build delivers. A target that only another target needs delivers nothing.
fn with_results(build: build::Arguments, target: &bake::BakeTarget) -> build::Arguments {
    if target.linked {
        return build;
    }
    let attests = target.attest.iter().flatten().filter(|attest| !attest.disabled);
    build::Arguments {
        tag: texts(&target.tags),
        output: texts(&target.outputs),
        annotation: texts(&target.annotations),
        cache_to: texts(&target.cache_to),
        attest: attests.map(ToString::to_string).collect(),
        ..build
    }
}

/// Adds the flags of `bake` that apply to all targets.
fn with_execution(build: build::Arguments, arguments: &Arguments) -> build::Arguments {
    build::Arguments {
        unverified: arguments.unverified.clone(),
        policy: arguments.policy.clone(),
        jobs: arguments.jobs,
        admission: arguments.admission.clone(),
        driver: arguments.driver.clone(),
        root: arguments.root.clone(),
        remote: arguments.remote.clone(),
        // Earlier builds are read once, for all targets.
        recording: RecordingFlags { why_miss: Vec::new(), ..arguments.recording.clone() },
        ..build
    }
}

/// What is done instead of a build. The command line has the options of the answer.
fn call(target: &bake::BakeTarget, arguments: &Arguments) -> Result<build::Call, Failure> {
    let Some(call) = &target.call else { return Ok(build::Call::default()) };
    let options = arguments.subrequest().map(|(_, options)| options).filter(|options| !options.is_empty());
    let call = options.map_or_else(|| call.clone(), |options| format!("{call},{options}"));
    call.parse().map_err(Failure::Usage)
}

fn texts<T: ToString>(list: &Option<Vec<T>>) -> Vec<String> {
    list.iter().flatten().map(ToString::to_string).collect()
}

/// The entries of a list whose texts may be lists with commas.
fn separated(list: &Option<Vec<String>>) -> Vec<String> {
    list.iter().flatten().flat_map(|text| text.split(',')).map(ToOwned::to_owned).collect()
}

fn pairs(map: &BTreeMap<String, String>) -> Vec<String> {
    map.iter().map(|(name, value)| format!("{name}={value}")).collect()
}

fn named_contexts(target: &bake::BakeTarget) -> Vec<String> {
    let context =
        |(name, value): (&String, &String)| format!("{name}={}", value.strip_prefix("cwd://").unwrap_or(value));
    target.contexts.iter().map(context).collect()
}

fn hosts(target: &bake::BakeTarget) -> Vec<String> {
    let hosts = target.extra_hosts.iter();
    hosts.flat_map(|(host, addresses)| addresses.split(',').map(move |address| format!("{host}:{address}"))).collect()
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

fn docker_flags(target: &bake::BakeTarget) -> DockerFlags {
    let Some(resources) = &target.resources else { return DockerFlags::default() };
    let text = |number: Option<i64>| number.map(|number| number.to_string());
    DockerFlags {
        memory_swap: resources.memory_swap.clone(),
        cpu_shares: text(resources.cpu_shares),
        cpu_period: text(resources.cpu_period),
        cpu_quota: text(resources.cpu_quota),
        cpuset_cpus: resources.processors.clone(),
        cpuset_mems: resources.memory_nodes.clone(),
        ..DockerFlags::default()
    }
}
