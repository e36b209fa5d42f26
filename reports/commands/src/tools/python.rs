//! Package managers of Python.

use super::{are_names, recognise, without_first};
use crate::arguments::Arguments;
use crate::invocation::Invocation;
use crate::usage::{
    Cache, Cacheless, Content, DependencyFile, Hooks, Needs, Prefetch, Sharing, Surroundings, Tool, Usage, Work,
};
use crate::word::Word;

pub(super) fn shared(target: Option<String>) -> Option<Cache> {
    target.map(|target| Cache::new(target, Content::Downloads, Sharing::Shared))
}

/// `python -m pip`, `python -m poetry`: the module as a command.
pub(super) fn module(command: &Invocation, around: &Surroundings) -> Option<Usage> {
    if command.words.get(1).is_some_and(|word| word.text == "setup.py") {
        return Some(Usage::new(Tool::Pip, Work::Build, Needs::Sources(None), command));
    }
    let at = command.words.iter().position(|word| word.text.starts_with("-m"))?;
    // Options of python come before it, words of a script do not.
    let leading = command.words[1..at].iter().all(Word::is_option);
    let inner = match command.words[at].text.strip_prefix("-m").filter(|joined| !joined.is_empty()) {
        // `python -mpip`
        Some(joined) => {
            let mut inner = without_first(command, at);
            inner.words[0] = Word::plain(joined);
            inner
        }
        None if at + 1 < command.words.len() => without_first(command, at + 1),
        None => return None,
    };
    let module = inner.words.first().filter(|_| leading)?;
    match module.text.as_str() {
        "pip" | "poetry" | "pipenv" | "pdm" | "uv" | "conda" => recognise(&inner, around),
        "build" | "tox" | "nox" | "pytest" => Some(Usage::new(Tool::Pip, Work::Build, Needs::Sources(None), command)),
        "venv" | "virtualenv" | "ensurepip" => Some(Usage::new(Tool::Pip, Work::Prepare, Needs::Nothing, command)),
        _ => None,
    }
}

/// The files of `-r` and `-c`, with the files next to them that they may include.
pub(super) fn requirements<'a>(named: impl Iterator<Item = &'a str>) -> Option<Vec<DependencyFile>> {
    let mut files: Vec<DependencyFile> = Vec::new();
    let mut add = |file: DependencyFile| {
        if !files.iter().any(|known| known.path == file.path) {
            files.push(file);
        }
    };
    for path in named {
        // A list on a server.
        if path.contains("://") && !path.contains(['$', '`']) {
            continue;
        }
        if path.contains(['$', '`', '*', '<']) {
            return None;
        }
        add(DependencyFile::required(path));
        match path.rsplit_once('/') {
            // A directory of requirements: they include each other.
            Some((folder, _))
                if folder.rsplit('/').next().is_some_and(|name| name.starts_with("require") || name == "deps") =>
            {
                add(DependencyFile::possible(format!("{folder}/*.txt")));
                add(DependencyFile::possible(format!("{folder}/*.in")));
            }
            Some((folder, _)) => {
                add(DependencyFile::possible(format!("{folder}/*requirements*.txt")));
                add(DependencyFile::possible(format!("{folder}/constraints*.txt")));
            }
            None => {
                add(DependencyFile::possible("*requirements*.txt"));
                add(DependencyFile::possible("constraints*.txt"));
                add(DependencyFile::possible("requirements/"));
            }
        }
    }
    Some(files)
}

const REQUIREMENTS: [&str; 5] = ["-r", "--requirement", "-c", "--constraint", "--constraints"];
/// The options of pip, and of `uv pip`, that have their value in the next word.
pub(super) const PIP: [&str; 60] = [
    "-r",
    "-c",
    "-e",
    "-i",
    "-f",
    "-t",
    "--requirement",
    "--constraint",
    "--constraints",
    "--editable",
    "--index-url",
    "--extra-index-url",
    "--find-links",
    "--target",
    "--prefix",
    "--root",
    "--cache-dir",
    "--timeout",
    "--retries",
    "--trusted-host",
    "--python",
    "-p",
    "--platform",
    "--proxy",
    "-w",
    "--wheel-dir",
    "-d",
    "--dest",
    "--cert",
    "--client-cert",
    "--use-feature",
    "--use-deprecated",
    "--log",
    "--keyring-provider",
    "--exists-action",
    "--python-version",
    "--implementation",
    "--abi",
    "--only-binary",
    "--no-binary",
    "--progress-bar",
    "--upgrade-strategy",
    "--root-user-action",
    "--report",
    "--src",
    "--config-settings",
    "--global-option",
    "--group",
    "--build-constraint",
    "--resume-retries",
    "--uploaded-prior-to",
    "--index-strategy",
    "--link-mode",
    "--resolution",
    "--exclude-newer",
    "--index",
    "--default-index",
    "--allow-insecure-host",
    "--torch-backend",
    "--requirements-from-script",
];

