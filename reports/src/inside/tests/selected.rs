//! What-if and drag of single commands.

use super::*;

/// The process takes the whole build, 1 ms: curl takes 0.4 of it, make 0.5.
#[test]
fn a_command_selector_scales_its_share_of_the_step() {
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
    assert!(predicted("command:ninja", 2.0).is_err(), "unknown command");
}

#[test]
fn a_command_is_selected_by_its_first_words_at_any_depth() {
    let row = |kind, text: &str, wall| CommandRow { wall: Nanos(wall), ..CommandRow::of(kind, text) };
    let inner = vec![row(RowKind::Command, "sleep 2", 10), row(RowKind::Process, "sleep 2", 20)];
    let rows = [
        row(RowKind::Command, "sleep 2.5", 1),
        row(RowKind::Command, "sleep 2;", 2),
        row(RowKind::Command, "sleep 2 3", 4),
        CommandRow { inner, ..row(RowKind::Command, "(sleep 2 | cat)", 40) },
        row(RowKind::Shell, "sleep 2", 80),
    ];
    assert_eq!(sum_of(&rows, "sleep 2", |row| row.wall), Nanos(16));
    assert_eq!(sum_of(&rows, "sleep", |row| row.wall), Nanos(17));
    assert_eq!(sum_of(&rows, "sl", |row| row.wall), Nanos::ZERO);
    assert_eq!(sum_of(&rows, "(sleep 2 | cat)", |row| row.wall), Nanos(40), "the whole counts once");
    let single = [
        row(RowKind::Command, "for i in 1 2; do sleep 7; done", 1),
        row(RowKind::Command, "(cd x; for i in 1 2; do sleep 7 > y; done)", 2),
        row(RowKind::Command, "while read l; do cc $l; sleep 7; done", 4),
        row(RowKind::Command, "make sleep 7", 8),
    ];
    assert_eq!(sum_of(&single, "sleep 7", |row| row.wall), Nanos(3), "the only program has no row of its own");
}

/// A step of 1 ms, and one of 1 ms in which make takes 0.5: in a stage of its own, make runs alongside the first step.
#[test]
fn a_moved_command_runs_together_with_what_came_before_its_step() {
    use crate::whatif::{Scenario, whatif};
    use buildscope_record::{Edge, EdgeKind, Outcome, Phase, Span};
    let mut record = chain();
    record.steps.insert(0, Step::of(StepId(0), "COPY", "COPY . ."));
    record.wall = Nanos(2_000_000);
    for (number, step) in (0..).zip(&mut record.steps) {
        let (start, end) = (Nanos(u64::from(number) * 1_000_000), Nanos(u64::from(number + 1) * 1_000_000));
        (step.id, step.outcome, step.start, step.end) = (StepId(number), Outcome::Executed, Some(start), Some(end));
        record.spans.push(Span { step: Some(step.id), start, end, ..Span::of(Phase::Process) });
    }
    if let Some(seen) = &mut record.steps[1].processes {
        let times = seen.list.iter_mut().flat_map(|process| [&mut process.start, &mut process.end]);
        times.chain([&mut seen.start, &mut seen.end]).for_each(|time| *time += Nanos(1_000_000));
    }
    record.edges.push(Edge { from: StepId(0), to: StepId(1), kind: EdgeKind::Data });
    let predicted = |what: &str| {
        let scenario = Scenario { moved: vec![what.parse().unwrap()], ..Scenario::default() };
        whatif(&record, &scenario).map(|prediction| (prediction.wall.0.div_ceil(1000), prediction.steps.len()))
    };
    assert_eq!(predicted("command:make"), Ok((1500, 2)));
    assert_eq!(predicted("command:curl"), Ok((1600, 2)));
    assert!(predicted("command:ninja").is_err());
}

/// One second of `sleep 1`, then two of `sleep 2`: moved, the second one runs at the same time, whichever it is.
#[test]
fn what_comes_before_a_moved_command_does_not_wait_for_it() {
    use crate::whatif::{Scenario, whatif};
    use buildscope_record::{Outcome, Phase, Span};
    const SECOND: u64 = 1_000_000_000;
    let mut record = chain();
    record.wall = Nanos(3 * SECOND);
    let step = &mut record.steps[0];
    step.text = "RUN sleep 1 && sleep 2".into();
    (step.outcome, step.start, step.end) = (Outcome::Executed, Some(Nanos::ZERO), Some(record.wall));
    let sleep = |length: &str, from: u64, to: u64| Process {
        parent: Some(0),
        program: "sleep".into(),
        arguments: vec!["sleep".into(), length.into()],
        start: Nanos(from * SECOND),
        end: Nanos(to * SECOND),
        ..Process::default()
    };
    let shell = Process { program: "sh".into(), end: record.wall, ..Process::default() };
    let list = vec![shell, sleep("1", 0, 1), sleep("2", 1, 3)];
    let command = ["sh", "-c", "sleep 1 && sleep 2"].map(String::from).to_vec();
    step.processes = Some(Processes { command, list, ..Processes::of(Observed::Events, Nanos::ZERO, record.wall) });
    record.spans.push(Span { step: Some(StepId(0)), end: record.wall, ..Span::of(Phase::Process) });
    let predicted = |what: &str| {
        let scenario = Scenario { moved: vec![what.parse().unwrap()], ..Scenario::default() };
        whatif(&record, &scenario).unwrap().wall.as_secs_f64().round()
    };
    assert_eq!(predicted("command:sleep 2"), 2.0);
    // What comes after it waits for its result.
    assert_eq!(predicted("command:sleep 1"), 3.0);
}

