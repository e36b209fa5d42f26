//! Failed builds: the error is reported once, with its position, and nothing is left behind.

use crate::world::{World, flat};
use buildscope_testing::{in_time, test, undisturbed, until};
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// Counts processes whose command line contains this text.
fn processes(mark: &str) -> usize {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries
        .filter(|entry| {
            fs::read(entry.path().join("cmdline")).is_ok_and(|line| String::from_utf8_lossy(&line).contains(mark))
        })
        .count()
}

/// A time in seconds, years long, that no other test has in a command line.
fn own_seconds(number: usize) -> String {
    format!("7{:07}{number}", std::process::id())
}

/// Files of unfinished builds.
fn temporary(world: &World) -> Vec<String> {
    let entries = fs::read_dir(world.path("store").join("tmp"));
    entries.into_iter().flatten().flatten().map(|entry| entry.path().display().to_string()).collect()
}

/// The mounts on or from one of these folders. Other tests mount at the same time.
fn mounts(folders: &[&Path]) -> Vec<String> {
    let table = fs::read_to_string("/proc/mounts").unwrap();
    let ours = |line: &&str| folders.iter().any(|folder| line.contains(folder.to_str().unwrap()));
    table.lines().filter(ours).map(str::to_owned).collect()
}

#[test]
fn the_first_failure_stops_the_build_and_cleans_up() {
    let seconds = own_seconds(0);
    let world = World::new(&format!(
        "FROM busybox AS slow\nRUN sleep {seconds}\nFROM busybox AS bad\nRUN sleep 0.3 && echo why >&2 && exit 7\n\
         FROM busybox\nCOPY --from=slow /bin /a\nCOPY --from=bad /bin /b\n"
    ));
    // It does not wait for the sleeping step.
    let built = world.build(&["--policy", "stages"]);
    assert_eq!(built.output.status.code(), Some(1));
    let stderr = built.stderr();
    // The cause, the position and the output, each once.
    assert_eq!(stderr.matches("× RUN failed").count(), 1, "{stderr}");
    for part in ["Dockerfile:4:1", "exit code: 7", "why"] {
        assert!(stderr.contains(part), "{part}: {stderr}");
    }
    assert_eq!(processes(&seconds), 0);
    assert_eq!(temporary(&world), [""; 0]);
    assert_eq!(mounts(&[&world.path("")]), [""; 0]);
    let record = built.read();
    let failed: Vec<_> =
        record.steps.iter().filter_map(|step| Some((step.exit_code?, step.error.as_deref()?))).collect();
    assert!(!record.succeeded && matches!(failed[..], [(7, _)]), "{failed:?}");
}

/// Like Ctrl-C on a terminal: the signal reaches the builder, and the processes of its steps must end.
#[test]
fn an_interrupted_build_leaves_nothing_under_any_executor() {
    for (number, executor) in ["native", "crun", "runc"].into_iter().enumerate() {
        if !installed(executor) {
            continue;
        }
        let seconds = own_seconds(1 + number);
        undisturbed(|_| {
            until("no step of an earlier attempt runs", || processes(&seconds) == 0);
            let world = World::new(&format!(
                "FROM busybox\nRUN trap '' INT TERM; sleep {seconds} & setsid sleep {seconds} & wait\n"
            ));
            let temporary_files = tempfile::tempdir().unwrap();
            let mut command = world.command(&["--executor", executor]);
            let mut child = command.env("TMPDIR", temporary_files.path()).stderr(Stdio::null()).spawn().unwrap();
            // The shell's own command line, and both sleepers.
            until("the step starts", || processes(&seconds) >= 3 || child.try_wait().unwrap().is_some());
            let (builder, start) = (rustix::process::Pid::from_child(&child), Instant::now());
            rustix::process::kill_process(builder, rustix::process::Signal::INT).unwrap();
            assert!(!child.wait().unwrap().success(), "{executor}");
            // After four seconds it ends in any case.
            in_time(start.elapsed() < Duration::from_secs(4), start.elapsed())?;
            assert_eq!(processes(&seconds), 0, "{executor}");
            assert_eq!(mounts(&[&world.path(""), temporary_files.path()]), [""; 0], "{executor}");
            assert_eq!(temporary(&world), [""; 0], "{executor}");
            assert_eq!(fs::read_dir(temporary_files.path()).unwrap().count(), 0, "{executor}: bundles");
            for hierarchy in ["unified", "memory", "cpu", "."] {
                let cgroup = format!("/sys/fs/cgroup/{hierarchy}/buildscope-{}", builder.as_raw_nonzero());
                assert!(!Path::new(&cgroup).exists(), "{executor}: {cgroup}");
            }
            Ok(())
        });
    }
}

#[test]
fn a_killed_builder_leaves_no_process_and_no_mount() {
    for (number, executor) in ["native", "crun", "runc"].into_iter().enumerate() {
        if !installed(executor) {
            continue;
        }
        let seconds = own_seconds(4 + number);
        let world = World::new(&format!(
            "FROM busybox\nRUN trap '' TERM HUP; sleep {seconds} & setsid sleep {seconds} & wait\n"
        ));
        let temporary_files = tempfile::tempdir().unwrap();
        let mut command = world.command(&["--executor", executor]);
        let mut child = command.env("TMPDIR", temporary_files.path()).spawn().unwrap();
        until("the step starts", || processes(&seconds) >= 3);
        child.kill().unwrap();
        child.wait().unwrap();
        until("the step ends", || processes(&seconds) == 0);
        assert_eq!(mounts(&[&world.path(""), temporary_files.path()]), [""; 0], "{executor}");
        assert_eq!(std::fs::read_dir(temporary_files.path()).unwrap().count(), 0, "{executor}");
        // The next build removes its unfinished files.
        world.write("Dockerfile", "FROM busybox\nRUN :\n");
        world.build(&[]).record();
        assert_eq!(temporary(&world), [""; 0], "{executor}");
    }
}

