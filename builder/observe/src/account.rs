//! The account of one program in one process: its time by state.
//!
//! A process is on a processor while one of its threads is, else runnable while one of them could run, else blocked. The cause of a block
//! comes from a sample in that interval.

use crate::blocked::{Company, ProgramWaits};
use crate::timeline::{Lane, ProcessState};
use crate::wait::Wait;
use buildscope_record::{Blocked, Cause, Nanos, ProcessTime, Synced, Timeline};

/// Whether the kernel reports context switches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Switches {
    Reported,
    /// Not yet: how a process spent its time so far is known from the kernel's sums.
    Unreported,
}

/// The sums of one program in one process.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    /// The instant up to which the sums are complete.
    since: u64,
    switches: Switches,
    /// The number of threads on a processor.
    running: u32,
    /// The number of threads that wait for a processor.
    ready: u32,
    cpu: u64,
    runnable: u64,
    waits: ProgramWaits,
    /// The last sample of a block, with its time.
    sample: Option<(u64, Wait)>,
    /// The number of samples.
    samples: u32,
    /// The number of running children.
    children: u32,
    /// Whether the process had children when the current wait started.
    company: Company,
    lane: Lane,
}

impl Account {
    pub(crate) fn new(start: u64, running: u32, ready: u32) -> Self {
        Self {
            since: start,
            switches: Switches::Reported,
            running,
            ready,
            cpu: 0,
            runnable: 0,
            waits: ProgramWaits::default(),
            sample: None,
            samples: 0,
            children: 0,
            company: Company::Alone,
            lane: Lane::new(start),
        }
    }

    /// An account that waits for the kernel's sums.
    pub(crate) fn by_sums(self) -> Self {
        Self { switches: Switches::Unreported, ..self }
    }

    /// From `time` on, context switches are not reported: the account waits for the kernel's sums.
    pub(crate) fn pause(&mut self, time: u64) {
        self.advance(time);
        self.switches = Switches::Unreported;
    }

    /// The instant up to which the sums are complete.
    pub(crate) fn since(&self) -> u64 {
        self.since
    }

    /// Takes the kernel's sums of the time up to `time`, from which on context switches are reported: on a processor, and waiting for one. The
    /// rest was blocked, for the cause of the last sample. The kernel's sum of a process that `runs` ends with the last tick of its clock.
    pub(crate) fn take_sums(&mut self, time: u64, (cpu, delayed): (u64, u64), runs: bool, company: Company) {
        /// Kernels have 250 ticks a second or more.
        const TICK: u64 = 4_000_000;
        if std::mem::replace(&mut self.switches, Switches::Reported) == Switches::Reported {
            return;
        }
        let length = time.saturating_sub(self.since);
        let on = cpu.min(length);
        let ready = delayed.min(length - on);
        let rest = length - on - ready;
        let since_tick = if runs && rest <= TICK { rest } else { 0 };
        let on = on + since_tick;
        self.cpu += cpu + since_tick;
        self.runnable += ready;
        let sample = self.take_sample(time);
        self.waits.add(company, Nanos(length - on - ready), sample);
        let likely = sample.map_or(company.likely_cause(), |wait| wait.cause);
        // The order is not known.
        let (ran, began) = (self.since + on, self.since + on + ready);
        self.lane.add(self.since, ran, ProcessState::Running);
        self.lane.add(ran, began, ProcessState::Runnable);
        self.lane.add(began, self.since + length, ProcessState::Blocked(likely));
        self.since += length;
    }

    /// Whether its context switches are reported.
    pub(crate) fn has_switches(&self) -> bool {
        self.switches == Switches::Reported
    }

    /// Sets the number of threads on a processor: all others wait for something.
    pub(crate) fn set_running(&mut self, running: u32) {
        (self.running, self.ready) = (running, 0);
    }

    /// Sums up to `time`. The caller then changes the state.
    fn advance(&mut self, time: u64) {
        if self.switches == Switches::Unreported {
            return;
        }
        let length = time.saturating_sub(self.since);
        let state = if self.running > 0 {
            ProcessState::Running
        } else if self.ready > 0 {
            self.runnable += length;
            ProcessState::Runnable
        } else {
            let sample = self.take_sample(time);
            self.waits.add(self.company, Nanos(length), sample);
            ProcessState::Blocked(sample.map_or(self.company.likely_cause(), |wait| wait.cause))
        };
        self.lane.add(self.since, time, state);
        self.since = self.since.max(time);
    }

