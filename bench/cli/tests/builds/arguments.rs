//! Wrong arguments, which must not cost a build, and arguments whose results must not get lost.

use crate::world::{World, flat};
use buildscope_testing::test;
use std::fs;
use std::process::Command;

#[test]
fn wrong_arguments_are_found_before_the_first_step() {
    let world = World::new("FROM busybox\nRUN touch /ran\n");
    let missing = world.path("no/such/folder/file");
    let missing = missing.to_str().unwrap();
    let folder = world.context();
    let folder = folder.to_str().unwrap();
    let directory = format!("type=oci,dest={folder}");
    let file = format!("type=local,dest={}", world.context().join("Dockerfile").display());
    for (flags, named) in [
        (&["-t", "Bad"][..], "Bad"),
        (&["-t", "a b"], "a b"),
        (&["--why-miss", "nope", "--expect-cached"], "nope"),
        (&["--iidfile", missing], missing),
        (&["--iidfile", folder], "it is a directory"),
        (&["--metadata-file", missing], missing),
        (&["--record", missing], missing),
        (&["--engine-trace", "-"], "standard output"),
        (&["--record", "-", "--trace", "-"], "--record - --trace -"),
        (&["--metadata-file", "-", "--output", "type=tar,dest=-"], "--metadata-file - --output -"),
        (&["--trace", missing], missing),
        (&["--engine-trace", missing], missing),
        (&["--max-regression", "20%", "--keep-records", "none"], "--max-regression"),
        (&["--output", "type=registry"], "-t NAME"),
        (&["--output", "type=image,push=true,name=Bad"], "Bad"),
        (&["--output", &directory], "is a directory"),
        (&["--output", &file], "is not a directory"),
        (&["--output", "type=image", "--annotation", "index:a=b"], "no index"),
        (&["--output", "type=docker", "--platform", "linux/amd64,linux/arm64"], "one platform"),
        (&["--cache-to", "type=local"], "dest="),
        (&["--cache-from", "type=nonsense"], "nonsense"),
        (&["--platform", "nonsense/x/y/z"], "platform"),
        (&["--build-arg", "="], "--build-arg takes NAME=VALUE"),
        (&["--build-arg", ""], "--build-arg takes NAME=VALUE"),
        (&["--label", ""], "--label takes NAME=VALUE"),
        (&["--granularity", "fine"], "--granularity"),
        (&["--driver", "zfs"], "--driver"),
        (&["--provenance", "maybe"], "not `maybe`"),
    ] {
        let output = world.command(flags).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{flags:?}: {stderr}");
        // Long lines are wrapped, also within long words.
        let solid = |text: &str| text.replace('│', "").split_whitespace().collect::<String>();
        assert!(solid(&stderr).contains(&solid(named)), "{flags:?}: {stderr}");
        assert!(!stderr.contains("RUN touch"), "{flags:?}: {stderr}");
    }
}

#[test]
fn a_dockerfile_named_relative_to_the_context_is_shown_where_it_is() {
    let world = World::new("FROM busybox\n");
    world.write("other", "FROM busybox\n");
    let elsewhere = tempfile::tempdir().unwrap();
    let help = |file: &str| {
        let output = world.command(&["-f", file]).current_dir(&elsewhere).output().unwrap();
        flat(&output.stderr)
    };
    let shown = help("other");
    let there = world.context().join("other");
    assert!(shown.contains("cannot read other") && shown.contains(there.to_str().unwrap()), "{shown}");
    assert!(!help("nowhere").contains("help"), "the context does not have it either");
}

/// `-` is standard output for every flag that writes a result. The result takes the place of what the command prints otherwise.
#[test]
fn a_dash_is_standard_output() {
    let world = World::new("FROM busybox\nRUN true\n");
    let store = world.store.to_str().unwrap().to_owned();
    let here = world.context();
    let run = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_buildscope"));
        let output = command.args(args).env("BUILDSCOPE_ROOT", &store).current_dir(&here).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        assert!(!here.join("-").exists(), "{args:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    for (args, start, key) in [
        (&["build", "--record", "-", "."][..], "{", "\"schema\""),
        (&["build", "--trace", "-", "."], "{", "\"traceEvents\""),
        (&["build", "--metadata-file", "-", "."], "{", "containerimage.config.digest"),
        (&["build", "--iidfile", "-", "."], "sha256:", ""),
        (&["explain", "--trace", "-"], "{", "\"traceEvents\""),
        (&["explain", "--output", "-"], "The build took", "Where the time went"),
        (&["builds", "export", "last", "-"], "{", "\"schema\""),
        (&["import", "--output", "-", "last"], "{", "\"schema\""),
    ] {
        let stdout = run(args);
        assert!(stdout.starts_with(start) && stdout.contains(key), "{args:?}: {stdout}");
        if start == "{" {
            serde_json::from_str::<serde_json::Value>(&stdout).unwrap_or_else(|error| panic!("{args:?}: {error}"));
        }
    }
    // Nothing to suggest, and no process that was observed: empty, but not the explanation.
    for args in [&["explain", "--patch", "-"], &["explain", "--folded", "-"]] {
        assert!(!run(args).contains("The build took"), "{args:?}");
    }
    let page = here.join("page.html");
    let timeline = run(&["explain", "--trace", "-", "--format", "html", "-o", page.to_str().unwrap()]);
    assert!(timeline.contains("traceEvents") && page.exists());
}

