//! Prints what could be written instead in Dockerfiles, with the changed text. It assumes that the files exist which the commands need.
//!
//! `cargo run -p buildscope-commands --example rewrites -- Dockerfile...`

#![allow(clippy::print_stdout, reason = "an example prints its result")]

use buildscope_commands::rules::{Edit, Facts, late_installs, missing_caches, needless_chains, recursive_changes};
use buildscope_commands::{Environments, File, Line, Source, diff};
use std::collections::BTreeSet;

/// Files that most projects of their kind have.
#[derive(Debug)]
struct Usual(BTreeSet<String>);

impl Usual {
    fn new() -> Self {
        let names = [
            "package.json",
            "package-lock.json",
            "yarn.lock",
            "pnpm-lock.yaml",
            "bun.lock",
            "requirements.txt",
            "pyproject.toml",
            "uv.lock",
            "poetry.lock",
            "Pipfile",
            "Pipfile.lock",
            "go.mod",
            "go.sum",
            "Cargo.toml",
            "Cargo.lock",
            "pom.xml",
            "mvnw",
            "Gemfile",
            "Gemfile.lock",
            "composer.json",
            "composer.lock",
            "App.csproj",
            "mix.exs",
            "mix.lock",
            "pubspec.yaml",
            "environment.yml",
        ];
        Self(names.iter().map(|name| (*name).to_owned()).collect())
    }
}

impl Facts for Usual {
    fn files(&self, _: usize) -> Option<&BTreeSet<String>> {
        Some(&self.0)
    }

    fn output(&self, _: usize) -> Option<&[String]> {
        Some(&[])
    }

    fn text(&self, _: &str) -> Option<String> {
        None
    }

    fn is_complete(&self) -> bool {
        true
    }
}

fn main() -> std::io::Result<()> {
    for path in std::env::args().skip(1) {
        let text = String::from_utf8_lossy(&std::fs::read(&path)?).into_owned();
        show(&path, &text);
    }
    Ok(())
}

fn show(path: &str, text: &str) {
    let source = Source::read(text);
    let texts: Vec<String> = source.instructions().collect();
    let mut stage = None;
    let lines = texts.iter().map(|text| {
        if text.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("from ")) {
            stage = Some(stage.map_or(0, |stage| stage + 1));
        }
        Line { text, stage }
    });
    let file = File::read(&lines.collect::<Vec<_>>(), &Environments::new());
    let facts = Usual::new();
    let shown: Vec<&str> = texts.iter().map(String::as_str).collect();
    let known: Vec<_> = texts.iter().map(|text| (text.as_str(), None)).collect();
    let places = source.places(&known);
    let print = |what: String, edits: &[Edit]| {
        println!("{path}: {what}");
        for line in diff(&shown, edits) {
            println!("    {line}");
        }
        if !edits.is_empty() && source.applied(edits, &places).is_none() {
            println!("    the change cannot be applied");
        }
    };
    for found in late_installs(&file, &facts) {
        print(format!("order: {}", found.remedy(&format!("`{}`", shown[found.run]))), &found.edits);
    }
    for found in missing_caches(&file, &facts) {
        print(format!("cache: `{}`: {}; {}", shown[found.run], found.flags(), found.conditions()), &found.edits);
    }
    for found in recursive_changes(&file) {
        print(format!("owner: `{}`: {} {}", shown[found.run], found.program, found.path), &found.edits);
    }
    for found in needless_chains(&file) {
        print(format!("chain: `{}` waits for `{}`", shown[found.second], shown[found.first]), &[]);
    }
}
