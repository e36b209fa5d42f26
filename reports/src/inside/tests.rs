mod parts;
mod selected;
mod units;

use super::text::{SHELL, UNATTRIBUTED, one_line, run_text};
use super::*;
use buildscope_record::{
    Blocked, Fidelity, Folded, Process, ProcessTime, Processes, Record, Source, StepId, Timeline, Tool,
};

fn process(parent: Option<u32>, program: &str, start: u64, end: u64, cpu: u64) -> Process {
    let (start, end) = (Nanos(start), Nanos(end));
    let waited = end.saturating_sub(start).saturating_sub(Nanos(cpu));
    let mut time = ProcessTime { cpu: Nanos(cpu), ..ProcessTime::default() };
    match program {
        "sh" | "make" => time.blocked.child = waited,
        "curl" => time.blocked.network = waited,
        _ => time.blocked.disk = waited,
    }
    Process { parent, program: program.into(), start, end, time, threads: 1, ..Process::default() }
}

fn record(script: &str, list: Vec<Process>) -> Record {
    let command = ["/bin/sh", "-c", script].map(String::from).to_vec();
    let seen = Processes { command, list, ..Processes::of(Observed::Events, Nanos(0), Nanos(1_000_000)) };
    let step = Step { processes: Some(seen), ..Step::of(StepId(0), "RUN", format!("RUN {script}")) };
    let source = Source { tool: Tool::Buildscope, version: None, fidelity: Fidelity::FULL };
    Record { steps: vec![step], ..Record::of(source) }
}

fn chain() -> Record {
    record(
        "curl -O x && make -j2 && rm x",
        vec![
            process(None, "sh", 10_000, 990_000, 20_000),
            process(Some(0), "curl", 20_000, 420_000, 40_000),
            process(Some(0), "make", 430_000, 930_000, 10_000),
            process(Some(2), "cc1", 440_000, 900_000, 400_000),
            process(Some(2), "cc1", 440_000, 920_000, 480_000),
            process(Some(0), "rm", 940_000, 980_000, 10_000),
        ],
    )
}

/// `RUN ["curl", "x"]` with crun, which works before it executes the program.
#[test]
fn a_runtimes_work_is_not_the_programs() {
    let mut record = record(
        "",
        vec![
            process(None, "crun", 0, 90_000, 80_000),
            process(Some(0), "crun", 10_000, 100_000, 90_000),
            process(Some(0), "curl", 100_000, 900_000, 80_000),
        ],
    );
    let seen = record.steps[0].processes.as_mut().unwrap();
    seen.list[1].forked = true;
    seen.list[2].replaces = Some(1);
    (seen.start, seen.end) = (Nanos(100_000), Nanos(900_000));
    seen.command = vec!["curl".into(), "x".into()];
    let Some(inside) = inside(&record.steps[0], Nanos(0)) else { panic!("one step") };
    let [row] = &inside.rows[..] else { panic!("one row: {inside:?}") };
    assert_eq!((row.processes, row.cpu, row.wall), (1, Nanos(80_000), Nanos(800_000)));
    assert_eq!((row.spent.processor, row.spent.blocked.network), (Nanos(80_000), Nanos(720_000)));
    assert_eq!(inside.processes, 1);
}

