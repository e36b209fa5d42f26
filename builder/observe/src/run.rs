//! One program in one process, and its account.

use crate::account::Account;
use crate::blocked::{Company, ProgramWaits};
use crate::event::Frames;
use crate::exits::Exit;
use crate::wait::Wait;
use buildscope_record::{Nanos, Process, ProcessTime};
use std::collections::{BTreeMap, HashMap};

/// The runs of a step in the order of their starts. They are boxed because a tree moves its values when one is removed.
pub(crate) type ProgramRuns = BTreeMap<u32, Box<ProgramRun>>;

/// One program in one process.
#[derive(Clone, Debug)]
pub(crate) struct ProgramRun {
    pub(crate) pid: i32,
    pub(crate) parent: Option<u32>,
    pub(crate) replaces: Option<u32>,
    pub(crate) program: String,
    /// Whether the process has executed nothing yet.
    pub(crate) forked: bool,
    pub(crate) arguments: Vec<String>,
    pub(crate) start: u64,
    pub(crate) end: Option<u64>,
    pub(crate) threads: u32,
    pub(crate) live: u32,
    pub(crate) had_children: bool,
    pub(crate) account: Account,
    /// The final times.
    pub(crate) time: ProcessTime,
    /// The kernel's sum of the waits for a processor.
    pub(crate) delayed: Option<u64>,
    /// The excess of the kernel's processor time over that of the events, and the latter, at one instant.
    pub(crate) switching: Option<(u64, u64)>,
    /// The kernel's usage of the process so far, including programs that it executed before.
    pub(crate) usage: Usage,
    /// The usage at the start of this program.
    pub(crate) before: Usage,
    /// The usage of the programs that the process executed before.
    pub(crate) past: Past,
    /// The kernel's sums at the instant up to which the account is complete, if it waits for sums and has some already.
    pub(crate) counted: Option<Past>,
    /// The time at which the arguments were read.
    pub(crate) named: u64,
    /// The time of the exec.
    pub(crate) executed: Option<u64>,
    /// The sum of the accounts of its threads that ended, if the kernel gives them.
    pub(crate) exits: Option<Exit>,
    /// The number of samples of each stack.
    pub(crate) stacks: HashMap<Frames, u32>,
    /// The time from which it works on the tasks of a build, if the name of a thread says so.
    pub(crate) tasks: Option<u64>,
    /// The time of the next reading of the usage.
    pub(crate) next_reading: u64,
}

/// The usage of a process, as far as the kernel reports it: processor time by the ticks of the clock, bytes, memory, and the exit code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) user: u64,
    pub(crate) system: u64,
    pub(crate) read: Option<u64>,
    pub(crate) written: Option<u64>,
    pub(crate) peak_memory: Option<u64>,
    /// The exit code, or 128 plus the number of the signal.
    pub(crate) exit: Option<i32>,
}

/// The time of a process before it executed a program: on a processor and waiting for one, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Past {
    pub(crate) cpu: u64,
    pub(crate) delayed: u64,
}

impl ProgramRun {
    pub(crate) fn new(pid: i32, start: u64, account: Account) -> Self {
        Self {
            pid,
            parent: None,
            replaces: None,
            program: String::new(),
            forked: true,
            arguments: Vec::new(),
            start,
            end: None,
            threads: 1,
            live: 1,
            had_children: false,
            account,
            time: ProcessTime::default(),
            delayed: None,
            switching: None,
            usage: Usage::default(),
            before: Usage::default(),
            past: Past::default(),
            counted: None,
            named: 0,
            executed: None,
            exits: None,
            stacks: HashMap::new(),
            tasks: None,
            next_reading: 0,
        }
    }

    /// Sets the arguments, as read at `now`, and completes the name from them.
    pub(crate) fn set_arguments(&mut self, now: u64, arguments: Vec<String>) {
        self.named = now;
        // The kernel keeps 15 bytes of a name; an argument may contain all of it. A program that executes itself through `/proc/self/exe`,
        // as busybox does for each of its commands, is identified by its first argument only.
        let whole = |argument: &String| argument.rsplit('/').next().unwrap_or_default().to_owned();
        let mut names = arguments.iter().map(whole).take(3);
        let name = match &*self.program {
            "exe" => names.next().filter(|name| !name.is_empty()),
            cut if cut.len() >= 15 => names.find(|name| name.starts_with(cut)),
            _ => None,
        };
        self.program = name.unwrap_or_else(|| std::mem::take(&mut self.program));
        self.arguments = arguments;
    }

