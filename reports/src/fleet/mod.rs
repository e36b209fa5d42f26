//! Many builds together: the steps, commands, files and base images that cost most, and the changes that would save most.
//!
//! *Takes* records one after another, or in parts that are joined. *Gives* a [`Report`]. Only totals are kept, and one record of each
//! Dockerfile: the memory depends on the number of different steps, not on the number of builds.

mod report;
mod savings;
mod subjects;
mod view;

pub use report::{Base, Cause, Command, Report, Saving, Step, Trend};
pub use subjects::{Subjects, recorded_subject};
pub use view::{html, markdown, text};

use crate::analysis::Analysis;
use crate::misses::{self, misses};
use buildscope_record::{Instruction, Nanos, Outcome, Record};
use std::collections::{BTreeMap, HashMap};

/// The rows of each table, at most.
const ROWS: usize = 20;

/// Totals over builds.
#[derive(Debug, Default)]
pub struct Fleet {
    builds: u64,
    failed: u64,
    wall: Nanos,
    /// The first and the last start, in seconds since 1970.
    began: Option<(i64, i64)>,
    dockerfiles: BTreeMap<String, Dockerfile>,
    steps: HashMap<StepName, StepTotals>,
    commands: HashMap<String, CommandTotals>,
    bases: HashMap<String, BaseTotals>,
    causes: HashMap<String, CauseTotals>,
    files: HashMap<String, CauseTotals>,
}

/// A step of any build of one Dockerfile.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct StepName {
    dockerfile: String,
    stage: String,
    text: String,
}

#[derive(Clone, Copy, Debug, Default)]
struct StepTotals {
    runs: u64,
    cached: u64,
    time: Nanos,
    drag: Nanos,
}

#[derive(Clone, Copy, Debug, Default)]
struct CommandTotals {
    runs: u64,
    time: Nanos,
}

#[derive(Clone, Copy, Debug, Default)]
struct BaseTotals {
    uses: u64,
    time: Nanos,
}

#[derive(Clone, Copy, Debug, Default)]
struct CauseTotals {
    misses: u64,
    rerun: Nanos,
    on_path: Nanos,
}

/// The builds of one Dockerfile.
#[derive(Debug, Default)]
struct Dockerfile {
    /// The start in seconds since 1970 and the wall time of each build that succeeded.
    walls: Vec<(i64, Nanos)>,
    last: Option<Record>,
}

impl Fleet {
    /// Adds a build. Builds of one Dockerfile must come in the order of time: each is compared with the one before it.
    pub fn add(&mut self, name: &str, record: Record) {
        let analysis = Analysis::new(&record);
        self.builds += 1;
        self.failed += u64::from(!record.succeeded);
        self.wall += record.wall;
        let started = started(&record);
        if let Some(at) = started {
            let (first, last) = self.began.unwrap_or((at, at));
            self.began = Some((first.min(at), last.max(at)));
        }
        for step in &analysis.steps {
            self.add_step(name, &record, step);
        }
        let dockerfile = self.dockerfiles.entry(name.to_owned()).or_default();
        let before = dockerfile.last.as_slice();
        for miss in misses(&analysis, before) {
            self.causes.entry(cause(&miss.cause).to_owned()).or_default().add(&miss);
            if let misses::Cause::Files(files) = &miss.cause {
                // A miss with many changed files is counted with the first: its time is not counted twice.
                if let Some(file) = files.first() {
                    self.files.entry(file.clone()).or_default().add(&miss);
                }
            }
        }
        drop(analysis);
        if record.succeeded {
            dockerfile.walls.push((started.unwrap_or(0), record.wall));
        }
        dockerfile.last = Some(record);
    }

    /// Compares the next build of a Dockerfile with this one, which is not counted.
    pub fn compare_with(&mut self, name: &str, record: Record) {
        self.dockerfiles.entry(name.to_owned()).or_default().last = Some(record);
    }

