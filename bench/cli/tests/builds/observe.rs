//! Builds of other builders under `observe`.

use crate::inside::tenths;
use crate::world::{World, root};
use buildscope_record::{Cause, Nanos, Record};
use buildscope_reports::explain;
use buildscope_reports::inside::CommandRow;
use buildscope_testing::{in_time, test, undisturbed};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// `buildscope observe` of a script, with the record `record.json`.
fn observing(world: &World, script: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_buildscope"));
    command.args(["observe", "--record"]).arg(world.path("record.json")).args(["--", "sh", "-c", script]);
    command
}

/// A builder that prints what docker's classic builder prints, and gives the text of each RUN to a shell, as all builders do. The steps
/// sleep for `first` and `second`.
fn builder(first: &str, second: &str) -> String {
    format!(
        r#"
echo "Sending build context to Docker daemon  2.048kB"
echo "Step 1/3 : FROM busybox"
echo " ---> 6858809bf669"
echo "Step 2/3 : RUN sleep {first} && /bin/true"
echo " ---> Running in 0123456789ab"
/bin/sh -c "sleep {first} && /bin/true"
echo "Removing intermediate container 0123456789ab"
echo " ---> 1858809bf669"
echo "Step 3/3 : RUN sleep {second}"
echo " ---> Running in 1123456789ab"
/bin/sh -c "sleep {second}"
echo "Removing intermediate container 1123456789ab"
echo " ---> 2858809bf669"
echo "Successfully built 2858809bf669"
"#
    )
}

#[test(Root)]
fn the_steps_of_another_builder_have_an_inside() {
    let world = World::empty();
    let observe = |script: &str| observing(&world, script).output().unwrap();
    let read = |file: &str| explain(&Record::read(std::fs::File::open(world.path(file)).unwrap()).unwrap());
    undisturbed(|factor| {
        let [first, second] = [5, 3].map(|number| tenths(number * factor));
        let output = observe(&builder(&first, &second));
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{message}");
        in_time(message.contains("processes of 2 of 2 RUN steps were found"), message)?;
        let explanation = read("record.json");
        let processors = std::thread::available_parallelism().unwrap().get();
        assert_eq!(explanation.host.cpus.map(|cpus| cpus as usize), Some(processors), "it ran on this machine");
        for (step, time, least) in [(1, first, 450_000_000), (2, second, 250_000_000)] {
            let inside = explanation.steps[step].inside.as_ref().expect("an inside");
            assert_eq!(inside.rows.iter().map(|row| row.wall).sum::<Nanos>(), inside.wall, "{inside:#?}");
            let sleep = inside.rows.iter().find(|row| row.text == format!("sleep {time}"));
            let sleep = sleep.unwrap_or_else(|| panic!("{inside:#?}"));
            assert!(sleep.wall >= Nanos(least * u64::from(factor)), "{sleep:?}");
            // A loaded machine lets it wait for a processor before its sleep and after it.
            let rest = sleep.wall.saturating_sub(sleep.spent.runnable);
            in_time(sleep.spent.blocked[Cause::Sleep].0 * 10 > rest.0 * 7, sleep)?;
        }
        Ok(())
    });
    // A script may build more than once.
    undisturbed(|factor| {
        let [one, other, last] = [40, 50, 30].map(|number| format!("{:.2}", f64::from(number * factor) / 1e3));
        let output = observe(&(builder(&one, &last) + &builder(&other, &last)));
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(message.contains("record-2.json"), "{message}");
        in_time(message.contains("processes of 4 of 4 RUN steps were found"), message)?;
        for (file, time) in [("record.json", one), ("record-2.json", other)] {
            let explanation = read(file);
            let inside = explanation.steps[1].inside.as_ref().expect("an inside");
            let is_nap = |row: &CommandRow| row.text == format!("sleep {time}") && row.wall >= Nanos(30_000_000);
            assert!(inside.rows.iter().any(is_nap), "{file}: {inside:#?}");
        }
        Ok(())
    });
    // A command that fails before it builds has said why.
    let output = observe("echo 'no such option' >&2; exit 7");
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.contains("no such option") && message.contains("sh ended with exit status: 7"), "{message}");
}

/// A script that is called `docker`, which starts in another directory than `observe`.
#[test(Root)]
fn commands_have_their_lines_if_the_builder_starts_in_another_directory() {
    let world = World::empty();
    let app = world.path("app");
    std::fs::create_dir(&app).unwrap();
    undisturbed(|factor| {
        let [first, second] = [3, 2].map(|number| tenths(number * factor));
        let docker = app.join("docker");
        std::fs::write(&docker, format!("#!/bin/sh\n{}", builder(&first, &second))).unwrap();
        std::fs::set_permissions(&docker, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        std::fs::write(
            app.join("Dockerfile"),
            format!("FROM busybox\n\nRUN sleep {first} && \\\n  /bin/true\nRUN sleep {second}\n"),
        )
        .unwrap();
        let output = observing(&world, &format!("cd {} && ./docker build . --tag x", app.display())).output().unwrap();
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        in_time(message.contains("processes of 2 of 2 RUN steps were found"), message)?;
        let explanation = explain(&Record::read(std::fs::File::open(world.path("record.json")).unwrap()).unwrap());
        for (step, text, line) in [(1, format!("sleep {first}"), 3), (2, format!("sleep {second}"), 5)] {
            let inside = explanation.steps[step].inside.as_ref().expect("an inside");
            let row = inside.rows.iter().find(|row| row.text == text);
            let place = row.and_then(|row| row.source.as_ref());
            in_time(place.is_some_and(|place| place.line == line), inside)?;
        }
        Ok(())
    });
}

/// docker's command ends with 1 when it is interrupted, after it has cancelled the build.
#[test(Root)]
fn an_interrupted_build_is_recorded() {
    for (signal, name, code) in [(Signal::INT, "INT", 130), (Signal::TERM, "TERM", 143)] {
        let world = World::empty();
        let text = builder("0.1", "5").replace("/bin/sh -c \"sleep 5\"", "/bin/sh -c \"sleep 5\" & wait || exit 1");
        // A script whose shell started it in the background would ignore Ctrl-C.
        let script = format!("trap 'kill $!; exit 1' {name}\n{text}");
        let mut command = observing(&world, &script).stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(command.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().contains("Running in 1123456789ab")), "the second step did not begin");
        kill_process(Pid::from_child(&command), signal).unwrap();
        let output = command.wait_with_output().unwrap();
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{message}");
        let record = Record::read(std::fs::File::open(world.path("record.json")).unwrap()).unwrap();
        assert_eq!(record.steps.iter().filter(|step| step.text.starts_with("RUN")).count(), 2, "{message}");
    }
}

