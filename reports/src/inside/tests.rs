use super::*;
use buildscope_record::{Fidelity, Record, Source, StepId, Tool};

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
    let seen = Processes {
        observed: Observed::Events,
        start: Nanos(0),
        end: Nanos(1_000_000),
        command,
        list,
        folded: Vec::new(),
        lost: 0,
        unseen: Vec::new(),
    };
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

#[test]
fn the_rows_sum_to_the_steps_time_and_say_what_it_went_on() {
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
fn what_a_shell_executes_in_its_place_is_a_command_of_its_own() {
    let mut list = vec![process(None, "sh", 0, 300_000, 1_000), process(Some(0), "cp", 10_000, 290_000, 1_000)];
    list.push(Process { replaces: Some(0), ..process(None, "make", 300_000, 1_000_000, 9_000) });
    list.push(process(Some(2), "cc1", 310_000, 990_000, 500_000));
    let Some(inside) = &inside(&record("cp a b && make", list).steps[0], Nanos::ZERO) else { panic!("one step") };
    let rows: Vec<_> = inside.rows.iter().map(|row| (&*row.text, row.wall.0, row.processes)).collect();
    assert_eq!(rows, [("cp a b", 280_000, 1), ("make", 700_000, 1), (SHELL, 20_000, 1)]);
    assert_eq!(inside.processes, 3);
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

/// The process takes the whole build, 1 ms: curl takes 0.4 of it, make 0.5.
#[test]
fn a_what_if_on_a_command_is_one_on_its_share_of_the_step() {
    use crate::whatif::{Scenario, whatif};
    use buildscope_record::{Outcome, Phase, Span};
    let mut record = chain();
    record.wall = Nanos(1_000_000);
    let step = &mut record.steps[0];
    (step.outcome, step.start, step.end) = (Outcome::Executed, Some(Nanos::ZERO), Some(record.wall));
    record.spans.push(Span { step: Some(StepId(0)), end: record.wall, ..Span::of(Phase::Process) });
    let predicted = |what: &str, times: f64| {
        let scenario = Scenario { faster: vec![(what.parse().unwrap(), times)], ..Scenario::default() };
        whatif(&record, &scenario).map(|prediction| prediction.wall.0.div_ceil(1000))
    };
    assert_eq!(predicted("command:curl", f64::INFINITY), Ok(600));
    assert_eq!(predicted("command:make", 2.0), Ok(750));
    assert!(predicted("command:ninja", 2.0).is_err(), "there is no such command");
}
