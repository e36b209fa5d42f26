//! uv, which manages packages and versions of Python.

use super::python::{PIP, needs, requirements, shared, text, xdg};
use super::{are_names, without_first};
use crate::arguments::Arguments;
use crate::invocation::Invocation;
use crate::usage::{Cache, Cacheless, DependencyFile, Hooks, Needs, Prefetch, Surroundings, Tool, Usage, Work};
use crate::word::Word;

/// The options that have their value in the next word.
const VALUED: [&str; 39] = [
    "--extra",
    "--group",
    "--no-group",
    "--project",
    "--directory",
    "--python",
    "--package",
    "--with",
    "--config-file",
    "--only-group",
    "-p",
    "--index",
    "--default-index",
    "--index-url",
    "-i",
    "--extra-index-url",
    "--find-links",
    "-f",
    "--index-strategy",
    "--keyring-provider",
    "--link-mode",
    "--resolution",
    "--prerelease",
    "--exclude-newer",
    "--config-setting",
    "--no-build-isolation-package",
    "--no-build-package",
    "--no-binary-package",
    "--no-extra",
    "--cache-dir",
    "--color",
    "--allow-insecure-host",
    "--python-platform",
    "--env-file",
    "--no-install-package",
    "-o",
    "--output-file",
    "--no-emit-package",
    "--format",
];

/// uv. Its cache is safe for several processes.
pub(super) fn uv(command: &Invocation, around: &Surroundings) -> Option<Usage> {
    // Options may stand before the action: `uv --quiet pip install flask`.
    let before = command.after_options(1, &VALUED).min(command.words.len());
    let actions = &command.words[before..];
    let usage = match (actions.first()?.text.as_str(), actions.get(1).map(|word| word.text.as_str())) {
        ("pip", Some(action @ ("install" | "sync"))) => pip(command, action, &actions[2..]),
        ("sync", _) => sync(command),
        ("tool", Some("install")) => {
            let arguments = Arguments::of(&actions[2..], &VALUED);
            let needs = if are_names(&arguments.plain) { Needs::Nothing } else { Needs::Sources(None) };
            Usage::new(Tool::Uv, Work::Install, needs, command)
        }
        ("python", Some("install")) => Usage::new(Tool::Uv, Work::Install, Needs::Nothing, command),
        ("venv", _) => return Some(Usage::new(Tool::Uv, Work::Prepare, Needs::Nothing, command)),
        ("cache", _) => return Some(Usage::new(Tool::Uv, Work::Clean, Needs::Nothing, command)),
        ("export", _) if command.has("--frozen") => return Some(frozen_export(command)),
        ("tool", Some("run")) => return uvx(&without_first(command, before + 1), around),
        ("run", _) => match run(command, before + 1) {
            Some(usage) => usage,
            None => return Some(Usage::new(Tool::Uv, Work::Build, Needs::Sources(None), command)),
        },
        ("add" | "build" | "lock" | "export", _) | ("pip", Some("compile")) => {
            Usage::new(Tool::Uv, Work::Build, Needs::Sources(None), command)
        }
        _ => return None,
    };
    let cacheless = if command.has("--no-cache") || command.has("-n") {
        Some(Cacheless::Option("--no-cache"))
    } else if command.has("--no-cache-dir") {
        Some(Cacheless::Option("--no-cache-dir"))
    } else if around.is_on(command, "UV_NO_CACHE") {
        Some(Cacheless::Variable("UV_NO_CACHE"))
    } else {
        usage.cacheless
    };
    Some(Usage { cacheless, ..usage }.caching([cache(command, around)]))
}

/// The files of a project.
fn files() -> Vec<DependencyFile> {
    vec![
        DependencyFile::required("pyproject.toml"),
        DependencyFile::usual("uv.lock"),
        DependencyFile::possible(".python-version"),
        DependencyFile::possible("uv.toml"),
    ]
}

fn cache(command: &Invocation, around: &Surroundings) -> Option<Cache> {
    let given = option_value(command, "--cache-dir").filter(|folder| folder.starts_with('/'));
    shared(given.or_else(|| xdg(command, around, &["UV_CACHE_DIR"], "uv")))
}