#[test]
fn the_rows_sum_to_the_steps_time() {
    let Some(inside) = &inside(&chain().steps[0], Nanos(450_000)) else { panic!("one step") };
    let rows: Vec<_> = inside.rows.iter().map(|row| (&*row.text, row.wall.0)).collect();
    assert_eq!(
        rows,
        [("curl -O x", 400_000), ("make -j2", 500_000), ("rm x", 40_000), (SHELL, 40_000), (UNATTRIBUTED, 20_000)]
    );
    assert_eq!(inside.rows.iter().map(|row| row.wall).sum::<Nanos>(), inside.wall);
    for row in &inside.rows {
        assert_eq!(row.spent.processor + row.spent.runnable + row.spent.blocked.total(), row.wall, "{row:?}");
    }
    let [curl, make, ..] = &inside.rows[..] else { panic!("rows") };
    assert_eq!((curl.spent.processor, curl.spent.blocked.network), (Nanos(40_000), Nanos(360_000)));
    assert_eq!(curl.place, Some((0, 9)));
    assert_eq!((curl.drag, make.drag), (Nanos(400_000), Nanos(450_000)), "at most the step's");
    assert_eq!((make.cpu, make.processes), (Nanos(890_000), 3));
    assert!((make.processors() - 1.78).abs() < 1e-9);
    assert_eq!((&*make.programs[0].program, make.programs[0].count), ("cc1", 2));
    assert_eq!(make.spent.blocked.child, Nanos::ZERO);
    let done = |row: &CommandRow| row.activities.iter().map(|done| (done.activity, done.count)).collect::<Vec<_>>();
    assert_eq!(done(make), [(Activity::Compile, 2), (Activity::Plan, 1)]);
    assert_eq!((done(curl), curl.activities[0].network), (vec![(Activity::Download, 1)], Nanos(360_000)));
}

/// For an ordinary user, the kernel reports no children of a set-uid program.
#[test]
fn a_wait_for_children_that_were_not_seen_is_unknown() {
    let mut list = vec![process(None, "sh", 0, 1_000_000, 1_000), process(Some(0), "sudo", 10_000, 990_000, 100)];
    (list[1].time.blocked.disk, list[1].time.blocked.child) = (Nanos::ZERO, Nanos(979_900));
    let unknown = |list: &[Process]| {
        let inside = inside(&record("sudo make", list.to_vec()).steps[0], Nanos::ZERO).unwrap();
        (inside.rows[0].spent.processor.0, inside.rows[0].spent.blocked.unknown.0)
    };
    assert_eq!(unknown(&list), (100, 979_900));
    list.push(Process { replaces: Some(1), ..process(Some(0), "make", 990_000, 990_000, 0) });
    list.push(process(Some(1), "cc1", 20_000, 980_000, 960_000));
    assert_eq!(unknown(&list), (980_000, 0));
}

/// A script begins as a program of its own name, which its interpreter replaces.
#[test]
fn commands_that_are_scripts_have_their_processes() {
    let replaces = |before, process: Process| Process { replaces: Some(before), ..process };
    let list = vec![
        ms(None, "sh", 0, 1000, 0),
        ms(Some(0), "npm", 0, 10, 0),
        replaces(1, ms(Some(0), "node", 10, 600, 20)),
        ms(Some(0), "npm", 600, 610, 0),
        replaces(3, ms(Some(0), "node", 610, 1000, 20)),
    ];
    let Some(inside) = inside(&long("npm ci && npm prune", list).steps[0], Nanos::ZERO) else { panic!("one step") };
    let rows: Vec<_> = inside.rows.iter().map(|row| (row.text.clone(), row.wall.0 / 1_000_000)).collect();
    assert_eq!(rows[..2], [row("npm ci", 600), row("npm prune", 400)]);
}

#[test]
fn a_program_without_a_shell_is_one_command() {
    let mut record = chain();
    let seen = record.steps[0].processes.as_mut().unwrap();
    seen.command = vec!["/usr/bin/curl".into(), "-O".into()];
    seen.list = vec![process(None, "curl", 10_000, 900_000, 1_000)];
    let Some(inside) = &inside(&record.steps[0], Nanos::ZERO) else { panic!("one step") };
    let rows: Vec<_> = inside.rows.iter().map(|row| (row.kind, row.wall.0)).collect();
    assert_eq!(rows, [(RowKind::Command, 890_000), (RowKind::Unattributed, 110_000)]);
}

