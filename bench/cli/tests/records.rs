//! The commands that read records, run as a user does. They need no builder: `scripts/test` runs these tests without it too.

use serde_json::Value;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

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

/// `--why-miss` takes the earlier build, and two builds behind it are the earlier and the later one.
#[test]
fn a_comparison_of_builds_says_which_is_which() {
    let folder = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(example("diamond.serial.json")).unwrap();
    let mut record: Value = serde_json::from_str(&text).unwrap();
    let [before, now] = ["before.json", "now.json"].map(|name| {
        record["started"] =
            if name == "now.json" { "2026-03-01T10:00:01Z".into() } else { "2026-03-01T10:00:00Z".into() };
        let path = folder.path().join(name);
        std::fs::write(&path, record.to_string()).unwrap();
        path.to_str().unwrap().to_owned()
    });
    let said = |arguments: &[&str]| String::from_utf8(buildscope(arguments).stderr).unwrap();
    let compared = format!("note: compares `{now}` with the earlier `{before}`\n");
    for arguments in [&["explain", &now, "--why-miss", &before][..], &["explain", "--why-miss", &before, &now]] {
        let said = said(arguments);
        assert!(said.contains(&compared) && !said.contains("began before"), "{arguments:?}: {said}");
    }
    let turned = said(&["explain", &before, "--why-miss", &now]);
    assert!(turned.contains(&format!("`{before}` began before `{now}`")), "{turned}");
    let same = said(&["explain", &now, "--why-miss", &now]);
    assert!(same.contains("are the same build"), "{same}");
}

/// Two steps of 1 and 1.2 s: one slot takes 2.2 s, two machines of one slot 1.2 s, the round trips and the
/// cost of a step on another machine.
#[test]
fn a_record_is_replayed_on_several_machines() {
    let record = example("diamond.instructions.json");
    let record = record.to_str().unwrap();
    let network = ["--bandwidth", "1Gbit/s", "--rtt", "10ms"];
    let arguments = |more: &[&'static str]| [&["whatif", record, "--jobs", "1"][..], &network, more].concat();
    let text = succeeds(&arguments(&["--machines", "2"]));
    assert!(text.contains("2 machines pay: one such machine takes 2.21 s."), "{text}");
    assert!(text.contains("caveat: the size of one layer or base image is not in the record"), "{text}");
    assert!(text.contains("1 (this one)"), "{text}");
    let json: Value = serde_json::from_str(&succeeds(&arguments(&["--machines", "2", "--json"]))).unwrap();
    assert_eq!(json["machines"]["verdict"], "pays");
    assert_eq!(json["machines"]["bandwidth"], 125e6);
    assert!((1_210_000_000..1_300_000_000).contains(&json["wall"].as_u64().unwrap()), "{}", json["wall"]);
    let wall = |more: &[&'static str]| {
        let json: Value = serde_json::from_str(&succeeds(&arguments(more))).unwrap();
        json["wall"].as_u64().unwrap()
    };
    assert!(wall(&["--machines", "2", "--step-cost", "500ms", "--json"]) >= 1_500_000_000);
    let text = succeeds(&arguments(&["--machines", "2", "--same-host"]));
    assert!(text.contains("share the processors of one host"), "{text}");
    let table = succeeds(&arguments(&["--machines", "1,2,4"]));
    let rows: Vec<Vec<_>> = table.lines().map(|line| line.split_whitespace().take(4).collect()).collect();
    assert_eq!(rows[0], ["machines", "bandwidth", "jobs", "cores"]);
    assert_eq!(rows[1..].iter().map(|row| row[0]).collect::<Vec<_>>(), ["1", "2", "4"]);
    let many = succeeds(&arguments(&["--machines", "100"]));
    assert!(many.contains("98 of them have nothing to do."), "{many}");
    let unlimited = succeeds(&["whatif", record, "--machines", "2"]);
    assert!(unlimited.contains("2 machines do not pay because of the longest path"), "{unlimited}");
    for refused in [
        &["whatif", record, "--bandwidth", "1Gbit/s"][..],
        &["whatif", record, "--rtt", "10ms"],
        &["whatif", record, "--machines", "0"],
        &["whatif", record, "--machines", "2", "--bandwidth", "100"],
        &["whatif", record, "--machines", "2", "--rtt", "10kg"],
    ] {
        assert_eq!(buildscope(refused).status.code(), Some(2), "{refused:?}");
    }
}

#[test]
fn the_time_of_a_build_is_divided_as_docker_desktop_does() {
    let log = tempfile::NamedTempFile::new().unwrap();
    let text = "2026-03-01T10:00:00Z #1 [internal] load build context\n2026-03-01T10:00:02Z #1 DONE 2.0s\n\
                2026-03-01T10:00:02Z #2 [1/2] COPY . .\n2026-03-01T10:00:03Z #2 DONE 1.0s\n\
                2026-03-01T10:00:03Z #3 [2/2] RUN make\n2026-03-01T10:00:10Z #3 DONE 7.0s\n";
    std::fs::write(log.path(), text).unwrap();
    let path = log.path().to_str().unwrap();
    let table = succeeds(&["explain", path, "--by", "docker-desktop"]);
    for row in
        ["Executions 7.00 s 70 %", "Local file transfers 2.00 s 20 %", "File operations 1.00 s 10 %", "total 10.0 s"]
    {
        let words: Vec<_> = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert!(words.iter().any(|line| line.starts_with(row)), "{row}: {table}");
    }
    assert!(
        succeeds(&["whatif", path, "--without", "class:executions"]).contains("3.00 s"),
        "seven of ten seconds are gone"
    );
    assert_eq!(
        buildscope(&["whatif", path, "--without", "class:git"]).status.code(),
        Some(2),
        "nothing is of this class"
    );
}

/// A log of a CI job that builds twice: 5 s and 10 s.
const TWO_BUILDS: &str = "2026-03-01T10:00:00Z #1 [1/1] RUN test
2026-03-01T10:00:05Z #1 DONE 5.0s
2026-03-01T10:00:20Z #1 [1/1] RUN make
2026-03-01T10:00:30Z #1 DONE 10.0s
";

/// Runs the command with the log as its standard input.
fn explains_standard_input(arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_buildscope"));
    let command = command.args(["explain", "-"]).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(TWO_BUILDS.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_log_comes_from_standard_input_and_its_builds_are_chosen() {
    let slowest = explains_standard_input(&[]);
    assert!(slowest.starts_with("The build took 10.0 s"), "{slowest}");
    assert!(slowest.contains("this is build 2, the slowest") && slowest.contains("build 1: 5.00 s"), "{slowest}");
    let first = explains_standard_input(&["--build", "1"]);
    assert!(first.starts_with("The build took 5.00 s"), "{first}");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), TWO_BUILDS).unwrap();
    let path = file.path().to_str().unwrap();
    let imported: Value = serde_json::from_str(&succeeds(&["import", path, "--build", "1"])).unwrap();
    assert_eq!(imported["wall"], 5_000_000_000_u64);
    let refused = buildscope(&["explain", path, "--build", "3"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("build 3 of a file with 2"), "{refused:?}");
}

#[test]
fn an_error_says_which_file_cannot_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (empty, missing) = (file("empty", ""), folder.path().join("none.json"));
    for (arguments, reasons) in [
        (["explain", missing.to_str().unwrap()], ["cannot read", "none.json"]),
        (["explain", &empty], ["cannot read", "it is empty"]),
        (["explain", "-"], ["cannot read standard input", "it is empty"]),
        (["report", missing.to_str().unwrap()], ["cannot read", "none.json"]),
    ] {
        let refused = buildscope(&arguments);
        let message = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(2), "{arguments:?}: {message}");
        assert!(reasons.iter().all(|reason| message.contains(reason)), "{arguments:?}: {message}");
    }
}