    pub(crate) fn end(&mut self, time: u64) {
        if self.end.is_none() {
            self.take_sums(time, self.sums(time), false);
            // Of a process with threads, the account of one may be missing.
            if let Some(sum) = self.exits.filter(|_| self.threads == 1) {
                self.account.ran_at_most(time, self.start, sum.cpu.saturating_sub(self.past.cpu));
            }
            // The kernel's sum is of one thread.
            let delayed = self.delayed.filter(|_| self.threads == 1);
            self.time = self.account.end(time, delayed);
            self.time.cpu += self.switched();
            self.split();
            self.end = Some(time.max(self.start));
        }
    }

    /// The kernel's sums of the ended threads: on a processor, and waiting for one. What follows the last tick of the clock or context switch
    /// is not in the sum, but a process that never waited ran whenever it had a processor. Without sums, a process that has had children waited
    /// for those, and another one ran.
    fn sums(&self, time: u64) -> (u64, u64) {
        match self.exits {
            Some(sum) if sum.waits == 0 && self.threads == 1 => {
                let life = self.past.cpu + self.past.delayed + time.saturating_sub(self.start);
                (life.saturating_sub(sum.delayed).max(sum.cpu), sum.delayed)
            }
            Some(sum) => (sum.cpu, sum.delayed),
            None if self.had_children => (0, 0),
            None => (u64::MAX, 0),
        }
    }

    /// From `time` on, the process has no reports of context switches. These are the kernel's sums of it up to then: on a processor, and waiting
    /// for one.
    pub(crate) fn pause(&mut self, time: u64, (cpu, delayed): (u64, u64), runs: bool) {
        self.take_sums(time, (cpu, delayed), runs);
        self.account.pause(time);
        self.counted = Some(Past { cpu: cpu.max(self.past.cpu + self.account.cpu()), delayed });
    }

    /// Takes the kernel's sums of the process up to `time`, unless its context switches are reported: on a processor, and waiting for one; and
    /// whether it runs.
    pub(crate) fn take_sums(&mut self, time: u64, (cpu, delayed): (u64, u64), runs: bool) {
        let before = self.counted.take().unwrap_or(self.past);
        let (cpu, delayed) = (cpu.saturating_sub(before.cpu), delayed.saturating_sub(before.delayed));
        let company = Company::of(self.had_children);
        let most = time.saturating_sub(self.account.since()).saturating_mul(u64::from(self.threads));
        self.account.take_sums(time, (cpu.min(most), delayed), runs, company);
    }

    /// Adds the kernel's account of an ended thread. `first` says that it is the first thread.
    pub(crate) fn thread_exited(&mut self, exit: Exit, first: bool) {
        let mut sum = self.exits.unwrap_or_default();
        sum.user += exit.user;
        sum.system += exit.system;
        sum.cpu += exit.cpu;
        sum.waits += exit.waits;
        sum.delayed += exit.delayed;
        sum.read += exit.read;
        sum.written += exit.written;
        sum.peak_memory = sum.peak_memory.max(exit.peak_memory);
        if first {
            let signal = exit.status & 0x7f;
            self.usage.exit = Some(if signal == 0 { exit.status >> 8 & 0xff } else { 128 + signal });
        }
        self.exits = Some(sum);
    }

    /// Takes the sum of its threads' accounts as the usage of the process.
    pub(crate) fn exited(&mut self) {
        let Some(sum) = self.exits else { return };
        self.usage = Usage {
            user: sum.user,
            system: sum.system,
            read: Some(sum.read),
            written: Some(sum.written),
            peak_memory: Some(sum.peak_memory),
            exit: self.usage.exit,
        };
        self.split();
        self.time.cpu = Nanos(sum.cpu.saturating_sub(self.past.cpu)).max(self.time.cpu);
    }

    fn split(&mut self) {
        let (now, before) = (&self.usage, &self.before);
        self.time.user = Nanos(now.user.saturating_sub(before.user));
        self.time.system = Nanos(now.system.saturating_sub(before.system));
    }

    /// Takes the waits for a processor of a thread's whole life from the kernel.
    pub(crate) fn waits_at_exit(&mut self) {
        if let Some(sum) = self.exits {
            self.delayed = Some(sum.delayed.saturating_sub(self.past.delayed));
            self.switching = None;
        }
    }

