use super::*;
use buildscope_record::{Blocked, Cause, Nanos};

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
fn a_shell_with_a_child_and_an_exec() {
    let mut forest = Forest::new(1);
    forest.take(shell());
    forest.finish(50 * MS);
    let [step] = &forest.steps[..] else { panic!("one step") };
    assert_eq!((step.init, step.end), (10, Some(41 * MS)));
    let runs: Vec<_> = step.runs.values().map(|run| (&*run.program, run.start / MS, run.end.unwrap() / MS)).collect();
    assert_eq!(runs, [("sh", 1, 36), ("gcc", 3, 35), ("strip", 36, 40)]);
    let [sh, gcc, strip] = [0, 1, 2].map(|id| &step.runs[&id]);
    assert_eq!((gcc.parent, strip.parent, strip.replaces), (Some(0), None, Some(0)));
    assert_eq!((gcc.time.cpu, gcc.time.runnable), (Nanos(26 * MS), Nanos(6 * MS)));
    assert_eq!((sh.time.cpu, sh.time.blocked.child), (Nanos(3 * MS), Nanos(32 * MS)));
    assert_eq!(strip.time.cpu, Nanos(4 * MS));
    assert_eq!(forest.fresh(), [], "all have ended");
}

/// Of one short process it is never seen what it waits for, of others of its program it is.
#[test]
fn the_waits_of_a_short_process_are_like_those_of_its_program() {
    let mut forest = Forest::new(1);
    forest.take([forked(0, 10, 1), forked(0, 11, 10), event(0, 11, What::In), executed(0, 11, "sh")]);
    for number in 0..4 {
        let (pid, start) = (20 + number, 1 + 10 * number as u64);
        forest.take([forked(start, pid, 11), event(start, pid, What::In), executed(start, pid, "reader")]);
        forest.take([event(start + 2, pid, What::Out { wanted: false })]);
        if number < 3 {
            let seen = Some(Cause::Lock.into());
            forest.living(|living, run, _| {
                if living == pid {
                    run.add_sample((start + 3) * MS, seen)
                }
            });
        }
        forest.take([event(start + 6, pid, What::In), event(start + 7, pid, What::Exited)]);
    }
    forest.finish(50 * MS);
    let locks: Vec<_> = forest.steps[0].runs.values().map(|run| run.time.blocked.lock).collect();
    assert_eq!(locks, [Nanos(0), Nanos(4 * MS), Nanos(4 * MS), Nanos(4 * MS), Nanos(4 * MS)]);
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
    forest.living(|_, run, _| run.scheduled(25 * MS, 0));
    forest.take([event(30, 11, What::In), event(50, 11, What::Exited)]);
    assert_eq!(
        forest.steps[0].runs[&0].time.cpu,
        Nanos(50 * MS),
        "a quarter more than 20 ms is a quarter more than 40 ms"
    );
}

/// The kernel has sums of a process that ends before context switches are reported. They end with its last switch or tick of the clock, so a
/// program that never waited has used the rest of its time, too.
#[test]
fn a_process_without_reported_switches_has_the_kernels_sums() {
    let mut forest = Forest::new(1).with_switches(Switches::Unreported);
    forest.take([forked(0, 10, 1), forked(0, 11, 10), executed(1, 11, "sh"), forked(2, 12, 11), executed(2, 12, "ls")]);
    forest.take([forked(3, 13, 11), executed(3, 13, "true")]);
    let exit = |tid, cpu, delayed, waits| Exit { tid, cpu: cpu * MS, delayed: delayed * MS, waits, ..Exit::default() };
    forest.exits(0, vec![exit(11, 2, 1, 2), exit(12, 1, 0, 1), exit(13, 0, 1, 0)]);
    forest.take([event(6, 12, What::Exited), event(6, 13, What::Exited), event(8, 11, What::Exited)]);
    forest.finish(9 * MS);
    let times = |id| {
        let time = forest.steps[0].runs[&id].time;
        (time.cpu, time.runnable, time.blocked)
    };
    assert_eq!(times(0), (Nanos(2 * MS), Nanos(MS), Blocked { child: Nanos(5 * MS), ..Blocked::default() }));
    assert_eq!(times(1), (Nanos(MS), Nanos(0), Blocked { unknown: Nanos(3 * MS), ..Blocked::default() }));
    assert_eq!(times(2), (Nanos(2 * MS), Nanos(MS), Blocked::default()));
}