#[test]
fn a_program_executed_by_a_shell_is_a_separate_command() {
    let mut list = vec![process(None, "sh", 0, 300_000, 1_000), process(Some(0), "cp", 10_000, 290_000, 1_000)];
    list.push(Process { replaces: Some(0), ..process(None, "make", 300_000, 1_000_000, 9_000) });
    list.push(process(Some(2), "cc1", 310_000, 990_000, 500_000));
    let Some(inside) = &inside(&record("cp a b && make", list).steps[0], Nanos::ZERO) else { panic!("one step") };
    let rows: Vec<_> = inside.rows.iter().map(|row| (&*row.text, row.wall.0, row.processes)).collect();
    assert_eq!(rows, [("cp a b", 280_000, 1), ("make", 700_000, 1), (SHELL, 20_000, 1)]);
    assert_eq!(inside.processes, 3);
}

/// A shell that counts for 0.3 ms and is then replaced by a program that sleeps for 0.7 ms.
fn counting() -> Vec<Process> {
    let mut sleep = Process { replaces: Some(0), ..process(None, "sleep", 300_000, 1_000_000, 1_000) };
    (sleep.time.blocked.disk, sleep.time.blocked.sleep) = (Nanos::ZERO, Nanos(699_000));
    vec![process(None, "sh", 0, 300_000, 300_000), sleep]
}

#[test]
fn a_program_executed_by_a_shell_has_the_waits_of_the_process() {
    let Some(inside) = &inside(&record("exec sleep 1", counting()).steps[0], Nanos::ZERO) else { panic!("one step") };
    let [sleep, shell] = &inside.rows[..] else { panic!("two rows") };
    assert_eq!((&*sleep.text, sleep.spent.blocked.sleep, sleep.cpu), ("exec sleep 1", Nanos(699_000), Nanos(1_000)));
    assert_eq!((&*shell.text, shell.spent.processor, shell.cpu), (SHELL, Nanos(300_000), Nanos(300_000)));
}

#[test]
fn computing_of_a_shell_belongs_to_its_loop() {
    let script = "i=0; while [ $i -lt 9 ]; do i=$((i+1)); done; exec sleep 1";
    let Some(inside) = &inside(&record(script, counting()).steps[0], Nanos::ZERO) else { panic!("one step") };
    let rows: Vec<_> =
        inside.rows.iter().map(|row| (&*row.text, row.wall.0, row.cpu.0, row.spent.processor.0)).collect();
    let expected = [
        ("while [ $i -lt 9 ]; do i=$((i+1)); done", 300_000, 300_000, 300_000),
        ("exec sleep 1", 700_000, 1_000, 1_000),
    ];
    assert_eq!(rows[..2], expected);
    assert_eq!(inside.rows[0].inner, [], "commands without processes cannot be told apart");
}

/// In a loop, the shell computes for 0.2 ms between two processes.
#[test]
fn computing_between_the_processes_of_a_loop_belongs_to_the_loop() {
    let list = vec![
        Process {
            time: ProcessTime { cpu: Nanos(200_000), ..ProcessTime::default() },
            ..process(None, "sh", 0, 1_000_000, 0)
        },
        process(Some(0), "cp", 0, 400_000, 400_000),
        process(Some(0), "cp", 600_000, 1_000_000, 400_000),
    ];
    let Some(inside) = &inside(&record("for i in 1 2; do cp $i; x=$x; done", list).steps[0], Nanos::ZERO) else {
        panic!("one step")
    };
    assert_eq!((inside.rows[0].wall.0, inside.rows[0].cpu.0), (1_000_000, 1_000_000));
}

/// Two loops of a shell without a process: it is not known how long each took.
#[test]
fn a_time_of_one_of_two_loops_is_a_row_of_both() {
    let loops = "while a=1; do :; done; until b=1; do :; done";
    let list = vec![process(None, "sh", 0, 20_000_000, 20_000_000)];
    let mut record = record(&format!("x=1; {loops}"), list);
    record.steps[0].processes.as_mut().unwrap().end = Nanos(20_000_000);
    let Some(inside) = &inside(&record.steps[0], Nanos::ZERO) else { panic!("one step") };
    let rows: Vec<_> = inside.rows.iter().map(|row| (&*row.text, row.wall.0, row.cpu.0, row.place)).collect();
    assert_eq!(rows[0], (loops, 20_000_000, 20_000_000, Some((5, 5 + loops.len()))));
}

