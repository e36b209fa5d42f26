//! Checks every row of the public tables about the Dockerfile language.
//!
//! `BUILDSCOPE_CONFORMANCE` names the folder that holds `tables/`.

use buildscope_builder::plan::quote;
use buildscope_dockerfile::{
    self as dockerfile, Arguments, Expander, Glob, Heredoc, Ignore, Keyword, Node, Syntax, Variables,
    expand::NoVariables,
};
use buildscope_testing::test;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    buildscope_testing::main()
}

fn table(name: &str) -> Value {
    let folder = PathBuf::from(std::env::var_os("BUILDSCOPE_CONFORMANCE").unwrap());
    let path = folder.join("tables").join(format!("{name}.json"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn rows<'a>(table: &'a Value, list: &str) -> impl Iterator<Item = &'a Value> {
    table[list].as_array().unwrap().iter()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// Collects failures, so that one run shows all of them.
#[derive(Default)]
struct Failures(Vec<String>, usize);

impl Failures {
    fn check(&mut self, passed: bool, what: impl FnOnce() -> String) {
        self.1 += 1;
        if !passed {
            self.0.push(what());
        }
    }

    fn report(self, table: &str) {
        eprintln!("{table}: {} of {} rows pass", self.1 - self.0.len(), self.1);
        assert!(self.0.is_empty(), "{}", self.0.join("\n"));
    }
}

struct AnyCase<'a>(&'a BTreeMap<String, String>);

impl Variables for AnyCase<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| &**value)
    }
}

#[test(Variable("BUILDSCOPE_CONFORMANCE"))]
fn variables_are_expanded() {
    let table = table("envvars");
    let variables: BTreeMap<String, String> = serde_json::from_value(table["env"].clone()).unwrap();
    let mut failures = Failures::default();
    for row in rows(&table, "cases") {
        // Windows ignores the case of variable names. That is a property of the variables, not of the expander.
        let expander = Expander::new('\\');
        let found = match &row["platform"] {
            platform if platform == "W" => expander.word(text(&row["input"]), &AnyCase(&variables)),
            _ => expander.word(text(&row["input"]), &variables),
        };
        failures.check(found.as_deref().ok() == row["expected"].as_str(), || format!("{row}: {found:?}"));
    }
    failures.report("envvars");
}

#[test(Variable("BUILDSCOPE_CONFORMANCE"))]
fn expansions_are_split_into_words() {
    let table = table("words");
    let mut failures = Failures::default();
    for row in rows(&table, "cases") {
        let pairs = rows(row, "env").map(|pair| text(pair).split_once('=').unwrap());
        let variables: BTreeMap<&str, String> = pairs.map(|(name, value)| (name, value.to_owned())).collect();
        let found = Expander::new('\\').words(text(&row["input"]), &variables);
        let expected: Option<Vec<String>> = serde_json::from_value(row["expected"].clone()).unwrap();
        failures.check(found.clone().ok() == expected, || format!("{row}: {found:?}"));
    }
    failures.report("words");
}

#[test(Variable("BUILDSCOPE_CONFORMANCE"))]
fn expansion_reports_the_variables_it_used() {
    let table = table("matches");
    let escape = text(&table["escape"]).chars().next().unwrap();
    let mut failures = Failures::default();
    for row in rows(&table, "cases") {
        let variables: BTreeMap<String, String> = serde_json::from_value(row["env"].clone()).unwrap();
        let found = Expander::new(escape).expand(text(&row["input"]), &variables);
        let names = |list: &str| rows(row, list).map(|name| text(name).to_owned()).collect();
        let passed = match &found {
            Ok(found) => {
                row["error"] == false
                    && found.text == text(&row["expected"])
                    && found.matched == names("matched")
                    && found.unmatched == names("unmatched")
            }
            Err(_) => row["error"] == true,
        };
        failures.check(passed, || format!("{row}: {found:?}"));
    }
    failures.report("matches");
}

#[test(Variable("BUILDSCOPE_CONFORMANCE"))]
fn ignore_patterns_match() {
    let table = table("ignore-patterns");
    let mut failures = Failures::default();
    let file = &table["ignorefile"];
    let lines = Ignore::lines(text(&file["input"]));
    failures.check(serde_json::json!(lines) == file["want"], || format!("{file}: {lines:?}"));
    for row in rows(&table, "matches") {
        let ignore = Ignore::from_patterns(rows(row, "patterns").map(text)).unwrap();
        let path = text(&row["path"]);
        let found = ignore.excludes(dockerfile::clean(path).trim_start_matches('/'));
        failures.check(row["want"] == found, || format!("{row}: {found}"));
    }
    for row in rows(&table, "legacyMatches") {
        let ignore = Ignore::from_patterns([text(&row["pattern"])]);
        let passed = match &ignore {
            Ok(ignore) => row["err"].is_null() && row["want"] == ignore.excludes(text(&row["path"])),
            Err(_) => !row["err"].is_null() && Glob::parse(text(&row["pattern"])).is_err(),
        };
        failures.check(passed, || format!("{row}: {ignore:?}"));
    }
    // The table's compiled form is only informative, but every pattern must be accepted.
    for row in rows(&table, "compile") {
        let ignore = Ignore::from_patterns([text(&row["pattern"])]);
        failures.check(ignore.is_ok(), || format!("{row}: {ignore:?}"));
    }
    failures.report("ignore-patterns");
}