/// One thread used 6 of 20 ms and waited 4 ms for a processor when reports began, another one of two used 15 ms.
#[test]
fn reported_switches_continue_the_kernels_sums() {
    let mut forest = Forest::new(1).with_switches(Switches::Unreported);
    forest.take([forked(0, 10, 1), forked(0, 11, 10), executed(0, 11, "gcc")]);
    assert!(!forest.wants_switches(4 * MS) && forest.wants_switches(5 * MS));
    forest.take([Event { time: 0, pid: 11, tid: 12, what: What::Forked { parent: 11 } }]);
    forest.switches_begin(20 * MS, |pid, tid| {
        let cpu = if tid == 11 { 6 } else { 9 };
        (pid == 11).then_some(ThreadState { cpu: cpu * MS, delayed: 2 * MS, runs: tid == 12 })
    });
    assert!(!forest.wants_switches(30 * MS));
    let switch = |ms, tid, what| Event { time: ms * MS, pid: 11, tid, what };
    forest.take([switch(25, 12, What::Out { wanted: false }), switch(30, 11, What::In), switch(35, 11, What::Exited)]);
    forest.finish(35 * MS);
    let time = forest.steps[0].runs[&0].time;
    // The 20th millisecond is that of the running thread: the kernel adds it at its next tick.
    assert_eq!((time.cpu, time.runnable), (Nanos((15 + 1 + 5 + 5) * MS), Nanos(4 * MS)));
    assert_eq!(time.blocked.total(), Nanos(5 * MS));
}

/// Reports are read some milliseconds late: a program that starts to sleep before context switches are reported may be seen to start after
/// that.
#[test]
fn a_start_that_is_read_late_does_not_hide_a_wait() {
    let state = |_, _| Some(ThreadState { cpu: MS, delayed: 0, runs: false });
    let begun = || {
        let mut forest = Forest::new(1).with_switches(Switches::Unreported);
        forest.take([forked(0, 10, 1), forked(0, 11, 10), executed(0, 11, "sh")]);
        forest
    };
    let waited = |mut forest: Forest, run: u32| {
        forest.take([event(500, 12, What::In), event(500, 12, What::Exited)]);
        forest.finish(500 * MS);
        let run = &forest.steps[0].runs[&run];
        (run.program.clone(), run.time.cpu, run.time.runnable, run.time.blocked.total())
    };
    // It has forked before the reports, and its program is read after them.
    let mut forest = begun();
    forest.take([forked(6, 12, 11)]);
    forest.switches_begin(10 * MS, state);
    forest.take([executed(9, 12, "sleep")]);
    forest.settle(12 * MS, state);
    assert_eq!(waited(forest, 1), ("sleep".into(), Nanos(MS), Nanos(0), Nanos(493 * MS)));
    // Both are read after them.
    let mut forest = begun();
    forest.switches_begin(10 * MS, state);
    forest.take([forked(8, 12, 11), executed(9, 12, "sleep")]);
    forest.settle(12 * MS, state);
    assert_eq!(waited(forest, 1), ("sleep".into(), Nanos(MS), Nanos(0), Nanos(491 * MS)));
    // It has worked before it executes the program.
    let mut forest = begun();
    forest.switches_begin(10 * MS, state);
    forest.take([forked(1, 12, 11), forked(2, 13, 12), executed(9, 12, "sleep")]);
    forest.settle(12 * MS, state);
    let (program, _, _, blocked) = waited(forest, 3);
    assert_eq!(program, "sleep");
    assert!(blocked > Nanos(485 * MS), "{blocked:?}");
    // A thread of a program that is known.
    let mut forest = begun();
    forest.take([forked(1, 12, 11), executed(1, 12, "java")]);
    forest.switches_begin(10 * MS, state);
    forest.take([Event { time: 9 * MS, pid: 12, tid: 13, what: What::Forked { parent: 12 } }]);
    forest.settle(12 * MS, state);
    forest.take([event(500, 12, What::In), Event { time: 500 * MS, pid: 12, tid: 13, what: What::Exited }]);
    let (program, _, runnable, blocked) = waited(forest, 1);
    assert_eq!((program, runnable), ("java".into(), Nanos(2 * MS)));
    // 8 of the first 9 ms, and all from the settling at 12 ms on.
    assert_eq!(blocked, Nanos((8 + 488) * MS));
}

