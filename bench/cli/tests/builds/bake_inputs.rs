//! What several targets take from outside, each thing once: contexts, bases, caches.

use crate::bake::{bake, ran, recorded, stderr, stdout, succeeded};
use crate::contexts::{Daemon, commit_all};
use crate::world::World;
use buildscope_record::{Outcome, Phase, Record};
use buildscope_testing::test;
use serde_json::Value as Json;
use std::fs;
use std::path::Path;

/// A repository with a bake file, and two applications that share a library.
fn repository(world: &World) -> (Daemon, String) {
    let origin = world.path("repositories/shop");
    for (name, text) in [
        (
            "docker-bake.hcl",
            "group \"default\" { targets = [\"one\", \"two\"] }\ntarget \"one\" {\n  context = \"apps/one\"\n  contexts = { lib = \"lib\" }\n  output = [\"type=local,dest=out-one\"]\n}\ntarget \"two\" {\n  context = \"apps/two\"\n  contexts = { lib = \"lib\", here = \"cwd://local\" }\n  output = [\"type=local,dest=out-two\"]\n}\n",
        ),
        (
            "other.hcl",
            "target \"default\" {\n  dockerfile = \"apps/one/Dockerfile\"\n  contexts = { lib = \"lib\" }\n}\n",
        ),
        ("apps/one/Dockerfile", "FROM scratch\nCOPY --from=lib shared /\nCOPY own /one\n"),
        ("apps/one/own", "one"),
        ("apps/two/Dockerfile", "FROM scratch\nCOPY --from=lib shared /\nCOPY own /two\nCOPY --from=here mine /\n"),
        ("apps/two/own", "two"),
        ("lib/shared", "shared"),
    ] {
        let path = origin.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    commit_all(&origin);
    let daemon = Daemon::start(&world.path("repositories"));
    let address = format!("git://127.0.0.1:{}/shop", daemon.port);
    (daemon, address)
}

/// How many times something was fetched.
fn fetches(record: &Record) -> usize {
    record.spans.iter().filter(|span| span.phase == Phase::Fetch).count()
}

#[test(Program("git"))]
fn a_definition_comes_from_a_repository_whose_directories_are_fetched_once() {
    let world = World::empty();
    let (_daemon, address) = repository(&world);
    world.write("local/mine", "mine");
    let record = recorded(&world, &[&address]);
    let read = |path: &str| fs::read_to_string(world.context().join(path)).unwrap();
    assert_eq!([read("out-one/one"), read("out-one/shared")], ["one", "shared"]);
    assert_eq!([read("out-two/two"), read("out-two/shared"), read("out-two/mine")], ["two", "shared", "mine"]);
    // `apps/one`, `apps/two` and `lib` are directories of one checkout.
    assert_eq!(fetches(&record), 1);
}

#[test(Program("git"))]
fn files_of_a_definition_are_named_in_its_repository() {
    let world = World::empty();
    let (_daemon, address) = repository(&world);
    let printed = |args: &[&str]| -> Json { serde_json::from_str(&succeeded(bake(&world, args))).unwrap() };
    // The context of a target without one is the repository.
    let other = printed(&[&address, "-f", "other.hcl", "--print"]);
    assert_eq!(other["target"]["default"]["context"], address.as_str());
    // The context of another one is a directory of it, as buildx 0.36 prints it.
    for (fragment, context, expected) in [
        ("", "apps/two", "REPOSITORY#:apps/two"),
        ("", "./lib/", "REPOSITORY#:lib"),
        ("", "lib/../..", "REPOSITORY#:.."),
        ("", "/lib", "REPOSITORY#:/lib"),
        ("", "cwd://apps", "apps"),
        ("", "cwd://", "."),
        ("#main:apps", "two", "REPOSITORY#main:apps/two"),
        ("#main:apps", "..", "REPOSITORY#main:."),
    ] {
        world.write("context.hcl", &format!("target \"default\" {{ context = \"{context}\" }}\n"));
        let one = printed(&[&format!("{address}{fragment}"), "-f", "cwd://context.hcl", "--print"]);
        assert_eq!(
            one["target"]["default"]["context"],
            expected.replace("REPOSITORY", &address),
            "{fragment} {context}"
        );
    }
    // A file of the working directory overrides those of the repository.
    world.write("mine.hcl", "target \"one\" { labels = { from = \"here\" } }\n");
    let mixed = printed(&[&address, "-f", "docker-bake.hcl", "-f", "cwd://mine.hcl", "--print", "one"]);
    assert_eq!(mixed["target"]["one"]["labels"]["from"], "here");
    let missing = bake(&world, &[&address, "-f", "none.hcl", "--print"]);
    assert!(stderr(&missing).contains("none.hcl") && missing.status.code() == Some(2), "{}", stderr(&missing));
}

#[test]
fn a_context_is_hashed_once_for_all_targets() {
    let world = World::empty();
    let size = 300_000;
    world.write("data/large", &"x".repeat(size));
    world.write("one/Dockerfile", "FROM busybox\nCOPY data /one\n");
    world.write("two/Dockerfile", "FROM busybox\nCOPY data /two\n");
    world.write(
        "docker-bake.hcl",
        "group \"default\" { targets = [\"one\", \"two\"] }\ntarget \"one\" { dockerfile = \"one/Dockerfile\" }\n\
         target \"two\" { dockerfile = \"two/Dockerfile\" }\n",
    );
    let record = recorded(&world, &[]);
    let hashed = record.spans.iter().filter(|span| span.phase == Phase::ContextHash);
    let bytes: u64 = hashed.filter_map(|span| span.fields.get("bytes_hashed")).sum();
    assert_eq!(bytes, size as u64, "{:?}", record.spans);
}

#[test]
fn the_triggers_of_a_target_run_where_it_is_a_base() {
    let world = World::empty();
    world.write(
        "docker-bake.hcl",
        r#"
target "default" {
  contexts = { base = "target:base" }
  dockerfile-inline = "FROM base\nRUN test -e /triggered && echo app > /app\n"
  output = ["type=local,dest=out"]
}
target "base" {
  dockerfile-inline = "FROM busybox\nONBUILD RUN echo yes > /triggered\n"
  labels = { of = "base" }
}
"#,
    );
    let metadata = world.path("metadata.json");
    succeeded(bake(&world, &["--metadata-file", metadata.to_str().unwrap()]));
    let read = |path: &str| fs::read_to_string(world.context().join(path)).unwrap();
    assert_eq!([read("out/triggered"), read("out/app")], ["yes\n", "app\n"]);
}

/// Two targets, whose last stages copy from stages that take a while.
const CACHED: &str = r#"
group "default" { targets = ["one", "two"] }
target "one" { dockerfile-inline = "FROM busybox AS tools\nRUN echo tools one > /tools\nFROM busybox\nCOPY --from=tools /tools /one\n" }
target "two" {
  contexts = { one = "target:one" }
  dockerfile-inline = "FROM busybox AS tools\nRUN echo tools two > /tools\nFROM one\nCOPY --from=tools /tools /two\nRUN cat /one /two > /both\n"
}
"#;

#[test]
fn imported_caches_skip_the_steps_of_several_targets() {
    let world = World::empty();
    world.write("docker-bake.hcl", CACHED);
    let caches = ["one", "two"].map(|name| world.path(&format!("cache-{name}")).display().to_string());
    let set = |key: &str, attribute: &str| {
        let flag = |(name, cache): (&str, &String)| format!("{name}.{key}=type=local,{attribute}={cache}");
        let [one, two] = [flag(("one", &caches[0])), flag(("two", &caches[1]))];
        [one, two]
    };
    let allowed = format!("fs={}", world.path("").display());
    let [one, two] = set("cache-to", "mode=min,dest");
    succeeded(bake(&world, &["--allow", &allowed, "--set", &one, "--set", &two]));
    world.forget();
    let [one, two] = set("cache-from", "src");
    world.write("docker-bake.hcl", &CACHED.replace("cat /one /two", "cat /two /one"));
    let record = recorded(&world, &["--allow", &allowed, "--set", &one, "--set", &two]);
    for text in ["RUN echo tools one > /tools", "RUN echo tools two > /tools"] {
        assert_eq!(ran(&record, text), 0, "{text}: nothing needs it, because the cache has the COPY");
    }
    // The layer below it comes from the cache of the other target.
    assert_eq!(ran(&record, "RUN cat /two /one > /both"), 1);
}

#[test]
fn a_damaged_layer_is_made_again_for_all_targets() {
    let world = World::empty();
    world.write(
        "docker-bake.hcl",
        r#"
group "default" { targets = ["one", "two"] }
target "one" { dockerfile-inline = "FROM busybox\nRUN head -c 100000 /dev/zero | tr '\\0' A > /f\nRUN echo one > /one\n" }
target "two" { dockerfile-inline = "FROM busybox\nRUN head -c 100000 /dev/zero | tr '\\0' A > /f\nRUN echo two > /two\n" }
"#,
    );
    succeeded(bake(&world, &[]));
    let blobs = fs::read_dir(world.path("store/blobs/sha256")).unwrap().map(|blob| blob.unwrap().path());
    let damaged = blobs.filter(|blob| fs::read(blob).unwrap().windows(2000).any(|bytes| bytes == [b'A'; 2000]));
    let damaged: Vec<_> = damaged.collect();
    let [blob] = &damaged[..] else { panic!("{damaged:?}") };
    let mut bytes = fs::read(blob).unwrap();
    let at = bytes.windows(2000).position(|bytes| bytes == [b'A'; 2000]).unwrap();
    bytes[at + 5] = b'Z';
    fs::write(blob, bytes).unwrap();
    let outputs = ["one", "two"].map(|name| format!("{name}.output=type=oci,dest={name}.tar"));
    let built = bake(&world, &["--set", &outputs[0], "--set", &outputs[1]]);
    let table = stdout(&built);
    assert!(built.status.success(), "{table}{}", stderr(&built));
    assert_eq!(table.lines().filter(|line| line.contains(" built ")).count(), 2, "{table}");
    assert_whole(&world.context().join("one.tar"));
    assert_whole(&world.context().join("two.tar"));
}

/// Asserts that no layer of an OCI archive has the damaged byte.
fn assert_whole(archive: &Path) {
    let bytes = fs::read(archive).unwrap();
    assert!(!bytes.windows(4).any(|bytes| bytes == b"AZAA"));
}

#[test]
fn a_cancelled_step_is_not_an_end_of_its_target() {
    let world = World::empty();
    world.write(
        "docker-bake.hcl",
        "group \"default\" { targets = [\"bad\", \"slow\"] }\ntarget \"bad\" { dockerfile-inline = \"FROM busybox\\nRUN exit 3\\n\" }\n\
         target \"slow\" { dockerfile-inline = \"FROM busybox\\nRUN sleep 60\\n\" }\n",
    );
    let path = world.path("record.json");
    let failed = bake(&world, &["--record", path.to_str().unwrap()]);
    assert_eq!(failed.status.code(), Some(1));
    let record = Record::read(fs::File::open(path).unwrap()).unwrap();
    let slow = record.steps.iter().find(|step| step.text == "RUN sleep 60").unwrap();
    assert_eq!(slow.outcome, Outcome::Cancelled);
}