/// Whether the executor is installed.
pub(crate) fn installed(executor: &str) -> bool {
    executor == "native"
        || ["/usr/bin", "/usr/sbin"].iter().any(|directory| Path::new(directory).join(executor).exists())
}

#[test]
fn dockerfile_errors_point_at_the_characters() {
    let world = World::new("FROM busybox\nRUM echo\n");
    let built = world.command(&[]).output().unwrap();
    let stderr = String::from_utf8_lossy(&built.stderr).into_owned();
    assert_eq!(built.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("Dockerfile:2:1") && stderr.contains("RUN"), "{stderr}");
}

#[test]
fn missing_things_are_named_with_advice() {
    for (dockerfile, wanted) in [
        ("FROM busybox\nCOPY nowhere /\n", "nowhere"),
        ("FROM busybox\nUSER missing-user\nRUN true\n", "missing-user"),
        ("FROM busybox\nRUN [\"/no/such/program\"]\n", "/no/such/program"),
        ("FROM busybox AS early\nCOPY --from=later /a /\nFROM busybox AS later\nFROM early\n", "later"),
    ] {
        let world = World::new(dockerfile);
        let built = world.command(&["--progress", "quiet"]).output().unwrap();
        let stderr = String::from_utf8_lossy(&built.stderr).into_owned();
        assert_eq!(built.status.code(), Some(1), "{dockerfile}{stderr}");
        assert!(stderr.contains(wanted), "{dockerfile}{stderr}");
    }
    let world = World::empty();
    let built = world.command(&[]).output().unwrap();
    assert!(!built.status.success() && String::from_utf8_lossy(&built.stderr).contains("Dockerfile"));
    assert!(!Path::new("/no/such/program").exists());
}

#[test]
fn a_long_heredoc_is_shown_by_its_head_and_its_tail() {
    let lines = format!("echo first > /dev/null\n{}exit 3\n", "echo middle > /dev/null\n".repeat(1000));
    let world = World::new(&format!("FROM busybox\nRUN <<EOF\n{lines}EOF\n"));
    let built = world.build(&[]);
    let stderr = built.stderr();
    assert_eq!(built.output.status.code(), Some(1));
    for part in ["echo first", "exit 3", "exit code: 3", "Dockerfile:2"] {
        assert!(stderr.contains(part), "{part}: {stderr}");
    }
    assert!(stderr.lines().count() < 100, "{} lines", stderr.lines().count());
    // Linux limits an argument to 128 KiB (MAX_ARG_STRLEN).
    world.write("Dockerfile", &format!("FROM busybox\nRUN <<EOF\n{}EOF\n", "echo middle > /dev/null\n".repeat(7000)));
    let stderr = world.build(&[]).stderr();
    assert!(words(&stderr).contains("Begin a long heredoc with `#!/bin/sh`"), "{stderr}");
    assert!(stderr.lines().count() < 100 && stderr.len() < 8000, "{} lines", stderr.lines().count());
}

#[test]
fn a_closed_directory_is_named() {
    for (closed, workdir) in [("/bin", "/"), ("/w", "/w")] {
        let world = World::new(&format!(
            "FROM busybox\nRUN mkdir -p {closed} && chmod 700 {closed}\nWORKDIR {workdir}\nUSER 1000\nRUN id\n"
        ));
        let stderr = world.build(&[]).stderr();
        assert!(
            words(&stderr).contains(&format!("user 1000 may not enter the directory `{closed}` (mode 700)")),
            "{stderr}"
        );
    }
}

/// The words of a message, whose lines are broken at the width of the terminal.
fn words(stderr: &str) -> String {
    stderr.replace("\n  │ ", " ").split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn an_error_says_its_cause_once() {
    let world = World::new("FROM scratch\nCOPY Dockerfile /\n");
    world.write("file", "");
    let below = |name: &str| world.context().join("file").join(name).display().to_string();
    let (store, folder) = (below("store"), below("out"));
    // Errors of the kernel (errno(3)) for a full device, and for a directory below a file.
    let (full, below_file) = ("No space left on device", "Not a directory");
    for (arguments, cause) in [
        (["-o", "type=tar,dest=/dev/full"], full),
        (["-o", "type=oci,dest=/dev/full"], full),
        (["-o", &format!("type=local,dest={folder}")], below_file),
        (["--cache-to", &format!("type=local,dest={folder}")], below_file),
        (["--root", &store], below_file),
        (["--metadata-file", &folder], below_file),
    ] {
        let output = world.command(&arguments).output().unwrap();
        let message = flat(&output.stderr);
        assert!(!output.status.success(), "{arguments:?}");
        assert_eq!(message.matches(cause).count(), 1, "{arguments:?}: {message}");
    }
}

#[test]
fn a_record_says_why_a_build_failed_outside_of_its_steps() {
    let world = World::new("FRM busybox\n");
    let invalid = world.build(&[]).read();
    assert_eq!(invalid.notes.len(), 1, "{:?}", invalid.notes);
    assert!(invalid.notes[0].starts_with("the build failed outside of its steps: "), "{:?}", invalid.notes);
    assert!(invalid.notes[0].contains("unknown instruction: FRM"), "{:?}", invalid.notes);
    world.write("Dockerfile", "FROM busybox\nRUN exit 7\n");
    assert!(world.build(&[]).read().notes.is_empty(), "the step has the error");
}
