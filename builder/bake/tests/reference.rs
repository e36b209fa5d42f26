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
        inputs.file_relative = inputs.environment.contains_key("BUILDX_BAKE_FILE_RELATIVE_PATHS");
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
        Some("type=targets,format=json") => definition.list_targets(ListFormat::Json),
        Some("type=variables,format=json") => definition.list_variables(ListFormat::Json),
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
        ("compose.yaml", "services:\n  a:\n    build:\n      ulimits: [core=0]\n", "compose.yaml:2:3: "),
        (
            "compose.yaml",
            "services:\n  a:\n    build:\n      ulimits: {core: {soft: 1, hard: 2, x: 3}}\n",
            "compose.yaml:2:3: ",
        ),
    ] {
        let file = File { name: name.into(), text: text.into() };
        let error = Definition::read(&[file], &inputs()).expect_err(text).to_string();
        assert!(error.starts_with(place), "{text}\n{error}");
    }
}

#[test]
fn inputs_that_the_reference_refuses_are_refused() {
    for (name, text) in [
        ("docker-bake.hcl", "target \"default\" {\n  platforms = [\"bogus\"]\n}\n"),
        ("docker-bake.hcl", "target \"default\" {\n  contexts = { a = null }\n}\n"),
        ("compose.yaml", "services:\n  a:\n    build:\n      cache_from: x\n"),
        ("compose.yaml", "services:\n  a:\n    build:\n      tags: x\n"),
    ] {
        let file = File { name: name.into(), text: text.into() };
        let read = Definition::read(&[file], &inputs());
        let selected = read.and_then(|read| read.select(&["default".into()], &[], &BTreeMap::new()));
        assert!(selected.is_err(), "{text}");
    }
}

#[test]
fn the_file_of_a_policy_is_printed_before_its_data() {
    let text = "target \"default\" {\n  policy = [\"filename=p\"]\n}\n".to_owned();
    let definition = Definition::read(&[File { name: "docker-bake.hcl".into(), text }], &inputs()).expect("valid");
    let printed = definition.select(&["default".into()], &[], &BTreeMap::new()).expect("a target").print();
    assert!(printed.contains("\"Filename\": \"p\",\n              \"Data\": null\n"), "{printed}");
}

/// The YAML library takes minutes for these.
#[test]
fn brackets_of_a_compose_file_are_nested_to_a_limit() {
    for deep in ["[".repeat(100_000) + &"]".repeat(100_000), "{a: ".repeat(100_000)] {
        let file = File { name: "compose.yaml".into(), text: format!("services:\n  a: {deep}\n") };
        let error = Definition::read(&[file], &inputs()).expect_err("too deep").to_string();
        assert!(
            error.starts_with("compose.yaml:2:") && error.ends_with("brackets are nested more than 1000 deep"),
            "{error}"
        );
    }
    let flat = format!("services: {{a: {{build: {{context: ., args: [{}]}}}}}}\n", "'{', ".repeat(900));
    let file = File { name: "compose.yaml".into(), text: flat };
    let read = Definition::read(&[file], &inputs());
    assert!(read.as_ref().is_err_and(|error| !error.message.contains("nested")) || read.is_ok(), "{read:?}");
}

/// Small files that ask for much work end with an error, or are fast.
#[test]
fn definitions_that_grow_are_bounded() {
    let chain = |first: &str, next: fn(usize) -> String| first.to_owned() + &(2..60).map(next).collect::<String>();
    let numbers = "variable \"x1\" {\n default = 99\n}\n";
    let squares = chain(numbers, |n| format!("variable \"x{n}\" {{\n default = x{0} * x{0}\n}}\n", n - 1));
    let products = chain(numbers, |n| format!("variable \"x{n}\" {{\n default = multiply(x{0}, x{0})\n}}\n", n - 1));
    let functions =
        "function \"f0\" {\n params = [a]\n result = a\n}\nfunction \"f1\" {\n params = [a]\n result = f0(a)\n}\n";
    let calls =
        chain(functions, |n| format!("function \"f{n}\" {{\n params = [a]\n result = f{}(f{}(a))\n}}\n", n - 1, n - 2));
    let many = (0..20_000).map(|n| format!("target \"t{n}\" {{ tags = [\"t\"] }}\n")).collect();
    let lists = chain(numbers, |n| format!("variable \"x{n}\" {{\n default = [x{0}, x{0}]\n}}\n", n - 1));
    let nested: String =
        (2..400).map(|n| format!("variable \"x{n:03}\" {{\n default = [x{:03}]\n}}\n", n - 1)).collect();
    let nested = nested + "variable \"x001\" {\n default = 1\n}\n";
    let call = |call: &str| {
        format!(
            "variable \"s\" {{\n default = \"{}\"\n}}\ntarget \"a\" {{\n tags = [{call}]\n}}\n",
            "x\\n".repeat(5000)
        )
    };
    for (text, error) in [
        (squares, Some("a number has at most 4096 digits")),
        (products, Some("a number has at most 4096 digits")),
        (calls, None),
        (many, None),
        (lists, Some("the values of the definition take more than 256 MiB")),
        (nested, Some("values are nested more than 256 deep")),
        (call("replace(s, \"x\", s)"), Some("a text is longer than 1 MiB")),
        (call("regex_replace(s, \"x\", s)"), Some("a text is longer than 1 MiB")),
        (call("join(s, range(1000))"), Some("a text is longer than 1 MiB")),
        (call("indent(4096, s)"), Some("a text is longer than 1 MiB")),
        (call(&format!("format(\"{}\", s)", "%[1]s".repeat(1000))), Some("a text is longer than 1 MiB")),
        (call("length(formatlist(\"%[1]s%[1]s%d\", s, range(1000), range(1000)))"), Some("uses")),
        (
            call("length(csvdecode(\"${replace(s, \"\\n\", \"\")}\\n${s}${s}${s}${s}\"))"),
            Some("the result takes more than 64 MiB"),
        ),
        (
            call("length([for a in range(1000): [for b in range(100): s]])"),
            Some("the values of the definition take more than 256 MiB"),
        ),
    ] {
        let file = File { name: "docker-bake.hcl".into(), text: text.clone() };
        let read = Definition::read(&[file], &inputs());
        match error {
            Some(words) => {
                assert!(read.as_ref().is_err_and(|error| error.message.contains(words)), "{words}: {read:?}")
            }
            None => assert!(read.is_ok(), "{:?}", read.err()),
        }
    }
}

/// A stack of 8 MiB, as the main thread has, is enough for each chain that is allowed.
#[test]
fn expressions_refer_to_each_other_to_a_limit() {
    let variables = |count: usize| -> String {
        let chain = (1..count).map(|n| format!("variable \"x{n:05}\" {{\n default = ((x{:05}))\n}}\n", n + 1));
        chain.collect::<String>() + &format!("variable \"x{count:05}\" {{\n default = 1\n}}\n")
    };
    let targets: String = (1..20_000)
        .map(|n| format!("target \"x{n:05}\" {{\n args = {{ A = target.x{:05}.args.A }}\n}}\n", n + 1))
        .collect();
    let read = move || {
        let read = |text: String| Definition::read(&[File { name: "docker-bake.hcl".into(), text }], &inputs());
        let refused = |text| read(text).unwrap_err().message.ends_with("more than 500 deep");
        assert!(read(variables(160)).is_ok());
        assert!(
            refused(variables(200))
                && refused(variables(20_000))
                && refused(targets.clone() + "target \"x20000\" {}\n")
        );
    };
    std::thread::Builder::new().stack_size(8 << 20).spawn(read).unwrap().join().unwrap();
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
