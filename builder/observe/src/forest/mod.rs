//! From events to processes.
//!
//! Below the observed process (the root) each child is a *box*: the first process of a step. What a box's process starts are
//! the step's processes. Events may be missing (dropped by the kernel) or a little out of order; nothing here relies on
//! their being complete.

use crate::account::Account;
use crate::event::{Event, What};
use crate::exits::Exit;
use crate::fold::{Totals, fold};
use crate::run::{Run, Usage};
use buildscope_record::Nanos;
use std::collections::{BTreeMap, HashMap};

/// A step's processes are folded when there are more than this of them, down to half of it.
pub(crate) const MOST: usize = 4000;

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
}

/// Where a process belongs.
#[derive(Clone, Copy, Debug)]
struct Place {
    step: usize,
    /// None for the box itself.
    run: Option<u32>,
}

/// A step's processes.
#[derive(Debug)]
pub(crate) struct Inside {
    /// The first process of its box.
    pub(crate) init: i32,
    pub(crate) start: u64,
    pub(crate) end: Option<u64>,
    pub(crate) runs: BTreeMap<u32, Run>,
    pub(crate) totals: Totals,
    /// Events that were dropped while it ran.
    pub(crate) lost: u64,
    next: u32,
}

/// All processes below the root.
#[derive(Debug)]
pub(crate) struct Forest {
    /// Without a root every process that starts belongs to one step, the machine.
    root: Option<i32>,
    threads: HashMap<i32, Thread>,
    places: HashMap<i32, Place>,
    pub(crate) steps: Vec<Inside>,
    /// Those that have just executed something, and when: what, is to be read.
    fresh: Vec<(i32, u64)>,
    /// Processes that were gone at the last check although no event had said so, and since when.
    missing: HashMap<i32, u64>,
    /// Accounts of threads whose end is not yet among the events, and when they came.
    exits: HashMap<i32, (u64, Exit)>,
}

/// An account whose thread does not end for this long is of a thread of another program.
const FOREIGN: u64 = 1_000_000_000;

impl Forest {
    pub(crate) fn new(root: i32) -> Self {
        Self::below(Some(root))
    }

    /// All processes that start on the machine from now on.
    pub(crate) fn of_machine(now: u64) -> Self {
        let mut forest = Self::below(None);
        forest.steps.push(Inside::new(0, now));
        forest
    }

    fn below(root: Option<i32>) -> Self {
        Self {
            root,
            threads: HashMap::new(),
            places: HashMap::new(),
            steps: Vec::new(),
            fresh: Vec::new(),
            missing: HashMap::new(),
            exits: HashMap::new(),
        }
    }

    pub(crate) fn take(&mut self, events: impl IntoIterator<Item = Event>) {
        for Event { time, pid, tid, what } in events {
            match what {
                What::Forked { parent } if parent == pid => self.thread_started(time, pid, tid),
                What::Forked { parent } => self.process_started(time, pid, parent),
                What::Executed { name } => self.executed(time, pid, tid, name),
                What::Exited => self.exited(time, pid, tid),
                What::In => self.switched(time, pid, tid, Runs::On),
                What::Sampled { frames } => {
                    if let Some(run) = self.run(pid) {
                        run.sampled(frames);
                    }
                }
                What::Out { wanted } => self.switched(time, pid, tid, if wanted { Runs::Ready } else { Runs::Off }),
            }
        }
    }

    /// Takes the kernel's accounts of threads that ended. They come before the events of their ends.
    pub(crate) fn exits(&mut self, now: u64, exits: Vec<Exit>) {
        self.exits.extend(exits.into_iter().map(|exit| (exit.tid, (now, exit))));
        const MANY: usize = 1000;
        if self.exits.len() > MANY {
            self.exits.retain(|_, (came, _)| now.saturating_sub(*came) < FOREIGN);
        }
    }

    fn run(&mut self, pid: i32) -> Option<&mut Run> {
        let place = self.places.get(&pid)?;
        self.steps[place.step].runs.get_mut(&place.run?)
    }

    fn thread_started(&mut self, time: u64, pid: i32, tid: i32) {
        let Some(run) = self.run(pid) else { return };
        run.account.change(time, 0, 1);
        run.threads += 1;
        run.live += 1;
        self.threads.insert(tid, Thread { pid, state: Runs::Ready, since: time });
    }