#[test(Variable("BUILDSCOPE_CONFORMANCE"))]
fn dockerfiles_are_parsed() {
    let table = table("parser");
    let mut failures = Failures::default();
    for row in rows(&table, "sexpr") {
        let (syntax, faults) = Syntax::parse(text(&row["dockerfile"]));
        let found: String = syntax.nodes.iter().map(|node| format!("{}\n", sexpr(node))).collect();
        failures.check(faults.is_empty() && found == text(&row["result"]), || {
            format!("{}: {faults:?}\n{found}", row["name"])
        });
    }
    failures.report("dockerfiles_are_parsed");
}

#[test(Variable("BUILDSCOPE_CONFORMANCE"))]
fn malformed_dockerfiles_are_errors() {
    let table = table("parser");
    let mut failures = Failures::default();
    for row in rows(&table, "negative") {
        let (syntax, faults) = Syntax::parse(text(&row["dockerfile"]));
        let refused =
            (!faults.is_empty() || syntax.nodes.is_empty()) && dockerfile::parse(text(&row["dockerfile"])).is_err();
        failures.check(refused, || row.to_string());
    }
    failures.report("malformed_dockerfiles_are_errors");
}

#[test(Variable("BUILDSCOPE_CONFORMANCE"))]
fn instructions_have_their_lines() {
    let table = table("parser");
    let mut failures = Failures::default();
    let lines = &table["lines"];
    let (syntax, _) = Syntax::parse(text(&lines["dockerfile"]));
    let children: Vec<(u32, u32)> = syntax.nodes.iter().map(|node| node.lines).collect();
    failures.check(serde_json::json!(children) == lines["children"], || format!("lines: {children:?}"));
    let root = (children.first().map(|first| first.0), children.last().map(|last| last.1));
    failures.check(serde_json::json!(root) == lines["root"], || format!("lines: {root:?}"));
    failures.report("instructions_have_their_lines");
}

#[test(Variable("BUILDSCOPE_CONFORMANCE"))]
fn heredocs_are_extracted() {
    let table = table("parser");
    let mut failures = Failures::default();
    let extract = &table["heredocExtract"];
    let (syntax, faults) = Syntax::parse(text(&extract["dockerfile"]));
    failures.check(faults.is_empty(), || format!("{faults:?}"));
    for (node, expected) in syntax.nodes.iter().skip(1).zip(rows(extract, "tests")) {
        let found: Vec<Value> = node.heredocs.iter().map(heredoc).collect();
        let expected = expected.as_array().cloned().unwrap_or_default();
        failures.check(found == expected, || format!("{found:?}, not {expected:?}"));
    }
    failures.report("heredocs_are_extracted");
}

#[test(Variable("BUILDSCOPE_CONFORMANCE"))]
fn heredoc_starts_are_recognised() {
    let table = table("parser");
    let mut failures = Failures::default();
    for word in rows(&table, "heredocValidEOF") {
        let found = Heredoc::parse(text(word));
        failures.check(matches!(&found, Ok(Some(found)) if found.name == "EOF"), || format!("{word}: {found:?}"));
    }
    for word in rows(&table, "heredocInvalid") {
        failures.check(Heredoc::parse(text(word)).is_err(), || word.to_string());
    }
    for word in rows(&table, "heredocNot") {
        failures.check(matches!(Heredoc::parse(text(word)), Ok(None)), || word.to_string());
    }
    failures.report("heredoc_starts_are_recognised");
}

#[test(Variable("BUILDSCOPE_CONFORMANCE"))]
fn blank_lines_in_an_instruction_are_found() {
    let table = table("parser");
    let mut failures = Failures::default();
    let continuation = &table["emptyContinuation"];
    let file = dockerfile::parse(text(&continuation["dockerfile"])).unwrap();
    let blank: Vec<String> =
        file.instructions.iter().filter(|found| found.blank_inside.is_some()).map(|found| file.joined(found)).collect();
    failures.check(continuation["warnings"] == blank.len(), || format!("{blank:?}"));
    for expected in rows(continuation, "contains") {
        failures.check(blank.iter().any(|found| found.contains(text(expected))), || format!("{expected}: {blank:?}"));
    }
    failures.report("blank_lines_in_an_instruction_are_found");
}

