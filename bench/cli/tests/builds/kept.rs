//! Records that builds leave in the store, the list of them, and the summary at the end of a build.

use crate::world::World;
use buildscope_testing::test;
use serde_json::Value;
use std::io::Write as _;
use std::process::{Command, Output, Stdio};

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
    let failed = build(&world, &["--summary", "full", "--progress", "plain"]);
    let told = String::from_utf8_lossy(&failed.stderr);
    assert!(!failed.status.success() && told.contains("The build failed with exit code 7 after "), "{told}");
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

/// The text of a kept record.
fn kept_text(world: &World, id: &str) -> String {
    let file = std::fs::File::open(world.store.join("builds").join(format!("{id}.json.gz"))).unwrap();
    std::io::read_to_string(flate2::read::GzDecoder::new(file)).unwrap()
}

#[test]
fn kept_records_have_no_credentials_and_still_explain_misses() {
    let clone = "RUN sleep 1.1; : https://me:SECRET@host/a.git";
    let world = World::new(&format!("FROM busybox\nCOPY a /a\n{clone}\n"));
    world.write("a", "one");
    let trace = world.path("trace.json");
    assert!(build(&world, &["--trace", trace.to_str().unwrap()]).status.success());
    world.write("a", "two");
    let second = build(&world, &["--progress", "plain"]);
    // The record in memory and the kept one have the same texts: the file is the cause, not the text of the RUN.
    let shown = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(shown.contains("`COPY a /a` changed: `a`") && !shown.contains("its text"), "{shown}");
    for build in listed(&world, &[]) {
        let text = kept_text(&world, build["id"].as_str().unwrap());
        assert!(text.contains("https://me:xxxxx@host/a.git") && !text.contains("SECRET"), "{text}");
    }
    let trace = std::fs::read_to_string(trace).unwrap();
    assert!(trace.contains("me:xxxxx@host") && !trace.contains("SECRET"), "{trace}");
    // The patch has the address of the file, not of the record.
    let npm = "npm ci --registry https://me:SECRET@host";
    let install =
        format!("FROM busybox\nCOPY npm /bin/npm\nRUN chmod +x /bin/npm\nWORKDIR /app\nCOPY . .\nRUN {npm}\n");
    world.write("Dockerfile", &install);
    world.write("npm", "#!/bin/sh\nsleep 1.1\n");
    world.write("package.json", r#"{"name":"a","version":"1.0.0","dependencies":{"lodash":"1"}}"#);
    world.write("package-lock.json", r#"{"name":"a","lockfileVersion":3,"packages":{"":{"name":"a"}}}"#);
    assert!(build(&world, &[]).status.success());
    let patch = world.path("a.patch");
    run(&world, &["explain", "--patch", patch.to_str().unwrap()]);
    let patch = std::fs::read_to_string(patch).unwrap();
    assert!(patch.contains("+COPY package.json") && patch.contains(npm) && !patch.contains("xxxxx"), "{patch}");
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
fn the_summary_at_the_end_names_the_costliest_steps() {
    let world = World::new("FROM busybox\nCOPY a /a\nRUN sleep 1.1\n");
    world.write("a", "one");
    assert!(build(&world, &["--progress", "plain"]).status.success());
    world.write("a", "two");
    let output = build(&world, &["--progress", "plain"]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    let summary = stderr.rsplit_once("\n\n").unwrap().1;
    let lines: Vec<_> = summary.lines().collect();
    assert!(lines.len() <= 6 && lines[0].starts_with("The build took "), "{summary}");
    assert!(summary.contains("No step was cached."), "{summary}");
    assert!(lines.iter().any(|line| line.contains("`RUN sleep 1.1`  0, line 3")), "{summary}");
    assert!(lines.iter().any(|line| line.starts_with("not cached: `COPY a /a` changed: `a`")), "{summary}");
    assert_eq!(output.stdout.iter().filter(|&&byte| byte == b'\n').count(), 1, "only the image ID");
    for quiet in [&["--summary", "none"][..], &["--quiet"], &["--progress", "rawjson"]] {
        let stderr = String::from_utf8(build(&world, quiet).stderr).unwrap();
        assert!(!stderr.contains("The build took"), "{quiet:?}: {stderr}");
    }
}

#[test]
fn damaged_records_are_named_and_removed() {
    let world = World::new("FROM busybox\nRUN true\n");
    assert!(build(&world, &[]).status.success());
    let damaged = world.store.join("builds/20200101-000000-00000.json.gz");
    std::fs::write(&damaged, "no gzip").unwrap();
    let listed = run(&world, &["builds"]);
    let stderr = String::from_utf8(listed.stderr).unwrap();
    assert!(stderr.contains("20200101-000000-00000") && stderr.contains("damaged"), "{stderr}");
    run(&world, &["builds", "rm", "20200101-000000-00000"]);
    assert!(!damaged.exists());
    std::fs::write(&damaged, "no gzip").unwrap();
    run(&world, &["builds", "rm", "--all"]);
    assert_eq!(world.store.join("builds").read_dir().unwrap().count(), 0);
}

#[test]
fn a_dash_is_standard_input_and_output() {
    let world = World::new("FROM busybox\nRUN true\n");
    assert!(build(&world, &[]).status.success());
    let record = run(&world, &["builds", "export", "last", "-"]).stdout;
    assert!(record.starts_with(b"{"), "{}", String::from_utf8_lossy(&record));
    let program = world.command(&[]).get_program().to_owned();
    for args in
        [&["builds", "import", "-"][..], &["fleet", "-"], &["import", "-", "-o", "-"], &["explain", "-", "-o", "-"]]
    {
        let mut command = Command::new(&program);
        command.args(args).env("BUILDSCOPE_ROOT", &world.store).current_dir(world.path(""));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(&record).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success() && !output.stdout.is_empty(), "{args:?}: {output:?}");
    }
    assert!(!world.path("-").exists());
    assert_eq!(listed(&world, &[]).len(), 2);
}

#[test]
fn a_patch_needs_no_directory_and_costs_no_explanation() {
    let world = World::new("FROM busybox\nCOPY . /app\nRUN cd /app && sleep 0.2\n");
    world.write("a", "one");
    assert!(build(&world, &[]).status.success());
    let elsewhere = world.path("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    let program = world.command(&[]).get_program().to_owned();
    let explain = || {
        let mut command = Command::new(&program);
        command.args(["explain", "--patch", "advice.patch"]).env("BUILDSCOPE_ROOT", &world.store);
        command.current_dir(&elsewhere).output().unwrap()
    };
    let output = explain();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(elsewhere.join("advice.patch").is_file() && output.stdout.starts_with(b"The build took"));
    std::fs::remove_file(world.context().join("Dockerfile")).unwrap();
    let output = explain();
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.starts_with(b"The build took"), "the explanation is printed all the same");
}

#[test]
fn a_fleet_counts_a_file_once_and_groups_logs_by_their_steps() {
    let world = World::new("FROM busybox\nRUN true\n");
    let log = |name: &str, steps: &[&str]| {
        let lines = steps.iter().enumerate().map(|(number, step)| {
            let (id, count) = (number + 1, steps.len());
            format!("#{id} [{id}/{count}] {step}\n#{id} DONE 1.0s\n\n")
        });
        let path = world.path(name);
        std::fs::write(&path, lines.collect::<String>()).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let first = log("1.log", &["FROM alpine", "COPY . .", "RUN make"]);
    let second = log("2.log", &["FROM alpine", "COPY . .", "RUN make test"]);
    let other = log("3.log", &["FROM node", "RUN npm ci"]);
    let fleet = |files: &[&str]| -> Value {
        serde_json::from_str(&text(&world, &[&["fleet", "--format", "json"], files].concat())).unwrap()
    };
    assert_eq!(fleet(&[&first, &first])["builds"], 1);
    let report = fleet(&[&first, &second, &other]);
    let mut names: Vec<_> =
        report["trends"].as_array().unwrap().iter().map(|trend| trend["dockerfile"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, [first.as_str(), other.as_str()]);
    assert!(text(&world, &["fleet", &first]).starts_with("1 build took"));
}
