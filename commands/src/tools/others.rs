//! Package managers and build tools of other languages, and downloads.

use super::are_names;
use crate::arguments::Arguments;
use crate::invocation::Invocation;
use crate::usage::{Cache, Content, Hooks, Manifest, Needs, Prefetch, Sharing, Surroundings, Tool, Usage, Work};

fn cache(target: Option<String>, content: Content, sharing: Sharing) -> Option<Cache> {
    target.map(|target| Cache::new(target, content, sharing))
}

/// Go. Both of its caches are safe for several processes.
pub(super) fn go(command: &Invocation, around: &Surroundings) -> Option<Usage> {
    const VALUED: [&str; 12] = [
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
    let arguments = Arguments::of(command.arguments(), &VALUED);
    let files = || {
        let always = [Manifest::required("go.mod"), Manifest::usual("go.sum")];
        always.into_iter().chain([Manifest::possible("go.work"), Manifest::possible("go.work.sum")]).collect::<Vec<_>>()
    };
    let rest = arguments.rest();
    let remote = !rest.is_empty() && rest.iter().all(|word| word.text.contains('@') && !word.text.starts_with('.'));
    let (work, needs) = match (arguments.action(), rest.first().map(|word| word.text.as_str())) {
        ("mod", Some("download" | "verify")) => (Work::Install, Needs::Files(files())),
        ("mod", Some("tidy" | "vendor")) => (Work::Install, Needs::Sources(None)),
        ("install" | "run" | "get", _) if remote => (Work::Install, Needs::Nothing),
        ("build" | "install" | "test" | "vet" | "run" | "generate" | "list", _) => {
            let fetch = Prefetch { files: files(), command: Some(format!("{} mod download", command.words[0].text)) };
            (Work::Build, Needs::Sources(Some(fetch)))
        }
        ("get", _) => (Work::Install, Needs::Sources(None)),
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
    let files = || {
        let always = [Manifest::required("Cargo.toml"), Manifest::usual("Cargo.lock")];
        let settings = ["rust-toolchain.toml", "rust-toolchain", ".cargo/"].map(Manifest::possible);
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
            Needs::Files(vec![Manifest::required(arguments.value(&["--recipe-path"]).unwrap_or("recipe.json"))]),
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
    usage.offline = arguments.has(&["--offline"]) || around.is_on(command, "CARGO_NET_OFFLINE");
    // The official image sets CARGO_HOME=/usr/local/cargo.
    let home = if around.variable(command, "CARGO_HOME").is_none() && around.image == "rust" {
        Some("/usr/local/cargo".to_owned())
    } else {
        around.below_home(command, &["CARGO_HOME"], ".cargo")
    };
    let parts = ["registry", "git"]
        .map(|part| cache(home.as_ref().map(|home| format!("{home}/{part}")), Content::Store, Sharing::Locked));
    Some(usage.caching(parts))
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

/// The directory in which RubyGems keeps packages: known for the official image, or where GEM_HOME is set.
fn gems(command: &Invocation, around: &Surroundings) -> Option<Cache> {
    let home = match around.variable(command, "GEM_HOME") {
        Some(folder) => folder.starts_with('/').then_some(folder)?,
        None if around.image == "ruby" => "/usr/local/bundle",
        None => return None,
    };
    Some(Cache::new(format!("{home}/cache"), Content::Downloads, Sharing::Locked))
}

/// RubyGems.
pub(super) fn gem(command: &Invocation, around: &Surroundings) -> Option<Usage> {
    let arguments = Arguments::of(
        command.arguments(),
        &["-v", "--version", "-i", "--install-dir", "-n", "--bindir", "--source", "-g", "--platform"],
    );
    let (work, needs) = match arguments.action() {
        "install" | "i" if arguments.has(&["-g", "--file"]) => (Work::Install, Needs::Sources(None)),
        "install" | "i" if are_names(arguments.rest()) => (Work::Install, Needs::Nothing),
        "install" | "i" | "build" => (Work::Install, Needs::Sources(None)),
        "update" => (Work::Install, Needs::Nothing),
        "cleanup" | "uninstall" => (Work::Clean, Needs::Nothing),
        "sources" => (Work::Prepare, Needs::Nothing),
        _ => return None,
    };
    let mut usage = Usage::new(Tool::Gem, work, needs, command);
    usage.offline = arguments.has(&["--local", "-l"]);
    Some(if work == Work::Install { usage.caching([gems(command, around)]) } else { usage })
}

/// Bundler.
pub(super) fn bundler(command: &Invocation, around: &Surroundings) -> Option<Usage> {
    let arguments =
        Arguments::of(command.arguments(), &["--jobs", "-j", "--retry", "--path", "--without", "--with", "--gemfile"]);
    let (work, needs) = match arguments.action() {
        "install" | "" | "update" | "cache" | "package" => {
            let file = arguments
                .value(&["--gemfile"])
                .or_else(|| around.variable(command, "BUNDLE_GEMFILE"))
                .unwrap_or("Gemfile");
            let needs = if file.contains('$') {
                Needs::Sources(None)
            } else {
                let settings = [".ruby-version", ".tool-versions", ".bundle/", "*.gemspec"].map(Manifest::possible);
                let always = [Manifest::required(file), Manifest::usual(format!("{file}.lock"))];
                Needs::Files(always.into_iter().chain(settings).collect())
            };
            (Work::Install, needs)
        }
        "config" => (Work::Prepare, Needs::Nothing),
        "clean" => (Work::Clean, Needs::Nothing),
        _ => return None,
    };
    let mut usage = Usage::new(Tool::Bundler, work, needs, command);
    usage.offline = arguments.has(&["--local"]);
    Some(if work == Work::Install { usage.caching([gems(command, around)]) } else { usage })
}

/// Composer: scripts of the project and the scan of its classes need the sources.
pub(super) fn composer(command: &Invocation, around: &Surroundings) -> Option<Usage> {
    let arguments =
        Arguments::of(command.arguments(), &["-d", "--working-dir", "--ignore-platform-req", "--prefer-install"]);
    let files = || {
        let settings = ["auth.json", "symfony.lock", "patches/"].map(Manifest::possible);
        [Manifest::required("composer.json"), Manifest::usual("composer.lock")]
            .into_iter()
            .chain(settings)
            .collect::<Vec<_>>()
    };
    let written = || command.words.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ");
    let (work, needs) = match arguments.action() {
        "install" | "i" if arguments.has(&["--no-scripts"]) && arguments.has(&["--no-autoloader"]) => {
            (Work::Install, Needs::Files(files()))
        }
        "install" | "i" => {
            let mut fetch = written();
            for option in ["--no-scripts", "--no-autoloader"].into_iter().filter(|option| !arguments.has(&[option])) {
                fetch += &format!(" {option}");
            }
            (Work::Install, Needs::Sources(Some(Prefetch { files: files(), command: Some(fetch) })))
        }
        "global" => (Work::Install, Needs::Nothing),
        "require" | "update" | "create-project" | "dump-autoload" | "dumpautoload" | "run-script" => {
            (Work::Build, Needs::Sources(None))
        }
        "clear-cache" | "clearcache" => (Work::Clean, Needs::Nothing),
        "config" | "self-update" => (Work::Prepare, Needs::Sources(None)),
        _ => return None,
    };
    let usage = Usage::new(Tool::Composer, work, needs, command).at(arguments.value(&["-d", "--working-dir"]));
    // The official image sets COMPOSER_HOME=/tmp.
    let folder = match (around.variable(command, "COMPOSER_CACHE_DIR"), around.variable(command, "COMPOSER_HOME")) {
        (Some(folder), _) => folder.starts_with('/').then(|| folder.to_owned()),
        (None, Some(home)) => home.starts_with('/').then(|| format!("{home}/cache")),
        (None, None) if around.image == "composer" => Some("/tmp/cache".to_owned()),
        (None, None) => around.below_home(command, &[], ".composer/cache"),
    };
    Some(if work == Work::Install {
        usage.caching([cache(folder, Content::Downloads, Sharing::Shared)])
    } else {
        usage
    })
}

/// .NET. It locks its packages with files in /tmp, which builds do not share.
pub(super) fn dotnet(command: &Invocation, around: &Surroundings) -> Option<Usage> {
    const VALUED: [&str; 16] = [
        "-c",
        "-o",
        "-r",
        "-f",
        "-a",
        "-v",
        "--configuration",
        "--output",
        "--runtime",
        "--framework",
        "--arch",
        "--os",
        "--source",
        "-s",
        "--configfile",
        "--verbosity",
    ];
    let arguments = Arguments::of(command.arguments(), &VALUED);
    let project = || {
        let named = arguments.rest().first().map(|word| word.text.replace('\\', "/"));
        let folder = named
            .as_deref()
            .and_then(|path| path.rsplit_once('/'))
            .map_or(String::new(), |(folder, _)| format!("{folder}/"));
        let first = match &named {
            Some(path) if path.ends_with("proj") => Manifest::required(path.clone()),
            Some(path) if path.ends_with(".sln") || path.ends_with(".slnx") => Manifest::required(path.clone()),
            Some(path) => Manifest::usual(format!("{}/*.*proj", path.trim_end_matches('/'))),
            None => Manifest::usual("*.*proj"),
        };
        let settings = [
            "nuget.config",
            "NuGet.config",
            "NuGet.Config",
            "Directory.Build.props",
            "Directory.Build.targets",
            "Directory.Packages.props",
            "global.json",
        ];
        let mut files = vec![first];
        files.extend(settings.map(Manifest::possible));
        files.push(Manifest::possible(format!("{folder}packages.lock.json")));
        files
    };
    let expanded = arguments.rest().iter().any(|word| !word.literal);
    let (work, needs) = match arguments.action() {
        "restore" if !expanded => (Work::Install, Needs::Files(project())),
        "restore" => (Work::Install, Needs::Sources(None)),
        "build" | "publish" | "test" | "pack" | "run" | "msbuild"
            if arguments.has(&["--no-restore", "--no-build"]) || expanded =>
        {
            (Work::Build, Needs::Sources(None))
        }
        "build" | "publish" | "test" | "pack" | "run" | "msbuild" => {
            let fetch = arguments
                .rest()
                .first()
                .map_or_else(|| "dotnet restore".to_owned(), |word| format!("dotnet restore {}", word.text));
            // A runtime or a framework in the options must be in the restore too.
            let plain = !arguments.has(&["-r", "--runtime", "-a", "--arch", "--os", "-f", "--framework"])
                && !command.arguments().iter().any(|word| word.text.starts_with("-p:") || word.text.starts_with("/p:"));
            (Work::Build, Needs::Sources(Some(Prefetch { files: project(), command: plain.then_some(fetch) })))
        }
        "tool" => {
            let global = arguments.has(&["-g", "--global", "--tool-path"]);
            (Work::Install, if global { Needs::Nothing } else { Needs::Sources(None) })
        }
        "workload" => (Work::Install, Needs::Nothing),
        "nuget" => (Work::Prepare, Needs::Sources(None)),
        _ => return None,
    };
    let packages = around.below_home(command, &["NUGET_PACKAGES"], ".nuget/packages");
    Some(Usage::new(Tool::Dotnet, work, needs, command).caching([cache(packages, Content::Store, Sharing::Locked)]))
}

/// The program nuget.
pub(super) fn nuget(command: &Invocation, around: &Surroundings) -> Option<Usage> {
    let arguments =
        Arguments::of(command.arguments(), &["-OutputDirectory", "-PackagesDirectory", "-Source", "-ConfigFile"]);
    let needs = match arguments.action() {
        "restore" => Needs::Sources(None),
        "install" => Needs::Nothing,
        _ => return None,
    };
    let packages = around.below_home(command, &["NUGET_PACKAGES"], ".nuget/packages");
    Some(Usage::new(Tool::Dotnet, Work::Install, needs, command).caching([cache(
        packages,
        Content::Store,
        Sharing::Locked,
    )]))
}

/// Mix.
pub(super) fn mix(command: &Invocation, around: &Surroundings) -> Option<Usage> {
    let files = || vec![Manifest::required("mix.exs"), Manifest::usual("mix.lock")];
    let (work, needs) = match command.words.get(1)?.text.as_str() {
        "deps.get" => (Work::Install, Needs::Files(files())),
        "deps.compile" | "compile" | "release" | "test" | "do" | "assets.deploy" | "phx.digest" | "assets.setup" => {
            (Work::Build, Needs::Sources(None))
        }
        "local.hex" | "local.rebar" | "archive.install" => (Work::Install, Needs::Nothing),
        _ => return None,
    };
    let usage = Usage::new(Tool::Mix, work, needs, command);
    let fetches = command.words[1].text == "deps.get";
    let folder = fetches.then(|| around.below_home(command, &["HEX_HOME"], ".hex")).flatten();
    // The directory also has the installed hex itself in some versions, so only the packages are kept.
    Some(usage.caching([cache(folder.map(|home| format!("{home}/packages")), Content::Downloads, Sharing::Locked)]))
}

/// Haskell's stack.
pub(super) fn stack(command: &Invocation, around: &Surroundings) -> Option<Usage> {
    let arguments = Arguments::of(command.arguments(), &["--resolver", "--stack-yaml", "--local-bin-path", "-j"]);
    let files = vec![
        Manifest::required("stack.yaml"),
        Manifest::usual("package.yaml"),
        Manifest::possible("*.cabal"),
        Manifest::possible("stack.yaml.lock"),
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
        Manifest::usual("*.cabal"),
        Manifest::possible("cabal.project"),
        Manifest::possible("cabal.project.freeze"),
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
    let files = vec![Manifest::required("Package.swift"), Manifest::usual("Package.resolved")];
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

/// Dart and Flutter. Programs find their packages in the cache.
pub(super) fn dart(command: &Invocation, around: &Surroundings) -> Option<Usage> {
    let arguments = Arguments::of(command.arguments(), &["-C", "--directory", "-o", "--output"]);
    let files = || vec![Manifest::required("pubspec.yaml"), Manifest::usual("pubspec.lock")];
    let (work, needs) = match (arguments.action(), arguments.rest().first().map(|word| word.text.as_str())) {
        ("pub", Some("get" | "upgrade" | "downgrade")) => (Work::Install, Needs::Files(files())),
        ("pub", Some("global")) => (Work::Install, Needs::Nothing),
        ("compile" | "build" | "test" | "run" | "analyze", _) => {
            let fetch = format!("{} pub get", command.words[0].text);
            (Work::Build, Needs::Sources(Some(Prefetch { files: files(), command: Some(fetch) })))
        }
        ("config" | "precache" | "doctor", _) => (Work::Prepare, Needs::Nothing),
        _ => return None,
    };
    let usage = Usage::new(Tool::Dart, work, needs, command).at(arguments.value(&["-C", "--directory"]));
    let folder = around.below_home(command, &["PUB_CACHE"], ".pub-cache");
    let folder = cache(folder, Content::Store, Sharing::Locked).filter(|_| work != Work::Prepare);
    Some(usage.caching([folder]))
}

/// Helm.
pub(super) fn helm(command: &Invocation, around: &Surroundings) -> Option<Usage> {
    let arguments = Arguments::of(command.arguments(), &["-f", "--values", "--version", "--repo"]);
    let rest = arguments.rest();
    let (work, needs) = match (arguments.action(), rest.first().map(|word| word.text.as_str())) {
        ("dependency" | "dep", Some("build" | "update" | "up")) => match rest.get(1) {
            Some(chart) if chart.literal => {
                let folder = chart.text.trim_end_matches('/');
                (
                    Work::Install,
                    Needs::Files(vec![
                        Manifest::required(format!("{folder}/Chart.yaml")),
                        Manifest::usual(format!("{folder}/Chart.lock")),
                    ]),
                )
            }
            Some(_) => (Work::Install, Needs::Sources(None)),
            None => {
                (Work::Install, Needs::Files(vec![Manifest::required("Chart.yaml"), Manifest::usual("Chart.lock")]))
            }
        },
        ("repo", _) => (Work::Prepare, Needs::Nothing),
        ("plugin" | "pull", _) => (Work::Install, Needs::Nothing),
        ("package" | "template" | "lint", _) => (Work::Build, Needs::Sources(None)),
        _ => return None,
    };
    // The index of repositories is next to the packages, and commands after `helm repo add` read it.
    let folder = around.below_home(command, &["HELM_CACHE_HOME"], ".cache/helm");
    let folder = cache(folder, Content::Store, Sharing::Locked).filter(|_| work == Work::Install);
    Some(Usage::new(Tool::Helm, work, needs, command).caching([folder]))
}

/// Downloads of named addresses.
pub(super) fn download(command: &Invocation) -> Option<Usage> {
    let arguments = Arguments::of(
        command.arguments(),
        &[
            "-o",
            "-O",
            "-H",
            "-A",
            "-u",
            "-e",
            "-b",
            "-m",
            "-P",
            "-X",
            "--output",
            "--output-document",
            "--header",
            "--retry",
            "--branch",
            "--depth",
            "--retry-delay",
            "--connect-timeout",
            "--max-time",
            "--timeout",
            "--tries",
            "-t",
            "--user-agent",
            "-C",
            "-c",
            "--user",
            "--directory-prefix",
            "--jobs",
            "-j",
            "--output-dir",
            "--proto",
            "--tlsv1.2",
            "-x",
            "-s",
            "-d",
        ],
    );
    // Letters that take no value for curl, but do for others.
    let curl = command.program() == "curl";
    let arguments = if curl {
        let valued = [
            "-o",
            "-H",
            "-A",
            "-u",
            "-e",
            "-b",
            "-m",
            "-X",
            "--output",
            "--header",
            "--retry",
            "--retry-delay",
            "--connect-timeout",
            "--max-time",
            "--user-agent",
            "--user",
            "--output-dir",
            "--proto",
            "-x",
        ];
        Arguments::of(command.arguments(), &valued)
    } else {
        arguments
    };
    let fetching = match command.program() {
        "git" => matches!(arguments.action(), "clone" | "fetch"),
        "svn" => matches!(arguments.action(), "checkout" | "co" | "export"),
        _ => true,
    };
    let local = arguments.has(&[
        "-K",
        "--config",
        "-T",
        "--upload-file",
        "-i",
        "--input-file",
        "--cacert",
        "-E",
        "--cert",
        "-d",
        "--data",
        "--netrc-file",
    ]) && curl
        || command
            .arguments()
            .iter()
            .any(|word| word.text.starts_with('@') || word.text.starts_with("file:") || word.text.contains("$("))
        || arguments.has(&["-i", "--input-file"]);
    if !fetching || arguments.plain.is_empty() {
        return None;
    }
    let needs = if local { Needs::Sources(None) } else { Needs::Nothing };
    Some(Usage::new(Tool::Download, Work::Install, needs, command).hooks(Hooks::None))
}
