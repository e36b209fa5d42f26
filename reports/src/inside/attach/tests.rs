use super::*;
use buildscope_record::{Fidelity, Observed, Source, StepId, Tool};

fn process(pid: u32, parent: Option<u32>, arguments: &[&str], start: u64, end: u64) -> Process {
    let arguments: Vec<String> = arguments.iter().map(|&word| word.to_owned()).collect();
    let program = arguments[0].rsplit('/').next().unwrap().to_owned();
    Process { pid, parent, program, arguments, start: Nanos(start), end: Nanos(end), ..Process::default() }
}

fn executed(id: u32, text: &str) -> Step {
    Step { outcome: Outcome::Executed, ..Step::of(StepId(id), "RUN", text) }
}

/// A record whose steps have these texts.
fn record_of(tool: Tool, runs: &[&str]) -> Record {
    let steps = runs.iter().zip(0..).map(|(text, id)| executed(id, text)).collect();
    Record { steps, ..Record::of(Source { tool, version: None, fidelity: Fidelity::default() }) }
}

fn machine() -> Processes {
    Processes::of(Observed::Events, Nanos(0), Nanos(900))
}

/// busybox and dash execute the last command in the place of the shell, often before the shell's arguments are read.
#[test]
fn a_replaced_shell_has_the_name_of_its_program() {
    let runs = ["RUN sleep 1", "RUN cd /x && exec make \"all\"", "RUN sleep 1"];
    let mut record = record_of(Tool::DockerClassic, &runs);
    const SECOND: u64 = 1_000_000_000;
    for (step, start) in record.steps.iter_mut().zip([0, 10, 20]) {
        (step.start, step.end) = (Some(Nanos(start * SECOND)), Some(Nanos((start + 9) * SECOND)));
    }
    let shell = |pid, start| Process { arguments: Vec::new(), ..process(pid, None, &["sh"], start, start + 5) };
    let next = |shell: u32, pid, arguments: &[&str], start| Process {
        replaces: Some(shell),
        ..process(pid, None, arguments, start + 5, start + SECOND)
    };
    let list = vec![
        shell(1, SECOND),
        next(0, 1, &["sleep", "1"], SECOND),
        shell(2, 11 * SECOND),
        next(2, 2, &["make", "all"], 11 * SECOND),
        shell(3, 12 * SECOND),
        next(4, 3, &["oversleep", "1"], 12 * SECOND),
        shell(4, 21 * SECOND),
        next(6, 4, &["sleep", "1"], 21 * SECOND),
    ];
    let machine = Processes { list, ..machine() };
    assert_eq!(attach(&mut record, &machine, Nanos(0), &mut Taken::default(), |_| Vec::new()), 3);
    let starts: Vec<_> =
        record.steps.iter().map(|step| step.processes.as_ref().unwrap().list[0].start.0 / SECOND).collect();
    assert_eq!(starts, [1, 11, 21]);
    let [sh, make] = &record.steps[1].processes.as_ref().unwrap().list[..] else { panic!("two programs") };
    assert_eq!((&*sh.program, &*make.program, make.replaces), ("sh", "make", Some(0)));
}

/// Only the names of the shells are known, because the steps took a millisecond. Other shells ran on the machine, too.
#[test]
fn a_shell_that_could_not_be_asked_is_found_by_its_runtime_and_its_time() {
    const MS: u64 = 1_000_000;
    let source = Source { tool: Tool::Buildah, version: None, fidelity: Fidelity::default() };
    let runs = ["RUN echo a > /b", "RUN true", "RUN make", "RUN test -e /b; ls"];
    let mut steps: Vec<Step> = runs.iter().zip(0..).map(|(text, id)| executed(id, text)).collect();
    for (step, start) in steps.iter_mut().zip([0, 1000, 2000, 3000]) {
        (step.start, step.end) = (Some(Nanos(start * MS)), Some(Nanos((start + 300) * MS)));
    }
    let mut record = Record { steps, wall: Nanos(4000 * MS), ..Record::of(source) };
    let named = |pid, parent, replaces, name: &str, ms: u64, arguments: &[&str]| Process {
        program: name.into(),
        arguments: arguments.iter().map(|&word| word.to_owned()).collect(),
        replaces,
        threads: if name == "exe" { 5 } else { 1 },
        ..process(pid, parent, &[name], ms * MS, (ms + 2) * MS)
    };
    let list = vec![
        named(1, None, None, "exe", 100, &[]),
        named(1, None, Some(0), "sh", 102, &[]),
        // Shells of other programs, and a shell of the step that started before the builder's log says so.
        named(2, None, None, "sh", 1050, &[]),
        named(3, None, None, "env", 1060, &[]),
        named(3, None, Some(3), "sh", 1062, &[]),
        named(4, None, None, "crun", 1090, &[]),
        named(5, Some(5), None, "sh", 1092, &[]),
        // Neither its text nor its children belong to one of these steps.
        named(6, Some(5), None, "sh", 2100, &["sh", "-c", "other"]),
        named(7, Some(5), None, "sh", 2100, &[]),
        named(8, Some(8), None, "cc1", 2101, &[]),
        named(9, Some(5), None, "sh", 3100, &[]),
        named(10, Some(10), None, "ls", 3101, &[]),
    ];
    let machine = Processes { list, ..machine() };
    assert_eq!(attach(&mut record, &machine, Nanos(0), &mut Taken::default(), |_| Vec::new()), 3);
    let pid = |step: &Step| step.processes.as_ref().map(|seen| seen.list[0].pid);
    assert_eq!(record.steps.iter().map(pid).collect::<Vec<_>>(), [Some(1), Some(5), None, Some(9)]);
}

