//! Whether context switches are reported, and how processes spend their time meanwhile: the kernel's sums say so.

use super::{Forest, ProcessOwner, Runs, Thread};
use crate::account::{Account, Switches};
use crate::run::ProgramRun;

/// The kernel's sums of a thread, in nanoseconds: on a processor, and waiting for one; and whether it runs or could.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ThreadState {
    pub(crate) cpu: u64,
    pub(crate) delayed: u64,
    pub(crate) runs: bool,
}

impl ThreadState {
    /// The state in which an event at that time would have left the thread.
    fn as_of_event(self) -> Runs {
        if self.runs { Runs::On } else { Runs::Off }
    }
}

/// The age in nanoseconds from which on it is worth its cost to know when a process ran.
const LONG: u64 = 4_000_000;

impl Forest {
    /// Whether a process has lived so long that its context switches are worth their cost.
    pub(crate) fn wants_switches(&self, now: u64) -> bool {
        self.switches == Switches::Unreported
            && self.paused.is_none()
            && self.longest_life(now).is_some_and(|life| life > LONG)
    }

    /// The longest life so far of the living processes of steps.
    pub(crate) fn longest_life(&self, now: u64) -> Option<u64> {
        let start = |owner: &ProcessOwner| Some(self.steps[owner.step].runs.get(&owner.run?)?.start);
        Some(now.saturating_sub(self.owners.values().filter_map(start).min()?))
    }

    /// Context switches are reported from `now` on. `thread` reads the state of a thread, by the ids of its process and itself.
    pub(crate) fn switches_begin(&mut self, now: u64, thread: impl Fn(i32, i32) -> Option<ThreadState>) {
        (self.switches, self.reported_since, self.paused) = (Switches::Reported, now, None);
        self.unsettled = self.owners.keys().copied().collect();
        self.settle(now, thread);
    }

    /// Reads the state at `now` of the threads whose switches were not reported from their beginning.
    pub(crate) fn settle(&mut self, now: u64, thread: impl Fn(i32, i32) -> Option<ThreadState>) {
        for pid in std::mem::take(&mut self.unsettled) {
            let states = self.states(pid, &thread);
            let Some(run) = self.run(pid) else { continue };
            if run.account.has_switches() {
                states.into_iter().for_each(|(tid, state)| self.switched(now, pid, tid, state.as_of_event()));
                continue;
            }
            let running = running(&states);
            run.take_sums(now, sums(run, &states), running > 0);
            run.account.set_running(running);
            let thread = |state: ThreadState| Thread { pid, state: state.as_of_event(), since: now };
            self.threads.extend(states.into_iter().map(|(tid, state)| (tid, thread(state))));
        }
    }

    /// The states of the living threads of a process.
    fn states(&self, pid: i32, thread: impl Fn(i32, i32) -> Option<ThreadState>) -> Vec<(i32, ThreadState)> {
        let living = self.threads.iter().filter(|(_, known)| known.pid == pid && known.state != Runs::Never);
        living.filter_map(|(&tid, _)| Some((tid, thread(pid, tid)?))).collect()
    }

    /// Context switches are not reported from `now` on, until they [begin](Self::switches_begin) again.
    pub(crate) fn switches_pause(&mut self, now: u64, thread: impl Fn(i32, i32) -> Option<ThreadState>) {
        self.switches = Switches::Unreported;
        self.paused = Some(now);
        for pid in self.owners.keys().copied().collect::<Vec<_>>() {
            let is_long = |run: &mut ProgramRun| {
                run.account.has_switches() || run.counted.is_some() || now.saturating_sub(run.start) > LONG
            };
            let states = if self.run(pid).is_some_and(is_long) { self.states(pid, &thread) } else { Vec::new() };
            // What runs has run until now.
            states.iter().for_each(|(tid, _)| self.switched(now, pid, *tid, Runs::Off));
            if let Some(run) = self.run(pid).filter(|_| !states.is_empty()) {
                run.pause(now, sums(run, &states), running(&states) > 0);
            }
        }
    }

    /// While context switches are not reported, takes the kernel's sums of long processes from time to time, so that it is known when these
    /// ran.
    pub(crate) fn sum_up(&mut self, now: u64, thread: impl Fn(i32, i32) -> Option<ThreadState>) {
        /// In nanoseconds.
        const OFTEN: u64 = 50_000_000;
        if self.paused.is_some_and(|last| now.saturating_sub(last) > OFTEN) {
            self.switches_pause(now, thread);
        }
    }

    /// Whether the reports of context switches are interrupted.
    pub(crate) fn is_paused(&self) -> bool {
        self.paused.is_some()
    }

    /// Whether context switches are reported.
    pub(crate) fn has_switches(&self) -> bool {
        self.switches == Switches::Reported
    }

    pub(super) fn account(&self, start: u64, running: u32, ready: u32) -> Account {
        let account = Account::new(start, running, ready);
        if self.switches == Switches::Unreported || start < self.reported_since { account.by_sums() } else { account }
    }

    /// Notes that something happened to a process at `time`.
    pub(super) fn happened(&mut self, time: u64, pid: i32) {
        if time < self.reported_since {
            self.unsettled.push(pid);
        }
    }
}

/// The number of running threads.
fn running(threads: &[(i32, ThreadState)]) -> u32 {
    threads.iter().filter(|(_, state)| state.runs).count() as u32
}

/// The kernel's sums of a process, from its living threads and those that ended.
fn sums(run: &ProgramRun, living: &[(i32, ThreadState)]) -> (u64, u64) {
    let ended = run.exits.unwrap_or_default();
    let sum = |of: fn(&ThreadState) -> u64| living.iter().map(|(_, state)| of(state)).sum::<u64>();
    (ended.cpu + sum(|state| state.cpu), ended.delayed + sum(|state| state.delayed))
}