#[test(Variable("BUILDSCOPE_CONFORMANCE"))]
fn lines_are_split_into_words() {
    let table = table("parser");
    let mut failures = Failures::default();
    for row in rows(&table, "parseWords") {
        let line = format!("ARG {}", text(&row["input"]));
        let (syntax, _) = Syntax::parse(&line);
        let Arguments::Words(words) = &syntax.nodes[0].arguments else { panic!("ARG has words") };
        let found: Vec<&str> = words.iter().map(|word| &*word.text).collect();
        failures.check(serde_json::json!(found) == row["expect"], || format!("{row}: {found:?}"));
    }
    failures.report("lines_are_split_into_words");
}

#[test(Variable("BUILDSCOPE_CONFORMANCE"))]
fn json_arrays_are_parsed_or_rejected() {
    let table = table("parser");
    let mut failures = Failures::default();
    for row in rows(&table, "jsonValid") {
        let line = format!("CMD {}", text(&row["input"]));
        let (syntax, _) = Syntax::parse(&line);
        let Arguments::Json(words) = &syntax.nodes[0].arguments else { panic!("{row} is JSON") };
        let found: Vec<&str> = words.iter().map(|word| &*word.text).collect();
        failures.check(serde_json::json!(found) == row["expect"], || format!("{row}: {found:?}"));
    }
    for row in rows(&table, "jsonInvalid") {
        let (_, faults) = Syntax::parse(&format!("CMD {}", text(row)));
        failures.check(faults.len() == 1, || format!("{row}: {faults:?}"));
    }
    failures.report("json_arrays_are_parsed_or_rejected");
}

#[test(Variable("BUILDSCOPE_CONFORMANCE"))]
fn the_length_of_a_line_is_limited() {
    let table = table("parser");
    let mut failures = Failures::default();
    let most = &table["maxLine"];
    let keyword = "RUN ";
    let line = |bytes: usize| format!("{keyword}{}\n", "x".repeat(bytes - keyword.len()));
    let bytes = usize::try_from(most["bytes"].as_u64().unwrap()).unwrap();
    let (_, faults) = Syntax::parse(&line(bytes));
    failures.check(faults.len() == 1 && faults[0].message == text(&most["error"]), || format!("{faults:?}"));
    failures.check(Syntax::parse(&line(bytes - 1)).1.is_empty(), || "a line of the largest length".into());
    failures.report("the_length_of_a_line_is_limited");
}

fn heredoc(found: &Heredoc) -> Value {
    serde_json::json!({
        "name": &*found.name,
        "content": found.content,
        "expand": found.expand,
        "chomp": found.chomp,
        "fd": found.descriptor,
    })
}

/// Formats a node in the notation of the table: one s-expression for each instruction.
fn sexpr(node: &Node<'_>) -> String {
    let mut out = format!("({}", node.keyword.to_lowercase());
    let quoted =
        |words: &[dockerfile::Word<'_>]| words.iter().map(|word| quote(&word.text)).collect::<Vec<_>>().join(" ");
    let onbuild = Keyword::parse(&node.keyword) == Some(Keyword::Onbuild);
    if !node.flags.is_empty() && !onbuild {
        out += &format!(" [{}]", quoted(&node.flags));
    }
    out += &arguments(&node.arguments);
    out + ")"
}

fn arguments(arguments: &Arguments<'_>) -> String {
    let list = |words: &[dockerfile::Word<'_>]| words.iter().map(|word| format!(" {}", quote(&word.text))).collect();
    match arguments {
        Arguments::Words(words) | Arguments::Json(words) => list(words),
        Arguments::Rest(word) if word.is_empty() => String::new(),
        Arguments::Rest(word) => format!(" {}", quote(&word.text)),
        Arguments::Pairs(pairs) => pairs
            .iter()
            .map(|pair| {
                let separator = if pair.legacy { "" } else { "=" };
                format!(" {} {} {}", quote(&pair.name.text), quote(&pair.value.text), quote(separator))
            })
            .collect(),
        Arguments::Health(kind, _) if kind.is_empty() => String::new(),
        Arguments::Health(kind, command) => format!(" {}{}", quote(&kind.text), self::arguments(command)),
        Arguments::Trigger(inner) => format!(" {}", sexpr(inner)),
    }
}

#[test]
fn plain_words_are_not_expanded() {
    assert_eq!(Expander::new('\\').word("plain", &NoVariables).as_deref(), Ok("plain"));
}