    /// The usage of the process at the exec of the next program.
    pub(crate) fn until_here(&self) -> Past {
        Past { cpu: self.past.cpu + self.time.cpu.0, delayed: self.past.delayed + self.time.runnable.0 }
    }

    /// Takes the kernel's sums, on a processor and waiting for one, soon after the exec of this program. The waits that events of both
    /// programs do not show belong to the time before. Without sums, the program before was taken to have been on a processor.
    pub(crate) fn take_sums_after_exec(&mut self, (cpu, delayed): (u64, u64)) {
        self.past.cpu = self.past.cpu.min(cpu);
        self.past.delayed = self.past.delayed.max(delayed.saturating_sub(self.account.runnable()));
    }

    /// The time of the context switches, which the kernel counts and the events do not. It is much for a process that waits often, and
    /// grows with its processor time.
    pub(crate) fn switched(&self) -> Nanos {
        match self.switching {
            Some((more, seen)) if self.threads == 1 && seen > 0 => {
                let more = u128::from(more.min(seen)) * u128::from(self.time.cpu.0) / u128::from(seen);
                Nanos(u64::try_from(more).unwrap_or(0))
            }
            _ => Nanos::ZERO,
        }
    }

    /// Takes the kernel's sums of the process: time on a processor and time waiting for one.
    pub(crate) fn scheduled(&mut self, cpu: u64, delayed: u64) {
        self.delayed = Some(delayed.saturating_sub(self.past.delayed));
        if let Some(seen) = self.account.cpu_at_rest() {
            self.switching = Some((cpu.saturating_sub(self.past.cpu + seen), seen));
        }
    }

    /// The waits so far.
    pub(crate) fn waits(&self) -> &ProgramWaits {
        self.account.waits()
    }

    /// Resolves the causes of the waits; `program` has the waits of similar processes.
    pub(crate) fn resolve(&mut self, program: &ProgramWaits) {
        self.time.blocked = self.account.resolved(program);
        self.time.synced = self.account.synced(program);
    }

    /// Adds a sample: what the process waited for, if it was blocked.
    pub(crate) fn add_sample(&mut self, time: u64, wait: Option<Wait>) {
        self.account.add_sample(time, wait);
    }

    /// Adds a sample of the running functions. Above the limit of stacks, only the outer functions are kept.
    pub(crate) fn add_stack(&mut self, frames: Frames) {
        const STACKS: usize = 500;
        const OUTER: usize = 4;
        let full = self.stacks.len() >= STACKS && !self.stacks.contains_key(&frames);
        let frames = if full { frames.iter().take(OUTER).cloned().collect() } else { frames };
        *self.stacks.entry(frames).or_default() += 1;
    }

    pub(crate) fn wants_sample(&self, now: u64) -> bool {
        self.account.wants_sample(now)
    }

    /// Whether the current wait has a sample.
    pub(crate) fn has_sample(&self) -> bool {
        self.account.has_sample()
    }

    /// Whether it has running children.
    pub(crate) fn has_children(&self) -> bool {
        self.account.has_children()
    }

    /// The bytes that the process read.
    pub(crate) fn read(&self) -> Option<u64> {
        Some(self.usage.read?.saturating_sub(self.before.read.unwrap_or(0)))
    }

    /// The bytes that the process wrote.
    pub(crate) fn written(&self) -> Option<u64> {
        Some(self.usage.written?.saturating_sub(self.before.written.unwrap_or(0)))
    }

    pub(crate) fn duration(&self) -> u64 {
        self.end.unwrap_or(self.start).saturating_sub(self.start)
    }

    /// The process in the form of the record, without references to other processes.
    pub(crate) fn process(&self, at: impl Fn(u64) -> Nanos) -> Process {
        use buildscope_record::ByteSize;
        Process {
            pid: self.pid as u32,
            parent: None,
            replaces: None,
            program: self.program.clone(),
            forked: self.forked,
            arguments: self.arguments.clone(),
            start: at(self.start),
            end: at(self.end.unwrap_or(self.start)),
            exit: self.usage.exit,
            time: self.time,
            threads: self.threads,
            peak_memory: self.usage.peak_memory.map(ByteSize),
            read: self.read().map(ByteSize),
            written: self.written().map(ByteSize),
            tasks: self.tasks.map(&at),
            timeline: self.account.timeline(self.time.blocked),
            stacks: Vec::new(),
        }
    }
}