#[test]
fn other_files_of_a_directory_are_left_out_of_a_fleet_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(example("diamond.serial.json"), folder.path().join("record.json")).unwrap();
    for name in ["a", "b", "c", "d", "e"] {
        std::fs::write(folder.path().join(name), "text").unwrap();
    }
    let output = buildscope(&["fleet", folder.path().to_str().unwrap()]);
    let (text, warnings) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(text.starts_with("1 build took"), "{text}");
    assert_eq!(warnings.lines().count(), 1, "{warnings}");
    assert!(warnings.trim_end().ends_with("c and 2 more"), "{warnings}");
    // A file that was named is one that should be read.
    let named = buildscope(&["fleet", folder.path().join("a").to_str().unwrap()]);
    assert!(String::from_utf8_lossy(&named.stderr).contains("no known format"), "{named:?}");
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

/// `-` is standard output for each document, and then it has nothing else. No file of that name is left.
#[test]
fn one_document_goes_to_standard_output() {
    let folder = tempfile::tempdir().unwrap();
    let record = example("inside.json");
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_buildscope"));
        command.arg("explain").arg(&record).args(arguments).current_dir(&folder).env("BUILDSCOPE_ROOT", folder.path());
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let weight = |line: &str| {
        line.rsplit_once(' ').is_some_and(|(stack, weight)| stack.contains(';') && weight.parse::<u64>().is_ok())
    };
    let (code, stacks, _) = run(&["--folded", "-"]);
    assert!(code == Some(0) && stacks.lines().count() > 1 && stacks.lines().all(weight), "{stacks}");
    let (_, trace, _) = run(&["--trace", "-"]);
    assert!(serde_json::from_str::<Value>(&trace).unwrap()["traceEvents"].is_array());
    let (code, _, refused) = run(&["--trace", "-", "--folded", "-"]);
    assert!(code == Some(2) && refused.contains("--trace - --folded -: only one of them"), "{refused}");
    let (code, _, refused) = run(&["--output", "-", "--folded", "-"]);
    assert!(code == Some(2) && refused.contains("--output - --folded -"), "{refused}");
    // Both are written if the explanation has a file.
    let (_, again, _) = run(&["--folded", "-", "--output", "explanation.txt"]);
    assert_eq!(again, stacks);
    assert!(std::fs::read_to_string(folder.path().join("explanation.txt")).unwrap().contains("The build took"));
    assert!(!folder.path().join("-").exists());
}
