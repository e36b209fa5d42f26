//! `buildscope check`, run as a user does.

use serde_json::Value;
use std::process::{Command, Output};

fn check(text: &str, flags: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("Dockerfile"), text).unwrap();
    std::fs::write(folder.path().join(".dockerignore"), "hidden\n").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_buildscope"));
    command.arg("check").args(flags).arg(folder.path()).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_str(&stdout(output)).unwrap_or_else(|error| panic!("{error}: {}", stdout(output)))
}

#[test]
fn nothing_found_is_success() {
    let output = check("FROM scratch\nCOPY a /a\n", &[]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(stdout(&output).ends_with("Dockerfile: nothing found\n"));
}

#[test]
fn our_own_rules_fail_a_check_only_on_request() {
    let text = "FROM python\nRUN pip install flask\n";
    let advised = check(text, &[]);
    assert_eq!(advised.status.code(), Some(0), "{advised:?}");
    assert!(stdout(&advised).contains("MissingCacheMount"), "{advised:?}");
    assert_eq!(check(text, &["--strict"]).status.code(), Some(1));
    assert_eq!(
        check(&format!("# check=error=true\n{text}"), &[]).status.code(),
        Some(0),
        "that is about BuildKit's rules"
    );
    assert_eq!(check("FROM python AS Big\n", &[]).status.code(), Some(1), "a rule of BuildKit");
}

/// The context says which files there are and what their installs run.
#[test]
fn advice_names_the_files_of_the_context() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("Dockerfile", "FROM node\nWORKDIR /app\nCOPY . .\nRUN cd frontend && npm install\n");
    write("frontend/package.json", "{}");
    let run = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_buildscope"));
        stdout(&command.arg("check").arg(folder.path()).output().unwrap())
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    };
    let printed = run();
    assert!(printed.contains("copy frontend/package.json alone before"), "there is no lock file: {printed}");
    write("Dockerfile", "FROM node\nWORKDIR /app\nCOPY . .\nRUN npm install\n");
    assert!(!run().contains("CopyBeforeInstall"), "the package.json is not of this directory");
}

#[test]
fn findings_have_names_positions_and_help() {
    let text = "FROM alpine AS Big\nMAINTAINER me\nCOPY hidden /h\n";
    let output = check(text, &["--format", "json", "--rules", "experimental=all"]);
    assert_eq!(output.status.code(), Some(1));
    let report = json(&output);
    let found: Vec<_> = report["warnings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|warning| {
            (warning["ruleName"].as_str().unwrap(), warning["location"]["ranges"][0]["start"]["line"].as_u64().unwrap())
        })
        .collect();
    assert_eq!(found, [("StageNameCasing", 1), ("MaintainerDeprecated", 2), ("CopyIgnoredFile", 3)]);
    assert!(report["warnings"].as_array().unwrap().iter().all(|warning| !warning["help"].as_str().unwrap().is_empty()));
    let skipped = check(text, &["--rules", "skip=StageNameCasing,MaintainerDeprecated"]);
    assert_eq!(skipped.status.code(), Some(0), "{skipped:?}");
}

#[test]
#[cfg(feature = "build")]
fn every_error_of_a_file_is_reported() {
    let output = check("# syntax=a\n# syntax=b\nFROM scratch\nCOPY --chwon=1 a b\nEXPOSE never\nUSER\n", &[]);
    assert_eq!(output.status.code(), Some(1));
    let printed = String::from_utf8(output.stderr).unwrap();
    for part in
        ["only one syntax parser directive", "did you mean chown", "never", "USER requires exactly one argument"]
    {
        assert!(printed.contains(part), "{part}: {printed}");
    }
    for broken in ["RUNN x", "EXPOSE never"] {
        let output = check(&format!("# check=error=maybe\nFROM scratch\n{broken}\n"), &["--format", "json"]);
        let errors = json(&output)["errors"].as_array().unwrap().len();
        assert_eq!(errors, 2, "the errors of the directive and of the instruction: {output:?}");
    }
    let dead = check("FROM scratch AS dead\nEXPOSE never\nFROM scratch\n", &["--format", "json"]);
    assert_eq!(json(&dead)["errors"][0]["line"], 2, "unneeded stages are checked, too");
}