/// A step of three seconds with these processes of a shell, in a build of that step.
fn seconds(script: &str, list: &[(&str, u64, u64)]) -> Record {
    use buildscope_record::{Outcome, Phase, Span};
    const SECOND: u64 = 1_000_000_000;
    let end = list.iter().map(|(.., end)| end * SECOND).max().map(Nanos).unwrap_or_default();
    let mut record = chain();
    record.wall = end;
    let step = &mut record.steps[0];
    step.text = format!("RUN {script}");
    (step.outcome, step.start, step.end) = (Outcome::Executed, Some(Nanos::ZERO), Some(end));
    let shell = Process { program: "sh".into(), end, ..Process::default() };
    let process = |&(line, from, to): &(&str, u64, u64)| {
        let arguments: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let mut process = Process {
            parent: Some(0),
            program: arguments[0].clone(),
            start: Nanos(from * SECOND),
            end: Nanos(to * SECOND),
            arguments,
            ..Process::default()
        };
        if process.program == "busy" {
            // On two processors.
            process.time.cpu = Nanos(2 * (to - from) * SECOND);
        }
        process
    };
    let list = [shell].into_iter().chain(list.iter().map(process)).collect();
    let command = ["sh", "-c", script].map(String::from).to_vec();
    step.processes = Some(Processes { command, list, ..Processes::of(Observed::Events, Nanos::ZERO, end) });
    record.spans.push(Span { step: Some(StepId(0)), end, ..Span::of(Phase::Process) });
    record
}

/// The predicted time in seconds.
fn predicted(record: &Record, scenario: &crate::whatif::Scenario) -> f64 {
    let wall = crate::whatif::whatif(record, scenario).unwrap().wall.as_secs_f64();
    (wall * 100.0).round() / 100.0
}

/// One step after the other, a stage of its own takes the same time elsewhere. Where whole stages wait for each other, nothing of the step's stage
/// runs next to it.
#[test]
fn a_moved_command_follows_the_policy() {
    use crate::whatif::Scenario;
    use buildscope_record::Policy;
    let mut record = seconds("sleep 1; sleep 2", &[("sleep 1", 0, 1), ("sleep 2", 1, 3)]);
    let moved = Scenario { moved: vec!["command:sleep 2".parse().unwrap()], ..Scenario::default() };
    for (policy, wall) in [(Policy::Instructions, 2.0), (Policy::Stages, 3.0), (Policy::Serial, 3.0)] {
        record.options.policy = Some(policy);
        assert_eq!(predicted(&record, &moved), wall, "{policy}");
    }
}

/// One second of sleep and one of work on two processors: without the sleep, a single processor needs the two seconds of that work.
#[test]
fn the_work_of_other_commands_remains() {
    use crate::whatif::Scenario;
    use buildscope_record::Resources;
    let mut record = seconds("sleep 1; busy 1", &[("sleep 1", 0, 1), ("busy 1", 1, 2)]);
    record.host.cpus = Some(2);
    record.cpu = Some(Nanos(2_000_000_000));
    record.steps[0].resources = Some(Resources { cpu_user: Nanos(2_000_000_000), ..Resources::default() });
    let without = |what: &str, cores| Scenario {
        faster: vec![(what.parse().unwrap(), f64::INFINITY)],
        cores,
        ..Scenario::default()
    };
    assert_eq!(predicted(&record, &without("command:sleep", None)), 1.0);
    assert_eq!(predicted(&record, &without("command:sleep", Some(1.0))), 2.0);
    assert_eq!(predicted(&record, &without("command:busy", Some(1.0))), 1.0);
}

/// The shell waits for the job, however soon it begins to wait.
#[test]
fn a_command_in_front_of_a_wait_for_a_job_has_no_drag() {
    use crate::whatif::Scenario;
    let record = seconds("sleep 3 & sleep 2; wait", &[("sleep 3", 0, 3), ("sleep 2", 0, 2)]);
    let Some(inside) = inside(&record.steps[0], record.wall) else { panic!("one step") };
    let rows: Vec<_> = inside.rows.iter().map(|row| (&*row.text, row.wall.0, row.drag.0)).collect();
    assert_eq!(rows[..2], [("sleep 3", 1_000_000_000, 1_000_000_000), ("sleep 2", 2_000_000_000, 0)]);
    let with = |what: &str, times| Scenario { faster: vec![(what.parse().unwrap(), times)], ..Scenario::default() };
    assert_eq!(predicted(&record, &with("command:sleep 2", f64::INFINITY)), 3.0);
    assert_eq!(predicted(&record, &with("command:sleep 3", f64::INFINITY)), 2.0);
    assert_eq!(predicted(&record, &with("command:sleep", f64::INFINITY)), 0.0);
    // The job ends after 1.5 s, and the wait begins after 2.
    assert_eq!(predicted(&record, &with("command:sleep 3", 2.0)), 2.0);
}