#[test]
fn folded_stacks_have_every_microsecond_but_waits_for_children() {
    let text = folded_stacks(&chain());
    assert!(text.contains("RUN curl -O x && make -j2 && rm x;sh;curl;[network] 360\n"), "{text}");
    assert!(text.contains(";sh;make;cc1;[on a processor] 880\n"), "{text}");
    let sum: u64 = text.lines().map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum();
    let list = &chain().steps[0].processes.clone().unwrap().list;
    let own: u64 = list.iter().map(|process| (process.duration() - process.time.blocked.child).0 / 1000).sum();
    assert_eq!(sum, own);
}

#[test]
fn flags_are_no_part_of_the_text() {
    assert_eq!(run_text("RUN --mount=type=cache,target=/x --network=none make all"), "make all");
    assert_eq!(one_line("a \\\n   b\n"), "a \\ b");
}

fn ms(parent: Option<u32>, program: &str, start: u64, end: u64, cpu: u64) -> Process {
    const MS: u64 = 1_000_000;
    Process { threads: 1, ..process(parent, program, start * MS, end * MS, cpu * MS) }
}

fn row(text: &str, ms: u64) -> (String, u64) {
    (text.to_owned(), ms)
}

fn long(script: &str, list: Vec<Process>) -> Record {
    let mut record = record(script, list);
    record.steps[0].processes.as_mut().unwrap().end = Nanos(1_000_000_000);
    record
}

/// The share of a step of one second that is gone without these commands.
fn share_of(record: &Record, words: &str) -> f64 {
    let all = (Nanos::ZERO, Nanos(1_000_000_000));
    let cuts = command_cuts(&record.steps[0], words, 1.0, all);
    cuts.iter().map(|cut| (cut.end - cut.start).as_secs_f64() * cut.gone.time).sum()
}

fn parts(script: &str, list: Vec<Process>) -> Vec<(String, u64)> {
    let record = long(script, list);
    let Some(inside) = inside(&record.steps[0], Nanos::ZERO) else { panic!("one step") };
    let row = &inside.rows[0];
    if !row.inner.is_empty() {
        assert_eq!(row.inner.iter().map(|row| row.wall).sum::<Nanos>(), row.wall, "{row:#?}");
    }
    row.inner.iter().map(|row| (row.text.clone(), row.wall.0 / 1_000_000)).collect()
}

/// uv 0.13 builds a package for 0.6 s, with its connections to the index open; vitest 1.6 has a server of its own while its worker runs.
#[test]
fn a_tool_with_children_does_not_wait_for_the_network() {
    for (text, command, child) in [
        ("uv pip install x", "uv pip install x", "python3"),
        ("npx vitest run", "node /app/node_modules/.bin/vitest run", "node"),
    ] {
        let timeline = Timeline { every: Nanos(100_000_000), states: "nncnnnnnnc".into() };
        let arguments: Vec<String> = command.split(' ').map(str::to_owned).collect();
        let mut tool = Process { timeline: Some(timeline), arguments, ..ms(Some(0), "x", 0, 1000, 200) };
        tool.program = tool.arguments[0].clone();
        tool.time.blocked = Blocked { network: Nanos(800_000_000), ..Blocked::default() };
        let list = vec![ms(None, "sh", 0, 1000, 0), tool, ms(Some(1), child, 300, 900, 600)];
        let record = long(text, list);
        let Some(inside) = inside(&record.steps[0], Nanos::ZERO) else { panic!("one step") };
        let spent = inside.rows[0].spent;
        assert_eq!((spent.processor.0, spent.blocked.network.0), (800_000_000, 200_000_000), "{text}");
    }
}

