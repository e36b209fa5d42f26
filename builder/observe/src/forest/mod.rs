//! Turns events into processes.
//!
//! Each child of the observed process (the root) is the init of a step's sandbox, and the processes that the init starts are the
//! step's. The kernel may drop events or report them a little out of order, so nothing here relies on complete events.

mod switches;

use crate::account::Switches;
use crate::event::{Event, What};
use crate::events::Lost;
use crate::exec_arguments::ExecArguments;
use crate::exits::Exit;
use crate::fold::{MOST, Totals, fold};
use crate::programs::Programs;
use crate::run::{ProgramRun, ProgramRuns, Usage};
use foldhash::{HashMap, HashSet};
pub(crate) use switches::ThreadState;

/// A thread.
#[derive(Debug)]
struct Thread {
    pid: i32,
    state: Runs,
    since: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Runs {
    On,
    Ready,
    Off,
    /// The thread has ended. The kernel may still switch it until it is gone.
    Never,
}

/// The step and the run of a process.
#[derive(Clone, Copy, Debug)]
struct ProcessOwner {
    step: usize,
    /// `None` for the init itself.
    run: Option<u32>,
}

/// A step's processes.
#[derive(Debug)]
pub(crate) struct Inside {
    /// The init of the step's sandbox.
    pub(crate) init: i32,
    pub(crate) start: u64,
    pub(crate) end: Option<u64>,
    pub(crate) runs: ProgramRuns,
    pub(crate) totals: Totals,
    pub(crate) programs: Programs,
    /// The number of events that were dropped while the step ran.
    pub(crate) lost: Lost,
    /// The number of processes that continued without reports.
    pub(crate) hidden: u32,
    next: u32,
}

/// All processes below the root.
#[derive(Debug)]
pub(crate) struct Forest {
    /// The observed process. Without one, every process that starts belongs to one step, the machine.
    root: Option<i32>,
    threads: HashMap<i32, Thread>,
    owners: HashMap<i32, ProcessOwner>,
    pub(crate) steps: Vec<Inside>,
    /// The number of processes and programs of steps that have started.
    pub(crate) begun: u64,
    /// Processes that have just executed a program, with the time. The program has not been read yet.
    fresh: Vec<(i32, u64)>,
    /// Arguments of programs whose start is not yet among the events.
    arguments: Vec<ExecArguments>,
    /// Processes that were gone at the last check without an event of their end, with the time of the check.
    missing: HashMap<i32, u64>,
    /// Accounts of threads whose end is not yet among the events, with the time of arrival.
    exits: HashMap<i32, (u64, Exit)>,
    lives: fn(i32) -> bool,
    reports: Reports,
    switches: Switches,
    /// The time from which context switches are reported.
    reported_since: u64,
    /// Whether their reports are interrupted, and the time of the last sums.
    paused: Option<u64>,
    /// Processes of which something happened before that time, but was read after it: their switches until now are not known.
    unsettled: Vec<i32>,
    /// The times of the last two readings.
    readings: (u64, u64),
    /// Processes that continue without reports.
    hidden: HashSet<i32>,
    /// Those of them that nothing follows yet.
    unfollowed: Vec<i32>,
}

/// The processes that the kernel reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reports {
    All,
    /// The processes of an ordinary user, until they execute a set-uid program.
    Ordinary,
}

/// The kernel reports an end within the system call that executes a set-uid program, in nanoseconds after the report of that call.
const WITHIN_EXEC: u64 = 5_000_000;

/// The processor time, in nanoseconds, below which a forked process counts as one that executes a program at once. A container runtime
/// works for longer before it executes a step's program.
const AT_ONCE: u64 = 2_000_000;

/// The time after which an account without an event belongs to a thread of another program, in nanoseconds.
const FOREIGN: u64 = 1_000_000_000;

impl Forest {
    pub(crate) fn new(root: i32) -> Self {
        Self::below(Some(root))
    }

    /// Observes all processes that start on the machine from now on.
    pub(crate) fn of_machine(now: u64) -> Self {
        let mut forest = Self::below(None);
        forest.steps.push(Inside::new(0, now));
        forest
    }

