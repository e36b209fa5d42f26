//! Package managers of JavaScript.

use super::are_names;
use crate::arguments::Arguments;
use crate::invocation::Invocation;
use crate::usage::{
    Cache, Cacheless, Content, DependencyFile, Development, Hooks, Needs, Sharing, Surroundings, Tool, Usage, Work,
};

/// The files of a project that packages and package managers read during an install: settings, patches of packages, the schema from which
/// prisma generates its client.
const READ_BY_PACKAGES: [&str; 5] = [".npmrc", "patches/", "prisma/", ".puppeteerrc.cjs", ".puppeteerrc.json"];

fn files(lock: &str, settings: &[&str]) -> Needs {
    let settings = settings.iter().chain(&READ_BY_PACKAGES).map(|path| DependencyFile::possible(*path));
    let always = [DependencyFile::required("package.json"), DependencyFile::usual(lock)];
    Needs::Files(always.into_iter().chain(settings).collect())
}

/// An install runs the project's own scripts (`postinstall`, `prepare`) and prints each, unless an option forbids one or the other.
fn hooks(arguments: &Arguments<'_>, quiet: &[&str]) -> Hooks {
    match (arguments.has(&["--ignore-scripts", "--mode"]), arguments.has(quiet)) {
        (true, _) => Hooks::None,
        (false, true) => Hooks::Hidden,
        (false, false) => Hooks::Shown,
    }
}

/// What an install of the packages of a project does with those for its development. `-P` is pnpm's short form.
fn development(arguments: &Arguments<'_>, command: &Invocation, around: &Surroundings) -> Development {
    let given = |names: &[&str], values: &[&str]| arguments.values(names).any(|value| values.contains(&value));
    let without = given(&["--omit"], &["dev"])
        || given(&["--only"], &["prod", "production"])
        || arguments.has(&["--production", "--prod", "-P"])
        || around.variable(command, "NODE_ENV") == Some("production");
    let with = given(&["--include"], &["dev"]) || given(&["--production", "--prod"], &["false"]);
    if without && !with { Development::LeftOut } else { Development::Installed }
}

fn builds(tool: Tool, command: &Invocation) -> Usage {
    Usage::new(tool, Work::Build, Needs::Sources(None), command)
}

/// The options of npm that have a value (npm-config(7)); yes-or-no options have none.
const NPM: [&str; 49] = [
    "--prefix",
    "-C",
    "-w",
    "--workspace",
    "--cache",
    "--registry",
    "--loglevel",
    "--userconfig",
    "--globalconfig",
    "--omit",
    "--include",
    "--only",
    "--also",
    "--location",
    "--install-strategy",
    "--maxsockets",
    "--fetch-retries",
    "--fetch-retry-factor",
    "--fetch-retry-mintimeout",
    "--fetch-retry-maxtimeout",
    "--fetch-timeout",
    "--cafile",
    "--ca",
    "--cert",
    "--key",
    "--proxy",
    "--https-proxy",
    "--noproxy",
    "--local-address",
    "--tag",
    "--before",
    "--cpu",
    "--os",
    "--libc",
    "--node-options",
    "--script-shell",
    "--audit-level",
    "--depth",
    "--logs-dir",
    "--logs-max",
    "--save-prefix",
    "--scope",
    "--auth-type",
    "--otp",
    "--umask",
    "--user-agent",
    "--git",
    "--nodedir",
    "--python",
];

/// Without an option, it deletes what no package needs: none of those for the development.
fn pruning(usage: Usage, arguments: &Arguments<'_>, command: &Invocation, around: &Surroundings) -> Usage {
    let left_out = development(arguments, command, around) == Development::LeftOut;
    Usage { development: if left_out { Development::LeftOut } else { Development::Untouched }, ..usage }
}