    fn process_started(&mut self, time: u64, pid: i32, parent: i32) {
        // A process of the same number ended without our seeing it.
        self.ended(time, pid);
        if Some(parent) == self.root {
            self.places.insert(pid, Place { step: self.steps.len(), run: None });
            self.steps.push(Inside::new(pid, time));
            return;
        }
        let machine = self.root.is_none().then_some(Place { step: 0, run: None });
        let Some(Place { step, run: parent }) = self.places.get(&parent).copied().or(machine) else { return };
        let inside = &mut self.steps[step];
        let above = parent.and_then(|parent| inside.runs.get_mut(&parent));
        let program = above.as_ref().map_or_else(String::new, |run| run.program.clone());
        if let Some(above) = above {
            above.account.child(time, true);
            above.had_children = true;
        }
        let run = inside.add(Run { parent, program, ..Run::new(pid, time, Account::new(time, 0, 1)) });
        self.places.insert(pid, Place { step, run: Some(run) });
        self.threads.insert(pid, Thread { pid, state: Runs::Ready, since: time });
    }

    fn executed(&mut self, time: u64, pid: i32, tid: i32, name: String) {
        let Some(&Place { step, run: Some(id) }) = self.places.get(&pid) else { return };
        // The other threads are gone, and the one that executed has the process's number.
        self.threads.retain(|&other, thread| thread.pid != pid || other == tid);
        let mut thread = self.threads.remove(&tid).unwrap_or(Thread { pid, state: Runs::On, since: time });
        let ran = if thread.state == Runs::On { time.saturating_sub(thread.since) } else { 0 };
        (thread.state, thread.since) = (Runs::On, time);
        self.threads.insert(pid, thread);
        self.fresh.push((pid, time));
        let inside = &mut self.steps[step];
        let Some(run) = inside.runs.get_mut(&id) else { return };
        run.account.ran(ran);
        if run.forked && !run.had_children {
            run.account.settle(time);
            (run.program, run.forked, run.live, run.threads) = (name, false, 1, 1);
            return;
        }
        let (parent, usage) = (run.parent, Usage { peak_memory: None, ..run.usage });
        run.end(time);
        let account = Account::new(time, 1, 0);
        let next = Run {
            parent,
            replaces: Some(id),
            program: name,
            forked: false,
            usage,
            before: usage,
            ..Run::new(pid, time, account)
        };
        let next = inside.add(next);
        self.places.insert(pid, Place { step, run: Some(next) });
    }

