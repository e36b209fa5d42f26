//! Package managers of other languages.

use super::are_names;
use crate::arguments::Arguments;
use crate::invocation::Invocation;
use crate::usage::{Cache, Content, DependencyFile, Needs, Prefetch, Sharing, Surroundings, Tool, Usage, Work};

fn cache(target: Option<String>, content: Content, sharing: Sharing) -> Option<Cache> {
    target.map(|target| Cache::new(target, content, sharing))
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
    // `bundle _2.4.1_ install` starts that version.
    let version =
        |word: &crate::word::Word| word.text.len() > 2 && word.text.starts_with('_') && word.text.ends_with('_');
    let versions = usize::from(command.arguments().first().is_some_and(version));
    let arguments = Arguments::of(
        &command.arguments()[versions..],
        &["--jobs", "-j", "--retry", "--path", "--without", "--with", "--gemfile"],
    );
    let (work, needs) = match arguments.action() {
        "install" | "" | "update" | "cache" | "package" => {
            let file = arguments
                .value(&["--gemfile"])
                .or_else(|| around.variable(command, "BUNDLE_GEMFILE"))
                .unwrap_or("Gemfile");
            let needs = if file.contains('$') {
                Needs::Sources(None)
            } else {
                let settings =
                    [".ruby-version", ".tool-versions", ".bundle/", "*.gemspec"].map(DependencyFile::possible);
                // Bundler names the lock file of `gems.rb` differently.
                let lock = match file.strip_suffix("gems.rb") {
                    Some(folder) => format!("{folder}gems.locked"),
                    None => format!("{file}.lock"),
                };
                let always = [DependencyFile::required(file), DependencyFile::usual(lock)];
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
        let settings = ["auth.json", "symfony.lock", "patches/"].map(DependencyFile::possible);
        [DependencyFile::required("composer.json"), DependencyFile::usual("composer.lock")]
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
    const VALUED: [&str; 22] = [
        "-c",
        "-o",
        "-l",
        "--logger",
        "--packages",
        "--artifacts-path",
        "--version-suffix",
        "--lock-file-path",
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
    // `--self-contained true`: the value of a yes-or-no option.
    let rest: Vec<_> =
        arguments.rest().iter().filter(|word| !matches!(word.text.as_str(), "true" | "false")).copied().collect();
    let project = || projects(rest.first().map(|word| word.text.replace('\\', "/")).as_deref());
    let expanded = rest.iter().any(|word| !word.literal);
    let (work, needs) = match arguments.action() {
        "restore" if !expanded => (Work::Install, Needs::Files(project())),
        "restore" => (Work::Install, Needs::Sources(None)),
        "build" | "publish" | "test" | "pack" | "run" | "msbuild"
            if arguments.has(&["--no-restore", "--no-build"]) || expanded =>
        {
            (Work::Build, Needs::Sources(None))
        }
        "build" | "publish" | "test" | "pack" | "run" | "msbuild" => {
            let fetch = rest
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
        // Its packs go into the SDK.
        "workload" => return Some(Usage::new(Tool::Dotnet, Work::Install, Needs::Nothing, command)),
        "nuget" => (Work::Prepare, Needs::Sources(None)),
        _ => return None,
    };
    let packages = match arguments.value(&["--packages"]) {
        Some(folder) => folder.starts_with('/').then(|| folder.to_owned()),
        None => around.below_home(command, &["NUGET_PACKAGES"], ".nuget/packages"),
    };
    Some(Usage::new(Tool::Dotnet, work, needs, command).caching([cache(packages, Content::Store, Sharing::Locked)]))
}

/// The files of a project or solution that .NET restores; without a name, those of the working directory.
fn projects(named: Option<&str>) -> Vec<DependencyFile> {
    let folder = named.and_then(|path| path.rsplit_once('/')).map_or(String::new(), |(folder, _)| format!("{folder}/"));
    let solution = named.is_some_and(|path| path.ends_with(".sln") || path.ends_with(".slnx"));
    let first = match named {
        Some(path) if solution || path.ends_with("proj") => DependencyFile::required(path.to_owned()),
        Some(path) => DependencyFile::usual(format!("{}/*.*proj", path.trim_end_matches('/'))),
        None => DependencyFile::usual("**/*.*proj"),
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
    // A solution lists projects, and a project may refer to others.
    let projects: fn(String) -> DependencyFile =
        if solution { DependencyFile::usual } else { DependencyFile::possible };
    files.push(projects(format!("{}**/*.*proj", if solution { &folder } else { "" })));
    files.extend(["*.sln", "*.slnx", "**/packages.lock.json", "**/Directory.*.props"].map(DependencyFile::possible));
    files.extend(settings.map(DependencyFile::possible));
    files
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
    let files = || vec![DependencyFile::required("mix.exs"), DependencyFile::usual("mix.lock")];
    let (work, needs) = match command.words.get(1)?.text.as_str() {
        "deps.get" => (Work::Install, Needs::Files(files())),
        "deps.compile" | "compile" | "release" | "test" | "do" | "assets.deploy" | "phx.digest" | "assets.setup" => {
            (Work::Build, Needs::Sources(None))
        }
        "local.hex" | "local.rebar" | "archive.install" => (Work::Install, Needs::Nothing),
        _ => return None,
    };
    let usage = Usage::new(Tool::Mix, work, needs, command);
    // `mix do deps.get, deps.compile`
    let fetches = command.arguments().iter().any(|word| word.text.trim_end_matches(',') == "deps.get");
    let folder = fetches.then(|| around.below_home(command, &["HEX_HOME"], ".hex")).flatten();
    // The directory also has the installed hex itself in some versions, so only the packages are kept.
    Some(usage.caching([cache(folder.map(|home| format!("{home}/packages")), Content::Downloads, Sharing::Locked)]))
}

/// Dart and Flutter. Programs find their packages in the cache.
pub(super) fn dart(command: &Invocation, around: &Surroundings) -> Option<Usage> {
    let arguments = Arguments::of(command.arguments(), &["-C", "--directory", "-o", "--output"]);
    let files = || vec![DependencyFile::required("pubspec.yaml"), DependencyFile::usual("pubspec.lock")];
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
                        DependencyFile::required(format!("{folder}/Chart.yaml")),
                        DependencyFile::usual(format!("{folder}/Chart.lock")),
                    ]),
                )
            }
            Some(_) => (Work::Install, Needs::Sources(None)),
            None => (
                Work::Install,
                Needs::Files(vec![DependencyFile::required("Chart.yaml"), DependencyFile::usual("Chart.lock")]),
            ),
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