/// A shell starts many short programs while a download runs: their switches are not reported, but the kernel's sums are read.
#[test]
fn sums_replace_reports_of_switches_for_a_while() {
    let mut forest = Forest::new(1);
    forest.take([forked(0, 10, 1), forked(0, 11, 10), event(0, 11, What::In), executed(0, 11, "sh")]);
    forest.take([forked(10, 12, 11), event(10, 12, What::In), executed(10, 12, "curl")]);
    forest.take([event(20, 12, What::Out { wanted: false })]);
    let sums = |shell: (u64, u64), curl: (u64, u64), runs| {
        move |pid, _| {
            let (cpu, delayed) = if pid == 11 { shell } else { curl };
            Some(ThreadState { cpu: cpu * MS, delayed: delayed * MS, runs: runs && pid == 11 })
        }
    };
    // The kernel's sum of the running shell ends with the last tick. What follows does not count twice.
    forest.switches_pause(30 * MS, sums((28, 0), (10, 0), true));
    assert!(forest.is_paused() && !forest.wants_switches(50 * MS));
    // A short program: the kernel's account of its end says how it spent its time. It never waited for anything else than a processor.
    forest.take([forked(40, 13, 11), executed(40, 13, "true")]);
    forest.exits(43 * MS, [Exit { tid: 13, delayed: MS, ..Exit::default() }]);
    forest.take([event(43, 13, What::Exited)]);
    forest.living(|pid, run, _| run.add_sample(60 * MS, (pid == 12).then_some(Cause::Network.into())));
    forest.sum_up(70 * MS, |_, _| panic!("it is too early"));
    // 40 of 70 ms on a processor, 10 waiting for one, and 20 blocked; the download: 5, 0 and 65.
    forest.sum_up(100 * MS, sums((70, 10), (15, 0), false));
    forest.switches_begin(120 * MS, sums((75, 10), (15, 0), true));
    assert!(!forest.is_paused());
    forest.take([event(130, 12, What::In), event(131, 12, What::Exited), event(140, 11, What::Exited)]);
    forest.finish(140 * MS);
    let [shell, curl, short] = [0, 1, 2].map(|run| forest.steps[0].runs[&run].time);
    assert_eq!((shell.cpu, shell.runnable), (Nanos((30 + 40 + 5 + 20) * MS), Nanos(10 * MS)));
    assert_eq!(shell.blocked, Blocked { child: Nanos((20 + 15) * MS), ..Blocked::default() });
    assert_eq!((curl.cpu, curl.runnable), (Nanos((10 + 5 + 1) * MS), Nanos(0)));
    // All waits are like the sampled one.
    assert_eq!(curl.blocked, Blocked { network: Nanos((10 + 65 + 20 + 10) * MS), ..Blocked::default() });
    assert_eq!((short.cpu, short.runnable, short.blocked.total()), (Nanos(2 * MS), Nanos(MS), Nanos(0)));
}

