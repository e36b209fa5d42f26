//! Processes inside steps in the record.

use crate::world::{Built, World};
use buildscope_record::{Cause, Nanos, Observed, Record};
use buildscope_reports::explain;
use buildscope_reports::inside::{Activity, CommandRow, RowKind, folded_stacks};
use buildscope_reports::render::{Style, text};
use buildscope_testing::{in_time, test, undisturbed};
use std::path::Path;
use std::process::Command;

/// Tenths of a second, as `sleep` takes them.
pub(crate) fn tenths(number: u32) -> String {
    format!("{:.1}", f64::from(number) / 10.0)
}

/// Fails if processes were sampled: the expected times are those of perf events.
fn expect_events(record: &Record) {
    let mut seen = record.steps.iter().filter_map(|step| step.processes.as_ref());
    assert!(seen.all(|seen| seen.observed == Observed::Events), "{record:#?}");
}

/// Builds with these arguments, and checks the rows of two steps.
fn check(args: &[&str]) {
    const LOOP: &str = "while [ $i -lt 30 ]; do /bin/true; i=$((i+1)); done";
    undisturbed(|factor| {
        let [long, short, alone] = [4, 1, 2].map(|number| format!("sleep {}", tenths(number * factor)));
        let program = format!("/bin/{alone}").replace(' ', "\", \"");
        let chain = format!("{long} && cd /tmp && ({short}; true) && i=0; {LOOP}");
        let world = World::new(&format!("FROM busybox\nRUN {chain}\nRUN [\"{program}\"]\n"));
        let record = world.build(&[&["--no-cache"], args].concat()).record();
        expect_events(&record);
        let explanation = explain(&record);
        let insides: Vec<_> = explanation.steps.iter().filter_map(|step| step.inside.as_ref()).collect();
        let [chain, exec] = insides[..] else { panic!("two steps have an inside") };
        for inside in [chain, exec] {
            assert_eq!(inside.rows.iter().map(|row| row.wall).sum::<Nanos>(), inside.wall, "{inside:#?}");
        }
        let row = |text: &str| chain.rows.iter().find(|row| row.text == text).ok_or(format!("no {text}: {chain:#?}"));
        let first = row(&long)?;
        let nap = Nanos(400_000_000 * u64::from(factor));
        assert!(first.wall.0 >= nap.0 * 98 / 100, "{first:?}");
        // The kernel may give it a processor late, before and after its sleep.
        let slept = first.spent.blocked[Cause::Sleep];
        in_time(slept.0 >= nap.0 * 3 / 4 && (slept + first.spent.runnable).0 * 10 >= first.wall.0 * 8, first)?;
        assert!(row(&format!("({short}; true)"))?.wall >= Nanos(90_000_000));
        let counted = row(LOOP)?;
        assert_eq!(counted.processes, 30, "{counted:?}");
        let commands: Vec<&CommandRow> = exec.rows.iter().filter(|row| row.kind == RowKind::Command).collect();
        assert_eq!(commands[0].text, format!("/bin/{alone}"));
        assert!(folded_stacks(&record).contains(";sleep;[sleep] "));
        Ok(())
    });
}

#[test(PerfEvents)]
fn the_commands_of_a_step_have_their_time() {
    check(&[]);
}

/// The kernel's events have times of the machine, the builder's clock those of its namespace (time_namespaces(7)).
#[test(PerfEvents, Program("unshare"))]
fn a_build_in_a_time_namespace_has_the_same_inside() {
    undisturbed(|factor| {
        let [first, second] = [3, 2].map(|number| format!("sleep {}", tenths(number * factor)));
        let world = World::new(&format!("FROM busybox\nRUN {first} && {second} && true\n"));
        let record = world.path("record.json");
        let build = world.command(&["--no-cache", "--record", record.to_str().unwrap()]);
        let mut command = Command::new("unshare");
        command.args(["--time", "--monotonic", "5000", "--boottime", "7000", "--fork"]).arg(build.get_program());
        let output = command.args(build.get_args()).output().unwrap();
        let record = Built { output, record }.record();
        expect_events(&record);
        let explanation = explain(&record);
        let inside = explanation.steps.iter().find_map(|step| step.inside.as_ref()).expect("an inside");
        for (text, least) in [(first, 290_000_000), (second, 190_000_000)] {
            let row = inside.rows.iter().find(|row| row.text == text).expect("a row");
            assert!(row.wall.0 >= least * u64::from(factor), "{row:?}");
            let waited = row.spent.blocked[Cause::Sleep] + row.spent.runnable;
            in_time(waited.0 * 10 >= row.wall.0 * 9, row)?;
        }
        Ok(())
    });
}