    fn below(root: Option<i32>) -> Self {
        Self {
            root,
            threads: HashMap::default(),
            owners: HashMap::default(),
            steps: Vec::new(),
            begun: 0,
            fresh: Vec::new(),
            arguments: Vec::new(),
            missing: HashMap::default(),
            exits: HashMap::default(),
            lives: |_| false,
            reports: Reports::All,
            switches: Switches::Reported,
            reported_since: 0,
            paused: None,
            unsettled: Vec::new(),
            readings: (0, 0),
            hidden: HashSet::default(),
            unfollowed: Vec::new(),
        }
    }

    /// Sets the function that tells whether a process is alive, for processes whose end is uncertain.
    pub(crate) fn with_liveness(self, lives: fn(i32) -> bool, reports: Reports) -> Self {
        Self { lives, reports, ..self }
    }

    /// Sets whether context switches are reported from the beginning.
    pub(crate) fn with_switches(self, switches: Switches) -> Self {
        Self { switches, ..self }
    }

    pub(crate) fn take(&mut self, events: impl IntoIterator<Item = Event>) {
        for Event { time, pid, tid, what } in events {
            match what {
                What::Forked { parent } if parent == pid => self.thread_started(time, pid, tid),
                What::Forked { parent } => self.process_started(time, pid, parent),
                What::Executed { name } => self.executed(time, pid, tid, name),
                What::WorksOnTasks => {
                    if let Some(run) = self.run(pid) {
                        run.tasks = run.tasks.or(Some(time));
                    }
                }
                What::Exited => self.exited(time, pid, tid),
                What::In => self.switched(time, pid, tid, Runs::On),
                What::Sampled { frames } => {
                    if let Some(run) = self.run(pid) {
                        run.add_stack(frames);
                    }
                }
                What::Out { wanted } => self.switched(time, pid, tid, if wanted { Runs::Ready } else { Runs::Off }),
            }
        }
    }

    /// Takes the kernel's accounts of threads that ended. They come before the events of their ends.
    pub(crate) fn exits(&mut self, now: u64, exits: impl IntoIterator<Item = Exit>) {
        self.exits.extend(exits.into_iter().map(|exit| (exit.tid, (now, exit))));
        const MANY: usize = 1000;
        if self.exits.len() > MANY {
            self.exits.retain(|_, (came, _)| now.saturating_sub(*came) < FOREIGN);
        }
    }

    fn run(&mut self, pid: i32) -> Option<&mut ProgramRun> {
        let owner = self.owners.get(&pid)?;
        self.steps[owner.step].runs.get_mut(&owner.run?).map(|run| &mut **run)
    }

    fn thread_started(&mut self, time: u64, pid: i32, tid: i32) {
        let Some(run) = self.run(pid) else { return };
        run.account.change(time, 0, 1);
        run.threads += 1;
        run.live += 1;
        self.threads.insert(tid, Thread { pid, state: Runs::Ready, since: time });
        self.happened(time, pid);
    }

    fn process_started(&mut self, time: u64, pid: i32, parent: i32) {
        // A process with the same pid ended, and its event was lost.
        self.ended(time, pid);
        if Some(parent) == self.root {
            self.owners.insert(pid, ProcessOwner { step: self.steps.len(), run: None });
            self.steps.push(Inside::new(pid, time));
            return;
        }
        let machine = self.root.is_none().then_some(ProcessOwner { step: 0, run: None });
        let Some(ProcessOwner { step, run: parent }) = self.owners.get(&parent).copied().or(machine) else { return };
        let account = self.account(time, 0, 1);
        let inside = &mut self.steps[step];
        let above = parent.and_then(|parent| inside.runs.get_mut(&parent));
        let program = above.as_ref().map_or_else(String::new, |run| run.program.clone());
        if let Some(above) = above {
            above.account.child_started();
            above.had_children = true;
        }
        let run = inside.add(ProgramRun { parent, program, ..ProgramRun::new(pid, time, account) });
        self.begun += 1;
        self.owners.insert(pid, ProcessOwner { step, run: Some(run) });
        self.threads.insert(pid, Thread { pid, state: Runs::Ready, since: time });
        self.happened(time, pid);
    }

