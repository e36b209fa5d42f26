//! Laws of the account inside a step, over random texts and random trees of processes.

use buildscope_record::{
    Blocked, Fidelity, Folded, Nanos, Observed, Outcome, OutputLine, Process, ProcessTime, Processes, Record, Source,
    Step, StepId, Timeline, Tool,
};
use buildscope_reports::inside::{CommandRow, Inside, RowKind, folded_stacks, inside};
use proptest::prelude::*;
use std::cell::Cell;

/// Commands of a text, in which `@` is another text.
const COMMANDS: [&str; 24] = [
    "make -j2",
    "cp a b",
    "gcc -c x.c",
    "curl -O http://example.com/x",
    "apt-get update",
    "apt-get install -y gcc",
    "pip install x",
    "npm ci",
    "sleep 1",
    "x=$(date)",
    "cd /tmp",
    "set -eu",
    "exit 3",
    "exec make",
    "sh script.sh",
    "read x < /f",
    "wait",
    "trap 'rm x' EXIT",
    "(@)",
    "for i in 1 2 3; do @; done",
    "if sleep 1; then @; fi",
    "f() { @; }; f",
    "{ @; } > /log 2>&1",
    "eval 'cp a b'",
];
const BETWEEN: [&str; 5] = [" && ", "; ", " | ", " || ", " & "];
const PROGRAMS: [&str; 16] = [
    "sh",
    "make",
    "cp",
    "gcc",
    "cc1",
    "as",
    "curl",
    "apt-get",
    "dpkg",
    "pip",
    "npm",
    "sleep",
    "date",
    "rm",
    "runc",
    "a;b \u{1b}",
];
const LINES: [&str; 6] = [
    "Collecting flask",
    "Installing collected packages: flask",
    "Setting up gcc (12.2.0)",
    "Unpacking gcc (12.2.0) ...",
    "+ make -j2",
    "[INFO] --- maven-compiler-plugin:3.10.1:compile (default-compile) @ app ---",
];
/// The length of the time in which everything happens.
const LONG: u64 = 10_000_000_000;

fn text(depth: u32) -> BoxedStrategy<String> {
    let command = prop::sample::select(&COMMANDS[..]);
    let command = match depth {
        0 => command.prop_map(|command| command.replace('@', "true")).boxed(),
        _ => (command, text(depth - 1)).prop_map(|(command, inner)| command.replace('@', &inner)).boxed(),
    };
    prop::collection::vec((command, prop::sample::select(&BETWEEN[..])), 1..5)
        .prop_map(|parts| {
            let last = parts.len() - 1;
            let part = |(at, (command, between)): (usize, &(String, &str))| {
                if at == last { command.clone() } else { format!("{command}{between}") }
            };
            parts.iter().enumerate().map(part).collect()
        })
        .boxed()
}

/// A time of which nothing is more than the duration, divided in some way.
fn time() -> impl Strategy<Value = (u64, [u8; 8])> {
    (0..LONG, any::<[u8; 8]>())
}

fn divided(duration: u64, weights: [u8; 8]) -> ProcessTime {
    let all: u64 = weights.iter().map(|&weight| u64::from(weight)).sum::<u64>().max(1);
    let [runs, runnable, disk, network, child, lock, sleep, unknown] =
        weights.map(|weight| Nanos(duration * u64::from(weight) / all));
    let blocked = Blocked { disk, network, child, lock, sleep, unknown };
    ProcessTime { cpu: runs, runnable, blocked, ..ProcessTime::default() }
}

prop_compose! {
    fn process()(
        parent in prop::option::weighted(0.9, any::<prop::sample::Index>()),
        replaces in prop::bool::weighted(0.1),
        program in prop::sample::select(&PROGRAMS[..]),
        forked in prop::bool::weighted(0.15),
        start in 0..LONG,
        (length, weights) in time(),
        states in prop::option::of("[crdnwlsu]{1,20}"),
        words in prop::option::of(prop::sample::select(&COMMANDS[..])),
    ) -> (Option<prop::sample::Index>, bool, Process) {
        let timeline = states.map(|states| Timeline { every: Nanos(length / states.len() as u64), states });
        let arguments = words.into_iter().flat_map(|words| words.split(' ')).map(str::to_owned).collect();
        let (start, end) = (Nanos(start), Nanos(start + length));
        let process = Process {
            program: program.into(), forked, arguments, start, end, time: divided(length, weights), threads: 1, timeline,
            ..Process::default()
        };
        (parent, replaces, process)
    }
}

prop_compose! {
    fn total()(
        parent in prop::option::of(any::<prop::sample::Index>()),
        program in prop::sample::select(&PROGRAMS[..]),
        count in 1..5000u64,
        start in 0..LONG,
        (duration, weights) in time(),
    ) -> (Option<prop::sample::Index>, Folded) {
        let (start, end) = (Nanos(start), Nanos(start + LONG / 10));
        let time = divided(duration, weights);
        (parent, Folded { program: program.into(), count, start, end, duration: Nanos(duration), time, ..Folded::default() })
    }
}