#[test]
fn a_file_that_cannot_be_written_does_not_hide_the_image() {
    let world = World::new("FROM busybox\nRUN true\n");
    // Writing to it fails only at the end.
    let output = world.command(&["--record", "/dev/full", "--iidfile", "/dev/full"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.starts_with(b"sha256:"), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn an_archive_on_standard_output_has_no_other_text() {
    let world = World::new("FROM busybox\nRUN true\n");
    for output in ["-", "type=tar,dest=-", "type=oci,dest=-"] {
        let built = world.command(&["--output", output]).output().unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        assert_eq!(built.stdout.len() % 512, 0, "{output}: nothing follows the archive");
    }
}

#[test]
fn ignored_options_are_reported() {
    let world = World::new("FROM busybox AS first\nRUN true\nFROM first\nRUN echo looked up\n");
    let missing = world.path("missing");
    let from = format!("type=local,src={}", missing.display());
    let output = world.command(&["--no-cache-filter", "base,first", "--cache-from", &from]).output().unwrap();
    let stderr = flat(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    assert!(stderr.contains("warning: --no-cache-filter base") && !stderr.contains("filter first"), "{stderr}");
    assert!(stderr.contains("warning: a cache is not imported") && stderr.contains("missing"), "{stderr}");
}

#[test]
fn a_target_limits_the_outline_and_must_exist() {
    let world = World::new("FROM busybox AS a\nARG ONE\nFROM busybox AS b\nARG TWO\nFROM b\nARG THREE\n");
    let run = |args: &[&str]| world.command(args).output().unwrap();
    for call in ["outline", "targets", "check"] {
        let output = run(&["--call", call, "--target", "zz"]);
        assert_eq!(output.status.code(), Some(1), "{call}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("\"zz\" could not be found"), "{call}");
    }
    let outline = String::from_utf8(run(&["--call", "outline", "--target", "b"]).stdout).unwrap();
    assert!(outline.contains("TWO") && !outline.contains("ONE") && !outline.contains("THREE"), "{outline}");
    assert!(run(&["--call", "targets", "--target", "b"]).status.success());
    let check = Command::new(world.command(&[]).get_program())
        .args(["check", "--outline", "--target", "a"])
        .arg(world.context())
        .output()
        .unwrap();
    let outline = String::from_utf8(check.stdout).unwrap();
    assert!(outline.contains("ONE") && !outline.contains("TWO"), "{outline}");
}

#[test]
fn escapes_in_names_and_dockerfiles_are_shown_in_pipes_too() {
    let world = World::new("FROM busybox\nRUN echo '\u{1b}]0;title\u{7}' > /f\n");
    let program = world.command(&[]).get_program().to_owned();
    assert!(world.command(&[]).output().unwrap().status.success());
    let run =
        |args: &[&str]| Command::new(&program).args(args).env("BUILDSCOPE_ROOT", &world.store).output().unwrap().stdout;
    let folder = world.path("odd\u{1b}[2J");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("Dockerfile"), "FROM scratch\n").unwrap();
    for args in [&["explain"][..], &["explain", "--format", "markdown"], &["check", folder.to_str().unwrap()]] {
        let text = run(args);
        assert!(!text.is_empty() && !text.contains(&0x1b), "{args:?}: {}", String::from_utf8_lossy(&text));
    }
}

#[test]
fn more_processors_change_nothing_of_a_build_from_the_cache() {
    let world = World::new("FROM busybox\nRUN true\n");
    for _ in 0..2 {
        assert!(world.command(&[]).output().unwrap().status.success());
    }
    let output = Command::new(world.command(&[]).get_program())
        .args(["whatif", "last", "--cores", "8"])
        .env("BUILDSCOPE_ROOT", &world.store)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