/// busybox, dash and bash execute the last command of a text in the place of the shell.
#[test(PerfEvents)]
fn an_executed_command_and_the_shells_computing_have_their_time() {
    undisturbed(|factor| {
        let count = format!("while [ $i -lt {} ]; do i=$((i+1)); done", 100_000 * factor);
        let nap = format!("sleep {}", tenths(4 * factor));
        let texts = [nap.clone(), format!("exec {nap}"), format!("set -e; i=0; {count}; {nap}")];
        let world = World::new(&format!("FROM busybox\n{}", texts.map(|text| format!("RUN {text}\n")).concat()));
        let record = world.build(&["--no-cache"]).record();
        expect_events(&record);
        let explanation = explain(&record);
        let insides: Vec<_> = explanation.steps.iter().filter_map(|step| step.inside.as_ref()).collect();
        assert_eq!(insides.len(), 3);
        for inside in &insides {
            let sleep = inside.rows.iter().find(|row| row.text.ends_with(&nap)).expect("a row");
            let waited = sleep.spent.blocked[Cause::Sleep] + sleep.spent.runnable;
            let least = Nanos(300_000_000 * u64::from(factor));
            let has_slept = sleep.spent.blocked[Cause::Sleep] > least;
            in_time(has_slept && waited.0 * 20 >= sleep.wall.0 * 19 && sleep.cpu < Nanos(100_000_000), sleep)?;
        }
        let loops = insides[2].rows.iter().find(|row| row.text == count).expect("a row");
        assert!(insides[2].rows.iter().all(|row| !["set -e", "i=0"].contains(&&*row.text)), "{:#?}", insides[2]);
        let has_computed = loops.cpu + loops.spent.runnable > Nanos(loops.wall.0 / 2);
        in_time(loops.cpu > Nanos(20_000_000) && has_computed, loops)
    });
}

/// A program of the name of a tool, which computes four times as long after its second line as after its first one. A line has the time at
/// which it is read, which may be later on a busy machine.
#[test(PerfEvents)]
fn the_lines_of_a_tool_divide_its_time() {
    let count = |times| format!("i=0; while [ $i -lt {times} ]; do i=$((i+1)); done");
    let world = World::new("FROM busybox\nCOPY --chmod=755 pip /bin/pip\nRUN pip install flask && true\n");
    undisturbed(|factor| {
        let (first, second) = (count(50_000 * factor), count(200_000 * factor));
        let lines = ["Collecting flask", "Installing collected packages: flask"];
        world.write("pip", &format!("#!/bin/sh\necho {}\n{first}\necho {}\n{second}\n", lines[0], lines[1]));
        let record = world.build(&["--no-cache"]).record();
        expect_events(&record);
        let step = record.steps.iter().find(|step| step.processes.is_some()).expect("a step with processes");
        let read: Vec<&str> = step.output.iter().map(|line| &*line.text).collect();
        assert_eq!(read, lines);
        let explanation = explain(&record);
        let inside = explanation.steps.iter().find_map(|step| step.inside.as_ref()).expect("an inside");
        let row = inside.rows.iter().find(|row| row.text == "pip install flask").expect("a row");
        let cpu = |activity| row.activities.iter().find(|done| done.activity == activity).map_or(0, |done| done.cpu.0);
        let (download, unpack) = (cpu(Activity::Download), cpu(Activity::Unpack));
        in_time(download > 0 && unpack > 2 * download && unpack < 8 * download, row)
    });
}

/// The kernel reports the end of a process when it executes a set-uid program.
#[test(PerfEvents)]
fn a_program_that_is_executed_set_uid_has_its_time() {
    let world = World::empty();
    undisturbed(|factor| {
        let nap = format!("/su/busybox sleep {}", tenths(4 * factor));
        world.write(
            "Dockerfile",
            &format!(
                "FROM busybox\nRUN mkdir /su && cp /bin/busybox /su/busybox && chmod 4755 /su/busybox\nUSER 1000\nRUN {nap} && true\n"
            ),
        );
        let record = world.build(&["--no-cache"]).record();
        expect_events(&record);
        let explanation = explain(&record);
        let inside = explanation.steps.iter().rev().find_map(|step| step.inside.as_ref()).expect("an inside");
        let nap = inside.rows.iter().find(|row| row.text == nap);
        in_time(nap.is_some_and(|nap| nap.wall > Nanos(350_000_000 * u64::from(factor))), inside)
    });
}