/// npm. Its cache is safe for several processes (cacache).
pub(super) fn npm(command: &Invocation, around: &Surroundings) -> Option<Usage> {
    let arguments = Arguments::of(command.arguments(), &NPM);
    let global = arguments.has(&["-g", "--global"]) || arguments.value(&["--location"]) == Some("global");
    let installs =
        ["ci", "clean-install", "ic", "install", "i", "add", "install-clean", "in", "update", "install-ci-test", "cit"];
    let action = arguments.action();
    if matches!(action, "cache" | "prune" | "uninstall" | "remove" | "rm") {
        let needs = if action == "cache" { Needs::Nothing } else { Needs::Sources(None) };
        let usage = Usage::new(Tool::Npm, Work::Clean, needs, command);
        return Some(if action == "prune" { pruning(usage, &arguments, command, around) } else { usage });
    }
    if matches!(action, "config" | "set" | "get" | "-v") || action.is_empty() && arguments.has(&["--version", "-v"]) {
        return Some(Usage::new(Tool::Npm, Work::Prepare, Needs::Nothing, command));
    }
    if matches!(action, "run" | "run-script" | "test" | "t" | "start" | "rebuild" | "pack" | "link" | "exec" | "build")
    {
        return Some(builds(Tool::Npm, command).at(arguments.value(&["--prefix", "-C"])));
    }
    if !installs.contains(&action) {
        return None;
    }
    let needs = match (arguments.rest(), global) {
        ([], true) => Needs::Sources(None),
        (words, true) if are_names(words) => Needs::Nothing,
        ([], false) if arguments.has(&["-w", "--workspace", "--workspaces"]) => Needs::Sources(None),
        ([], false) => files("package-lock.json", &["npm-shrinkwrap.json"]),
        _ => Needs::Sources(None),
    };
    let cache = arguments
        .value(&["--cache"])
        .map(str::to_owned)
        .or_else(|| around.below_home(command, &["npm_config_cache", "NPM_CONFIG_CACHE"], ".npm"));
    // `--prefix` of a global install is where it is put, not where the project is.
    let folder = arguments.value(&["--prefix", "-C"]).filter(|_| !global);
    let mut usage = Usage::new(Tool::Npm, Work::Install, needs, command).at(folder);
    usage.offline = arguments.has(&["--offline"]);
    usage.hooks = hooks(&arguments, &["-s", "--silent", "-q", "--quiet", "--loglevel"]);
    if !global {
        usage.development = development(&arguments, command, around);
    }
    let cache = cache.filter(|cache| cache.starts_with('/'));
    Some(usage.caching([cache.map(|cache| Cache::new(cache, Content::Downloads, Sharing::Shared))]))
}

/// npx runs a program of the project, or downloads one for the call. The directory of these downloads holds installed packages, too, and older
/// versions do not lock it: it is not kept.
pub(super) fn npx(command: &Invocation) -> Option<Usage> {
    command.words.get(1).map(|_| builds(Tool::Npm, command))
}

/// bunx.
pub(super) fn bunx(command: &Invocation) -> Option<Usage> {
    command.words.get(1).map(|_| builds(Tool::Bun, command))
}

/// Yarn. Version 1 has no cache that several processes may use; later versions may run from their cache (Plug'n'Play).
pub(super) fn yarn(command: &Invocation, around: &Surroundings) -> Option<Usage> {
    const VALUED: [&str; 14] = [
        "--cwd",
        "--proxy",
        "--https-proxy",
        "--global-folder",
        "--link-folder",
        "--preferred-cache-folder",
        "--use-yarnrc",
        "--cache-folder",
        "--modules-folder",
        "--network-timeout",
        "--mode",
        "--registry",
        "--mutex",
        "--network-concurrency",
    ];
    let arguments = Arguments::of(command.arguments(), &VALUED);
    let modern = arguments.has(&["--immutable", "--immutable-cache", "--mode", "--inline-builds", "--check-cache"])
        || arguments.action() == "workspaces"
        || ["YARN_ENABLE_IMMUTABLE_INSTALLS", "YARN_ENABLE_GLOBAL_CACHE", "YARN_NODE_LINKER"]
            .iter()
            .any(|name| around.variable(command, name).is_some());
    let settings = [".yarnrc", ".yarnrc.yml", ".yarn/"];
    let (work, needs) = match (arguments.action(), arguments.rest()) {
        // One package of a workspace, and the packages of the workspace that it needs.
        ("install" | "", []) if arguments.has(&["--focus"]) => (Work::Install, Needs::Sources(None)),
        ("install" | "", []) => (Work::Install, files("yarn.lock", &settings)),
        ("workspaces", [first, ..]) if first.text == "focus" => (Work::Install, Needs::Sources(None)),
        ("global", [first, names @ ..]) if first.text == "add" && are_names(names) => (Work::Install, Needs::Nothing),
        ("add" | "up" | "upgrade", _) => (Work::Install, Needs::Sources(None)),
        ("config" | "set" | "plugin" | "policies", _) => (Work::Prepare, Needs::Sources(None)),
        ("cache", _) => (Work::Clean, Needs::Nothing),
        (_, _) => return Some(builds(Tool::Yarn, command).at(arguments.value(&["--cwd"]))),
    };
    let mut usage = Usage::new(Tool::Yarn, work, needs, command).at(arguments.value(&["--cwd"]));
    usage.offline = arguments.has(&["--offline"]);
    usage.hooks = hooks(&arguments, &["-s", "--silent", "--json"]);
    if work != Work::Install {
        return Some(usage);
    }
    if arguments.action() != "global" {
        usage.development = development(&arguments, command, around);
    }
    // The directory that a variable or an option names serves every version. Otherwise that of version 1 for root is
    // /usr/local/share/.cache/yarn.
    let given = arguments.value(&["--cache-folder"]).or_else(|| around.variable(command, "YARN_CACHE_FOLDER"));
    let cache = match given {
        Some(folder) => folder.starts_with('/').then(|| Cache::new(folder, Content::Downloads, Sharing::Locked)),
        None if modern => around
            .below_home(command, &[], ".yarn/berry/cache")
            .map(|folder| Cache::new(folder, Content::Store, Sharing::Locked)),
        None if around.root && command.user.is_none() => {
            Some(Cache::new("/usr/local/share/.cache/yarn", Content::Downloads, Sharing::Locked))
        }
        None => around
            .below_home(command, &[], ".cache/yarn")
            .map(|folder| Cache::new(folder, Content::Downloads, Sharing::Locked)),
    };
    Some(usage.caching([cache]))
}

