//! Facts about a project with the usual files of its kind.

use super::facts::Facts;
use std::collections::BTreeSet;

/// The files of projects in many languages. For examples and tests.
const FILES: &[&str] = &[
    "package.json",
    "package-lock.json",
    "yarn.lock",
    "pnpm-lock.yaml",
    "bun.lock",
    "requirements.txt",
    "pyproject.toml",
    "uv.lock",
    "poetry.lock",
    "pdm.lock",
    "Pipfile",
    "Pipfile.lock",
    "go.mod",
    "go.sum",
    "Gemfile",
    "Gemfile.lock",
    "composer.json",
    "composer.lock",
    "App.csproj",
    "mix.exs",
    "mix.lock",
    "pubspec.yaml",
    "pubspec.lock",
    "environment.yml",
    "env.yml",
    "Package.swift",
    "Package.resolved",
    "stack.yaml",
    "package.yaml",
    "deps/prod.txt",
    "web/package.json",
    "web/package-lock.json",
    "web/yarn.lock",
    "frontend/package.json",
    "frontend/package-lock.json",
    "src/App/App.csproj",
    "src/main.c",
    "Cargo.toml",
    "Cargo.lock",
    "pom.xml",
    "mvnw",
];

/// A context with the files that commands usually need. The output of the commands is unknown.
#[derive(Debug)]
pub struct UsualFiles(BTreeSet<String>);

impl Default for UsualFiles {
    fn default() -> Self {
        Self(FILES.iter().map(|name| (*name).to_owned()).collect())
    }
}

impl UsualFiles {
    /// Whether the context has this file.
    pub fn contains(&self, name: &str) -> bool {
        self.0.contains(name)
    }
}

impl Facts for UsualFiles {
    fn files(&self, _: usize) -> Option<&BTreeSet<String>> {
        Some(&self.0)
    }

    fn output(&self, _: usize) -> Option<&[String]> {
        Some(&[])
    }

    fn text(&self, path: &str) -> Option<String> {
        self.contains(path).then(|| if path.ends_with(".json") { "{}".to_owned() } else { String::new() })
    }

    fn is_complete(&self) -> bool {
        true
    }
}