/// A 32-bit program that calls nanosleep for 0.5 s and exits: its call has the number of `sync` in 64-bit programs.
#[test(PerfEvents)]
fn a_32_bit_program_that_sleeps_waits_for_time() {
    const BASE: u32 = 0x0804_8000;
    const CODE: u32 = 52 + 32;
    let time = BASE + CODE + 23;
    let code = [
        // mov eax, 162; mov ebx, time; xor ecx, ecx; int 0x80; mov eax, 1; xor ebx, ebx; int 0x80
        &[0xb8, 162, 0, 0, 0, 0xbb][..],
        &time.to_le_bytes(),
        &[0x31, 0xc9, 0xcd, 0x80, 0xb8, 1, 0, 0, 0, 0x31, 0xdb, 0xcd, 0x80],
        &[0, 0, 0, 0],
        &500_000_000_u32.to_le_bytes(),
    ]
    .concat();
    let size = CODE + code.len() as u32;
    let words = |list: &[u32]| list.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
    let file = [
        b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x03\0".to_vec(),
        words(&[1, BASE + CODE, 52, 0, 0]),
        [52_u16, 32, 1, 0, 0, 0].iter().flat_map(|half| half.to_le_bytes()).collect(),
        words(&[1, 0, BASE, BASE, size, size, 5, 0x1000]),
        code,
    ]
    .concat();
    let world = World::new("FROM busybox\nCOPY --chmod=755 nap /nap\nRUN /nap; true\n");
    std::fs::write(world.context().join("nap"), file).unwrap();
    let record = world.build(&["--no-cache"]).record();
    let explanation = explain(&record);
    let inside = explanation.steps.iter().find_map(|step| step.inside.as_ref()).expect("an inside");
    let nap = inside.rows.iter().find(|row| row.text == "/nap").expect("a row");
    // A kernel without 32-bit programs does not start it.
    if nap.wall > Nanos(400_000_000) {
        assert!(nap.spent.blocked[Cause::Sleep] > Nanos(400_000_000), "{nap:?}");
    }
}

#[test(PerfEvents, Program("crun"), Program("runc"))]
fn steps_of_stock_runtimes_are_observed() {
    for runtime in ["crun", "runc"] {
        check(&["--executor", runtime]);
    }
}

/// `perf_event_paranoid` 3 and 4 refuse perf events with EACCES, the seccomp profiles of docker and podman with EPERM, and a kernel
/// without them with ENOSYS.
#[test(Root, Program("strace"))]
fn a_build_without_perf_events_is_sampled_and_says_so() {
    for (error, words, remedy) in [
        ("EACCES", "Permission denied", "a container needs the capability PERFMON"),
        ("EPERM", "Operation not permitted", "a container needs the capability PERFMON"),
        ("ENOSYS", "not implemented", "this kernel has no perf events"),
    ] {
        undisturbed(|factor| {
            let nap = format!("sleep {}", tenths(5 * factor));
            let world = World::new(&format!("FROM busybox\nRUN {nap} && cd / && /bin/true\n"));
            let record = world.path("record.json");
            let build = world.command(&["--no-cache", "--record", record.to_str().unwrap()]);
            let inject = format!("inject=perf_event_open:error={error}");
            let mut traced = Command::new("strace");
            traced.args(["-f", "--seccomp-bpf", "-qq", "-o", "/dev/null", "-e", "trace=perf_event_open"]);
            let output = traced.args(["-e", &inject]).arg(build.get_program()).args(build.get_args()).output().unwrap();
            let record = Built { output, record }.record();
            let seen = record.steps.iter().find_map(|step| step.processes.as_ref()).ok_or("no processes")?;
            assert_eq!(seen.observed, Observed::Sampled);
            let explanation = explain(&record);
            let inside = explanation.steps.iter().find_map(|step| step.inside.as_ref()).ok_or("no inside")?;
            assert_eq!(inside.rows.iter().map(|row| row.wall).sum::<Nanos>(), inside.wall, "{inside:#?}");
            // What was not seen may need several lines.
            let shown = text(&explanation, Style::default()).split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(shown.contains("perf_event_open failed") && shown.contains(words), "{shown}");
            assert!(shown.contains("times to better than") && shown.contains(remedy), "{shown}");
            let sleep = inside.rows.iter().find(|row| row.text == nap);
            in_time(sleep.is_some_and(|sleep| sleep.wall >= Nanos(400_000_000 * u64::from(factor))), inside)
        });
    }
}

