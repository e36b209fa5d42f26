//! What buildx bake 0.36.0 printed for the same input, in `expressions.tsv` and `cases.json`.

#![expect(unused_crate_dependencies, reason = "the dependencies are those of the library")]

use std::{collections::BTreeMap, path::Path};

use buildscope_bake::{Definition, Error, File, Inputs, ListFormat};
use serde_json::Value as Json;

fn inputs() -> Inputs {
    let builtins = [("BAKE_CMD_CONTEXT", "cwd://"), ("BAKE_LOCAL_PLATFORM", "linux/amd64")];
    let builtins = builtins.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let environment = BTreeMap::from([("HOME".to_owned(), "/root".to_owned())]);
    Inputs { builtins: builtins.into(), environment, ..Inputs::default() }
}

/// One line for each expression: the text, a tab, and the JSON of its value, or `error`. A text after `@` is JSON.
#[test]
fn expressions_have_the_values_of_the_reference() {
    let mut wrong = Vec::new();
    for line in include_str!("expressions.tsv").lines() {
        let (written, expected) = line.rsplit_once('\t').expect("a tab");
        let expression: String = match written.strip_prefix('@') {
            Some(json) => serde_json::from_str(json).expect("JSON"),
            None => written.to_owned(),
        };
        let text = format!("v = {expression}\ntarget \"default\" {{\n  args = {{ r = jsonencode(v) }}\n}}\n");
        let file = File { name: "docker-bake.hcl".into(), text };
        let value = Definition::read(&[file], &inputs())
            .and_then(|definition| definition.select(&["default".into()], &[], &BTreeMap::new()))
            .map(|selection| selection.targets["default"].args["r"].clone());
        let value = value.unwrap_or_else(|_| "error".into());
        if value != expected {
            wrong.push(format!("{expression}\n  expected {expected}\n  got      {value}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn commands_print_what_the_reference_prints() {
    let cases: Vec<Json> = serde_json::from_str(include_str!("cases.json")).expect("JSON");
    let mut wrong = Vec::new();
    for case in &cases {
        let command: Vec<&str> = case["command"].as_array().expect("a list").iter().filter_map(Json::as_str).collect();
        let mut inputs = inputs();
        for (name, value) in case["environment"].as_object().expect("a map") {
            inputs.environment.insert(name.clone(), value.as_str().unwrap_or_default().to_owned());
        }
        match (print(&command, inputs), case["prints"].as_str()) {
            (Ok(printed), Some(expected)) if printed == expected => {}
            (Err(_), None) => {}
            (printed, expected) => wrong.push(format!("{command:?}\nexpected {expected:?}\ngot      {printed:?}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

fn print(command: &[&str], mut inputs: Inputs) -> Result<String, Error> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let (mut files, mut names, mut settings, mut list) = (Vec::new(), Vec::new(), Vec::new(), None);
    let mut words = command.iter().copied();
    while let Some(word) = words.next() {
        let mut value = || words.next().expect("a value").to_owned();
        match word {
            "-f" => {
                let name = value();
                files.push(File { text: std::fs::read_to_string(folder.join(&name)).expect("a file"), name });
            }
            "--set" => settings.push(value()),
            "--list" => list = Some(value()),
            "--var" => {
                let value = value();
                let (name, value) = value.split_once('=').expect("a value");
                inputs.variables.insert(name.into(), value.into());
            }
            name => names.push(name.to_owned()),
        }
    }
    let definition = Definition::read(&files, &inputs)?;
    if names.is_empty() {
        names.push("default".into());
    }
    Ok(match list.as_deref() {
        Some("targets") => definition.list_targets(ListFormat::Table),
        Some(_) => definition.list_variables(ListFormat::Table),
        None => definition.select(&names, &settings, &inputs.environment)?.print() + "\n",
    })
}

/// Faults name the file, the line and the column at which they are.
#[test]
fn faults_name_their_place() {
    for (name, text, place) in [
        ("docker-bake.hcl", "target \"a\" {\n  args = {\n    x = nope\n  }\n}\n", "docker-bake.hcl:3:9: "),
        ("docker-bake.hcl", "target \"a\" {\n  tags = \n}\n", "docker-bake.hcl:2:"),
        ("docker-bake.hcl", "target \"a\" {\n  tags = [upper(1, 2)]\n}\n", "docker-bake.hcl:2:11: "),
        ("docker-bake.hcl", "target \"a\" {\n  pull = \"maybe\"\n}\n", "docker-bake.hcl:2:10: "),
        ("docker-bake.hcl", "target \"a/b\" {}\n", "docker-bake.hcl:1:1: "),
        ("docker-bake.hcl", "variable \"A\" {\n  default = A\n}\n", "docker-bake.hcl:2:13: variable cycle"),
        ("docker-bake.json", "{\"target\": {\"a\":\n {\"tags\": [\"${x}\"]}}}", "docker-bake.json:2:12: "),
        ("docker-bake.json", "{\"target\": {,}}", "docker-bake.json:1:"),
        ("compose.yaml", "services:\n  a:\n    build: [\n", "compose.yaml:"),
        ("compose.yaml", "services:\n  a:\n    build:\n      context: ${X:?set it}\n", "compose.yaml:4:7: "),
        ("compose.yaml", "services:\n  a:\n    build:\n      unknown: x\n", "compose.yaml:2:3: "),
    ] {
        let file = File { name: name.into(), text: text.into() };
        let error = Definition::read(&[file], &inputs()).expect_err(text).to_string();
        assert!(error.starts_with(place), "{text}\n{error}");
    }
}

/// A validation of a variable fails with its message, at its condition.
#[test]
fn validations_fail_with_their_message() {
    let text = "variable \"TAG\" {\n  default = \"x\"\n  validation {\n    condition = TAG != \"\"\n    error_message = \"TAG must be set\"\n  }\n}\ntarget \"a\" {}\n";
    let file = File { name: "docker-bake.hcl".into(), text: text.into() };
    assert!(Definition::read(std::slice::from_ref(&file), &inputs()).is_ok());
    let mut empty = inputs();
    empty.variables.insert("TAG".into(), String::new());
    let error = Definition::read(&[file], &empty).expect_err("the condition is false");
    assert_eq!(error.to_string(), "docker-bake.hcl:4:17: TAG must be set");
}
