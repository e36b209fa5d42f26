//! Privileges that definition files request must be granted on the command line: a cloned repository cannot read or write elsewhere, use
//! the network of the host, or run steps without restrictions.

use crate::Failure;
use buildscope_bake::{BakeTarget, Selection};
use buildscope_builder::plan::{is_git, is_url};
use buildscope_oci::go_bool;
use miette::miette;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A false value allows all paths, as for buildx.
const CHECK_PATHS: &str = "BUILDX_BAKE_ENTITLEMENTS_FS";

/// The privileges that `--allow` knows, and those that may have a value.
const PLAIN: [&str; 3] = ["network.host", "security.insecure", "ssh"];
const VALUED: [&str; 8] =
    ["fs", "fs.read", "fs.write", "device", "image", "image.push", "image.load", "buildx.local.delete"];

/// Fails for a privilege that `--allow` does not know.
pub(super) fn check_names(allowed: &[String]) -> Result<(), Failure> {
    let known = |allowed: &&String| {
        PLAIN.contains(&allowed.as_str()) || VALUED.contains(&allowed.split('=').next().unwrap_or_default())
    };
    match allowed.iter().find(|allowed| !known(allowed)) {
        Some(name) => Err(Failure::usage(miette!("unknown entitlement key \"{name}\""))),
        None => Ok(()),
    }
}

/// Fails with the flags that are missing.
pub(super) fn check(selection: &Selection, allowed: &[String]) -> Result<(), Failure> {
    let check_paths = !std::env::var(CHECK_PATHS).is_ok_and(|text| go_bool(&text) == Some(false));
    let readable = granted(allowed, "fs.read");
    let writable = granted(allowed, "fs.write");
    let mut missing = BTreeSet::new();
    for target in selection.targets.values() {
        let asked = target.entitlements.iter().flatten();
        missing.extend(asked.filter(|asked| !allowed.contains(asked)).map(|asked| format!("--allow={asked}")));
        if check_paths {
            let agents = target.ssh.iter().flatten().any(|ssh| ssh.paths.is_empty());
            if agents && !allowed.iter().any(|allowed| allowed == "ssh") {
                missing.insert("--allow=ssh".to_owned());
            }
            let outside = |path: &&str, granted: &[PathBuf]| !is_inside(path, granted);
            let read = read(target);
            missing.extend(
                read.iter().filter(|path| outside(path, &readable)).map(|path| format!("--allow=fs.read={path}")),
            );
            let written = written(target);
            missing.extend(
                written.iter().filter(|path| outside(path, &writable)).map(|path| format!("--allow=fs.write={path}")),
            );
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let flags = missing.into_iter().collect::<Vec<_>>().join(" ");
    Err(Failure::usage(miette!(
        help = format!("if you trust these files, add {flags}"),
        "additional privileges requested: the definition asks for more than reading and writing here"
    )))
}

/// The directories that a privilege opens, with the working directory.
fn granted(allowed: &[String], kind: &str) -> Vec<PathBuf> {
    let paths = allowed.iter().filter_map(|allowed| {
        let (name, path) = allowed.split_once('=')?;
        (name == kind || name == "fs").then(|| if path == "*" { "/" } else { path })
    });
    paths.chain(["."]).filter_map(|path| resolved(Path::new(path))).collect()
}

fn is_inside(path: &str, granted: &[PathBuf]) -> bool {
    resolved(Path::new(path)).is_some_and(|path| granted.iter().any(|granted| path.starts_with(granted)))
}

/// The path without links. What does not exist is resolved as far as it does.
fn resolved(path: &Path) -> Option<PathBuf> {
    let absolute = std::path::absolute(path).ok()?;
    let mut known = absolute.as_path();
    let mut rest = Vec::new();
    loop {
        if let Ok(real) = known.canonicalize() {
            return Some(rest.iter().rev().fold(real, |path, name| path.join(name)));
        }
        rest.push(known.file_name()?.to_owned());
        known = known.parent()?;
    }
}

fn is_local(context: &str) -> bool {
    let elsewhere = ["target:", "docker-image:", "oci-layout:"].iter().any(|kind| context.starts_with(kind));
    !elsewhere && !is_url(context) && !is_git(context)
}

/// The paths that a target reads.
fn read(target: &BakeTarget) -> Vec<&str> {
    let layouts = target.contexts.values().filter_map(|context| context.strip_prefix("oci-layout://"));
    let contexts = target.context.iter().chain(target.contexts.values()).map(String::as_str);
    let contexts = contexts.map(|context| context.strip_prefix("cwd://").unwrap_or(context));
    let secrets = target.secrets.iter().flatten().map(|secret| secret.file.as_str());
    let keys = target.ssh.iter().flatten().flat_map(|ssh| ssh.paths.iter().map(String::as_str));
    let caches = target.cache_from.iter().flatten().filter(|cache| cache.kind == "local");
    let caches = caches.filter_map(|cache| cache.attributes.get("src").map(String::as_str));
    let dockerfile = target.dockerfile.iter().map(|path| path.strip_prefix("cwd://").unwrap_or(path));
    let dockerfile = dockerfile.filter(|path| Path::new(path).is_absolute() || path.contains(".."));
    let local = contexts.filter(|context| is_local(context));
    local
        .chain(layouts)
        .chain(secrets)
        .chain(keys)
        .chain(caches)
        .chain(dockerfile)
        .filter(|path| !path.is_empty())
        .collect()
}

/// The paths that a target writes.
fn written(target: &BakeTarget) -> Vec<&str> {
    let outputs = target.outputs.iter().flatten().map(|output| output.destination.as_str());
    let caches = target.cache_to.iter().flatten().filter(|cache| cache.kind == "local");
    let caches = caches.filter_map(|cache| cache.attributes.get("dest").map(String::as_str));
    outputs.chain(caches).filter(|path| !path.is_empty() && *path != "-").collect()
}
