//! Processes inside steps in the record.

use crate::world::{Built, World};
use buildscope_record::{Cause, Nanos, Observed, Record};
use buildscope_reports::explain;
use buildscope_reports::inside::{Activity, CommandRow, RowKind, folded_stacks};
use buildscope_reports::render::{Style, text};
use buildscope_testing::test;
use std::path::Path;
use std::process::Command;

const STEPS: &str = "FROM busybox
RUN sleep 0.4 && cd /tmp && (sleep 0.1; true) && i=0; while [ $i -lt 30 ]; do /bin/true; i=$((i+1)); done
RUN [\"/bin/sleep\", \"0.2\"]
";

/// Fails if processes were sampled: the expected times are those of perf events.
fn expect_events(record: &Record) {
    let mut seen = record.steps.iter().filter_map(|step| step.processes.as_ref());
    assert!(seen.all(|seen| seen.observed == Observed::Events), "{record:#?}");
}

fn check(record: &Record) {
    expect_events(record);
    let explanation = explain(record);
    let insides: Vec<_> = explanation.steps.iter().filter_map(|step| step.inside.as_ref()).collect();
    let [chain, exec] = insides[..] else { panic!("two steps have an inside") };
    for inside in [chain, exec] {
        assert_eq!(inside.rows.iter().map(|row| row.wall).sum::<Nanos>(), inside.wall, "{inside:#?}");
    }
    let row =
        |text: &str| chain.rows.iter().find(|row| row.text == text).unwrap_or_else(|| panic!("no {text}: {chain:#?}"));
    let first = row("sleep 0.4");
    assert!(
        first.wall >= Nanos(395_000_000) && first.spent.blocked[Cause::Sleep].0 * 10 >= first.wall.0 * 8,
        "{first:?}"
    );
    assert!(row("(sleep 0.1; true)").wall >= Nanos(90_000_000));
    let counted = row("while [ $i -lt 30 ]; do /bin/true; i=$((i+1)); done");
    assert_eq!(counted.processes, 30, "{counted:?}");
    let commands: Vec<&CommandRow> = exec.rows.iter().filter(|row| row.kind == RowKind::Command).collect();
    assert_eq!(commands[0].text, "/bin/sleep 0.2");
    assert!(folded_stacks(record).contains(";sleep;[sleep] "));
}

#[test(PerfEvents)]
fn the_commands_of_a_step_have_their_time() {
    let world = World::new(STEPS);
    check(&world.build(&["--no-cache"]).record());
}

/// busybox, dash and bash execute the last command of a text in the place of the shell.
#[test(PerfEvents)]
fn an_executed_command_and_the_shells_computing_have_their_time() {
    let count = "while [ $i -lt 100000 ]; do i=$((i+1)); done";
    let texts = ["sleep 0.4".to_owned(), "exec sleep 0.4".to_owned(), format!("set -e; i=0; {count}; sleep 0.4")];
    let world = World::new(&format!("FROM busybox\n{}", texts.map(|text| format!("RUN {text}\n")).concat()));
    let record = world.build(&["--no-cache"]).record();
    expect_events(&record);
    let explanation = explain(&record);
    let insides: Vec<_> = explanation.steps.iter().filter_map(|step| step.inside.as_ref()).collect();
    assert_eq!(insides.len(), 3);
    for inside in &insides {
        let sleep = inside.rows.iter().find(|row| row.text.ends_with("sleep 0.4")).expect("a row");
        let waited = sleep.spent.blocked[Cause::Sleep] + sleep.spent.runnable;
        assert!(sleep.spent.blocked[Cause::Sleep] > Nanos(300_000_000), "{sleep:?}");
        assert!(waited.0 * 20 >= sleep.wall.0 * 19 && sleep.cpu < Nanos(100_000_000), "{sleep:?}");
    }
    let loops = insides[2].rows.iter().find(|row| row.text == count).expect("a row");
    assert!(loops.cpu > Nanos(20_000_000) && loops.cpu + loops.spent.runnable > Nanos(loops.wall.0 / 2), "{loops:?}");
    assert!(insides[2].rows.iter().all(|row| !["set -e", "i=0"].contains(&&*row.text)), "{:#?}", insides[2]);
}

/// A program of the name of a tool, which computes four times as long after its second line as after its first one.
#[test(PerfEvents)]
fn the_lines_of_a_tool_divide_its_time() {
    let count = |times| format!("i=0; while [ $i -lt {times} ]; do i=$((i+1)); done");
    let pip = format!(
        "#!/bin/sh\necho Collecting flask\n{}\necho Installing collected packages: flask\n{}\n",
        count(50_000),
        count(200_000)
    );
    let world = World::new("FROM busybox\nCOPY --chmod=755 pip /bin/pip\nRUN pip install flask && true\n");
    world.write("pip", &pip);
    let record = world.build(&["--no-cache"]).record();
    expect_events(&record);
    let step = record.steps.iter().find(|step| step.processes.is_some()).expect("a step with processes");
    let lines: Vec<&str> = step.output.iter().map(|line| &*line.text).collect();
    assert_eq!(lines, ["Collecting flask", "Installing collected packages: flask"]);
    let explanation = explain(&record);
    let inside = explanation.steps.iter().find_map(|step| step.inside.as_ref()).expect("an inside");
    let row = inside.rows.iter().find(|row| row.text == "pip install flask").expect("a row");
    let cpu = |activity| row.activities.iter().find(|done| done.activity == activity).map_or(0, |done| done.cpu.0);
    let (download, unpack) = (cpu(Activity::Download), cpu(Activity::Unpack));
    assert!(download > 0 && unpack > 2 * download && unpack < 8 * download, "{row:#?}");
}

/// The kernel reports the end of a process when it executes a set-uid program.
#[test(PerfEvents)]
fn a_program_that_is_executed_set_uid_has_its_time() {
    let world = World::new(
        "FROM busybox
RUN mkdir /su && cp /bin/busybox /su/busybox && chmod 4755 /su/busybox
USER 1000
RUN /su/busybox sleep 0.4 && true
",
    );
    let record = world.build(&["--no-cache"]).record();
    expect_events(&record);
    let explanation = explain(&record);
    let inside = explanation.steps.iter().rev().find_map(|step| step.inside.as_ref()).expect("an inside");
    let nap = inside.rows.iter().find(|row| row.text == "/su/busybox sleep 0.4").expect("a row");
    assert!(nap.wall > Nanos(350_000_000), "{inside:#?}");
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
        check(&World::new(STEPS).build(&["--no-cache", "--executor", runtime]).record());
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
        let world = World::new("FROM busybox\nRUN sleep 0.5 && cd / && /bin/true\n");
        let record = world.path("record.json");
        let build = world.command(&["--no-cache", "--record", record.to_str().unwrap()]);
        let inject = format!("inject=perf_event_open:error={error}");
        let mut traced = Command::new("strace");
        traced.args(["-f", "--seccomp-bpf", "-qq", "-o", "/dev/null", "-e", "trace=perf_event_open", "-e", &inject]);
        let output = traced.arg(build.get_program()).args(build.get_args()).output().unwrap();
        let record = Built { output, record }.record();
        let seen = record.steps.iter().find_map(|step| step.processes.as_ref()).expect("processes");
        assert_eq!(seen.observed, Observed::Sampled);
        let explanation = explain(&record);
        let inside = explanation.steps.iter().find_map(|step| step.inside.as_ref()).expect("an inside");
        assert_eq!(inside.rows.iter().map(|row| row.wall).sum::<Nanos>(), inside.wall, "{inside:#?}");
        let sleep = inside.rows.iter().find(|row| row.text == "sleep 0.5").unwrap_or_else(|| panic!("{inside:#?}"));
        assert!(sleep.wall >= Nanos(400_000_000), "{sleep:?}");
        let shown = text(&explanation, Style::default());
        assert!(shown.contains("perf_event_open failed") && shown.contains(words), "{shown}");
        assert!(shown.contains("times to better than") && shown.contains(remedy), "{shown}");
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
    assert!(moved > Nanos(250_000_000) && moved < wall, "{moved} of {wall}");
    let drag = gain(&built.record, &["--without", "command:sleep 0.4"]);
    let shown = inside.rows.iter().find(|row| row.text == "sleep 0.4").expect("a row").drag;
    assert!(near(drag, shown), "the drag of a command is {shown}, without it the build is {drag} shorter");
}

/// A builder that prints what docker's classic builder prints, and gives the text of each RUN to a shell, as all builders do.
const BUILDER: &str = r#"
echo "Sending build context to Docker daemon  2.048kB"
echo "Step 1/3 : FROM busybox"
echo " ---> 6858809bf669"
echo "Step 2/3 : RUN sleep 0.5 && /bin/true"
echo " ---> Running in 0123456789ab"
/bin/sh -c "sleep 0.5 && /bin/true"
echo "Removing intermediate container 0123456789ab"
echo " ---> 1858809bf669"
echo "Step 3/3 : RUN sleep 0.3"
echo " ---> Running in 1123456789ab"
/bin/sh -c "sleep 0.3"
echo "Removing intermediate container 1123456789ab"
echo " ---> 2858809bf669"
echo "Successfully built 2858809bf669"
"#;

#[test(Root)]
fn the_steps_of_another_builder_have_an_inside() {
    let world = World::empty();
    let record = world.path("record.json");
    let observe = |script: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_buildscope"));
        command.args(["observe", "--record"]).arg(&record).args(["--", "sh", "-c", script]).output().unwrap()
    };
    let output = observe(BUILDER);
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && message.contains("processes of 2 of 2 RUN steps were found"), "{message}");
    let explanation = explain(&Record::read(std::fs::File::open(&record).unwrap()).unwrap());
    for (step, text, least) in [(1, "sleep 0.5", 450_000_000), (2, "sleep 0.3", 250_000_000)] {
        let inside = explanation.steps[step].inside.as_ref().expect("an inside");
        assert_eq!(inside.rows.iter().map(|row| row.wall).sum::<Nanos>(), inside.wall, "{inside:#?}");
        let sleep = inside.rows.iter().find(|row| row.text == text).unwrap_or_else(|| panic!("{inside:#?}"));
        assert!(sleep.wall >= Nanos(least) && sleep.spent.blocked[Cause::Sleep].0 * 10 > sleep.wall.0 * 7, "{sleep:?}");
    }
    // A script may build more than once.
    let second = BUILDER.replace("0.5", "0.05").replace("0.3", "0.03");
    let output = observe(&format!("{}{second}", second.replace("0.05", "0.04")));
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        message.contains("processes of 4 of 4 RUN steps were found") && message.contains("record-2.json"),
        "{message}"
    );
    for (file, text) in [("record.json", "sleep 0.04"), ("record-2.json", "sleep 0.05")] {
        let explanation = explain(&Record::read(std::fs::File::open(world.path(file)).unwrap()).unwrap());
        let inside = explanation.steps[1].inside.as_ref().expect("an inside");
        assert!(inside.rows.iter().any(|row| row.text == text && row.wall >= Nanos(30_000_000)), "{file}: {inside:#?}");
    }
    // A command that fails before it builds has said why.
    let output = observe("echo 'no such option' >&2; exit 7");
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.contains("no such option") && message.contains("sh ended with exit status: 7"), "{message}");
}
