//! `buildscope bake`: several targets in one graph.

use crate::world::World;
use buildscope_record::{Outcome, Record};
use buildscope_testing::{in_time, test, undisturbed};
use serde_json::Value as Json;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// Runs bake in the world's context.
pub(crate) fn bake(world: &World, args: &[&str]) -> Output {
    let mut command: Command = world.command_on(&[], &[]);
    let program = command.get_program().to_owned();
    command = Command::new(program);
    command.current_dir(world.context()).arg("bake").arg("--root").arg(&world.store).args(args);
    command.env_remove("SOURCE_DATE_EPOCH").env_remove("BUILDSCOPE_ROOT").output().unwrap()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub(crate) fn succeeded(output: Output) -> String {
    assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
    stdout(&output)
}

pub(crate) fn recorded(world: &World, args: &[&str]) -> Record {
    let path = world.path("bake.json");
    succeeded(bake(world, &[args, &["--record", path.to_str().unwrap()]].concat()));
    Record::read(fs::File::open(path).unwrap()).unwrap()
}

/// How many steps with this text ran.
pub(crate) fn ran(record: &Record, text: &str) -> usize {
    record.steps.iter().filter(|step| step.text == text && step.outcome == Outcome::Executed).count()
}

/// How many steps with this text the graph has.
fn nodes(record: &Record, text: &str) -> usize {
    record.steps.iter().filter(|step| step.text == text && step.outcome != Outcome::Pruned).count()
}

const FILE: &str = r#"
group "default" { targets = ["one", "two"] }
target "one" {
  args = { NAME = "one" }
  output = ["type=oci,dest=one.tar,rewrite-timestamp=true"]
}
target "two" {
  args = { NAME = "two" }
  output = ["type=oci,dest=two.tar,rewrite-timestamp=true"]
}
"#;

const DOCKERFILE: &str = "FROM busybox\nRUN echo shared > /shared\nCOPY file /\nARG NAME\nRUN echo $NAME > /name\n";

fn manifest(archive: &Path) -> String {
    let listed = Command::new("tar").arg("-xOf").arg(archive).arg("index.json").output().unwrap();
    let index: Json = serde_json::from_slice(&listed.stdout).unwrap();
    index["manifests"][0]["digest"].as_str().unwrap().to_owned()
}

#[test]
fn equal_steps_of_two_targets_are_one_node() {
    let world = World::new(DOCKERFILE);
    world.write("file", "content");
    world.write("docker-bake.hcl", FILE);
    let record = recorded(&world, &[]);
    for text in ["RUN echo shared > /shared", "COPY file /"] {
        assert_eq!((nodes(&record, text), ran(&record, text)), (1, 1), "{text}");
    }
    assert_eq!((nodes(&record, "RUN echo $NAME > /name"), ran(&record, "RUN echo $NAME > /name")), (2, 2));
}

#[test]
fn equal_first_steps_of_targets_are_shared() {
    let world = World::new(
        "FROM busybox AS tools\nRUN echo tools > /tools\nFROM busybox AS source\nRUN echo source > /source\n\
         FROM busybox\nCOPY --from=tools /tools /\nCOPY --from=source /source /\nARG NAME\nRUN echo $NAME > /name\n\
         FROM --after=source busybox AS later\nRUN echo later > /later\n",
    );
    let target = |name: &str| {
        format!(
            "target \"{name}\" {{\n  args = {{ NAME = \"{name}\" }}\n  target = \"{}\"\n}}\n",
            if name == "three" { "later" } else { "2" }
        )
    };
    let targets: String = ["one", "two", "three"].map(target).concat();
    world.write(
        "docker-bake.hcl",
        &format!("group \"default\" {{ targets = [\"one\", \"two\", \"three\"] }}\n{targets}"),
    );
    let record = recorded(&world, &[]);
    for text in ["RUN echo tools > /tools", "RUN echo source > /source", "COPY --from=tools /tools /"] {
        assert_eq!((nodes(&record, text), ran(&record, text)), (1, 1), "{text}");
    }
    assert_eq!(nodes(&record, "RUN echo $NAME > /name"), 2);
    assert_eq!(nodes(&record, "RUN echo later > /later"), 1);
}

#[test]
fn a_target_has_the_digest_of_a_single_build() {
    let world = World::new(DOCKERFILE);
    world.write("file", "content");
    world.write("docker-bake.hcl", FILE);
    succeeded(bake(&world, &["--set", "*.args.SOURCE_DATE_EPOCH=1500000000"]));
    let baked = manifest(&world.context().join("two.tar"));
    fs::remove_file(world.context().join("one.tar")).unwrap();
    fs::remove_file(world.context().join("two.tar")).unwrap();
    world.forget();
    assert_eq!(baked, world.digest(&["--build-arg", "NAME=two"]));
}

#[test]
fn a_target_uses_the_result_of_another() {
    let world = World::empty();
    world.write(
        "docker-bake.hcl",
        r#"
target "default" {
  contexts = { base = "target:base", files = "target:files" }
  dockerfile-inline = <<EOT
FROM base
COPY --from=files /made /copied
RUN test "$FROM_BASE" = yes && test "$(cat /base)" = base && test "$(cat /copied)" = made
EOT
  output = ["type=local,dest=out"]
}
target "base" {
  dockerfile-inline = "FROM busybox\nENV FROM_BASE=yes\nRUN echo base > /base\n"
}
target "files" {
  dockerfile-inline = "FROM busybox\nRUN echo made > /made\n"
}
"#,
    );
    let printed = succeeded(bake(&world, &[]));
    assert_eq!(fs::read_to_string(world.context().join("out/copied")).unwrap(), "made\n");
    assert_eq!(printed.lines().filter(|line| line.contains(" built ")).count(), 3, "{printed}");
}

/// A target that fails, one that needs it, and one that is built.
pub(crate) const ONE_FAILS: &str = r#"
group "default" { targets = ["bad", "a-user", "good"] }
target "bad" { dockerfile-inline = "FROM busybox\nRUN exit 7\n" }
target "a-user" {
  contexts = { bad = "target:bad" }
  dockerfile-inline = "FROM bad\nRUN true\n"
}
target "good" {
  dockerfile-inline = "FROM busybox\nRUN sleep 0.2; echo good > /good\n"
  output = ["type=local,dest=out"]
}
"#;

#[test]
fn keep_going_builds_what_does_not_need_the_failed_step() {
    let world = World::empty();
    world.write("docker-bake.hcl", ONE_FAILS);
    let failed = bake(&world, &["--keep-going"]);
    assert_eq!(failed.status.code(), Some(1), "{}", stderr(&failed));
    assert_eq!(fs::read_to_string(world.context().join("out/good")).unwrap(), "good\n");
    let table = stdout(&failed);
    let result = |name: &str| {
        let line = table.lines().find(|line| line.trim_start().starts_with(&format!("{name} "))).unwrap_or_default();
        line.to_owned()
    };
    assert!(result("bad").contains("failed"), "{table}");
    assert!(result("a-user").contains("not built"), "{table}");
    assert!(result("good").contains("built"), "{table}");
    assert!(stderr(&failed).contains("target bad:"), "{}", stderr(&failed));
}

#[test]
fn a_definition_cannot_read_elsewhere_without_permission() {
    let world = World::empty();
    world.write("docker-bake.hcl", "target \"default\" {\n  contexts = { x = \"/etc\" }\n}\n");
    world.write("Dockerfile", "FROM scratch\nCOPY --from=x hostname /\n");
    let refused = bake(&world, &[]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("--allow=fs.read=/etc"), "{}", stderr(&refused));
    succeeded(bake(&world, &["--allow", "fs.read=/etc"]));
}

#[test]
fn targets_are_printed_and_listed() {
    let world = World::empty();
    world.write("docker-bake.hcl", FILE);
    let printed: Json = serde_json::from_str(&succeeded(bake(&world, &["--print", "one"]))).unwrap();
    assert_eq!(printed["target"]["one"]["args"]["NAME"], "one");
    assert!(printed["target"].get("two").is_none());
    let listed = succeeded(bake(&world, &["--list", "targets"]));
    assert_eq!(listed, "TARGET\tDESCRIPTION\ndefault\tone, two\none\t\ntwo\t\n");
    world.write(
        "docker-bake.json",
        &serde_json::json!({"target": {"one": {"description": "\u{1b}[2J\u{202e}x"}}}).to_string(),
    );
    let listed = succeeded(bake(&world, &["--list", "targets"]));
    assert!(listed.contains("one\t\\u{1b}[2J\\u{202e}x\n"), "{listed:?}");
    let checked =
        succeeded(bake(&world, &["--print", "--call", "check,format=json", "--builder", "default", "-D", "one"]));
    assert!(checked.contains("\"call\": \"lint\"\n"), "{checked}");
    let unknown = bake(&world, &["--print", "ones"]);
    assert!(stderr(&unknown).contains("did you mean one?"), "{}", stderr(&unknown));
    for refused in [["--allow", ""], ["--allow", "network"], ["--allow", "ssh=default"]] {
        assert_eq!(bake(&world, &[&refused[..], &["--print"]].concat()).status.code(), Some(2), "{refused:?}");
    }
    assert_eq!(bake(&world, &["--list", "targets,format=json"]).status.code(), Some(2));
    succeeded(bake(&world, &["--print", "--allow", "fs=*", "--allow", "image.push=a"]));
}

/// buildx 0.36: names of files are relative to the working directory, also in a compose file elsewhere. Contexts are relative to their
/// files if a variable says so.
#[test]
fn the_answers_for_all_targets_are_one_document() {
    let world = World::empty();
    let file = |text: &str, rest: &str| serde_json::json!({"dockerfile-inline": text, "description": rest});
    let targets = serde_json::json!({"target": {
        "good": file("FROM scratch AS one\nCOPY a /\nFROM scratch AS two\nCOPY b /\n", "builds two things"),
        "blank": file("FROM scratch AS one\nCOPY a /\nFROM $${NONE}\n", ""),
    }});
    world.write("docker-bake.json", &targets.to_string());
    let call = |call: &str, targets: &[&str]| {
        let output = bake(&world, &[&["--call", call], targets].concat());
        (output.status.code(), stdout(&output))
    };
    let document = |(code, text): (Option<i32>, String)| (code, serde_json::from_str::<Json>(&text).unwrap());
    // What buildx 0.36 answers: the list of targets needs no base image, an outline and a check do.
    let (code, listed) = document(call("targets,format=json", &["good", "blank"]));
    assert_eq!(code, Some(0));
    assert_eq!(listed["group"]["default"]["targets"], serde_json::json!(["blank", "good"]));
    assert_eq!(listed["target"]["good"]["build"]["call"], "targets");
    assert_eq!(listed["target"]["good"]["targets"]["targets"][1]["name"], "two");
    assert_eq!(listed["target"]["blank"]["targets"]["targets"][1]["base"], "${NONE}");
    let (code, checked) = document(call("lint,format=json", &["good", "blank"]));
    assert_eq!(code, Some(1));
    assert_eq!(checked["target"]["good"]["check"]["warnings"], serde_json::json!([]));
    assert!(checked["target"]["blank"]["check"].to_string().contains("should not be blank"), "{checked:#}");
    let (code, outlined) = document(call("outline,format=json", &["blank"]));
    assert_eq!(code, Some(1));
    assert!(outlined["target"]["blank"]["outline"].to_string().contains("should not be blank"), "{outlined:#}");
    let (code, text) = call("targets", &["good", "blank"]);
    assert_eq!(code, Some(0));
    assert!(text.starts_with("blank\n\nTARGET"), "{text}");
    assert!(text.contains("\n\ngood\nbuilds two things\n\nTARGET"), "{text}");
}

#[test]
fn paths_are_relative_to_the_working_directory() {
    let world = World::empty();
    world.write("base.yaml", "services:\n  base: {build: {context: top}}\n");
    world.write("sub/base.yaml", "services:\n  base: {build: {context: other}}\n");
    world.write("sub/a.yaml", "services:\n  web: {extends: {file: base.yaml, service: base}}\n");
    world.write("sub/b.hcl", "target \"web\" {\n  args = { X = \"1\" }\n}\n");
    let printed = |variables: &[(&str, &str)], args: &[&str]| {
        let mut command = Command::new(world.command_on(&[], &[]).get_program());
        command.current_dir(world.context()).arg("bake").args(args).args(["--print", "web"]);
        command.envs(variables.iter().copied()).output().unwrap()
    };
    let target =
        |output: Output| -> Json { serde_json::from_str::<Json>(&succeeded(output)).unwrap()["target"]["web"].clone() };
    assert_eq!(target(printed(&[], &["-f", "sub/a.yaml"]))["context"], "top");
    let relative = |value| [("BUILDX_BAKE_FILE_RELATIVE_PATHS", value)];
    assert_eq!(target(printed(&relative("true"), &["-f", "sub/a.yaml"]))["context"], "sub/top");
    assert_eq!(target(printed(&relative("0"), &["-f", "sub/b.hcl"]))["context"], ".");
    assert_eq!(printed(&relative("yes"), &["-f", "sub/b.hcl"]).status.code(), Some(2));
    let several = [("BUILDX_BAKE_FILE", "sub/b.hcl;sub/a.yaml"), ("BUILDX_BAKE_PATH_SEPARATOR", ";")];
    let merged = target(printed(&several, &[]));
    assert_eq!((&merged["context"], &merged["args"]["X"]), (&"top".into(), &"1".into()));
}

#[test]
fn a_target_is_delivered_as_soon_as_it_has_ended() {
    undisturbed(|factor| {
        let world = World::empty();
        let file = r#"
group "default" { targets = ["slow", "quick"] }
target "slow" { dockerfile-inline = "FROM busybox\nRUN sleep 2\n" }
target "quick" { dockerfile-inline = "FROM busybox\nRUN echo quick > /quick\n" }
"#;
        world.write("docker-bake.hcl", &file.replace("sleep 2", &format!("sleep {}", 2 * factor)));
        let table = succeeded(bake(&world, &["--jobs", "2"]));
        let after = |target: &str| -> f64 {
            let row = table.lines().find(|line| line.starts_with(target)).unwrap();
            row.split_whitespace().nth(2).unwrap().parse().unwrap()
        };
        assert!(after("slow") >= 2.0, "{table}");
        in_time(after("quick") < after("slow") - 0.5, &table)
    });
}
