//! Inside a step: where the seconds of a RUN went.
//!
//! *Takes* a step's text and the processes that were seen inside it. *Gives* a row for each command of the text; the rows'
//! times sum to the step's exactly. *Must never know* how processes are observed.
//!
//! [`shell`] splits the text into commands, [`mod@assign`] says which process is whose, [`share`] divides the time among them,
//! [`tools`] knows what programs do.

pub(crate) mod advice;
mod assign;
mod attach;
mod folded;
mod share;
mod shell;
mod tools;
mod tree;

pub use attach::attach;
pub use folded::folded_stacks;
pub use tools::Activity;

use assign::{Child, assign};
use buildscope_record::{Blocked, Cause, Folded, Nanos, Observed, Process, ProcessTime, Processes, Step};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use tree::Tree;

/// What happened inside a step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Inside {
    /// How it was observed.
    pub observed: Observed,
    /// How long the step's process took: the sum of the rows.
    pub wall: Nanos,
    /// In the order of the text; what belongs to no command comes last.
    pub rows: Vec<CommandRow>,
    /// How many processes there were.
    pub processes: u64,
    /// What could not be seen, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unseen: Vec<String>,
}

/// A command of a step, or what belongs to none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CommandRow {
    /// What it is.
    pub kind: RowKind,
    /// Its text, on one line.
    pub text: String,
    /// Its first and last byte in the text that the shell was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<(usize, usize)>,
    /// Its share of the step's time. Each instant belongs to the command that was begun last of those that ran.
    pub wall: Nanos,
    /// How much sooner the build would have ended if it took no time.
    pub drag: Nanos,
    /// Processor time of all its processes.
    pub cpu: Nanos,
    /// What its processes did in that time, in proportion to their own times; it sums to `wall`.
    pub spent: Spent,
    /// How many processes it started.
    pub processes: u64,
    /// The programs that cost most, largest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub programs: Vec<ProgramRow>,
    /// What known tools did, largest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub activities: Vec<ActivityRow>,
}

impl CommandRow {
    /// Processors that it used on average.
    pub fn processors(&self) -> f64 {
        if self.wall == Nanos::ZERO { 0.0 } else { self.cpu.as_secs_f64() / self.wall.as_secs_f64() }
    }
}

/// What a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RowKind {
    /// A command of the text.
    Command,
    /// The shell itself: what it does between its commands.
    Shell,
    /// Before the step's program began or after it ended, or what was not seen.
    Unattributed,
}

/// What the time of a command went on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Spent {
    /// On a processor.
    pub processor: Nanos,
    /// Waiting for a processor.
    pub runnable: Nanos,
    /// Waiting for something else. Waits for children are not in it: what the children did is.
    pub blocked: Blocked,
}

/// What the processes of one program cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProgramRow {
    /// Its name.
    pub program: String,
    /// How many there were.
    pub count: u64,
    /// Their own time, without waits for children, summed.
    pub time: Nanos,
    /// Their processor time.
    pub cpu: Nanos,
}

/// What processes of known tools did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ActivityRow {
    /// What it is.
    pub activity: Activity,
    /// How many processes did it.
    pub count: u64,
    /// Their own time, without waits for children and for the network, summed.
    pub time: Nanos,
    /// Their waits for the network, summed.
    pub network: Nanos,
    /// Their processor time.
    pub cpu: Nanos,
}

/// How many programs a row names.
const PROGRAMS: usize = 6;

/// The inside of a step that delayed the build's end by `drag`; `None` if no processes were seen.
pub fn inside(step: &Step, drag: Nanos) -> Option<Inside> {
    let mut inside = step.processes.as_ref().map(|seen| of_step(step, seen))?;
    for row in &mut inside.rows {
        // A step that is shorter by less than its drag ends the build that much sooner.
        row.drag = row.wall.min(drag);
    }
    Some(inside)
}

/// The share of a step's process that the commands have whose text starts so.
pub(crate) fn command_share(step: &Step, text: &str) -> f64 {
    let Some(inside) = inside(step, Nanos::ZERO).filter(|inside| inside.wall > Nanos::ZERO) else { return 0.0 };
    let named = inside.rows.iter().filter(|row| row.kind == RowKind::Command && row.text.starts_with(text));
    named.map(|row| row.wall).sum::<Nanos>().as_secs_f64() / inside.wall.as_secs_f64()
}

/// The text that a step's shell got; `None` if no shell was started.
fn script<'a>(step: &'a Step, seen: &'a Processes) -> Option<&'a str> {
    match &seen.command[..] {
        [] => Some(run_text(&step.text)),
        [program, options @ .., script] => {
            let takes_text =
                |option: &String| option.starts_with('-') && !option.starts_with("--") && option.ends_with('c');
            (tree::is_shell(program) && options.iter().any(takes_text)).then_some(script)
        }
        [_] => None,
    }
}