/// A loop of a shell waits 200 ms for a processor; the sleep that the shell executes in its own place waits 1 ms for one.
#[test]
fn waits_belong_to_one_program_of_a_process() {
    let started = |forest: &mut Forest| {
        forest.take([forked(0, 10, 1), forked(0, 11, 10), executed(0, 11, "sh"), event(0, 11, What::In)]);
        forest.take([event(100, 11, What::Out { wanted: true }), event(300, 11, What::In)]);
        forest.take([executed(400, 11, "sleep"), event(400, 11, What::Out { wanted: false })]);
    };
    let ended = |forest: &mut Forest| {
        forest.take([event(900, 11, What::In), event(900, 11, What::Exited)]);
        forest.finish(900 * MS);
        let run = &forest.steps[0].runs[&1];
        (run.time.cpu, run.time.runnable, run.time.blocked.total())
    };
    let mut asked = Forest::new(1);
    started(&mut asked);
    asked.living(|_, run, _| run.scheduled(200 * MS, 201 * MS));
    assert_eq!(ended(&mut asked), (Nanos(0), Nanos(MS), Nanos(499 * MS)));
    let mut told = Forest::new(1);
    started(&mut told);
    told.exits(0, vec![Exit { tid: 11, cpu: 201 * MS, delayed: 201 * MS, ..Exit::default() }]);
    assert_eq!(ended(&mut told), (Nanos(MS), Nanos(MS), Nanos(499 * MS)));
    // What the shell waited for a processor after its own waits is not among the events.
    let mut late = Forest::new(1);
    started(&mut late);
    late.executed_before(11, || Some((200 * MS, 260 * MS)));
    late.living(|_, run, _| run.scheduled(200 * MS, 261 * MS));
    assert_eq!(ended(&mut late), (Nanos(0), Nanos(MS), Nanos(499 * MS)));
}

/// runc's last process has threads, crun's uses some milliseconds of a processor.
#[test]
fn work_of_a_runtime_before_its_exec_is_not_the_programs() {
    let runs = |between: &[Event]| {
        let mut forest = Forest::new(1);
        forest.take([forked(0, 10, 1), forked(0, 11, 10), event(0, 11, What::In)]);
        forest.take(between.iter().cloned());
        forest.take([executed(9, 11, "sh"), event(20, 11, What::Exited)]);
        let runs: Vec<_> = forest.steps[0].runs.values().map(|run| (run.forked, run.start / MS)).collect();
        runs
    };
    let idle = event(1, 11, What::Out { wanted: true });
    assert_eq!(runs(&[idle.clone(), event(9, 11, What::In)]), [(false, 0)], "a shell's copy only waited");
    assert_eq!(runs(&[]), [(false, 9)], "it ran for 9 ms");
    let thread = Event { time: MS, pid: 11, tid: 12, what: What::Forked { parent: 11 } };
    assert_eq!(runs(&[idle, thread]), [(false, 9)], "it had threads");
}

/// The kernel reports an end when a process executes a set-uid program. For root, events go on.
#[test]
fn a_process_that_executes_a_set_uid_program_has_not_ended() {
    let until_exec = [forked(0, 10, 1), forked(0, 11, 10), event(0, 11, What::In), executed(1, 11, "su")];
    let mut root = Forest::new(1).with_liveness(|_| true, Reports::All);
    root.take(until_exec.clone());
    root.take([event(1, 11, What::Exited), event(3, 11, What::Out { wanted: false }), event(50, 11, What::In)]);
    // The real end is long after the exec.
    root.take([event(52, 11, What::Exited)]);
    root.finish(52 * MS);
    let run = &root.steps[0].runs[&0];
    assert_eq!((run.end, run.time.cpu, run.time.blocked.total()), (Some(52 * MS), Nanos(5 * MS), Nanos(47 * MS)));

    let mut ordinary = Forest::new(1).with_liveness(|_| true, Reports::Ordinary);
    ordinary.take(until_exec);
    ordinary.take([event(1, 11, What::Exited)]);
    assert_eq!((ordinary.unfollowed(), ordinary.unfollowed()), (vec![11], vec![]));
    ordinary.end_hidden(20 * MS);
    assert_eq!(ordinary.steps[0].runs[&0].end, None);
    ordinary = ordinary.with_liveness(|_| false, Reports::Ordinary);
    ordinary.end_hidden(40 * MS);
    ordinary.finish(60 * MS);
    let run = &ordinary.steps[0].runs[&0];
    assert_eq!((run.end, run.time.cpu, run.time.blocked.unknown), (Some(40 * MS), Nanos(MS), Nanos(39 * MS)));
    assert_eq!(ordinary.steps[0].hidden, 1);
}