    /// The last sample, if it was taken since the last event and before `time`.
    fn take_sample(&mut self, time: u64) -> Option<Wait> {
        let sampled = self.sample.take_if(|(at, _)| *at <= time);
        sampled.filter(|&(at, _)| at >= self.since).map(|(_, wait)| wait)
    }

    /// Changes the number of threads on a processor, and the number of those that could run.
    pub(crate) fn change(&mut self, time: u64, running: i32, ready: i32) {
        self.advance(time);
        self.running = self.running.saturating_add_signed(running);
        self.ready = self.ready.saturating_add_signed(ready);
        self.company = Company::of(self.children > 0);
    }

    /// The process executes a program: one thread remains, on a processor.
    pub(crate) fn settle(&mut self, time: u64) {
        self.advance(time);
        (self.running, self.ready) = (1, 0);
    }

    /// Adds a child.
    pub(crate) fn child_started(&mut self) {
        self.children += 1;
        self.company = Company::WithChildren;
    }

    /// Removes a child that has ended. The current wait counts as one with children: if it was for this child, it is over, and the process
    /// has only not run yet.
    pub(crate) fn child_ended(&mut self) {
        self.children = self.children.saturating_sub(1);
    }

    /// Adds a thread's time on a processor.
    pub(crate) fn ran(&mut self, length: u64) {
        if self.switches == Switches::Reported {
            self.cpu += length;
        }
    }

    /// The processor time so far, if the process waits; `None` if it runs, because it may have more by now.
    pub(crate) fn cpu_at_rest(&self) -> Option<u64> {
        (self.switches == Switches::Reported && self.running == 0 && self.ready == 0).then_some(self.cpu)
    }

    /// The processor time so far.
    pub(crate) fn cpu(&self) -> u64 {
        self.cpu
    }

    /// The most processor time that all threads may have used up to `time`.
    pub(crate) fn most_cpu(&self, time: u64) -> u64 {
        match self.switches {
            Switches::Reported => self.cpu,
            Switches::Unreported => time.saturating_sub(self.since),
        }
    }

    /// The time waiting for a processor, by the events.
    pub(crate) fn runnable(&self) -> u64 {
        self.runnable
    }

    /// Adds a sample that was taken at `time`: what the process waited for, if it was blocked.
    pub(crate) fn add_sample(&mut self, time: u64, wait: Option<Wait>) {
        self.samples = self.samples.saturating_add(1);
        if let Some(wait) = wait {
            self.sample = Some((time, wait));
        }
    }

    /// Whether a sample is worth its cost: the process has been blocked for a while, or often and briefly. A sample costs as much as
    /// several system calls, so the more there were, the longer a wait must be for another one. A process with children most probably waits
    /// for one of them, which events show.
    pub(crate) fn wants_sample(&self, now: u64) -> bool {
        const WHILE: u64 = 1_000_000;
        const LONGEST: u64 = 10_000_000;
        if self.has_sample() {
            return false;
        }
        if self.waits.wants_sample(self.samples) {
            return true;
        }
        if self.running > 0 || self.ready > 0 {
            return false;
        }
        let patience = if self.children > 0 { LONGEST } else { (WHILE << (self.samples / 32).min(4)).min(LONGEST) };
        now.saturating_sub(self.since) > patience
    }

    /// Whether the current wait has a sample. Another sample would replace it, and would be wrong if this wait has ended and its event has
    /// not been read yet.
    pub(crate) fn has_sample(&self) -> bool {
        self.sample.is_some_and(|(at, _)| at >= self.since)
    }

    /// The waits so far.
    pub(crate) fn waits(&self) -> &ProgramWaits {
        &self.waits
    }

    /// Takes the kernel's exact sum of the processor time at the end. If the switches say that it ran for longer than that, some of them were
    /// dropped, and it waited for something unknown.
    pub(crate) fn ran_at_most(&mut self, time: u64, start: u64, cpu: u64) {
        /// The kernel's sum ends with the last tick of the clock or context switch.
        const INEXACT: u64 = 20_000_000;
        self.advance(time);
        let waited = self.runnable + self.waits.total().0;
        let ran = time.saturating_sub(start).saturating_sub(waited);
        if ran > cpu + INEXACT {
            self.waits.add(self.company, Nanos(ran - cpu), None);
            self.cpu = self.cpu.min(cpu);
        }
    }