/// Observation does not change the image ID.
#[test]
fn observation_does_not_change_the_image() {
    let world = World::new("FROM busybox\nRUN echo a > /a && sleep 0.05\n");
    let output = format!("type=oci,dest={},rewrite-timestamp=true", world.path("image.tar").display());
    let id = |args: &[&str]| {
        let reproducible = ["--no-cache", "--build-arg", "SOURCE_DATE_EPOCH=1", "--output", &output];
        let output = world.command(&[&reproducible[..], args].concat()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let record = world.path("record.json");
    assert_eq!(id(&["--record", record.to_str().unwrap()]), id(&[]));
    let record = Record::from_json(&std::fs::read(&record).unwrap()).unwrap();
    assert!(record.steps.iter().any(|step| step.processes.is_some()));
}

/// The record does not contain secrets that a command passes to a program.
#[test]
fn arguments_from_secrets_are_not_recorded() {
    let world = World::new(
        "FROM busybox\nRUN --mount=type=secret,id=word sh -c \"sleep 0.1; : \\$0\" $(cat /run/secrets/word)\n",
    );
    world.write("word", "hunter2hunter2");
    let secret = format!("id=word,src={}", world.context().join("word").display());
    let built = world.build(&["--no-cache", "--secret", &secret]);
    let text = std::fs::read_to_string(&built.record).unwrap();
    built.record();
    assert!(text.contains("\"processes\""), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
}

/// What `whatif` predicts of a record with these arguments: how much shorter the build is.
fn gain(record: &Path, args: &[&str]) -> Nanos {
    let output =
        Command::new(env!("CARGO_BIN_EXE_buildscope")).args(["whatif", "--json"]).arg(record).args(args).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let prediction: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let time = |name: &str| prediction[name].as_u64().unwrap();
    Nanos(time("measured").saturating_sub(time("wall")))
}

/// The steps run one after the other. A command of its own stage runs at the same time as the step before its own.
#[test]
fn a_command_can_be_free_faster_cached_or_moved() {
    let world = World::new("FROM busybox\nRUN sleep 0.3\nRUN sleep 0.8 && sleep 0.4 && true\n");
    let built = world.build(&["--no-cache"]);
    let record = built.record();
    let explanation = explain(&record);
    let inside = explanation.steps.iter().filter_map(|step| step.inside.as_ref()).next_back().expect("an inside");
    let wall = inside.rows.iter().find(|row| row.text == "sleep 0.8").expect("a row").wall;
    // Under load, the parts of a step that no command has are longer.
    let near = |one: Nanos, other: Nanos| one.0.abs_diff(other.0) < 20_000_000 + other.0 / 20;
    let name = "command:sleep 0.8";
    let free = gain(&built.record, &["--without", name]);
    assert!(near(free, wall), "{free} of {wall}");
    assert_eq!(gain(&built.record, &["--cached", name]), free);
    let faster = gain(&built.record, &["--faster", "command:sleep 0.8=2"]);
    assert!(near(faster, Nanos(wall.0 / 2)), "{faster} of {wall}");
    let moved = gain(&built.record, &["--move", name]);
    // A step before it that took as long, under load, leaves room for all of it.
    let before = record.steps.iter().find(|step| step.text == "RUN sleep 0.3").expect("a step");
    let before = before.end.unwrap().saturating_sub(before.start.unwrap());
    assert!(moved > Nanos(250_000_000) && (moved < wall || before >= wall), "{moved} of {wall}, after {before}");
    let drag = gain(&built.record, &["--without", "command:sleep 0.4"]);
    let shown = inside.rows.iter().find(|row| row.text == "sleep 0.4").expect("a row").drag;
    assert!(near(drag, shown), "the drag of a command is {shown}, without it the build is {drag} shorter");
}
