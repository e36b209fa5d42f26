//! A step's processes as a tree.

use super::tools;
pub(super) use super::tools::is_shell;
use buildscope_record::{Folded, Nanos, OutputLine, Process, Processes, Timeline};
use std::borrow::Cow;
use std::collections::HashMap;

/// Processes with their children.
pub(super) struct ProcessTree<'a> {
    seen: &'a Processes,
    /// Lines of the step's output that say what its tools do.
    pub(super) output: &'a [OutputLine],
    children: HashMap<Option<u32>, Vec<u32>>,
    folded: HashMap<Option<u32>, Vec<&'a Folded>>,
    replaced: HashMap<u32, u32>,
}

/// A process that a shell started, with all programs that it executed.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) all: Vec<u32>,
    pub(super) last: u32,
    pub(super) start: Nanos,
    pub(super) end: Nanos,
}

impl<'a> ProcessTree<'a> {
    pub(super) fn of(seen: &'a Processes, output: &'a [OutputLine]) -> Self {
        let mut children: HashMap<Option<u32>, Vec<u32>> = HashMap::new();
        let mut replaced = HashMap::new();
        for (index, process) in (0..).zip(&seen.list) {
            children.entry(process.parent).or_default().push(index);
            if let Some(before) = process.replaces {
                replaced.insert(before, index);
            }
        }
        let mut folded: HashMap<Option<u32>, Vec<&Folded>> = HashMap::new();
        for total in &seen.folded {
            folded.entry(total.parent).or_default().push(total);
        }
        Self { seen, output, children, folded, replaced }
    }

