//! One program in one process, and its account.

use crate::account::Account;
use buildscope_record::{Nanos, Process, ProcessTime};

/// One program in one process.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) pid: i32,
    pub(crate) parent: Option<u32>,
    pub(crate) replaces: Option<u32>,
    pub(crate) program: String,
    /// It has executed nothing yet.
    pub(crate) forked: bool,
    pub(crate) arguments: Vec<String>,
    pub(crate) start: u64,
    pub(crate) end: Option<u64>,
    pub(crate) threads: u32,
    pub(crate) live: u32,
    pub(crate) had_children: bool,
    pub(crate) account: Account,
    /// What it was at its end.
    pub(crate) time: ProcessTime,
    /// What the kernel says of all times it waited for a processor.
    pub(crate) delayed: Option<u64>,
    /// How much more the kernel says that it was on a processor than the events do: both at one time.
    pub(crate) switching: Option<(u64, u64)>,
    pub(crate) peak_memory: Option<u64>,
    pub(crate) transferred: Option<(u64, u64)>,
    /// When it is to be asked again for memory and bytes.
    pub(crate) ask: u64,
}

impl Run {
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
            peak_memory: None,
            transferred: None,
            ask: 0,
        }
    }

    pub(crate) fn end(&mut self, time: u64) {
        if self.end.is_none() {
            // The kernel's sum is of one thread.
            let delayed = self.delayed.filter(|_| self.threads == 1);
            self.time = self.account.end(time, delayed);
            self.time.cpu += self.switched();
            self.end = Some(time.max(self.start));
        }
    }

    /// The kernel counts the switch itself, which is between two events. That is much for a process that waits often: what is
    /// missing grows with the rest.
    pub(crate) fn switched(&self) -> Nanos {
        match self.switching {
            Some((more, seen)) if self.threads == 1 && seen > 0 => {
                let more = u128::from(more.min(seen)) * u128::from(self.time.cpu.0) / u128::from(seen);
                Nanos(u64::try_from(more).unwrap_or(0))
            }
            _ => Nanos::ZERO,
        }
    }

    /// The kernel's sums: time on a processor and time waiting for one.
    pub(crate) fn scheduled(&mut self, cpu: u64, delayed: u64) {
        self.delayed = Some(delayed);
        if let Some(seen) = self.account.cpu_at_rest() {
            self.switching = Some((cpu.saturating_sub(seen), seen));
        }
    }

    /// Takes the result of a look at the process.
    pub(crate) fn looked(&mut self, time: u64, cause: buildscope_record::Cause) {
        self.account.looked(time, cause);
    }

    pub(crate) fn wants_a_look(&self, now: u64) -> bool {
        self.account.wants_a_look(now)
    }

    /// Whether children of it live.
    pub(crate) fn has_children(&self) -> bool {
        self.account.has_children()
    }

    pub(crate) fn duration(&self) -> u64 {
        self.end.unwrap_or(self.start).saturating_sub(self.start)
    }

    /// As the record has it, but for what names other processes.
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
            exit: None,
            time: self.time,
            threads: self.threads,
            peak_memory: self.peak_memory.map(ByteSize),
            read: self.transferred.map(|(read, _)| ByteSize(read)),
            written: self.transferred.map(|(_, written)| ByteSize(written)),
            timeline: self.account.timeline(self.time.blocked),
        }
    }
}