#[test]
#[cfg(feature = "build")]
fn finer_policies_have_shorter_chains() {
    let text = "FROM base AS a\nRUN 1\nRUN 2\nFROM base AS b\nRUN 3\nFROM base\nRUN 4\nCOPY --from=a /x /x\nCOPY --from=b /x /y\n";
    let drawings = json(&check(text, &["--graph", "json"]));
    let chain = |n: usize| (drawings[n]["policy"].as_str().unwrap(), drawings[n]["longest_chain"].as_u64().unwrap());
    // Six steps do work. By stages, 1 and 2 precede 4 and both copies; by instructions, 4 does not wait for them.
    assert_eq!([chain(0), chain(1), chain(2)], [("serial", 6), ("stages", 5), ("instructions", 4)]);
    let dot = stdout(&check(text, &["--graph", "dot", "--policy", "stages"]));
    assert!(dot.starts_with("digraph \"stages\" {") && dot.contains("style=dashed, color"));
    let mermaid = stdout(&check(text, &["--graph", "mermaid", "--policy", "instructions"]));
    assert!(mermaid.contains("flowchart TB") && !mermaid.contains("-.->"));
}

#[test]
fn the_outline_lists_the_inputs_of_a_build() {
    let text = "ARG V=1\nFROM alpine:$V AS a\nRUN --mount=type=secret,id=token x\n";
    let outline = json(&check(text, &["--outline", "--format", "json"]));
    assert_eq!((&outline["args"][0]["name"], &outline["args"][0]["value"]), (&"V".into(), &"1".into()));
    assert_eq!((&outline["secrets"][0]["id"], &outline["stages"][0]["name"]), (&"token".into(), &"a".into()));
}

#[test]
#[cfg(feature = "build")]
fn undeclared_build_arguments_are_found() {
    let output = check("FROM scratch\nARG VERSION\nCOPY a /a\n", &["--build-arg", "VERSOIN=1"]);
    assert_eq!(output.status.code(), Some(0), "advice fails no check");
    assert!(
        stdout(&output).contains("UndeclaredBuildArg") && stdout(&output).contains("did you mean VERSION?"),
        "{output:?}"
    );
}

#[test]
#[cfg(feature = "build")]
fn a_source_that_expands_to_nothing_is_found_at_its_line() {
    let found = json(&check("FROM scratch\nARG f\nCOPY $f /x/\n", &["--format", "json"]));
    let warning = &found["warnings"][0];
    assert_eq!(warning["ruleName"], "EmptyCopySource");
    assert_eq!(warning["location"]["ranges"][0]["start"]["line"], 3);
}

/// The errors are of the first FROM, of a word, of an unknown instruction.
#[test]
#[cfg(feature = "build")]
fn findings_are_shown_besides_errors() {
    for text in [
        "FROM scratch as big\nMAINTAINER me\nFROM scratch:\n",
        "FROM scratch as big\nMAINTAINER me\nEXPOSE x\n",
        "FROM scratch as big\nMAINTAINER me\nFORM x\n",
    ] {
        let found = json(&check(text, &["--format", "json"]));
        assert!(found["error"]["message"].is_string(), "{text}");
        let rules: Vec<_> = found["warnings"].as_array().unwrap().iter().map(|found| &found["ruleName"]).collect();
        // As BuildKit does, for the name that is the error.
        let name = text.contains("scratch:").then_some("InvalidDefaultArgInFrom");
        let expected: Vec<_> = ["FromAsCasing", "MaintainerDeprecated"].into_iter().chain(name).collect();
        assert_eq!(rules, expected, "{text}");
        let shown = check(text, &[]);
        assert!(stdout(&shown).contains("MaintainerDeprecated") && shown.status.code() == Some(1), "{text}");
    }
}

#[test]
#[cfg(feature = "build")]
fn a_platform_may_be_one_word() {
    let output = check("FROM --platform=arm64 scratch AS on-arm64\n", &["--platform", "amd64"]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(check("FROM scratch\n", &["--platform", "nosuch"]).status.code(), Some(2));
}

/// Without a store, base images are unknown. Checking a file must not create a store.
#[test]
#[cfg(feature = "build")]
fn unknown_bases_are_reported_once_without_a_store() {
    let place = tempfile::tempdir().unwrap();
    let root = place.path().join("store");
    let text = "FROM here.example/base AS build\nFROM here.example/base\nCOPY --from=biuld /a /b\n";
    let output = check(text, &["--root", root.to_str().unwrap()]);
    let printed = String::from_utf8(output.stderr).unwrap();
    let once = "triggers and platforms: biuld (did you mean the stage build?), here.example/base\n";
    assert!(printed.starts_with("note: ") && printed.ends_with(once) && printed.lines().count() == 1, "{printed}");
    assert!(!root.exists());
}