/// The text of a RUN without the keyword and its flags.
fn run_text(text: &str) -> &str {
    let mut rest = text.strip_prefix("RUN").unwrap_or(text).trim_start();
    while let Some(flag) = rest.strip_prefix("--") {
        rest = flag.find(char::is_whitespace).map_or("", |end| flag[end..].trim_start());
    }
    rest
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn of_step(step: &Step, seen: &Processes) -> Inside {
    let tree = Tree::of(seen);
    let window = (seen.start, seen.end.max(seen.start));
    let mut rows = match (script(step, seen), tree.shell()) {
        (Some(text), Some(shell)) => of_shell(text, &tree, shell, window),
        _ => of_program(step, seen, &tree, window),
    };
    rows.retain(|row| row.wall > Nanos::ZERO || row.processes > 0);
    let mut unseen = seen.unseen.clone();
    if seen.lost > 0 {
        unseen.push(format!("{} events that the kernel dropped: times near them may be wrong", seen.lost));
    }
    let folded: u64 = seen.folded.iter().map(|folded| folded.count).sum();
    if folded > 0 {
        unseen.push(format!("{folded} short processes one by one: only their totals were kept"));
    }
    Inside {
        observed: seen.observed,
        wall: window.1 - window.0,
        rows,
        // A runtime that started the step's program has ended before.
        processes: seen.list.iter().filter(|process| process.replaces.is_none() && process.end > seen.start).count()
            as u64
            + folded,
        unseen,
    }
}

/// The only command of a step whose program is not a shell.
fn of_program(step: &Step, seen: &Processes, tree: &Tree<'_>, (start, end): (Nanos, Nanos)) -> Vec<CommandRow> {
    let all: Vec<u32> = tree.roots().collect();
    let spans = all.iter().map(|&root| (tree.process(root).start.max(start), tree.process(root).end.min(end)));
    let covered = share::union(spans.filter(|(from, to)| from < to).collect());
    let mut sum = Sum::default();
    all.iter().for_each(|&root| sum.add_below(tree, root));
    let text = if seen.command.is_empty() { run_text(&step.text).to_owned() } else { seen.command.join(" ") };
    let command = sum.row(RowKind::Command, one_line(&text), None, covered);
    vec![command, Sum::default().row(RowKind::Unattributed, UNATTRIBUTED.into(), None, end - start - covered)]
}

const SHELL: &str = "the shell itself";
const UNATTRIBUTED: &str = "unattributed";

/// A shell's commands.
fn of_shell(text: &str, tree: &Tree<'_>, shell: u32, (start, end): (Nanos, Nanos)) -> Vec<CommandRow> {
    let units = shell::units(text);
    let jobs = tree.jobs(shell);
    let children: Vec<_> = jobs
        .iter()
        .map(|job| {
            let last = tree.process(job.last);
            Child { program: &last.program, forked: last.forked }
        })
        .collect();
    let assigned = assign(&units, &children);
    let spans: Vec<_> = jobs
        .iter()
        .zip(&assigned)
        .map(|(job, unit)| share::Span { start: job.start.max(start), end: job.end.min(end), unit: *unit })
        .collect();
    let life = (tree.process(shell).start.max(start), tree.end(shell).min(end));
    let shares = share::divide(&units, &spans, (start, end), life);

    let mut sums: Vec<Sum> = units.iter().map(|_| Sum::default()).collect();
    let mut own = Sum::default();
    own.add(tree, shell, None);
    for (job, unit) in jobs.iter().zip(&assigned) {
        let sum = unit.map_or(&mut own, |unit| &mut sums[unit]);
        job.all.iter().for_each(|&process| sum.add_below(tree, process));
    }
    for folded in tree.folded(shell) {
        let named = |unit: &shell::Unit| {
            unit.names.iter().any(|name| matches!(name, shell::Name::Is(name) if *name == folded.program))
        };
        let unit = units.iter().position(|unit| unit.repeats && named(unit)).or_else(|| units.iter().position(named));
        let repeating = || units.iter().position(|unit| unit.repeats);
        unit.or_else(repeating).map_or(&mut own, |unit| &mut sums[unit]).add_folded(folded, None);
    }
    let mut rows: Vec<_> = units
        .iter()
        .zip(sums)
        .zip(&shares.units)
        .map(|((unit, sum), wall)| {
            let place = Some((unit.span.start, unit.span.end));
            sum.row(RowKind::Command, one_line(&text[unit.span.clone()]), place, *wall)
        })
        .collect();
    // What the shell did itself, it did as it did the rest.
    for row in rows.iter_mut().filter(|row| row.processes == 0) {
        row.spent = spent(row.wall, own.running, own.time);
    }
    rows.push(own.row(RowKind::Shell, SHELL.into(), None, shares.shell));
    rows.push(Sum::default().row(RowKind::Unattributed, UNATTRIBUTED.into(), None, shares.unattributed));
    rows
}

/// What processes cost together.
#[derive(Debug, Default)]
struct Sum {
    time: ProcessTime,
    running: Nanos,
    count: u64,
    programs: HashMap<String, Cost>,
    activities: BTreeMap<Activity, Cost>,
}

/// Of how many processes what was spent.
#[derive(Clone, Copy, Debug, Default)]
struct Cost {
    count: u64,
    time: Nanos,
    network: Nanos,
    cpu: Nanos,
}

impl std::ops::AddAssign for Cost {
    fn add_assign(&mut self, other: Self) {
        self.count += other.count;
        self.time += other.time;
        self.network += other.network;
        self.cpu += other.cpu;
    }
}

impl Sum {
    /// Adds a process alone; gives what it does, which is `above` where nothing is known of it.
    fn add(&mut self, tree: &Tree<'_>, process: u32, above: Option<Activity>) -> Option<Activity> {
        let process = tree.process(process);
        let count = u64::from(process.replaces.is_none());
        let activity = tools::activity(process).or(above);
        self.put(&process.program, activity, count, process.running(), process.time);
        activity
    }

    fn add_below(&mut self, tree: &Tree<'_>, process: u32) {
        let mut below = vec![(process, None)];
        while let Some((next, above)) = below.pop() {
            let activity = self.add(tree, next, above);
            tree.folded(next).for_each(|folded| self.add_folded(folded, activity));
            below.extend(tree.children(next).map(|child| (child, activity)));
        }
    }

    fn add_folded(&mut self, folded: &Folded, above: Option<Activity>) {
        let running = folded.duration.saturating_sub(folded.time.runnable).saturating_sub(folded.time.blocked.total());
        let process = Process { program: folded.program.clone(), ..Process::default() };
        let activity = tools::activity(&process).or(above);
        self.put(&folded.program, activity, folded.count, running, folded.time);
    }

    fn put(&mut self, program: &str, activity: Option<Activity>, count: u64, running: Nanos, time: ProcessTime) {
        self.time += time;
        self.running += running;
        self.count += count;
        let own = running + time.runnable + time.blocked.total().saturating_sub(time.blocked.child);
        let cost = Cost { count, time: own, network: time.blocked.network, cpu: time.cpu };
        *self.programs.entry(program.to_owned()).or_default() += cost;
        if let Some(activity) = activity {
            *self.activities.entry(activity).or_default() += cost;
        }
    }

    fn row(self, kind: RowKind, text: String, place: Option<(usize, usize)>, wall: Nanos) -> CommandRow {
        let programs = self.programs.into_iter();
        let mut programs: Vec<_> =
            programs.map(|(program, Cost { count, time, cpu, .. })| ProgramRow { program, count, time, cpu }).collect();
        programs.sort_by(|a, b| b.time.cmp(&a.time).then_with(|| a.program.cmp(&b.program)));
        programs.truncate(PROGRAMS);
        let activities = self.activities.into_iter().map(|(activity, Cost { count, time, network, cpu })| {
            ActivityRow { activity, count, time: time.saturating_sub(network), network, cpu }
        });
        let mut activities: Vec<_> = activities.collect();
        activities.sort_by_key(|row| (std::cmp::Reverse(row.time + row.network), row.activity));
        let spent = spent(wall, self.running, self.time);
        CommandRow {
            kind,
            text,
            place,
            wall,
            drag: Nanos::ZERO,
            cpu: self.time.cpu,
            spent,
            processes: self.count,
            programs,
            activities,
        }
    }
}

/// Divides `wall` in proportion to what processes did. What is lost in rounding is not known.
fn spent(wall: Nanos, running: Nanos, time: ProcessTime) -> Spent {
    let own = |cause: Cause| if cause == Cause::Child { Nanos::ZERO } else { time.blocked[cause] };
    let total = running + time.runnable + Cause::ALL.into_iter().map(own).sum::<Nanos>();
    let part = |time: Nanos| {
        Nanos((u128::from(wall.0) * u128::from(time.0)).checked_div(u128::from(total.0)).unwrap_or(0) as u64)
    };
    let mut spent = Spent { processor: part(running), runnable: part(time.runnable), blocked: Blocked::default() };
    for cause in Cause::ALL {
        spent.blocked[cause] = part(own(cause));
    }
    let known = spent.processor + spent.runnable + spent.blocked.total();
    spent.blocked.unknown += wall.saturating_sub(known);
    spent
}

#[cfg(test)]
mod tests;