/// The steps of two stages run in another order than that of the file; newlines in arguments are escaped by the observer.
#[test]
fn a_text_is_compared_whole_and_arguments_word_by_word() {
    let plain = ["RUN true && make", "RUN true", r"RUN printf 'a\nb'"];
    let exec = [r#"RUN ["cc", "-o", "a b"]"#, r#"RUN ["cc"]"#, r#"RUN ["sh", "-c", "ls"]"#];
    let runs = [plain, exec].concat();
    let mut record = record_of(Tool::Buildkit, &runs);
    let machine = Processes {
        list: vec![
            process(1, None, &["runc", "init"], 0, 900),
            process(2, Some(0), &["sh", "-c", "true"], 100, 200),
            process(3, Some(0), &["sh", "-c", "true && make"], 200, 300),
            process(4, Some(0), &["sh", "-c", r"printf 'a\nb'"], 300, 400),
            process(5, Some(3), &["cc", "-o", "a b"], 400, 500),
            process(6, Some(0), &["cc", "-o", "a b"], 500, 600),
            process(7, Some(0), &["cc"], 600, 700),
            process(8, Some(0), &["sh", "-c", "ls"], 700, 800),
        ],
        ..machine()
    };
    assert_eq!(attach(&mut record, &machine, Nanos(0), &mut Taken::default(), |_| Vec::new()), 6);
    let seen = |step: &Step| step.processes.as_ref().map(|seen| (seen.list[0].pid, seen.command.len()));
    let seen: Vec<_> = record.steps.iter().filter_map(seen).collect();
    assert_eq!(seen, [(3, 3), (2, 3), (4, 3), (6, 3), (7, 1), (8, 3)]);
}

#[test]
fn a_steps_shell_is_known_by_its_text() {
    let runs = ["RUN make all &&     make install", "RUN true", "RUN make all &&     make install"];
    let mut record = record_of(Tool::Buildkit, &runs);
    let machine = Processes {
        list: vec![
            process(1, None, &["runc", "init"], 90, 95),
            process(2, Some(0), &["/bin/sh", "-c", "make all &&     make install"], 100, 200),
            process(3, Some(1), &["make", "all"], 110, 190),
            process(4, None, &["/bin/sh", "-c", "other"], 110, 190),
            process(5, None, &["/bin/sh", "-c", "make all &&     make install"], 300, 400),
        ],
        ..machine()
    };
    assert_eq!(attach(&mut record, &machine, Nanos(50), &mut Taken::default(), |_| Vec::new()), 2);
    let first = record.steps[0].processes.as_ref().unwrap();
    let list: Vec<_> = first.list.iter().map(|process| (&*process.program, process.parent, process.start.0)).collect();
    assert_eq!(list, [("sh", None, 50), ("make", Some(0), 60)]);
    assert_eq!((first.start, first.end), (Nanos(50), Nanos(150)));
    assert_eq!(record.steps[1].processes, None);
    assert_eq!(record.steps[2].processes.as_ref().unwrap().start, Nanos(250));
    record.wall = Nanos(900);
    record.validate().unwrap();
}

/// A script builds the same Dockerfile twice. The second build has the first step from its cache.
#[test]
fn two_builds_with_the_same_texts_have_their_own_processes() {
    const SECOND: u64 = 1_000_000_000;
    let source = Source { tool: Tool::Buildkit, version: None, fidelity: Fidelity::default() };
    let run = |id, text: &str, start: u64, outcome| Step {
        start: Some(Nanos(start * SECOND)),
        end: Some(Nanos((start + 2) * SECOND)),
        outcome,
        ..Step::of(StepId(id), "RUN", text)
    };
    let build = |first| Record {
        steps: vec![run(0, "RUN make", 1, first), run(1, "RUN make test", 3, Outcome::Executed)],
        wall: Nanos(6 * SECOND),
        ..Record::of(source.clone())
    };
    let shell =
        |pid, text: &str, start: u64| process(pid, None, &["sh", "-c", text], start * SECOND, (start + 1) * SECOND);
    let list = vec![shell(1, "make", 1), shell(2, "make test", 4), shell(3, "make test", 14), shell(4, "make", 22)];
    let machine = Processes { list, ..machine() };
    let mut taken = Taken::default();
    let mut found = |first, zero: u64| {
        let mut record = build(first);
        attach(&mut record, &machine, Nanos(zero * SECOND), &mut taken, |_| Vec::new());
        let pid = |step: &Step| step.processes.as_ref().map(|seen| seen.list[0].pid);
        record.steps.iter().map(pid).collect::<Vec<_>>()
    };
    assert_eq!(found(Outcome::Executed, 0), [Some(1), Some(2)]);
    assert_eq!(found(Outcome::Cached, 10), [None, Some(3)]);
    assert_eq!(found(Outcome::Executed, 20), [Some(4), None]);
}

/// Two builds of the same Dockerfile at the same time, with other contexts. The first one takes longer.
#[test]
fn of_equal_texts_at_the_same_time_the_times_decide() {
    const MS: u64 = 1_000_000;
    let build = |end: u64| {
        let mut record = record_of(Tool::Buildkit, &["RUN make"]);
        (record.steps[0].start, record.steps[0].end) = (Some(Nanos(100 * MS)), Some(Nanos(end * MS)));
        Record { wall: Nanos(2000 * MS), ..record }
    };
    let shell = |pid, start: u64, end: u64| process(pid, None, &["sh", "-c", "make"], start * MS, end * MS);
    // The second one executes its last command in its own place.
    let second = Process { replaces: Some(1), ..process(2, None, &["make"], 160 * MS, 1600 * MS) };
    let machine = Processes { list: vec![shell(1, 150, 700), shell(2, 155, 160), second], ..machine() };
    let mut taken = Taken::default();
    let mut pid = |end| {
        let mut record = build(end);
        assert_eq!(attach(&mut record, &machine, Nanos(0), &mut taken, |_| Vec::new()), 1);
        record.steps[0].processes.as_ref().unwrap().list[0].pid
    };
    assert_eq!([pid(1700), pid(800)], [2, 1]);
}

/// The first line was read 0.4 s after it was written, and the second one 0.1 s. Meanwhile, the first step had started.
#[test]
fn a_step_that_starts_before_the_first_line_is_read_keeps_its_time() {
    const MS: u64 = 1_000_000;
    let mut record = record_of(Tool::DockerClassic, &["RUN sleep 1", "RUN true"]);
    for (step, (start, end)) in record.steps.iter_mut().zip([(0, 600), (600, 700)]) {
        (step.start, step.end) = (Some(Nanos(start * MS)), Some(Nanos(end * MS)));
    }
    record.wall = Nanos(700 * MS);
    record.started = Some("2026-11-30T10:00:00.5Z".into());
    let list = vec![
        process(1, None, &["sh", "-c", "sleep 1"], 2100 * MS, 3100 * MS),
        process(2, None, &["sh", "-c", "true"], 3110 * MS, 3120 * MS),
        // Another build, long before.
        process(3, None, &["sh", "-c", "true"], 100 * MS, 110 * MS),
    ];
    let machine = Processes { list, ..machine() };
    assert_eq!(attach(&mut record, &machine, Nanos(2500 * MS), &mut Taken::default(), |_| Vec::new()), 2);
    let first = record.steps[0].processes.as_ref().unwrap();
    assert_eq!((first.start, first.end), (Nanos(0), Nanos(1000 * MS)));
    let times: Vec<_> =
        record.steps.iter().map(|step| (step.start.unwrap().0 / MS, step.end.unwrap().0 / MS)).collect();
    assert_eq!((times, record.wall), (vec![(0, 1000), (1000, 1100)], Nanos(1100 * MS)));
    assert_eq!(record.started.as_deref(), Some("2026-11-30T10:00:00.1Z"));
    record.validate().unwrap();
}

/// Without the Dockerfile, only the first line of a heredoc is known.
#[test]
fn a_heredoc_is_found_by_its_first_line() {
    let runs = ["RUN <<EOF (make...)", "RUN <<EOF (make)", "RUN --mount=type=cache,target=/c <<-X (cc...)"];
    let mut record = record_of(Tool::Buildkit, &runs);
    let machine = Processes {
        list: vec![
            process(1, None, &["/bin/sh", "-c", r"make\n"], 0, 100),
            process(2, None, &["/bin/sh", "-c", r"make\nmake install\n"], 100, 200),
            process(3, None, &["/bin/sh", "-c", r"cc a.c\ncc b.c\n"], 200, 300),
        ],
        ..machine()
    };
    assert_eq!(attach(&mut record, &machine, Nanos(0), &mut Taken::default(), |_| Vec::new()), 3);
    let seen = |step: &Step| step.processes.as_ref().map(|seen| (seen.list[0].pid, seen.command[2].clone()));
    let seen: Vec<_> = record.steps.iter().filter_map(seen).collect();
    let text = |pid, text: &str| (pid, text.to_owned());
    assert_eq!(seen, [text(2, "make\nmake install\n"), text(1, "make\n"), text(3, "cc a.c\ncc b.c\n")]);
}

/// BuildKit shows the values of the Dockerfile's variables, and no backslashes before characters.
#[test]
fn a_text_with_variables_is_found_by_what_the_builder_shows() {
    let runs = ["RUN make 1", "RUN make 1 && ls", r#"RUN echo "a" 2"#, "RUN cp 1"];
    let mut record = record_of(Tool::Buildkit, &runs);
    record.steps[0].start = Some(Nanos(3_000_000_000));
    let machine = Processes {
        list: vec![
            process(1, None, &["sh", "-c", "$COMMAND"], 0, 100),
            process(2, None, &["sh", "-c", "make $V && ls"], 100, 200),
            process(3, None, &["sh", "-c", r#"echo \"a\" ${V}"#], 200, 300),
            process(4, None, &["sh", "-c", "make $V"], 3_100_000_000, 3_200_000_000),
        ],
        ..machine()
    };
    let known = ScriptText { text: "make $V && ls".into(), origins: vec![Origin { at: 0, line: 4, column: 5 }] };
    let scripts = |step: &Step| if step.text.ends_with("ls") { vec![known.clone()] } else { Vec::new() };
    assert_eq!(attach(&mut record, &machine, Nanos(0), &mut Taken::default(), scripts), 4);
    let seen = |step: &Step| step.processes.as_ref().map(|seen| (seen.list[0].pid, seen.command[2].clone()));
    let seen: Vec<_> = record.steps.iter().filter_map(seen).collect();
    let text = |pid, text: &str| (pid, text.to_owned());
    let expected = [text(4, "make $V"), text(2, "make $V && ls"), text(3, r#"echo \"a\" ${V}"#), text(1, "$COMMAND")];
    assert_eq!(seen, expected);
    assert_eq!(record.steps[1].processes.as_ref().unwrap().origins.len(), 1);
}

/// BuildKit executes a heredoc that names its interpreter.
#[test]
fn a_heredoc_with_an_interpreter_is_found_by_it() {
    let mut record = record_of(Tool::Buildkit, &["RUN <<EOT (#!/bin/bash...)", "RUN <<EOT (#!/bin/dash)"]);
    let list = vec![
        process(1, None, &["runc", "init"], 0, 900),
        process(2, Some(0), &["/bin/sh", "-c", "/dev/pipes/EOT"], 90, 100),
        Process { replaces: Some(1), ..process(2, Some(0), &["/bin/dash", "/dev/pipes/EOT"], 100, 200) },
        process(3, Some(0), &["/bin/bash", "/other"], 200, 300),
        process(4, Some(0), &["/bin/sh", "-c", "/dev/pipes/EOT"], 290, 300),
        Process { replaces: Some(4), ..process(4, Some(0), &["/bin/bash", "/dev/pipes/EOT"], 300, 400) },
    ];
    let machine = Processes { list, ..machine() };
    let text = "#!/bin/bash\nset -e\nmake\n";
    let known = |step: &Step| {
        let is_bash = step.text.contains("bash");
        Vec::from_iter(is_bash.then(|| ScriptText { text: text.into(), origins: Vec::new() }))
    };
    assert_eq!(attach(&mut record, &machine, Nanos(0), &mut Taken::default(), known), 2);
    let seen = |step: &Step| step.processes.as_ref().map(|seen| (seen.list[0].pid, seen.script.clone()));
    let seen: Vec<_> = record.steps.iter().filter_map(seen).collect();
    assert_eq!(seen, [(4, Some(text.to_owned())), (2, None)]);
}

/// buildah's chroot isolation executes a copy of buildah from memory, which starts the program.
#[test]
fn a_program_without_a_shell_is_found_below_buildah() {
    let mut record = record_of(Tool::Buildah, &[r#"RUN ["/bin/sleep", "1"]"#]);
    let runtime = process(1, None, &["buildah-chroot-exec", "/bin/sleep", "1"], 0, 900);
    let runtime = Process { program: "memfd:buildah-c".into(), ..runtime };
    let list = vec![runtime, process(2, Some(0), &["/bin/sleep", "1"], 100, 900)];
    let machine = Processes { list, ..machine() };
    assert_eq!(attach(&mut record, &machine, Nanos(0), &mut Taken::default(), |_| Vec::new()), 1);
    assert_eq!(record.steps[0].processes.as_ref().unwrap().list[0].pid, 2);
}

/// Docker's classic builder says that a base image has ONBUILD instructions, and not which. The steps of other builds have shells, too.
#[test]
fn an_onbuild_instruction_has_the_text_of_its_shell() {
    const SECOND: u64 = 1_000_000_000;
    let mut record = record_of(Tool::DockerClassic, &["ONBUILD of base", "ONBUILD of base", "RUN make"]);
    for (step, start) in record.steps.iter_mut().zip([1, 3, 4]) {
        (step.start, step.end) = (Some(Nanos(start * SECOND)), Some(Nanos((start + 1) * SECOND)));
    }
    record.steps[..2].iter_mut().for_each(|step| step.instruction = Instruction::Onbuild);
    let shell = |pid, parent, text: &str, tenths: u64| {
        process(pid, parent, &["/bin/sh", "-c", text], tenths * SECOND / 10, (tenths + 2) * SECOND / 10)
    };
    let list = vec![
        process(1, None, &["runc", "init"], 0, 9 * SECOND),
        shell(2, Some(0), "other", 2),
        shell(3, None, "not of a container", 12),
        shell(4, Some(0), "npm ci", 14),
        shell(5, Some(0), "make", 42),
    ];
    let machine = Processes { list, ..machine() };
    assert_eq!(attach(&mut record, &machine, Nanos(0), &mut Taken::default(), |_| Vec::new()), 2);
    let texts: Vec<_> = record.steps.iter().map(|step| (&*step.text, step.processes.is_some())).collect();
    assert_eq!(texts, [("RUN npm ci", true), ("ONBUILD of base", false), ("RUN make", true)]);
    assert_eq!(record.steps[0].instruction, Instruction::Run);
}

/// Of two equal builds at the same time, BuildKit executes each step once. Other builders execute it for each.
#[test]
fn equal_steps_of_builds_at_the_same_time_may_have_the_same_processes() {
    const SECOND: u64 = 1_000_000_000;
    let list = vec![
        process(1, None, &["runc", "init"], 0, 9 * SECOND),
        process(2, Some(0), &["/bin/sh", "-c", "make"], SECOND, 2 * SECOND),
    ];
    let machine = Processes { list, ..machine() };
    for (tool, start, found) in [(Tool::Buildkit, 1, 1), (Tool::Buildkit, 4, 0), (Tool::Buildah, 1, 0)] {
        let build = |start: u64| {
            let mut record = record_of(tool.clone(), &["RUN make"]);
            (record.steps[0].start, record.steps[0].end) =
                (Some(Nanos(start * SECOND)), Some(Nanos((start + 1) * SECOND)));
            Record { wall: Nanos(6 * SECOND), ..record }
        };
        let mut taken = Taken::default();
        assert_eq!(attach(&mut build(1), &machine, Nanos(0), &mut taken, |_| Vec::new()), 1);
        let found_then = attach(&mut build(start), &machine, Nanos(0), &mut taken, |_| Vec::new());
        assert_eq!(found_then, found, "{tool:?} {start}");
    }
}