    fn executed(&mut self, time: u64, pid: i32, tid: i32, name: String) {
        let Some(&ProcessOwner { step, run: Some(id) }) = self.owners.get(&pid) else { return };
        // The other threads are gone, and the one that executed has the process's id.
        let thread = self.threads.remove(&tid).unwrap_or(Thread { pid, state: Runs::On, since: time });
        self.end_threads(pid);
        let ran = if thread.state == Runs::On { time.saturating_sub(thread.since) } else { 0 };
        // The state may have been read after this exec.
        let is_known = thread.since > time;
        self.threads.insert(pid, if is_known { thread } else { Thread { pid, state: Runs::On, since: time } });
        self.begun += 1;
        self.fresh.push((pid, time));
        let account = self.account(time, 1, 0);
        let inside = &mut self.steps[step];
        let Some(run) = inside.runs.get_mut(&id) else { return };
        run.account.ran(ran);
        if run.forked && !run.had_children && run.threads == 1 && run.account.most_cpu(time) < AT_ONCE {
            if !is_known {
                run.account.settle(time);
            }
            (run.program, run.forked, run.live, run.threads) = (name, false, 1, 1);
            run.executed = Some(time);
            return;
        }
        let (parent, usage) = (run.parent, Usage { peak_memory: None, ..run.usage });
        run.end(time);
        // The step begins with its program: what the sandbox did before does not count.
        let is_sandbox = run.forked && run.program.is_empty() && !run.had_children;
        if !is_sandbox {
            inside.programs.add(run);
        }
        // Arguments that were read after this do not belong to the program before.
        let (arguments, named) =
            if run.named > time { (std::mem::take(&mut run.arguments), run.named) } else { (Vec::new(), 0) };
        let next = ProgramRun {
            parent,
            replaces: (!is_sandbox).then_some(id),
            program: name,
            forked: false,
            arguments,
            usage,
            before: usage,
            past: run.until_here(),
            named,
            executed: Some(time),
            ..ProgramRun::new(pid, time, account)
        };
        let next = inside.add(next);
        if is_sandbox {
            inside.runs.remove(&id);
        }
        self.owners.insert(pid, ProcessOwner { step, run: Some(next) });
        self.happened(time, pid);
    }

    fn exited(&mut self, time: u64, pid: i32, tid: i32) {
        let Some(&owner) = self.owners.get(&pid) else { return };
        let exit = self.exits.remove(&tid).map(|(_, exit)| exit);
        if exit.is_none() && pid == tid && self.goes_on(time, pid) {
            return self.hide(time, pid);
        }
        let thread = self.threads.insert(tid, Thread { pid, state: Runs::Never, since: time });
        let last = match self.run(pid) {
            Some(run) => {
                if let Some(exit) = exit {
                    run.thread_exited(exit, pid == tid);
                }
                let (on, ready) = match thread.as_ref().map(|thread| thread.state) {
                    Some(Runs::On) => (-1, 0),
                    Some(Runs::Ready) => (0, -1),
                    Some(Runs::Off | Runs::Never) | None => (0, 0),
                };
                if let Some(thread) = thread.filter(|thread| thread.state == Runs::On) {
                    run.account.ran(time.saturating_sub(thread.since));
                }
                run.account.change(time, on, ready);
                run.live = run.live.saturating_sub(1);
                run.live == 0
            }
            None => pid == tid,
        };
        if owner.run.is_none() {
            self.threads.remove(&tid);
        }
        if last {
            self.ended(time, pid);
            if owner.run.is_none() {
                self.step_ended(time, owner.step);
            }
        }
    }

    /// Whether a process lives although the kernel reports its end: that happens when it executes a set-uid program.
    fn goes_on(&mut self, time: u64, pid: i32) -> bool {
        let lives = self.lives;
        self.run(pid).is_some_and(|run| run.executed.is_some_and(|at| time - at.min(time) < WITHIN_EXEC) && lives(pid))
    }

    /// Marks a process that continues. For an ordinary user it has no further reports.
    fn hide(&mut self, time: u64, pid: i32) {
        if self.reports == Reports::All {
            return;
        }
        self.switched(time, pid, pid, Runs::Off);
        self.hidden.insert(pid);
        self.unfollowed.push(pid);
        if let Some(owner) = self.owners.get(&pid) {
            self.steps[owner.step].hidden += 1;
        }
    }

    /// Returns the processes that continue without reports since the last call.
    pub(crate) fn unfollowed(&mut self) -> Vec<i32> {
        std::mem::take(&mut self.unfollowed)
    }

