//! Recognizes the shell commands of a RUN: package managers, downloads and changes of owner or mode.

use crate::{Command, Run};

/// A package manager, with the directories and files that make its steps cacheable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Tool {
    /// The common name.
    pub(super) name: &'static str,
    /// The directories in which it keeps downloads.
    pub(super) caches: &'static [&'static str],
    /// The files that describe dependencies. They are empty for system package managers.
    pub(super) manifests: &'static str,
}

const LOCKED: &str = ",sharing=locked";

macro_rules! tools {
    ($($constant:ident = $name:literal, $caches:expr, $manifests:literal;)+) => {
        $(const $constant: Tool = Tool { name: $name, caches: &$caches, manifests: $manifests };)+
    };
}

tools! {
    APT = "apt", ["/var/cache/apt", "/var/lib/apt"], "";
    APK = "apk", ["/var/cache/apk"], "";
    DNF = "dnf", ["/var/cache/dnf"], "";
    YUM = "yum", ["/var/cache/yum"], "";
    NPM = "npm", ["/root/.npm"], "package.json package-lock.json";
    YARN = "yarn", ["/usr/local/share/.cache/yarn"], "package.json yarn.lock";
    PNPM = "pnpm", ["/root/.local/share/pnpm/store"], "package.json pnpm-lock.yaml";
    PIP = "pip", ["/root/.cache/pip"], "requirements.txt";
    POETRY = "poetry", ["/root/.cache/pypoetry"], "pyproject.toml poetry.lock";
    UV = "uv", ["/root/.cache/uv"], "pyproject.toml uv.lock";
    CARGO = "cargo", ["/usr/local/cargo/registry", "/usr/local/cargo/git"], "Cargo.toml Cargo.lock";
    GO = "go", ["/go/pkg/mod", "/root/.cache/go-build"], "go.mod go.sum";
    MAVEN = "mvn", ["/root/.m2"], "pom.xml";
    GRADLE = "gradle", ["/root/.gradle"], "build.gradle settings.gradle";
    COMPOSER = "composer", ["/root/.composer/cache"], "composer.json composer.lock";
    BUNDLER = "bundle", ["/usr/local/bundle/cache"], "Gemfile Gemfile.lock";
    DOTNET = "dotnet", ["/root/.nuget/packages"], "*.csproj";
}

impl Tool {
    /// Returns the flags of RUN that mount the caches.
    pub(super) fn mounts(&self) -> String {
        let locked = if *self == APT { LOCKED } else { "" };
        let mounts = self.caches.iter().map(|target| format!("--mount=type=cache,target={target}{locked}"));
        mounts.collect::<Vec<_>>().join(" ")
    }
}

/// Returns the script that a RUN passes to its shell.
pub(super) fn text(run: &Run<'_>) -> String {
    let mut text = match &run.command {
        Command::Shell(word) => word.text.to_string(),
        Command::Exec(words) => words.iter().map(|word| &*word.text).collect::<Vec<_>>().join(" "),
    };
    for document in &run.heredocs {
        text.push('\n');
        text += &document.content;
    }
    text
}

/// Splits a script into commands, each as its words, without leading assignments and prefixes such as `sudo`.
pub(super) fn commands(text: &str) -> Vec<Vec<&str>> {
    text.split(['\n', ';', '|', '&', '('])
        .map(|command| {
            command
                .split_whitespace()
                .skip_while(|word| {
                    word.contains('=') || matches!(*word, "sudo" | "exec" | "time" | "then" | "do" | "!" | "{")
                })
                .collect::<Vec<_>>()
        })
        .filter(|words| !words.is_empty())
        .collect()
}

/// Returns the package manager with which a command fetches packages.
pub(super) fn tool(words: &[&str]) -> Option<Tool> {
    let (program, rest) = words.split_first()?;
    let program = program.rsplit('/').next().unwrap_or(program);
    let action = rest.iter().find(|word| !word.starts_with('-')).copied().unwrap_or("");
    let has = |word: &str| rest.contains(&word);
    Some(match (program, action) {
        ("apt-get" | "apt", "install" | "upgrade" | "dist-upgrade") => APT,
        ("apk", "add") if !has("--no-cache") => APK,
        ("dnf" | "microdnf", "install") => DNF,
        ("yum", "install") => YUM,
        ("npm", "ci" | "install" | "i") => NPM,
        ("yarn", "install" | "") => YARN,
        ("pnpm", "install" | "i") => PNPM,
        ("pip" | "pip3", "install") => PIP,
        ("python" | "python3", "pip") if has("install") => PIP,
        ("poetry", "install") => POETRY,
        ("uv", "sync" | "pip") => UV,
        ("cargo", "build" | "install" | "fetch" | "test") => CARGO,
        ("go", "build" | "install" | "mod" | "test" | "get") => GO,
        ("mvn" | "mvnw", _) => MAVEN,
        ("gradle" | "gradlew", _) => GRADLE,
        ("composer", "install") => COMPOSER,
        ("bundle", "install") => BUNDLER,
        ("dotnet", "restore" | "build" | "publish") => DOTNET,
        _ => return None,
    })
}

/// Returns whether the flags of a package manager forbid downloads.
pub(super) fn offline(words: &[&str]) -> bool {
    words.iter().any(|word| matches!(*word, "--no-index" | "--offline" | "--no-download"))
}

/// Returns whether a command downloads files.
pub(super) fn downloads(words: &[&str]) -> bool {
    matches!(words, ["curl" | "wget" | "aria2c", ..] | ["git", "clone", ..])
}

/// Returns the program, the owner or mode, and the paths of a recursive `chown` or `chmod`.
pub(super) fn recursive_change<'a>(words: &[&'a str]) -> Option<(&'a str, &'a str, Vec<&'a str>)> {
    let (program, rest) = words.split_first()?;
    if !matches!(*program, "chown" | "chmod") {
        return None;
    }
    let recursive = rest
        .iter()
        .any(|word| *word == "--recursive" || (word.starts_with('-') && !word.starts_with("--") && word.contains('R')));
    let mut plain = rest.iter().copied().filter(|word| !word.starts_with('-'));
    let value = plain.next()?;
    let paths: Vec<&str> = plain.collect();
    (recursive && !paths.is_empty()).then_some((program, value, paths))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_found_in_a_shell_script() {
        let found = commands("set -e; DEBIAN_FRONTEND=x apt-get update && apt-get install -y gcc | cat");
        assert_eq!(found.iter().filter_map(|words| tool(words)).collect::<Vec<_>>(), [APT]);
        assert_eq!(tool(&["apk", "add", "--no-cache", "git"]), None);
        assert_eq!(recursive_change(&["chown", "-R", "app:app", "/srv"]), Some(("chown", "app:app", vec!["/srv"])));
        assert_eq!(recursive_change(&["chown", "app", "/srv"]), None);
    }
}