    /// The final account without the causes of blocks, which [`resolved`](Self::resolved) adds. `delayed` is the kernel's sum of the waits
    /// for a processor, if known. If it is more than context switches show, the process waited for a processor after other waits were over.
    pub(crate) fn end(&mut self, time: u64, delayed: Option<u64>) -> ProcessTime {
        self.advance(time);
        let late = Nanos(delayed.unwrap_or(0).saturating_sub(self.runnable)).min(self.waits.total());
        self.waits = self.waits.without(late);
        ProcessTime { cpu: Nanos(self.cpu), runnable: Nanos(self.runnable) + late, ..ProcessTime::default() }
    }

    /// The blocked time by cause. Waits without a sample are divided like the other waits of the program.
    pub(crate) fn resolved(&self, program: &ProgramWaits) -> Blocked {
        self.waits.resolved(program)
    }

    /// The part of the waits for a disk that syncs files.
    pub(crate) fn synced(&self, program: &ProgramWaits) -> Option<Synced> {
        self.waits.synced(program)
    }

    /// Whether the process has running children.
    pub(crate) fn has_children(&self) -> bool {
        self.children > 0
    }

    /// The states over time; `None` for a short process. Waits without a sample count as the most frequent kind.
    pub(crate) fn timeline(&self, blocked: Blocked) -> Option<Timeline> {
        let known = Cause::ALL.into_iter().filter(|&cause| cause != Cause::Child);
        self.lane.timeline(known.max_by_key(|&cause| blocked[cause]).unwrap_or(Cause::Unknown))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn blocked(account: &Account) -> Blocked {
        account.resolved(&ProgramWaits::default())
    }

    #[test]
    fn each_instant_counts_once() {
        let mut account = Account::new(0, 0, 1);
        account.change(MS, 1, -1);
        account.ran(4 * MS);
        account.change(5 * MS, -1, 0);
        account.add_sample(7 * MS, Some(Cause::Network.into()));
        account.change(15 * MS, 1, 0);
        account.ran(MS);
        account.change(16 * MS, -1, 1);
        let time = account.end(20 * MS, None);
        assert_eq!(time.cpu, Nanos(5 * MS));
        assert_eq!(time.runnable, Nanos(5 * MS));
        assert_eq!(blocked(&account), Blocked { network: Nanos(10 * MS), ..Blocked::default() });
    }

    #[test]
    fn a_sample_counts_only_for_the_wait_in_which_it_was_taken() {
        let mut account = Account::new(0, 0, 0);
        account.add_sample(12 * MS, Some(Cause::Disk.into()));
        account.change(10 * MS, 1, 0);
        account.change(11 * MS, -1, 0);
        // The sample was taken in this wait. The first wait had ended.
        account.change(13 * MS, 1, 0);
        account.end(13 * MS, None);
        let waits = account.waits();
        assert_eq!(waits.total(), Nanos(12 * MS));
        let mut expected = ProgramWaits::default();
        expected.add(Company::Alone, Nanos(10 * MS), None);
        expected.add(Company::Alone, Nanos(2 * MS), Some(Cause::Disk.into()));
        assert_eq!(*waits, expected);
    }

    /// Events arrive later than samples. If `/proc` is sampled, the events of an interval arrive after the sample of the next one.
    #[test]
    fn a_sample_is_not_replaced_before_its_wait_has_ended() {
        let mut account = Account::new(0, 0, 0);
        account.change(5 * MS, 0, 0);
        account.add_sample(6 * MS, Some(Cause::Sleep.into()));
        assert!(!account.wants_sample(30 * MS), "5 ms are open, but the wait that goes on has its sample");
        account.change(20 * MS, 0, 0);
        assert!(account.wants_sample(30 * MS));
    }

    /// A shell waits for its child. After the child's end the kernel still has to switch to the shell.
    #[test]
    fn a_wait_with_children_is_one_until_the_process_runs_again() {
        let mut account = Account::new(0, 1, 0);
        account.child_started();
        account.change(MS, -1, 0);
        account.child_ended();
        account.change(6 * MS, 1, 0);
        account.change(7 * MS, -1, 0);
        account.end(9 * MS, None);
        assert_eq!((blocked(&account).child, blocked(&account).unknown), (Nanos(5 * MS), Nanos(2 * MS)));
    }

    #[test]
    fn waking_up_late_is_waiting_for_a_processor() {
        let mut account = Account::new(0, 0, 0);
        account.add_sample(MS, Some(Cause::Sleep.into()));
        account.change(10 * MS, 1, 0);
        let time = account.end(10 * MS, Some(3 * MS));
        assert_eq!((time.runnable, blocked(&account).sleep), (Nanos(3 * MS), Nanos(7 * MS)));
    }
}