/// `uv pip install` and `uv pip sync`.
fn pip(command: &Invocation, action: &str, words: &[Word]) -> Usage {
    let arguments = Arguments::of(words, &PIP);
    let words = &arguments.plain[..];
    let needs = if action == "sync" {
        let files = words.iter().map(|word| word.text.as_str());
        requirements(files).map_or(Needs::Sources(None), Needs::Files)
    } else {
        needs(&arguments, words)
    };
    let hooks = if needs == Needs::Nothing { Hooks::None } else { Hooks::Shown };
    let folder = option_value(command, "--directory");
    let mut usage = Usage::new(Tool::Uv, Work::Install, needs, command).hooks(hooks).at(folder.as_deref());
    usage.offline = arguments.has(&["--no-index", "--offline"]);
    usage
}

fn sync(command: &Invocation) -> Usage {
    let arguments = Arguments::of(command.arguments(), &VALUED);
    // Without the project itself; the other packages of its workspace are installed only with `--all-packages`.
    let alone = arguments.has(&["--no-install-workspace", "--only-deps"])
        || arguments.has(&["--no-install-project"]) && !arguments.has(&["--all-packages"]);
    let needs = if alone {
        Needs::Files(files())
    } else if arguments.has(&["--all-packages"]) {
        Needs::Sources(None)
    } else {
        let command = format!("{} --no-install-project", text(command));
        Needs::Sources(Some(Prefetch { files: files(), command: Some(command) }))
    };
    let mut usage =
        Usage::new(Tool::Uv, Work::Install, needs, command).at(arguments.value(&["--project", "--directory"]));
    usage.offline = arguments.has(&["--offline"]);
    usage
}

/// A locked export reads two files and downloads nothing. The file that it writes is not in the build context.
fn frozen_export(command: &Invocation) -> Usage {
    let arguments = Arguments::of(command.arguments(), &VALUED);
    let writes = arguments.has(&["-o", "--output-file"]);
    let needs = if writes { Needs::Sources(None) } else { Needs::Files(files()) };
    Usage::new(Tool::Uv, Work::Prepare, needs, command).at(arguments.value(&["--project", "--directory"]))
}

/// `uv run`, whose options begin at this word. `None` if it only starts the program.
fn run(command: &Invocation, options: usize) -> Option<Usage> {
    let command_at = command.after_options(options, &VALUED).min(command.words.len());
    let arguments = Arguments::of(&command.words[1..command_at], &VALUED);
    if arguments.has(&["--no-sync", "--no-project", "--isolated", "--script", "-s", "--all-packages"]) {
        return None;
    }
    let folder = arguments.value(&["--project", "--directory"]);
    let fetch = Prefetch { files: files(), command: Some(synchronisation(command, command_at)) };
    Some(Usage::new(Tool::Uv, Work::Build, Needs::Sources(Some(fetch)), command).at(folder))
}

/// The `uv sync` that installs what this `uv run` does, without the project itself.
fn synchronisation(command: &Invocation, command_at: usize) -> String {
    const FLAGS: [&str; 8] = [
        "--frozen",
        "--locked",
        "--dev",
        "--no-dev",
        "--only-dev",
        "--all-extras",
        "--all-groups",
        "--no-default-groups",
    ];
    const VALUED: [&str; 8] =
        ["--extra", "--group", "--no-group", "--only-group", "--python", "--package", "--project", "--directory"];
    let mut text = format!("{} sync", command.words[0].text);
    let mut words = command.words[1..command_at].iter().map(|word| word.text.as_str());
    while let Some(word) = words.next() {
        let valued = VALUED.contains(&word);
        if valued || FLAGS.contains(&word) || VALUED.iter().any(|name| word.starts_with(&format!("{name}="))) {
            text += &format!(" {word}");
        }
        if valued {
            text.extend(words.next().map(|value| format!(" {value}")));
        }
    }
    text + " --no-install-project"
}

/// uvx, or `uv tool run`: downloads a program and runs it. Its environment is in the cache.
pub(super) fn uvx(command: &Invocation, around: &Surroundings) -> Option<Usage> {
    command.words.get(1)?;
    let mut usage = Usage::new(Tool::Uv, Work::Build, Needs::Sources(None), command);
    if command.has("--no-cache") || command.has("-n") {
        usage.cacheless = Some(Cacheless::Option("--no-cache"));
    }
    Some(usage.caching([cache(command, around)]))
}

fn option_value(command: &Invocation, option: &str) -> Option<String> {
    let at =
        command.words.iter().position(|word| word.text == option || word.text.starts_with(&format!("{option}=")))?;
    match command.words[at].text.split_once('=') {
        Some((_, value)) => Some(value.to_owned()),
        None => command.words.get(at + 1).map(|word| word.text.clone()),
    }
}