/// The arguments were not read, so each process but the first and the last may be that of either loop.
#[test]
fn processes_of_an_unknown_one_of_several_commands_are_a_row() {
    let loops = "for f in $l; do cc $f; done; for g in $m; do cc $g; done";
    let list = || {
        let compilers = (0..4).map(|number| ms(Some(0), "cc", 100 + 200 * number, 300 + 200 * number, 150));
        [ms(None, "sh", 0, 1000, 0)].into_iter().chain(compilers).collect::<Vec<_>>()
    };
    let rows = |script: &str| {
        let record = long(script, list());
        let Some(inside) = inside(&record.steps[0], Nanos::ZERO) else { panic!("one step") };
        assert_eq!(inside.rows.iter().map(|row| row.wall).sum::<Nanos>(), inside.wall, "{inside:#?}");
        assert_eq!(inside.rows.iter().map(|row| row.processes).sum::<u64>(), inside.processes);
        let share = |words| share_of(&record, words);
        assert!((share("for f in $l") - 0.3).abs() < 0.01 || !script.contains("for f"), "{}", share("for f in $l"));
        inside.rows.iter().map(|row| (row.text.clone(), row.processes, row.wall.0 / 1_000_000)).collect::<Vec<_>>()
    };
    let row = |text: &str, processes, wall| (text.to_owned(), processes, wall);
    let expected = [
        row(loops, 2, 400),
        row("for f in $l; do cc $f; done", 1, 300),
        row("for g in $m; do cc $g; done", 1, 300),
        row(SHELL, 1, 0),
    ];
    assert_eq!(rows(loops)[..4], expected);
    let branches = "if [ $a ]; then cc $a; cc $b; cc $c; cc $d; else cc $e; cc $f; cc $g; cc $h; fi";
    assert_eq!(rows(branches)[0], row(branches, 4, 800));
    let turns = "if [ $i ]; then cc $i; else cc $j; fi";
    let inner = parts(&format!("for i in 1 2; do {turns}; ar x; done"), {
        let mut list = list();
        (list[2].program, list[4].program) = ("ar".into(), "ar".into());
        list
    });
    assert_eq!(inner, [super::tests::row("ar x", 500), super::tests::row(turns, 500)]);
}

/// 30 of 40 samples are in one function.
#[test]
fn folded_stacks_go_on_with_sampled_functions() {
    use buildscope_record::StackSamples;
    let mut record = long("make", vec![ms(None, "sh", 0, 1000, 1000)]);
    let seen = record.steps[0].processes.as_mut().unwrap();
    seen.functions = ["main", "parse", "emit"].map(String::from).to_vec();
    seen.list[0].stacks =
        vec![StackSamples { frames: vec![0, 1], samples: 30 }, StackSamples { frames: vec![0, 2], samples: 10 }];
    let text = folded_stacks(&record);
    assert!(text.contains(";sh;main;parse 750000\n") && text.contains(";sh;main;emit 250000\n"), "{text}");
}

/// runc starts its init, which ends when the step's program has begun, and waits outside of it to the end.
#[test]
fn a_runtime_that_waits_is_not_the_step() {
    let list = vec![
        ms(None, "runc", 0, 1010, 10),
        ms(Some(0), "runc", 0, 5, 5),
        ms(Some(1), "sh", 5, 1000, 5),
        ms(Some(2), "make", 10, 900, 800),
    ];
    let record = long("make; cd /x", list);
    let Some(inside) = inside(&record.steps[0], Nanos::ZERO) else { panic!("one step") };
    assert_eq!((&*inside.rows[0].text, inside.rows[0].wall), ("make", Nanos(890_000_000)));
}

