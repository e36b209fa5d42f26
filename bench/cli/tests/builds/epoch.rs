//! `SOURCE_DATE_EPOCH` from the command line, the environment, the Dockerfile, the context and a stage; an index for one
//! platform; and the order that `FROM --after` requires.

use crate::contexts::{Daemon, git};
use crate::web::Web;
use crate::world::{World, flat, member};
use buildscope_record::EdgeKind;
use buildscope_testing::test;
use serde_json::Value;
use std::fs;
use std::process::Command;

/// The creation time in the configuration of an image that is built so.
fn created(world: &World, command: &mut Command) -> String {
    let archive = world.path("image.tar");
    let output = command.args(["--output", &format!("type=oci,dest={}", archive.display())]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let blob = |digest: &Value| -> Value {
        let name = format!("blobs/{}", digest.as_str().unwrap().replace(':', "/"));
        serde_json::from_slice(&member(&archive, &name)).unwrap()
    };
    let index: Value = serde_json::from_slice(&member(&archive, "index.json")).unwrap();
    let manifest = blob(&index["manifests"][0]["digest"]);
    blob(&manifest["config"]["digest"])["created"].as_str().unwrap().to_owned()
}

#[test]
fn the_time_of_the_image_comes_from_the_caller_or_the_dockerfile() {
    let world = World::new(
        "ARG SOURCE_DATE_EPOCH=1000\nFROM busybox\nARG SOURCE_DATE_EPOCH\nRUN test \"$SOURCE_DATE_EPOCH\" = 1000\n",
    );
    assert_eq!(created(&world, &mut world.command(&[])), "1970-01-01T00:16:40Z");
    world.write(
        "Dockerfile",
        "ARG SOURCE_DATE_EPOCH=1000\nFROM busybox\nARG SOURCE_DATE_EPOCH\nRUN test \"$SOURCE_DATE_EPOCH\" = 60\n",
    );
    assert_eq!(created(&world, &mut world.command(&["--build-arg", "SOURCE_DATE_EPOCH=60"])), "1970-01-01T00:01:00Z");
    assert_eq!(created(&world, world.command(&[]).env("SOURCE_DATE_EPOCH", "60")), "1970-01-01T00:01:00Z");
    let wrong = world.command(&["--build-arg", "SOURCE_DATE_EPOCH=soon"]).output().unwrap();
    assert!(!wrong.status.success());
    assert!(flat(&wrong.stderr).contains("invalid SOURCE_DATE_EPOCH `soon`"));
}

#[test]
fn a_local_context_has_no_time() {
    let world = World::new("FROM busybox\nARG SOURCE_DATE_EPOCH\nRUN test -z \"$SOURCE_DATE_EPOCH\"\n");
    let created = created(&world, &mut world.command(&["--build-arg", "SOURCE_DATE_EPOCH=context"]));
    assert!(created.starts_with("20"), "{created}");
}

#[test]
fn a_repository_has_the_time_of_its_commit() {
    let world = World::new("FROM busybox\nARG SOURCE_DATE_EPOCH\nRUN test \"$SOURCE_DATE_EPOCH\" = 1600000000\n");
    let origin = world.path("app");
    fs::create_dir(&origin).unwrap();
    git(&origin, &["init", "--quiet", "--initial-branch=main"]);
    fs::copy(world.context().join("Dockerfile"), origin.join("Dockerfile")).unwrap();
    git(&origin, &["add", "."]);
    let mut commit = Command::new("git");
    commit.args(["-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "-m", "1"]).current_dir(&origin);
    assert!(commit.env("GIT_COMMITTER_DATE", "1600000000 +0000").output().unwrap().status.success());
    let daemon = Daemon::start(&world.path(""));
    let address = format!("git://127.0.0.1:{}/app", daemon.port);
    for argument in ["SOURCE_DATE_EPOCH=context", "SOURCE_DATE_EPOCH=source"] {
        let source = format!("source={address}");
        let mut command = match argument {
            "SOURCE_DATE_EPOCH=context" => world.command_on(&["--build-arg", argument], &[&address]),
            _ => world.command(&["--build-arg", argument, "--build-context", &source]),
        };
        assert_eq!(created(&world, &mut command), "2020-09-13T12:26:40Z", "{argument}");
    }
}

#[test]
fn an_archive_has_the_time_of_its_newest_file() {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, content, time) in [("Dockerfile", "FROM busybox\nCOPY . /\n", 1_000), ("a", "a", 2_000), ("b", "b", 500)]
    {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(time);
        archive.append_data(&mut header, name, content.as_bytes()).unwrap();
    }
    let web = Web::serving([("/context.tar", archive.into_inner().unwrap())]);
    let world = World::empty();
    let url = web.address("/context.tar");
    let mut command = world.command_on(&["--build-arg", "SOURCE_DATE_EPOCH=context"], &[&url]);
    assert_eq!(created(&world, &mut command), "1970-01-01T00:33:20Z");
}

#[test]
fn a_stage_that_fetches_one_file_has_its_time() {
    // The server sends no Last-Modified, so there is no time, which is not an error.
    let web = Web::serving([("/file", b"content".to_vec())]);
    let text = |stage: &str| format!("ARG SOURCE_DATE_EPOCH=src\n{stage}\nFROM busybox\nCOPY --from=src / /\n");
    let world = World::new(&text(&format!("FROM scratch AS src\nADD {} /file", web.address("/file"))));
    assert!(created(&world, &mut world.command(&[])).starts_with("20"));
    world.write("Dockerfile", &text("FROM busybox AS src\nRUN true"));
    let wrong = world.command(&[]).output().unwrap();
    let stderr = flat(&wrong.stderr);
    assert!(!wrong.status.success() && stderr.contains("FROM scratch with exactly one ADD"), "{stderr}");
}

#[test]
fn one_platform_can_have_an_index() {
    let world = World::new("FROM busybox\nRUN true\n");
    let archive = world.path("image.tar");
    let output = format!("type=oci,dest={}", archive.display());
    for (argument, media) in [("0", "image.manifest"), ("1", "image.index")] {
        let flag = format!("BUILDKIT_MULTI_PLATFORM={argument}");
        let built = world.command(&["--output", &output, "--build-arg", &flag]).output().unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        let top: Value = serde_json::from_slice(&member(&archive, "index.json")).unwrap();
        assert!(top["manifests"][0]["mediaType"].as_str().unwrap().contains(media), "{top}");
    }
    let folder = world.path("files");
    let output = format!("type=local,dest={}", folder.display());
    let built = world.command(&["--output", &output, "--build-arg", "BUILDKIT_MULTI_PLATFORM=true"]).output().unwrap();
    assert!(built.status.success());
    assert!(folder.join("linux_amd64/bin").exists() || folder.join("linux_arm64/bin").exists());
}

#[test]
fn a_stage_starts_after_another_one_and_uses_nothing_of_it() {
    let world = World::new(
        "ARG WHICH=first\nFROM busybox AS first\nRUN sleep 0.3\nFROM --after=$WHICH busybox\nRUN echo b > /b\n",
    );
    let record = world.build(&[]).record();
    let [first, second] = ["RUN sleep 0.3", "RUN echo b > /b"]
        .map(|text| record.steps.iter().find(|step| step.text == text).unwrap_or_else(|| panic!("{text}")));
    assert!(second.start.unwrap() >= first.end.unwrap(), "it waits, although it uses nothing");
    let edges: Vec<_> = record.edges.iter().filter(|edge| edge.kind == EdgeKind::After).collect();
    assert_eq!(edges.len(), 1);
    assert_eq!(edges[0].from, first.id);
    // The key does not contain the order: another first stage does not miss the cache of the second.
    world.write("Dockerfile", "FROM busybox AS first\nRUN sleep 0.31\nFROM --after=0 busybox\nRUN echo b > /b\n");
    let record = world.build(&[]).record();
    assert_eq!(crate::world::steps(&record, buildscope_record::Outcome::Executed), ["RUN sleep 0.31"]);
    for (dockerfile, named) in [
        ("FROM --after=self busybox AS self\n", "no stage \"self\" above"),
        ("FROM --after=second busybox AS first\nFROM first AS second\n", "no stage \"second\" above"),
        ("FROM --after=base busybox\n", "no stage \"base\" above"),
    ] {
        world.write("Dockerfile", dockerfile);
        let output = world.command(&[]).output().unwrap();
        let stderr = flat(&output.stderr);
        assert!(!output.status.success() && stderr.contains(named), "{stderr}");
    }
}