    fn exited(&mut self, time: u64, pid: i32, tid: i32) {
        let Some(&place) = self.places.get(&pid) else { return };
        let thread = self.threads.remove(&tid);
        let exit = self.exits.remove(&tid).map(|(_, exit)| exit);
        let last = match self.run(pid) {
            Some(run) => {
                if let Some(exit) = exit {
                    run.thread_exited(exit, pid == tid);
                }
                let (on, ready) = match thread.as_ref().map(|thread| thread.state) {
                    Some(Runs::On) => (-1, 0),
                    Some(Runs::Ready) => (0, -1),
                    Some(Runs::Off) | None => (0, 0),
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
        if last {
            self.ended(time, pid);
            if place.run.is_none() {
                self.step_ended(time, place.step);
            }
        }
    }

    /// A process is gone.
    fn ended(&mut self, time: u64, pid: i32) {
        let Some(Place { step, run }) = self.places.remove(&pid) else { return };
        let Some(id) = run else { return };
        self.threads.retain(|_, thread| thread.pid != pid);
        let inside = &mut self.steps[step];
        let before = inside.cpu_before(id);
        let Some(run) = inside.runs.get_mut(&id) else { return };
        run.waits_at_exit();
        run.end(time);
        run.exited(before);
        // A program that was executed in the parent's place did not start the child and does not wait for it.
        let parent = run.parent;
        if let Some(parent) =
            parent.and_then(|parent| inside.runs.get_mut(&parent)).filter(|parent| parent.end.is_none())
        {
            parent.account.child(time, false);
        }
        if inside.runs.len() > MOST {
            fold(&mut inside.runs, &mut inside.totals, MOST / 2);
        }
    }

    /// With the first process of its pid namespace, all of a step end.
    fn step_ended(&mut self, time: u64, step: usize) {
        let left: Vec<i32> = self.places.iter().filter(|(_, place)| place.step == step).map(|(&pid, _)| pid).collect();
        for pid in left {
            self.ended(time, pid);
        }
        self.steps[step].end = Some(time);
    }

    fn switched(&mut self, time: u64, pid: i32, tid: i32, state: Runs) {
        let known =
            self.threads.get(&tid).filter(|thread| thread.pid == pid).map(|thread| (thread.state, thread.since));
        let Some(run) = self.run(pid) else { return };
        let (was, since) = known.unwrap_or_else(|| {
            // Its start was dropped.
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

    /// The kernel has dropped this many events: of any step that runs.
    pub(crate) fn lost(&mut self, events: u64) {
        for step in self.steps.iter_mut().filter(|step| step.end.is_none()) {
            step.lost += events;
        }
    }

    /// Those that have executed something since this was last asked, and live; and when they did.
    pub(crate) fn fresh(&mut self) -> Vec<(i32, u64)> {
        let fresh = std::mem::take(&mut self.fresh);
        fresh.into_iter().filter(|(pid, _)| self.places.contains_key(pid)).collect()
    }

    /// The arguments of a process were not there yet: the kernel reports an exec before it has copied them.
    pub(crate) fn not_yet(&mut self, pid: i32, executed: u64, now: u64) {
        const LONGEST: u64 = 1_000_000_000;
        if now.saturating_sub(executed) < LONGEST {
            self.fresh.push((pid, executed));
        }
    }

    /// Each living process with what it runs.
    pub(crate) fn living(&mut self, mut each: impl FnMut(i32, &mut Run)) {
        for (&pid, place) in &self.places {
            if let Some(run) = place.run.and_then(|run| self.steps[place.step].runs.get_mut(&run)) {
                each(pid, run);
            }
        }
    }

    /// Ends processes that are gone although no event says so: the kernel stops the reports of an ordinary user when a process
    /// executes a set-uid program, and drops some when they are not read in time. A process has to be gone at two checks,
    /// because the event may still come.
    pub(crate) fn end_vanished(&mut self, now: u64, lives: impl Fn(i32) -> bool) {
        let before = std::mem::take(&mut self.missing);
        let gone: Vec<i32> = self.places.keys().copied().filter(|&pid| !lives(pid)).collect();
        for pid in gone {
            match before.get(&pid) {
                Some(&since) => {
                    let step = self.places.get(&pid).filter(|place| place.run.is_none()).map(|place| place.step);
                    self.ended(since, pid);
                    if let Some(step) = step {
                        self.step_ended(since, step);
                    }
                }
                None => drop(self.missing.insert(pid, now)),
            }
        }
    }

    /// The program of a process that has just executed it.
    pub(crate) fn program(&mut self, pid: i32, arguments: Vec<String>) {
        if let Some(run) = self.run(pid) {
            // The kernel keeps 15 bytes of a name; an argument may hold all of it. A program that executes itself through
            // `/proc/self/exe`, as busybox does for each of its commands, is identified by its first argument only.
            let whole = |argument: &String| argument.rsplit('/').next().unwrap_or_default().to_owned();
            let mut names = arguments.iter().map(whole).take(3);
            let name = match &*run.program {
                "exe" => names.next().filter(|name| !name.is_empty()),
                cut if cut.len() >= 15 => names.find(|name| name.starts_with(cut)),
                _ => None,
            };
            run.program = name.unwrap_or_else(|| std::mem::take(&mut run.program));
            run.arguments = arguments;
        }
    }

    /// Ends what still runs.
    pub(crate) fn finish(&mut self, time: u64) {
        for step in 0..self.steps.len() {
            if self.steps[step].end.is_none() {
                self.step_ended(time, step);
            }
        }
    }
}

impl Inside {
    fn new(init: i32, start: u64) -> Self {
        Self { init, start, end: None, runs: BTreeMap::new(), totals: Totals::default(), lost: 0, next: 0 }
    }

    /// The processor time of the programs that the process of a run executed before that one.
    fn cpu_before(&self, id: u32) -> Nanos {
        let before = |id: u32| self.runs.get(&id).and_then(|run| run.replaces);
        let runs = std::iter::successors(before(id), |&id| before(id));
        runs.filter_map(|id| self.runs.get(&id)).map(|run| run.time.cpu).sum()
    }

    fn add(&mut self, run: Run) -> u32 {
        let id = self.next;
        self.next += 1;
        self.runs.insert(id, run);
        id
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use buildscope_record::Cause;

    const MS: u64 = 1_000_000;

    pub(crate) fn event(ms: u64, pid: i32, what: What) -> Event {
        Event { time: ms * MS, pid, tid: pid, what }
    }

    pub(crate) fn forked(ms: u64, pid: i32, parent: i32) -> Event {
        event(ms, pid, What::Forked { parent })
    }

    pub(crate) fn executed(ms: u64, pid: i32, name: &str) -> Event {
        event(ms, pid, What::Executed { name: name.into() })
    }

    fn shell() -> Vec<Event> {
        vec![
            forked(0, 10, 1),
            forked(1, 11, 10),
            event(1, 11, What::In),
            executed(2, 11, "sh"),
            forked(3, 12, 11),
            event(3, 11, What::Out { wanted: false }),
            event(4, 12, What::In),
            executed(5, 12, "gcc"),
            event(25, 12, What::Out { wanted: true }),
            event(30, 12, What::In),
            event(35, 12, What::Exited),
            event(35, 11, What::In),
            // The last command of a shell is executed in its place.
            executed(36, 11, "strip"),
            event(40, 11, What::Exited),
            event(41, 10, What::Exited),
        ]
    }

    #[test]
    fn a_shell_its_child_and_what_it_executes_in_its_place() {
        let mut forest = Forest::new(1);
        forest.take(shell());
        let [step] = &forest.steps[..] else { panic!("one step") };
        assert_eq!((step.init, step.end), (10, Some(41 * MS)));
        let runs: Vec<_> =
            step.runs.values().map(|run| (&*run.program, run.start / MS, run.end.unwrap() / MS)).collect();
        assert_eq!(runs, [("sh", 1, 36), ("gcc", 3, 35), ("strip", 36, 40)]);
        let [sh, gcc, strip] = [0, 1, 2].map(|id| &step.runs[&id]);
        assert_eq!((gcc.parent, strip.parent, strip.replaces), (Some(0), None, Some(0)));
        assert_eq!((gcc.time.cpu, gcc.time.runnable), (Nanos(26 * MS), Nanos(6 * MS)));
        assert_eq!((sh.time.cpu, sh.time.blocked.child), (Nanos(3 * MS), Nanos(32 * MS)));
        assert_eq!(strip.time.cpu, Nanos(4 * MS));
        assert_eq!(forest.fresh(), [], "all have ended");
    }

    #[test]
    fn the_kernels_own_sum_has_the_switches_too() {
        let mut forest = Forest::new(1);
        forest.take([
            forked(0, 10, 1),
            forked(0, 11, 10),
            executed(0, 11, "fsync"),
            event(20, 11, What::Out { wanted: false }),
        ]);
        forest.living(|_, run| run.scheduled(25 * MS, 0));
        forest.take([event(30, 11, What::In), event(50, 11, What::Exited)]);
        assert_eq!(
            forest.steps[0].runs[&0].time.cpu,
            Nanos(50 * MS),
            "a quarter more than 20 ms is a quarter more than 40 ms"
        );
    }

    /// 4 ms a tick; the shell reads 100 bytes, and what it executes in its place 300.
    #[test]
    fn accounts_of_ended_threads_are_divided_among_the_programs_of_a_process() {
        let mut forest = Forest::new(1);
        forest.take([forked(0, 10, 1), forked(0, 11, 10), event(0, 11, What::In), executed(0, 11, "sh")]);
        forest.take([forked(1, 12, 11), event(1, 12, What::In), event(4, 12, What::Exited)]);
        forest.living(|_, run| (run.usage.user, run.usage.read) = (4 * MS, Some(100)));
        forest.take([executed(10, 11, "cc")]);
        let exit = Exit {
            tid: 11,
            status: 2 << 8,
            user: 12 * MS,
            system: 4 * MS,
            cpu: 25 * MS,
            read: 400,
            written: 7,
            peak_memory: 5000,
            delayed: 0,
        };
        forest.exits(20 * MS, vec![exit]);
        forest.take([event(20, 11, What::Exited)]);
        let runs: Vec<_> = forest.steps[0].runs.values().map(|run| run.process(Nanos)).collect();
        let [sh, copy, cc] = &runs[..] else { panic!("three") };
        assert_eq!((copy.exit, sh.exit, cc.exit), (None, None, Some(2)));
        assert_eq!((sh.time.cpu, cc.time.cpu), (Nanos(10 * MS), Nanos(15 * MS)), "25 ms in all");
        assert_eq!((cc.time.user, cc.time.system), (Nanos(8 * MS), Nanos(4 * MS)));
        assert_eq!((cc.read.unwrap().0, cc.written.unwrap().0, cc.peak_memory.unwrap().0), (300, 7, 5000));
    }

    #[test]
    fn a_process_that_a_signal_ended_has_128_and_its_number() {
        let mut forest = Forest::new(1);
        forest.take([forked(0, 10, 1), forked(0, 11, 10), event(0, 11, What::In), executed(0, 11, "sh")]);
        forest.exits(0, vec![Exit { tid: 11, status: 9, ..Exit::default() }]);
        forest.take([event(9, 11, What::Exited)]);
        assert_eq!(forest.steps[0].runs[&0].process(Nanos).exit, Some(137));
    }

    #[test]
    fn threads_are_one_process() {
        let mut forest = Forest::new(1);
        forest.take([forked(0, 10, 1), forked(0, 11, 10), event(0, 11, What::In), executed(0, 11, "cc")]);
        let thread = |ms, what| Event { time: ms * MS, pid: 11, tid: 99, what };
        forest.take([
            thread(1, What::Forked { parent: 11 }),
            thread(1, What::In),
            event(5, 11, What::Out { wanted: false }),
            thread(8, What::Out { wanted: false }),
            event(10, 11, What::In),
            thread(11, What::Exited),
            event(12, 11, What::Exited),
        ]);
        let run = &forest.steps[0].runs[&0];
        let process = run.process(Nanos);
        assert_eq!((process.threads, process.end), (2, Nanos(12 * MS)));
        assert_eq!(process.time.cpu, Nanos((5 + 7 + 2) * MS));
        assert_eq!(process.time.blocked[Cause::Unknown], Nanos(2 * MS), "only where both waited");
        assert_eq!(process.running(), Nanos(10 * MS));
    }

    #[test]
    fn a_machines_processes_are_those_that_start() {
        let mut forest = Forest::of_machine(0);
        // Number 5 was there before.
        forest.take([forked(1, 11, 5), event(1, 11, What::In), executed(2, 11, "sh"), event(2, 5, What::In)]);
        forest.take([forked(3, 12, 11), executed(3, 12, "cc"), event(4, 12, What::Exited), event(5, 11, What::Exited)]);
        forest.finish(9 * MS);
        let [machine] = &forest.steps[..] else { panic!("one step") };
        let runs: Vec<_> = machine.runs.values().map(|run| (&*run.program, run.parent)).collect();
        assert_eq!(runs, [("sh", None), ("cc", Some(0))]);
    }

    /// As an ordinary user's `sudo`: after its exec there are no events.
    #[test]
    fn a_process_whose_end_is_not_reported_ends_when_it_is_gone() {
        let mut forest = Forest::new(1);
        forest.take([forked(0, 10, 1), forked(1, 11, 10), event(1, 11, What::In), executed(2, 11, "sudo")]);
        forest.end_vanished(20 * MS, |_| true);
        forest.end_vanished(30 * MS, |pid| pid != 11);
        assert_eq!(forest.steps[0].runs[&0].end, None, "its event may still come");
        forest.end_vanished(40 * MS, |pid| pid != 11);
        assert_eq!(forest.steps[0].runs[&0].end, Some(30 * MS));
        assert_eq!(forest.steps[0].end, None);
    }

    #[test]
    fn dropped_events_do_no_harm() {
        let all = shell();
        for left_out in 0..all.len() {
            for until in 0..all.len() {
                let mut forest = Forest::new(1);
                forest.take(
                    all.iter().enumerate().filter(|&(at, _)| at != left_out && at <= until).map(|(_, e)| e.clone()),
                );
                forest.finish(50 * MS);
                for run in forest.steps.iter().flat_map(|step| step.runs.values()) {
                    let process = run.process(Nanos);
                    assert!(process.time.runnable + process.time.blocked.total() <= process.duration(), "{process:?}");
                }
            }
        }
    }
}