    /// Adds the builds of another fleet. Those of each Dockerfile must come after those of this fleet.
    pub fn append(&mut self, later: Self) {
        self.builds += later.builds;
        self.failed += later.failed;
        self.wall += later.wall;
        self.began = match (self.began, later.began) {
            (Some((first, last)), Some((from, to))) => Some((first.min(from), last.max(to))),
            (began, other) => began.or(other),
        };
        for (name, dockerfile) in later.dockerfiles {
            let known = self.dockerfiles.entry(name).or_default();
            known.walls.extend(dockerfile.walls);
            known.last = dockerfile.last.or(known.last.take());
        }
        append(&mut self.steps, later.steps, StepTotals::append);
        append(&mut self.commands, later.commands, CommandTotals::append);
        append(&mut self.bases, later.bases, BaseTotals::append);
        append(&mut self.causes, later.causes, CauseTotals::append);
        append(&mut self.files, later.files, CauseTotals::append);
    }

    fn add_step(&mut self, name: &str, record: &Record, step: &crate::StepExplanation) {
        let stage = step.stage.clone().unwrap_or_default();
        let key = StepName { dockerfile: name.to_owned(), stage, text: step.text.clone() };
        match step.outcome {
            Outcome::Pruned => return,
            Outcome::Cached | Outcome::Joined => self.steps.entry(key).or_default().cached += 1,
            Outcome::Executed | Outcome::Failed | Outcome::Cancelled => {
                let totals = self.steps.entry(key).or_default();
                totals.runs += 1;
                totals.time += step.own;
                totals.drag += step.drag;
            }
        }
        if step.instruction == Instruction::From {
            let base = record.steps[step.id.index()].stage.and_then(|stage| record.stages.get(stage.index()));
            if let Some(base) = base.filter(|base| !record.stages.iter().any(|other| other.name == base.base)) {
                let totals = self.bases.entry(base.base.clone()).or_default();
                totals.uses += 1;
                totals.time += step.own;
            }
        }
        for row in step.inside.iter().flat_map(|inside| &inside.rows) {
            if row.kind == crate::inside::RowKind::Command {
                let totals = self.commands.entry(row.text.clone()).or_default();
                totals.runs += 1;
                totals.time += row.wall;
            }
        }
    }

    /// The report of the builds.
    pub fn report(&self) -> Report {
        let days = self.began.map_or(0.0, |(first, last)| (last - first) as f64 / 86_400.0);
        Report {
            fleet: report::VERSION,
            builds: self.builds,
            failed: self.failed,
            wall: self.wall,
            days,
            steps: self.steps(),
            commands: self.commands(),
            bases: self.bases(),
            causes: causes(self.causes.iter()),
            files: causes(self.files.iter()),
            trends: self.trends(),
            savings: savings::savings(self, days),
        }
    }

    fn steps(&self) -> Vec<Step> {
        let step = |(name, totals): (&StepName, &StepTotals)| Step {
            dockerfile: name.dockerfile.clone(),
            stage: name.stage.clone(),
            text: name.text.clone(),
            runs: totals.runs,
            cached: totals.cached,
            time: totals.time,
            drag: totals.drag,
        };
        most(
            self.steps.iter().filter(|(_, totals)| totals.runs > 0).map(step),
            |step| (step.drag, step.time),
            |step| (step.dockerfile.clone(), step.stage.clone(), step.text.clone()),
        )
    }

    fn commands(&self) -> Vec<Command> {
        let command = |(text, totals): (&String, &CommandTotals)| Command {
            text: text.clone(),
            runs: totals.runs,
            time: totals.time,
        };
        most(self.commands.iter().map(command), |command| command.time, |command| command.text.clone())
    }

    fn bases(&self) -> Vec<Base> {
        let base =
            |(name, totals): (&String, &BaseTotals)| Base { name: name.clone(), uses: totals.uses, time: totals.time };
        most(self.bases.iter().map(base), |base| (base.time, base.uses), |base| base.name.clone())
    }

    /// The median wall time of the older and of the newer half of each Dockerfile's builds. One build has no trend.
    fn trends(&self) -> Vec<Trend> {
        let trend = |(name, dockerfile): (&String, &Dockerfile)| {
            let mut walls = dockerfile.walls.clone();
            walls.sort_by_key(|&(at, _)| at);
            let (older, newer) = walls.split_at(walls.len() / 2);
            let total = walls.iter().map(|&(_, wall)| wall).sum();
            Trend {
                dockerfile: name.clone(),
                builds: walls.len() as u64,
                total,
                older: median(older),
                newer: median(newer).filter(|_| !older.is_empty()),
            }
        };
        most(self.dockerfiles.iter().map(trend), |trend| trend.total, |trend| trend.dockerfile.clone())
    }
}

