//! Prints what could be written instead in Dockerfiles, with the changed text. It assumes that the files exist which the commands need.
//!
//! `cargo run -p buildscope-commands --example rewrites -- Dockerfile...`

#![allow(clippy::print_stdout, reason = "an example prints its result")]

use buildscope_commands::rules::{Edit, UsualFiles, late_installs, missing_caches, needless_chains, recursive_changes};
use buildscope_commands::{Environments, File, InstructionLine, Source, diff};

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
        InstructionLine { text, stage }
    });
    let file = File::read(&lines.collect::<Vec<_>>(), &Environments::new());
    let facts = UsualFiles::default();
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