/// pnpm. Its store is addressed by content; on another file system it copies from it.
pub(super) fn pnpm(command: &Invocation, around: &Surroundings) -> Option<Usage> {
    const VALUED: [&str; 25] = [
        "-C",
        "--dir",
        "--filter",
        "-F",
        "--store-dir",
        "--reporter",
        "--loglevel",
        "--registry",
        "--lockfile-dir",
        "--network-concurrency",
        "--child-concurrency",
        "--workspace-concurrency",
        "--fetch-retries",
        "--fetch-retry-factor",
        "--fetch-retry-mintimeout",
        "--fetch-retry-maxtimeout",
        "--fetch-timeout",
        "--modules-dir",
        "--virtual-store-dir",
        "--package-import-method",
        "--node-linker",
        "--hoist-pattern",
        "--public-hoist-pattern",
        "--resolution-mode",
        "--trust-policy",
    ];
    let arguments = Arguments::of(command.arguments(), &VALUED);
    let global = arguments.has(&["-g", "--global"]);
    let settings = ["pnpm-workspace.yaml", ".pnpmfile.cjs"];
    let (work, needs) = match (arguments.action(), arguments.rest()) {
        ("install" | "i" | "ci", []) if arguments.has(&["--filter", "-F", "-r", "--recursive"]) => {
            (Work::Install, Needs::Sources(None))
        }
        ("install" | "i" | "ci", []) => (Work::Install, files("pnpm-lock.yaml", &settings)),
        ("fetch", _) => (
            Work::Install,
            Needs::Files(vec![
                DependencyFile::required("pnpm-lock.yaml"),
                DependencyFile::possible("pnpm-workspace.yaml"),
                DependencyFile::possible(".npmrc"),
                DependencyFile::possible("patches/"),
            ]),
        ),
        ("add" | "install" | "i", names) if global && are_names(names) => (Work::Install, Needs::Nothing),
        ("add" | "install" | "i" | "deploy" | "update" | "up", _) => (Work::Install, Needs::Sources(None)),
        ("config" | "setup" | "env" | "set", _) => (Work::Prepare, Needs::Nothing),
        ("store" | "cache", _) => (Work::Clean, Needs::Nothing),
        ("prune" | "remove", _) => (Work::Clean, Needs::Sources(None)),
        // It downloads a program and runs it.
        ("dlx", [_, ..]) => (Work::Build, Needs::Sources(None)),
        _ => return Some(builds(Tool::Pnpm, command).at(arguments.value(&["-C", "--dir"]))),
    };
    let mut usage = Usage::new(Tool::Pnpm, work, needs, command).at(arguments.value(&["-C", "--dir"]));
    usage.offline = arguments.has(&["--offline"]);
    usage.hooks = hooks(&arguments, &["--silent", "-s", "--reporter", "--loglevel"]);
    usage.development = match arguments.action() {
        "prune" => return Some(pruning(usage, &arguments, command, around)),
        "fetch" | "deploy" | "dlx" => Development::Untouched,
        _ if global || work != Work::Install => Development::Untouched,
        _ => development(&arguments, command, around),
    };
    if !matches!(work, Work::Install | Work::Build) {
        return Some(usage);
    }
    let named = arguments.value(&["--store-dir"]).filter(|folder| folder.starts_with('/')).map(str::to_owned);
    let store = named
        .or_else(|| {
            around
                .variable(command, "PNPM_HOME")
                .filter(|home| home.starts_with('/'))
                .map(|home| format!("{home}/store"))
        })
        .or_else(|| around.below_home(command, &["npm_config_store_dir"], ".local/share/pnpm/store"));
    Some(usage.caching([store.map(|store| Cache::new(store, Content::Downloads, Sharing::Shared))]))
}