/// apt-get starts several methods: one writes lists to the disk, the others wait for what they should fetch next.
#[test]
fn a_process_that_waits_for_others_of_its_command_does_what_they_do() {
    let waits = |program: &str| {
        let mut idle = ms(Some(1), program, 0, 1000, 0);
        idle.time.blocked = Blocked { lock: Nanos(1_000_000_000), ..Blocked::default() };
        idle
    };
    let mut apt = ms(Some(0), "apt-get", 0, 1000, 0);
    apt.time.blocked = Blocked { child: Nanos(1_000_000_000), ..Blocked::default() };
    let list = vec![ms(None, "sh", 0, 1000, 0), apt, waits("http"), waits("gpgv"), ms(Some(1), "store", 0, 800, 0)];
    let Some(inside) = inside(&long("apt-get update", list).steps[0], Nanos::ZERO) else { panic!("one step") };
    let blocked = inside.rows[0].spent.blocked;
    assert_eq!((blocked.disk, blocked.lock), (Nanos(800_000_000), Nanos(200_000_000)), "{inside:#?}");
}

/// Processes of one program that are kept as totals, each of 10 us on a processor.
fn total(parent: Option<u32>, program: &str, count: u64) -> Folded {
    let duration = Nanos(10_000 * count);
    Folded {
        parent,
        program: program.into(),
        count,
        start: Nanos(430_000),
        end: Nanos(930_000),
        duration,
        time: ProcessTime { cpu: duration, ..ProcessTime::default() },
        ..Folded::default()
    }
}

/// Of 5 runs of the compiler, 2 were executed by copies of a shell in their own place, which are among the other totals.
#[test]
fn a_total_counts_a_process_once() {
    let mut record = chain();
    let before = inside(&record.steps[0], Nanos::ZERO).unwrap();
    let seen = record.steps[0].processes.as_mut().unwrap();
    seen.folded = vec![Folded { replacing: 2, ..total(Some(2), "cc1", 5) }, total(Some(2), "dash", 2)];
    let after = inside(&record.steps[0], Nanos::ZERO).unwrap();
    assert_eq!(after.processes, before.processes + 5);
    assert_eq!(after.rows.iter().map(|row| row.processes).sum::<u64>(), after.processes);
    let runs = after.rows.iter().flat_map(|row| &row.programs).find(|row| row.program == "cc1").map(|row| row.count);
    let runs_before = before.rows.iter().flat_map(|row| &row.programs).find(|row| row.program == "cc1");
    assert_eq!(runs, Some(runs_before.map_or(0, |row| row.count) + 5), "each run of the compiler counts");
}

/// What is too much even for totals of a parent hangs on no process.
#[test]
fn every_total_is_in_a_row() {
    let mut record = chain();
    let seen = record.steps[0].processes.as_mut().unwrap();
    seen.folded = vec![total(Some(2), "cc1", 5), total(Some(0), "date", 3), total(None, "(others)", 7)];
    let Some(inside) = inside(&record.steps[0], Nanos::ZERO) else { panic!("one step") };
    assert_eq!(inside.processes, 6 + 5 + 3 + 7);
    assert_eq!(inside.rows.iter().map(|row| row.processes).sum::<u64>(), inside.processes);
    let cpu: Nanos = record.steps[0].processes.iter().flat_map(|seen| &seen.list).map(|process| process.time.cpu).sum();
    assert_eq!(inside.rows.iter().map(|row| row.cpu).sum::<Nanos>(), cpu + Nanos(150_000));
    assert_eq!(inside.rows.iter().map(|row| row.wall).sum::<Nanos>(), inside.wall);
    assert!(inside.unseen[0].starts_with("15 short processes"), "{:?}", inside.unseen);
}

