//! The commands that read records, run as a user does. They need no builder: `scripts/test` runs these tests without it too.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../reports/record/tests/examples").join(name)
}

fn buildscope(arguments: &[&str]) -> Output {
    let root = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_buildscope"));
    command.args(arguments).env("BUILDSCOPE_ROOT", root.path()).output().unwrap()
}

fn succeeds(arguments: &[&str]) -> String {
    let output = buildscope(arguments);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_record_is_explained_replayed_compared_and_imported() {
    let [serial, instructions] = ["diamond.serial.json", "diamond.instructions.json"].map(example);
    let [serial, instructions] = [serial.to_str().unwrap(), instructions.to_str().unwrap()];
    let explanation: Value = serde_json::from_str(&succeeds(&["explain", instructions, "--format", "json"])).unwrap();
    assert!(explanation["steps"].as_array().is_some_and(|steps| !steps.is_empty()));
    assert!(succeeds(&["whatif", instructions, "--jobs", "1"]).contains("instead of"));
    assert!(succeeds(&["compare", serial, instructions]).contains("COPY"));
    let imported: Value = serde_json::from_str(&succeeds(&["import", instructions])).unwrap();
    assert!(imported["steps"].as_array().is_some_and(|steps| !steps.is_empty()));
}

#[test]
fn an_empty_history_is_listed() {
    assert_eq!(succeeds(&["history", "list"]), "");
}

#[test]
#[cfg(not(feature = "build"))]
fn without_the_builder_only_the_text_is_checked() {
    let folder = tempfile::tempdir().unwrap();
    let context = folder.path().to_str().unwrap();
    std::fs::write(folder.path().join("Dockerfile"), "FROM nowhere AS Big\nCOPY a b\n").unwrap();
    let checked = buildscope(&["check", context]);
    assert_eq!(checked.status.code(), Some(1), "{checked:?}");
    assert!(String::from_utf8_lossy(&checked.stdout).contains("StageNameCasing"), "{checked:?}");
    assert!(String::from_utf8_lossy(&checked.stderr).contains("compiled without the builder"), "{checked:?}");
    for arguments in [&["check", "--graph", "dot", context][..], &["explain", context], &["build", context]] {
        assert_eq!(buildscope(arguments).status.code(), Some(2), "{arguments:?}");
    }
}
