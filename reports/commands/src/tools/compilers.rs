//! Build tools of compiled languages that fetch their own dependencies.

use super::are_names;
use crate::arguments::Arguments;
use crate::invocation::Invocation;
use crate::usage::{Cache, Content, DependencyFile, Needs, Prefetch, Sharing, Surroundings, Tool, Usage, Work};

fn cache(target: Option<String>, content: Content, sharing: Sharing) -> Option<Cache> {
    target.map(|target| Cache::new(target, content, sharing))
}

/// The options of go that have their value in the next word.
const GO_OPTIONS: [&str; 12] = [
    "-C",
    "-o",
    "-ldflags",
    "-tags",
    "-gcflags",
    "-asmflags",
    "-mod",
    "-run",
    "-coverprofile",
    "-timeout",
    "-p",
    "-count",
];

/// The tools that come with Go.
const GO_TOOLS: [&str; 17] = [
    "addr2line",
    "asm",
    "buildid",
    "cgo",
    "compile",
    "covdata",
    "cover",
    "dist",
    "doc",
    "fix",
    "link",
    "nm",
    "objdump",
    "pack",
    "pprof",
    "test2json",
    "trace",
];

/// Go. Several processes may use both of its caches.
pub(super) fn go(command: &Invocation, around: &Surroundings) -> Option<Usage> {
    let arguments = Arguments::of(command.arguments(), &GO_OPTIONS);
    let files = || {
        vec![
            DependencyFile::required("go.mod"),
            DependencyFile::usual("go.sum"),
            DependencyFile::possible("go.work"),
            DependencyFile::possible("go.work.sum"),
        ]
    };
    let builds = || {
        let fetch = Prefetch { files: files(), command: Some(format!("{} mod download", command.words[0].text)) };
        (Work::Build, Needs::Sources(Some(fetch)))
    };
    let rest = arguments.rest();
    let remote = !rest.is_empty() && rest.iter().all(|word| word.text.contains('@') && !word.text.starts_with('.'));
    let (work, needs) = match (arguments.action(), rest.first().map(|word| word.text.as_str())) {
        ("mod", Some("download" | "verify")) => (Work::Install, Needs::Files(files())),
        ("mod", Some("tidy" | "vendor")) | ("work", Some("sync" | "vendor")) => (Work::Install, Needs::Sources(None)),
        ("install" | "run" | "get", _) if remote => (Work::Install, Needs::Nothing),
        ("build" | "install" | "test" | "vet" | "run" | "list", _) => builds(),
        // A tool of the module.
        ("tool", Some(name)) if !GO_TOOLS.contains(&name) => builds(),
        ("get", _) => (Work::Install, Needs::Sources(None)),
        // It runs the commands in comments of the sources, and fetches nothing itself.
        ("generate", _) => return Some(Usage::new(Tool::Go, Work::Build, Needs::Sources(None), command)),
        ("env" | "version" | "telemetry", _) => {
            return Some(Usage::new(Tool::Go, Work::Prepare, Needs::Nothing, command));
        }
        ("clean", _) => return Some(Usage::new(Tool::Go, Work::Clean, Needs::Nothing, command)),
        _ => return None,
    };
    let vendored = command.arguments().iter().any(|word| word.text == "-mod=vendor")
        || around.variable(command, "GOFLAGS").is_some_and(|flags| flags.contains("-mod=vendor"));
    let needs = if vendored { Needs::Sources(None) } else { needs };
    let mut usage = Usage::new(Tool::Go, work, needs, command).at(arguments.value(&["-C"]));
    usage.offline = vendored || around.variable(command, "GOPROXY") == Some("off");
    // The official image sets GOPATH=/go.
    let modules = match around.variable(command, "GOMODCACHE") {
        Some(folder) => folder.starts_with('/').then(|| folder.to_owned()),
        None if around.variable(command, "GOPATH").is_some() => {
            around.below_home(command, &["GOPATH"], "").map(|path| format!("{path}/pkg/mod"))
        }
        None if around.image == "golang" => Some("/go/pkg/mod".to_owned()),
        None => around.below_home(command, &[], "go/pkg/mod"),
    };
    let objects = around.below_home(command, &["GOCACHE"], ".cache/go-build");
    let modules = cache(modules.filter(|_| !vendored), Content::Store, Sharing::Shared);
    let compiles = work == Work::Build || work == Work::Install && remote;
    let objects = compiles.then(|| cache(objects, Content::Objects, Sharing::Shared)).flatten();
    Some(usage.caching([modules, objects]))
}