prop_compose! {
    fn record()(
        text in text(2),
        list in prop::collection::vec(process(), 0..24),
        totals in prop::collection::vec(total(), 0..3),
        lines in prop::collection::vec((0..LONG, prop::sample::select(&LINES[..])), 0..8),
        (start, end) in (0..LONG / 10, LONG / 2..LONG),
        of_shell in prop::collection::vec(any::<bool>(), 25),
        has_shell in prop::bool::weighted(0.9),
        fails in any::<bool>(),
        sampled in any::<bool>(),
    ) -> Record {
        let mut list = list;
        if has_shell {
            // The step's own shell lives as long as the step.
            let shell = Process { program: "sh".into(), start: Nanos(start), end: Nanos(end), threads: 1, ..Process::default() };
            list.push((None, false, shell));
        }
        list.sort_by_key(|(_, _, process)| process.start);
        let count = list.len();
        let shell = list.iter().position(|(parent, _, process)| parent.is_none() && process.end == Nanos(end) && process.program == "sh");
        let list = list.into_iter().enumerate().map(|(at, (parent, replaces, mut process))| {
            let before = parent.filter(|_| at > 0).map(|index| index.index(at) as u32);
            match (replaces, shell) {
                (true, _) => process.replaces = before,
                (false, Some(shell)) if shell < at && of_shell[at] => process.parent = Some(shell as u32),
                (false, _) => process.parent = before,
            }
            process
        });
        let list: Vec<Process> = list.collect();
        let folded = totals.into_iter().map(|(parent, total)| Folded {
            parent: parent.filter(|_| count > 0).map(|index| index.index(count) as u32), ..total
        });
        let observed = if sampled { Observed::Sampled } else { Observed::Events };
        let command = if has_shell { ["/bin/sh", "-c", &text].map(String::from).to_vec() } else { vec!["/bin/tool".into(), text.clone()] };
        let seen = Processes { command, folded: folded.collect(), list, ..Processes::of(observed, Nanos(start), Nanos(end)) };
        let mut output: Vec<OutputLine> = lines.into_iter().map(|(at, text)| OutputLine { at: Nanos(at), text: text.into() }).collect();
        output.sort_by_key(|line| line.at);
        let outcome = if fails { Outcome::Failed } else { Outcome::Executed };
        let step = Step { processes: Some(seen), output, outcome, ..Step::of(StepId(0), "RUN", format!("RUN {text}")) };
        let source = Source { tool: Tool::Buildscope, version: None, fidelity: Fidelity::FULL };
        Record { steps: vec![step], ..Record::of(source) }
    }
}

/// The parts of a row are the row.
fn check(row: &CommandRow) -> Result<(), TestCaseError> {
    let spent = row.spent.processor + row.spent.runnable + row.spent.blocked.total();
    prop_assert_eq!(spent, row.wall, "the causes of {:#?}", row);
    if !row.inner.is_empty() {
        prop_assert_eq!(row.inner.iter().map(|row| row.wall).sum::<Nanos>(), row.wall, "the parts of {:#?}", row);
    }
    for done in &row.activities {
        prop_assert!(done.wall <= Nanos(2 * LONG), "{:#?}", done);
    }
    row.inner.iter().try_for_each(check)
}

fn depth(rows: &[CommandRow]) -> usize {
    rows.iter().map(|row| 1 + depth(&row.inner)).max().unwrap_or(0)
}

/// The share of the cases with several commands, with a command in parts, with totals: the laws say something of each kind.
#[derive(Default)]
struct Kinds {
    all: Cell<u32>,
    several: Cell<u32>,
    deep: Cell<u32>,
    attributed: Cell<u32>,
}

impl Kinds {
    fn note(&self, inside: &Inside) {
        let add = |cell: &Cell<u32>, is: bool| cell.set(cell.get() + u32::from(is));
        let commands = inside.rows.iter().filter(|row| row.kind == RowKind::Command && row.wall > Nanos::ZERO);
        let walls: Vec<Nanos> = commands.map(|row| row.wall).collect();
        add(&self.all, true);
        add(&self.several, walls.len() > 1);
        add(&self.deep, depth(&inside.rows) > 1);
        add(&self.attributed, walls.iter().copied().sum::<Nanos>().0 * 2 > inside.wall.0);
    }
}

#[test]
fn the_rows_and_their_parts_sum_exactly_for_any_tree_of_processes() {
    let kinds = Kinds::default();
    let mut runner = prop::test_runner::TestRunner::new(ProptestConfig {
        cases: 800,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let law = |record: Record| {
        let step = &record.steps[0];
        let Some(inside) = inside(step, Nanos(LONG)) else { return Err(TestCaseError::fail("no inside")) };
        let seen = step.processes.as_ref().expect("made with processes");
        prop_assert_eq!(inside.wall, seen.end - seen.start);
        prop_assert_eq!(inside.rows.iter().map(|row| row.wall).sum::<Nanos>(), inside.wall, "{:#?}", inside);
        inside.rows.iter().try_for_each(check)?;
        for line in folded_stacks(&record).lines() {
            let weight = line.rsplit_once(' ').map(|(_, weight)| weight.parse::<u64>());
            prop_assert!(matches!(weight, Some(Ok(_))) && !line.contains('\u{1b}'), "{:?}", line);
        }
        kinds.note(&inside);
        Ok(())
    };
    if let Err(error) = runner.run(&record(), law) {
        panic!("{error}");
    }
    let at_least = |kind: &Cell<u32>, percent: u32, what: &str| {
        assert!(kind.get() * 100 >= kinds.all.get() * percent, "{} of {} {what}", kind.get(), kinds.all.get());
    };
    at_least(&kinds.several, 20, "have several commands with time");
    at_least(&kinds.deep, 20, "have a command in parts");
    at_least(&kinds.attributed, 20, "have most of their time in commands");
}