    /// Ends hidden processes that are gone.
    pub(crate) fn end_hidden(&mut self, now: u64) {
        let gone: Vec<i32> = self.hidden.iter().copied().filter(|&pid| !(self.lives)(pid)).collect();
        for pid in gone {
            self.hidden.remove(&pid);
            self.ended(now, pid);
        }
    }

    /// Forgets the threads of a process.
    fn end_threads(&mut self, pid: i32) {
        match self.run(pid).map(|run| run.threads) {
            None => {}
            Some(1) => drop(self.threads.remove(&pid)),
            Some(_) => self.threads.retain(|_, thread| thread.pid != pid),
        }
    }

    /// Ends a process.
    fn ended(&mut self, time: u64, pid: i32) {
        self.end_threads(pid);
        let Some(ProcessOwner { step, run }) = self.owners.remove(&pid) else { return };
        let Some(id) = run else { return };
        let inside = &mut self.steps[step];
        let Some(run) = inside.runs.get_mut(&id) else { return };
        run.waits_at_exit();
        run.end(time);
        run.exited();
        inside.programs.add(run);
        // A program that was executed in the parent's place did not start the child and does not wait for it.
        let parent = run.parent;
        if let Some(parent) =
            parent.and_then(|parent| inside.runs.get_mut(&parent)).filter(|parent| parent.end.is_none())
        {
            parent.account.child_ended();
        }
        if inside.runs.len() > MOST {
            fold(&mut inside.runs, &mut inside.totals, MOST / 2, u64::MAX);
        }
    }

    /// Ends a step: all its processes end with the first process of its pid namespace.
    fn step_ended(&mut self, time: u64, step: usize) {
        let left: Vec<i32> = self.owners.iter().filter(|(_, owner)| owner.step == step).map(|(&pid, _)| pid).collect();
        for pid in left {
            self.ended(time, pid);
        }
        self.steps[step].end = Some(time);
    }

    fn switched(&mut self, time: u64, pid: i32, tid: i32, state: Runs) {
        let known =
            self.threads.get(&tid).filter(|thread| thread.pid == pid).map(|thread| (thread.state, thread.since));
        // The last switch of a thread that is gone has the thread id -1 and the id of its process.
        if tid < 0 || matches!(known, Some((Runs::Never, _))) {
            return;
        }
        let Some(run) = self.run(pid) else { return };
        let (was, since) = known.unwrap_or_else(|| {
            // The event of its start was dropped.
            run.live += 1;
            run.threads = run.threads.max(run.live);
            (Runs::Off, time)
        });
        let count = |state: Runs| (i32::from(state == Runs::On), i32::from(state == Runs::Ready));
        let ((on, ready), (was_on, was_ready)) = (count(state), count(was));
        run.account.change(time, on - was_on, ready - was_ready);
        if was == Runs::On {
            run.account.ran(time.saturating_sub(since));
        }
        self.threads.insert(tid, Thread { pid, state, since: time });
    }

    /// Counts events that the kernel dropped before a reading at `now`, for every step that they may be about. The kernel reports them with the
    /// next event that has room, which is read one reading later.
    pub(crate) fn lost(&mut self, now: u64, events: Lost) {
        let (before, last) = self.readings;
        for step in self.steps.iter_mut().filter(|step| step.end.is_none_or(|end| end > before)) {
            step.lost += events;
        }
        self.readings = (last, now);
    }

    /// Returns the running processes that executed a program since the last call, with the time.
    pub(crate) fn fresh(&mut self) -> Vec<(i32, u64)> {
        let fresh = std::mem::take(&mut self.fresh);
        fresh.into_iter().filter(|(pid, _)| self.owners.contains_key(pid)).collect()
    }

    /// Notes that the arguments of a process are not available yet: the kernel reports an exec before it has copied them.
    pub(crate) fn not_yet(&mut self, pid: i32, executed: u64, now: u64) {
        const LONGEST: u64 = 1_000_000_000;
        if now.saturating_sub(executed) < LONGEST {
            self.fresh.push((pid, executed));
        }
    }

    /// Calls `each` for every living process with its program, and with the programs of its step.
    pub(crate) fn living(&mut self, mut each: impl FnMut(i32, &mut ProgramRun, &mut Programs)) {
        for (&pid, owner) in &self.owners {
            let Inside { runs, programs, .. } = &mut self.steps[owner.step];
            if let Some(run) = owner.run.and_then(|run| runs.get_mut(&run)) {
                each(pid, run, programs);
            }
        }
    }