/// Bun.
pub(super) fn bun(command: &Invocation, around: &Surroundings) -> Option<Usage> {
    const VALUED: [&str; 5] = ["--cwd", "--cache-dir", "--filter", "--backend", "--registry"];
    let arguments = Arguments::of(command.arguments(), &VALUED);
    let global = arguments.has(&["-g", "--global"]);
    let settings = ["bun.lockb", "bunfig.toml"];
    let needs = match (arguments.action(), arguments.rest()) {
        ("install" | "i" | "ci", []) if arguments.has(&["--filter"]) => Needs::Sources(None),
        ("install" | "i" | "ci", []) => files("bun.lock", &settings),
        ("add" | "install" | "i", names) if global && are_names(names) => Needs::Nothing,
        ("add" | "install" | "i", _) => Needs::Sources(None),
        ("pm" | "upgrade", _) => return Some(Usage::new(Tool::Bun, Work::Prepare, Needs::Sources(None), command)),
        _ => return Some(builds(Tool::Bun, command).at(arguments.value(&["--cwd"]))),
    };
    let mut usage = Usage::new(Tool::Bun, Work::Install, needs, command).at(arguments.value(&["--cwd"]));
    usage.hooks = hooks(&arguments, &["--silent"]);
    if arguments.has(&["--no-cache"]) {
        usage.cacheless = Some(Cacheless::Option("--no-cache"));
    }
    let cache = match arguments.value(&["--cache-dir"]) {
        Some(folder) => folder.starts_with('/').then(|| folder.to_owned()),
        None => around.below_home(command, &["BUN_INSTALL_CACHE_DIR"], ".bun/install/cache"),
    };
    Some(usage.caching([cache.map(|cache| Cache::new(cache, Content::Downloads, Sharing::Locked))]))
}

/// Deno: programs run from its cache.
pub(super) fn deno(command: &Invocation, around: &Surroundings) -> Option<Usage> {
    let arguments = Arguments::of(command.arguments(), &["--config", "-c", "--import-map", "--lock", "-n", "--name"]);
    let needs = match (arguments.action(), arguments.rest()) {
        ("install" | "add", names) if arguments.has(&["-g", "--global"]) && are_names(names) => Needs::Nothing,
        ("install", []) => Needs::Files(vec![
            DependencyFile::required("deno.json"),
            DependencyFile::usual("deno.lock"),
            DependencyFile::possible("deno.jsonc"),
            DependencyFile::possible("package.json"),
        ]),
        ("install" | "cache" | "add" | "task" | "compile" | "test" | "check" | "bundle" | "run", _) => {
            Needs::Sources(None)
        }
        _ => return None,
    };
    let work = if matches!(arguments.action(), "install" | "cache" | "add") { Work::Install } else { Work::Build };
    let default = if around.image.ends_with("deno") { "/deno-dir" } else { "" };
    let cache = if default.is_empty() || around.variable(command, "DENO_DIR").is_some() {
        around.below_home(command, &["DENO_DIR"], ".cache/deno")
    } else {
        Some(default.to_owned())
    };
    let usage = Usage::new(Tool::Deno, work, needs, command);
    Some(usage.caching([cache.map(|cache| Cache::new(cache, Content::Store, Sharing::Locked))]))
}
