//! Compilers and the build tools that start them.

use super::{recognise, without_first};
use crate::arguments::Arguments;
use crate::invocation::Invocation;
use crate::usage::{Cache, Content, DependencyFile, Needs, Sharing, Surroundings, Tool, Usage, Work};

/// ccache's directory, which is safe for several processes.
fn objects(command: &Invocation, around: &Surroundings) -> Option<Cache> {
    let folder = around.below_home(command, &["CCACHE_DIR"], ".cache/ccache")?;
    Some(Cache::new(folder, Content::Objects, Sharing::Shared))
}

/// sccache's directory, unless it keeps the objects on a server. Two of its servers must not use the directory at a time.
fn local_objects(command: &Invocation, around: &Surroundings) -> Option<Cache> {
    const SERVERS: [&str; 8] = [
        "SCCACHE_BUCKET",
        "SCCACHE_GCS_BUCKET",
        "SCCACHE_REDIS",
        "SCCACHE_REDIS_ENDPOINT",
        "SCCACHE_MEMCACHED",
        "SCCACHE_GHA_ENABLED",
        "SCCACHE_WEBDAV_ENDPOINT",
        "SCCACHE_AZURE_CONNECTION_STRING",
    ];
    if SERVERS.iter().any(|name| around.variable(command, name).is_some()) {
        return None;
    }
    let folder = around.below_home(command, &["SCCACHE_DIR"], ".cache/sccache")?;
    Some(Cache::new(folder, Content::Objects, Sharing::Locked))
}

/// The directory of the compiler cache that a word of a command or a variable names.
pub(super) fn compiler_cache(command: &Invocation, around: &Surroundings) -> Option<Cache> {
    let words = command.words.iter().map(|word| word.text.as_str());
    // A build system may run ccache on its own. Then a variable that configures it is the only sign of it.
    let may_be_inside = !is_compiler_named(command);
    let configures = |name: &str| ["CCACHE_", "SCCACHE_"].iter().any(|prefix| name.starts_with(prefix));
    let variables = command.variables.iter().chain(around.variables.iter());
    let values = variables.filter(|(name, _)| may_be_inside || !configures(name)).map(|(_, value)| value.as_str());
    let named: Vec<&str> = words.chain(values).filter(|text| text.contains("ccache")).collect();
    match named.iter().any(|text| text.contains("sccache")) {
        true => local_objects(command, around),
        false if named.is_empty() => None,
        false => objects(command, around),
    }
}

/// Whether the command is a compiler, or names the one that it runs (`make CC=gcc`).
fn is_compiler_named(command: &Invocation) -> bool {
    matches!(command.program(), "gcc" | "g++" | "cc" | "c++" | "clang" | "clang++")
        || command.words.iter().any(|word| ["CC=", "CXX="].iter().any(|name| word.text.starts_with(name)))
}

/// `ccache gcc …`, `sccache gcc …`.
pub(super) fn ccache(command: &Invocation, around: &Surroundings) -> Option<Usage> {
    if command.words.get(1).is_none_or(|word| word.is_option()) {
        return Some(Usage::new(Tool::Ccache, Work::Prepare, Needs::Nothing, command));
    }
    let inner = without_first(command, 1);
    let needs = recognise(&inner, around).map_or(Needs::Sources(None), |usage| usage.needs);
    Some(Usage::new(Tool::Ccache, Work::Build, needs, command).caching([compiler_cache(command, around)]))
}

/// A build with a tool that fetches nothing. Its cache is that of the compiler cache, if a word or a variable names one.
pub(super) fn build(command: &Invocation, around: &Surroundings) -> Option<Usage> {
    let arguments = Arguments::of(command.arguments(), &["-C", "--directory", "-f", "-B", "-S", "-G", "-o"]);
    if arguments.has(&["--version", "-v", "--help"]) && arguments.plain.is_empty() {
        return None;
    }
    let folder = arguments.value(&["-C", "--directory"]).filter(|_| !matches!(command.program(), "cmake" | "meson"));
    let usage = Usage::new(Tool::Native, Work::Build, Needs::Sources(None), command).at(folder);
    Some(usage.caching([compiler_cache(command, around)]))
}

/// Conan. Its recipes and packages are read by later commands.
pub(super) fn conan(command: &Invocation, around: &Surroundings) -> Option<Usage> {
    let arguments = Arguments::of(
        command.arguments(),
        &["-s", "-o", "-pr", "-if", "-of", "--build", "--profile", "--output-folder", "--requires", "--tool-requires"],
    );
    let needs = match arguments.action() {
        "install" if arguments.has(&["--requires", "--tool-requires"]) => Needs::Nothing,
        "install" if arguments.rest().iter().all(|word| matches!(word.text.as_str(), "." | "..")) => {
            let up = if arguments.rest().first().is_some_and(|word| word.text == "..") { "../" } else { "" };
            Needs::Files(vec![DependencyFile::usual(format!("{up}conanfile.*"))])
        }
        "install" | "create" | "build" => Needs::Sources(None),
        "profile" | "config" | "remote" => {
            return Some(Usage::new(Tool::Conan, Work::Prepare, Needs::Nothing, command));
        }
        _ => return None,
    };
    let cache = around.below_home(command, &["CONAN_HOME"], ".conan2");
    // The directory also has profiles, so only the packages in it are kept.
    let cache = cache.map(|home| Cache::new(format!("{home}/p"), Content::Store, Sharing::Locked));
    Some(Usage::new(Tool::Conan, Work::Install, needs, command).caching([cache]))
}

/// vcpkg. Its archives of compiled packages are read by vcpkg alone.
pub(super) fn vcpkg(command: &Invocation, around: &Surroundings) -> Option<Usage> {
    let arguments = Arguments::of(
        command.arguments(),
        &["--triplet", "--overlay-ports", "--overlay-triplets", "--x-manifest-root"],
    );
    let needs = match (arguments.action(), arguments.rest()) {
        ("install", []) => Needs::Files(vec![
            DependencyFile::required("vcpkg.json"),
            DependencyFile::possible("vcpkg-configuration.json"),
        ]),
        ("install", _) if arguments.has(&["--overlay-ports", "--overlay-triplets"]) => Needs::Sources(None),
        ("install", _) => Needs::Nothing,
        _ => return None,
    };
    let cache = around.below_home(command, &["VCPKG_DEFAULT_BINARY_CACHE"], ".cache/vcpkg/archives");
    let cache = cache.map(|cache| Cache::new(cache, Content::Objects, Sharing::Shared));
    Some(Usage::new(Tool::Vcpkg, Work::Install, needs, command).caching([cache]))
}
