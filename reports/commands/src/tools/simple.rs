//! Tools whose commands need nothing of the build context, or all of it: package managers of smaller languages, extensions of PHP.

use super::are_names;
use crate::arguments::Arguments;
use crate::invocation::Invocation;
use crate::usage::{Cache, Content, DependencyFile, Needs, Prefetch, Sharing, Surroundings, Tool, Usage, Work};

/// Returns the usage of such a tool by a command.
pub(super) fn simple(command: &Invocation, around: &Surroundings) -> Option<Usage> {
    let arguments = Arguments::of(command.arguments(), &["-j", "-n", "--repos", "-l", "--lib", "--name"]);
    let named = |rest: &[&crate::word::Word]| {
        if !rest.is_empty() && are_names(rest) { Needs::Nothing } else { Needs::Sources(None) }
    };
    let store = |variables: &[&str], path: &str| {
        let target = around.below_home(command, variables, path)?;
        Some(Cache::new(target, Content::Store, Sharing::Locked))
    };
    let (tool, work, needs, cache) = match (command.program(), arguments.action()) {
        ("docker-php-ext-install" | "docker-php-ext-configure" | "docker-php-ext-enable", _) => {
            (Tool::PhpExtensions, Work::Install, Needs::Nothing, None)
        }
        ("pecl", "install") => (Tool::PhpExtensions, Work::Install, named(arguments.rest()), None),
        ("cpanm" | "cpm", _) if arguments.has(&["--installdeps"]) => {
            (Tool::Cpan, Work::Install, Needs::Sources(None), None)
        }
        ("cpanm", _) => (Tool::Cpan, Work::Install, named(&arguments.plain), None),
        ("install2.r", _) => (Tool::R, Work::Install, named(&arguments.plain), None),
        ("opam", "install") => (Tool::Opam, Work::Install, named(arguments.rest()), None),
        ("luarocks", "install") => (Tool::Luarocks, Work::Install, named(arguments.rest()), None),
        ("luarocks", "make" | "build") => (Tool::Luarocks, Work::Build, Needs::Sources(None), None),
        ("lein", action) if !action.is_empty() => {
            let files = vec![DependencyFile::required("project.clj"), DependencyFile::possible("profiles.clj")];
            let maven = store(&[], ".m2/repository");
            if action == "deps" {
                (Tool::Leiningen, Work::Install, Needs::Files(files), maven)
            } else {
                let fetch = Prefetch { files, command: Some("lein deps".to_owned()) };
                (Tool::Leiningen, Work::Build, Needs::Sources(Some(fetch)), maven)
            }
        }
        ("clojure" | "clj", _) => (Tool::Clojure, Work::Build, Needs::Sources(None), store(&[], ".m2/repository")),
        ("rebar3", "get-deps") => {
            let files = vec![DependencyFile::required("rebar.config"), DependencyFile::usual("rebar.lock")];
            (Tool::Rebar, Work::Install, Needs::Files(files), store(&["REBAR_CACHE_DIR"], ".cache/rebar3"))
        }
        ("rebar3", action) if !action.is_empty() => {
            (Tool::Rebar, Work::Build, Needs::Sources(None), store(&["REBAR_CACHE_DIR"], ".cache/rebar3"))
        }
        ("zig", "build" | "test" | "build-exe" | "build-lib" | "build-obj") => {
            (Tool::Zig, Work::Build, Needs::Sources(None), store(&["ZIG_GLOBAL_CACHE_DIR"], ".cache/zig"))
        }
        // A manifest may name packages of the project by their paths.
        ("pixi", "install" | "run" | "shell-hook") => {
            let cache = store(&["PIXI_CACHE_DIR", "RATTLER_CACHE_DIR"], ".cache/rattler/cache");
            (Tool::Pixi, Work::Install, Needs::Sources(None), cache)
        }
        ("hatch", "env" | "build" | "test") | ("rye", "sync" | "build") => {
            (Tool::Hatch, Work::Build, Needs::Sources(None), None)
        }
        _ => return None,
    };
    Some(Usage::new(tool, work, needs, command).caching([cache]))
}

/// R with an expression that installs packages: `Rscript -e 'install.packages("dplyr")'`.
pub(super) fn r(command: &Invocation) -> Option<Usage> {
    let arguments = Arguments::of(command.arguments(), &["-e"]);
    let mut installs = false;
    for text in arguments.values(&["-e"]) {
        let restores =
            ["renv::", "local", "source(", "repos = NULL", "repos=NULL", "\"./", "'./", "\"/", "devtools::install("];
        if restores.iter().any(|part| text.contains(part)) {
            return Some(Usage::new(Tool::R, Work::Build, Needs::Sources(None), command));
        }
        installs |= [
            "install.packages(",
            "BiocManager::install(",
            "::install_github(",
            "::install_version(",
            "::install_cran(",
        ]
        .iter()
        .any(|part| text.contains(part));
    }
    installs.then(|| Usage::new(Tool::R, Work::Install, Needs::Nothing, command))
}
