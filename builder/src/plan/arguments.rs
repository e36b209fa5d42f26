//! Build arguments: the predefined ones, those above the first FROM, and those that configure the builder.

use super::lowering::{MAX_EXPANDED, RunSettings, too_much};
use super::request::LowerRequest;
use super::words::expanded;
use buildscope_dockerfile::lint::{Finding, Rule};
use buildscope_dockerfile::{Diagnostic, Dockerfile, Expander, Kind, PREDEFINED, Text};
use std::collections::{BTreeMap, BTreeSet};

/// The build arguments that RUN gets without an ARG. Letter case does not count.
const PROXIES: [&str; 5] = ["http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy"];

/// The build argument with the time of the image.
pub const SOURCE_DATE_EPOCH: &str = "SOURCE_DATE_EPOCH";

/// The build arguments that configure the builder and are not passed to steps.
pub(super) const UNSEEN: [&str; 2] = ["BUILDKIT_SBOM_SCAN_CONTEXT", "BUILDKIT_SBOM_SCAN_STAGE"];

/// Returns the variables of FROM lines: the predefined ones and those of the ARG lines above the first FROM.
pub(super) fn global_arguments(
    file: &Dockerfile<'_>,
    request: &LowerRequest,
    diagnostics: &mut Vec<Diagnostic>,
) -> BTreeMap<Text, String> {
    let (target, build) = (&request.platform, &request.build_platform);
    let last_stage = || {
        file.instructions.iter().rev().find_map(|instruction| match &instruction.kind {
            Kind::From(from) => Some(from.name.as_ref().map(|name| name.to_lowercase())),
            _ => None,
        })
    };
    let stage = request.target.clone().filter(|target| !target.is_empty());
    let stage = stage.or_else(|| last_stage().flatten()).unwrap_or_else(|| "default".into());
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let mut globals: BTreeMap<Text, String> = [
        ("BUILDPLATFORM", build.to_string()),
        ("BUILDOS", build.os.clone()),
        ("BUILDOSVERSION", text(&build.os_version)),
        ("BUILDARCH", build.architecture.clone()),
        ("BUILDVARIANT", text(&build.variant)),
        ("TARGETPLATFORM", target.to_string()),
        ("TARGETOS", target.os.clone()),
        ("TARGETOSVERSION", text(&target.os_version)),
        ("TARGETARCH", target.architecture.clone()),
        ("TARGETVARIANT", text(&target.variant)),
        ("TARGETSTAGE", stage),
    ]
    .into_iter()
    .map(|(name, value)| (Text::from(name), request.build_args.get(name).cloned().unwrap_or(value)))
    .collect();
    let expander = Expander::new(file.escape);
    let mut expanded_to = 0;
    for instruction in &file.instructions {
        let Kind::Arg(arguments) = &instruction.kind else { break };
        for argument in arguments {
            let name = &*argument.name.text;
            let given = request.build_args.get(name).cloned();
            let resolved = || request.source_date_epoch.clone().filter(|_| name == SOURCE_DATE_EPOCH);
            let default =
                || argument.default.as_ref().and_then(|word| expanded(&expander, word, &globals, diagnostics));
            if let Some(value) = given.or_else(resolved).or_else(default) {
                expanded_to += value.len();
                if expanded_to > MAX_EXPANDED {
                    diagnostics.push(too_much(instruction.span));
                    return globals;
                }
                globals.insert(Text::from(&*argument.name.text), value);
            }
        }
    }
    globals
}

/// The value of `SOURCE_DATE_EPOCH` as written: the build argument, or the ARG above the first FROM.
pub fn source_date_epoch(file: &Dockerfile<'_>, request: &LowerRequest) -> Option<String> {
    let given = request.build_args.get(SOURCE_DATE_EPOCH).cloned();
    // Lowering reports the errors.
    given.or_else(|| global_arguments(file, request, &mut Vec::new()).remove(SOURCE_DATE_EPOCH))
}

pub(super) fn run_settings(request: &LowerRequest) -> RunSettings {
    let given = |name: &str| request.build_args.get(name).filter(|value| !value.is_empty()).cloned();
    let mut proxies = Vec::new();
    for (name, value) in &request.build_args {
        if PROXIES.iter().any(|proxy| proxy.eq_ignore_ascii_case(name)) {
            proxies.push(format!("{}={value}", name.to_uppercase()));
            proxies.push(format!("{}={value}", name.to_lowercase()));
        }
    }
    RunSettings {
        cache_namespace: given("BUILDKIT_CACHE_MOUNT_NS"),
        hostname: given("BUILDKIT_SANDBOX_HOSTNAME"),
        options: request.run_options.clone(),
        proxies,
    }
}

/// Warns about build arguments that are given but not declared by an ARG.
pub(super) fn undeclared(file: &Dockerfile<'_>, request: &LowerRequest) -> Vec<Finding> {
    let declared: BTreeSet<&str> = file
        .instructions
        .iter()
        .filter_map(|instruction| match &instruction.kind {
            Kind::Arg(arguments) => Some(arguments.iter().map(|argument| &*argument.name.text)),
            _ => None,
        })
        .flatten()
        .collect();
    let known = |name: &str| {
        declared.contains(name)
            || PROXIES.iter().any(|proxy| proxy.eq_ignore_ascii_case(name))
            || name.starts_with("BUILDKIT_")
            || name == SOURCE_DATE_EPOCH
            || PREDEFINED.contains(&name)
    };
    let unknown = request.build_args.keys().filter(|name| !known(name));
    unknown
        .map(|name| {
            let message = format!("build argument {name} was given, but no ARG declares it");
            let diagnostic = Diagnostic::without_position(message).did_you_mean(name, declared.iter().copied());
            Finding::without_position(Rule::UndeclaredBuildArg, diagnostic)
        })
        .collect()
}