/// A daemon that a script starts keeps its copy of the script's output.
#[test(Root)]
fn a_daemon_does_not_delay_the_end() {
    let world = World::empty();
    undisturbed(|factor| {
        let script = format!("sleep {} &{}", 60 * factor, builder("0.1", "0.1"));
        let begun = Instant::now();
        let output = observing(&world, &script).output().unwrap();
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{message}");
        assert!(String::from_utf8_lossy(&output.stdout).contains("Successfully built"), "{message}");
        in_time(begun.elapsed() < Duration::from_secs(20), message)
    });
}

/// The disk becomes full while the command runs. A path that cannot be written is refused before.
#[test(Root, Program("mount"))]
fn a_record_that_cannot_be_written_does_not_fail_the_build() {
    let world = World::empty();
    let disk = world.path("disk");
    std::fs::create_dir(&disk).unwrap();
    // The mount is in a namespace of its own.
    let script = "mount -t tmpfs -o size=64k none \"$0\"; exec \"$@\"";
    for (end, code) in [("true", 0), ("exit 7", 1)] {
        let build =
            format!("{}\ndd if=/dev/zero of={}/rest 2> /dev/null; {end}", builder("0.1", "0.1"), disk.display());
        let record = disk.join("record.json");
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-ec", script]).arg(&disk).arg(env!("CARGO_BIN_EXE_buildscope"));
        let output =
            command.args(["observe", "--record"]).arg(&record).args(["--", "sh", "-c", &build]).output().unwrap();
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{message}");
        assert!(message.contains("no record is written") && message.contains("No space left on device"), "{message}");
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_buildscope"));
    let output = command
        .args(["observe", "--record"])
        .arg(world.path("missing/record.json"))
        .args(["--", "echo", "ran"])
        .output();
    let output = output.unwrap();
    assert_eq!((output.status.code(), &*output.stdout), (Some(2), &b""[..]), "the command must not start");
}

/// A cached step has no processes.
#[test(Root)]
fn cached_steps_are_not_missing() {
    let world = World::empty();
    let cached = |text: &str| text.replace(" ---> Running in", " ---> Using cache #").replace("Removing", "# Removing");
    let text = builder("0.1", "0.1");
    for (script, words) in [
        (cached(&text).replace("/bin/sh -c", ": "), "no RUN step ran; 2 cached"),
        (
            text.replacen(" ---> Running in 0123456789ab", " ---> Using cache", 1).replacen("/bin/sh -c", ": ", 1),
            "processes of 1 of 1 RUN steps were found; 1 cached",
        ),
    ] {
        let output = observing(&world, &script).output().unwrap();
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && message.contains(words), "{message}");
    }
}

/// Two builds run at the same time and write to one pipe (`docker build a & docker build b & wait`).
#[test(Root)]
fn the_steps_of_builds_at_the_same_time_have_an_inside() {
    let world = World::empty();
    undisturbed(|factor| {
        let [one, other, last] = [10, 14, 6].map(|number| tenths(number * factor));
        let builds =
            [&one, &other].map(|nap| format!("({})", builder(nap, &last))).map(|text| text.replace("0123", "4567"));
        let output = observing(&world, &format!("{} & {} & wait", builds[0], builds[1].replace("4567", "89ab")))
            .output()
            .unwrap();
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        in_time(message.contains("processes of 4 of 4 RUN steps were found"), message)?;
        for file in ["record.json", "record-2.json"] {
            let record = Record::read(std::fs::File::open(world.path(file)).unwrap()).unwrap();
            assert!(
                record.notes.iter().any(|note| note.contains("lines of several builds are mixed")),
                "{:?}",
                record.notes
            );
        }
        Ok(())
    });
}

/// The command's result is that of the build: what cannot be observed or recorded does not fail it.
#[test]
fn a_build_that_cannot_be_observed_is_built() {
    let world = World::empty();
    let output = observing(&world, "echo sha256:0123").output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{message}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "sha256:0123\n");
    assert!(message.contains("no build is recorded"), "{message}");
    if !root() {
        let output = observing(&world, &builder("0.1", "0.1")).output().unwrap();
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && message.contains("cannot be observed"), "{message}");
        assert!(message.contains("needs root or the capability PERFMON"), "{message}");
        assert!(world.path("record.json").exists());
    }
}