/// The needs of `pip install`, from its words.
pub(super) fn needs(arguments: &Arguments<'_>, words: &[&Word]) -> Needs {
    // Groups of dependencies are in pyproject.toml (PEP 735).
    let fetched = |place: &str| place.contains("://") && !place.starts_with("file:");
    let local = arguments.has(&["--group", "--build-constraint", "--requirements-from-script"])
        || arguments.values(&["-e", "--editable"]).any(|place| !fetched(place))
        || arguments.values(&["-f", "--find-links"]).any(|place| !place.contains("://"))
        || words.iter().any(|word| word.text.contains('[') && word.text.starts_with('.'));
    let mut named = arguments.values(&REQUIREMENTS).peekable();
    if local || !are_names(words) {
        return Needs::Sources(None);
    }
    if named.peek().is_none() {
        let nothing = words.is_empty() && !arguments.has(&["-e", "--editable"]);
        return if nothing { Needs::Sources(None) } else { Needs::Nothing };
    }
    match requirements(named) {
        Some(files) if files.is_empty() => Needs::Nothing,
        Some(files) => Needs::Files(files),
        None => Needs::Sources(None),
    }
}

/// pip-sync of pip-tools, which installs by pip.
pub(super) fn pip_sync(command: &Invocation, around: &Surroundings) -> Option<Usage> {
    let arguments = Arguments::of(command.arguments(), &["-i", "-f", "--index-url", "--find-links", "--pip-args"]);
    let files: Vec<&str> = arguments.plain.iter().map(|word| word.text.as_str()).collect();
    let files = if files.is_empty() { vec!["requirements.txt"] } else { files };
    let needs = requirements(files.into_iter()).map_or(Needs::Sources(None), Needs::Files);
    let usage = Usage::new(Tool::Pip, Work::Install, needs, command).hooks(Hooks::Shown);
    Some(usage.caching([shared(xdg(command, around, &["PIP_CACHE_DIR"], "pip"))]))
}

/// pip.
pub(super) fn pip(command: &Invocation, around: &Surroundings) -> Option<Usage> {
    let arguments = Arguments::of(command.arguments(), &PIP);
    match arguments.action() {
        "install" | "wheel" | "download" => {}
        "config" => return Some(Usage::new(Tool::Pip, Work::Prepare, Needs::Nothing, command)),
        "cache" | "uninstall" => return Some(Usage::new(Tool::Pip, Work::Clean, Needs::Nothing, command)),
        _ => return None,
    }
    let quiet = arguments.has_letter('q') || arguments.has(&["--quiet"]);
    let needs = needs(&arguments, arguments.rest());
    // A requirement may be a directory of the project. Then pip prints that it processes the directory.
    let hooks = match (&needs, quiet) {
        (Needs::Nothing, _) => Hooks::None,
        (_, true) => Hooks::Hidden,
        (_, false) => Hooks::Shown,
    };
    let mut usage = Usage::new(Tool::Pip, Work::Install, needs, command).hooks(hooks);
    usage.offline = arguments.has(&["--no-index"]) || around.is_on(command, "PIP_NO_INDEX");
    usage.cacheless = if arguments.has(&["--no-cache-dir", "--no-cache"]) {
        Some(Cacheless::Option(if arguments.has(&["--no-cache"]) { "--no-cache" } else { "--no-cache-dir" }))
    } else if around.is_on(command, "PIP_NO_CACHE_DIR") {
        Some(Cacheless::Variable("PIP_NO_CACHE_DIR"))
    } else {
        None
    };
    let given = arguments.value(&["--cache-dir"]).map(str::to_owned).filter(|folder| folder.starts_with('/'));
    let cache = given.or_else(|| xdg(command, around, &["PIP_CACHE_DIR"], "pip"));
    Some(usage.caching([shared(cache)]))
}