#[test]
fn folded_stacks_say_what_was_sampled_and_what_are_totals() {
    let mut record = chain();
    let seen = record.steps[0].processes.as_mut().unwrap();
    (seen.observed, seen.folded) = (Observed::Sampled, vec![total(Some(2), "cc1", 5), total(None, "(others)", 7)]);
    let text = folded_stacks(&record);
    assert!(text.lines().all(|line| line.starts_with("[sampled] RUN curl")), "{text}");
    assert!(text.contains(";sh;make;cc1 ×5;[on a processor] 50\n"), "{text}");
    assert!(text.contains("rm x;(others) ×7;[on a processor] 70\n"), "{text}");
}

/// A trap's action runs after the last command of the text.
#[test]
fn the_action_of_a_trap_has_its_time() {
    let list = vec![
        process(None, "sh", 0, 1_000_000, 10_000),
        process(Some(0), "make", 100_000, 600_000, 400_000),
        process(Some(0), "rm", 700_000, 900_000, 100_000),
    ];
    let Some(inside) = inside(&record("trap 'rm -rf x' EXIT; make", list).steps[0], Nanos::ZERO) else {
        panic!("one step")
    };
    let rows: Vec<_> = inside.rows.iter().map(|row| (&*row.text, row.processes)).collect();
    assert_eq!(rows[..2], [("make", 1), ("trap 'rm -rf x' EXIT", 1)]);
    assert!(inside.rows[1].wall >= Nanos(200_000), "{inside:#?}");
}

/// After `exit` the shell takes 0.1 s to end. The last command never runs.
#[test]
fn a_failed_step_has_no_time_for_commands_after_the_failure() {
    use buildscope_record::Outcome;
    let list = vec![ms(None, "sh", 0, 1000, 100), ms(Some(0), "cp", 0, 900, 900)];
    let mut record = long("cp a b; exit 3; make", list);
    record.steps[0].outcome = Outcome::Failed;
    let Some(inside) = inside(&record.steps[0], Nanos::ZERO) else { panic!("one step") };
    let rows: Vec<_> = inside.rows.iter().map(|row| (row.text.clone(), row.wall.0 / 1_000_000)).collect();
    assert_eq!(rows[..2], [row("cp a b", 900), row("exit 3", 100)]);
    assert!(rows.iter().all(|(text, _)| text != "make"), "{rows:?}");
}

/// Of two loops that start one program, the first took three times as long as the second.
#[test]
fn totals_are_divided_among_the_loops_of_their_program() {
    let (first, second) = ("for i in $a; do date; done", "for i in $b; do date; done");
    let list = vec![
        ms(None, "sh", 0, 1000, 0),
        ms(Some(0), "date", 0, 600, 600),
        ms(Some(0), "cp", 600, 800, 200),
        ms(Some(0), "date", 800, 1000, 200),
    ];
    let mut record = long(&format!("{first}; cp a b; {second}"), list);
    record.steps[0].processes.as_mut().unwrap().folded = vec![total(Some(0), "date", 4000)];
    let Some(inside) = inside(&record.steps[0], Nanos::ZERO) else { panic!("one step") };
    let rows: Vec<_> = inside.rows.iter().map(|row| (&*row.text, row.processes, row.cpu.0 / 1_000_000)).collect();
    assert_eq!(rows[..3], [(first, 3001, 630), ("cp a b", 1, 200), (second, 1001, 210)]);
}

/// crun starts the program and ends.
#[test]
fn a_program_without_a_shell_has_its_time_below_a_runtime() {
    let list = vec![ms(None, "crun", 0, 20, 10), ms(Some(0), "sleep", 10, 900, 5)];
    let mut record = long("sleep 1", list);
    let seen = record.steps[0].processes.as_mut().unwrap();
    (seen.command, seen.start) = (vec!["/bin/sleep".into(), "1".into()], Nanos(10_000_000));
    let Some(inside) = inside(&record.steps[0], Nanos::ZERO) else { panic!("one step") };
    let rows: Vec<_> = inside.rows.iter().map(|row| (row.text.clone(), row.wall.0 / 1_000_000)).collect();
    assert_eq!(rows, [row("/bin/sleep 1", 890), row("unattributed", 100)]);
}