    pub(super) fn process(&self, index: u32) -> &'a Process {
        &self.seen.list[index as usize]
    }

    /// A process with its own time. A package manager keeps its connections open while it builds or runs scripts, so that a wait for its
    /// children looks like one for the network. If no child was seen, nothing says what happened while the process waited for them: for
    /// an ordinary user, the kernel reports nothing of a process after it executes a set-uid program.
    pub(super) fn with_own_time(&self, index: u32) -> Cow<'a, Process> {
        let process = self.process(index);
        let before = |&index: &u32| self.process(index).replaces;
        let has_children = |index| self.children(index).next().is_some() || self.folded(index).next().is_some();
        if !std::iter::successors(Some(index), before).any(has_children) {
            let mut alone = Cow::Borrowed(process);
            if process.time.blocked.child > Nanos::ZERO {
                let blocked = &mut alone.to_mut().time.blocked;
                blocked.unknown += std::mem::take(&mut blocked.child);
            }
            return alone;
        }
        match &process.timeline {
            Some(timeline) if process.time.blocked.network > Nanos::ZERO && tools::waits_for_children(process) => {
                self.with_waits_for_children(index, timeline)
            }
            _ => Cow::Borrowed(process),
        }
    }

    /// The same process, if its waits for the network while it had children were waits for these.
    fn with_waits_for_children(&self, index: u32, timeline: &Timeline) -> Cow<'a, Process> {
        const NETWORK: char = 'n';
        let process = self.process(index);
        let children: Vec<(Nanos, Nanos)> =
            self.children(index).map(|child| (self.process(child).start, self.end(child))).collect();
        let is_with_child = |number: u64| {
            let middle = process.start + Nanos(timeline.every.0 * number + timeline.every.0 / 2);
            children.iter().any(|&(start, end)| start <= middle && middle < end)
        };
        let letter = |(number, letter)| if letter == NETWORK && is_with_child(number) { 'w' } else { letter };
        let states: String = (0..).zip(timeline.states.chars()).map(letter).collect();
        let count = |states: &str| states.matches(NETWORK).count() as u128;
        let (before, after) = (count(&timeline.states), count(&states));
        let mut process = Cow::Borrowed(process);
        if after < before {
            let changed = process.to_mut();
            let network = changed.time.blocked.network;
            changed.time.blocked.network = Nanos((u128::from(network.0) * after / before) as u64);
            changed.time.blocked.child += network - changed.time.blocked.network;
            changed.timeline = Some(Timeline { every: timeline.every, states });
        }
        process
    }

    /// The children of a process. Each program that a child executed is listed separately.
    pub(super) fn children(&self, of: u32) -> impl Iterator<Item = u32> {
        self.children.get(&Some(of)).into_iter().flatten().copied()
    }

    pub(super) fn folded(&self, below: u32) -> impl Iterator<Item = &'a Folded> {
        self.folded.get(&Some(below)).into_iter().flatten().copied()
    }

    /// Totals without a parent process.
    pub(super) fn loose(&self) -> impl Iterator<Item = &'a Folded> {
        self.folded.get(&None).into_iter().flatten().copied()
    }

    /// The names of the programs that a process started, also of those that are kept as totals.
    pub(super) fn programs_below(&self, parent: Option<u32>) -> impl Iterator<Item = &'a str> {
        let listed = self.children.get(&parent).into_iter().flatten().map(|&child| &*self.process(child).program);
        listed.chain(self.folded.get(&parent).into_iter().flatten().map(|folded| &*folded.program))
    }

    /// Processes without a parent in the step.
    pub(super) fn roots(&self) -> impl Iterator<Item = u32> {
        self.children.get(&None).into_iter().flatten().copied()
    }

    /// The programs that the same process executed after this one.
    fn chain(&self, head: u32) -> Vec<u32> {
        let mut all = vec![head];
        while let Some(&next) = self.replaced.get(&all[all.len() - 1]) {
            all.push(next);
        }
        all
    }

    /// The programs that a process executed in the place of this one.
    pub(super) fn replaced_by(&self, index: u32) -> impl Iterator<Item = &'a Process> {
        let next = |of: &u32| self.replaced.get(of).copied();
        std::iter::successors(next(&index), next).map(|index| self.process(index))
    }

    /// The end of the process that executed the program.
    pub(super) fn end(&self, head: u32) -> Nanos {
        self.chain(head).last().map_or(Nanos::ZERO, |&last| self.process(last).end)
    }

    /// The shell of the step: the shell process without a parent in the step that lived for most of the step's time. A runtime may wait for
    /// it outside of the step.
    pub(super) fn shell(&self) -> Option<u32> {
        let (start, end) = (self.seen.start, self.seen.end);
        let overlap = |head: u32| self.end(head).min(end).saturating_sub(self.process(head).start.max(start));
        let heads = (0..self.seen.list.len() as u32).filter(|&index| {
            let process = self.process(index);
            // A shell below another shell belongs to that one.
            let above = process.parent.map(|parent| self.end(parent));
            process.replaces.is_none() && above.is_none_or(|ended| ended <= start + SOON)
        });
        let shells = heads.filter_map(|head| {
            let shell = self.chain(head).into_iter().find(|&run| is_shell(&self.process(run).program))?;
            Some((overlap(head), std::cmp::Reverse(head), shell))
        });
        shells.max().map(|(_, _, shell)| shell)
    }

    /// The shell that executes the file which is the last word of the step's command.
    pub(super) fn shell_of_file(&self, command: &[String]) -> Option<u32> {
        let path = command.last()?;
        let runs_it = |process: &Process| match &process.arguments[..] {
            [program, rest @ ..] => is_shell(program) && rest.contains(path) && !rest.iter().any(|word| word == "-c"),
            [] => false,
        };
        (0..).zip(&self.seen.list).find(|(_, process)| runs_it(process)).map(|(index, _)| index)
    }

    /// The processes without a parent in the step, with all programs that they executed.
    pub(super) fn heads(&self) -> impl Iterator<Item = Job> {
        self.roots().filter(|&root| self.process(root).replaces.is_none()).map(|root| self.job(root))
    }

    /// The children of the programs of a job.
    pub(super) fn below(&self, job: &Job) -> Vec<Job> {
        let children = job.all.iter().flat_map(|&run| self.children(run));
        let mut jobs: Vec<Job> =
            children.filter(|&child| self.process(child).replaces.is_none()).map(|head| self.job(head)).collect();
        jobs.sort_by_key(|job| (job.start, job.all[0]));
        jobs
    }

    /// The children of a shell, and the programs that it executed in its own place.
    pub(super) fn jobs(&self, shell: u32) -> Vec<Job> {
        let heads = self.children(shell).filter(|&child| self.process(child).replaces.is_none());
        let mut jobs: Vec<Job> = heads.chain(self.replaced.get(&shell).copied()).map(|head| self.job(head)).collect();
        jobs.sort_by_key(|job| (job.start, job.all[0]));
        jobs
    }

    fn job(&self, head: u32) -> Job {
        let all = self.chain(head);
        let last = all[all.len() - 1];
        Job { start: self.process(head).start, end: self.process(last).end, last, all }
    }
}

/// The longest time between the start of a step's program and the end of the runtime that started it.
const SOON: Nanos = Nanos(50_000_000);