/// pipx, which installs programs of packages by pip.
pub(super) fn pipx(command: &Invocation, around: &Surroundings) -> Option<Usage> {
    let arguments =
        Arguments::of(command.arguments(), &["--python", "--index-url", "-i", "--spec", "--pip-args", "--suffix"]);
    if !matches!(arguments.action(), "install" | "inject" | "upgrade" | "install-all") {
        return None;
    }
    let needs = if are_names(arguments.rest()) { Needs::Nothing } else { Needs::Sources(None) };
    let usage = Usage::new(Tool::Pip, Work::Install, needs, command);
    Some(usage.caching([shared(xdg(command, around, &["PIP_CACHE_DIR"], "pip"))]))
}

/// A directory in the user's cache (XDG Base Directory Specification).
pub(super) fn xdg(command: &Invocation, around: &Surroundings, variables: &[&str], name: &str) -> Option<String> {
    if variables.iter().all(|variable| around.variable(command, variable).is_none())
        && let Some(base) = around.variable(command, "XDG_CACHE_HOME").filter(|base| base.starts_with('/'))
    {
        return Some(format!("{}/{name}", base.trim_end_matches('/')));
    }
    around.below_home(command, variables, &format!(".cache/{name}"))
}

/// Poetry. Its virtual environments are in the same directory as its caches: only these may be mounted.
pub(super) fn poetry(command: &Invocation, around: &Surroundings) -> Option<Usage> {
    const VALUED: [&str; 10] =
        ["-C", "-P", "--directory", "--project", "--with", "--without", "--only", "-E", "--extras", "--format"];
    let arguments = Arguments::of(command.arguments(), &VALUED);
    let files = || {
        vec![
            DependencyFile::required("pyproject.toml"),
            DependencyFile::usual("poetry.lock"),
            DependencyFile::possible("poetry.toml"),
        ]
    };
    let (work, needs) = match arguments.action() {
        "install" | "sync" if arguments.has(&["--only-root"]) => (Work::Build, Needs::Sources(None)),
        "install" | "sync" if arguments.has(&["--no-root"]) => (Work::Install, Needs::Files(files())),
        "install" | "sync" => {
            let command = format!("{} --no-root", text(command));
            (Work::Install, Needs::Sources(Some(Prefetch { files: files(), command: Some(command) })))
        }
        // The file that it writes is not in the build context.
        "export" if arguments.has(&["-o", "--output"]) => (Work::Prepare, Needs::Sources(None)),
        "export" => (Work::Prepare, Needs::Files(files())),
        // A plugin for Poetry itself.
        "self" if arguments.rest().first().is_some_and(|word| word.text == "add") => (Work::Install, Needs::Nothing),
        "config" | "self" | "env" => return Some(Usage::new(Tool::Poetry, Work::Prepare, Needs::Nothing, command)),
        "cache" => return Some(Usage::new(Tool::Poetry, Work::Clean, Needs::Nothing, command)),
        "add" | "build" | "update" | "lock" => (Work::Build, Needs::Sources(None)),
        _ => return None,
    };
    let mut usage =
        Usage::new(Tool::Poetry, work, needs, command).at(arguments.value(&["-C", "-P", "--directory", "--project"]));
    if arguments.has(&["--no-cache"]) {
        usage.cacheless = Some(Cacheless::Option("--no-cache"));
    }
    if work != Work::Install {
        return Some(usage);
    }
    let base = xdg(command, around, &["POETRY_CACHE_DIR"], "pypoetry");
    let parts = ["cache", "artifacts"].map(|part| shared(base.as_ref().map(|base| format!("{base}/{part}"))));
    Some(usage.caching(parts))
}

/// Pipenv.
pub(super) fn pipenv(command: &Invocation, around: &Surroundings) -> Option<Usage> {
    let arguments =
        Arguments::of(command.arguments(), &["--python", "-r", "--requirements", "-i", "--index", "--categories"]);
    let needs = match (arguments.action(), arguments.rest()) {
        ("install" | "sync", []) => {
            Needs::Files(vec![DependencyFile::required("Pipfile"), DependencyFile::usual("Pipfile.lock")])
        }
        ("install" | "update", _) => Needs::Sources(None),
        _ => return None,
    };
    let usage = Usage::new(Tool::Pipenv, Work::Install, needs, command).hooks(Hooks::Hidden);
    // It installs with pip.
    let caches =
        [xdg(command, around, &["PIPENV_CACHE_DIR"], "pipenv"), xdg(command, around, &["PIP_CACHE_DIR"], "pip")];
    Some(usage.caching(caches.map(shared)))
}