#[test]
fn arguments_that_are_read_late_belong_to_the_last_program() {
    let mut forest = Forest::new(1);
    forest.take([forked(0, 10, 1), forked(0, 11, 10), executed(1, 11, "sh")]);
    forest.program(5 * MS, 11, vec!["sleep".into(), "1".into()]);
    forest.take([executed(3, 11, "sleep")]);
    let runs: Vec<_> = forest.steps[0].runs.values().map(|run| run.arguments.clone()).collect();
    assert_eq!(runs, [vec![], vec!["sleep".to_owned(), "1".to_owned()]]);
}

/// 4 ms a tick; the shell reads 100 bytes, and what it executes in its place 300.
#[test]
fn accounts_of_ended_threads_are_divided_among_programs() {
    let mut forest = Forest::new(1);
    forest.take([forked(0, 10, 1), forked(0, 11, 10), event(0, 11, What::In), executed(0, 11, "sh")]);
    forest.take([forked(1, 12, 11), event(1, 12, What::In), event(4, 12, What::Exited)]);
    forest.living(|_, run, _| (run.usage.user, run.usage.read) = (4 * MS, Some(100)));
    forest.take([executed(10, 11, "cc")]);
    let exit = Exit {
        tid: 11,
        status: 2 << 8,
        user: 12 * MS,
        system: 4 * MS,
        cpu: 25 * MS,
        waits: 1,
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

/// A sleep of 400 ms whose report of leaving the processor was dropped. The kernel's sum at its end says that it ran for 1 ms.
#[test]
fn a_dropped_switch_is_not_time_on_a_processor() {
    let mut forest = Forest::new(1);
    forest.take([forked(0, 10, 1), forked(0, 11, 10), event(0, 11, What::In), executed(0, 11, "sleep")]);
    let exit = |cpu| Exit { tid: 11, cpu: cpu * MS, waits: 1, ..Exit::default() };
    let ended = |mut forest: Forest, cpu| {
        forest.exits(400 * MS, [exit(cpu)]);
        forest.take([event(400, 11, What::Exited)]);
        forest.finish(400 * MS);
        let time = forest.steps[0].runs[&0].time;
        (time.cpu, time.blocked.total())
    };
    assert_eq!(ended(forest, 1), (Nanos(MS), Nanos(399 * MS)));
    // A program that computes; the kernel's sum lacks the time since the last tick.
    let mut forest = Forest::new(1);
    forest.take([forked(0, 10, 1), forked(0, 11, 10), event(0, 11, What::In), executed(0, 11, "cc")]);
    assert_eq!(ended(forest, 390), (Nanos(400 * MS), Nanos(0)));
}

/// On a loaded machine, a step's first process waits for a processor before it executes the program. Context switches are not reported yet.
#[test]
fn waits_before_an_exec_are_not_time_on_a_processor() {
    let mut forest = Forest::new(1).with_switches(Switches::Unreported);
    forest.take([forked(0, 10, 1), forked(0, 11, 10), executed(500, 11, "sh")]);
    // The kernel's sums at 510 ms.
    forest.executed_before(11, || Some((2 * MS, 508 * MS)));
    forest.switches_begin(510 * MS, |_, _| Some(ThreadState { cpu: 2 * MS, delayed: 508 * MS, runs: false }));
    forest.exits(1100 * MS, [Exit { tid: 11, cpu: 72 * MS, waits: 1, delayed: 1028 * MS, ..Exit::default() }]);
    forest.take([event(1030, 11, What::In), event(1100, 11, What::Exited)]);
    forest.finish(1100 * MS);
    let process = forest.steps[0].runs.values().next_back().unwrap().process(Nanos);
    assert!(process.time.cpu >= Nanos(70 * MS) && process.time.cpu <= Nanos(72 * MS), "{process:?}");
}

/// The reading at 200 ms empties a full ring. The number of dropped reports follows with the next report, which is read at 220 ms.
#[test]
fn what_was_dropped_before_the_end_of_a_step_is_said() {
    let mut forest = Forest::new(1);
    let lost = |all| Lost { all, of_processes: 0 };
    forest.take([forked(0, 10, 1), forked(0, 20, 1)]);
    forest.lost(20 * MS, lost(0));
    forest.take([event(15, 10, What::Exited)]);
    forest.lost(40 * MS, lost(0));
    forest.lost(200 * MS, lost(0));
    forest.take([event(150, 20, What::Exited)]);
    forest.lost(220 * MS, lost(7));
    assert_eq!(forest.steps.iter().map(|step| step.lost.all).collect::<Vec<_>>(), [0, 7]);
    forest.lost(240 * MS, lost(3));
    assert_eq!(forest.steps[1].lost.all, 7, "the step had ended before");
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
    forest.finish(12 * MS);
    let run = &forest.steps[0].runs[&0];
    let process = run.process(Nanos);
    assert_eq!((process.threads, process.end), (2, Nanos(12 * MS)));
    assert_eq!(process.time.cpu, Nanos((5 + 7 + 2) * MS));
    assert_eq!(process.time.blocked[Cause::Unknown], Nanos(2 * MS), "only where both waited");
    assert_eq!(process.running(), Nanos(10 * MS));
}

/// The kernel may take the processor from a thread between the report of its end and its end.
#[test]
fn a_switch_of_a_thread_that_has_ended_starts_none() {
    let mut forest = Forest::new(1);
    forest.take([forked(0, 10, 1), forked(0, 11, 10), event(0, 11, What::In), executed(0, 11, "dpkg-deb")]);
    let thread = |ms, what| Event { time: ms * MS, pid: 11, tid: 99, what };
    forest.take([
        thread(1, What::Forked { parent: 11 }),
        thread(2, What::In),
        thread(3, What::Exited),
        thread(4, What::Out { wanted: true }),
        thread(5, What::In),
        Event { tid: -1, ..thread(6, What::Out { wanted: false }) },
        event(7, 11, What::Exited),
    ]);
    let run = &forest.steps[0].runs[&0];
    assert_eq!((run.end, run.threads), (Some(7 * MS), 2));
}

#[test]
fn only_processes_that_start_count_for_a_machine() {
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
fn a_process_without_a_reported_end_ends_when_it_disappears() {
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
            forest
                .take(all.iter().enumerate().filter(|&(at, _)| at != left_out && at <= until).map(|(_, e)| e.clone()));
            forest.finish(50 * MS);
            for run in forest.steps.iter().flat_map(|step| step.runs.values()) {
                let process = run.process(Nanos);
                assert!(process.time.runnable + process.time.blocked.total() <= process.duration(), "{process:?}");
            }
        }
    }
}

/// The shell of a step that another builder runs is known by its text, also if it ends before the next reading.
#[test]
fn arguments_belong_to_the_program_of_that_time() {
    let exec = |pid, ms: u64, arguments: &[&str]| ExecArguments {
        pid,
        executed: ms * MS + 3_000,
        read: ms * MS + 200_000,
        arguments: arguments.iter().map(|&word| word.to_owned()).collect(),
    };
    let mut forest = Forest::of_machine(0);
    let early = exec(11, 36, &["strip", "x"]);
    forest.lost(36 * MS, Lost::default());
    forest.add_arguments(vec![exec(11, 2, &["sh", "-c", "gcc x.c; strip x"]), early]);
    forest.take(shell());
    forest.lost(50 * MS, Lost::default());
    forest.add_arguments(vec![exec(12, 5, &["gcc", "x.c"]), exec(99, 40, &["other"])]);
    assert_eq!(forest.arguments.len(), 1, "its start may come with the next reading");
    forest.lost(55 * MS, Lost::default());
    forest.lost(60 * MS, Lost::default());
    forest.add_arguments(Vec::new());
    assert!(forest.arguments.is_empty(), "a program of another build");
    forest.finish(60 * MS);
    let arguments: Vec<_> = forest.steps[0].runs.values().map(|run| run.arguments.join(" ")).collect();
    assert_eq!(arguments, ["", "sh -c gcc x.c; strip x", "gcc x.c", "strip x"], "the runtime's init has none");
}