impl StepTotals {
    fn append(&mut self, other: Self) {
        self.runs += other.runs;
        self.cached += other.cached;
        self.time += other.time;
        self.drag += other.drag;
    }
}

impl CommandTotals {
    fn append(&mut self, other: Self) {
        self.runs += other.runs;
        self.time += other.time;
    }
}

impl BaseTotals {
    fn append(&mut self, other: Self) {
        self.uses += other.uses;
        self.time += other.time;
    }
}

impl CauseTotals {
    fn append(&mut self, other: Self) {
        self.misses += other.misses;
        self.rerun += other.rerun;
        self.on_path += other.on_path;
    }

    fn add(&mut self, miss: &misses::Miss) {
        self.misses += 1;
        self.rerun += miss.rerun;
        self.on_path += miss.on_path;
    }
}

fn append<K: Eq + std::hash::Hash, T: Default>(
    totals: &mut HashMap<K, T>,
    others: HashMap<K, T>,
    append: impl Fn(&mut T, T),
) {
    for (key, other) in others {
        append(totals.entry(key).or_default(), other);
    }
}

fn causes<'t>(totals: impl Iterator<Item = (&'t String, &'t CauseTotals)>) -> Vec<Cause> {
    let cause = |(name, totals): (&String, &CauseTotals)| Cause {
        cause: name.clone(),
        misses: totals.misses,
        rerun: totals.rerun,
        on_path: totals.on_path,
    };
    most(totals.map(cause), |cause| (cause.on_path, cause.rerun), |cause| cause.cause.clone())
}

/// The rows with the largest values. Rows of the same value are in the order of their names.
fn most<T, K: Ord, N: Ord>(rows: impl Iterator<Item = T>, value: impl Fn(&T) -> K, name: impl Fn(&T) -> N) -> Vec<T> {
    let mut rows: Vec<T> = rows.collect();
    rows.sort_by_cached_key(|row| (std::cmp::Reverse(value(row)), name(row)));
    rows.truncate(ROWS);
    rows
}

fn median(walls: &[(i64, Nanos)]) -> Option<Nanos> {
    let mut walls: Vec<_> = walls.iter().map(|&(_, wall)| wall).collect();
    walls.sort_unstable();
    walls.get(walls.len() / 2).copied()
}

/// The start of a build in seconds since 1970.
fn started(record: &Record) -> Option<i64> {
    let time: jiff::Timestamp = record.started.as_deref()?.parse().ok()?;
    Some(time.as_second())
}

/// The name of a cause in tables.
fn cause(cause: &misses::Cause) -> &'static str {
    use misses::Cause::{
        Arguments, Base, Content, Environment, Expansion, Expired, Files, Gone, Inserted, Instruction, Metadata,
        Missing, Moved, New, Options, Parent, Pruned, Recorded, Removed, Setting, Source, Text, Times, Unasked,
        Uncached, Unknown, Unnamed,
    };
    match cause {
        New => "new step",
        Instruction | Text(_) => "changed instruction",
        Setting { .. } => "changed setting (USER, WORKDIR, SHELL)",
        Base { .. } => "changed base image",
        Files(_) | Content => "changed files",
        Inserted(_) | Removed(_) | Moved(_) => "instruction inserted, removed or moved",
        Times => "file times",
        Metadata(_) => "changed mode or owner",
        Arguments(_) => "changed build argument",
        Environment(_) | Expansion(_) => "changed variable",
        Options(_) => "changed option",
        Source => "changed stage or image",
        Parent => "changed parent",
        Expired => "expired result",
        Pruned => "pruned result",
        Gone => "result not in this store",
        Unasked(_) => "--no-cache",
        Recorded(_) => "recorded by the builder",
        Unnamed | Missing | Uncached | Unknown => "unknown",
    }
}

#[cfg(test)]
mod tests;