/// PDM.
pub(super) fn pdm(command: &Invocation, around: &Surroundings) -> Option<Usage> {
    let arguments = Arguments::of(command.arguments(), &["-p", "--project", "-G", "--group", "--python"]);
    let files = vec![DependencyFile::required("pyproject.toml"), DependencyFile::usual("pdm.lock")];
    let needs = match arguments.action() {
        "install" | "sync" if arguments.has(&["--no-self"]) => Needs::Files(files),
        "install" | "sync" => {
            Needs::Sources(Some(Prefetch { files, command: Some(format!("{} --no-self", text(command))) }))
        }
        "config" => return Some(Usage::new(Tool::Pdm, Work::Prepare, Needs::Nothing, command)),
        _ => return None,
    };
    let usage = Usage::new(Tool::Pdm, Work::Install, needs, command).at(arguments.value(&["-p", "--project"]));
    Some(usage.caching([shared(xdg(command, around, &["PDM_CACHE_DIR"], "pdm"))]))
}

/// conda, mamba, micromamba. Packages are unpacked in `pkgs` of the installation.
pub(super) fn conda(command: &Invocation, around: &Surroundings) -> Option<Usage> {
    const VALUED: [&str; 11] = [
        "-n",
        "-p",
        "-f",
        "-c",
        "--name",
        "--prefix",
        "--file",
        "--channel",
        "--solver",
        "--experimental-solver",
        "--override-channels",
    ];
    let arguments = Arguments::of(command.arguments(), &VALUED);
    let (action, rest) = match (arguments.action(), arguments.rest()) {
        ("env", [first, rest @ ..]) => (first.text.as_str(), rest),
        (action, rest) => (action, rest),
    };
    let work = match action {
        "install" | "create" | "update" | "upgrade" => Work::Install,
        "clean" | "remove" => Work::Clean,
        "config" | "init" | "activate" | "shell" | "info" => Work::Prepare,
        _ => return None,
    };
    let mut named = arguments.values(&["-f", "--file"]).peekable();
    let needs = if work != Work::Install {
        Needs::Nothing
    } else if let Some(first) = named.peek() {
        // Its pip packages may belong to the project.
        let literal = !first.contains(['$', '`', '*']);
        if literal { Needs::Files(named.map(DependencyFile::required).collect()) } else { Needs::Sources(None) }
    } else if command.arguments().iter().any(|word| word.text == "env") && action != "remove" {
        Needs::Files(vec![DependencyFile::required("environment.yml")])
    } else if are_names(rest) {
        Needs::Nothing
    } else {
        Needs::Sources(None)
    };
    let hooks = if matches!(needs, Needs::Files(_)) { Hooks::Hidden } else { Hooks::None };
    let mut usage = Usage::new(Tool::Conda, work, needs, command).hooks(hooks);
    usage.offline = arguments.has(&["--offline"]);
    if work != Work::Install {
        return Some(usage);
    }
    let installed =
        command.program_folder().and_then(|folder| folder.strip_suffix("/bin")).filter(|root| root.starts_with('/'));
    let root = around
        .variable(command, "CONDA_PKGS_DIRS")
        .map(str::to_owned)
        .or_else(|| installed.map(|root| format!("{root}/pkgs")))
        .or_else(|| {
            ["MAMBA_ROOT_PREFIX", "CONDA_DIR", "CONDA_PREFIX"]
                .iter()
                .find_map(|name| around.variable(command, name))
                .map(|root| format!("{root}/pkgs"))
        })
        .unwrap_or_else(|| "/opt/conda/pkgs".to_owned());
    let cache = root.starts_with('/').then(|| Cache::new(root, Content::Downloads, Sharing::Locked));
    Some(usage.caching([cache]))
}

/// A command's words as a text.
pub(super) fn text(command: &Invocation) -> String {
    command.words.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ")
}
