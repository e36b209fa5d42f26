//! Records that builds leave in the store, the list of them, and the summary at the end of a build.

use crate::world::World;
use buildscope_testing::test;
use serde_json::Value;
use std::process::{Command, Output};

/// Runs another subcommand on this world's store.
fn run(world: &World, args: &[&str]) -> Output {
    let program = world.command(&[]).get_program().to_owned();
    let output = Command::new(program).args(args).env("BUILDSCOPE_ROOT", &world.store).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

fn text(world: &World, args: &[&str]) -> String {
    String::from_utf8(run(world, args).stdout).unwrap()
}

fn listed(world: &World, args: &[&str]) -> Vec<Value> {
    serde_json::from_str(&text(world, &[&["builds", "--format", "json"], args].concat())).unwrap()
}

fn build(world: &World, args: &[&str]) -> Output {
    world.command(args).output().unwrap()
}

#[test]
fn every_build_is_kept_and_found_again() {
    let world = World::new("FROM busybox\nCOPY a /a\nRUN cat /a > /b\n");
    world.write("a", "one");
    assert!(build(&world, &["-t", "app"]).status.success());
    world.write("a", "two");
    assert!(build(&world, &[]).status.success());
    world.write("Dockerfile", "FROM busybox\nRUN exit 7\n");
    assert!(!build(&world, &[]).status.success());
    assert!(
        !world
            .store
            .join("builds")
            .read_dir()
            .unwrap()
            .any(|file| { file.unwrap().file_name().to_string_lossy().ends_with(".part") })
    );

    let all = listed(&world, &[]);
    let of = |name: &str| all.iter().map(|build| build[name].clone()).collect::<Vec<_>>();
    assert_eq!(of("succeeded"), [false, true, true]);
    assert_eq!((of("cached"), of("steps")), (vec![0.into(), 0.into(), 0.into()], vec![1.into(), 2.into(), 2.into()]));
    assert_eq!(all[2]["tags"], serde_json::json!(["app"]));
    assert_eq!(all[0]["failed"], "RUN exit 7");
    assert_eq!(all[1]["dockerfile"], world.context().join("Dockerfile").to_str().unwrap());
    assert_eq!(listed(&world, &["--failed"]).len(), 1);
    assert_eq!(listed(&world, &["--slower-than", "1h"]).len(), 0);
    assert_eq!(listed(&world, &["-n", "1"])[0]["id"], all[0]["id"]);

    // Without arguments, the last build. By `^1`, the one before it, compared with the one before that.
    assert!(text(&world, &["explain"]).starts_with("The build failed with exit code 7"));
    let second = text(&world, &["explain", "^1"]);
    assert!(second.contains("`COPY a /a`") && second.contains("`a`"), "{second}");
    let id = all[1]["id"].as_str().unwrap();
    assert_eq!(text(&world, &["explain", id]), second);
    assert!(text(&world, &["compare", "^2", "^1"]).contains("RUN cat /a"));
    assert!(text(&world, &["whatif", id, "--without", "RUN"]).contains("instead of"));

    let file = world.path("exported.json");
    run(&world, &["builds", "export", "^1", file.to_str().unwrap()]);
    run(&world, &["builds", "rm", "last", "^1"]);
    assert_eq!(listed(&world, &[]), all[2..]);
    run(&world, &["builds", "import", file.to_str().unwrap()]);
    assert_eq!(listed(&world, &[]).len(), 2);
    assert_eq!(listed(&world, &[])[0]["wall"], all[1]["wall"]);
}

#[test]
fn a_build_without_record_leaves_none() {
    let world = World::new("FROM busybox\nRUN true\n");
    assert!(build(&world, &["--no-record"]).status.success());
    assert!(build(&world, &["--keep-records", "none"]).status.success());
    assert!(listed(&world, &[]).is_empty());
    let wrong = Command::new(world.command(&[]).get_program())
        .args(["explain", "last", "--root"])
        .arg(&world.store)
        .output()
        .unwrap();
    assert_eq!(wrong.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("no build is kept"));
}

#[test]
fn the_end_of_a_build_says_what_mattered() {
    let world = World::new("FROM busybox\nCOPY a /a\nRUN sleep 1.1\n");
    world.write("a", "one");
    assert!(build(&world, &["--progress", "plain"]).status.success());
    world.write("a", "two");
    let output = build(&world, &["--progress", "plain"]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    let summary = stderr.rsplit_once("\n\n").unwrap().1;
    let lines: Vec<_> = summary.lines().collect();
    assert!(lines.len() <= 6 && lines[0].starts_with("The build took 1."), "{summary}");
    assert!(summary.contains("No step was cached."), "{summary}");
    assert!(lines.iter().any(|line| line.contains("`RUN sleep 1.1`  0, line 3")), "{summary}");
    assert!(lines.iter().any(|line| line.starts_with("not cached: `COPY a /a` changed: `a`")), "{summary}");
    assert_eq!(output.stdout.iter().filter(|&&byte| byte == b'\n').count(), 1, "only the image ID");
    for quiet in [&["--summary", "none"][..], &["--quiet"], &["--progress", "rawjson"]] {
        let stderr = String::from_utf8(build(&world, quiet).stderr).unwrap();
        assert!(!stderr.contains("The build took"), "{quiet:?}: {stderr}");
    }
}