/// Cargo. It locks a file next to its caches, which a mount of them does not share.
pub(super) fn cargo(command: &Invocation, around: &Surroundings) -> Option<Usage> {
    const VALUED: [&str; 16] = [
        "-p",
        "--package",
        "--bin",
        "--target",
        "--features",
        "-F",
        "-j",
        "--jobs",
        "--manifest-path",
        "--profile",
        "--target-dir",
        "--path",
        "--root",
        "--git",
        "--version",
        "--recipe-path",
    ];
    // `cargo +nightly build`
    let words: Vec<_> = command.arguments().iter().filter(|word| !word.text.starts_with('+')).cloned().collect();
    let arguments = Arguments::of(&words, &VALUED);
    let manifest = arguments.value(&["--manifest-path"]).unwrap_or("Cargo.toml");
    let files = || {
        let always =
            [DependencyFile::required(manifest), DependencyFile::usual(manifest.replace("Cargo.toml", "Cargo.lock"))];
        let settings = ["rust-toolchain.toml", "rust-toolchain", ".cargo/"].map(DependencyFile::possible);
        always.into_iter().chain(settings).collect::<Vec<_>>()
    };
    let rest = arguments.rest();
    let (work, needs) = match (arguments.action(), rest) {
        ("install" | "binstall", names)
            if arguments.value(&["--path"]).is_none() && !names.is_empty() && are_names(names) =>
        {
            (Work::Install, Needs::Nothing)
        }
        ("install", _) if arguments.value(&["--git"]).is_some() => (Work::Install, Needs::Nothing),
        // The recipe of cargo-chef is made from the sources in another stage.
        ("chef", [first, ..]) if first.text == "cook" => (
            Work::Install,
            Needs::Files(vec![DependencyFile::required(arguments.value(&["--recipe-path"]).unwrap_or("recipe.json"))]),
        ),
        ("chef", _) => (Work::Prepare, Needs::Sources(None)),
        (
            "build" | "b" | "install" | "test" | "t" | "run" | "r" | "check" | "clippy" | "bench" | "doc" | "nextest"
            | "rustc" | "fetch" | "leptos" | "auditable" | "zigbuild" | "component" | "tauri",
            _,
        ) => {
            // Cargo needs a source file for each target before it fetches anything.
            (Work::Build, Needs::Sources(Some(Prefetch { files: files(), command: None })))
        }
        ("vendor" | "generate-lockfile" | "update", _) => (Work::Build, Needs::Sources(None)),
        ("clean" | "cache", _) => return Some(Usage::new(Tool::Cargo, Work::Clean, Needs::Sources(None), command)),
        _ => return None,
    };
    let mut usage = Usage::new(Tool::Cargo, work, needs, command);
    // cargo-binstall downloads compiled programs and keeps nothing.
    if arguments.action() == "binstall" {
        return Some(usage);
    }
    usage.offline = arguments.has(&["--offline"]) || around.is_on(command, "CARGO_NET_OFFLINE");
    // The official image sets CARGO_HOME=/usr/local/cargo.
    let home = if around.variable(command, "CARGO_HOME").is_none() && around.image == "rust" {
        Some("/usr/local/cargo".to_owned())
    } else {
        around.below_home(command, &["CARGO_HOME"], ".cargo")
    };
    let parts = ["registry", "git"]
        .map(|part| cache(home.as_ref().map(|home| format!("{home}/{part}")), Content::Store, Sharing::Locked));
    let compiles = !matches!(arguments.action(), "fetch" | "vendor" | "generate-lockfile" | "update");
    let objects = ["RUSTC_WRAPPER", "CARGO_BUILD_RUSTC_WRAPPER"]
        .iter()
        .any(|name| around.variable(command, name).is_some_and(|program| program.contains("ccache")));
    let objects = (compiles && objects).then(|| super::native::compiler_cache(command, around)).flatten();
    Some(usage.caching(parts).caching([objects]))
}

