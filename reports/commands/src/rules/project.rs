//! The files of a project that an install may need besides those that list its dependencies, by their names and by what the lists say.

use super::path_pattern::matches;
use crate::usage::Tool;

/// A project, and the files of it that are copied for its install.
pub(super) struct Project<'p> {
    pub(super) tool: Tool,
    /// The directory of the context, with a slash at its end unless it is all of the context.
    pub(super) folder: &'p str,
    /// The name of the file that lists the dependencies, which may be a pattern.
    pub(super) name: &'p str,
    /// The files that are copied for the install. A path with a slash at its end is a directory.
    pub(super) present: &'p [String],
}

impl Project<'_> {
    /// Whether the install may need a file that is not copied for it.
    pub(super) fn may_need(&self, file: &str) -> bool {
        let copied = |own: &String| own == file || own.ends_with('/') && file.starts_with(own.as_str());
        if self.present.iter().any(copied) {
            return false;
        }
        let last = file.rsplit('/').next().unwrap_or(file);
        let has_end = |ends: &[&str]| ends.iter().any(|end| last.ends_with(end));
        // A second project of the same tool may be part of the first. pip has none.
        let second = self.tool != Tool::Pip && matches(self.name, last);
        second
            || match self.tool {
                // Patches of packages, schemas that a package reads when it is installed, packages as files, and the addon that npm
                // compiles for a project that has this file.
                Tool::Npm | Tool::Yarn | Tool::Pnpm | Tool::Bun => {
                    has_end(&[".patch", ".prisma", ".tgz"])
                        || file.strip_prefix(self.folder) == Some("binding.gyp")
                        || self.tool == Tool::Yarn && last.starts_with("yarn") && has_end(&[".cjs", ".js", ".mjs"])
                }
                Tool::Pip | Tool::Uv if !self.name.ends_with(".toml") => {
                    has_end(&[".whl"]) || has_end(&[".txt", ".in"]) && is_requirements(file)
                }
                Tool::Uv | Tool::Poetry | Tool::Pdm | Tool::Pipenv => {
                    let inner = file.strip_prefix(self.folder).is_some_and(|path| path.contains('/'));
                    has_end(&[".whl"]) || inner && matches!(last, "setup.py" | "setup.cfg" | "pyproject.toml")
                }
                Tool::Maven => has_end(&[".jar"]),
                Tool::Gradle => has_end(&[".gradle", ".gradle.kts", ".jar", ".toml"]),
                Tool::Bundler => last.starts_with("Gemfile") || has_end(&[".gemspec"]),
                Tool::Composer => has_end(&[".zip"]),
                Tool::Dotnet => last.starts_with("Directory.") || has_end(&[".props", ".targets", ".nupkg"]),
                _ => false,
            }
    }
}

/// Whether a file lists requirements or constraints of pip, by its name or its directory.
fn is_requirements(file: &str) -> bool {
    let (folder, last) = file.rsplit_once('/').unwrap_or(("", file));
    let named = |name: &str| name.contains("require") || name.contains("constraint");
    named(last) || folder.rsplit('/').next().is_some_and(named)
}

/// Whether the text of a file that lists dependencies names parts of the project, other than those next to it that are copied, too.
pub(super) fn names_parts(tool: Tool, name: &str, text: &str) -> bool {
    let has = |part: &str| text.contains(part);
    let lines = || text.lines().map(str::trim);
    match (tool, name) {
        (Tool::Go, "go.mod") => lines().any(|line| {
            let replaced = line.split_once("=>").map(|(_, by)| by.trim());
            replaced.is_some_and(|by| by.starts_with(['.', '/']))
        }),
        (Tool::Go, "go.work") => true,
        (Tool::Maven, _) => {
            let parent = lines().filter_map(|line| line.split_once("<relativePath>")).any(|(_, path)| !path.is_empty());
            has("<modules>") || has("<systemPath>") || parent
        }
        // Parts of the project, other builds, files, and scripts that it reads.
        (Tool::Gradle, _) => [
            "include",
            "project(",
            "project ",
            "file(",
            "files(",
            "fileTree",
            "from:",
            "from(",
            "readText",
            "rootDir",
            "projectDir",
        ]
        .iter()
        .any(|word| has(word)),
        (Tool::Dotnet, _) => {
            has("<Import ") && lines().any(|line| line.starts_with("<Import ") && line.contains("Project="))
        }
        (Tool::Composer, "composer.json") => has("\"path\"") || has("\"artifact\""),
        (Tool::Uv | Tool::Poetry | Tool::Pdm, "pyproject.toml") => {
            let path = |line: &str| {
                let value = line.split("path").nth(1).map(|rest| rest.trim_start_matches(['"', ' ']));
                value.is_some_and(|rest| rest.starts_with('=')) && !line.starts_with('#')
            };
            has("[tool.uv.workspace]") || has("workspace = true") || lines().any(path)
        }
        (Tool::Bundler, _) => [
            "path:",
            ":path",
            "path \"",
            "path '",
            "gemspec",
            "eval_gemfile",
            "require_relative",
            "File.read",
            "instance_eval",
        ]
        .iter()
        .any(|word| has(word)),
        (Tool::Mix, "mix.exs") => {
            ["path:", "apps_path", "in_umbrella", "require_file", "File.read"].iter().any(|word| has(word))
        }
        (Tool::Dart, "pubspec.yaml") => lines().any(|line| {
            let path = line.strip_prefix("path:").map(|value| value.trim().trim_matches(['"', '\'']));
            // The package `path` has a version there.
            line.starts_with("workspace:") || path.is_some_and(|path| path.starts_with('.') || path.contains('/'))
        }),
        (Tool::Swift, "Package.swift") => text
            .split(".package(")
            .skip(1)
            .any(|rest| rest.split(')').next().is_some_and(|arguments| arguments.contains("path:"))),
        (Tool::Helm, _) => has("file://"),
        (Tool::Pnpm, "pnpm-workspace.yaml") => lines().any(|line| line == "packages:"),
        (Tool::Yarn, ".yarnrc.yml") => {
            let path = |line: &str| {
                let value = line
                    .trim_start_matches("- ")
                    .split_once(':')
                    .filter(|(key, _)| matches!(*key, "yarnPath" | "path"));
                value.is_some_and(|(_, path)| {
                    !path.trim().trim_matches(['"', '\'']).trim_start_matches("./").starts_with(".yarn/")
                })
            };
            lines().any(path)
        }
        _ => false,
    }
}