/// A step sleeps for one second and then computes for two, on one processor. The other step needs four seconds of processor time: it has both
/// processors while the first one sleeps, and ends with it, after three seconds. Without the sleep, both processors still compute for three.
#[test]
fn a_sleep_that_leaves_the_processors_to_another_step_has_no_drag() {
    use crate::analysis::Analysis;
    use buildscope_record::{Phase, Resources, Span};
    let second = |count: u64| Nanos(count * 1_000_000_000);
    let mut record = seconds("sleep 1; busy 2", &[("sleep 1", 0, 1), ("busy 2", 1, 3)]);
    let other = Step { id: StepId(1), text: "RUN other".into(), processes: None, ..record.steps[0].clone() };
    record.steps.push(other);
    record.spans.push(Span { step: Some(StepId(1)), end: record.wall, ..Span::of(Phase::Process) });
    (record.host.cpus, record.cpu) = (Some(2), Some(second(6)));
    let used = |cpu_user, cpu_pressure| Some(Resources { cpu_user, cpu_pressure, ..Resources::default() });
    record.steps[0].resources = used(second(2), Nanos::ZERO);
    record.steps[1].resources = used(second(4), second(1));
    let analysis = Analysis::new(&record);
    let (step, tenths) = (&analysis.steps[0], |time: Nanos| time.0 / 100_000_000);
    let rows: Vec<_> =
        step.inside.iter().flat_map(|inside| &inside.rows).map(|row| (&*row.text, tenths(row.drag))).collect();
    assert_eq!((tenths(step.drag), &rows[..2]), (10, &[("sleep 1", 0), ("busy 2", 10)][..]));
}

/// One step sleeps for a second and then computes on both processors for another one; the other step computes on both in the first second. They
/// take turns. Without the sleep, they need four seconds of processor time together, which is two seconds.
#[test]
fn a_step_demands_what_it_did_at_each_moment() {
    use crate::whatif::Scenario;
    use buildscope_record::{Phase, Resources, Span};
    let mut record = seconds("sleep 1; busy 1", &[("sleep 1", 0, 1), ("busy 1", 1, 2)]);
    let mut other = Step { id: StepId(1), ..seconds("busy 1", &[("busy 1", 0, 1)]).steps[0].clone() };
    other.end = Some(Nanos(1_000_000_000));
    record.spans.push(Span { step: Some(StepId(1)), end: Nanos(1_000_000_000), ..Span::of(Phase::Process) });
    record.steps.push(other);
    (record.host.cpus, record.cpu) = (Some(2), Some(Nanos(4_000_000_000)));
    let used = Some(Resources { cpu_user: Nanos(2_000_000_000), ..Resources::default() });
    record.steps.iter_mut().for_each(|step| step.resources = used);
    let with = |times, cores| Scenario {
        faster: vec![("command:sleep".parse().unwrap(), times)],
        cores,
        ..Scenario::default()
    };
    assert_eq!(predicted(&record, &Scenario::default()), 2.0);
    assert_eq!(predicted(&record, &with(f64::INFINITY, None)), 2.0);
    // One step computes alone for half a second, both share the processors for one, and the other one has half a second left for both.
    assert_eq!(predicted(&record, &with(2.0, None)), 2.0);
    assert_eq!(predicted(&record, &with(f64::INFINITY, Some(4.0))), 1.0);
}

/// A job sleeps for three seconds, and the shell computes on both processors for one and then waits. Without the job, the second remains.
#[test]
fn the_work_next_to_a_job_keeps_its_time() {
    use crate::whatif::Scenario;
    use buildscope_record::Resources;
    let mut record = seconds("sleep 3 & busy 1; wait", &[("sleep 3", 0, 3), ("busy 1", 0, 1)]);
    if let Some(seen) = &mut record.steps[0].processes {
        // The job starts first, and takes some processor time to start.
        seen.list[1].time.cpu = Nanos(1_000_000);
        seen.list[2].start = Nanos(4_000_000);
    }
    (record.host.cpus, record.cpu) = (Some(2), Some(Nanos(2_000_000_000)));
    record.steps[0].resources = Some(Resources { cpu_user: Nanos(2_000_000_000), ..Resources::default() });
    let without = Scenario { faster: vec![("command:sleep 3".parse().unwrap(), f64::INFINITY)], ..Scenario::default() };
    assert_eq!(predicted(&record, &Scenario::default()), 3.0);
    assert_eq!(predicted(&record, &without), 1.0);
}