    /// Ends processes that are gone without an event: the kernel stops the reports of an ordinary user when a process executes a set-uid
    /// program, and drops reports that are not read in time. A process has to be gone at two checks, because the event may still come.
    pub(crate) fn end_vanished(&mut self, now: u64, lives: impl Fn(i32) -> bool) {
        let before = std::mem::take(&mut self.missing);
        let gone: Vec<i32> = self.owners.keys().copied().filter(|&pid| !lives(pid)).collect();
        for pid in gone {
            match before.get(&pid) {
                Some(&since) => {
                    let step = self.owners.get(&pid).filter(|owner| owner.run.is_none()).map(|owner| owner.step);
                    self.ended(since, pid);
                    if let Some(step) = step {
                        self.step_ended(since, step);
                    }
                }
                None => drop(self.missing.insert(pid, now)),
            }
        }
    }

    /// The program of a running process.
    pub(crate) fn program_of(&mut self, pid: i32) -> Option<&str> {
        self.run(pid).map(|run| &*run.program)
    }

    /// Whether the arguments of a process are known, or not needed.
    pub(crate) fn has_arguments(&mut self, pid: i32) -> bool {
        self.run(pid).is_none_or(|run| !run.arguments.is_empty())
    }

    /// Sets the program that a process has just executed, as read at `now`.
    pub(crate) fn program(&mut self, now: u64, pid: i32, arguments: Vec<String>) {
        if let Some(run) = self.run(pid) {
            run.set_arguments(now, arguments);
        }
    }

    /// Takes arguments that were read at the start of a program. The program may have ended since, or its start may not be among the events
    /// before the next reading.
    pub(crate) fn add_arguments(&mut self, arguments: Vec<ExecArguments>) {
        self.arguments.extend(arguments);
        let (steps, before) = (&mut self.steps, self.readings.0);
        self.arguments.retain_mut(|exec| {
            let found = steps.iter_mut().rev().find_map(|step| step.executed(exec.pid, exec.executed));
            let Some(run) = found else { return exec.read >= before };
            run.set_arguments(exec.read, std::mem::take(&mut exec.arguments));
            false
        });
    }

    /// Takes the kernel's sums of a process, on a processor and waiting for one, if it executed another program before this one.
    pub(crate) fn executed_before(&mut self, pid: i32, sums: impl FnOnce() -> Option<(u64, u64)>) {
        let run = self.run(pid).filter(|run| run.executed == Some(run.start));
        if let Some((run, sums)) = run.and_then(|run| Some((run, sums()?))) {
            run.take_sums_after_exec(sums);
        }
    }

    /// Ends all running processes, and resolves the causes of the waits.
    pub(crate) fn finish(&mut self, time: u64) {
        for step in 0..self.steps.len() {
            if self.steps[step].end.is_none() {
                self.step_ended(time, step);
            }
            self.steps[step].resolve();
        }
    }
}

impl Inside {
    fn new(init: i32, start: u64) -> Self {
        Self {
            init,
            start,
            end: None,
            runs: ProgramRuns::new(),
            totals: Totals::default(),
            programs: Programs::default(),
            lost: Lost::default(),
            hidden: 0,
            next: 0,
        }
    }

    /// Resolves the causes of the waits, by samples of each process and of its program.
    fn resolve(&mut self) {
        for run in self.runs.values_mut() {
            run.resolve(&self.programs.like(run));
        }
        self.totals.resolve(&self.programs);
    }

    /// The program that a process executed at this time. The times in the two rings differ slightly.
    fn executed(&mut self, pid: i32, time: u64) -> Option<&mut ProgramRun> {
        const MOMENT: u64 = 1_000_000;
        let away = |run: &ProgramRun| run.executed.map_or(u64::MAX, |executed| executed.abs_diff(time));
        let recent =
            self.runs.values_mut().rev().map(|run| &mut **run).filter(|run| run.pid == pid && away(run) < MOMENT);
        recent.min_by_key(|run| away(run))
    }

    fn add(&mut self, run: ProgramRun) -> u32 {
        let id = self.next;
        self.next += 1;
        self.runs.insert(id, Box::new(run));
        id
    }
}

#[cfg(test)]
pub(crate) mod tests;