/// rustup.
pub(super) fn rustup(command: &Invocation) -> Option<Usage> {
    let action = command.words.get(1)?.text.as_str();
    let work = match action {
        "default" | "toolchain" | "target" | "component" | "update" | "install" => Work::Install,
        "set" | "override" | "show" => Work::Prepare,
        _ => return None,
    };
    // `rustup show` and `rustup toolchain install` without a name read rust-toolchain.toml.
    let named = command.words.len() > if matches!(action, "toolchain" | "target" | "component") { 3 } else { 2 };
    let needs = if named { Needs::Nothing } else { Needs::Sources(None) };
    Some(Usage::new(Tool::Rustup, work, needs, command))
}

/// Haskell's stack.
pub(super) fn stack(command: &Invocation, around: &Surroundings) -> Option<Usage> {
    let arguments = Arguments::of(command.arguments(), &["--resolver", "--stack-yaml", "--local-bin-path", "-j"]);
    let files = vec![
        DependencyFile::required("stack.yaml"),
        DependencyFile::usual("package.yaml"),
        DependencyFile::possible("*.cabal"),
        DependencyFile::possible("stack.yaml.lock"),
    ];
    let needs = match arguments.action() {
        "build" | "install" | "test"
            if arguments.has(&["--only-dependencies", "--dependencies-only", "--only-snapshot"]) =>
        {
            Needs::Files(files)
        }
        "build" | "install" | "test" | "setup" => Needs::Sources(Some(Prefetch { files, command: None })),
        _ => return None,
    };
    let work = if matches!(needs, Needs::Files(_)) { Work::Install } else { Work::Build };
    let root = around.below_home(command, &["STACK_ROOT"], ".stack");
    Some(Usage::new(Tool::Stack, work, needs, command).caching([cache(root, Content::Store, Sharing::Locked)]))
}

/// Haskell's cabal.
pub(super) fn cabal(command: &Invocation, around: &Surroundings) -> Option<Usage> {
    let arguments = Arguments::of(command.arguments(), &["--installdir", "-w", "-j"]);
    let action = arguments.action().trim_start_matches("v2-");
    let files = vec![
        DependencyFile::usual("*.cabal"),
        DependencyFile::possible("cabal.project"),
        DependencyFile::possible("cabal.project.freeze"),
    ];
    let (work, needs) = match action {
        "update" => (Work::Prepare, Needs::Nothing),
        "build" | "install" if arguments.has(&["--only-dependencies", "--dependencies-only"]) => {
            (Work::Install, Needs::Files(files))
        }
        "build" | "test" | "run" | "install" => (Work::Build, Needs::Sources(Some(Prefetch { files, command: None }))),
        _ => return None,
    };
    let folder = around.below_home(command, &["CABAL_DIR"], ".cabal");
    let parts = ["packages", "store"]
        .map(|part| cache(folder.as_ref().map(|folder| format!("{folder}/{part}")), Content::Store, Sharing::Locked));
    Some(Usage::new(Tool::Cabal, work, needs, command).caching(parts))
}

/// Swift's package manager.
pub(super) fn swift(command: &Invocation, around: &Surroundings) -> Option<Usage> {
    let arguments = Arguments::of(
        command.arguments(),
        &["-c", "--configuration", "--package-path", "--product", "--build-path", "-Xswiftc"],
    );
    let files = vec![DependencyFile::required("Package.swift"), DependencyFile::usual("Package.resolved")];
    let (work, needs) = match (arguments.action(), arguments.rest().first().map(|word| word.text.as_str())) {
        ("package", Some("resolve" | "update")) => (Work::Install, Needs::Files(files)),
        ("build" | "test" | "run", _) => {
            (Work::Build, Needs::Sources(Some(Prefetch { files, command: Some("swift package resolve".into()) })))
        }
        _ => return None,
    };
    let folder = around.below_home(command, &[], ".cache/org.swift.swiftpm");
    let usage = Usage::new(Tool::Swift, work, needs, command).at(arguments.value(&["--package-path"]));
    Some(usage.caching([cache(folder, Content::Downloads, Sharing::Locked)]))
}
